//! `/data/crm-logs`.

use crm::change_log::{self, FieldChange, ListChanges};
use crm::input::Nothing;
use crm::record;

use crate::envelope::One;
use crate::operation::Operation;

const READ: &[&str] = &["crm_audit:read"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/data/crm-logs", "list_crm_logs")
            .scopes(READ)
            .about(
                "List what was changed",
                "Every field of an opportunity, a contact, a company or a product that was \
                 changed, with what it was and became, who changed it and when; the newest \
                 first. All filters may be combined: what became of one record is `entity_id`, \
                 what one call did is `request_id`. Nobody can change or delete what is here.",
            )
            .long()
            .read(|db, who, [], input: ListChanges| change_log::list(db, who, &input)),
        Operation::get("/data/crm-logs/:id", "get_crm_log")
            .scopes(READ)
            .about(
                "Get a logged change",
                "One change of one field. Those of a record come by `list_crm_logs`.",
            )
            .read(|db, who, [id], _: Nothing| record::get::<FieldChange>(db, who, id).map(One)),
    ]
}
