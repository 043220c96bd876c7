//! A call of a tool: the same way as a request over HTTP goes, and its end as an
//! agent is told it.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use crm::Error;
use futures_util::FutureExt as _;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use serde::{Deserialize as _, Serialize};
use serde_json::{Value, json};
use tracing::Instrument as _;

use super::arguments::{Arguments, IDEMPOTENCY_KEY};
use crate::Service;
use crate::calls::{Asked, Called, Finished, Guest};
use crate::error::{ApiError, WithoutHeaders};
use crate::operation::Operation;
use crate::spans;

/// Does what a guest asks of an operation, and tells the log, the metrics and the
/// trace of it.
///
/// # Errors
/// What went wrong, told to the log as far as it is only for that.
pub(super) async fn perform(
    service: &Service,
    operation: &Operation,
    guest: Guest<'_>,
    arguments: JsonObject,
) -> Result<Finished, ApiError> {
    let started = Instant::now();
    let request_id = guest.who.request_id.clone().unwrap_or_default();
    let span = spans::of_tool(operation.tool);
    let work = run(service, operation, guest, arguments).instrument(span.clone());
    let ended = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(ended) => ended,
        Err(_) => Err(ApiError::internal("a tool's work panicked")),
    };
    let ended = ended.map_err(|error| error.told(&request_id));
    let status = match &ended {
        Ok(finished) => finished.status,
        Err(error) => error.status,
    };
    let took = started.elapsed();
    service.metrics().tool_called(operation.tool, status, took);
    spans::tool_ended(&span, status);
    tracing::info!(
        request_id,
        tool = operation.tool,
        status = status.as_u16(),
        duration_ms = took.as_micros() as f64 / 1000.0,
        "tool call"
    );
    ended
}

async fn run(
    service: &Service,
    operation: &Operation,
    guest: Guest<'_>,
    arguments: JsonObject,
) -> Result<Finished, ApiError> {
    let Arguments { path, fields, key } = Arguments::read(operation, arguments, guest.has_key());
    let calls = service.calls();
    let permit = calls.permit(operation, &guest, key.is_some()).await?;
    let asked = Asked {
        path,
        fields,
        unread: Vec::new(),
        called: key.as_ref().map(|key| Called {
            place: IDEMPOTENCY_KEY,
            key: key.as_bytes(),
        }),
    };
    let explain = |error: &Error| explain(error, operation);
    calls.run(operation, guest, permit, asked, explain).await
}

/// A domain error in the words of tools.
fn explain(error: &Error, operation: &Operation) -> ApiError {
    let Error::Input(problems) = error else {
        return ApiError::of(error);
    };
    let ids = operation.path_parameters().map(|id| id.argument());
    let fields = operation.fields.iter().map(|field| field.name.to_owned());
    let names: Vec<_> = ids.chain(fields).collect();
    ApiError {
        hint: match &*names {
            [] => "The tool takes no arguments.".to_owned(),
            names => format!("Arguments: {}", names.join(", ")),
        },
        ..ApiError::input(problems, "in the arguments")
    }
}

/// The answer as a tool gives it: structured, and the same as text.
pub(super) fn answered(finished: Finished) -> CallToolResult {
    let body = match (finished.body.of_tool(), finished.meta) {
        (Some(body), _) => body,
        (None, Some(meta)) => bytes(&json!({ "data": null, "meta": meta })),
        (None, None) => bytes(&json!({ "data": null })),
    };
    let mut result = structured(body);
    result.is_error = Some(false);
    result
}

/// An error as a tool gives it.
pub(super) fn refused(error: &ApiError) -> CallToolResult {
    let mut result = structured(bytes(&Refusal {
        error: error.without_headers(),
    }));
    result.is_error = Some(true);
    result
}

#[derive(Serialize)]
struct Refusal<'a> {
    error: WithoutHeaders<'a>,
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and numbers are always JSON")
}

fn structured(body: Vec<u8>) -> CallToolResult {
    let mut source = serde_json::Deserializer::from_slice(&body);
    // Ours, and no deeper than what was taken in, with its envelope around it.
    source.disable_recursion_limit();
    let content = Value::deserialize(&mut source).unwrap_or_default();
    let text = String::from_utf8_lossy(&body).into_owned();
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = Some(content);
    result
}
