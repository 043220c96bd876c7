//! Examples of requests and answers, put together from the examples of the
//! fields: they stand with the fields' declarations, and are in the schemas.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crm::input::schema_of;
use serde_json::{Map, Value};
use uuid::{Builder, Uuid};

use crate::names::{singular, today};
use crate::operation::Operation;
use crate::schemas::Definitions;

/// An example of what an operation is asked with: the fields that it needs and
/// those that have an example of their own.
pub(crate) fn request(operation: &Operation) -> Value {
    let definitions = Definitions::default();
    let sampler = Sampler {
        definitions: &definitions,
        whole: false,
    };
    let schema = schema_of(&operation.fields).to_value();
    sampler
        .sample(&schema, &singular(operation.resource()))
        .unwrap_or_default()
}

/// An example of what an operation answers, if that is anything.
pub(crate) fn answer(operation: &Operation) -> Option<Value> {
    let mut definitions = Definitions::default();
    let schema = operation.answer_schema(definitions.generator())?;
    Some(of(schema.as_value(), &definitions))
}

/// An example of what a schema of an answer describes.
pub(crate) fn of(schema: &Value, definitions: &Definitions) -> Value {
    let sampler = Sampler {
        definitions,
        whole: true,
    };
    sampler.sample(schema, "data").unwrap_or_default()
}

/// An example of the id of a record, by what such a record is called: the same
/// wherever it stands.
pub(crate) fn id(record: &str) -> Uuid {
    let mut hasher = DefaultHasher::new();
    today(record).hash(&mut hasher);
    let random: Vec<_> = hasher
        .finish()
        .to_be_bytes()
        .into_iter()
        .cycle()
        .take(10)
        .collect();
    let random = random.try_into().unwrap_or_default();
    // The first of March 2026, at nine.
    Builder::from_unix_timestamp_millis(1_772_355_600_000, &random).into_uuid()
}

struct Sampler<'a> {
    definitions: &'a Definitions,
    /// Whether an object has every field that is always there, or of those that
    /// may be left out the ones with examples.
    whole: bool,
}

impl Sampler<'_> {
    /// A value that the schema describes and that looks like a real one; none if
    /// nothing tells how a text looks. `name` is that of the record or the field.
    fn sample(&self, schema: &Value, name: &str) -> Option<Value> {
        let given = [
            schema.pointer("/examples/0"),
            schema.get("const"),
            schema.get("default"),
        ];
        if let Some(given) = given.into_iter().flatten().next() {
            return Some(given.clone());
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let (name, schema) = self.definitions.find(reference)?;
            return self.sample(schema, name);
        }
        let choices = ["enum", "oneOf", "anyOf"].map(|keyword| schema.get(keyword));
        match choices.into_iter().flatten().next() {
            Some(Value::Array(words)) if schema.get("enum").is_some() => words.first().cloned(),
            Some(Value::Array(choices)) => {
                let mut samples = choices
                    .iter()
                    .filter_map(|choice| self.sample(choice, name));
                samples.next()
            }
            _ => self.of_type(schema, name),
        }
    }

    fn of_type(&self, schema: &Value, name: &str) -> Option<Value> {
        let types = match schema.get("type")? {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            one => Vec::from_iter(one.as_str()),
        };
        let mut samples = types.iter().filter_map(|kind| match *kind {
            "object" => self.object(schema, name),
            "array" => {
                let item = schema
                    .get("items")
                    .and_then(|items| self.sample(items, name));
                Some(Value::from_iter(item))
            }
            "boolean" => Some(false.into()),
            "integer" | "number" => {
                Some(schema.get("minimum").cloned().unwrap_or_else(|| 0.into()))
            }
            "string" if schema.get("format").is_some_and(|format| format == "uuid") => {
                Some(id(record_of(name)).to_string().into())
            }
            "null" => Some(Value::Null),
            _ => None,
        });
        samples.next()
    }

    fn object(&self, schema: &Value, name: &str) -> Option<Value> {
        let mut object = Map::new();
        let required = schema.get("required").and_then(Value::as_array);
        let fields = schema.get("properties").and_then(Value::as_object);
        for (field, schema) in fields.into_iter().flatten() {
            let needed = required.is_some_and(|names| names.iter().any(|name| name == field));
            let example = schema.pointer("/examples/0");
            let shown = !self.whole && example.is_some_and(|example| !example.is_null());
            if needed || shown {
                let named = if field == "id" || field == "ids" {
                    name
                } else {
                    field
                };
                object.insert(field.clone(), self.sample(schema, named)?);
            }
        }
        Some(Value::Object(object))
    }
}

/// What the record of an id is called: of the field `deal_id` or the schema
/// `LinkedContact`, its last word. Some fields name a record by what it is there.
fn record_of(name: &str) -> &str {
    match name {
        "assigned_to" => return "user",
        "supplier_id" => return "company",
        _ => {}
    }
    let name = name
        .strip_suffix("_ids")
        .or(name.strip_suffix("_id"))
        .unwrap_or(name);
    let start = name
        .rfind(|c: char| c == '_' || c.is_uppercase())
        .unwrap_or(0);
    name[start..].trim_start_matches('_')
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::operations;

    #[test]
    fn an_id_is_that_of_the_same_record_wherever_it_stands() {
        let operations = operations::all();
        let data = |tool: &str| {
            let found = operations.iter().find(|operation| operation.tool == tool);
            answer(found.unwrap()).unwrap()["data"].clone()
        };
        let (task, cost) = (data("get_task"), data("update_product_cost"));
        assert_eq!(task["assigned_to"], data("get_user")["id"]);
        assert_eq!(task["deal_id"], data("get_opportunity")["id"]);
        assert_eq!(cost["supplier_id"], data("get_company")["id"]);
    }
}
