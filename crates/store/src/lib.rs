//! One SQL on two engines, SQLite and PostgreSQL.
//!
//! [`Store::read`] and [`Store::write`] are the two doors: each runs an
//! ordinary synchronous function over a [`Db`] or a [`Tx`], as one consistent
//! snapshot or one transaction. The SQL is written once, in the subset that
//! both engines speak, with `$1` parameters; the few differences are the small
//! functions of [`Engine`].
//!
//! ```no_run
//! # async fn example() -> Result<(), store::Error> {
//! use store::{Options, Store, Target, params};
//!
//! let store = Store::open(&Target::Sqlite("data/example.db".into()), Options::default()).await?;
//! let titles = store
//!     .read(|db| {
//!         db.query(
//!             "select title from card where stage = $1 order by rank",
//!             &params!["won"],
//!             |row| row.get::<String>(0),
//!         )
//!     })
//!     .await?;
//! # let _: Vec<String> = titles;
//! # Ok(())
//! # }
//! ```
//!
//! What both engines take, and where care is needed:
//!
//! - `cast($1 as text)`, never `$1::text`.
//! - A statement that fails dooms its transaction (on SQLite too, as it always
//!   does on PostgreSQL): every further statement gives [`Error::Aborted`].
//!   Where a failure is expected, use `on conflict` or [`Tx::savepoint`].
//! - `insert … returning` goes through `query…` of a [`Tx`].
//!
//! The store knows nothing of what is kept in it.

mod engine;
mod error;
mod migrate;
mod postgres;
mod row;
mod slow;
mod spans;
mod sqlite;
mod text_index;
mod tls;
pub mod transfer;
mod value;

use std::ops::{ControlFlow, Deref};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use engine::Engine;
pub use error::Error;
pub use migrate::Migration;
pub use row::{Cell, FromColumn, Row};
pub use sqlite::add_functions;
pub use text_index::{Pattern, Walk};
use tracing::Instrument as _;
pub use value::Value;

/// Which database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A SQLite file, made if it does not exist. Its folder must exist.
    Sqlite(PathBuf),
    /// A PostgreSQL URL, `postgres://user:password@host:port/database`. With
    /// `?sslmode=require` the connection is encrypted and the server's
    /// certificate verified, by the authorities of the web or by those in the
    /// PEM file named by `&sslrootcert=`. Else it is plain.
    Postgres(String),
}

/// How to use the database. [`Options::default`] is right for a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// PostgreSQL: how many connections at most. SQLite: how many idle readers
    /// are kept.
    pub connections: usize,
    /// How long to wait for a free connection, for a place in the writer's
    /// queue, or for the connection to be made, before
    /// [`Error::Unavailable`].
    pub acquire_timeout: Duration,
    /// How long one statement of a read or a write may take (PostgreSQL).
    pub statement_timeout: Duration,
    /// How long one statement of a [scan](Store::scan) may take, and how long
    /// it may pause between two (PostgreSQL).
    pub scan_timeout: Duration,
    /// How long to wait for another's lock: a row's on PostgreSQL before
    /// [`Error::Locked`], another process' on the SQLite file before
    /// [`Error::Unavailable`].
    pub lock_timeout: Duration,
    /// From when on a statement, with its wait for locks, is told to the log;
    /// never, if `None`.
    pub slow_statement: Option<Duration>,
    /// SQLite: an answered write is on disk. `false` is for tests and for
    /// imports that can be done again.
    pub durable: bool,
    /// The name by which PostgreSQL shows our connections.
    pub application_name: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 16,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            scan_timeout: Duration::from_secs(600),
            lock_timeout: Duration::from_secs(10),
            slow_statement: Some(Duration::from_secs(1)),
            durable: true,
            application_name: "dealwright".to_owned(),
        }
    }
}

/// How many writes share a commit, in steps: a commit of at most that many, and
/// more than the step before, is counted at its place in
/// [`Stats::commits_by_size`].
pub const COMMIT_SIZES: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// What the store has done since it was opened, and what it is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Writes that were asked for and ended, well or not.
    pub jobs: u64,
    /// Commits. On SQLite far fewer than `jobs` under load: writes that wait
    /// for the same disk share one.
    pub commits: u64,
    /// Writes that were run again: a deadlock or serialization failure on
    /// PostgreSQL, a group of which something had to be undone on SQLite.
    pub retries: u64,
    /// Writes that were committed.
    pub kept: u64,
    /// Commits by how many writes shared them, in the steps of
    /// [`COMMIT_SIZES`]. On PostgreSQL none is shared.
    pub commits_by_size: [u64; COMMIT_SIZES.len()],
    /// Writes that wait now for SQLite's writer. On PostgreSQL none does.
    pub waiting: u64,
    /// Connections at work now. On SQLite only those of [scans](Store::scan)
    /// are known: a read is over before anyone could ask.
    pub in_use: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    jobs: AtomicU64,
    commits: AtomicU64,
    retries: AtomicU64,
    kept: AtomicU64,
    commits_by_size: [AtomicU64; COMMIT_SIZES.len()],
}

impl Counters {
    pub(crate) fn job(&self) {
        self.jobs.fetch_add(1, Ordering::Relaxed);
    }

    /// A commit of `kept` writes, at least one.
    pub(crate) fn commit(&self, kept: u64) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.kept.fetch_add(kept, Ordering::Relaxed);
        let step = COMMIT_SIZES.partition_point(|size| *size < kept);
        if let Some(commits) = self.commits_by_size.get(step) {
            commits.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted; what the store is at, its engine knows.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            jobs: self.jobs.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            kept: self.kept.load(Ordering::Relaxed),
            commits_by_size: self
                .commits_by_size
                .each_ref()
                .map(|commits| commits.load(Ordering::Relaxed)),
            ..Stats::default()
        }
    }
}

/// An open database. Cheap to clone; all clones share it.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
}

#[derive(Clone)]
enum Backend {
    Sqlite(Arc<sqlite::Database>),
    Postgres(Arc<postgres::Database>),
}

impl Store {
    /// Opens the database and tries it once.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the server can't be reached,
    /// [`Error::Engine`] when the file or the URL is not usable.
    pub async fn open(target: &Target, options: Options) -> Result<Self, Error> {
        let backend = match target {
            Target::Sqlite(path) => {
                Backend::Sqlite(Arc::new(sqlite::Database::open(path, options, true).await?))
            }
            Target::Postgres(url) => {
                Backend::Postgres(Arc::new(postgres::Database::open(url, options).await?))
            }
        };
        Ok(Self { backend })
    }

    /// Opens a SQLite file to read from it, such as a backup. Nothing about it
    /// is changed, and a missing one is not made; every write fails.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::Unavailable`] when there is no such
    /// file.
    pub async fn open_read_only(path: &Path, options: Options) -> Result<Self, Error> {
        let database = sqlite::Database::open(path, options, false).await?;
        Ok(Self {
            backend: Backend::Sqlite(Arc::new(database)),
        })
    }

    /// Which engine it is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self.backend {
            Backend::Sqlite(_) => Engine::Sqlite,
            Backend::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs `f` over one consistent snapshot; nothing can be written.
    ///
    /// On SQLite `f` runs right here, on the calling task: a point read takes
    /// microseconds. What reads for longer than about a millisecond belongs
    /// into [`scan`](Self::scan).
    ///
    /// # Errors
    /// What `f` returns; [`Error::Unavailable`] without a free connection in
    /// time; [`Error::Panicked`].
    pub async fn read<T, E>(
        &self,
        f: impl FnOnce(&Db<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let span = spans::asked("read", self.engine());
        let asked = span.clone();
        let work = move |db: &Db<'_>| {
            let _running = spans::running(&asked);
            f(db)
        };
        match &self.backend {
            Backend::Sqlite(database) => span.in_scope(|| database.read(work)),
            Backend::Postgres(database) => database.read(work, false).instrument(span).await,
        }
    }

    /// As [`read`](Self::read), for reads that may take long, such as exports
    /// and reports: never on the async worker, fewer at a time, and with a
    /// longer time limit.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn scan<T, E>(
        &self,
        f: impl FnOnce(&Db<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let span = spans::asked("scan", self.engine());
        let asked = span.clone();
        let work = move |db: &Db<'_>| {
            let _running = spans::running(&asked);
            f(db)
        };
        match &self.backend {
            Backend::Sqlite(database) => database.clone().scan(work).instrument(span).await,
            Backend::Postgres(database) => database.read(work, true).instrument(span).await,
        }
    }

    /// Runs `f` as one transaction: all of it is kept when it returns `Ok`,
    /// nothing when it returns `Err`. When this answers `Ok`, it is durable.
    ///
    /// `f` may be run again from the start, so it must have no effect outside
    /// the transaction. On SQLite writes run one after another; on PostgreSQL
    /// side by side at *read committed*, so rows that a decision rests on are
    /// read with [`Engine::for_update`].
    ///
    /// When the returned future is dropped, the transaction may have happened
    /// or not; it never happens in part.
    ///
    /// # Errors
    /// What `f` returns; [`Error::Unavailable`] (see there for a connection
    /// lost while committing); [`Error::Locked`]; [`Error::Full`];
    /// [`Error::Aborted`]; [`Error::Panicked`].
    pub async fn write<T, E>(
        &self,
        mut f: impl FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let span = spans::asked("write", self.engine());
        let asked = span.clone();
        let work = move |tx: &mut Tx<'_>| {
            let _running = spans::running(&asked);
            f(tx)
        };
        match &self.backend {
            Backend::Sqlite(database) => database.write(work).instrument(span).await,
            Backend::Postgres(database) => database.write(work).instrument(span).await,
        }
    }

    /// Applies the migrations that the database does not have yet, in order,
    /// each in a transaction of its own, and returns their numbers. Any number
    /// of servers may do so at once: one does, the others wait and find it
    /// done.
    ///
    /// # Errors
    /// [`Error::NewerSchema`], before anything is changed;
    /// [`Error::Migration`].
    pub async fn migrate(&self, migrations: &'static [Migration]) -> Result<Vec<u32>, Error> {
        match &self.backend {
            Backend::Sqlite(database) => database.migrate(migrations).await,
            Backend::Postgres(database) => database.migrate(migrations).await,
        }
    }

    /// The number of the newest migration in the database; 0 without any.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn schema_version(&self) -> Result<u32, Error> {
        self.read(migrate::version).await
    }

    /// The numbers of those migrations that the database does not have yet.
    ///
    /// # Errors
    /// [`Error::NewerSchema`]; else as [`read`](Self::read).
    pub async fn pending(&self, migrations: &'static [Migration]) -> Result<Vec<u32>, Error> {
        let version = self.schema_version().await?;
        Ok(migrate::pending(migrations, version)?
            .iter()
            .map(|migration| migration.number)
            .collect())
    }

    /// One snapshot, however long it is read, on the calling thread.
    pub(crate) fn snapshot<T, E: From<Error>>(
        &self,
        f: impl FnOnce(&Db<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        match &self.backend {
            Backend::Sqlite(database) => database.read(f),
            Backend::Postgres(database) => database.snapshot(f),
        }
    }

    /// One transaction for very many rows, on the calling thread. References
    /// are checked at its end, so the rows may come in any order.
    pub(crate) fn load<T, E: From<Error>>(
        &self,
        f: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        match &self.backend {
            Backend::Sqlite(database) => database.load(f),
            Backend::Postgres(database) => database.load(f),
        }
    }

    /// What is to be done for tables that one transaction has changed very often.
    pub(crate) fn tidy(&self, tables: &[&str]) -> Result<(), Error> {
        match &self.backend {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(database) => database.tidy(tables),
        }
    }

    /// What the store has done since it was opened, and what it is at.
    #[must_use]
    pub fn stats(&self) -> Stats {
        match &self.backend {
            Backend::Sqlite(database) => database.stats(),
            Backend::Postgres(database) => database.stats(),
        }
    }

    /// Ends the store, for every clone of it: writes that were asked for before
    /// are finished, on SQLite the log is written back into the file. Whatever
    /// is asked for afterwards gives [`Error::Unavailable`].
    pub async fn close(self) {
        match &self.backend {
            Backend::Sqlite(database) => database.close().await,
            Backend::Postgres(database) => database.close().await,
        }
    }
}

/// Runs `f` on a thread that may wait.
pub(crate) async fn blocking<T, E>(
    f: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    match tokio::task::spawn_blocking(f).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => Err(Error::Panicked.into()),
        Err(_) => Err(Error::unavailable("the runtime is shutting down").into()),
    }
}

/// Reads of one snapshot. See [`Store::read`].
pub struct Db<'a> {
    session: Session<'a>,
}

#[derive(Clone, Copy)]
pub(crate) enum Session<'a> {
    Sqlite(&'a sqlite::Session),
    Postgres(&'a postgres::Session),
}

impl<'a> Db<'a> {
    pub(crate) fn new(session: Session<'a>) -> Self {
        Self { session }
    }

    /// Which engine runs the statements.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self.session {
            Session::Sqlite(_) => Engine::Sqlite,
            Session::Postgres(_) => Engine::Postgres,
        }
    }

    /// A number for what this read sees. Two reads of a [`Store`] that have the same
    /// one see the same: nobody, in whichever process, has committed anything between
    /// the moments at which they look.
    ///
    /// They may see the same and have different ones. None where there is no cheap way to
    /// know: on PostgreSQL, in a [`Tx`], and where several readers look at something new
    /// at once.
    ///
    /// # Errors
    /// The database's.
    pub fn revision(&self) -> Result<Option<u64>, Error> {
        match self.session {
            Session::Sqlite(session) => session.revision(),
            Session::Postgres(_) => Ok(None),
        }
    }

    /// All rows of the answer.
    ///
    /// # Errors
    /// The statement's, or what `map` returns.
    pub fn query<T>(
        &self,
        sql: &str,
        params: &[Value],
        mut map: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        self.rows(sql, params, &mut |row| {
            all.push(map(row)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(all)
    }

    /// The first row of the answer, if there is one.
    ///
    /// # Errors
    /// The statement's, or what `map` returns.
    pub fn query_opt<T>(
        &self,
        sql: &str,
        params: &[Value],
        map: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let mut first = None;
        let mut map = Some(map);
        self.rows(sql, params, &mut |row| {
            if let Some(map) = map.take() {
                first = Some(map(row)?);
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(first)
    }

    /// The first row of the answer, which must be there.
    ///
    /// # Errors
    /// [`Error::NoRow`]; else the statement's, or what `map` returns.
    pub fn query_one<T>(
        &self,
        sql: &str,
        params: &[Value],
        map: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.query_opt(sql, params, map)?.ok_or(Error::NoRow)
    }

    /// Passes each row of a `select` to `f` without ever holding many of them,
    /// however long the answer is. `f` may run statements of its own.
    ///
    /// # Errors
    /// The statement's, or what `f` returns, which also ends it.
    pub fn each(
        &self,
        sql: &str,
        params: &[Value],
        mut f: impl FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self.session {
            Session::Sqlite(session) => session.each(sql, params, &mut f),
            Session::Postgres(session) => session.each(sql, params, &mut f),
        }
    }

    /// Lets PostgreSQL plan the statements that follow in this transaction for
    /// their very values rather than once for all: for conditions whose best
    /// index depends on how common a value is. Costs no round trip. SQLite's
    /// plans never depend on values.
    pub fn plan_for_values(&self) {
        if let Session::Postgres(session) = self.session {
            session.plan_for_values();
        }
    }

    fn rows(&self, sql: &str, params: &[Value], f: &mut EachRow<'_>) -> Result<(), Error> {
        match self.session {
            Session::Sqlite(session) => session.rows(sql, params, f),
            Session::Postgres(session) => session.rows(sql, params, f),
        }
    }
}

/// What is done with each row; `Break` when no further one is wanted.
pub(crate) type EachRow<'f> = dyn FnMut(&Row<'_>) -> Result<ControlFlow<()>, Error> + 'f;

/// A transaction. It reads as a [`Db`] does, sees its own changes, and
/// writes. See [`Store::write`].
pub struct Tx<'a> {
    db: Db<'a>,
}

impl<'a> Deref for Tx<'a> {
    type Target = Db<'a>;

    fn deref(&self) -> &Db<'a> {
        &self.db
    }
}

impl<'a> Tx<'a> {
    pub(crate) fn new(session: Session<'a>) -> Self {
        Self {
            db: Db::new(session),
        }
    }

    /// Runs a statement and returns how many rows it inserted, updated or
    /// deleted; of a `select`, how many it found.
    ///
    /// # Errors
    /// The statement's.
    pub fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        match self.db.session {
            Session::Sqlite(session) => session.execute(sql, params),
            Session::Postgres(session) => session.execute(sql, params),
        }
    }

    /// Runs a statement of which nothing is wanted but that it succeeds, and
    /// which no value can make fail. On PostgreSQL it goes out together with the
    /// next statement, or the commit, and costs no round trip; should it fail
    /// after all, that is where the error appears.
    ///
    /// # Errors
    /// The statement's; [`Error::Encode`].
    pub fn enqueue(&mut self, sql: &str, params: impl Into<Vec<Value>>) -> Result<(), Error> {
        match self.db.session {
            Session::Sqlite(session) => session.execute(sql, &params.into()).map(drop),
            Session::Postgres(session) => session.enqueue(sql, params.into()),
        }
    }

    /// Lets the text indexes learn at once what waits for them on SQLite, so that it does
    /// not become too much to [look through](Db::contains).
    ///
    /// # Errors
    /// The database's.
    pub fn index_now(&mut self) -> Result<(), Error> {
        match self.db.session {
            Session::Sqlite(session) => session.index_now(),
            Session::Postgres(_) => Ok(()),
        }
    }

    /// The error by which a closure has itself run again, in a new transaction: what it
    /// has locked is not what it needs, because others wrote while it waited for that.
    /// When it has not helped several times, it is what the caller gets. SQLite, where
    /// nobody else writes meanwhile, has no use for it.
    #[must_use]
    pub fn start_over(&mut self) -> Error {
        match self.db.session {
            Session::Sqlite(_) => Error::Locked,
            Session::Postgres(session) => session.start_over(),
        }
    }

    /// Runs `f` so that it can fail alone: what it wrote is undone when it
    /// returns `Err`, and the transaction goes on. It costs no round trip.
    ///
    /// # Errors
    /// What `f` returns; [`Error::Aborted`].
    pub fn savepoint<T, E>(&mut self, f: impl FnOnce(&mut Tx<'_>) -> Result<T, E>) -> Result<T, E>
    where
        E: From<Error>,
    {
        match self.db.session {
            Session::Sqlite(session) => session.savepoint_begin()?,
            Session::Postgres(session) => session.savepoint_begin()?,
        }
        let result = f(self);
        match self.db.session {
            Session::Sqlite(session) => session.savepoint_end(result.is_ok())?,
            Session::Postgres(session) => session.savepoint_end(result.is_ok())?,
        }
        result
    }
}
