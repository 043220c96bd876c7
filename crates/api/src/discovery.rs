//! What an agent is told about the workspace and about the operations: the
//! latter from their declarations.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::Method;
use crm::error::Problems;
use crm::paging::PageRequest;
use crm::pipelines::{self, Pipeline};
use crm::text::Text;
use crm::time::Date;
use crm::workspaces::{self, Workspace};
use crm::{Caller, Result};
use schemars::JsonSchema;
use serde::Serialize;
use store::Db;

use crate::operation::{Operation, old_names};
use crate::operations;
use crate::schemas::in_words;

/// What holds in every workspace.
const INSTRUCTIONS: &str = include_str!("instructions.md");

/// How to work in a workspace.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Instructions {
    /// How to work here, as Markdown.
    #[schemars(example = &"# Working with Dealwright")]
    instructions: &'static str,
    /// The day that it is in the workspace.
    today: Date,
    /// The business; null for a key without `company:read`.
    workspace: Option<Workspace>,
    /// The newest 25 pipelines with their stages; null for a key without
    /// `pipelines:read`.
    pipelines: Option<Vec<Pipeline>>,
    /// The scopes that the key has; `*` for all.
    scopes: Vec<&'static str>,
    /// The kinds of records that `describe_resource` describes.
    resources: Vec<&'static str>,
}

/// What a caller is to know before anything else.
pub(crate) fn instructions(db: &Db<'_>, who: &Caller) -> Result<Instructions> {
    let workspace = match who.scopes.has("company:read") {
        true => Some(workspaces::get(db, who)?),
        false => None,
    };
    let pipelines = match who.scopes.has("pipelines:read") {
        true => {
            let newest = pipelines::list(db, who, PageRequest::default())?.items;
            let whole = newest.iter().map(|one| pipelines::get(db, who, one.id));
            Some(whole.collect::<Result<_>>()?)
        }
        false => None,
    };
    Ok(Instructions {
        instructions: INSTRUCTIONS,
        today: who.locale(db)?.date_at(who.now),
        workspace,
        pipelines,
        scopes: who.scopes.names(),
        resources: KINDS.iter().map(|kind| kind.resource).collect(),
    })
}

crm::input! {
    /// Which kind of record is meant.
    pub(crate) struct Which {
        /// The kind of record, as in `opportunities`; `get_ai_instructions` lists
        /// all in `resources`.
        required resource: Text<64>,
    }
}

/// A kind of record.
#[derive(Clone, Serialize, JsonSchema)]
pub(crate) struct Kind {
    /// What it is called.
    #[schemars(example = &"opportunities")]
    resource: &'static str,
    /// What is done with such records themselves.
    primary: Vec<Step>,
    /// What hangs on one of them, and what is done with it.
    sub_resources: Vec<SubResource>,
    /// What does more than read or write one of them.
    workflows: Vec<Step>,
    /// What can be written, by the name of the field.
    field_hints: BTreeMap<&'static str, Hint>,
}

/// Records that hang on others.
#[derive(Clone, Serialize, JsonSchema)]
pub(crate) struct SubResource {
    /// What they are called.
    #[schemars(example = &"contacts")]
    name: &'static str,
    /// What is done with them.
    operations: Vec<Step>,
}

/// One thing that can be done.
#[derive(Clone, Serialize, JsonSchema)]
struct Step {
    /// The tool that does it.
    #[schemars(example = &"get_opportunity")]
    tool: &'static str,
    /// What it does.
    #[schemars(example = &"Get an opportunity")]
    summary: &'static str,
    /// The method of the same over HTTP.
    #[schemars(example = &"GET")]
    method: String,
    /// The path of the same over HTTP.
    #[schemars(example = &"/opportunities/:id")]
    path: &'static str,
    /// The scopes that it needs.
    scopes: &'static [&'static str],
    /// Whether the key has them.
    allowed: bool,
}

/// What is to be known of a field.
#[derive(Clone, Serialize, JsonSchema)]
struct Hint {
    /// What it takes.
    takes: String,
    /// Whether a new record needs it.
    required: bool,
    /// What it means.
    description: String,
}

/// All kinds of records, in the order of the declarations.
static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let operations = operations::all();
    let mut kinds: Vec<Kind> = Vec::new();
    // What costs nothing tells of the others, and what is no tool is no use here.
    let told = |operation: &&Operation| operation.cost > 0 && operation.is_tool();
    for operation in operations.iter().filter(told) {
        let resource = operation.resource();
        let place = kinds.iter().position(|kind| kind.resource == resource);
        let place = place.unwrap_or_else(|| {
            kinds.push(Kind::called(resource));
            kinds.len() - 1
        });
        kinds[place].add(operation, &operations);
    }
    kinds
});

/// The kind of record that was asked for, as it is for this caller.
pub(crate) fn describe(who: &Caller, which: &Which) -> Result<Kind> {
    let asked = which.resource.to_lowercase();
    let found = KINDS
        .iter()
        .find(|kind| kind.resource == asked || old_names(kind.resource).any(|old| old == asked));
    let Some(kind) = found else {
        let names: Vec<_> = KINDS.iter().map(|kind| kind.resource).collect();
        let mut problems = Problems::default();
        problems.invalid_with_fix(
            "resource",
            "names no kind of record",
            format!("Use one of: {}.", names.join(", ")),
        );
        return Err(problems.into());
    };
    let mut kind = kind.clone();
    let below = kind.sub_resources.iter_mut();
    let below = below.flat_map(|sub| &mut sub.operations);
    for step in kind
        .primary
        .iter_mut()
        .chain(&mut kind.workflows)
        .chain(below)
    {
        step.allowed = step.scopes.iter().all(|scope| who.scopes.has(scope));
    }
    Ok(kind)
}

impl Kind {
    fn called(resource: &'static str) -> Self {
        Self {
            resource,
            primary: Vec::new(),
            sub_resources: Vec::new(),
            workflows: Vec::new(),
            field_hints: BTreeMap::new(),
        }
    }

    /// Adds an operation of such records where it belongs: what has a list or a
    /// page of its own below a record hangs on it.
    fn add(&mut self, operation: &Operation, all: &[Operation]) {
        let step = Step::of(operation);
        let Some((name, address)) = below(operation) else {
            self.hint(operation);
            return self.primary.push(step);
        };
        let is_shown = all
            .iter()
            .any(|other| other.method == Method::GET && other.path == address);
        if !is_shown {
            return self.workflows.push(step);
        }
        let mut subs = self.sub_resources.iter_mut();
        match subs.find(|sub| sub.name == name) {
            Some(sub) => sub.operations.push(step),
            None => self.sub_resources.push(SubResource {
                name,
                operations: vec![step],
            }),
        }
    }

    /// Notes what an operation writes. One that makes a record says best what a
    /// field takes, and it alone what a record needs.
    fn hint(&mut self, operation: &Operation) {
        if operation.reads_query() {
            return;
        }
        let makes = operation.method == Method::POST;
        for field in &operation.fields {
            let hint = Hint {
                takes: in_words(&field.described_schema()),
                required: makes && field.required,
                description: field.description.clone(),
            };
            if makes {
                self.field_hints.insert(field.name, hint);
            } else {
                self.field_hints.entry(field.name).or_insert(hint);
            }
        }
    }
}

impl Step {
    fn of(operation: &Operation) -> Self {
        Self {
            tool: operation.tool,
            summary: operation.summary,
            method: operation.method.to_string(),
            path: operation.path,
            scopes: operation.scopes,
            allowed: false,
        }
    }
}

/// The first name in an operation's path behind its resource, and the path up to
/// there; none for the resource itself.
fn below(operation: &Operation) -> Option<(&'static str, &'static str)> {
    let path = operation.path;
    let behind = path.strip_prefix('/')?.strip_prefix(operation.resource())?;
    let name = behind
        .split('/')
        .find(|segment| !segment.is_empty() && !segment.starts_with(':'))?;
    let end = path.len() - behind.len() + behind.find(name)? + name.len();
    Some((name, &path[..end]))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn kind(resource: &str) -> &'static Kind {
        KINDS.iter().find(|kind| kind.resource == resource).unwrap()
    }

    fn tools(steps: &[Step]) -> Vec<&str> {
        steps.iter().map(|step| step.tool).collect()
    }

    #[test]
    fn an_operation_is_told_where_it_belongs() {
        let opportunities = kind("opportunities");
        let primary = tools(&opportunities.primary);
        assert!(primary.contains(&"update_opportunity"), "{primary:?}");
        let workflows = tools(&opportunities.workflows);
        for tool in [
            "move_opportunity",
            "search_opportunities",
            "bulk_move_opportunities",
        ] {
            assert!(workflows.contains(&tool), "{tool} in {workflows:?}");
        }
        let pipelines = kind("pipelines");
        let stages = &pipelines.sub_resources;
        let stages = stages.iter().find(|sub| sub.name == "stages").unwrap();
        let stages = tools(&stages.operations);
        assert!(stages.contains(&"reorder_pipeline_stages"), "{stages:?}");
        let company = kind("company");
        assert_eq!(
            tools(&company.primary),
            ["get_workspace", "update_workspace"]
        );
        assert!(company.workflows.is_empty());
    }

    #[test]
    fn what_can_be_written_is_told_as_a_new_record_takes_it() {
        let hints = &kind("opportunities").field_hints;
        assert!(hints["name"].required && !hints["status"].required);
        assert_eq!(
            hints["status"].takes,
            "one of `open`, `won`, `lost` or null"
        );
        assert!(!hints.contains_key("limit"));
    }
}
