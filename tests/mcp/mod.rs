//! Agents: the Model Context Protocol, over HTTP and over a pipe.

mod calls;
mod door;
pub(crate) mod pipe;
mod resources;
mod tools;

use serde_json::{Value, json};

use crate::fixtures::text;
use crate::harness::{Answer, Client};

/// A message with its id, as a request of JSON-RPC.
fn request(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

/// The first message of a client that knows this version of the protocol.
fn initialize(version: &str) -> Value {
    let client = json!({ "name": "test", "version": "1" });
    request(
        "initialize",
        json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client }),
    )
}

/// Sends a message as the protocol has it, with these headers besides.
#[track_caller]
fn send_with(client: &Client, headers: &[(&str, &str)], message: &Value) -> Answer {
    let usual = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    let body = message.to_string();
    client
        .under("")
        .raw("POST", "/mcp", &[&usual, headers].concat(), body.as_bytes())
}

#[track_caller]
fn send(client: &Client, message: &Value) -> Answer {
    send_with(client, &[], message)
}

/// The result of a request that must have one.
#[track_caller]
fn ask(client: &Client, method: &str, params: Value) -> Value {
    let answer = send(client, &request(method, params)).expect(200).json();
    assert_eq!(answer["id"], 7, "{answer}");
    match answer.get("result") {
        Some(result) => result.clone(),
        None => panic!("{method} was answered {answer}"),
    }
}

/// The code and the message of a request that the protocol refuses.
#[track_caller]
fn refused(client: &Client, method: &str, params: Value) -> (i64, String) {
    let answer = send(client, &request(method, params)).json();
    let error = &answer["error"];
    match error["code"].as_i64() {
        Some(code) => (code, text(&error["message"])),
        None => panic!("{method} was answered {answer}"),
    }
}

/// Calls a tool; its structured answer, and whether that is an error.
#[track_caller]
fn call(client: &Client, tool: &str, arguments: Value) -> (Value, bool) {
    let params = json!({ "name": tool, "arguments": arguments });
    let result = ask(client, "tools/call", params);
    let content = result["structuredContent"].clone();
    let said = text(&result["content"][0]["text"]);
    let said: Value = serde_json::from_str(&said).expect("JSON as text");
    assert_eq!(said, content, "{tool} says one thing and means another");
    (content, result["isError"] == true)
}

/// Calls a tool that must succeed; its whole answer.
#[track_caller]
pub(crate) fn done(client: &Client, tool: &str, arguments: Value) -> Value {
    match call(client, tool, arguments) {
        (answer, false) => answer,
        (error, true) => panic!("{tool} was refused: {error}"),
    }
}

/// Calls a tool that must be refused with this code; the error.
#[track_caller]
fn error(client: &Client, tool: &str, arguments: Value, code: &str) -> Value {
    let (answer, refused) = call(client, tool, arguments);
    assert!(refused, "{tool} was done: {answer}");
    let error = answer["error"].clone();
    assert_eq!(error["code"], code, "{error}");
    for part in ["message", "fix", "hint"] {
        assert!(
            !text(&error[part]).trim().is_empty(),
            "no {part} in {error}"
        );
    }
    assert!(error["status"].is_u64(), "{error}");
    error
}

/// Every tool that the client may call, page after page.
#[track_caller]
fn tools(client: &Client) -> Vec<Value> {
    let mut all = Vec::new();
    let mut params = json!({});
    loop {
        let page = ask(client, "tools/list", params);
        all.extend(page["tools"].as_array().expect("tools").iter().cloned());
        match page.get("nextCursor") {
            Some(cursor) => params = json!({ "cursor": cursor }),
            None => return all,
        }
    }
}

/// The names of tools.
fn names(tools: &[Value]) -> Vec<String> {
    tools.iter().map(|tool| text(&tool["name"])).collect()
}
