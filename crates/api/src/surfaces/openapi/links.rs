//! What can be done next with what a call has made.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::paths::Paths;
use crate::operation::Operation;

/// The operations on the record that `operation` makes, each with where its ids
/// are to be taken from.
pub(super) fn of(operation: &Operation, all: &[Operation], paths: &Paths) -> Map<String, Value> {
    if operation.status != StatusCode::CREATED {
        return Map::new();
    }
    let collection = operation.path;
    // What is not made in its collection is made beside its members.
    let beside = collection.rsplit_once('/').map_or("", |(beside, _)| beside);
    [collection, beside]
        .into_iter()
        .map(|collection| members(collection, operation, all, paths))
        .find(|links| !links.is_empty())
        .unwrap_or_default()
}

/// Links to the operations on a member of a collection, where no more ids are
/// needed than its own and those that the call itself had.
fn members(
    collection: &str,
    operation: &Operation,
    all: &[Operation],
    paths: &Paths,
) -> Map<String, Value> {
    let others = all.iter().filter(|other| other.tool != operation.tool);
    others
        .filter_map(|other| {
            let rest = other.path.strip_prefix(collection)?.strip_prefix("/:")?;
            let (_, rest) = rest.split_once('/').unwrap_or((rest, ""));
            if parameters(rest).next().is_some() {
                return None;
            }
            let known: Vec<_> = parameters(operation.path)
                .zip(paths.names(operation))
                .collect();
            let ids = parameters(other.path).zip(paths.names(other));
            let ids: Map<_, _> = ids
                .map(|(declared, name)| {
                    let known = known.iter().find(|(known, _)| *known == declared);
                    let from = match known {
                        Some((_, name)) => format!("$request.path.{name}"),
                        None => "$response.body#/data/id".to_owned(),
                    };
                    (format!("path.{name}"), json!(from))
                })
                .collect();
            let link = json!({ "operationId": other.tool, "parameters": ids });
            Some((other.tool.to_owned(), link))
        })
        .collect()
}

fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix(':'))
}
