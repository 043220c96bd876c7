//! What can be done next with what a call has made.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::operation::Operation;

/// The operations on the record that `operation` makes, each with where its ids
/// are to be taken from.
pub(super) fn of(operation: &Operation, all: &[Operation]) -> Map<String, Value> {
    if operation.status != StatusCode::CREATED {
        return Map::new();
    }
    let collection = operation.path;
    // What is not made in its collection is made beside its members.
    let beside = collection.rsplit_once('/').map_or("", |(beside, _)| beside);
    [collection, beside]
        .into_iter()
        .map(|collection| members(collection, operation, all))
        .find(|links| !links.is_empty())
        .unwrap_or_default()
}

/// Links to the operations on a member of a collection, where no more ids are
/// needed than its own and those in the collection's path.
fn members(collection: &str, operation: &Operation, all: &[Operation]) -> Map<String, Value> {
    let known: Vec<_> = parameters(collection).collect();
    let others = all.iter().filter(|other| other.tool != operation.tool);
    others
        .filter_map(|other| {
            let rest = other.path.strip_prefix(collection)?.strip_prefix("/:")?;
            let (own, rest) = rest.split_once('/').unwrap_or((rest, ""));
            if parameters(rest).next().is_some() {
                return None;
            }
            let mut ids: Map<_, _> = known
                .iter()
                .map(|name| {
                    (
                        format!("path.{name}"),
                        json!(format!("$request.path.{name}")),
                    )
                })
                .collect();
            ids.insert(format!("path.{own}"), json!("$response.body#/data/id"));
            let link = json!({ "operationId": other.tool, "parameters": ids });
            Some((other.tool.to_owned(), link))
        })
        .collect()
}

fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix(':'))
}
