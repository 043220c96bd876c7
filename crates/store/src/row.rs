//! What comes back from a statement.

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use crate::Error;

/// One row of an answer.
pub struct Row<'a>(Source<'a>);

enum Source<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

/// What a column holds, as its engine keeps it; borrowed from the row.
///
/// A type of yours that is stored in a column implements [`FromColumn`] over
/// it, best through the implementation of the plain type below it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Cell<'a> {
    /// SQL `null`.
    Null,
    /// A truth value (PostgreSQL; SQLite has `Int`).
    Bool(bool),
    /// An integer, also a `numeric` without a fraction, which is what
    /// PostgreSQL makes of `sum(bigint)`.
    Int(i64),
    /// A floating point number.
    Real(f64),
    /// Text; on SQLite also a date or JSON.
    Text(&'a str),
    /// Bytes; on SQLite also an id.
    Bytes(&'a [u8]),
    /// An id (PostgreSQL).
    Uuid(Uuid),
    /// An instant (PostgreSQL; SQLite has `Int`, in milliseconds).
    Timestamp(Timestamp),
    /// A calendar day (PostgreSQL; SQLite has `Text`).
    Date(Date),
    /// JSON source text (PostgreSQL; SQLite has `Text`).
    Json(&'a str),
    /// A type that the store does not read, or a value out of its range.
    Unreadable,
}

/// A type that a column can be read as.
pub trait FromColumn: Sized {
    /// What such a column holds, for the error message: "an integer".
    const EXPECTS: &'static str;

    /// The value, or `None` when the cell holds something else.
    fn from_cell(cell: Cell<'_>) -> Option<Self>;
}

impl<'a> Row<'a> {
    pub(crate) fn sqlite(row: &'a rusqlite::Row<'a>) -> Self {
        Self(Source::Sqlite(row))
    }

    pub(crate) fn postgres(row: &'a tokio_postgres::Row) -> Self {
        Self(Source::Postgres(row))
    }

    /// The column at `index`, the first being 0.
    ///
    /// # Errors
    /// [`Error::Decode`] when there is no such column or it holds another type.
    pub fn get<T: FromColumn>(&self, index: usize) -> Result<T, Error> {
        self.cell(index)
            .and_then(T::from_cell)
            .ok_or_else(|| Error::Decode {
                column: self.name(index),
                expected: T::EXPECTS,
            })
    }

    fn cell(&self, index: usize) -> Option<Cell<'_>> {
        match self.0 {
            Source::Sqlite(row) => {
                use rusqlite::types::ValueRef;
                Some(match row.get_ref(index).ok()? {
                    ValueRef::Null => Cell::Null,
                    ValueRef::Integer(number) => Cell::Int(number),
                    ValueRef::Real(number) => Cell::Real(number),
                    ValueRef::Text(text) => match std::str::from_utf8(text) {
                        Ok(text) => Cell::Text(text),
                        Err(_) => Cell::Unreadable,
                    },
                    ValueRef::Blob(bytes) => Cell::Bytes(bytes),
                })
            }
            Source::Postgres(row) => row.try_get(index).ok(),
        }
    }

    fn name(&self, index: usize) -> String {
        let name = match self.0 {
            Source::Sqlite(row) => row.as_ref().column_name(index).ok(),
            Source::Postgres(row) => row.columns().get(index).map(tokio_postgres::Column::name),
        };
        name.map_or_else(|| format!("number {index}"), str::to_owned)
    }
}

/// However deep: how deep it may be was decided when it was stored.
fn parse_json(text: &str) -> Option<serde_json::Value> {
    use serde::Deserialize as _;
    let mut source = serde_json::Deserializer::from_str(text);
    source.disable_recursion_limit();
    serde_json::Value::deserialize(&mut source).ok()
}

impl<T: FromColumn> FromColumn for Option<T> {
    const EXPECTS: &'static str = T::EXPECTS;

    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

macro_rules! from_column {
    ($($type:ty, $expects:literal => { $($pattern:pat => $value:expr),* $(,)? })*) => {
        $(impl FromColumn for $type {
            const EXPECTS: &'static str = $expects;

            fn from_cell(cell: Cell<'_>) -> Option<Self> {
                match cell {
                    $($pattern => $value,)*
                    _ => None,
                }
            }
        })*
    };
}

from_column! {
    bool, "a truth value" => {
        Cell::Bool(value) => Some(value),
        Cell::Int(0) => Some(false),
        Cell::Int(1) => Some(true),
    }
    i64, "an integer" => {
        Cell::Int(value) => Some(value),
    }
    i32, "an integer of 32 bits" => {
        Cell::Int(value) => value.try_into().ok(),
    }
    u32, "a natural number of 32 bits" => {
        Cell::Int(value) => value.try_into().ok(),
    }
    f64, "a number" => {
        Cell::Real(value) => Some(value),
        // Only an approximation beyond 2^53, as every float is.
        Cell::Int(value) => Some(value as f64),
    }
    String, "text" => {
        Cell::Text(value) | Cell::Json(value) => Some(value.to_owned()),
    }
    Uuid, "an id" => {
        Cell::Uuid(value) => Some(value),
        Cell::Bytes(value) => Uuid::from_slice(value).ok(),
    }
    Timestamp, "an instant" => {
        Cell::Timestamp(value) => Some(value),
        Cell::Int(value) => Timestamp::from_millisecond(value).ok(),
    }
    Date, "a date" => {
        Cell::Date(value) => Some(value),
        Cell::Text(value) => value.parse().ok(),
    }
    serde_json::Value, "JSON" => {
        Cell::Json(value) | Cell::Text(value) => parse_json(value),
    }
    Vec<u8>, "bytes" => {
        Cell::Bytes(value) => Some(value.to_vec()),
    }
}
