//! What was answered is kept, whatever happens to the server.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::fixtures::{all_opportunities, default_pipeline};
use crate::harness::{Client, Server, eventually};

/// How many records each bulk call makes.
const BULK: usize = 20;

/// What the clients were told.
#[derive(Default)]
struct Acknowledged {
    singles: Mutex<Vec<String>>,
    bulks: Mutex<Vec<String>>,
}

/// Creates opportunities until the server is gone.
fn create_until_it_dies(client: &Client, stage: &str, told: &Acknowledged, next: &AtomicUsize) {
    let json = [("content-type", "application/json")];
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number.is_multiple_of(5) {
            let name = format!("bulk {number}");
            let records = vec![json!({"name": name, "stage_id": stage}); BULK];
            let body = json!({ "records": records }).to_string();
            match client.try_raw("POST", "/opportunities/bulk-create", &json, body.as_bytes()) {
                Ok(answer) if answer.status == 200 => told.bulks.lock().expect("a lock").push(name),
                _ => return,
            }
        } else {
            let body = json!({"name": format!("single {number}"), "stage_id": stage}).to_string();
            match client.try_raw("POST", "/opportunities", &json, body.as_bytes()) {
                Ok(answer) if answer.status == 201 => {
                    told.singles.lock().expect("a lock").push(answer.id())
                }
                _ => return,
            }
        }
    }
}

fn kill_in_a_stream_of_creates(
    server: &Server,
    round: usize,
    told: &Acknowledged,
    next: &AtomicUsize,
) {
    let client = server.client();
    let (_, stages) = default_pipeline(&client);
    std::thread::scope(|scope| {
        for stage in stages.iter().take(4) {
            let client = &client;
            scope.spawn(move || create_until_it_dies(client, stage, told, next));
        }
        // Somewhere in the middle, another place each time.
        eventually("enough was answered", || {
            let singles = told.singles.lock().expect("a lock").len();
            let bulks = told.bulks.lock().expect("a lock").len();
            (singles >= 10 * round && bulks >= 2 * round).then_some(())
        });
        server.kill_9();
    });
    server.start_again();
}

on_both_engines! {
    fn every_answered_create_survives_kill_9_and_nothing_is_there_in_part(server: &Server) {
        let (told, next) = (Acknowledged::default(), AtomicUsize::new(1));
        for round in 1..=3 {
            kill_in_a_stream_of_creates(server, round, &told, &next);
        }
        let client = server.client();
        let found = all_opportunities(&client);
        let (singles, bulks) = (told.singles.lock().expect("a lock"), told.bulks.lock().expect("a lock"));
        for id in singles.iter() {
            assert!(found.iter().any(|one| one["id"] == *id), "{id} was answered and is gone");
        }
        for one in &found {
            assert_eq!(one["placements"].as_array().map(Vec::len), Some(1), "{one} came without its card");
        }
        for number in (0..next.load(Ordering::Relaxed)).filter(|number| number.is_multiple_of(5)) {
            let name = format!("bulk {number}");
            let count = found.iter().filter(|one| one["name"] == name).count();
            assert!(count == 0 || count == BULK, "{count} of {BULK} are there of {name}");
            assert!(count == BULK || !bulks.contains(&name), "{name} was answered and is gone");
        }
        let mut numbers: Vec<_> = found.iter().map(|one| one["public_id"].to_string()).collect();
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count, "a public id was given twice");
    }

    fn a_server_that_is_asked_to_end_finishes_what_it_has_begun(server: &Server) {
        let client = server.client();
        let json = [("content-type", "application/json")];
        let records = vec![json!({"name": "Fence"}); 100];
        let body = json!({ "records": records }).to_string();
        let answered = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    // Refused connections are as they should be; a request that
                    // was taken must be answered.
                    while let Ok(answer) = client.try_raw("POST", "/opportunities/bulk-create", &json, body.as_bytes()) {
                        assert_eq!(answer.status, 200, "{}", answer.text);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(300));
            assert!(server.terminate().success());
        });
        server.start_again();
        assert_eq!(all_opportunities(&client).len(), 100 * answered.load(Ordering::Relaxed));
    }
}
