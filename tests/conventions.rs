//! The conventions of every endpoint: bodies, errors, warnings, request ids.

use serde_json::json;

use crate::fixtures::{Business, assert_guarded};
use crate::harness::{Answer, Client, Line, assert_error};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

fn post(client: &Client, body: &str) -> Answer {
    client.raw("POST", "/opportunities", &JSON, body.as_bytes())
}

on_both_engines! {
    fn a_body_that_is_no_json_object_is_refused_and_leaves_nothing(server: &Server) {
        let client = server.client();
        let deep = |depth: usize| {
            format!(r#"{{"name":"Deep","metadata":{{"a":{}{}}}}}"#, "[".repeat(depth - 2), "]".repeat(depth - 2))
        };
        let refused = [
            "{", "[]", "null", "7", "\"name\"", "{\"name\":\"A\"} x", "{'name':'A'}", "{\"name\":\"\\ud800\"}",
            "{\"name\":\"A\n\"}", "\u{feff}{}", &deep(129), &deep(10_000),
        ];
        for body in refused {
            assert_error(&post(&client, body), 400, "INVALID_BODY", &[]);
        }
        let invalid_utf8 = client.raw("POST", "/opportunities", &JSON, b"{\"name\":\"\xff\xfe\"}");
        assert_error(&invalid_utf8, 400, "INVALID_BODY", &[]);
        assert_error(&client.raw("PATCH", "/opportunities/01900000-0000-7000-8000-000000000000", &JSON, b""), 400, "INVALID_BODY", &[]);
        assert_eq!(client.get("/opportunities").expect(200).ids().len(), 0);

        // As deep as is allowed comes back as it was sent.
        post(&client, &deep(128)).expect(201);
        let sent = format!(r#""metadata":{{"a":{}{}}}"#, "[".repeat(126), "]".repeat(126));
        assert!(client.get("/opportunities").expect(200).text.contains(&sent));
    }

    fn a_body_over_its_limit_is_refused_with_413(server: &Server) {
        let client = server.client();
        let body = |bytes: usize| format!(r#"{{"name":"Big","zzz":"{}"}}"#, "z".repeat(bytes));
        for bytes in [2 * 1024 * 1024, 10 * 1024 * 1024] {
            assert_error(&post(&client, &body(bytes)), 413, "INVALID_BODY", &[]);
        }
        let bulk = client.raw("POST", "/opportunities/bulk-create", &JSON, body(17 * 1024 * 1024).as_bytes());
        assert_error(&bulk, 413, "INVALID_BODY", &[]);
        // The connection is good for more, and nothing was made.
        assert_eq!(client.get("/opportunities").expect(200).ids().len(), 0);
        // Below the limit it is only a name that nobody asked for.
        post(&client, &body(1_900_000)).expect(201);
        let records = json!({"records": [{"name": "A"}], "zzz": "z".repeat(3_000_000)});
        client.post("/opportunities/bulk-create", records).expect(200);
    }

    fn a_body_of_another_type_is_refused(server: &Server) {
        let client = server.client();
        for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
            let answer = client.raw("POST", "/opportunities", &[("content-type", media_type)], b"{\"name\":\"A\"}");
            assert_error(&answer, 415, "UNSUPPORTED_MEDIA_TYPE", &[]);
        }
        let answer = client.raw("POST", "/opportunities", &[], b"{\"name\":\"A\"}");
        assert_error(&answer, 415, "UNSUPPORTED_MEDIA_TYPE", &[]);
        let media_type = [("content-type", "Application/JSON; charset=utf-8")];
        client.raw("POST", "/opportunities", &media_type, b"{\"name\":\"A\"}").expect(201);
        // What needs no body may come without one and without a type.
        let business = Business::found(&client);
        let path = format!("/opportunities/{}/users/{}", business.opportunity, business.user);
        client.delete(&path).expect(204);
        client.raw("POST", &path, &[], b"").expect(201);
    }

    fn all_missing_fields_and_all_wrong_ones_are_named_at_once(server: &Server) {
        let client = server.client();
        let missing = client.post("/company/users/invite", json!({"full_name": null, "email": "  "}));
        assert_error(&missing, 400, "MISSING_FIELDS", &["email", "full_name"]);
        let fix = missing.json()["error"]["fix"].to_string();
        assert!(fix.contains("'email'") && fix.contains("'full_name'"), "{fix}");

        let wrong = client.post("/opportunities", json!({
            "name": "A".repeat(256),
            "status": "closed",
            "contact_id": "7",
            "value": "ten",
            "currency": "DOLLAR",
            "probability": 101,
            "expected_close_date": "2026-02-30",
            "next_action_date": "tomorrow",
            "tags": [{"name": "a"}, 7],
            "metadata": [],
            "skip_action_ids": ["x"],
        }));
        let named = [
            "name", "status", "contact_id", "value", "currency", "probability", "expected_close_date",
            "next_action_date", "tags[1]", "metadata", "skip_action_ids[0]",
        ];
        assert_error(&wrong, 400, "VALIDATION_ERROR", &named);
        let phones = json!({"first_name": "Ada", "phone": "12", "landline": "34"});
        let phones = client.post("/contacts", phones);
        assert_error(&phones, 400, "VALIDATION_ERROR", &["phone", "landline"]);
        let hint = wrong.json()["error"]["hint"].to_string();
        assert!(hint.contains("lost_reason"), "the hint lists what would be valid: {hint}");
        assert_eq!(client.get("/opportunities").expect(200).ids().len(), 0);
    }

    fn the_hint_lists_what_the_endpoint_takes_and_where(server: &Server) {
        let client = server.client();
        let hint = |answer: Answer| answer.expect(400).json()["error"]["hint"].to_string();
        let written = hint(client.post("/contacts", json!({})));
        assert!(written.contains("Writable fields: first_name, last_name"), "{written}");
        let searched = hint(client.post("/contacts/search", json!({})));
        assert!(searched.contains("Fields of the body: query, limit"), "{searched}");
        let listed = hint(client.get("/contacts?limit=many"));
        assert!(listed.contains("Query parameters: search, email"), "{listed}");
    }

    fn a_fixed_line_sent_as_phone_is_told_where_it_belongs(server: &Server) {
        let client = server.client();
        let fixed = json!({"first_name": "Ada", "phone": "02 9876 5432"});
        let refused = client.post("/contacts", fixed.clone());
        assert_error(&refused, 400, "VALIDATION_ERROR", &[]);
        let error = &refused.json()["error"];
        assert_eq!(error["message"], "phone is a fixed line, not a mobile number");
        assert_eq!(
            error["fix"],
            "Send '+61298765432' as 'landline': 'phone' is for mobile numbers."
        );
        let bulk = client.post("/contacts/bulk-create", json!({"records": [fixed]})).expect(200);
        assert!(bulk.text.contains("as 'landline'"), "{}", bulk.text);
    }

    fn a_tag_without_a_name_is_refused_at_its_name(server: &Server) {
        let client = server.client();
        for tag in [json!({"color": "#fff"}), json!({"name": null}), json!({"name": " "})] {
            let refused = client.post("/opportunities", json!({"name": "A", "tags": ["ok", tag]}));
            assert_error(&refused, 400, "VALIDATION_ERROR", &["tags[1].name must not be blank"]);
        }
    }

    fn every_text_is_kept_as_it_was_sent_but_for_nul(server: &Server) {
        let client = server.client();
        for name in ["👩‍🚀 Zoë \u{202e}✓", "'; drop table opportunities; --", "<script>alert(1)</script>", "\\u0041 \" \\ %00", &"é".repeat(255)] {
            let made = client.post("/opportunities", json!({"name": name, "notes": name, "metadata": {name: name}})).expect(201);
            let read = client.get(&format!("/opportunities/{}", made.id())).expect(200).data();
            assert_eq!((&read["name"], &read["notes"], &read["metadata"][name]), (&json!(name), &json!(name), &json!(name)));
        }
        let before = client.get("/opportunities").expect(200).ids();
        for (field, value) in [
            ("name", json!("A\0B")),
            ("notes", json!("\0")),
            ("lead_source", json!("x\0")),
            ("tags", json!(["a\0"])),
            ("metadata", json!({"a": {"b": ["\0"]}})),
            ("metadata", json!({"a\0": 1})),
        ] {
            let mut body = json!({"name": "A"});
            body[field] = value;
            assert_error(&client.post("/opportunities", body), 400, "VALIDATION_ERROR", &[field]);
        }
        assert_error(&client.get("/opportunities?search=a%00b"), 400, "VALIDATION_ERROR", &["search"]);
        assert_error(&client.post("/opportunities/search", json!({"query": "\0"})), 400, "VALIDATION_ERROR", &["query"]);
        assert_eq!(client.get("/opportunities").expect(200).ids(), before);
    }

    fn money_is_exact_and_bounded(server: &Server) {
        let client = server.client();
        for (sent, kept) in [
            ("0.1", "0.1"), ("10005534", "10005534"), ("1e3", "1000"), ("-0.0001", "-0.0001"), ("0.30000000000000004", "0.3"),
            ("900000000000000.1234", "900000000000000.1234"), ("12.34565", "12.3457"), ("-0", "0"),
        ] {
            let made = post(&client, &format!(r#"{{"name":"A","value":{sent}}}"#)).expect(201);
            assert!(made.text.contains(&format!(r#""value":{kept},"#)), "{sent}: {}", made.text);
            let read = client.get(&format!("/opportunities/{}", made.id())).expect(200);
            assert!(read.text.contains(&format!(r#""value":{kept},"#)), "{sent}: {}", read.text);
        }
        for sent in ["1e400", "-1e400", "9999999999999999999", "1e15"] {
            let refused = post(&client, &format!(r#"{{"name":"A","value":{sent}}}"#));
            assert_error(&refused, 400, "VALIDATION_ERROR", &["value"]);
        }
    }

    fn what_nobody_asked_for_is_ignored_and_named(server: &Server) {
        let client = server.client();
        let made = client.post("/opportunities?dry_run=1", json!({"name": "A", "colour": "red", "id": "7"})).expect(201).json();
        let warnings = made["meta"]["warnings"].to_string();
        for name in ["colour", "id", "dry_run"] {
            assert!(warnings.contains(name), "{name} in {warnings}");
        }
        let listed = client.get("/opportunities?sort=name&limit=5").expect(200).json();
        let warnings = listed["meta"]["warnings"].as_array().expect("warnings");
        assert!(warnings.len() == 1 && warnings[0].to_string().contains("sort"));
        let bulk = client.post("/opportunities/bulk-create", json!({"records": [{"name": "A", "shade": 1}]})).expect(200).json();
        assert!(bulk["meta"]["warnings"].to_string().contains("shade"));
        assert_eq!(client.get("/opportunities").expect(200).json()["meta"].get("warnings"), None);
    }

    fn every_answer_carries_a_request_id(server: &Server) {
        let client = server.client();
        let sent = |id: &str| client.raw("GET", "/opportunities", &[("x-request-id", id)], b"");
        assert_eq!(sent("my-id_1.2:3").header("x-request-id"), Some("my-id_1.2:3"));
        let too_long = "x".repeat(129);
        for strange in ["a b", "", "a\"b", &too_long] {
            let answered = sent(strange);
            let id = answered.header("x-request-id").expect("a request id");
            assert_ne!(id, strange);
            assert_eq!(id.len(), 36);
        }
        for answer in [client.get("/nothing"), client.without_key().get("/contacts"), client.under("").get("/healthz")] {
            assert!(answer.header("x-request-id").is_some(), "{}", answer.request);
        }
    }

    fn every_kind_of_answer_tells_a_browser_to_beware(server: &Server) {
        let client = server.client();
        let made = client.post("/opportunities", json!({"name": "<script>alert(1)</script>"})).expect(201);
        let path = format!("/opportunities/{}", made.id());
        let root = client.under("").without_key();
        let user = json!({"email": "twice@example.com", "full_name": "Twice"});
        client.post("/company/users/invite", user.clone()).expect(201);
        let too_large = format!(r#"{{"name":"{}"}}"#, "z".repeat(3 * 1024 * 1024));
        let answers = [
            made,
            client.get(&path).expect(200),
            client.get("/opportunities").expect(200),
            client.raw("HEAD", &path, &[], b"").expect(200),
            client.post("/opportunities/bulk-create", json!({"records": [{"name": 7}]})).expect(200),
            client.delete(&path).expect(204),
            post(&client, "{").expect(400),
            client.without_key().get("/contacts").expect(401),
            server.client_with(&["contacts:read"]).get("/opportunities").expect(403),
            client.get(&path).expect(404),
            client.get("/nothing").expect(404),
            client.post("/company/users/invite", user).expect(409),
            client.raw("PUT", "/opportunities", &[], b"").expect(405),
            post(&client, &too_large).expect(413),
            client.raw("POST", "/opportunities", &[("content-type", "text/html")], b"<b>").expect(415),
            root.get("/healthz").expect(200),
            root.get("/readyz").expect(200),
            root.put("/openapi.json", json!({})).expect(405),
        ];
        answers.iter().for_each(assert_guarded);
    }

    fn what_is_no_request_is_refused_with_nothing_to_show(server: &Server) {
        let get = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n";
        let too_many: String = (0..1000).map(|number| format!("x-{number}: 7\r\n")).collect();
        for (said, status) in [
            ("\u{16}\u{3}\u{1}\r\n\r\n", "400"),
            ("<script>alert(1)</script>\r\n\r\n", "400"),
            ("GET /<script> HTTP/1.1\r\n\r\n", "400"),
            ("GET /healthz HTTP/7.0\r\n\r\n", "400"),
            (&format!("{get}no colon\r\n\r\n"), "400"),
            (&format!("{get}content-length: 7\r\ncontent-length: 8\r\n\r\n"), "400"),
            (&format!("{get}{too_many}\r\n"), "431"),
            (&format!("{get}x: {}\r\n\r\n", "7".repeat(1_000_000)), "431"),
        ] {
            let mut line = Line::to(server);
            line.say(said);
            let heard = line.hear_all();
            let (head, body) = heard.split_once("\r\n\r\n").unwrap_or((&heard, ""));
            let shown = &said[..said.len().min(80)];
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {heard}");
            assert!(body.is_empty() && !head.contains("content-type"), "{shown:?}: {heard}");
        }
        server.client().under("").get("/healthz").expect(200);
    }

    fn the_last_days_of_the_calendar_are_days_like_others(server: &Server) {
        let client = server.client();
        let made = client.post("/opportunities", json!({"name": "Fence"})).expect(201);
        for (filter, found) in [("created_after", 0), ("created_before", 1)] {
            for day in ["9999-12-30", "9999-12-31"] {
                let list = client.get(&format!("/opportunities?{filter}={day}")).expect(200);
                assert_eq!(list.ids().len(), found, "{filter} {day}");
            }
        }
        for day in ["9999-12-31", "0001-01-01"] {
            let won = json!({"status": "won", "actual_close_date": day});
            let won = client.patch(&format!("/opportunities/{}", made.id()), won).expect(200);
            assert_eq!(won.data()["actual_close_date"], day);
        }
    }

    fn an_unknown_filter_value_is_refused_and_an_unknown_id_finds_nothing(server: &Server) {
        let client = server.client();
        Business::found(&client);
        let nothing = "01900000-0000-7000-8000-000000000000";
        for filter in ["contact_id", "customer_id", "assigned_to", "pipeline_id", "stage_id"] {
            assert_eq!(client.get(&format!("/opportunities?{filter}={nothing}")).expect(200).ids().len(), 0);
            assert_error(&client.get(&format!("/opportunities?{filter}=7")), 400, "VALIDATION_ERROR", &[filter]);
        }
        assert_error(&client.get("/opportunities?status=maybe"), 400, "VALIDATION_ERROR", &["status", "open, won, lost"]);
        assert_error(&client.get("/opportunities?created_after=yesterday"), 400, "VALIDATION_ERROR", &["created_after"]);
        let unknown = client.get("/opportunities?expand=contact,everything");
        assert_error(&unknown, 400, "VALIDATION_ERROR", &["expand", "contact, referrer, customer, products, assigned_users"]);
    }
}
