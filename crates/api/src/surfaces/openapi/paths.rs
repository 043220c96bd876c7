//! Paths as OpenAPI writes them: `/contacts/{id}`.
//!
//! OpenAPI takes two paths for one that differ only in what they call their ids.
//! So ids of different records at the same place share a name, made of both.

use std::collections::BTreeMap;

use crate::operation::Operation;

/// What the ids in each path are called.
pub(super) struct Paths {
    /// The names at each place of an id, by the path without them.
    names: BTreeMap<String, Vec<String>>,
}

impl Paths {
    pub(super) fn of(operations: &[Operation]) -> Self {
        let mut names: BTreeMap<String, Vec<Vec<&str>>> = BTreeMap::new();
        for operation in operations {
            let own = operation.path_parameters().map(|id| id.name);
            let places = names.entry(shape(operation.path)).or_default();
            for (place, name) in own.enumerate() {
                if places.len() == place {
                    places.push(Vec::new());
                }
                if !places[place].contains(&name) {
                    places[place].push(name);
                }
            }
        }
        let shared = |places: Vec<Vec<&str>>| places.iter().map(|names| joined(names)).collect();
        Self {
            names: names
                .into_iter()
                .map(|(shape, places)| (shape, shared(places)))
                .collect(),
        }
    }

    /// What the ids in the path of an operation are called, in their order.
    pub(super) fn names(&self, operation: &Operation) -> impl Iterator<Item = &str> {
        let names = self.names.get(&shape(operation.path));
        names.into_iter().flatten().map(String::as_str)
    }

    /// The path of an operation.
    pub(super) fn template(&self, operation: &Operation) -> String {
        let mut names = self.names(operation);
        let segments = operation
            .path
            .split('/')
            .map(|segment| match segment.strip_prefix(':') {
                Some(own) => format!("{{{}}}", names.next().unwrap_or(own)),
                None => segment.to_owned(),
            });
        segments.collect::<Vec<_>>().join("/")
    }
}

/// A path without what its ids are called.
fn shape(path: &str) -> String {
    let segments = path
        .split('/')
        .map(|segment| match segment.starts_with(':') {
            true => ":",
            false => segment,
        });
    segments.collect::<Vec<_>>().join("/")
}

/// Several names as one: `opportunityProductIdOrCostId`.
fn joined(names: &[&str]) -> String {
    let mut joined = String::new();
    for name in names {
        if joined.is_empty() {
            joined.push_str(name);
            continue;
        }
        let (first, rest) = name.split_at(name.len().min(1));
        joined.push_str("Or");
        joined.push_str(&first.to_uppercase());
        joined.push_str(rest);
    }
    joined
}

#[cfg(test)]
mod tests {
    use crm::input::Nothing;

    use super::*;

    #[test]
    fn ids_of_different_records_at_one_place_share_a_name() {
        let list = Operation::get("/opportunities/:id/costs/:lineId", "list")
            .read(|_, _, [_, _], _: Nothing| Ok(()));
        let delete = Operation::delete("/opportunities/:id/costs/:costId", "delete")
            .write(|_, _, [_, _], _: Nothing| Ok(()));
        let other = Operation::get("/contacts/:id", "get").read(|_, _, [_], _: Nothing| Ok(()));
        let paths = Paths::of(&[list, delete, other]);
        let template = |path| {
            let operation = Operation::get(path, "tool").read(|_, _, [_, _], _: Nothing| Ok(()));
            paths.template(&operation)
        };
        for path in [
            "/opportunities/:id/costs/:lineId",
            "/opportunities/:id/costs/:costId",
        ] {
            assert_eq!(template(path), "/opportunities/{id}/costs/{lineIdOrCostId}");
        }
        let contact = Operation::get("/contacts/:id", "tool").read(|_, _, [_], _: Nothing| Ok(()));
        assert_eq!(paths.template(&contact), "/contacts/{id}");
    }
}
