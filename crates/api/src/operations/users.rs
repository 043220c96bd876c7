//! `/company/users`: the members of the workspace.

use crm::input::Nothing;
use crm::record;
use crm::users::{self, Invite, ListUsers, User, UserFields};

use crate::envelope::{Created, One};
use crate::operation::Operation;

const READ: &[&str] = &["users:read"];
const WRITE: &[&str] = &["users:write"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/company/users", "list_users")
            .scopes(READ)
            .about(
                "List users",
                "The members of the workspace, who can be assigned to opportunities, the newest \
                 first. People outside it are contacts.",
            )
            .read(|db, who, [], input: ListUsers| users::list(db, who, &input)),
        Operation::get("/company/users/:id", "get_user")
            .scopes(READ)
            .about(
                "Get a user",
                "One member of the workspace by the id, with role and whether still active.",
            )
            .read(|db, who, [id], _: Nothing| record::get::<User>(db, who, id).map(One)),
        Operation::post("/company/users/invite", "invite_user")
            .scopes(WRITE)
            .about(
                "Invite a user",
                "Makes someone a member of the workspace, who can then be assigned to \
                 opportunities. No two users share an address; no mail is sent.",
            )
            .write(|tx, who, [], input: Invite| users::invite(tx, who, input).map(Created)),
        Operation::patch("/company/users/:id", "update_user")
            .scopes(WRITE)
            .about(
                "Update a user",
                "Changes the fields that are sent; `null` clears one that may be empty. Set \
                 `is_active` to false for someone who has left but whose work should keep their \
                 name.",
            )
            .write(|tx, who, [id], input: UserFields| users::update(tx, who, id, input).map(One)),
        Operation::delete("/company/users/:id", "delete_user")
            .scopes(WRITE)
            .about(
                "Delete a user",
                "Ends the membership; on each opportunity the user assigned next takes over, and \
                 the user's tasks and work orders stay, assigned to nobody. To keep the name on past work, set \
                 `is_active` to false by `update_user` instead.",
            )
            .write(|tx, who, [id], _: Nothing| users::delete(tx, who, id)),
    ]
}
