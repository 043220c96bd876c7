//! SQLite: many readers, one writer that commits waiting transactions together.

mod checkpointer;
mod counters;
mod failure;
mod learning;
mod revision;
mod samples;
mod session;
mod values;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};

use self::checkpointer::Checkpointer;
pub use self::counters::add_functions;
use self::failure::translate;
pub(crate) use self::learning::INDEX_QUEUE;
use self::revision::Revisions;
use self::samples::Samples;
pub(crate) use self::session::Session;
use self::writer::{GROUP, Message, Write, Writer};
use crate::migrate::{self, Migration};
use crate::{Counters, Db, Error, Options, Session as AnySession, Stats, Tx, blocking};

/// How many writes may wait.
const QUEUE: usize = 4 * GROUP;

/// How many scans run at once at most. Each has a page cache of its own, and
/// more of them than there are cores would only slow each other down.
const SCANS: usize = 4;

pub(crate) struct Database {
    path: PathBuf,
    options: Options,
    /// Idle readers, the last used on top: its cache is the warmest. `None`
    /// once closed.
    readers: Mutex<Option<Vec<Session>>>,
    revisions: Revisions,
    samples: Samples,
    scans: Semaphore,
    writer: mpsc::Sender<Message>,
    counters: Arc<Counters>,
}

impl Database {
    /// With `writes` off nothing about the file is changed, nor is it made.
    pub(crate) async fn open(path: &Path, options: Options, writes: bool) -> Result<Self, Error> {
        let counters = Arc::new(Counters::default());
        let samples = Samples::default();
        let (writer, queue) = mpsc::channel(QUEUE);
        let (session, checkpointer) = {
            let (path, options, samples) = (path.to_owned(), options.clone(), samples.clone());
            blocking(move || {
                let mut session = Session::open(&path, &options, writes)?;
                session.samples = samples;
                let checkpointer = writes
                    .then(|| Checkpointer::start(&mut session.connection, &path, &options))
                    .transpose()?;
                Ok::<_, Error>((session, checkpointer))
            })
            .await?
        };
        let thread = Writer {
            session,
            checkpointer,
            queue,
            counters: counters.clone(),
            looked_after: 0,
        };
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || thread.run())
            .map_err(|error| Error::unavailable(format!("no thread for the writer: {error}")))?;
        Ok(Self {
            path: path.to_owned(),
            readers: Mutex::new(Some(Vec::new())),
            revisions: Revisions::default(),
            samples,
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

    /// A further connection that only reads.
    fn reader(&self) -> Result<Session, Error> {
        let (revisions, samples) = (self.revisions.clone(), self.samples.clone());
        Session::reader(&self.path, &self.options, revisions, samples)
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
            None => self.reader()?,
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
        session.control("commit")?;
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
                session.control("commit")
            };
            apply().map_err(|cause| next.failed(cause))?;
            Ok(Some(next.number))
        };
        match step() {
            Ok(Some(number)) => applied.push(number),
            Ok(None) => {
                session.control("commit")?;
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
