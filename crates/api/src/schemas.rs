//! JSON Schemas as the surfaces need them.

use schemars::SchemaGenerator;
use schemars::generate::{Contract, SchemaSettings};
use serde_json::Value;

/// Makes schemas that refer to no other: of what is read, or of what is
/// answered.
pub(crate) fn self_contained(contract: Contract) -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.contract = contract;
        })
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

/// What a field takes, in words that leave nothing to try: the words of a list,
/// the range of a number, the length of a text, whether null will do, and what
/// holds when it is left out.
pub(crate) fn in_words(schema: &Value) -> String {
    let mut meanings = Vec::new();
    let mut default = None;
    gather(schema, &mut meanings, &mut default);
    // Null comes last, whatever the order of the schema.
    meanings.sort_by_key(|meaning| meaning == "null");
    meanings.dedup();
    let mut words = meanings.join(" or ");
    if let Some(default) = default {
        words.push_str(&format!("; `{default}` by default"));
    }
    words
}

/// Gathers what each alternative of a schema takes, and the default.
fn gather<'a>(schema: &'a Value, meanings: &mut Vec<String>, default: &mut Option<&'a Value>) {
    *default = default.or(schema.get("default"));
    if let Some(choice) = one_of(schema) {
        meanings.push(choice);
    } else if let Some(Value::Array(alternatives)) =
        schema.get("anyOf").or_else(|| schema.get("oneOf"))
    {
        for alternative in alternatives {
            gather(alternative, meanings, default);
        }
    } else {
        match schema.get("type") {
            Some(Value::String(name)) => meanings.push(of_type(name, schema)),
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                meanings.extend(names.map(|name| of_type(name, schema)));
            }
            _ => meanings.push("anything".to_owned()),
        }
    }
}

/// The words of a closed list: given as such, or each with its meaning.
fn one_of(schema: &Value) -> Option<String> {
    let words: Vec<_> = match (schema.get("enum"), schema.get("oneOf")) {
        (Some(Value::Array(words)), _) => words.iter().map(Value::as_str).collect(),
        (_, Some(Value::Array(words))) => words
            .iter()
            .map(|word| word.get("const").and_then(Value::as_str))
            .collect(),
        _ => None,
    }?;
    let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    Some(format!("one of {}", words.join(", ")))
}

/// What a schema takes in values of one type.
fn of_type(name: &str, schema: &Value) -> String {
    let limit = |name| schema.get(name).filter(|limit| limit.is_number());
    match name {
        "string" => {
            let name = schema.get("format").and_then(Value::as_str).unwrap_or(name);
            match span(limit("minLength"), limit("maxLength")) {
                Some(span) => format!("{name} of {span} characters"),
                None => name.to_owned(),
            }
        }
        "integer" | "number" => match (limit("minimum"), limit("maximum")) {
            (Some(least), Some(most)) => format!("{name} from {least} to {most}"),
            (Some(least), None) => format!("{name} from {least}"),
            (None, Some(most)) => format!("{name} up to {most}"),
            (None, None) => name.to_owned(),
        },
        "array" => {
            let length = span(limit("minItems"), limit("maxItems"));
            let items = match schema.get("items") {
                Some(items) => format!("array of {}", in_words(items)),
                None => name.to_owned(),
            };
            match length {
                Some(length) => format!("{items}, {length} of them"),
                None => items,
            }
        }
        name => name.to_owned(),
    }
}

/// How many there may be, if that is limited.
fn span(least: Option<&Value>, most: Option<&Value>) -> Option<String> {
    match (least, most) {
        (Some(least), Some(most)) if least == most => Some(least.to_string()),
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("at least {least}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_in_words_says_all_that_is_valid() {
        for (schema, words) in [
            (json!({ "type": "boolean" }), "boolean"),
            (json!({ "type": "string", "format": "uuid" }), "uuid"),
            (
                json!({ "type": ["string", "null"], "maxLength": 255 }),
                "string of at most 255 characters or null",
            ),
            (
                json!({ "type": "string", "minLength": 3, "maxLength": 3 }),
                "string of 3 characters",
            ),
            (
                json!({ "type": "number", "minimum": 0, "maximum": 100 }),
                "number from 0 to 100",
            ),
            (
                json!({ "type": "integer", "default": 25 }),
                "integer; `25` by default",
            ),
            (
                json!({ "anyOf": [{ "type": "null" }, { "type": "integer", "default": 25 }] }),
                "integer or null; `25` by default",
            ),
            (
                json!({ "type": "string", "enum": ["open", "won"] }),
                "one of `open`, `won`",
            ),
            (
                json!({ "anyOf": [{ "oneOf": [{ "const": "open" }] }, { "type": "null" }] }),
                "one of `open` or null",
            ),
            (
                json!({ "type": "array", "items": { "type": "string", "format": "uuid" } }),
                "array of uuid",
            ),
            (
                json!({ "type": "array", "minItems": 1, "maxItems": 100, "items": { "type": "object" } }),
                "array of object, 1 to 100 of them",
            ),
            (
                json!({ "type": "array", "items": { "anyOf": [{ "type": "string" }, { "type": "object" }] } }),
                "array of string or object",
            ),
            (json!({ "type": "array", "items": {} }), "array of anything"),
        ] {
            assert_eq!(in_words(&schema), words, "{schema}");
        }
    }
}
