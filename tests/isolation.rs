//! Two workspaces can't see, link or guess each other's records, on any route.

use serde_json::{Value, json};

use crate::fixtures::{Business, endpoints, list};
use crate::harness::{Client, assert_error};

/// Everything that a workspace has, as its own key reads it.
fn everything(client: &Client, business: &Business) -> Vec<Value> {
    let paths = [
        format!(
            "/opportunities/{}?expand=contact,referrer,customer,products,assigned_users",
            business.opportunity
        ),
        "/opportunities".to_owned(),
        format!("/opportunities/{}/contacts", business.opportunity),
        format!(
            "/opportunities/{}/product-costs/{}",
            business.opportunity, business.line
        ),
        "/products".to_owned(),
        format!("/products/{}/costs", business.product),
        "/invoices".to_owned(),
        format!("/invoices/{}", business.invoice),
        format!("/opportunities/{}/invoices", business.opportunity),
        format!("/pipelines/{}", business.pipeline),
        format!("/pipelines/{}/summary", business.pipeline),
        "/pipelines".to_owned(),
        "/contacts".to_owned(),
        format!("/contacts/{}/employers", business.contact),
        "/companies".to_owned(),
        format!("/companies/{}/contacts", business.company),
        format!("/opportunities/{}/tasks", business.opportunity),
        format!("/contacts/{}/activities", business.contact),
        format!("/opportunities/{}/work-orders", business.opportunity),
        "/work-orders".to_owned(),
        "/work-orders/statuses".to_owned(),
        "/tasks".to_owned(),
        "/activities".to_owned(),
        "/referrals".to_owned(),
        "/referrals/leaderboard".to_owned(),
        "/data/crm-logs".to_owned(),
        "/company/users".to_owned(),
        "/company".to_owned(),
        "/company/crm-settings".to_owned(),
    ];
    paths
        .iter()
        .map(|path| client.get(path).expect(200).data())
        .collect()
}

on_both_engines! {
    fn no_route_leads_to_the_records_of_another_workspace(server: &Server) {
        let ours = Business::found(&server.client());
        let before = everything(&server.client(), &ours);
        let stranger = server.workspace("Stranger").client();
        let body = json!({
            "pipeline_id": ours.pipeline, "stage_id": ours.stages[2], "stage_ids": ours.stages,
            "product_id": ours.product, "product_ids": [ours.line], "cost_price": 1, "unit_cost": 1,
            "label": "Ours", "description": "Ours", "line_items": [{"description": "Ours"}],
        });
        let body = body.to_string();
        let mut tried = 0;
        for endpoint in endpoints(&stranger) {
            if !endpoint.path().contains(':') {
                continue;
            }
            let path = ours.fill(endpoint.path());
            let answer = match endpoint.method() {
                "GET" | "DELETE" => stranger.raw(endpoint.method(), &path, &[], b""),
                method => stranger.raw(method, &path, &[("content-type", "application/json")], body.as_bytes()),
            };
            if answer.status == 400 {
                // A new stage needs more than that.
                let answer = stranger.post(&path, json!({"name": "Ours"}));
                assert_error(&answer, 404, "NOT_FOUND", &[]);
            } else {
                assert_error(&answer, 404, "NOT_FOUND", &[]);
            }
            tried += 1;
        }
        assert!(tried > 45, "only {tried} routes were tried");
        assert_eq!(everything(&server.client(), &ours), before);
    }

    fn no_body_names_a_record_of_another_workspace(server: &Server) {
        let theirs = Business::found(&server.client());
        let before = everything(&server.client(), &theirs);
        let client = server.workspace("Stranger").client();
        let own = Business::found(&client);
        let unchanged = everything(&client, &own);

        let refused = |method: &str, path: &str, body: Value| {
            let answer = client.raw(method, path, &[("content-type", "application/json")], body.to_string().as_bytes());
            assert_error(&answer, 404, "NOT_FOUND", &[]);
        };
        let mine = format!("/opportunities/{}", own.opportunity);
        for (field, id) in [
            ("contact_id", &theirs.contact),
            ("customer_id", &theirs.company),
            ("pipeline_id", &theirs.pipeline),
            ("stage_id", &theirs.stages[0]),
        ] {
            refused("POST", "/opportunities", json!({"name": "Theirs", field: id}));
        }
        refused("PATCH", &mine, json!({"contact_id": theirs.contact}));
        refused("PATCH", &mine, json!({"customer_id": theirs.company}));
        for workflow in ["move", "add-card"] {
            let path = format!("{mine}/{workflow}");
            refused("POST", &path, json!({"pipeline_id": theirs.pipeline, "stage_id": theirs.stages[0]}));
            refused("POST", &path, json!({"pipeline_id": own.pipeline, "stage_id": theirs.stages[0]}));
        }
        refused("POST", &format!("{mine}/contacts/{}", theirs.contact), json!({}));
        refused("POST", &format!("{mine}/users/{}", theirs.user), json!({}));
        refused("POST", &format!("/contacts/{}/employers/{}", own.contact, theirs.company), json!({}));
        refused("DELETE", &format!("/pipelines/{}/stages/{}?move_to={}", own.pipeline, own.stages[0], theirs.stages[0]), json!({}));
        let lines = format!("{mine}/products");
        refused("POST", &lines, json!({"product_id": theirs.product}));
        refused("PATCH", &format!("{lines}/{}", own.line), json!({"product_id": theirs.product}));
        refused("PATCH", &format!("{lines}/{}", theirs.line), json!({"quantity": 2}));
        refused("DELETE", &format!("{lines}/{}", theirs.line), json!({}));
        let costs = format!("{mine}/product-costs");
        let supplied = json!({"cost_price": 1, "unit_cost": 1, "supplier_id": theirs.company});
        refused("POST", &format!("{costs}/{}", theirs.line), json!({"unit_cost": 1}));
        refused("POST", &format!("{costs}/{}", own.line), supplied.clone());
        refused("PATCH", &format!("{costs}/{}", own.line_cost), supplied.clone());
        refused("PATCH", &format!("{costs}/{}", theirs.line_cost), json!({"unit_cost": 1}));
        refused("DELETE", &format!("{costs}/{}", theirs.line_cost), json!({}));
        let costs = format!("/products/{}/costs", own.product);
        refused("POST", &costs, supplied.clone());
        refused("PATCH", &format!("{costs}/{}", own.product_cost), supplied);
        refused("PATCH", &format!("{costs}/{}", theirs.product_cost), json!({"quantity": 2}));
        refused("DELETE", &format!("{costs}/{}", theirs.product_cost), json!({}));
        let items = format!("/invoices/{}/line-items", own.invoice);
        let billed = json!({"description": "Theirs", "product_id": theirs.product});
        refused("POST", "/invoices", json!({"line_items": [billed]}));
        refused("POST", &items, billed.clone());
        refused("POST", &format!("/invoices/{}/line-items/bulk", theirs.invoice), json!({"line_items": [{"description": "Ours"}]}));
        refused("PATCH", &format!("{items}/{}", own.line_item), billed);
        refused("PATCH", &format!("{items}/{}", theirs.line_item), json!({"quantity": 2}));
        refused("DELETE", &format!("{items}/{}", theirs.line_item), json!({}));
        let order = json!({"product_ids": [theirs.line]}).to_string();
        let answer = client.raw("POST", &format!("{lines}/reorder"), &[("content-type", "application/json")], order.as_bytes());
        assert_error(&answer, 400, "VALIDATION_ERROR", &["product_ids"]);
        for (path, record, new, fields) in [
            ("/tasks", &own.task, json!({"title": "Theirs"}), &["contact_id", "customer_id", "deal_id", "assigned_to"][..]),
            ("/activities", &own.activity, json!({"activity_type": "note", "subject": "Theirs"}), &["contact_id", "customer_id", "deal_id"]),
            ("/referrals", &own.referral, json!({"referrer_contact_id": own.contact}), &["referrer_contact_id", "referred_contact_id", "referred_deal_id"]),
            ("/invoices", &own.invoice, json!({}), &["customer_id", "opportunity_id", "trustpager_deal_id", "deal_id"]),
        ] {
            for field in fields {
                let id = match *field {
                    "customer_id" => &theirs.company,
                    "deal_id" | "referred_deal_id" | "opportunity_id" | "trustpager_deal_id" => &theirs.opportunity,
                    "assigned_to" => &theirs.user,
                    _ => &theirs.contact,
                };
                let mut naming = new.clone();
                naming[field] = json!(id);
                refused("POST", path, naming);
                refused("PATCH", &format!("{path}/{record}"), json!({*field: id}));
            }
        }
        let order = format!("/work-orders/{}", own.work_order);
        for (field, id) in [
            ("deal_product_id", &theirs.line),
            ("status_id", &theirs.work_order_status),
            ("assigned_to", &theirs.user),
        ] {
            let mut naming = json!({"deal_product_id": own.line});
            naming[field] = json!(id);
            refused("POST", "/work-orders", naming);
            refused("PATCH", &order, json!({field: id}));
        }
        refused("DELETE", &format!("/work-orders/statuses/{}?move_to={}", own.work_order_status, theirs.work_order_status), json!({}));
        refused("POST", &format!("/referrals/{}/convert", own.referral), json!({"referred_deal_id": theirs.opportunity}));
        let target = json!({"ids": [own.opportunity], "pipeline_id": theirs.pipeline, "stage_id": theirs.stages[0]});
        refused("POST", "/opportunities/bulk-move", target);
        refused("POST", "/opportunities/bulk-create", json!({"records": [{"name": "A"}], "stage_id": theirs.stages[0]}));

        assert_eq!(everything(&client, &own), unchanged);
        assert_eq!(everything(&server.client(), &theirs), before);
    }

    fn bulk_calls_and_filters_find_nothing_of_another_workspace(server: &Server) {
        let theirs = Business::found(&server.client());
        let before = everything(&server.client(), &theirs);
        let client = server.workspace("Stranger").client();
        let own = Business::found(&client);

        let record = json!({"name": "A", "contact_id": theirs.contact});
        let made = client.post("/opportunities/bulk-create", json!({"records": [record]})).expect(200).data();
        assert_eq!(made["errors"][0]["code"], "NOT_FOUND");
        let invoices = json!([
            {"customer_id": theirs.company}, {"opportunity_id": theirs.opportunity},
            {"line_items": [{"description": "Theirs", "product_id": theirs.product}]},
        ]);
        let made = client.post("/invoices/bulk", json!({"invoices": invoices})).expect(200).data();
        assert_eq!((&made["created_count"], &made["error_count"]), (&json!(0), &json!(3)));
        assert!(list(&made["errors"]).iter().all(|error| error["code"] == "NOT_FOUND"), "{made}");
        for (path, id) in [
            ("/opportunities/bulk-delete", &theirs.opportunity),
            ("/contacts/bulk-delete", &theirs.contact),
            ("/companies/bulk-delete", &theirs.company),
        ] {
            let gone = client.post(path, json!({"ids": [id]})).expect(200).data();
            assert_eq!(gone["failed"][0]["code"], "NOT_FOUND", "{path}");
            assert_eq!(gone["deleted"], 0, "{path}");
        }
        let target = json!({"ids": [theirs.opportunity], "pipeline_id": own.pipeline, "stage_id": own.stages[0]});
        let moved = client.post("/opportunities/bulk-move", target).expect(200).data();
        assert_eq!(moved["failed"][0]["code"], "NOT_FOUND");

        for (filter, id) in [
            ("contact_id", &theirs.contact),
            ("customer_id", &theirs.company),
            ("assigned_to", &theirs.user),
            ("pipeline_id", &theirs.pipeline),
            ("stage_id", &theirs.stages[0]),
        ] {
            let found = client.get(&format!("/opportunities?{filter}={id}")).expect(200).ids();
            assert_eq!(found, Vec::<String>::new(), "{filter}");
        }
        for (path, filter, id) in [
            ("/data/crm-logs", "entity_id", &theirs.product),
            ("/work-orders", "deal_product_id", &theirs.line),
            ("/work-orders", "deal_id", &theirs.opportunity),
            ("/work-orders", "status_id", &theirs.work_order_status),
            ("/work-orders", "assigned_to", &theirs.user),
            ("/tasks", "contact_id", &theirs.contact),
            ("/tasks", "customer_id", &theirs.company),
            ("/tasks", "deal_id", &theirs.opportunity),
            ("/tasks", "assigned_to", &theirs.user),
            ("/activities", "contact_id", &theirs.contact),
            ("/activities", "customer_id", &theirs.company),
            ("/activities", "deal_id", &theirs.opportunity),
            ("/invoices", "customer_id", &theirs.company),
            ("/invoices", "opportunity_id", &theirs.opportunity),
            ("/invoices", "invoice_number", &"INV-002".to_owned()),
            ("/referrals", "referrer_contact_id", &theirs.contact),
            ("/referrals", "referred_contact_id", &theirs.contact),
            ("/referrals", "referred_deal_id", &theirs.opportunity),
        ] {
            let found = client.get(&format!("{path}?{filter}={id}")).expect(200).ids();
            assert_eq!(found, Vec::<String>::new(), "{path} {filter}");
        }
        // Their record is younger than none of ours, so a cursor could pass it.
        let page = client.get(&format!("/opportunities?before={}", theirs.opportunity)).expect(200).ids();
        assert_eq!(page, std::slice::from_ref(&own.opportunity));
        let found = client.post("/opportunities/search", json!({"query": "difference"})).expect(200).ids();
        assert_eq!(found, std::slice::from_ref(&own.opportunity));
        for query in ["difference engine", "diffrence enigne", "ada byron"] {
            let found = client.post("/search", json!({"query": query})).expect(200).data();
            let found = found.as_array().expect("a list").iter();
            let found: Vec<_> = found.map(|row| row["entity_id"].as_str()).collect();
            assert!(!found.is_empty(), "{query}");
            let is_own = |id| [&own.opportunity, &own.contact].map(|own| Some(&**own)).contains(&id);
            assert!(found.into_iter().all(is_own), "{query}");
        }
        assert_eq!(everything(&server.client(), &theirs), before);
    }
}
