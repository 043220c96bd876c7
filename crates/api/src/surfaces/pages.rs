//! Pages that need no key: each is rendered when it is first asked for, and from
//! then on served as it is.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, LazyLock};

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
    headers: Vec<(&'static str, String)>,
    content: LazyLock<Content, Render>,
}

type Render = Box<dyn FnOnce() -> Content + Send>;

/// What is in a page.
struct Content {
    body: Bytes,
    /// Another one for each body.
    tag: String,
}

const JSON: &str = "application/json";
const MARKDOWN: &str = "text/markdown; charset=utf-8";

impl Page {
    /// A page at one path, by which it is also called in the log.
    pub(crate) fn new(
        path: &'static str,
        media_type: &'static str,
        render: impl FnOnce() -> Bytes + Send + 'static,
    ) -> Self {
        let render = || {
            let body = render();
            let mut hasher = DefaultHasher::new();
            body.hash(&mut hasher);
            let tag = format!("\"{:016x}\"", hasher.finish());
            Content { body, tag }
        };
        Self {
            paths: vec![path.to_owned()],
            route: path,
            media_type: HeaderValue::from_static(media_type),
            headers: Vec::new(),
            content: LazyLock::new(Box::new(render)),
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

    /// Its content.
    pub(crate) fn body(&self) -> Bytes {
        self.content.body.clone()
    }

    /// Headers that it is served with.
    pub(crate) fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = self.headers.clone();
        // Kept by whoever likes, and asked for again each time: it may change
        // with the next version of the server.
        headers.push(("cache-control", "no-cache".to_owned()));
        headers.push(("etag", self.content.tag.clone()));
        headers
    }

    /// True when whoever asks with these headers has it already.
    pub(crate) fn is_known(&self, asked: &HeaderMap) -> bool {
        let known = asked.get(header::IF_NONE_MATCH);
        let known = known.and_then(|known| known.to_str().ok());
        known.is_some_and(|known| {
            let mut tags = known.split(',').map(str::trim);
            tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == self.content.tag)
        })
    }
}

/// All pages about these operations. `public_url` is where clients reach the
/// server.
pub(crate) fn all(operations: &Arc<[Operation]>, public_url: &str) -> Vec<Page> {
    let about = |render: fn(&[Operation], &str) -> Bytes| {
        let (operations, public_url) = (operations.clone(), public_url.to_owned());
        move || render(&operations, &public_url)
    };
    let catalog =
        about(|operations, url| catalog::render(operations, url, Timestamp::now()).into());
    let everywhere = PREFIXES.into_iter().chain([""]);
    let everywhere = everywhere.map(|prefix| format!("{prefix}/api-index.json"));
    let mut pages = vec![
        Page::new("/api-index.json", JSON, catalog).at(everywhere.collect()),
        Page::new(
            "/openapi.json",
            JSON,
            about(|operations, _| openapi::render(operations).into()),
        ),
        Page::new(
            "/llms.txt",
            MARKDOWN,
            about(|operations, url| llms::index(operations, url).into()),
        ),
    ];
    pages.extend(docs::pages());
    pages.extend(reference_pages(operations, public_url));
    pages
}

/// The whole reference, and the page of each operation, which is a part of it.
fn reference_pages(operations: &Arc<[Operation]>, public_url: &str) -> Vec<Page> {
    let (all, public_url) = (operations.clone(), public_url.to_owned());
    let full = Arc::new(LazyLock::new(move || llms::full(&all, &public_url)));
    let text = full.clone();
    let mut pages = vec![Page::new("/llms-full.txt", MARKDOWN, move || {
        text.text.clone()
    })];
    pages.extend(operations.iter().enumerate().map(|(index, operation)| {
        let full = full.clone();
        Page::new("/docs", MARKDOWN, move || full.pages[index].clone())
            .at(vec![reference::path(operation)])
    }));
    pages
}
