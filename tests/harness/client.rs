//! A client of the API that takes every answer as it comes.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use serde_json::Value;
use ureq::http::{Request, Uri};

use super::{Answer, eventually};

/// The canonical prefix.
const PREFIX: &str = "/v1";

/// The largest body that is read.
const LIMIT: u64 = 256 * 1024 * 1024;

/// Where a server listens. It changes when the server starts again, and
/// clients made before follow it.
pub(super) type Address = Arc<RwLock<String>>;

/// Someone who calls the API, with a key or without. Cheap to clone, and may
/// be used by several threads at once.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    address: Address,
    prefix: String,
    key: Option<String>,
}

impl Client {
    pub(super) fn new(address: Address, key: &str) -> Client {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            // Tests talk to this machine, whatever the environment says.
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Client {
            agent: config.into(),
            address,
            prefix: PREFIX.to_owned(),
            key: Some(key.to_owned()),
        }
    }

    /// The same with another key.
    pub(crate) fn with_key(&self, key: &str) -> Client {
        Client {
            key: Some(key.to_owned()),
            ..self.clone()
        }
    }

    /// The same without `authorization`.
    pub(crate) fn without_key(&self) -> Client {
        Client {
            key: None,
            ..self.clone()
        }
    }

    /// The same with paths below another prefix; `""` for the server's root.
    pub(crate) fn under(&self, prefix: &str) -> Client {
        Client {
            prefix: prefix.to_owned(),
            ..self.clone()
        }
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.raw("GET", path, &[], b"")
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: Value) -> Answer {
        self.json("POST", path, &body)
    }

    #[track_caller]
    pub(crate) fn put(&self, path: &str, body: Value) -> Answer {
        self.json("PUT", path, &body)
    }

    #[track_caller]
    pub(crate) fn patch(&self, path: &str, body: Value) -> Answer {
        self.json("PATCH", path, &body)
    }

    #[track_caller]
    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.raw("DELETE", path, &[], b"")
    }

    #[track_caller]
    fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.raw(method, path, &headers, body.to_string().as_bytes())
    }

    /// Any request at all. No content type is added; an empty body is none.
    #[track_caller]
    pub(crate) fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        match self.try_raw(method, path, headers, body) {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {path} got no answer: {error}"),
        }
    }

    /// As [`Client::raw`], for a server that may die on the way.
    pub(crate) fn try_raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder().method(method).uri(self.uri(path)?);
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = if body.is_empty() {
            self.agent.run(request.body(())?)?
        } else {
            self.agent.run(request.body(body)?)?
        };
        let bytes = response
            .body_mut()
            .with_config()
            .limit(LIMIT)
            .read_to_vec()?;
        Ok(Answer {
            request: format!("{method} {}{path}", self.prefix),
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
            bytes,
        })
    }

    fn uri(&self, path: &str) -> Result<Uri, ureq::Error> {
        let address = self
            .address
            .read()
            .expect("nobody panics with the lock held");
        let uri = format!("http://{address}{}{path}", self.prefix);
        Ok(uri.parse().map_err(ureq::http::Error::from)?)
    }

    /// Waits until so many requests are at work. It takes no place itself, which one of
    /// them might then not get.
    pub(crate) fn await_at_work(&self, count: usize) {
        let line = format!("\ndealwright_http_requests_at_work {count}\n");
        eventually("so many are at work", || {
            let metrics = self.without_key().under("").get("/metrics").expect(200);
            metrics.text.contains(&line).then_some(())
        });
    }
}
