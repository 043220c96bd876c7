//! What a product costs its seller: one row for each thing that goes into a
//! unit of it, in the currency of its price.

use store::{Db, Tx};
use uuid::Uuid;

use crate::caller::Caller;
use crate::companies::Company;
use crate::error::Result;
use crate::mentions;
use crate::money::{Amount, Quantity};
use crate::paging::{Page, PageRequest};
use crate::products::Product;
use crate::record::{self, Column, New, Writable};
use crate::text::Text;
use crate::time::Timestamp;

crate::record! {
    /// A cost of a product: something that goes into one unit of it.
    pub struct ProductCost in "product_costs", called "product cost";
    /// The writable fields of a product's cost.
    pub struct ProductCostFields;
    read {
        /// Its id; ids sort by age.
        id: Uuid,
        /// The product.
        product_id: Uuid,
    }
    write {
        /// What is paid for.
        patch label: Text<255> = "Brass blank",
        /// What one of it costs, in the currency of the product's price.
        solid cost_price: Amount = 3.2,
        /// How many of it one unit of the product takes; 1 by default.
        plain quantity: Quantity = 1,
        /// The company that it comes from.
        patch supplier_id: Uuid,
        /// What the supplier calls it.
        patch supplier_product_id: Text<255> = "BB-0110",
    }
    kept {
        /// When it was created.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
    }
}

/// A page of a product's costs, newest first.
pub fn list(
    db: &Db<'_>,
    who: &Caller,
    product_id: Uuid,
    request: PageRequest,
) -> Result<Page<ProductCost>> {
    record::check::<Product>(db, who, product_id)?;
    let mut condition = record::all(who);
    condition.and("t.product_id = ?", [product_id.into()]);
    record::page(db, condition, request)
}

/// Adds a cost to a product.
pub fn create(
    tx: &mut Tx<'_>,
    who: &Caller,
    product_id: Uuid,
    input: New<ProductCostFields>,
) -> Result<ProductCost> {
    let New(mut fields) = input;
    record::share::<Product>(tx, who, product_id)?;
    mentions::hold::<Company>(tx, who, &fields.supplier_id)?;
    fields.quantity.get_or_insert(Quantity::ONE);
    let mut columns = fields.columns();
    columns.push(Column {
        name: "product_id",
        value: product_id.into(),
    });
    record::insert(tx, who, who.new_id(), columns)
}

/// Changes the fields that are given of a product's cost.
pub fn update(
    tx: &mut Tx<'_>,
    who: &Caller,
    product_id: Uuid,
    id: Uuid,
    fields: ProductCostFields,
) -> Result<ProductCost> {
    record::check::<Product>(tx, who, product_id)?;
    mentions::hold::<Company>(tx, who, &fields.supplier_id)?;
    let mut cost = lock(tx, who, product_id, id)?;
    let changes = fields.apply(&mut cost);
    if !changes.is_empty() {
        cost.updated_at = who.now;
    }
    record::update::<ProductCost>(tx, who, id, &changes, [])?;
    Ok(cost)
}

/// Deletes a product's cost.
pub fn delete(tx: &mut Tx<'_>, who: &Caller, product_id: Uuid, id: Uuid) -> Result<()> {
    record::check::<Product>(tx, who, product_id)?;
    lock(tx, who, product_id, id)?;
    record::delete::<ProductCost>(tx, who, id)
}

/// The cost with that id, if it is the product's.
fn lock(tx: &Tx<'_>, who: &Caller, product_id: Uuid, id: Uuid) -> Result<ProductCost> {
    let cost = record::lock::<ProductCost>(tx, who, id)?;
    match cost.product_id == product_id {
        true => Ok(cost),
        false => Err(record::not_found::<ProductCost>(id)),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::products;
    use crate::testing::{attempt, given, refused};

    on_both_engines! {
        fn a_cost_is_kept_changed_and_deleted(tx, desk) {
            let new = |name: &str| given(json!({ "name": name, "price": 10 }));
            let gear = products::create(tx, &desk.who, new("Gear"))?.id;
            let other = products::create(tx, &desk.who, new("Other"))?.id;
            let company = desk.company(tx, "Foundry")?.id;
            let fields = json!({ "label": "Brass", "cost_price": 3.2, "supplier_id": company });
            let made = create(tx, &desk.who, gear, given(fields))?;
            assert_eq!(serde_json::to_value(&made).unwrap(), json!({
                "id": made.id, "product_id": gear, "label": "Brass", "cost_price": 3.2,
                "quantity": 1, "supplier_id": company, "supplier_product_id": null,
                "created_at": crate::testing::NOW, "updated_at": crate::testing::NOW,
            }));
            let fields = json!({ "quantity": 2.5, "label": null, "supplier_product_id": "BB-0110" });
            let changed = update(tx, &desk.later(60), gear, made.id, given(fields))?;
            assert_eq!((changed.label.is_none(), changed.updated_at), (true, desk.later(60).now));
            let page = PageRequest::default();
            let kept = list(tx, &desk.who, gear, page)?.items;
            assert_eq!(kept.len(), 1);
            assert_eq!(serde_json::to_value(&kept[0]).unwrap(), serde_json::to_value(&changed).unwrap());
            // What is another product's is not this one's.
            assert!(list(tx, &desk.who, other, page)?.items.is_empty());
            let fields = given(json!({ "quantity": 9 }));
            assert_eq!(attempt(tx, |tx| update(tx, &desk.who, other, made.id, fields)), "not found: product cost");
            assert_eq!(attempt(tx, |tx| delete(tx, &desk.who, other, made.id)), "not found: product cost");
            delete(tx, &desk.who, gear, made.id)?;
            assert_eq!(attempt(tx, |tx| delete(tx, &desk.who, gear, made.id)), "not found: product cost");
        }
    }

    #[test]
    fn a_cost_needs_its_price() {
        let problems = refused::<New<ProductCostFields>>(json!({ "quantity": -1 }));
        assert_eq!(problems.missing, ["cost_price"]);
        assert_eq!(problems.invalid[0].field, "quantity");
    }
}
