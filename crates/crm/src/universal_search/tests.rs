use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::json;

use super::*;
use crate::testing::plans::insert;
use crate::testing::{Desk, given, refused};
use crate::{companies, contacts, opportunities};

/// What is found: each by its name, with its rank in ten-thousandths.
fn found(db: &Db<'_>, desk: &Desk, query: &str) -> Result<Vec<(String, u32)>> {
    let page = search(db, &desk.who, &given(json!({ "query": query })))?;
    let hits = page.items.into_iter();
    Ok(hits
        .map(|hit| (hit.display_name, (hit.rank * 10_000.0).round() as u32))
        .collect())
}

/// The names alone.
fn names(db: &Db<'_>, desk: &Desk, query: &str) -> Result<Vec<String>> {
    Ok(found(db, desk, query)?
        .into_iter()
        .map(|(name, _)| name)
        .collect())
}

/// Two letters that change places, one that is left out, one that is put in, or
/// one in the place of another: of a text, all that it can become.
fn misspelt(text: &str, place: usize, kind: u8) -> String {
    let mut letters: Vec<_> = text.chars().collect();
    let place = 1 + place % (letters.len() - 1);
    match kind {
        0 => letters.swap(place - 1, place),
        1 => drop(letters.remove(place)),
        2 => letters.insert(place, letters[place - 1]),
        _ => letters[place] = 'x',
    }
    letters.into_iter().collect()
}

on_both_engines! {
    fn what_is_misspelt_is_found_with_the_same_rank_on_every_engine(tx, desk) {
        let who = &desk.who;
        for (first, last) in [("John", "Smith"), ("Jürgen", "Müller"), ("Ada", "Lovelace"), ("Zoë", "Ørsted")] {
            let fields = json!({ "first_name": first, "last_name": last });
            contacts::create(tx, who, given(fields))?;
        }
        let fields = json!({ "first_name": "Wanda", "email": "wanda@fjord.example", "phone": "0412 345 678" });
        contacts::create(tx, who, given(fields))?;
        for name in ["Acme Corporation", "Warrnambool Timber", "O'Brien (Holdings)", "東京タワー建設"] {
            companies::create(tx, who, given(json!({ "name": name })))?;
        }
        for name in ["Fit-out of the lighthouse", "Ёлка и Щука"] {
            desk.opportunity(tx, name)?;
        }
        for (query, name, rank) in [
            ("Jonh Smiht", "John Smith", 7777),
            ("Jon Smyth", "John Smith", 7500),
            ("jhon", "John Smith", 7500),
            ("jahn smith", "John Smith", 8888),
            ("smth", "John Smith", 7500),
            ("dAa", "Ada Lovelace", 6666),
            ("aad", "Ada Lovelace", 6666),
            ("smitth", "John Smith", 8333),
            ("smith john", "John Smith", 9900),
            ("John Smith Hobart", "John Smith", 6000),
            ("smi(th", "John Smith", 8000),
            ("NEAR(john smith)", "John Smith", 6923),
            ("Mueler", "Jürgen Müller", 8333),
            ("Mueller", "Jürgen Müller", 8571),
            ("Juergen Muller", "Jürgen Müller", 9230),
            ("lovelcae", "Ada Lovelace", 8750),
            ("lovvelase", "Ada Lovelace", 7777),
            ("lovalce", "Ada Lovelace", 7142),
            ("orstad", "Zoë Ørsted", 8333),
            ("Acme Corpration", "Acme Corporation", 9285),
            ("Corparat", "Acme Corporation", 7500),
            ("warnambol", "Warrnambool Timber", 7777),
            ("obrein holdings", "O'Brien (Holdings)", 8571),
            ("wanda@fjrod.example", "Wanda", 9411),
            ("0412 345 679", "Wanda", 9166),
            ("+61 412 354 678", "Wanda", 9166),
            ("東京タウー建設", "東京タワー建設", 8571),
            ("fit out", "Fit-out of the lighthouse", 9900),
            ("light house", "Fit-out of the lighthouse", 9000),
            ("fitout", "Fit-out of the lighthouse", 8333),
            ("lighthouse fit", "Fit-out of the lighthouse", 9900),
            ("щукка", "Ёлка и Щука", 8000),
        ] {
            assert_eq!(found(tx, desk, query)?, [(name.to_owned(), rank)], "{query}");
        }
        for query in [
            "qxzjvkw", "xx", "%", "_", "\"", "jo OR hn", "john smith wanda hobart", "0412 999 999",
            "0499 345 678", "\u{ad}", "🦀🦀🦀", "'; drop table x; --",
        ] {
            assert!(found(tx, desk, query)?.is_empty(), "{query}");
        }
        for query in ["x".repeat(200), "jo".repeat(100), "john smit ".repeat(20), "a ".repeat(100)] {
            search(tx, who, &given(json!({ "query": query.trim() })))?;
        }
    }

    fn what_has_the_query_comes_first_and_then_whose_own_name_it_is(tx, desk) {
        let who = &desk.who;
        let ada = contacts::create(tx, who, given(json!({
            "first_name": "Ada", "last_name": "Lovelace", "job_title": "Analyst", "email": "ada@example.com",
        })))?;
        let company = companies::create(tx, who, given(json!({ "name": "Lovelace", "industry": "Machinery" })))?;
        for (name, contact, company) in [
            ("Of the company", None, Some(company.id)),
            ("Of the contact", Some(ada.id), None),
            ("Lovelace's engine", None, None),
        ] {
            desk.create(tx, json!({ "name": name, "contact_id": contact, "customer_id": company }))?;
        }
        contacts::create(tx, who, given(json!({ "first_name": "Eve", "last_name": "Lovelock" })))?;
        contacts::create(tx, who, given(json!({ "first_name": "Bo", "last_name": "Lovelac" })))?;
        let order = [
            "Lovelace", "Lovelace's engine", "Ada Lovelace", "Of the contact", "Of the company",
            "Bo Lovelac", "Eve Lovelock",
        ];
        assert_eq!(names(tx, desk, "LOVELACE")?, order);
        assert_eq!(
            names(tx, desk, "lovelcae")?,
            ["Lovelace's engine", "Lovelace", "Ada Lovelace", "Of the contact", "Of the company", "Bo Lovelac"]
        );
        let page = search(tx, who, &given(json!({ "query": "lovelace", "limit": 4 })))?;
        assert_eq!((page.items.len(), page.has_more, page.next_cursor), (4, true, None));
        let subtitles: Vec<_> = page.items.iter().map(|hit| &*hit.subtitle).collect();
        assert_eq!(subtitles, [
            "A-001 · Machinery", "OPP-003 · open", "C-001 · Analyst · ada@example.com",
            "OPP-002 · Ada Lovelace · open",
        ]);
        let page = search(tx, who, &given(json!({ "query": "lovelace", "limit": 7 })))?;
        assert_eq!((page.items.len(), page.has_more), (7, false));
        let types = |types: &[&str]| -> Result<Vec<_>> {
            let page = search(tx, who, &given(json!({ "query": "lovelcae", "entity_types": types })))?;
            Ok(page.items.into_iter().map(|hit| hit.display_name).collect())
        };
        assert_eq!(types(&["company"])?, ["Lovelace"]);
        assert_eq!(types(&["contact", "company", "contact"])?, ["Lovelace", "Ada Lovelace", "Bo Lovelac"]);
        assert_eq!(types(&[])?.len(), 6);
        let theirs = search(tx, &desk.stranger, &given(json!({ "query": "lovelcae" })))?;
        assert!(theirs.items.is_empty());
    }

    fn what_is_misspelt_follows_the_changes_of_a_record(tx, desk) {
        let who = &desk.who;
        let ada = contacts::create(tx, who, given(json!({ "first_name": "Ada", "last_name": "Lovelace" })))?;
        let deal = desk.create(tx, json!({ "name": "Engine", "contact_id": ada.id }))?;
        assert_eq!(names(tx, desk, "lovelcae")?, ["Ada Lovelace", "Engine"]);
        contacts::update(tx, who, ada.id, given(json!({ "last_name": "Byron" })))?;
        assert!(names(tx, desk, "lovelcae")?.is_empty());
        assert_eq!(names(tx, desk, "bryon")?, ["Ada Byron", "Engine"]);
        opportunities::delete(tx, who, deal.id)?;
        assert_eq!(names(tx, desk, "bryon")?, ["Ada Byron"]);
    }

    fn what_many_newer_ones_resemble_is_not_given_up(tx, desk) {
        desk.opportunity(tx, "Sanderson Roofing")?;
        for number in 0..600 {
            desk.opportunity(tx, &format!("Sandra Wilson {number}"))?;
        }
        assert_eq!(names(tx, desk, "sandrson")?, ["Sanderson Roofing"]);
    }

    fn one_typo_in_a_name_finds_it_among_thousands(tx, desk) {
        const FIRSTS: [&str; 10] = [
            "Amara", "Boris", "Chloe", "Dinesh", "Edith", "Jamila", "Mateo", "Quentin", "Ursula", "Viktor",
        ];
        const BEGINNINGS: [&str; 20] = [
            "Abb", "Bapt", "Cast", "Dvor", "Erik", "Fitz", "Gupt", "Hoff", "Ibra", "Jova",
            "Kowa", "Lind", "More", "Naka", "Okon", "Petr", "Quig", "Roma", "Schw", "Whit",
        ];
        const ENDS: [&str; 15] = [
            "ano", "berg", "celli", "dottir", "escu", "ford", "gard", "hauser", "iste", "kov",
            "lund", "mura", "nik", "owicz", "sen",
        ];
        let name = |number: usize| {
            let (first, rest) = (FIRSTS[number % 10], number / 10);
            (first, format!("{}{}", BEGINNINGS[rest % 20], ENDS[rest / 20]))
        };
        let who = &desk.who;
        let count = FIRSTS.len() * BEGINNINGS.len() * ENDS.len();
        let (mut rows, mut documents) = (Vec::new(), Vec::new());
        for number in 0..count {
            let (first, last) = name(number);
            let id = who.new_id();
            rows.push(store::params![
                who.workspace_id, id, format!("C-{number}"), first, last.clone(), json!({}), false, false,
                who.now, who.now
            ].to_vec());
            let key = fold(&format!("{first} {last}"));
            documents.push(store::params![who.workspace_id, id, key.clone(), format!("\n{key}\n")].to_vec());
        }
        insert(
            tx,
            "contacts",
            "workspace_id, id, public_id, first_name, last_name, metadata, email_unsubscribed, \
             sms_unsubscribed, created_at, updated_at",
            rows,
        )?;
        insert(tx, "contact_search", "workspace_id, id, name_key, doc", documents)?;
        let mut runner = TestRunner::new(Config {
            cases: 150,
            rng_seed: RngSeed::Fixed(7),
            failure_persistence: None,
            ..Config::default()
        });
        // Of a name, or of its last word alone.
        let typo = (0..count, 0..40_usize, 0..4_u8, any::<bool>());
        runner.run(&typo, |(number, place, kind, whole)| {
            let (first, last) = name(number);
            let typed = match whole {
                true => misspelt(&format!("{first} {last}"), place, kind),
                false => misspelt(&last, place, kind),
            };
            let input = given(json!({ "query": typed, "limit": 100 }));
            let page = search(tx, &desk.who, &input).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let names: Vec<_> = page.items.iter().map(|hit| &*hit.display_name).collect();
            let wanted = format!("{first} {last}");
            prop_assert!(names.contains(&&*wanted), "{typed} for {wanted}: {names:?}");
            Ok(())
        }).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn a_kind_of_record_is_one_of_those_that_are_searched() {
    let problems =
        refused::<UniversalSearch>(json!({ "query": "a", "entity_types": ["pipeline"] }));
    assert_eq!(problems.invalid[0].field, "entity_types[0]");
    assert_eq!(
        refused::<UniversalSearch>(json!({ "query": " " })).missing,
        ["query"]
    );
}
