//! `/tasks`.

use crm::input::Nothing;
use crm::record::{self, New};
use crm::tasks::{self, ListTasks, Task, TaskFields};

use crate::envelope::{Created, One};
use crate::operation::Operation;

const READ: &[&str] = &["tasks:read"];
const WRITE: &[&str] = &["tasks:write"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/tasks", "list_tasks")
            .scopes(READ)
            .about(
                "List tasks",
                "The newest first. All filters may be combined: what someone has yet to begin is \
                 `assigned_to` with `status=todo`, what is late adds `due_before` with today's \
                 date. Follow `pagination.next_cursor` for older ones.",
            )
            .read(|db, who, [], input: ListTasks| tasks::list(db, who, &input)),
        Operation::get("/tasks/:id", "get_task")
            .scopes(READ)
            .about("Get a task", "One task.")
            .read(|db, who, [id], _: Nothing| record::get::<Task>(db, who, id).map(One)),
        Operation::post("/tasks", "create_task")
            .scopes(WRITE)
            .about(
                "Create a task",
                "It may name an opportunity, a contact and a company that it is about, and the \
                 user who is to do it. `completed_at` can be given with the status `completed` \
                 only, for what was done before.",
            )
            .write(|tx, who, [], input: New<TaskFields>| {
                tasks::create(tx, who, input).map(Created)
            }),
        Operation::patch("/tasks/:id", "update_task")
            .scopes(WRITE)
            .about(
                "Update a task",
                "Changes the fields that are sent; `null` clears one that may be empty. \
                 `completed_at` follows the status.",
            )
            .write(|tx, who, [id], input: TaskFields| tasks::update(tx, who, id, input).map(One)),
        Operation::delete("/tasks/:id", "delete_task")
            .scopes(WRITE)
            .about("Delete a task", "It can't be undone.")
            .write(|tx, who, [id], _: Nothing| tasks::delete(tx, who, id)),
        Operation::post("/tasks/:id/complete", "complete_task")
            .scopes(WRITE)
            .about(
                "Complete a task",
                "Sets the status and `completed_at`. A task that is completed already stays as \
                 it is.",
            )
            .overwrites()
            .write(|tx, who, [id], _: Nothing| tasks::complete(tx, who, id).map(One)),
    ]
}
