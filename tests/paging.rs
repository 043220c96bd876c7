//! Pages: each record once, in order, whatever happens meanwhile.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::harness::{Client, assert_error};

/// The ids of all pages, by following `next_cursor`.
fn walk(client: &Client, path: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("{path}{cursor}")).expect(200);
        ids.extend(page.ids());
        let pagination = &page.json()["pagination"];
        match pagination["next_cursor"].as_str() {
            Some(next) => {
                assert_eq!(pagination["has_more"], true);
                cursor = format!("&cursor={next}");
            }
            None => {
                assert_eq!(pagination["has_more"], false);
                return ids;
            }
        }
    }
}

fn make(client: &Client, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let records: Vec<Value> = (0..count)
        .map(|number| json!({"name": format!("Fence {number}")}))
        .collect();
    for records in records.chunks(100) {
        let made = client
            .post("/opportunities/bulk-create", json!({"records": records}))
            .expect(200)
            .data();
        let created = made["created"].as_array().expect("what was created");
        ids.extend(
            created
                .iter()
                .filter_map(|one| one["id"].as_str())
                .map(str::to_owned),
        );
    }
    assert_eq!(ids.len(), count);
    ids
}

on_both_engines! {
    fn pages_give_each_record_once_the_newest_first(server: &Server) {
        let client = server.client();
        let mut expected = make(&client, 23);
        expected.reverse();
        assert_eq!(walk(&client, "/opportunities?limit=7"), expected);
        assert_eq!(client.get("/opportunities").expect(200).ids(), expected);

        // One that ends exactly with its page has no more.
        let page = client.get("/opportunities?limit=23").expect(200).json();
        assert_eq!(page["pagination"], json!({"limit": 23, "has_more": false, "next_cursor": null, "prev_cursor": null}));
    }

    fn one_can_page_back_to_the_newest(server: &Server) {
        let client = server.client();
        let mut expected = make(&client, 10);
        expected.reverse();
        let at = |query: &str| client.get(&format!("/opportunities?limit=3{query}")).expect(200);
        let second = at(&format!("&after={}", expected[2]));
        assert_eq!(second.ids(), expected[3..6]);
        assert_eq!(second.json()["pagination"]["prev_cursor"], json!(expected[3]));
        let back = at(&format!("&before={}", expected[3]));
        assert_eq!(back.ids(), expected[0..3]);
        assert_eq!(back.json()["pagination"]["prev_cursor"], Value::Null);
        assert_eq!(back.json()["pagination"]["has_more"], true);
        let middle = at(&format!("&before={}", expected[8]));
        assert_eq!(middle.ids(), expected[5..8]);
        assert_eq!(middle.json()["pagination"]["prev_cursor"], json!(expected[5]));
    }

    fn a_limit_is_clamped_and_must_be_a_number(server: &Server) {
        let client = server.client();
        make(&client, 130);
        let limited = |limit: &str| client.get(&format!("/opportunities?limit={limit}"));
        for (given, taken) in [("200", 100), ("0", 1), ("-5", 1), ("101", 100), ("", 25)] {
            let page = limited(given).expect(200);
            assert_eq!(page.ids().len(), taken, "limit={given}");
            assert_eq!(page.json()["pagination"]["limit"], json!(taken), "limit={given}");
        }
        for wrong in ["abc", "1.5", "1e3", "NaN"] {
            assert_error(&limited(wrong), 400, "VALIDATION_ERROR", &["limit"]);
        }
        for cursor in ["cursor", "after", "before"] {
            let wrong = client.get(&format!("/opportunities?{cursor}=7"));
            assert_error(&wrong, 400, "VALIDATION_ERROR", &[cursor]);
        }
    }

    fn paging_while_others_insert_and_delete_neither_repeats_nor_skips(server: &Server) {
        let client = server.client();
        let ids = make(&client, 300);
        let stays: HashSet<_> = ids.iter().step_by(2).cloned().collect();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for id in ids.iter().skip(1).step_by(2) {
                    client.delete(&format!("/opportunities/{id}")).expect(204);
                }
                done.store(true, Ordering::Relaxed);
            });
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    client.post("/opportunities", json!({"name": "New"})).expect(201);
                }
            });
            while !done.load(Ordering::Relaxed) {
                let seen = walk(&client, "/opportunities?limit=7");
                assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "out of order");
                let seen: HashSet<_> = seen.into_iter().collect();
                assert!(stays.is_subset(&seen), "{} were skipped", stays.difference(&seen).count());
            }
        });
        let left: HashSet<_> = walk(&client, "/opportunities?limit=100").into_iter().collect();
        assert!(ids.iter().skip(1).step_by(2).all(|id| !left.contains(id)));
    }
}
