//! Single requests, for setting up and for checking; loads are [`crate::wrk`]'s.

use std::io::Read as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Failure;

/// Someone who sends one request after another to one server.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    authorization: String,
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:8080`.
    pub(crate) fn new(base: &str, authorization: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(120)))
            .build();
        Self {
            agent: config.into(),
            base: base.to_owned(),
            authorization: authorization.to_owned(),
        }
    }

    /// Sends one request. Gives the answer's body; a status that is no 2xx is an
    /// error.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> Result<String, Failure> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        if !self.authorization.is_empty() {
            request = request.header("authorization", &self.authorization);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(body.unwrap_or_default().to_owned())?;
        let mut answer = self
            .agent
            .run(request)
            .map_err(|error| format!("{method} {path}: {error}"))?;
        let text = answer.body_mut().read_to_string()?;
        if !answer.status().is_success() {
            return Err(format!("{method} {path} was answered {}: {text}", answer.status()).into());
        }
        Ok(text)
    }

    /// Takes all that is answered at `path` and keeps none of it. Gives when its
    /// first byte was there, from now on, and how many bytes it is.
    pub(crate) fn download(&self, path: &str) -> Result<(Duration, u64), Failure> {
        let request = ureq::http::Request::builder()
            .uri(format!("{}{path}", self.base))
            .header("authorization", &self.authorization)
            .body(())?;
        // However long it is.
        let request = self.agent.configure_request(request).timeout_global(None);
        let began = Instant::now();
        let mut answer = self.agent.run(request.build())?;
        if !answer.status().is_success() {
            return Err(format!("{path} was answered {}", answer.status()).into());
        }
        let mut body = answer.body_mut().as_reader();
        body.read_exact(&mut [0])?;
        let first = began.elapsed();
        let rest = std::io::copy(&mut body, &mut std::io::sink())?;
        Ok((first, rest + 1))
    }

    /// The JSON at `path`.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        Ok(serde_json::from_str(&self.send("GET", path, None)?)?)
    }

    /// Posts JSON, and gives the JSON that is answered.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let answer = self.send("POST", path, Some(&body.to_string()))?;
        Ok(serde_json::from_str(&answer)?)
    }

    /// Changes a record by JSON.
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Result<(), Failure> {
        self.send("PATCH", path, Some(&body.to_string())).map(drop)
    }
}

/// The text of a field that must be there.
pub(crate) fn text(record: &Value, field: &str) -> Result<String, Failure> {
    match record[field].as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("no {field} in {record}").into()),
    }
}

/// The entries of a list that must be there.
pub(crate) fn list(value: &Value) -> Result<&Vec<Value>, Failure> {
    value
        .as_array()
        .ok_or_else(|| format!("no list: {value}").into())
}
