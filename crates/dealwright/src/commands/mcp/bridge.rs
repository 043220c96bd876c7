//! Through a server: each line is sent to it as a message, and its answer is the
//! next line back.

use std::io::{BufRead as _, Write as _};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize as _;
use serde_json::{Value, json};
use ureq::http::{Request, StatusCode};

use crate::commands::Failure;

/// How many messages are under way at once: what agents call side by side.
const WORKERS: usize = 4;

/// How long the server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// The largest answer that is read, in bytes.
const LIMIT: u64 = 64 * 1024 * 1024;

/// The first version of the protocol in which a message names its version and its
/// headers repeat what it asks for.
const SELF_CONTAINED: &str = "2026-07-28";

/// The way from the standard input to a server and back.
pub(super) struct Bridge {
    agent: ureq::Agent,
    endpoint: String,
    key: String,
    /// The version of the protocol that client and server have agreed on.
    version: Mutex<Option<String>>,
}

impl Bridge {
    /// To the server at `url`, with an API key.
    pub(super) fn new(url: &str, key: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build();
        Self {
            agent: config.into(),
            endpoint: format!("{}/mcp", url.trim_end_matches('/')),
            key: key.to_owned(),
            version: Mutex::default(),
        }
    }

    /// Carries messages until the client has closed the standard input and all
    /// are answered.
    pub(super) fn carry(&self) -> Result<(), Failure> {
        let (send, lines) = sync_channel::<String>(0);
        let lines = Mutex::new(lines);
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| self.work(&lines));
            }
            for line in std::io::stdin().lock().lines() {
                // The workers end after this end of the channel.
                let _ = send.send(line?);
            }
            drop(send);
            Ok(())
        })
    }

    fn work(&self, lines: &Mutex<Receiver<String>>) {
        loop {
            // Nothing panics while holding it.
            let line = lines.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(line) = line else { return };
            if let Some(answer) = self.pass_on(&line) {
                let mut out = std::io::stdout().lock();
                // Whoever has stopped reading needs no answer.
                let _ = writeln!(out, "{answer}").and_then(|()| out.flush());
            }
        }
    }

    /// Sends one message; the answer to it as a line, if one is due.
    fn pass_on(&self, line: &str) -> Option<String> {
        // What is no JSON has no id by which an answer could be known.
        let message: Value = serde_json::from_str(line).ok()?;
        let id = message.get("id");
        match self.send(line, &message) {
            Ok((_, answer)) if is_message(&answer) => {
                if message["method"] == "initialize" {
                    let agreed = answer["result"]["protocolVersion"].as_str();
                    *self.version() = agreed.map(str::to_owned);
                }
                Some(answer.to_string())
            }
            Ok((status, _)) if status.is_success() => None,
            Ok((status, answer)) => {
                let said = match &answer["error"] {
                    Value::Null => format!("The server answered {status}"),
                    error => [&error["message"], &error["fix"]]
                        .map(|text| text.as_str().unwrap_or_default())
                        .join(". "),
                };
                failed(id?, &said, &answer["error"])
            }
            Err(error) => {
                let said = format!("The server can't be reached: {error}");
                failed(id?, &said, &Value::Null)
            }
        }
    }

    fn send(&self, line: &str, message: &Value) -> Result<(StatusCode, Value), ureq::Error> {
        let mut request = Request::post(&self.endpoint)
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        let params = &message["params"];
        let own = &params["_meta"]["io.modelcontextprotocol/protocolVersion"];
        let version = match own.as_str() {
            Some(version) => Some(version.to_owned()),
            None if message["method"] == "initialize" => None,
            None => self.version().clone(),
        };
        if let Some(version) = version {
            if *version >= *SELF_CONTAINED {
                for (header, text) in [
                    ("mcp-method", &message["method"]),
                    ("mcp-name", params.get("name").unwrap_or(&params["uri"])),
                ] {
                    if let Some(text) = text.as_str() {
                        request = request.header(header, text);
                    }
                }
            }
            request = request.header("mcp-protocol-version", version);
        }
        let mut response = self.agent.run(request.body(line)?)?;
        let body = response
            .body_mut()
            .with_config()
            .limit(LIMIT)
            .read_to_vec()?;
        let mut source = serde_json::Deserializer::from_slice(&body);
        // As deep as the server's records are.
        source.disable_recursion_limit();
        let answer = Value::deserialize(&mut source).unwrap_or_default();
        Ok((response.status(), answer))
    }

    fn version(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        // Nothing panics while holding it.
        self.version.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an answer is one of the protocol's, whatever its status.
fn is_message(answer: &Value) -> bool {
    answer.get("jsonrpc").is_some()
}

/// The answer to a message that the server did not answer as the protocol has it.
fn failed(id: &Value, said: &str, data: &Value) -> Option<String> {
    let error = json!({ "code": -32000, "message": said, "data": data });
    Some(json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string())
}
