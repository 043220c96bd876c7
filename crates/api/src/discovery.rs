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

use crate::names::old_names;
use crate::operation::Operation;
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
        resources: resources(),
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
    /// The path of their list.
    #[serde(skip)]
    address: &'static str,
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

/// All kinds of records: those that have a path of their own, in the order of the
/// declarations, and then those that hang on others.
static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let mut operations = operations::all();
    // What costs nothing tells of the others, and what is no tool is no use here.
    operations.retain(|operation| operation.cost > 0 && operation.is_tool());
    let (mut kinds, mut parts) = (Vec::new(), Vec::new());
    for operation in &operations {
        let address = address(operation.path, &operations);
        Kind::at(address, &mut kinds).add(operation, &operations);
        if let Some(part) = part(operation.path, address, &operations) {
            Kind::at(part, &mut parts).add(operation, &operations);
        }
    }
    // One that is there by itself is meant rather than one that is linked.
    parts.sort_by_key(|part| part.address.contains(':'));
    kinds.extend(parts);
    kinds
});

/// The kind of that name, in today's or the old words.
fn named(name: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|kind| kind.resource == name || old_names(kind.resource).any(|old| old == name))
}

/// The names of all kinds, each once.
fn resources() -> Vec<&'static str> {
    let names = KINDS.iter().filter(|kind| {
        let found = named(kind.resource);
        found.is_some_and(|found| found.address == kind.address)
    });
    names.map(|kind| kind.resource).collect()
}

/// The kind of record that was asked for, as it is for this caller.
pub(crate) fn describe(who: &Caller, which: &Which) -> Result<Kind> {
    let Some(kind) = named(&which.resource.to_lowercase()) else {
        let mut problems = Problems::default();
        problems.invalid_with_fix(
            "resource",
            "names no kind of record",
            format!("Use one of: {}.", resources().join(", ")),
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
    /// The kind at that address, which joins the others where it is not among them.
    fn at<'a>(address: &'static str, kinds: &'a mut Vec<Self>) -> &'a mut Self {
        let place = kinds.iter().position(|kind| kind.address == address);
        let place = place.unwrap_or_else(|| {
            kinds.push(Self {
                address,
                resource: last_segment(address),
                primary: Vec::new(),
                sub_resources: Vec::new(),
                workflows: Vec::new(),
                field_hints: BTreeMap::new(),
            });
            kinds.len() - 1
        });
        &mut kinds[place]
    }

    /// Adds an operation of such records where it belongs.
    fn add(&mut self, operation: &Operation, all: &[Operation]) {
        let step = Step::of(operation);
        if below(operation.path, self.address).is_none() {
            self.hint(operation);
            return self.primary.push(step);
        }
        let Some(address) = part(operation.path, self.address, all) else {
            return self.workflows.push(step);
        };
        let name = last_segment(address);
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

/// The first address on the way of a path at which anything is done: that of the
/// contacts for `/contacts/:id/employers`, and `/data/crm-logs` for itself, as
/// nothing is done at `/data`.
fn address(path: &'static str, all: &[Operation]) -> &'static str {
    let ends = path.match_indices('/').map(|(end, _)| end).skip(1);
    let mut addresses = ends.chain([path.len()]).map(|end| &path[..end]);
    let is_used = |address: &&str| all.iter().any(|operation| at(operation.path) == *address);
    addresses.find(is_used).unwrap_or(path)
}

/// The address of what a path leads to, be it all such records or one of them.
fn at(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((address, id)) if id.starts_with(':') => address,
        _ => path,
    }
}

/// A path up to the first name behind that address; none for the address itself
/// and what is directly at it.
fn below<'p>(path: &'p str, address: &str) -> Option<&'p str> {
    let behind = path.strip_prefix(address)?;
    let name = behind
        .split('/')
        .find(|segment| !segment.is_empty() && !segment.starts_with(':'))?;
    Some(&path[..address.len() + behind.find(name)? + name.len()])
}

/// The address below another one that a path leads to, if records are kept there:
/// if they are listed for each record above, or both read and written. A report on
/// what is above is neither.
fn part(path: &'static str, above: &str, all: &[Operation]) -> Option<&'static str> {
    let address = below(path, above)?;
    let there = || {
        all.iter().filter(|operation| {
            let behind = operation.path.strip_prefix(address);
            behind.is_some_and(|behind| behind.is_empty() || behind.starts_with('/'))
        })
    };
    let mut read = there().filter(|operation| operation.method == Method::GET);
    let is_listed = address.contains(':') && read.clone().any(Operation::lists);
    let is_kept = read.next().is_some() && there().any(Operation::is_write);
    (is_listed || is_kept).then_some(address)
}

fn last_segment(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
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
        let costs = &opportunities.sub_resources;
        let costs = costs
            .iter()
            .find(|sub| sub.name == "product-costs")
            .unwrap();
        let costs = tools(&costs.operations);
        assert_eq!(costs.len(), 4, "{costs:?}");
        // A report is no record.
        let workflows = tools(&pipelines.workflows);
        assert!(workflows.contains(&"get_pipeline_summary"), "{workflows:?}");
        let workflows = tools(&kind("referrals").workflows);
        assert_eq!(workflows, ["get_referral_leaderboard", "convert_referral"]);
        let company = kind("company");
        assert_eq!(
            tools(&company.primary),
            ["get_workspace", "update_workspace"]
        );
        assert!(company.workflows.is_empty());
        let logs = kind("crm-logs");
        assert_eq!(tools(&logs.primary), ["list_crm_logs", "get_crm_log"]);
        assert!(logs.workflows.is_empty());
    }

    #[test]
    fn every_kind_has_something_that_is_done_with_its_records_themselves() {
        for kind in KINDS.iter() {
            assert!(!kind.primary.is_empty(), "{}", kind.address);
        }
        let names = resources();
        assert!(
            !names.contains(&"data") && names.contains(&"crm-settings"),
            "{names:?}"
        );
    }

    #[test]
    fn what_hangs_on_others_is_described_by_its_own_name_too() {
        let users = kind("users");
        let primary = tools(&users.primary);
        assert_eq!(
            primary,
            ["list_users", "get_user", "update_user", "delete_user"]
        );
        assert_eq!(tools(&users.workflows), ["invite_user"]);
        assert!(users.field_hints.contains_key("job_title"));
        let stages = kind("stages");
        assert!(tools(&stages.primary).contains(&"create_pipeline_stage"));
        assert_eq!(tools(&stages.workflows), ["reorder_pipeline_stages"]);
        assert!(stages.field_hints["name"].required);
        // What has a path of its own is that, wherever else it is listed.
        assert_eq!(kind("products").address, "/products");
        let names = resources();
        for (name, times) in [("users", 1), ("contacts", 1), ("deals", 0), ("summary", 0)] {
            let found = names.iter().filter(|one| **one == name).count();
            assert_eq!(found, times, "{name} in {names:?}");
        }
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
