//! `/activities`.

use crm::activities::{self, Activity, ActivityFields, ListActivities};
use crm::input::Nothing;
use crm::record::{self, New};

use crate::envelope::{Created, One};
use crate::operation::Operation;

const READ: &[&str] = &["activities:read"];
const WRITE: &[&str] = &["activities:write"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/activities", "list_activities")
            .scopes(READ)
            .about(
                "List activities",
                "Calls, meetings and notes, those that were entered last first. All filters may \
                 be combined. Follow `pagination.next_cursor` for older ones.",
            )
            .read(|db, who, [], input: ListActivities| activities::list(db, who, &input)),
        Operation::get("/activities/:id", "get_activity")
            .scopes(READ)
            .about("Get an activity", "One activity.")
            .read(|db, who, [id], _: Nothing| record::get::<Activity>(db, who, id).map(One)),
        Operation::post("/activities", "create_activity")
            .scopes(WRITE)
            .about(
                "Create an activity",
                "It may name an opportunity, a contact and a company. The opportunity's \
                 `last_activity_at` is the latest `occurred_at` of its activities.",
            )
            .write(|tx, who, [], input: New<ActivityFields>| {
                activities::create(tx, who, input).map(Created)
            }),
        Operation::patch("/activities/:id", "update_activity")
            .scopes(WRITE)
            .about(
                "Update an activity",
                "Changes the fields that are sent; `null` clears one that may be empty. With \
                 another `occurred_at` or `deal_id`, `last_activity_at` of the opportunities \
                 follows.",
            )
            .write(|tx, who, [id], input: ActivityFields| {
                activities::update(tx, who, id, input).map(One)
            }),
        Operation::delete("/activities/:id", "delete_activity")
            .scopes(WRITE)
            .about(
                "Delete an activity",
                "Its opportunity's `last_activity_at` is then that of the newest that is left. \
                 It can't be undone.",
            )
            .write(|tx, who, [id], _: Nothing| activities::delete(tx, who, id)),
    ]
}
