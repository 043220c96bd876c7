//! The span of a request, for traces: what was called, how it ended, how long
//! it took. Where nothing takes spans none is made.
//!
//! Of what a client sends, only the ids of its own trace and of the request are
//! in it: no path, no query, no body, no key.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use opentelemetry::global;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::TraceContextExt as _;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::metrics::method_label;

/// The header in which a client names its trace.
const TRACEPARENT: &str = "traceparent";

/// The span of a request that has come, within the client's if it names one.
pub(crate) fn of_request(head: &Parts, request_id: &str) -> Span {
    let span = tracing::info_span!(
        "request",
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method_label(&head.method),
        http.route = Empty,
        http.response.status_code = Empty,
        request_id,
    );
    if !span.is_disabled() && head.headers.contains_key(TRACEPARENT) {
        let client = ClientTrace(&head.headers);
        let parent = global::get_text_map_propagator(|propagator| propagator.extract(&client));
        // It fails where spans are taken by something else than traces.
        let _ = span.set_parent(parent);
    }
    span
}

/// The request was answered.
pub(crate) fn answered(span: &Span, method: &Method, route: &'static str, status: StatusCode) {
    if span.is_disabled() {
        return;
    }
    let mut name = method_label(method).to_owned();
    if !route.is_empty() {
        span.record("http.route", route);
        name = format!("{name} {route}");
    }
    span.context().span().update_name(name);
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// The span of a call of a tool, within that of the request that it came with.
pub(crate) fn of_tool(tool: &'static str) -> Span {
    tracing::info_span!(
        "tools/call",
        otel.name = %format_args!("tools/call {tool}"),
        otel.status_code = Empty,
        gen_ai.tool.name = tool,
        status = Empty,
    )
}

/// A call of a tool has ended, with the status that it would have over HTTP.
pub(crate) fn tool_ended(span: &Span, status: StatusCode) {
    span.record("status", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// What a request says of the client's trace: where it is, and not what other
/// systems have written beside it.
struct ClientTrace<'a>(&'a HeaderMap);

impl Extractor for ClientTrace<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            TRACEPARENT => self.0.get(key)?.to_str().ok(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}
