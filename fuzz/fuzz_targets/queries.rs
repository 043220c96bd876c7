//! Query strings: the filters and cursors of lists, and anything in them.

#![no_main]

use std::fmt::Write as _;

use arbitrary::{Result, Unstructured};
use fuzz::{Office, Request, text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    Office::with(|office| {
        if let Ok(request) = request(office, &mut Unstructured::new(data)) {
            office.call(request);
        }
    });
});

fn request(office: &Office, u: &mut Unstructured<'_>) -> Result<Request> {
    let reads: Vec<_> = office
        .operations()
        .iter()
        .filter(|operation| !operation.is_write())
        .collect();
    let operation = *u.choose(&reads)?;
    let ids = [(); 2].map(|()| u.choose(office.ids()).map_or("7", |id| id.as_str()));
    let mut target = Office::path(operation, &ids);
    let mut between = '?';
    for _ in 0..u.int_in_range(0..=5)? {
        let name = match operation.fields.is_empty() || u.ratio(1, 16)? {
            true => encode(text(u, office.ids())?.as_bytes()),
            false => u.choose(&operation.fields)?.name.to_owned(),
        };
        let value = match u.ratio(1, 16)? {
            true => encode(u.arbitrary()?),
            false => encode(text(u, office.ids())?.as_bytes()),
        };
        let _ = write!(target, "{between}{name}={value}");
        between = '&';
    }
    Ok(Request {
        method: operation.method.to_string(),
        target,
        headers: Vec::new(),
        body: Vec::new(),
    })
}

/// The bytes as they stand in a query string, text or not.
fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => encoded.push(char::from(*byte)),
            byte => {
                let _ = write!(encoded, "%{byte:02x}");
            }
        }
        encoded
    })
}
