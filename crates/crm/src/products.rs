//! Products: the price list that opportunities are made up of.

use store::{Db, Tx};
use uuid::Uuid;

use crate::audit::{self, Entity};
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::mentions;
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
    /// Which products are listed.
    pub struct ProductFilter {
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
    }
}

crate::input! {
    /// A page of products.
    pub struct ListProducts {
        flatten filter: ProductFilter,
        flatten page: PageRequest,
    }
}

/// A page of the products, newest first.
pub fn list(db: &Db<'_>, who: &Caller, input: &ListProducts) -> Result<Page<Product>> {
    record::page(db, listed(db, who, &input.filter)?, input.page)
}

/// The products that are called so, in any case; oldest first.
pub fn find_by_name(db: &Db<'_>, who: &Caller, name: &str) -> Result<Vec<Uuid>> {
    search::find_by_name::<Product>(db, who, name)
}

/// The names of the first `count` products in the order of the alphabet.
pub fn names(db: &Db<'_>, who: &Caller, count: u32) -> Result<Vec<String>> {
    Ok(db.query(
        "select t.name
         from product_search s
         join products t on t.workspace_id = s.workspace_id and t.id = s.id
         where s.workspace_id = $1
         order by s.name_key, s.id limit $2",
        &store::params![who.workspace_id, i64::from(count)],
        |row| row.get(0),
    )?)
}

/// The condition of the products that `filter` lets through.
pub(crate) fn listed(db: &Db<'_>, who: &Caller, filter: &ProductFilter) -> Result<Condition> {
    let mut condition = record::all(who);
    condition
        .and_if("lower(t.sku) = lower(?)", filter.sku.clone())
        .and_if("t.category = ?", filter.category.clone())
        .and_if("t.is_active = ?", filter.is_active)
        .and_if(
            "t.created_at >= ?",
            filter.created_after.map(|moment| moment.0),
        )
        .and_if(
            "t.created_at < ?",
            filter.created_before.map(|moment| moment.0),
        );
    if let Some(query) = &filter.search {
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
pub(crate) const USED: &str =
    "select 1 from opportunity_products where workspace_id = $1 and product_id = $2 limit 1";

/// Deletes a product with its costs, unless opportunities use it. Line items of
/// invoices say by themselves what was billed, and stay.
pub fn delete(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<()> {
    // Locked, so that nothing takes it up meanwhile.
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
    mentions::clear(tx, who, mentions::OF_PRODUCT, id)?;
    search::remove::<Product>(tx, who, id)?;
    record::delete::<Product>(tx, who, id)
}

fn index(tx: &mut Tx<'_>, who: &Caller, product: &Product) -> Result<()> {
    let mut document = Document::default();
    document.text(Some(&product.name));
    document.text(product.sku.as_deref());
    search::put::<Product>(tx, who, product.id, &product.name, document)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{Value as Json, json};

    use super::*;
    use crate::opportunities;
    use crate::testing::{attempt, given, refused};

    on_both_engines! {
        fn a_product_is_kept_changed_and_logged(tx, desk) {
            let made = create(tx, &desk.who, given(json!({ "name": " Gear ", "price": 12.5 })))?;
            assert_eq!(serde_json::to_value(&made).unwrap(), json!({
                "id": made.id, "name": "Gear", "price": 12.5, "sku": null, "currency": "AUD",
                "category": null, "description": null, "unit": null, "deposit_percent": null,
                "is_active": true, "metadata": {}, "created_at": crate::testing::NOW,
                "updated_at": crate::testing::NOW,
            }));
            let later = desk.later(60);
            let fields = json!({
                "price": 13, "currency": "nzd", "is_active": false, "deposit_percent": 25, "unit": "piece",
            });
            let changed = update(tx, &later, made.id, given(fields))?;
            assert_eq!(changed.updated_at, later.now);
            update(tx, &desk.later(90), made.id, given(json!({ "price": 13.0 })))?;
            let read = record::get::<Product>(tx, &desk.who, made.id)?;
            assert_eq!(serde_json::to_value(&changed).unwrap(), serde_json::to_value(&read).unwrap());
            assert_eq!(desk.log_of(tx, made.id)?, [
                ("price".to_owned(), json!(12.5), json!(13)),
                ("currency".to_owned(), json!("AUD"), json!("NZD")),
                ("unit".to_owned(), Json::Null, json!("piece")),
                ("deposit_percent".to_owned(), Json::Null, json!(25)),
                ("is_active".to_owned(), json!(true), json!(false)),
            ]);
        }

        fn products_are_filtered_by_what_they_are_and_found_by_name_and_sku(tx, desk) {
            let gear = json!({ "name": "Gear", "price": 1, "sku": "G-24", "category": "Brass" });
            let gear = create(tx, &desk.who, given(gear))?.id;
            let wheel = json!({ "name": "Cogwheel", "price": 1, "category": "Brass", "is_active": false });
            let wheel = create(tx, &desk.who, given(wheel))?.id;
            let twin = create(tx, &desk.who, given(json!({ "name": "Twin", "price": 1, "sku": "g-24" })))?.id;
            for (filter, expected) in [
                (json!({}), &[twin, wheel, gear][..]),
                (json!({ "sku": "G-24" }), &[twin, gear]),
                (json!({ "sku": "G-2" }), &[]),
                (json!({ "category": "Brass" }), &[wheel, gear]),
                (json!({ "category": "Brass", "is_active": true }), &[gear]),
                (json!({ "is_active": false }), &[wheel]),
                (json!({ "search": "GEA" }), &[gear]),
                (json!({ "search": "wheel" }), &[wheel]),
                (json!({ "search": "g-2" }), &[twin, gear]),
                (json!({ "created_after": "2026-03-01" }), &[]),
            ] {
                let page = list(tx, &desk.who, &given(filter.clone()))?;
                let ids: Vec<_> = page.items.iter().map(|one| one.id).collect();
                assert_eq!(ids, expected, "{filter}");
            }
            update(tx, &desk.who, gear, given(json!({ "name": "Pinion", "sku": null })))?;
            for (query, count) in [("gear", 0), ("pinion", 1), ("g-24", 1)] {
                let page = list(tx, &desk.who, &given(json!({ "search": query })))?;
                assert_eq!(page.items.len(), count, "{query}");
            }
        }

        fn a_product_that_opportunities_use_is_not_deleted(tx, desk) {
            let gear = create(tx, &desk.who, given(json!({ "name": "Gear", "price": 1 })))?.id;
            let id = desk.opportunity(tx, "Engine")?.id;
            let line = given(json!({ "product_id": gear }));
            opportunities::add_product(tx, &desk.who, id, line)?;
            assert_eq!(attempt(tx, |tx| delete(tx, &desk.who, gear)), "conflict");
            update(tx, &desk.who, gear, given(json!({ "is_active": false })))?;
            opportunities::delete(tx, &desk.who, id)?;
            let cost = given(json!({ "cost_price": 1 }));
            crate::product_costs::create(tx, &desk.who, gear, cost)?;
            delete(tx, &desk.who, gear)?;
            assert_eq!(attempt(tx, |tx| delete(tx, &desk.who, gear)), "not found: product");
            assert!(list(tx, &desk.who, &given(json!({ "search": "gear" })))?.items.is_empty());
        }
    }

    #[test]
    fn a_product_needs_a_name_and_a_price() {
        let problems = refused::<New<ProductFields>>(json!({ "name": " ", "currency": "XXQ" }));
        assert_eq!(problems.missing, ["name", "price"]);
        assert_eq!(problems.invalid[0].field, "currency");
        given::<New<ProductFields>>(json!({ "name": "Trade-in", "price": -150.25 }));
    }
}
