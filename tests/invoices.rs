//! Invoices and their line items: what is shown adds up to the cent.

use serde_json::{Value, json};

use crate::fixtures::{
    Filter, NOBODY, assert_filters_combine, create, instant, let_time_pass, list, read, text,
};
use crate::harness::{Client, assert_error};

/// A number as it is answered, to its last digit.
#[track_caller]
fn number(text: &str) -> Value {
    serde_json::from_str(text).expect("a number")
}

#[track_caller]
fn invoice(client: &Client, body: Value) -> String {
    create(client, "/invoices", body)
}

/// The path of an invoice's line items.
fn items(invoice: &str) -> String {
    format!("/invoices/{invoice}/line-items")
}

/// Subtotal, tax, total and what is due, as the invoice says now.
#[track_caller]
fn amounts(client: &Client, id: &str) -> [String; 4] {
    let invoice = read(client, "/invoices", id);
    ["subtotal", "tax_total", "total", "amount_due"].map(|field| invoice[field].to_string())
}

/// The codes of the records that a bulk call refused, by index.
#[track_caller]
fn refusals(data: &Value) -> Vec<(u64, String)> {
    assert_eq!(data["error_count"], list(&data["errors"]).len());
    list(&data["errors"])
        .iter()
        .map(|error| {
            assert!(
                error["message"].is_string() && error["fix"].is_string(),
                "{error}"
            );
            (
                error["index"].as_u64().expect("an index"),
                text(&error["code"]),
            )
        })
        .collect()
}

on_both_engines! {
    fn an_invoice_is_created_read_changed_and_deleted(server: &Server) {
        let client = server.client();
        let company = create(&client, "/companies", json!({"name": "Engines"}));
        let deal = create(&client, "/opportunities", json!({"name": "Engine", "currency": "EUR"}));
        let record = client.post("/invoices", json!({"opportunity_id": deal})).expect(201).data();
        assert_eq!(
            record,
            json!({
                "id": record["id"], "invoice_number": "INV-001", "status": "draft",
                "issue_date": record["issue_date"], "due_date": null, "currency_code": "EUR",
                "reference": null, "contact_name": null, "customer_id": null, "opportunity_id": deal,
                "trustpager_deal_id": deal, "external_order_id": null, "amount_paid": 0,
                "amount_credited": 0, "subtotal": 0, "tax_total": 0, "total": 0, "amount_due": 0,
                "created_at": record["created_at"], "updated_at": record["created_at"],
                "line_items": [],
            })
        );
        let created = instant(&record["created_at"]);
        let sydney = created.in_tz("Australia/Sydney").expect("a time zone").date();
        assert_eq!(record["issue_date"], sydney.to_string());
        let path = format!("/invoices/{}", text(&record["id"]));
        assert_eq!(client.get(&path).expect(200).data(), record);
        let mut listed = record.clone();
        listed.as_object_mut().expect("a record").remove("line_items");
        assert_eq!(client.get("/invoices").expect(200).data(), json!([listed]));

        let_time_pass(&record["updated_at"]);
        let sent = json!({
            "invoice_number": "2026/17", "status": "partially_paid", "issue_date": "2026-03-01",
            "due_date": "2026-03-31", "currency_code": "AUD", "reference": "PO 4711",
            "contact_name": "Ada Byron", "customer_id": company, "trustpager_deal_id": null,
            "external_order_id": "SO-1042", "amount_paid": 20, "amount_credited": number("0.5"),
        });
        let changed = client.patch(&path, sent.clone()).expect(200).data();
        for (field, value) in sent.as_object().expect("fields") {
            assert_eq!(&changed[field], value, "{field}");
        }
        assert_eq!((&changed["opportunity_id"], &changed["amount_due"]), (&Value::Null, &number("-20.5")));
        assert!(instant(&changed["updated_at"]) > created);
        assert_eq!(client.get(&path).expect(200).data(), changed);
        let_time_pass(&changed["updated_at"]);
        assert_eq!(client.patch(&path, sent).expect(200).data(), changed);
        let cleared = json!({
            "due_date": null, "reference": " ", "contact_name": null, "customer_id": null,
            "external_order_id": null,
        });
        let changed = client.patch(&path, cleared.clone()).expect(200).data();
        for field in cleared.as_object().expect("fields").keys() {
            assert_eq!(changed[field], Value::Null, "{field}");
        }
        client.delete(&path).expect(204);
        assert_error(&client.get(&path), 404, "NOT_FOUND", &["invoice"]);
        assert_error(&client.delete(&path), 404, "NOT_FOUND", &[]);
    }

    fn what_an_invoice_can_not_be_is_refused(server: &Server) {
        let client = server.client();
        let id = invoice(&client, json!({"invoice_number": "A-1"}));
        let path = format!("/invoices/{id}");
        let before = read(&client, "/invoices", &id);
        for (body, field) in [
            (json!({"status": "open"}), "status"),
            (json!({"issue_date": "2026-02-30"}), "issue_date"),
            (json!({"currency_code": "XXQ"}), "currency_code"),
            (json!({"amount_paid": "20"}), "amount_paid"),
            (json!({"customer_id": "7"}), "customer_id"),
            (json!({"trustpager_deal_id": "7"}), "trustpager_deal_id"),
            (json!({"deal_id": NOBODY, "opportunity_id": null}), "deal_id"),
            (json!({"invoice_number": "x".repeat(256)}), "invoice_number"),
            (json!({"amount_paid": -922_337_203_685_477_i64, "amount_credited": -1}), "amount_paid"),
        ] {
            assert_error(&client.post("/invoices", body.clone()), 400, "VALIDATION_ERROR", &[field]);
            assert_error(&client.patch(&path, body), 400, "VALIDATION_ERROR", &[field]);
        }
        for field in ["status", "issue_date", "currency_code", "amount_paid", "invoice_number"] {
            assert_error(&client.patch(&path, json!({field: null})), 400, "VALIDATION_ERROR", &[field]);
        }
        for (body, what) in [
            (json!({"customer_id": NOBODY}), "company"),
            (json!({"opportunity_id": NOBODY}), "opportunity"),
            (json!({"deal_id": NOBODY}), "opportunity"),
        ] {
            assert_error(&client.post("/invoices", body.clone()), 404, "NOT_FOUND", &[what]);
            assert_error(&client.patch(&path, body), 404, "NOT_FOUND", &[what]);
        }
        let lines = json!({"line_items": [{"quantity": 0}, 7, {"description": " ", "tax_amount": true}]});
        let named = [
            "line_items[0].description", "line_items[0].quantity", "line_items[1]",
            "line_items[2].description", "line_items[2].tax_amount",
        ];
        assert_error(&client.post("/invoices", lines), 400, "MISSING_FIELDS", &named);
        let ignored = json!({"total": 7, "line_items": [{"description": "Oil", "colour": "red"}]});
        let made = client.post("/invoices", ignored).expect(201).json();
        let warnings = ["Unknown field ignored: line_items[0].colour", "Unknown field ignored: total"];
        assert_eq!(made["meta"]["warnings"], json!(warnings));
        let ignored = client.patch(&path, json!({"line_items": []})).expect(200).json();
        assert_eq!(ignored["meta"]["warnings"], json!(["Unknown field ignored: line_items"]));
        assert_eq!(read(&client, "/invoices", &id), before);
    }

    fn no_two_invoices_have_the_same_number(server: &Server) {
        let client = server.client();
        let number = |body: Value| text(&client.post("/invoices", body).expect(201).data()["invoice_number"]);
        assert_eq!(number(json!({})), "INV-001");
        assert_eq!(number(json!({"invoice_number": "INV-0040"})), "INV-0040");
        assert_eq!(number(json!({})), "INV-041");
        for taken in ["INV-001", " INV-0040 "] {
            let refused = client.post("/invoices", json!({"invoice_number": taken}));
            assert_error(&refused, 409, "CONFLICT", &["number"]);
        }
        let found = client.get("/invoices?invoice_number=INV-041").expect(200);
        let path = format!("/invoices/{}", found.ids().remove(0));
        assert_error(&client.patch(&path, json!({"invoice_number": "INV-001"})), 409, "CONFLICT", &["number"]);
        client.patch(&path, json!({"invoice_number": "INV-041", "status": "sent"})).expect(200);
        // One that is gone leaves its number to nobody.
        client.delete(&path).expect(204);
        assert_eq!(number(json!({})), "INV-042");
        std::thread::scope(|scope| {
            let calls: Vec<_> = (0..6).map(|_| scope.spawn(|| {
                client.post("/invoices", json!({"invoice_number": "2026-17"})).status
            })).collect();
            let mut answers: Vec<_> = calls.into_iter().map(|call| call.join().expect("an answer")).collect();
            answers.sort_unstable();
            assert_eq!(answers, [201, 409, 409, 409, 409, 409]);
        });
    }

    fn line_items_are_added_changed_and_removed_and_the_totals_follow(server: &Server) {
        let client = server.client();
        let gear = create(&client, "/products", json!({"name": "Gear", "price": number("19.99")}));
        let id = invoice(&client, json!({"amount_paid": 10, "amount_credited": 1}));
        let path = items(&id);
        assert_eq!(client.get(&path).expect(200).data(), json!([]));
        let first = json!({"description": " Gear ", "product_id": gear, "quantity": 3, "discount_percent": number("12.5"), "tax_amount": number("5.247")});
        let first = client.post(&path, first).expect(201).data();
        assert_eq!(
            first,
            json!({
                "id": first["id"], "invoice_id": id, "description": "Gear", "product_id": gear,
                "quantity": 3, "unit_price": number("19.99"), "discount_percent": number("12.5"),
                "tax_amount": number("5.25"), "line_total": number("52.47"),
                "created_at": first["created_at"], "updated_at": first["created_at"],
            })
        );
        let second = client.post(&path, json!({"description": "Oil"})).expect(201).data();
        assert_eq!(
            ["quantity", "unit_price", "discount_percent", "tax_amount", "line_total", "product_id"].map(|field| second[field].clone()),
            [json!(1), json!(0), json!(0), json!(0), json!(0), Value::Null]
        );
        let answer = client.get(&path).expect(200);
        assert_eq!(answer.data(), json!([first, second]));
        assert_eq!(answer.json()["pagination"]["has_more"], false);
        assert_eq!(amounts(&client, &id), ["52.47", "5.25", "57.72", "46.72"]);

        let one = format!("{path}/{}", text(&second["id"]));
        let sent = json!({
            "description": "Oil\nand rags", "product_id": gear, "quantity": number("0.5"),
            "unit_price": number("-0.03"), "discount_percent": 0, "tax_amount": number("-0.01"),
        });
        let changed = client.patch(&one, sent.clone()).expect(200).data();
        for (field, value) in sent.as_object().expect("fields") {
            assert_eq!(&changed[field], value, "{field}");
        }
        assert_eq!(changed["line_total"], number("-0.02"));
        assert_eq!(client.get(&one).expect(200).data(), changed);
        assert_eq!(amounts(&client, &id), ["52.45", "5.24", "57.69", "46.69"]);
        let whole = read(&client, "/invoices", &id);
        assert_eq!(whole["line_items"], json!([first, changed]));
        client.delete(&one).expect(204);
        assert_error(&client.get(&one), 404, "NOT_FOUND", &["line item"]);
        assert_error(&client.delete(&one), 404, "NOT_FOUND", &["line item"]);
        assert_eq!(amounts(&client, &id), ["52.47", "5.25", "57.72", "46.72"]);

        let other = invoice(&client, json!({}));
        let foreign = format!("{}/{}", items(&other), text(&first["id"]));
        assert_error(&client.get(&foreign), 404, "NOT_FOUND", &["line item"]);
        assert_error(&client.patch(&foreign, json!({"quantity": 2})), 404, "NOT_FOUND", &["line item"]);
        assert_error(&client.delete(&foreign), 404, "NOT_FOUND", &["line item"]);
        assert_error(&client.get(&items(NOBODY)), 404, "NOT_FOUND", &["invoice"]);
        assert_error(&client.post(&items(NOBODY), json!({"description": "x"})), 404, "NOT_FOUND", &["invoice"]);
        let one = format!("{path}/{}", text(&first["id"]));
        assert_error(&client.post(&path, json!({"quantity": 0})), 400, "MISSING_FIELDS", &["description", "quantity"]);
        assert_error(&client.patch(&one, json!({"description": " "})), 400, "MISSING_FIELDS", &["description"]);
        assert_error(&client.patch(&one, json!({"discount_percent": 101})), 400, "VALIDATION_ERROR", &["discount_percent"]);
        assert_error(&client.post(&path, json!({"description": "x", "product_id": NOBODY})), 404, "NOT_FOUND", &["product"]);
        let much = json!({"description": "x", "unit_price": 922_337_203_685_477_i64});
        assert_error(&client.post(&path, much), 400, "VALIDATION_ERROR", &["unit_price", "922337203685477.5807"]);
        assert_eq!(amounts(&client, &id), ["52.47", "5.25", "57.72", "46.72"]);
        client.delete(&format!("/invoices/{id}")).expect(204);
        assert_error(&client.get(&one), 404, "NOT_FOUND", &["invoice"]);
    }

    fn each_currency_is_rounded_to_its_own_smallest_unit(server: &Server) {
        let client = server.client();
        let lines = json!([
            {"description": "Oil", "unit_price": number("2.5"), "tax_amount": number("0.25")},
            {"description": "Rags", "unit_price": number("1.2345"), "quantity": 3, "tax_amount": number("0.1235")},
        ]);
        for (currency, expected) in [
            ("JPY", ["7", "0", "7", "7"]),
            ("AUD", ["6.2", "0.37", "6.57", "6.57"]),
            ("KWD", ["6.204", "0.374", "6.578", "6.578"]),
        ] {
            let id = invoice(&client, json!({"currency_code": currency, "line_items": lines}));
            assert_eq!(amounts(&client, &id), expected, "{currency}");
            client.patch(&format!("/invoices/{id}"), json!({"currency_code": "JPY"})).expect(200);
            assert_eq!(amounts(&client, &id), ["7", "0", "7", "7"], "{currency}");
            let rounded = client.get(&items(&id)).expect(200).data();
            assert_eq!((&rounded[0]["line_total"], &rounded[1]["unit_price"]), (&json!(3), &number("1.2345")));
        }
    }

    fn many_invoices_are_created_in_one_call_and_each_stands_alone(server: &Server) {
        let client = server.client();
        let deal = create(&client, "/opportunities", json!({"name": "Engine"}));
        let data = client.post("/invoices/bulk", json!({"invoices": [
            {"trustpager_deal_id": deal, "line_items": [{"description": "Oil", "unit_price": 2, "tax_amount": number("0.2")}]},
            {"line_items": [{"unit_price": 2}]},
            {"customer_id": NOBODY},
            {"invoice_number": "INV-001"},
            {"status": "void"},
            "Shed",
        ]})).expect(200).data();
        assert_eq!(
            refusals(&data),
            [(1, "MISSING_FIELDS"), (2, "NOT_FOUND"), (3, "CONFLICT"), (5, "VALIDATION_ERROR")]
                .map(|(index, code)| (index, code.to_owned()))
        );
        assert_eq!(data["created_count"], 2);
        let [first, last] = list(&data["created"]) else { panic!("two") };
        assert_eq!((&first["index"], &last["index"]), (&json!(0), &json!(4)));
        let mut record = first.clone();
        record.as_object_mut().expect("a record").remove("index");
        assert_eq!(read(&client, "/invoices", &text(&first["id"])), record);
        assert_eq!((&record["total"], &record["line_items"][0]["line_total"]), (&number("2.2"), &json!(2)));
        assert_eq!((&last["invoice_number"], &last["status"]), (&json!("INV-002"), &json!("void")));
        assert_eq!(client.get("/invoices").expect(200).ids().len(), 2);
        for (wrong, code) in [
            (json!({"invoices": []}), "VALIDATION_ERROR"),
            (json!({"invoices": vec![json!({}); 101]}), "VALIDATION_ERROR"),
            (json!({"records": [{}]}), "MISSING_FIELDS"),
        ] {
            assert_error(&client.post("/invoices/bulk", wrong), 400, code, &["invoices"]);
        }
        let hundred = client.post("/invoices/bulk", json!({"invoices": vec![json!({}); 100]})).expect(200).data();
        assert_eq!(hundred["created_count"], 100);
        assert_eq!(hundred["created"][99]["invoice_number"], "INV-102");
    }

    fn many_line_items_are_added_in_one_call_and_each_stands_alone(server: &Server) {
        let client = server.client();
        let id = invoice(&client, json!({}));
        let path = format!("{}/bulk", items(&id));
        let data = client.post(&path, json!({"line_items": [
            {"description": "Oil", "unit_price": 2},
            {"unit_price": 2},
            {"description": "Gear", "product_id": NOBODY},
            {"description": "Rags", "unit_price": 3, "tax_amount": number("0.3"), "colour": 1},
        ]})).expect(200);
        assert_eq!(data.json()["meta"]["warnings"], json!(["Unknown field ignored: line_items[3].colour"]));
        let data = data.data();
        assert_eq!(refusals(&data), [(1, "MISSING_FIELDS".to_owned()), (2, "NOT_FOUND".to_owned())]);
        assert_eq!((&data["created"][1]["index"], &data["created"][1]["description"]), (&json!(3), &json!("Rags")));
        assert_eq!(amounts(&client, &id), ["5", "0.3", "5.3", "5.3"]);
        for (wrong, code) in [
            (json!({"line_items": []}), "VALIDATION_ERROR"),
            (json!({"line_items": vec![json!({"description": "x"}); 501]}), "VALIDATION_ERROR"),
            (json!({"records": [{}]}), "MISSING_FIELDS"),
        ] {
            assert_error(&client.post(&path, wrong), 400, code, &["line_items"]);
        }
        let many = vec![json!({"description": "x", "unit_price": number("0.01")}); 500];
        let data = client.post(&path, json!({"line_items": many})).expect(200).data();
        assert_eq!(data["created_count"], 500);
        assert_eq!(amounts(&client, &id), ["10", "0.3", "10.3", "10.3"]);
        assert_eq!(list(&client.get(&items(&id)).expect(200).data()).len(), 502);
        assert_error(&client.post(&format!("{}/bulk", items(NOBODY)), json!({"line_items": [{"description": "x"}]})), 404, "NOT_FOUND", &["invoice"]);
    }

    fn line_items_that_come_at_once_all_count_and_a_call_under_a_key_counts_once(server: &Server) {
        let client = server.client();
        let id = invoice(&client, json!({}));
        std::thread::scope(|scope| {
            for price in 1..=6 {
                let (client, path) = (&client, items(&id));
                scope.spawn(move || create(client, &path, json!({"description": "Oil", "unit_price": price, "tax_amount": 1})));
            }
        });
        assert_eq!(amounts(&client, &id), ["21", "6", "27", "27"]);
        let body = json!({"description": "Rags", "unit_price": 9}).to_string();
        let headers = [("content-type", "application/json"), ("idempotency-key", "once")];
        let answers = [0, 1].map(|_| client.raw("POST", &items(&id), &headers, body.as_bytes()).expect(201).text);
        assert_eq!(answers[0], answers[1]);
        assert_eq!(amounts(&client, &id), ["30", "6", "36", "36"]);
    }

    fn the_invoices_of_an_opportunity_are_those_that_name_it(server: &Server) {
        let client = server.client();
        let [one, two] = ["One", "Two"].map(|name| create(&client, "/opportunities", json!({"name": name})));
        let ids: Vec<_> = ["opportunity_id", "trustpager_deal_id", "deal_id"]
            .map(|name| invoice(&client, json!({name: one, "line_items": [{"description": "Oil", "unit_price": 2}]})))
            .into_iter()
            .rev()
            .collect();
        invoice(&client, json!({"opportunity_id": two}));
        invoice(&client, json!({}));
        let path = format!("/opportunities/{one}/invoices");
        let answer = client.get(&path).expect(200);
        assert_eq!(answer.ids(), ids);
        let data = answer.data();
        assert_eq!((&data[0]["trustpager_deal_id"], &data[0]["total"]), (&json!(one), &json!(2)));
        assert!(data[0].get("line_items").is_none());
        let page = client.get(&format!("{path}?limit=2")).expect(200);
        assert_eq!((page.ids(), &page.json()["pagination"]["next_cursor"]), (ids[..2].to_vec(), &json!(ids[1])));
        assert_eq!(client.get(&format!("{path}?limit=2&cursor={}", ids[1])).expect(200).ids(), ids[2..]);
        for name in ["opportunity_id", "trustpager_deal_id", "deal_id"] {
            assert_eq!(client.get(&format!("/invoices?{name}={one}")).expect(200).ids(), ids, "{name}");
        }
        for (scopes, missing) in [
            (["opportunities:read", "invoices:write"], "invoices:read"),
            (["invoices:read", "invoices:write"], "opportunities:read"),
        ] {
            assert_error(&server.client_with(&scopes).get(&path), 403, "INSUFFICIENT_SCOPE", &[missing]);
        }
        let reader = server.client_with(&["deals:read", "invoices:read"]);
        assert_eq!(reader.get(&path).expect(200).ids(), ids);
        assert_error(&client.get(&format!("/opportunities/{NOBODY}/invoices")), 404, "NOT_FOUND", &["opportunity"]);
        let old = client.under("/functions/v1/api/v1").get(&format!("/deals/{one}/invoices")).expect(200);
        assert_eq!(old.data(), data);
    }

    fn an_invoice_outlives_what_it_names(server: &Server) {
        let client = server.client();
        let company = create(&client, "/companies", json!({"name": "Engines"}));
        let product = create(&client, "/products", json!({"name": "Gear", "price": 5}));
        let deals = ["One", "Two"].map(|name| create(&client, "/opportunities", json!({"name": name})));
        let ids = deals.clone().map(|deal| invoice(&client, json!({
            "customer_id": company, "opportunity_id": deal,
            "line_items": [{"description": "Gear", "product_id": product}],
        })));
        client.delete(&format!("/opportunities/{}", deals[0])).expect(204);
        client.post("/opportunities/bulk-delete", json!({"ids": [deals[1]]})).expect(200);
        client.delete(&format!("/companies/{company}")).expect(204);
        client.delete(&format!("/products/{product}")).expect(204);
        for id in ids {
            let left = read(&client, "/invoices", &id);
            let gone = ["opportunity_id", "trustpager_deal_id", "customer_id"].map(|field| left[field].clone());
            assert_eq!(gone, [Value::Null, Value::Null, Value::Null]);
            let line = &left["line_items"][0];
            assert_eq!((&line["product_id"], &line["unit_price"], &left["total"]), (&Value::Null, &json!(5), &json!(5)));
        }
    }

    fn invoices_are_found_by_all_their_filters_at_once(server: &Server) {
        let client = server.client();
        let company = create(&client, "/companies", json!({"name": "Engines"}));
        let deal = create(&client, "/opportunities", json!({"name": "Engine"}));
        // Few enough for a page, and each filter parts them.
        let has = |bit: usize| move |index: usize| (3 * index) >> bit & 1 == 1;
        let records: Vec<_> = (0..22).map(|index: usize| {
            let when = |bit: usize, value: &str| has(bit)(index).then(|| value.to_owned());
            let body = json!({
                "status": when(0, "sent"),
                "customer_id": when(1, &company),
                "opportunity_id": when(2, &deal),
                "external_order_id": when(3, "SO-1"),
                "issue_date": when(4, "2026-01-10").unwrap_or_else(|| "2026-02-10".to_owned()),
                "due_date": when(5, "2026-03-10"),
            });
            client.post("/invoices", body).expect(201).data()
        }).collect();
        let filters: [Filter<'_>; 6] = [
            ("status=sent".to_owned(), &has(0)),
            (format!("customer_id={company}"), &has(1)),
            (format!("trustpager_deal_id={deal}"), &has(2)),
            ("external_order_id=SO-1".to_owned(), &has(3)),
            ("issued_before=2026-02-10".to_owned(), &has(4)),
            ("due_after=2026-03-10".to_owned(), &has(5)),
        ];
        assert_filters_combine(&client, "/invoices", &records, &filters);
        assert_error(&client.get("/invoices?status=open&due_before=x"), 400, "VALIDATION_ERROR", &["status", "due_before"]);
    }
}
