//! JSON Schemas as the surfaces need them.

use std::collections::HashMap;

use schemars::SchemaGenerator;
use schemars::generate::{Contract, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::names::words;

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

/// Schemas that refer to each other by their names, gathered for a document that
/// has them all in one place.
pub(crate) struct Definitions {
    generator: SchemaGenerator,
    named: Map<String, Value>,
}

impl Default for Definitions {
    fn default() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.contract = Contract::Serialize;
        });
        Self {
            generator: settings.into_generator(),
            named: Map::new(),
        }
    }
}

impl Definitions {
    /// What makes the schemas of answers.
    pub(crate) fn generator(&mut self) -> &mut SchemaGenerator {
        &mut self.generator
    }

    /// Adds a schema under a name that no other has, and refers to it.
    pub(crate) fn put(&mut self, name: String, schema: Value) -> Value {
        let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
        let taken = self.generator.definitions().contains_key(&name);
        let others = self.named.get(&name).filter(|other| **other != schema);
        assert!(!taken && others.is_none(), "two schemas are called {name}");
        self.named.insert(name, schema);
        reference
    }

    /// The schema that a reference leads to, and its name.
    pub(crate) fn find<'a>(&'a self, reference: &'a str) -> Option<(&'a str, &'a Value)> {
        let name = name_of(reference);
        let definitions = self.generator.definitions();
        let schema = self.named.get(name).or_else(|| definitions.get(name));
        schema.map(|schema| (name, schema))
    }

    /// All of them, each referred to also where it stands whole in another or in
    /// `document`.
    pub(crate) fn into_components(mut self, document: &mut Value) -> Value {
        let mut all = self.generator.take_definitions(true);
        all.append(&mut self.named);
        let names: HashMap<_, _> = all
            .iter()
            .filter_map(|(name, schema)| Some((meaning(schema)?, name.clone())))
            .collect();
        share(document, &names);
        for schema in all.values_mut() {
            share_parts(schema, &names);
        }
        let mut all = Value::Object(all);
        forget_sizes(&mut all);
        all
    }
}

/// What a schema with a structure of its own says, but for the words about it;
/// none if it is as simple as a text.
fn meaning(schema: &Value) -> Option<String> {
    let mut schema = schema.as_object()?.clone();
    for words in ["description", "examples"] {
        schema.remove(words);
    }
    let has_structure = ["enum", "properties"]
        .iter()
        .any(|part| schema.contains_key(*part));
    has_structure.then(|| Value::Object(schema).to_string())
}

/// Refers by name to what stands here.
fn share(schema: &mut Value, names: &HashMap<String, String>) {
    let Some(name) = meaning(schema).and_then(|meaning| names.get(&meaning)) else {
        return share_parts(schema, names);
    };
    let mut reference = json!({ "$ref": format!("#/components/schemas/{name}") });
    for words in ["description", "examples"] {
        if let Some(words_here) = schema.get_mut(words) {
            reference[words] = words_here.take();
        }
    }
    *schema = reference;
}

fn share_parts(schema: &mut Value, names: &HashMap<String, String>) {
    match schema {
        Value::Object(parts) => parts.values_mut().for_each(|part| share(part, names)),
        Value::Array(parts) => parts.iter_mut().for_each(|part| share(part, names)),
        _ => {}
    }
}

/// The name of what is referred to.
pub(crate) fn name_of(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or_default()
}

/// Takes away the formats that only Rust knows, such as `uint`.
fn forget_sizes(schema: &mut Value) {
    match schema {
        Value::Object(parts) => {
            let unsigned = |format: &Value| {
                format
                    .as_str()
                    .is_some_and(|format| format.starts_with("uint"))
            };
            if parts.get("format").is_some_and(unsigned) {
                parts.remove("format");
            }
            parts.values_mut().for_each(forget_sizes);
        }
        Value::Array(parts) => parts.iter_mut().for_each(forget_sizes),
        _ => {}
    }
}

/// A segment of a path as a heading: `work-orders` as `Work orders`.
pub(crate) fn label(segment: &str) -> String {
    let words = words(segment);
    let mut characters = words.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => words,
    }
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
            let items = match schema.get("items").map(in_words) {
                // So that what follows is not read as one choice more.
                Some(items) if items.contains(" or ") => format!("array of ({items})"),
                Some(items) => format!("array of {items}"),
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
    use super::*;

    #[test]
    fn what_a_definition_says_is_referred_to_with_the_words_of_its_place() {
        let mut definitions = Definitions::default();
        let role =
            json!({ "type": "string", "enum": ["a", "b"], "description": "What one may do." });
        let body = json!({ "properties": { "role": role } });
        definitions.put("Role".to_owned(), role);
        definitions.put("Body".to_owned(), body);
        let mut document =
            json!([{ "type": "string", "enum": ["a", "b"], "description": "Here." }]);
        let components = definitions.into_components(&mut document);
        let reference = "#/components/schemas/Role";
        assert_eq!(
            document,
            json!([{ "$ref": reference, "description": "Here." }])
        );
        assert_eq!(components["Role"]["enum"], json!(["a", "b"]));
        assert_eq!(components["Body"]["properties"]["role"]["$ref"], reference);
    }

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
                "array of (string or object)",
            ),
            (json!({ "type": "array", "items": {} }), "array of anything"),
        ] {
            assert_eq!(in_words(&schema), words, "{schema}");
        }
    }
}
