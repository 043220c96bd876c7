//! The people of an opportunity: its additional contacts and its users.

use schemars::JsonSchema;
use serde::Serialize;
use store::{Db, Tx};
use uuid::Uuid;

use crate::caller::Caller;
use crate::contacts::Contact;
use crate::error::{Error, Result};
use crate::links::{Linked, Links};
use crate::paging::{self, Listing, Page, PageRequest};
use crate::record::{self, Columns, Record};
use crate::sql::Condition;
use crate::time::Timestamp;
use crate::users::User;

use super::Opportunity;

/// A user who is assigned to an opportunity.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AssignedUser {
    /// The user.
    #[serde(flatten)]
    pub user: User,
    /// True for the one who is in charge.
    pub is_primary: bool,
    /// Since when they are assigned.
    pub assigned_at: Timestamp,
}

impl AssignedUser {
    fn take(columns: &mut Columns<'_, '_>) -> Result<Self, store::Error> {
        Ok(Self {
            user: User::take(columns)?,
            is_primary: columns.take()?,
            assigned_at: columns.take()?,
        })
    }
}

const CONTACTS: Links = Links {
    table: "opportunity_contacts",
    of: "opportunity_id",
    to: "contact_id",
};

/// A page of the additional contacts.
pub fn contacts(
    db: &Db<'_>,
    who: &Caller,
    id: Uuid,
    request: PageRequest,
) -> Result<Page<Linked<Contact>>> {
    record::check::<Opportunity>(db, who, id)?;
    CONTACTS.page(db, who, id, request)
}

/// Adds a contact beside the primary one.
pub fn add_contact(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    contact_id: Uuid,
) -> Result<Linked<Contact>> {
    let opportunity = record::lock::<Opportunity>(tx, who, id)?;
    if opportunity.contact_id == Some(contact_id) {
        return Err(Error::conflict(
            "The contact is the opportunity's primary contact already",
            "Set contact_id of the opportunity to another contact first, or leave it as it is.",
        ));
    }
    CONTACTS.add(tx, who, id, contact_id)
}

/// Takes an additional contact off.
pub fn remove_contact(tx: &mut Tx<'_>, who: &Caller, id: Uuid, contact_id: Uuid) -> Result<()> {
    record::check::<Opportunity>(tx, who, id)?;
    CONTACTS.remove::<Contact>(tx, who, id, contact_id)
}

/// Takes a contact off a locked opportunity where it is an additional one: it
/// is becoming the primary one.
pub(super) fn drop_contact(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    contact_id: Uuid,
) -> Result<()> {
    CONTACTS.remove_if_there(tx, who, id, contact_id).map(drop)
}

/// The users of these opportunities, the primary one first, then by when they
/// were assigned.
pub(super) fn assigned(
    db: &Db<'_>,
    who: &Caller,
    ids: Vec<Uuid>,
) -> Result<Vec<(Uuid, AssignedUser)>> {
    Ok(db.query(
        &format!(
            "select {}, l.is_primary, l.assigned_at, l.opportunity_id
             from opportunity_users l
             join members t on t.workspace_id = l.workspace_id and t.id = l.user_id
             where l.workspace_id = $1 and l.opportunity_id {}
             order by l.is_primary desc, l.assigned_at, l.user_id",
            User::QUALIFIED,
            db.engine().any(2)
        ),
        &store::params![who.workspace_id, ids],
        |row| {
            let mut columns = Columns::of(row);
            let user = AssignedUser::take(&mut columns)?;
            Ok((columns.take()?, user))
        },
    )?)
}

/// A page of the assigned users.
pub fn users(
    db: &Db<'_>,
    who: &Caller,
    id: Uuid,
    request: PageRequest,
) -> Result<Page<AssignedUser>> {
    record::check::<Opportunity>(db, who, id)?;
    let mut condition = Condition::in_workspace("l", who.workspace_id);
    condition.and("l.opportunity_id = ?", [id.into()]);
    let columns = format!("{}, l.is_primary, l.assigned_at", User::QUALIFIED);
    let listing = Listing {
        columns: &columns,
        from: "opportunity_users l
               join members t on t.workspace_id = l.workspace_id and t.id = l.user_id",
        id: "l.user_id",
    };
    paging::page(
        db,
        listing,
        condition,
        request,
        |link: &AssignedUser| link.user.id,
        |row| AssignedUser::take(&mut Columns::of(row)),
    )
}

/// Assigns a user; the first one becomes the primary one.
pub fn assign_user(tx: &mut Tx<'_>, who: &Caller, id: Uuid, user_id: Uuid) -> Result<AssignedUser> {
    // Locked, so that two who are assigned first at once don't both become
    // the primary one.
    record::lock::<Opportunity>(tx, who, id)?;
    let user = record::share::<User>(tx, who, user_id)?;
    let is_primary = next_in_charge(tx, who, id)?.is_none();
    let added = tx.execute(
        "insert into opportunity_users
             (workspace_id, opportunity_id, user_id, is_primary, assigned_at)
         values ($1, $2, $3, $4, $5) on conflict do nothing",
        &store::params![who.workspace_id, id, user_id, is_primary, who.now],
    )?;
    if added == 0 {
        return Err(Error::conflict(
            "The user is assigned to the opportunity already",
            "Nothing needs to be done; GET /opportunities/:id/users lists the assignments.",
        ));
    }
    Ok(AssignedUser {
        user,
        is_primary,
        assigned_at: who.now,
    })
}

/// Takes a user off; if it was the primary one, the next becomes it.
pub fn unassign_user(tx: &mut Tx<'_>, who: &Caller, id: Uuid, user_id: Uuid) -> Result<()> {
    record::lock::<Opportunity>(tx, who, id)?;
    if take_off(tx, who, id, user_id)? {
        Ok(())
    } else {
        Err(record::not_linked::<User>(tx, who, user_id))
    }
}

/// Takes a user off a locked opportunity; false if they were not assigned.
fn take_off(tx: &mut Tx<'_>, who: &Caller, id: Uuid, user_id: Uuid) -> Result<bool> {
    let was_primary = tx.query_opt(
        "delete from opportunity_users
         where workspace_id = $1 and opportunity_id = $2 and user_id = $3
         returning is_primary",
        &store::params![who.workspace_id, id, user_id],
        |row| row.get::<bool>(0),
    )?;
    if was_primary == Some(true) {
        promote(tx, who, id)?;
    }
    Ok(was_primary.is_some())
}

/// Takes a user off every opportunity.
pub(crate) fn unassign_everywhere(tx: &mut Tx<'_>, who: &Caller, user_id: Uuid) -> Result<()> {
    let ids = tx.query(
        "select opportunity_id from opportunity_users where workspace_id = $1 and user_id = $2",
        &store::params![who.workspace_id, user_id],
        |row| row.get::<Uuid>(0),
    )?;
    for id in ids {
        // An opportunity that has gone meanwhile took its assignments along.
        if record::lock_if_there::<Opportunity>(tx, who, id)?.is_some() {
            take_off(tx, who, id, user_id)?;
        }
    }
    Ok(())
}

/// Puts the one who was assigned first in charge.
fn promote(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<()> {
    if let Some(next) = next_in_charge(tx, who, id)? {
        tx.execute(
            "update opportunity_users set is_primary = true
             where workspace_id = $1 and opportunity_id = $2 and user_id = $3",
            &store::params![who.workspace_id, id, next],
        )?;
    }
    Ok(())
}

fn next_in_charge(db: &Db<'_>, who: &Caller, id: Uuid) -> Result<Option<Uuid>> {
    Ok(db.query_opt(
        "select user_id from opportunity_users
         where workspace_id = $1 and opportunity_id = $2
         order by is_primary desc, assigned_at, user_id limit 1",
        &store::params![who.workspace_id, id],
        |row| row.get(0),
    )?)
}
