//! What only PostgreSQL does, and how its tests come by a database.

use std::sync::Arc;
use std::time::Duration;

use store::{Engine, Error, Options, Store, Target, params};
use tokio::sync::Barrier;

use crate::{Home, add, count, id, insert};

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

/// A database that is dropped with this.
pub(crate) struct Database {
    name: String,
    pub(crate) url: String,
}

impl Database {
    pub(crate) async fn create() -> Self {
        let name = crate::unique_name();
        administer(&format!("create database {name}")).await;
        let server = server();
        let (start, options) = server
            .split_once('?')
            .map_or((&*server, None), |(start, options)| (start, Some(options)));
        let (host, _) = start.rsplit_once('/').expect("a URL with a database");
        let options = options
            .map(|options| format!("?{options}"))
            .unwrap_or_default();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_writers_that_deadlock_both_end_well() {
    let home = Home::with_notes(Engine::Postgres).await;
    add(&home.store, 1, "").await;
    add(&home.store, 2, "").await;
    let both_hold_one = Arc::new(Barrier::new(2));
    let runtime = tokio::runtime::Handle::current();
    let writer = |first: u128, second: u128| {
        let (store, barrier, runtime) =
            (home.store.clone(), both_hold_one.clone(), runtime.clone());
        let mut runs = 0;
        async move {
            store
                .write(move |tx| -> Result<u32, Error> {
                    runs += 1;
                    let append = "update note set body = body || $2 where id = $1";
                    tx.execute(append, &params![id(first), "x"])?;
                    if runs == 1 {
                        runtime.block_on(barrier.wait());
                    }
                    // An error that is hidden does not hinder the second run.
                    let _ = tx.savepoint(|tx| tx.execute(append, &params![id(second), "x"]));
                    Ok(runs)
                })
                .await
        }
    };
    let (one, two) = tokio::join!(writer(1, 2), writer(2, 1));
    assert_eq!(one.unwrap() + two.unwrap(), 3);
    assert_eq!(home.store.stats().retries, 1);
    assert_eq!(crate::bodies(&home.store).await, ["xx", "xx"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_connection_is_unavailable_within_and_unnoticed_between_transactions() {
    let home = Home::with_notes(Engine::Postgres).await;
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity \
                where datname = current_database() and pid <> pg_backend_pid()";
    let other = Store::open(&home.target, Options::default()).await.unwrap();

    add(&home.store, 1, "before").await;
    other.write(move |tx| tx.execute(kill, &[])).await.unwrap();
    let others = "select count(*) from pg_stat_activity \
                  where datname = current_database() and pid <> pg_backend_pid()";
    while other
        .read(move |db| db.query_one(others, &[], |row| row.get::<i64>(0)))
        .await
        .unwrap()
        > 0
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    add(&home.store, 2, "the idle connection is replaced").await;

    let runtime = tokio::runtime::Handle::current();
    let result = home
        .store
        .write(move |tx| {
            insert(tx, 3, "never")?;
            runtime.block_on(other.write(move |tx| tx.execute(kill, &[])))?;
            insert(tx, 4, "never")
        })
        .await;
    assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");
    assert_eq!(count(&home.store).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_unavailable() {
    let target = Target::Postgres("postgres://nobody@127.0.0.1:1/none".to_owned());
    let error = Store::open(&target, Options::default())
        .await
        .err()
        .unwrap();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_a_free_connection_a_call_gives_up_in_time() {
    let home = Home::with_notes(Engine::Postgres).await;
    let options = Options {
        connections: 1,
        acquire_timeout: Duration::from_millis(200),
        ..Options::default()
    };
    let small = Store::open(&home.target, options).await.unwrap();
    let busy = tokio::spawn({
        let small = small.clone();
        async move {
            small
                .scan(|db| {
                    db.query_one("select 1 from pg_sleep(0.6)", &[], |row| row.get::<i32>(0))
                })
                .await
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let result = small.write(|tx| insert(tx, 1, "never")).await;
    assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");
    assert_eq!(busy.await.unwrap().unwrap(), 1);
    add(&small, 2, "afterwards").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_before_the_commit_is_sent_leaves_no_transaction_open() {
    let home = Home::with_notes(Engine::Postgres).await;
    let options = Options {
        connections: 1,
        ..Options::default()
    };
    let small = Store::open(&home.target, options).await.unwrap();
    let note = |tx: &mut store::Tx<'_>| {
        let sql = "insert into note (id, body) values ($1, 'once')";
        tx.enqueue(sql, params![id(1)])
    };
    small.write(note).await.unwrap();
    let result = small
        .write(move |tx| {
            // Known by now, and refused; the next one has to be told to the server first.
            note(tx)?;
            tx.enqueue("delete from note where id = $1", params![id(2)])
        })
        .await;
    let refused = matches!(result, Err(Error::UniqueViolation { .. }));
    assert!(refused, "{result:?}");
    add(&small, 3, "afterwards").await;
    assert_eq!(count(&small).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_row_that_another_transaction_holds_is_given_up_in_time() {
    let home = Home::with_notes(Engine::Postgres).await;
    add(&home.store, 1, "held").await;
    let options = Options {
        lock_timeout: Duration::from_millis(100),
        ..Options::default()
    };
    let impatient = Store::open(&home.target, options).await.unwrap();
    let runtime = tokio::runtime::Handle::current();
    let change = "update note set body = 'changed' where id = $1";
    let result = home
        .store
        .write(move |tx| {
            tx.execute(change, &params![id(1)])?;
            let second = impatient.write(move |tx| tx.execute(change, &params![id(1)]));
            Ok::<_, Error>(runtime.block_on(second))
        })
        .await;
    assert!(matches!(result, Ok(Err(Error::Locked))), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_over_its_time_is_unavailable() {
    let home = Home::with_notes(Engine::Postgres).await;
    let options = Options {
        statement_timeout: Duration::from_millis(100),
        ..Options::default()
    };
    let strict = Store::open(&home.target, options).await.unwrap();
    let sleep = "select 1 from pg_sleep(0.3)";
    let result = strict
        .read(|db| db.query_one(sleep, &[], |row| row.get::<i32>(0)))
        .await;
    assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");
    let result = strict
        .scan(|db| db.query_one(sleep, &[], |row| row.get::<i32>(0)))
        .await;
    assert_eq!(result.unwrap(), 1);
    // The longer time was for that scan only.
    let result = strict
        .read(|db| db.query_one(sleep, &[], |row| row.get::<i32>(0)))
        .await;
    assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_is_left_in_a_transaction() {
    let home = Home::with_notes(Engine::Postgres).await;
    let store = &home.store;
    let in_transaction = "select count(*) from pg_stat_activity \
                          where datname = current_database() and state like 'idle in%'";
    for round in 0..20 {
        add(store, round, "x").await;
        count(store).await;
        let _ = store.write(|tx| insert(tx, 0, "same id")).await;
        let _ = store
            .read(|db| db.query("nonsense", &[], |row| row.get::<i64>(0)))
            .await;
        let _ = store.write(|_| Ok::<_, Error>(())).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let left = store
        .read(|db| db.query_one(in_transaction, &[], |row| row.get::<i64>(0)))
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_statements_than_are_kept_prepared_can_be_used() {
    let home = Home::with_notes(Engine::Postgres).await;
    let prepared = home
        .store
        .read(|db| -> Result<i64, Error> {
            for number in 0..1200_i64 {
                let sql = format!("select cast({number} + $1 as bigint)");
                let sum: i64 = db.query_one(&sql, &params![1], |row| row.get(0))?;
                assert_eq!(sum, number + 1);
            }
            db.query_one("select count(*) from pg_prepared_statements", &[], |row| {
                row.get(0)
            })
        })
        .await
        .unwrap();
    assert!(prepared <= 520, "{prepared}");
}
