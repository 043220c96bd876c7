//! What SQLite says when it fails.

use rusqlite::{Connection, ErrorCode, ffi};

use crate::Error;

/// In our words. `connection` finds the name of a violated unique index.
pub(super) fn translate(error: &rusqlite::Error, connection: Option<&Connection>) -> Error {
    let (failure, message) = match error {
        rusqlite::Error::SqliteFailure(failure, message) => (failure, message.as_deref()),
        // From preparing: the message names tables and columns of the SQL, no
        // values.
        rusqlite::Error::SqlInputError { error, msg, .. } => {
            return Error::Engine(format!("SQLite {}: {msg}", error.extended_code));
        }
        other => return Error::Engine(format!("SQLite: {other}")),
    };
    match (failure.code, failure.extended_code) {
        (
            _,
            ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_ROWID,
        ) => Error::UniqueViolation {
            constraint: unique_constraint(message.unwrap_or_default(), connection),
        },
        (_, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => Error::ForeignKeyViolation { constraint: None },
        // Names the constraint or the column.
        (ErrorCode::ConstraintViolation, code) => Error::Engine(format!(
            "SQLite {code}: {}",
            message.unwrap_or("constraint failed")
        )),
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => {
            Error::unavailable("another process holds the database's lock")
        }
        (ErrorCode::CannotOpen, code) => {
            Error::unavailable(format!("the database file can't be opened (SQLite {code})"))
        }
        // What SQLite calls a failed write is a used up quota, or a file that
        // may not grow: a disk that is broken fails when it is synced.
        (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_WRITE) => Error::Full,
        // The message may quote a value here, so only the code's meaning.
        (_, code) => Error::Engine(format!("SQLite {code}: {}", ffi::code_to_str(code))),
    }
}

/// The index's name as PostgreSQL would give it, from "UNIQUE constraint
/// failed: table.column, table.column" or "… failed: index 'name'".
fn unique_constraint(message: &str, connection: Option<&Connection>) -> String {
    let what = message.split_once(": ").map_or(message, |(_, what)| what);
    if let Some(name) = what.strip_prefix("index '") {
        return name.trim_end_matches('\'').to_owned();
    }
    let columns: Vec<_> = what
        .split(", ")
        .filter_map(|column| column.split_once('.'))
        .collect();
    let (Some(connection), Some((table, _))) = (connection, columns.first()) else {
        return what.to_owned();
    };
    let columns: Vec<_> = columns.iter().map(|(_, column)| *column).collect();
    let index = connection.query_row(
        "select name, origin from pragma_index_list(?1) as list
         where \"unique\" and ?2 = (
             select group_concat(name, ',') from (
                 select name from pragma_index_info(list.name) order by seqno
             )
         )",
        [*table, &columns.join(",")],
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
    );
    match index {
        Ok((name, origin)) if origin == "c" => name,
        Ok((_, origin)) if origin == "u" => format!("{table}_{}_key", columns.join("_")),
        // The primary key, or an integer primary key, which has no index.
        _ => format!("{table}_pkey"),
    }
}
