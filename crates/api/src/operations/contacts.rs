//! `/contacts`.

use crm::activities;
use crm::bulk;
use crm::contacts::{self, BulkCreate, Contact, ContactUpdate, ListContacts, NewContact};
use crm::events::Automations;
use crm::input::Nothing;
use crm::opportunities::{self, ListOf, Of};
use crm::paging::PageRequest;
use crm::record;
use crm::search::Search;

use crate::envelope::{Created, Deleted, One};
use crate::operation::Operation;

const READ: &[&str] = &["contacts:read"];
const WRITE: &[&str] = &["contacts:write"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/contacts", "list_contacts")
            .scopes(READ)
            .about(
                "List contacts",
                "The newest first. All filters may be combined; `email` and `phone` find one \
                 exactly. To find people by a part of a name use `search_contacts`. Follow \
                 `pagination.next_cursor` for older ones.",
            )
            .long()
            .read(|db, who, [], input: ListContacts| contacts::list(db, who, &input)),
        Operation::get("/contacts/:id", "get_contact")
            .scopes(READ)
            .cached()
            .about(
                "Get a contact",
                "One person by the id, with address, phone numbers and notes. Without the id, \
                 find it by `search_contacts`.",
            )
            .read(|db, who, [id], _: Nothing| record::get::<Contact>(db, who, id).map(One)),
        Operation::post("/contacts", "create_contact")
            .scopes(WRITE)
            .about(
                "Create a contact",
                "A person whom the business talks to. Look by `search_contacts` first: nothing \
                 keeps two contacts from having the same name. `phone` is for mobile numbers: \
                 what is certainly a fixed line belongs in `landline`. Both are kept in E.164, \
                 read in the workspace's country.",
            )
            .write(|tx, who, [], input: NewContact| contacts::create(tx, who, input).map(Created)),
        Operation::patch("/contacts/:id", "update_contact")
            .scopes(WRITE)
            .about(
                "Update a contact",
                "Changes the fields that are sent; `null` clears one that may be empty; \
                 `metadata` is replaced as a whole. Each field that really changes is written to \
                 the change log. Employers are linked by `add_contact_employer`.",
            )
            .write(|tx, who, [id], input: ContactUpdate| {
                contacts::update(tx, who, id, input).map(One)
            }),
        Operation::delete("/contacts/:id", "delete_contact")
            .scopes(WRITE)
            .about(
                "Delete a contact",
                "The person's opportunities, tasks and activities stay, without a contact. A contact \
                 who has made referrals can't be deleted: that is a conflict. It can't be undone.",
            )
            .write(|tx, who, [id], automations: Automations| {
                contacts::delete(tx, who, id, &automations)
            }),
        Operation::post("/contacts/search", "search_contacts")
            .scopes(READ)
            .about(
                "Search contacts",
                "Finds a text anywhere in a person's name, e-mail address or phone number, in any \
                 case, with or without accents. The best match comes first, then the newest. For \
                 exact filters use `list_contacts`, for companies `search_companies`.",
            )
            .long()
            .read(|db, who, [], input: Search| contacts::search(db, who, &input)),
        Operation::get("/contacts/:id/opportunities", "list_contact_opportunities")
            .scopes(&["contacts:read", "opportunities:read"])
            .about(
                "List a contact's opportunities",
                "Those that the person is the primary or an additional contact of, the newest \
                 first.",
            )
            .read(|db, who, [id], input: ListOf| {
                opportunities::list_of(db, who, Of::Contact(id), &input)
            }),
        Operation::get("/contacts/:id/activities", "list_contact_activities")
            .scopes(&["contacts:read", "activities:read"])
            .about(
                "List a contact's activities",
                "The calls, meetings and notes that name the contact, the newest first.",
            )
            .read(|db, who, [id], page: PageRequest| {
                activities::list_of(db, who, activities::Of::Contact(id), page)
            }),
        Operation::get("/contacts/:id/employers", "list_contact_employers")
            .scopes(&["contacts:read", "companies:read"])
            .about(
                "List a contact's employers",
                "The companies that the person works for, each with `linked_at`.",
            )
            .read(|db, who, [id], page: PageRequest| contacts::employers(db, who, id, page)),
        Operation::post("/contacts/:id/employers/:companyId", "add_contact_employer")
            .scopes(WRITE)
            .about(
                "Add an employer to a contact",
                "Notes that the person works for the company. Adding one twice is a conflict.",
            )
            .write(|tx, who, [id, company_id], _: Nothing| {
                contacts::add_employer(tx, who, id, company_id).map(Created)
            }),
        Operation::delete(
            "/contacts/:id/employers/:companyId",
            "remove_contact_employer",
        )
        .scopes(WRITE)
        .about(
            "Remove an employer from a contact",
            "Only the link goes; the company and the contact stay.",
        )
        .write(|tx, who, [id, company_id], _: Nothing| {
            contacts::remove_employer(tx, who, id, company_id)
        }),
        Operation::post("/contacts/bulk-create", "bulk_create_contacts")
            .scopes(WRITE)
            .about(
                "Create up to 100 contacts",
                "Each record stands alone: what is in `created` is kept, what is in `errors` left \
                 no trace and may be sent again. For a single one use `create_contact`.",
            )
            .bulk()
            .write(|tx, who, [], input: BulkCreate| contacts::bulk_create(tx, who, input)),
        Operation::post("/contacts/bulk-delete", "bulk_delete_contacts")
            .scopes(&["contacts:delete"])
            .overwrites()
            .about(
                "Delete up to 100 contacts",
                "As `delete_contact` for each; an id that names none is in `failed`, and the \
                 others are deleted all the same. It can't be undone.",
            )
            .bulk()
            .write(|tx, who, [], input: bulk::Delete| {
                contacts::bulk_delete(tx, who, &input).map(Deleted)
            }),
    ]
}
