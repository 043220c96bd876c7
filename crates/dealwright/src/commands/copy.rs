//! `dealwright copy`: an installation from one database into another; and what
//! backups share with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crm::MIGRATIONS;
use indicatif::{ProgressBar, ProgressStyle};
use store::transfer::{self, Copied, CopyError, Progress, Step};
use store::{Migration, Options, Store, Target};

use super::Failure;
use super::new_file::NewFile;
use crate::config::{Configuration, target_of};

/// From where to where.
#[derive(Debug, clap::Args)]
pub(crate) struct CopyOptions {
    /// The database to read: postgres://…, a data folder or a SQLite file
    #[arg(long, value_name = "URL|PATH", hide_env_values = true)]
    from: String,
    /// The database to fill, likewise; it must be empty
    #[arg(long, value_name = "URL|PATH", hide_env_values = true)]
    to: String,
}

/// Copies everything and compares it, then brings the copy's schema up to date.
pub(crate) async fn run(
    configuration: &Configuration,
    options: &CopyOptions,
) -> Result<(), Failure> {
    let store_options = configuration.store_options();
    let source = open_source(&target_of(&options.from), store_options.clone()).await?;
    let schema = schema_of(&source).await?;
    let copied = into_target(&source, schema, &target_of(&options.to), store_options).await?;
    source.close().await;
    println!(
        "copied and compared {} rows in {} tables",
        copied.rows, copied.tables
    );
    Ok(())
}

/// Opens a database to read from it, beside whoever serves it.
pub(super) async fn open_source(target: &Target, options: Options) -> Result<Store, Failure> {
    match target {
        Target::Sqlite(path) if !path.is_file() => {
            Err(format!("there is no database {}", path.display()).into())
        }
        Target::Sqlite(path) => Ok(Store::open_read_only(path, options).await?),
        Target::Postgres(_) => Ok(Store::open(target, options).await?),
    }
}

/// The steps that a database has been through: its copy goes through the same
/// before it takes rows.
pub(super) async fn schema_of(store: &Store) -> Result<&'static [Migration], Failure> {
    let pending = store.pending(MIGRATIONS).await?;
    match MIGRATIONS.len() - pending.len() {
        0 => Err("it holds no installation of dealwright".into()),
        applied => Ok(&MIGRATIONS[..applied]),
    }
}

/// Fills an empty database with what `source` holds, and brings its schema up
/// to date.
pub(super) async fn into_target(
    source: &Store,
    schema: &'static [Migration],
    target: &Target,
    options: Options,
) -> Result<Copied, Failure> {
    match target {
        Target::Sqlite(path) => {
            let database = new_database(path)?;
            let (store, copied) = into_file(source, schema, database.partial()).await?;
            store.migrate(MIGRATIONS).await?;
            store.close().await;
            database.complete()?;
            Ok(copied)
        }
        Target::Postgres(_) => {
            let store = Store::open(target, options).await?;
            let version = store.schema_version().await?;
            // One that has the tables already is refused later if there is
            // anything in them: a copy that failed leaves them empty.
            if version != 0 && Some(version) != schema.last().map(|last| last.number) {
                return Err(not_empty("its tables are of another version"));
            }
            store.migrate(schema).await?;
            let copied = copy(source, &store).await?;
            store.migrate(MIGRATIONS).await?;
            store.close().await;
            Ok(copied)
        }
    }
}

/// Fills a new SQLite file with what `source` holds, and leaves it open.
pub(super) async fn into_file(
    source: &Store,
    schema: &'static [Migration],
    file: &Path,
) -> Result<(Store, Copied), Failure> {
    let store = open_unseen(file).await?;
    store.migrate(schema).await?;
    let copied = copy(source, &store).await?;
    Ok((store, copied))
}

/// A SQLite database that is to be made, with the folders it is in.
pub(super) fn new_database(path: &Path) -> Result<NewFile, Failure> {
    if path.exists() {
        return Err(not_empty(&format!("there is {}", path.display())));
    }
    // SQLite would take what is in them for changes to the new database. Whoever
    // only reads leaves an empty one.
    for suffix in ["-wal", "-journal"] {
        let mut name = OsString::from(path);
        name.push(suffix);
        let leftover = PathBuf::from(name);
        if leftover.metadata().is_ok_and(|file| file.len() > 0) {
            return Err(not_empty(&format!(
                "there is {}, left by an earlier one",
                leftover.display()
            )));
        }
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("the folder {}: {error}", folder.display()))?;
    }
    NewFile::beside(path)
}

/// Applies to a file that is about to become a database what its schema lacks.
pub(super) async fn bring_up_to_date(file: &Path) -> Result<(), Failure> {
    let store = open_unseen(file).await?;
    store.migrate(MIGRATIONS).await?;
    store.close().await;
    Ok(())
}

/// A file that is given up when anything goes wrong, and synced as a whole
/// when it is complete.
async fn open_unseen(file: &Path) -> Result<Store, Failure> {
    let options = Options {
        durable: false,
        ..Options::default()
    };
    Ok(Store::open(&Target::Sqlite(file.to_owned()), options).await?)
}

async fn copy(source: &Store, target: &Store) -> Result<Copied, Failure> {
    let mut bar = Bar::default();
    let copied = transfer::copy(source, target, crm::COPYING, move |progress| {
        bar.show(progress)
    })
    .await;
    copied.map_err(|error| match error {
        CopyError::NotEmpty { table } => not_empty(&format!("it has rows in {table}")),
        error => error.into(),
    })
}

fn not_empty(why: &str) -> Failure {
    format!(
        "the database to be filled is not empty: {why}. Nothing was changed. Name another data \
         folder, or a PostgreSQL database that was newly made"
    )
    .into()
}

/// A line for each table, on a terminal; elsewhere nothing.
#[derive(Default)]
struct Bar {
    /// The step and the table that are being shown.
    shown: Option<(Step, String)>,
    bar: Option<ProgressBar>,
}

impl Bar {
    fn show(&mut self, progress: Progress<'_>) {
        let Progress { step, table, .. } = progress;
        let is_shown = |(shown_step, shown_table): &(Step, String)| {
            *shown_step == step && shown_table == table
        };
        if !self.shown.as_ref().is_some_and(is_shown) {
            self.finish();
            self.shown = Some((step, table.to_owned()));
            self.bar = Some(line(step, table, progress.rows));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(progress.done);
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.finish();
    }
}

fn line(step: Step, table: &str, rows: u64) -> ProgressBar {
    let doing = match step {
        Step::Copying => "copying",
        Step::Comparing => "comparing",
    };
    let style = ProgressStyle::with_template(
        "{prefix:>9} {msg:24} {bar:32} {human_pos:>11} of {human_len:11} {eta}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(rows).with_style(style);
    bar.set_prefix(doing);
    bar.set_message(table.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
