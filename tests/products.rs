//! Products, what they cost, and what opportunities have of them.

use serde_json::{Value, json};

use crate::fixtures::{
    Filter, NOBODY, Pipeline, assert_filters_combine, create, instant, let_time_pass, list, read,
    text,
};
use crate::harness::{Client, assert_error};

/// A number as it is answered, to its last digit.
#[track_caller]
fn number(text: &str) -> Value {
    serde_json::from_str(text).expect("a number")
}

#[track_caller]
fn product(client: &Client, price: Value) -> String {
    create(client, "/products", json!({"name": "Gear", "price": price}))
}

#[track_caller]
fn opportunity(client: &Client) -> String {
    create(client, "/opportunities", json!({"name": "Engine"}))
}

/// The path of an opportunity's products.
fn lines(opportunity: &str) -> String {
    format!("/opportunities/{opportunity}/products")
}

/// The path of what a product of an opportunity costs.
fn costs(opportunity: &str, line: &str) -> String {
    format!("/opportunities/{opportunity}/product-costs/{line}")
}

#[track_caller]
fn rows(client: &Client, opportunity: &str) -> Value {
    client.get(&lines(opportunity)).expect(200).data()
}

#[track_caller]
fn value_of(client: &Client, opportunity: &str) -> Value {
    read(client, "/opportunities", opportunity)["products_value"].clone()
}

on_both_engines! {
    fn a_product_is_created_read_changed_and_deleted(server: &Server) {
        let client = server.client();
        let record = client.post("/products", json!({"name": " Gear ", "price": 12.50})).expect(201).data();
        assert_eq!(
            record,
            json!({
                "id": record["id"],
                "name": "Gear",
                "price": 12.5,
                "sku": null,
                "currency": "AUD",
                "category": null,
                "description": null,
                "unit": null,
                "deposit_percent": null,
                "is_active": true,
                "metadata": {},
                "created_at": record["created_at"],
                "updated_at": record["created_at"],
            })
        );
        instant(&record["created_at"]);
        let path = format!("/products/{}", text(&record["id"]));
        assert_eq!(client.get(&path).expect(200).data(), record);
        assert_eq!(client.get("/products").expect(200).data(), json!([record]));

        let_time_pass(&record["updated_at"]);
        let sent = json!({
            "name": "Pinion", "price": -0.0001, "sku": "P-1", "currency": "EUR", "category": "Brass",
            "description": "Small.\nRound.", "unit": "piece", "deposit_percent": 33.3333,
            "is_active": false, "metadata": {"teeth": 24},
        });
        let changed = client.patch(&path, sent.clone()).expect(200).data();
        for (field, value) in sent.as_object().expect("fields") {
            assert_eq!(&changed[field], value, "{field}");
        }
        assert!(instant(&changed["updated_at"]) > instant(&record["updated_at"]));
        let cleared = json!({"sku": null, "category": "", "description": null, "unit": null, "deposit_percent": null, "metadata": null});
        let cleared = client.patch(&path, cleared).expect(200).data();
        assert_eq!((&cleared["sku"], &cleared["category"], &cleared["metadata"]), (&Value::Null, &Value::Null, &json!({})));
        let refused = client.patch(&path, json!({"price": null}));
        assert_error(&refused, 400, "MISSING_FIELDS", &["price"]);
        assert_error(&client.post("/products", json!({})), 400, "MISSING_FIELDS", &["name", "price"]);
        client.delete(&path).expect(204);
        assert_error(&client.get(&path), 404, "NOT_FOUND", &[]);
        assert_error(&client.delete(&path), 404, "NOT_FOUND", &[]);
    }

    fn the_filters_of_products_combine(server: &Server) {
        let client = server.client();
        let records: Vec<_> = [
            json!({"name": "Brass gear", "price": 1, "sku": "G-1", "category": "Gears"}),
            json!({"name": "Steel gear", "price": 1, "sku": "g-1", "category": "Gears", "is_active": false}),
            json!({"name": "Gear", "price": 1, "sku": "G-1", "category": "Gears"}),
            json!({"name": "Spring", "price": 1, "sku": "S-1", "category": "Springs"}),
        ]
        .into_iter()
        .map(|fields| client.post("/products", fields).expect(201).data())
        .collect();
        let filters: [Filter<'_>; 4] = [
            ("search=gear".to_owned(), &|index| index < 3),
            ("sku=G-1".to_owned(), &|index| index < 3),
            ("category=Gears".to_owned(), &|index| index < 3),
            ("is_active=true".to_owned(), &|index| index != 1),
        ];
        assert_filters_combine(&client, "/products", &records, &filters);
        let inactive = client.get("/products?is_active=false").expect(200).ids();
        assert_eq!(inactive, [text(&records[1]["id"])]);
        let by_sku = client.get("/products?search=s-1").expect(200).ids();
        assert_eq!(by_sku, [text(&records[3]["id"])]);
        assert_error(&client.get("/products?is_active=perhaps"), 400, "VALIDATION_ERROR", &["is_active"]);
    }

    fn a_product_that_is_sold_is_not_deleted_but_may_be_deactivated(server: &Server) {
        let client = server.client();
        let (gear, id) = (product(&client, json!(5)), opportunity(&client));
        create(&client, &lines(&id), json!({"product_id": gear}));
        let path = format!("/products/{gear}");
        let refused = client.delete(&path);
        assert_error(&refused, 409, "CONFLICT", &["Opportunities use this product"]);
        assert!(refused.text.contains("Deactivate it instead"), "{}", refused.text);
        client.patch(&path, json!({"is_active": false})).expect(200);
        client.delete(&format!("/opportunities/{id}")).expect(204);
        client.delete(&path).expect(204);
    }

    fn what_a_product_costs_is_kept_with_it(server: &Server) {
        let client = server.client();
        let supplier = create(&client, "/companies", json!({"name": "Foundry"}));
        let gear = product(&client, json!(5));
        let path = format!("/products/{gear}/costs");
        let sent = json!({"label": "Brass", "cost_price": 3.2, "quantity": 2.5, "supplier_id": supplier, "supplier_product_id": "BB-0110"});
        let record = client.post(&path, sent.clone()).expect(201).data();
        for (field, value) in sent.as_object().expect("fields") {
            assert_eq!(&record[field], value, "{field}");
        }
        assert_eq!(record["product_id"], *gear);
        let second = client.post(&path, json!({"cost_price": 1})).expect(201).data();
        assert_eq!((&second["quantity"], &second["label"]), (&json!(1), &Value::Null));
        assert_eq!(client.get(&path).expect(200).data(), json!([second, record]));
        let one = format!("{path}/{}", text(&record["id"]));
        let changed = client.patch(&one, json!({"quantity": 3, "supplier_product_id": null})).expect(200).data();
        assert_eq!((&changed["quantity"], &changed["supplier_product_id"]), (&json!(3), &Value::Null));
        assert_error(&client.patch(&one, json!({"supplier_id": NOBODY})), 404, "NOT_FOUND", &["company"]);
        assert_error(&client.post(&path, json!({"label": "x"})), 400, "MISSING_FIELDS", &["cost_price"]);
        client.delete(&format!("/companies/{supplier}")).expect(204);
        let left = client.get(&path).expect(200).data();
        assert_eq!((&left[1]["supplier_id"], &left[1]["cost_price"]), (&Value::Null, &number("3.2")));
        client.delete(&one).expect(204);
        assert_error(&client.delete(&one), 404, "NOT_FOUND", &[]);
        client.delete(&format!("/products/{gear}")).expect(204);
        assert_error(&client.get(&path), 404, "NOT_FOUND", &["product"]);
    }

    fn an_opportunitys_products_are_rows_in_their_order(server: &Server) {
        let client = server.client();
        let gear = json!({"name": "Gear", "price": 19.99, "deposit_percent": 25});
        let gear = create(&client, "/products", gear);
        let id = opportunity(&client);
        let first = client.post(&lines(&id), json!({"product_id": gear})).expect(201).data();
        for (field, value) in json!({
            "product_id": gear, "quantity": 1, "unit_price": 19.99, "discount_percent": 0,
            "deposit_percent": 25, "payment_status": "unpaid", "sort_order": 0,
            "crm_products": {"id": gear, "name": "Gear", "price": 19.99, "currency": "AUD"},
        })
        .as_object()
        .expect("fields")
        {
            assert_eq!(&first[field], value, "{field}");
        }
        let second = json!({"product_id": gear, "quantity": 3, "discount_percent": 12.5, "payment_status": "deposit_invoiced"});
        let second = client.post(&lines(&id), second).expect(201).data();
        assert_eq!((&second["sort_order"], &second["value"]), (&json!(1), &number("52.4738")));
        let answer = client.get(&lines(&id)).expect(200);
        assert_eq!(answer.data(), json!([first, second]));
        assert_eq!(answer.json()["pagination"]["has_more"], false);
        // 19.99 + 3 × 19.99 × 0.875
        assert_eq!(value_of(&client, &id), number("72.4638"));

        let path = format!("{}/{}", lines(&id), text(&first["id"]));
        let sent = json!({"quantity": 2, "unit_price": 20, "discount_percent": 50, "deposit_percent": null, "payment_status": "paid"});
        let changed = client.patch(&path, sent.clone()).expect(200).data();
        for (field, value) in sent.as_object().expect("fields") {
            assert_eq!(&changed[field], value, "{field}");
        }
        assert_eq!(value_of(&client, &id), number("72.4738"));
        client.delete(&path).expect(204);
        assert_eq!(rows(&client, &id), json!([second]));
        assert_eq!(value_of(&client, &id), number("52.4738"));
        assert_error(&client.delete(&path), 404, "NOT_FOUND", &["opportunity product"]);
        assert_error(&client.post(&lines(&id), json!({"quantity": 0})), 400, "MISSING_FIELDS", &["product_id", "quantity"]);
        assert_error(&client.post(&lines(&id), json!({"product_id": NOBODY})), 404, "NOT_FOUND", &["product"]);
        let largest = json!({"product_id": gear, "unit_price": 922_337_203_685_477_i64, "quantity": 2});
        let refused = client.post(&lines(&id), largest);
        assert_error(&refused, 400, "VALIDATION_ERROR", &["quantity", "922337203685477.5807"]);
        assert_eq!(value_of(&client, &id), number("52.4738"));
    }

    fn a_price_in_another_currency_is_taken_as_its_number_unless_one_is_given(server: &Server) {
        let client = server.client();
        let gear = create(&client, "/products", json!({"name": "Gear", "price": 5, "currency": "USD"}));
        let id = opportunity(&client);
        let row = client.post(&lines(&id), json!({"product_id": gear})).expect(201).data();
        assert_eq!((&row["unit_price"], &row["crm_products"]["currency"]), (&json!(5), &json!("USD")));
        let row = client.post(&lines(&id), json!({"product_id": gear, "unit_price": 7.5})).expect(201).data();
        assert_eq!((&row["unit_price"], &row["crm_products"]["price"]), (&json!(7.5), &json!(5)));
    }

    fn products_are_reordered_as_a_whole_or_not_at_all(server: &Server) {
        let client = server.client();
        let (gear, id) = (product(&client, json!(1)), opportunity(&client));
        let [a, b, c] = [1, 2, 3].map(|quantity| {
            create(&client, &lines(&id), json!({"product_id": gear, "quantity": quantity}))
        });
        let path = format!("{}/reorder", lines(&id));
        let before = rows(&client, &id);
        for wrong in [
            json!([]), json!([a, b]), json!([a, b, b]), json!([a, b, c, a]), json!([a, b, NOBODY]),
            json!([a, b, c, NOBODY]), json!([gear, gear, gear]), json!([a, b, "c"]), json!(a),
        ] {
            let refused = client.post(&path, json!({"product_ids": wrong}));
            assert_error(&refused, 400, "VALIDATION_ERROR", &["product_ids"]);
        }
        assert_error(&client.post(&path, json!({})), 400, "MISSING_FIELDS", &["product_ids"]);
        assert_eq!(rows(&client, &id), before);
        let answer = client.post(&path, json!({"product_ids": [c, a, b]})).expect(200);
        assert_eq!(answer.ids(), [c.as_str(), &a, &b]);
        let places: Vec<_> = list(&answer.data()).iter().map(|row| row["sort_order"].as_i64()).collect();
        assert_eq!(places, [Some(0), Some(1), Some(2)]);
        assert_eq!(rows(&client, &id), answer.data());
    }

    fn what_was_paid_is_shown_and_set_by_those_who_deal_with_invoices(server: &Server) {
        let client = server.client();
        let (gear, id) = (product(&client, json!(10)), opportunity(&client));
        let line = create(&client, &lines(&id), json!({"product_id": gear, "payment_status": "invoiced"}));
        let path = format!("{}/{line}", lines(&id));
        let seller = server.client_with(&["deals:read", "deals:write"]);
        let before = rows(&client, &id);
        for status in ["unpaid", "paid"] {
            let fields = json!({"product_id": gear, "quantity": 9, "payment_status": status});
            for refused in [seller.post(&lines(&id), fields.clone()), seller.patch(&path, fields)] {
                assert_error(&refused, 403, "INSUFFICIENT_SCOPE", &["invoices:write"]);
            }
        }
        assert_eq!(rows(&client, &id), before);
        assert_eq!(before[0]["payment_status"], "invoiced");

        let changed = seller.patch(&path, json!({"quantity": 2})).expect(200).data();
        let added = seller.post(&lines(&id), json!({"product_id": gear})).expect(201).data();
        let listed = rows(&seller, &id);
        let record = seller.get(&format!("/opportunities/{id}?expand=products")).expect(200).data();
        let page = seller.get("/opportunities?expand=products").expect(200).data();
        for row in [&changed, &added, &listed[0], &record["products"][0], &page[0]["products"][1]] {
            assert!(row["id"].is_string() && row.get("payment_status").is_none(), "{row}");
        }
        let reader = server.client_with(&["opportunities:read", "invoices:read"]);
        assert_eq!(rows(&reader, &id)[0]["payment_status"], "invoiced");
        let expanded = reader.get(&format!("/opportunities/{id}?expand=products")).expect(200).data();
        assert_eq!(expanded["products"][1]["payment_status"], "unpaid");
        let clerk = server.client_with(&["opportunities:write", "invoices:write"]);
        let set = clerk.patch(&path, json!({"payment_status": "paid"})).expect(200).data();
        assert!(set.get("payment_status").is_none());
        assert_eq!(rows(&reader, &id)[0]["payment_status"], "paid");
        let unknown = client.patch(&path, json!({"payment_status": "half"}));
        assert_error(&unknown, 400, "VALIDATION_ERROR", &["payment_status"]);
    }

    fn what_a_line_costs_is_its_margins_other_half(server: &Server) {
        let client = server.client();
        let pipeline = Pipeline::default_of(&client);
        let supplier = create(&client, "/companies", json!({"name": "Foundry"}));
        let gear = product(&client, json!(100));
        let body = json!({"name": "Engine", "stage_id": pipeline.stage("Lead"), "value": 1});
        let id = create(&client, "/opportunities", body);
        let line = create(&client, &lines(&id), json!({"product_id": gear, "quantity": 2}));
        let summary = format!("/pipelines/{}/summary", pipeline.id);
        let margins = |client: &Client| client.get(&summary).expect(200).data()["totals"]["margins"].clone();
        let path = costs(&id, &line);
        assert_eq!(client.get(&path).expect(200).data(), json!([]));
        let sent = json!({"label": "Brass", "unit_cost": 30.05, "quantity": 3, "supplier_id": supplier, "supplier_product_id": "BB"});
        let record = client.post(&path, sent.clone()).expect(201).data();
        for (field, value) in sent.as_object().expect("fields") {
            assert_eq!(&record[field], value, "{field}");
        }
        assert_eq!((&record["currency"], &record["total_cost"]), (&json!("AUD"), &number("90.15")));
        let abroad = client.post(&path, json!({"unit_cost": 8, "currency": "usd"})).expect(201).data();
        assert_eq!((&abroad["currency"], &abroad["quantity"]), (&json!("USD"), &json!(1)));
        assert_eq!(client.get(&path).expect(200).data(), json!([abroad, record]));

        let row = &rows(&client, &id)[0];
        assert_eq!(
            ["value", "cost", "margin", "other_costs"].map(|field| row[field].clone()),
            [json!(200), number("90.15"), number("109.85"), json!([{"currency": "USD", "cost": 8}])]
        );
        let whole = client.get(&format!("/opportunities/{id}?expand=products")).expect(200).data();
        assert_eq!(whole["products"], json!([row]));
        assert_eq!(
            whole["products_margin"],
            json!({"value": 200, "cost": row["cost"], "margin": row["margin"], "other_costs": row["other_costs"]})
        );
        assert_eq!(margins(&client), json!([{
            "currency": "AUD", "deal_count": 1, "other_costs_count": 1, "products_value": 200,
            "products_cost": number("90.15"), "margin": number("109.85"),
        }]));

        let one = costs(&id, &text(&record["id"]));
        let changed = client.patch(&one, json!({"quantity": 1, "label": null})).expect(200).data();
        assert_eq!((&changed["total_cost"], &changed["label"]), (&number("30.05"), &Value::Null));
        client.delete(&costs(&id, &text(&abroad["id"]))).expect(204);
        assert_eq!(margins(&client)[0]["margin"], number("169.95"));
        client.delete(&format!("/companies/{supplier}")).expect(204);
        let left = client.get(&path).expect(200).data();
        assert_eq!((&left[0]["supplier_id"], &left[0]["unit_cost"]), (&Value::Null, &number("30.05")));
        assert_error(&client.post(&path, json!({})), 400, "MISSING_FIELDS", &["unit_cost"]);
        assert_error(&client.get(&costs(&id, &text(&record["id"]))), 404, "NOT_FOUND", &["opportunity product"]);
        assert_error(&client.patch(&costs(&id, &line), json!({"quantity": 2})), 404, "NOT_FOUND", &["cost"]);
        client.delete(&format!("{}/{line}", lines(&id))).expect(204);
        assert_error(&client.delete(&one), 404, "NOT_FOUND", &["cost"]);
        assert_eq!(margins(&client), Value::Null);
    }

    fn an_opportunity_that_is_deleted_frees_its_products(server: &Server) {
        let client = server.client();
        let gear = product(&client, json!(10));
        let ids = [0, 1].map(|_| {
            let id = opportunity(&client);
            let line = create(&client, &lines(&id), json!({"product_id": gear}));
            create(&client, &costs(&id, &line), json!({"unit_cost": 1}));
            (id, line)
        });
        let [(one, line), (two, _)] = ids;
        client.delete(&format!("/opportunities/{one}")).expect(204);
        assert_error(&client.get(&lines(&one)), 404, "NOT_FOUND", &["opportunity"]);
        assert_error(&client.patch(&format!("{}/{line}", lines(&two)), json!({})), 404, "NOT_FOUND", &["opportunity product"]);
        assert_error(&client.delete(&format!("/products/{gear}")), 409, "CONFLICT", &[]);
        client.post("/opportunities/bulk-delete", json!({"ids": [two]})).expect(200);
        client.delete(&format!("/products/{gear}")).expect(204);
    }

    fn an_old_client_works_with_products_under_the_old_names(server: &Server) {
        let client = server.client().under("/functions/v1/api/v1");
        let (gear, id) = (product(&client, json!(10)), opportunity(&client));
        let path = format!("/deals/{id}/products");
        let line = create(&client, &path, json!({"product_id": gear, "quantity": 3}));
        client.patch(&format!("{path}/{line}"), json!({"discount_percent": 10})).expect(200);
        client.post(&format!("{path}/reorder"), json!({"product_ids": [line]})).expect(200);
        let cost = create(&client, &format!("/deals/{id}/product-costs/{line}"), json!({"unit_cost": 4}));
        client.patch(&format!("/deals/{id}/product-costs/{cost}"), json!({"quantity": 2})).expect(200);
        let record = client.get(&format!("/deals/{id}?expand=products")).expect(200).data();
        assert_eq!((&record["products_value"], &record["products_margin"]["margin"]), (&json!(27), &json!(19)));
        client.delete(&format!("/deals/{id}/product-costs/{cost}")).expect(204);
        client.delete(&format!("{path}/{line}")).expect(204);
        assert_eq!(value_of(&server.client(), &id), json!(0));
    }

    fn lines_added_at_once_all_count_and_a_call_under_a_key_counts_once(server: &Server) {
        let client = server.client();
        let (gear, id) = (product(&client, json!(10)), opportunity(&client));
        std::thread::scope(|scope| {
            for quantity in 1..=6 {
                let (client, path, gear) = (&client, lines(&id), &gear);
                scope.spawn(move || create(client, &path, json!({"product_id": gear, "quantity": quantity})));
            }
        });
        assert_eq!(value_of(&client, &id), json!(210));
        let body = json!({"product_id": gear}).to_string();
        let headers = [("content-type", "application/json"), ("idempotency-key", "once")];
        let answers = [0, 1].map(|_| client.raw("POST", &lines(&id), &headers, body.as_bytes()).expect(201).text);
        assert_eq!(answers[0], answers[1]);
        assert_eq!(value_of(&client, &id), json!(220));
    }
}
