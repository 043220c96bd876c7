//! `/openapi.json`: the whole API as an OpenAPI 3.1 document, for tools that
//! make clients, tests or pages from it.
//!
//! It names the canonical paths alone. The same paths under the old prefix are
//! a second server; the old segments would give every client each method two or
//! four times under different names, so they are told of in words.

mod errors;
mod headers;
mod links;
mod operation;
mod paths;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use self::paths::Paths;
use super::PREFIXES;
use crate::error;
use crate::operation::Operation;
use crate::schemas::{Definitions, label};

/// What is said of the API as a whole; the reference begins with it too.
pub(crate) const ABOUT: &str = "\
Opportunities that move through pipelines, with the contacts, companies, products and people that \
belong to them.\n\n\
- Send the key of a workspace as `Authorization: Bearer dw_live_…`. Each operation names the \
scopes that the key needs, all of them.\n\
- One record is answered as `{\"data\": {…}, \"meta\": {…}}`; a list has `pagination` as well, and \
goes on with `cursor=<pagination.next_cursor>`.\n\
- An error is `{\"error\": {\"code\", \"message\", \"fix\", \"hint\", \"status\"}}`: `fix` says what to do, \
`hint` what would be valid.\n\
- Fields and query parameters that an operation does not have are ignored and named in \
`meta.warnings`.\n\
- A POST with an `Idempotency-Key` is done once, however often it is sent within 24 hours.\n\
- `/deals` is another name of `/opportunities` and `/customers` of `/companies`, wherever they \
stand in a path.";

/// The name under which the API key stands among the security schemes.
const KEY: &str = "key";

/// The whole document as JSON.
pub(crate) fn render(operations: &[Operation]) -> Vec<u8> {
    let mut definitions = Definitions::default();
    let names = Paths::of(operations);
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let method = operation.method.as_str().to_ascii_lowercase();
        let described = operation::describe(operation, operations, &names, &mut definitions);
        let methods = paths.entry(names.template(operation)).or_default();
        methods.insert(method, described);
    }
    let error = definitions
        .generator()
        .subschema_for::<error::Envelope<'_>>();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Dealwright",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": PREFIXES.map(|prefix| json!({ "url": prefix })),
        "security": [{ KEY: [] }],
        "tags": tags(operations),
        "paths": paths,
        "components": {
            "responses": errors::responses(error.as_value()),
            "parameters": headers::parameters(),
            "headers": headers::responses(),
            "securitySchemes": {
                KEY: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The key of a workspace: `dw_live_` and 43 characters.",
                },
            },
        },
    });
    document["components"]["schemas"] = definitions.into_components(&mut document);
    serde_json::to_vec(&document).expect("texts, lists and truth values are always JSON")
}

fn tags(operations: &[Operation]) -> Vec<Value> {
    let mut resources: Vec<_> = operations.iter().map(Operation::resource).collect();
    resources.dedup();
    let tag = |id: &&str| json!({ "name": id, "description": label(id) });
    resources.iter().map(tag).collect()
}

/// A reference to a part of the document: `reference("schemas", "Contact")`.
fn reference(section: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{section}/{name}") })
}
