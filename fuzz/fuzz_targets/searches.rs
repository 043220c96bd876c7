//! Searches: whatever a record is called, it is found by its name and by every
//! part of it, and by nothing that is no part of it.

#![no_main]

use arbitrary::Arbitrary;
use crm::fold::fold;
use fuzz::{Office, Request};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

/// A name, a part of it by its place in it, and another text.
#[derive(Debug, Arbitrary)]
struct Search<'a> {
    name: &'a str,
    from: u8,
    length: u8,
    other: &'a str,
}

fuzz_target!(|search: Search<'_>| {
    Office::with(|office| {
        let Some((201, made)) = post(office, "/v1/companies", json!({ "name": search.name }))
        else {
            return;
        };
        let made: Value = serde_json::from_slice(&made).expect("JSON");
        let id = made["data"]["id"].as_str().expect("an id").to_owned();
        let part: String = search
            .name
            .chars()
            .skip(search.from.into())
            .take(search.length.into())
            .collect();
        let name = fold(search.name);
        for query in [search.name, &part, search.other] {
            let wanted = fold(query);
            // Digits are looked for among phone numbers too, of which there is none.
            let expected = !wanted.is_empty() && name.contains(&wanted);
            let found = [
                found(office, query, &id),
                found_as_it_is(office, query, &id),
            ];
            assert!(
                found.iter().flatten().all(|&found| found == expected),
                "{query:?} in {:?}: expected {expected}, found {found:?}",
                search.name
            );
        }
        let target = format!("/v1/companies/{id}");
        office.call(Request {
            method: "DELETE".to_owned(),
            target,
            headers: Vec::new(),
            body: Vec::new(),
        });
    });
});

/// Whether the search finds the record; none if it is refused or finds more
/// than it shows.
fn found(office: &mut Office, query: &str, id: &str) -> Option<bool> {
    let body = json!({ "query": query, "limit": 100 });
    let (200, body) = post(office, "/v1/companies/search", body)? else {
        return None;
    };
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let records = body["data"].as_array().expect("records");
    Some(records.iter().any(|record| record["id"] == id))
}

/// Whether the search of all kinds finds that the record has the query as it is.
fn found_as_it_is(office: &mut Office, query: &str, id: &str) -> Option<bool> {
    let body = json!({ "query": query, "limit": 100 });
    let (200, body) = post(office, "/v1/search", body)? else {
        return None;
    };
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let rows = body["data"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["entity_id"] == id);
    Some(row.is_some_and(|row| row["rank"] == 1.0))
}

fn post(office: &mut Office, target: &str, body: Value) -> Option<(u16, Vec<u8>)> {
    office.call(Request {
        method: "POST".to_owned(),
        target: target.to_owned(),
        headers: vec![("content-type", b"application/json".to_vec())],
        body: body.to_string().into_bytes(),
    })
}
