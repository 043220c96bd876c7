//! What the server tells about itself, in the text format of Prometheus
//! (OpenMetrics). No label ever holds what a client sent.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use axum::http::{HeaderMap, Method, StatusCode};
use crm::events;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use store::{COMMIT_SIZES, Store};
use tokio::sync::Mutex;

use crate::response_cache::ResponseCache;

/// The upper bounds by which the time of requests is sorted, in seconds: a
/// point read takes less than a millisecond, a bulk call up to a few seconds.
const DURATIONS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// How long a count of the events is good for, how long it may take, and how
/// far it goes: it shall cost nothing worth mentioning however many wait.
const EVENTS_FRESH: Duration = Duration::from_secs(5);
const EVENTS_TIMEOUT: Duration = Duration::from_secs(1);
const EVENTS_COUNTED: i64 = 100_000;

/// Who may see the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Programs on the same machine. What a proxy has forwarded comes from
    /// elsewhere, wherever the proxy runs.
    Local,
    /// Whoever reaches the server.
    Public,
    /// Nobody.
    Off,
}

impl MetricsAccess {
    /// Whether a request with these headers, from this address, may see them.
    pub(crate) fn allows(self, peer: IpAddr, headers: &HeaderMap) -> bool {
        const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];
        match self {
            Self::Local => {
                // 127.0.0.1 may come in the form that IPv6 has for it.
                peer.to_canonical().is_loopback()
                    && !FORWARDED.iter().any(|name| headers.contains_key(*name))
            }
            Self::Public => true,
            Self::Off => false,
        }
    }
}

/// Method, route and the class of the status, each with its label's name.
type Labels = [(&'static str, &'static str); 3];

/// A tool and the class of the status, each with its label's name.
type ToolLabels = [(&'static str, &'static str); 2];

/// All metrics of one server.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Labels, Histogram, fn() -> Histogram>,
    tools: Family<ToolLabels, Histogram, fn() -> Histogram>,
    at_work: Gauge,
    refused: Counter,
    connections: Gauge,
    events: Gauge,
    /// When the events were last counted.
    counted: Mutex<Option<Instant>>,
    store: Store,
}

impl Metrics {
    pub(crate) fn new(store: Store, responses: &ResponseCache) -> Self {
        let requests = Family::new_with_constructor(duration_histogram as fn() -> Histogram);
        let mut metrics = Self {
            registry: Registry::default(),
            requests,
            tools: Family::new_with_constructor(duration_histogram as fn() -> Histogram),
            at_work: Gauge::default(),
            refused: Counter::default(),
            connections: Gauge::default(),
            events: Gauge::default(),
            counted: Mutex::new(None),
            store,
        };
        metrics.register(responses);
        metrics
    }

    fn register(&mut self, responses: &ResponseCache) {
        let registry = &mut self.registry;
        registry.register_with_unit(
            "dealwright_http_request_duration",
            "Requests that were answered, by the time it took",
            Unit::Seconds,
            self.requests.clone(),
        );
        registry.register_with_unit(
            "dealwright_tool_call_duration",
            "Calls of tools by agents, by the time they took",
            Unit::Seconds,
            self.tools.clone(),
        );
        registry.register(
            "dealwright_http_requests_at_work",
            "Requests that take one of the places of --max-requests",
            self.at_work.clone(),
        );
        registry.register(
            "dealwright_http_requests_refused",
            "Requests that found no place",
            self.refused.clone(),
        );
        registry.register(
            "dealwright_response_cache_hits",
            "Answers that were given again, as nobody has written anything since (SQLite)",
            responses.hits.clone(),
        );
        registry.register(
            "dealwright_response_cache_misses",
            "Answers that might have been kept and were read (SQLite)",
            responses.misses.clone(),
        );
        registry.register(
            "dealwright_connections",
            "Open connections",
            self.connections.clone(),
        );
        registry.register(
            "dealwright_events_waiting",
            format!("Events that nothing has worked on yet, counted up to {EVENTS_COUNTED}"),
            self.events.clone(),
        );
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        registry.register_with_unit(
            "process_start_time",
            "When the process began, in seconds since 1970",
            Unit::Seconds,
            ConstGauge::new(since_1970.unwrap_or_default().as_secs_f64()),
        );
        registry.register_collector(Box::new(OfStore(self.store.clone())));
    }

    /// A request was answered. `route` is the pattern of its path; empty where
    /// there is none.
    pub(crate) fn answered(
        &self,
        method: &Method,
        route: &'static str,
        status: StatusCode,
        took: Duration,
    ) {
        let labels = [
            ("method", method_label(method)),
            ("route", if route.is_empty() { "none" } else { route }),
            ("status", class(status)),
        ];
        self.requests
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// A tool was called, by one of its names, and ended with the status that the
    /// call would have over HTTP.
    pub(crate) fn tool_called(&self, tool: &'static str, status: StatusCode, took: Duration) {
        let labels = [("tool", tool), ("status", class(status))];
        self.tools
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// A request found no place.
    pub(crate) fn refused(&self) {
        self.refused.inc();
    }

    /// A connection was opened.
    pub(crate) fn connected(&self) {
        self.connections.inc();
    }

    /// A connection has ended.
    pub(crate) fn disconnected(&self) {
        self.connections.dec();
    }

    /// All of them, while `at_work` requests are being answered.
    pub(crate) async fn render(&self, at_work: usize) -> String {
        self.at_work.set(at_work.try_into().unwrap_or(i64::MAX));
        self.count_events().await;
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("writing into a String can't fail");
        page
    }

    /// Counts the events, unless that was done just now. Without an answer from
    /// the database the last count stands: the other metrics are wanted most
    /// when it is in trouble.
    async fn count_events(&self) {
        let mut counted = self.counted.lock().await;
        if counted.is_some_and(|at| at.elapsed() < EVENTS_FRESH) {
            return;
        }
        *counted = Some(Instant::now());
        let count = self.store.scan(|db| events::waiting(db, EVENTS_COUNTED));
        match tokio::time::timeout(EVENTS_TIMEOUT, count).await {
            Ok(Ok(count)) => {
                self.events.set(count);
            }
            Ok(Err(error)) => tracing::debug!(%error, "the events could not be counted"),
            Err(_) => tracing::debug!("the events could not be counted in time"),
        }
    }
}

fn duration_histogram() -> Histogram {
    Histogram::new(DURATIONS)
}

/// The method, unless a client has made it up.
pub(crate) fn method_label(method: &Method) -> &'static str {
    [
        ("GET", Method::GET),
        ("POST", Method::POST),
        ("PATCH", Method::PATCH),
        ("DELETE", Method::DELETE),
        ("PUT", Method::PUT),
        ("HEAD", Method::HEAD),
        ("OPTIONS", Method::OPTIONS),
    ]
    .into_iter()
    .find(|(_, known)| known == method)
    .map_or("other", |(name, _)| name)
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

/// What the store counts itself, asked of it whenever it is wanted.
struct OfStore(Store);

impl fmt::Debug for OfStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OfStore").field(&self.0.stats()).finish()
    }
}

impl Collector for OfStore {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.stats();
        for (name, help, count) in [
            (
                "dealwright_store_writes",
                "Writes that were asked for and ended, well or not",
                stats.jobs,
            ),
            (
                "dealwright_store_retries",
                "Writes that were run again",
                stats.retries,
            ),
        ] {
            let counter = ConstCounter::new(count);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        for (name, help, count) in [
            (
                "dealwright_store_writes_waiting",
                "Writes that wait for the writer (SQLite)",
                stats.waiting,
            ),
            (
                "dealwright_store_connections_in_use",
                "Connections at work (PostgreSQL), long reads at work (SQLite)",
                stats.in_use,
            ),
        ] {
            let gauge = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        let sizes = COMMIT_SIZES.into_iter().map(|size| size as f64);
        let buckets: Vec<_> = sizes
            .zip(stats.commits_by_size)
            .chain([(f64::INFINITY, 0)])
            .collect();
        // Counted here, so that it is the sum of the others at any time.
        let commits = buckets.iter().map(|(_, commits)| commits).sum();
        encoder
            .encode_descriptor(
                "dealwright_store_commit_size",
                "Commits, by how many writes shared them",
                None,
                MetricType::Histogram,
            )?
            .encode_histogram::<NoLabelSet>(stats.kept as f64, commits, &buckets, None)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_same_machine_sees_the_metrics_unless_all_may() {
        let none = HeaderMap::new();
        for (peer, local) in [
            ("127.0.0.1", true),
            ("127.8.9.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("192.168.0.7", false),
            ("::ffff:10.0.0.1", false),
            ("2001:db8::1", false),
        ] {
            let peer = peer.parse().unwrap();
            assert_eq!(MetricsAccess::Local.allows(peer, &none), local, "{peer}");
            assert!(MetricsAccess::Public.allows(peer, &none));
            assert!(!MetricsAccess::Off.allows(peer, &none));
        }
    }

    #[test]
    fn what_a_proxy_forwards_does_not_come_from_the_same_machine() {
        let peer = "127.0.0.1".parse().unwrap();
        for name in ["forwarded", "x-forwarded-for", "x-real-ip"] {
            let headers = HeaderMap::from_iter([(
                name.parse().unwrap(),
                HeaderValue::from_static("203.0.113.7"),
            )]);
            assert!(!MetricsAccess::Local.allows(peer, &headers), "{name}");
            assert!(MetricsAccess::Public.allows(peer, &headers), "{name}");
        }
    }

    #[test]
    fn a_method_that_a_client_made_up_is_no_label() {
        let made_up = Method::from_bytes(b"WILHELMINA").unwrap();
        assert_eq!(method_label(&made_up), "other");
        assert_eq!(method_label(&Method::PATCH), "PATCH");
    }
}
