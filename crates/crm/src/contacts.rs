//! Contacts: the people that one sells to.

use store::{Db, Tx};
use uuid::Uuid;

use crate::audit::{self, Entity};
use crate::bulk::{self, Outcome, Records};
use crate::caller::Caller;
use crate::companies::Company;
use crate::email::Email;
use crate::error::{Error, Result};
use crate::events::{self, Automations, Trigger};
use crate::input::Patch;
use crate::links::{Linked, Links};
use crate::metadata::Metadata;
use crate::opportunities;
use crate::paging::{Page, PageRequest};
use crate::phone::{PhoneProblem, Region, landline, mobile_or_any};
use crate::public_ids::{self, Counter};
use crate::record::{self, Column, New, Writable};
use crate::search::{self, Document, Query, Search, Searchable};
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
        public_id: String,
    }
    write {
        /// The first name.
        solid first_name: Name,
        /// The last name.
        patch last_name: Name,
        /// The e-mail address.
        patch email: Email,
        /// The mobile number; kept in E.164, read in the workspace's country.
        /// A fixed line belongs in `landline`.
        patch phone: Text<64>,
        /// The fixed line; kept in E.164, read in the workspace's country.
        patch landline: Text<64>,
        /// The day of birth.
        patch date_of_birth: Date,
        /// What they do.
        patch job_title: Text<255>,
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
        display_name: String = |contact| full_name(&contact.first_name, contact.last_name.as_deref()),
        /// How a letter begins.
        greeting: String = |contact| format!("Hi {}", contact.first_name),
    }
}

impl Searchable for Contact {
    const INDEX: &'static str = "contact_search";
}

/// First and last name as one.
fn full_name(first: &str, last: Option<&str>) -> String {
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
    /// A page of contacts.
    pub struct ListContacts {
        /// Those found by this part of their name, e-mail address or phone number.
        optional search: Query,
        /// Those with this e-mail address, in any case.
        optional email: Text<254>,
        /// Those with this number, mobile or fixed, however it is typed.
        optional phone: Text<64>,
        /// Those that came from there.
        optional source: Text<255>,
        /// Those who work for this company.
        optional company_id ["customer_id"]: Uuid,
        /// Those created at this instant or later; a date means its start in UTC.
        optional created_after: Moment,
        /// Those created before this instant; a date means its start in UTC.
        optional created_before: Moment,
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
    let mut condition = record::all(who);
    condition
        .and_if("lower(t.email) = lower(?)", input.email.clone())
        .and_if("t.source = ?", input.source.clone())
        .and_if(
            "t.id in (select e.contact_id from employments e
                      where e.workspace_id = $1 and e.company_id = ?)",
            input.company_id,
        )
        .and_if(
            "t.created_at >= ?",
            input.created_after.map(|moment| moment.0),
        )
        .and_if(
            "t.created_at < ?",
            input.created_before.map(|moment| moment.0),
        );
    if let Some(phone) = &input.phone {
        let region = who.region(db)?;
        // A text that is no number can still be what an old record holds.
        let number = landline(phone, region).unwrap_or_else(|_| phone.to_string());
        condition.and(
            "(t.phone = ? or t.landline = ?)",
            [number.clone().into(), number.into()],
        );
    }
    if let Some(query) = &input.search {
        search::narrow::<Contact>(db, who, &mut condition, query)?;
    }
    record::page(db, condition, input.page)
}

/// The contacts found by `input`, best match first.
pub fn search(db: &Db<'_>, who: &Caller, input: &Search) -> Result<Page<Contact>> {
    search::search(db, who, input)
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

/// Deletes a contact; the opportunities that it was part of stay.
pub fn delete(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<()> {
    record::lock::<Contact>(tx, who, id)?;
    opportunities::unlink_contact(tx, who, id)?;
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
    bulk::create(tx, input.records, |tx, mut new: NewContact| {
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
    bulk::each_id(tx, &input.ids, |tx, id| delete(tx, who, id))
}

fn index(tx: &mut Tx<'_>, who: &Caller, contact: &Contact) -> Result<()> {
    let mut document = Document::default();
    document.text(Some(&contact.display_name));
    document.text(contact.email.as_deref());
    document.phone(contact.phone.as_deref());
    document.phone(contact.landline.as_deref());
    search::put::<Contact>(tx, who, contact.id, &contact.display_name, document)
}

fn read_phones(fields: &mut ContactFields, region: impl Fn() -> Result<Region>) -> Result<()> {
    read_phone("phone", &mut fields.phone, &region, mobile_or_any)?;
    read_phone("landline", &mut fields.landline, &region, landline)
}

/// Puts a phone number, if one is given, into E.164. Only then it is asked in
/// which `region` it is read.
pub(crate) fn read_phone(
    field: &'static str,
    phone: &mut Patch<Text<64>>,
    region: impl Fn() -> Result<Region>,
    read: fn(&str, Region) -> Result<String, PhoneProblem>,
) -> Result<()> {
    let Some(given) = phone.value() else {
        return Ok(());
    };
    let refused =
        |problem: PhoneProblem| Error::invalid(field, format!("{problem}. {}", problem.fix()));
    let number = read(given, region()?).map_err(refused)?;
    *phone = Text::read(&number)
        .map_err(|flaw| Error::invalid(field, flaw.message))?
        .map_or(Patch::Clear, Patch::Set);
    Ok(())
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
