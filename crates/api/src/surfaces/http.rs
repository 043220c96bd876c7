//! The HTTP surface: a request goes in, a response comes out.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::body::HttpBody as _;
use axum::http::request::Parts;
use axum::http::{self, HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use crm::idempotency::{self, Key, Outcome, Request};
use crm::input::Fields;
use crm::time::Timestamp;
use crm::{Actor, ActorKind, Caller, Error, Ids, MIGRATIONS};
use futures_util::FutureExt as _;
use store::Store;
use tokio::sync::Semaphore;
use tracing::Instrument as _;
use uuid::Uuid;

use super::body;
use super::pages::{self, Page};
use super::routes::{Endpoint, Found, Routes};
use crate::auth::{self, Authenticator};
use crate::credits::Meter;
use crate::envelope::Meta;
use crate::error::ApiError;
use crate::metrics::{Metrics, MetricsAccess, method_label};
use crate::once::{IDEMPOTENCY_KEY, Once};
use crate::operation::{Call, Done, Operation};
use crate::operations;
use crate::rate_limits::{RateLimit, RateLimits, Standing};
use crate::spans;
use crate::turns::Turns;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// What every answer says to a browser that shows it: take it for nothing but
/// what its content type says, keep no copy, run nothing that may stand in it,
/// put it into no page of another's, and tell no one where a link was found.
const PRECAUTIONS: [(HeaderName, HeaderValue); 5] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    // For browsers from before `frame-ancestors`.
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
];

/// How long a request waits for an equal one that is at work: as long as it
/// would for a lock in the database.
const TURN: Duration = Duration::from_secs(10);

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
    /// How many requests are worked on at once; further ones are refused.
    pub max_requests: usize,
    /// Who may see `/metrics`.
    pub metrics: MetricsAccess,
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
    turns: Turns,
    /// One permit for each request that may be at work.
    places: Semaphore,
    max_requests: usize,
    metrics: Metrics,
    metrics_access: MetricsAccess,
    ids: Ids,
    pages: Vec<Page>,
}

/// A response that is complete but for its request id.
struct Answered {
    status: StatusCode,
    headers: Vec<(&'static str, String)>,
    body: Option<(HeaderValue, Bytes)>,
}

impl Answered {
    fn new(status: StatusCode, media_type: HeaderValue, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Some((media_type, body.into())),
        }
    }

    fn page(page: &Page, asked: &HeaderMap) -> Self {
        let known = page.is_known(asked);
        Self {
            status: match known {
                true => StatusCode::NOT_MODIFIED,
                false => StatusCode::OK,
            },
            headers: page.headers.clone(),
            body: (!known).then(|| (page.media_type.clone(), page.body.clone())),
        }
    }

    fn json(status: StatusCode, body: Vec<u8>) -> Self {
        Self::new(status, JSON, body)
    }

    fn with_data(status: StatusCode, body: Option<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.map(|body| (JSON, body.into())),
        }
    }
}

impl From<ApiError> for Answered {
    fn from(error: ApiError) -> Self {
        Self {
            body: Some((JSON, error.body().into())),
            status: error.status,
            headers: error.aside.headers,
        }
    }
}

impl Service {
    /// Serves `store`, whose schema is up to date.
    pub fn new(store: Store, options: &Options) -> Arc<Self> {
        let operations = operations::all();
        let pages = pages::all(&operations, &options.public_url);
        Arc::new(Self {
            routes: Routes::new(&operations, &pages),
            keys: Authenticator::new(store.clone()),
            meter: Meter::new(store.clone(), options.monthly_credits),
            enforce_credits: options.enforce_credits,
            rate_limits: options.rate_limit.map(RateLimits::new),
            turns: Turns::new(TURN),
            places: Semaphore::new(options.max_requests),
            max_requests: options.max_requests,
            metrics: Metrics::new(store.clone()),
            metrics_access: options.metrics,
            ids: Ids::default(),
            operations,
            pages,
            store,
        })
    }

    /// A client at this address has connected.
    pub fn connect(self: &Arc<Self>, peer: IpAddr) -> Connection {
        self.metrics.connected();
        Connection {
            service: self.clone(),
            peer,
        }
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
        peer: IpAddr,
    ) -> (Answered, &'static str) {
        let path = head.uri.path();
        let (endpoint, ids) = match self.routes.find(&head.method, path) {
            // Whoever may not see it is not told that it is there.
            Found::Endpoint(Endpoint::Metrics, _)
                if !self.metrics_access.allows(peer, &head.headers) =>
            {
                return (ApiError::no_route(path).into(), "");
            }
            Found::Endpoint(endpoint, ids) => (endpoint, ids),
            Found::OtherMethods(allowed) => {
                let error = ApiError::method_not_allowed(head.method.as_str(), &allowed);
                return (error.into(), "");
            }
            Found::Nothing => return (ApiError::no_route(path).into(), ""),
        };
        let route = self.route(endpoint);
        // Beyond what can be done at once, refusing quickly keeps the answers of
        // the others quick. Probes are answered still: a server that is busy
        // is not to be taken for a dead one.
        let place = match endpoint {
            Endpoint::Health | Endpoint::Ready | Endpoint::Metrics => None,
            _ => Some(self.places.try_acquire()),
        };
        if let Some(Err(_)) = place {
            self.metrics.refused();
            return (ApiError::overloaded().into(), route);
        }
        let answered = match endpoint {
            Endpoint::Operation(index) => self
                .call(&self.operations[index], &ids, head, body, request_id)
                .await
                .unwrap_or_else(|error| refuse(error, request_id)),
            Endpoint::Page(index) => Answered::page(&self.pages[index], &head.headers),
            Endpoint::Health => state(StatusCode::OK, "ok"),
            Endpoint::Ready => self.readiness().await,
            Endpoint::Metrics => {
                let at_work = self.max_requests - self.places.available_permits();
                let page = self.metrics.render(at_work).await;
                Answered::new(StatusCode::OK, METRICS, page.into_bytes())
            }
        };
        (answered, route)
    }

    /// How an endpoint is called in the log: never as a client wrote its path.
    fn route(&self, endpoint: Endpoint) -> &'static str {
        match endpoint {
            Endpoint::Operation(index) => self.operations[index].path,
            Endpoint::Page(index) => self.pages[index].route,
            Endpoint::Health => "/healthz",
            Endpoint::Ready => "/readyz",
            Endpoint::Metrics => "/metrics",
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
            .unwrap_or_else(|error| refuse(error, request_id));
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
        let called = idempotency_key.map(|value| Key::read(value.as_bytes()));
        let _turn = match &called {
            Some(Ok(called)) => Some(self.turns.take(key_id, called.clone()).await?),
            _ => None,
        };
        let once = match called {
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
                let body = reply
                    .into_body(&meta)
                    .transpose()
                    .map_err(|error| ApiError::internal(error.to_string()))?;
                Ok(Answered::with_data(status, body))
            }
            Done::Kept(Outcome { answer, replayed }) => {
                let status = StatusCode::from_u16(answer.status)
                    .map_err(|error| ApiError::internal(error.to_string()))?;
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

/// An error as it is answered. What lies behind one of the server's own is for
/// the log; the caller gets the id by which the operator finds it there.
fn refuse(mut error: ApiError, request_id: &str) -> Answered {
    if let Some(cause) = &error.aside.cause {
        tracing::error!(request_id, cause, "a call failed");
    }
    if error.status == StatusCode::INTERNAL_SERVER_ERROR {
        error.hint = format!("The request id is {request_id}.");
    }
    error.into()
}

fn state(status: StatusCode, said: &str) -> Answered {
    let body = serde_json::json!({ "status": said });
    Answered::json(status, body.to_string().into_bytes())
}

/// A client's connection.
pub struct Connection {
    service: Arc<Service>,
    peer: IpAddr,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.service.metrics.disconnected();
    }
}

impl Connection {
    /// Answers a request that came on it. What was begun and may change
    /// something is finished, charged and logged also for a client that has hung
    /// up.
    pub async fn answer(&self, request: http::Request<Body>) -> Response<Body> {
        let request_id = request_id(request.headers());
        let reads = request.method().is_safe();
        let work = work(self.service.clone(), request, request_id.clone(), self.peer);
        let done = match reads {
            // Right here, which spares waking another thread for it.
            true => AssertUnwindSafe(work).catch_unwind().await.ok(),
            false => tokio::spawn(work).await.ok(),
        };
        done.unwrap_or_else(|| {
            let error = ApiError::internal("a request's work panicked");
            respond(refuse(error, &request_id), &request_id)
        })
    }
}

async fn work(
    service: Arc<Service>,
    request: http::Request<Body>,
    request_id: String,
    peer: IpAddr,
) -> Response<Body> {
    let started = Instant::now();
    let (head, mut body) = request.into_parts();
    let span = spans::of_request(&head, &request_id);
    let (answered, route) = service
        .answer(&head, &mut body, &request_id, peer)
        .instrument(span.clone())
        .await;
    if !body.is_end_stream() {
        tokio::spawn(body::drain(body));
    }
    let (status, took) = (answered.status, started.elapsed());
    service.metrics.answered(&head.method, route, status, took);
    spans::answered(&span, &head.method, route, status);
    tracing::info!(
        request_id,
        method = method_label(&head.method),
        route,
        status = status.as_u16(),
        duration_ms = took.as_micros() as f64 / 1000.0,
        "request"
    );
    respond(answered, &request_id)
}

fn respond(answered: Answered, request_id: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answered.status;
    let headers = response.headers_mut();
    headers.extend(PRECAUTIONS);
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
