//! Log lines, on the standard error, and the way of spans into traces. What
//! either says is decided where it is written: never a key, a password or
//! anything about a person.

use std::io::IsTerminal as _;

use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogFormat;
use crate::traces::Traces;

/// Starts the log, and the traces if there are any. `RUST_LOG` says what is
/// logged; `info` by default.
pub(crate) fn start(format: LogFormat, traces: Option<&Traces>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    subscriber(format, filter, traces).init();
}

fn subscriber(
    format: LogFormat,
    filter: EnvFilter,
    traces: Option<&Traces>,
) -> impl Subscriber + Send + Sync {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // To tell of a line that could not be written it would panic where that
        // can't be written either, as when the log's disk is full.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // A span that nobody takes is not even made.
    let mut layers = vec![
        lines
            .with_filter(filter.and(filter_fn(|about| about.is_event() && is_discreet(about))))
            .boxed(),
    ];
    layers.extend(traces.map(|traces| {
        tracing_opentelemetry::layer()
            .with_tracer(traces.tracer())
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_filter(filter_fn(|about| about.is_span() && is_discreet(about)))
            .boxed()
    }));
    tracing_subscriber::registry().with(layers)
}

/// False of what a crate of others says that shows messages as they come.
fn is_discreet(about: &Metadata<'_>) -> bool {
    !about.target().starts_with("rmcp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_are_no_traces_no_span_is_made() {
        let quiet = subscriber(LogFormat::Text, EnvFilter::new("trace"), None);
        tracing::subscriber::with_default(quiet, || {
            assert!(tracing::info_span!("request").is_disabled());
            assert!(tracing::event_enabled!(tracing::Level::TRACE));
        });
        let traces = Traces::to("http://127.0.0.1:1").expect("an address");
        let traced = subscriber(LogFormat::Text, EnvFilter::new("off"), Some(&traces));
        tracing::subscriber::with_default(traced, || {
            assert!(!tracing::info_span!("request").is_disabled());
        });
    }
}
