//! `POST /mcp`: who is let in, which versions are spoken, what is no message.

use serde_json::{Value, json};

use super::{done, initialize, refused, request, send, send_with};
use crate::fixtures::{assert_guarded, text};
use crate::harness::assert_error;

/// What a message of the version without a handshake says about itself.
fn about(version: &str) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

on_both_engines! {
    fn nobody_is_let_in_without_a_key_that_is_in_use(server: &Server) {
        let client = server.client();
        let key = server.key_with(&["contacts:read"]);
        let id = client.get("/api-keys").expect(200).ids().remove(0);
        let agent = client.with_key(&key);
        send(&agent, &initialize("2025-11-25")).expect(200);
        client.delete(&format!("/api-keys/{id}")).expect(204);
        let unknown = format!("dw_live_{}", "A".repeat(43));
        for stranger in [client.without_key(), client.with_key(&unknown), agent] {
            for message in [initialize("2025-11-25"), request("ping", json!({})), json!("nothing")] {
                let answer = send(&stranger, &message);
                assert_error(&answer, 401, "UNAUTHORIZED", &[]);
                assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            }
        }
    }

    fn each_version_with_a_handshake_is_spoken(server: &Server) {
        let client = server.client();
        for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
            let answer = send(&client, &initialize(version)).expect(200);
            assert_guarded(&answer);
            let answer = answer.json();
            assert_eq!(answer["result"]["protocolVersion"], version);
            assert_eq!(answer["result"]["serverInfo"]["name"], "dealwright");
            assert!(answer["result"]["capabilities"]["tools"].is_object());
            assert!(text(&answer["result"]["instructions"]).contains("get_ai_instructions"));
            let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
            let headers = [("mcp-protocol-version", version)];
            let answer = send_with(&client, &headers, &told).expect(202);
            assert_eq!(answer.text, "");
            let answer = send_with(&client, &headers, &request("ping", json!({}))).expect(200);
            assert_eq!(answer.json()["result"], json!({}));
        }
        // One that nobody knows: the newest that there is.
        let answer = send(&client, &initialize("1999-12-31")).expect(200).json();
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
        let headers = [("mcp-protocol-version", "1999-12-31")];
        send_with(&client, &headers, &request("ping", json!({}))).expect(400);
    }

    fn the_version_without_a_handshake_is_spoken(server: &Server) {
        let client = server.client();
        let version = "2026-07-28";
        let headers = [("mcp-protocol-version", version), ("mcp-method", "server/discover")];
        let discover = request("server/discover", json!({"_meta": about(version)}));
        let found = send_with(&client, &headers, &discover).expect(200).json();
        let versions = &found["result"]["supportedVersions"];
        assert!(versions.as_array().is_some_and(|all| all.contains(&json!(version))), "{found}");

        let call = json!({"name": "list_contacts", "arguments": {}, "_meta": about(version)});
        let call = request("tools/call", call);
        let headers = [
            ("mcp-protocol-version", version),
            ("mcp-method", "tools/call"),
            ("mcp-name", "list_contacts"),
        ];
        let answer = send_with(&client, &headers, &call).expect(200).json();
        assert_eq!(answer["result"]["structuredContent"]["data"], json!([]));
        assert_eq!(answer["result"]["resultType"], "complete");
        // Headers that say something else than the message.
        for headers in [
            [("mcp-protocol-version", version), ("mcp-method", "tools/list"), ("mcp-name", "list_contacts")],
            [("mcp-protocol-version", version), ("mcp-method", "tools/call"), ("mcp-name", "get_contact")],
            [("mcp-protocol-version", "2025-11-25"), ("mcp-method", "tools/call"), ("mcp-name", "list_contacts")],
        ] {
            send_with(&client, &headers, &call).expect(400);
        }
    }

    fn nothing_of_a_client_is_kept_between_two_messages(server: &Server) {
        let client = server.client();
        let opened = send(&client, &initialize("2025-11-25")).expect(200);
        assert_eq!(opened.header("mcp-session-id"), None);
        // Neither does a client need one, nor is one looked at that it made up:
        // whose message it is says the key alone.
        let other = server.workspace("Another").client();
        done(&other, "create_contact", json!({"first_name": "Theirs"}));
        let listing = request("tools/call", json!({"name": "list_contacts"}));
        for session in ["1", "0193d5e0-7a4b-7c3d-9e2f-1a2b3c4d5e6f"] {
            let answer = send_with(&client, &[("mcp-session-id", session)], &listing).expect(200).json();
            assert_eq!(answer["result"]["structuredContent"]["data"], json!([]));
        }
        // Nothing comes unasked, so there is no stream to listen to, and no
        // session to end.
        for method in ["GET", "DELETE"] {
            let headers = [("accept", "text/event-stream"), ("mcp-session-id", "1")];
            let answer = client.under("").raw(method, "/mcp", &headers, b"");
            assert_error(&answer, 405, "METHOD_NOT_ALLOWED", &[method]);
            assert_eq!(answer.header("allow"), Some("POST"));
        }
        let elsewhere = server.another(&[]);
        let answer = send(&elsewhere.client(), &listing).expect(200).json();
        assert_eq!(answer["result"]["structuredContent"]["data"], json!([]));
        assert!(elsewhere.terminate().success());
    }

    fn what_is_cancelled_is_answered_all_the_same_since_it_is_done_by_then(server: &Server) {
        let client = server.client();
        let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}});
        send(&client, &cancelled).expect(202);
        done(&client, "list_contacts", json!({}));
    }

    fn a_page_of_another_site_can_not_call(server: &Server) {
        let client = server.client();
        let ping = request("ping", json!({}));
        for origin in ["http://evil.example", "null", "http://localhost:1", "https://127.0.0.1"] {
            send_with(&client, &[("origin", origin)], &ping).expect(403);
        }
        let own = format!("http://{}", server.address());
        send_with(&client, &[("origin", &own)], &ping).expect(200);
        let public = server.another(&["--public-url", "https://crm.example"]);
        let client = public.client();
        send_with(&client, &[("origin", "https://crm.example")], &ping).expect(200);
        send_with(&client, &[("origin", &own)], &ping).expect(403);
    }

    fn what_is_no_message_is_refused_with_what_is_wrong(server: &Server) {
        let client = server.client().under("");
        let accept = ("accept", "application/json, text/event-stream");
        let json = ("content-type", "application/json");
        for (body, code) in [
            (&b"{"[..], -32700),
            (b"\xff", -32700),
            (b"[]", -32600),
            (b"7", -32600),
            (br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
            (br#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32600),
            (br#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
            (b"{}", -32600),
        ] {
            let answer = client.raw("POST", "/mcp", &[json, accept], body).expect(400);
            assert_eq!(answer.json()["error"]["code"], code, "{}", answer.text);
        }
        let ping = request("ping", json!({})).to_string();
        let refused = client.raw("POST", "/mcp", &[accept], ping.as_bytes());
        assert_error(&refused, 415, "UNSUPPORTED_MEDIA_TYPE", &[]);
        client.raw("POST", "/mcp", &[json, ("accept", "text/html")], ping.as_bytes()).expect(406);
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{deep}}}}}"#);
        assert_error(&client.raw("POST", "/mcp", &[json, accept], deep.as_bytes()), 400, "INVALID_BODY", &["128"]);
    }

    fn a_message_may_be_as_large_as_the_request_that_it_stands_for(server: &Server) {
        let client = server.client();
        let notes = "x".repeat(3 * 1024 * 1024);
        let refusal = super::error(&client, "create_contact", json!({"first_name": "Ada", "notes": notes}), "INVALID_BODY");
        assert_eq!(refusal["status"], 413);
        let notes = "x".repeat(90_000);
        let record = json!({"first_name": "Ada", "notes": notes});
        let made = done(&client, "bulk_create_contacts", json!({"records": vec![record; 40]}));
        assert_eq!(made["data"]["created_count"], 40);
        let huge = request("ping", json!({"a": "x".repeat(17 * 1024 * 1024)}));
        assert_error(&send(&client, &huge), 413, "INVALID_BODY", &[]);
        let large = request("ping", json!({"a": "x".repeat(3 * 1024 * 1024)}));
        assert_error(&send(&client, &large), 413, "INVALID_BODY", &[]);
    }

    fn what_clients_ask_for_and_there_is_not_is_no_method(server: &Server) {
        let client = server.client();
        for method in ["prompts/list", "logging/setLevel", "completion/complete", "resources/subscribe"] {
            let params = json!({
                "level": "info", "uri": "dealwright://llms.txt",
                "ref": {"type": "ref/prompt", "name": "a"}, "argument": {"name": "a", "value": "b"},
            });
            let (code, message) = refused(&client, method, params);
            assert_eq!(code, -32601, "{method}: {message}");
        }
    }
}
