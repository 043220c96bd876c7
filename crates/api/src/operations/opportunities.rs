//! `/opportunities`, once called `/deals`.

use crm::activities;
use crm::bulk;
use crm::input::Nothing;
use crm::invoices;
use crm::opportunities::{
    self, BulkCreate, BulkMove, Expansions, ListOpportunities, NewOpportunity, OpportunityUpdate,
    Target,
};
use crm::paging::PageRequest;
use crm::search::Search;
use crm::tasks;
use crm::work_orders;

use crate::envelope::{Created, Deleted, Moved, One};
use crate::operation::Operation;

const READ: &[&str] = &["opportunities:read"];
const WRITE: &[&str] = &["opportunities:write"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/opportunities", "list_opportunities")
            .scopes(READ)
            .cached()
            .about(
                "List opportunities",
                "The newest first, with their cards (`placements`). All filters may be combined; \
                 use it for questions such as which are open, whose they are or what stands in a \
                 stage. To find one by a name, an address or a number use `search_opportunities`. \
                 Follow `pagination.next_cursor` for older ones.",
            )
            .read(|db, who, [], input: ListOpportunities| opportunities::list(db, who, &input)),
        Operation::get("/opportunities/:id", "get_opportunity")
            .scopes(READ)
            .cached()
            .about(
                "Get an opportunity",
                "One opportunity by its id, with its cards and with what `expand` names. Without \
                 the id, find it by `search_opportunities`.",
            )
            .read(|db, who, [id], input: Expansions| {
                opportunities::get(db, who, id, &input).map(One)
            }),
        Operation::post("/opportunities", "create_opportunity")
            .scopes(WRITE)
            .about(
                "Create an opportunity",
                "With `pipeline_id` it enters that pipeline's first stage, with `stage_id` that \
                 stage; without either it has no card and stands in no pipeline. Look for it by \
                 `search_opportunities` first: nothing keeps two from having the same name. For \
                 several at once use `bulk_create_opportunities`. Set `skip_automations` when \
                 importing old records.",
            )
            .write(|tx, who, [], input: NewOpportunity| {
                opportunities::create(tx, who, input).map(Created)
            }),
        Operation::patch("/opportunities/:id", "update_opportunity")
            .scopes(WRITE)
            .about(
                "Update an opportunity",
                "Changes the fields that are sent; `null` clears one that may be empty; `tags` \
                 and `metadata` are replaced as a whole. A new `status` sets or clears `won_at`, \
                 `lost_at` and `actual_close_date` but moves no card: for another stage use \
                 `move_opportunity`. Each field that really changes is written to the change log.",
            )
            .write(|tx, who, [id], input: OpportunityUpdate| {
                opportunities::update(tx, who, id, input).map(One)
            }),
        Operation::delete("/opportunities/:id", "delete_opportunity")
            .scopes(WRITE)
            .about(
                "Delete an opportunity",
                "Its products with their costs and work orders, its cards and its links to contacts and users go \
                 with it; the contacts, the company and the users stay, and its tasks, activities, \
                 referrals and invoices without it. It can't be undone: to close an opportunity, move it to \
                 a lost stage instead.",
            )
            .write(|tx, who, [id], _: Nothing| opportunities::delete(tx, who, id)),
        Operation::post("/opportunities/search", "search_opportunities")
            .scopes(READ)
            .about(
                "Search opportunities",
                "Finds a text anywhere in an opportunity's name and in the name, e-mail address \
                 or phone number of its contact and its company, in any case, with or without \
                 accents; phone numbers however they are typed. The best match comes first, then \
                 the newest. To list by status, stage or owner use `list_opportunities`.",
            )
            .long()
            .read(|db, who, [], input: Search| opportunities::search(db, who, &input)),
        Operation::post("/opportunities/:id/move", "move_opportunity")
            .scopes(WRITE)
            .overwrites()
            .about(
                "Move an opportunity to a stage",
                "Afterwards it has exactly one card, there: cards in other pipelines go. To keep \
                 those use `add_opportunity_card`. A stage that is won or lost decides its \
                 status, leaving such a stage reopens it. `stage_changed` automations fire only \
                 if the stage really changes. `list_pipeline_stages` has the ids of the stages.",
            )
            .write(|tx, who, [id], input: Target| {
                opportunities::move_to(tx, who, id, &input).map(One)
            }),
        Operation::post("/opportunities/:id/add-card", "add_opportunity_card")
            .scopes(WRITE)
            .overwrites()
            .about(
                "Add an opportunity to a pipeline",
                "Its cards in other pipelines stay, so that it stands in several at once; a card \
                 that it has in this pipeline already changes its stage. To leave the other \
                 pipelines use `move_opportunity`. `stage_changed` automations fire on a new card \
                 or a changed stage.",
            )
            .write(|tx, who, [id], input: Target| {
                opportunities::add_card(tx, who, id, &input).map(One)
            }),
        Operation::get("/opportunities/:id/contacts", "list_opportunity_contacts")
            .scopes(&["opportunities:read", "contacts:read"])
            .about(
                "List an opportunity's additional contacts",
                "The contacts beside the primary one, each with `linked_at`. The primary one is \
                 `contact_id` of the opportunity: see `get_opportunity` with `expand` for it.",
            )
            .read(|db, who, [id], page: PageRequest| opportunities::contacts(db, who, id, page)),
        Operation::post(
            "/opportunities/:id/contacts/:contactId",
            "add_opportunity_contact",
        )
        .scopes(WRITE)
        .about(
            "Add a contact to an opportunity",
            "Beside the primary contact, which `contact_id` of the opportunity names and \
                 `update_opportunity` sets. Adding one twice is a conflict.",
        )
        .write(|tx, who, [id, contact_id], _: Nothing| {
            opportunities::add_contact(tx, who, id, contact_id).map(Created)
        }),
        Operation::delete(
            "/opportunities/:id/contacts/:contactId",
            "remove_opportunity_contact",
        )
        .scopes(WRITE)
        .about(
            "Remove a contact from an opportunity",
            "Only the link goes; the contact stays. The primary contact is no such link: \
                 change `contact_id` by `update_opportunity` instead.",
        )
        .write(|tx, who, [id, contact_id], _: Nothing| {
            opportunities::remove_contact(tx, who, id, contact_id)
        }),
        Operation::get("/opportunities/:id/users", "list_opportunity_users")
            .scopes(READ)
            .about(
                "List the users assigned to an opportunity",
                "Each with `is_primary`, true for the one in charge, and `assigned_at`. For all \
                 opportunities of a user use `list_opportunities` with `assigned_to`.",
            )
            .read(|db, who, [id], page: PageRequest| opportunities::users(db, who, id, page)),
        Operation::post(
            "/opportunities/:id/users/:userId",
            "assign_opportunity_user",
        )
        .scopes(WRITE)
        .about(
            "Assign a user to an opportunity",
            "The first user assigned becomes the primary one; those assigned before stay. \
                 Assigning one twice is a conflict. `list_users` has the ids.",
        )
        .write(|tx, who, [id, user_id], _: Nothing| {
            opportunities::assign_user(tx, who, id, user_id).map(Created)
        }),
        Operation::delete(
            "/opportunities/:id/users/:userId",
            "unassign_opportunity_user",
        )
        .scopes(WRITE)
        .about(
            "Unassign a user from an opportunity",
            "Only the link goes; the user stays. If it was the primary one, the user assigned \
                 next becomes it.",
        )
        .write(|tx, who, [id, user_id], _: Nothing| {
            opportunities::unassign_user(tx, who, id, user_id)
        }),
        Operation::get(
            "/opportunities/:id/activities",
            "get_opportunity_activities",
        )
        .scopes(&["opportunities:read", "activities:read"])
        .about(
            "List an opportunity's activities",
            "The calls, meetings and notes about it, the newest first.",
        )
        .read(|db, who, [id], page: PageRequest| {
            activities::list_of(db, who, activities::Of::Opportunity(id), page)
        }),
        Operation::get("/opportunities/:id/tasks", "get_opportunity_tasks")
            .scopes(&["opportunities:read", "tasks:read"])
            .about(
                "List an opportunity's tasks",
                "The tasks about it, the newest first.",
            )
            .read(|db, who, [id], page: PageRequest| tasks::of_opportunity(db, who, id, page)),
        Operation::get(
            "/opportunities/:id/work-orders",
            "get_opportunity_work_orders",
        )
        .scopes(READ)
        .about(
            "List an opportunity's work orders",
            "Those of all its products, the newest first.",
        )
        .read(|db, who, [id], page: PageRequest| work_orders::of_opportunity(db, who, id, page)),
        Operation::get("/opportunities/:id/invoices", "list_opportunity_invoices")
            .scopes(&["opportunities:read", "invoices:read"])
            .about(
                "List an opportunity's invoices",
                "What was billed for it, the newest first: every invoice whose \
                 `trustpager_deal_id` it is. `get_invoice` has the line items.",
            )
            .read(|db, who, [id], page: PageRequest| invoices::of_opportunity(db, who, id, page)),
        Operation::post("/opportunities/bulk-create", "bulk_create_opportunities")
            .scopes(WRITE)
            .about(
                "Create up to 100 opportunities",
                "Each record stands alone: what is in `created` is kept, what is in `errors` left \
                 no trace and may be sent again. The call's `pipeline_id` and `stage_id` are for \
                 the records that name no pipeline and no stage of their own. For a single one \
                 use `create_opportunity`. Set `skip_automations` when importing old records.",
            )
            .bulk()
            .write(|tx, who, [], input: BulkCreate| opportunities::bulk_create(tx, who, input)),
        Operation::post("/opportunities/bulk-delete", "bulk_delete_opportunities")
            .scopes(&["opportunities:delete"])
            .overwrites()
            .about(
                "Delete up to 100 opportunities",
                "As `delete_opportunity` for each; an id that names none is in `failed`, and the \
                 others are deleted all the same. It can't be undone.",
            )
            .bulk()
            .write(|tx, who, [], input: bulk::Delete| {
                opportunities::bulk_delete(tx, who, &input).map(Deleted)
            }),
        Operation::post("/opportunities/bulk-move", "bulk_move_opportunities")
            .scopes(WRITE)
            .overwrites()
            .about(
                "Move up to 100 opportunities to a stage",
                "As `move_opportunity` for each; an id that names none is in `failed`, and the \
                 others are moved all the same. Set `skip_automations`, or name actions in \
                 `skip_action_ids`, so that no contact is flooded.",
            )
            .bulk()
            .write(|tx, who, [], input: BulkMove| {
                opportunities::bulk_move(tx, who, &input).map(Moved)
            }),
    ]
}
