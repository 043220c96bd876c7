//! The HTTP surface: a request goes in, a response comes out.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::body::Body;
use axum::body::HttpBody as _;
use axum::http::request::Parts;
use axum::http::{self, HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use crm::input::Fields;
use crm::{Error, MIGRATIONS};
use futures_util::{FutureExt as _, StreamExt as _};
use store::Store;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument as _;
use uuid::Uuid;

use super::body;
use super::mcp::{Door, Tools};
use super::pages::{self, Page};
use super::routes::{Endpoint, Found, Routes};
use crate::auth;
use crate::calls::{Asked, Called, Calls, Content, Finished, Guest};
use crate::error::ApiError;
use crate::metrics::{Metrics, MetricsAccess, method_label};
use crate::once::IDEMPOTENCY_KEY;
use crate::operation::Operation;
use crate::operations;
use crate::rate_limits::{RateLimit, Standing};
use crate::spans;

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
    /// How many requests are worked on at once; further ones are refused. Of exports
    /// an eighth of it, and at least one.
    pub max_requests: usize,
    /// Who may see `/metrics`.
    pub metrics: MetricsAccess,
}

/// The API over one database.
pub struct Service {
    store: Store,
    operations: Arc<[Operation]>,
    routes: Routes,
    calls: Calls,
    /// One permit for each request that may be at work.
    places: Arc<Semaphore>,
    /// One permit for each file that may be on its way, of which every request for one
    /// needs one as well: it is at work for as long as its client takes.
    files: Arc<Semaphore>,
    max_requests: usize,
    metrics: Metrics,
    metrics_access: MetricsAccess,
    pages: Vec<Page>,
    mcp: Door,
    /// Made when the first agent asks.
    tools: OnceLock<Arc<Tools>>,
}

/// What a request holds while it is at work.
type Place = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

/// A response that is complete but for its request id.
pub(crate) struct Answered {
    status: StatusCode,
    pub(crate) headers: Vec<(&'static str, String)>,
    body: Option<(HeaderValue, Body)>,
}

impl Answered {
    pub(crate) fn new(status: StatusCode, media_type: HeaderValue, body: Vec<u8>) -> Self {
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
            headers: page.headers(),
            body: (!known).then(|| (page.media_type.clone(), page.body().into())),
        }
    }

    pub(crate) fn json(status: StatusCode, body: Vec<u8>) -> Self {
        Self::new(status, JSON, body)
    }

    /// The same, which keeps its place among the requests at work until all of it is
    /// sent, if it is of a length that nobody knows yet.
    fn holding(mut self, place: Option<Place>) -> Self {
        if let Some((_, body)) = &mut self.body
            && body.size_hint().exact().is_none()
        {
            let chunks = std::mem::take(body).into_data_stream();
            *body = Body::from_stream(chunks.inspect(move |_| {
                let _held = &place;
            }));
        }
        self
    }

    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: None,
        }
    }
}

impl From<Finished> for Answered {
    fn from(finished: Finished) -> Self {
        let Finished {
            status,
            body,
            meta,
            replayed,
        } = finished;
        let mut headers = Vec::new();
        if replayed {
            headers.push(("idempotent-replayed", "true".to_owned()));
        }
        let body = match body {
            Content::Nothing => None,
            Content::Json(body) => Some((JSON, body.into())),
            Content::File(file) => {
                let name = file.name;
                headers.push((
                    "content-disposition",
                    format!("attachment; filename=\"{name}\""),
                ));
                // There is no envelope to say it in.
                let warnings = meta.map(|meta| meta.warnings).unwrap_or_default();
                if !warnings.is_empty() {
                    let warnings = warnings.join("; ").escape_default().to_string();
                    headers.push(("x-warnings", warnings));
                }
                let media_type = HeaderValue::from_static(file.media_type);
                Some((media_type, Body::from_stream(file.body)))
            }
        };
        Self {
            status,
            headers,
            body,
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
        let operations: Arc<[_]> = operations::all().into();
        let pages = pages::all(&operations, &options.public_url);
        let calls = Calls::new(
            store.clone(),
            options.monthly_credits,
            options.enforce_credits,
            options.rate_limit,
        );
        Arc::new(Self {
            routes: Routes::new(&operations, &pages),
            metrics: Metrics::new(store.clone(), calls.responses()),
            calls,
            places: Arc::new(Semaphore::new(options.max_requests)),
            files: Arc::new(Semaphore::new((options.max_requests / 8).max(1))),
            max_requests: options.max_requests,
            metrics_access: options.metrics,
            mcp: Door::new(&options.public_url),
            tools: OnceLock::new(),
            operations,
            pages,
            store,
        })
    }

    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What is served at a path that needs no key.
    pub(crate) fn page(&self, path: &str) -> Option<Bytes> {
        let mut pages = self.pages.iter();
        let page = pages.find(|page| page.paths.iter().any(|one| one == path))?;
        Some(page.body())
    }

    /// The operations as tools for callers with a key.
    pub(crate) fn tools(&self) -> &Arc<Tools> {
        self.tools
            .get_or_init(|| Arc::new(Tools::new(&self.operations, true)))
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
    /// that rest. Wanted at the end.
    ///
    /// # Errors
    /// What the database answers; nothing that was counted is lost.
    pub async fn flush(&self) -> crm::Result<()> {
        self.calls.flush().await
    }

    /// The same, as far as it can't wait. Wanted every second or so.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub async fn tend(&self) -> crm::Result<()> {
        self.calls.tend().await
    }

    /// The answer, and the route for the log.
    async fn answer(
        self: &Arc<Self>,
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
            _ => match self.place(endpoint) {
                Some(place) => Some(place),
                None => {
                    self.metrics.refused();
                    return (ApiError::overloaded().into(), route);
                }
            },
        };
        let answered = match endpoint {
            Endpoint::Operation(index) => self
                .call(&self.operations[index], &ids, head, body, request_id)
                .await
                .unwrap_or_else(|error| refuse(error, request_id)),
            Endpoint::Page(index) => Answered::page(&self.pages[index], &head.headers),
            Endpoint::Mcp => self
                .mcp
                .answer(self, head, body, request_id)
                .await
                .unwrap_or_else(|error| refuse(error, request_id)),
            Endpoint::Health => state(StatusCode::OK, "ok"),
            Endpoint::Ready => self.readiness().await,
            Endpoint::Metrics => {
                let at_work = self.max_requests - self.places.available_permits();
                let page = self.metrics.render(at_work).await;
                Answered::new(StatusCode::OK, METRICS, page.into_bytes())
            }
        };
        (answered.holding(place), route)
    }

    /// A place among the requests at work, if there is one.
    fn place(&self, endpoint: Endpoint) -> Option<Place> {
        let file = match endpoint {
            Endpoint::Operation(index) if !self.operations[index].files.is_empty() => {
                Some(self.files.clone().try_acquire_owned().ok()?)
            }
            _ => None,
        };
        Some((self.places.clone().try_acquire_owned().ok()?, file))
    }

    /// How an endpoint is called in the log: never as a client wrote its path.
    fn route(&self, endpoint: Endpoint) -> &'static str {
        match endpoint {
            Endpoint::Operation(index) => self.operations[index].path,
            Endpoint::Page(index) => self.pages[index].route,
            Endpoint::Mcp => "/mcp",
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
        let key = auth::bearer(&head.headers)?;
        let guest = self.calls.admit(key, request_id).await?;
        let standing = self.calls.pace(&guest)?;
        let mut answered = self
            .run(operation, ids, head, body, guest)
            .await
            .map_or_else(|error| refuse(error, request_id), Answered::from);
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
        guest: Guest<'_>,
    ) -> Result<Finished, ApiError> {
        let called = match operation.method {
            Method::POST => head.headers.get(IDEMPOTENCY_KEY),
            _ => None,
        };
        let permit = self
            .calls
            .permit(operation, &guest, called.is_some())
            .await?;
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
        let asked = Asked {
            path,
            fields,
            unread,
            called: called.map(|key| Called {
                place: "Idempotency-Key",
                key: key.as_bytes(),
            }),
        };
        let explain = |error: &Error| operation.explain(error);
        self.calls
            .run(operation, guest, permit, asked, explain)
            .await
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

fn refuse(error: ApiError, request_id: &str) -> Answered {
    error.told(request_id).into()
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
        *response.body_mut() = body;
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
