//! `dealwright`: a self-hosted sales pipeline server in one binary.

mod commands;
mod config;
mod demo;
mod logs;
mod pace;
mod server;
mod traces;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use commands::Command;
use config::Configuration;
use traces::Traces;

/// Records are read and written in many small pieces.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A self-hosted sales pipeline server.
///
/// Every option can also be given as the environment variable that its help
/// names, or in the TOML file named by --config, under its own name with
/// underscores: `data_dir = "/var/lib/dealwright"`. The command line wins over
/// the environment, the environment over the file.
#[derive(Parser)]
#[command(name = "dealwright", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    configuration: Configuration,
    #[command(subcommand)]
    command: Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    let read = config::read(Cli::command());
    let cli = match read.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let traces = match cli.command.otlp_endpoint().map(Traces::to).transpose() {
        Ok(traces) => traces,
        Err(error) => return fail(&error),
    };
    logs::start(cli.configuration.log_format, traces.as_ref());
    let ended = commands::run(&cli.configuration, &cli.command).await;
    if let Some(traces) = traces {
        traces.finish().await;
    }
    ended.unwrap_or_else(|error| fail(&*error))
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("dealwright: {error}");
    ExitCode::FAILURE
}
