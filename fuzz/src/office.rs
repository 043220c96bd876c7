//! The API over a small business, called without a network.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};

use api::operation::Operation;
use api::{Connection, MetricsAccess, Options, PREFIXES, Service};
use axum::body::Body;
use axum::http;
use crm::api_keys::{self, ApiKeyFields};
use crm::record::New;
use crm::scopes::Scopes;
use crm::text::Name;
use crm::time::Timestamp;
use crm::workspaces::{self, NewWorkspace};
use crm::{Ids, MIGRATIONS};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use store::{Store, Target};
use tokio::runtime::Runtime;

/// How many calls one business lives through: what was made up grows with
/// each, and what was deleted is missing.
const LIFE: u32 = 5000;

/// A request as a client sends it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method, as it is written.
    pub method: String,
    /// Path and query string.
    pub target: String,
    /// Further headers; the key goes along anyway.
    pub headers: Vec<(&'static str, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

/// The API over a business of its own.
pub struct Office {
    runtime: Runtime,
    operations: Vec<Operation>,
    business: Business,
    left: u32,
}

/// A database with a few records, and the server on it.
struct Business {
    connection: Connection,
    key: String,
    ids: Vec<String>,
    _folder: tempfile::TempDir,
}

thread_local! {
    static OFFICE: RefCell<Office> = RefCell::new(Office::open());
}

impl Office {
    /// Does something in this thread's office, all of it in one business.
    pub fn with<T>(work: impl FnOnce(&mut Office) -> T) -> T {
        OFFICE.with_borrow_mut(|office| {
            if office.left == 0 {
                office.business = office.runtime.block_on(Business::found());
                office.left = LIFE;
            }
            work(office)
        })
    }

    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime of this thread");
        Self {
            business: runtime.block_on(Business::found()),
            operations: api::operations::all(),
            runtime,
            left: LIFE,
        }
    }

    /// Every operation of the API.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The ids of the records that the business began with.
    pub fn ids(&self) -> &[String] {
        &self.business.ids
    }

    /// The path of an operation, with these ids in it as long as they last.
    pub fn path(operation: &Operation, ids: &[&str]) -> String {
        let mut ids = ids.iter();
        let segments = operation
            .path
            .split('/')
            .map(|segment| match segment.starts_with(':') {
                true => ids.next().copied().unwrap_or("7"),
                false => segment,
            });
        let path = segments.collect::<Vec<_>>().join("/");
        format!("{}{path}", PREFIXES[0])
    }

    /// The status and the body of the answer.
    ///
    /// # Panics
    /// The answer is one that no client may get. A request that could not come
    /// over HTTP has none.
    pub fn call(&mut self, request: Request) -> Option<(u16, Vec<u8>)> {
        self.left = self.left.saturating_sub(1);
        let shown = request.clone();
        let answer = self.runtime.block_on(self.business.call(request))?;
        check(&shown, &answer);
        if answer.status() == http::StatusCode::UNAUTHORIZED {
            // The key was revoked by a request that was made up.
            self.left = 0;
        }
        let (head, body) = answer.into_parts();
        Some((head.status.as_u16(), body))
    }
}

impl Business {
    async fn found() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("fuzz.db");
        let options = store::Options {
            durable: false,
            ..store::Options::default()
        };
        let store = Store::open(&Target::Sqlite(file), options)
            .await
            .expect("a new database");
        store.migrate(MIGRATIONS).await.expect("today's schema");
        let key = store
            .write(|tx| {
                let new = NewWorkspace::called("Fuzz")?;
                let (_, who) = workspaces::create(tx, new, Timestamp::now(), &Ids::default())?;
                let fields = ApiKeyFields {
                    name: Name::read("key").ok().flatten(),
                    scopes: Some(Scopes::all()),
                    ..ApiKeyFields::default()
                };
                api_keys::create(tx, &who, New(fields))
            })
            .await
            .expect("a workspace with a key");
        let service = Service::new(
            store,
            &Options {
                public_url: "http://localhost".to_owned(),
                monthly_credits: i64::MAX,
                enforce_credits: false,
                rate_limit: None,
                max_requests: 512,
                metrics: MetricsAccess::Local,
            },
        );
        let mut business = Self {
            connection: service.connect(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            key: key.key.reveal().to_owned(),
            ids: Vec::new(),
            _folder: folder,
        };
        business.furnish().await;
        business
    }

    /// Makes a record of each kind, and remembers its id.
    async fn furnish(&mut self) {
        let pipelines = self.data("GET", "/pipelines", Value::Null).await;
        let pipeline = pipelines[0]["id"].as_str().expect("a pipeline").to_owned();
        let stages = format!("/pipelines/{pipeline}/stages");
        let stages = self.data("GET", &stages, Value::Null).await;
        for stage in stages.as_array().expect("stages") {
            self.ids
                .push(stage["id"].as_str().expect("a stage").to_owned());
        }
        self.ids.push(pipeline.clone());
        let contact = json!({
            "first_name": "Zoë", "last_name": "Ørsted",
            "email": "zoe@example.com", "phone": "+61412345678",
        });
        let records = [
            ("/contacts", contact),
            ("/companies", json!({"name": "Engines & Sons"})),
            (
                "/company/users/invite",
                json!({"email": "u@example.com", "full_name": "U"}),
            ),
            (
                "/opportunities",
                json!({"name": "Fence", "pipeline_id": pipeline}),
            ),
            (
                "/api-keys",
                json!({"name": "spare", "scopes": ["contacts:read"]}),
            ),
        ];
        for (path, body) in records {
            let made = self.data("POST", path, body).await;
            self.ids
                .push(made["id"].as_str().expect("an id").to_owned());
        }
    }

    async fn data(&self, method: &str, path: &str, body: Value) -> Value {
        let request = Request {
            method: method.to_owned(),
            target: format!("{}{path}", PREFIXES[0]),
            headers: vec![("content-type", b"application/json".to_vec())],
            body: match body {
                Value::Null => Vec::new(),
                body => body.to_string().into_bytes(),
            },
        };
        let answer = self.call(request).await.expect("a request as any other");
        let mut body: Value = serde_json::from_slice(answer.body()).expect("JSON");
        body["data"].take()
    }

    async fn call(&self, request: Request) -> Option<http::Response<Vec<u8>>> {
        let mut builder = http::Request::builder()
            .method(request.method.as_str())
            .uri(request.target)
            .header("authorization", format!("Bearer {}", self.key));
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        let request = builder.body(Body::from(request.body)).ok()?;
        let (head, body) = self.connection.answer(request).await.into_parts();
        let body = body.collect().await.expect("a body in one piece");
        let body = body.to_bytes().to_vec();
        Some(http::Response::from_parts(head, body))
    }
}

/// Claims what holds for every answer.
fn check(request: &Request, answer: &http::Response<Vec<u8>>) {
    let text = String::from_utf8_lossy(answer.body());
    let status = answer.status();
    assert!(
        !status.is_server_error(),
        "{request:?} was answered {status}: {text}"
    );
    let header = |name| answer.headers().get(name).map(http::HeaderValue::as_bytes);
    assert_eq!(
        header("x-content-type-options"),
        Some(&b"nosniff"[..]),
        "{request:?}"
    );
    if header("content-type") != Some(b"application/json") {
        return;
    }
    let said: Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{request:?} was answered no JSON, {error}: {text}"));
    if status.is_client_error() {
        for part in ["code", "message", "fix", "hint"] {
            assert!(
                said["error"][part].is_string(),
                "{request:?} was answered without {part}: {text}"
            );
        }
    }
}
