//! The server that is measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::Failure;
use crate::http::{self, Client};
use crate::process::{self, Process};
use crate::race::Meter;
use crate::wrk::Target;

/// Where a server keeps its data.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    /// The data folder.
    pub(crate) folder: PathBuf,
    /// The URL of a PostgreSQL database to use instead of SQLite.
    pub(crate) url: Option<String>,
}

impl Database {
    /// A SQLite database in this folder.
    pub(crate) fn sqlite(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            url: None,
        }
    }

    /// The file that SQLite keeps it in.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("dealwright.db")
    }
}

/// The program, and nothing of what may be configured on this machine.
pub(crate) fn command(binary: &Path, database: &Database) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DEALWRIGHT_") {
            command.env_remove(name);
        }
    }
    command
        .env("RUST_LOG", "warn")
        .env("DEALWRIGHT_DATA_DIR", &database.folder);
    if let Some(url) = &database.url {
        command.env("DEALWRIGHT_DATABASE_URL", url);
    }
    command
}

/// A running server.
pub(crate) struct Server {
    process: Process,
    /// Such as `http://127.0.0.1:8080`.
    pub(crate) base: String,
    /// What its clients send as `Authorization`.
    pub(crate) authorization: String,
}

impl Server {
    /// Serves a database, on any free port.
    pub(crate) fn start(
        binary: &Path,
        database: &Database,
        options: &[&str],
    ) -> Result<Self, Failure> {
        let log = database.folder.join("server");
        std::fs::create_dir_all(&database.folder)?;
        let mut serve = command(binary, database);
        serve
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(options);
        let (process, base) = Process::serve(&mut serve, &log)?;
        let authorization = authorization(binary, database)?;
        Ok(Self {
            process,
            base,
            authorization,
        })
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// This server alone, for a load.
    pub(crate) fn target(&self) -> Target {
        Target {
            servers: vec![self.base.clone()],
            authorization: self.authorization.clone(),
            meter: Meter::of(self.id()),
        }
    }

    /// A client with every scope.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.base, &self.authorization)
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        self.process.end("TERM")
    }
}

/// A new key with every scope, as a client sends it.
pub(crate) fn authorization(binary: &Path, database: &Database) -> Result<String, Failure> {
    let made = run(
        binary,
        database,
        &["api-key", "create", "--scopes", "*", "--json"],
    )?;
    let made: Value = serde_json::from_str(&made)?;
    Ok(format!("Bearer {}", http::text(&made, "key")?))
}

/// Runs another command of the program.
pub(crate) fn run(
    binary: &Path,
    database: &Database,
    arguments: &[&str],
) -> Result<String, Failure> {
    process::run(command(binary, database).args(arguments))
}
