//! The HTTP surface: a request goes in, a response comes out.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{self, HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use crm::idempotency::{self, Key, Outcome, Request};
use crm::input::Fields;
use crm::time::Timestamp;
use crm::{Actor, ActorKind, Caller, Error, Ids, MIGRATIONS};
use store::Store;
use uuid::Uuid;

use super::routes::{Endpoint, Found, Routes};
use super::{body, catalog, reference};
use crate::auth::{self, Authenticator};
use crate::credits::Meter;
use crate::envelope::Meta;
use crate::error::ApiError;
use crate::once::{IDEMPOTENCY_KEY, Once};
use crate::operation::{Call, Done, Operation};
use crate::operations;
use crate::rate_limits::{RateLimit, RateLimits, Standing};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const MARKDOWN: HeaderValue = HeaderValue::from_static("text/markdown; charset=utf-8");

/// How the API is served.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where clients reach the server, without a slash at the end.
    pub public_url: String,
    /// How many credits a workspace has each month.
    pub monthly_credits: i64,
    /// Whether a workspace that has none left is refused.
    pub enforce_credits: bool,
    /// How fast each API key may call; none for as fast as it can.
    pub rate_limit: Option<RateLimit>,
}

/// The API over one database.
pub struct Service {
    store: Store,
    operations: Vec<Operation>,
    routes: Routes,
    keys: Authenticator,
    meter: Meter,
    enforce_credits: bool,
    rate_limits: Option<RateLimits>,
    ids: Ids,
    catalog: Vec<u8>,
}

/// A response that is complete but for its request id.
struct Answered {
    status: StatusCode,
    headers: Vec<(&'static str, String)>,
    body: Option<(HeaderValue, Vec<u8>)>,
}

impl Answered {
    fn new(status: StatusCode, media_type: HeaderValue, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Some((media_type, body)),
        }
    }

    fn json(status: StatusCode, body: Vec<u8>) -> Self {
        Self::new(status, JSON, body)
    }

    fn with_data(status: StatusCode, body: Option<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.map(|body| (JSON, body)),
        }
    }
}

impl From<ApiError> for Answered {
    fn from(error: ApiError) -> Self {
        Self {
            body: Some((JSON, error.body())),
            status: error.status,
            headers: error.headers,
        }
    }
}

impl Service {
    /// Serves `store`, whose schema is up to date.
    pub fn new(store: Store, options: &Options) -> Arc<Self> {
        let operations = operations::all();
        Arc::new(Self {
            routes: Routes::new(&operations),
            keys: Authenticator::new(store.clone()),
            meter: Meter::new(store.clone(), options.monthly_credits),
            enforce_credits: options.enforce_credits,
            rate_limits: options.rate_limit.map(RateLimits::new),
            ids: Ids::default(),
            catalog: catalog::render(&operations, &options.public_url, Timestamp::now()),
            operations,
            store,
        })
    }

    /// The service as the HTTP library runs it.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new().fallback(handle).with_state(self.clone())
    }

    /// Writes down what has been counted in memory: credits, and when keys were
    /// last used. Forgets kept answers that are given no more, and rates of keys
    /// that rest. Wanted every second or so, and at the end.
    ///
    /// # Errors
    /// What the database answers; nothing that was counted is lost.
    pub async fn flush(&self) -> crm::Result<()> {
        if let Some(limits) = &self.rate_limits {
            limits.forget_full();
        }
        self.meter.flush().await?;
        self.keys.flush().await?;
        let now = Timestamp::now();
        let expired = self
            .store
            .read(move |db| idempotency::any_expired(db, now))
            .await?;
        if expired {
            self.store
                .write(move |tx| idempotency::forget_expired(tx, now))
                .await?;
        }
        Ok(())
    }

    /// The answer, and the route for the log.
    async fn answer(
        &self,
        head: &Parts,
        body: &mut Body,
        request_id: &str,
    ) -> (Answered, &'static str) {
        let path = head.uri.path();
        let (endpoint, ids) = match self.routes.find(&head.method, path) {
            Found::Endpoint(endpoint, ids) => (endpoint, ids),
            Found::OtherMethods(allowed) => {
                let error = ApiError::method_not_allowed(head.method.as_str(), &allowed);
                return (error.into(), "");
            }
            Found::Nothing => return (ApiError::no_route(path).into(), ""),
        };
        match endpoint {
            Endpoint::Operation(index) => {
                let operation = &self.operations[index];
                let answered = self
                    .call(operation, &ids, head, body, request_id)
                    .await
                    .unwrap_or_else(Answered::from);
                (answered, operation.path)
            }
            Endpoint::Reference(index) => {
                let page = reference::render(&self.operations[index]);
                let answered = Answered::new(StatusCode::OK, MARKDOWN, page.into_bytes());
                (answered, "/docs")
            }
            Endpoint::Catalog => {
                let answered = Answered::json(StatusCode::OK, self.catalog.clone());
                (answered, "/api-index.json")
            }
            Endpoint::Health => (state(StatusCode::OK, "ok"), "/healthz"),
            Endpoint::Ready => (self.readiness().await, "/readyz"),
        }
    }

    /// Answers a call of an operation: who is asking, how often, and what.
    async fn call(
        &self,
        operation: &Operation,
        ids: &[&str],
        head: &Parts,
        body: &mut Body,
        request_id: &str,
    ) -> Result<Answered, ApiError> {
        let now = Timestamp::now();
        let key = self.keys.authenticate(&head.headers, now).await?;
        let standing = match &self.rate_limits {
            Some(limits) => Some(limits.take(key.key_id)?),
            None => None,
        };
        let key_id = key.key_id;
        let who = Caller {
            workspace_id: key.workspace_id,
            actor: Actor {
                kind: ActorKind::ApiKey,
                id: Some(key_id),
                name: key.name,
            },
            scopes: key.scopes,
            request_id: Some(request_id.to_owned()),
            now,
            ids: self.ids.clone(),
        };
        let mut answered = self
            .run(operation, ids, head, body, key_id, who)
            .await
            .unwrap_or_else(Answered::from);
        let fields = standing.into_iter().flat_map(Standing::headers);
        answered.headers.extend(fields);
        Ok(answered)
    }

    /// Runs an operation: may they, what do they say, do it.
    async fn run(
        &self,
        operation: &Operation,
        ids: &[&str],
        head: &Parts,
        body: &mut Body,
        key_id: Uuid,
        who: Caller,
    ) -> Result<Answered, ApiError> {
        let missing = operation.missing_scopes(who.scopes);
        if !missing.is_empty() {
            return Err(ApiError::insufficient_scope(&missing));
        }
        let workspace_id = who.workspace_id;
        let remaining = self.meter.remaining(workspace_id, who.now).await;
        let remaining = remaining.map_err(|error| ApiError::of(&error))?;
        let cost = operation.cost;
        let idempotency_key = match operation.method {
            Method::POST => head.headers.get(IDEMPOTENCY_KEY),
            _ => None,
        };
        // With such a key it may have been paid for already.
        if self.enforce_credits && remaining < cost && idempotency_key.is_none() {
            let error = Error::InsufficientCredits { cost, remaining };
            return Err(ApiError::of(&error));
        }

        let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
        let query = query.map(|(name, value)| (name.into_owned(), value.into_owned()));
        let (mut fields, unread) = match operation.reads_query() {
            true => (Fields::of_query(query), Vec::new()),
            false => {
                let optional = head.method == Method::POST;
                let body = body::read(&head.headers, body, operation.body_limit, optional).await?;
                (
                    Fields::of_object(body),
                    query.map(|(name, _)| name).collect(),
                )
            }
        };
        let path = operation.read_path(ids.iter().copied(), fields.problems());
        let once = match idempotency_key.map(|value| Key::read(value.as_bytes())) {
            None => None,
            Some(Ok(called)) => {
                let asked = (operation.path, &path, fields.given());
                let api_key = auth::bearer(&head.headers)?;
                Some(Once {
                    request: Request::new(called, key_id, api_key, &asked),
                    cost,
                    remaining,
                    enforced: self.enforce_credits,
                    unread: unread.clone(),
                })
            }
            Some(Err(flaw)) => {
                fields.problems().invalid("Idempotency-Key", flaw.message);
                None
            }
        };
        let call = Call {
            store: self.store.clone(),
            who,
            path,
            fields,
            once,
        };
        let done = operation.run(call).await;
        if operation.changes_keys() {
            self.keys.forget();
        }
        let done = done.map_err(|error| operation.explain(&error))?;
        self.settle(done, workspace_id, cost, &unread)
    }

    /// Charges a call that ended well, unless it was answered before, and
    /// completes its answer.
    fn settle(
        &self,
        done: Done,
        workspace_id: Uuid,
        cost: i64,
        unread: &[String],
    ) -> Result<Answered, ApiError> {
        match done {
            Done::Fresh(reply) => {
                let left = self.meter.charge(workspace_id, cost);
                let meta = Meta::new(left, &reply.unknown, unread);
                let status = reply.status;
                let body = reply.into_body(&meta).transpose().map_err(|error| {
                    tracing::error!(%error, "an answer can't be written as JSON");
                    ApiError::internal()
                })?;
                Ok(Answered::with_data(status, body))
            }
            Done::Kept(Outcome { answer, replayed }) => {
                let status = StatusCode::from_u16(answer.status).map_err(|error| {
                    tracing::error!(%error, "a kept answer has no status");
                    ApiError::internal()
                })?;
                let mut answered = Answered::with_data(status, answer.body);
                if replayed {
                    let header = ("idempotent-replayed", "true".to_owned());
                    answered.headers.push(header);
                } else {
                    self.meter.charge(workspace_id, cost);
                }
                Ok(answered)
            }
        }
    }

    async fn readiness(&self) -> Answered {
        match self.store.pending(MIGRATIONS).await {
            Ok(pending) if pending.is_empty() => state(StatusCode::OK, "ready"),
            Ok(_) => state(
                StatusCode::SERVICE_UNAVAILABLE,
                "the schema is not up to date",
            ),
            Err(error) => {
                tracing::warn!(%error, "the database is not ready");
                state(StatusCode::SERVICE_UNAVAILABLE, "the database is not ready")
            }
        }
    }
}

fn state(status: StatusCode, said: &str) -> Answered {
    let body = serde_json::json!({ "status": said });
    Answered::json(status, body.to_string().into_bytes())
}

async fn handle(
    State(service): State<Arc<Service>>,
    request: http::Request<Body>,
) -> Response<Body> {
    let started = Instant::now();
    let request_id = request_id(request.headers());
    let (head, mut body) = request.into_parts();
    let (answered, route) = service.answer(&head, &mut body, &request_id).await;
    body::drain(body).await;
    tracing::info!(
        request_id,
        method = %head.method,
        route,
        status = answered.status.as_u16(),
        duration_ms = started.elapsed().as_micros() as f64 / 1000.0,
        "request"
    );
    respond(answered, &request_id)
}

fn respond(answered: Answered, request_id: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answered.status;
    let headers = response.headers_mut();
    for (name, value) in answered.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, value);
    }
    if let Some((media_type, body)) = answered.body {
        headers.insert(header::CONTENT_TYPE, media_type);
        *response.body_mut() = body.into();
    }
    response
}

/// The caller's request id, if it sent a sane one, or a new one.
fn request_id(headers: &HeaderMap) -> String {
    let sane = |id: &&str| {
        (1..=128).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    headers
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(sane)
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}
