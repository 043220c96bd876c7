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

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What the page may do in a browser: run and show what comes from this server,
/// and ask it. Swagger UI sets styles on its elements, and has its images in
/// itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The page and what it consists of.
pub(crate) fn pages() -> Vec<Page> {
    let text = |text: &'static str| move || Bytes::from_static(text.as_bytes());
    let ui = |path: &'static str, media_type| {
        let file = path.trim_start_matches("/docs/");
        Page::new(path, media_type, || packed(file)).with_header("content-encoding", "gzip")
    };
    vec![
        Page::new("/docs", "text/html; charset=utf-8", text(INDEX))
            .with_header("content-security-policy", POLICY),
        Page::new("/docs/start.js", SCRIPT, text(START)),
        ui("/docs/swagger-ui-bundle.js", SCRIPT),
        ui("/docs/swagger-ui.css", "text/css; charset=utf-8"),
    ]
}

/// A file of Swagger UI as gzip has it: packed as in the archive, between another
/// header and trailer. Every browser reads it so.
fn packed(file: &str) -> Bytes {
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))
        .expect("the crate is made of this archive");
    let suffix = format!("/dist/{file}");
    let name = archive
        .file_names()
        .filter_map(Result::ok)
        .find(|name| name.ends_with(&suffix))
        .map(Cow::into_owned)
        .expect("the archive has the file");
    let index = archive.index_for_name(&name).expect("it is of the archive");
    let mut entry = archive.by_index_raw(index).expect("the archive is whole");
    assert_eq!(entry.compression(), CompressionMethod::Deflated);
    let length = u32::try_from(entry.size()).expect("the file has a few megabytes");
    let mut packed = HEADER.to_vec();
    entry.read_to_end(&mut packed).expect("memory can be read");
    packed.extend(entry.crc32().to_le_bytes());
    packed.extend(length.to_le_bytes());
    packed.into()
}
