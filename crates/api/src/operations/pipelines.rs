//! `/pipelines` and their stages.

use crm::input::Nothing;
use crm::opportunities::{self, ListOf, Of};
use crm::paging::PageRequest;
use crm::pipelines::{self, PipelineFields, Removal};
use crm::record::New;
use crm::stages::{self, Reorder, StageFields};

use crate::envelope::{Created, One, Whole};
use crate::operation::Operation;

const READ: &[&str] = &["pipelines:read"];
const WRITE: &[&str] = &["pipelines:write"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/pipelines", "list_pipelines")
            .scopes(READ)
            .about(
                "List pipelines",
                "The newest first, without their stages: `get_pipeline` has those of one. \
                 `is_default` marks the one to use when nobody says which.",
            )
            .read(|db, who, [], page: PageRequest| pipelines::list(db, who, page)),
        Operation::get("/pipelines/:id", "get_pipeline")
            .scopes(READ)
            .about(
                "Get a pipeline",
                "One pipeline with its `stages` in their order, each with its `deal_count`. For \
                 what it is worth use `get_pipeline_summary`.",
            )
            .read(|db, who, [id], _: Nothing| pipelines::get(db, who, id).map(One)),
        Operation::post("/pipelines", "create_pipeline")
            .scopes(WRITE)
            .about(
                "Create a pipeline",
                "It has no stages yet: add them by `create_pipeline_stage`, and one at least \
                 before an opportunity can enter it.",
            )
            .write(|tx, who, [], input: New<PipelineFields>| {
                pipelines::create(tx, who, input).map(Created)
            }),
        Operation::patch("/pipelines/:id", "update_pipeline")
            .scopes(WRITE)
            .about(
                "Update a pipeline",
                "Changes the name, description, place or default of a pipeline: the fields that \
                 are sent. Making it the default one takes that from another. Its stages have \
                 tools of their own.",
            )
            .write(|tx, who, [id], input: PipelineFields| {
                pipelines::update(tx, who, id, input).map(One)
            }),
        Operation::delete("/pipelines/:id", "delete_pipeline")
            .scopes(WRITE)
            .about(
                "Delete a pipeline",
                "With its stages. While cards stand in it that is a conflict, unless `move_to` \
                 names a stage of another pipeline for them. It can't be undone.",
            )
            .write(|tx, who, [id], input: Removal| pipelines::delete(tx, who, id, &input)),
        Operation::get("/pipelines/:id/summary", "get_pipeline_summary")
            .scopes(READ)
            .about(
                "Sum up a pipeline",
                "For each stage and for all of them: how many opportunities stand there and what \
                 they are worth by currency, plain and weighted by probability; and, where they \
                 have products, what those earn (`margins`). For the opportunities themselves use \
                 `list_pipeline_opportunities`.",
            )
            .long()
            .read(|db, who, [id], _: Nothing| pipelines::summary(db, who, id).map(One)),
        Operation::get(
            "/pipelines/:id/opportunities",
            "list_pipeline_opportunities",
        )
        .scopes(&["pipelines:read", "opportunities:read"])
        .cached()
        .about(
            "List a pipeline's opportunities",
            "Those that have a card in it, in whichever stage, the newest first. For one \
                 stage, or with other filters, use `list_opportunities`.",
        )
        .read(|db, who, [id], input: ListOf| {
            opportunities::list_of(db, who, Of::Pipeline(id), &input)
        }),
        Operation::get("/pipelines/:id/stages", "list_pipeline_stages")
            .scopes(READ)
            .about(
                "List a pipeline's stages",
                "All of them in their order, each with its `deal_count` and whether it is one for \
                 won or lost opportunities.",
            )
            .read(|db, who, [id], _: Nothing| stages::list(db, who, id).map(Whole)),
        Operation::get("/pipelines/:id/stages/:stageId", "get_pipeline_stage")
            .scopes(READ)
            .about(
                "Get a stage",
                "One stage of a pipeline with its `deal_count`. All of a pipeline's come by \
                 `list_pipeline_stages`.",
            )
            .read(|db, who, [id, stage_id], _: Nothing| {
                stages::get(db, who, id, stage_id).map(One)
            }),
        Operation::post("/pipelines/:id/stages", "create_pipeline_stage")
            .scopes(WRITE)
            .about(
                "Add a stage to a pipeline",
                "At `position`, or behind the others. Entering a stage with `is_won_stage` or \
                 `is_lost_stage` closes an opportunity.",
            )
            .write(|tx, who, [id], input: New<StageFields>| {
                stages::create(tx, who, id, input).map(Created)
            }),
        Operation::patch("/pipelines/:id/stages/:stageId", "update_pipeline_stage")
            .scopes(WRITE)
            .about(
                "Update a stage",
                "Changes the fields that are sent; a new `position` moves the others along. What \
                 stands in the stage keeps its status, also when it becomes a won or lost stage. \
                 To put all in a new order use `reorder_pipeline_stages`.",
            )
            .write(|tx, who, [id, stage_id], input: StageFields| {
                stages::update(tx, who, id, stage_id, input).map(One)
            }),
        Operation::delete("/pipelines/:id/stages/:stageId", "delete_pipeline_stage")
            .scopes(WRITE)
            .about(
                "Delete a stage",
                "While cards stand in it that is a conflict, unless `move_to` names another stage \
                 for them. It can't be undone.",
            )
            .write(|tx, who, [id, stage_id], input: Removal| {
                stages::delete(tx, who, id, stage_id, &input)
            }),
        Operation::post("/pipelines/:id/stages/reorder", "reorder_pipeline_stages")
            .scopes(WRITE)
            .overwrites()
            .about(
                "Reorder a pipeline's stages",
                "`stage_ids` names every stage of the pipeline exactly once, in the new order; \
                 anything else is refused and changes nothing.",
            )
            .write(|tx, who, [id], input: Reorder| stages::reorder(tx, who, id, &input).map(Whole)),
    ]
}
