use serde_json::json;

use super::super::lines::{bulk_create, delete, get, list, update};
use super::*;
use crate::money::Quantity;
use crate::products;

fn product(tx: &mut Tx<'_>, desk: &Desk, fields: Json) -> Result<Uuid> {
    Ok(products::create(tx, &desk.who, given(fields))?.id)
}

on_both_engines! {
    fn line_items_are_kept_in_their_order_and_counted(tx, desk) {
        let id = invoice(tx, desk, json!({ "amount_credited": 1 }))?.id;
        let first = line(tx, desk, id, json!({ "description": "Gears", "quantity": 3, "unit_price": 9.99, "tax_amount": 3 }))?;
        let second = line(tx, desk, id, json!({ "description": "Oil", "unit_price": -0.005, "quantity": null }))?;
        assert_eq!((second.line_total.to_string(), second.quantity), ("-0.01".to_owned(), Quantity::ONE));
        let kept = list(tx, &desk.who, id)?;
        assert_eq!(json(&kept), json!([first, second]));
        assert_eq!(json(&get(tx, &desk.who, id, first.id)?), json(&first));
        assert_eq!(amounts(&super::get(tx, &desk.who, id)?), ["29.96", "3", "32.96", "31.96"]);

        let later = desk.later(60);
        let fields = json!({ "quantity": 2, "discount_percent": 50, "tax_amount": 0.999, "description": "Wheels" });
        let changed = update(tx, &later, id, first.id, given(fields.clone()))?;
        assert_eq!((changed.line_total.to_string(), changed.tax_amount.to_string()), ("9.99".to_owned(), "1".to_owned()));
        assert_eq!((&*changed.description, changed.updated_at), ("Wheels", later.now));
        let again = update(tx, &desk.later(90), id, first.id, given(fields))?;
        assert_eq!(json(&again), json(&changed));
        let read = super::get(tx, &desk.who, id)?;
        assert_eq!((amounts(&read), read.updated_at), (["9.98", "1", "10.98", "9.98"].map(str::to_owned), later.now));
        assert_eq!(json(&read.line_items), json!([changed, second]));
        delete(tx, &desk.who, id, first.id)?;
        assert_eq!(amounts(&super::get(tx, &desk.who, id)?), ["-0.01", "0", "-0.01", "-1.01"]);

        // What is another invoice's is not this one's.
        let other = invoice(tx, desk, json!({}))?.id;
        let expected = "not found: line item";
        let fields = given(json!({ "quantity": 9 }));
        assert_eq!(attempt(tx, |tx| get(tx, &desk.who, other, second.id)), expected);
        assert_eq!(attempt(tx, |tx| update(tx, &desk.who, other, second.id, fields)), expected);
        assert_eq!(attempt(tx, |tx| delete(tx, &desk.who, other, second.id)), expected);
        assert_eq!(attempt(tx, |tx| delete(tx, &desk.who, id, first.id)), expected);
        assert_eq!(attempt(tx, |tx| list(tx, &desk.stranger, id)), "not found: invoice");
        super::delete(tx, &desk.who, id)?;
        assert_eq!(attempt(tx, |tx| get(tx, &desk.who, id, second.id)), "not found: invoice");
    }

    fn a_line_item_takes_the_price_of_its_product_and_outlives_it(tx, desk) {
        let gear = product(tx, desk, json!({ "name": "Gear", "price": 12.345, "currency": "USD" }))?;
        let id = invoice(tx, desk, json!({}))?.id;
        let taken = line(tx, desk, id, json!({ "description": "Gear", "product_id": gear }))?;
        assert_eq!((taken.unit_price.to_string(), taken.line_total.to_string()), ("12.345".to_owned(), "12.35".to_owned()));
        let own = line(tx, desk, id, json!({ "description": "Gear", "product_id": gear, "unit_price": 0 }))?;
        assert_eq!(own.unit_price, Amount::default());
        // What is billed already keeps its price.
        let wheel = product(tx, desk, json!({ "name": "Wheel", "price": 1 }))?;
        let changed = update(tx, &desk.who, id, taken.id, given(json!({ "product_id": wheel })))?;
        assert_eq!((changed.product_id, changed.unit_price), (Some(wheel), taken.unit_price));
        let later = desk.later(60);
        products::delete(tx, &later, gear)?;
        let left = get(tx, &desk.who, id, own.id)?;
        assert_eq!((left.product_id, left.updated_at), (None, later.now));
        assert_eq!(get(tx, &desk.who, id, taken.id)?.product_id, Some(wheel));
        let theirs = products::create(tx, &desk.stranger, given(json!({ "name": "Theirs", "price": 1 })))?.id;
        for product_id in [gear, theirs] {
            let naming = json!({ "description": "x", "product_id": product_id });
            assert_eq!(attempt(tx, |tx| line(tx, desk, id, naming)), "not found: product");
            let naming = given(json!({ "product_id": product_id }));
            assert_eq!(attempt(tx, |tx| update(tx, &desk.who, id, own.id, naming)), "not found: product");
        }
    }

    fn many_line_items_are_added_at_once_and_each_stands_alone(tx, desk) {
        let id = invoice(tx, desk, json!({}))?.id;
        let largest = 922_337_203_685_477_i64;
        let nobody = Uuid::from_u128(7);
        let made = bulk_create(tx, &desk.later(60), id, given(json!({ "line_items": [
            { "description": "Oil", "unit_price": 2, "colour": 1 },
            { "unit_price": 2 },
            { "description": "Much", "unit_price": largest },
            { "description": "Gear", "product_id": nobody },
            { "description": "Oil", "unit_price": 3, "tax_amount": 0.5 },
        ] })))?;
        let done: Vec<_> = made.done.iter().map(|(index, _)| *index).collect();
        assert_eq!(done, [0, 4]);
        let failed = made.failed.into_iter().map(|(index, error)| (index, crate::testing::outcome::<()>(Err(error))));
        let failed: Vec<_> = failed.collect();
        let failed: Vec<_> = failed.iter().map(|(index, said)| (*index, &**said)).collect();
        assert_eq!(failed, [
            (1, "invalid: description"),
            (2, "invalid: unit_price"),
            (3, "not found: product"),
        ]);
        assert_eq!(made.unknown, ["line_items[0].colour"]);
        let read = super::get(tx, &desk.who, id)?;
        assert_eq!((amounts(&read), read.updated_at), (["5", "0.5", "5.5", "5.5"].map(str::to_owned), desk.later(60).now));
        // A call that adds nothing changes nothing.
        bulk_create(tx, &desk.later(90), id, given(json!({ "line_items": [{}] })))?;
        assert_eq!(super::get(tx, &desk.who, id)?.updated_at, read.updated_at);
    }

    fn an_invoice_has_no_more_line_items_than_can_be_shown_together(tx, desk) {
        let fields = json!({ "description": "Oil", "unit_price": 0.01 });
        let id = invoice(tx, desk, json!({ "line_items": vec![&fields; 600] }))?.id;
        let made = bulk_create(tx, &desk.who, id, given(json!({ "line_items": vec![&fields; 500] })))?;
        assert_eq!((made.done.len(), made.failed.len()), (400, 100));
        assert_eq!(attempt(tx, |tx| line(tx, desk, id, fields)), "conflict");
        let full = super::get(tx, &desk.who, id)?;
        assert_eq!((full.line_items.unwrap().len(), full.subtotal.to_string()), (1000, "10".to_owned()));
    }

    async fn line_items_that_change_at_once_all_count(world) {
        let (id, kept) = world.write(|tx, desk| {
            let id = invoice(tx, desk, json!({}))?.id;
            let kept = (0..6).map(|_| line(tx, desk, id, json!({ "description": "Oil", "unit_price": 1 })));
            Ok((id, kept.map(|line| line.map(|line| line.id)).collect::<Result<Vec<_>>>()?))
        }).await.unwrap();
        let results = world.all_at_once(12, move |tx, desk, index| match index % 4 {
            0 => update(tx, &desk.who, id, kept[index / 2], given(json!({ "unit_price": 10 }))).map(drop),
            1 => delete(tx, &desk.who, id, kept[index / 2 + 1]),
            2 => line(tx, desk, id, json!({ "description": "Rags", "unit_price": 100, "tax_amount": 7 })).map(drop),
            _ => patch(tx, desk, id, json!({ "reference": index.to_string(), "amount_paid": 5 })).map(drop),
        }).await;
        for result in results {
            assert_eq!(crate::testing::outcome(result), "done");
        }
        let left = world.read(move |db, desk| super::get(db, &desk.who, id)).await.unwrap();
        // Three at ten, three gone, three at a hundred.
        assert_eq!(amounts(&left), ["330", "21", "351", "346"]);
        assert_eq!(left.totals(), left.line_items.unwrap().iter().map(LineItem::totals).sum());
    }

    async fn a_line_item_that_names_a_product_as_it_is_deleted_forgets_it_or_is_refused(world) {
        let (id, own, first, second) = world.write(|tx, desk| {
            let first = product(tx, desk, json!({ "name": "Gear", "price": 1 }))?;
            let second = product(tx, desk, json!({ "name": "Wheel", "price": 1 }))?;
            let id = invoice(tx, desk, json!({}))?.id;
            let own = line(tx, desk, id, json!({ "description": "Oil", "product_id": second }))?.id;
            Ok((id, own, first, second))
        }).await.unwrap();
        let (named, gone) = world.overlapping(
            move |tx, desk| update(tx, &desk.who, id, own, given(json!({ "product_id": first }))),
            move |tx, desk| products::delete(tx, &desk.who, first),
        ).await;
        assert!(named.is_ok() && gone.is_ok());
        let left = world.read(move |db, desk| get(db, &desk.who, id, own)).await.unwrap();
        assert_eq!(left.product_id, None);
        let (gone, named) = world.overlapping(
            move |tx, desk| products::delete(tx, &desk.who, second),
            move |tx, desk| line(tx, desk, id, json!({ "description": "x", "product_id": second })),
        ).await;
        gone.unwrap();
        assert_eq!(crate::testing::outcome(named), "not found: product");
    }
}
