//! POSTs with an `Idempotency-Key`: done once, answered alike.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::fixtures::{Business, NOBODY, default_pipeline, endpoints};
use crate::harness::{Answer, Client, assert_error, eventually};

/// Sends a body under a key.
#[track_caller]
fn post(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    post_bytes(client, path, key, body.to_string().as_bytes())
}

#[track_caller]
fn post_bytes(client: &Client, path: &str, key: &str, body: &[u8]) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    client.raw("POST", path, &headers, body)
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

/// The answer is the first one, to the last byte, and says that it is.
#[track_caller]
fn assert_replayed(answer: &Answer, first: &Answer) {
    assert_eq!(answer.status, first.status, "{}", answer.text);
    assert_eq!(answer.text, first.text);
    assert_eq!(answer.bytes, first.bytes);
    assert_eq!(answer.header("content-type"), first.header("content-type"));
    assert!(is_replayed(answer), "{} is done again", answer.request);
}

#[track_caller]
fn credits(answer: &Answer) -> i64 {
    answer.json()["meta"]["credits_remaining"]
        .as_i64()
        .expect("what is left of the credits")
}

/// How many contacts the client's workspace has.
#[track_caller]
fn contacts(client: &Client) -> usize {
    client.get("/contacts?limit=100").expect(200).ids().len()
}

/// Creates contacts, each under a key of its own, until the server is gone.
/// What was answered is noted by the number.
fn create_until_it_dies(client: &Client, told: &Mutex<Vec<(usize, Vec<u8>)>>, next: &AtomicUsize) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let (key, body) = numbered(number);
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", &key),
        ];
        match client.try_raw("POST", "/contacts", &headers, body.to_string().as_bytes()) {
            Ok(answer) if answer.status == 201 => {
                told.lock().expect("a lock").push((number, answer.bytes));
            }
            _ => return,
        }
    }
}

fn numbered(number: usize) -> (String, Value) {
    let name = format!("contact {number}");
    (format!("key-{number}"), json!({ "first_name": name }))
}

on_both_engines! {
    fn the_same_request_gets_the_first_answer_and_does_nothing(server: &Server) {
        let client = server.client();
        let body = json!({"first_name": "Ada", "colour": "red"});
        let first = post(&client, "/contacts?page=2", "k", &body).expect(201);
        assert!(!is_replayed(&first));
        assert_eq!(credits(&first), 999_998);
        let warnings = &first.json()["meta"]["warnings"];
        assert_eq!(warnings.as_array().map(Vec::len), Some(2), "{warnings}");
        client.post("/contacts", json!({"first_name": "Grace"})).expect(201);
        client.patch(&format!("/contacts/{}", first.id()), json!({"first_name": "Augusta"})).expect(200);
        for _ in 0..2 {
            assert_replayed(&post(&client, "/contacts", "k", &body), &first);
        }
        // Neither of them has cost anything.
        assert_eq!(credits(&client.get("/contacts").expect(200)), 999_993);
        assert_eq!(contacts(&client), 2);

        server.restart();
        assert_replayed(&post(&client, "/contacts", "k", &body), &first);
    }

    fn the_way_in_which_the_same_is_written_makes_no_difference(server: &Server) {
        let client = server.client();
        let first = post_bytes(&client, "/contacts", "k", br#"{"first_name":"Ada","notes":"a"}"#).expect(201);
        let again = post_bytes(&client, "/contacts", "k", br#" { "notes" : "\u0061", "first_name": "Ada" } "#);
        assert_replayed(&again, &first);

        let (ada, business) = (first.id(), Business::found(&client));
        let path = format!("/opportunities/{}/contacts/{ada}", business.opportunity);
        let first = post_bytes(&client, &path, "l", b"").expect(201);
        assert_replayed(&post_bytes(&client, &path, "l", b"{}"), &first);
        let shouted = format!("/opportunities/{}/contacts/{}", business.opportunity.to_uppercase(), ada.to_uppercase());
        assert_replayed(&post_bytes(&client, &shouted, "l", b""), &first);
        // Done again, it would be a conflict.
        assert_error(&post_bytes(&client, &path, "m", b""), 409, "CONFLICT", &[]);
    }

    fn an_alias_is_the_same_path(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let body = json!({"name": "Fence"});
        let first = post(&client, "/opportunities", "k", &body).expect(201);
        let old = client.under("/functions/v1/api/v1");
        assert_replayed(&post(&client, "/deals", "k", &body), &first);
        assert_replayed(&post(&old, "/opportunities", "k", &body), &first);
        assert_replayed(&post(&old, "/deals", "k", &body), &first);

        let target = json!({"pipeline_id": business.pipeline, "stage_id": business.stages[1]});
        let first = post(&old, &format!("/deals/{}/move", business.opportunity), "l", &target).expect(200);
        assert_replayed(&post(&client, &format!("/opportunities/{}/move", business.opportunity), "l", &target), &first);
    }

    fn another_body_or_path_under_the_same_key_is_a_conflict(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let body = json!({"name": "Fence"});
        let first = post(&client, "/opportunities", "k", &body).expect(201);
        let before = credits(&client.get("/contacts").expect(200));
        let refused = [
            post(&client, "/opportunities", "k", &json!({"name": "Gate"})),
            post(&client, "/opportunities", "k", &json!({"name": "Fence", "value": 1})),
            post(&client, "/companies", "k", &body),
        ];
        for refused in refused {
            assert_error(&refused, 409, "CONFLICT", &["Idempotency-Key"]);
        }
        let target = json!({"pipeline_id": business.pipeline, "stage_id": business.stages[1]});
        let moved = |id: &str| post(&client, &format!("/opportunities/{id}/move"), "l", &target);
        moved(&business.opportunity).expect(200);
        assert_error(&moved(&first.id()), 409, "CONFLICT", &["Idempotency-Key"]);
        assert_eq!(credits(&client.get("/contacts").expect(200)), before - 3);
        assert_replayed(&post(&client, "/opportunities", "k", &body), &first);
    }

    fn the_keys_of_others_are_others(server: &Server) {
        let client = server.client();
        let colleague = client.with_key(&server.key_with(&["contacts:write"]));
        let elsewhere = server.workspace("Other").client();
        let body = json!({"first_name": "Ada"});
        let mut made = vec![post(&client, "/contacts", "k", &body).expect(201).id()];
        for other in [&colleague, &elsewhere] {
            let first = post(other, "/contacts", "k", &body).expect(201);
            assert!(!is_replayed(&first));
            assert_replayed(&post(other, "/contacts", "k", &body), &first);
            post(other, "/contacts", "l", &json!({"first_name": "Grace"})).expect(201);
            made.push(first.id());
        }
        made.dedup();
        assert_eq!(made.len(), 3);
        assert_eq!((contacts(&client), contacts(&elsewhere)), (3, 2));
    }

    fn what_failed_is_not_kept_and_may_be_corrected(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        assert_error(&post(&client, "/contacts", "k", &json!({})), 400, "MISSING_FIELDS", &["first_name"]);
        post_bytes(&client, "/contacts", "k", b"{").expect(400);
        post(&client.without_key(), "/contacts", "k", &json!({"first_name": "Ada"})).expect(401);
        post(&client, "/contacts", "k", &json!({"first_name": "Ada"})).expect(201);

        // Refused by what is in the database.
        let move_to = |stage: &str| json!({"pipeline_id": business.pipeline, "stage_id": stage});
        let path = format!("/opportunities/{}/move", business.opportunity);
        post(&client, &path, "l", &move_to(NOBODY)).expect(404);
        post(&client, &path, "l", &move_to(NOBODY)).expect(404);
        let link = format!("/contacts/{}/employers/{}", business.contact, business.company);
        post(&client, &link, "l", &json!({})).expect(409);
        let moved = post(&client, &path, "l", &move_to(&business.stages[1])).expect(200);
        assert_replayed(&post(&client, &path, "l", &move_to(&business.stages[1])), &moved);
    }

    fn a_key_that_can_not_be_used_is_refused_on_every_post(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let long = "k".repeat(256);
        for bad in ["", "two words", &long] {
            let refused = post(&client, "/contacts", bad, &json!({"first_name": "Ada"}));
            assert_error(&refused, 400, "VALIDATION_ERROR", &["Idempotency-Key must be 1 to 255"]);
        }
        assert_eq!(contacts(&client), 1);
        post(&client, "/contacts", &long[1..], &json!({"first_name": "Ada"})).expect(201);
        for endpoint in endpoints(&client).iter().filter(|endpoint| endpoint.method() == "POST") {
            let refused = post(&client, &business.fill(endpoint.path()), &long, &json!({}));
            assert_eq!(refused.status, 400, "{}: {}", refused.request, refused.text);
            assert!(refused.text.contains("Idempotency-Key"), "{}: {}", refused.request, refused.text);
        }
        // What is no POST may be repeated anyhow.
        let path = format!("/contacts/{}", business.contact);
        client.raw("GET", &path, &[("idempotency-key", &long)], b"").expect(200);
    }

    fn a_search_under_a_key_finds_what_it_found(server: &Server) {
        let client = server.client();
        let query = json!({"query": "ada"});
        client.post("/contacts", json!({"first_name": "Ada"})).expect(201);
        let first = post(&client, "/contacts/search", "k", &query).expect(200);
        assert_eq!((first.ids().len(), credits(&first)), (1, 999_997));
        client.post("/contacts", json!({"first_name": "Adam"})).expect(201);
        assert_replayed(&post(&client, "/contacts/search", "k", &query), &first);
        assert_eq!(client.post("/contacts/search", query).expect(200).ids().len(), 2);
    }

    fn a_bulk_call_under_a_key_is_done_once_with_all_that_failed_in_it(server: &Server) {
        let client = server.client();
        let mut records = vec![json!({"name": "Fence", "notes": "x".repeat(1000)}); 99];
        records.push(json!({"name": 7, "colour": "red"}));
        let body = json!({ "records": records });
        let first = post(&client, "/opportunities/bulk-create", "k", &body).expect(200);
        assert_eq!(first.data()["created_count"], 99);
        assert_eq!(first.data()["error_count"], 1);
        assert_replayed(&post(&client, "/deals/bulk-create", "k", &body), &first);
        assert_eq!(client.get("/opportunities?limit=100").expect(200).ids().len(), 99);

        let ids = client.get("/opportunities?limit=100").expect(200).ids();
        let first = post(&client, "/opportunities/bulk-delete", "l", &json!({ "ids": ids })).expect(200);
        assert_replayed(&post(&client, "/opportunities/bulk-delete", "l", &json!({ "ids": ids })), &first);
    }

    fn a_new_api_key_is_shown_again_to_the_one_who_asked(server: &Server) {
        let client = server.client();
        let body = json!({"name": "CRM", "scopes": ["contacts:read"]});
        let first = post(&client, "/api-keys", "k", &body).expect(201);
        let again = post(&client, "/api-keys", "k", &body);
        assert_replayed(&again, &first);
        let key = again.data()["key"].as_str().expect("a key").to_owned();
        client.with_key(&key).get("/contacts").expect(200);
        assert_eq!(client.get("/api-keys").expect(200).ids().len(), 2);
    }

    fn what_was_paid_for_is_answered_again_when_the_credits_are_used_up(server: &Server) {
        let strict = server.another(&["--monthly-credits", "3", "--enforce-credits"]);
        let client = strict.client();
        let body = json!({"first_name": "Ada"});
        let first = post(&client, "/contacts", "k", &body).expect(201);
        assert_eq!(credits(&first), 1);
        assert_error(&post(&client, "/contacts", "l", &body), 403, "INSUFFICIENT_CREDITS", &[]);
        assert_error(&client.post("/contacts", body.clone()), 403, "INSUFFICIENT_CREDITS", &[]);
        assert_replayed(&post(&client, "/contacts", "k", &body), &first);
        assert_eq!(credits(&client.get("/contacts").expect(200)), 0);
    }

    fn of_fifty_equal_requests_at_once_one_is_done(server: &Server) {
        let client = server.client();
        let body = json!({"first_name": "Ada"});
        let answers: Vec<_> = std::thread::scope(|scope| {
            let sent: Vec<_> = (0..50).map(|_| scope.spawn(|| post(&client, "/contacts", "k", &body))).collect();
            sent.into_iter().map(|sent| sent.join().expect("an answer")).collect()
        });
        let done: Vec<_> = answers.iter().filter(|answer| !is_replayed(answer)).collect();
        assert_eq!(done.len(), 1);
        for answer in &answers {
            assert_eq!((answer.status, &answer.text), (201, &done[0].text));
        }
        assert_eq!(contacts(&client), 1);
        assert_eq!(credits(&client.get("/contacts").expect(200)), 999_996);
    }

    fn equal_requests_that_wait_keep_nobody_else_from_the_database(server: &Server) {
        // On SQLite nobody waits for a connection.
        let Some(url) = server.database_url() else { return };
        let few = server.another(&["--database-connections", "2"]);
        let client = few.client();
        let (_, stages) = default_pipeline(&client);
        let body = json!({"name": "Fence", "stage_id": stages[0]});
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (mut database, connection) = runtime
            .block_on(tokio_postgres::connect(&url, tokio_postgres::NoTls))
            .expect("a connection");
        runtime.spawn(connection);
        let held = runtime.block_on(async {
            let held = database.transaction().await.expect("a transaction");
            held.execute("select 1 from stages for update", &[]).await.expect("a lock");
            held
        });
        let answers: Vec<_> = std::thread::scope(|scope| {
            let sent: Vec<_> = (0..20).map(|_| scope.spawn(|| post(&client, "/opportunities", "k", &body))).collect();
            client.await_at_work(20);
            // With the connections taken it would be answered only when the
            // first of them has given up.
            client.get("/opportunities").expect(200);
            runtime.block_on(held.rollback()).expect("its end");
            sent.into_iter().map(|sent| sent.join().expect("an answer")).collect()
        });
        for answer in &answers {
            assert_eq!((answer.status, &answer.text), (201, &answers[0].text));
        }
        assert_eq!(client.get("/opportunities").expect(200).ids().len(), 1);
    }

    fn one_whose_first_is_at_work_for_too_long_is_told_to_try_again(server: &Server) {
        // On SQLite there is one writer, so none is overtaken.
        let Some(url) = server.database_url() else { return };
        let client = server.client();
        let body = json!({"first_name": "Ada"});
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let refused = runtime.block_on(async {
            let (mut database, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("a connection");
            tokio::spawn(connection);
            // As a transaction that has begun and does not end.
            let first = database.transaction().await.expect("a transaction");
            let begun = "insert into idempotency_keys (workspace_id, api_key_id, key, request, created_at)
                         select workspace_id, id, 'k', '', now() from api_keys";
            first.execute(begun, &[]).await.expect("a row");
            let refused = post(&client, "/contacts", "k", &body);
            first.rollback().await.expect("its end");
            refused
        });
        assert_error(&refused, 409, "CONFLICT", &["still at work"]);
        let seconds: u64 = refused.header("retry-after").expect("a time").parse().expect("seconds");
        assert!(seconds > 0);
        post(&client, "/contacts", "k", &body).expect(201);
        assert_eq!(contacts(&client), 1);
    }

    fn whatever_a_killed_server_had_done_is_not_done_again(server: &Server) {
        let client = server.client();
        let (told, next) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
        for round in 1..=3 {
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| create_until_it_dies(&client, &told, &next));
                }
                eventually("enough was answered", || {
                    (told.lock().expect("a lock").len() >= 20 * round).then_some(())
                });
                server.kill_9();
            });
            server.start_again();
        }
        let count = next.load(Ordering::Relaxed);
        let mut names = Vec::new();
        for number in 0..count {
            let (key, body) = numbered(number);
            let answer = post(&client, "/contacts", &key, &body).expect(201);
            assert_eq!(answer.data()["first_name"], body["first_name"]);
            let told = told.lock().expect("a lock");
            if let Some((_, bytes)) = told.iter().find(|(told, _)| *told == number) {
                assert!(is_replayed(&answer), "{key} was answered, and done again");
                assert_eq!(&answer.bytes, bytes);
            }
            names.push(body["first_name"].clone());
        }
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = client.get(&format!("/contacts?limit=100{cursor}")).expect(200).json();
            let records = page["data"].as_array().expect("records");
            found.extend(records.iter().map(|record| record["first_name"].clone()));
            match page["pagination"]["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let sorted = |mut names: Vec<Value>| {
            names.sort_unstable_by_key(Value::to_string);
            names
        };
        assert_eq!(sorted(found), sorted(names));
    }
}
