//! Mappings and files that no one would write: each is read or refused, and no
//! row of one ends an import.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

use super::*;

/// Values that mean something in some column, or upset what reads them.
const VALUES: [&str; 20] = [
    "",
    " ",
    "D1",
    "Acme",
    "Moses Frase",
    "GTX Pro",
    "Talking",
    "Won",
    "9/31/2016",
    "12/31/9999",
    "1/1/0001",
    "1,054.50",
    "922337203685477.5808",
    "1e400",
    "-0",
    "ada@example.com",
    "0412 345 678",
    "\u{0}",
    "{id}\n\"}",
    "\u{202e}İ\u{301}",
];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&VALUES[..]).prop_map(str::to_owned),
        1 => (select(&VALUES[..]), 2..300_usize).prop_map(|(text, times)| text.repeat(times)),
        2 => any::<String>(),
    ]
}

/// A table of that header: a CSV file of rows with any values, or, beside a
/// good row, any bytes.
fn table(header: &'static str, good: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let width = header.split(',').count();
    let row = prop::collection::vec(value(), width);
    let rows = prop::collection::vec(row, 0..12).prop_map(move |rows| {
        let mut file = csv::Writer::from_writer(format!("{header}\n{good}\n").into_bytes());
        for row in rows {
            file.write_record(row).unwrap();
        }
        file.into_inner().unwrap()
    });
    let bytes = prop::collection::vec(any::<u8>(), 0..300)
        .prop_map(move |bytes| [format!("{header}\n{good}\n").as_bytes(), &bytes].concat());
    prop_oneof![6 => rows, 1 => bytes]
}

/// The same input in each run, unless another seed is asked for.
fn runner(cases: u32) -> TestRunner {
    let chosen = Config::default();
    TestRunner::new(Config {
        cases: match std::env::var_os("PROPTEST_CASES") {
            Some(_) => chosen.cases,
            None => cases,
        },
        rng_seed: match chosen.rng_seed {
            RngSeed::Random => RngSeed::Fixed(0),
            fixed => fixed,
        },
        failure_persistence: None,
        ..chosen
    })
}

/// Imports what is in the home's folder, twice.
async fn import_twice(home: &Home) -> Result<(), TestCaseError> {
    for again in [false, true] {
        let plan = match home.plan(MAPPING) {
            Ok(plan) => plan,
            // No row was looked at: the file is none, or not of these columns.
            Err(_) => return Ok(()),
        };
        let report = run::run(&home.store, &home.who, plan, false, |_, _| {})
            .await
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        for table in &report.tables {
            let [read, made, matched, unchanged, refused] = numbers(table);
            prop_assert_eq!(read, made + matched + unchanged + refused);
            prop_assert_eq!(refused, table.refusals.len() as u64);
            if again {
                prop_assert_eq!((made, matched), (0, 0), "{} again: {:?}", table.file, table);
            }
        }
    }
    Ok(())
}

on_both_engines! {
    async fn no_row_ends_an_import_and_each_is_counted_once(home: Home) {
        let files = (
            table("account,sector", "Acme,technolgy"),
            table("name,email,account", "Ada,ada@example.com,Acme"),
            table("agent,email", "Moses Frase,moses@example.com"),
            table(
                "id,agent,product,account,stage,engaged,closed,value,email",
                "D1,Moses Frase,GTX Pro,Acme,Won,10/20/2016,3/1/2017,7,ada@example.com",
            ),
        );
        let handle = tokio::runtime::Handle::current();
        let run = |(accounts, people, agents, deals): (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>)| {
            home.file("accounts.csv", &accounts);
            home.file("people.csv", &people);
            home.file("agents.csv", &agents);
            home.file("deals.csv", &deals);
            handle.block_on(import_twice(home))
        };
        tokio::task::block_in_place(|| runner(12).run(&files, run)).unwrap();
        assert!(!home.opportunities().await.is_empty(), "nothing was imported at all");
    }
}

#[test]
fn any_text_is_a_mapping_or_is_refused() {
    let part = prop_oneof![select(&VALUES[..]).prop_map(str::to_owned), any::<String>()];
    let changed = (any::<Index>(), any::<Index>(), part).prop_map(|(from, to, part)| {
        let signs: Vec<char> = MAPPING.chars().collect();
        let (from, to) = (from.index(signs.len()), to.index(signs.len()));
        let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 40));
        let before: String = signs[..from].iter().collect();
        let after: String = signs[to..].iter().collect();
        format!("{before}{part}{after}")
    });
    let texts = prop_oneof![8 => changed, 1 => any::<String>()];
    runner(400)
        .run(&texts, |text| {
            if let Err(refused) = Mapping::parse(&text) {
                prop_assert!(!refused.trim().is_empty());
            }
            Ok(())
        })
        .unwrap();
}
