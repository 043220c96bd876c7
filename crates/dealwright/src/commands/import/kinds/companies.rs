//! Rows that become companies.

use crm::companies::{self, CompanyFields, NewCompany};
use crm::events::Automations;
use crm::imports;
use crm::record::New;
use store::Db;
use uuid::Uuid;

use super::{Desk, Draft, Field, Kind, fields_of};

/// The accounts that opportunities belong to.
#[derive(Debug)]
pub(in super::super) struct Companies;

impl Kind for Companies {
    fn name(&self) -> &'static str {
        "companies"
    }

    fn entry(&self) -> imports::Kind {
        imports::Kind::Company
    }

    fn fields(&self) -> Vec<Field> {
        fields_of::<New<CompanyFields>>(&[], &[])
    }

    fn natural_key(&self, draft: &Draft) -> Option<String> {
        draft.text("name").map(str::to_owned)
    }

    fn find(&self, db: &Db<'_>, who: &crm::Caller, name: &str) -> crm::Result<Vec<Uuid>> {
        companies::find_by_name(db, who, name)
    }

    fn create(&self, desk: &mut Desk<'_, '_>, draft: &Draft) -> crm::Result<Uuid> {
        let new = NewCompany {
            fields: draft.read()?,
            automations: Automations::skipped(),
        };
        Ok(companies::create(desk.tx, desk.who, new)?.id)
    }
}
