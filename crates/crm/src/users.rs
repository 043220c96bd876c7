//! Users: the members of a workspace. Distinct from companies, whose routes
//! only look alike.

use store::{Db, Tx};
use uuid::Uuid;

use crate::caller::Caller;
use crate::email::Email;
use crate::error::{Error, Result};
use crate::mentions;
use crate::paging::{Page, PageRequest};
use crate::phone::{self, Phone, Reading, any_number};
use crate::record::{self, Writable};
use crate::text::{Name, Text};
use crate::time::Timestamp;

crate::words! {
    /// What a user may do.
    #[derive(Default)]
    pub enum Role {
        /// Everything.
        Admin = "client_admin",
        /// Change records.
        #[default]
        Editor = "client_editor",
        /// Look at records.
        Viewer = "client_viewer",
    }
}

crate::record! {
    /// A user: a member of the workspace.
    pub struct User in "members", called "user";
    /// The writable fields of a user.
    pub struct UserFields;
    read {
        /// Their id.
        id: Uuid,
    }
    write {
        /// Their address; no two users share one.
        patch email: Email = "grace@example.com",
        /// Their name.
        solid full_name: Name = "Grace Hopper",
        /// What they may do.
        plain role: Role,
        /// Their phone number.
        patch phone: Phone,
        /// What they do.
        patch job_title: Text<255> = "Account manager",
        /// False for those who have left.
        plain is_active: bool,
    }
    kept {
        /// When they became a member.
        created_at: Timestamp,
        /// When their record was last changed.
        updated_at: Timestamp,
    }
}

crate::input! {
    /// Which users are listed.
    pub struct UserFilter {
        /// Those with this role.
        optional role: Role,
        /// Those who are members still, or those who have left.
        optional is_active: bool,
        /// The user with this address, in any case.
        optional email: Email,
    }
}

crate::input! {
    /// A page of users.
    pub struct ListUsers {
        flatten filter: UserFilter,
        flatten page: PageRequest,
    }
}

crate::input! {
    /// Someone to invite.
    pub struct Invite {
        /// Their address; no two users share one.
        required email: Email = "grace@example.com",
        /// Their name.
        required full_name: Name = "Grace Hopper",
        /// What they may do; `client_editor` by default.
        defaulted role: Role,
        /// Their phone number.
        patch phone: Phone,
        /// What they do.
        patch job_title: Text<255> = "Account manager",
    }
}

/// A page of the users, newest first.
pub fn list(db: &Db<'_>, who: &Caller, input: &ListUsers) -> Result<Page<User>> {
    let ListUsers { filter, page } = input;
    let mut condition = record::all(who);
    condition
        .and_if("t.role = ?", filter.role)
        .and_if("t.is_active = ?", filter.is_active)
        .and_if("lower(t.email) = lower(?)", filter.email.clone());
    record::page(db, condition, *page)
}

/// The user with that e-mail address, in any case.
pub fn find_by_email(db: &Db<'_>, who: &Caller, email: &str) -> Result<Option<Uuid>> {
    Ok(db.query_opt(
        "select id from members where workspace_id = $1 and lower(email) = lower($2)",
        &store::params![who.workspace_id, email],
        |row| row.get(0),
    )?)
}

/// The users of that full name, in any case, the oldest first.
pub fn find_by_name(db: &Db<'_>, who: &Caller, full_name: &str) -> Result<Vec<Uuid>> {
    let wanted = full_name.trim().to_lowercase();
    // The engines fold the case of different letters. A workspace has few
    // enough members to look at each.
    let all = db.query(
        "select id, full_name from members where workspace_id = $1 order by id",
        &store::params![who.workspace_id],
        |row| Ok((row.get::<Uuid>(0)?, row.get::<String>(1)?)),
    )?;
    Ok(all
        .into_iter()
        .filter(|(_, name)| name.to_lowercase() == wanted)
        .map(|(id, _)| id)
        .collect())
}

/// Makes someone a member.
pub fn invite(tx: &mut Tx<'_>, who: &Caller, input: Invite) -> Result<User> {
    create(
        tx,
        who,
        UserFields {
            email: crate::input::Patch::Set(input.email),
            full_name: Some(input.full_name),
            role: Some(input.role),
            phone: input.phone,
            job_title: input.job_title,
            is_active: Some(true),
        },
    )
}

/// Makes a member, of whom an import may not know the address.
pub fn create(tx: &mut Tx<'_>, who: &Caller, mut fields: UserFields) -> Result<User> {
    fields.role.get_or_insert_default();
    fields.is_active.get_or_insert(true);
    prepare(tx, who, None, &mut fields)?;
    record::insert(tx, who, who.new_id(), fields.columns()).map_err(taken_meanwhile)
}

/// Changes the fields that are given.
pub fn update(tx: &mut Tx<'_>, who: &Caller, id: Uuid, mut fields: UserFields) -> Result<User> {
    let mut user = record::lock::<User>(tx, who, id)?;
    prepare(tx, who, Some(id), &mut fields)?;
    let changes = fields.apply(&mut user);
    if !changes.is_empty() {
        user.updated_at = who.now;
    }
    record::update::<User>(tx, who, id, &changes, []).map_err(taken_meanwhile)?;
    Ok(user)
}

/// Ends a membership; the next user of each of their opportunities takes over, and
/// their tasks and work orders are nobody's.
pub fn delete(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<()> {
    record::lock::<User>(tx, who, id)?;
    crate::opportunities::unassign_everywhere(tx, who, id)?;
    mentions::clear(tx, who, mentions::OF_USER, id)?;
    record::delete::<User>(tx, who, id)
}

fn prepare(tx: &Tx<'_>, who: &Caller, id: Option<Uuid>, fields: &mut UserFields) -> Result<()> {
    let phone = ("phone", &mut fields.phone, any_number as Reading);
    phone::read_fields([phone], || who.region(tx))?;
    let Some(email) = fields.email.value() else {
        return Ok(());
    };
    match find_by_email(tx, who, email)? {
        Some(other) if Some(other) != id => Err(taken()),
        _ => Ok(()),
    }
}

fn taken() -> Error {
    Error::conflict(
        "A user with this address exists already",
        "Use another address, or PATCH the user who has it; \
         GET /company/users?email= finds them.",
    )
}

/// The error of someone who looked whether an address was free at the same
/// time as another who took it.
fn taken_meanwhile(error: Error) -> Error {
    match error {
        Error::Store(store::Error::UniqueViolation { constraint })
            if constraint == "members_by_email" =>
        {
            taken()
        }
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{attempt, given, outcome};

    fn person(email: &str) -> Invite {
        given(json!({ "full_name": "Kim", "email": email }))
    }

    on_both_engines! {
        fn no_two_users_share_an_address_whatever_its_case(tx, desk) {
            let kim = invite(tx, &desk.who, person("Kim@Example.com"))?;
            assert_eq!((kim.role, kim.is_active), (Role::Editor, true));
            assert_eq!(attempt(tx, |tx| invite(tx, &desk.who, person("kim@example.COM"))), "conflict");
            let lee = invite(tx, &desk.who, person("lee@example.com"))?;
            let taken = given(json!({ "email": "KIM@example.com" }));
            assert_eq!(attempt(tx, |tx| update(tx, &desk.who, lee.id, taken)), "conflict");
            let own = given(json!({ "email": "kim@EXAMPLE.com" }));
            assert_eq!(attempt(tx, |tx| update(tx, &desk.who, kim.id, own)), "done");
            let found = list(tx, &desk.who, &given(json!({ "email": "KIM@EXAMPLE.COM" })))?;
            assert_eq!(found.items[0].id, kim.id);
            invite(tx, &desk.stranger, person("kim@example.com"))?;
        }

        fn an_import_may_not_know_the_address(tx, desk) {
            for _ in 0..2 {
                let fields = given(json!({ "full_name": "Unknown" }));
                create(tx, &desk.who, fields)?;
            }
            let unknown = list(tx, &desk.who, &given(json!({ "role": "client_editor" })))?;
            assert_eq!(unknown.items.len(), 2);
        }

        fn the_users_of_another_workspace_do_not_exist(tx, desk) {
            let kim = invite(tx, &desk.who, person("kim@example.com"))?.id;
            let who = &desk.stranger;
            let rename = given(json!({ "full_name": "x" }));
            assert_eq!(attempt(tx, |tx| update(tx, who, kim, rename)), "not found: user");
            assert_eq!(attempt(tx, |tx| delete(tx, who, kim)), "not found: user");
            let names: Vec<_> = list(tx, who, &given(json!({})))?.items.iter().map(|one| one.full_name.to_string()).collect();
            assert_eq!(names, ["Administrator"]);
        }

        async fn of_two_who_take_an_address_at_once_the_second_is_told_that_it_is_taken(world) {
            let (first, second) = world
                .overlapping(
                    |tx, desk| invite(tx, &desk.who, person("kim@example.com")),
                    |tx, desk| invite(tx, &desk.who, person("KIM@example.com")),
                )
                .await;
            assert_eq!([outcome(first), outcome(second)], ["done", "conflict"]);
        }
    }
}
