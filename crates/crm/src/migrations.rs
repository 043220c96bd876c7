//! The schema, step by step; the same steps under the same numbers on both
//! engines.

use store::Migration;

macro_rules! migration {
    ($number:literal, $name:literal, $file:literal) => {
        Migration {
            number: $number,
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $file)),
            postgres: include_str!(concat!("../migrations/postgres/", $file)),
        }
    };
}

/// Every step, in order. A step that was released is never changed.
pub const MIGRATIONS: &[Migration] = &[
    migration!(1, "foundation", "0001_foundation.sql"),
    migration!(2, "search", "0002_search.sql"),
    migration!(3, "idempotency", "0003_idempotency.sql"),
];
