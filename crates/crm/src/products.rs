//! Products: the price list that opportunities are made up of.

use store::{Db, Tx};
use uuid::Uuid;

use crate::audit::{self, Entity};
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::metadata::Metadata;
use crate::money::{Amount, Currency, Percent};
use crate::paging::{Page, PageRequest};
use crate::record::{self, New, Writable};
use crate::search::{self, Document, Query, Searchable};
use crate::sql::Condition;
use crate::text::{Name, Notes, Text};
use crate::time::{Moment, Timestamp};

crate::record! {
    /// A product: something that is sold, at a price.
    pub struct Product in "products", called "product";
    /// The writable fields of a product.
    pub struct ProductFields;
    read {
        /// Its id; ids sort by age.
        id: Uuid,
    }
    write {
        /// What it is called.
        solid name: Name = "Brass gear, 24 teeth",
        /// What one unit of it costs the customer; negative for what is taken
        /// off, as a trade-in is.
        solid price: Amount = 12.5,
        /// Its number in the stock; two products may have the same.
        patch sku: Text<255> = "GEAR-24",
        /// The currency of `price`, by ISO 4217; the workspace's by default.
        plain currency: Currency,
        /// What it belongs to in the price list.
        patch category: Text<255> = "Gears",
        /// What it is, up to 100,000 characters.
        patch description: Notes,
        /// What it is counted in.
        patch unit: Text<50> = "piece",
        /// The share of its price that is asked for in advance, in percent.
        patch deposit_percent: Percent = 30,
        /// False for what is no longer sold; true by default.
        plain is_active: bool = true,
        /// Custom field values by their key; a PATCH replaces all of them.
        plain metadata: Metadata,
    }
    kept {
        /// When it was created.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
    }
}

impl Searchable for Product {
    const INDEX: &'static str = "product_search";
}

crate::input! {
    /// A page of products.
    pub struct ListProducts {
        /// Those found by this part of their name or their SKU.
        optional search: Query = "gear",
        /// Those with this SKU, in any case.
        optional sku: Text<255>,
        /// Those of this category.
        optional category: Text<255>,
        /// True for those that are still sold, false for the others.
        optional is_active: bool,
        /// Those created at this instant or later; a date means its start in UTC.
        optional created_after: Moment,
        /// Those created before this instant; a date means its start in UTC.
        optional created_before: Moment,
        flatten page: PageRequest,
    }
}

/// A page of the products, newest first.
pub fn list(db: &Db<'_>, who: &Caller, input: &ListProducts) -> Result<Page<Product>> {
    record::page(db, listed(db, who, input)?, input.page)
}

/// The condition that the products of a list meet.
fn listed(db: &Db<'_>, who: &Caller, input: &ListProducts) -> Result<Condition> {
    let mut condition = record::all(who);
    condition
        .and_if("lower(t.sku) = lower(?)", input.sku.clone())
        .and_if("t.category = ?", input.category.clone())
        .and_if("t.is_active = ?", input.is_active)
        .and_if(
            "t.created_at >= ?",
            input.created_after.map(|moment| moment.0),
        )
        .and_if(
            "t.created_at < ?",
            input.created_before.map(|moment| moment.0),
        );
    if let Some(query) = &input.search {
        search::narrow::<Product>(db, who, &mut condition, query)?;
    }
    Ok(condition)
}

/// Creates a product.
pub fn create(tx: &mut Tx<'_>, who: &Caller, input: New<ProductFields>) -> Result<Product> {
    let New(mut fields) = input;
    if fields.currency.is_none() {
        fields.currency = Some(who.locale(tx)?.currency);
    }
    fields.is_active.get_or_insert(true);
    fields.metadata.get_or_insert_default();
    let product = record::insert::<Product>(tx, who, who.new_id(), fields.columns())?;
    index(tx, who, &product)?;
    Ok(product)
}

/// Changes the fields that are given. What opportunities have of it stays at
/// their own prices.
pub fn update(tx: &mut Tx<'_>, who: &Caller, id: Uuid, fields: ProductFields) -> Result<Product> {
    let mut product = record::lock::<Product>(tx, who, id)?;
    let changes = fields.apply(&mut product);
    if changes.is_empty() {
        return Ok(product);
    }
    product.updated_at = who.now;
    record::update::<Product>(tx, who, id, &changes, [])?;
    audit::log(tx, who, Entity::Product, id, &changes)?;
    let found_by = ["name", "sku"];
    if changes
        .iter()
        .any(|change| found_by.contains(&change.column))
    {
        index(tx, who, &product)?;
    }
    Ok(product)
}

/// The statement that finds whether an opportunity has a product.
const USED: &str =
    "select 1 from opportunity_products where workspace_id = $1 and product_id = $2 limit 1";

/// Deletes a product with its costs, unless opportunities use it.
pub fn delete(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<()> {
    // Locked, so that no opportunity takes it up meanwhile.
    record::lock::<Product>(tx, who, id)?;
    let used = tx.query_opt(USED, &store::params![who.workspace_id, id], |row| {
        row.get::<i64>(0)
    })?;
    if used.is_some() {
        return Err(Error::conflict(
            "Opportunities use this product",
            "Deactivate it instead: PATCH it with \"is_active\": false. \
             The opportunities keep what they have of it.",
        ));
    }
    search::remove::<Product>(tx, who, id)?;
    record::delete::<Product>(tx, who, id)
}

fn index(tx: &mut Tx<'_>, who: &Caller, product: &Product) -> Result<()> {
    let mut document = Document::default();
    document.text(Some(&product.name));
    document.text(product.sku.as_deref());
    search::put::<Product>(tx, who, product.id, &product.name, document)
}
