//! Requests of raw bytes: any method, path, header and body.

#![no_main]

use arbitrary::Arbitrary;
use fuzz::{Office, Request};
use libfuzzer_sys::fuzz_target;

/// What is put together; each part may be anything.
#[derive(Debug, Arbitrary)]
struct Parts<'a> {
    operation: u8,
    method: Option<&'a str>,
    path: Option<&'a str>,
    ids: [u8; 2],
    query: &'a str,
    content_type: Option<&'a [u8]>,
    idempotency_key: Option<&'a [u8]>,
    request_id: Option<&'a [u8]>,
    body: &'a [u8],
}

fuzz_target!(|parts: Parts<'_>| {
    Office::with(|office| {
        let operation =
            &office.operations()[usize::from(parts.operation) % office.operations().len()];
        let ids = parts
            .ids
            .map(|id| office.ids()[usize::from(id) % office.ids().len()].as_str());
        let path = match parts.path {
            Some(path) => format!("/{path}"),
            None => Office::path(operation, &ids),
        };
        let method = parts.method.unwrap_or(operation.method.as_str()).to_owned();
        let content_type = parts.content_type.unwrap_or(b"application/json");
        let optional = [
            ("content-type", Some(content_type)),
            ("idempotency-key", parts.idempotency_key),
            ("x-request-id", parts.request_id),
        ];
        let given = |(name, value): (_, Option<&[u8]>)| Some((name, value?.to_vec()));
        let request = Request {
            method,
            target: format!("{path}?{}", parts.query),
            headers: optional.into_iter().filter_map(given).collect(),
            body: parts.body.to_vec(),
        };
        office.call(request);
    });
});
