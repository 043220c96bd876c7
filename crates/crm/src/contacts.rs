//! Contacts: the people that one sells to.

use store::{Db, Tx};
use uuid::Uuid;

use crate::audit::{self, Entity};
use crate::bulk::{self, Outcome, Records};
use crate::caller::Caller;
use crate::companies::Company;
use crate::email::Email;
use crate::error::Result;
use crate::events::{self, Automations, Trigger};
use crate::exports::{self, Beside, Exported};
use crate::links::{Linked, Links};
use crate::mentions;
use crate::metadata::Metadata;
use crate::opportunities;
use crate::paging::{Page, PageRequest};
use crate::phone::{self, Phone, Reading, Region, any_number, mobile_or_any};
use crate::public_ids::{self, Counter};
use crate::record::{self, Column, New, Writable};
use crate::referrals;
use crate::search::{self, Document, Query, Reach, Search, Searchable};
use crate::sql::Condition;
use crate::text::{Name, Notes, Text};
use crate::time::{Date, Moment, Timestamp};

crate::record! {
    /// A contact: a person that one sells to.
    pub struct Contact in "contacts", called "contact";
    /// The writable fields of a contact.
    pub struct ContactFields;
    read {
        /// Its id; ids sort by age.
        id: Uuid,
        /// Its number within the workspace, never reused: `C-001`.
        #[schemars(example = &"C-001")]
        public_id: String,
    }
    write {
        /// The first name.
        solid first_name: Name = "Ada",
        /// The last name.
        patch last_name: Name = "Lovelace",
        /// The e-mail address.
        patch email: Email = "ada@example.com",
        /// The mobile number; kept in E.164, read in the workspace's country.
        /// A fixed line belongs in `landline`.
        patch phone: Phone = "+61412345678",
        /// The fixed line; kept in E.164, read in the workspace's country.
        patch landline: Phone,
        /// The day of birth.
        patch date_of_birth: Date = null,
        /// What they do.
        patch job_title: Text<255> = "Analyst",
        /// Where the contact came from.
        patch source: Text<255>,
        /// What kind of contact it is.
        patch contact_type: Text<255>,
        /// Notes, up to 100,000 characters.
        patch notes: Notes,
        /// Custom field values by their key; a PATCH replaces all of them.
        plain metadata: Metadata,
        /// Street and number.
        patch address_line1: Text<255>,
        /// City.
        patch city: Text<255>,
        /// State or region.
        patch state: Text<255>,
        /// Postal code.
        patch postal_code: Text<32>,
        /// Country.
        patch country: Text<255>,
        /// True when they want no e-mail.
        plain email_unsubscribed: bool,
        /// True when they want no text messages.
        plain sms_unsubscribed: bool,
    }
    kept {
        /// When it was created.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
    }
    derived {
        /// First and last name.
        #[schemars(example = &"Ada Lovelace")]
        display_name: String = |contact| full_name(&contact.first_name, contact.last_name.as_deref()),
        /// How a letter begins.
        #[schemars(example = &"Hi Ada")]
        greeting: String = |contact| format!("Hi {}", contact.first_name),
    }
}

impl Contact {
    /// What it is found by.
    pub(crate) fn reach(&self) -> Reach<'_> {
        Reach {
            name: Some(&self.display_name),
            email: self.email.as_deref(),
            phone: self.phone.as_deref(),
            landline: self.landline.as_deref(),
        }
    }
}

impl Searchable for Contact {
    const INDEX: &'static str = "contact_search";
}

/// First and last name as one.
pub(crate) fn full_name(first: &str, last: Option<&str>) -> String {
    match last {
        Some(last) => format!("{first} {last}"),
        None => first.to_owned(),
    }
}

crate::input! {
    /// A new contact.
    pub struct NewContact {
        flatten fields: New<ContactFields>,
        flatten automations: Automations,
    }
}

crate::input! {
    /// What changes of a contact.
    pub struct ContactUpdate {
        flatten fields: ContactFields,
        flatten automations: Automations,
    }
}

crate::input! {
    /// Which contacts are listed.
    pub struct ContactFilter {
        /// Those found by this part of their name, e-mail address or phone number.
        optional search: Query = "lovelace",
        /// Those with this e-mail address, in any case.
        optional email: Text<254>,
        /// Those with this number, mobile or fixed, however it is typed.
        optional phone: Text<64> = "0412 345 678",
        /// Those that came from there.
        optional source: Text<255>,
        /// Those who work for this company.
        optional company_id ["customer_id"]: Uuid,
        /// Those created at this instant or later; a date means its start in UTC.
        optional created_after: Moment,
        /// Those created before this instant; a date means its start in UTC.
        optional created_before: Moment,
    }
}

crate::input! {
    /// A page of contacts.
    pub struct ListContacts {
        flatten filter: ContactFilter,
        flatten page: PageRequest,
    }
}

crate::input! {
    /// Contacts to create.
    pub struct BulkCreate {
        /// The contacts: 1 to 100, each as in POST /contacts.
        required records: Records<NewContact>,
        flatten automations: Automations,
    }
}

/// A page of the contacts, newest first.
pub fn list(db: &Db<'_>, who: &Caller, input: &ListContacts) -> Result<Page<Contact>> {
    record::page(db, listed(db, who, &input.filter)?, input.page)
}

/// The condition of the contacts that `filter` lets through.
pub(crate) fn listed(db: &Db<'_>, who: &Caller, filter: &ContactFilter) -> Result<Condition> {
    let mut condition = record::all(who);
    condition
        .and_if("lower(t.email) = lower(?)", filter.email.clone())
        .and_if("t.source = ?", filter.source.clone())
        .and_if(
            "t.id in (select e.contact_id from employments e
                      where e.workspace_id = $1 and e.company_id = ?)",
            filter.company_id,
        )
        .and_if(
            "t.created_at >= ?",
            filter.created_after.map(|moment| moment.0),
        )
        .and_if(
            "t.created_at < ?",
            filter.created_before.map(|moment| moment.0),
        );
    if let Some(phone) = &filter.phone {
        let region = who.region(db)?;
        // A text that is no number can still be what an old record holds.
        let number = any_number(phone, region).unwrap_or_else(|_| phone.to_string());
        condition.and(
            "(t.phone = ? or t.landline = ?)",
            [number.clone().into(), number.into()],
        );
    }
    if let Some(query) = &filter.search {
        search::narrow::<Contact>(db, who, &mut condition, query)?;
    }
    Ok(condition)
}

impl Exported for Contact {
    const NAME: &'static str = "contacts";
    const SCOPE: &'static str = "contacts:read";
    const BESIDE: &'static [Beside] = &[Beside {
        after: "job_title",
        heading: "employers",
    }];
    type Filter = ContactFilter;

    fn page(
        db: &Db<'_>,
        who: &Caller,
        filter: &ContactFilter,
        request: PageRequest,
    ) -> Result<Page<Self>> {
        record::page(db, listed(db, who, filter)?, request)
    }

    fn beside(db: &Db<'_>, who: &Caller, records: &mut [Self]) -> Result<Vec<Vec<String>>> {
        // Their list needs that scope as well.
        if !who.scopes.has("companies:read") {
            return Ok(vec![vec![String::new()]; records.len()]);
        }
        let ids: Vec<_> = records.iter().map(|contact| contact.id).collect();
        let mut employers = exports::joined_names(
            db,
            who,
            "select e.contact_id, c.name from employments e
             join companies c on c.workspace_id = e.workspace_id and c.id = e.company_id
             where e.workspace_id = $1 and e.contact_id",
            "c.id",
            &ids,
            |row| row.get(1),
        )?;
        let mut of = |contact: &Self| employers.remove(&contact.id).unwrap_or_default();
        Ok(records.iter().map(|contact| vec![of(contact)]).collect())
    }
}

/// The contacts found by `input`, best match first.
pub fn search(db: &Db<'_>, who: &Caller, input: &Search) -> Result<Page<Contact>> {
    search::search(db, who, input)
}

/// The contacts with that e-mail address, in any case, the oldest first.
pub fn find_by_email(db: &Db<'_>, who: &Caller, email: &str) -> Result<Vec<Uuid>> {
    Ok(db.query(
        "select id from contacts where workspace_id = $1 and lower(email) = lower($2)
         order by id",
        &store::params![who.workspace_id, email],
        |row| row.get(0),
    )?)
}

/// Creates a contact.
pub fn create(tx: &mut Tx<'_>, who: &Caller, mut input: NewContact) -> Result<Contact> {
    read_phones(&mut input.fields.0, || who.region(tx))?;
    insert(tx, who, input)
}

/// Creates a contact whose phone numbers have been read.
fn insert(tx: &mut Tx<'_>, who: &Caller, input: NewContact) -> Result<Contact> {
    let NewContact {
        fields: New(mut fields),
        automations,
    } = input;
    fields.metadata.get_or_insert_default();
    fields.email_unsubscribed.get_or_insert(false);
    fields.sms_unsubscribed.get_or_insert(false);
    let id = who.new_id();
    let mut columns = fields.columns();
    columns.push(Column {
        name: "public_id",
        value: public_ids::next(tx, who, Counter::Contact)?.into(),
    });
    let contact = record::insert::<Contact>(tx, who, id, columns)?;
    index(tx, who, &contact)?;
    events::emit(
        tx,
        who,
        &automations,
        Trigger::ContactCreated,
        Entity::Contact,
        id,
        serde_json::Map::new(),
    )?;
    Ok(contact)
}

/// Changes the fields that are given.
pub fn update(tx: &mut Tx<'_>, who: &Caller, id: Uuid, input: ContactUpdate) -> Result<Contact> {
    let ContactUpdate {
        mut fields,
        automations,
    } = input;
    let mut contact = record::lock::<Contact>(tx, who, id)?;
    read_phones(&mut fields, || who.region(tx))?;
    let changes = fields.apply(&mut contact);
    if changes.is_empty() {
        return Ok(contact);
    }
    contact.updated_at = who.now;
    record::update::<Contact>(tx, who, id, &changes, [])?;
    audit::log(tx, who, Entity::Contact, id, &changes)?;
    let found_by = ["first_name", "last_name", "email", "phone", "landline"];
    if changes
        .iter()
        .any(|change| found_by.contains(&change.column))
    {
        index(tx, who, &contact)?;
        opportunities::reindex(tx, who, "o.contact_id", id)?;
    }
    events::emit(
        tx,
        who,
        &automations,
        Trigger::ContactUpdated,
        Entity::Contact,
        id,
        events::update_data(&changes),
    )?;
    Ok(contact)
}

/// Deletes a contact; the opportunities that it was part of stay, and what names
/// it. One who has made referrals can't be deleted.
pub fn delete(tx: &mut Tx<'_>, who: &Caller, id: Uuid, automations: &Automations) -> Result<()> {
    record::lock::<Contact>(tx, who, id)?;
    referrals::refuse_referrer(tx, who, id)?;
    opportunities::unlink_contact(tx, who, id, automations)?;
    mentions::clear(tx, who, mentions::OF_CONTACT, id)?;
    search::remove::<Contact>(tx, who, id)?;
    record::delete::<Contact>(tx, who, id)
}

/// Creates contacts.
pub fn bulk_create(
    tx: &mut Tx<'_>,
    who: &Caller,
    input: BulkCreate,
) -> Result<Outcome<usize, Contact>> {
    let automations = input.automations;
    let region = who.region(tx)?;
    bulk::create(tx, "records", input.records, |tx, mut new: NewContact| {
        new.automations.add(&automations);
        read_phones(&mut new.fields.0, || Ok(region))?;
        insert(tx, who, new)
    })
}

/// Deletes contacts.
pub fn bulk_delete(
    tx: &mut Tx<'_>,
    who: &Caller,
    input: &bulk::Delete,
) -> Result<Outcome<Uuid, ()>> {
    bulk::each_id(tx, &input.ids, |tx, id| {
        delete(tx, who, id, &input.automations)
    })
}

fn index(tx: &mut Tx<'_>, who: &Caller, contact: &Contact) -> Result<()> {
    let mut document = Document::default();
    document.reach(contact.reach());
    search::put::<Contact>(tx, who, contact.id, &contact.display_name, document)
}

fn read_phones(fields: &mut ContactFields, region: impl Fn() -> Result<Region>) -> Result<()> {
    let phone = ("phone", &mut fields.phone, mobile_or_any as Reading);
    let landline = ("landline", &mut fields.landline, any_number as Reading);
    phone::read_fields([phone, landline], region)
}

const EMPLOYERS: Links = Links {
    table: "employments",
    of: "contact_id",
    to: "company_id",
};

/// A page of the companies that a contact works for.
pub fn employers(
    db: &Db<'_>,
    who: &Caller,
    id: Uuid,
    request: PageRequest,
) -> Result<Page<Linked<Company>>> {
    record::check::<Contact>(db, who, id)?;
    EMPLOYERS.page(db, who, id, request)
}

/// Notes that a contact works for a company.
pub fn add_employer(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    company_id: Uuid,
) -> Result<Linked<Company>> {
    record::share::<Contact>(tx, who, id)?;
    EMPLOYERS.add(tx, who, id, company_id)
}

/// Notes that a contact no longer works for a company.
pub fn remove_employer(tx: &mut Tx<'_>, who: &Caller, id: Uuid, company_id: Uuid) -> Result<()> {
    record::check::<Contact>(tx, who, id)?;
    EMPLOYERS.remove::<Company>(tx, who, id, company_id)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{Value as Json, json};

    use super::*;
    use crate::companies;
    use crate::testing::{attempt, given, refused};

    on_both_engines! {
        fn a_new_contact_has_its_defaults_and_its_names_put_together(tx, desk) {
            let made = create(tx, &desk.who, given(json!({
                "first_name": " Zoë ", "last_name": "  ", "date_of_birth": "1990-02-28",
                "metadata": null,
            })))?;
            assert_eq!((&*made.public_id, &*made.first_name), ("C-001", "Zoë"));
            assert_eq!(made.last_name, None);
            assert_eq!((&*made.display_name, &*made.greeting), ("Zoë", "Hi Zoë"));
            assert!(!made.email_unsubscribed && !made.sms_unsubscribed);
            let fields = given(json!({ "last_name": "Łopez" }));
            assert_eq!(update(tx, &desk.who, made.id, fields)?.display_name, "Zoë Łopez");
            assert_eq!(desk.events_of(tx, made.id)?, ["contact_created", "contact_updated"]);
            assert_eq!(desk.log_of(tx, made.id)?, [("last_name".to_owned(), Json::Null, json!("Łopez"))]);
        }

        fn phone_numbers_are_kept_in_e164_and_read_in_the_workspaces_country(tx, desk) {
            let numbers = json!({ "first_name": "Ada", "phone": "0412 345 678", "landline": "02 9876 5432" });
            let made = create(tx, &desk.who, given(numbers))?;
            assert_eq!(made.phone.as_deref(), Some("+61412345678"));
            assert_eq!(made.landline.as_deref(), Some("+61298765432"));
            let fixed = given(json!({ "phone": "02 9876 5432" }));
            let error = tx.savepoint(|tx| update(tx, &desk.who, made.id, fixed)).unwrap_err();
            assert_eq!(error.to_string(), "phone is a fixed line, not a mobile number");
            crate::workspaces::update(tx, &desk.who, given(json!({ "country": "gb" })))?;
            let british = given(json!({ "phone": "07400 123456" }));
            let changed = update(tx, &desk.who, made.id, british)?;
            assert_eq!(changed.phone.as_deref(), Some("+447400123456"));
            // The same number typed in another way is no change.
            let again = given(json!({ "phone": "+44 (0)7400 123 456", "landline": "+61 2 9876 5432" }));
            update(tx, &desk.who, made.id, again)?;
            assert_eq!(desk.log_of(tx, made.id)?.len(), 1);
            assert_eq!(update(tx, &desk.who, made.id, given(json!({ "phone": "" })))?.phone, None);
        }

        fn contacts_are_filtered_by_address_number_source_and_employer(tx, desk) {
            let company = desk.company(tx, "Acme")?.id;
            let ada = create(tx, &desk.who, given(json!({
                "first_name": "Ada", "email": "Ada@Example.com", "phone": "0412 345 678",
                "source": "Web",
            })))?.id;
            let ben = create(tx, &desk.who, given(json!({
                "first_name": "Ben", "landline": "02 9876 5432",
            })))?.id;
            add_employer(tx, &desk.who, ben, company)?;
            for (filter, expected) in [
                (json!({}), &[ben, ada][..]),
                (json!({ "email": "aDA@example.COM" }), &[ada]),
                (json!({ "email": "ada@example" }), &[]),
                (json!({ "phone": "+61 412 345 678" }), &[ada]),
                (json!({ "phone": "(02) 9876 5432" }), &[ben]),
                (json!({ "phone": "nobody" }), &[]),
                (json!({ "source": "Web" }), &[ada]),
                (json!({ "customer_id": company }), &[ben]),
                (json!({ "customer_id": ada }), &[]),
                (json!({ "search": "ada@" }), &[ada]),
                (json!({ "created_after": "2026-03-01" }), &[]),
            ] {
                let page = list(tx, &desk.who, &given(filter.clone()))?;
                let ids: Vec<_> = page.items.iter().map(|one| one.id).collect();
                assert_eq!(ids, expected, "{filter}");
            }
        }

        fn an_employment_is_noted_once_and_seen_from_both_sides(tx, desk) {
            let (ada, acme) = (desk.contact(tx, "Ada")?.id, desk.company(tx, "Acme")?.id);
            let row = add_employer(tx, &desk.who, ada, acme)?;
            assert_eq!((row.record.id, row.linked_at), (acme, desk.who.now));
            assert_eq!(attempt(tx, |tx| add_employer(tx, &desk.who, ada, acme)), "conflict");
            let employers = employers(tx, &desk.who, ada, PageRequest::default())?;
            let employees = companies::contacts(tx, &desk.who, acme, PageRequest::default())?;
            assert_eq!((employers.items[0].record.id, employees.items[0].record.id), (acme, ada));
            remove_employer(tx, &desk.who, ada, acme)?;
            assert_eq!(attempt(tx, |tx| remove_employer(tx, &desk.who, ada, acme)), "not linked: company");
            add_employer(tx, &desk.who, ada, acme)?;
            delete(tx, &desk.who, ada, &Automations::default())?;
            assert!(companies::contacts(tx, &desk.who, acme, PageRequest::default())?.items.is_empty());
        }

        fn a_bulk_call_reads_each_number_and_makes_what_is_right(tx, desk) {
            let outcome = bulk_create(tx, &desk.who, given(json!({ "skip_automations": true, "records": [
                { "first_name": "Ada", "phone": "0412 345 678" },
                { "first_name": "Ben", "phone": "02 9876 5432" },
                { "last_name": "Nobody", "email": "x" },
            ] })))?;
            assert_eq!(outcome.done[0].1.phone.as_deref(), Some("+61412345678"));
            assert!(desk.events_of(tx, outcome.done[0].1.id)?.is_empty());
            let failed = outcome.failed.into_iter();
            let failed: Vec<_> = failed
                .map(|(index, error)| (index, crate::testing::outcome::<()>(Err(error))))
                .collect();
            let expected = [(1, "invalid: phone"), (2, "invalid: first_name, email")];
            assert_eq!(failed, expected.map(|(index, what)| (index, what.to_owned())));
            let deleted = bulk_delete(tx, &desk.who, &given(json!({ "ids": [outcome.done[0].1.id] })))?;
            assert_eq!((deleted.done.len(), deleted.failed.len()), (1, 0));
        }

        fn the_contacts_and_companies_of_another_workspace_do_not_exist(tx, desk) {
            let (ada, acme) = (desk.contact(tx, "Ada")?.id, desk.company(tx, "Acme")?.id);
            add_employer(tx, &desk.who, ada, acme)?;
            let who = &desk.stranger;
            let own = create(tx, who, given(json!({ "first_name": "Own" })))?;
            assert_eq!(own.public_id, "C-001");
            let rename = json!({ "first_name": "x", "name": "x" });
            let page = PageRequest::default();
            for (result, what) in [
                (attempt(tx, |tx| update(tx, who, ada, given(rename.clone()))), "contact"),
                (attempt(tx, |tx| delete(tx, who, ada, &Automations::default())), "contact"),
                (attempt(tx, |tx| employers(tx, who, ada, page)), "contact"),
                (attempt(tx, |tx| add_employer(tx, who, ada, acme)), "contact"),
                (attempt(tx, |tx| add_employer(tx, who, own.id, acme)), "company"),
                (attempt(tx, |tx| remove_employer(tx, who, ada, acme)), "contact"),
                (attempt(tx, |tx| companies::update(tx, who, acme, given(rename.clone()))), "company"),
                (attempt(tx, |tx| companies::delete(tx, who, acme, &Automations::default())), "company"),
                (attempt(tx, |tx| companies::contacts(tx, who, acme, page)), "company"),
            ] {
                assert_eq!(result, format!("not found: {what}"));
            }
            let found = list(tx, who, &given(json!({ "customer_id": acme })))?;
            assert!(found.items.is_empty());
            assert!(companies::list(tx, who, &given(json!({})))?.items.is_empty());
            assert!(search(tx, who, &given(json!({ "query": "Ada" })))?.items.is_empty());
        }
    }

    #[test]
    fn a_contact_needs_a_first_name_and_an_address_that_could_be_one() {
        assert_eq!(
            refused::<NewContact>(json!({ "last_name": "x" })).missing,
            ["first_name"]
        );
        for email in ["x", "a@", "@b", "a@b@c", "a b@c.d", "a@b..c", "<a@b.c>"] {
            let problems = refused::<NewContact>(json!({ "first_name": "x", "email": email }));
            assert_eq!(problems.invalid[0].field, "email", "{email}");
        }
        given::<NewContact>(json!({ "first_name": "x", "email": "üñî+tag@exämple.com" }));
    }
}
