//! Carries a plan out: batch after batch, each in a transaction of its own.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crm::time::Timestamp;
use crm::{Caller, Error, imports};
use store::{Engine, Store, Tx};

use super::desk::{Desk, Links, Outcome, Planned};
use super::drafts::{self, Batch, DraftedRow};
use super::kinds::Kind;
use super::pipelines::Pipelines;
use super::plan::{Plan, PlannedTable};
use super::report::{Report, TableReport};
use crate::commands::Failure;

/// How many batches are read ahead of the database.
const AHEAD: usize = 2;

/// How long an import keeps SQLite's only writing place from other processes
/// before it lets them in, and for how long: they look whether it is free
/// every 100 ms, and between two batches would hardly ever find it so.
const TURN: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(110);

/// Imports into the caller's workspace. `progress` is told how far it has come,
/// in bytes of all tables, and what is being read.
///
/// # Errors
/// A file can't be read any further, or the database fails. What was committed
/// before stays, and the same import goes on from there.
pub(super) async fn run(
    store: &Store,
    who: &Caller,
    plan: Plan,
    dry_run: bool,
    progress: impl Fn(u64, &TableReport),
) -> Result<Report, Failure> {
    let wanted = plan.pipelines;
    let caller = at_once(who);
    let prepare = move |tx: &mut Tx<'_>| {
        imports::begin(tx, &caller, None)?;
        Pipelines::prepare(tx, &caller, &wanted, dry_run)
    };
    let (pipelines, made) = transact(store, dry_run, prepare).await?;
    let import = Arc::new(Import {
        store: store.clone(),
        who: who.clone(),
        source: plan.source,
        pipelines,
        dry_run,
        planned: RwLock::default(),
    });
    let mut report = Report {
        source: import.source.clone(),
        workspace_id: who.workspace_id,
        dry_run,
        pipelines: made,
        tables: Vec::new(),
        ignored_files: plan.ignored,
    };
    let mut before = 0;
    for planned in plan.tables {
        let size = planned.table.size();
        let table = import
            .table(planned, |at, table| progress(before + at.min(size), table))
            .await?;
        before += size;
        report.tables.push(table);
    }
    Ok(report)
}

/// The same caller, now: of a long import each transaction has its own time.
fn at_once(who: &Caller) -> Caller {
    Caller {
        now: Timestamp::now(),
        ..who.clone()
    }
}

/// Why a transaction was undone.
enum Undone<T> {
    /// It was only tried, with this result.
    Tried(T),
    Failed(Error),
}

impl<T> From<store::Error> for Undone<T> {
    fn from(error: store::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Runs `f` as one transaction, which a dry run undoes.
async fn transact<T: Send + 'static>(
    store: &Store,
    dry_run: bool,
    mut f: impl FnMut(&mut Tx<'_>) -> crm::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let result = store
        .write(move |tx| match f(tx) {
            Ok(done) if dry_run => Err(Undone::Tried(done)),
            Ok(done) => Ok(done),
            Err(error) => Err(Undone::Failed(error)),
        })
        .await;
    match result {
        Ok(done) | Err(Undone::Tried(done)) => Ok(done),
        Err(Undone::Failed(error)) => Err(error),
    }
}

struct Import {
    store: Store,
    who: Caller,
    source: crm::text::Name,
    pipelines: Pipelines,
    dry_run: bool,
    planned: RwLock<Planned>,
}

impl Import {
    async fn table(
        self: &Arc<Self>,
        planned: Arc<PlannedTable>,
        progress: impl Fn(u64, &TableReport),
    ) -> Result<TableReport, Failure> {
        let kind = planned.mapping.kind;
        let mut report = TableReport {
            file: planned.table.file_name(),
            into: kind.name(),
            ..TableReport::default()
        };
        let (sender, mut batches) = tokio::sync::mpsc::channel(AHEAD);
        let reader = tokio::task::spawn_blocking(move || drafts::read(&planned, &sender));
        let mut count = 0_u64;
        let mut turn = Instant::now();
        while let Some(batch) = batches.recv().await {
            let at = batch.at;
            self.batch(kind, batch, &mut report).await?;
            progress(at, &report);
            count += 1;
            // Each time that the table has doubled.
            if count.is_power_of_two() && !self.dry_run {
                self.refresh_statistics().await;
            }
            if turn.elapsed() > TURN && self.store.engine() == Engine::Sqlite {
                tokio::time::sleep(PAUSE).await;
                turn = Instant::now();
            }
        }
        reader
            .await
            .map_err(|_| format!("{}: the file is damaged", report.file))??;
        Ok(report)
    }

    async fn batch(
        self: &Arc<Self>,
        kind: &'static dyn Kind,
        batch: Batch,
        report: &mut TableReport,
    ) -> Result<(), Failure> {
        let first_refused = report.refusals.len();
        batch
            .refused
            .into_iter()
            .for_each(|refusal| report.refuse(refusal));
        let rows = Arc::new(batch.rows);
        let (import, who, shared) = (self.clone(), at_once(&self.who), rows.clone());
        let outcomes = transact(&self.store, self.dry_run, move |tx| {
            import.bring_in(tx, &who, kind, &shared)
        })
        .await?;
        for (row, outcome) in rows.iter().zip(outcomes) {
            if self.dry_run {
                self.plan(kind, row, &outcome);
            }
            report.count(row.number, outcome);
        }
        if let Some(refused) = report.refusals.get_mut(first_refused..) {
            refused.sort_by_key(|refusal| refusal.row);
        }
        Ok(())
    }

    async fn refresh_statistics(&self) {
        let refreshed = self.store.write(imports::refresh_statistics).await;
        if let Err(error) = refreshed {
            // Then it is slower, and still right.
            tracing::warn!(%error, "the database's statistics were not refreshed");
        }
    }

    fn bring_in(
        &self,
        tx: &mut Tx<'_>,
        who: &Caller,
        kind: &dyn Kind,
        rows: &[DraftedRow],
    ) -> crm::Result<Vec<Outcome>> {
        imports::begin(tx, who, Some(kind.entry()))?;
        let planned = self.planned.read().unwrap_or_else(PoisonError::into_inner);
        let mut links = Links::new();
        kind.lock(&mut self.desk(tx, who, &planned, &mut links), rows)?;
        rows.iter()
            .map(|row| {
                let outcome = tx.savepoint(|tx| {
                    let mut desk = self.desk(tx, who, &planned, &mut links);
                    desk.bring_in(kind, &row.key, &row.draft)
                });
                match outcome {
                    // The database failing is no fault of the row.
                    Err(Error::Store(error)) => Err(error.into()),
                    Err(error) => Ok(Outcome::Refused(error.to_string())),
                    Ok(outcome) => Ok(outcome),
                }
            })
            .collect()
    }

    fn desk<'a, 't>(
        &'a self,
        tx: &'a mut Tx<'t>,
        who: &'a Caller,
        planned: &'a Planned,
        links: &'a mut Links,
    ) -> Desk<'a, 't> {
        Desk {
            tx,
            who,
            source: &self.source,
            pipelines: &self.pipelines,
            planned,
            links,
        }
    }

    fn plan(&self, kind: &dyn Kind, row: &DraftedRow, outcome: &Outcome) {
        let matched = match outcome {
            Outcome::Made => None,
            Outcome::Matched(id) => Some(*id),
            Outcome::Unchanged | Outcome::Refused(_) => return,
        };
        self.planned
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .add(kind, &row.key, &row.draft, matched);
    }
}
