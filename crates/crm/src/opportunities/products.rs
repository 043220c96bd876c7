//! The products of an opportunity: the lines that say how much of what it is
//! about, and at which price.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;
use store::{Db, Engine, Tx};
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::events::Automations;
use crate::input::Patch;
use crate::money::{Amount, Currency, Percent, Quantity, Worth};
use crate::order;
use crate::products::Product;
use crate::record::{self, Column, Columns, New, Record, Writable};
use crate::text::Name;
use crate::time::Timestamp;

use super::margin::{self, Margin};
use super::{Opportunity, cards};

/// How many products an opportunity may have: they are always shown together.
const MAX: i64 = 500;

/// The scope without which nobody sees what was paid.
const SEES_PAYMENTS: &str = "invoices:read";

/// The scope without which nobody says what was paid.
const SETS_PAYMENTS: &str = "invoices:write";

crate::words! {
    /// How far a line has been paid for.
    #[derive(Default)]
    pub enum PaymentStatus {
        /// Nothing is invoiced yet.
        #[default]
        Unpaid = "unpaid",
        /// The deposit is invoiced.
        DepositInvoiced = "deposit_invoiced",
        /// All of it is invoiced.
        Invoiced = "invoiced",
        /// All of it is paid.
        Paid = "paid",
    }
}

crate::record! {
    /// A product of an opportunity, as it is kept.
    pub struct OpportunityProduct in "opportunity_products", called "opportunity product";
    /// The writable fields of an opportunity's product.
    pub struct OpportunityProductFields;
    read {
        /// Its id, which is not the product's.
        id: Uuid,
        /// The opportunity.
        opportunity_id: Uuid,
    }
    write {
        /// The product.
        solid product_id: Uuid,
        /// How much of it; 1 by default.
        plain quantity: Quantity = 4,
        /// What one unit costs the customer, in the opportunity's currency; the
        /// number of the product's price by default: nothing is converted.
        plain unit_price: Amount = 12.5,
        /// What is taken off, in percent; nothing by default.
        plain discount_percent: Percent = 0,
        /// The share that is asked for in advance, in percent; the product's by
        /// default.
        patch deposit_percent: Percent = 30,
        /// How far it has been paid for; setting it needs `invoices:write` as
        /// well. `unpaid` by default.
        plain payment_status: PaymentStatus,
    }
    kept {
        /// Its place among the opportunity's products.
        sort_order: i64,
        /// When it was added.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
    }
}

/// A product of an opportunity.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProductLine {
    /// Its id, which is not the product's.
    pub id: Uuid,
    /// The product.
    pub product_id: Uuid,
    /// How much of it.
    #[schemars(example = 4)]
    pub quantity: Quantity,
    /// What one unit costs the customer, in the opportunity's currency.
    #[schemars(example = 12.5)]
    pub unit_price: Amount,
    /// What is taken off, in percent.
    #[schemars(example = 0)]
    pub discount_percent: Percent,
    /// The share that is asked for in advance, in percent.
    #[schemars(example = 30)]
    pub deposit_percent: Option<Percent>,
    /// How far it has been paid for; only for a key with `invoices:read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_status: Option<PaymentStatus>,
    /// Its place among the opportunity's products: they are listed by it.
    pub sort_order: i64,
    /// The product in short, as it is now.
    #[serde(rename = "crm_products")]
    pub product: LineProduct,
    /// What it earns.
    #[serde(flatten)]
    pub margin: Margin,
}

/// The product of a line.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LineProduct {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    #[schemars(example = &"Brass gear, 24 teeth")]
    pub name: Name,
    /// What one unit of it costs in the price list.
    #[schemars(example = 12.5)]
    pub price: Amount,
    /// The currency of that price.
    pub currency: Currency,
}

crate::input! {
    /// A product that is added to an opportunity.
    pub struct NewProductLine {
        flatten fields: New<OpportunityProductFields>,
        flatten automations: Automations,
    }
}

crate::input! {
    /// What changes of an opportunity's product.
    pub struct ProductLineUpdate {
        flatten fields: OpportunityProductFields,
        flatten automations: Automations,
    }
}

crate::input! {
    /// A new order of an opportunity's products.
    pub struct ReorderProducts {
        /// The ids of all rows of the opportunity's products, each once, in the
        /// new order.
        required product_ids: Vec<Uuid>,
    }
}

/// The products of an opportunity in their order.
pub fn products(db: &Db<'_>, who: &Caller, id: Uuid) -> Result<Vec<ProductLine>> {
    let opportunity = record::get::<Opportunity>(db, who, id)?;
    of_one(db, who, &opportunity)
}

/// Adds a product behind the others.
pub fn add_product(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    input: NewProductLine,
) -> Result<ProductLine> {
    cards::lock_stages(tx, who, vec![id], None)?;
    let (opportunity, line_id) = add_line(tx, who, id, input)?;
    one(tx, who, &opportunity, line_id)
}

/// The same within an import, which holds all cards
/// ([`imports::begin`](crate::imports::begin)); the row's id.
pub fn add_imported_product(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    input: NewProductLine,
) -> Result<Uuid> {
    let (_, line_id) = add_line(tx, who, id, input)?;
    Ok(line_id)
}

/// Adds a product to an opportunity, after [`cards::lock_stages`] or within an
/// import; the opportunity, and the row's id.
fn add_line(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    input: NewProductLine,
) -> Result<(Opportunity, Uuid)> {
    let NewProductLine {
        fields: New(mut fields),
        automations,
    } = input;
    check_payment_scope(who, &fields)?;
    let mut opportunity = record::lock::<Opportunity>(tx, who, id)?;
    if opportunity.product_lines >= MAX {
        return Err(Error::conflict(
            format!("The opportunity has {MAX} products already, which is as many as it may have"),
            "Remove products that are not needed, or put the others into another opportunity.",
        ));
    }
    let product = fields
        .product_id
        .map(|product_id| record::share::<Product>(tx, who, product_id))
        .transpose()?;
    if let Some(product) = &product {
        take_defaults(&mut fields, product);
    }
    fields.quantity.get_or_insert(Quantity::ONE);
    fields.discount_percent.get_or_insert(Percent::NONE);
    fields.payment_status.get_or_insert_default();
    let mut columns = fields.columns();
    columns.push(Column {
        name: "opportunity_id",
        value: id.into(),
    });
    columns.push(Column {
        name: "sort_order",
        value: next_place(tx, who, &opportunity)?.into(),
    });
    let line = record::insert::<OpportunityProduct>(tx, who, who.new_id(), columns)?;
    check_worth(&line)?;
    margin::recount(tx, who, &mut opportunity, &automations)?;
    Ok((opportunity, line.id))
}

/// What the product says of a new line, where the line does not say it.
fn take_defaults(fields: &mut OpportunityProductFields, product: &Product) {
    fields.unit_price.get_or_insert(product.price);
    if let (Patch::Keep, Some(percent)) = (&fields.deposit_percent, product.deposit_percent) {
        fields.deposit_percent = Patch::Set(percent);
    }
}

fn next_place(db: &Db<'_>, who: &Caller, opportunity: &Opportunity) -> Result<i64> {
    if opportunity.product_lines == 0 {
        return Ok(0);
    }
    Ok(db.query_one(
        "select coalesce(max(sort_order) + 1, 0) from opportunity_products
         where workspace_id = $1 and opportunity_id = $2",
        &store::params![who.workspace_id, opportunity.id],
        |row| row.get(0),
    )?)
}

/// Changes the fields that are given of an opportunity's product.
pub fn update_product(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    line_id: Uuid,
    input: ProductLineUpdate,
) -> Result<ProductLine> {
    let ProductLineUpdate {
        fields,
        automations,
    } = input;
    check_payment_scope(who, &fields)?;
    cards::lock_stages(tx, who, vec![id], None)?;
    let mut opportunity = record::lock::<Opportunity>(tx, who, id)?;
    let mut line = find(tx, who, id, line_id)?;
    if let Some(product_id) = fields.product_id {
        record::share::<Product>(tx, who, product_id)?;
    }
    let changes = fields.apply(&mut line);
    check_worth(&line)?;
    record::update::<OpportunityProduct>(tx, who, line_id, &changes, [])?;
    if !changes.is_empty() {
        margin::recount(tx, who, &mut opportunity, &automations)?;
    }
    one(tx, who, &opportunity, line_id)
}

/// Takes a product off an opportunity, with what it costs and its work orders.
pub fn remove_product(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    line_id: Uuid,
    automations: &Automations,
) -> Result<()> {
    cards::lock_stages(tx, who, vec![id], None)?;
    let mut opportunity = record::lock::<Opportunity>(tx, who, id)?;
    find(tx, who, id, line_id)?;
    record::delete::<OpportunityProduct>(tx, who, line_id)?;
    margin::recount(tx, who, &mut opportunity, automations)
}

/// Puts the products of an opportunity into a new order.
pub fn reorder_products(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    input: &ReorderProducts,
) -> Result<Vec<ProductLine>> {
    let opportunity = record::lock::<Opportunity>(tx, who, id)?;
    let current = tx.query(
        "select id from opportunity_products where workspace_id = $1 and opportunity_id = $2",
        &store::params![who.workspace_id, id],
        |row| row.get::<Uuid>(0),
    )?;
    let wanted = &input.product_ids;
    let count = current.len();
    if wanted.is_empty() || !order::is_permutation(current, wanted) {
        return Err(Error::invalid(
            "product_ids",
            match count {
                0 => "must name rows of products, of which the opportunity has none".to_owned(),
                count => format!(
                    "must name each of the {count} rows of the opportunity's products exactly \
                     once, by the row's own id"
                ),
            },
        ));
    }
    order::write::<OpportunityProduct>(tx, who, "sort_order", wanted)?;
    of_one(tx, who, &opportunity)
}

/// What was paid is set only by those who may write invoices, even to what it is.
fn check_payment_scope(who: &Caller, fields: &OpportunityProductFields) -> Result<()> {
    match fields.payment_status {
        Some(_) if !who.scopes.has(SETS_PAYMENTS) => Err(Error::ScopesMissing(vec![SETS_PAYMENTS])),
        _ => Ok(()),
    }
}

impl OpportunityProduct {
    /// What it is worth, rounded; only what there is room for is kept.
    fn value(&self) -> Amount {
        Worth::of(self.quantity, self.unit_price, self.discount_percent)
            .and_then(Worth::rounded)
            .unwrap_or_default()
    }
}

/// Refuses a line that is worth more than there is room for.
fn check_worth(line: &OpportunityProduct) -> Result<()> {
    Worth::of(line.quantity, line.unit_price, line.discount_percent)
        .map(drop)
        .ok_or_else(|| Amount::no_room("quantity", "quantity × unit_price"))
}

/// The row with that id, if it is the opportunity's.
pub(super) fn find(
    db: &Db<'_>,
    who: &Caller,
    opportunity_id: Uuid,
    id: Uuid,
) -> Result<OpportunityProduct> {
    let line = record::get::<OpportunityProduct>(db, who, id)?;
    match line.opportunity_id == opportunity_id {
        true => Ok(line),
        false => Err(record::not_found::<OpportunityProduct>(id)),
    }
}

/// The statement that reads the products of opportunities, each in their order.
pub(super) fn of_sql(engine: Engine) -> String {
    format!(
        "select {}, p.name, p.price, p.currency
         from opportunity_products t
         join products p on p.workspace_id = t.workspace_id and p.id = t.product_id
         where t.workspace_id = $1 and t.opportunity_id {}
         order by t.opportunity_id, t.sort_order, t.id",
        OpportunityProduct::QUALIFIED,
        engine.any(2)
    )
}

/// The products of these opportunities, each in their order.
pub(super) fn of(
    db: &Db<'_>,
    who: &Caller,
    opportunities: &[Opportunity],
) -> Result<HashMap<Uuid, Vec<ProductLine>>> {
    let ids: Vec<_> = opportunities.iter().map(|one| one.id).collect();
    let rows = db.query(
        &of_sql(db.engine()),
        &store::params![who.workspace_id, ids.clone()],
        |row| {
            let mut columns = Columns::of(row);
            let line = OpportunityProduct::take(&mut columns)?;
            let product = LineProduct {
                id: line.product_id,
                name: columns.take()?,
                price: columns.take()?,
                currency: columns.take()?,
            };
            Ok((line, product))
        },
    )?;
    let mut costs = margin::costs(db, who, ids)?;
    let sees_payments = who.scopes.has(SEES_PAYMENTS);
    let currencies = opportunities.iter().map(|one| (one.id, one.currency));
    let currencies: HashMap<_, _> = currencies.collect();
    let mut lines: HashMap<Uuid, Vec<ProductLine>> = HashMap::new();
    for (line, product) in rows {
        let costs = costs.remove(&line.id).unwrap_or_default();
        let margin = Margin::of(line.value(), currencies[&line.opportunity_id], costs);
        lines
            .entry(line.opportunity_id)
            .or_default()
            .push(ProductLine {
                id: line.id,
                product_id: line.product_id,
                quantity: line.quantity,
                unit_price: line.unit_price,
                discount_percent: line.discount_percent,
                deposit_percent: line.deposit_percent,
                payment_status: sees_payments.then_some(line.payment_status),
                sort_order: line.sort_order,
                product,
                margin,
            });
    }
    Ok(lines)
}

fn of_one(db: &Db<'_>, who: &Caller, opportunity: &Opportunity) -> Result<Vec<ProductLine>> {
    let mut lines = of(db, who, std::slice::from_ref(opportunity))?;
    Ok(lines.remove(&opportunity.id).unwrap_or_default())
}

/// One of the opportunity's products, as it is answered.
fn one(db: &Db<'_>, who: &Caller, opportunity: &Opportunity, id: Uuid) -> Result<ProductLine> {
    of_one(db, who, opportunity)?
        .into_iter()
        .find(|line| line.id == id)
        .ok_or_else(|| record::not_found::<OpportunityProduct>(id))
}
