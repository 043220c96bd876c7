//! Moving everything from one database into another, between all engines.

use std::sync::{Arc, Mutex};

use jiff::civil::date;
use serde_json::json;
use store::transfer::{self, Copied, CopyError, Rules, Step};
use store::{Engine, Error, Tx, Value, params};

use crate::{Home, id};

/// Each function becomes a test of each pair of engines.
macro_rules! between_all_engines {
    ($(async fn $name:ident($from:ident, $to:ident) $body:block)*) => {
        $(async fn $name($from: Home, $to: Home) $body)*

        between_all_engines!(@pair sqlite_to_sqlite Sqlite Sqlite $($name)*);
        between_all_engines!(@pair sqlite_to_postgres Sqlite Postgres $($name)*);
        between_all_engines!(@pair postgres_to_sqlite Postgres Sqlite $($name)*);
        between_all_engines!(@pair postgres_to_postgres Postgres Postgres $($name)*);
    };
    (@pair $pair:ident $from:ident $to:ident $($name:ident)*) => {
        mod $pair {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let from = super::with_places(store::Engine::$from).await;
                let to = super::with_places(store::Engine::$to).await;
                super::$name(from, to).await;
            })*
        }
    };
}

/// With a table of every kind of column, whose rows refer to each other, and
/// one that is keyed by text.
async fn with_places(engine: Engine) -> Home {
    let home = Home::new(engine).await;
    home.ddl(
        "create table place (
            id blob not null primary key, above blob references place (id),
            open integer not null, area integer, \"order\" text, seen integer, built text,
            data text, photo blob
        ) strict;;
        create table counter (
            place blob not null references place (id), name text not null, value integer,
            primary key (place, name)
        ) strict, without rowid",
        "create table place (
            id uuid not null primary key, above uuid references place (id),
            open boolean not null, area bigint, \"order\" text, seen timestamptz, built date,
            data jsonb, photo bytea
        );;
        create table counter (
            place uuid not null references place (id), name text not null, value integer,
            primary key (place, name)
        )",
    )
    .await;
    home
}

fn add(tx: &mut Tx<'_>, number: u128, above: Option<u128>, rest: [Value; 7]) -> Result<(), Error> {
    let mut values = params![id(number), above.map(id)].to_vec();
    values.extend(rest);
    tx.execute(
        "insert into place (id, above, open, area, \"order\", seen, built, data, photo)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &values,
    )?;
    Ok(())
}

fn count(tx: &mut Tx<'_>, place: u128, name: &str, value: i64) -> Result<(), Error> {
    tx.execute(
        "insert into counter (place, name, value) values ($1, $2, $3)",
        &params![id(place), name, value],
    )?;
    Ok(())
}

fn ordinary(number: i64) -> [Value; 7] {
    let instant = jiff::Timestamp::from_millisecond(1_700_000_000_000 + number).ok();
    let data = json!({"n": number, "list": [number, {"deep": [null, true, "🪵"]}]});
    params![
        number % 2 == 0,
        number,
        format!("Place {number}"),
        instant,
        date(2026, 2, 28),
        data,
        vec![0_u8, 255]
    ]
}

/// Some rows, the last of which hold what is out of the ordinary.
async fn fill(home: &Home, rows: u128) {
    home.store
        .write(move |tx| -> Result<(), Error> {
            // Those with the lowest keys lie below the first one made.
            add(tx, 10_000, None, ordinary(0))?;
            for number in 1..rows {
                add(tx, number, Some(10_000), ordinary(number as i64))?;
            }
            for name in ["a", "B", "ä", "Z", "z", "", "漢", "🪵", "_", "A b"] {
                count(tx, 1, name, i64::from(i32::MAX))?;
            }
            let nothing = std::array::from_fn(|index| match index {
                0 => Value::Bool(false),
                _ => Value::Null,
            });
            add(tx, 20_000, Some(20_000), nothing)?;
            let number: serde_json::Value =
                serde_json::from_str(r#"{"b": 1.50, "a": 12345678901234567890123}"#)
                    .map_err(|error| Error::Encode(error.to_string()))?;
            let extreme = params![
                true,
                i64::MIN,
                "'\"\\\r\n\t\u{7f}👩‍👩‍👧",
                "0001-01-01T00:00:00Z".parse::<jiff::Timestamp>().ok(),
                date(9999, 12, 31),
                number,
                Vec::<u8>::new()
            ];
            add(tx, u128::MAX, None, extreme)
        })
        .await
        .unwrap();
}

/// Everything, as text.
async fn contents(home: &Home) -> Vec<String> {
    home.store
        .read(|db| -> Result<_, Error> {
            let mut all = db.query(
                "select open, area, \"order\", seen, built, data, photo, id, above from place order by id",
                &[],
                |row| {
                    let open: bool = row.get(0)?;
                    let area: Option<i64> = row.get(1)?;
                    let order: Option<String> = row.get(2)?;
                    let seen: Option<jiff::Timestamp> = row.get(3)?;
                    let built: Option<jiff::civil::Date> = row.get(4)?;
                    let data: Option<serde_json::Value> = row.get(5)?;
                    let photo: Option<Vec<u8>> = row.get(6)?;
                    let (id, above): (uuid::Uuid, Option<uuid::Uuid>) = (row.get(7)?, row.get(8)?);
                    let data = data.map(|data| data.to_string());
                    Ok(format!(
                        "{id} {above:?} {open} {area:?} {order:?} {seen:?} {built:?} {data:?} {photo:?}"
                    ))
                },
            )?;
            let mut counters = db.query("select name, value from counter", &[], |row| {
                Ok(format!("{} {}", row.get::<String>(0)?, row.get::<i64>(1)?))
            })?;
            counters.sort();
            all.extend(counters);
            Ok(all)
        })
        .await
        .unwrap()
}

between_all_engines! {
    async fn every_row_comes_over_as_it_was(from, to) {
        fill(&from, 1_234).await;
        let copied = transfer::copy(&from.store, &to.store, Rules::default(), |_| {}).await.unwrap();
        assert_eq!(copied, Copied { tables: 2, rows: 1_234 + 2 + 10 });
        assert_eq!(contents(&to).await, contents(&from).await);
        // What refers to nothing is refused as before.
        let orphan = to.store.write(|tx| count(tx, 4_444_444, "a", 1)).await;
        assert!(matches!(orphan, Err(Error::ForeignKeyViolation { .. })), "{orphan:?}");
    }

    async fn both_rounds_are_reported_to_their_end(from, to) {
        fill(&from, 1_200).await;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = heard.clone();
        transfer::copy(&from.store, &to.store, Rules::default(), move |progress| {
            ears.lock().unwrap().push((progress.step, progress.table.to_owned(), progress.done, progress.rows));
        }).await.unwrap();
        let heard = heard.lock().unwrap();
        for step in [Step::Copying, Step::Comparing] {
            let places: Vec<_> = heard.iter().filter(|(s, table, ..)| *s == step && table == "place").collect();
            assert!(places.len() > 2 && places.is_sorted_by_key(|(.., done, _)| *done), "{places:?}");
            assert!(places.last().is_some_and(|(.., done, rows)| *done == 1_202 && *rows == 1_202));
        }
    }

    async fn a_row_that_arrives_otherwise_is_named_and_nothing_is_kept(from, to) {
        fill(&from, 700).await;
        to.ddl(
            "create trigger spoils after insert on place when new.area = 678 begin
                update place set area = 679 where id = new.id;
             end",
            "create function spoil() returns trigger language plpgsql as
             'begin if new.area = 678 then new.area := 679; end if; return new; end';;
             create trigger spoils before insert on place for each row execute function spoil()",
        ).await;
        match transfer::copy(&from.store, &to.store, Rules::default(), |_| {}).await {
            Err(CopyError::Different { table, key }) => {
                assert_eq!((table.as_str(), key), ("place", id(678).to_string()));
            }
            other => panic!("{other:?}"),
        }
        assert!(contents(&to).await.is_empty());
    }

    async fn a_row_that_does_not_arrive_is_named(from, to) {
        fill(&from, 3).await;
        to.ddl(
            "create trigger loses before insert on counter when new.name = 'Z' begin
                select raise(ignore);
             end",
            "create function lose() returns trigger language plpgsql as
             'begin if new.name = ''Z'' then return null; end if; return new; end';;
             create trigger loses before insert on counter for each row execute function lose()",
        ).await;
        match transfer::copy(&from.store, &to.store, Rules::default(), |_| {}).await {
            Err(CopyError::Different { table, key }) => {
                assert_eq!(table, "counter");
                assert!(key.starts_with(&id(1).to_string()), "{key}");
            }
            other => panic!("{other:?}"),
        }
        assert!(contents(&to).await.is_empty());
    }

    async fn what_holds_rows_or_other_tables_is_refused(from, to) {
        fill(&from, 3).await;
        fill(&to, 5).await;
        let before = contents(&to).await;
        let refused = transfer::copy(&from.store, &to.store, Rules::default(), |_| {}).await;
        assert!(matches!(refused, Err(CopyError::NotEmpty { .. })), "{refused:?}");
        assert_eq!(contents(&to).await, before);

        to.ddl("create table further (a integer primary key)", "create table further (a integer primary key)").await;
        match transfer::copy(&from.store, &to.store, Rules::default(), |_| {}).await {
            Err(CopyError::OtherTables { table }) => assert_eq!(table, "further"),
            other => panic!("{other:?}"),
        }
    }
}
