//! `dealwright mcp`: the protocol over the standard input and output.

use std::process::Output;

use serde_json::{Value, json};

use super::{initialize, request, send};
use crate::fixtures::{list, text};
use crate::harness::Server;

/// What a client says from beginning to end: the handshake, and these requests
/// with ids from 0 on.
fn conversation(requests: &[Value]) -> String {
    let begun = [
        initialize("2025-11-25"),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
    ];
    let numbered = requests.iter().enumerate().map(|(id, request)| {
        let mut request = request.clone();
        request["id"] = id.into();
        request
    });
    let messages: Vec<_> = begun.into_iter().chain(numbered).collect();
    messages
        .iter()
        .map(|message| format!("{message}\n"))
        .collect()
}

pub(crate) fn calling(tool: &str, arguments: Value) -> Value {
    request(
        "tools/call",
        json!({ "name": tool, "arguments": arguments }),
    )
}

/// The answers to the requests, in their order, behind that to the handshake.
#[track_caller]
fn answers(output: &Output) -> Vec<Value> {
    let printed = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    let lines = printed
        .lines()
        .map(|line| match serde_json::from_str(line) {
            Ok(message) => message,
            Err(error) => panic!("{line} is no message: {error}"),
        });
    let mut messages: Vec<Value> = lines.collect();
    let begun = messages
        .iter()
        .position(|message| message["id"] == 7)
        .expect("a handshake");
    let opened = messages.remove(begun);
    assert_eq!(opened["result"]["protocolVersion"], "2025-11-25");
    messages.sort_by_key(|message| message["id"].as_u64());
    messages
}

/// Holds a conversation by the command with these options.
#[track_caller]
pub(crate) fn converse(server: &Server, options: &[&str], requests: &[Value]) -> Vec<Value> {
    let arguments = [&["mcp"], options].concat();
    let output = server.cli_with_input(&arguments, &conversation(requests));
    let answers = answers(&output);
    assert_eq!(answers.len(), requests.len(), "{answers:?}");
    answers
}

fn content(answer: &Value) -> &Value {
    &answer["result"]["structuredContent"]
}

on_both_engines! {
    fn an_agent_works_on_the_database_beside_a_running_server(server: &Server) {
        let client = server.client();
        let made = converse(server, &[], &[
            calling("create_contact", json!({"first_name": "Ada"})),
            request("tools/list", json!({})),
            request("resources/read", json!({"uri": "dealwright://llms.txt"})),
        ]);
        let id = text(&content(&made[0])["data"]["id"]);
        assert_eq!(client.get(&format!("/contacts/{id}")).expect(200).data()["first_name"], "Ada");
        // Without a key there is none by which a call could be known again.
        let tools = list(&made[1]["result"]["tools"]);
        assert!(tools.iter().any(|tool| tool["name"] == "create_opportunity"));
        assert!(!made[1].to_string().contains("idempotency_key"));
        assert!(made[2]["result"]["contents"][0]["text"].is_string());
        // What it used is counted with the rest.
        let left = client.get("/contacts").expect(200).json()["meta"]["credits_remaining"].clone();
        assert!(left.as_i64() <= Some(999_998), "{left}");
    }

    fn an_agent_works_in_the_workspace_that_is_named(server: &Server) {
        let other = server.workspace("Second business");
        let calls = [calling("create_contact", json!({"first_name": "Ada"}))];
        converse(server, &["--workspace", "Second business"], &calls);
        assert_eq!(other.client().get("/contacts").expect(200).ids().len(), 1);
        assert!(server.client().get("/contacts").expect(200).ids().is_empty());
        let output = server.cli_with_input(&["mcp", "--workspace", "None"], "");
        assert!(!output.status.success() && output.stdout.is_empty());
    }

    fn a_key_decides_what_an_agent_may_do(server: &Server) {
        let key = server.key_with(&["contacts:read"]);
        let calls = [
            calling("list_contacts", json!({})),
            calling("create_contact", json!({"first_name": "Ada"})),
            request("tools/list", json!({})),
        ];
        let url = format!("http://{}", server.address());
        let unknown = format!("dw_live_{}", "A".repeat(43));
        // Straight on the database, and through the server.
        for way in [&["--key"][..], &["--url", &url, "--key"]] {
            let answers = converse(server, &[way, &[&key]].concat(), &calls);
            assert_eq!(content(&answers[0])["data"], json!([]));
            assert_eq!(content(&answers[1])["error"]["code"], "INSUFFICIENT_SCOPE");
            let names: Vec<_> = list(&answers[2]["result"]["tools"]).iter().map(|tool| text(&tool["name"])).collect();
            assert!(names.contains(&"get_contact".to_owned()) && !names.contains(&"create_contact".to_owned()), "{names:?}");
        }
        let refused = converse(server, &["--key", &unknown], &calls);
        assert_eq!(content(&refused[0])["error"]["code"], "UNAUTHORIZED");
        let output = server.cli_with_input(&["mcp", "--url", &url, "--key", &unknown], &conversation(&calls));
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(printed.lines().count(), 4, "{printed}");
        assert!(printed.lines().all(|line| line.contains("unknown or revoked")), "{printed}");
        let without = server.cli_with_input(&["mcp", "--url", &url], "");
        assert!(!without.status.success());
    }

    fn the_version_without_a_handshake_goes_through_a_server_too(server: &Server) {
        let about = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let calls = [
            request("server/discover", json!({"_meta": about})),
            request("tools/call", json!({"name": "list_contacts", "arguments": {}, "_meta": about})),
            request("resources/read", json!({"uri": "dealwright://llms.txt", "_meta": about})),
        ];
        let numbered = (0..).zip(calls).map(|(id, mut call)| {
            call["id"] = id.into();
            format!("{call}\n")
        });
        let messages: String = numbered.collect();
        let url = format!("http://{}", server.address());
        for way in [&["mcp"][..], &["mcp", "--url", &url, "--key", server.key()]] {
            let output = server.cli_with_input(way, &messages);
            let printed = String::from_utf8_lossy(&output.stdout);
            assert_eq!(printed.lines().count(), 3, "{printed}");
            assert!(!printed.contains(r#""error""#), "{printed}");
        }
    }

    fn a_record_is_answered_however_deep_it_is(server: &Server) {
        let depth = 126;
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let body = format!(r#"{{"first_name":"Ada","metadata":{{"a":{deep}}}}}"#);
        let headers = [("content-type", "application/json")];
        let client = server.client();
        client.raw("POST", "/contacts", &headers, body.as_bytes()).expect(201);
        let call = calling("list_contacts", json!({}));
        let over_http = send(&client, &call).expect(200).text;
        let url = format!("http://{}", server.address());
        let through = server.cli_with_input(&["mcp", "--url", &url, "--key", server.key()], &conversation(std::slice::from_ref(&call)));
        let straight = server.cli_with_input(&["mcp"], &conversation(&[call]));
        for output in [over_http.into_bytes(), through.stdout, straight.stdout] {
            let answer = String::from_utf8_lossy(&output);
            assert!(answer.contains(r#""structuredContent":{"data":[{"#) && answer.contains(&deep), "{answer}");
        }
    }

    fn a_server_that_is_not_there_is_told_to_the_agent(server: &Server) {
        let url = "http://127.0.0.1:1";
        let output = server.cli_with_input(&["mcp", "--url", url, "--key", server.key()], &conversation(&[]));
        let printed = String::from_utf8_lossy(&output.stdout);
        let answer: Value = serde_json::from_str(printed.trim()).expect("one message");
        assert_eq!(answer["id"], 7);
        assert!(text(&answer["error"]["message"]).contains("can't be reached"), "{answer}");
    }

    fn a_client_that_says_no_more_does_not_hold_up_the_end(server: &Server) {
        let url = format!("http://{}", server.address());
        let opening = format!("{}\n", initialize("2025-11-25"));
        let (status, line) = server.cli_terminated(&["mcp"], &opening);
        assert!(status.success() && line.contains("protocolVersion"), "{status}: {line}");
        // What only passes messages on has nothing to finish.
        server.cli_terminated(&["mcp", "--url", &url, "--key", server.key()], &opening);
        // One that ends before it has begun.
        assert!(server.cli_with_input(&["mcp"], "").status.success());
    }

    fn what_is_no_message_ends_nothing(server: &Server) {
        let requests = conversation(&[calling("list_contacts", json!({}))]);
        let url = format!("http://{}", server.address());
        for way in [&["mcp"][..], &["mcp", "--url", &url, "--key", server.key()]] {
            let (begun, call) = requests.split_at(requests.rfind("\n{").expect("a call") + 1);
            let output = server.cli_with_input(way, &format!("{begun}nonsense\n\n{{\"id\":8}}\n{call}"));
            let printed = String::from_utf8_lossy(&output.stdout);
            assert!(printed.contains(r#""isError":false"#), "{printed}");
            assert!(printed.contains("-32600"), "{printed}");
            assert_eq!(printed.lines().count(), 3, "{printed}");
        }
    }
}
