//! `/agents`: what an agent asks before it does anything. It costs nothing.

use crm::input::Nothing;

use crate::discovery::{self, Which};
use crate::envelope::One;
use crate::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/agents/instructions", "get_ai_instructions")
            .free()
            .about(
                "Get instructions for this workspace",
                "How an agent works here, as Markdown: how records belong together, how to find, \
                 change and move them, what errors and lists look like. With it the day that it \
                 is, the pipelines with the ids of their stages, and what the key may do. Read it \
                 once, before anything else; for the fields of one kind of record use \
                 `describe_resource`.",
            )
            .read(|db, who, [], _: Nothing| discovery::instructions(db, who).map(One)),
        Operation::get("/agents/resource", "describe_resource")
            .free()
            .about(
                "Describe a kind of record",
                "What can be done with records of one kind, such as opportunities: `primary` \
                 operations, `sub_resources` that hang on a record, `workflows` that do more than \
                 one thing, each with its tool and whether the key may call it, and \
                 `field_hints` about what can be written. It shows no records: use the list and \
                 search tools for those.",
            )
            .read(|_, who, [], input: Which| discovery::describe(who, &input).map(One)),
    ]
}
