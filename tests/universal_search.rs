//! POST `/search`: contacts, companies and opportunities at once, typos and all.

use serde_json::{Value, json};

use crate::fixtures::create;
use crate::harness::{Answer, Client, assert_error};

/// A few records that are known by each other.
struct Books {
    contact: String,
    company: String,
    opportunity: String,
}

impl Books {
    fn fill(client: &Client) -> Self {
        let contact = json!({
            "first_name": "John", "last_name": "Smith", "email": "john@smithery.example",
            "phone": "0412 345 678", "job_title": "Builder",
        });
        let contact = create(client, "/contacts", contact);
        let company = json!({"name": "Acme Corporation", "industry": "Anvils", "website": "https://acme.example"});
        let company = create(client, "/companies", company);
        let opportunity = json!({"name": "Roof of the observatory", "contact_id": contact, "customer_id": company});
        let opportunity = create(client, "/opportunities", opportunity);
        Self {
            contact,
            company,
            opportunity,
        }
    }
}

fn search(client: &Client, body: Value) -> Answer {
    client.post("/search", body).expect(200)
}

/// The ids of what a query finds, best first.
fn found(client: &Client, query: &str) -> Vec<String> {
    let rows = search(client, json!({ "query": query })).data();
    let rows = rows.as_array().expect("a list").iter();
    rows.map(|row| row["entity_id"].as_str().expect("an id").to_owned())
        .collect()
}

on_both_engines! {
    fn what_has_the_query_has_rank_1_and_what_is_like_it_less(server: &Server) {
        let client = server.client();
        let books = Books::fill(&client);
        let answer = search(&client, json!({"query": "SMITH"}));
        assert_eq!(answer.data(), json!([
            {
                "entity_type": "contact", "entity_id": books.contact, "display_name": "John Smith",
                "subtitle": "C-001 · Builder · john@smithery.example", "rank": 1.0,
            },
            {
                "entity_type": "opportunity", "entity_id": books.opportunity,
                "display_name": "Roof of the observatory", "subtitle": "OPP-001 · Acme Corporation · open",
                "rank": 1.0,
            },
        ]));
        assert_eq!(
            answer.json()["pagination"],
            json!({"limit": 25, "has_more": false, "next_cursor": null, "prev_cursor": null})
        );
        let answer = search(&client, json!({"query": "Jonh Smiht"})).data();
        assert_eq!((&answer[0]["entity_id"], &answer[0]["rank"]), (&json!(books.contact), &json!(0.7777)));
        let answer = search(&client, json!({"query": "Acme Corpration", "entity_types": ["company"]})).data();
        assert_eq!(answer, json!([{
            "entity_type": "company", "entity_id": books.company, "display_name": "Acme Corporation",
            "subtitle": "A-001 · Anvils · https://acme.example", "rank": 0.9285,
        }]));
    }

    fn typos_are_forgiven_in_names_addresses_and_numbers(server: &Server) {
        let client = server.client();
        let books = Books::fill(&client);
        let Books { contact, company, opportunity } = &books;
        for (query, expected) in [
            ("smiht", &[contact, opportunity][..]),
            ("Jon Smyth", &[contact, opportunity]),
            ("smith john", &[contact, opportunity]),
            ("john@smihtery.example", &[contact, opportunity]),
            ("0412 345 687", &[contact, opportunity]),
            ("corporaton", &[company, opportunity]),
            ("ACME CORPARATION", &[company, opportunity]),
            ("obsrevatory", &[opportunity]),
            ("roof observatory", &[opportunity]),
            ("acme roof", &[opportunity]),
            // One and two letters are taken as they are.
            ("jo", &[contact, opportunity]),
            ("jx", &[]),
            // Less than half of it is not enough.
            ("john miller", &[]),
            ("xylophone", &[]),
        ] {
            assert_eq!(found(&client, query).iter().collect::<Vec<_>>(), expected, "{query}");
        }
    }

    fn a_search_answers_one_page_and_costs_one_credit(server: &Server) {
        let client = server.client();
        for number in 0..7 {
            create(&client, "/companies", json!({"name": format!("Lighthouse {number}")}));
            create(&client, "/contacts", json!({"first_name": "Lena", "last_name": format!("Lighthuose {number}")}));
        }
        let credits = |answer: &Answer| answer.json()["meta"]["credits_remaining"].as_i64().expect("credits");
        let before = credits(&search(&client, json!({"query": "lighthouse"})));
        let answer = search(&client, json!({"query": "lighthouse", "limit": 9, "cursor": "x"}));
        assert_eq!(credits(&answer), before - 1);
        assert_eq!(answer.json()["meta"]["warnings"].as_array().map(Vec::len), Some(1));
        assert_eq!(answer.json()["pagination"]["has_more"], true);
        let rows = answer.data();
        let ranks: Vec<_> = rows.as_array().expect("a list").iter().map(|row| row["rank"].as_f64()).collect();
        assert_eq!(ranks, [[Some(1.0); 7].as_slice(), &[Some(0.9); 2]].concat());
        for (limit, count) in [(0, 1), (14, 14), (200, 14)] {
            let rows = search(&client, json!({"query": "lighthouse", "limit": limit})).data();
            assert_eq!(rows.as_array().map(Vec::len), Some(count), "{limit}");
        }
    }

    fn what_cant_be_searched_for_is_refused(server: &Server) {
        let client = server.client();
        assert_error(&client.post("/search", json!({})), 400, "MISSING_FIELDS", &["query"]);
        assert_error(&client.post("/search", json!({"query": " \t"})), 400, "MISSING_FIELDS", &["query"]);
        for (body, field) in [
            (json!({"query": 7}), "query"),
            (json!({"query": "\0"}), "query"),
            (json!({"query": "x".repeat(201)}), "query"),
            (json!({"query": "x", "limit": "many"}), "limit"),
            (json!({"query": "x", "entity_types": ["pipeline"]}), "entity_types"),
            (json!({"query": "x", "entity_types": "contact"}), "entity_types"),
        ] {
            assert_error(&client.post("/search", body), 400, "VALIDATION_ERROR", &[field]);
        }
        let reader = server.client_with(&["contacts:read", "deals:read"]);
        assert_error(&reader.post("/search", json!({"query": "x"})), 403, "INSUFFICIENT_SCOPE", &["companies:read"]);
    }

    fn any_text_is_answered(server: &Server) {
        let client = server.client();
        Books::fill(&client);
        create(&client, "/companies", json!({"name": "a".repeat(255)}));
        for query in [
            "a".repeat(200), "ab".repeat(100), "a ".repeat(99), "smith jonh ".repeat(18), "🦀".repeat(200),
            "\"".to_owned(), "' or 1=1 --".to_owned(), "smi%th_".to_owned(), "smith AND NOT (john".to_owned(),
            "doc : smith* ^john + NEAR(a b, 3)".to_owned(), "\\".repeat(9), "\u{e02b}\u{e030}\u{e031}".to_owned(),
            "漢字漢字".to_owned(), "हिन्दी भाषा".to_owned(), "עִבְרִית".to_owned(), "\u{202e}\u{feff}İ\u{301}ﬃ".to_owned(),
        ] {
            search(&client, json!({ "query": query.trim() }));
        }
    }

    fn nobody_finds_what_another_workspace_has(server: &Server) {
        Books::fill(&server.client());
        let stranger = server.workspace("Stranger").client();
        for query in ["smith", "smiht", "0412 345 678", "o"] {
            assert!(found(&stranger, query).is_empty(), "{query}");
        }
        let theirs = Books::fill(&stranger);
        assert_eq!(found(&stranger, "smiht"), [theirs.contact, theirs.opportunity]);
    }
}
