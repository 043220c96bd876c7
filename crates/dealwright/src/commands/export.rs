//! `dealwright export`: a workspace's records as tables, for people and other
//! programs.
//!
//! All of it is read as it is at one moment, whatever is written meanwhile.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crm::Caller;
use crm::exports::{Export, Format, Kind, Progress};
use crm::time::Timestamp;
use store::{Db, Store};

use super::new_file::{self, NewFile};
use super::{Failure, WorkspaceOption, open_migrated};
use crate::config::Configuration;

/// The name that stands for the standard output.
const STANDARD_OUTPUT: &str = "-";

/// What is exported, and where it goes.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportOptions {
    /// The kind of records, as in contacts, companies or opportunities; without it
    /// all records of the workspace, a file for each kind. Settings and API keys are
    /// none: a backup has them
    #[arg(long = "type", value_name = "TYPE", value_parser = kind)]
    kind: Option<&'static Kind>,
    /// What is written: csv or xlsx
    #[arg(long, default_value = "csv", value_parser = format)]
    format: Format,
    /// Those records only that the parameter of their list lets through, as in
    /// status=won; may be given several times
    #[arg(long = "filter", value_name = "NAME=VALUE", requires = "kind", value_parser = filter)]
    filters: Vec<(String, String)>,
    #[command(flatten)]
    workspace: WorkspaceOption,
    /// The file to make, or - for the standard output; without --type the folder to
    /// make. It must not exist. By default it is called after the type and the day
    #[arg(long, value_name = "FILE|-")]
    output: Option<PathBuf>,
}

fn kind(name: &str) -> Result<&'static Kind, String> {
    Kind::named(name).ok_or_else(|| {
        let names: Vec<_> = Kind::all().map(|kind| kind.name).collect();
        format!("it must be one of {}", names.join(", "))
    })
}

fn format(text: &str) -> Result<Format, String> {
    text.parse().map_err(|flaw: crm::input::Flaw| flaw.message)
}

fn filter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Makes the file or the folder, whole or not at all.
pub(crate) async fn run(
    configuration: &Configuration,
    options: &ExportOptions,
) -> Result<(), Failure> {
    let store = open_migrated(configuration).await?;
    let (_, who) = options.workspace.find(&store).await?;
    let format = options.format;
    match options.kind {
        Some(kind) => {
            let export = kind.filtered(options.filters.clone())?;
            one(&store, who, export, format, options.output.clone()).await?;
        }
        None => everything(&store, who, format, options.output.clone()).await?,
    }
    store.close().await;
    Ok(())
}

/// Exports the records of one kind.
async fn one(
    store: &Store,
    who: Caller,
    export: Export,
    format: Format,
    output: Option<PathBuf>,
) -> Result<(), Failure> {
    if output.as_deref() == Some(Path::new(STANDARD_OUTPUT)) {
        let write = move |db: &Db<'_>| write(db, &who, export, format, &mut io::stdout().lock());
        return store.scan(write).await.map(drop);
    }
    let path = match output {
        Some(path) => path,
        None => {
            let (export, who) = (export.clone(), who.clone());
            let name = store.read(move |db| export.file_name(db, &who, format));
            name.await?.into()
        }
    };
    let file = NewFile::beside(&path)?;
    let mut open = File::options().write(true).open(file.partial())?;
    let name = export.kind.name;
    let write = move |db: &Db<'_>| write(db, &who, export, format, &mut open);
    let rows = store.scan(write).await?;
    file.complete()?;
    println!("{rows} {name} exported to {}", path.display());
    Ok(())
}

/// Exports all records of the workspace, a file for each kind.
async fn everything(
    store: &Store,
    who: Caller,
    format: Format,
    output: Option<PathBuf>,
) -> Result<(), Failure> {
    let folder = match output {
        Some(path) if path == Path::new(STANDARD_OUTPUT) => {
            return Err(
                "all records of a workspace are several files: name a folder by \
                        --output, or one kind of record by --type"
                    .into(),
            );
        }
        Some(path) => path,
        None => {
            let who = who.clone();
            let locale = store.read(move |db| who.locale(db)).await?;
            format!("export-{}", locale.date_at(Timestamp::now())).into()
        }
    };
    let partial = new_file::folder_beside(&folder)?;
    let within = partial.path().to_owned();
    let counts = store
        .scan(move |db| {
            let kinds = Kind::all().map(|kind| {
                let path = within.join(format!("{}.{}", kind.name, format.as_str()));
                let mut file = File::create_new(path)?;
                let rows = write(db, &who, kind.filtered([])?, format, &mut file)?;
                file.sync_all()?;
                Ok((kind.name, rows))
            });
            kinds.collect::<Result<Vec<_>, Failure>>()
        })
        .await?;
    new_file::complete_folder(partial, &folder)?;
    for (name, rows) in counts {
        println!("{rows:>9} {name}");
    }
    println!("exported to the folder {}", folder.display());
    Ok(())
}

/// Writes an export to its end, all of it as it is at one moment; how many records
/// that are.
fn write(
    db: &Db<'_>,
    who: &Caller,
    export: Export,
    format: Format,
    into: &mut impl Write,
) -> Result<usize, Failure> {
    let mut rest = Some(Progress::begin(db, who, export, format)?);
    let mut rows = 0;
    while let Some(progress) = rest {
        let step = progress.step(db)?;
        into.write_all(&step.bytes)?;
        rows += step.rows;
        rest = step.rest;
    }
    into.flush()?;
    Ok(rows)
}
