//! Events: what automations, webhooks and mail will react to. Each is written
//! in the transaction of the change that it tells of, so that there is never
//! one without the other.

use serde_json::{Map, Value as Json};
use store::{Db, Tx};
use uuid::Uuid;

use crate::audit::Entity;
use crate::caller::Caller;
use crate::error::Result;
use crate::record::Change;

crate::words! {
    /// What has happened.
    pub enum Trigger {
        /// An opportunity was created.
        DealCreated = "deal_created",
        /// An opportunity's fields changed.
        DealUpdated = "deal_updated",
        /// An opportunity entered a stage.
        StageChanged = "stage_changed",
        /// A contact was created.
        ContactCreated = "contact_created",
        /// A contact's fields changed.
        ContactUpdated = "contact_updated",
        /// A company was created.
        CustomerCreated = "customer_created",
        /// A company's fields changed.
        CustomerUpdated = "customer_updated",
        /// A referral has come to name an opportunity.
        ReferralAttributed = "referral_attributed",
    }
}

crate::input! {
    /// What a call says of the automations that it would set off.
    #[derive(Default)]
    pub struct Automations {
        /// When true, no automation is set off.
        defaulted skip_automations: bool,
        /// Actions to pass over in the automations that the call sets off; the
        /// automations themselves run and are logged.
        defaulted skip_action_ids: Vec<Uuid>,
    }
}

impl Automations {
    /// Adds what `more` suppresses to what is suppressed already.
    pub fn add(&mut self, more: &Self) {
        self.skip_automations |= more.skip_automations;
        self.skip_action_ids.extend(&more.skip_action_ids);
    }

    /// Sets none off.
    pub fn skipped() -> Self {
        Self {
            skip_automations: true,
            skip_action_ids: Vec::new(),
        }
    }
}

/// Writes the event that something happened to a record, unless the call
/// suppresses it.
pub(crate) fn emit(
    tx: &mut Tx<'_>,
    who: &Caller,
    automations: &Automations,
    trigger: Trigger,
    entity: Entity,
    entity_id: Uuid,
    data: Map<String, Json>,
) -> Result<()> {
    if automations.skip_automations {
        return Ok(());
    }
    let skip: Json = automations
        .skip_action_ids
        .iter()
        .map(Uuid::to_string)
        .collect();
    tx.enqueue(
        "insert into events
             (workspace_id, id, trigger_type, entity_type, entity_id, data, skip_action_ids, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        store::params![
            who.workspace_id,
            who.new_id(),
            trigger,
            entity,
            entity_id,
            Json::Object(data),
            skip,
            who.now
        ],
    )?;
    Ok(())
}

/// How many events nothing has worked on yet, counted no further than `limit`.
///
/// # Errors
/// The database's.
pub fn waiting(db: &Db<'_>, limit: i64) -> Result<i64> {
    let count = db.query_one(
        "select count(*) from (select id from events limit $1) as counted",
        &store::params![limit],
        |row| row.get(0),
    )?;
    Ok(count)
}

/// What an update's event carries: the fields that changed and what they were.
pub(crate) fn update_data(changes: &[Change]) -> Map<String, Json> {
    let fields: Json = changes.iter().map(|change| change.field).collect();
    let previous: Map<_, _> = changes
        .iter()
        .map(|change| (change.field.to_owned(), change.old.clone()))
        .collect();
    Map::from_iter([
        ("_changed_fields".to_owned(), fields),
        ("_previous_values".to_owned(), Json::Object(previous)),
    ])
}
