//! What only SQLite does.

use std::time::Duration;

use store::{Engine, Error, Options, Store, Target, params};

use crate::{Home, add, count, insert, newest_having};

pub(crate) fn path(home: &Home) -> &std::path::Path {
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

/// How many notes there are, and how many of them their index knows; it is whole,
/// and nothing waits for it.
async fn indexed(store: &Store) -> (i64, i64) {
    let counts = store.write(|tx| -> Result<_, Error> {
        tx.index_now()?;
        tx.execute(
            "insert into note_index (note_index, rank) values ('integrity-check', 1)",
            &[],
        )?;
        let number = |row: &store::Row<'_>| row.get::<i64>(0);
        let notes = tx.query_one("select count(*) from note", &[], number)?;
        let known = "select count(*) from note_index where note_index match '\"not\"'";
        Ok((notes, tx.query_one(known, &[], number)?))
    });
    counts.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_text_index_has_no_room_for_is_not_there_either() {
    let home = Home::with_index(Engine::Sqlite).await;
    let limit = |pages: &'static str| {
        home.store.write(move |tx| {
            let sql = format!("pragma max_page_count = {pages}");
            tx.query_one(&sql, &[], |row| row.get::<i64>(0))
        })
    };
    limit("30").await.unwrap();
    let (mut kept, mut refused) = (0, 0);
    for number in 0..200_i64 {
        // No two have a part in common but the word that is counted by.
        let doc = format!("note {:x}", (number as u128 + 7).pow(15)).repeat(20);
        let wrote = home.store.write(move |tx| {
            tx.execute(
                "insert into note values ($1, $2)",
                &params![number, doc.clone()],
            )?;
            tx.index_now()
        });
        match wrote.await {
            Ok(()) => kept += 1,
            Err(Error::Full) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(kept > 0 && refused > 0, "{kept} kept, {refused} refused");
    limit("1000000").await.unwrap();
    assert_eq!(indexed(&home.store).await, (kept, kept));
}

/// How many texts the index has yet to learn of.
async fn waiting(store: &Store) -> i64 {
    let count = "select count(*) from index_queue";
    let waiting = store.read(move |db| db.query_one(count, &[], |row| row.get(0)));
    waiting.await.unwrap()
}

/// The notes in which the term is, in the order of their numbers; by their newest as well.
async fn found(store: &Store, term: &'static str) -> Vec<i64> {
    let found = store.read(move |db| {
        let terms = [term.to_owned()];
        let (condition, values) = db.contains("note", "n", 1, &terms)?;
        let sql = format!("select number from note n where {condition} order by number");
        let found = db.query(&sql, &values, |row| row.get::<i64>(0))?;
        let mut newest = newest_having(db, &terms)?;
        newest.reverse();
        assert_eq!(found, newest, "{term}");
        Ok::<_, Error>(found)
    });
    found.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_the_index_is_found_as_it_is_now() {
    let home = Home::with_index(Engine::Sqlite).await;
    let run = |sql: &'static str| {
        let wrote = home.store.write(move |tx| tx.execute(sql, &[]));
        async { wrote.await.unwrap() }
    };
    run("insert into note values (1, 'a note of ours'), (2, 'another')").await;
    assert_eq!(waiting(&home.store).await, 2);
    assert_eq!(found(&home.store, "note").await, [1]);
    home.store.write(|tx| tx.index_now()).await.unwrap();
    assert_eq!(waiting(&home.store).await, 0);
    assert_eq!(found(&home.store, "note").await, [1]);
    assert_eq!(found(&home.store, "not").await, [1, 2]);

    let other = rusqlite::Connection::open(path(&home)).unwrap();
    let of_its_own = "update note set doc = 'a thing of its own' where number = 1";
    assert_eq!(other.execute(of_its_own, []).unwrap(), 1);
    assert_eq!(found(&home.store, "its own").await, [1]);
    assert_eq!(found(&home.store, "not").await, [2]);
    assert_eq!(found(&home.store, "ours").await, Vec::<i64>::new());

    // The number of what was deleted last is given again.
    run("delete from note where number = 2").await;
    assert_eq!(found(&home.store, "another").await, Vec::<i64>::new());
    run("insert into note values (2, 'instead')").await;
    assert_eq!(found(&home.store, "another").await, Vec::<i64>::new());
    assert_eq!(found(&home.store, "inst").await, [2]);
    run("update note set doc = 'a note again' where number = 1").await;
    assert_eq!(indexed(&home.store).await, (2, 1));
    assert_eq!(found(&home.store, "inst").await, [2]);
    assert_eq!(found(&home.store, "its own").await, Vec::<i64>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_texts_do_not_wait_for_long() {
    let home = Home::with_index(Engine::Sqlite).await;
    for number in 0..1200_i64 {
        let insert = "insert into note values ($1, 'a note')";
        home.store
            .write(move |tx| tx.execute(insert, &params![number]))
            .await
            .unwrap();
    }
    assert!(waiting(&home.store).await < 1024);
    assert_eq!(indexed(&home.store).await, (1200, 1200));
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

const MIB: u64 = 1024 * 1024;

/// Writes notes of a MiB each, and returns how long the log was at most.
async fn write_mebibytes(home: &Home, numbers: std::ops::Range<u128>) -> u64 {
    let mut longest = 0;
    for number in numbers {
        let body = "x".repeat(MIB as usize);
        let written = home.store.write(move |tx| insert(tx, number, &body));
        written.await.unwrap();
        let log = path(home).with_extension("db-wal");
        longest = longest.max(std::fs::metadata(log).unwrap().len());
    }
    longest
}

/// A reader beside the store, which needs what the log holds until it is dropped.
fn reader_that_stays(home: &Home) -> rusqlite::Connection {
    let reader = rusqlite::Connection::open(path(home)).unwrap();
    reader
        .execute_batch("begin; select count(*) from note")
        .unwrap();
    reader
}

async fn file_grows_to(home: &Home, length: u64) {
    for _ in 0..1000 {
        if std::fs::metadata(path(home)).unwrap().len() >= length {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the log is not put back");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_put_back_into_the_file_however_long_the_writes_go_on() {
    let home = Home::with_notes(Engine::Sqlite).await;
    let longest = write_mebibytes(&home, 0..600).await;
    // 512 MiB at most, and what one commit adds.
    assert!(longest < 516 * MIB, "{longest}");
    file_grows_to(&home, 400 * MIB).await;
    assert_eq!(count(&home.store).await, 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_little_was_written_is_put_back_as_well() {
    let home = Home::with_notes(Engine::Sqlite).await;
    write_mebibytes(&home, 0..2).await;
    file_grows_to(&home, 2 * MIB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stays_holds_up_no_writer_and_then_the_log_is_put_back() {
    let home = Home::with_notes(Engine::Sqlite).await;
    let reader = reader_that_stays(&home);
    write_mebibytes(&home, 0..150).await;
    let file = std::fs::metadata(path(&home)).unwrap().len();
    assert!(file < 32 * MIB, "what the reader sees was overwritten");
    drop(reader);
    write_mebibytes(&home, 150..200).await;
    file_grows_to(&home, 150 * MIB).await;
    assert_eq!(count(&home.store).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_held_is_put_back_though_nobody_writes_any_more() {
    let home = Home::with_notes(Engine::Sqlite).await;
    let reader = reader_that_stays(&home);
    write_mebibytes(&home, 0..2).await;
    // The thread has looked, and found it held.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(std::fs::metadata(path(&home)).unwrap().len() < MIB);
    drop(reader);
    file_grows_to(&home, 2 * MIB).await;
}
