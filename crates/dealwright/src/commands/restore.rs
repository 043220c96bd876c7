//! `dealwright restore`: a database from a backup.

use std::path::{Path, PathBuf};

use store::{Options, Store, Target, transfer};

use super::{Failure, copy};
use crate::config::Configuration;

/// Where the backup is.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreOptions {
    /// The backup, made by `dealwright backup`
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Fills the database, which must be empty, with what the backup holds, and
/// brings its schema up to date.
pub(crate) async fn run(
    configuration: &Configuration,
    options: &RestoreOptions,
) -> Result<(), Failure> {
    let file = &options.file;
    let backup = open_backup(file).await?;
    let schema = copy::schema_of(&backup)
        .await
        .map_err(|error| format!("{}: {error}", file.display()))?;
    let target = configuration.target();
    match &target {
        Target::Sqlite(path) => {
            let database = copy::new_database(path)?;
            transfer::snapshot_file(file, database.partial()).await?;
            copy::bring_up_to_date(database.partial()).await?;
            database.complete()?;
        }
        Target::Postgres(_) => {
            let options = configuration.store_options();
            copy::into_target(&backup, schema, &target, options).await?;
        }
    }
    backup.close().await;
    println!("restored from {}", file.display());
    Ok(())
}

/// Opens a backup that is sound: what SQLite can find wrong with it is not.
async fn open_backup(file: &Path) -> Result<Store, Failure> {
    let unusable = |what: String| format!("{} is no sound backup: {what}", file.display());
    if !file.is_file() {
        return Err(format!("there is no file {}", file.display()).into());
    }
    let backup = Store::open_read_only(file, Options::default())
        .await
        .map_err(|error| unusable(error.to_string()))?;
    let problem = backup
        .scan(|db| {
            let found: String = db.query_one("pragma integrity_check(1)", &[], |row| row.get(0))?;
            let orphans: bool = db.query_one(
                "select count(*) > 0 from pragma_foreign_key_check",
                &[],
                |row| row.get(0),
            )?;
            Ok::<_, store::Error>(match found.as_str() {
                "ok" if orphans => Some("rows refer to rows that are missing".to_owned()),
                "ok" => None,
                _ => Some(found),
            })
        })
        .await
        .map_err(|error| unusable(error.to_string()))?;
    match problem {
        Some(problem) => Err(unusable(problem).into()),
        None => Ok(backup),
    }
}
