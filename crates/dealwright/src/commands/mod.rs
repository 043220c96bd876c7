//! The commands of the binary, one file each.

mod api_key;
mod backup;
mod calls;
mod check;
mod copy;
mod export;
mod import;
mod mcp;
mod migrate;
mod new_file;
mod restore;
mod serve;
mod signals;
mod workspace;

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use crm::time::Timestamp;
use crm::workspaces::{self, Workspace};
use crm::{Caller, Ids, MIGRATIONS};
use store::{Store, Target};
use uuid::Uuid;

use crate::config::Configuration;

/// Why a command failed, to be shown to the operator.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the binary does.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serves the API
    ///
    /// The first start makes a workspace with a default pipeline, an
    /// administrator and a key that may do everything, and prints the key.
    Serve(serve::ServeOptions),
    /// Lets an agent work over the standard input and output, by the Model Context
    /// Protocol
    ///
    /// Works on the data folder or the PostgreSQL database, also beside a running
    /// server; or, with --url and --key, through a server anywhere.
    Mcp(mcp::McpOptions),
    /// Brings the database up to what this version of the program needs
    Migrate,
    /// Tries the configuration and the database, and reports
    Check,
    /// Imports companies, contacts, users, products and opportunities from CSV and XLSX
    /// files; exits with 3 when it refused rows
    Import(import::ImportCommand),
    /// Exports a workspace's records as CSV or XLSX, while they are served
    Export(export::ExportOptions),
    /// Writes everything in the database into one file, while it is served
    Backup(backup::BackupOptions),
    /// Makes the database from a backup
    Restore(restore::RestoreOptions),
    /// Moves everything from one database into another
    Copy(copy::CopyOptions),
    /// Makes, lists and revokes API keys
    #[command(subcommand)]
    ApiKey(api_key::ApiKeyCommand),
    /// Makes and lists workspaces
    #[command(subcommand)]
    Workspace(workspace::WorkspaceCommand),
}

impl Command {
    /// Where its traces go, if anywhere.
    pub(crate) fn otlp_endpoint(&self) -> Option<&str> {
        match self {
            Self::Serve(options) => options.otlp_endpoint(),
            _ => None,
        }
    }
}

/// Runs the command that was given.
pub(crate) async fn run(
    configuration: &Configuration,
    command: &Command,
) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve(options) => return serve::run(configuration, options).await,
        Command::Mcp(options) => mcp::run(configuration, options).await?,
        Command::Migrate => migrate::run(configuration).await?,
        Command::Check => return check::run(configuration).await,
        Command::Import(command) => return import::run(configuration, command).await,
        Command::Export(options) => export::run(configuration, options).await?,
        Command::Backup(options) => backup::run(configuration, options).await?,
        Command::Restore(options) => restore::run(configuration, options).await?,
        Command::Copy(options) => copy::run(configuration, options).await?,
        Command::ApiKey(command) => api_key::run(configuration, command).await?,
        Command::Workspace(command) => workspace::run(configuration, command).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens the database, making the data folder where it is missing.
async fn open(configuration: &Configuration) -> Result<Store, Failure> {
    let target = configuration.target();
    if let Target::Sqlite(file) = &target {
        private_file(&configuration.data_dir, file).map_err(|error| {
            format!(
                "the data folder {}: {error}",
                configuration.data_dir.display()
            )
        })?;
    }
    Ok(Store::open(&target, configuration.store_options()).await?)
}

/// Makes the file and its folder where they are missing, for their owner alone:
/// they hold what people have told a business. What SQLite puts beside the file
/// is as private as the file.
fn private_file(folder: &Path, file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(file)
        .map(drop)
}

/// Opens the database and brings its schema up to date.
async fn open_migrated(configuration: &Configuration) -> Result<Store, Failure> {
    let store = open(configuration).await?;
    let applied = store.migrate(MIGRATIONS).await?;
    if !applied.is_empty() {
        tracing::info!(migrations = ?applied, "the database was migrated");
    }
    Ok(store)
}

/// Which workspace a command is about.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkspaceOption {
    /// The workspace, by its id or its name; the oldest one by default
    #[arg(long, value_name = "ID|NAME")]
    workspace: Option<String>,
}

impl WorkspaceOption {
    /// True when one was named.
    fn is_given(&self) -> bool {
        self.workspace.is_some()
    }

    /// Finds the workspace, and its operator.
    async fn find(&self, store: &Store) -> Result<(Workspace, Caller), Failure> {
        let mut all = store.read(workspaces::all).await?;
        let chosen = match &self.workspace {
            None if all.is_empty() => {
                return Err(
                    "there is no workspace yet: start `dealwright serve`, or make one \
                            with `dealwright workspace create --name NAME`"
                        .into(),
                );
            }
            None => all.swap_remove(0),
            Some(wanted) => {
                let named = |one: &Workspace| {
                    one.id.to_string() == wanted.to_ascii_lowercase() || *one.name == **wanted
                };
                let mut found: Vec<_> = all.into_iter().filter(named).collect();
                match found.len() {
                    1 => found.swap_remove(0),
                    0 => {
                        return Err(format!(
                            "there is no workspace {wanted}: `dealwright workspace list` \
                             shows those there are"
                        )
                        .into());
                    }
                    _ => {
                        return Err(
                            format!("several workspaces are called {wanted}: use an id").into()
                        );
                    }
                }
            }
        };
        let who = operator(chosen.id);
        Ok((chosen, who))
    }
}

/// The operator at work in a workspace.
fn operator(workspace_id: Uuid) -> Caller {
    Caller::operator(workspace_id, Timestamp::now(), Ids::default())
}

/// Prints one object as JSON.
fn print_json(value: &serde_json::Value) {
    println!("{value}");
}
