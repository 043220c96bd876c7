//! The meter: what each workspace has used of its monthly allowance. It runs
//! in memory, and what it has counted is added to the database every so often,
//! so that no request waits for that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crm::credits;
use crm::time::Timestamp;
use store::Store;
use uuid::Uuid;

use crate::operation::READ;

/// The meter of one server. Several on one database each learn what the others
/// have counted when they write down their own.
pub(crate) struct Meter {
    store: Store,
    /// Credits a month for each workspace.
    allowance: i64,
    counts: Mutex<HashMap<Uuid, Count>>,
    /// What was used at the end of months that are over, and is not written
    /// down yet.
    ended: Mutex<Vec<(Uuid, Count)>>,
    /// More than reads was counted since that was last written down.
    writes: AtomicBool,
}

#[derive(Clone)]
struct Count {
    /// The month that it is of: `2026-03`.
    month: String,
    /// The sum in the database when it was last asked.
    stored: i64,
    /// What has been used here since.
    fresh: i64,
}

impl Meter {
    pub(crate) fn new(store: Store, allowance: i64) -> Self {
        Self {
            store,
            allowance,
            counts: Mutex::default(),
            ended: Mutex::default(),
            writes: AtomicBool::default(),
        }
    }

    fn ended(&self) -> MutexGuard<'_, Vec<(Uuid, Count)>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Uuid, Count>> {
        // Nothing panics while holding it.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the workspace has left this month.
    ///
    /// # Errors
    /// What the database answers, which is asked once for each month.
    pub(crate) async fn remaining(&self, workspace_id: Uuid, now: Timestamp) -> crm::Result<i64> {
        let month = now.month();
        if let Some(count) = self.counts().get(&workspace_id)
            && count.month == month
        {
            return Ok(self.allowance - count.stored - count.fresh);
        }
        let asked = month.clone();
        let stored = self
            .store
            .read(move |db| credits::used(db, workspace_id, &asked))
            .await?;
        let new = Count {
            month,
            stored,
            fresh: 0,
        };
        let mut counts = self.counts();
        match counts.get(&workspace_id) {
            // Another call has asked at the same time.
            Some(count) if count.month == new.month => {
                return Ok(self.allowance - count.stored - count.fresh);
            }
            _ => {}
        }
        if let Some(old) = counts.insert(workspace_id, new) {
            self.ended().push((workspace_id, old));
        }
        Ok(self.allowance - stored)
    }

    /// Counts a call of a workspace whose [`remaining`](Self::remaining) has
    /// been asked; what is left after it.
    pub(crate) fn charge(&self, workspace_id: Uuid, cost: i64) -> i64 {
        let mut counts = self.counts();
        // While no flush can look.
        if cost > READ {
            self.writes.store(true, Ordering::Relaxed);
        }
        match counts.get_mut(&workspace_id) {
            Some(count) => {
                count.fresh += cost;
                self.allowance - count.stored - count.fresh
            }
            None => self.allowance,
        }
    }

    /// Whether more than reads was counted and is not written down yet.
    pub(crate) fn has_writes(&self) -> bool {
        self.writes.load(Ordering::Relaxed)
    }

    /// Adds what was counted since the last time to the database.
    pub(crate) async fn flush(&self) -> crm::Result<()> {
        let has_writes = self.writes.swap(false, Ordering::Relaxed);
        let ended = std::mem::take(&mut *self.ended());
        let mut fresh: Vec<_> = ended.clone();
        fresh.extend(self.counts().iter().map(|(id, count)| (*id, count.clone())));
        fresh.retain(|(_, count)| count.fresh > 0);
        if fresh.is_empty() {
            return Ok(());
        }
        let written = self
            .store
            .write(move |tx| {
                let add = |(id, count): &(Uuid, Count)| {
                    let sum = credits::add(tx, *id, &count.month, count.fresh)?;
                    Ok((*id, count.clone(), sum))
                };
                fresh.iter().map(add).collect::<crm::Result<Vec<_>>>()
            })
            .await;
        let written = match written {
            Ok(written) => written,
            Err(error) => {
                self.ended().extend(ended);
                self.writes.fetch_or(has_writes, Ordering::Relaxed);
                return Err(error);
            }
        };
        let mut counts = self.counts();
        for (id, written, sum) in written {
            if let Some(count) = counts.get_mut(&id)
                && count.month == written.month
            {
                count.stored = sum;
                count.fresh -= written.fresh;
            }
        }
        Ok(())
    }
}
