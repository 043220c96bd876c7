//! Activities: the calls, meetings and notes that tell what has happened.
//!
//! The newest one of an opportunity is its `last_activity_at`, which triggers
//! keep as activities come, change and go.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value as Json;
use store::{Db, Tx};
use uuid::Uuid;

use crate::caller::Caller;
use crate::companies::Company;
use crate::contacts::Contact;
use crate::error::Result;
use crate::input::{Flaw, FromJson, Patch};
use crate::mentions;
use crate::opportunities::Opportunity;
use crate::paging::{Page, PageRequest};
use crate::record::{self, New, Writable};
use crate::sql::Condition;
use crate::text::{Name, Notes, Text};
use crate::time::{Moment, Timestamp};

crate::words! {
    /// What kind of activity it is.
    pub enum ActivityType {
        /// Someone called.
        Call = "call",
        /// People met.
        Meeting = "meeting",
        /// Something was written down.
        Note = "note",
    }
}

/// How long something took, in whole minutes: at most a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Minutes(i64);

impl Minutes {
    const MAX: i64 = 366 * 24 * 60;
}

impl FromJson for Minutes {
    fn from_json(value: &Json) -> Result<Option<Self>, Flaw> {
        i64::from_json(value)
            .ok()
            .flatten()
            .filter(|minutes| (0..=Self::MAX).contains(minutes))
            .map(|minutes| Some(Self(minutes)))
            .ok_or_else(|| Flaw::new(format!("must be a whole number from 0 to {}", Self::MAX)))
    }
}

impl JsonSchema for Minutes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Minutes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0, "maximum": Self::MAX })
    }
}

impl store::FromColumn for Minutes {
    const EXPECTS: &'static str = "minutes";

    fn from_cell(cell: store::Cell<'_>) -> Option<Self> {
        i64::from_cell(cell).map(Self)
    }
}

impl From<Minutes> for store::Value {
    fn from(minutes: Minutes) -> Self {
        Self::Int(minutes.0)
    }
}

crate::record! {
    /// An activity: a call, a meeting or a note.
    pub struct Activity in "activities", called "activity";
    /// The writable fields of an activity.
    pub struct ActivityFields;
    read {
        /// Its id; ids sort by age.
        id: Uuid,
    }
    write {
        /// What kind of activity it is.
        solid activity_type: ActivityType,
        /// What it was about, in a line.
        solid subject: Name = "Went through the drawings",
        /// What happened, up to 100,000 characters.
        patch description: Notes,
        /// The contact with whom it was.
        patch contact_id: Uuid,
        /// The opportunity that it is about.
        patch opportunity_id ["deal_id"]: Uuid,
        /// The company that it is about.
        patch company_id ["customer_id"]: Uuid,
        /// When it took place; when it is created by default.
        plain occurred_at: Timestamp,
        /// How long it took, in minutes.
        patch duration_minutes: Minutes = 25,
        /// What came of it.
        patch outcome: Text<255> = "They want a second quote",
    }
    kept {
        /// When it was created.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
    }
}

crate::input! {
    /// Which activities are listed.
    pub struct ActivityFilter {
        /// Those of this kind.
        optional activity_type: ActivityType,
        /// Those with this contact.
        optional contact_id: Uuid,
        /// Those about this opportunity.
        optional opportunity_id ["deal_id"]: Uuid,
        /// Those about this company.
        optional company_id ["customer_id"]: Uuid,
        /// Those that took place at this instant or later; a date means its
        /// start in UTC.
        optional occurred_after: Moment,
        /// Those that took place before this instant; a date means its start in
        /// UTC.
        optional occurred_before: Moment,
        /// Those created at this instant or later; a date means its start in UTC.
        optional created_after: Moment,
        /// Those created before this instant; a date means its start in UTC.
        optional created_before: Moment,
    }
}

crate::input! {
    /// A page of activities.
    pub struct ListActivities {
        flatten filter: ActivityFilter,
        flatten page: PageRequest,
    }
}

/// A page of the activities, newest first.
pub fn list(db: &Db<'_>, who: &Caller, input: &ListActivities) -> Result<Page<Activity>> {
    record::page(db, condition(who, &input.filter), input.page)
}

/// The condition of the activities that `filter` lets through.
fn condition(who: &Caller, filter: &ActivityFilter) -> Condition {
    let instant = |moment: Option<Moment>| moment.map(|moment| moment.0);
    let mut condition = record::all(who);
    condition
        .and_if("t.activity_type = ?", filter.activity_type)
        .and_if("t.contact_id = ?", filter.contact_id)
        .and_if("t.opportunity_id = ?", filter.opportunity_id)
        .and_if("t.company_id = ?", filter.company_id)
        .and_if("t.occurred_at >= ?", instant(filter.occurred_after))
        .and_if("t.occurred_at < ?", instant(filter.occurred_before))
        .and_if("t.created_at >= ?", instant(filter.created_after))
        .and_if("t.created_at < ?", instant(filter.created_before));
    condition
}

/// Whose activities are listed.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    /// Those about the opportunity.
    Opportunity(Uuid),
    /// Those with the contact.
    Contact(Uuid),
    /// Those about the company.
    Company(Uuid),
}

/// A page of the activities that name another record, which must exist.
pub fn list_of(db: &Db<'_>, who: &Caller, of: Of, request: PageRequest) -> Result<Page<Activity>> {
    let (column, id) = match of {
        Of::Opportunity(id) => {
            record::check::<Opportunity>(db, who, id)?;
            ("opportunity_id", id)
        }
        Of::Contact(id) => {
            record::check::<Contact>(db, who, id)?;
            ("contact_id", id)
        }
        Of::Company(id) => {
            record::check::<Company>(db, who, id)?;
            ("company_id", id)
        }
    };
    let mut condition = record::all(who);
    condition.and(&format!("t.{column} = ?"), [id.into()]);
    record::page(db, condition, request)
}

/// Creates an activity.
pub fn create(tx: &mut Tx<'_>, who: &Caller, input: New<ActivityFields>) -> Result<Activity> {
    let New(mut fields) = input;
    hold_what_is_named(tx, who, &fields)?;
    mentions::lock_opportunities(tx, who, None, &fields.opportunity_id)?;
    fields.occurred_at.get_or_insert(who.now);
    record::insert(tx, who, who.new_id(), fields.columns())
}

/// Changes the fields that are given.
pub fn update(tx: &mut Tx<'_>, who: &Caller, id: Uuid, fields: ActivityFields) -> Result<Activity> {
    hold_what_is_named(tx, who, &fields)?;
    if fields.opportunity_id.is_given() || fields.occurred_at.is_some() {
        let before = record::get::<Activity>(tx, who, id)?.opportunity_id;
        mentions::lock_opportunities(tx, who, before, &fields.opportunity_id)?;
    }
    let mut activity = record::lock::<Activity>(tx, who, id)?;
    let changes = fields.apply(&mut activity);
    if !changes.is_empty() {
        activity.updated_at = who.now;
    }
    record::update::<Activity>(tx, who, id, &changes, [])?;
    Ok(activity)
}

/// Deletes an activity.
pub fn delete(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<()> {
    let about = record::get::<Activity>(tx, who, id)?.opportunity_id;
    mentions::lock_opportunities(tx, who, about, &Patch::Keep)?;
    record::delete::<Activity>(tx, who, id)
}

fn hold_what_is_named(tx: &Tx<'_>, who: &Caller, fields: &ActivityFields) -> Result<()> {
    mentions::hold::<Contact>(tx, who, &fields.contact_id)?;
    mentions::hold::<Company>(tx, who, &fields.company_id)
}

#[cfg(test)]
mod tests;
