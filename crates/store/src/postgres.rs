//! PostgreSQL: a pool of connections, each driven by the thread that uses it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt::Write as _;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher as _, RandomState};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use jiff::Timestamp;
use jiff::civil::{Date, date};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;
use uuid::Uuid;

use crate::migrate::{self, Migration};
use crate::slow::Slow;
use crate::tls;
use crate::{
    Cell as Column, Counters, Db, EachRow, Error, Options, Row, Session as AnySession, Stats, Tx,
    Value, blocking,
};

/// How many statements each connection keeps prepared.
const STATEMENTS: usize = 512;
/// How many rows of an answer are fetched, and so held, at a time by `each`.
const FETCH: usize = 500;
/// How often a transaction is run at most, and the first pause between two
/// runs.
const TRIES: u32 = 12;
const PAUSE: Duration = Duration::from_millis(4);
/// The advisory lock that a migrating server holds: "dealwrgt".
const MIGRATION_LOCK: i64 = 0x6465_616c_7772_6774;

// ---------------------------------------------------------------- connections

type Answer<T> = Result<T, tokio_postgres::Error>;
type Driver = Pin<Box<dyn Future<Output = Answer<()>> + Send>>;

/// A connection, and the transaction on it.
///
/// It has a small runtime of its own, so that a statement is written, awaited
/// and read by the one thread that needs it, without waking any other.
pub(crate) struct Session {
    /// `None` only while being dropped.
    runtime: Option<Runtime>,
    client: Client,
    /// Moves bytes between the socket and the client while it is polled.
    connection: RefCell<Driver>,
    broken: Cell<bool>,
    statements: RefCell<Statements>,
    /// Statements such as `begin` that go out together with the next one, so
    /// that they cost no round trip.
    pending: RefCell<String>,
    /// `begin` has gone out.
    started: Cell<bool>,
    /// A statement has failed, and its error is still on its way out.
    doomed: Cell<bool>,
    /// The transaction failed in a way that running it again may heal.
    again: Cell<bool>,
    /// How many savepoints and how many cursors are open.
    savepoints: Cell<u32>,
    cursors: Cell<u32>,
    slow: Slow,
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // May happen on an async worker, where waiting is not allowed;
            // there is nothing to wait for.
            runtime.shutdown_background();
        }
    }
}

#[derive(Default)]
struct Statements {
    by_sql: HashMap<Box<str>, (Statement, u64)>,
    uses: u64,
}

impl Statements {
    fn get(&mut self, sql: &str) -> Option<Statement> {
        self.uses += 1;
        let (statement, used) = self.by_sql.get_mut(sql)?;
        *used = self.uses;
        Some(statement.clone())
    }

    fn put(&mut self, sql: &str, statement: Statement) {
        if self.by_sql.len() >= STATEMENTS
            && let Some(oldest) = self
                .by_sql
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(sql, _)| sql.clone())
        {
            self.by_sql.remove(&oldest);
        }
        self.by_sql.insert(sql.into(), (statement, self.uses));
    }
}

impl Session {
    fn connect(
        config: &Config,
        tls: Option<&MakeRustlsConnect>,
        setup: &str,
        slow: Slow,
    ) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::unavailable(format!("no runtime: {error}")))?;
        let (client, connection) = runtime
            .block_on(async {
                let connected: Answer<(Client, Driver)> = match tls {
                    Some(tls) => config
                        .connect(tls.clone())
                        .await
                        .map(|(client, connection)| (client, Box::pin(connection) as Driver)),
                    None => config
                        .connect(NoTls)
                        .await
                        .map(|(client, connection)| (client, Box::pin(connection) as Driver)),
                };
                connected
            })
            .map_err(|error| cannot_connect(&error))?;
        let session = Self {
            runtime: Some(runtime),
            client,
            connection: RefCell::new(connection),
            broken: Cell::new(false),
            statements: RefCell::default(),
            pending: RefCell::default(),
            started: Cell::new(false),
            doomed: Cell::new(false),
            again: Cell::new(false),
            savepoints: Cell::new(0),
            cursors: Cell::new(0),
            slow,
        };
        session
            .drive(session.client.batch_execute(setup))
            .map_err(|error| session.failed(error))?;
        Ok(session)
    }

    /// Waits for `work`, moving the connection's bytes meanwhile.
    fn drive<T>(&self, work: impl Future<Output = Answer<T>>) -> Result<T, Failure> {
        if self.broken.get() {
            return Err(Failure::Lost);
        }
        let mut connection = self.connection.borrow_mut();
        let mut work = pin!(work);
        self.runtime().block_on(poll_fn(|cx| {
            // The work hands over what to send, the connection sends it and
            // takes in what has come, the work looks at it.
            if let Poll::Ready(answer) = work.as_mut().poll(cx) {
                return Poll::Ready(answer.map_err(Failure::Answer));
            }
            let ended = connection.as_mut().poll(cx).is_ready();
            if ended {
                self.broken.set(true);
            }
            match work.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready(answer.map_err(Failure::Answer)),
                Poll::Pending if ended => Poll::Ready(Err(Failure::Lost)),
                Poll::Pending => Poll::Pending,
            }
        }))
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("only taken in drop")
    }

    /// Sends statements without waiting for what comes of them.
    fn send(&self, sql: &str) {
        let sent = async {
            let mut work = pin!(self.client.batch_execute(sql));
            let mut handed_over = false;
            // The second poll comes after the connection has sent it. A few
            // bytes to a server that waits for the next statement always find
            // room; did they not, they would go out with the next use.
            poll_fn(|cx| {
                if handed_over {
                    return Poll::Ready(Ok(()));
                }
                handed_over = true;
                work.as_mut().poll(cx)
            })
            .await
        };
        if self.drive(sent).is_err() {
            self.broken.set(true);
        }
    }

    /// Whether the server still holds the other end; asks nothing of it.
    fn is_alive(&self) -> bool {
        if self.broken.get() {
            return false;
        }
        let mut connection = self.connection.borrow_mut();
        let ended = self.runtime().block_on(async {
            // Lets the runtime see what the socket has to tell.
            tokio::task::yield_now().await;
            poll_fn(|cx| Poll::Ready(connection.as_mut().poll(cx).is_ready())).await
        });
        if ended {
            self.broken.set(true);
        }
        !ended
    }

    fn begin(&self, begin: &str) {
        self.pending.replace(format!("{begin};"));
        self.started.set(false);
        self.doomed.set(false);
        self.again.set(false);
        self.savepoints.set(0);
        self.cursors.set(0);
    }

    /// Ends a transaction that only read. The answer need not wait for it.
    fn end_read(&self) {
        if self.started.get() {
            self.send("commit");
        }
    }

    fn rollback(&self) {
        if self.started.get() {
            self.send("rollback");
        }
    }

    fn commit(&self) -> Result<(), Error> {
        if self.doomed.get() {
            self.rollback();
            return Err(Error::Aborted);
        }
        if !self.started.get() {
            return Ok(());
        }
        self.pending.borrow_mut().push_str("commit");
        let pending = self.pending.take();
        let watch = self.slow.watch();
        let done = self.drive(self.client.batch_execute(&pending));
        watch.stop(&pending);
        done.map_err(|error| match self.failed(error) {
            Error::Unavailable(reason) => Error::Unavailable(format!(
                "while committing, so it is unknown whether that has happened: {reason}"
            )),
            error => error,
        })
    }

    /// Takes note of a failure and says it in our words.
    fn failed(&self, failure: Failure) -> Error {
        self.doomed.set(true);
        match failure {
            Failure::Answer(error) => {
                if let Some(answer) = error.as_db_error() {
                    if is_transient(answer.code()) {
                        self.again.set(true);
                    }
                    // The server's last words; it closes the connection next.
                    if matches!(
                        answer.parsed_severity(),
                        Some(Severity::Fatal | Severity::Panic)
                    ) {
                        self.broken.set(true);
                    }
                } else if error.is_closed() {
                    self.broken.set(true);
                }
                translate(&error)
            }
            Failure::Parameters { given } => Error::Parameters { given },
            Failure::Lost => Error::unavailable("the connection was lost"),
        }
    }

    /// Runs one statement by `op`, with what is pending in front of it.
    fn run<T>(
        &self,
        sql: &str,
        params: &[Value],
        op: impl AsyncFn(&Statement, &[&(dyn ToSql + Sync)]) -> Answer<T>,
    ) -> Result<T, Error> {
        if self.doomed.get() {
            return Err(Error::Aborted);
        }
        if let Some(reason) = params.iter().find_map(Value::unstorable) {
            self.doomed.set(true);
            return Err(Error::Encode(reason.to_owned()));
        }
        let values: Vec<&(dyn ToSql + Sync)> = params
            .iter()
            .map(|value| value as &(dyn ToSql + Sync))
            .collect();
        let first = !self.started.get();
        let pending = self.pending.take();
        let outcome = self.try_run(sql, &values, &pending, &op);
        let outcome = match outcome {
            Err(Failure::Answer(error)) if is_stale(&error) => {
                // When the schema has changed, others do not fit either.
                self.statements.borrow_mut().by_sql.clear();
                if first {
                    // Nothing has happened in this transaction yet.
                    self.send("rollback");
                    self.try_run(sql, &values, &pending, &op)
                } else {
                    self.again.set(true);
                    Err(Failure::Answer(error))
                }
            }
            outcome => outcome,
        };
        outcome.map_err(|failure| self.failed(failure))
    }

    fn try_run<T>(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
        pending: &str,
        op: &impl AsyncFn(&Statement, &[&(dyn ToSql + Sync)]) -> Answer<T>,
    ) -> Result<T, Failure> {
        self.started.set(true);
        let cached = self.statements.borrow_mut().get(sql);
        let answer = self.drive(async {
            let mut control = pending;
            // Biased: what is pending must go out first.
            let statement = match cached {
                Some(statement) => statement,
                None => {
                    let (sent, prepared) =
                        tokio::join!(biased; self.control(pending), self.client.prepare(sql));
                    sent?;
                    control = "";
                    let statement = prepared?;
                    self.statements.borrow_mut().put(sql, statement.clone());
                    statement
                }
            };
            if statement.params().len() != values.len() {
                self.control(control).await?;
                return Ok(None);
            }
            let (sent, answer) =
                tokio::join!(biased; self.control(control), op(&statement, values));
            sent?;
            answer.map(Some)
        });
        answer?.ok_or(Failure::Parameters {
            given: values.len(),
        })
    }

    async fn control(&self, sql: &str) -> Answer<()> {
        if sql.is_empty() {
            Ok(())
        } else {
            self.client.batch_execute(sql).await
        }
    }

    pub(crate) fn rows(
        &self,
        sql: &str,
        params: &[Value],
        f: &mut EachRow<'_>,
    ) -> Result<(), Error> {
        let mut watch = self.slow.watch();
        let rows = self.run(sql, params, async |statement, values| {
            self.client.query(statement, values).await
        });
        watch.rows = rows.as_ref().map_or(0, Vec::len) as u64;
        watch.stop(sql);
        for row in &rows? {
            if f(&Row::postgres(row))? == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn execute(&self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        let mut watch = self.slow.watch();
        let result = self.run(sql, params, async |statement, values| {
            self.client.execute(statement, values).await
        });
        watch.rows = *result.as_ref().unwrap_or(&0);
        watch.stop(sql);
        result
    }

    /// Through a cursor, so that `f` may run statements of its own.
    pub(crate) fn each(
        &self,
        sql: &str,
        params: &[Value],
        f: &mut dyn FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let cursor = self.cursors.get();
        let declare = format!("declare c{cursor} no scroll cursor for {sql}");
        let fetch = format!("fetch {FETCH} from c{cursor}");
        let mut watch = self.slow.watch();
        let first = self.run(&declare, params, async |statement, values| {
            let (declared, rows) = tokio::join!(
                biased;
                self.client.execute(statement, values),
                self.client.query_typed(&fetch, &[]),
            );
            declared?;
            rows
        });
        watch.pause();
        let mut rows = match first {
            Ok(rows) => rows,
            Err(error) => {
                watch.stop(sql);
                return Err(error);
            }
        };
        self.cursors.set(cursor + 1);
        let mut passed = || -> Result<(), Error> {
            loop {
                watch.rows += rows.len() as u64;
                for row in &rows {
                    f(&Row::postgres(row))?;
                }
                if rows.len() < FETCH {
                    return Ok(());
                }
                if self.doomed.get() {
                    return Err(Error::Aborted);
                }
                let pending = self.pending.take();
                watch.resume();
                let next = self.drive(async {
                    let (sent, rows) = tokio::join!(
                        biased;
                        self.control(&pending),
                        self.client.query_typed(&fetch, &[]),
                    );
                    sent?;
                    rows
                });
                watch.pause();
                rows = next.map_err(|failure| self.failed(failure))?;
            }
        };
        let result = passed();
        watch.stop(sql);
        self.cursors.set(cursor);
        if !self.doomed.get() {
            let _ = write!(self.pending.borrow_mut(), "close c{cursor};");
        }
        result
    }

    pub(crate) fn savepoint_begin(&self) -> Result<(), Error> {
        if self.doomed.get() {
            return Err(Error::Aborted);
        }
        let depth = self.savepoints.get() + 1;
        self.savepoints.set(depth);
        let _ = write!(self.pending.borrow_mut(), "savepoint s{depth};");
        Ok(())
    }

    /// Keeps or undoes what happened since the innermost savepoint.
    pub(crate) fn savepoint_end(&self, keep: bool) -> Result<(), Error> {
        let depth = self.savepoints.get();
        self.savepoints.set(depth - 1);
        let keeps = keep && !self.doomed.get();
        if !self.again.get() && !self.broken.get() {
            let mut pending = self.pending.borrow_mut();
            if !keeps {
                let _ = write!(pending, "rollback to s{depth};");
            }
            let _ = write!(pending, "release s{depth};");
            self.doomed.set(false);
        }
        if keep && !keeps {
            Err(Error::Aborted)
        } else {
            Ok(())
        }
    }
}

/// Why a statement has no answer.
enum Failure {
    Answer(tokio_postgres::Error),
    Parameters { given: usize },
    Lost,
}

/// Running the transaction again may well succeed.
fn is_transient(code: &SqlState) -> bool {
    [
        &SqlState::T_R_SERIALIZATION_FAILURE,
        &SqlState::T_R_DEADLOCK_DETECTED,
    ]
    .contains(&code)
}

/// The prepared statement no longer fits the schema, or is gone.
fn is_stale(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|error| {
        *error.code() == SqlState::INVALID_SQL_STATEMENT_NAME
            || (*error.code() == SqlState::FEATURE_NOT_SUPPORTED
                && error.message().starts_with("cached plan must not change"))
    })
}

fn cannot_connect(error: &tokio_postgres::Error) -> Error {
    let reason = StdError::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    Error::Unavailable(format!("cannot connect: {reason}"))
}

/// In our words. The server's messages and details quote values, so only
/// those about the statement itself are passed on.
fn translate(error: &tokio_postgres::Error) -> Error {
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

// ------------------------------------------------------------------- encoding

/// Microseconds from 1970 to 2000, from which PostgreSQL counts.
const EPOCH_2000: i64 = 946_684_800_000_000;
const DAY_2000: Date = date(2000, 1, 1);

#[derive(Debug, thiserror::Error)]
#[error("{kind} for a parameter of type {wanted}")]
struct Unencodable {
    kind: &'static str,
    wanted: String,
}

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let unencodable = |kind| {
            Box::new(Unencodable {
                kind,
                wanted: ty.to_string(),
            })
        };
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Bool(value) if *ty == Type::BOOL => out.put_u8((*value).into()),
            Self::Bool(_) => return Err(unencodable("a truth value")),
            Self::Int(value) => {
                let too_large = || unencodable("too large an integer");
                match *ty {
                    Type::INT8 => out.put_i64(*value),
                    Type::INT4 => out.put_i32((*value).try_into().map_err(|_| too_large())?),
                    Type::INT2 => out.put_i16((*value).try_into().map_err(|_| too_large())?),
                    Type::NUMERIC => put_numeric(*value, out),
                    Type::FLOAT8 => out.put_f64(*value as f64),
                    _ => return Err(unencodable("an integer")),
                }
            }
            Self::Text(value) => match *ty {
                Type::TEXT
                | Type::VARCHAR
                | Type::BPCHAR
                | Type::NAME
                | Type::UNKNOWN
                | Type::JSON => out.put_slice(value.as_bytes()),
                Type::JSONB => {
                    out.put_u8(1);
                    out.put_slice(value.as_bytes());
                }
                _ => return Err(unencodable("text")),
            },
            Self::Uuid(value) if *ty == Type::UUID => out.put_slice(value.as_bytes()),
            Self::Uuid(_) => return Err(unencodable("an id")),
            Self::Timestamp(value) if matches!(*ty, Type::TIMESTAMPTZ | Type::TIMESTAMP) => {
                // To the millisecond, as on SQLite.
                out.put_i64(value.as_millisecond() * 1000 - EPOCH_2000);
            }
            Self::Timestamp(_) => return Err(unencodable("an instant")),
            Self::Date(value) if *ty == Type::DATE => {
                let days = DAY_2000.duration_until(*value).as_hours() / 24;
                out.put_i32(days.try_into()?);
            }
            Self::Date(_) => return Err(unencodable("a date")),
            Self::Json(value) => match *ty {
                Type::JSONB => {
                    out.put_u8(1);
                    serde_json::to_writer(out.writer(), value)?;
                }
                Type::JSON => serde_json::to_writer(out.writer(), value)?,
                _ => return Err(unencodable("JSON")),
            },
            Self::Bytes(value) if *ty == Type::BYTEA => out.put_slice(value),
            Self::Bytes(_) => return Err(unencodable("bytes")),
            Self::Uuids(ids) if *ty == Type::UUID_ARRAY => put_uuids(ids, out)?,
            Self::Uuids(_) => return Err(unencodable("a list of ids")),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        // What does not fit is refused by `to_sql`, in words of our own.
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// One dimension, no nulls, the element type, its length and lower bound; then
/// each element with its length before it.
fn put_uuids(ids: &[Uuid], out: &mut BytesMut) -> Result<(), std::num::TryFromIntError> {
    out.put_i32(i32::from(!ids.is_empty()));
    out.put_i32(0);
    out.put_u32(Type::UUID.oid());
    if !ids.is_empty() {
        out.put_i32(ids.len().try_into()?);
        out.put_i32(1);
    }
    for id in ids {
        out.put_i32(16);
        out.put_slice(id.as_bytes());
    }
    Ok(())
}

/// Base-10,000 digits, the first having the weight 10,000^weight.
fn put_numeric(value: i64, out: &mut BytesMut) {
    let mut digits = [0_u16; 5];
    let mut count = 0;
    let mut rest = value.unsigned_abs();
    while rest > 0 {
        digits[count] = (rest % 10_000) as u16;
        rest /= 10_000;
        count += 1;
    }
    // At most five digits: none of these conversions loses anything.
    let count_on_wire = count as u16;
    out.put_u16(count_on_wire);
    out.put_u16(count_on_wire.saturating_sub(1));
    out.put_u16(if value < 0 { 0x4000 } else { 0 });
    out.put_u16(0);
    for digit in digits[..count].iter().rev() {
        out.put_u16(*digit);
    }
}

fn numeric(mut raw: &[u8]) -> Option<i64> {
    let mut next = || {
        let (head, tail) = raw.split_first_chunk::<2>()?;
        raw = tail;
        Some(u16::from_be_bytes(*head))
    };
    let count = next()?;
    let weight = next()?.cast_signed();
    let negative = match next()? {
        0 => false,
        0x4000 => true,
        // Not a number, or infinite.
        _ => return None,
    };
    let _scale = next()?;
    let mut value = 0_i128;
    for place in 0..count {
        let digit = next()?;
        match weight.checked_sub(i16::try_from(place).ok()?)? {
            0.. => value = value.checked_mul(10_000)?.checked_add(digit.into())?,
            // A fraction.
            _ if digit > 0 => return None,
            _ => {}
        }
    }
    let missing = (i32::from(weight) + 1 - i32::from(count)).max(0);
    let value = value.checked_mul(10_000_i128.checked_pow(missing.try_into().ok()?)?)?;
    i64::try_from(if negative { -value } else { value }).ok()
}

impl<'a> FromSql<'a> for Column<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(decode(ty, raw).unwrap_or(Column::Unreadable))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Column::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn decode<'a>(ty: &Type, raw: &'a [u8]) -> Option<Column<'a>> {
    Some(match *ty {
        Type::BOOL => Column::Bool(raw != [0]),
        Type::INT8 => Column::Int(i64::from_be_bytes(raw.try_into().ok()?)),
        Type::INT4 => Column::Int(i32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT2 => Column::Int(i16::from_be_bytes(raw.try_into().ok()?).into()),
        Type::OID => Column::Int(u32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::NUMERIC => Column::Int(numeric(raw)?),
        Type::FLOAT8 => Column::Real(f64::from_be_bytes(raw.try_into().ok()?)),
        Type::FLOAT4 => Column::Real(f32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
            Column::Text(std::str::from_utf8(raw).ok()?)
        }
        Type::UUID => Column::Uuid(Uuid::from_slice(raw).ok()?),
        Type::TIMESTAMPTZ | Type::TIMESTAMP => {
            let since_2000 = i64::from_be_bytes(raw.try_into().ok()?);
            Column::Timestamp(
                Timestamp::from_microsecond(since_2000.checked_add(EPOCH_2000)?).ok()?,
            )
        }
        Type::DATE => {
            let days = i32::from_be_bytes(raw.try_into().ok()?);
            let since_2000 = jiff::SignedDuration::from_hours(i64::from(days) * 24);
            Column::Date(DAY_2000.checked_add(since_2000).ok()?)
        }
        Type::JSON => Column::Json(std::str::from_utf8(raw).ok()?),
        // The first byte is the version of the format.
        Type::JSONB => Column::Json(std::str::from_utf8(raw.strip_prefix(&[1])?).ok()?),
        Type::BYTEA => Column::Bytes(raw),
        _ => return None,
    })
}

// --------------------------------------------------------------- the database

pub(crate) struct Database {
    pool: Arc<Pool>,
}

struct Pool {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    setup: String,
    begin_scan: String,
    options: Options,
    /// One permit for each connection that may exist.
    free: Arc<Semaphore>,
    /// Long reads never take all connections.
    scans: Arc<Semaphore>,
    /// The last used on top: its statements and the server's caches are warm.
    idle: Mutex<Vec<Session>>,
    counters: Counters,
}

const BEGIN_READ: &str = "begin isolation level repeatable read read only";
const BEGIN_WRITE: &str = "begin isolation level read committed read write";

impl Database {
    pub(crate) async fn open(url: &str, options: Options) -> Result<Self, Error> {
        let (mut config, tls) = tls::config(url)?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(options.acquire_timeout);
        }
        config.application_name(&options.application_name);
        // Set on the open connection rather than as start-up options, which
        // connection poolers refuse. Compiling a plan to machine code does not
        // pay for statements of milliseconds.
        let setup = format!(
            "set statement_timeout = {}; set lock_timeout = {};
             set idle_in_transaction_session_timeout = 60000;
             set client_min_messages = warning; set timezone = 'UTC'; set jit = off;",
            options.statement_timeout.as_millis(),
            options.lock_timeout.as_millis(),
        );
        let begin_scan = format!(
            "{BEGIN_READ}; set local statement_timeout = {time};
             set local idle_in_transaction_session_timeout = {time}",
            time = options.scan_timeout.as_millis()
        );
        let pool = Pool {
            config,
            tls,
            setup,
            begin_scan,
            free: Arc::new(Semaphore::new(options.connections.max(1))),
            scans: Arc::new(Semaphore::new((options.connections / 2).max(1))),
            idle: Mutex::default(),
            options,
            counters: Counters::default(),
        };
        let database = Self {
            pool: Arc::new(pool),
        };
        // A first connection, so that a wrong URL shows itself now.
        database
            .with_session(|_, session| {
                session.begin(BEGIN_READ);
                let result = session.execute("select 1", &[]);
                session.end_read();
                result
            })
            .await?;
        Ok(database)
    }

    pub(crate) fn stats(&self) -> Stats {
        let all = self.pool.options.connections.max(1);
        // None are free once it is closed, and none at work.
        let in_use = match self.pool.free.is_closed() {
            true => 0,
            false => all - self.pool.free.available_permits(),
        };
        Stats {
            in_use: in_use as u64,
            ..self.pool.counters.stats()
        }
    }

    pub(crate) async fn read<T, E>(
        &self,
        f: impl FnOnce(&Db<'_>) -> Result<T, E> + Send + 'static,
        scan: bool,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let _scanning = match scan {
            true => Some(self.pool.acquire(&self.pool.scans).await?),
            false => None,
        };
        self.with_session(move |pool, session| {
            session.begin(if scan { &pool.begin_scan } else { BEGIN_READ });
            let result = f(&Db::new(AnySession::Postgres(session)));
            session.end_read();
            result
        })
        .await
    }

    pub(crate) async fn write<T, E>(
        &self,
        mut f: impl FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.with_session(move |pool, session| {
            let mut tries = 1;
            loop {
                session.begin(BEGIN_WRITE);
                let result = f(&mut Tx::new(AnySession::Postgres(session)));
                let result = match result {
                    Ok(value) => session.commit().map(|()| value).map_err(E::from),
                    Err(error) => {
                        session.rollback();
                        Err(error)
                    }
                };
                if result.is_ok() {
                    pool.counters.commit(1);
                }
                if !session.again.get() || tries == TRIES {
                    pool.counters.job();
                    return result;
                }
                // What conflicted shall not conflict again.
                std::thread::sleep(pause(tries));
                tries += 1;
                pool.counters.retry();
            }
        })
        .await
    }

    pub(crate) async fn migrate(
        &self,
        migrations: &'static [Migration],
    ) -> Result<Vec<u32>, Error> {
        let pool = self.pool.clone();
        blocking(move || migrate(&pool.patient_session()?, migrations)).await
    }

    /// One snapshot, however long it is read.
    pub(crate) fn snapshot<T, E: From<Error>>(
        &self,
        f: impl FnOnce(&Db<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let session = self.pool.patient_session()?;
        session.begin(BEGIN_READ);
        let result = f(&Db::new(AnySession::Postgres(&session)));
        session.end_read();
        result
    }

    /// One transaction, however long it writes, which checks what refers to
    /// what at its end rather than row by row: the tables are locked against
    /// everyone else until then.
    pub(crate) fn load<T, E: From<Error>>(
        &self,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let session = self.pool.patient_session()?;
        session.begin(BEGIN_WRITE);
        // Did it not end well, the transaction ends with the connection.
        let references = references(&Db::new(AnySession::Postgres(&session)))?;
        for (take_away, _) in &references {
            session.execute(take_away, &[])?;
        }
        let result = f(&mut Tx::new(AnySession::Postgres(&session)))?;
        for (_, put_back) in &references {
            session.execute(put_back, &[])?;
        }
        // Else the first statements were planned for empty tables.
        session.execute("analyze", &[])?;
        session.commit()?;
        Ok(result)
    }

    pub(crate) async fn close(&self) {
        // Those at work hold permits; none is given out any more.
        let all = u32::try_from(self.pool.options.connections.max(1)).unwrap_or(u32::MAX);
        let _ = self.pool.free.acquire_many(all).await;
        self.pool.free.close();
        self.pool.idle().clear();
    }

    /// Runs `f` with a connection, on a thread that may wait.
    async fn with_session<T, E>(
        &self,
        f: impl FnOnce(&Pool, &Session) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let permit = self.pool.acquire(&self.pool.free).await?;
        let pool = self.pool.clone();
        blocking(move || {
            // Held until the session is back.
            let _permit: OwnedSemaphorePermit = permit;
            let session = pool.session()?;
            // Should `f` panic, the session is dropped with it.
            let result = f(&pool, &session);
            if !session.broken.get() {
                pool.idle().push(session);
            }
            result
        })
        .await
    }
}

impl Pool {
    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        // Nothing panics while holding it, and a Vec of connections has no
        // state in between.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn acquire(&self, permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Error> {
        match tokio::time::timeout(
            self.options.acquire_timeout,
            permits.clone().acquire_owned(),
        )
        .await
        {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(Error::unavailable("the store is closed")),
            Err(_) => Err(Error::unavailable("no connection became free in time")),
        }
    }

    /// A connection outside the pool, without time limits.
    fn patient_session(&self) -> Result<Session, Error> {
        Session::connect(
            &self.config,
            self.tls.as_ref(),
            "set client_min_messages = warning; set timezone = 'UTC'; set jit = off;
             set statement_timeout = 0; set lock_timeout = 0",
            // What runs here may take its time.
            Slow::new(None),
        )
    }

    fn session(&self) -> Result<Session, Error> {
        loop {
            let idle = self.idle().pop();
            match idle {
                Some(session) if session.is_alive() => return Ok(session),
                Some(_) => {}
                None => {
                    return Session::connect(
                        &self.config,
                        self.tls.as_ref(),
                        &self.setup,
                        Slow::new(self.options.slow_statement),
                    );
                }
            }
        }
    }
}

/// Longer each time, and never twice the same.
fn pause(tries: u32) -> Duration {
    let longest = PAUSE * (1 << tries.min(6));
    let chance = RandomState::new().hash_one(tries) % 1000;
    longest.mul_f64(0.5 + chance as f64 / 2000.0)
}

/// The statements that take away every foreign key, and those that put them
/// back; then each is checked as a whole.
fn references(db: &Db<'_>) -> Result<Vec<(String, String)>, Error> {
    db.query(
        "select conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid)
         from pg_constraint
         where contype = 'f' and conparentid = 0
         and connamespace = (select oid from pg_namespace where nspname = current_schema())
         order by 1, 2",
        &[],
        |row| {
            let (table, name): (String, String) = (row.get(0)?, row.get(1)?);
            let definition: String = row.get(2)?;
            Ok((
                format!("alter table {table} drop constraint {name}"),
                format!("alter table {table} add constraint {name} {definition}"),
            ))
        },
    )
}

fn migrate(session: &Session, migrations: &'static [Migration]) -> Result<Vec<u32>, Error> {
    let batch = |sql: &str| {
        session
            .drive(session.client.batch_execute(sql))
            .map_err(|error| session.failed(error))
    };
    let db = Db::new(AnySession::Postgres(session));
    batch(&format!("select pg_advisory_lock({MIGRATION_LOCK})"))?;
    let version = migrate::version(&db)?;
    let pending = migrate::pending(migrations, version)?;
    for next in pending {
        let apply = || -> Result<(), Error> {
            batch("begin")?;
            batch(migrate::TABLE_POSTGRES)?;
            batch(next.postgres)?;
            session.execute(
                "insert into schema_migrations (number, name, applied_at) values ($1, $2, $3)",
                &crate::params![next.number, next.name, Timestamp::now()],
            )?;
            batch("commit")
        };
        apply().map_err(|cause| next.failed(cause))?;
    }
    // The lock and, after a failure, the transaction end with the connection.
    Ok(pending.iter().map(|migration| migration.number).collect())
}
