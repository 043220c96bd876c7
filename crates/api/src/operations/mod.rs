//! Every operation of the API, a file for each resource.

mod activities;
mod agents;
mod api_keys;
mod change_log;
mod companies;
mod contacts;
mod exports;
mod invoices;
mod opportunities;
mod opportunity_products;
mod pipelines;
mod products;
mod referrals;
mod search;
mod tasks;
mod users;
mod work_orders;
mod workspace;

use crate::operation::Operation;

/// All of them, in the order in which the surfaces show them.
pub fn all() -> Vec<Operation> {
    [
        agents::operations(),
        search::operations(),
        opportunities::operations(),
        opportunity_products::operations(),
        pipelines::operations(),
        contacts::operations(),
        companies::operations(),
        products::operations(),
        invoices::operations(),
        tasks::operations(),
        activities::operations(),
        referrals::operations(),
        work_orders::operations(),
        users::operations(),
        workspace::operations(),
        exports::operations(),
        change_log::operations(),
        api_keys::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use schemars::generate::Contract;
    use serde_json::Value;

    use super::*;
    use crate::schemas::{in_words, self_contained};

    #[test]
    fn no_two_operations_share_a_tool_name_or_a_route() {
        let (mut tools, mut routes) = (HashSet::new(), HashSet::new());
        for operation in all() {
            for tool in operation.tools() {
                assert!(tools.insert(tool.clone()), "{tool}");
            }
            for path in operation.paths() {
                let route = format!("{} {path}", operation.method);
                assert!(routes.insert(route.clone()), "{route}");
            }
        }
    }

    #[test]
    fn no_two_arguments_of_a_tool_have_the_same_name() {
        for operation in all() {
            let mut records = HashSet::new();
            for id in operation.path_parameters() {
                assert!(records.insert(id.record.clone()), "{}", operation.path);
                let fields = operation.fields.iter();
                assert!(
                    fields.clone().all(|field| field.name != id.argument()),
                    "{}",
                    operation.tool
                );
            }
            let reserved = |name| ["idempotency_key"].contains(&name);
            assert!(
                !operation.fields.iter().any(|field| reserved(field.name)),
                "{}",
                operation.tool
            );
        }
    }

    #[test]
    fn every_field_of_an_answer_says_what_it_is_and_means() {
        for operation in all() {
            let mut generator = self_contained(Contract::Serialize);
            let schema = operation.data_schema(&mut generator);
            let schema = schema.map(|schema| schema.to_value()).unwrap_or_default();
            let record = schema.get("items").unwrap_or(&schema);
            let fields = record.get("properties").and_then(Value::as_object);
            for (name, field) in fields.into_iter().flatten() {
                let place = format!("{name} of {}", operation.tool);
                assert!(field.get("description").is_some(), "{place}");
                assert!(!in_words(field).starts_with("anything"), "{place}");
            }
        }
    }

    #[test]
    fn null_is_offered_only_where_it_may_be_sent() {
        let nullable = |tool: &str| -> Vec<_> {
            let operations = all();
            let named = operations.iter().find(|operation| operation.tool == tool);
            let fields = named.map(|operation| operation.fields.clone());
            let fields = fields.unwrap_or_default().into_iter();
            fields
                .filter(|field| field.nullable)
                .map(|field| field.name)
                .collect()
        };
        let created = nullable("create_opportunity");
        assert!(!created.contains(&"name") && created.contains(&"status"));
        let updated = nullable("update_opportunity");
        for (name, may) in [
            ("name", false),
            ("status", false),
            ("currency", false),
            ("value", true),
            ("tags", true),
            ("metadata", true),
        ] {
            assert_eq!(updated.contains(&name), may, "{name}");
        }
        assert!(nullable("list_opportunities").is_empty());
    }

    #[test]
    fn every_operation_says_what_it_needs_and_what_it_does() {
        for operation in all() {
            let is_for_all = operation.cost == 0;
            assert_eq!(
                operation.scopes.is_empty() && operation.one_scope_of.is_empty(),
                is_for_all,
                "{}",
                operation.tool
            );
            assert!(!operation.summary.is_empty(), "{}", operation.tool);
            assert!(operation.description.ends_with('.'), "{}", operation.tool);
            for field in &operation.fields {
                assert!(
                    field.description.ends_with('.'),
                    "{} of {}: {}",
                    field.name,
                    operation.tool,
                    field.description
                );
            }
        }
    }
}
