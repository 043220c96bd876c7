//! What the server answered, and what can be claimed about it.

use serde_json::Value;
use ureq::http::HeaderMap;

/// One answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Method and path, for the message of a failed test.
    pub(crate) request: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
    /// The body, with a placeholder for what is not UTF-8.
    pub(crate) text: String,
}

impl Answer {
    /// The answer itself, if it has this status; otherwise the test fails and
    /// shows it.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Answer {
        assert_eq!(
            self.status, status,
            "{} answered {}: {}",
            self.request, self.status, self.text
        );
        self
    }

    /// The whole body.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| {
            panic!(
                "{} answered {} with what is no JSON ({error}): {}",
                self.request, self.status, self.text
            )
        })
    }

    /// The body's `data`: the record, or the page's records.
    #[track_caller]
    pub(crate) fn data(&self) -> Value {
        match self.json().get_mut("data") {
            Some(data) => data.take(),
            None => panic!(
                "{} answered {} without data: {}",
                self.request, self.status, self.text
            ),
        }
    }

    /// The id of the record in `data`.
    #[track_caller]
    pub(crate) fn id(&self) -> String {
        match self.data()["id"].as_str() {
            Some(id) => id.to_owned(),
            None => panic!(
                "{} answered {} without an id: {}",
                self.request, self.status, self.text
            ),
        }
    }

    /// The ids of the records in `data`, in their order.
    #[track_caller]
    pub(crate) fn ids(&self) -> Vec<String> {
        let data = self.data();
        let records = data.as_array().map(Vec::as_slice).unwrap_or_default();
        records
            .iter()
            .filter_map(|record| record["id"].as_str().map(str::to_owned))
            .collect()
    }

    /// The code of the error, such as `NOT_FOUND`.
    #[track_caller]
    pub(crate) fn error_code(&self) -> String {
        match self.json()["error"]["code"].as_str() {
            Some(code) => code.to_owned(),
            None => panic!(
                "{} answered {} without an error code: {}",
                self.request, self.status, self.text
            ),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The answer is an error with this status and code, complete enough to be
/// corrected by: message, fix and hint are there, and the message names each
/// of the fields.
#[track_caller]
pub(crate) fn assert_error(answer: &Answer, status: u16, code: &str, named: &[&str]) {
    let Answer { request, text, .. } = answer;
    assert_eq!(
        answer.status, status,
        "{request} answered {}: {text}",
        answer.status
    );
    let error = &answer.json()["error"];
    assert_eq!(error["code"], code, "{request}: the code in {text}");
    assert_eq!(
        error["status"].as_u64(),
        Some(status.into()),
        "{request}: the status in {text}"
    );
    for part in ["message", "fix", "hint"] {
        assert!(
            error[part]
                .as_str()
                .is_some_and(|said| !said.trim().is_empty()),
            "{request}: no {part} in {text}"
        );
    }
    let message = error["message"].as_str().unwrap_or_default();
    for name in named {
        assert!(
            message.contains(name),
            "{request}: the message does not name {name}: {text}"
        );
    }
}
