//! What SQLite's text index is asked for, and what is found by it.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use store::{Engine, Error, Pattern, Value, params};

use crate::{Home, newest_matching};

/// What the index is asked for, for it to find a pattern.
fn asked(db: &store::Db<'_>, pattern: &Pattern) -> Result<String, Error> {
    let walks = db.newest_matching("note", "n", 1, pattern)?;
    match &walks[0].values[0] {
        Value::Text(query) => Ok(query.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_common_is_known_of_all_of_a_table() {
    for (apart, rows) in [(1, 3000), (1, 2047), (7919, 1500), (1, 1)] {
        let home = Home::with_index(Engine::Sqlite).await;
        let wrote = home.store.write(move |tx| -> Result<(), Error> {
            for row in 0..rows {
                let doc = ["roofs by mail", "fences by mail"][usize::from(row >= rows / 2)];
                let number = 1_000_000 + row * apart;
                tx.execute("insert into note values ($1, $2)", &params![number, doc])?;
            }
            Ok(())
        });
        wrote.await.unwrap();
        let read = home.store.read(move |db| -> Result<(), Error> {
            for word in ["roofs", "fences"] {
                let word = Pattern::Text(word.to_owned());
                let mail = Pattern::Text("by mail".to_owned());
                let query = asked(db, &Pattern::All(vec![mail, word]))?;
                // Of what is unknown two parts are asked for, to be sure.
                let is_known = !query.contains(" AND ");
                assert_eq!(is_known, rows > 1, "{query} of {rows}");
            }
            Ok(())
        });
        read.await.unwrap();
    }
}

/// Whether a text has what is looked for.
fn has(pattern: &Pattern, text: &str) -> bool {
    match pattern {
        Pattern::Text(part) => text.contains(part),
        Pattern::All(parts) => parts.iter().all(|part| has(part, text)),
        Pattern::Any(parts) => parts.iter().any(|part| has(part, text)),
    }
}

/// Patterns of few letters, so that they are found.
fn patterns() -> impl Strategy<Value = Pattern> + use<> {
    let text = "[a-c ]{3,6}".prop_map(Pattern::Text);
    text.prop_recursive(3, 12, 4, |inner| {
        let some = proptest::collection::vec(inner, 1..4);
        some.prop_flat_map(|some| {
            proptest::sample::select(vec![Pattern::All(some.clone()), Pattern::Any(some)])
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_looked_for_is_found_where_it_is() {
    let home = Home::with_index(Engine::Sqlite).await;
    let mut runner = TestRunner::deterministic();
    let text = "[a-c ]{4,40}";
    let docs: Vec<_> = (0..400)
        .map(|_| text.new_tree(&mut runner).unwrap().current())
        .collect();
    let written = docs.clone();
    let wrote = home.store.write(move |tx| -> Result<(), Error> {
        for (number, doc) in (0_i64..).zip(&written) {
            tx.execute(
                "insert into note values ($1, $2)",
                &params![number, doc.as_str()],
            )?;
            // A part of them waits.
            if number == 300 {
                tx.index_now()?;
            }
        }
        Ok(())
    });
    wrote.await.unwrap();
    let read = home.store.read(move |db| -> Result<(), Error> {
        let mut runner = TestRunner::deterministic();
        let (mut found_some, strategy) = (0, patterns());
        for _ in 0..2000 {
            let pattern = strategy.new_tree(&mut runner).unwrap().current();
            let mut expected: Vec<_> = (0_i64..)
                .zip(&docs)
                .filter(|(_, doc)| has(&pattern, doc))
                .map(|(number, _)| number)
                .collect();
            expected.reverse();
            found_some += usize::from(!expected.is_empty());
            assert_eq!(newest_matching(db, &pattern)?, expected, "{pattern:?}");
        }
        assert!(found_some > 500, "only {found_some} were found");
        Ok(())
    });
    read.await.unwrap();
}
