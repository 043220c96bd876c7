//! Answers of any length: a file that is read while it is sent.
//!
//! The beginning is read before the answer starts, so that what is wrong is an error
//! like any other. What goes wrong later ends the connection before the answer is
//! complete, which a client can't take for the end of the file. What follows is read
//! when the client has taken what came before: one who is slow holds a page of records
//! and nothing of the database, and nothing more is done for one who has gone.

use axum::body::Bytes;
use crm::exports::{ExportRequest, Format, Progress};
use crm::{Caller, Error};
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use store::Store;

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
            let step = store.scan(move |db| progress.step(db)).await?;
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
