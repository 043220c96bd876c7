//! What the server tells about itself, at `/metrics` and in its log, and to
//! whom.

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::json;

use crate::harness::{Answer, Client, assert_error, eventually};

/// The metrics as a program on the same machine gets them.
fn page(client: &Client) -> String {
    let answer = client.without_key().under("").get("/metrics").expect(200);
    let media_type = answer.header("content-type").unwrap_or_default();
    assert!(
        media_type.starts_with("application/openmetrics-text"),
        "{media_type}"
    );
    assert!(answer.text.ends_with("# EOF\n"), "{}", answer.text);
    answer.text
}

/// The value of a series, which must be there.
#[track_caller]
fn value(page: &str, series: &str) -> f64 {
    let found = page
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    match found.and_then(|value| value.parse().ok()) {
        Some(value) => value,
        None => panic!("no {series} in\n{page}"),
    }
}

/// How many requests of a kind are said to have been answered.
#[track_caller]
fn answered(page: &str, method: &str, route: &str, status: &str) -> f64 {
    let labels = format!(r#"method="{method}",route="{route}",status="{status}""#);
    let name = "dealwright_http_request_duration_seconds";
    let count = value(page, &format!("{name}_count{{{labels}}}"));
    let all = value(page, &format!("{name}_bucket{{le=\"+Inf\",{labels}}}"));
    assert_eq!(count, all);
    count
}

fn through_a_proxy(client: &Client) -> Answer {
    let root = client.without_key().under("");
    root.raw(
        "GET",
        "/metrics",
        &[("x-forwarded-for", "203.0.113.7")],
        b"",
    )
}

on_both_engines! {
    fn the_metrics_count_the_calls_by_the_patterns_of_their_routes(server: &Server) {
        let client = server.client();
        let ids: Vec<_> = ["Fence", "Gate", "Shed"]
            .map(|name| client.post("/opportunities", json!({"name": name})).expect(201).id())
            .into();
        // By all its names it is one route.
        client.get(&format!("/opportunities/{}", ids[0])).expect(200);
        client.get(&format!("/deals/{}", ids[1])).expect(200);
        client.under("/functions/v1/api/v1").get(&format!("/deals/{}", ids[2])).expect(200);
        client.delete(&format!("/opportunities/{}", ids[0])).expect(204);
        client.get(&format!("/opportunities/{}", ids[0])).expect(404);
        client.post("/opportunities", json!({})).expect(400);
        client.get("/no/such/route").expect(404);
        client.under("").get("/healthz").expect(200);

        let page = page(&client);
        assert_eq!(answered(&page, "POST", "/opportunities", "2xx"), 3.0);
        assert_eq!(answered(&page, "POST", "/opportunities", "4xx"), 1.0);
        assert_eq!(answered(&page, "GET", "/opportunities/:id", "2xx"), 3.0);
        assert_eq!(answered(&page, "GET", "/opportunities/:id", "4xx"), 1.0);
        assert_eq!(answered(&page, "DELETE", "/opportunities/:id", "2xx"), 1.0);
        assert_eq!(answered(&page, "GET", "none", "4xx"), 1.0);
        assert_eq!(answered(&page, "GET", "/healthz", "2xx"), 1.0);
    }

    fn no_metric_tells_what_a_client_sent(server: &Server) {
        let client = server.client();
        let contact = json!({"first_name": "Wilhelmina", "email": "wilhelmina@example.com"});
        let id = client.post("/contacts", contact).expect(201).id();
        client.get(&format!("/contacts/{id}")).expect(200);
        client.get("/contacts?email=wilhelmina@example.com").expect(200);
        client.get("/wilhelmina").expect(404);
        client.raw("WILHELMINA", "/contacts", &[], b"").expect(405);
        client.raw("GET", "/contacts", &[("x-request-id", "wilhelmina")], b"").expect(200);
        let page = page(&client);
        for told in ["ilhelmina", "WILHELMINA", id.as_str(), server.key()] {
            assert!(!page.contains(told), "{told} in\n{page}");
        }
        assert_eq!(answered(&page, "other", "none", "4xx"), 1.0);
    }

    fn the_metrics_tell_of_the_store_the_events_and_what_is_at_work(server: &Server) {
        let server = server.another(&["--max-requests", "1"]);
        let client = server.client();
        for name in ["Fence", "Gate", "Shed"] {
            client.post("/opportunities", json!({"name": name})).expect(201);
        }
        let first = page(&client);
        assert_eq!(value(&first, "dealwright_events_waiting"), 3.0);
        assert!(value(&first, "dealwright_store_writes_total") >= 3.0);
        assert!(value(&first, "dealwright_store_commit_size_count") >= 3.0);
        assert!(value(&first, "dealwright_store_commit_size_sum") >= 3.0);
        for none in [
            "dealwright_store_retries_total",
            "dealwright_store_writes_waiting",
            "dealwright_http_requests_at_work",
            "dealwright_http_requests_refused_total",
        ] {
            assert_eq!(value(&first, none), 0.0, "{none}");
        }
        assert!(value(&first, "dealwright_store_connections_in_use") >= 0.0);
        assert!(value(&first, "process_start_time_seconds") > 1.7e9);

        let mut slow = TcpStream::connect(server.address()).expect("a connection");
        let head = format!(
            "POST /v1/opportunities HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: 100\r\n\r\n",
            server.key()
        );
        slow.write_all(head.as_bytes()).expect("the server takes it");
        // The metrics are shown however busy the server is.
        let busy = eventually("a request is at work", || {
            Some(page(&client)).filter(|page| value(page, "dealwright_http_requests_at_work") == 1.0)
        });
        assert!(value(&busy, "dealwright_connections") >= 2.0);
        client.get("/opportunities").expect(503);
        let refused = page(&client);
        assert_eq!(value(&refused, "dealwright_http_requests_refused_total"), 1.0);
        assert_eq!(answered(&refused, "GET", "/opportunities", "5xx"), 1.0);

        drop(slow);
        eventually("nothing is at work", || {
            (value(&page(&client), "dealwright_http_requests_at_work") == 0.0).then_some(())
        });
    }

    fn slow_statements_are_logged_without_their_values(server: &Server) {
        let server = server.another(&["--slow-statement-ms", "1"]);
        let records = vec![json!({"name": "Wilhelmina", "notes": "Wilhelmina ".repeat(1000)}); 100];
        // One of so many writes takes a millisecond on any machine, sooner or later.
        let line = eventually("a statement was slow", || {
            server.client().post("/opportunities/bulk-create", json!({"records": records})).expect(200);
            server.output().lines().find(|line| line.contains("a statement was slow")).map(str::to_owned)
        });
        for said in ["sql=", "duration_ms=", "rows="] {
            assert!(line.contains(said), "{line}");
        }
        assert!(!server.output().contains("Wilhelmina"));

        let quiet = server.another(&["--slow-statement-ms", "0"]);
        quiet.client().post("/opportunities/bulk-create", json!({"records": records})).expect(200);
        assert!(!quiet.output().contains("a statement was slow"));
    }

    fn the_metrics_are_not_shown_to_strangers_unless_they_are_public(server: &Server) {
        page(&server.client());
        assert_error(&through_a_proxy(&server.client()), 404, "NOT_FOUND", &[]);
        let public = server.another(&["--metrics", "public"]);
        through_a_proxy(&public.client()).expect(200);
        let off = server.another(&["--metrics", "off"]);
        let hidden = off.client().without_key().under("").get("/metrics");
        assert_error(&hidden, 404, "NOT_FOUND", &[]);
    }
}
