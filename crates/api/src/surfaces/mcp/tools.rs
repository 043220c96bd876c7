//! The operations as tools: a definition and a name or several for each, made
//! from its declaration alone.

use std::collections::HashMap;
use std::sync::Arc;

use crm::scopes::Scopes;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::generate::Contract;
use serde_json::{Value, json};

use super::arguments::{IDEMPOTENCY_KEY, takes_key};
use super::portable::make_portable;
use crate::error::WithoutHeaders;
use crate::operation::Operation;
use crate::schemas::self_contained;

/// How many tools a page of the listing has: few enough for a client to take in
/// at once, and all that most keys may call, for clients that ask for no second.
const PAGE: usize = 150;

/// The argument with records of which each is taken or refused by itself. So a
/// client that checks a call by its schema must let one pass that lacks something.
const RECORDS: &str = "records";

/// All tools. What is said of them is kept, since it takes much longer to make than
/// to send.
pub(crate) struct Tools {
    /// In the order of the declarations.
    definitions: Vec<Tool>,
    /// The place of each among them, by every name that it has.
    names: HashMap<String, usize>,
}

/// A page of the listing.
pub(super) struct Page {
    /// The tools.
    pub(super) tools: Vec<Tool>,
    /// What leads to the next page, if there is one.
    pub(super) next: Option<String>,
}

impl Tools {
    /// The tools of these operations. They take an idempotency key where the
    /// caller has an API key.
    pub(crate) fn new(operations: &[Operation], with_keys: bool) -> Self {
        let mut names = HashMap::new();
        let numbered = operations.iter().enumerate();
        for (place, operation) in numbered.filter(|(_, operation)| operation.is_tool()) {
            names.extend(operation.tools().into_iter().map(|name| (name, place)));
        }
        let define = |operation| definition(operation, with_keys);
        Self {
            definitions: operations.iter().map(define).collect(),
            names,
        }
    }

    /// The place of an operation among the declarations, by any name of its tool.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// The tools that a caller with these scopes may call, by the names that they
    /// have today, from behind the one that `cursor` names. None when it names
    /// none.
    pub(super) fn page(
        &self,
        operations: &[Operation],
        scopes: Scopes,
        cursor: Option<&str>,
    ) -> Option<Page> {
        let start = match cursor {
            None => 0,
            Some(name) => self.find(name)? + 1,
        };
        let all = self.definitions.iter().zip(operations).skip(start);
        let mut allowed = all
            .filter(|(_, operation)| operation.is_tool())
            .filter(|(_, operation)| operation.missing_scopes(scopes).is_empty())
            .map(|(tool, _)| tool.clone());
        let tools: Vec<_> = allowed.by_ref().take(PAGE).collect();
        let last = tools.last().map(|tool| tool.name.to_string());
        let next = last.filter(|_| allowed.next().is_some());
        Some(Page { tools, next })
    }
}

fn definition(operation: &Operation, with_keys: bool) -> Tool {
    let effect = operation.effect();
    let annotations = ToolAnnotations::with_title(operation.summary)
        .read_only(effect.reads_only)
        .destructive(effect.destroys)
        .idempotent(effect.repeatable)
        // Whatever it does, it does here.
        .open_world(false);
    Tool::new(
        operation.tool,
        description(operation),
        input_schema(operation, with_keys),
    )
    .with_title(operation.summary)
    .with_raw_output_schema(output_schema(operation))
    .with_annotations(annotations)
}

/// What it does, and what a call takes that no schema says.
fn description(operation: &Operation) -> String {
    let Operation {
        summary,
        description,
        ..
    } = operation;
    let price = match operation.cost {
        0 => "free".to_owned(),
        1 => "1 credit".to_owned(),
        cost => format!("{cost} credits"),
    };
    let scopes = operation.needs().replace('`', "");
    format!("{summary}. {description} ({price}; needs {scopes}.)")
}

fn input_schema(operation: &Operation, with_keys: bool) -> Arc<JsonObject> {
    let mut schema = object(operation.input_schema().to_value());
    if let Some(records) = schema
        .get_mut("properties")
        .and_then(|all| all.get_mut(RECORDS))
    {
        let each = records["items"].as_object_mut();
        if let Some(Value::Array(needed)) = each.and_then(|each| each.remove("required")) {
            let needed: Vec<_> = needed.iter().filter_map(Value::as_str).collect();
            let said = records["description"].as_str().unwrap_or_default();
            let said = format!("{said} Each needs: {}.", needed.join(", "));
            records["description"] = said.into();
        }
    }
    if with_keys
        && takes_key(operation)
        && let Some(Value::Object(properties)) = schema.get_mut("properties")
    {
        properties.insert(
            IDEMPOTENCY_KEY.to_owned(),
            json!({
                "type": "string",
                "minLength": 1,
                "maxLength": 255,
                "description": "Any text without spaces, new for each thing to be done. A call \
                    that is repeated with the same one within a day, as after a timeout, does \
                    nothing again and is answered as the first one was.",
            }),
        );
    }
    portable(schema)
}

/// The schema of the whole answer: that of HTTP, with `data` null where that has
/// no body, or the error.
fn output_schema(operation: &Operation) -> Arc<JsonObject> {
    let mut generator = self_contained(Contract::Serialize);
    let error = generator.subschema_for::<WithoutHeaders<'_>>().to_value();
    let answer = operation.answer_schema(&mut generator);
    let mut schema = match answer {
        Some(schema) => object(schema.to_value()),
        None => object(json!({
            "type": "object",
            "properties": {
                "data": { "type": "null", "description": "Nothing: it is done." },
                "meta": crate::envelope::meta_schema(&mut generator),
            },
            "required": ["data"],
        })),
    };
    // Clients check an error by the same schema.
    let required = schema.remove("required").unwrap_or_default();
    schema.insert(
        "anyOf".to_owned(),
        json!([{ "required": required }, { "required": ["error"] }]),
    );
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("error".to_owned(), error);
    }
    portable(schema)
}

fn portable(schema: JsonObject) -> Arc<JsonObject> {
    let mut schema = Value::Object(schema);
    make_portable(&mut schema);
    Arc::new(object(schema))
}

/// The schema of an object as one.
fn object(schema: Value) -> JsonObject {
    match schema {
        Value::Object(schema) => schema,
        other => unreachable!("a schema of an object is one, not {other}"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use crm::input::Nothing;

    use super::*;

    /// Operations with these names, of which every third needs a scope.
    fn operations(names: &'static [String]) -> Vec<Operation> {
        let numbered = names.iter().enumerate();
        let declared = numbered.map(|(number, name)| {
            let declared = Operation::get("/contacts", name).about("A", "It does.");
            let scopes: &[_] = match number % 3 {
                0 => &["contacts:read"],
                _ => &[],
            };
            declared.scopes(scopes).read(|_, _, [], _: Nothing| Ok(()))
        });
        declared.collect()
    }

    #[test]
    fn every_tool_that_may_be_called_is_on_one_page_and_no_other() {
        let names: Vec<_> = (0..320).map(|number| format!("tool_{number}")).collect();
        let operations = operations(names.leak());
        let tools = Tools::new(&operations, true);
        for (scopes, sizes) in [
            (Scopes::all(), &[PAGE, PAGE, 20][..]),
            (Scopes::default(), &[PAGE, 63]),
        ] {
            let mut seen = Vec::new();
            let mut cursor = None;
            for size in sizes {
                let page = tools.page(&operations, scopes, cursor.as_deref()).unwrap();
                assert_eq!(page.tools.len(), *size);
                seen.extend(page.tools.into_iter().map(|tool| tool.name.to_string()));
                cursor = page.next;
            }
            assert_eq!(cursor, None);
            let allowed = operations
                .iter()
                .filter(|operation| operation.missing_scopes(scopes).is_empty());
            assert!(
                seen.iter()
                    .map(String::as_str)
                    .eq(allowed.map(|one| one.tool))
            );
        }
        assert!(
            tools
                .page(&operations, Scopes::all(), Some("nothing"))
                .is_none()
        );
    }
}
