//! What can go wrong.

/// Why a statement, a transaction or the store itself failed.
///
/// No message contains a bound value, so every one of them may be logged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A row with this unique key exists already.
    #[error("a row with this key exists already ({constraint})")]
    UniqueViolation {
        /// The name of the unique index; of a constraint declared within the
        /// table the name that PostgreSQL would give it: `<table>_pkey` or
        /// `<table>_<column>_<column>_key`. The same on both engines.
        constraint: String,
    },
    /// A row that is referred to does not exist, or one that is referred to
    /// was to be deleted.
    #[error("a reference to a row that does not exist")]
    ForeignKeyViolation {
        /// The constraint's name; SQLite does not tell it.
        constraint: Option<String>,
    },
    /// The database can't serve at the moment: refused or lost connection, no
    /// free connection in time, a SQLite file that another process holds, a
    /// statement over its time limit, or the store is closing. Trying again
    /// later is right.
    ///
    /// A connection that is lost during the commit itself gives this too; then
    /// it is unknown whether the transaction has happened.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// A row that the statement needs was locked by another transaction for
    /// longer than the lock timeout (PostgreSQL). Trying again later is right.
    #[error("another transaction held a lock for too long")]
    Locked,
    /// The disk is full, or a quota of it is used up. Nothing of the transaction was kept.
    #[error("the disk is full")]
    Full,
    /// A column does not hold what was asked for.
    #[error("column {column} does not hold {expected}")]
    Decode {
        /// The column's name in the answer.
        column: String,
        /// What was asked for.
        expected: &'static str,
    },
    /// A value that can't be stored; see [`Value`](crate::Value).
    #[error("a value can't be stored: {0}")]
    Encode(String),
    /// [`query_one`](crate::Db::query_one) found no row.
    #[error("no row")]
    NoRow,
    /// The values given do not match the `$n` of the statement.
    #[error("the statement's parameters do not match the {given} values given")]
    Parameters {
        /// How many values were given.
        given: usize,
    },
    /// A statement failed earlier in this transaction (or savepoint), and the
    /// closure went on instead of returning its error. Nothing was kept. Where
    /// a failure is expected, put the statement into a
    /// [`savepoint`](crate::Tx::savepoint).
    #[error("a statement of this transaction has failed before")]
    Aborted,
    /// The closure panicked. Nothing was kept.
    #[error("the transaction's code panicked")]
    Panicked,
    /// The database was migrated by a newer version of the program.
    #[error("the database has schema {database}, this program knows only up to {known}")]
    NewerSchema {
        /// The number of the newest migration in the database.
        database: u32,
        /// The number of the newest migration that was passed.
        known: u32,
    },
    /// A migration failed; it left nothing behind.
    #[error("migration {number} ({name}) failed: {cause}")]
    Migration {
        /// Its number.
        number: u32,
        /// Its name.
        name: &'static str,
        /// Why.
        cause: Box<Error>,
    },
    /// Anything else that an engine answers: a mistake in the SQL, a violated
    /// check, a damaged file. With the engine's own code for it.
    #[error("{0}")]
    Engine(String),
}

impl Error {
    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable(reason.into())
    }
}
