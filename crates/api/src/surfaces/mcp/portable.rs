//! Schemas as every client reads them. Some know no list of types, as models that
//! take their tools in the dialect of OpenAPI 3.0, and warn of formats that JSON
//! Schema does not define.

use serde_json::{Map, Value, json};

/// What says something about a value and asks nothing of it.
const ANNOTATIONS: [&str; 4] = ["description", "title", "default", "examples"];

/// The formats that clients know.
const FORMATS: [&str; 5] = ["date", "date-time", "email", "uri", "uuid"];

/// Says the same with one type in each schema, and with known formats alone.
pub(super) fn make_portable(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("format").is_some_and(is_unknown) {
                object.remove("format");
            }
            if let Some(Value::Array(_)) = object.get("type") {
                split(object);
            }
            object.values_mut().for_each(make_portable);
        }
        Value::Array(items) => items.iter_mut().for_each(make_portable),
        _ => {}
    }
}

/// False also of what is no format but a field that is called so.
fn is_unknown(format: &Value) -> bool {
    format
        .as_str()
        .is_some_and(|format| !FORMATS.contains(&format))
}

/// Gives each type of several an alternative of its own.
fn split(schema: &mut Map<String, Value>) {
    let Some(Value::Array(types)) = schema.remove("type") else {
        return;
    };
    let said: Vec<_> = ANNOTATIONS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), schema.remove(*name)?)))
        .collect();
    let asked = std::mem::take(schema);
    let alternatives = types.into_iter().map(|name| match name == "null" {
        true => json!({ "type": "null" }),
        false => {
            let mut alternative = asked.clone();
            alternative.insert("type".to_owned(), name);
            Value::Object(alternative)
        }
    });
    schema.insert("anyOf".to_owned(), alternatives.collect());
    schema.extend(said);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_schema_has_one_type_and_the_same_meaning() {
        for (mut schema, portable) in [
            (
                json!({ "type": ["string", "null"], "maxLength": 9, "description": "A." }),
                json!({
                    "anyOf": [{ "type": "string", "maxLength": 9 }, { "type": "null" }],
                    "description": "A.",
                }),
            ),
            (
                json!({ "properties": { "a": { "type": "integer", "format": "int64" } } }),
                json!({ "properties": { "a": { "type": "integer" } } }),
            ),
            (
                json!({ "properties": { "format": { "type": "string", "format": "uuid" } } }),
                json!({ "properties": { "format": { "type": "string", "format": "uuid" } } }),
            ),
        ] {
            make_portable(&mut schema);
            assert_eq!(schema, portable);
        }
    }
}
