//! The field-level audit log, `crm_field_change_log`: append-only, written in
//! the transaction of the change. [`change_log`](crate::change_log) reads it.

use serde_json::Value as Json;
use store::Tx;
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::Result;
use crate::record::Change;

crate::words! {
    /// The kinds of records whose changes are logged and told of.
    pub enum Entity {
        /// An opportunity.
        Opportunity = "opportunity",
        /// A contact.
        Contact = "contact",
        /// A company.
        Company = "company",
        /// A product.
        Product = "product",
    }
}

/// Logs the changes of a record's fields, one row each.
pub(crate) fn log(
    tx: &mut Tx<'_>,
    who: &Caller,
    entity: Entity,
    entity_id: Uuid,
    changes: &[Change],
) -> Result<()> {
    for Change {
        field, old, new, ..
    } in changes
    {
        log_field(tx, who, entity, entity_id, field, old, new)?;
    }
    Ok(())
}

/// Logs that one field changed.
pub(crate) fn log_field(
    tx: &mut Tx<'_>,
    who: &Caller,
    entity: Entity,
    entity_id: Uuid,
    field: &str,
    old: &Json,
    new: &Json,
) -> Result<()> {
    tx.enqueue(
        "insert into crm_field_change_log
             (workspace_id, id, entity_type, entity_id, field, old_value, new_value,
              actor_type, actor_id, actor_name, request_id, changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        store::params![
            who.workspace_id,
            who.new_id(),
            entity,
            entity_id,
            field,
            old.clone(),
            new.clone(),
            who.actor.kind,
            who.actor.id,
            who.actor.name.clone(),
            who.request_id.clone(),
            who.now
        ],
    )?;
    Ok(())
}
