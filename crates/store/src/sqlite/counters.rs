//! Counters side by side in one column, one for each letter or digit of ASCII, so
//! that to add up many of them takes one row. A schema for SQLite may use:
//!
//! - `count_changed(counts, letter, by)`: the counters, `null` at first, with that of
//!   a letter changed; an empty blob when all of them are 0.
//! - `counted_before(counts, letter)`: the sum of the counters of all letters that
//!   sort before this one; before `~`, which sorts last, that is all of them.
//!
//! A schema for PostgreSQL defines functions of these names itself.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, Result};

/// The first letter that can be counted; counters lie in the order of the letters,
/// little-endian, up to the last one that is not 0.
const FIRST: u8 = b'0';
const WIDTH: usize = size_of::<u32>();

/// Lets a connection know the functions that a schema may use beside SQLite's own.
///
/// # Errors
/// SQLite's.
pub fn add_functions(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("count_changed", 3, flags, |call| {
        changed(counts(call)?, index(call)?, call.get(2)?)
            .ok_or_else(|| refused("a counter would leave its range"))
    })?;
    connection.create_scalar_function("counted_before", 2, flags, |call| {
        Ok(before(counts(call)?, index(call)?))
    })
}

fn changed(counts: &[u8], index: usize, by: i64) -> Option<Vec<u8>> {
    let mut counts = counts.to_vec();
    let at = index * WIDTH;
    if counts.len() < at + WIDTH {
        counts.resize(at + WIDTH, 0);
    }
    let counter = counts.get_mut(at..at + WIDTH)?;
    let count = i64::from(read(counter)).checked_add(by)?;
    counter.copy_from_slice(&u32::try_from(count).ok()?.to_le_bytes());
    let last = counts.chunks(WIDTH).rposition(|counter| read(counter) != 0);
    counts.truncate(last.map_or(0, |last| (last + 1) * WIDTH));
    Some(counts)
}

fn before(counts: &[u8], index: usize) -> i64 {
    let counters = counts.chunks_exact(WIDTH).take(index);
    counters.map(|counter| i64::from(read(counter))).sum()
}

fn read(counter: &[u8]) -> u32 {
    counter.try_into().map_or(0, u32::from_le_bytes)
}

fn counts<'c>(call: &'c Context<'_>) -> Result<&'c [u8]> {
    match call.get_raw(0) {
        ValueRef::Null => Ok(&[]),
        counts => counts.as_blob().map_err(|_| refused("no counters")),
    }
}

/// Where the counter of the letter lies.
fn index(call: &Context<'_>) -> Result<usize> {
    let letter = call.get_raw(1).as_bytes().ok().and_then(<[u8]>::first);
    letter
        .and_then(|letter| letter.checked_sub(FIRST))
        .map(usize::from)
        .ok_or_else(|| refused("no letter that can be counted"))
}

fn refused(why: &str) -> Error {
    Error::UserFunctionError(why.into())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted_up_and_down_to_nothing() {
        let connection = Connection::open_in_memory().unwrap();
        add_functions(&connection).unwrap();
        let changed = |counts: Option<Vec<u8>>, letter: &str, by: i64| -> Result<Vec<u8>> {
            let sql = "select count_changed(?1, ?2, ?3)";
            connection.query_row(sql, (counts, letter, by), |row| row.get(0))
        };
        let before = |counts: &[u8], letter: &str| -> i64 {
            let sql = "select counted_before(?1, ?2)";
            connection
                .query_row(sql, (counts, letter), |row| row.get(0))
                .unwrap()
        };
        let b = changed(None, "b", 2).unwrap();
        let both = changed(Some(b.clone()), "Z", 1).unwrap();
        let sums = ["0", "Z", "a", "b", "c", "~"].map(|letter| before(&both, letter));
        assert_eq!(sums, [0, 0, 1, 1, 3, 3]);
        assert_eq!(changed(Some(both), "Z", -1).unwrap(), b);
        assert_eq!(changed(Some(b.clone()), "b", -2).unwrap(), b"");
        for (letter, by) in [("b", -3), ("a", -1), ("", 1), ("!", 1), ("b", i64::MAX)] {
            assert!(
                changed(Some(b.clone()), letter, by).is_err(),
                "{letter} {by}"
            );
        }
    }
}
