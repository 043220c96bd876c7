//! How the store behaves, each sentence on both engines where both have it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod postgres;
mod revisions;
mod sqlite;
mod text_index;
mod transfer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, date};
use serde_json::json;
use store::{Engine, Error, FromColumn, Migration, Options, Pattern, Store, Target, Value, params};
use uuid::Uuid;

/// A new, empty database that goes away with this.
pub(crate) struct Home {
    pub(crate) store: Store,
    pub(crate) target: Target,
    _folder: Option<tempfile::TempDir>,
    _database: Option<postgres::Database>,
}

impl Home {
    pub(crate) async fn new(engine: Engine) -> Self {
        let (target, folder, database) = match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                (
                    Target::Sqlite(folder.path().join("test.db")),
                    Some(folder),
                    None,
                )
            }
            Engine::Postgres => {
                let database = postgres::Database::create().await;
                (Target::Postgres(database.url.clone()), None, Some(database))
            }
        };
        let store = Store::open(&target, Options::default()).await.unwrap();
        Self {
            store,
            target,
            _folder: folder,
            _database: database,
        }
    }

    /// With `create table note (id, body)`.
    pub(crate) async fn with_notes(engine: Engine) -> Self {
        let home = Self::new(engine).await;
        home.ddl(
            "create table note (id blob not null primary key, body text not null) strict",
            "create table note (id uuid not null primary key, body text not null)",
        )
        .await;
        home
    }

    /// With `create table note (number, doc)` and its text index.
    pub(crate) async fn with_index(engine: Engine) -> Self {
        let home = Self::new(engine).await;
        home.ddl(
            "create table note (number integer primary key, doc text not null) strict;;
             create virtual table note_index using fts5(doc, content = 'note',
                content_rowid = 'number', detail = none, columnsize = 0,
                tokenize = 'trigram case_sensitive 1');;
             create table index_queue (source text not null, number integer not null,
                old_doc text, new_doc text, primary key (source, number)) without rowid;;
             create trigger note_added after insert on note begin
                insert into index_queue (source, number, new_doc)
                values ('note', new.number, new.doc)
                on conflict (source, number) do update set new_doc = excluded.new_doc; end;;
             create trigger note_removed after delete on note begin
                insert into index_queue (source, number, old_doc)
                values ('note', old.number, old.doc)
                on conflict (source, number) do update set new_doc = null; end;;
             create trigger note_changed after update of doc on note begin
                insert into index_queue (source, number, old_doc, new_doc)
                values ('note', new.number, old.doc, new.doc)
                on conflict (source, number) do update set new_doc = excluded.new_doc; end;;
             create trigger note_learned after delete on index_queue when old.source = 'note' begin
                insert into note_index (note_index, rowid, doc)
                select 'delete', old.number, old.old_doc where old.old_doc is not null;
                insert into note_index (rowid, doc)
                select old.number, old.new_doc where old.new_doc is not null; end",
            "create extension if not exists pg_trgm;;
             create table note (number bigint primary key, doc text not null);;
             create index note_doc on note using gin (doc gin_trgm_ops)",
        )
        .await;
        home
    }

    pub(crate) async fn ddl(&self, sqlite: &'static str, postgres: &'static str) {
        self.store
            .write(move |tx| -> Result<(), Error> {
                let script = match tx.engine() {
                    Engine::Sqlite => sqlite,
                    Engine::Postgres => postgres,
                };
                for statement in script.split(";;") {
                    tx.execute(statement, &[])?;
                }
                Ok(())
            })
            .await
            .unwrap();
    }
}

pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn insert(tx: &mut store::Tx<'_>, number: u128, body: &str) -> Result<u64, Error> {
    tx.execute(
        "insert into note (id, body) values ($1, $2)",
        &params![id(number), body],
    )
}

fn enqueue(tx: &mut store::Tx<'_>, number: u128, body: &str) -> Result<(), Error> {
    tx.enqueue(
        "insert into note (id, body) values ($1, $2)",
        params![id(number), body],
    )
}

pub(crate) async fn add(store: &Store, number: u128, body: &'static str) {
    store
        .write(move |tx| insert(tx, number, body))
        .await
        .unwrap();
}

pub(crate) async fn count(store: &Store) -> i64 {
    store
        .read(|db| db.query_one("select count(*) from note", &[], |row| row.get(0)))
        .await
        .unwrap_or_else(|error: Error| panic!("{error}"))
}

/// The notes in which one of the terms is, the newest first, from wherever they come.
pub(crate) fn newest_having(db: &store::Db<'_>, terms: &[String]) -> Result<Vec<i64>, Error> {
    newest_matching(db, &Pattern::any_of(terms))
}

/// The notes in which the pattern is, likewise.
pub(crate) fn newest_matching(db: &store::Db<'_>, pattern: &Pattern) -> Result<Vec<i64>, Error> {
    let mut found = Vec::new();
    for walk in db.newest_matching("note", "n", 1, pattern)? {
        let sql = format!(
            "select n.number from {} where {} order by {} desc",
            walk.from,
            walk.condition,
            walk.order.replace("n.id", "n.number")
        );
        let walked = db.query(&sql, &walk.values, |row| row.get::<i64>(0))?;
        assert!(walked.is_sorted_by(|one, next| one > next), "{walked:?}");
        found.extend(walked);
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.dedup();
    Ok(found)
}

pub(crate) async fn bodies(store: &Store) -> Vec<String> {
    store
        .read(|db| db.query("select body from note order by id", &[], |row| row.get(0)))
        .await
        .unwrap_or_else(|error: Error| panic!("{error}"))
}

/// The domain's error, as a caller of the store has one.
#[derive(Debug)]
pub(crate) enum Problem {
    Refused,
    Store(Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// Each function becomes a test on SQLite and one on PostgreSQL.
macro_rules! on_both_engines {
    ($(async fn $name:ident($home:ident: $make:ident) $body:block)*) => {
        $(async fn $name($home: Home) $body)*

        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(super::Home::$make(store::Engine::Sqlite).await).await;
            })*
        }

        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(super::Home::$make(store::Engine::Postgres).await).await;
            })*
        }
    };
}

async fn comes_back<T>(store: &Store, column: &'static str, values: Vec<T>)
where
    T: FromColumn + Into<Value> + Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static,
{
    for value in values.into_iter().map(Some).chain([None]) {
        let stored = value.clone();
        let read: Option<T> = store
            .write(move |tx| {
                tx.execute("delete from kind", &[])?;
                tx.execute(
                    &format!("insert into kind ({column}) values ($1)"),
                    &params![stored.clone()],
                )?;
                tx.query_one(&format!("select {column} from kind"), &[], |row| row.get(0))
            })
            .await
            .unwrap_or_else(|error: Error| panic!("{column} {value:?}: {error}"));
        assert_eq!(read, value, "{column}");
    }
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

on_both_engines! {
    async fn every_kind_of_value_comes_back_as_it_was_stored(home: new) {
        home.ddl(
            "create table kind (a_bool integer, a_int integer, a_small integer, a_text text,
                a_uuid blob, a_time integer, a_date text, a_json text, a_blob blob) strict",
            "create table kind (a_bool boolean, a_int bigint, a_small integer, a_text text,
                a_uuid uuid, a_time timestamptz, a_date date, a_json jsonb, a_blob bytea)",
        ).await;
        let store = &home.store;
        comes_back(store, "a_bool", vec![true, false]).await;
        comes_back(store, "a_int", vec![0_i64, 1, -1, 9_999, 10_000, i64::MAX, i64::MIN]).await;
        comes_back(store, "a_small", vec![0_i32, i32::MAX, i32::MIN]).await;
        comes_back(store, "a_text", vec![
            String::new(), "Zoë 🦀 漢字".to_owned(), "'; drop table kind; --".to_owned(),
            "%_\\\"\n".to_owned(), "long ".repeat(100_000),
        ]).await;
        comes_back(store, "a_uuid", vec![Uuid::nil(), Uuid::max(), Uuid::now_v7()]).await;
        comes_back(store, "a_time", vec![
            Timestamp::UNIX_EPOCH, instant("1969-12-31T23:59:59.999Z"),
            instant("1999-12-31T23:59:59.001Z"), instant("2026-02-28T12:00:00.123Z"),
            instant("0001-01-01T00:00:00Z"), instant("9999-12-30T22:00:00Z"),
        ]).await;
        comes_back(store, "a_date", vec![
            date(2000, 1, 1), date(1999, 12, 31), date(2024, 2, 29), date(1, 1, 1),
            date(1969, 7, 20), Date::MAX,
        ]).await;
        comes_back(store, "a_json", vec![
            json!(null), json!([]), json!({"a": [1, -2.5, "x", true, null], "z": {"ü": "🦀"}}),
            json!(9_007_199_254_740_993_i64), json!("text"),
        ]).await;
        comes_back(store, "a_blob", vec![vec![], vec![0, 255, 0], vec![7; 300_000]]).await;
    }

    async fn an_instant_is_kept_to_the_millisecond(home: new) {
        home.ddl("create table kind (a_time integer)", "create table kind (a_time timestamptz)").await;
        let read: Timestamp = home.store.write(|tx| {
            tx.query_one(
                "insert into kind values ($1) returning a_time",
                &params![instant("2026-01-01T00:00:00.123999Z")],
                |row| row.get(0),
            )
        }).await.unwrap_or_else(|error: Error| panic!("{error}"));
        assert_eq!(read, instant("2026-01-01T00:00:00.123Z"));
    }

    async fn what_one_engine_could_not_store_neither_does(home: with_notes) {
        let result = home.store.write(|tx| insert(tx, 1, "nul \0 character")).await;
        assert!(matches!(result, Err(Error::Encode(_))), "{result:?}");
        assert_eq!(count(&home.store).await, 0);
    }

    async fn sums_are_read_as_integers(home: new) {
        home.ddl("create table sale (amount integer)", "create table sale (amount bigint)").await;
        for (amounts, sum) in [
            (vec![1_i64, 2], 3_i64), (vec![-10_000], -10_000), (vec![100_000_000, 1], 100_000_001),
            (vec![0], 0), (vec![i64::MAX - 1, 1], i64::MAX), (vec![i64::MIN], i64::MIN),
            (vec![-1], -1), (vec![5_000_000_000_000], 5_000_000_000_000),
        ] {
            let read: (i64, bool) = home.store.write(move |tx| {
                tx.execute("delete from sale", &[])?;
                for amount in &amounts {
                    tx.execute("insert into sale values ($1)", &params![*amount])?;
                }
                tx.query_one("select sum(amount), sum(amount) >= $1 from sale", &params![sum],
                    |row| Ok((row.get(0)?, row.get(1)?)))
            }).await.unwrap_or_else(|error: Error| panic!("{error}"));
            assert_eq!(read, (sum, true));
        }
    }

    async fn parameters_may_repeat_and_stand_in_any_order(home: new) {
        let row: (String, i64, String, i64) = home.store.read(|db| {
            db.query_one(
                "select cast($2 as text), cast($1 as bigint), cast($2 as text), \
                 cast($3 as bigint) where $1 < $3",
                &params![7_i64, "seven", 8_i64],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
        }).await.unwrap_or_else(|error: Error| panic!("{error}"));
        assert_eq!(row, ("seven".to_owned(), 7, "seven".to_owned(), 8));
    }

    async fn too_few_or_too_many_values_are_an_error(home: with_notes) {
        for values in [vec![], vec![Value::from(id(1)), Value::from("a"), Value::from("b")]] {
            let result = home.store.write(move |tx| {
                tx.execute("insert into note (id, body) values ($1, $2)", &values)
            }).await;
            assert!(matches!(result, Err(Error::Parameters { .. })), "{result:?}");
        }
    }

    async fn a_column_of_another_type_is_named_in_the_error(home: with_notes) {
        add(&home.store, 1, "text").await;
        let error = home.store.read(|db| {
            db.query_one("select body from note", &[], |row| row.get::<i64>(0))
        }).await.unwrap_err();
        assert!(matches!(error, Error::Decode { ref column, .. } if column == "body"), "{error}");
    }

    async fn rows_are_found_by_a_list_of_ids(home: with_notes) {
        for number in 1..=5 {
            add(&home.store, number, "note").await;
        }
        for (wanted, found) in [(vec![1, 3, 99], 2), (vec![], 0), (vec![2, 2], 1)] {
            let ids: Vec<Uuid> = wanted.into_iter().map(id).collect();
            let rows = home.store.read(move |db| {
                db.query(&format!("select id from note where id {}", db.engine().any(1)),
                    &params![ids], |row| row.get::<Uuid>(0))
            }).await.unwrap();
            assert_eq!(rows.len(), found);
        }
    }

    async fn returning_gives_the_rows_that_were_written(home: with_notes) {
        let returned: Vec<String> = home.store.write(|tx| {
            tx.query("insert into note (id, body) values ($1, $2), ($3, $2) returning body",
                &params![id(1), "twice", id(2)], |row| row.get(0))
        }).await.unwrap_or_else(|error: Error| panic!("{error}"));
        assert_eq!(returned, ["twice", "twice"]);
        let first: Option<String> = home.store.write(|tx| {
            tx.query_opt("update note set body = $1 returning body", &params!["all"],
                |row| row.get(0))
        }).await.unwrap_or_else(|error: Error| panic!("{error}"));
        assert_eq!(first.as_deref(), Some("all"));
        assert_eq!(bodies(&home.store).await, ["all", "all"]);
    }

    async fn execute_tells_how_many_rows_it_changed(home: with_notes) {
        add(&home.store, 1, "one").await;
        add(&home.store, 2, "two").await;
        let counts = home.store.write(|tx| -> Result<_, Error> {
            Ok((
                tx.execute("update note set body = $1", &params!["x"])?,
                tx.execute("delete from note where id = $1", &params![id(9)])?,
                tx.execute("delete from note where id = $1", &params![id(1)])?,
            ))
        }).await.unwrap();
        assert_eq!(counts, (2, 0, 1));
        let counts = home.store.write(|tx| -> Result<_, Error> {
            tx.execute("insert into note (id, body) values ($1, 'x')", &params![id(5)])?;
            Ok((
                tx.execute("create table other (n integer)", &[])?,
                tx.execute("select id from note", &[])?,
                tx.execute("delete from note returning id", &[])?,
            ))
        }).await.unwrap();
        assert_eq!(counts, (0, 2, 2));
    }

    async fn a_write_that_fails_leaves_nothing(home: with_notes) {
        let result = home.store.write(|tx| -> Result<(), Problem> {
            insert(tx, 1, "never")?;
            Err(Problem::Refused)
        }).await;
        assert!(matches!(result, Err(Problem::Refused)));
        assert_eq!(count(&home.store).await, 0);
    }

    async fn a_read_can_not_write(home: with_notes) {
        let result = home.store.read(|db| {
            db.query("insert into note (id, body) values ($1, 'x') returning id",
                &params![id(1)], |row| row.get::<Uuid>(0))
        }).await;
        assert!(matches!(result, Err(Error::Engine(_))), "{result:?}");
        assert_eq!(count(&home.store).await, 0);
    }

    async fn a_savepoint_is_rolled_back_alone(home: with_notes) {
        home.store.write(|tx| -> Result<(), Problem> {
            insert(tx, 1, "before")?;
            let inner = tx.savepoint(|tx| -> Result<(), Problem> {
                insert(tx, 2, "undone")?;
                tx.savepoint(|tx| insert(tx, 3, "undone with the outer"))?;
                Err(Problem::Refused)
            });
            assert!(matches!(inner, Err(Problem::Refused)));
            // Also one whose statement failed, and one that did nothing.
            let inner = tx.savepoint(|tx| insert(tx, 1, "same id"));
            assert!(matches!(inner, Err(Error::UniqueViolation { .. })), "{inner:?}");
            let inner = tx.savepoint(|_| Err::<(), _>(Problem::Refused));
            assert!(inner.is_err());
            tx.savepoint(|tx| insert(tx, 4, "kept"))?;
            insert(tx, 5, "after")?;
            Ok(())
        }).await.unwrap();
        assert_eq!(bodies(&home.store).await, ["before", "kept", "after"]);
    }

    async fn what_is_enqueued_happens_in_its_order(home: with_notes) {
        home.store.write(|tx| -> Result<(), Problem> {
            enqueue(tx, 1, "first")?;
            let seen = tx.query("select body from note", &[], |row| row.get::<String>(0))?;
            assert_eq!(seen, ["first"]);
            enqueue(tx, 2, "undone")?;
            enqueue(tx, 3, "kept")?;
            tx.execute("delete from note where id = $1", &params![id(2)])?;
            let inner = tx.savepoint(|tx| -> Result<(), Problem> {
                // Neither the one that has gone out nor the one that has not.
                insert(tx, 4, "undone")?;
                enqueue(tx, 5, "undone")?;
                Err(Problem::Refused)
            });
            assert!(matches!(inner, Err(Problem::Refused)));
            let inner = tx.savepoint(|tx| -> Result<(), Problem> {
                enqueue(tx, 6, "undone")?;
                Err(Problem::Refused)
            });
            assert!(matches!(inner, Err(Problem::Refused)));
            tx.savepoint(|tx| enqueue(tx, 7, "last"))?;
            Ok(())
        }).await.unwrap();
        assert_eq!(bodies(&home.store).await, ["first", "kept", "last"]);
    }

    async fn what_is_enqueued_alone_is_written_too(home: with_notes) {
        home.store.write(|tx| enqueue(tx, 1, "alone")).await.unwrap();
        assert_eq!(bodies(&home.store).await, ["alone"]);
    }

    async fn what_is_enqueued_and_fails_after_all_fails_the_write(home: with_notes) {
        add(&home.store, 1, "first").await;
        let at_the_end = home.store.write(|tx| {
            insert(tx, 2, "second")?;
            enqueue(tx, 1, "same id")
        }).await;
        assert!(matches!(at_the_end, Err(Error::UniqueViolation { .. })), "{at_the_end:?}");
        let on_the_way = home.store.write(|tx| {
            enqueue(tx, 1, "same id")?;
            insert(tx, 2, "second").map(drop)
        }).await;
        assert!(matches!(on_the_way, Err(Error::UniqueViolation { .. })), "{on_the_way:?}");
        let unstorable = home.store.write(|tx| enqueue(tx, 2, "nul \0")).await;
        assert!(matches!(unstorable, Err(Error::Encode(_))), "{unstorable:?}");
        assert_eq!(bodies(&home.store).await, ["first"]);
    }

    async fn a_statement_that_failed_dooms_the_transaction_that_goes_on(home: with_notes) {
        add(&home.store, 1, "first").await;
        let result = home.store.write(|tx| -> Result<(), Error> {
            insert(tx, 2, "second")?;
            let _ = insert(tx, 1, "same id");
            Ok(())
        }).await;
        assert!(matches!(result, Err(Error::Aborted)), "{result:?}");
        let result = home.store.write(|tx| {
            let _ = insert(tx, 1, "same id");
            insert(tx, 2, "second")
        }).await;
        assert!(matches!(result, Err(Error::Aborted)), "{result:?}");
        assert_eq!(bodies(&home.store).await, ["first"]);
    }

    async fn violated_constraints_have_the_same_names(home: new) {
        home.ddl(
            "create table team (id integer primary key) strict;;
             create table person (id blob primary key, team integer references team (id),
                email text not null, nick text unique, a integer, b integer, word text, unique (a, b)) strict;;
             create unique index person_email on person (email) where email <> '';;
             create unique index person_folded on person (lower(word))",
            "create table team (id bigint primary key);;
             create table person (id uuid primary key, team bigint references team (id),
                email text not null, nick text unique, a bigint, b bigint, word text, unique (a, b));;
             create unique index person_email on person (email) where email <> '';;
             create unique index person_folded on person (lower(word))",
        ).await;
        let person = "insert into person (id, team, email, nick, a, b, word) \
                      values ($1, $2, $3, $4, $5, $6, $7)";
        home.store.write(move |tx| {
            tx.execute("insert into team (id) values (1)", &[])?;
            tx.execute(person, &params![id(1), 1, "a@b", "ada", 1, 2, "w"])
        }).await.unwrap_or_else(|error: Error| panic!("{error}"));
        for (values, name) in [
            (params![id(1), 1, "", "x", 2, 2, ""], "person_pkey"),
            (params![id(2), 1, "a@b", "x", 2, 2, ""], "person_email"),
            (params![id(2), 1, "", "ada", 2, 2, ""], "person_nick_key"),
            (params![id(2), 1, "", "x", 2, 2, "W"], "person_folded"),
            (params![id(2), 1, "", "x", 1, 2, ""], "person_a_b_key"),
        ] {
            let error = home.store.write(move |tx| tx.execute(person, &values)).await.unwrap_err();
            assert!(
                matches!(error, Error::UniqueViolation { ref constraint } if constraint == name),
                "{name}: {error}"
            );
        }
        let error = home.store.write(|tx| tx.execute("insert into team (id) values (1)", &[]))
            .await.unwrap_err();
        assert!(matches!(error, Error::UniqueViolation { ref constraint }
            if constraint == "team_pkey"), "{error}");
        let error = home.store.write(move |tx| {
            tx.execute(person, &params![id(2), 7, "", Value::Null, 5, 5, ""])
        }).await.unwrap_err();
        assert!(matches!(error, Error::ForeignKeyViolation { .. }), "{error}");
        let error = home.store.write(|tx| {
            // What is returned must not hide that the statement fails.
            tx.query_opt("delete from team where id = 1 returning id", &[],
                |row| row.get::<i64>(0))
        }).await.unwrap_err();
        assert!(matches!(error, Error::ForeignKeyViolation { .. }), "{error}");
    }

    async fn an_error_does_not_quote_what_was_bound(home: with_notes) {
        home.ddl(
            "create table mail (address text not null check (length(address) < 9), n integer) strict",
            "create table mail (address text not null check (length(address) < 9), n bigint)",
        ).await;
        for (sql, value) in [
            ("insert into mail (address) values ($1)", Value::from("ada@lovelace.example")),
            ("insert into mail (address, n) values ('', $1)", Value::from("lovelace")),
            ("insert into mail (address, n) values ('', cast(cast($1 as text) as date))",
             Value::from("lovelace")),
        ] {
            if let Err(error) = home.store.write(move |tx| {
                tx.execute(sql, std::slice::from_ref(&value))
            }).await {
                assert!(!format!("{error} {error:?}").contains("lovelace"), "{error:?}");
            }
        }
    }

    async fn a_closure_that_panics_answers_an_error_and_harms_nobody(home: with_notes) {
        let store = &home.store;
        for round in 0..20 {
            let result = store.write(move |tx| -> Result<(), Error> {
                insert(tx, 1000 + round, "never")?;
                panic!("on purpose");
            }).await;
            assert!(matches!(result, Err(Error::Panicked)), "{result:?}");
            let result = store.read(|_| -> Result<(), Error> { panic!("on purpose") }).await;
            assert!(matches!(result, Err(Error::Panicked)), "{result:?}");
            let result = store.scan(|db| -> Result<(), Error> {
                db.each("select 1", &[], |_| panic!("on purpose"))
            }).await;
            assert!(matches!(result, Err(Error::Panicked)), "{result:?}");
            add(store, round, "fine").await;
        }
        assert_eq!(count(store).await, 20);
    }

    async fn many_writes_at_once_all_happen_or_fail_each_for_itself(home: with_notes) {
        add(&home.store, 0, "taken").await;
        let mut tasks = tokio::task::JoinSet::new();
        for number in 1..=300_u128 {
            let store = home.store.clone();
            tasks.spawn(async move {
                let result = store.write(move |tx| -> Result<(), Problem> {
                    insert(tx, number, "written")?;
                    match number % 5 {
                        0 => Err(Problem::Refused),
                        1 => Ok(insert(tx, 0, "taken already").map(drop)?),
                        _ => Ok(()),
                    }
                }).await;
                match (number % 5, result) {
                    (0, Err(Problem::Refused))
                    | (1, Err(Problem::Store(Error::UniqueViolation { .. })))
                    | (2.., Ok(())) => {}
                    (_, other) => panic!("{number}: {other:?}"),
                }
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        assert_eq!(count(&home.store).await, 1 + 180);
        let stats = home.store.stats();
        match home.store.engine() {
            Engine::Sqlite => assert!(stats.commits < stats.kept, "{stats:?}"),
            Engine::Postgres => assert!(stats.commits >= 181, "{stats:?}"),
        }
        assert_eq!(stats.commits_by_size.iter().sum::<u64>(), stats.commits, "{stats:?}");
        assert!(stats.kept >= 181 && stats.kept <= stats.jobs, "{stats:?}");
        assert_eq!((stats.waiting, stats.in_use), (0, 0), "{stats:?}");
    }

    async fn a_caller_that_goes_away_harms_nobody(home: with_notes) {
        for number in 0..200 {
            let write = home.store.write(move |tx| {
                std::thread::sleep(Duration::from_micros(200));
                insert(tx, number, "perhaps")
            });
            let _ = tokio::time::timeout(Duration::from_micros(100), write).await;
        }
        add(&home.store, 1000, "surely").await;
        assert_eq!(bodies(&home.store).await.last().unwrap(), "surely");
    }

    async fn a_read_sees_one_moment_while_others_write(home: with_notes) {
        add(&home.store, 1, "first").await;
        let (seen, go_on) = (Arc::new(tokio::sync::Barrier::new(2)), Arc::new(AtomicUsize::new(0)));
        let reader = {
            let (store, seen, go_on) = (home.store.clone(), seen.clone(), go_on.clone());
            let runtime = tokio::runtime::Handle::current();
            tokio::spawn(async move {
                store.scan(move |db| -> Result<_, Error> {
                    let count = |db: &store::Db<'_>| {
                        db.query_one("select count(*) from note", &[], |row| row.get::<i64>(0))
                    };
                    let before = count(db)?;
                    runtime.block_on(seen.wait());
                    while go_on.load(Ordering::SeqCst) == 0 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    Ok((before, count(db)?))
                }).await
            })
        };
        seen.wait().await;
        add(&home.store, 2, "second").await;
        go_on.store(1, Ordering::SeqCst);
        assert_eq!(reader.await.unwrap().unwrap(), (1, 1));
        assert_eq!(count(&home.store).await, 2);
    }

    async fn each_passes_all_rows_and_lets_statements_run_in_between(home: with_notes) {
        home.store.write(|tx| -> Result<(), Error> {
            for number in 0..1500 {
                insert(tx, number, "one of many")?;
            }
            Ok(())
        }).await.unwrap();
        let seen = home.store.scan(|db| -> Result<_, Error> {
            let mut seen = Vec::new();
            db.each("select id from note where body = $1 order by id", &params!["one of many"],
                |row| {
                    let id: Uuid = row.get(0)?;
                    if seen.len() % 100 == 0 {
                        let mut inner = 0;
                        db.each("select body from note where id = $1", &params![id], |row| {
                            assert_eq!(row.get::<String>(0)?, "one of many");
                            inner += 1;
                            Ok(())
                        })?;
                        assert_eq!(inner, 1);
                    }
                    seen.push(id);
                    Ok(())
                })?;
            // Another one after it, and one that is broken off.
            let mut rows = 0;
            let stopped = db.each("select id from note", &[], |_| {
                rows += 1;
                if rows == 700 { Err(Error::NoRow) } else { Ok(()) }
            });
            assert!(matches!(stopped, Err(Error::NoRow)));
            let count: i64 = db.query_one("select count(*) from note", &[], |row| row.get(0))?;
            Ok((seen, rows, count))
        }).await.unwrap();
        assert_eq!(seen.0, (0..1500).map(id).collect::<Vec<_>>());
        assert_eq!((seen.1, seen.2), (700, 1500));
    }

    async fn a_search_takes_every_character_as_itself(home: with_index) {
        let docs = [
            "100% sure", "100 percent", "snake_case", "snakexcase", "say \"hello\" twice",
            "c:\\temp\\new", "it's o'clock", "🦀🦀🦀 ferris", "zoe muller", "a* or not and near",
        ];
        home.store.write(move |tx| -> Result<(), Error> {
            for (number, doc) in (0_i64..).zip(docs) {
                tx.execute("insert into note values ($1, $2)", &params![number, "other"])?;
                tx.execute("update note set doc = $2 where number = $1", &params![number, doc])?;
            }
            Ok(())
        }).await.unwrap();
        for (term, found) in [
            ("100%", vec![0]), ("100", vec![0, 1]), ("ke_c", vec![2]), ("\"hello\"", vec![4]),
            ("\"", vec![4]), ("c:\\t", vec![5]), ("\\", vec![5]), ("'s o'", vec![6]),
            ("🦀🦀🦀", vec![7]), ("🦀🦀🦀 f", vec![7]), ("🦀", vec![7]), ("zoe mul", vec![8]),
            ("zo", vec![8]), ("a* or", vec![9]), ("or not and", vec![9]), ("other", vec![]),
            ("%%%", vec![]), ("___", vec![]), ("e m", vec![8]),
        ] {
            let terms = [term.to_owned()];
            for indexed in [true, false] {
                let terms = terms.clone();
                let numbers = home.store.read(move |db| {
                    let (condition, values) = match indexed && db.engine().has_index_for(&terms) {
                        true => db.contains("note", "n", 2, &terms)?,
                        false => db.engine().scan_contains("n", 2, &terms),
                    };
                    let mut params = vec![Value::from(0)];
                    params.extend(values);
                    db.query(
                        &format!("select number from note n where number >= $1 and {condition} \
                                  order by number"),
                        &params, |row| row.get::<i64>(0))
                }).await.unwrap_or_else(|error: Error| panic!("{term}: {error}"));
                assert_eq!(numbers, found, "{term} indexed: {indexed}");
            }
        }
    }

    async fn a_text_is_found_as_a_whole_and_not_where_its_parts_are(home: with_index) {
        let docs = [
            "roof repair, zinc or tin, near the old installation",
            "installation of a zinc roof", "zinc roof: installation of a",
            "the installation of a zinc roof is done", "installation of a zink roof",
        ];
        home.store.write(move |tx| -> Result<(), Error> {
            for (number, doc) in (0_i64..).zip(docs) {
                tx.execute("insert into note values ($1, $2)", &params![number, doc])?;
            }
            tx.index_now()
        }).await.unwrap();
        for (terms, found) in [
            (vec!["installation of a zinc roof"], vec![3, 1]),
            (vec!["a zinc roof", "roof repair, zinc"], vec![3, 1, 0]),
            (vec!["of a zinc roof: installation"], vec![]),
            (vec!["installation of a zin"], vec![4, 3, 1]),
            (vec!["zin"], vec![4, 3, 2, 1, 0]),
        ] {
            let terms: Vec<_> = terms.into_iter().map(str::to_owned).collect();
            let (numbers, count) = home.store.read(move |db| -> Result<_, Error> {
                let numbers = newest_having(db, &terms)?;
                let count = match db.count_containing("note", &terms, 100)? {
                    Some((sql, values)) => db.query_one(&sql, &values, |row| row.get(0))?,
                    None => numbers.len() as i64,
                };
                Ok((numbers, count))
            }).await.unwrap();
            assert_eq!((&numbers, count), (&found, found.len() as i64));
        }
    }

    async fn a_text_index_follows_whatever_one_transaction_does(home: with_index) {
        let found = |db: &store::Db<'_>, term: &str| {
            let (condition, values) = db.contains("note", "n", 1, &[term.to_owned()])?;
            let sql = format!("select number from note n where {condition} order by number");
            db.query(&sql, &values, |row| row.get::<i64>(0))
        };
        home.store.write(move |tx| -> Result<(), Error> {
            tx.execute("insert into note values (1, 'first'), (2, 'second'), (3, 'third')", &[])?;
            // Not known yet where that waits, and asked for here.
            tx.index_now()?;
            assert_eq!(found(tx, "second")?, [2]);
            tx.execute("update note set doc = 'other' where number = 2", &[])?;
            tx.execute("update note set doc = 'another' where number = 2", &[])?;
            tx.execute("delete from note where number = 3", &[])?;
            tx.execute("insert into note values (3, 'again')", &[])?;
            tx.execute("insert into note values (4, 'short-lived')", &[])?;
            tx.execute("delete from note where number in (1, 4)", &[])?;
            let undone = tx.savepoint(|tx| {
                tx.execute("update note set doc = 'undone' where number = 2", &[])?;
                tx.index_now()?;
                assert_eq!(found(tx, "undone")?, [2]);
                Err::<(), _>(Error::NoRow)
            });
            assert!(matches!(undone, Err(Error::NoRow)));
            Ok(())
        }).await.unwrap();
        let expected: [(&str, &[i64]); 8] = [
            ("first", &[]), ("second", &[]), ("third", &[]), ("another", &[2]), ("again", &[3]),
            ("short", &[]), ("undone", &[]), ("ano", &[2]),
        ];
        for (term, numbers) in expected {
            assert_eq!(home.store.read(move |db| found(db, term)).await.unwrap(), numbers, "{term}");
        }
        // What the index holds beyond that, only it can tell.
        home.store.write(|tx| -> Result<(), Error> {
            tx.index_now()?;
            if tx.engine() == Engine::Sqlite {
                tx.execute("insert into note_index (note_index, rank) values ('integrity-check', 1)", &[])?;
            }
            Ok(())
        }).await.unwrap();
    }

    async fn four_that_open_at_once_migrate_once(home: new) {
        let mut openers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let target = home.target.clone();
            openers.spawn(async move {
                let store = Store::open(&target, Options::default()).await.unwrap();
                let applied = store.migrate(&MIGRATIONS).await.unwrap();
                assert_eq!(store.pending(&MIGRATIONS).await.unwrap(), Vec::<u32>::new());
                assert_eq!(store.schema_version().await.unwrap(), 3);
                store.close().await;
                applied
            });
        }
        let mut applied = Vec::new();
        while let Some(numbers) = openers.join_next().await {
            applied.extend(numbers.unwrap());
        }
        applied.sort_unstable();
        assert_eq!(applied, [1, 2, 3]);
        assert!(home.store.migrate(&MIGRATIONS).await.unwrap().is_empty());
    }

    async fn a_database_of_a_newer_program_is_refused(home: new) {
        assert_eq!(home.store.pending(&MIGRATIONS).await.unwrap(), [1, 2, 3]);
        home.store.migrate(&MIGRATIONS).await.unwrap();
        for result in [
            home.store.migrate(&MIGRATIONS[..2]).await,
            home.store.pending(&MIGRATIONS[..2]).await,
        ] {
            assert!(matches!(result, Err(Error::NewerSchema { database: 3, known: 2 })), "{result:?}");
        }
    }

    async fn a_migration_that_fails_leaves_nothing_of_itself(home: new) {
        let error = home.store.migrate(&BROKEN).await.unwrap_err();
        assert!(matches!(error, Error::Migration { number: 2, .. }), "{error}");
        assert_eq!(home.store.schema_version().await.unwrap(), 1);
        home.store.migrate(&MIGRATIONS).await.unwrap();
        assert_eq!(home.store.schema_version().await.unwrap(), 3);
    }

    async fn a_closed_store_finishes_what_waits_and_takes_no_more(home: with_notes) {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..50 {
            let store = home.store.clone();
            tasks.spawn(async move { store.write(move |tx| insert(tx, number, "x")).await });
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        home.store.clone().close().await;
        let mut written = 0;
        while let Some(result) = tasks.join_next().await {
            match result.unwrap() {
                Ok(_) => written += 1,
                Err(Error::Unavailable(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let result = home.store.read(|db| db.query_one("select 1", &[], |row| row.get::<i64>(0))).await;
        assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");
        let again = Store::open(&home.target, Options::default()).await.unwrap();
        assert_eq!(count(&again).await, written);
    }

    async fn a_statement_survives_a_change_of_the_schema(home: with_notes) {
        let all = |db: &store::Db<'_>| db.query("select * from note", &[], |row| row.get::<String>(1));
        add(&home.store, 1, "kept").await;
        // Into every idle connection.
        for _ in 0..3 {
            assert_eq!(home.store.read(all).await.unwrap(), ["kept"]);
            home.store.write(move |tx| all(tx)).await.unwrap();
        }
        home.ddl("alter table note add column more text", "alter table note add column more text").await;
        assert_eq!(home.store.read(all).await.unwrap(), ["kept"]);
        home.store.write(move |tx| { insert(tx, 2, "also")?; all(tx) }).await.unwrap();
        home.ddl("alter table note add column third text", "alter table note add column third text").await;
        let rows = home.store.write(move |tx| { insert(tx, 3, "too")?; all(tx) }).await.unwrap();
        assert_eq!(rows.len(), 3);
    }
}

static MIGRATIONS: [Migration; 3] = [
    Migration {
        number: 1,
        name: "first",
        sqlite: "create table parent (id integer primary key);
                 create table child (parent integer not null references parent on delete cascade);
                 insert into parent values (1); insert into child values (1);",
        postgres: "create table parent (id bigint primary key);
                 create table child (parent bigint not null references parent on delete cascade);
                 insert into parent values (1); insert into child values (1);",
    },
    Migration {
        number: 2,
        name: "rebuild the parent",
        sqlite: "create table new_parent (id integer primary key, name text);
                 insert into new_parent select id, 'x' from parent;
                 drop table parent; alter table new_parent rename to parent;",
        postgres: "alter table parent add column name text not null default 'x'",
    },
    Migration {
        number: 3,
        name: "needs the child",
        sqlite: "create table only_once (n integer check (n = 1));
                 insert into only_once select count(*) from child;",
        postgres: "create table only_once (n integer check (n = 1));
                 insert into only_once select count(*) from child;",
    },
];

static BROKEN: [Migration; 2] = [
    MIGRATIONS[0],
    Migration {
        number: 2,
        name: "broken",
        sqlite: "create table half (a integer); insert into nowhere values (1);",
        postgres: "create table half (a integer); insert into nowhere values (1);",
    },
];

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Different for each database of a run, and for each run.
pub(crate) fn unique_name() -> String {
    format!(
        "store_test_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
