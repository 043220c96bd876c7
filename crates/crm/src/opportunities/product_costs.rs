//! What the products of an opportunity cost: one row for each thing that has to
//! be paid for a line as a whole, in whatever currency.

use store::{Db, Tx};
use uuid::Uuid;

use crate::caller::Caller;
use crate::companies::Company;
use crate::error::Result;
use crate::events::Automations;
use crate::mentions;
use crate::money::{Amount, Currency, Percent, Quantity, Worth};
use crate::paging::{Page, PageRequest};
use crate::record::{self, Column, New, Writable};
use crate::sql::Condition;
use crate::text::Text;
use crate::time::Timestamp;

use super::{Opportunity, cards, margin, products};

crate::record! {
    /// A cost of an opportunity's product.
    pub struct OpportunityProductCost in "opportunity_product_costs", called "cost";
    /// The writable fields of such a cost.
    pub struct OpportunityProductCostFields;
    read {
        /// Its id; ids sort by age.
        id: Uuid,
        /// The row of the opportunity's product.
        opportunity_product_id: Uuid,
    }
    write {
        /// What is paid for.
        patch label: Text<255> = "Brass blanks",
        /// What one of it costs.
        solid unit_cost: Amount = 3.2,
        /// How many are paid for, for the row as a whole; 1 by default.
        plain quantity: Quantity = 10,
        /// The currency of `unit_cost`, by ISO 4217; the opportunity's by default.
        plain currency: Currency,
        /// The company that it comes from.
        patch supplier_id: Uuid,
        /// What the supplier calls it.
        patch supplier_product_id: Text<255> = "BB-0110",
    }
    kept {
        /// Quantity × unit cost.
        #[schemars(example = 32)]
        total_cost: Amount,
        /// When it was created.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
    }
    hidden {
        /// The opportunity.
        opportunity_id: Uuid,
    }
}

/// A page of what an opportunity's product costs, newest first.
pub fn costs(
    db: &Db<'_>,
    who: &Caller,
    id: Uuid,
    line_id: Uuid,
    request: PageRequest,
) -> Result<Page<OpportunityProductCost>> {
    record::check::<Opportunity>(db, who, id)?;
    products::find(db, who, id, line_id)?;
    record::page(db, of_line(who, id, line_id), request)
}

/// The condition that the costs of one line meet.
pub(super) fn of_line(who: &Caller, id: Uuid, line_id: Uuid) -> Condition {
    let mut condition = record::all(who);
    condition.and(
        "t.opportunity_id = ? and t.opportunity_product_id = ?",
        [id.into(), line_id.into()],
    );
    condition
}

/// Adds a cost to an opportunity's product.
pub fn add_cost(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    line_id: Uuid,
    input: New<OpportunityProductCostFields>,
) -> Result<OpportunityProductCost> {
    let New(mut fields) = input;
    mentions::hold::<Company>(tx, who, &fields.supplier_id)?;
    let mut opportunity = lock(tx, who, id)?;
    products::find(tx, who, id, line_id)?;
    fields.currency.get_or_insert(opportunity.currency);
    let quantity = *fields.quantity.get_or_insert(Quantity::ONE);
    let total = total(quantity, fields.unit_cost.unwrap_or_default())?;
    let mut columns = fields.columns();
    columns.extend([
        Column {
            name: "opportunity_id",
            value: id.into(),
        },
        Column {
            name: "opportunity_product_id",
            value: line_id.into(),
        },
        Column {
            name: "total_cost",
            value: total.into(),
        },
    ]);
    let cost = record::insert(tx, who, who.new_id(), columns)?;
    recount(tx, who, &mut opportunity)?;
    Ok(cost)
}

/// Changes the fields that are given of a cost.
pub fn update_cost(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    cost_id: Uuid,
    fields: OpportunityProductCostFields,
) -> Result<OpportunityProductCost> {
    mentions::hold::<Company>(tx, who, &fields.supplier_id)?;
    let mut opportunity = lock(tx, who, id)?;
    let mut cost = find(tx, who, id, cost_id)?;
    let changes = fields.apply(&mut cost);
    if changes.is_empty() {
        return Ok(cost);
    }
    cost.total_cost = total(cost.quantity, cost.unit_cost)?;
    cost.updated_at = who.now;
    let total = Column {
        name: "total_cost",
        value: cost.total_cost.into(),
    };
    record::update::<OpportunityProductCost>(tx, who, cost_id, &changes, [total])?;
    recount(tx, who, &mut opportunity)?;
    Ok(cost)
}

/// Deletes a cost.
pub fn delete_cost(tx: &mut Tx<'_>, who: &Caller, id: Uuid, cost_id: Uuid) -> Result<()> {
    let mut opportunity = lock(tx, who, id)?;
    find(tx, who, id, cost_id)?;
    record::delete::<OpportunityProductCost>(tx, who, cost_id)?;
    recount(tx, who, &mut opportunity)
}

/// Locks an opportunity and the stages that count what its products cost.
fn lock(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<Opportunity> {
    cards::lock_stages(tx, who, vec![id], None)?;
    record::lock::<Opportunity>(tx, who, id)
}

/// A cost changes nothing that an opportunity shows, so no automation is set off.
fn recount(tx: &mut Tx<'_>, who: &Caller, opportunity: &mut Opportunity) -> Result<()> {
    margin::recount(tx, who, opportunity, &Automations::skipped())
}

/// The cost with that id, if it is of one of the opportunity's products.
fn find(db: &Db<'_>, who: &Caller, id: Uuid, cost_id: Uuid) -> Result<OpportunityProductCost> {
    let cost = record::get::<OpportunityProductCost>(db, who, cost_id)?;
    match cost.opportunity_id == id {
        true => Ok(cost),
        false => Err(record::not_found::<OpportunityProductCost>(cost_id)),
    }
}

fn total(quantity: Quantity, unit_cost: Amount) -> Result<Amount> {
    Worth::of(quantity, unit_cost, Percent::NONE)
        .and_then(Worth::rounded)
        .ok_or_else(|| Amount::no_room("unit_cost", "quantity × unit_cost"))
}
