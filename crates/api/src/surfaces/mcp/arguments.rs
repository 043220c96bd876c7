//! The arguments of a tool, as an operation takes them.

use axum::http::Method;
use crm::error::Problems;
use crm::input::{Fields, kind_of, parse_uuid};
use rmcp::model::JsonObject;
use serde_json::Value;
use uuid::Uuid;

use crate::operation::{Operation, PathParameter};

/// The argument by which a call that is repeated is known again.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency_key";

/// What a tool was called with.
pub(super) struct Arguments {
    /// The ids of the path, as far as they could be read.
    pub(super) path: Vec<Uuid>,
    /// The fields, with every problem of the other arguments.
    pub(super) fields: Fields,
    /// What the client calls the call by.
    pub(super) key: Option<String>,
}

/// Whether a repeated call of it could do something twice.
pub(super) fn takes_key(operation: &Operation) -> bool {
    operation.is_write() && operation.method == Method::POST
}

impl Arguments {
    /// Reads what `operation` was called with; an idempotency key is one only
    /// `with_keys`.
    pub(super) fn read(operation: &Operation, mut given: JsonObject, with_keys: bool) -> Self {
        let mut problems = Problems::default();
        let path = operation
            .path_parameters()
            .filter_map(|id| take_id(operation, &id, &mut given, &mut problems))
            .collect();
        let key = match with_keys && takes_key(operation) {
            true => take_key(&mut given, &mut problems),
            false => None,
        };
        let mut fields = Fields::of_arguments(given, operation.reads_query());
        *fields.problems() = problems;
        Self { path, fields, key }
    }
}

/// Takes an id by its name or, where no field is called so, by its old one.
fn take_id(
    operation: &Operation,
    id: &PathParameter,
    given: &mut JsonObject,
    problems: &mut Problems,
) -> Option<Uuid> {
    let name = id.argument();
    let is_field = |name: &String| operation.fields.iter().any(|field| field.name == name);
    let old = id.old_argument().filter(|old| !is_field(old));
    let value = given
        .remove(&name)
        .or_else(|| old.and_then(|old| given.remove(&old)));
    let read = match value {
        None | Some(Value::Null) => {
            problems.missing.push(name);
            return None;
        }
        Some(Value::String(text)) => parse_uuid(&text).map_err(|flaw| flaw.message),
        Some(other) => Err(format!("must be a UUID, not {}", kind_of(&other))),
    };
    read.map_err(|message| problems.invalid(name, message)).ok()
}

fn take_key(given: &mut JsonObject, problems: &mut Problems) -> Option<String> {
    match given.remove(IDEMPOTENCY_KEY)? {
        Value::Null => None,
        Value::String(key) => Some(key),
        other => {
            let message = format!("must be a string, not {}", kind_of(&other));
            problems.invalid(IDEMPOTENCY_KEY, message);
            None
        }
    }
}
