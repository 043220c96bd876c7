//! An operation as OpenAPI describes it.

use axum::http::Method;
use crm::input::{FieldDescription, schema_of};
use schemars::Schema;
use serde_json::{Map, Value, json};

use super::paths::Paths;
use super::{KEY, errors, headers, links, reference};
use crate::operation::Operation;
use crate::schemas::{Definitions, name_of};
use crate::surfaces::{examples, reference as page};

/// The whole description; the schemas of its body and its answer go to the
/// definitions.
pub(super) fn describe(
    operation: &Operation,
    all: &[Operation],
    paths: &Paths,
    definitions: &mut Definitions,
) -> Value {
    let cost = match operation.cost {
        1 => "1 credit".to_owned(),
        cost => format!("{cost} credits"),
    };
    let description = format!(
        "{}\n\nNeeds {}; costs {cost}.",
        operation.description,
        operation.needs()
    );
    let mut described = json!({
        "operationId": operation.tool,
        "tags": [operation.resource()],
        "summary": operation.summary,
        "description": description,
        "externalDocs": { "url": page::path(operation) },
        "security": [{ KEY: operation.scopes }],
        "parameters": parameters(operation, paths),
        "responses": responses(operation, all, paths, definitions),
    });
    if !operation.reads_query() && !operation.fields.is_empty() {
        described["requestBody"] = body(operation, definitions);
    }
    described
}

fn parameters(operation: &Operation, paths: &Paths) -> Vec<Value> {
    let ids = operation.path_parameters().zip(paths.names(operation));
    let ids = ids.map(|(id, name)| parameter(name, "path", true, id.schema()));
    let fields = operation.fields.iter().filter(|_| operation.reads_query());
    let fields = fields.map(|field| {
        let mut parameter = parameter(
            field.name,
            "query",
            field.required,
            field.described_schema(),
        );
        if is_list(field) {
            // One parameter, its parts separated by commas.
            parameter["style"] = json!("form");
            parameter["explode"] = json!(false);
        }
        parameter
    });
    let once = (operation.method == Method::POST).then_some("Idempotency-Key");
    let shared = once.into_iter().chain(["x-request-id"]);
    let shared = shared.map(|name| reference("parameters", name));
    ids.chain(fields).chain(shared).collect()
}

fn parameter(name: &str, place: &str, required: bool, mut schema: Value) -> Value {
    let description = schema
        .as_object_mut()
        .and_then(|schema| schema.remove("description"));
    json!({
        "name": name,
        "in": place,
        "required": required,
        "description": description,
        "schema": schema,
    })
}

fn is_list(field: &FieldDescription) -> bool {
    field.schema.get("type").is_some_and(|kind| kind == "array")
}

fn body(operation: &Operation, definitions: &mut Definitions) -> Value {
    let schema = schema_of(&operation.fields).to_value();
    let example = examples::request(operation);
    let schema = definitions.put(format!("{}Body", title(operation.tool)), schema);
    // No body is the same as an empty one, but for a change of what is there.
    let required =
        operation.method != Method::POST || operation.fields.iter().any(|field| field.required);
    json!({
        "required": required,
        "content": { "application/json": { "schema": schema, "example": example } },
    })
}

fn responses(
    operation: &Operation,
    all: &[Operation],
    paths: &Paths,
    definitions: &mut Definitions,
) -> Map<String, Value> {
    let more: &[_] = match operation.method {
        _ if !operation.files.is_empty() => &["content-disposition", "x-warnings"],
        Method::POST => &["idempotent-replayed"],
        _ => &[],
    };
    let mut success = json!({
        "description": operation.status.canonical_reason(),
        "headers": headers::of_answer(more),
    });
    if let Some(data) = operation.data_schema(definitions.generator()) {
        let schema = operation.answer_schema(definitions.generator());
        let schema = definitions.put(answer_name(operation, &data), json!(schema));
        let example = examples::of(&schema, definitions);
        success["content"] =
            json!({ "application/json": { "schema": schema, "example": example } });
    }
    for media_type in operation.files {
        success["content"][media_type] = match media_type.starts_with("text/") {
            true => json!({ "schema": { "type": "string" } }),
            // Bytes, of which a schema can say nothing.
            false => json!({}),
        };
    }
    let links = links::of(operation, all, paths);
    if !links.is_empty() {
        success["links"] = Value::Object(links);
    }
    let mut responses: Map<_, _> = errors::of(operation).collect();
    responses.insert(operation.status.as_u16().to_string(), success);
    responses
}

/// What an answer is called: after the record in it, else after the operation.
fn answer_name(operation: &Operation, data: &Schema) -> String {
    let reference = |schema: &Value| {
        let reference = schema.get("$ref").and_then(Value::as_str);
        reference.map(|reference| name_of(reference).to_owned())
    };
    let record = reference(data.as_value());
    let items = data.get("items").and_then(reference);
    match (record, items) {
        (Some(name), _) => format!("{name}Answer"),
        (_, Some(name)) => format!("{name}List"),
        _ => format!("{}Answer", title(operation.tool)),
    }
}

/// A tool's name as that of a type: `move_opportunity` as `MoveOpportunity`.
fn title(tool: &str) -> String {
    let words = tool.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    });
    words.collect()
}
