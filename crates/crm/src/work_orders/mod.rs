//! Work orders: what is to be carried out of a product that an opportunity has,
//! when and by whom.

mod export;
mod statuses;

use std::collections::HashMap;

use store::{Db, Engine, Tx};
use uuid::Uuid;

pub(crate) use statuses::create_first as create_first_statuses;
pub use statuses::{
    StatusRemoval, WorkOrderStatus, WorkOrderStatusFields, create as create_status,
    delete as delete_status, list as statuses, update as update_status,
};

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::mentions;
use crate::metadata::Metadata;
use crate::opportunities::{Opportunity, OpportunityProduct};
use crate::paging::{Page, PageRequest};
use crate::record::{self, Column, Columns, New, Writable};
use crate::sql::Condition;
use crate::text::Name;
use crate::time::{Date, Moment, TimeOfDay, Timestamp};
use crate::users::User;

crate::record! {
    /// A work order: a job that comes of a product that an opportunity has.
    pub struct WorkOrder in "work_orders", called "work order";
    /// The writable fields of a work order.
    pub struct WorkOrderFields;
    read {
        /// Its id; ids sort by age.
        id: Uuid,
    }
    write {
        /// The product that it is for: a row of an opportunity's products. It can
        /// become another row of the same opportunity.
        solid opportunity_product_id ["deal_product_id"]: Uuid,
        /// How far it is; the first of the statuses by default.
        plain status_id: Uuid,
        /// The day for which it is planned.
        patch schedule_date: Date = "2026-03-02",
        /// The time of that day, in the workspace's time zone.
        patch schedule_time: TimeOfDay,
        /// The user who is to do it.
        patch assigned_to: Uuid,
        /// Whatever else is to be known, by its key; a PATCH replaces all of it.
        plain data: Metadata = { "crew": "North" },
        /// Its place among others, for those who show them; 0 by default.
        plain sort_order: i64,
    }
    kept {
        /// The opportunity.
        opportunity_id ["deal_id"]: Uuid,
        /// Since when it has had its status.
        status_changed_at: Timestamp,
        /// When it was created.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
    }
    joined {
        /// The label of its status.
        #[schemars(example = &"Scheduled")]
        status: String,
        /// What the opportunity is called.
        #[schemars(example = &"Difference engine")]
        deal_name: String,
        /// What the product is called.
        #[schemars(example = &"Brass gear, 24 teeth")]
        product_name: String,
    }
}

crate::input! {
    /// A new work order.
    pub struct NewWorkOrder {
        flatten fields: New<WorkOrderFields>,
        /// How far it is: the label of a status, in any case, in the place of
        /// `status_id`.
        optional status: Name = "Scheduled",
    }
}

crate::input! {
    /// What changes of a work order.
    pub struct WorkOrderUpdate {
        flatten fields: WorkOrderFields,
        /// How far it is: the label of a status, in any case, in the place of
        /// `status_id`.
        plain status: Name = "In progress",
    }
}

crate::input! {
    /// Which work orders are listed.
    pub struct WorkOrderFilter {
        /// Those for this row of an opportunity's products.
        optional opportunity_product_id ["deal_product_id"]: Uuid,
        /// Those of this opportunity.
        optional opportunity_id ["deal_id"]: Uuid,
        /// Those whose status has this label, in any case.
        optional status: Name = "Scheduled",
        /// Those with this status.
        optional status_id: Uuid,
        /// Those that this user is to do.
        optional assigned_to: Uuid,
        /// Those planned for this day.
        optional schedule_date: Date = "2026-03-02",
        /// Those planned for this day or later.
        optional schedule_after: Date,
        /// Those planned for a day before this one.
        optional schedule_before: Date,
        /// Those created at this instant or later; a date means its start in UTC.
        optional created_after: Moment,
        /// Those created before this instant; a date means its start in UTC.
        optional created_before: Moment,
    }
}

crate::input! {
    /// A page of work orders.
    pub struct ListWorkOrders {
        flatten filter: WorkOrderFilter,
        flatten page: PageRequest,
    }
}

/// A page of the work orders, newest first.
pub fn list(db: &Db<'_>, who: &Caller, input: &ListWorkOrders) -> Result<Page<WorkOrder>> {
    page(db, who, condition(db, who, &input.filter)?, input.page)
}

/// The condition of the work orders that `filter` lets through.
fn condition(db: &Db<'_>, who: &Caller, filter: &WorkOrderFilter) -> Result<Condition> {
    let instant = |moment: Option<Moment>| moment.map(|moment| moment.0);
    let status = filter.status.as_deref();
    let status = status
        .map(|label| statuses::named(db, who, label))
        .transpose()?;
    let mut condition = record::all(who);
    condition
        .and_if(
            "t.opportunity_product_id = ?",
            filter.opportunity_product_id,
        )
        .and_if("t.opportunity_id = ?", filter.opportunity_id)
        .and_if("t.status_id = ?", status.map(|status| status.id))
        .and_if("t.status_id = ?", filter.status_id)
        .and_if("t.assigned_to = ?", filter.assigned_to)
        .and_if("t.schedule_date = ?", filter.schedule_date)
        .and_if("t.schedule_date >= ?", filter.schedule_after)
        .and_if("t.schedule_date < ?", filter.schedule_before)
        .and_if("t.created_at >= ?", instant(filter.created_after))
        .and_if("t.created_at < ?", instant(filter.created_before));
    Ok(condition)
}

/// A page of the work orders of an opportunity, newest first.
pub fn of_opportunity(
    db: &Db<'_>,
    who: &Caller,
    id: Uuid,
    request: PageRequest,
) -> Result<Page<WorkOrder>> {
    record::check::<Opportunity>(db, who, id)?;
    let mut condition = record::all(who);
    condition.and("t.opportunity_id = ?", [id.into()]);
    page(db, who, condition, request)
}

fn page(
    db: &Db<'_>,
    who: &Caller,
    condition: Condition,
    request: PageRequest,
) -> Result<Page<WorkOrder>> {
    let mut page = record::page(db, condition, request)?;
    complete(db, who, &mut page.items)?;
    Ok(page)
}

/// One work order.
pub fn get(db: &Db<'_>, who: &Caller, id: Uuid) -> Result<WorkOrder> {
    completed(db, who, record::get(db, who, id)?)
}

/// Creates a work order.
pub fn create(tx: &mut Tx<'_>, who: &Caller, input: NewWorkOrder) -> Result<WorkOrder> {
    let NewWorkOrder {
        fields: New(mut fields),
        status,
    } = input;
    take_status(tx, who, &mut fields, status)?;
    if fields.status_id.is_none() {
        fields.status_id = Some(statuses::first(tx, who)?.id);
    }
    hold_what_is_named(tx, who, &fields)?;
    let line = hold_line(tx, who, &fields)?;
    fields.data.get_or_insert_default();
    fields.sort_order.get_or_insert_default();
    let mut columns = fields.columns();
    columns.extend(line.map(|line| Column {
        name: "opportunity_id",
        value: line.opportunity_id.into(),
    }));
    columns.push(Column {
        name: "status_changed_at",
        value: who.now.into(),
    });
    let order = record::insert(tx, who, who.new_id(), columns)?;
    completed(tx, who, order)
}

/// Changes the fields that are given.
pub fn update(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    input: WorkOrderUpdate,
) -> Result<WorkOrder> {
    let WorkOrderUpdate { mut fields, status } = input;
    take_status(tx, who, &mut fields, status)?;
    hold_what_is_named(tx, who, &fields)?;
    let line = hold_line(tx, who, &fields)?;
    let mut order = record::lock::<WorkOrder>(tx, who, id)?;
    if line.is_some_and(|line| line.opportunity_id != order.opportunity_id) {
        return Err(Error::invalid(
            "deal_product_id",
            "must be a row of the same opportunity's products",
        ));
    }
    let before = order.status_id;
    let changes = fields.apply(&mut order);
    let mut internal = None;
    if order.status_id != before {
        order.status_changed_at = who.now;
        internal = Some(Column {
            name: "status_changed_at",
            value: who.now.into(),
        });
    }
    if !changes.is_empty() {
        order.updated_at = who.now;
    }
    record::update::<WorkOrder>(tx, who, id, &changes, internal)?;
    completed(tx, who, order)
}

/// Deletes a work order.
pub fn delete(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<()> {
    record::delete::<WorkOrder>(tx, who, id)
}

/// The statement that gives all work orders of the status `$2` the status `$3`: in
/// one order, as whatever changes several.
fn move_all_sql(engine: Engine) -> String {
    format!(
        "update work_orders set status_id = $3, status_changed_at = $4, updated_at = $4
         where workspace_id = $1 and id in (
             select id from work_orders where workspace_id = $1 and status_id = $2
             order by id{}
         )",
        engine.for_update()
    )
}

/// Gives all work orders of a locked status another one.
fn move_all(tx: &mut Tx<'_>, who: &Caller, from: Uuid, to: Uuid) -> Result<()> {
    tx.execute(
        &move_all_sql(tx.engine()),
        &store::params![who.workspace_id, from, to, who.now],
    )?;
    Ok(())
}

/// Puts the status that was given by its label in the place of its id.
fn take_status(
    db: &Db<'_>,
    who: &Caller,
    fields: &mut WorkOrderFields,
    label: Option<Name>,
) -> Result<()> {
    let Some(label) = label else { return Ok(()) };
    let id = statuses::named(db, who, &label)?.id;
    if fields
        .status_id
        .replace(id)
        .is_some_and(|given| given != id)
    {
        return Err(Error::invalid(
            "status",
            "must be the label of the status given in status_id, or be left out",
        ));
    }
    Ok(())
}

fn hold_what_is_named(tx: &Tx<'_>, who: &Caller, fields: &WorkOrderFields) -> Result<()> {
    mentions::hold::<User>(tx, who, &fields.assigned_to)?;
    match fields.status_id {
        Some(id) => record::share::<WorkOrderStatus>(tx, who, id).map(drop),
        None => Ok(()),
    }
}

/// The row of products that is named, which stays until the end of the transaction.
fn hold_line(
    tx: &Tx<'_>,
    who: &Caller,
    fields: &WorkOrderFields,
) -> Result<Option<OpportunityProduct>> {
    let id = fields.opportunity_product_id;
    id.map(|id| record::share(tx, who, id)).transpose()
}

fn completed(db: &Db<'_>, who: &Caller, mut order: WorkOrder) -> Result<WorkOrder> {
    complete(db, who, std::slice::from_mut(&mut order))?;
    Ok(order)
}

/// The statement that reads what work orders are for, and how far they are.
fn names_sql(engine: Engine) -> String {
    format!(
        "select t.id, s.label, o.name, p.name
         from work_orders t
         join work_order_statuses s on s.workspace_id = t.workspace_id and s.id = t.status_id
         join opportunities o on o.workspace_id = t.workspace_id and o.id = t.opportunity_id
         join opportunity_products l
           on l.workspace_id = t.workspace_id and l.id = t.opportunity_product_id
         join products p on p.workspace_id = l.workspace_id and p.id = l.product_id
         where t.workspace_id = $1 and t.id {}",
        engine.any(2)
    )
}

/// Adds the names that belong to other records, in one statement for all.
fn complete(db: &Db<'_>, who: &Caller, orders: &mut [WorkOrder]) -> Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = orders.iter().map(|order| order.id).collect();
    let rows = db.query(
        &names_sql(db.engine()),
        &store::params![who.workspace_id, ids],
        |row| {
            let mut columns = Columns::of(row);
            let id: Uuid = columns.take()?;
            Ok((id, [columns.take()?, columns.take()?, columns.take()?]))
        },
    )?;
    let mut names: HashMap<Uuid, [String; 3]> = rows.into_iter().collect();
    for order in orders {
        [order.status, order.deal_name, order.product_name] =
            names.remove(&order.id).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
