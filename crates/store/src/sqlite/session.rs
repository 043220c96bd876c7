//! A connection: its settings, and the statements that run on it.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection, OpenFlags};

use super::counters::add_functions;
use super::failure::translate;
use super::learning::Learning;
use super::revision::{Revisions, Sight};
use super::samples::Samples;
use super::values::bind;
use crate::slow::Slow;
use crate::{EachRow, Error, Options, Row, Value};

/// How many statements each connection keeps prepared.
const STATEMENTS: usize = 256;
/// How much of the pages that it has read and written each connection keeps, in
/// KiB; what is not there is found in the system's own cache.
const WRITER_CACHE: u32 = 32_768;
const READER_CACHE: u32 = 8_192;
/// How many pages the log holds before they are put back into the file, where it grows
/// so far within a second: more of them, and a page that many commits change is put back
/// once for all of them; fewer, and a start after a crash has less to read. 128 MiB.
pub(super) const LOG_PAGES: u32 = 32_768;
/// How large the log's file stays when it begins anew, in bytes: what it grows to while
/// pages are put back, so that it need not find its room again each time.
const LOG_KEPT: u32 = 2 * LOG_PAGES * 4_096;

/// A connection within a transaction.
pub(crate) struct Session {
    pub(super) connection: Connection,
    /// A statement has failed, and its error is still on its way out.
    pub(super) doomed: Cell<bool>,
    /// Whether savepoints are really set. Else what would have to be undone has
    /// the whole transaction run again.
    pub(super) careful: Cell<bool>,
    /// It is to be run again, with savepoints.
    pub(super) again: Cell<bool>,
    /// For each open savepoint, how many rows had been changed before it.
    marks: RefCell<Vec<u64>>,
    pub(super) learning: Learning,
    /// `None` where what is seen may be its own.
    sight: Option<Sight>,
    /// What is common in the texts of tables.
    pub(super) samples: Samples,
    pub(super) slow: Slow,
}

impl Session {
    pub(super) fn open(path: &Path, options: &Options, writes: bool) -> Result<Self, Error> {
        let access = if writes {
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
        } else {
            OpenFlags::SQLITE_OPEN_READ_ONLY
        };
        let connect = || -> rusqlite::Result<Connection> {
            let connection =
                Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            connection.busy_timeout(options.lock_timeout)?;
            // Without this SQLite (built with STAT4) prepares a join again for
            // every new binding, which takes far longer than running it.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
            // A misspelt column in double quotes is an error, not a string.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
            rusqlite::vtab::array::load_module(&connection)?;
            add_functions(&connection)?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS);
            connection.execute_batch("pragma temp_store = memory; pragma foreign_keys = on;")?;
            if writes {
                connection.execute_batch(&format!(
                    "pragma journal_mode = wal;
                     pragma journal_size_limit = {LOG_KEPT};
                     pragma wal_autocheckpoint = {LOG_PAGES};
                     pragma cache_size = -{WRITER_CACHE};"
                ))?;
                connection.pragma_update(
                    None,
                    "synchronous",
                    if options.durable { "full" } else { "off" },
                )?;
            } else {
                connection.execute_batch(&format!("pragma cache_size = -{READER_CACHE};"))?;
            }
            Ok(connection)
        };
        let connection = connect().map_err(|error| translate(&error, None))?;
        Ok(Self {
            connection,
            doomed: Cell::new(false),
            careful: Cell::new(true),
            again: Cell::new(false),
            marks: RefCell::default(),
            learning: Learning::default(),
            sight: None,
            samples: Samples::default(),
            slow: Slow::new(options.slow_statement),
        })
    }

    /// Opens a connection that only reads, beside others.
    pub(super) fn reader(
        path: &Path,
        options: &Options,
        revisions: Revisions,
        samples: Samples,
    ) -> Result<Self, Error> {
        Ok(Self {
            sight: Some(Sight::of(revisions)),
            samples,
            ..Self::open(path, options, false)?
        })
    }

    /// One of our own statements between those of the closures.
    pub(super) fn control(&self, sql: &str) -> Result<(), Error> {
        let watch = self.slow.watch();
        let run = || self.connection.prepare_cached(sql)?.execute([]);
        let done = run();
        watch.stop(sql);
        done.map(drop)
            .map_err(|error| translate(&error, Some(&self.connection)))
    }

    /// Puts of the log into the file what no reader needs there, without waiting for
    /// anyone: how many pages the log has, and how many of these are in the file then;
    /// less than none while another process is at it.
    pub(super) fn put_log_back(&self) -> Result<(i64, i64), Error> {
        let put = || {
            self.connection
                .query_row("pragma wal_checkpoint(passive)", [], |row| {
                    Ok((row.get(1)?, row.get(2)?))
                })
        };
        put().map_err(|error| translate(&error, None))
    }

    /// As [`Db::revision`](crate::Db::revision).
    pub(crate) fn revision(&self) -> Result<Option<u64>, Error> {
        let Some(sight) = &self.sight else {
            return Ok(None);
        };
        let ask = || {
            let mut statement = self.connection.prepare_cached("pragma data_version")?;
            statement.query_row([], |row| row.get(0))
        };
        let version = ask().map_err(|error| self.failed(&error))?;
        Ok(sight.revision(version))
    }

    /// Whatever went before, a transaction is about to begin.
    pub(super) fn fresh(&self) {
        if let Some(sight) = &self.sight {
            sight.begin();
        }
        self.doomed.set(false);
        self.again.set(false);
        self.marks.borrow_mut().clear();
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        self.doomed.set(true);
        translate(error, Some(&self.connection))
    }

    fn prepare(&self, sql: &str, params: &[Value]) -> Result<CachedStatement<'_>, Error> {
        if self.doomed.get() {
            return Err(Error::Aborted);
        }
        let mut statement = self
            .connection
            .prepare_cached(sql)
            .map_err(|error| self.failed(&error))?;
        bind(&mut statement, params).inspect_err(|_| self.doomed.set(true))?;
        Ok(statement)
    }

    pub(crate) fn rows(
        &self,
        sql: &str,
        params: &[Value],
        f: &mut EachRow<'_>,
    ) -> Result<(), Error> {
        let mut watch = self.slow.watch();
        let result = self.pass(sql, params, &mut |row| {
            watch.rows += 1;
            f(row)
        });
        watch.stop(sql);
        result
    }

    /// As `rows`, for an `f` that may take its time, which is not the
    /// statement's.
    pub(crate) fn each(
        &self,
        sql: &str,
        params: &[Value],
        f: &mut dyn FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut watch = self.slow.watch();
        let result = self.pass(sql, params, &mut |row| {
            watch.rows += 1;
            watch.pause();
            let done = f(row);
            watch.resume();
            done.map(ControlFlow::Continue)
        });
        watch.stop(sql);
        result
    }

    fn pass(&self, sql: &str, params: &[Value], f: &mut EachRow<'_>) -> Result<(), Error> {
        let mut statement = self.prepare(sql, params)?;
        // A statement that writes must run to its end even if nobody wants its
        // further rows: only there are its foreign keys checked.
        let to_the_end = !statement.readonly();
        let mut wanted = true;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(|error| self.failed(&error))? {
            if wanted && f(&Row::sqlite(row))? == ControlFlow::Break(()) {
                wanted = false;
            }
            if !wanted && !to_the_end {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn execute(&self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        let mut watch = self.slow.watch();
        let result = self.change(sql, params);
        watch.rows = *result.as_ref().unwrap_or(&0);
        watch.stop(sql);
        result
    }

    fn change(&self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        let mut statement = self.prepare(sql, params)?;
        if statement.column_count() > 0 {
            let mut rows = statement.raw_query();
            let mut found = 0;
            while rows.next().map_err(|error| self.failed(&error))?.is_some() {
                found += 1;
            }
            return Ok(found);
        }
        let changed = statement
            .raw_execute()
            .map_err(|error| self.failed(&error))?;
        // Of a statement that changes nothing SQLite tells the count of the
        // last one that did.
        Ok(if is_change(sql) { changed as u64 } else { 0 })
    }

    pub(crate) fn savepoint_begin(&self) -> Result<(), Error> {
        if self.doomed.get() {
            return Err(Error::Aborted);
        }
        let depth = self.marks.borrow().len() + 1;
        if self.careful.get() {
            self.control(&format!("savepoint s{depth}"))
                .inspect_err(|_| self.doomed.set(true))?;
        }
        self.marks
            .borrow_mut()
            .push(self.connection.total_changes());
        Ok(())
    }

    /// Keeps or undoes what happened since the innermost savepoint.
    pub(crate) fn savepoint_end(&self, keep: bool) -> Result<(), Error> {
        let depth = self.marks.borrow().len();
        let mark = self.marks.borrow_mut().pop();
        if self.connection.is_autocommit() {
            // SQLite has rolled back everything, the savepoint with it. The
            // writer sees that when the closure is through.
            self.doomed.set(true);
            return if keep { Err(Error::Aborted) } else { Ok(()) };
        }
        let keeps = keep && !self.doomed.get();
        if self.careful.get() {
            if !keeps {
                self.control(&format!("rollback to s{depth}"))?;
            }
            self.control(&format!("release s{depth}"))?;
        } else if !keeps && mark != Some(self.connection.total_changes()) {
            self.again.set(true);
        }
        self.doomed.set(self.again.get());
        if keep && !keeps {
            Err(Error::Aborted)
        } else {
            Ok(())
        }
    }
}

/// Whether the statement can change rows, rather than the schema.
fn is_change(sql: &str) -> bool {
    let first = sql
        .trim_start()
        .split(|c: char| !c.is_ascii_alphabetic())
        .next();
    ["insert", "update", "delete", "replace", "with"]
        .iter()
        .any(|change| first.is_some_and(|first| first.eq_ignore_ascii_case(change)))
}
