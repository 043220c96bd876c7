//! `dealwright mcp`: the Model Context Protocol over the standard input and
//! output, for clients that start their servers themselves.

mod bridge;
mod folder;

use super::calls::CallOptions;
use super::{Failure, WorkspaceOption};
use crate::config::Configuration;

/// Whose records an agent works with, and as whom.
#[derive(clap::Args)]
pub(crate) struct McpOptions {
    /// A server to work through, by its public URL, instead of a database of this
    /// machine
    #[arg(
        long,
        value_name = "URL",
        requires = "key",
        conflicts_with = "workspace"
    )]
    url: Option<String>,
    /// The API key to work with; on a database without one, the agent may do
    /// everything in its workspace
    #[arg(
        long,
        value_name = "KEY",
        hide_env_values = true,
        conflicts_with = "workspace"
    )]
    key: Option<String>,
    #[command(flatten)]
    workspace: WorkspaceOption,
    #[command(flatten)]
    calls: CallOptions,
}

/// Answers one client until it closes the standard input.
pub(crate) async fn run(
    configuration: &Configuration,
    options: &McpOptions,
) -> Result<(), Failure> {
    match (&options.url, &options.key) {
        (Some(url), Some(key)) => {
            let bridge = bridge::Bridge::new(url, key);
            tokio::task::spawn_blocking(move || bridge.carry()).await??;
            Ok(())
        }
        _ => folder::run(configuration, options).await,
    }
}
