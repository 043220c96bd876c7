//! Tasks, activities, referrals and invoices name the records that they are about,
//! costs their suppliers, work orders who is to do them, line items their products,
//! and outlast them: whoever deletes a record takes its name off first.
//!
//! Whoever names a record holds it until the end of the transaction, so it is
//! either named in time to be taken off or not found. Locks are taken in one
//! order: contacts, companies and users, statuses of work orders, then opportunities,
//! then their products, then what names them. A product is held when it is named, and
//! before the line item that names it.

use store::{Engine, Tx};
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::Result;
use crate::input::Patch;
use crate::opportunities::Opportunity;
use crate::record::{self, Record};

/// A column that names records of one kind, after its table.
pub(crate) type Column = (&'static str, &'static str);

/// What names opportunities.
pub(crate) const OF_OPPORTUNITY: &[Column] = &[
    ("tasks", "opportunity_id"),
    ("activities", "opportunity_id"),
    ("referrals", "referred_opportunity_id"),
    ("invoices", "opportunity_id"),
];

/// What names contacts and can be without.
pub(crate) const OF_CONTACT: &[Column] = &[
    ("tasks", "contact_id"),
    ("activities", "contact_id"),
    ("referrals", "referred_contact_id"),
];

/// What names companies.
pub(crate) const OF_COMPANY: &[Column] = &[
    ("tasks", "company_id"),
    ("activities", "company_id"),
    ("product_costs", "supplier_id"),
    ("opportunity_product_costs", "supplier_id"),
    ("invoices", "company_id"),
];

/// What names users.
pub(crate) const OF_USER: &[Column] = &[("tasks", "assigned_to"), ("work_orders", "assigned_to")];

/// What names products and can be without.
pub(crate) const OF_PRODUCT: &[Column] = &[("invoice_line_items", "product_id")];

/// Takes the name of a locked record off whatever names it in these columns.
pub(crate) fn clear(tx: &mut Tx<'_>, who: &Caller, columns: &[Column], id: Uuid) -> Result<()> {
    for column in columns {
        tx.enqueue(
            &clear_sql(tx.engine(), *column),
            store::params![who.workspace_id, id, who.now],
        )?;
    }
    Ok(())
}

/// The statement that takes the record `$2` off a column: in one order, so that
/// two who clear the same rows don't wait for each other in a circle.
pub(crate) fn clear_sql(engine: Engine, (table, column): Column) -> String {
    format!(
        "update {table} set {column} = null, updated_at = $3
         where workspace_id = $1 and id in (
             select id from {table} where workspace_id = $1 and {column} = $2
             order by id{}
         )",
        engine.for_update()
    )
}

/// Makes sure that the record that is about to be named is there, and stays.
pub(crate) fn hold<R: Record>(tx: &Tx<'_>, who: &Caller, named: &Patch<Uuid>) -> Result<()> {
    match named.value() {
        Some(id) => record::share::<R>(tx, who, *id).map(drop),
        None => Ok(()),
    }
}

/// Makes sure that those of the records that are there stay, for a call that is
/// about to name them one by one in another order.
pub(crate) fn hold_all<R: Record>(
    tx: &Tx<'_>,
    who: &Caller,
    ids: impl Iterator<Item = Uuid>,
) -> Result<()> {
    let engine = tx.engine();
    tx.query(
        &format!(
            "select 1 from {} where workspace_id = $1 and id {} order by id{}",
            R::TABLE,
            engine.any(2),
            engine.for_share()
        ),
        &store::params![who.workspace_id, ids.collect::<Vec<_>>()],
        |row| row.get::<i64>(0),
    )?;
    Ok(())
}

/// Locks the opportunity that is named and the one that was, whose fields follow
/// from what names them.
pub(crate) fn lock_opportunities(
    tx: &Tx<'_>,
    who: &Caller,
    before: Option<Uuid>,
    named: &Patch<Uuid>,
) -> Result<()> {
    let named = named.value().copied();
    let mut ids: Vec<_> = before.into_iter().chain(named).collect();
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        let found = record::lock_if_there::<Opportunity>(tx, who, id)?;
        // The one that was named before may be gone by now.
        if found.is_none() && named == Some(id) {
            return Err(record::not_found::<Opportunity>(id));
        }
    }
    Ok(())
}
