//! The headers that requests and answers have beside what an operation
//! declares.

use serde_json::{Value, json};

use super::reference;

/// Headers that a request may have.
pub(super) fn parameters() -> Value {
    json!({
        "Idempotency-Key": {
            "name": "Idempotency-Key",
            "in": "header",
            "description":
                "Has the call done once: sent again with the same key, path and body within 24 \
                 hours, it does nothing and gets the first answer.",
            "schema": {
                "type": "string",
                "minLength": 1,
                "maxLength": 255,
                "pattern": "^[!-~]+$",
                "examples": ["4c1de0a2-order-17"],
            },
        },
        "x-request-id": {
            "name": "x-request-id",
            "in": "header",
            "description":
                "By what the call is to be found in the logs, if it has 1 to 128 letters, digits, \
                 `-`, `_`, `.` or `:`; anything else is replaced.",
            "schema": { "type": "string", "examples": ["nightly-sync.42"] },
        },
    })
}

/// Headers that an answer may have.
pub(super) fn responses() -> Value {
    let text = json!({ "type": "string" });
    let seconds = json!({ "type": "integer", "minimum": 0 });
    json!({
        "x-request-id": {
            "description": "The id of the request: the one that was sent, or a new one.",
            "required": true,
            "schema": { "type": "string", "minLength": 1, "maxLength": 128 },
        },
        "content-disposition": {
            "description": "That the answer is a file, and what it is called.",
            "schema": text,
        },
        "x-warnings": {
            "description": "What of the request was ignored; there only when anything was.",
            "schema": text,
        },
        "idempotent-replayed": {
            "description": "There when the answer is that of an earlier call.",
            "schema": { "type": "string", "const": "true" },
        },
        "ratelimit": {
            "description": "What is left at once, and in how many seconds it is all of it again; \
                            where the operator limits the rate.",
            "schema": text,
        },
        "ratelimit-policy": {
            "description": "How many calls are let through in how many seconds; where the operator \
                            limits the rate.",
            "schema": text,
        },
        "retry-after": {
            "description": "In how many seconds to try again.",
            "schema": seconds,
        },
        "www-authenticate": {
            "description": "What the server takes: `Bearer`.",
            "required": true,
            "schema": text,
        },
    })
}

/// The headers of an answer to a call with a key, and `more`.
pub(super) fn of_answer(more: &[&str]) -> Value {
    let always = ["x-request-id", "ratelimit", "ratelimit-policy"];
    always
        .iter()
        .chain(more)
        .map(|name| ((*name).to_owned(), reference("headers", name)))
        .collect()
}
