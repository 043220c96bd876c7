//! Errors as OpenAPI describes them: a response for each status, which the
//! operations share.

use serde_json::{Map, Value, json};

use super::super::refusals;
use super::{headers, reference};
use crate::operation::Operation;

/// The responses of an operation when it refuses a call, by their status.
pub(super) fn of(operation: &Operation) -> impl Iterator<Item = (String, Value)> {
    refusals::of(operation).map(|refusal| {
        let response = reference("responses", refusal.name);
        (refusal.status.as_u16().to_string(), response)
    })
}

/// The responses by which calls are refused; `schema` is that of their body.
pub(super) fn responses(schema: &Value) -> Map<String, Value> {
    let responses = refusals::all().iter().map(|refusal| {
        let examples = refusal.examples();
        let examples = examples
            .iter()
            .map(|error| (error.code.to_owned(), json!({ "value": error.envelope() })));
        let response = json!({
            "description": refusal.when,
            "headers": headers::of_answer(refusal.headers),
            "content": {
                "application/json": { "schema": schema, "examples": Value::from_iter(examples) },
            },
        });
        (refusal.name.to_owned(), response)
    });
    responses.collect()
}
