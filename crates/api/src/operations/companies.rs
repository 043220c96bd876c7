//! `/companies`, once called `/customers`.

use crm::activities;
use crm::bulk;
use crm::companies::{self, BulkCreate, Company, CompanyUpdate, ListCompanies, NewCompany};
use crm::events::Automations;
use crm::input::Nothing;
use crm::opportunities::{self, ListOf, Of};
use crm::paging::PageRequest;
use crm::record;
use crm::search::Search;

use crate::envelope::{Created, Deleted, One};
use crate::operation::Operation;

const READ: &[&str] = &["companies:read"];
const WRITE: &[&str] = &["companies:write"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/companies", "list_companies")
            .scopes(READ)
            .about(
                "List companies",
                "The newest first. All filters may be combined. To find one by a part of its name \
                 use `search_companies`. Follow `pagination.next_cursor` for older ones.",
            )
            .long()
            .read(|db, who, [], input: ListCompanies| companies::list(db, who, &input)),
        Operation::get("/companies/:id", "get_company")
            .scopes(READ)
            .cached()
            .about(
                "Get a company",
                "One company by its id. Who works there comes by `list_company_contacts`, what is \
                 sold to it by `list_company_opportunities`.",
            )
            .read(|db, who, [id], _: Nothing| record::get::<Company>(db, who, id).map(One)),
        Operation::post("/companies", "create_company")
            .scopes(WRITE)
            .about(
                "Create a company",
                "An organisation that the business sells to or buys from. Look by \
                 `search_companies` first: nothing keeps two from having the same name. Phone \
                 numbers are kept in E.164, read in the workspace's country.",
            )
            .write(|tx, who, [], input: NewCompany| companies::create(tx, who, input).map(Created)),
        Operation::patch("/companies/:id", "update_company")
            .scopes(WRITE)
            .about(
                "Update a company",
                "Changes the fields that are sent; `null` clears one that may be empty; \
                 `metadata` is replaced as a whole. Each field that really changes is written to \
                 the change log.",
            )
            .write(|tx, who, [id], input: CompanyUpdate| {
                companies::update(tx, who, id, input).map(One)
            }),
        Operation::delete("/companies/:id", "delete_company")
            .scopes(WRITE)
            .about(
                "Delete a company",
                "Its opportunities, contacts, tasks, activities and invoices stay, without it, and \
                 so do the costs that name it as their supplier. It can't be undone.",
            )
            .write(|tx, who, [id], automations: Automations| {
                companies::delete(tx, who, id, &automations)
            }),
        Operation::post("/companies/search", "search_companies")
            .scopes(READ)
            .about(
                "Search companies",
                "Finds a text anywhere in a company's name, e-mail address or phone number, in \
                 any case, with or without accents. The best match comes first, then the newest. \
                 For people use `search_contacts`.",
            )
            .long()
            .read(|db, who, [], input: Search| companies::search(db, who, &input)),
        Operation::get("/companies/:id/contacts", "list_company_contacts")
            .scopes(&["companies:read", "contacts:read"])
            .about(
                "List a company's contacts",
                "The people who work for it, each with `linked_at`. They are linked by \
                 `add_contact_employer`.",
            )
            .read(|db, who, [id], page: PageRequest| companies::contacts(db, who, id, page)),
        Operation::get("/companies/:id/opportunities", "list_company_opportunities")
            .scopes(&["companies:read", "opportunities:read"])
            .about(
                "List a company's opportunities",
                "Those whose `customer_id` is the company, the newest first. With other filters \
                 use `list_opportunities`.",
            )
            .read(|db, who, [id], input: ListOf| {
                opportunities::list_of(db, who, Of::Company(id), &input)
            }),
        Operation::get("/companies/:id/activities", "list_company_activities")
            .scopes(&["companies:read", "activities:read"])
            .about(
                "List a company's activities",
                "The calls, meetings and notes that name the company, the newest first.",
            )
            .read(|db, who, [id], page: PageRequest| {
                activities::list_of(db, who, activities::Of::Company(id), page)
            }),
        Operation::post("/companies/bulk-create", "bulk_create_companies")
            .scopes(WRITE)
            .about(
                "Create up to 100 companies",
                "Each record stands alone: what is in `created` is kept, what is in `errors` left \
                 no trace and may be sent again. For a single one use `create_company`.",
            )
            .bulk()
            .write(|tx, who, [], input: BulkCreate| companies::bulk_create(tx, who, input)),
        Operation::post("/companies/bulk-delete", "bulk_delete_companies")
            .scopes(&["companies:delete"])
            .overwrites()
            .about(
                "Delete up to 100 companies",
                "As `delete_company` for each; an id that names none is in `failed`, and the \
                 others are deleted all the same. It can't be undone.",
            )
            .bulk()
            .write(|tx, who, [], input: bulk::Delete| {
                companies::bulk_delete(tx, who, &input).map(Deleted)
            }),
    ]
}
