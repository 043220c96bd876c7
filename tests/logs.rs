//! What the log tells, and what it must never tell: keys, and anything about a
//! person.

use serde_json::json;

use crate::fixtures::{Business, NOBODY, encode, endpoints};
use crate::harness::{Client, Server};

/// An address, a number and a name that nothing of ours would write.
const ADDRESS: &str = "zebulon.quagmire@leak.example";
const PHONE: &str = "+61491570156";
const NAME: &str = "Zebulon Quagmire";
/// Something that looks like a key, and is none.
const WRONG_KEY: &str = "dw_live_ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ";

/// What of these must be nowhere: the shortest part by which one is known.
const TRACES: [&str; 7] = [
    "quagmire",
    "zebulon",
    "leak.example",
    "491570156",
    "491 570 156",
    "dw_live_",
    "ZZZZZZZZ",
];

/// Says it in every place of a request that a client can say something in.
fn tell_everywhere(client: &Client, method: &str, path: &str, path_to_it: &str) {
    let json = [("content-type", "application/json")];
    let body = json!({
        "name": NAME, "first_name": NAME, "last_name": NAME, "full_name": NAME,
        "email": ADDRESS, "phone": PHONE, "landline": PHONE, "query": ADDRESS,
        "key": WRONG_KEY, "notes": format!("{ADDRESS} {PHONE}"), "tags": [NAME, ADDRESS],
        "metadata": { ADDRESS: PHONE }, "contact_id": PHONE, "scopes": [WRONG_KEY],
    });
    let body = body.to_string();
    let bodies = [
        body.as_str(),
        // Broken off within an address, a value of the wrong type, no object.
        &body[..body.len() / 2],
        r#"{"email": ["zebulon.quagmire@leak.example", "+61491570156"], "records": "Quagmire"}"#,
        r#""zebulon.quagmire@leak.example""#,
    ];
    let query = format!(
        "search={}&email={}&phone={}&cursor={}&limit={}&{}=1&key={WRONG_KEY}",
        encode(NAME),
        encode(ADDRESS),
        encode(PHONE),
        encode(ADDRESS),
        encode(PHONE),
        encode(ADDRESS),
    );
    match method {
        "GET" | "DELETE" => {
            client.raw(method, &format!("{path}?{query}"), &[], b"");
        }
        _ => {
            for body in bodies {
                client.raw(method, &format!("{path}?{query}"), &json, body.as_bytes());
            }
        }
    }
    client.raw(method, path_to_it, &json, b"{}");
    let headers = [
        ("content-type", ADDRESS),
        ("idempotency-key", ADDRESS),
        ("x-request-id", ADDRESS),
        ("user-agent", ADDRESS),
        ("referer", ADDRESS),
        ("cookie", WRONG_KEY),
    ];
    client.raw(method, path, &headers, b"{}");
    client
        .with_key(WRONG_KEY)
        .raw(method, path, &headers, b"{}");
    client.with_key(ADDRESS).raw(method, path, &headers, b"{}");
}

/// Fails with the lines in which a trace of anything is left.
#[track_caller]
fn assert_untold(server: &Server, keys: &[&str]) {
    let log = server.log();
    let told: Vec<_> = log
        .lines()
        .filter(|line| {
            let small = line.to_lowercase();
            TRACES
                .iter()
                .any(|trace| small.contains(&trace.to_lowercase()))
                || keys.iter().any(|key| line.contains(&key[8..24]))
        })
        .collect();
    assert!(told.is_empty(), "the log tells:\n{}", told.join("\n"));
}

on_both_engines! {
    fn no_key_no_address_and_no_phone_number_is_ever_logged(server: &Server) {
        let printed = server.output();
        assert_eq!(printed.matches(server.key()).count(), 2, "the key is shown with its curl line, once");
        // Whatever takes a millisecond is slow enough to be told, and all that any
        // part of the program would say is said.
        let server = server.another_logging("trace", &["--slow-statement-ms", "1", "--rate-limit", "100000"]);
        let client = server.client();
        let business = Business::found(&client);
        let contact = json!({"first_name": NAME, "email": ADDRESS, "phone": PHONE});
        client.post("/contacts", contact.clone()).expect(201);
        client.post("/contacts/search", json!({"query": PHONE})).expect(200);
        client.post("/company/users/invite", json!({"email": ADDRESS, "full_name": NAME})).expect(201);
        // A conflict, which the database finds by the address itself.
        client.post("/company/users/invite", json!({"email": ADDRESS, "full_name": "Other"})).expect(409);
        let key = server.key_with(&["contacts:read"]);
        client.with_key(&key).get("/contacts").expect(200);
        client.with_key(&key).post("/contacts", contact).expect(403);

        for endpoint in endpoints(&client) {
            let path = match endpoint.method() {
                "DELETE" => endpoint.path_to(NOBODY),
                _ => business.fill(endpoint.path()),
            };
            let path_to_it = endpoint.path_to(&encode(ADDRESS));
            tell_everywhere(&client, endpoint.method(), &path, &path_to_it);
        }
        // Where there is no endpoint, nor such a method.
        client.get(&format!("/contacts/by-phone/{PHONE}")).expect(404);
        client.raw("ZEBULON.QUAGMIRE", "/contacts", &[], b"").expect(405);
        client.under("").get(&format!("/{WRONG_KEY}")).expect(404);

        let log = server.log();
        for told in ["/contacts/:id", "status=201", "status=400", "status=409"] {
            assert!(log.contains(told), "the log has nothing of {told}:\n{log}");
        }
        assert_untold(&server, &[server.key(), &key]);
        assert!(server.terminate().success());
        assert_untold(&server, &[server.key(), &key]);
    }

    fn what_a_client_can_make_up_is_no_part_of_a_line(server: &Server) {
        let client = server.client();
        client.raw("QUAGMIRE", "/contacts", &[("x-request-id", "Quagmire status=500")], b"").expect(405);
        client.raw("GET", "/quagmire", &[("x-request-id", "mine-7")], b"").expect(404);
        let log = server.log();
        assert!(log.contains("method=\"other\"") && log.contains("mine-7"), "{log}");
        assert!(!log.to_lowercase().contains("quagmire"), "{log}");
    }
}
