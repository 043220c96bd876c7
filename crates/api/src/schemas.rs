//! JSON Schemas as the surfaces need them.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// Makes schemas that refer to no other.
pub(crate) fn self_contained() -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
}

/// What a field takes, in a word: of a string its format where it has one, of
/// anything else its type.
pub(crate) fn kind(schema: &Value) -> String {
    let type_name = match schema.get("type") {
        Some(Value::String(name)) => Some(name.as_str()),
        // Or null.
        Some(Value::Array(names)) => names.first().and_then(Value::as_str),
        _ => None,
    };
    let format = schema.get("format").and_then(Value::as_str);
    match (type_name, format) {
        (Some("string"), Some(format)) => format.to_owned(),
        (Some(name), _) => name.to_owned(),
        (None, _) => match schema.get("anyOf").and_then(|any| any.get(0)) {
            Some(first) => kind(first),
            None => "string".to_owned(),
        },
    }
}
