//! Bodies with the fields of an operation, and anything in them.

#![no_main]

use arbitrary::{Result, Unstructured};
use fuzz::{Office, Request, json, text};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|data: &[u8]| {
    Office::with(|office| {
        if let Ok(request) = request(office, &mut Unstructured::new(data)) {
            office.call(request);
        }
    });
});

fn request(office: &Office, u: &mut Unstructured<'_>) -> Result<Request> {
    let takes_body: Vec<_> = office
        .operations()
        .iter()
        .filter(|operation| !operation.reads_query())
        .collect();
    let operation = *u.choose(&takes_body)?;
    let path = [text(u, office.ids())?, text(u, office.ids())?];
    let path = path
        .each_ref()
        .map(|id| match id.contains(['/', '?', '#']) {
            true => "7",
            false => id.as_str(),
        });
    // The names of all operations: those of others are inside lists of records.
    let names: Vec<_> = takes_body
        .iter()
        .flat_map(|operation| operation.fields.iter().map(|field| field.name))
        .collect();
    let mut body = Map::new();
    for field in &operation.fields {
        if field.required || u.ratio(1, 3)? {
            let value = json(u, office.ids(), &names, 3)?;
            body.insert(field.name.to_owned(), value);
        }
    }
    let mut headers = vec![("content-type", b"application/json".to_vec())];
    if u.ratio(1, 16)? {
        headers.push(("idempotency-key", u.arbitrary()?));
    }
    Ok(Request {
        method: operation.method.to_string(),
        target: Office::path(operation, &path),
        headers,
        body: Value::Object(body).to_string().into_bytes(),
    })
}
