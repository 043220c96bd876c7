//! The steps that bring a database up to what the program expects.

use crate::{Db, Engine, Error, params};

/// One step of the schema, the same on both engines. Never changed once it
/// has been released.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its place: greater than that of every migration before it.
    pub number: u32,
    /// What it does, in a few words.
    pub name: &'static str,
    /// The statements for SQLite.
    pub sqlite: &'static str,
    /// The statements for PostgreSQL.
    pub postgres: &'static str,
}

pub(crate) const TABLE_SQLITE: &str = "create table if not exists schema_migrations (
    number integer primary key,
    name text not null,
    applied_at integer not null
) strict";

pub(crate) const TABLE_POSTGRES: &str = "create table if not exists schema_migrations (
    number integer primary key,
    name text not null,
    applied_at timestamptz not null
)";

/// The newest migration in the database; 0 without any.
pub(crate) fn version(db: &Db<'_>) -> Result<u32, Error> {
    let exists = match db.engine() {
        Engine::Sqlite => "select count(*) > 0 from sqlite_master where name = $1",
        Engine::Postgres => "select to_regclass($1) is not null",
    };
    if !db.query_one(exists, &params!["schema_migrations"], |row| row.get(0))? {
        return Ok(0);
    }
    db.query_one(
        "select coalesce(max(number), 0) from schema_migrations",
        &[],
        |row| row.get(0),
    )
}

/// Those that a database at `version` does not have yet.
pub(crate) fn pending(
    migrations: &'static [Migration],
    version: u32,
) -> Result<&'static [Migration], Error> {
    assert!(
        migrations.is_sorted_by(|a, b| a.number < b.number),
        "migrations are listed in the order of their numbers"
    );
    let known = migrations.last().map_or(0, |last| last.number);
    if version > known {
        return Err(Error::NewerSchema {
            database: version,
            known,
        });
    }
    let first = migrations.partition_point(|migration| migration.number <= version);
    Ok(&migrations[first..])
}

impl Migration {
    pub(crate) fn failed(&self, cause: Error) -> Error {
        Error::Migration {
            number: self.number,
            name: self.name,
            cause: Box::new(cause),
        }
    }
}
