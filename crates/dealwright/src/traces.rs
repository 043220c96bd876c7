//! Traces: the spans of requests, sent to a collector over OTLP.
//!
//! They are gathered in memory and sent by a thread of their own. What a
//! collector does not take in time is dropped: no request waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

/// How long a collector may take for one batch.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the end of the process waits for the last batch.
const LAST_PATIENCE: Duration = Duration::from_secs(3);

/// What sends the spans.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends spans to the collector at this URL, below which OTLP has its
    /// paths.
    ///
    /// # Errors
    /// The URL or one of OpenTelemetry's environment variables can't be used.
    pub(crate) fn to(endpoint: &str) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new())
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .build()?;
        global::set_text_map_propagator(TraceContextPropagator::new());
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource())
            .build();
        Ok(Self(provider))
    }

    /// What spans are made with.
    pub(crate) fn tracer(&self) -> SdkTracer {
        self.0.tracer("dealwright")
    }

    /// Sends what is left, if the collector takes it.
    pub(crate) async fn finish(self) {
        let sent =
            tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(LAST_PATIENCE)).await;
        if let Ok(Err(error)) = sent {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// What the spans say of their process: the name and whatever else the
/// environment gives it, and the version.
fn resource() -> Resource {
    let resource = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => resource.build(),
        None => resource.with_service_name("dealwright").build(),
    }
}

/// The way to the collector, and whether it was there last.
#[derive(Debug)]
struct Collector {
    agent: ureq::Agent,
    reached: AtomicBool,
}

impl Collector {
    fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build();
        Self {
            agent: config.into(),
            reached: AtomicBool::new(true),
        }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (head, body) = request.into_parts();
        let answer = self.agent.run(Request::from_parts(head, body.to_vec()))?;
        let (head, mut body) = answer.into_parts();
        let body = body.read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }

    /// Tells the log when the collector is lost and when it is back, once each.
    fn note(&self, failure: Option<&dyn std::fmt::Display>) {
        let reached = self.reached.swap(failure.is_none(), Ordering::Relaxed);
        match failure {
            Some(error) if reached => {
                tracing::warn!(%error, "the collector takes no spans; they are dropped");
            }
            None if !reached => tracing::info!("the collector takes spans again"),
            _ => {}
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    // Called on the thread that sends, which has nothing else to do.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        match self.send(request) {
            Ok(answer) => {
                let status = answer.status();
                let refused = (!status.is_success()).then_some(&status as &dyn std::fmt::Display);
                self.note(refused);
                Ok(answer)
            }
            Err(error) => {
                self.note(Some(&error));
                Err(error.into())
            }
        }
    }
}
