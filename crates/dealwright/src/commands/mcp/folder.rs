//! Straight on a database, beside whatever serves it.

use api::{Identity, MetricsAccess, Service};

use super::McpOptions;
use crate::commands::serve::flush_regularly;
use crate::commands::signals::Signals;
use crate::commands::{Failure, open_migrated};
use crate::config::Configuration;

/// Answers the client at the other end of the standard input and output.
pub(super) async fn run(
    configuration: &Configuration,
    options: &McpOptions,
) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let store = open_migrated(configuration).await?;
    let identity = match &options.key {
        Some(key) => Identity::Key(key.clone()),
        None => Identity::Operator(options.workspace.find(&store).await?.0.id),
    };
    let service = Service::new(
        store.clone(),
        &api::Options {
            // No client reaches it by an address.
            public_url: String::new(),
            monthly_credits: options.calls.monthly_credits,
            enforce_credits: options.calls.enforce_credits,
            rate_limit: options.calls.rate_limit(),
            max_requests: 1,
            metrics: MetricsAccess::Off,
        },
    );
    let flushing = tokio::spawn(flush_regularly(service.clone()));
    let mut signalled = false;
    let ended = async {
        signals.next().await;
        signalled = true;
    };
    let served = service
        .serve_pipe(identity, tokio::io::stdin(), tokio::io::stdout(), ended)
        .await;
    flushing.abort();
    service.flush().await?;
    store.close().await;
    if signalled {
        // A thread still waits for the client's next line, and would hold the
        // process until it comes.
        std::process::exit(0);
    }
    Ok(served?)
}
