//! PostgreSQL: a pool of connections, each driven by the thread that uses it.

mod failure;
mod session;
mod wire;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

pub(crate) use session::Session;

use crate::migrate::{self, Migration};
use crate::slow::Slow;
use crate::tls;
use crate::{Counters, Db, Error, Options, Session as AnySession, Stats, Tx, blocking};

/// How often a transaction is run at most, and the first pause between two
/// runs.
const TRIES: u32 = 12;
const PAUSE: Duration = Duration::from_millis(4);
/// How long a server that says nothing, not even that the bytes have come, is
/// taken to be there.
const SILENCE: Duration = Duration::from_secs(15);
/// The advisory lock that a migrating server holds: "dealwrgt".
const MIGRATION_LOCK: i64 = 0x6465_616c_7772_6774;

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
    /// Nor do writes, nor both together, of four or more: those of one workspace often
    /// wait for each other, and the more of them wait, the longer each takes. Reads need
    /// not wait with them.
    writes: Arc<Semaphore>,
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
        // A server that is gone without a word must not hold a call for minutes,
        // where the URL does not say otherwise.
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        if config.get_keepalives_idle() == Config::new().get_keepalives_idle() {
            config
                .keepalives_idle(SILENCE / 2)
                .keepalives_interval(SILENCE / 4)
                .keepalives_retries(2);
        }
        // Set on the open connection rather than as start-up options, which
        // connection poolers refuse. Compiling a plan to machine code does not
        // pay for statements of milliseconds, nor does planning anew for every
        // value: all but a few rows are found by their keys. When the server
        // has counted a table anew, it plans again. What is answered is on disk,
        // whatever the server does for others.
        let setup = format!(
            "set statement_timeout = {}; set lock_timeout = {};
             set idle_in_transaction_session_timeout = 60000;
             set client_min_messages = warning; set timezone = 'UTC'; set jit = off;
             set plan_cache_mode = force_generic_plan;
             select set_config('synchronous_commit', 'on', false)
             where current_setting('synchronous_commit') = 'off';",
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
            writes: Arc::new(Semaphore::new((options.connections / 4).max(1))),
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
        let _writing = self.pool.acquire(&self.pool.writes).await?;
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
                if !session.may_heal() || tries == TRIES {
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

    /// Writes tables anew that one transaction has changed very often, without
    /// the rows that it left behind.
    pub(crate) fn tidy(&self, tables: &[&str]) -> Result<(), Error> {
        let session = self.pool.patient_session()?;
        tables
            .iter()
            .try_for_each(|table| session.batch(&format!("vacuum (full, analyze) \"{table}\"")))
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
            if !session.is_broken() {
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
    let batch = |sql: &str| session.batch(sql);
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
