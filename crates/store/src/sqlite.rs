//! SQLite: many readers, one writer that commits waiting transactions together.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, Value as SqliteValue, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, ffi};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::migrate::{self, Migration};
use crate::slow::Slow;
use crate::{
    Counters, Db, EachRow, Error, Options, Row, Session as AnySession, Stats, Tx, Value, blocking,
};

/// How many statements each connection keeps prepared.
const STATEMENTS: usize = 256;
/// How many writes share a commit at most, and how many may wait.
const GROUP: usize = 512;
const QUEUE: usize = 4 * GROUP;
/// After this long a group takes no further write, so that the first of it
/// does not wait for ever.
const GROUP_TIME: Duration = Duration::from_millis(20);

/// How many scans run at once at most. Each has a page cache of its own, and
/// more of them than there are cores would only slow each other down.
const SCANS: usize = 4;
/// How much of the pages that it has read and written each connection keeps, in
/// KiB; what is not there is found in the system's own cache.
const WRITER_CACHE: u32 = 32_768;
const READER_CACHE: u32 = 8_192;
/// How many pages the log holds before they are put back into the file: more of
/// them, and a page that many commits change is put back once for all of them;
/// fewer, and a start after a crash has less to read. 32 MiB.
const LOG_PAGES: u32 = 8_192;

/// The table of what the text indexes have yet to learn: see
/// [`Engine::contains`](crate::Engine::contains).
pub(crate) const INDEX_QUEUE: &str = "index_queue";

// ---------------------------------------------------------------- connections

/// A connection within a transaction.
pub(crate) struct Session {
    connection: Connection,
    reads_only: bool,
    /// A statement has failed, and its error is still on its way out.
    doomed: Cell<bool>,
    /// Whether savepoints are really set. Else what would have to be undone has
    /// the whole transaction run again.
    careful: Cell<bool>,
    /// It is to be run again, with savepoints.
    again: Cell<bool>,
    /// For each open savepoint, how many rows had been changed before it.
    marks: RefCell<Vec<u64>>,
    /// There is a queue of what the text indexes have yet to learn.
    queues: Cell<bool>,
    slow: Slow,
}

impl Session {
    fn open(path: &Path, options: &Options, writes: bool) -> Result<Self, Error> {
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
            connection.set_prepared_statement_cache_capacity(STATEMENTS);
            connection.execute_batch("pragma temp_store = memory; pragma foreign_keys = on;")?;
            if writes {
                connection.execute_batch(&format!(
                    "pragma journal_mode = wal;
                     pragma journal_size_limit = 67108864;
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
            reads_only: !writes,
            doomed: Cell::new(false),
            careful: Cell::new(true),
            again: Cell::new(false),
            marks: RefCell::default(),
            queues: Cell::new(false),
            slow: Slow::new(options.slow_statement),
        })
    }

    /// One of our own statements between those of the closures.
    fn control(&self, sql: &str) -> Result<(), Error> {
        let watch = self.slow.watch();
        let run = || self.connection.prepare_cached(sql)?.execute([]);
        let done = run();
        watch.stop(sql);
        done.map(drop)
            .map_err(|error| translate(&error, Some(&self.connection)))
    }

    /// Ends a transaction that wrote.
    fn commit(&self) -> Result<(), Error> {
        self.empty_queue()?;
        self.control("commit")
    }

    /// Lets the text indexes learn what waits in [`INDEX_QUEUE`].
    fn empty_queue(&self) -> Result<(), Error> {
        if !self.queues.get() {
            // A migration makes it, on whichever connection.
            self.queues.set(self.has_queue()?);
        }
        match self.queues.get() {
            true => self.control(&format!("delete from {INDEX_QUEUE}")),
            false => Ok(()),
        }
    }

    fn has_queue(&self) -> Result<bool, Error> {
        let exists = "select exists (select 1 from sqlite_master where name = ?1)";
        let ask = || {
            let mut statement = self.connection.prepare_cached(exists)?;
            statement.query_row([INDEX_QUEUE], |row| row.get(0))
        };
        ask().map_err(|error| translate(&error, None))
    }

    /// As [`Db::index_now`].
    pub(crate) fn index_now(&self) -> Result<(), Error> {
        if self.doomed.get() {
            return Err(Error::Aborted);
        }
        if self.reads_only {
            return Ok(());
        }
        self.empty_queue().inspect_err(|_| self.doomed.set(true))
    }

    fn fresh(&self) {
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

/// Binds by the names `$1`, `$2` …, since SQLite numbers named parameters in
/// the order in which they appear.
fn bind(statement: &mut CachedStatement<'_>, params: &[Value]) -> Result<(), Error> {
    let mismatch = || Error::Parameters {
        given: params.len(),
    };
    // Each must be used, because PostgreSQL insists on it.
    let mut used = 0_usize;
    for index in 1..=statement.parameter_count() {
        let value = statement
            .parameter_name(index)
            .and_then(|name| name.strip_prefix('$'))
            .and_then(|number| number.parse::<usize>().ok())
            .and_then(|number| params.get(number.checked_sub(1)?))
            .ok_or_else(mismatch)?;
        if let Some(reason) = value.unstorable() {
            return Err(Error::Encode(reason.to_owned()));
        }
        statement
            .raw_bind_parameter(index, Bound(value))
            .map_err(|error| translate(&error, None))?;
        used += 1;
    }
    if used == params.len() {
        Ok(())
    } else {
        Err(mismatch())
    }
}

struct Bound<'a>(&'a Value);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(value) => ToSqlOutput::Owned(SqliteValue::Integer((*value).into())),
            Value::Int(value) => ToSqlOutput::Owned(SqliteValue::Integer(*value)),
            Value::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Value::Uuid(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value.as_bytes())),
            Value::Timestamp(value) => {
                ToSqlOutput::Owned(SqliteValue::Integer(value.as_millisecond()))
            }
            Value::Date(value) => ToSqlOutput::Owned(SqliteValue::Text(value.to_string())),
            Value::Json(value) => ToSqlOutput::Owned(SqliteValue::Text(value.to_string())),
            Value::Bytes(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
            Value::Uuids(ids) => {
                let ids: Vec<_> = ids
                    .iter()
                    .map(|id| SqliteValue::Blob(id.as_bytes().to_vec()))
                    .collect();
                return rusqlite::vtab::array::Array::to_sql(&Rc::new(ids)).map(pointer);
            }
        })
    }
}

/// An array is passed as a pointer that owns it, so it borrows nothing.
fn pointer(output: ToSqlOutput<'_>) -> ToSqlOutput<'static> {
    match output {
        ToSqlOutput::Pointer(pointer) => ToSqlOutput::Pointer(pointer),
        _ => ToSqlOutput::Owned(SqliteValue::Null),
    }
}

/// In our words. `connection` finds the name of a violated unique index.
fn translate(error: &rusqlite::Error, connection: Option<&Connection>) -> Error {
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

// --------------------------------------------------------------- the database

pub(crate) struct Database {
    path: PathBuf,
    options: Options,
    /// Idle readers, the last used on top: its cache is the warmest. `None`
    /// once closed.
    readers: Mutex<Option<Vec<Session>>>,
    scans: Semaphore,
    writer: mpsc::Sender<Message>,
    counters: Arc<Counters>,
}

enum Message {
    Write(Box<dyn Job>),
    /// End when this is dropped by the writer.
    Close(oneshot::Sender<()>),
}

impl Database {
    /// With `writes` off nothing about the file is changed, nor is it made.
    pub(crate) async fn open(path: &Path, options: Options, writes: bool) -> Result<Self, Error> {
        let counters = Arc::new(Counters::default());
        let (writer, queue) = mpsc::channel(QUEUE);
        let session = {
            let (path, options) = (path.to_owned(), options.clone());
            blocking(move || Session::open(&path, &options, writes)).await?
        };
        let thread = Writer {
            session,
            queue,
            counters: counters.clone(),
        };
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || thread.run())
            .map_err(|error| Error::unavailable(format!("no thread for the writer: {error}")))?;
        Ok(Self {
            path: path.to_owned(),
            readers: Mutex::new(Some(Vec::new())),
            scans: Semaphore::new(scans(&options)),
            options,
            writer,
            counters,
        })
    }

    pub(crate) fn stats(&self) -> Stats {
        let scans = scans(&self.options) - self.scans.available_permits();
        let waiting = self.writer.max_capacity() - self.writer.capacity();
        Stats {
            waiting: waiting as u64,
            in_use: scans as u64,
            ..self.counters.stats()
        }
    }

    fn readers(&self) -> MutexGuard<'_, Option<Vec<Session>>> {
        // Nothing panics while holding it, and a Vec of connections has no
        // state in between.
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read<T, E: From<Error>>(
        &self,
        f: impl FnOnce(&Db<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = match &mut *self.readers() {
            Some(readers) => readers.pop(),
            None => return Err(closed().into()),
        };
        let session = match idle {
            Some(session) => session,
            None => Session::open(&self.path, &self.options, false)?,
        };
        session.fresh();
        session.control("begin")?;
        let result = catch_unwind(AssertUnwindSafe(|| {
            f(&Db::new(AnySession::Sqlite(&session)))
        }))
        .map_err(|_| Error::Panicked)?;
        // A session that does not end well is dropped rather than put back.
        if session.control("commit").is_ok()
            && let Some(readers) = &mut *self.readers()
            && readers.len() < self.options.connections
        {
            readers.push(session);
        }
        result
    }

    pub(crate) async fn scan<T, E>(
        self: Arc<Self>,
        f: impl FnOnce(&Db<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let database = self.clone();
        let wait = tokio::time::timeout(self.options.acquire_timeout, self.scans.acquire());
        let Ok(Ok(_permit)) = wait.await else {
            return Err(Error::unavailable("too many long reads at once").into());
        };
        blocking(move || database.read(f)).await
    }

    pub(crate) async fn write<T, E>(
        &self,
        f: impl FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Message::Write(Box::new(Write {
            f,
            result: None,
            reply: Some(reply),
        }));
        match self
            .writer
            .send_timeout(job, self.options.acquire_timeout)
            .await
        {
            Ok(()) => {}
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                return Err(Error::unavailable("too many writes are waiting").into());
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => return Err(closed().into()),
        }
        // The writer drops a job without an answer only when it ends.
        answer.await.unwrap_or_else(|_| Err(closed().into()))
    }

    /// One transaction on a connection of its own, which checks what refers to
    /// what at its end rather than row by row.
    pub(crate) fn load<T, E: From<Error>>(
        &self,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let session = Session::open(&self.path, &self.options, true)?;
        session.control("pragma foreign_keys = off")?;
        session.control("begin immediate")?;
        // Did it not end well, dropping the session rolls it back.
        let result = f(&mut Tx::new(AnySession::Sqlite(&session)))?;
        check_references(&Db::new(AnySession::Sqlite(&session)))?;
        session.commit()?;
        Ok(result)
    }

    pub(crate) async fn migrate(
        &self,
        migrations: &'static [Migration],
    ) -> Result<Vec<u32>, Error> {
        let path = self.path.clone();
        // Another process may be at it, and a migration may take a while.
        let options = Options {
            lock_timeout: Duration::from_secs(600),
            ..self.options.clone()
        };
        blocking(move || {
            let session = Session::open(&path, &options, true)?;
            migrate(&session, migrations)
        })
        .await
    }

    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        self.readers().take();
        if self.writer.send(Message::Close(done)).await.is_ok() {
            // An error is the answer: the sender was dropped.
            let _ = closed.await;
        }
    }
}

/// How many scans may run at once.
fn scans(options: &Options) -> usize {
    options.connections.clamp(1, SCANS)
}

/// Copies the database at `from` as it is at one moment into the file `to`,
/// which must be empty or missing.
///
/// By `vacuum into` and not by the backup API, because it is one read
/// transaction: however much is written meanwhile, and by whichever process,
/// it holds up nobody and never starts again, as the backup API does after
/// every write of another process. It also reads each row rather than copying
/// pages, so that a damaged one shows itself now and not when the copy is
/// needed; and it leaves out what was deleted, and the write-ahead log.
pub(crate) fn snapshot_file(from: &Path, to: &Path) -> Result<(), Error> {
    let Some(to) = to.to_str() else {
        return Err(Error::Engine(format!(
            "SQLite: the file name {} is not UTF-8",
            to.display()
        )));
    };
    let session = Session::open(from, &Options::default(), false)?;
    session
        .connection
        .execute("vacuum into ?1", [to])
        .map(drop)
        .map_err(|error| translate(&error, None))
}

fn closed() -> Error {
    Error::unavailable("the store is closed")
}

/// For what was written with `foreign_keys` off.
fn check_references(db: &Db<'_>) -> Result<(), Error> {
    let orphans: i64 = db.query_one(
        "select count(*) from pragma_foreign_key_check",
        &[],
        |row| row.get(0),
    )?;
    match orphans {
        0 => Ok(()),
        _ => Err(Error::ForeignKeyViolation { constraint: None }),
    }
}

fn migrate(session: &Session, migrations: &'static [Migration]) -> Result<Vec<u32>, Error> {
    let db = Db::new(AnySession::Sqlite(session));
    migrate::pending(migrations, migrate::version(&db)?)?;
    // A step may rebuild a table, which with foreign keys on would delete what
    // refers to it. They are checked before each commit instead.
    session.control("pragma foreign_keys = off")?;
    let mut applied = Vec::new();
    loop {
        session.fresh();
        // Another process may have done some of them; only under the lock is
        // it certain what is left.
        session.control("begin immediate")?;
        let step = || -> Result<Option<u32>, Error> {
            let Some(next) = migrate::pending(migrations, migrate::version(&db)?)?.first() else {
                return Ok(None);
            };
            let apply = || -> Result<(), Error> {
                session
                    .connection
                    .execute_batch(migrate::TABLE_SQLITE)
                    .and_then(|()| session.connection.execute_batch(next.sqlite))
                    .map_err(|error| translate(&error, Some(&session.connection)))?;
                session.execute(
                    "insert into schema_migrations (number, name, applied_at) values ($1, $2, $3)",
                    &crate::params![next.number, next.name, jiff::Timestamp::now()],
                )?;
                check_references(&db)?;
                session.commit()
            };
            apply().map_err(|cause| next.failed(cause))?;
            Ok(Some(next.number))
        };
        match step() {
            Ok(Some(number)) => applied.push(number),
            Ok(None) => {
                session.control("rollback")?;
                return Ok(applied);
            }
            Err(error) => {
                // The session is dropped after this, which ends it as well.
                let _ = session.control("rollback");
                return Err(error);
            }
        }
    }
}

// ----------------------------------------------------------------- the writer

/// A write waiting for its turn, whatever its types.
trait Job: Send {
    /// Nobody waits for it any more.
    fn abandoned(&self) -> bool;
    /// Runs it once and keeps its result; whether it wants to be kept.
    fn run(&mut self, session: &Session) -> bool;
    /// Its result is this error instead.
    fn fail(&mut self, error: Error);
    /// Tells the caller.
    fn answer(self: Box<Self>);
}

struct Write<F, T, E> {
    f: F,
    result: Option<Result<T, E>>,
    reply: Option<oneshot::Sender<Result<T, E>>>,
}

impl<F, T, E> Job for Write<F, T, E>
where
    F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn abandoned(&self) -> bool {
        self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn run(&mut self, session: &Session) -> bool {
        session.fresh();
        let mut tx = Tx::new(AnySession::Sqlite(session));
        let result = catch_unwind(AssertUnwindSafe(|| (self.f)(&mut tx)))
            .unwrap_or_else(|_: Box<dyn Any + Send>| Err(Error::Panicked.into()));
        let result = match result {
            Ok(_) if session.doomed.get() => Err(Error::Aborted.into()),
            result => result,
        };
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn fail(&mut self, error: Error) {
        self.result = Some(Err(error.into()));
    }

    fn answer(mut self: Box<Self>) {
        if let (Some(reply), Some(result)) = (self.reply.take(), self.result.take()) {
            // The caller may have gone away.
            let _ = reply.send(result);
        }
    }
}

struct Writer {
    session: Session,
    queue: mpsc::Receiver<Message>,
    counters: Arc<Counters>,
}

/// What has become of a transaction so far.
#[derive(Clone, Copy)]
enum Done {
    /// Nothing was written.
    Nothing,
    /// So many jobs are to be kept.
    Kept(u64),
    /// Something has to be undone that can't be undone alone.
    Again,
    /// It is gone as a whole, as after a full disk.
    Lost,
}

impl Done {
    fn goes_on(self) -> bool {
        matches!(self, Self::Nothing | Self::Kept(_))
    }

    fn and(self, next: Self) -> Self {
        match (self, next) {
            (Self::Kept(before), Self::Kept(kept)) => Self::Kept(before + kept),
            (Self::Kept(before), Self::Nothing) => Self::Kept(before),
            (_, next) => next,
        }
    }
}

impl Writer {
    fn run(mut self) {
        let mut closing = Vec::new();
        while let Some(message) = self.queue.blocking_recv() {
            match message {
                Message::Write(job) => self.group(job, &mut closing),
                Message::Close(done) => closing.push(done),
            }
            if !closing.is_empty() {
                // No more is taken in; what waits is still done.
                self.queue.close();
            }
        }
        if let Err(error) = self.write_back() {
            // Nothing is lost: the log is read at the next start.
            tracing::warn!(%error, "the write-ahead log was not written back");
        }
        drop(self);
        drop(closing);
    }

    fn write_back(&self) -> rusqlite::Result<()> {
        let connection = &self.session.connection;
        if connection.is_readonly(rusqlite::MAIN_DB)? {
            return Ok(());
        }
        // A connection that made the file and has not read it since would wait
        // here for a lock of its own.
        connection.query_row("select count(*) from sqlite_master", [], |_| Ok(()))?;
        connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))
    }

    /// Runs `first` and those that arrive meanwhile as one transaction.
    ///
    /// At first without savepoints, which cost more the more there are: the
    /// text index writes down what it has gathered at each, and SQLite looks
    /// through what it keeps for all that are open. Only when something would
    /// have to be undone are all run again, with savepoints.
    fn group(&mut self, first: Box<dyn Job>, closing: &mut Vec<oneshot::Sender<()>>) {
        if let Err(error) = self.session.control("begin immediate") {
            self.refuse(first, error, closing);
            return;
        }
        let started = Instant::now();
        let mut jobs = Vec::new();
        let mut done = Done::Nothing;
        let mut next = Some(first);
        while let Some(mut job) = next.take() {
            if job.abandoned() {
                self.counters.job();
            } else {
                done = done.and(self.run_lightly(&mut *job));
                jobs.push(job);
            }
            if done.goes_on() && jobs.len() < GROUP && started.elapsed() < GROUP_TIME {
                next = match self.queue.try_recv() {
                    Ok(Message::Write(job)) => Some(job),
                    Ok(Message::Close(done)) => {
                        closing.push(done);
                        None
                    }
                    Err(_) => None,
                };
            }
        }
        if let Done::Again = done {
            done = self.carefully(&mut jobs);
        }
        let ended = match done {
            Done::Kept(_) => self.session.commit().is_ok(),
            Done::Nothing => self.session.control("rollback").is_ok(),
            Done::Again | Done::Lost => false,
        };
        match done {
            _ if !ended => self.one_by_one(&mut jobs),
            Done::Kept(kept) => self.counters.commit(kept),
            _ => {}
        }
        for job in jobs {
            self.counters.job();
            job.answer();
        }
    }

    fn run_lightly(&self, job: &mut dyn Job) -> Done {
        self.session.careful.set(false);
        let before = self.session.connection.total_changes();
        let keep = job.run(&self.session);
        self.session.careful.set(true);
        let untouched = self.session.connection.total_changes() == before;
        match keep {
            _ if self.session.connection.is_autocommit() => Done::Lost,
            _ if self.session.again.get() => Done::Again,
            true => Done::Kept(1),
            false if untouched => Done::Nothing,
            false => Done::Again,
        }
    }

    /// Runs all again, each so that it can be undone alone.
    fn carefully(&self, jobs: &mut [Box<dyn Job>]) -> Done {
        self.end_transaction();
        if self.session.control("begin immediate").is_err() {
            return Done::Lost;
        }
        let mut done = Done::Nothing;
        for job in jobs {
            self.counters.retry();
            done = done.and(self.run_in_savepoint(&mut **job));
            if !done.goes_on() {
                break;
            }
        }
        done
    }

    fn run_in_savepoint(&self, job: &mut dyn Job) -> Done {
        let mut run = || -> Result<Done, Error> {
            self.session.control("savepoint job")?;
            let keep = job.run(&self.session);
            if self.session.connection.is_autocommit() {
                return Ok(Done::Lost);
            }
            if !keep {
                self.session.control("rollback to job")?;
            }
            self.session.control("release job")?;
            Ok(if keep { Done::Kept(1) } else { Done::Nothing })
        };
        run().unwrap_or(Done::Lost)
    }

    /// What could not be done together may still be possible singly, and then
    /// each learns its own error.
    fn one_by_one(&self, jobs: &mut [Box<dyn Job>]) {
        self.end_transaction();
        for job in jobs {
            self.counters.retry();
            if let Err(error) = self.session.control("begin immediate") {
                job.fail(error);
                continue;
            }
            let keep = job.run(&self.session);
            if keep {
                match self.session.commit() {
                    Ok(()) => self.counters.commit(1),
                    Err(error) => job.fail(error),
                }
            }
            self.end_transaction();
        }
    }

    fn end_transaction(&self) {
        if !self.session.connection.is_autocommit()
            && let Err(error) = self.session.control("rollback")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    /// The lock was not to be had within the time allowed: all that have
    /// waited through it get the error, rather than each waiting as long again.
    fn refuse(
        &mut self,
        first: Box<dyn Job>,
        error: Error,
        closing: &mut Vec<oneshot::Sender<()>>,
    ) {
        let reason = error.to_string();
        let mut next = Some((first, error));
        while let Some((mut job, error)) = next.take() {
            self.counters.job();
            job.fail(error);
            job.answer();
            match self.queue.try_recv() {
                Ok(Message::Write(job)) => next = Some((job, Error::Unavailable(reason.clone()))),
                Ok(Message::Close(done)) => closing.push(done),
                Err(_) => {}
            }
        }
    }
}
