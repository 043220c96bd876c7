//! `/work-orders` and their statuses.

use crm::input::Nothing;
use crm::record::{self, New};
use crm::work_orders::{
    self, ListWorkOrders, NewWorkOrder, StatusRemoval, WorkOrderStatus, WorkOrderStatusFields,
    WorkOrderUpdate,
};

use crate::envelope::{Created, One, Whole};
use crate::operation::Operation;

const READ: &[&str] = &["work-orders:read"];
const WRITE: &[&str] = &["work-orders:write"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/work-orders", "list_work_orders")
            .scopes(READ)
            .about(
                "List work orders",
                "The newest first. All filters may be combined: what someone does today is \
                 `assigned_to` with `schedule_date`, what is planned for a week is \
                 `schedule_after` with `schedule_before`. Follow `pagination.next_cursor` for \
                 older ones.",
            )
            .read(|db, who, [], input: ListWorkOrders| work_orders::list(db, who, &input)),
        Operation::get("/work-orders/:id", "get_work_order")
            .scopes(READ)
            .about(
                "Get a work order",
                "One work order, with the names of its status, its opportunity and its product.",
            )
            .read(|db, who, [id], _: Nothing| work_orders::get(db, who, id).map(One)),
        Operation::post("/work-orders", "create_work_order")
            .scopes(WRITE)
            .about(
                "Create a work order",
                "For a row of an opportunity's products (`list_opportunity_products`), by the \
                 row's own `id`. Its status is given by `status_id` or by its label in `status`, \
                 and is the first of `list_work_order_statuses` otherwise.",
            )
            .write(|tx, who, [], input: NewWorkOrder| {
                work_orders::create(tx, who, input).map(Created)
            }),
        Operation::patch("/work-orders/:id", "update_work_order")
            .scopes(WRITE)
            .about(
                "Update a work order",
                "Changes the fields that are sent; `null` clears one that may be empty. \
                 `status_changed_at` follows the status. It stays with its opportunity: \
                 `deal_product_id` can only become another row of the same one's products.",
            )
            .write(|tx, who, [id], input: WorkOrderUpdate| {
                work_orders::update(tx, who, id, input).map(One)
            }),
        Operation::delete("/work-orders/:id", "delete_work_order")
            .scopes(WRITE)
            .about(
                "Delete a work order",
                "It can't be undone: to keep what is not to be done, give it a status that says \
                 so.",
            )
            .write(|tx, who, [id], _: Nothing| work_orders::delete(tx, who, id)),
        Operation::get("/work-orders/statuses", "list_work_order_statuses")
            .scopes(READ)
            .about(
                "List the statuses of work orders",
                "All of them in their order. `is_terminal` marks those with which nothing is \
                 left to be done.",
            )
            .read(|db, who, [], _: Nothing| work_orders::statuses(db, who).map(Whole)),
        Operation::get("/work-orders/statuses/:statusId", "get_work_order_status")
            .scopes(READ)
            .about(
                "Get a status of work orders",
                "One status. All come by `list_work_order_statuses`.",
            )
            .read(|db, who, [id], _: Nothing| record::get::<WorkOrderStatus>(db, who, id).map(One)),
        Operation::post("/work-orders/statuses", "create_work_order_status")
            .scopes(WRITE)
            .about(
                "Add a status for work orders",
                "At `position`, or behind the others. Two statuses can't differ in the case of \
                 their `label` alone.",
            )
            .write(|tx, who, [], input: New<WorkOrderStatusFields>| {
                work_orders::create_status(tx, who, input).map(Created)
            }),
        Operation::patch(
            "/work-orders/statuses/:statusId",
            "update_work_order_status",
        )
        .scopes(WRITE)
        .about(
            "Update a status of work orders",
            "Changes the fields that are sent; a new `position` moves the others along. The work \
             orders that have it keep it.",
        )
        .write(|tx, who, [id], input: WorkOrderStatusFields| {
            work_orders::update_status(tx, who, id, input).map(One)
        }),
        Operation::delete(
            "/work-orders/statuses/:statusId",
            "delete_work_order_status",
        )
        .scopes(WRITE)
        .about(
            "Delete a status of work orders",
            "While work orders have it that is a conflict, unless `move_to` names another status \
             for them. It can't be undone.",
        )
        .write(|tx, who, [id], input: StatusRemoval| {
            work_orders::delete_status(tx, who, id, &input)
        }),
    ]
}
