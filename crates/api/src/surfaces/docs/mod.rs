//! `/docs`: the API in a browser, where it can be tried.
//!
//! What shows it is Swagger UI, which is in the program: nothing is fetched from
//! another host.

use std::borrow::Cow;
use std::io::{Cursor, Read as _};

use bytes::Bytes;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::{CompressionMethod, ZipArchive};

use super::pages::Page;

const INDEX: &str = include_str!("index.html");
const START: &str = include_str!("start.js");

/// What the page may do in a browser: run and show what comes from this server,
/// and ask it. Swagger UI sets styles on its elements, and has its images in
/// itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The page and what it consists of.
pub(crate) fn pages() -> Vec<Page> {
    let index = Page::new(
        "/docs",
        "text/html; charset=utf-8",
        Bytes::from_static(INDEX.as_bytes()),
    );
    let mut pages = vec![
        index.with_header("content-security-policy", POLICY),
        Page::new(
            "/docs/start.js",
            "text/javascript; charset=utf-8",
            Bytes::from_static(START.as_bytes()),
        ),
    ];
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))
        .expect("the crate is made of this archive");
    for (path, media_type) in [
        (
            "/docs/swagger-ui-bundle.js",
            "text/javascript; charset=utf-8",
        ),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
    ] {
        let packed = packed(&mut archive, path.trim_start_matches("/docs"));
        pages.push(Page::new(path, media_type, packed).with_header("content-encoding", "gzip"));
    }
    pages
}

/// A file of the archive as gzip has it: packed in the same way, between another
/// header and trailer. Every browser reads it so.
fn packed(archive: &mut ZipArchive<Cursor<&[u8]>>, file: &str) -> Bytes {
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let suffix = format!("/dist{file}");
    let mut names = archive.file_names().filter_map(Result::ok);
    let name = names
        .find(|name| name.ends_with(&suffix))
        .map(Cow::into_owned);
    drop(names);
    let index = name
        .and_then(|name| archive.index_for_name(&name))
        .expect("the archive has it");
    let mut entry = archive.by_index_raw(index).expect("the archive is whole");
    assert_eq!(
        entry.compression(),
        CompressionMethod::Deflated,
        "{file} is packed"
    );
    let mut packed = HEADER.to_vec();
    let length = u32::try_from(entry.size()).expect("it is a file of a few megabytes");
    entry
        .read_to_end(&mut packed)
        .expect("memory does not fail to be read");
    packed.extend(entry.crc32().to_le_bytes());
    packed.extend(length.to_le_bytes());
    packed.into()
}
