//! `dealwright backup`: everything in one file.
//!
//! A backup is a SQLite database with the same schema, whichever engine it was
//! made of: it can be restored into either.

use std::path::PathBuf;

use store::{Target, transfer};

use super::new_file::NewFile;
use super::{Failure, copy};
use crate::config::Configuration;

/// Where the backup goes.
#[derive(Debug, clap::Args)]
pub(crate) struct BackupOptions {
    /// The file to make; it must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Makes the backup, complete and on disk, or none.
pub(crate) async fn run(
    configuration: &Configuration,
    options: &BackupOptions,
) -> Result<(), Failure> {
    let backup = NewFile::beside(&options.file)?;
    let target = configuration.target();
    let source = copy::open_source(&target, configuration.store_options()).await?;
    let schema = copy::schema_of(&source).await?;
    match &target {
        Target::Sqlite(path) => transfer::snapshot_file(path, backup.partial()).await?,
        Target::Postgres(_) => {
            // What is written row by row is spread out and in WAL mode; the
            // backup is the tidy single file that SQLite makes of it.
            let rows = NewFile::beside(&options.file)?;
            let (filled, _) = copy::into_file(&source, schema, rows.partial()).await?;
            transfer::snapshot_file(rows.partial(), backup.partial()).await?;
            filled.close().await;
        }
    }
    source.close().await;
    backup.complete()?;
    println!("backed up to {}", options.file.display());
    Ok(())
}
