//! `/api-index.json`: every endpoint, for clients that resolve their paths
//! from it and for agents that look around.

use crm::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{PREFIXES, reference};
use crate::operation::Operation;
use crate::schemas::{kind, label};

#[derive(Serialize)]
struct Catalog {
    generated_at: Timestamp,
    base_url: String,
    resources: Vec<Resource>,
}

#[derive(Serialize)]
struct Resource {
    id: &'static str,
    label: String,
    endpoints: Vec<Endpoint>,
}

#[derive(Serialize)]
struct Endpoint {
    method: String,
    path: &'static str,
    scopes: &'static [&'static str],
    /// Only there where one of several scopes is needed, by what is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    one_scope_of: Vec<&'static str>,
    is_write: bool,
    params: Vec<Parameter>,
    summary: &'static str,
    description: &'static str,
    /// Null for what is no tool.
    tool_name: Option<&'static str>,
    doc_url: String,
}

#[derive(Serialize)]
struct Parameter {
    name: &'static str,
    #[serde(rename = "in")]
    place: &'static str,
    #[serde(rename = "type")]
    kind: String,
    required: bool,
    description: String,
    schema: Value,
}

/// The whole catalog as JSON. `public_url` is where clients reach the server.
pub(crate) fn render(
    operations: &[Operation],
    public_url: &str,
    generated_at: Timestamp,
) -> Vec<u8> {
    let mut resources: Vec<Resource> = Vec::new();
    for operation in operations {
        let id = operation.resource();
        let endpoint = endpoint(operation, public_url);
        match resources.iter_mut().find(|resource| resource.id == id) {
            Some(resource) => resource.endpoints.push(endpoint),
            None => resources.push(Resource {
                id,
                label: label(id),
                endpoints: vec![endpoint],
            }),
        }
    }
    let catalog = Catalog {
        generated_at,
        base_url: format!("{public_url}{}", PREFIXES[0]),
        resources,
    };
    serde_json::to_vec(&catalog).expect("texts, lists and truth values are always JSON")
}

fn endpoint(operation: &Operation, public_url: &str) -> Endpoint {
    let ids = operation.path_parameters().map(|id| Parameter {
        name: id.name,
        place: "path",
        kind: "uuid".to_owned(),
        required: true,
        description: id.description(),
        schema: id.schema(),
    });
    let place = match operation.reads_query() {
        true => "query",
        false => "body",
    };
    let fields = operation.fields.iter().map(|field| {
        let schema = field.described_schema();
        let description = schema.get("description").and_then(Value::as_str);
        Parameter {
            name: field.name,
            place,
            kind: kind(field.schema.as_value()),
            required: field.required,
            description: description.unwrap_or_default().to_owned(),
            schema,
        }
    });
    Endpoint {
        method: operation.method.to_string(),
        path: operation.path,
        scopes: operation.scopes,
        one_scope_of: operation.one_scope_of.clone(),
        is_write: operation.is_write(),
        params: ids.chain(fields).collect(),
        summary: operation.summary,
        description: operation.description,
        tool_name: operation.is_tool().then_some(operation.tool),
        doc_url: format!("{public_url}{}", reference::path(operation)),
    }
}
