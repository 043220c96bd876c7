//! Pages that need no key: rendered once, then served as they are.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use crm::time::Timestamp;

use super::{PREFIXES, catalog, docs, llms, openapi, reference};
use crate::operation::Operation;

/// Something to be fetched.
pub(crate) struct Page {
    /// Where it is, below the server's root.
    pub(crate) paths: Vec<String>,
    /// How it is called in the log.
    pub(crate) route: &'static str,
    /// What it is.
    pub(crate) media_type: HeaderValue,
    /// Its content.
    pub(crate) body: Bytes,
    /// Headers that it is served with.
    pub(crate) headers: Vec<(&'static str, String)>,
}

const JSON: &str = "application/json";
const MARKDOWN: &str = "text/markdown; charset=utf-8";

impl Page {
    /// A page at one path, by which it is also called in the log.
    pub(crate) fn new(path: &'static str, media_type: &'static str, body: Bytes) -> Self {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        Self {
            paths: vec![path.to_owned()],
            route: path,
            media_type: HeaderValue::from_static(media_type),
            body,
            // Kept by whoever likes, and asked for again each time: it may
            // change with the next version of the server.
            headers: vec![("cache-control", "no-cache".to_owned()), ("etag", tag)],
        }
    }

    /// The same at other paths.
    pub(crate) fn at(self, paths: Vec<String>) -> Self {
        Self { paths, ..self }
    }

    /// The same with one header more.
    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// True when whoever asks with these headers has it already.
    pub(crate) fn is_known(&self, asked: &HeaderMap) -> bool {
        let mut tags = self.headers.iter().filter(|(name, _)| *name == "etag");
        let known = asked
            .get(header::IF_NONE_MATCH)
            .and_then(|known| known.to_str().ok());
        known.zip(tags.next()).is_some_and(|(known, (_, tag))| {
            let mut known = known.split(',').map(str::trim);
            known.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
        })
    }
}

/// All pages about these operations. `public_url` is where clients reach the
/// server.
pub(crate) fn all(operations: &[Operation], public_url: &str) -> Vec<Page> {
    let catalog = catalog::render(operations, public_url, Timestamp::now());
    let everywhere = PREFIXES.into_iter().chain([""]);
    let everywhere = everywhere.map(|prefix| format!("{prefix}/api-index.json"));
    let full = llms::full(operations, public_url);
    let references = operations.iter().zip(full.pages).map(|(operation, body)| {
        Page::new("/docs", MARKDOWN, body).at(vec![reference::path(operation)])
    });
    [
        Page::new("/api-index.json", JSON, catalog.into()).at(everywhere.collect()),
        Page::new("/openapi.json", JSON, openapi::render(operations).into()),
        Page::new(
            "/llms.txt",
            MARKDOWN,
            llms::index(operations, public_url).into(),
        ),
        Page::new("/llms-full.txt", MARKDOWN, full.text),
    ]
    .into_iter()
    .chain(docs::pages())
    .chain(references)
    .collect()
}
