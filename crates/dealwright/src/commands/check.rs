//! `dealwright check`: tries what the server will need, and changes nothing.

use std::io::Write as _;
use std::process::ExitCode;

use clap::CommandFactory as _;
use crm::{MIGRATIONS, workspaces};
use store::{Engine, Store, Target};

use super::Failure;
use crate::Cli;
use crate::config::{self, Configuration};

/// Tries everything and prints a line for each; failure if one of them failed.
pub(crate) async fn run(configuration: &Configuration) -> Result<ExitCode, Failure> {
    let mut report = Report { sound: true };
    report.line("configuration", Ok(sources(configuration)));
    report.line("options of serve", options_of_serve(configuration));
    if let Target::Sqlite(_) = configuration.target() {
        report.line("data folder", data_folder(configuration));
    }
    match database(configuration).await {
        Ok(None) => report.line(
            "database",
            Ok("none yet: the first start makes it".to_owned()),
        ),
        Ok(Some(store)) => {
            report.line("database", integrity(&store).await);
            let schema = schema(&store).await;
            let usable = schema.is_ok();
            report.line("schema", schema);
            if usable {
                report.line("workspaces", count_workspaces(&store).await);
            }
            store.close().await;
        }
        Err(error) => report.line("database", Err(error)),
    }
    Ok(if report.sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

struct Report {
    sound: bool,
}

impl Report {
    fn line(&mut self, what: &str, found: Result<String, Failure>) {
        match found {
            Ok(said) => print(&format!("ok      {what}: {said}")),
            Err(error) => {
                self.sound = false;
                print(&format!("failed  {what}: {error}"));
            }
        }
    }
}

/// Prints a line; whoever has stopped reading needs no further one.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn sources(configuration: &Configuration) -> String {
    match &configuration.config {
        Some(file) => format!("read with {}", file.display()),
        None => "read, without a file".to_owned(),
    }
}

/// As the environment and the file give them, which is how a service is run.
fn options_of_serve(configuration: &Configuration) -> Result<String, Failure> {
    let mut arguments = vec!["dealwright".into(), "serve".into()];
    if let Some(file) = &configuration.config {
        arguments.extend(["--config".into(), file.into()]);
    }
    match config::read_from(Cli::command(), arguments) {
        Ok(_) => Ok("read".to_owned()),
        Err(error) => {
            let said = error.to_string();
            let line = said.lines().next().unwrap_or_default();
            Err(line.trim_start_matches("error: ").into())
        }
    }
}

fn data_folder(configuration: &Configuration) -> Result<String, Failure> {
    let folder = &configuration.data_dir;
    if !folder.exists() {
        return Ok(format!("{} will be made", folder.display()));
    }
    // A file that can be made here is what the database needs beside itself.
    let probe = folder.join(format!(".dealwright-check-{}", std::process::id()));
    std::fs::write(&probe, b"")
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|error| format!("{} can't be written: {error}", folder.display()))?;
    Ok(format!("{} can be written", folder.display()))
}

async fn database(configuration: &Configuration) -> Result<Option<Store>, Failure> {
    let target = configuration.target();
    if let Target::Sqlite(path) = &target
        && !path.exists()
    {
        return Ok(None);
    }
    Ok(Some(
        Store::open(&target, configuration.store_options()).await?,
    ))
}

async fn integrity(store: &Store) -> Result<String, Failure> {
    let found = store
        .scan(|db| match db.engine() {
            Engine::Sqlite => {
                db.query_one("pragma quick_check(1)", &[], |row| row.get::<String>(0))
            }
            Engine::Postgres => db.query_one("select version()", &[], |row| row.get::<String>(0)),
        })
        .await?;
    match store.engine() {
        Engine::Sqlite if found == "ok" => Ok("SQLite, sound".to_owned()),
        Engine::Sqlite => Err(format!("SQLite, damaged: {found}").into()),
        Engine::Postgres => Ok(found),
    }
}

async fn schema(store: &Store) -> Result<String, Failure> {
    let pending = store.pending(MIGRATIONS).await?;
    if pending.is_empty() {
        Ok(format!("{}, up to date", store.schema_version().await?))
    } else {
        Err(format!("lacks {pending:?}: run `dealwright migrate`, or start the server").into())
    }
}

async fn count_workspaces(store: &Store) -> Result<String, Failure> {
    Ok(store.read(workspaces::all).await?.len().to_string())
}
