//! `dealwright`: a self-hosted sales pipeline server in one binary.

mod commands;
mod config;
mod demo;
mod logs;

use std::process::ExitCode;

use config::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    logs::start(cli.log_format);
    match commands::run(cli).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("dealwright: {error}");
            ExitCode::FAILURE
        }
    }
}
