//! Statements that take too long are told to the log: their text, which never
//! holds a value, and what they took.

use std::time::{Duration, Instant};

/// From when on a statement is slow.
#[derive(Clone, Copy)]
pub(crate) struct Slow(Option<Duration>);

impl Slow {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self(limit)
    }

    /// A statement begins.
    pub(crate) fn watch(self) -> Watch {
        Watch {
            limit: self.0,
            since: self.0.map(|_| Instant::now()),
            took: Duration::ZERO,
            rows: 0,
        }
    }
}

/// The time that one statement takes. Where there is no limit, the clock is
/// not even read.
pub(crate) struct Watch {
    limit: Option<Duration>,
    /// `None` while it does not run.
    since: Option<Instant>,
    took: Duration,
    /// How many rows the statement has given or changed.
    pub(crate) rows: u64,
}

impl Watch {
    /// What follows is not the statement's time.
    pub(crate) fn pause(&mut self) {
        if let Some(since) = self.since.take() {
            self.took += since.elapsed();
        }
    }

    /// The statement goes on.
    pub(crate) fn resume(&mut self) {
        self.since = self.limit.map(|_| Instant::now());
    }

    /// The statement is through, well or not.
    pub(crate) fn stop(mut self, sql: &str) {
        self.pause();
        if self.limit.is_some_and(|limit| self.took >= limit) {
            tracing::warn!(
                target: "store",
                sql,
                duration_ms = self.took.as_micros() as f64 / 1000.0,
                rows = self.rows,
                "a statement was slow"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runs_is_counted() {
        let mut watch = Slow::new(Some(Duration::from_secs(1))).watch();
        watch.pause();
        let took = watch.took;
        std::thread::sleep(Duration::from_millis(2));
        watch.pause();
        assert_eq!(watch.took, took);
        watch.resume();
        std::thread::sleep(Duration::from_millis(2));
        watch.pause();
        assert!(watch.took >= took + Duration::from_millis(2));
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let mut watch = Slow::new(None).watch();
        watch.pause();
        watch.resume();
        watch.pause();
        assert_eq!((watch.since, watch.took), (None, Duration::ZERO));
    }
}
