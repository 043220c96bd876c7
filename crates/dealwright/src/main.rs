//! `dealwright`: a self-hosted sales pipeline server in one binary.

mod commands;
mod config;
mod demo;
mod logs;
mod server;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use commands::Command;
use config::Configuration;

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
    logs::start(cli.configuration.log_format);
    match commands::run(&cli.configuration, &cli.command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("dealwright: {error}");
            ExitCode::FAILURE
        }
    }
}
