#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod line_items;
mod plans;
mod reckoning;

use serde_json::{Value as Json, json};

use super::*;
use crate::events::Automations;
use crate::testing::{Desk, NOW, attempt, given, refused};
use crate::{companies, opportunities};

fn invoice(tx: &mut Tx<'_>, desk: &Desk, fields: Json) -> Result<Invoice> {
    create(tx, &desk.who, given(fields))
}

fn patch(tx: &mut Tx<'_>, desk: &Desk, id: Uuid, fields: Json) -> Result<Invoice> {
    update(tx, &desk.later(60), id, given(fields))
}

fn line(tx: &mut Tx<'_>, desk: &Desk, id: Uuid, fields: Json) -> Result<LineItem> {
    lines::create(tx, &desk.who, id, given(fields))
}

/// Subtotal, tax, total and what is due, as they are answered.
fn amounts(invoice: &Invoice) -> [String; 4] {
    [
        invoice.subtotal.to_string(),
        invoice.tax_total.to_string(),
        invoice.total.to_string(),
        invoice.amount_due.to_string(),
    ]
}

fn json(record: &impl serde::Serialize) -> Json {
    serde_json::to_value(record).unwrap()
}

on_both_engines! {
    fn an_invoice_is_made_with_its_line_items_and_read_as_it_was_answered(tx, desk) {
        let company = desk.company(tx, "Acme")?.id;
        let deal = desk.create(tx, json!({ "name": "Deal", "currency": "NZD" }))?.id;
        let made = invoice(tx, desk, json!({
            "customer_id": company, "opportunity_id": deal, "amount_paid": 5.005,
            "line_items": [
                { "description": " Gears ", "quantity": 3, "unit_price": 19.99, "discount_percent": 12.5, "tax_amount": 5.255 },
                { "description": "Oil" },
            ],
        }))?;
        let [gears, oil] = &made.line_items.as_ref().unwrap()[..] else { panic!("two") };
        assert_eq!(json(&made), json!({
            "id": made.id, "invoice_number": "INV-001", "status": "draft",
            // The first of March in Sydney.
            "issue_date": "2026-03-01", "due_date": null, "currency_code": "NZD", "reference": null,
            "contact_name": null, "customer_id": company, "opportunity_id": deal,
            "trustpager_deal_id": deal, "external_order_id": null, "amount_paid": 5.01,
            "amount_credited": 0, "subtotal": 52.47, "tax_total": 5.26, "total": 57.73,
            "amount_due": 52.72, "created_at": NOW, "updated_at": NOW,
            "line_items": [
                {
                    "id": gears.id, "invoice_id": made.id, "description": "Gears", "product_id": null,
                    "quantity": 3, "unit_price": 19.99, "discount_percent": 12.5, "tax_amount": 5.26,
                    "line_total": 52.47, "created_at": NOW, "updated_at": NOW,
                },
                {
                    "id": oil.id, "invoice_id": made.id, "description": "Oil", "product_id": null,
                    "quantity": 1, "unit_price": 0, "discount_percent": 0, "tax_amount": 0,
                    "line_total": 0, "created_at": NOW, "updated_at": NOW,
                },
            ],
        }));
        assert_eq!(json(&get(tx, &desk.who, made.id)?), json(&made));
        let listed = list(tx, &desk.who, &given(json!({})))?.items;
        assert!(listed[0].line_items.is_none());
        assert_eq!(amounts(&listed[0]), amounts(&made));
        delete(tx, &desk.who, made.id)?;
        assert_eq!(attempt(tx, |tx| get(tx, &desk.who, made.id)), "not found: invoice");
        assert_eq!(attempt(tx, |tx| lines::list(tx, &desk.who, made.id)), "not found: invoice");
        assert_eq!(attempt(tx, |tx| delete(tx, &desk.who, made.id)), "not found: invoice");
    }

    fn the_currency_is_the_opportunitys_or_the_workspaces_unless_it_is_given(tx, desk) {
        let deal = desk.create(tx, json!({ "name": "Deal", "currency": "JPY" }))?.id;
        for (fields, currency) in [
            (json!({}), "AUD"),
            (json!({ "deal_id": deal }), "JPY"),
            (json!({ "deal_id": deal, "currency_code": "kwd" }), "KWD"),
        ] {
            assert_eq!(invoice(tx, desk, fields)?.currency_code.code(), currency);
        }
    }

    fn numbers_are_made_in_their_order_and_never_twice(tx, desk) {
        let number = |tx: &mut Tx<'_>, fields| -> Result<String> {
            Ok(invoice(tx, desk, fields)?.invoice_number.to_string())
        };
        assert_eq!(number(tx, json!({}))?, "INV-001");
        assert_eq!(number(tx, json!({ "invoice_number": " INV-7 " }))?, "INV-7");
        assert_eq!(number(tx, json!({ "invoice_number": null }))?, "INV-008");
        for other in ["2026-17", "inv-100", "INV-", "INV-+100", "INV-100a", "INV-1000000000"] {
            assert_eq!(number(tx, json!({ "invoice_number": other }))?, other);
        }
        assert_eq!(number(tx, json!({ "invoice_number": "INV-003" }))?, "INV-003");
        assert_eq!(number(tx, json!({}))?, "INV-009");
        for taken in ["INV-003", "2026-17"] {
            let again = json!({ "invoice_number": taken });
            assert_eq!(attempt(tx, |tx| invoice(tx, desk, again)), "conflict", "{taken}");
        }
        let id = invoice(tx, desk, json!({}))?.id;
        let own = json!({ "invoice_number": "INV-010", "reference": "PO 1" });
        assert_eq!(&*patch(tx, desk, id, own)?.invoice_number, "INV-010");
        let taken = json!({ "invoice_number": "INV-009" });
        assert_eq!(attempt(tx, |tx| patch(tx, desk, id, taken)), "conflict");
        patch(tx, desk, id, json!({ "invoice_number": "INV-050" }))?;
        assert_eq!(number(tx, json!({}))?, "INV-051");
        // Another workspace counts for itself.
        let theirs = create(tx, &desk.stranger, given(json!({ "invoice_number": "2026-17" })))?;
        assert_eq!(&*theirs.invoice_number, "2026-17");
        assert_eq!(&*create(tx, &desk.stranger, given(json!({})))?.invoice_number, "INV-001");
    }

    fn the_opportunity_goes_by_all_its_names(tx, desk) {
        let [one, two] = ["One", "Two"].map(|name| desk.opportunity(tx, name).map(|made| made.id));
        let (one, two) = (one?, two?);
        let names = ["opportunity_id", "trustpager_deal_id", "deal_id"];
        for name in names {
            let id = invoice(tx, desk, json!({ name: one }))?.id;
            let made = get(tx, &desk.who, id)?;
            assert_eq!((made.opportunity_id, made.trustpager_deal_id), (Some(one), Some(one)), "{name}");
            let changed = patch(tx, desk, id, json!({ name: two }))?;
            assert_eq!((changed.opportunity_id, changed.trustpager_deal_id), (Some(two), Some(two)));
            assert_eq!(patch(tx, desk, id, json!({ name: null }))?.opportunity_id, None);
            let all: Json = names.iter().map(|name| ((*name).to_owned(), json!(two))).collect();
            assert_eq!(patch(tx, desk, id, all)?.opportunity_id, Some(two));
            assert!(list(tx, &desk.who, &given(json!({ name: one })))?.items.is_empty(), "{name}");
            assert_eq!(list(tx, &desk.who, &given(json!({ name: two })))?.items[0].id, id);
        }
        let id = invoice(tx, desk, json!({}))?.id;
        for (fields, field) in [
            (json!({ "opportunity_id": one, "trustpager_deal_id": two }), "trustpager_deal_id"),
            (json!({ "trustpager_deal_id": one, "deal_id": null }), "deal_id"),
        ] {
            let expected = format!("invalid: {field}");
            assert_eq!(attempt(tx, |tx| patch(tx, desk, id, fields.clone())), expected);
            assert_eq!(attempt(tx, |tx| invoice(tx, desk, fields)), expected);
        }
    }

    fn a_change_is_kept_and_one_that_changes_nothing_is_none(tx, desk) {
        let id = invoice(tx, desk, json!({ "line_items": [{ "description": "Oil", "unit_price": 10 }] }))?.id;
        let fields = json!({ "status": "paid", "amount_paid": 10, "due_date": "2026-03-31" });
        let changed = patch(tx, desk, id, fields.clone())?;
        assert_eq!((changed.status, changed.updated_at), (InvoiceStatus::Paid, desk.later(60).now));
        assert_eq!(amounts(&changed), ["10", "0", "10", "0"]);
        let again = update(tx, &desk.later(90), id, given(fields))?;
        assert_eq!(json(&again), json(&changed));
        assert_eq!(json(&get(tx, &desk.who, id)?), json(&changed));
        // The scope of the log reads no amounts.
        assert!(desk.log_of(tx, id)?.is_empty());
    }

    fn what_of_a_line_item_can_not_be_is_told_with_its_place(tx, desk) {
        let largest = 922_337_203_685_477_i64;
        let lines = json!([
            { "description": "Oil" },
            { "description": "Oil", "unit_price": largest, "quantity": 2 },
        ]);
        let said = attempt(tx, |tx| invoice(tx, desk, json!({ "line_items": lines })));
        assert_eq!(said, "invalid: line_items[1].unit_price");
    }

    fn the_invoices_of_a_call_have_so_many_line_items_together(tx, desk) {
        let lines = vec![json!({ "description": "Oil" }); 501];
        let one = json!({ "line_items": lines });
        let many = given(json!({ "invoices": [one, one] }));
        assert_eq!(attempt(tx, |tx| bulk_create(tx, &desk.who, many)), "invalid: invoices");
        assert!(list(tx, &desk.who, &given(json!({})))?.items.is_empty());
    }

    fn another_currency_rounds_all_amounts_to_its_smallest_unit(tx, desk) {
        let id = invoice(tx, desk, json!({
            "amount_paid": 1.5, "amount_credited": 0.49,
            "line_items": [
                { "description": "Oil", "unit_price": 10.555, "tax_amount": 1.06 },
                { "description": "Rags", "unit_price": 0.25, "quantity": 2, "tax_amount": 0.5 },
            ],
        }))?.id;
        assert_eq!(amounts(&get(tx, &desk.who, id)?), ["11.06", "1.56", "12.62", "10.63"]);
        let yen = patch(tx, desk, id, json!({ "currency_code": "JPY" }))?;
        assert_eq!(amounts(&yen), ["12", "2", "14", "12"]);
        assert_eq!((yen.amount_paid.to_string(), yen.amount_credited.to_string()), ("2".to_owned(), "0".to_owned()));
        assert_eq!(json(&get(tx, &desk.who, id)?), json(&yen));
        // The price is what it was; what was rounded off the tax is gone.
        let dinars = patch(tx, desk, id, json!({ "currency_code": "KWD" }))?;
        assert_eq!(amounts(&dinars), ["11.055", "2", "13.055", "11.055"]);
        assert_eq!(json(&get(tx, &desk.who, id)?), json(&dinars));
    }

    fn an_invoice_outlives_its_company_and_its_opportunity(tx, desk) {
        let company = desk.company(tx, "Acme")?.id;
        let deals = [desk.opportunity(tx, "One")?.id, desk.opportunity(tx, "Two")?.id];
        let [one, two] = deals.map(|deal| {
            invoice(tx, desk, json!({ "customer_id": company, "deal_id": deal })).map(|made| made.id)
        });
        let (one, two) = (one?, two?);
        let later = &desk.later(60);
        opportunities::delete(tx, later, deals[0])?;
        let left = get(tx, &desk.who, one)?;
        assert_eq!((left.opportunity_id, left.trustpager_deal_id, left.updated_at), (None, None, later.now));
        assert_eq!(get(tx, &desk.who, two)?.opportunity_id, Some(deals[1]));
        opportunities::bulk_delete(tx, later, &given(json!({ "ids": [deals[1]] })))?;
        assert_eq!(get(tx, &desk.who, two)?.opportunity_id, None);
        companies::delete(tx, later, company, &Automations::default())?;
        for id in [one, two] {
            assert_eq!(get(tx, &desk.who, id)?.company_id, None);
        }
    }

    fn of_an_opportunity_are_those_that_name_it(tx, desk) {
        let [one, two] = ["One", "Two"].map(|name| desk.opportunity(tx, name).map(|made| made.id));
        let (one, two) = (one?, two?);
        let mut made = Vec::new();
        for deal in [one, two, one] {
            made.push(invoice(tx, desk, json!({ "trustpager_deal_id": deal }))?.id);
        }
        invoice(tx, desk, json!({}))?;
        let request = given(json!({ "limit": 1 }));
        let page = of_opportunity(tx, &desk.who, one, request)?;
        assert_eq!((page.items[0].id, page.next_cursor), (made[2], Some(made[2])));
        let page = of_opportunity(tx, &desk.who, one, given(json!({ "cursor": made[2] })))?;
        assert_eq!((page.items.len(), page.items[0].id, page.has_more), (1, made[0], false));
        assert_eq!(attempt(tx, |tx| of_opportunity(tx, &desk.stranger, one, request)), "not found: opportunity");
    }

    fn invoices_are_filtered_by_what_they_say(tx, desk) {
        let company = desk.company(tx, "Acme")?.id;
        let old = invoice(tx, desk, json!({
            "status": "sent", "issue_date": "2026-01-10", "due_date": "2026-02-10",
            "external_order_id": "SO-1", "customer_id": company,
        }))?.id;
        let new = invoice(tx, desk, json!({ "issue_date": "2026-02-10", "due_date": "2026-03-10" }))?.id;
        let bare = invoice(tx, desk, json!({ "invoice_number": "X-1" }))?.id;
        for (filter, expected) in [
            (json!({}), &[bare, new, old][..]),
            (json!({ "status": "sent" }), &[old]),
            (json!({ "customer_id": company }), &[old]),
            (json!({ "external_order_id": "SO-1" }), &[old]),
            (json!({ "external_order_id": "SO" }), &[]),
            (json!({ "invoice_number": "X-1" }), &[bare]),
            (json!({ "invoice_number": "x-1" }), &[]),
            (json!({ "issued_after": "2026-02-10" }), &[bare, new]),
            (json!({ "issued_before": "2026-02-10" }), &[old]),
            (json!({ "due_after": "2026-03-10" }), &[new]),
            (json!({ "due_before": "2026-03-10" }), &[old]),
            (json!({ "due_before": "2026-02-11", "status": "sent" }), &[old]),
            (json!({ "created_before": "2026-02-28" }), &[]),
            (json!({ "created_after": "2026-02-28" }), &[bare, new, old]),
        ] {
            let page = list(tx, &desk.who, &given(filter.clone()))?;
            let ids: Vec<_> = page.items.iter().map(|one| one.id).collect();
            assert_eq!(ids, expected, "{filter}");
        }
    }

    fn many_invoices_are_made_at_once_and_each_stands_alone(tx, desk) {
        let (company, deal) = (desk.company(tx, "Acme")?.id, desk.opportunity(tx, "Deal")?.id);
        let nobody = Uuid::from_u128(7);
        let made = bulk_create(tx, &desk.who, given(json!({ "invoices": [
            { "customer_id": company, "deal_id": deal, "line_items": [{ "description": "Oil", "unit_price": 2 }], "colour": 1 },
            { "line_items": [{ "unit_price": 2 }, 7, { "description": "Oil", "quantity": 0, "size": 1 }] },
            { "line_items": [{ "description": "Oil", "product_id": nobody }] },
            { "customer_id": nobody },
            { "invoice_number": "INV-001" },
            { "invoice_number": "B", "line_items": [{ "description": "Oil", "size": 1 }] },
            7,
        ] })))?;
        let done: Vec<_> = made.done.iter().map(|(index, one)| (*index, &*one.invoice_number)).collect();
        assert_eq!(done, [(0, "INV-001"), (5, "B")]);
        assert_eq!(amounts(&made.done[0].1), ["2", "0", "2", "2"]);
        let failed = made.failed.into_iter().map(|(index, error)| (index, crate::testing::outcome::<()>(Err(error))));
        let failed: Vec<_> = failed.collect();
        let failed: Vec<_> = failed.iter().map(|(index, said)| (*index, &**said)).collect();
        assert_eq!(failed, [
            (1, "invalid: line_items[0].description, line_items[1], line_items[2].quantity"),
            (2, "not found: product"),
            (3, "not found: company"),
            (4, "conflict"),
            (6, "invalid: invoices[6]"),
        ]);
        assert_eq!(made.unknown, ["invoices[0].colour", "invoices[5].line_items[0].size"]);
        assert_eq!(list(tx, &desk.who, &given(json!({})))?.items.len(), 2);
    }

    fn what_has_no_room_is_refused_and_changes_nothing(tx, desk) {
        let largest = 922_337_203_685_477_i64;
        let priced = |price: i64| json!({ "description": "Oil", "unit_price": price });
        let taxed = |tax: i64| json!({ "description": "Oil", "tax_amount": tax });
        for (fields, field) in [
            (json!({ "line_items": [{ "description": "Oil", "unit_price": largest, "quantity": 2 }] }), "line_items[0].unit_price"),
            (json!({ "line_items": [priced(largest), priced(1)] }), "unit_price"),
            (json!({ "line_items": [taxed(largest), taxed(1)] }), "tax_amount"),
            (json!({ "line_items": [priced(largest), taxed(1)] }), "unit_price"),
            (json!({ "line_items": [priced(largest)], "amount_paid": -1 }), "amount_paid"),
            (json!({ "amount_paid": -largest, "amount_credited": -largest }), "amount_paid"),
        ] {
            let expected = format!("invalid: {field}");
            assert_eq!(attempt(tx, |tx| invoice(tx, desk, fields.clone())), expected, "{fields}");
        }
        let full = invoice(tx, desk, json!({ "line_items": [priced(largest), priced(-1)] }))?;
        let (id, first) = (full.id, full.line_items.as_ref().unwrap()[0].id);
        assert_eq!(attempt(tx, |tx| line(tx, desk, id, priced(2))), "invalid: unit_price");
        assert_eq!(attempt(tx, |tx| line(tx, desk, id, taxed(2))), "invalid: unit_price");
        let fields = given(json!({ "quantity": 1.5 }));
        assert_eq!(attempt(tx, |tx| lines::update(tx, &desk.who, id, first, fields)), "invalid: unit_price");
        assert_eq!(attempt(tx, |tx| patch(tx, desk, id, json!({ "amount_paid": -2 }))), "invalid: amount_paid");
        assert_eq!(json(&get(tx, &desk.who, id)?), json(&full));
        line(tx, desk, id, priced(1))?;
        assert_eq!(amounts(&get(tx, &desk.who, id)?)[0], largest.to_string());
        // What is rounded up is refused where that has no room.
        let most: Json = serde_json::from_str("922337203685477.5807").unwrap();
        let most = json!({ "amount_paid": most, "currency_code": "JPY" });
        assert_eq!(attempt(tx, |tx| invoice(tx, desk, most)), "invalid: amount_paid");
    }

    fn the_records_of_another_workspace_can_not_be_named(tx, desk) {
        let (company, deal) = (desk.company(tx, "Acme")?.id, desk.opportunity(tx, "Deal")?.id);
        let ours = invoice(tx, desk, json!({}))?.id;
        let who = &desk.stranger;
        let theirs = create(tx, who, given(json!({})))?.id;
        for (field, id, what) in [
            ("customer_id", company, "company"),
            ("opportunity_id", deal, "opportunity"),
            ("trustpager_deal_id", deal, "opportunity"),
        ] {
            let expected = format!("not found: {what}");
            let naming = json!({ field: id });
            assert_eq!(attempt(tx, |tx| create(tx, who, given(naming.clone()))), expected);
            assert_eq!(attempt(tx, |tx| update(tx, who, theirs, given(naming))), expected);
        }
        let expected = "not found: invoice";
        assert_eq!(attempt(tx, |tx| get(tx, who, ours)), expected);
        assert_eq!(attempt(tx, |tx| update(tx, who, ours, given(json!({})))), expected);
        assert_eq!(attempt(tx, |tx| delete(tx, who, ours)), expected);
        assert_eq!(list(tx, who, &given(json!({})))?.items.len(), 1);
    }

    async fn of_invoices_that_take_a_number_at_once_one_gets_it(world) {
        for number in ["2026-17", "INV-017"] {
            let name = move |tx: &mut Tx<'_>, desk: &Desk| invoice(tx, desk, json!({ "invoice_number": number }));
            let (first, second) = world.overlapping(name, name).await;
            assert!(first.is_ok());
            assert_eq!(crate::testing::outcome(second), "conflict", "{number}");
        }
        let made = world.all_at_once(8, |tx, desk, _| {
            Ok(invoice(tx, desk, json!({}))?.invoice_number.to_string())
        }).await;
        let mut made: Vec<_> = made.into_iter().map(Result::unwrap).collect();
        made.sort_unstable();
        let expected: Vec<_> = (18..26).map(|number| format!("INV-{number:03}")).collect();
        assert_eq!(made, expected);
    }

    async fn an_invoice_that_names_what_is_being_deleted_is_cleared_or_refused(world) {
        let (deal, company, id) = world.write(|tx, desk| {
            let (deal, company) = (desk.opportunity(tx, "Deal")?.id, desk.company(tx, "Acme")?.id);
            Ok((deal, company, invoice(tx, desk, json!({}))?.id))
        }).await.unwrap();
        let (named, gone) = world.overlapping(
            move |tx, desk| patch(tx, desk, id, json!({ "deal_id": deal })),
            move |tx, desk| opportunities::delete(tx, &desk.who, deal),
        ).await;
        assert!(named.is_ok() && gone.is_ok());
        let left = world.read(move |db, desk| get(db, &desk.who, id)).await.unwrap();
        assert_eq!(left.opportunity_id, None);
        let (gone, named) = world.overlapping(
            move |tx, desk| companies::delete(tx, &desk.who, company, &Automations::default()),
            move |tx, desk| patch(tx, desk, id, json!({ "customer_id": company })),
        ).await;
        gone.unwrap();
        assert_eq!(crate::testing::outcome(named), "not found: company");
    }

    async fn bulk_calls_that_name_the_same_records_never_wait_for_each_other_in_a_circle(world) {
        let named = world.write(|tx, desk| {
            (0..4).map(|_| Ok((desk.company(tx, "Acme")?.id, desk.opportunity(tx, "Deal")?.id)))
                .collect::<Result<Vec<_>>>()
        }).await.unwrap();
        let before = world.store.stats().retries;
        let results = world.all_at_once(8, move |tx, desk, index| {
            if index % 4 == 3 {
                let (company, deal) = named[index / 4];
                companies::delete(tx, &desk.who, company, &Automations::default())?;
                return opportunities::delete(tx, &desk.who, deal);
            }
            // Each in another order.
            let invoices = (0..12).map(|number| {
                let (company, deal) = named[(index + number * 3) % 4];
                json!({ "customer_id": company, "trustpager_deal_id": deal })
            });
            let invoices: Vec<_> = invoices.collect();
            bulk_create(tx, &desk.who, given(json!({ "invoices": invoices }))).map(drop)
        }).await;
        for result in results {
            assert_eq!(crate::testing::outcome(result), "done");
        }
        assert_eq!(world.store.stats().retries, before);
    }
}

#[test]
fn a_line_item_of_a_new_invoice_is_read_as_one_by_itself() {
    let problems = refused::<NewInvoice>(json!({
        "status": "open", "invoice_number": 7,
        "line_items": [{ "description": " " }, { "description": "Oil", "discount_percent": 101 }],
    }));
    assert_eq!(problems.missing, ["line_items[0].description"]);
    let fields: Vec<_> = problems.invalid.iter().map(|one| &*one.field).collect();
    assert_eq!(
        fields,
        ["invoice_number", "status", "line_items[1].discount_percent"]
    );
    for (wrong, message) in [
        (json!(true), "must be a list, not a boolean"),
        (
            json!(vec![0; 1001]),
            "must have at most 1000 entries, not 1001",
        ),
    ] {
        let problems = refused::<NewInvoice>(json!({ "line_items": wrong }));
        assert_eq!(problems.invalid[0].message, message);
    }
    given::<NewInvoice>(json!({ "line_items": null }));
    assert_eq!(
        refused::<InvoiceUpdate>(json!({ "status": null, "issue_date": null }))
            .invalid
            .len(),
        2
    );
}
