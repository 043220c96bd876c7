//! Revisions: whether two reads see the same.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::*;
use crate::sqlite::path;

async fn revision(store: &Store) -> Option<u64> {
    store.read(|db| db.revision()).await.unwrap()
}

#[tokio::test]
async fn a_revision_lasts_until_someone_commits() {
    let home = Home::with_notes(Engine::Sqlite).await;
    let first = revision(&home.store).await;
    assert!(first.is_some());
    assert_eq!(revision(&home.store).await, first);

    add(&home.store, 1, "by the store").await;
    let second = revision(&home.store).await;
    assert!(second > first, "{second:?} after {first:?}");
    assert_eq!(revision(&home.store).await, second);

    let other = rusqlite::Connection::open(path(&home)).unwrap();
    other.execute_batch("delete from note").unwrap();
    let third = revision(&home.store).await;
    assert!(third > second, "{third:?} after {second:?}");

    other
        .execute_batch("begin; delete from note; rollback")
        .unwrap();
    assert_eq!(revision(&home.store).await, third);
}

#[tokio::test]
async fn it_is_the_same_however_often_and_whenever_one_read_asks() {
    let home = Home::with_notes(Engine::Sqlite).await;
    add(&home.store, 1, "a note").await;
    let asked = home.store.read(|db| -> Result<_, Error> {
        let early = db.revision()?;
        let notes = db.query_one("select count(*) from note", &[], |row| row.get::<i64>(0))?;
        Ok((early, notes, db.revision()?))
    });
    let (early, notes, late) = asked.await.unwrap();
    assert_eq!((early, notes), (late, 1));
}

#[tokio::test]
async fn there_is_none_on_postgres_and_none_in_a_transaction() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let home = Home::with_notes(engine).await;
        let within = home.store.write(|tx| tx.revision());
        assert_eq!(within.await.unwrap(), None);
    }
    let home = Home::with_notes(Engine::Postgres).await;
    assert_eq!(revision(&home.store).await, None);
}

/// Two writers, one of them beside the store, count up; readers keep by revision what
/// they have read, as a cache would.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reads_of_one_revision_see_the_same_and_nothing_old() {
    const LAST: i64 = 400;
    let home = Home::new(Engine::Sqlite).await;
    home.ddl(
        "create table counter (n integer not null);; insert into counter values (0)",
        "",
    )
    .await;
    let told = Arc::new(AtomicI64::new(0));
    let kept = Arc::new(Mutex::new(HashMap::<u64, i64>::new()));
    let (hits, over) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );

    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (store, told, kept) = (home.store.clone(), told.clone(), kept.clone());
        let (hits, over) = (hits.clone(), over.clone());
        readers.spawn(async move {
            while !over.load(Ordering::SeqCst) {
                let least = told.load(Ordering::SeqCst);
                let known = kept.clone();
                let read = store.read(move |db| -> Result<_, Error> {
                    let revision = db.revision()?;
                    let n = db.query_one("select n from counter", &[], |row| row.get::<i64>(0))?;
                    let known = revision
                        .map(|revision| *known.lock().unwrap().entry(revision).or_insert(n));
                    Ok((n, known))
                });
                let (n, known) = read.await.unwrap();
                assert!(n >= least, "{n} after {least}");
                if let Some(known) = known {
                    assert_eq!(known, n);
                    hits.fetch_add(1, Ordering::SeqCst);
                }
                tokio::task::yield_now().await;
            }
        });
    }
    let beside = std::thread::spawn({
        let (path, told) = (path(&home).to_owned(), told.clone());
        move || {
            let other = rusqlite::Connection::open(path).unwrap();
            other.busy_timeout(Duration::from_secs(30)).unwrap();
            let mut n = 0;
            while n < LAST {
                let sql = "update counter set n = n + 1 returning n";
                n = other.query_row(sql, [], |row| row.get(0)).unwrap();
                told.fetch_max(n, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    });
    let mut n = 0;
    while n < LAST {
        let counted = home.store.write(|tx| {
            let sql = "update counter set n = n + 1 returning n";
            tx.query_one(sql, &[], |row| row.get::<i64>(0))
        });
        n = counted.await.unwrap();
        told.fetch_max(n, Ordering::SeqCst);
    }
    beside.join().unwrap();
    over.store(true, Ordering::SeqCst);
    while let Some(reader) = readers.join_next().await {
        reader.unwrap();
    }
    assert!(hits.load(Ordering::SeqCst) > 0);
}
