//! A connection, the transaction on it, and what waits to go out on it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::runtime::Runtime;
use tokio_postgres::error::Severity;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::{Answer, Failure, cannot_connect, is_stale, is_transient, translate};
use crate::slow::Slow;
use crate::{EachRow, Error, Row, Value};

/// How many statements each connection keeps prepared.
const STATEMENTS: usize = 512;
/// How many rows of an answer are fetched, and so held, at a time by `each`.
const FETCH: usize = 500;

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
    /// What goes out, in this order, together with the next statement that is
    /// waited for, so that it costs no round trip.
    queue: RefCell<Vec<Step>>,
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

/// What nobody waits for.
enum Step {
    /// Statements without parameters and answer, such as `begin`.
    Control(String),
    /// A statement of which nothing is wanted but that it succeeds.
    Statement { sql: String, params: Vec<Value> },
}

/// The same, with the statement as the server knows it.
enum Ready<'q> {
    Control(&'q str),
    Statement(Statement, Vec<&'q (dyn ToSql + Sync)>),
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
    pub(super) fn connect(
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
            queue: RefCell::default(),
            started: Cell::new(false),
            doomed: Cell::new(false),
            again: Cell::new(false),
            savepoints: Cell::new(0),
            cursors: Cell::new(0),
            slow,
        };
        session.batch(setup)?;
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
    pub(super) fn is_alive(&self) -> bool {
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

    /// Whether it is of no further use.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// Whether running the failed transaction again may succeed.
    pub(super) fn may_heal(&self) -> bool {
        self.again.get()
    }

    /// Has the transaction fail, and run again.
    pub(crate) fn start_over(&self) -> Error {
        self.doomed.set(true);
        self.again.set(true);
        Error::Locked
    }

    /// Runs statements without parameters, outside what is queued.
    pub(super) fn batch(&self, sql: &str) -> Result<(), Error> {
        self.drive(self.client.batch_execute(sql))
            .map_err(|error| self.failed(error))
    }

    pub(super) fn begin(&self, begin: &str) {
        self.queue.replace(vec![Step::Control(begin.to_owned())]);
        self.started.set(false);
        self.doomed.set(false);
        self.again.set(false);
        self.savepoints.set(0);
        self.cursors.set(0);
    }

    /// Ends a transaction that only read. The answer need not wait for it.
    pub(super) fn end_read(&self) {
        if self.started.get() {
            self.send("commit");
        }
    }

    pub(super) fn rollback(&self) {
        if self.started.get() {
            self.send("rollback");
        }
    }

    pub(super) fn commit(&self) -> Result<(), Error> {
        if self.doomed.get() {
            self.rollback();
            return Err(Error::Aborted);
        }
        if !self.started.get() {
            return Ok(());
        }
        let queue = self.queue.take();
        let watch = self.slow.watch();
        let done = self.flush(&queue, self.client.batch_execute("commit"));
        watch.stop("commit");
        done.map_err(|failure| {
            let error = self.failed(failure);
            // Behind a failed statement and a new one the commit was not sent, and the
            // transaction would be the next one's.
            self.rollback();
            match error {
                Error::Unavailable(reason) => Error::Unavailable(format!(
                    "while committing, so it is unknown whether that has happened: {reason}"
                )),
                error => error,
            }
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

    /// Runs one statement by `op`, with what is queued in front of it.
    fn run<T>(
        &self,
        sql: &str,
        params: &[Value],
        op: impl AsyncFn(&Statement, &[&(dyn ToSql + Sync)]) -> Answer<T>,
    ) -> Result<T, Error> {
        self.check(params)?;
        let first = !self.started.get();
        let queue = self.queue.take();
        let outcome = match self.try_run(&queue, sql, params, &op) {
            Err(Failure::Answer(error)) if is_stale(&error) => {
                // When the schema has changed, others do not fit either.
                self.statements.borrow_mut().by_sql.clear();
                if first {
                    // Nothing has happened in this transaction yet.
                    self.send("rollback");
                    self.try_run(&queue, sql, params, &op)
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
        queue: &[Step],
        sql: &str,
        params: &[Value],
        op: &impl AsyncFn(&Statement, &[&(dyn ToSql + Sync)]) -> Answer<T>,
    ) -> Result<T, Failure> {
        self.started.set(true);
        let known = self.statements.borrow_mut().get(sql);
        let (statement, queue) = match known {
            Some(statement) => (statement, queue),
            None => {
                let statement = self.flush(queue, self.client.prepare(sql))?;
                self.statements.borrow_mut().put(sql, statement.clone());
                (statement, &[][..])
            }
        };
        let values = values(&statement, params)?;
        self.flush(queue, op(&statement, &values))
    }

    /// Whether a statement may go out at all, and with these values.
    fn check(&self, params: &[Value]) -> Result<(), Error> {
        if self.doomed.get() {
            return Err(Error::Aborted);
        }
        if let Some(reason) = params.iter().find_map(Value::unstorable) {
            self.doomed.set(true);
            return Err(Error::Encode(reason.to_owned()));
        }
        Ok(())
    }

    /// Sends what is queued and then `last`, and gives the answer of the last, or
    /// the first error. It waits in between only to tell the server a statement
    /// that is used for the first time.
    fn flush<T>(
        &self,
        queue: &[Step],
        last: impl Future<Output = Answer<T>>,
    ) -> Result<T, Failure> {
        let mut ready = Vec::with_capacity(queue.len());
        for step in queue {
            let next = match step {
                Step::Control(sql) => Ready::Control(sql),
                Step::Statement { sql, params } => {
                    let known = self.statements.borrow_mut().get(sql);
                    let statement = match known {
                        Some(statement) => statement,
                        None => {
                            let before = std::mem::take(&mut ready);
                            let statement = self.pipeline(before, self.client.prepare(sql))?;
                            self.statements.borrow_mut().put(sql, statement.clone());
                            statement
                        }
                    };
                    let values = values(&statement, params)?;
                    Ready::Statement(statement, values)
                }
            };
            ready.push(next);
        }
        self.pipeline(ready, last)
    }

    /// Sends all of this without waiting in between.
    fn pipeline<T>(
        &self,
        before: Vec<Ready<'_>>,
        last: impl Future<Output = Answer<T>>,
    ) -> Result<T, Failure> {
        let mut sent: Vec<_> = before
            .into_iter()
            .map(|step| {
                Some(Box::pin(async move {
                    match step {
                        Ready::Control(sql) => self.client.batch_execute(sql).await,
                        Ready::Statement(statement, values) => {
                            self.client.execute(&statement, &values).await.map(drop)
                        }
                    }
                }))
            })
            .collect();
        let mut last = pin!(last);
        let mut answer = None;
        // Each is handed over when it is first polled, and so in this order,
        // which is that of the answers as well.
        let all = poll_fn(|cx| {
            let mut waiting = false;
            for slot in &mut sent {
                let Some(step) = slot else { continue };
                match step.as_mut().poll(cx) {
                    Poll::Ready(Ok(())) => *slot = None,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => waiting = true,
                }
            }
            if answer.is_none()
                && let Poll::Ready(given) = last.as_mut().poll(cx)
            {
                answer = Some(given);
            }
            match answer.take() {
                Some(answer) if !waiting => Poll::Ready(answer),
                early => {
                    answer = early;
                    Poll::Pending
                }
            }
        });
        self.drive(all)
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
                let queue = self.queue.take();
                watch.resume();
                let next = self.flush(&queue, self.client.query_typed(&fetch, &[]));
                watch.pause();
                rows = next.map_err(|failure| self.failed(failure))?;
            }
        };
        let result = passed();
        watch.stop(sql);
        self.cursors.set(cursor);
        if !self.doomed.get() {
            self.control(format!("close c{cursor}"));
        }
        result
    }

    pub(crate) fn savepoint_begin(&self) -> Result<(), Error> {
        if self.doomed.get() {
            return Err(Error::Aborted);
        }
        let depth = self.savepoints.get() + 1;
        self.savepoints.set(depth);
        self.control(savepoint(depth));
        Ok(())
    }

    /// Keeps or undoes what happened since the innermost savepoint.
    pub(crate) fn savepoint_end(&self, keep: bool) -> Result<(), Error> {
        let depth = self.savepoints.get();
        self.savepoints.set(depth - 1);
        let keeps = keep && !self.doomed.get();
        if !self.again.get() && !self.broken.get() {
            if keeps {
                self.control(format!("release s{depth}"));
            } else {
                self.undo(depth);
            }
            self.doomed.set(false);
        }
        if keep && !keeps {
            Err(Error::Aborted)
        } else {
            Ok(())
        }
    }

    /// Takes back what happened since a savepoint, be it sent or queued still.
    fn undo(&self, depth: u32) {
        let set = savepoint(depth);
        let mut queue = self.queue.borrow_mut();
        let unsent = queue
            .iter()
            .position(|step| matches!(step, Step::Control(sql) if *sql == set));
        match unsent {
            Some(at) => queue.truncate(at),
            None => {
                // It was the last that went out before these.
                queue.clear();
                let undo = format!("rollback to s{depth}; release s{depth}");
                queue.push(Step::Control(undo));
            }
        }
    }

    fn control(&self, sql: String) {
        self.queue.borrow_mut().push(Step::Control(sql));
    }

    /// Has what follows in this transaction planned for its values.
    pub(crate) fn plan_for_values(&self) {
        self.control("set local plan_cache_mode = force_custom_plan".to_owned());
    }

    /// Lets a statement go out with the next one that is waited for.
    pub(crate) fn enqueue(&self, sql: &str, params: Vec<Value>) -> Result<(), Error> {
        self.check(&params)?;
        self.started.set(true);
        self.queue.borrow_mut().push(Step::Statement {
            sql: sql.to_owned(),
            params,
        });
        Ok(())
    }
}

fn savepoint(depth: u32) -> String {
    format!("savepoint s{depth}")
}

fn values<'v>(
    statement: &Statement,
    params: &'v [Value],
) -> Result<Vec<&'v (dyn ToSql + Sync)>, Failure> {
    if statement.params().len() != params.len() {
        return Err(Failure::Parameters {
            given: params.len(),
        });
    }
    Ok(params
        .iter()
        .map(|value| value as &(dyn ToSql + Sync))
        .collect())
}
