//! What a test has done and seen, to be shown at its end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::harness::eventually;

/// Counts by what is counted.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BTreeMap<String, usize>>);

impl Tally {
    pub(super) fn add(&self, what: &str, count: usize) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(what.to_owned()).or_default() += count;
    }

    /// Waits until so many more calls were acknowledged.
    #[track_caller]
    pub(super) fn wait_for_calls(&self, count: usize) {
        self.wait_for("acknowledged: ", count);
    }

    /// Waits until so much more of what begins so was counted.
    #[track_caller]
    pub(super) fn wait_for(&self, begin: &str, count: usize) {
        let wanted = self.count(begin) + count;
        eventually(&format!("{wanted} of {begin:?} were counted"), || {
            (self.count(begin) >= wanted).then_some(())
        });
    }

    /// How many there were of what begins so.
    pub(super) fn count(&self, begin: &str) -> usize {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = counts.iter().filter(|(what, _)| what.starts_with(begin));
        counted.map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (what, count) in &*counts {
            writeln!(f, "{count:>8}  {what}")?;
        }
        Ok(())
    }
}
