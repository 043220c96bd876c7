//! Rows that become contacts.

use crm::contacts::{self, ContactFields, NewContact};
use crm::events::Automations;
use crm::imports;
use crm::record::New;
use store::Db;
use uuid::Uuid;

use super::{Companies, Desk, Draft, Field, Kind, fields_of};

/// The people that one sells to.
#[derive(Debug)]
pub(in super::super) struct Contacts;

impl Kind for Contacts {
    fn name(&self) -> &'static str {
        "contacts"
    }

    fn entry(&self) -> imports::Kind {
        imports::Kind::Contact
    }

    fn fields(&self) -> Vec<Field> {
        fields_of::<New<ContactFields>>(&[], &["company"])
    }

    /// The address only: many people have the same name.
    fn natural_key(&self, draft: &Draft) -> Option<String> {
        draft.text("email").map(str::to_owned)
    }

    fn find(&self, db: &Db<'_>, who: &crm::Caller, name: &str) -> crm::Result<Vec<Uuid>> {
        contacts::find_by_email(db, who, name)
    }

    fn create(&self, desk: &mut Desk<'_, '_>, draft: &Draft) -> crm::Result<Uuid> {
        let company = desk.link(&Companies, "company", draft.own("company"))?;
        let new = NewContact {
            fields: draft.read()?,
            automations: Automations::skipped(),
        };
        let contact = contacts::create(desk.tx, desk.who, new)?;
        if let Some(company) = company {
            contacts::add_employer(desk.tx, desk.who, contact.id, company)?;
        }
        Ok(contact.id)
    }
}
