//! `POST /mcp`: the protocol's streamable HTTP, without streams and sessions. The
//! client's key is asked for first; what the message says is the protocol's.

use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::uri::Scheme;
use axum::http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use rmcp::model::{ErrorData, JsonRpcError, JsonRpcResponse, JsonRpcVersion2_0, RequestId};
use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Agent, Visitor, call};
use crate::Service;
use crate::auth;
use crate::error::ApiError;
use crate::operation::{BODY_LIMIT, BULK_BODY_LIMIT};
use crate::rate_limits::Standing;
use crate::surfaces::body;
use crate::surfaces::http::Answered;

/// How the protocol is spoken over HTTP.
pub(crate) struct Door {
    config: StreamableHttpServerConfig,
}

/// As much of a message as decides what becomes of it at the door.
#[derive(Deserialize)]
struct Message {
    id: Option<RequestId>,
    #[serde(default)]
    method: String,
    params: Option<Params>,
}

#[derive(Deserialize)]
struct Params {
    /// Of a tool, if one is called.
    #[serde(default)]
    name: Option<Lenient>,
}

/// A text, or whatever else was sent in its place.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient {
    Text(String),
    Other(IgnoredAny),
}

impl Message {
    /// The name of the tool that is called, if one is.
    fn tool(&self) -> Option<&str> {
        match &self.params.as_ref()?.name {
            Some(Lenient::Text(name)) if self.method == "tools/call" => Some(name),
            _ => None,
        }
    }
}

impl Door {
    /// For a server that clients reach at `public_url`.
    pub(crate) fn new(public_url: &str) -> Self {
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            // The key decides who may call, by whichever name the server is known.
            .disable_allowed_hosts()
            .with_allowed_origins(origin(public_url))
            .enforce_origin_validation()
            .with_max_request_body_bytes(BULK_BODY_LIMIT);
        Self { config }
    }

    /// Answers a message.
    ///
    /// # Errors
    /// What keeps it from being looked at.
    pub(crate) async fn answer(
        &self,
        service: &Arc<Service>,
        head: &Parts,
        body: &mut Body,
        request_id: &str,
    ) -> Result<Answered, ApiError> {
        let key = auth::bearer(&head.headers)?;
        let guest = service.calls().admit(key, request_id).await?;
        body::check_media_type(&head.headers)?;
        let bytes = body::collect(body, BULK_BODY_LIMIT).await?;
        body::check_size(&bytes)?;
        let message: Message = match serde_json::from_slice(&bytes) {
            Ok(message) => message,
            Err(error) => return Ok(unreadable(&error)),
        };
        let tools = service.tools();
        let operation = message.tool().and_then(|name| tools.find(name));
        let limit = operation.map_or(BODY_LIMIT, |place| service.operations()[place].body_limit);
        if bytes.len() > limit {
            return refuse(message, ApiError::body_too_large(limit));
        }
        let standing = match service.calls().pace(&guest) {
            Ok(standing) => standing,
            Err(error) => return refuse(message, error),
        };
        let agent = Agent {
            service: service.clone(),
            tools: tools.clone(),
            visitor: Visitor::Admitted(Box::new(guest.into_owned())),
        };
        let protocol = StreamableHttpService::new(
            move || Ok(agent.clone()),
            Arc::new(NeverSessionManager::default()),
            self.config.clone(),
        );
        let response = protocol.handle(without_key(head, bytes)).await;
        let (head, body) = response.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes().to_vec(),
            Err(never) => match never {},
        };
        if head.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            // It is JSON, and no message.
            let error = ErrorData::invalid_request("This is no message of the protocol", None);
            return Ok(protocol_error(message.id, error));
        }
        let media_type = head.headers.get(header::CONTENT_TYPE).cloned();
        let mut answered = match (body.is_empty(), media_type) {
            (true, _) => Answered::empty(head.status),
            (false, Some(media_type)) => Answered::new(head.status, media_type, body),
            (false, None) => Answered::new(head.status, TEXT, body),
        };
        let fields = standing.into_iter().flat_map(Standing::headers);
        answered.headers.extend(fields);
        Ok(answered)
    }
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The request as the protocol sees it: what the key was for is done.
fn without_key(head: &Parts, body: Vec<u8>) -> Request<Full<bytes::Bytes>> {
    let mut request = Request::new(Full::from(body));
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head.uri.clone();
    *request.headers_mut() = head.headers.clone();
    request.headers_mut().remove(header::AUTHORIZATION);
    request
}

/// The origin of web pages that may call: those of the server itself. A page from
/// elsewhere that was made to reach it under another name is refused.
fn origin(public_url: &str) -> Option<String> {
    let url: Uri = public_url.parse().ok()?;
    let scheme = url.scheme()?;
    let port = match url.port_u16() {
        Some(port) => port,
        None if *scheme == Scheme::HTTPS => 443,
        None => 80,
    };
    Some(format!("{scheme}://{}:{port}", url.host()?))
}

/// Refuses a message: a call of a tool as a tool does, so that the agent reads
/// why; any other as a request.
fn refuse(message: Message, error: ApiError) -> Result<Answered, ApiError> {
    let (Some(_), Some(id)) = (message.tool(), message.id.clone()) else {
        return Err(error);
    };
    let mut result = call::refused(&error);
    // Not every version of the protocol knows it, and absent it means the same.
    result.result_type = None;
    let response = JsonRpcResponse {
        jsonrpc: JsonRpcVersion2_0,
        id,
        result,
    };
    let mut answered = json(StatusCode::OK, &response);
    answered.headers = error.aside.headers;
    Ok(answered)
}

/// Answers what could not be read as a message.
fn unreadable(error: &serde_json::Error) -> Answered {
    let error = match error.is_data() {
        true => ErrorData::invalid_request(
            "A request is one message: an object with jsonrpc, id, method and params",
            None,
        ),
        false => ErrorData::parse_error(format!("The body is not valid JSON: {error}"), None),
    };
    protocol_error(None, error)
}

fn protocol_error(id: Option<RequestId>, error: ErrorData) -> Answered {
    json(StatusCode::BAD_REQUEST, &JsonRpcError::new(id, error))
}

fn json(status: StatusCode, message: &impl serde::Serialize) -> Answered {
    let body = serde_json::to_vec(message).expect("messages have only texts for keys");
    Answered::json(status, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_the_server_itself_may_call_by_their_whole_origin() {
        for (url, allowed) in [
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("https://crm.example", Some("https://crm.example:443")),
            ("http://crm.example/below", Some("http://crm.example:80")),
            ("nothing", None),
        ] {
            assert_eq!(origin(url).as_deref(), allowed, "{url}");
        }
    }
}
