//! Companies: the accounts that opportunities belong to.

use store::{Db, Tx};
use uuid::Uuid;

use crate::audit::{self, Entity};
use crate::bulk::{self, Outcome, Records};
use crate::caller::Caller;
use crate::contacts::Contact;
use crate::email::Email;
use crate::error::Result;
use crate::events::{self, Automations, Trigger};
use crate::exports::Exported;
use crate::links::{Linked, Links};
use crate::mentions;
use crate::metadata::Metadata;
use crate::opportunities;
use crate::paging::{Page, PageRequest};
use crate::phone::{self, Phone, Reading, Region, any_number};
use crate::public_ids::{self, Counter};
use crate::record::{self, Column, New, Writable};
use crate::search::{self, Document, Query, Reach, Search, Searchable};
use crate::sql::Condition;
use crate::text::{Name, Notes, Text};
use crate::time::{Moment, Timestamp};

crate::record! {
    /// A company: an account that opportunities belong to.
    pub struct Company in "companies", called "company";
    /// The writable fields of a company.
    pub struct CompanyFields;
    read {
        /// Its id; ids sort by age.
        id: Uuid,
        /// Its number within the workspace, never reused: `A-001`.
        #[schemars(example = &"A-001")]
        public_id: String,
    }
    write {
        /// The company's name.
        solid name: Name = "Engines & Sons",
        /// The e-mail address.
        patch email: Email = "office@example.com",
        /// The phone number; kept in E.164, read in the workspace's country.
        patch phone: Phone = "+61298765432",
        /// The fixed line; kept in E.164, read in the workspace's country.
        patch landline: Phone,
        /// What line of business it is in.
        patch industry: Text<255> = "Machinery",
        /// Its website.
        patch website: Text<2000> = "https://example.com",
        /// What kind of account it is.
        patch account_type: Text<255>,
        /// Notes, up to 100,000 characters.
        patch notes: Notes,
        /// Custom field values by their key; a PATCH replaces all of them.
        plain metadata: Metadata,
    }
    kept {
        /// When it was created.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
    }
}

impl Company {
    /// What it is found by.
    pub(crate) fn reach(&self) -> Reach<'_> {
        Reach {
            name: Some(&self.name),
            email: self.email.as_deref(),
            phone: self.phone.as_deref(),
            landline: self.landline.as_deref(),
        }
    }
}

impl Searchable for Company {
    const INDEX: &'static str = "company_search";
}

crate::input! {
    /// A new company.
    pub struct NewCompany {
        flatten fields: New<CompanyFields>,
        flatten automations: Automations,
    }
}

crate::input! {
    /// What changes of a company.
    pub struct CompanyUpdate {
        flatten fields: CompanyFields,
        flatten automations: Automations,
    }
}

crate::input! {
    /// Which companies are listed.
    pub struct CompanyFilter {
        /// Those found by this part of their name, e-mail address or phone number.
        optional search: Query = "engines",
        /// Those in this line of business.
        optional industry: Text<255>,
        /// Those of this kind of account.
        optional account_type: Text<255>,
        /// Those created at this instant or later; a date means its start in UTC.
        optional created_after: Moment,
        /// Those created before this instant; a date means its start in UTC.
        optional created_before: Moment,
    }
}

crate::input! {
    /// A page of companies.
    pub struct ListCompanies {
        flatten filter: CompanyFilter,
        flatten page: PageRequest,
    }
}

crate::input! {
    /// Companies to create.
    pub struct BulkCreate {
        /// The companies: 1 to 100, each as in POST /companies.
        required records: Records<NewCompany>,
        flatten automations: Automations,
    }
}

/// A page of the companies, newest first.
pub fn list(db: &Db<'_>, who: &Caller, input: &ListCompanies) -> Result<Page<Company>> {
    record::page(db, listed(db, who, &input.filter)?, input.page)
}

/// The condition of the companies that `filter` lets through.
pub(crate) fn listed(db: &Db<'_>, who: &Caller, filter: &CompanyFilter) -> Result<Condition> {
    let mut condition = record::all(who);
    condition
        .and_if("t.industry = ?", filter.industry.clone())
        .and_if("t.account_type = ?", filter.account_type.clone())
        .and_if(
            "t.created_at >= ?",
            filter.created_after.map(|moment| moment.0),
        )
        .and_if(
            "t.created_at < ?",
            filter.created_before.map(|moment| moment.0),
        );
    if let Some(query) = &filter.search {
        search::narrow::<Company>(db, who, &mut condition, query)?;
    }
    Ok(condition)
}

impl Exported for Company {
    const NAME: &'static str = "companies";
    const OLD_NAME: Option<&'static str> = Some("customers");
    const SCOPE: &'static str = "companies:read";
    type Filter = CompanyFilter;

    fn page(
        db: &Db<'_>,
        who: &Caller,
        filter: &CompanyFilter,
        request: PageRequest,
    ) -> Result<Page<Self>> {
        record::page(db, listed(db, who, filter)?, request)
    }
}

/// The companies found by `input`, best match first.
pub fn search(db: &Db<'_>, who: &Caller, input: &Search) -> Result<Page<Company>> {
    search::search(db, who, input)
}

/// The companies of that name, in any case, the oldest first.
pub fn find_by_name(db: &Db<'_>, who: &Caller, name: &str) -> Result<Vec<Uuid>> {
    search::find_by_name::<Company>(db, who, name)
}

/// Creates a company.
pub fn create(tx: &mut Tx<'_>, who: &Caller, mut input: NewCompany) -> Result<Company> {
    read_phones(&mut input.fields.0, || who.region(tx))?;
    insert(tx, who, input)
}

/// Creates a company whose phone numbers have been read.
fn insert(tx: &mut Tx<'_>, who: &Caller, input: NewCompany) -> Result<Company> {
    let NewCompany {
        fields: New(mut fields),
        automations,
    } = input;
    fields.metadata.get_or_insert_default();
    let id = who.new_id();
    let mut columns = fields.columns();
    columns.push(Column {
        name: "public_id",
        value: public_ids::next(tx, who, Counter::Company)?.into(),
    });
    let company = record::insert::<Company>(tx, who, id, columns)?;
    index(tx, who, &company)?;
    events::emit(
        tx,
        who,
        &automations,
        Trigger::CustomerCreated,
        Entity::Company,
        id,
        serde_json::Map::new(),
    )?;
    Ok(company)
}

/// Changes the fields that are given.
pub fn update(tx: &mut Tx<'_>, who: &Caller, id: Uuid, input: CompanyUpdate) -> Result<Company> {
    let CompanyUpdate {
        mut fields,
        automations,
    } = input;
    let mut company = record::lock::<Company>(tx, who, id)?;
    read_phones(&mut fields, || who.region(tx))?;
    let changes = fields.apply(&mut company);
    if changes.is_empty() {
        return Ok(company);
    }
    company.updated_at = who.now;
    record::update::<Company>(tx, who, id, &changes, [])?;
    audit::log(tx, who, Entity::Company, id, &changes)?;
    let found_by = ["name", "email", "phone", "landline"];
    if changes
        .iter()
        .any(|change| found_by.contains(&change.column))
    {
        index(tx, who, &company)?;
        opportunities::reindex(tx, who, "o.company_id", id)?;
    }
    events::emit(
        tx,
        who,
        &automations,
        Trigger::CustomerUpdated,
        Entity::Company,
        id,
        events::update_data(&changes),
    )?;
    Ok(company)
}

/// Deletes a company; its opportunities and contacts stay, and what names it.
pub fn delete(tx: &mut Tx<'_>, who: &Caller, id: Uuid, automations: &Automations) -> Result<()> {
    record::lock::<Company>(tx, who, id)?;
    opportunities::unlink_company(tx, who, id, automations)?;
    mentions::clear(tx, who, mentions::OF_COMPANY, id)?;
    search::remove::<Company>(tx, who, id)?;
    record::delete::<Company>(tx, who, id)
}

/// Creates companies.
pub fn bulk_create(
    tx: &mut Tx<'_>,
    who: &Caller,
    input: BulkCreate,
) -> Result<Outcome<usize, Company>> {
    let automations = input.automations;
    let region = who.region(tx)?;
    bulk::create(tx, "records", input.records, |tx, mut new: NewCompany| {
        new.automations.add(&automations);
        read_phones(&mut new.fields.0, || Ok(region))?;
        insert(tx, who, new)
    })
}

/// Deletes companies.
pub fn bulk_delete(
    tx: &mut Tx<'_>,
    who: &Caller,
    input: &bulk::Delete,
) -> Result<Outcome<Uuid, ()>> {
    bulk::each_id(tx, &input.ids, |tx, id| {
        delete(tx, who, id, &input.automations)
    })
}

fn index(tx: &mut Tx<'_>, who: &Caller, company: &Company) -> Result<()> {
    let mut document = Document::default();
    document.reach(company.reach());
    search::put::<Company>(tx, who, company.id, &company.name, document)
}

/// A company's `phone` is often its switchboard, so a fixed line is as good
/// there as a mobile number.
fn read_phones(fields: &mut CompanyFields, region: impl Fn() -> Result<Region>) -> Result<()> {
    let phone = ("phone", &mut fields.phone, any_number as Reading);
    let landline = ("landline", &mut fields.landline, any_number as Reading);
    phone::read_fields([phone, landline], region)
}

const EMPLOYEES: Links = Links {
    table: "employments",
    of: "company_id",
    to: "contact_id",
};

/// A page of the contacts who work for a company.
pub fn contacts(
    db: &Db<'_>,
    who: &Caller,
    id: Uuid,
    request: PageRequest,
) -> Result<Page<Linked<Contact>>> {
    record::check::<Company>(db, who, id)?;
    EMPLOYEES.page(db, who, id, request)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::testing::given;

    on_both_engines! {
        fn a_company_is_kept_changed_and_logged(tx, desk) {
            // The switchboard of a company is a fixed line.
            let made = create(tx, &desk.who, given(json!({ "name": "Acme", "phone": "02 9876 5432" })))?;
            assert_eq!((&*made.public_id, made.phone.as_deref()), ("A-001", Some("+61298765432")));
            let fields = json!({ "name": "Acme Ltd", "industry": "Roads", "phone": null });
            update(tx, &desk.who, made.id, given(fields))?;
            update(tx, &desk.who, made.id, given(json!({ "name": "Acme Ltd" })))?;
            assert_eq!(desk.log_of(tx, made.id)?, [
                ("name".to_owned(), json!("Acme"), json!("Acme Ltd")),
                ("phone".to_owned(), json!("+61298765432"), Json::Null),
                ("industry".to_owned(), Json::Null, json!("Roads")),
            ]);
            assert_eq!(desk.events_of(tx, made.id)?, ["customer_created", "customer_updated"]);
            let listed = list(tx, &desk.who, &given(json!({ "industry": "Roads", "search": "acme l" })))?;
            assert_eq!(listed.items[0].id, made.id);
            delete(tx, &desk.who, made.id, &Automations::default())?;
            assert!(search(tx, &desk.who, &given(json!({ "query": "acme" })))?.items.is_empty());
            assert_eq!(create(tx, &desk.who, given(json!({ "name": "Next" })))?.public_id, "A-002");
        }

        fn a_company_is_found_by_its_name_in_any_case_and_with_its_accents(tx, desk) {
            let first = create(tx, &desk.who, given(json!({ "name": "Börse" })))?.id;
            let second = create(tx, &desk.who, given(json!({ "name": "BÖRSE" })))?.id;
            create(tx, &desk.who, given(json!({ "name": "Borse" })))?;
            assert_eq!(find_by_name(tx, &desk.who, " börse ")?, [first, second]);
            assert!(find_by_name(tx, &desk.who, "Börs")?.is_empty());
            assert!(find_by_name(tx, &desk.stranger, "Börse")?.is_empty());
        }
    }
}
