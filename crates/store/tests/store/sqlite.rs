//! What only SQLite does.

use std::time::Duration;

use store::{Engine, Error, Options, Store, Target};

use crate::{Home, add, count, insert};

fn path(home: &Home) -> &std::path::Path {
    match &home.target {
        Target::Sqlite(path) => path,
        Target::Postgres(_) => unreachable!("a SQLite test"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_what_does_not_fit_and_nothing_else() {
    let home = Home::with_notes(Engine::Sqlite).await;
    let limit = |pages: i64| {
        home.store.write(move |tx| {
            tx.query_one(&format!("pragma max_page_count = {pages}"), &[], |row| {
                row.get::<i64>(0)
            })
        })
    };
    let pages = home
        .store
        .read(|db| db.query_one("pragma page_count", &[], |row| row.get::<i64>(0)))
        .await
        .unwrap();
    limit(pages + 2).await.unwrap();
    // Together with small ones, so that a group contains both.
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20_u128 {
        let store = home.store.clone();
        tasks.spawn(async move {
            let large = number % 4 == 0;
            let body = if large {
                "x".repeat(100_000)
            } else {
                "small".to_owned()
            };
            (
                large,
                store.write(move |tx| insert(tx, number, &body)).await,
            )
        });
    }
    while let Some(task) = tasks.join_next().await {
        match task.unwrap() {
            (true, Err(Error::Full)) | (false, Ok(1)) => {}
            (large, other) => panic!("large: {large}, {other:?}"),
        }
    }
    assert_eq!(count(&home.store).await, 15);
    limit(1_000_000).await.unwrap();
    home.store
        .write(|tx| insert(tx, 100, &"x".repeat(100_000)))
        .await
        .unwrap();
    assert_eq!(count(&home.store).await, 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_another_process_is_waited_for_and_then_given_up() {
    let home = Home::with_notes(Engine::Sqlite).await;
    let options = Options {
        lock_timeout: Duration::from_millis(300),
        ..Options::default()
    };
    let impatient = Store::open(&home.target, options).await.unwrap();

    let other = rusqlite::Connection::open(path(&home)).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let (one, two) = tokio::join!(
        impatient.write(|tx| insert(tx, 1, "never")),
        impatient.write(|tx| insert(tx, 2, "never")),
    );
    assert!(matches!(one, Err(Error::Unavailable(_))), "{one:?}");
    assert!(matches!(two, Err(Error::Unavailable(_))), "{two:?}");
    assert_eq!(count(&impatient).await, 0);

    let waiting = tokio::spawn({
        let store = home.store.clone();
        async move { store.write(|tx| insert(tx, 3, "after a while")).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    other.execute_batch("commit").unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(count(&impatient).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_write_is_in_the_file_before_the_store_is_closed() {
    let home = Home::with_notes(Engine::Sqlite).await;
    add(&home.store, 1, "kept").await;
    let other = rusqlite::Connection::open(path(&home)).unwrap();
    let bodies: String = other
        .query_row("select body from note", [], |row| row.get(0))
        .unwrap();
    assert_eq!(bodies, "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_writes_the_log_back_into_the_file() {
    let home = Home::with_notes(Engine::Sqlite).await;
    add(&home.store, 1, "kept").await;
    home.store.clone().close().await;
    let log = path(&home).with_extension("db-wal");
    assert!(std::fs::metadata(log).map_or(0, |log| log.len()) == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_column_in_quotes_is_an_error() {
    let home = Home::with_notes(Engine::Sqlite).await;
    let result = home
        .store
        .read(|db| db.query("select \"bdoy\" from note", &[], |row| row.get::<String>(0)))
        .await;
    assert!(matches!(result, Err(Error::Engine(_))), "{result:?}");
}
