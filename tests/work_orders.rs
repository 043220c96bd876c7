//! Work orders: what is to be carried out of a product that an opportunity has.

use serde_json::{Value, json};

use crate::fixtures::{
    Filter, NOBODY, assert_filters_combine, create, instant, let_time_pass, list, text,
};
use crate::harness::{Client, assert_error};

/// An opportunity with a product, and the row that this makes.
#[track_caller]
fn sold(client: &Client, name: &str) -> (String, String) {
    let deal = create(client, "/opportunities", json!({"name": name}));
    let line = add_line(client, &deal);
    (deal, line)
}

#[track_caller]
fn add_line(client: &Client, deal: &str) -> String {
    let product = create(client, "/products", json!({"name": "Gear", "price": 1}));
    let path = format!("/opportunities/{deal}/products");
    create(client, &path, json!({"product_id": product}))
}

#[track_caller]
fn made(client: &Client, fields: Value) -> Value {
    client.post("/work-orders", fields).expect(201).data()
}

#[track_caller]
fn user(client: &Client) -> String {
    let user = json!({"full_name": "Kim", "email": "kim@example.com"});
    create(client, "/company/users/invite", user)
}

/// The id of the status with that label.
#[track_caller]
fn status(client: &Client, label: &str) -> String {
    let statuses = client.get("/work-orders/statuses").expect(200).data();
    let mut found = list(&statuses).iter().filter(|one| one["label"] == label);
    text(&found.next().expect(label)["id"])
}

#[track_caller]
fn labels(client: &Client) -> Vec<String> {
    let statuses = client.get("/work-orders/statuses").expect(200).data();
    let statuses = list(&statuses).iter();
    statuses.map(|status| text(&status["label"])).collect()
}

on_both_engines! {
    fn a_work_order_is_created_read_changed_and_deleted(server: &Server) {
        let client = server.client();
        let (deal, line) = sold(&client, "Fence");
        let record = made(&client, json!({"deal_product_id": line}));
        assert_eq!(
            record,
            json!({
                "id": record["id"],
                "deal_product_id": line,
                "deal_id": deal,
                "deal_name": "Fence",
                "product_name": "Gear",
                "status": "Scheduled",
                "status_id": status(&client, "Scheduled"),
                "status_changed_at": record["created_at"],
                "schedule_date": null,
                "schedule_time": null,
                "assigned_to": null,
                "data": {},
                "sort_order": 0,
                "created_at": record["created_at"],
                "updated_at": record["created_at"],
            })
        );
        instant(&record["created_at"]);
        let path = format!("/work-orders/{}", text(&record["id"]));
        assert_eq!(client.get(&path).expect(200).data(), record);
        assert_eq!(client.get("/work-orders").expect(200).data(), json!([record]));

        let_time_pass(&record["updated_at"]);
        let sent = json!({
            "deal_product_id": add_line(&client, &deal),
            "status_id": status(&client, "On hold"),
            "schedule_date": "2026-03-31",
            "schedule_time": "07:30",
            "assigned_to": user(&client),
            "data": {"crew": "North", "gates": [1, 2]},
            "sort_order": 3,
        });
        let changed = client.patch(&path, sent.clone()).expect(200).data();
        for (field, value) in sent.as_object().expect("fields") {
            assert_eq!(&changed[field], value, "{field}");
        }
        assert_eq!(changed["status"], "On hold");
        assert!(instant(&changed["status_changed_at"]) > instant(&record["created_at"]));
        assert_eq!(changed["updated_at"], changed["status_changed_at"]);
        assert_eq!(client.get(&path).expect(200).data(), changed);
        let copy = made(&client, sent.clone());
        for field in sent.as_object().expect("fields").keys() {
            assert_eq!(copy[field], changed[field], "{field}");
        }
        // Nothing changes, so it was not changed.
        let_time_pass(&changed["updated_at"]);
        assert_eq!(client.patch(&path, sent).expect(200).data(), changed);
        client.patch(&format!("/opportunities/{deal}"), json!({"name": "Gate"})).expect(200);
        assert_eq!(client.get(&path).expect(200).data()["deal_name"], "Gate");

        for field in ["schedule_date", "schedule_time", "assigned_to"] {
            let cleared = client.patch(&path, json!({field: null})).expect(200).data();
            assert_eq!(cleared[field], Value::Null, "{field}");
            assert_eq!(cleared["status_changed_at"], changed["status_changed_at"]);
        }
        assert_eq!(client.delete(&path).expect(204).text, "");
        assert_error(&client.get(&path), 404, "NOT_FOUND", &[]);
        assert_error(&client.delete(&path), 404, "NOT_FOUND", &[]);
    }

    fn a_status_is_given_by_its_label_in_any_case_or_by_its_id(server: &Server) {
        let client = server.client();
        let (_, line) = sold(&client, "Fence");
        let by_label = made(&client, json!({"deal_product_id": line, "status": "in PROGRESS"}));
        assert_eq!(by_label["status"], "In progress");
        let path = format!("/work-orders/{}", text(&by_label["id"]));
        let held = status(&client, "On hold");
        let changed = client.patch(&path, json!({"status": "on hold", "status_id": held})).expect(200).data();
        assert_eq!(changed["status_id"], held);
        let refused = client.patch(&path, json!({"status": "Completed", "status_id": held}));
        assert_error(&refused, 400, "VALIDATION_ERROR", &["status must be the label of the status given in status_id"]);
        for refused in [
            client.patch(&path, json!({"status": "Lost"})),
            client.post("/work-orders", json!({"deal_product_id": line, "status": "Lost"})),
            client.get("/work-orders?status=Lost"),
        ] {
            assert_error(&refused, 400, "VALIDATION_ERROR", &["status is the label of no status"]);
            assert_eq!(
                refused.json()["error"]["fix"],
                "Use one of: Scheduled, In progress, On hold, Completed, Cancelled."
            );
        }
        assert_eq!(client.get(&path).expect(200).data(), changed);
    }

    fn what_a_field_can_not_hold_is_refused_by_its_name(server: &Server) {
        let client = server.client();
        let (_, line) = sold(&client, "Fence");
        for body in [json!({}), json!({"deal_product_id": null, "status": "Completed"})] {
            assert_error(&client.post("/work-orders", body), 400, "MISSING_FIELDS", &["deal_product_id"]);
        }
        let wrong = json!({
            "deal_product_id": "7", "status_id": "Scheduled", "schedule_date": "tomorrow",
            "schedule_time": "half past nine", "assigned_to": "Kim", "data": [], "sort_order": "first",
        });
        let named = [
            "deal_product_id", "status_id", "schedule_date",
            "schedule_time must be a time of the day such as 09:30", "assigned_to", "data", "sort_order",
        ];
        assert_error(&client.post("/work-orders", wrong), 400, "VALIDATION_ERROR", &named);
        let id = create(&client, "/work-orders", json!({"deal_product_id": line}));
        let path = format!("/work-orders/{id}");
        for field in ["deal_product_id", "status_id", "assigned_to"] {
            let mut nobody = json!({"deal_product_id": line});
            nobody[field] = json!(NOBODY);
            assert_error(&client.post("/work-orders", nobody), 404, "NOT_FOUND", &[NOBODY]);
            assert_error(&client.patch(&path, json!({field: NOBODY})), 404, "NOT_FOUND", &[NOBODY]);
        }
        for field in ["status_id", "status", "sort_order"] {
            assert_error(&client.patch(&path, json!({field: null})), 400, "VALIDATION_ERROR", &[field]);
        }
        let (_, elsewhere) = sold(&client, "Deck");
        let refused = client.patch(&path, json!({"deal_product_id": elsewhere}));
        assert_error(&refused, 400, "VALIDATION_ERROR", &["deal_product_id", "same opportunity"]);
        // What only we write is passed over and named.
        let tried = client.patch(&path, json!({"deal_name": "x", "status_changed_at": null})).expect(200);
        assert_eq!(list(&tried.json()["meta"]["warnings"]).len(), 2);
        assert_eq!(client.get("/work-orders").expect(200).ids(), [id]);
    }

    fn work_orders_are_filtered_by_all_that_they_have(server: &Server) {
        let client = server.client();
        let (deal, line) = sold(&client, "Fence");
        let second = add_line(&client, &deal);
        let (_, elsewhere) = sold(&client, "Deck");
        let (kim, held) = (user(&client), status(&client, "On hold"));
        let orders: Vec<_> = (0..12)
            .map(|index| {
                let order = made(&client, json!({
                    "deal_product_id": match index { 5 => &elsewhere, 7 => &second, _ => &line },
                    "status": if index % 2 == 0 { "On hold" } else { "Completed" },
                    "schedule_date": format!("2026-03-{:02}", index + 1),
                    "assigned_to": (index > 3).then_some(&kim),
                }));
                let_time_pass(&order["created_at"]);
                order
            })
            .collect();
        let filters: [Filter<'_>; 9] = [
            (format!("deal_id={deal}"), &|index| index != 5),
            (format!("deal_product_id={line}"), &|index| ![5, 7].contains(&index)),
            ("status=on%20hold".to_owned(), &|index| index % 2 == 0),
            (format!("status_id={held}"), &|index| index % 2 == 0),
            (format!("assigned_to={kim}"), &|index| index > 3),
            ("schedule_after=2026-03-05".to_owned(), &|index| index >= 4),
            ("schedule_before=2026-03-12".to_owned(), &|index| index < 11),
            (format!("created_after={}", text(&orders[1]["created_at"])), &|index| index >= 1),
            (format!("created_before={}", text(&orders[11]["created_at"])), &|index| index < 11),
        ];
        assert_filters_combine(&client, "/work-orders", &orders, &filters);
        let ids = |query: &str| client.get(&format!("/work-orders?{query}")).expect(200).ids();
        assert_eq!(ids("schedule_date=2026-03-07"), [text(&orders[6]["id"])]);
        assert_eq!(ids(&format!("status=completed&status_id={held}")).len(), 0);
        for field in ["deal_id", "deal_product_id", "status_id", "assigned_to"] {
            assert_eq!(ids(&format!("{field}={NOBODY}")).len(), 0, "{field}");
        }
        for wrong in ["status_id=On%20hold", "schedule_date=x", "deal_id=7", "limit=x"] {
            let (field, _) = wrong.split_once('=').expect("a filter");
            assert_error(&client.get(&format!("/work-orders?{wrong}")), 400, "VALIDATION_ERROR", &[field]);
        }
    }

    fn an_opportunity_lists_its_work_orders_in_pages(server: &Server) {
        let client = server.client();
        let (deal, line) = sold(&client, "Fence");
        let path = format!("/opportunities/{deal}/work-orders");
        assert_eq!(client.get(&path).expect(200).data(), json!([]));
        let lines = [line, add_line(&client, &deal)];
        let mut orders: Vec<_> = (0..5)
            .map(|index| create(&client, "/work-orders", json!({"deal_product_id": lines[index % 2]})))
            .collect();
        let (_, elsewhere) = sold(&client, "Deck");
        create(&client, "/work-orders", json!({"deal_product_id": elsewhere}));
        orders.reverse();
        let first = client.get(&format!("{path}?limit=2")).expect(200);
        assert_eq!(first.ids(), orders[..2]);
        assert_eq!(first.json()["pagination"]["has_more"], true);
        let next = text(&first.json()["pagination"]["next_cursor"]);
        let rest = client.get(&format!("{path}?cursor={next}")).expect(200);
        assert_eq!(rest.ids(), orders[2..]);
        assert_eq!(client.get(&format!("/deals/{deal}/work-orders")).expect(200).ids(), orders);
        assert_error(&client.get(&format!("/opportunities/{NOBODY}/work-orders")), 404, "NOT_FOUND", &[]);
        // Whoever may read an opportunity may read these, and needs nothing else.
        let reader = server.client_with(&["opportunities:read"]);
        assert_eq!(reader.get(&path).expect(200).ids(), orders);
        let other = server.client_with(&["work-orders:read"]);
        assert_error(&other.get(&path), 403, "INSUFFICIENT_SCOPE", &["opportunities:read"]);
    }

    fn work_orders_go_with_what_they_are_for_and_outlast_who_was_to_do_them(server: &Server) {
        let client = server.client();
        let (deal, line) = sold(&client, "Fence");
        let kim = user(&client);
        let mut orders = Vec::new();
        for line in [&line, &add_line(&client, &deal), &sold(&client, "Deck").1] {
            let fields = json!({"deal_product_id": line, "assigned_to": kim});
            orders.push(create(&client, "/work-orders", fields));
        }
        orders.reverse();
        client.delete(&format!("/opportunities/{deal}/products/{line}")).expect(204);
        assert_eq!(client.get("/work-orders").expect(200).ids(), orders[..2]);
        client.post("/opportunities/bulk-delete", json!({"ids": [deal]})).expect(200);
        assert_eq!(client.get("/work-orders").expect(200).ids(), orders[..1]);
        client.delete(&format!("/company/users/{kim}")).expect(204);
        let left = client.get(&format!("/work-orders/{}", orders[0])).expect(200).data();
        assert_eq!(left["assigned_to"], Value::Null);
        let other = text(&left["deal_id"]);
        client.delete(&format!("/opportunities/{other}")).expect(204);
        assert_eq!(client.get("/work-orders").expect(200).data(), json!([]));
    }

    fn a_workspace_shapes_its_own_statuses(server: &Server) {
        let client = server.client();
        let begun = ["Scheduled", "In progress", "On hold", "Completed", "Cancelled"];
        assert_eq!(labels(&client), begun);
        let path = "/work-orders/statuses";
        let record = client.post(path, json!({"label": " Inspected ", "is_terminal": true})).expect(201).data();
        assert_eq!(
            record,
            json!({
                "id": record["id"],
                "label": "Inspected",
                "color": "#64748b",
                "position": 5,
                "is_terminal": true,
                "created_at": record["created_at"],
                "updated_at": record["created_at"],
            })
        );
        let one = format!("{path}/{}", text(&record["id"]));
        assert_eq!(client.get(&one).expect(200).data(), record);
        for label in ["inspected", "SCHEDULED"] {
            assert_error(&client.post(path, json!({"label": label})), 409, "CONFLICT", &[]);
        }
        assert_error(&client.post(path, json!({"color": "red"})), 400, "MISSING_FIELDS", &["label"]);
        assert_error(&client.patch(&one, json!({"label": "Scheduled"})), 409, "CONFLICT", &[]);
        let changed = json!({"label": "INSPECTED", "color": "red", "position": 0, "is_terminal": false});
        let answered = client.patch(&one, changed.clone()).expect(200).data();
        for (field, value) in changed.as_object().expect("fields") {
            assert_eq!(&answered[field], value, "{field}");
        }
        assert_eq!(labels(&client)[..2], ["INSPECTED", "Scheduled"]);
        // It is the first one now.
        let (_, line) = sold(&client, "Fence");
        let order = made(&client, json!({"deal_product_id": line}));
        assert_eq!(order["status"], "INSPECTED");
        let refused = client.delete(&one);
        assert_error(&refused, 409, "CONFLICT", &[]);
        assert!(text(&refused.json()["error"]["fix"]).contains("?move_to=<status id>"));
        let held = status(&client, "On hold");
        assert_error(&client.delete(&format!("{one}?move_to={NOBODY}")), 404, "NOT_FOUND", &[NOBODY]);
        assert_error(&client.delete(&format!("{one}?move_to={}", text(&record["id"]))), 400, "VALIDATION_ERROR", &["move_to"]);
        client.delete(&format!("{one}?move_to={held}")).expect(204);
        let moved = client.get(&format!("/work-orders/{}", text(&order["id"]))).expect(200).data();
        assert_eq!(moved["status"], "On hold");
        assert_eq!(labels(&client), begun);
        assert_error(&client.get(&one), 404, "NOT_FOUND", &[]);
        let reader = server.client_with(&["work-orders:read"]);
        assert_error(&reader.post(path, json!({"label": "x"})), 403, "INSUFFICIENT_SCOPE", &["work-orders:write"]);
    }
}
