//! `dealwright serve`: the server, from its first start to its orderly end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use api::{MetricsAccess, Service};
use axum::http::Uri;
use axum::http::uri::InvalidUri;
use clap::ValueEnum;
use crm::api_keys::{self, ApiKeyFields, CreatedApiKey};
use crm::record::New;
use crm::scopes::Scopes;
use crm::text::Name;
use crm::time::Timestamp;
use crm::workspaces::{self, NewWorkspace};
use crm::{Caller, Ids};
use store::{Store, Tx};
use tokio::net::TcpListener;

use super::calls::CallOptions;
use super::signals::Signals;
use super::{Failure, open_migrated};
use crate::config::Configuration;
use crate::server::{self, Limits};

/// How often what is counted in memory is written down, as far as it can't wait.
const FLUSH: Duration = Duration::from_secs(1);

/// How the server is run.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeOptions {
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where clients reach the server, if not where it listens
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// At the first start, fills the workspace with a made-up small business
    #[arg(long)]
    demo: bool,
    #[command(flatten)]
    calls: CallOptions,
    /// How many requests are worked on at once, an eighth of them exports; further
    /// ones are refused with 503, to be sent again
    #[arg(long, value_name = "NUMBER", default_value_t = 512)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_requests: u32,
    /// How many connections are open at once; further ones wait until one ends
    #[arg(long, value_name = "NUMBER", default_value_t = 4096)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: u32,
    /// How long a client may take to send a request or to take an answer, and
    /// how long a connection may be idle
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=86_400))]
    client_timeout: u32,
    /// Who may see the metrics at /metrics
    #[arg(long, value_enum, default_value_t = Metrics::Local)]
    metrics: Metrics,
    /// The OpenTelemetry collector to which a trace of each request is sent
    /// over OTLP/HTTP, as in http://localhost:4318; without it, none is made
    #[arg(long, value_name = "URL", value_parser = http_url)]
    otlp_endpoint: Option<String>,
}

impl ServeOptions {
    pub(super) fn otlp_endpoint(&self) -> Option<&str> {
        self.otlp_endpoint.as_deref()
    }
}

fn http_url(text: &str) -> Result<String, String> {
    let url: Uri = text
        .parse()
        .map_err(|error: InvalidUri| error.to_string())?;
    match url.scheme_str() {
        Some("http" | "https") => Ok(text.to_owned()),
        _ => Err("it must begin with http:// or https://".to_owned()),
    }
}

/// Who may see the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Metrics {
    /// Programs on this machine, unless a proxy has forwarded their requests
    Local,
    /// Whoever reaches the server
    Public,
    /// Nobody
    Off,
}

impl From<Metrics> for MetricsAccess {
    fn from(metrics: Metrics) -> Self {
        match metrics {
            Metrics::Local => Self::Local,
            Metrics::Public => Self::Public,
            Metrics::Off => Self::Off,
        }
    }
}

/// Serves until it is told to end.
pub(crate) async fn run(
    configuration: &Configuration,
    options: &ServeOptions,
) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    let store = open_migrated(configuration).await?;
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|error| format!("{} can't be listened on: {error}", options.listen))?;
    let address = listener.local_addr()?;
    // After all that can fail, so that no key is made that nobody is shown.
    let key = set_up(&store, options.demo).await?;
    let service = Service::new(
        store.clone(),
        &api::Options {
            public_url: match &options.public_url {
                Some(url) => url.trim_end_matches('/').to_owned(),
                None => format!("http://{}", reachable(address)),
            },
            monthly_credits: options.calls.monthly_credits,
            enforce_credits: options.calls.enforce_credits,
            rate_limit: options.calls.rate_limit(),
            max_requests: options.max_requests as usize,
            metrics: options.metrics.into(),
        },
    );
    if let Some(key) = key {
        introduce(&key, reachable(address));
    }
    println!(
        "dealwright {} listening on http://{address}",
        env!("CARGO_PKG_VERSION")
    );

    let flushing = tokio::spawn(flush_regularly(service.clone()));
    let limits = Limits {
        connections: options.max_connections as usize,
        client_timeout: Duration::from_secs(options.client_timeout.into()),
    };
    let (begin_drain, drain) = tokio::sync::oneshot::channel::<()>();
    let mut serving = tokio::spawn(server::serve(listener, service.clone(), limits, async {
        // An error means that the sender is gone, which is as good a reason.
        let _ = drain.await;
    }));
    tokio::select! {
        ended = &mut serving => ended?,
        () = signals.next() => {
            tracing::info!("draining: no new connections, requests at work are finished");
            let _ = begin_drain.send(());
            tokio::select! {
                ended = &mut serving => ended?,
                () = signals.next() => {
                    tracing::warn!("ended at once, by a second signal");
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
    }
    flushing.abort();
    service.flush().await?;
    store.close().await;
    tracing::info!("ended");
    Ok(ExitCode::SUCCESS)
}

/// Makes the first workspace and its key, unless there is one already.
async fn set_up(store: &Store, demo: bool) -> Result<Option<CreatedApiKey>, Failure> {
    let new = NewWorkspace::called("My business")?;
    let (now, ids) = (Timestamp::now(), Ids::default());
    let made = store
        .write(move |tx| {
            let Some((_, who)) = workspaces::create_first(tx, new.clone(), now, &ids)? else {
                return Ok(None);
            };
            if demo {
                crate::demo::fill(tx, &who)?;
            }
            first_key(tx, &who).map(Some)
        })
        .await;
    Ok(made?)
}

fn first_key(tx: &mut Tx<'_>, who: &Caller) -> crm::Result<CreatedApiKey> {
    let fields = ApiKeyFields {
        name: Name::read("first key").ok().flatten(),
        scopes: Some(Scopes::all()),
        ..ApiKeyFields::default()
    };
    api_keys::create(tx, who, New(fields))
}

/// The address as this machine's own clients reach it.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Shows the key, this once, and a request that works.
fn introduce(key: &CreatedApiKey, address: SocketAddr) {
    println!(
        "A workspace was made, with a key that may do everything. Keep it: it is not
shown again.

    {key}

Try it:

    curl -H 'Authorization: Bearer {key}' http://{address}{prefix}/opportunities
",
        key = key.key.reveal(),
        prefix = api::PREFIXES[0],
    );
}

/// Writes down every second what is counted in memory.
pub(super) async fn flush_regularly(service: Arc<Service>) {
    let mut ticks = tokio::time::interval(FLUSH);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = service.tend().await {
            tracing::warn!(%error, "what is done every second failed; tried again soon");
        }
    }
}
