//! Referrals: who has brought whom, and what came of it.
//!
//! The most recent one that names an opportunity gives its
//! `primary_referrer_contact_id` and `primary_referrer_category`, which triggers
//! keep as referrals come, change and go.

mod leaderboard;
#[cfg(test)]
mod tests;

use serde_json::{Map, json};
use store::{Db, Tx};
use uuid::Uuid;

pub use leaderboard::{ByStatus, CurrencyTotal, Leader, Leaderboard, leaderboard};

use crate::audit::Entity;
use crate::caller::Caller;
use crate::contacts::Contact;
use crate::error::{Error, Result};
use crate::events::{self, Automations, Trigger};
use crate::input::Patch;
use crate::mentions;
use crate::milestone::Milestone;
use crate::paging::{Page, PageRequest};
use crate::record::{self, New, Writable};
use crate::sql::Condition;
use crate::text::{Notes, Text};
use crate::time::{Moment, Timestamp};

crate::words! {
    /// What became of a referral.
    #[derive(Default)]
    pub enum ReferralStatus {
        /// Nothing yet.
        #[default]
        Pending = "pending",
        /// It is being followed up.
        Accepted = "accepted",
        /// It led to business.
        Converted = "converted",
        /// It was turned down.
        Declined = "declined",
    }
}

crate::words! {
    /// How a referral was made.
    #[derive(Default)]
    pub enum ReferralSource {
        /// By a form.
        Form = "form",
        /// By hand.
        Manual = "manual",
        /// Over the API.
        #[default]
        Api = "api",
    }
}

crate::record! {
    /// A referral: a contact has brought another one, or an opportunity.
    pub struct Referral in "referrals", called "referral";
    /// The writable fields of a referral.
    pub struct ReferralFields;
    read {
        /// Its id; ids sort by age.
        id: Uuid,
    }
    write {
        /// The contact who made it.
        solid referrer_contact_id: Uuid,
        /// The contact who was brought.
        patch referred_contact_id: Uuid,
        /// The opportunity that it led to.
        patch referred_opportunity_id ["referred_deal_id"]: Uuid,
        /// How it was made; `api` by default.
        plain source: ReferralSource,
        /// What became of it; `pending` by default.
        plain status: ReferralStatus,
        /// What kind of referral it is; the settings offer
        /// `referral_categories`.
        patch category: Text<255> = "Past customer",
        /// Notes, up to 100,000 characters.
        patch notes: Notes,
        /// When it was converted: set when the status becomes `converted`,
        /// unless it is given then, and cleared when that changes.
        patch converted_at: Timestamp = null,
    }
    kept {
        /// When it was created.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
    }
}

crate::input! {
    /// A new referral.
    pub struct NewReferral {
        flatten fields: New<ReferralFields>,
        flatten automations: Automations,
    }
}

crate::input! {
    /// What changes of a referral.
    pub struct ReferralUpdate {
        flatten fields: ReferralFields,
        flatten automations: Automations,
    }
}

crate::input! {
    /// What a referral was converted into.
    pub struct Conversion {
        /// The opportunity that it led to, where it does not name it yet.
        optional referred_opportunity_id ["referred_deal_id"]: Uuid,
        flatten automations: Automations,
    }
}

crate::input! {
    /// Which referrals are meant.
    pub struct ReferralFilter {
        /// Those made by this contact.
        optional referrer_contact_id: Uuid,
        /// Those that brought this contact.
        optional referred_contact_id: Uuid,
        /// Those that led to this opportunity.
        optional referred_opportunity_id ["referred_deal_id"]: Uuid,
        /// Those made so.
        optional source: ReferralSource,
        /// Those of which that became.
        optional status: ReferralStatus,
        /// Those of this kind.
        optional category: Text<255>,
        /// Those created at this instant or later; a date means its start in UTC.
        optional created_after: Moment,
        /// Those created before this instant; a date means its start in UTC.
        optional created_before: Moment,
    }
}

crate::input! {
    /// A page of referrals.
    pub struct ListReferrals {
        flatten filter: ReferralFilter,
        flatten page: PageRequest,
    }
}

const CONVERSION: Milestone = Milestone {
    status: "converted",
    field: "converted_at",
};

/// A page of the referrals, newest first.
pub fn list(db: &Db<'_>, who: &Caller, input: &ListReferrals) -> Result<Page<Referral>> {
    record::page(db, condition(who, &input.filter), input.page)
}

/// The condition of the referrals that `filter` lets through.
fn condition(who: &Caller, filter: &ReferralFilter) -> Condition {
    let instant = |moment: Option<Moment>| moment.map(|moment| moment.0);
    let mut condition = record::all(who);
    condition
        .and_if("t.referrer_contact_id = ?", filter.referrer_contact_id)
        .and_if("t.referred_contact_id = ?", filter.referred_contact_id)
        .and_if(
            "t.referred_opportunity_id = ?",
            filter.referred_opportunity_id,
        )
        .and_if("t.source = ?", filter.source)
        .and_if("t.status = ?", filter.status)
        .and_if("t.category = ?", filter.category.clone())
        .and_if("t.created_at >= ?", instant(filter.created_after))
        .and_if("t.created_at < ?", instant(filter.created_before));
    condition
}

/// Creates a referral.
pub fn create(tx: &mut Tx<'_>, who: &Caller, input: NewReferral) -> Result<Referral> {
    let NewReferral {
        fields: New(mut fields),
        automations,
    } = input;
    hold_contacts(tx, who, &fields)?;
    mentions::lock_opportunities(tx, who, None, &fields.referred_opportunity_id)?;
    refuse_oneself(
        fields.referrer_contact_id,
        fields.referred_contact_id.value().copied(),
    )?;
    fields.source.get_or_insert_default();
    let status = *fields.status.get_or_insert_default();
    let is_converted = status == ReferralStatus::Converted;
    fields.converted_at = CONVERSION.follow(fields.converted_at, false, is_converted, who.now)?;
    let referral = record::insert::<Referral>(tx, who, who.new_id(), fields.columns())?;
    tell(tx, who, &referral, None, &automations)?;
    Ok(referral)
}

/// Changes the fields that are given.
pub fn update(tx: &mut Tx<'_>, who: &Caller, id: Uuid, input: ReferralUpdate) -> Result<Referral> {
    let ReferralUpdate {
        mut fields,
        automations,
    } = input;
    hold_contacts(tx, who, &fields)?;
    if fields.say_who_referred_what() {
        let before = record::get::<Referral>(tx, who, id)?.referred_opportunity_id;
        mentions::lock_opportunities(tx, who, before, &fields.referred_opportunity_id)?;
    }
    let mut referral = record::lock::<Referral>(tx, who, id)?;
    let before = referral.referred_opportunity_id;
    let status = fields.status.unwrap_or(referral.status);
    fields.converted_at = CONVERSION.follow(
        fields.converted_at,
        referral.status == ReferralStatus::Converted,
        status == ReferralStatus::Converted,
        who.now,
    )?;
    let changes = fields.apply(&mut referral);
    refuse_oneself(
        Some(referral.referrer_contact_id),
        referral.referred_contact_id,
    )?;
    if changes.is_empty() {
        return Ok(referral);
    }
    referral.updated_at = who.now;
    record::update::<Referral>(tx, who, id, &changes, [])?;
    tell(tx, who, &referral, before, &automations)?;
    Ok(referral)
}

impl ReferralFields {
    /// Whether they can change what an opportunity knows of its referrer.
    fn say_who_referred_what(&self) -> bool {
        self.referrer_contact_id.is_some()
            || self.referred_opportunity_id.is_given()
            || self.category.is_given()
    }
}

/// Notes that a referral led to business; one that is converted already stays so
/// since when it was.
pub fn convert(tx: &mut Tx<'_>, who: &Caller, id: Uuid, input: Conversion) -> Result<Referral> {
    let Conversion {
        referred_opportunity_id,
        automations,
    } = input;
    let fields = ReferralFields {
        status: Some(ReferralStatus::Converted),
        referred_opportunity_id: referred_opportunity_id.map_or(Patch::Keep, Patch::Set),
        ..ReferralFields::default()
    };
    let input = ReferralUpdate {
        fields,
        automations,
    };
    update(tx, who, id, input)
}

/// Deletes a referral.
pub fn delete(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<()> {
    let led_to = record::get::<Referral>(tx, who, id)?.referred_opportunity_id;
    mentions::lock_opportunities(tx, who, led_to, &Patch::Keep)?;
    record::delete::<Referral>(tx, who, id)
}

/// Refuses to go on if the locked contact has referred someone: a referral
/// without the one who made it says nothing.
pub(crate) fn refuse_referrer(tx: &Tx<'_>, who: &Caller, contact_id: Uuid) -> Result<()> {
    let made = tx.query_opt(
        "select 1 from referrals where workspace_id = $1 and referrer_contact_id = $2 limit 1",
        &store::params![who.workspace_id, contact_id],
        |row| row.get::<i64>(0),
    )?;
    match made {
        None => Ok(()),
        Some(_) => Err(Error::conflict(
            "The contact has made referrals",
            "Delete them first, or PATCH their referrer_contact_id; \
             GET /referrals?referrer_contact_id= lists them.",
        )),
    }
}

fn hold_contacts(tx: &Tx<'_>, who: &Caller, fields: &ReferralFields) -> Result<()> {
    let referrer = fields.referrer_contact_id.map_or(Patch::Keep, Patch::Set);
    mentions::hold::<Contact>(tx, who, &referrer)?;
    mentions::hold::<Contact>(tx, who, &fields.referred_contact_id)
}

fn refuse_oneself(referrer: Option<Uuid>, referred: Option<Uuid>) -> Result<()> {
    if referrer.is_some() && referrer == referred {
        return Err(Error::invalid(
            "referred_contact_id",
            "must be another contact than referrer_contact_id",
        ));
    }
    Ok(())
}

/// Tells that an opportunity was referred, where the referral names another one
/// than `before`.
fn tell(
    tx: &mut Tx<'_>,
    who: &Caller,
    referral: &Referral,
    before: Option<Uuid>,
    automations: &Automations,
) -> Result<()> {
    let Some(opportunity_id) = referral.referred_opportunity_id else {
        return Ok(());
    };
    if before == Some(opportunity_id) {
        return Ok(());
    }
    let data = Map::from_iter([
        ("referral_id".to_owned(), json!(referral.id)),
        (
            "referrer_contact_id".to_owned(),
            json!(referral.referrer_contact_id),
        ),
        ("category".to_owned(), json!(referral.category)),
    ]);
    events::emit(
        tx,
        who,
        automations,
        Trigger::ReferralAttributed,
        Entity::Opportunity,
        opportunity_id,
        data,
    )
}
