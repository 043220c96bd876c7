//! What is read is what was written last, whoever wrote it, whichever server is asked,
//! and however often it was read before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fixtures::{Pipeline, create, list, read};
use crate::harness::{Client, Engine, eventually};

/// Where a name can be read that all of these are to show: one by its id, and the
/// newest in a list.
const SHOWN: [(&str, &str); 3] = [
    ("/opportunities", "name"),
    ("/contacts", "first_name"),
    ("/companies", "name"),
];

/// What the lists show that have the records of a pipeline, and one record.
fn opportunities_of(client: &Client, pipeline: &str) -> Value {
    let path = format!("/pipelines/{pipeline}/opportunities");
    client.get(&path).expect(200).data()
}

on_both_engines! {
    fn what_one_server_writes_the_other_answers_at_once(server: &Server) {
        let elsewhere = server.another(&[]);
        let (here, there) = (server.client(), elsewhere.client());
        for (path, field) in SHOWN {
            let id = create(&here, path, json!({field: "Round 0"}));
            for round in 1..=10 {
                let name = format!("Round {round}");
                let (writer, reader) = match round % 2 {
                    0 => (&here, &there),
                    _ => (&there, &here),
                };
                // So that it was read on both, and what was read is at hand.
                for client in [&here, &there, &here, &there] {
                    read(client, path, &id);
                    client.get(path).expect(200);
                }
                writer.patch(&format!("{path}/{id}"), json!({field: name})).expect(200);
                for client in [reader, writer] {
                    assert_eq!(read(client, path, &id)[field], *name, "{path}");
                    assert_eq!(client.get(path).expect(200).data()[0][field], *name, "{path}");
                }
            }
            here.delete(&format!("{path}/{id}")).expect(204);
            for client in [&there, &here] {
                assert_eq!(client.get(&format!("{path}/{id}")).status, 404);
                assert_eq!(client.get(path).expect(200).ids(), Vec::<String>::new(), "{path}");
            }
        }
    }

    fn what_one_server_writes_the_other_finds_at_once(server: &Server) {
        let elsewhere = server.another(&[]);
        let clients = [server.client(), elsewhere.client()];
        let ids_found = |client: &Client, path: &str, text: &str| {
            let found = client.post(&format!("{path}/search"), json!({"query": text})).expect(200);
            let listed = client.get(&format!("{path}?search={text}")).expect(200);
            assert_eq!(found.ids(), listed.ids(), "{path} {text}");
            let all = client.post("/search", json!({"query": text})).expect(200).data();
            let all = all.as_array().expect("a list").iter().filter(|one| one["rank"] == 1.0);
            assert_eq!(all.count(), found.ids().len(), "{path} {text}");
            found.ids()
        };
        for (path, field) in SHOWN {
            let id = create(&clients[0], path, json!({field: "round0"}));
            for round in 1..=10 {
                let [before, name] = [round - 1, round].map(|round| format!("round{round}"));
                let (writer, reader) = (&clients[round % 2], &clients[(round + 1) % 2]);
                writer.patch(&format!("{path}/{id}"), json!({field: name})).expect(200);
                assert_eq!(ids_found(reader, path, &name), [&*id]);
                assert_eq!(ids_found(writer, path, &before), Vec::<String>::new());
            }
            clients[0].delete(&format!("{path}/{id}")).expect(204);
            assert_eq!(ids_found(&clients[1], path, "round"), Vec::<String>::new());
        }
    }

    fn an_opportunity_shows_what_became_of_the_cards_around_it(server: &Server) {
        let client = server.client();
        let pipeline = Pipeline::create(&client, "Projects", &["Planned", "Built"]);
        let [below, above] = ["Fence", "Gate"].map(|name| {
            create(&client, "/opportunities", json!({"name": name, "stage_id": pipeline.stage("Planned")}))
        });
        let position = |id: &str| read(&client, "/opportunities", id)["placements"][0]["position"].clone();
        for _ in 0..3 {
            assert_eq!((position(&above), position(&below)), (json!(0), json!(1)));
        }
        client.post(&format!("/opportunities/{above}/move"), pipeline.target("Built")).expect(200);
        assert_eq!(position(&below), 0);
        let names = |rows: Value| -> Vec<Value> {
            list(&rows).iter().map(|row| row["placements"][0]["crm_pipeline_stages"]["name"].clone()).collect()
        };
        assert_eq!(names(opportunities_of(&client, &pipeline.id)), ["Built", "Planned"]);
        let path = format!("/pipelines/{}/stages/{}", pipeline.id, pipeline.stage("Built"));
        client.patch(&path, json!({"name": "Done"})).expect(200);
        assert_eq!(names(opportunities_of(&client, &pipeline.id)), ["Done", "Planned"]);
    }

    fn who_may_see_less_is_not_given_what_others_have_read(server: &Server) {
        let client = server.client();
        let gear = create(&client, "/products", json!({"name": "Gear", "price": 10}));
        let id = create(&client, "/opportunities", json!({"name": "Engine"}));
        client.post(&format!("/opportunities/{id}/products"), json!({"product_id": gear})).expect(201);
        let clerk = server.client_with(&["opportunities:read"]);
        let path = format!("/opportunities/{id}?expand=products");
        for _ in 0..2 {
            for (client, sees) in [(&client, true), (&clerk, false)] {
                let line = client.get(&path).expect(200).data()["products"][0].clone();
                assert_eq!(line.get("payment_status").is_some(), sees, "{line}");
            }
        }
    }

    fn on_sqlite_what_was_answered_is_given_again_until_someone_writes(server: &Server) {
        let client = server.client();
        let id = create(&client, "/opportunities", json!({"name": "Engine"}));
        let counted = |name: &str| {
            let page = client.without_key().under("").get("/metrics").expect(200).text;
            let series = format!("dealwright_response_cache_{name}_total ");
            let found = page.lines().find_map(|line| line.strip_prefix(&series));
            found.expect("a counter").parse::<u64>().expect("a number")
        };
        let read = || client.get(&format!("/opportunities/{id}")).expect(200).data();
        let kept = u64::from(server.engine() == Engine::Sqlite);
        // Whether a read can know that nobody writes at this moment is up to chance, as
        // the server itself writes down what calls have cost.
        eventually("it is given again", || {
            read();
            let before = counted("hits");
            read();
            (counted("hits") - before == kept).then_some(())
        });
        client.patch(&format!("/opportunities/{id}"), json!({"name": "Mill"})).expect(200);
        let (hits, misses) = (counted("hits"), counted("misses"));
        assert_eq!(read()["name"], "Mill");
        assert_eq!((counted("hits"), counted("misses")), (hits, misses + kept));
    }

    fn an_answer_that_is_given_again_still_says_what_it_cost_and_what_was_ignored(server: &Server) {
        let client = server.client();
        create(&client, "/opportunities", json!({"name": "Engine"}));
        let asked = || client.get("/opportunities?limit=5&colour=red").expect(200).json();
        let (first, again) = (asked(), asked());
        assert_eq!(first["data"], again["data"]);
        assert_eq!(first["pagination"], again["pagination"]);
        for answer in [&first, &again] {
            assert_eq!(answer["meta"]["warnings"], json!(["Unknown field ignored: colour"]));
        }
        let left = |answer: &Value| answer["meta"]["credits_remaining"].as_i64().expect("credits");
        assert_eq!(left(&again), left(&first) - 1);
        assert_eq!(client.get("/opportunities?limit=0").expect(200).json()["pagination"]["limit"], 1);
    }

    fn nobody_reads_less_than_was_acknowledged_before_they_asked(server: &Server) {
        let elsewhere = server.another(&[]);
        let id = create(&server.client(), "/opportunities", json!({"name": "Counter", "value": 0}));
        let (path, told) = (format!("/opportunities/{id}"), AtomicU64::new(0));
        let last = 150;
        std::thread::scope(|scope| {
            for client in [server.client(), elsewhere.client(), server.client(), elsewhere.client()] {
                let (path, told) = (&path, &told);
                scope.spawn(move || {
                    let (mut seen, until) = (0, Instant::now() + Duration::from_secs(60));
                    while seen < last && Instant::now() < until {
                        let least = told.load(Ordering::SeqCst).max(seen);
                        let row = client.get(path).expect(200).data();
                        seen = row["value"].as_u64().expect("a value");
                        assert!(seen >= least, "{seen} after {least}");
                    }
                });
            }
            for (value, client) in (1..=last).zip([server.client(), elsewhere.client()].iter().cycle()) {
                client.patch(&path, json!({"value": value})).expect(200);
                told.store(value, Ordering::SeqCst);
            }
        });
    }
}
