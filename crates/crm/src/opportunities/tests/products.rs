//! The products of an opportunity, what they are worth and what they cost.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::*;
use crate::pipelines;
use crate::products::{self as price_list, Product};
use crate::scopes::Scopes;
use crate::testing::{Desk, World};

fn product(tx: &mut Tx<'_>, desk: &Desk, fields: Json) -> Result<Product> {
    price_list::create(tx, &desk.who, given(fields))
}

/// A product of that price in the workspace's currency.
fn priced(tx: &mut Tx<'_>, desk: &Desk, price: i64) -> Result<Uuid> {
    product(tx, desk, json!({ "name": "Gear", "price": price })).map(|product| product.id)
}

fn add(tx: &mut Tx<'_>, desk: &Desk, id: Uuid, fields: Json) -> Result<ProductLine> {
    add_product(tx, &desk.who, id, given(fields))
}

fn change(tx: &mut Tx<'_>, desk: &Desk, id: Uuid, line: Uuid, fields: Json) -> Result<ProductLine> {
    update_product(tx, &desk.who, id, line, given(fields))
}

fn cost(
    tx: &mut Tx<'_>,
    desk: &Desk,
    id: Uuid,
    line: Uuid,
    fields: Json,
) -> Result<OpportunityProductCost> {
    add_cost(tx, &desk.who, id, line, given(fields))
}

fn json_of(value: &impl serde::Serialize) -> Json {
    serde_json::to_value(value).unwrap()
}

fn number(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

fn value_of(db: &Db<'_>, desk: &Desk, id: Uuid) -> Result<Json> {
    Ok(json_of(&desk.get(db, id)?.products_value))
}

fn listed(db: &Db<'_>, desk: &Desk, id: Uuid) -> Result<Vec<Uuid>> {
    let lines = super::products(db, &desk.who, id)?;
    Ok(lines.iter().map(|line| line.id).collect())
}

/// Who has these scopes alone.
fn with_scopes(desk: &Desk, scopes: &[&str]) -> Caller {
    Caller {
        scopes: Scopes::of(scopes.iter().copied()).unwrap(),
        ..desk.who.clone()
    }
}

on_both_engines! {
    fn a_new_line_goes_last_and_takes_from_the_product_what_it_is_not_told(tx, desk) {
        let gear = product(tx, desk, json!({ "name": "Gear", "price": 12.5, "deposit_percent": 30 }))?.id;
        let id = desk.opportunity(tx, "Engine")?.id;
        let first = json_of(&add(tx, desk, id, json!({ "product_id": gear }))?);
        assert_eq!(first, json!({
            "id": first["id"], "product_id": gear, "quantity": 1, "unit_price": 12.5,
            "discount_percent": 0, "deposit_percent": 30, "payment_status": "unpaid",
            "sort_order": 0,
            "crm_products": { "id": gear, "name": "Gear", "price": 12.5, "currency": "AUD" },
            "value": 12.5, "cost": 0, "margin": 12.5, "other_costs": [],
        }));
        let told = json!({
            "product_id": gear, "quantity": 2.5, "unit_price": 9.9, "discount_percent": 10,
            "deposit_percent": null, "payment_status": "paid",
        });
        let second = json_of(&add(tx, desk, id, told.clone())?);
        for (field, sent) in told.as_object().unwrap() {
            assert_eq!(&second[field], sent, "{field}");
        }
        assert_eq!((&second["sort_order"], &second["value"]), (&json!(1), &number("22.275")));
        assert_eq!(json_of(&super::products(tx, &desk.who, id)?), json!([first, second]));
        assert_eq!(value_of(tx, desk, id)?, number("34.775"));
    }

    fn the_value_of_the_products_follows_every_change_of_them(tx, desk) {
        let gear = priced(tx, desk, 100)?;
        let id = desk.create(tx, json!({ "name": "Engine", "stage_id": desk.lead() }))?.id;
        let line = add(tx, desk, id, json!({ "product_id": gear }))?.id;
        let other = add(tx, desk, id, json!({ "product_id": gear, "quantity": 2 }))?.id;
        assert_eq!(value_of(tx, desk, id)?, 300);
        for (fields, value) in [
            (json!({ "quantity": 3 }), "500"),
            (json!({ "unit_price": 0.3333 }), "200.9999"),
            (json!({ "discount_percent": 33.3333 }), "200.6666"),
            (json!({ "payment_status": "paid" }), "200.6666"),
            (json!({ "unit_price": -10, "discount_percent": 0 }), "170"),
        ] {
            change(tx, desk, id, line, fields)?;
            assert_eq!(value_of(tx, desk, id)?, number(value));
        }
        let summary = json_of(&pipelines::summary(tx, &desk.who, desk.pipeline)?);
        assert_eq!(summary["totals"]["by_currency"][0]["total_value"], 170);
        remove_product(tx, &desk.who, id, other, &Automations::default())?;
        assert_eq!(value_of(tx, desk, id)?, -30);
        remove_product(tx, &desk.who, id, line, &Automations::default())?;
        assert_eq!(value_of(tx, desk, id)?, 0);
        // What the products have of it is derived, so the log says nothing.
        assert!(desk.log_of(tx, id)?.is_empty());
    }

    fn a_changed_value_is_told_unless_that_is_suppressed(tx, desk) {
        let gear = priced(tx, desk, 100)?;
        let id = desk.opportunity(tx, "Engine")?.id;
        let later = desk.later(60);
        let line = add_product(tx, &later, id, given(json!({ "product_id": gear })))?.id;
        assert_eq!(desk.get(tx, id)?.updated_at, later.now);
        change(tx, desk, id, line, json!({ "payment_status": "paid" }))?;
        change(tx, desk, id, line, json!({ "quantity": 2, "skip_automations": true }))?;
        assert_eq!(desk.events_of(tx, id)?, ["deal_created", "deal_updated"]);
        let data: Json = tx.query_one(
            "select data from events where workspace_id = $1 and trigger_type = 'deal_updated'",
            &store::params![desk.who.workspace_id],
            |row| row.get(0),
        )?;
        assert_eq!(data, json!({
            "_changed_fields": ["products_value"], "_previous_values": { "products_value": 0 },
        }));
    }

    fn what_there_is_no_room_for_is_refused_and_changes_nothing(tx, desk) {
        let gear = priced(tx, desk, 1)?;
        let id = desk.opportunity(tx, "Engine")?.id;
        let largest = 922_337_203_685_477_i64;
        let line = add(tx, desk, id, json!({ "product_id": gear, "unit_price": largest }))?.id;
        let before = json_of(&super::products(tx, &desk.who, id)?);
        let tries = [
            attempt(tx, |tx| add(tx, desk, id, json!({ "product_id": gear, "quantity": 1 }))),
            attempt(tx, |tx| add(tx, desk, id, json!({ "product_id": gear, "quantity": 2, "unit_price": -largest }))),
            attempt(tx, |tx| change(tx, desk, id, line, json!({ "quantity": 1.0001 }))),
            attempt(tx, |tx| change(tx, desk, id, line, json!({ "quantity": largest }))),
        ];
        assert_eq!(tries, ["invalid: quantity"; 4]);
        cost(tx, desk, id, line, json!({ "unit_cost": largest }))?;
        let tries = [
            attempt(tx, |tx| cost(tx, desk, id, line, json!({ "unit_cost": largest, "quantity": 2 }))),
            attempt(tx, |tx| cost(tx, desk, id, line, json!({ "unit_cost": 1 }))),
        ];
        assert_eq!(tries, ["invalid: unit_cost"; 2]);
        let mut after = json_of(&super::products(tx, &desk.who, id)?);
        assert_eq!(after[0]["cost"], number("922337203685477"));
        for field in ["cost", "margin"] {
            after[0][field] = before[0][field].clone();
        }
        assert_eq!(after, before);
        assert_eq!(value_of(tx, desk, id)?, number("922337203685477"));
    }

    fn a_price_is_the_products_number_unless_another_is_given(tx, desk) {
        let abroad = product(tx, desk, json!({ "name": "Gear", "price": 100, "currency": "USD" }))?.id;
        let id = desk.opportunity(tx, "Engine")?.id;
        let line = json_of(&add(tx, desk, id, json!({ "product_id": abroad }))?);
        assert_eq!((&line["unit_price"], &line["value"]), (&json!(100), &json!(100)));
        let line = json_of(&add(tx, desk, id, json!({ "product_id": abroad, "unit_price": 150 }))?);
        assert_eq!((&line["value"], &line["crm_products"]["currency"]), (&json!(150), &json!("USD")));
    }

    fn what_was_paid_is_for_those_who_deal_with_invoices(tx, desk) {
        let gear = priced(tx, desk, 100)?;
        let id = desk.opportunity(tx, "Engine")?.id;
        let line = add(tx, desk, id, json!({ "product_id": gear }))?.id;
        let seller = with_scopes(desk, &["opportunities:read", "opportunities:write"]);
        let clerk = with_scopes(desk, &["opportunities:write", "invoices:write"]);
        let refused = "failed: this needs invoices:write";
        for status in ["unpaid", "paid"] {
            let fields = json!({ "product_id": gear, "quantity": 7, "payment_status": status });
            assert_eq!(attempt(tx, |tx| add_product(tx, &seller, id, given(fields.clone()))), refused);
            assert_eq!(attempt(tx, |tx| update_product(tx, &seller, id, line, given(fields))), refused);
        }
        assert_eq!(value_of(tx, desk, id)?, 100);
        // Setting it does not show it.
        let told = update_product(tx, &clerk, id, line, given(json!({ "payment_status": "invoiced" })))?;
        assert!(json_of(&told).get("payment_status").is_none());
        let expand = given(json!({ "expand": ["products"] }));
        for (who, shown) in [(&seller, None), (&desk.who, Some(&json!("invoiced")))] {
            let rows = json_of(&super::products(tx, who, id)?);
            assert_eq!(rows[0].get("payment_status"), shown);
            let expanded = json_of(&get(tx, who, id, &expand)?);
            assert_eq!(expanded["products"], rows);
        }
    }

    fn an_order_names_each_line_once(tx, desk) {
        let gear = priced(tx, desk, 1)?;
        let id = desk.opportunity(tx, "Engine")?.id;
        let other = desk.opportunity(tx, "Other")?.id;
        let foreign = add(tx, desk, other, json!({ "product_id": gear }))?.id;
        let [a, b, c] = [1, 2, 3].map(|quantity| {
            add(tx, desk, id, json!({ "product_id": gear, "quantity": quantity })).map(|line| line.id).unwrap()
        });
        let reorder = |tx: &mut Tx<'_>, of: Uuid, ids: &[Uuid]| {
            reorder_products(tx, &desk.who, of, &given(json!({ "product_ids": ids })))
        };
        for wrong in [&[a, b][..], &[a, b, c, c], &[a, b, b], &[a, b, foreign], &[a, b, c, foreign], &[gear, b, c], &[]] {
            assert_eq!(attempt(tx, |tx| reorder(tx, id, wrong)), "invalid: product_ids");
        }
        assert_eq!(listed(tx, desk, id)?, [a, b, c]);
        let rows = reorder(tx, id, &[c, a, b])?;
        let places: Vec<_> = rows.iter().map(|line| (line.id, line.sort_order)).collect();
        assert_eq!(places, [(c, 0), (a, 1), (b, 2)]);
        remove_product(tx, &desk.who, id, a, &Automations::default())?;
        let d = add(tx, desk, id, json!({ "product_id": gear }))?.id;
        assert_eq!(listed(tx, desk, id)?, [c, b, d]);
        let bare = desk.opportunity(tx, "Bare")?.id;
        assert_eq!(attempt(tx, |tx| reorder(tx, bare, &[])), "invalid: product_ids");
    }

    fn a_line_takes_another_product_and_keeps_its_own_price(tx, desk) {
        let gear = priced(tx, desk, 100)?;
        let spring = product(tx, desk, json!({ "name": "Spring", "price": 7 }))?.id;
        let id = desk.opportunity(tx, "Engine")?.id;
        let line = add(tx, desk, id, json!({ "product_id": gear }))?.id;
        let changed = change(tx, desk, id, line, json!({ "product_id": spring }))?;
        assert_eq!((&*changed.product.name, changed.unit_price, changed.product_id), ("Spring", Amount::parse("100").unwrap(), spring));
        price_list::update(tx, &desk.who, spring, given(json!({ "name": "Coil", "price": 8 })))?;
        let row = &super::products(tx, &desk.who, id)?[0];
        assert_eq!((&*row.product.name, row.unit_price), ("Coil", Amount::parse("100").unwrap()));
        price_list::delete(tx, &desk.who, gear)?;
        assert_eq!(attempt(tx, |tx| price_list::delete(tx, &desk.who, spring)), "conflict");
    }

    fn costs_in_the_opportunitys_currency_are_taken_off_and_others_are_shown_beside(tx, desk) {
        let gear = priced(tx, desk, 100)?;
        let id = desk.create(tx, json!({ "name": "Engine", "stage_id": desk.lead() }))?.id;
        let line = add(tx, desk, id, json!({ "product_id": gear, "quantity": 2 }))?.id;
        let plain = add(tx, desk, id, json!({ "product_id": gear, "discount_percent": 50 }))?.id;
        let made = json_of(&cost(tx, desk, id, line, json!({ "label": "Brass", "unit_cost": 30.05, "quantity": 3 }))?);
        assert_eq!(made, json!({
            "id": made["id"], "opportunity_product_id": line, "label": "Brass", "unit_cost": 30.05,
            "quantity": 3, "currency": "AUD", "supplier_id": null, "supplier_product_id": null,
            "total_cost": number("90.15"), "created_at": crate::testing::NOW,
            "updated_at": crate::testing::NOW,
        }));
        let abroad = cost(tx, desk, id, line, json!({ "unit_cost": 12, "currency": "USD" }))?;
        cost(tx, desk, id, plain, json!({ "unit_cost": 60 }))?;
        let rows = json_of(&super::products(tx, &desk.who, id)?);
        let earns = |row: &Json| ["value", "cost", "margin", "other_costs"].map(|field| row[field].clone());
        assert_eq!(earns(&rows[0]), [
            json!(200), number("90.15"), number("109.85"), json!([{ "currency": "USD", "cost": 12 }]),
        ]);
        assert_eq!(earns(&rows[1]), [json!(50), json!(60), json!(-10), json!([])]);
        let whole = json_of(&get(tx, &desk.who, id, &given(json!({ "expand": ["products"] })))?);
        assert_eq!(earns(&whole["products_margin"]), [
            json!(250), number("150.15"), number("99.85"), json!([{ "currency": "USD", "cost": 12 }]),
        ]);
        let margins = json!([{
            "currency": "AUD", "deal_count": 1, "other_costs_count": 1, "products_value": 250,
            "products_cost": number("150.15"), "margin": number("99.85"),
        }]);
        let summary = |db: &Db<'_>| pipelines::summary(db, &desk.who, desk.pipeline).map(|summary| json_of(&summary));
        assert_eq!(summary(tx)?["stages"][0]["margins"], margins);
        assert_eq!(summary(tx)?["totals"]["margins"], margins);
        assert!(summary(tx)?["stages"][1].get("margins").is_none());

        // In another currency the numbers are the same and the costs are not.
        desk.patch(tx, id, json!({ "currency": "USD" }))?;
        assert_eq!(summary(tx)?["totals"]["margins"], json!([{
            "currency": "USD", "deal_count": 1, "other_costs_count": 1, "products_value": 250,
            "products_cost": 12, "margin": 238,
        }]));
        desk.patch(tx, id, json!({ "currency": "AUD" }))?;
        update_cost(tx, &desk.who, id, abroad.id, given(json!({ "currency": "AUD", "quantity": 2 })))?;
        assert_eq!(summary(tx)?["totals"]["margins"][0]["margin"], number("75.85"));
        delete_cost(tx, &desk.who, id, abroad.id)?;
        assert_eq!(summary(tx)?["totals"]["margins"][0]["margin"], number("99.85"));
        desk.move_to(tx, id, desk.won(), 0)?;
        assert!(summary(tx)?["stages"][0].get("margins").is_none());
        assert_eq!(summary(tx)?["stages"][4]["margins"][0]["margin"], number("99.85"));
        remove_product(tx, &desk.who, id, line, &Automations::default())?;
        assert_eq!(summary(tx)?["totals"]["margins"][0]["margin"], -10);
        remove_product(tx, &desk.who, id, plain, &Automations::default())?;
        assert!(summary(tx)?["totals"].get("margins").is_none());
    }

    fn a_deleted_opportunity_takes_its_lines_and_their_costs_along(tx, desk) {
        let gear = priced(tx, desk, 100)?;
        let id = desk.create(tx, json!({ "name": "Engine", "stage_id": desk.lead() }))?.id;
        let other = desk.create(tx, json!({ "name": "Other", "stage_id": desk.lead() }))?.id;
        for id in [id, other] {
            let line = add(tx, desk, id, json!({ "product_id": gear }))?.id;
            cost(tx, desk, id, line, json!({ "unit_cost": 40 }))?;
        }
        delete(tx, &desk.who, id)?;
        assert_eq!(kept_margins(tx)?, added_up(tx)?);
        bulk_delete(tx, &desk.who, &given(json!({ "ids": [other] })))?;
        for table in ["opportunity_products", "opportunity_product_costs", "stage_margins"] {
            let left: i64 = tx.query_one(&format!("select count(*) from {table}"), &[], |row| row.get(0))?;
            assert_eq!(left, 0, "{table}");
        }
        price_list::delete(tx, &desk.who, gear)?;
    }

    fn a_supplier_that_is_deleted_is_forgotten_and_the_costs_stay(tx, desk) {
        let gear = priced(tx, desk, 100)?;
        let [acme, other] = ["Acme", "Other"].map(|name| desk.company(tx, name).unwrap().id);
        let id = desk.opportunity(tx, "Engine")?.id;
        let line = add(tx, desk, id, json!({ "product_id": gear }))?.id;
        let supplied = |by: Uuid| json!({ "unit_cost": 40, "cost_price": 4, "supplier_id": by, "supplier_product_id": "X1" });
        for supplier in [acme, other] {
            cost(tx, desk, id, line, supplied(supplier))?;
            crate::product_costs::create(tx, &desk.who, gear, given(supplied(supplier)))?;
        }
        companies::bulk_delete(tx, &desk.later(9), &given(json!({ "ids": [acme] })))?;
        let left = costs(tx, &desk.who, id, line, PageRequest::default())?.items;
        let suppliers: Vec<_> = left.iter().map(|cost| cost.supplier_id).collect();
        assert_eq!(suppliers, [Some(other), None]);
        assert_eq!((left[1].supplier_product_id.as_deref(), left[1].updated_at), (Some("X1"), desk.later(9).now));
        let left = crate::product_costs::list(tx, &desk.who, gear, PageRequest::default())?.items;
        let suppliers: Vec<_> = left.iter().map(|cost| cost.supplier_id).collect();
        assert_eq!(suppliers, [Some(other), None]);
    }

    fn the_products_of_another_opportunity_or_workspace_do_not_exist(tx, desk) {
        let gear = priced(tx, desk, 100)?;
        let id = desk.opportunity(tx, "Engine")?.id;
        let line = add(tx, desk, id, json!({ "product_id": gear }))?.id;
        let spent = cost(tx, desk, id, line, json!({ "unit_cost": 40 }))?.id;
        let own = desk.opportunity(tx, "Own")?.id;
        let before = json_of(&super::products(tx, &desk.who, id)?);
        let none = Automations::default();
        let fields = || json!({ "product_id": gear, "quantity": 2, "unit_cost": 1 });
        let who = &desk.who;
        for (result, what) in [
            (attempt(tx, |tx| update_product(tx, who, own, line, given(fields()))), "opportunity product"),
            (attempt(tx, |tx| remove_product(tx, who, own, line, &none)), "opportunity product"),
            (attempt(tx, |tx| costs(tx, who, own, line, PageRequest::default())), "opportunity product"),
            (attempt(tx, |tx| add_cost(tx, who, own, line, given(fields()))), "opportunity product"),
            (attempt(tx, |tx| update_cost(tx, who, own, spent, given(fields()))), "cost"),
            (attempt(tx, |tx| delete_cost(tx, who, own, spent)), "cost"),
            (attempt(tx, |tx| delete_cost(tx, who, id, line)), "cost"),
        ] {
            assert_eq!(result, format!("not found: {what}"));
        }
        let who = &desk.stranger;
        let theirs = create(tx, who, given(json!({ "name": "Theirs" })))?.id;
        let their_gear = price_list::create(tx, who, given(json!({ "name": "Gear", "price": 1 })))?.id;
        let their_line = add_product(tx, who, theirs, given(json!({ "product_id": their_gear })))?.id;
        let company = desk.company(tx, "Acme")?.id;
        let supplied = || json!({ "unit_cost": 1, "cost_price": 1, "supplier_id": company });
        for (result, what) in [
            (attempt(tx, |tx| super::products(tx, who, id)), "opportunity"),
            (attempt(tx, |tx| add_product(tx, who, id, given(json!({ "product_id": their_gear })))), "opportunity"),
            (attempt(tx, |tx| add_product(tx, who, theirs, given(fields()))), "product"),
            (attempt(tx, |tx| update_product(tx, who, theirs, their_line, given(fields()))), "product"),
            (attempt(tx, |tx| update_product(tx, who, theirs, line, given(json!({})))), "opportunity product"),
            (attempt(tx, |tx| remove_product(tx, who, id, line, &none)), "opportunity"),
            (attempt(tx, |tx| add_cost(tx, who, theirs, line, given(fields()))), "opportunity product"),
            (attempt(tx, |tx| add_cost(tx, who, theirs, their_line, given(supplied()))), "company"),
            (attempt(tx, |tx| update_cost(tx, who, theirs, spent, given(json!({})))), "cost"),
            (attempt(tx, |tx| price_list::update(tx, who, gear, given(json!({ "price": 1 })))), "product"),
            (attempt(tx, |tx| price_list::delete(tx, who, gear)), "product"),
            (attempt(tx, |tx| crate::product_costs::list(tx, who, gear, PageRequest::default())), "product"),
            (attempt(tx, |tx| crate::product_costs::create(tx, who, gear, given(supplied()))), "product"),
            (attempt(tx, |tx| crate::product_costs::create(tx, who, their_gear, given(supplied()))), "company"),
        ] {
            assert_eq!(result, format!("not found: {what}"));
        }
        assert!(price_list::list(tx, who, &given(json!({ "search": "gear" })))?.items.len() == 1);
        assert_eq!(json_of(&super::products(tx, &desk.who, id)?), before);
    }

    fn a_million_cents_are_ten_thousand_to_the_cent(tx, desk) {
        let cent = product(tx, desk, json!({ "name": "Washer", "price": number("0.01") }))?.id;
        let id = desk.create(tx, json!({ "name": "Engine", "stage_id": desk.lead() }))?.id;
        for _ in 0..20 {
            let line = add(tx, desk, id, json!({ "product_id": cent, "quantity": 50_000 }))?.id;
            cost(tx, desk, id, line, json!({ "unit_cost": number("0.01"), "quantity": 50_000 }))?;
        }
        assert_eq!(value_of(tx, desk, id)?, json!(10_000));
        let lines = super::products(tx, &desk.who, id)?;
        cost(tx, desk, id, lines[0].id, json!({ "unit_cost": number("0.01") }))?;
        let margins = json_of(&pipelines::summary(tx, &desk.who, desk.pipeline)?.totals);
        let margins = &margins["margins"][0];
        assert_eq!(margins["products_value"], json!(10_000));
        assert_eq!(margins["products_cost"], number("10000.01"));
        assert_eq!(margins["margin"], number("-0.01"));
    }

    fn an_opportunity_has_room_for_so_many_products(tx, desk) {
        let gear = priced(tx, desk, 1)?;
        let id = desk.opportunity(tx, "Engine")?.id;
        add(tx, desk, id, json!({ "product_id": gear }))?;
        tx.execute(
            "update opportunities set product_lines = 500 where workspace_id = $1 and id = $2",
            &store::params![desk.who.workspace_id, id],
        )?;
        assert_eq!(attempt(tx, |tx| add(tx, desk, id, json!({ "product_id": gear }))), "conflict");
    }

    async fn lines_that_are_added_at_once_all_count_and_keep_their_places(world) {
        let (id, gear) = world.write(|tx, desk| {
            let fields = json!({ "name": "Engine", "stage_id": desk.lead() });
            Ok((desk.create(tx, fields)?.id, priced(tx, desk, 10)?))
        }).await.unwrap();
        let results = world.all_at_once(8, move |tx, desk, index| {
            let fields = json!({ "product_id": gear, "quantity": index + 1 });
            let line = add(tx, desk, id, fields)?.id;
            cost(tx, desk, id, line, json!({ "unit_cost": 1 }))
        }).await;
        assert!(results.iter().all(Result::is_ok));
        world.read(move |db, desk| {
            assert_eq!(value_of(db, desk, id)?, 360);
            let lines = super::products(db, &desk.who, id)?;
            let places: Vec<_> = lines.iter().map(|line| line.sort_order).collect();
            assert_eq!(places, [0, 1, 2, 3, 4, 5, 6, 7]);
            assert_eq!(kept_margins(db)?, added_up(db)?);
            Ok(())
        }).await.unwrap();
    }

    async fn a_product_that_is_deleted_while_it_is_added_is_one_or_the_other(world) {
        let (id, gear) = world.write(|tx, desk| {
            Ok((desk.opportunity(tx, "Engine")?.id, priced(tx, desk, 10)?))
        }).await.unwrap();
        let (added, deleted) = world.overlapping(
            move |tx, desk| add(tx, desk, id, json!({ "product_id": gear })),
            move |tx, desk| price_list::delete(tx, &desk.who, gear),
        ).await;
        assert_eq!((outcome(added), outcome(deleted)), ("done".to_owned(), "conflict".to_owned()));
    }

    async fn whatever_is_edited_the_value_is_the_exact_sum_and_the_stages_know_it(world) {
        edit(&world).await;
    }
}

/// What the products of the stages' opportunities come to, by currency.
type Margins = Vec<(Uuid, String, [i64; 6])>;

fn kept_margins(db: &Db<'_>) -> Result<Margins> {
    margins(
        db,
        "select stage_id, currency, cards, other_costs, products_billions, products_rest,
                cost_billions, cost_rest
         from stage_margins order by 1, 2",
    )
}

fn added_up(db: &Db<'_>) -> Result<Margins> {
    margins(
        db,
        "select c.stage_id, o.currency, count(*),
                cast(sum(case when o.other_costs > 0 then 1 else 0 end) as bigint),
                cast(sum(o.products_value / 1000000000) as bigint),
                cast(sum(o.products_value % 1000000000) as bigint),
                cast(sum(o.products_cost / 1000000000) as bigint),
                cast(sum(o.products_cost % 1000000000) as bigint)
         from cards c
         join opportunities o on o.workspace_id = c.workspace_id and o.id = c.opportunity_id
         where o.product_lines > 0
         group by 1, 2 order by 1, 2",
    )
}

fn margins(db: &Db<'_>, sql: &str) -> Result<Margins> {
    Ok(db.query(sql, &[], |row| {
        let number = |index| row.get::<i64>(index);
        Ok((
            row.get(0)?,
            row.get(1)?,
            [
                number(2)?,
                number(3)?,
                number(4)?,
                number(5)?,
                number(6)?,
                number(7)?,
            ],
        ))
    })?)
}

/// Something that may be done to one of two opportunities.
#[derive(Debug, Clone)]
enum Edit {
    /// Quantity, price and discount in units of their last decimal.
    Add(i64, i64, i64),
    Change(prop::sample::Index, i64, i64, i64),
    Remove(prop::sample::Index),
    Cost(prop::sample::Index, i64, bool),
    Uncost(prop::sample::Index),
    Currency(bool),
    Move(usize),
}

fn edits() -> impl Strategy<Value = Edit> {
    let line = || {
        (
            1..=3_000_000_i64,
            -5_000_000_000..=5_000_000_000_i64,
            0..=1_000_000_i64,
        )
    };
    let any = any::<prop::sample::Index>;
    prop_oneof![
        3 => line().prop_map(|(quantity, price, discount)| Edit::Add(quantity, price, discount)),
        3 => (any(), line()).prop_map(|(which, (quantity, price, discount))| {
            Edit::Change(which, quantity, price, discount)
        }),
        1 => any().prop_map(Edit::Remove),
        2 => (any(), -9_000_000..=9_000_000_i64, proptest::bool::ANY)
            .prop_map(|(which, cost, abroad)| Edit::Cost(which, cost, abroad)),
        1 => any().prop_map(Edit::Uncost),
        1 => proptest::bool::ANY.prop_map(Edit::Currency),
        1 => (0..6_usize).prop_map(Edit::Move),
    ]
}

/// The lines and the costs that there must be.
#[derive(Debug, Default)]
struct Model {
    lines: Vec<(Uuid, [i64; 3])>,
    costs: Vec<(Uuid, Uuid, i64, &'static str)>,
    currency: &'static str,
}

impl Model {
    /// The value of the lines, in ten-thousandths, by another way than the code
    /// takes: as a fraction, whose remainder says whether to round up.
    fn value(&self) -> i128 {
        let parts: i128 = self
            .lines
            .iter()
            .map(|(_, [quantity, price, discount])| {
                i128::from(*quantity) * i128::from(*price) * i128::from(1_000_000 - discount)
            })
            .sum();
        let (whole, rest) = (parts / 10_000_000_000, parts % 10_000_000_000);
        whole + rest.signum() * i128::from(rest.abs() * 2 >= 10_000_000_000)
    }

    fn costs_in(&self, own: bool) -> impl Iterator<Item = i64> {
        let costs = self.costs.iter();
        costs
            .filter(move |(.., currency)| (*currency == self.currency) == own)
            .map(|(_, _, cost, _)| *cost)
    }
}

fn amount(units: i64) -> Json {
    json_of(&Amount::from_units(units))
}

fn line_fields(quantity: i64, price: i64, discount: i64) -> Json {
    json!({
        "quantity": amount(quantity), "unit_price": amount(price), "discount_percent": amount(discount),
    })
}

fn apply(
    tx: &mut Tx<'_>,
    desk: &Desk,
    (id, gear): (Uuid, Uuid),
    model: &mut Model,
    edit: &Edit,
) -> Result<()> {
    match edit {
        Edit::Add(quantity, price, discount) => {
            let mut fields = line_fields(*quantity, *price, *discount);
            fields["product_id"] = json!(gear);
            let line = add(tx, desk, id, fields)?.id;
            model.lines.push((line, [*quantity, *price, *discount]));
        }
        Edit::Change(which, quantity, price, discount) if !model.lines.is_empty() => {
            let line = which.get_mut(&mut model.lines);
            change(
                tx,
                desk,
                id,
                line.0,
                line_fields(*quantity, *price, *discount),
            )?;
            line.1 = [*quantity, *price, *discount];
        }
        Edit::Remove(which) if !model.lines.is_empty() => {
            let (line, _) = model.lines.remove(which.index(model.lines.len()));
            remove_product(tx, &desk.who, id, line, &Automations::default())?;
            model.costs.retain(|(_, of, ..)| *of != line);
        }
        Edit::Cost(which, units, abroad) if !model.lines.is_empty() => {
            let line = which.get(&model.lines).0;
            let currency = if *abroad { "USD" } else { "AUD" };
            let fields = json!({ "unit_cost": amount(*units), "currency": currency });
            let spent = cost(tx, desk, id, line, fields)?.id;
            model.costs.push((spent, line, *units, currency));
        }
        Edit::Uncost(which) if !model.costs.is_empty() => {
            let (spent, ..) = model.costs.remove(which.index(model.costs.len()));
            delete_cost(tx, &desk.who, id, spent)?;
        }
        Edit::Currency(abroad) => {
            model.currency = if *abroad { "USD" } else { "AUD" };
            desk.patch(tx, id, json!({ "currency": model.currency }))?;
        }
        Edit::Move(stage) => {
            desk.move_to(tx, id, desk.stages[*stage], 0)?;
        }
        Edit::Change(..) | Edit::Remove(_) | Edit::Cost(..) | Edit::Uncost(_) => {}
    }
    Ok(())
}

/// Edits two opportunities in any order and compares what is kept after each
/// edit with what there is.
async fn edit(world: &World) {
    let handle = tokio::runtime::Handle::current();
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(12)
    });
    let steps = prop::collection::vec((0..2_usize, edits()), 1..40);
    let run = |steps: Vec<(usize, Edit)>| {
        let edited = world.write(move |tx, desk| {
            let gear = priced(tx, desk, 1)?;
            let ids = [0, 1].map(|_| {
                let fields = json!({ "name": "Engine", "stage_id": desk.lead() });
                desk.create(tx, fields).map(|one| one.id).unwrap()
            });
            let mut models = [0, 1].map(|_| Model {
                currency: "AUD",
                ..Model::default()
            });
            for (which, edit) in &steps {
                let (id, model) = (ids[*which], &mut models[*which]);
                apply(tx, desk, (id, gear), model, edit)?;
                let kept = desk.get(tx, id)?;
                assert_eq!(i128::from(kept.products_value.units()), model.value());
                assert_eq!(
                    kept.products_cost.units(),
                    model.costs_in(true).sum::<i64>()
                );
                assert_eq!(kept.other_costs, model.costs_in(false).count() as i64);
                assert_eq!(kept.product_lines, model.lines.len() as i64);
                assert_eq!(kept_margins(tx)?, added_up(tx)?);
            }
            for id in ids {
                delete(tx, &desk.who, id)?;
            }
            assert!(kept_margins(tx)?.is_empty());
            Ok(())
        });
        let failed = |error: crate::Error| TestCaseError::fail(error.to_string());
        handle.block_on(edited).map_err(failed)
    };
    tokio::task::block_in_place(|| runner.run(&steps, run)).unwrap();
}

#[test]
fn a_line_needs_a_product_and_numbers_that_make_sense() {
    let problems = refused::<NewProductLine>(json!({
        "quantity": 0, "unit_price": "12", "discount_percent": 100.0001, "deposit_percent": -1,
        "payment_status": "half",
    }));
    assert_eq!(problems.missing, ["product_id"]);
    let invalid: Vec<_> = problems
        .invalid
        .iter()
        .map(|one| one.field.as_str())
        .collect();
    assert_eq!(
        invalid,
        [
            "quantity",
            "unit_price",
            "discount_percent",
            "deposit_percent",
            "payment_status"
        ]
    );
    let problems = refused::<record::New<OpportunityProductCostFields>>(json!({ "label": "x" }));
    assert_eq!(problems.missing, ["unit_cost"]);
}
