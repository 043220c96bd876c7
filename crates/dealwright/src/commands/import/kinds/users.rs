//! Rows that become users.

use crm::imports;
use crm::record::New;
use crm::users::{self, UserFields};
use store::Db;
use uuid::Uuid;

use super::{Desk, Draft, Field, Kind, fields_of};

/// Members of the workspace, of whom no address need be known.
#[derive(Debug)]
pub(in super::super) struct Users;

impl Kind for Users {
    fn name(&self) -> &'static str {
        "users"
    }

    fn entry(&self) -> imports::Kind {
        imports::Kind::User
    }

    fn fields(&self) -> Vec<Field> {
        fields_of::<New<UserFields>>(&[], &[])
    }

    fn has_metadata(&self) -> bool {
        false
    }

    /// The address where one is given: of two with the same name and another
    /// address, neither is the other.
    fn natural_key(&self, draft: &Draft) -> Option<String> {
        let key = draft.text("email").or_else(|| draft.text("full_name"));
        key.map(str::to_owned)
    }

    fn names(&self, draft: &Draft) -> Vec<String> {
        ["email", "full_name"]
            .iter()
            .filter_map(|name| draft.text(name).map(str::to_owned))
            .collect()
    }

    fn find(&self, db: &Db<'_>, who: &crm::Caller, name: &str) -> crm::Result<Vec<Uuid>> {
        match users::find_by_email(db, who, name)? {
            Some(id) => Ok(vec![id]),
            None => users::find_by_name(db, who, name),
        }
    }

    fn create(&self, desk: &mut Desk<'_, '_>, draft: &Draft) -> crm::Result<Uuid> {
        let New(fields) = draft.read::<New<UserFields>>()?;
        if let Some(email) = fields.email.value() {
            desk.check_unplanned(self, email)?;
        }
        Ok(users::create(desk.tx, desk.who, fields)?.id)
    }
}
