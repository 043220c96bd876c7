//! The writer: one thread that commits waiting transactions together.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::checkpointer::Checkpointer;
use super::session::Session;
use crate::{Counters, Error, Session as AnySession, Tx};

/// How many writes share a commit at most.
pub(super) const GROUP: usize = 512;
/// After this long a group takes no further write, so that the first of it
/// does not wait for ever.
const GROUP_TIME: Duration = Duration::from_millis(20);

/// After how many changed rows the writer looks whether the text indexes have much to
/// learn: a text that waits is two of them at least.
const CHANGES_EACH_LOOK: u64 = 1024;

/// What the writer is told.
pub(super) enum Message {
    Write(Box<dyn Job>),
    /// End when this is dropped by the writer.
    Close(oneshot::Sender<()>),
}

/// A write waiting for its turn, whatever its types.
pub(super) trait Job: Send {
    /// Nobody waits for it any more.
    fn abandoned(&self) -> bool;
    /// Runs it once and keeps its result; whether it wants to be kept.
    fn run(&mut self, session: &Session) -> bool;
    /// Its result is this error instead.
    fn fail(&mut self, error: Error);
    /// Tells the caller.
    fn answer(self: Box<Self>);
}

pub(super) struct Write<F, T, E> {
    pub(super) f: F,
    pub(super) result: Option<Result<T, E>>,
    pub(super) reply: Option<oneshot::Sender<Result<T, E>>>,
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

pub(super) struct Writer {
    pub(super) session: Session,
    /// `None` where nothing is written.
    pub(super) checkpointer: Option<Checkpointer>,
    pub(super) queue: mpsc::Receiver<Message>,
    pub(super) counters: Arc<Counters>,
    /// How many rows had been changed when it looked last.
    pub(super) looked_after: u64,
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
    pub(super) fn run(mut self) {
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

    fn write_back(&mut self) -> rusqlite::Result<()> {
        let connection = &mut self.session.connection;
        if let Some(checkpointer) = self.checkpointer.take() {
            checkpointer.end(connection)?;
        }
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
    /// At first without savepoints, which cost more the more there are: SQLite
    /// looks through what it keeps for all that are open. Only when something
    /// would have to be undone are all run again, with savepoints.
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
            Done::Kept(_) => self.session.control("commit").is_ok(),
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
        self.learn_now_and_then();
    }

    /// To see whether there is much to learn is to look through all that waits.
    fn learn_now_and_then(&mut self) {
        let changes = self.session.connection.total_changes();
        if changes - self.looked_after >= CHANGES_EACH_LOOK {
            self.session.learn_of_many();
            self.end_transaction();
            self.looked_after = self.session.connection.total_changes();
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
                match self.session.control("commit") {
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
