//! `dealwright import`: companies, contacts, users, products and opportunities
//! from CSV files and XLSX workbooks, as a mapping file says.
//!
//! A table is streamed in batches, each a transaction: what it has brought in
//! is in the ledger with it, so an import that was cut off goes on where it
//! was, and one that is done again changes nothing.

mod cell;
mod column;
mod csv_file;
mod desk;
mod drafts;
mod files;
mod kinds;
mod mapping;
mod pipelines;
mod plan;
mod report;
mod run;
mod sheet;
mod table;
mod template;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crm::MIGRATIONS;
use indicatif::{ProgressBar, ProgressStyle};
use store::{Store, Target};

use super::{Failure, WorkspaceOption, open_migrated};
use crate::config::Configuration;
use mapping::Mapping;
use plan::Plan;

/// How the process exits when rows were refused and all others imported.
const ROWS_REFUSED: u8 = 3;

/// What is imported, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportCommand {
    /// A folder that holds all files of the mapping, or single files of it:
    /// CSV or XLSX
    #[arg(required = true, value_name = "FOLDER|FILE")]
    files: Vec<PathBuf>,
    /// The file that says what the files hold and what becomes of it
    #[arg(long, value_name = "FILE")]
    mapping: PathBuf,
    /// Reports what would happen, and writes nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    workspace: WorkspaceOption,
    /// Prints the whole report as one JSON object
    #[arg(long)]
    json: bool,
}

/// Imports, and prints what became of every row.
pub(crate) async fn run(
    configuration: &Configuration,
    command: &ImportCommand,
) -> Result<ExitCode, Failure> {
    let mapping = Mapping::read(&command.mapping)?;
    let plan = Plan::new(mapping, &command.files)?;
    let store = if command.dry_run {
        open_as_it_is(configuration).await?
    } else {
        open_migrated(configuration).await?
    };
    let (_, who) = command.workspace.find(&store).await?;

    let bar = progress_bar(&plan);
    let progress = |at: u64, table: &report::TableReport| {
        bar.set_message(table.file.clone());
        bar.set_position(at);
    };
    let result = run::run(&store, &who, plan, command.dry_run, progress).await;
    bar.finish_and_clear();
    store.close().await;
    let report = result.map_err(|error| {
        if command.dry_run {
            return error;
        }
        format!("{error}\nwhat was imported until then stays: run the same command again to go on")
            .into()
    })?;

    let text = if command.json {
        format!("{}\n", serde_json::to_value(&report)?)
    } else {
        report.to_string()
    };
    // Whoever has stopped reading, as `head` does, misses nothing of the import.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(ROWS_REFUSED)
    })
}

/// Opens a database that must be there and up to date: a dry run neither makes
/// nor migrates one.
async fn open_as_it_is(configuration: &Configuration) -> Result<Store, Failure> {
    let target = configuration.target();
    if let Target::Sqlite(path) = &target
        && !path.exists()
    {
        return Err(format!("there is no database {}", path.display()).into());
    }
    let store = Store::open(&target, configuration.store_options()).await?;
    let pending = store.pending(MIGRATIONS).await?;
    if pending.is_empty() {
        Ok(store)
    } else {
        Err(format!("the schema lacks {pending:?}: run `dealwright migrate` first").into())
    }
}

/// A bar on the standard error; nothing where that is no terminal.
fn progress_bar(plan: &Plan) -> ProgressBar {
    let size = plan.tables.iter().map(|planned| planned.table.size()).sum();
    let style = ProgressStyle::with_template("{msg:24} {wide_bar} {percent:>3}% {eta:>4}")
        .expect("the template is well-formed");
    ProgressBar::new(size).with_style(style)
}
