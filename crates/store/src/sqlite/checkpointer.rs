//! The checkpointer: a thread that puts the log back into the file while the writer
//! goes on writing.
//!
//! What is written meanwhile the writer puts back itself, after a commit of its own:
//! the log begins anew only when nothing of it is left to put back.
//!
//! That is for when the log has grown. Where it grows slowly the thread puts back what
//! there is once a second: the more of the log is not in the file, the longer a reader
//! looks for each page.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::failure::translate;
use super::session::{LOG_PAGES, Session};
use crate::{Error, Options};

/// From how many pages on the writer waits for the thread: a log that is written faster
/// than it is put back would grow without end.
const MOST_PAGES: u32 = 4 * LOG_PAGES;

/// How often the thread goes over the log at most: each time it finds what was written
/// the time before, which is less and less, and the last of it the writer has to wait for.
const PASSES: usize = 4;

/// How long the thread waits to be asked before it puts back what there is.
const UNASKED: Duration = Duration::from_secs(1);

pub(super) struct Checkpointer(JoinHandle<()>);

impl Checkpointer {
    /// Looks after the log to which the writer's connection writes.
    pub(super) fn start(
        writer: &mut Connection,
        path: &Path,
        options: &Options,
    ) -> Result<Self, Error> {
        let (ask, asked) = sync_channel(1);
        let (tell, told) = sync_channel(1);
        let written = Arc::new(AtomicBool::new(false));
        let (path, options, has_written) = (path.to_owned(), options.clone(), written.clone());
        let thread = std::thread::Builder::new()
            .name("store-checkpointer".to_owned())
            .spawn(move || put_back(path, options, &asked, &tell, &has_written))
            .map_err(|error| Error::unavailable(format!("no thread for the log: {error}")))?;
        writer
            .wal_hook(Some(after_commit(ask, told, written)))
            .map_err(|error| translate(&error, None))?;
        Ok(Self(thread))
    }

    /// Leaves the log to the writer's connection alone.
    pub(super) fn end(self, writer: &mut Connection) -> rusqlite::Result<()> {
        writer.wal_hook(None::<fn(&mut Wal, i32) -> rusqlite::Result<()>>)?;
        // Should it have panicked, nothing is lost: what it left is in the log.
        let _ = self.0.join();
        Ok(())
    }
}

/// What the writer does after each commit, by how many pages the log holds.
///
/// It never fails: an error would be taken for one of the commit, which is done, and
/// what is not put back is still in the log.
fn after_commit(
    ask: SyncSender<()>,
    told: Receiver<bool>,
    written: Arc<AtomicBool>,
) -> impl FnMut(&mut Wal, i32) -> rusqlite::Result<()> {
    let mut under_way = false;
    let mut ask_from = LOG_PAGES;
    move |log, pages| {
        let pages = pages.unsigned_abs();
        written.store(true, Ordering::Relaxed);
        if under_way {
            let answer = match pages >= MOST_PAGES {
                true => told.recv().map_err(|_| TryRecvError::Disconnected),
                false => told.try_recv(),
            };
            match answer {
                Err(TryRecvError::Empty) => return Ok(()),
                // A reader needs what the log holds: nothing is gained before it ends.
                Ok(false) => ask_from = pages.saturating_add(LOG_PAGES),
                Ok(true) | Err(TryRecvError::Disconnected) => {
                    ask_from = LOG_PAGES;
                    let _ = log.checkpoint();
                }
            }
            under_way = false;
        } else if pages < LOG_PAGES {
            ask_from = LOG_PAGES;
        } else if pages >= ask_from {
            under_way = ask.try_send(()).is_ok();
            if !under_way {
                let _ = log.checkpoint();
            }
        }
        Ok(())
    }
}

/// The thread, until the writer is gone. To the writer that asked it tells whether it
/// may be able to put back the rest.
fn put_back(
    path: PathBuf,
    options: Options,
    asked: &Receiver<()>,
    tell: &SyncSender<bool>,
    written: &AtomicBool,
) {
    let (mut file, mut has_failed) = (None, false);
    loop {
        let is_asked = match asked.recv_timeout(UNASKED) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) if written.swap(false, Ordering::Relaxed) => false,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let file = match &mut file {
            Some(file) => Ok(file),
            None => LoggedFile::open(&path, &options).map(|opened| file.insert(opened)),
        };
        let done = file.and_then(LoggedFile::put_log_back);
        // Said once: the next time is soon.
        if let Err(error) = &done
            && !has_failed
        {
            tracing::warn!(%error, "the log was not put back");
        }
        has_failed = done.is_err();
        if !matches!(done, Ok(PutBack::All)) {
            written.store(true, Ordering::Relaxed);
        }
        // What this thread can't do the writer may be able to.
        if is_asked && tell.send(!matches!(done, Ok(PutBack::Nothing))).is_err() {
            break;
        }
    }
}

/// How much of the log is in the file.
#[derive(Clone, Copy)]
enum PutBack {
    /// All that it had at the last look.
    All,
    /// More than before; whoever reads, or another process, is at the rest.
    Some,
    /// No more than before: a reader needs what the log holds.
    Nothing,
}

/// The file, and a connection that knows its log.
struct LoggedFile {
    session: Session,
    /// None where nothing has to be on the disk. It is never closed: a process that
    /// closes a file loses all locks that it has on it, and so do its connections.
    file: Option<&'static File>,
    /// How many pages of the log were in the file the last time.
    put: i64,
}

impl LoggedFile {
    fn open(path: &Path, options: &Options) -> Result<Self, Error> {
        let session = Session::open(path, options, true)?;
        let open = || File::open(path).map(|file| &*Box::leak(Box::new(file)));
        let file = options.durable.then(open).transpose();
        Ok(Self {
            session,
            file: file.map_err(|error| unsynced(&error))?,
            put: 0,
        })
    }

    /// SQLite itself lets the disk write only when all of the log is in the file, for
    /// which the writer would have to wait.
    fn put_log_back(&mut self) -> Result<PutBack, Error> {
        let mut done = PutBack::Nothing;
        for _ in 0..PASSES {
            let (log, put) = self.session.put_log_back()?;
            let before = std::mem::replace(&mut self.put, put);
            done = match done {
                _ if put < 0 => return Ok(PutBack::Some),
                _ if put == log => PutBack::All,
                PutBack::Nothing if put == before => PutBack::Nothing,
                _ => PutBack::Some,
            };
            if put == before {
                break;
            }
            if let Some(file) = self.file {
                file.sync_data().map_err(|error| unsynced(&error))?;
            }
        }
        Ok(done)
    }
}

fn unsynced(error: &std::io::Error) -> Error {
    Error::Engine(format!(
        "the database file can't be written to the disk: {error}"
    ))
}
