//! Numbers for what readers see, so that two of them know whether they see the same.
//!
//! SQLite tells a connection whether others have committed since it looked last, but
//! not which state that is. So whoever sees something new takes the next number for it,
//! and whoever sees nothing new is at the number that was the latest before it began.
//! What is too close to call, because another took a number meanwhile, has none.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The latest number, which all readers of a database share.
#[derive(Clone, Default)]
pub(super) struct Revisions(Arc<AtomicU64>);

/// What one connection has seen.
#[derive(Default)]
pub(super) struct Sight {
    revisions: Revisions,
    /// The data version, as SQLite calls it, at the last look.
    seen: Cell<Option<i64>>,
    /// The number of what the transaction sees: until it has looked, provided that it
    /// is nothing new.
    current: Cell<Option<u64>>,
}

impl Sight {
    pub(super) fn of(revisions: Revisions) -> Self {
        Self {
            revisions,
            ..Self::default()
        }
    }

    /// To be called before a transaction begins to see anything.
    pub(super) fn begin(&self) {
        self.current
            .set(Some(self.revisions.0.load(Ordering::SeqCst)));
    }

    /// The number of what a transaction sees whose data version is this.
    pub(super) fn revision(&self, version: i64) -> Option<u64> {
        if self.seen.replace(Some(version)) != Some(version) {
            let latest = self.revisions.0.fetch_add(1, Ordering::SeqCst);
            let undisturbed = self.current.get() == Some(latest);
            self.current.set(undisturbed.then_some(latest + 1));
        }
        self.current.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_overtaken_at_something_new_has_no_number_for_it() {
        let revisions = Revisions::default();
        let [one, other] = [0; 2].map(|_| Sight::of(revisions.clone()));
        one.begin();
        other.begin();
        assert_eq!(other.revision(7), Some(1));
        // It may have looked before what the other has seen.
        assert_eq!(one.revision(7), None);
        assert_eq!(one.revision(7), None);

        one.begin();
        other.begin();
        assert_eq!((one.revision(7), other.revision(7)), (Some(2), Some(2)));

        other.begin();
        assert_eq!(other.revision(8), Some(3));
        assert_eq!(one.revision(7), Some(2));
    }
}
