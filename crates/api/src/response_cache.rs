//! Answers that are given again until something is written.
//!
//! An answer is kept under all that it follows from: what is asked, of whose records,
//! by a caller with which scopes, and the revision of the database. There is nothing to
//! invalidate: whoever sees another revision, because someone has committed something,
//! in whichever process, finds nothing that was kept before.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crm::Caller;
use prometheus_client::metrics::counter::Counter;
use serde_json::Value;
use store::Db;
use uuid::Uuid;

use crate::envelope::Body;

/// What is kept takes at most so much memory, in bytes; what finds no room is not kept.
const ROOM: usize = 24 * 1024 * 1024;
/// What an answer takes beside its bytes and those of what was asked.
const OVERHEAD: usize = 128;

#[derive(Default)]
pub(crate) struct ResponseCache {
    kept: Mutex<Kept>,
    /// Answers that were given again.
    pub(crate) hits: Counter,
    /// Answers that were read although they might have been kept.
    pub(crate) misses: Counter,
}

#[derive(Default)]
struct Kept {
    /// What all of them were read at.
    revision: u64,
    answers: HashMap<Key, Arc<[u8]>>,
    taken: usize,
}

/// What is asked, and what of the caller an answer may depend on.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Key(Box<[u8]>);

impl Key {
    /// Of a call of the operation with the name, as far as it can be told.
    pub(crate) fn of(
        tool: &str,
        who: &Caller,
        path: &[Uuid],
        given: &BTreeMap<String, Value>,
    ) -> Option<Self> {
        let asked = (tool, who.workspace_id, who.scopes, path, given);
        let text = serde_json::to_vec(&asked).ok()?;
        Some(Self(text.into()))
    }
}

impl ResponseCache {
    /// The answer at the revision that `db` sees: what is kept, or else what `answer`
    /// gives, which is kept from then on.
    ///
    /// # Errors
    /// Those of `answer`, or of the database.
    pub(crate) fn answer(&self, db: &Db<'_>, key: Key, answer: impl FnOnce() -> Body) -> Body {
        let Some(revision) = db.revision()? else {
            return answer();
        };
        if let Some(kept) = self.kept().at(revision, &key) {
            self.hits.inc();
            return Ok(Some(kept.to_vec()));
        }
        self.misses.inc();
        let fresh = answer()?;
        if let Some(fresh) = &fresh {
            // Dropped when others may go on.
            let _outdated = self.kept().keep(revision, key, fresh);
        }
        Ok(fresh)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Whatever panicked, each answer is whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn at(&self, revision: u64, key: &Key) -> Option<Arc<[u8]>> {
        match self.revision == revision {
            true => self.answers.get(key).cloned(),
            false => None,
        }
    }

    /// Keeps an answer, and gives back what is kept no longer.
    fn keep(&mut self, revision: u64, key: Key, answer: &[u8]) -> Option<Self> {
        let outdated = (self.revision < revision).then(|| {
            let new = Self {
                revision,
                ..Self::default()
            };
            std::mem::replace(self, new)
        });
        let takes = key.0.len() + answer.len() + OVERHEAD;
        if self.revision == revision
            && self.taken + takes <= ROOM
            && self.answers.insert(key, answer.into()).is_none()
        {
            self.taken += takes;
        }
        outdated
    }
}
