//! What the tests of this crate share: a database of each engine with two
//! workspaces in it, a clock that stands still, and short words for what the
//! tests do all the time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

pub(crate) mod plans;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;
use store::{Db, Engine, Options, Store, Target, Tx};
use tokio::sync::{Barrier, oneshot};
use uuid::Uuid;

use crate::caller::{Caller, Ids};
use crate::contacts::{self, Contact};
use crate::error::{Error, Problems, Result};
use crate::input::Input;
use crate::opportunities::{self, Opportunity, Placement, Target as CardTarget};
use crate::time::Timestamp;
use crate::users::{self, User};
use crate::workspaces::{self, NewWorkspace};
use crate::{MIGRATIONS, companies, stages};

/// The instant of every test: the afternoon of 28 February in UTC, the first
/// of March in Sydney, where the workspaces are.
pub(crate) const NOW: &str = "2026-02-28T15:30:00.000Z";

/// A business as it is on its first day, and another one in the same database.
#[derive(Clone)]
pub(crate) struct Desk {
    /// Who acts in the tests.
    pub(crate) who: Caller,
    /// Who acts in the other workspace.
    pub(crate) stranger: Caller,
    /// The default pipeline of `who`.
    pub(crate) pipeline: Uuid,
    /// Its stages: Lead, Qualified, Proposal, Negotiation, Won, Lost.
    pub(crate) stages: Vec<Uuid>,
}

impl Desk {
    fn found(tx: &mut Tx<'_>) -> Result<Self> {
        let (now, ids) = (Timestamp::parse(NOW).unwrap(), Ids::default());
        let (_, who) = workspaces::create(tx, NewWorkspace::called("Ours")?, now, &ids)?;
        let (_, stranger) = workspaces::create(tx, NewWorkspace::called("Theirs")?, now, &ids)?;
        let pipeline = default_pipeline(tx, &who)?;
        let stages = stages::list(tx, &who, pipeline)?;
        Ok(Self {
            who,
            stranger,
            pipeline,
            stages: stages.iter().map(|stage| stage.id).collect(),
        })
    }

    /// An ordinary stage, the first one.
    pub(crate) fn lead(&self) -> Uuid {
        self.stages[0]
    }

    /// Another ordinary stage.
    pub(crate) fn qualified(&self) -> Uuid {
        self.stages[1]
    }

    /// The stage that wins.
    pub(crate) fn won(&self) -> Uuid {
        self.stages[4]
    }

    /// The stage that loses.
    pub(crate) fn lost(&self) -> Uuid {
        self.stages[5]
    }

    /// The caller, some seconds later.
    pub(crate) fn later(&self, seconds: i64) -> Caller {
        let now = self.who.now.as_millisecond() + seconds * 1000;
        Caller {
            now: at(now),
            ..self.who.clone()
        }
    }

    /// A new opportunity of that name, without a card.
    pub(crate) fn opportunity(&self, tx: &mut Tx<'_>, name: &str) -> Result<Opportunity> {
        self.create(tx, serde_json::json!({ "name": name }))
    }

    /// A new opportunity from the fields of a request.
    pub(crate) fn create(&self, tx: &mut Tx<'_>, fields: Json) -> Result<Opportunity> {
        opportunities::create(tx, &self.who, given(fields))
    }

    /// Changes the fields given.
    pub(crate) fn patch(&self, tx: &mut Tx<'_>, id: Uuid, fields: Json) -> Result<Opportunity> {
        opportunities::update(tx, &self.who, id, given(fields))
    }

    /// The opportunity as it is answered.
    pub(crate) fn get(&self, db: &Db<'_>, id: Uuid) -> Result<Opportunity> {
        opportunities::get(db, &self.who, id, &given(serde_json::json!({})))
    }

    /// Moves to a stage of the default pipeline.
    pub(crate) fn get_by_name(&self, db: &Db<'_>, name: &str) -> Result<Uuid> {
        Ok(db.query_one(
            "select id from opportunities where workspace_id = $1 and name = $2",
            &store::params![self.who.workspace_id, name],
            |row| row.get(0),
        )?)
    }

    pub(crate) fn move_to(
        &self,
        tx: &mut Tx<'_>,
        id: Uuid,
        stage: Uuid,
        position: i64,
    ) -> Result<Placement> {
        opportunities::move_to(tx, &self.who, id, &self.target(stage, position))
    }

    /// A place in the default pipeline.
    pub(crate) fn target(&self, stage: Uuid, position: i64) -> CardTarget {
        target(self.pipeline, stage, position)
    }

    /// A new contact of that name.
    pub(crate) fn contact(&self, tx: &mut Tx<'_>, first_name: &str) -> Result<Contact> {
        let fields = serde_json::json!({ "first_name": first_name });
        contacts::create(tx, &self.who, given(fields))
    }

    /// A new company of that name.
    pub(crate) fn company(&self, tx: &mut Tx<'_>, name: &str) -> Result<companies::Company> {
        companies::create(tx, &self.who, given(serde_json::json!({ "name": name })))
    }

    /// A new member of that name.
    pub(crate) fn user(&self, tx: &mut Tx<'_>, name: &str) -> Result<User> {
        let fields = serde_json::json!({
            "full_name": name,
            "email": format!("{}@example.com", name.to_lowercase()),
        });
        users::invite(tx, &self.who, given(fields))
    }

    /// The opportunities in a stage from the top down, by name.
    pub(crate) fn names_in(&self, db: &Db<'_>, stage: Uuid) -> Result<Vec<String>> {
        Ok(db.query(
            "select o.name from cards c
             join opportunities o on o.workspace_id = c.workspace_id and o.id = c.opportunity_id
             where c.workspace_id = $1 and c.stage_id = $2 order by c.rank",
            &store::params![self.who.workspace_id, stage],
            |row| row.get(0),
        )?)
    }

    /// The changes that the log has of a record, in their order: field, old
    /// value, new value.
    pub(crate) fn log_of(&self, db: &Db<'_>, id: Uuid) -> Result<Vec<(String, Json, Json)>> {
        Ok(db.query(
            "select field, old_value, new_value from crm_field_change_log
             where workspace_id = $1 and entity_id = $2 order by id",
            &store::params![self.who.workspace_id, id],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?)
    }

    /// The events told of a record, in their order.
    pub(crate) fn events_of(&self, db: &Db<'_>, id: Uuid) -> Result<Vec<String>> {
        Ok(db.query(
            "select trigger_type from events
             where workspace_id = $1 and entity_id = $2 order by id",
            &store::params![self.who.workspace_id, id],
            |row| row.get(0),
        )?)
    }
}

fn default_pipeline(db: &Db<'_>, who: &Caller) -> Result<Uuid> {
    Ok(db.query_one(
        "select id from pipelines where workspace_id = $1 and is_default",
        &store::params![who.workspace_id],
        |row| row.get(0),
    )?)
}

/// A pipeline with stages of these names.
pub(crate) fn pipeline(
    tx: &mut Tx<'_>,
    who: &Caller,
    name: &str,
    stage_names: &[&str],
) -> Result<(Uuid, Vec<Uuid>)> {
    let fields = serde_json::json!({ "name": name });
    let pipeline = crate::pipelines::create(tx, who, given(fields))?.id;
    let stages = stage_names
        .iter()
        .map(|name| {
            let fields = given(serde_json::json!({ "name": name }));
            stages::create(tx, who, pipeline, fields).map(|stage| stage.id)
        })
        .collect::<Result<_>>()?;
    Ok((pipeline, stages))
}

/// A place for a card.
pub(crate) fn target(pipeline: Uuid, stage: Uuid, position: i64) -> CardTarget {
    given(serde_json::json!({
        "pipeline_id": pipeline, "stage_id": stage, "position": position,
    }))
}

/// The instant that many milliseconds after 1970.
pub(crate) fn at(milliseconds: i64) -> Timestamp {
    jiff::Timestamp::from_millisecond(milliseconds)
        .unwrap()
        .into()
}

/// An input as a request with this body gives it.
pub(crate) fn given<I: Input>(body: Json) -> I {
    match read::<I>(body) {
        Ok(input) => input,
        Err(problems) => panic!("the input of a test is refused: {problems}"),
    }
}

/// Why a request with this body is refused.
pub(crate) fn refused<I: Input>(body: Json) -> Problems {
    match read::<I>(body) {
        Ok(_) => panic!("the input was accepted"),
        Err(problems) => problems,
    }
}

fn read<I: Input>(body: Json) -> Result<I, Problems> {
    let Json::Object(object) = body else {
        panic!("a body is an object");
    };
    match I::from_object(object) {
        Ok((input, _)) => Ok(input),
        Err(Error::Input(problems)) => Err(problems),
        Err(other) => panic!("{other}"),
    }
}

/// Names the error: `not found: contact`, `conflict`, `invalid: stage_id`.
pub(crate) fn outcome<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => "done".to_owned(),
        Err(Error::NotFound { what, .. }) => format!("not found: {what}"),
        Err(Error::NotLinked { what, .. }) => format!("not linked: {what}"),
        Err(Error::Conflict { .. }) => "conflict".to_owned(),
        Err(Error::Input(problems)) => {
            let fields = problems.missing.iter();
            let fields: Vec<_> = fields
                .chain(problems.invalid.iter().map(|problem| &problem.field))
                .map(String::as_str)
                .collect();
            format!("invalid: {}", fields.join(", "))
        }
        Err(other) => format!("failed: {other}"),
    }
}

/// As [`outcome`], of a call that may be refused within a transaction that
/// goes on.
pub(crate) fn attempt<T>(tx: &mut Tx<'_>, call: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> String {
    outcome(tx.savepoint(call))
}

/// What `work` gives, and how many statements of a [`Blank`] database it ran.
pub(crate) fn statements<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let counter = Arc::new(AtomicUsize::new(0));
    let given = tracing::subscriber::with_default(Statements(counter.clone()), work);
    (given, counter.load(Ordering::Relaxed))
}

/// Counts what the store tells the log of: each statement, as each is slow.
struct Statements(Arc<AtomicUsize>);

impl tracing::Subscriber for Statements {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "store"
    }

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::Id {
        tracing::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::Id, _: &tracing::Id) {}

    fn enter(&self, _: &tracing::Id) {}

    fn exit(&self, _: &tracing::Id) {}
}

/// A database without tables, which goes away with this.
pub(crate) struct Blank {
    pub(crate) store: Store,
    _folder: Option<tempfile::TempDir>,
    _database: Option<Database>,
}

impl Blank {
    pub(crate) async fn new(engine: Engine) -> Self {
        let (target, folder, database) = match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let target = Target::Sqlite(folder.path().join("test.db"));
                (target, Some(folder), None)
            }
            Engine::Postgres => {
                let database = Database::create().await;
                (Target::Postgres(database.url.clone()), None, Some(database))
            }
        };
        let options = Options {
            durable: false,
            // So that statements can be counted.
            slow_statement: Some(Duration::ZERO),
            ..Options::default()
        };
        Self {
            store: Store::open(&target, options).await.unwrap(),
            _folder: folder,
            _database: database,
        }
    }
}

/// A database with a [`Desk`], which goes away with this.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) desk: Desk,
    _blank: Blank,
}

impl World {
    pub(crate) async fn new(engine: Engine) -> Self {
        let blank = Blank::new(engine).await;
        let store = blank.store.clone();
        store.migrate(MIGRATIONS).await.unwrap();
        let desk = store.write(Desk::found).await.unwrap();
        Self {
            store,
            desk,
            _blank: blank,
        }
    }

    /// Runs a transaction.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        mut f: impl FnMut(&mut Tx<'_>, &Desk) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let desk = self.desk.clone();
        self.store.write(move |tx| f(tx, &desk)).await
    }

    /// Reads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Db<'_>, &Desk) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let desk = self.desk.clone();
        self.store.read(move |db| f(db, &desk)).await
    }

    /// Runs two transactions that are both under way at once where the engine
    /// lets them: `second` begins when `first` has done all its work but not
    /// committed, and `first` commits when `second` has had time to do its
    /// work or to wait for it.
    pub(crate) async fn overlapping<A, B>(
        &self,
        mut first: impl FnMut(&mut Tx<'_>, &Desk) -> Result<A> + Send + 'static,
        second: impl FnMut(&mut Tx<'_>, &Desk) -> Result<B> + Send + 'static,
    ) -> (Result<A>, Result<B>)
    where
        A: Send + 'static,
        B: Send + 'static,
    {
        if self.store.engine() == Engine::Sqlite {
            // One writer: they can only follow each other.
            return (self.write(first).await, self.write(second).await);
        }
        let (worked, begin) = oneshot::channel();
        let mut worked = Some(worked);
        let first = self.write(move |tx, desk| {
            let result = first(tx, desk);
            if let Some(worked) = worked.take() {
                let _ = worked.send(());
                std::thread::sleep(Duration::from_millis(60));
            }
            result
        });
        let second = async {
            let _ = begin.await;
            self.write(second).await
        };
        tokio::join!(first, second)
    }

    /// Runs a transaction for each of `0..count`, all beginning at once.
    pub(crate) async fn all_at_once<T: Send + 'static>(
        &self,
        count: usize,
        f: impl Fn(&mut Tx<'_>, &Desk, usize) -> Result<T> + Send + Sync + 'static,
    ) -> Vec<Result<T>> {
        let (f, barrier) = (Arc::new(f), Arc::new(Barrier::new(count)));
        let tasks: Vec<_> = (0..count)
            .map(|index| {
                let (f, barrier) = (f.clone(), barrier.clone());
                let (store, desk) = (self.store.clone(), self.desk.clone());
                tokio::spawn(async move {
                    barrier.wait().await;
                    store.write(move |tx| f(tx, &desk, index)).await
                })
            })
            .collect();
        let mut results = Vec::new();
        for task in tasks {
            results.push(task.await.unwrap());
        }
        results
    }
}

fn server() -> String {
    std::env::var("TEST_POSTGRES_URL")
        .unwrap_or_else(|_| panic!("set TEST_POSTGRES_URL or run under scripts/with-postgres"))
}

/// Runs one statement on the server's own database.
async fn administer(sql: &str) {
    let (client, connection) = tokio_postgres::connect(&server(), tokio_postgres::NoTls)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

/// A PostgreSQL database that is dropped with this.
struct Database {
    name: String,
    url: String,
}

impl Database {
    async fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nanoseconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos();
        let name = format!(
            "crm_test_{}_{nanoseconds}_{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        administer(&format!("create database {name}")).await;
        let server = server();
        let (start, options) = match server.split_once('?') {
            Some((start, options)) => (start, format!("?{options}")),
            None => (&*server, String::new()),
        };
        let (host, _) = start.rsplit_once('/').expect("a URL with a database");
        Self {
            url: format!("{host}/{name}{options}"),
            name,
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("drop database if exists {} with (force)", self.name);
        std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(administer(&sql));
        })
        .join()
        .unwrap();
    }
}

/// Each function becomes a test on SQLite and one on PostgreSQL. One that
/// takes a transaction and a desk runs within that transaction; an `async` one
/// takes the [`World`] and makes its own.
macro_rules! on_both_engines {
    (
        $(fn $name:ident($tx:ident, $desk:ident) $body:block)*
        $(async fn $async_name:ident($world:ident) $async_body:block)*
    ) => {
        $(
            fn $name(
                $tx: &mut store::Tx<'_>,
                $desk: &$crate::testing::Desk,
            ) -> $crate::error::Result<()> {
                $body
                Ok(())
            }
        )*
        $(async fn $async_name($world: $crate::testing::World) $async_body)*

        mod on_sqlite {
            on_both_engines!(@tests Sqlite; $($name)*; $($async_name)*);
        }

        mod on_postgres {
            on_both_engines!(@tests Postgres; $($name)*; $($async_name)*);
        }
    };
    (@tests $engine:ident; $($name:ident)*; $($async_name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let world = $crate::testing::World::new(store::Engine::$engine).await;
                let done = world.write(super::$name).await;
                done.unwrap_or_else(|error| panic!("{error}"));
            }
        )*
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $async_name() {
                super::$async_name($crate::testing::World::new(store::Engine::$engine).await).await;
            }
        )*
    };
}
