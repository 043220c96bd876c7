//! The statuses of work orders: how far one can be is the workspace's own list,
//! in its order.

use store::{Db, Tx};
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::{Error, Problems, Result};
use crate::order;
use crate::record::{self, Column, New, Record, Writable};
use crate::text::{Name, Text};
use crate::time::Timestamp;

use super::move_all;

crate::record! {
    /// A status that work orders can have.
    pub struct WorkOrderStatus in "work_order_statuses", called "work order status";
    /// The writable fields of a status.
    pub struct WorkOrderStatusFields;
    read {
        /// Its id.
        id: Uuid,
    }
    write {
        /// What it is called; no two statuses differ in case alone.
        solid label: Name = "In progress",
        /// How it is shown, as a CSS colour.
        plain color: Text<32> = "#f59e0b",
        /// Its place in the list, counted from 0; the last by default.
        plain position: i64,
        /// True when nothing is left to be done.
        plain is_terminal: bool,
    }
    kept {
        /// When it was created.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
    }
}

crate::input! {
    /// Which status takes the place of one that is deleted.
    pub struct StatusRemoval {
        /// A status for the work orders that have this one. Without it, a status
        /// that work orders have is not deleted.
        optional move_to: Uuid,
    }
}

/// How many there may be: they are one list, which is read for each work order.
const MAX: usize = 100;

/// The colour of a status that was given none.
const COLOR: &str = "#64748b";

/// The list that a workspace begins with: label, colour, whether it is the end.
const FIRST: [(&str, &str, bool); 5] = [
    ("Scheduled", "#3b82f6", false),
    ("In progress", "#f59e0b", false),
    ("On hold", "#64748b", false),
    ("Completed", "#22c55e", true),
    ("Cancelled", "#ef4444", true),
];

/// Gives a new workspace its first list.
pub(crate) fn create_first(tx: &mut Tx<'_>, who: &Caller) -> Result<()> {
    for (label, color, is_terminal) in FIRST {
        let fields = WorkOrderStatusFields {
            label: Name::read(label).ok().flatten(),
            color: Text::read(color).ok().flatten(),
            is_terminal: Some(is_terminal),
            ..WorkOrderStatusFields::default()
        };
        create(tx, who, New(fields))?;
    }
    Ok(())
}

/// All statuses in their order.
pub fn list(db: &Db<'_>, who: &Caller) -> Result<Vec<WorkOrderStatus>> {
    Ok(db.query(
        &format!(
            "select {} from work_order_statuses where workspace_id = $1 order by position, id",
            WorkOrderStatus::COLUMNS
        ),
        &store::params![who.workspace_id],
        WorkOrderStatus::from_row,
    )?)
}

/// Adds a status to the list.
pub fn create(
    tx: &mut Tx<'_>,
    who: &Caller,
    input: New<WorkOrderStatusFields>,
) -> Result<WorkOrderStatus> {
    let New(mut fields) = input;
    who.lock_workspace(tx)?;
    let others = list(tx, who)?;
    if others.len() >= MAX {
        return Err(Error::conflict(
            format!("There are {MAX} statuses already, and no more are possible"),
            "Use one of them, or delete one.",
        ));
    }
    if let Some(label) = &fields.label {
        refuse_taken(&others, label)?;
    }
    let wanted = fields.position.take();
    let last = i64::try_from(others.len()).unwrap_or(i64::MAX);
    fields.position = Some(last);
    fields.is_terminal.get_or_insert(false);
    if fields.color.is_none() {
        fields.color = Text::read(COLOR).ok().flatten();
    }
    let key = fields.label.as_deref().map(key_column);
    let columns = fields.columns().into_iter().chain(key).collect();
    let status = record::insert::<WorkOrderStatus>(tx, who, who.new_id(), columns)?;
    if let Some(position) = wanted {
        put_at(tx, who, status.id, position)?;
    }
    record::get(tx, who, status.id)
}

/// Changes the fields that are given.
pub fn update(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    mut fields: WorkOrderStatusFields,
) -> Result<WorkOrderStatus> {
    who.lock_workspace(tx)?;
    let mut status = record::lock::<WorkOrderStatus>(tx, who, id)?;
    if let Some(label) = &fields.label {
        let mut others = list(tx, who)?;
        others.retain(|other| other.id != id);
        refuse_taken(&others, label)?;
    }
    let position = fields.position.take();
    let key = fields.label.as_deref().map(key_column);
    let changes = fields.apply(&mut status);
    record::update::<WorkOrderStatus>(tx, who, id, &changes, key)?;
    if let Some(position) = position {
        put_at(tx, who, id, position)?;
    }
    record::get(tx, who, id)
}

/// Deletes a status; the ones behind it move up. The work orders that have it get
/// another, or it stays.
pub fn delete(tx: &mut Tx<'_>, who: &Caller, id: Uuid, input: &StatusRemoval) -> Result<()> {
    who.lock_workspace(tx)?;
    // Locked, so that no work order takes it meanwhile.
    record::lock::<WorkOrderStatus>(tx, who, id)?;
    match input.move_to {
        Some(to) if to == id => {
            return Err(Error::invalid(
                "move_to",
                "must name another status: this one is to be deleted",
            ));
        }
        Some(to) => {
            record::check::<WorkOrderStatus>(tx, who, to)?;
            move_all(tx, who, id, to)?;
        }
        None if is_used(tx, who, id)? => {
            return Err(Error::conflict(
                "Work orders have this status",
                "Pass ?move_to=<status id> to give them another status, \
                 or change the work orders first.",
            ));
        }
        None => {}
    }
    record::delete::<WorkOrderStatus>(tx, who, id)?;
    let rest = ids(tx, who)?;
    order::write::<WorkOrderStatus>(tx, who, "position", &rest)
}

/// The statement that finds whether work orders have a status.
pub(super) const USED: &str =
    "select 1 from work_orders where workspace_id = $1 and status_id = $2 limit 1";

fn is_used(db: &Db<'_>, who: &Caller, id: Uuid) -> Result<bool> {
    let params = store::params![who.workspace_id, id];
    let used = db.query_opt(USED, &params, |row| row.get::<i64>(0))?;
    Ok(used.is_some())
}

/// The status with that label, in any case.
pub(super) fn named(db: &Db<'_>, who: &Caller, label: &str) -> Result<WorkOrderStatus> {
    let key = label.to_lowercase();
    let mut labels = Vec::new();
    for status in list(db, who)? {
        if status.label.to_lowercase() == key {
            return Ok(status);
        }
        labels.push(status.label.into_string());
    }
    let mut problems = Problems::default();
    problems.invalid_with_fix(
        "status",
        "is the label of no status",
        match labels.is_empty() {
            true => ADD_ONE.to_owned(),
            false => format!("Use one of: {}.", labels.join(", ")),
        },
    );
    Err(problems.into())
}

/// The first status of the list.
pub(super) fn first(db: &Db<'_>, who: &Caller) -> Result<WorkOrderStatus> {
    list(db, who)?.into_iter().next().ok_or_else(|| {
        let mut problems = Problems::default();
        problems.invalid_with_fix(
            "status_id",
            "has no default: there are no statuses",
            ADD_ONE,
        );
        problems.into()
    })
}

const ADD_ONE: &str = "Add a status first, by POST /work-orders/statuses.";

fn key_column(label: &str) -> Column {
    Column {
        name: "label_key",
        value: label.to_lowercase().into(),
    }
}

fn refuse_taken(others: &[WorkOrderStatus], label: &str) -> Result<()> {
    let key = label.to_lowercase();
    if others.iter().any(|other| other.label.to_lowercase() == key) {
        return Err(Error::conflict(
            "A status with this label exists already",
            "Use another label, or PATCH the status that has it; \
             GET /work-orders/statuses shows all.",
        ));
    }
    Ok(())
}

fn ids(db: &Db<'_>, who: &Caller) -> Result<Vec<Uuid>> {
    Ok(list(db, who)?.iter().map(|status| status.id).collect())
}

/// Puts one status at an index among the others.
fn put_at(tx: &mut Tx<'_>, who: &Caller, id: Uuid, position: i64) -> Result<()> {
    let statuses = order::with_at(ids(tx, who)?, id, position);
    order::write::<WorkOrderStatus>(tx, who, "position", &statuses)
}
