//! How fast a key may call, where the operator sets a limit.

use std::time::Duration;

use serde_json::json;

use crate::fixtures::assert_guarded;
use crate::harness::{Answer, Client, Server, assert_error};

/// One request a second, five at once.
fn limited(server: &Server) -> Server {
    server.another(&["--rate-limit", "1", "--rate-limit-burst", "5"])
}

/// Calls until it is refused; how many were let through before, and the
/// refusal.
#[track_caller]
fn exhaust(client: &Client) -> (usize, Answer) {
    for count in 0..1000 {
        let answer = client.get("/contacts");
        if answer.status != 200 {
            return (count, answer);
        }
    }
    panic!("a thousand requests were let through");
}

/// Waits as long as a refusal says.
#[track_caller]
fn wait_as_told(refused: &Answer) {
    let seconds = refused.header("retry-after").expect("a time to wait");
    let seconds = seconds.parse().expect("whole seconds");
    std::thread::sleep(Duration::from_secs(seconds));
}

on_both_engines! {
    fn there_is_no_limit_until_one_is_set(server: &Server) {
        let client = server.client();
        for _ in 0..100 {
            let answer = client.get("/contacts").expect(200);
            assert_eq!((answer.header("ratelimit"), answer.header("ratelimit-policy")), (None, None));
        }
    }

    fn a_key_that_calls_too_fast_is_refused_until_the_time_that_it_is_told(server: &Server) {
        let server = limited(server);
        let client = server.client();
        let (let_through, refused) = exhaust(&client);
        assert!(let_through >= 5, "only {let_through} were let through");
        assert_error(&refused, 429, "RATE_LIMITED", &[]);
        assert_guarded(&refused);
        assert_eq!(refused.header("ratelimit-policy"), Some(r#""default";q=5;w=5"#));
        let retry_after = refused.header("retry-after").expect("a time to wait");
        let expected = format!(r#""default";r=0;t={retry_after}"#);
        assert_eq!(refused.header("ratelimit"), Some(&*expected));
        wait_as_told(&refused);
        client.get("/contacts").expect(200);
    }

    fn every_answer_to_a_key_says_what_is_left(server: &Server) {
        let key = server.key_with(&["contacts:read"]);
        let server = limited(server);
        let client = server.client().with_key(&key);
        let first = client.get("/contacts").expect(200);
        assert_eq!(first.header("ratelimit-policy"), Some(r#""default";q=5;w=5"#));
        assert_eq!(first.header("ratelimit"), Some(r#""default";r=4;t=1"#));
        let refused = client.get("/companies").expect(403);
        assert_eq!(refused.header("ratelimit-policy"), Some(r#""default";q=5;w=5"#));
        // What needs no key is not limited.
        let open = server.client().without_key();
        assert_eq!(open.get("/api-index.json").expect(200).header("ratelimit"), None);
        assert_eq!(open.get("/contacts").expect(401).header("ratelimit"), None);
    }

    fn a_key_that_calls_too_fast_is_no_hindrance_to_others(server: &Server) {
        let other = server.key_with(&["contacts:read"]);
        let server = limited(server);
        exhaust(&server.client());
        server.client().with_key(&other).get("/contacts").expect(200);
    }

    fn a_refused_call_does_nothing_costs_nothing_and_may_come_again(server: &Server) {
        let server = limited(server);
        let client = server.client();
        let (let_through, _) = exhaust(&client);
        let body = json!({"first_name": "Ada"}).to_string();
        let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
        let mut refusals = 0;
        let made = loop {
            let answer = client.raw("POST", "/contacts", &headers, body.as_bytes());
            if answer.status != 429 {
                break answer.expect(201);
            }
            assert_error(&answer, 429, "RATE_LIMITED", &[]);
            wait_as_told(&answer);
            refusals += 1;
            assert!(refusals < 100, "never let through");
        };
        assert_eq!(made.header("idempotent-replayed"), None);
        let left = made.json()["meta"]["credits_remaining"].as_u64().expect("what is left");
        assert_eq!(left, 1_000_000 - let_through as u64 - 2);
    }

    fn what_is_known_of_a_key_counts_before_what_it_may_do(server: &Server) {
        let key = server.key_with(&["contacts:read"]);
        let server = limited(server);
        let client = server.client().with_key(&key);
        exhaust(&client);
        let refused = (0..100).map(|_| client.get("/companies")).find(|answer| answer.status == 429);
        assert!(refused.is_some(), "the scope is looked at first");
        let unknown = server.client().with_key(&format!("dw_live_{}", "x".repeat(43)));
        for _ in 0..20 {
            assert_error(&unknown.get("/contacts"), 401, "UNAUTHORIZED", &[]);
        }
    }
}
