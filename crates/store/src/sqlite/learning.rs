//! How the text indexes learn of what was written: from a queue that triggers fill, many
//! texts at a time.

use std::cell::Cell;

use super::failure::translate;
use super::session::Session;
use crate::Error;

/// How many texts wait for the indexes to learn of them: a piece of an index that many are
/// learned in is written, and later merged with others, for far less than many pieces; but
/// whoever searches looks through all that wait.
const LEARNT_TOGETHER: i64 = 512;
/// How many pages of a text index are merged after it has learned of some texts: of each
/// it writes a part of a page, and again at each of a few levels.
const MERGED_AT_LEAST: i64 = 2;
const TEXTS_EACH_MERGED: i64 = 3;

/// The table of what the text indexes have yet to learn: see
/// [`Db::contains`](crate::Db::contains).
pub(crate) const INDEX_QUEUE: &str = "index_queue";

/// What a connection remembers of it.
pub(super) struct Learning {
    /// Whether there is a queue: a migration makes it.
    has_queue: Cell<bool>,
    /// How many texts must wait for the indexes to learn of them.
    from: Cell<i64>,
}

impl Default for Learning {
    fn default() -> Self {
        Self {
            has_queue: Cell::new(false),
            from: Cell::new(LEARNT_TOGETHER),
        }
    }
}

impl Session {
    /// Lets the text indexes learn of what waits, if that is much, in a transaction of
    /// its own: nothing that was written depends on it.
    pub(super) fn learn_of_many(&self) {
        let learn = || -> Result<(), Error> {
            let waiting = self.waiting_texts()?;
            let texts = waiting.iter().map(|(_, texts)| texts).sum::<i64>();
            if texts < LEARNT_TOGETHER {
                // Whoever has failed at it, it has been done.
                self.learning.from.set(LEARNT_TOGETHER);
            }
            if texts < self.learning.from.get() {
                return Ok(());
            }
            // Should it fail, it is not tried again for every write.
            self.learning.from.set(texts + LEARNT_TOGETHER);
            self.control("begin immediate")?;
            self.learn()?;
            self.control("commit")?;
            self.learning.from.set(LEARNT_TOGETHER);
            Ok(())
        };
        if let Err(error) = learn() {
            tracing::warn!(%error, "a text index has not learned of what waits for it");
        }
    }

    /// The tables whose text indexes have something to learn, and of how many rows.
    fn waiting_texts(&self) -> Result<Vec<(String, i64)>, Error> {
        if !self.learning.has_queue.get() {
            // A migration makes it, on whichever connection.
            self.learning.has_queue.set(self.has_queue()?);
        }
        if !self.learning.has_queue.get() {
            return Ok(Vec::new());
        }
        let count = format!("select source, count(*) from {INDEX_QUEUE} group by source");
        let ask = || {
            let mut statement = self.connection.prepare_cached(&count)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<_>>()
        };
        ask().map_err(|error| translate(&error, None))
    }

    /// Lets the text indexes learn what waits in [`INDEX_QUEUE`].
    fn learn(&self) -> Result<(), Error> {
        let waiting = self.waiting_texts()?;
        if waiting.is_empty() {
            return Ok(());
        }
        self.control(&format!("delete from {INDEX_QUEUE}"))?;
        for (table, texts) in waiting {
            // Left to itself FTS5 merges much at once, now and then, and all who wait
            // for the writer wait for that.
            let pages = MERGED_AT_LEAST + texts / TEXTS_EACH_MERGED;
            let sql = format!(
                "insert into \"{table}_index\" (\"{table}_index\", rank) values ('merge', ?1)"
            );
            let watch = self.slow.watch();
            let merge = || self.connection.prepare_cached(&sql)?.execute([pages]);
            let merged = merge();
            watch.stop(&sql);
            merged.map_err(|error| translate(&error, Some(&self.connection)))?;
        }
        Ok(())
    }

    /// As [`Tx::index_now`](crate::Tx::index_now).
    pub(crate) fn index_now(&self) -> Result<(), Error> {
        if self.doomed.get() {
            return Err(Error::Aborted);
        }
        self.learn().inspect_err(|_| self.doomed.set(true))
    }

    fn has_queue(&self) -> Result<bool, Error> {
        let exists = "select exists (select 1 from sqlite_master where name = ?1)";
        let ask = || {
            let mut statement = self.connection.prepare_cached(exists)?;
            statement.query_row([INDEX_QUEUE], |row| row.get(0))
        };
        ask().map_err(|error| translate(&error, None))
    }
}
