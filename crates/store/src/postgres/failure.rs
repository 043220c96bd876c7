//! What PostgreSQL refuses, in our words.

use std::error::Error as StdError;
use std::fmt::Write as _;

use tokio_postgres::error::SqlState;

use super::wire::Unencodable;
use crate::Error;

pub(super) type Answer<T> = Result<T, tokio_postgres::Error>;

/// Why a statement has no answer.
pub(super) enum Failure {
    Answer(tokio_postgres::Error),
    Parameters { given: usize },
    Lost,
}

/// Running the transaction again may well succeed.
pub(super) fn is_transient(code: &SqlState) -> bool {
    [
        &SqlState::T_R_SERIALIZATION_FAILURE,
        &SqlState::T_R_DEADLOCK_DETECTED,
    ]
    .contains(&code)
}

/// The prepared statement no longer fits the schema, or is gone.
pub(super) fn is_stale(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|error| {
        *error.code() == SqlState::INVALID_SQL_STATEMENT_NAME
            || (*error.code() == SqlState::FEATURE_NOT_SUPPORTED
                && error.message().starts_with("cached plan must not change"))
    })
}

pub(super) fn cannot_connect(error: &tokio_postgres::Error) -> Error {
    let reason = StdError::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    Error::Unavailable(format!("cannot connect: {reason}"))
}

/// In our words. The server's messages and details quote values, so only
/// those about the statement itself are passed on.
pub(super) fn translate(error: &tokio_postgres::Error) -> Error {
    let Some(db) = error.as_db_error() else {
        if error.is_closed() {
            return Error::unavailable("the connection was lost");
        }
        let cause = StdError::source(error);
        if cause.is_some_and(|cause| cause.is::<std::io::Error>()) {
            return Error::unavailable("the connection was lost");
        }
        return match cause.and_then(|cause| cause.downcast_ref::<Unencodable>()) {
            Some(unencodable) => Error::Encode(unencodable.to_string()),
            None => Error::Engine(format!("PostgreSQL: {error}")),
        };
    };
    if is_stale(error) {
        return Error::unavailable("the schema has changed meanwhile");
    }
    let code = db.code();
    let constraint = || db.constraint().unwrap_or_default().to_owned();
    match (code.code().get(..2).unwrap_or_default(), code.code()) {
        (_, "23505") => Error::UniqueViolation {
            constraint: constraint(),
        },
        (_, "23503") => Error::ForeignKeyViolation {
            constraint: Some(constraint()),
        },
        (_, "53100") => Error::Full,
        // A character that can't be stored.
        (_, "22021" | "22P05") => Error::Encode("a character that can't be stored".to_owned()),
        (_, "55P03") => Error::Locked,
        (_, "57014") => Error::unavailable("a statement took too long"),
        (_, "25P03") => Error::unavailable("a transaction was idle for too long"),
        ("40", code) => Error::Unavailable(format!("too many conflicts (PostgreSQL {code})")),
        ("08" | "53" | "57", code) => Error::Unavailable(format!("PostgreSQL {code}")),
        // About the statement or the server: no values in it.
        ("42" | "0A" | "XX" | "25" | "26" | "3D" | "3F", code) => {
            Error::Engine(format!("PostgreSQL {code}: {}", db.message()))
        }
        (_, code) => {
            let mut message = format!("PostgreSQL {code}");
            for (what, name) in [
                ("table", db.table()),
                ("column", db.column()),
                ("constraint", db.constraint()),
                ("in", db.routine()),
            ] {
                if let Some(name) = name {
                    let _ = write!(message, ", {what} {name}");
                }
            }
            Error::Engine(message)
        }
    }
}
