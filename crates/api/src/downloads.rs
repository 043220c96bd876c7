//! Answers of any length: a file that is read while it is sent.
//!
//! The beginning is read before the answer starts, so that what is wrong is an error
//! like any other. What goes wrong later ends the connection before the answer is
//! complete, which a client can't take for the end of the file. What follows is read
//! when the client has taken what came before: one who is slow holds a page of records
//! and nothing of the database, and nothing more is done for one who has gone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use crm::exports::{ExportRequest, Format, Progress, Step};
use crm::{Caller, Error};
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use store::Store;
use tokio::time::Instant;

/// How long an export that has begun waits for its next page to begin: as long as
/// those that have the places may well take.
const PATIENCE: Duration = Duration::from_secs(600);

/// The pause before the next attempt. A place has been waited for already, but a
/// database that can't be reached says so at once.
const PAUSE: Duration = Duration::from_secs(1);

const CSV: &str = "text/csv";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// What an export can be answered as, by the `format` that is asked for.
pub(crate) const MEDIA_TYPES: &[&str] = &[CSV, XLSX];

/// A file that is yet to be sent.
pub(crate) struct Download {
    /// What it is called.
    pub(crate) name: String,
    /// What it is, with the encoding of a text.
    pub(crate) media_type: &'static str,
    /// Its bytes.
    pub(crate) body: BoxStream<'static, Result<Bytes, Error>>,
}

/// An export as a file, of which the beginning has been read.
pub(crate) async fn export(
    store: Store,
    who: Caller,
    request: ExportRequest,
) -> crm::Result<Download> {
    let ExportRequest { export, format, .. } = request;
    let request_id = who.request_id.clone().unwrap_or_default();
    let begin = move |db: &store::Db<'_>| {
        let name = export.file_name(db, &who, format)?;
        let first = Progress::begin(db, &who, export, format)?.step(db)?;
        Ok::<_, Error>((name, first))
    };
    let (name, first) = store.scan(begin).await?;
    let rest = stream::try_unfold(first.rest, move |rest| {
        let store = store.clone();
        async move {
            let Some(progress) = rest else {
                return Ok(None);
            };
            let step = next(&store, progress).await?;
            Ok(Some((step.bytes, step.rest)))
        }
    });
    let rest = rest.inspect_err(move |error| {
        tracing::error!(request_id, %error, "an export broke off");
    });
    let first = stream::once(async { Ok(first.bytes) });
    Ok(Download {
        name,
        media_type: match format {
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::Xlsx => XLSX,
        },
        body: first.chain(rest).map_ok(Bytes::from).boxed(),
    })
}

/// The next page of an export. A client that has a part of it can do nothing with a
/// refusal, so it waits for its place among the long reads.
async fn next(store: &Store, progress: Progress) -> crm::Result<Step> {
    in_turn(progress, |turn| {
        let store = store.clone();
        async move { store.scan(move |db| turn.take().step(db)).await }
    })
    .await
}

/// What is to be read once there is a place for it.
struct Turn<P>(Arc<Mutex<Option<P>>>);

impl<P> Turn<P> {
    fn waiting(&self) -> MutexGuard<'_, Option<P>> {
        // Nothing panics while holding it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> P {
        let waiting = self.waiting().take();
        waiting.expect("what has begun is not tried again")
    }
}

/// What comes of `attempt`, which is made again while the database gave it no place to
/// take its turn in.
async fn in_turn<P, T, F>(what: P, attempt: impl Fn(Turn<P>) -> F) -> crm::Result<T>
where
    F: Future<Output = crm::Result<T>>,
{
    let turn = Turn(Arc::new(Mutex::new(Some(what))));
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt(Turn(turn.0.clone())).await {
            Err(Error::Store(store::Error::Unavailable(_)))
                if turn.waiting().is_some() && Instant::now() < deadline =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn no_place<T>() -> crm::Result<T> {
        Err(store::Error::Unavailable("no place".to_owned()).into())
    }

    #[tokio::test(start_paused = true)]
    async fn what_finds_no_place_is_tried_again_until_it_has_one() {
        let attempts = Mutex::new(0);
        let read = in_turn("page", |turn| {
            let mut attempts = attempts.lock().unwrap();
            *attempts += 1;
            let result = match *attempts {
                ..=20 => no_place(),
                _ => Ok(turn.take()),
            };
            async { result }
        });
        assert_eq!(read.await.unwrap(), "page");
        assert_eq!(*attempts.lock().unwrap(), 21);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_begun_is_not_tried_again() {
        let read = in_turn("page", |turn| async move {
            turn.take();
            no_place::<()>()
        });
        assert!(read.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_is_gone_is_not_waited_for_without_an_end() {
        let read = in_turn("page", |_| async { no_place::<()>() });
        assert!(read.await.is_err());
    }
}
