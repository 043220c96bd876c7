//! What the description of the opportunity API promises, endpoint by endpoint: each
//! is there under both prefixes and by both names, and answers as it is promised.
//!
//! The table stands here by itself, so that an endpoint that goes missing from the
//! declarations is missed. The attachments (files, documents, images, spreadsheets)
//! come into it with their endpoints.

use serde_json::{Value, json};

use crate::fixtures::{Business, create, endpoints};
use crate::harness::{Answer, Client, assert_error};

/// An endpoint as it is promised.
struct Promised {
    method: &'static str,
    path: &'static str,
    /// All of these are needed, and nothing else.
    scopes: &'static [&'static str],
    tool: &'static str,
    body: fn(&Scene) -> Value,
    answer: Shape,
}

/// What a call is answered.
enum Shape {
    /// A record that was made, with these fields.
    Created(&'static [&'static str]),
    /// One record or one report, with these fields.
    One(&'static [&'static str]),
    /// A list in its envelope, whose first record has these fields.
    List(&'static [&'static str]),
    /// 204, and nothing.
    Nothing,
}

use Shape::{Created, List, Nothing, One};

const READ: &[&str] = &["opportunities:read"];
const WRITE: &[&str] = &["opportunities:write"];

/// No body.
fn none(_: &Scene) -> Value {
    Value::Null
}

#[rustfmt::skip]
const PROMISED: &[Promised] = &[
    Promised { method: "GET", path: "/opportunities", scopes: READ, tool: "list_opportunities", body: none,
        answer: List(&["public_id", "placements", "primary_referrer_contact_id", "primary_referrer_category"]) },
    Promised { method: "GET", path: "/opportunities/:id", scopes: READ, tool: "get_opportunity", body: none,
        answer: One(&["public_id", "placements", "primary_referrer_contact_id", "primary_referrer_category"]) },
    Promised { method: "POST", path: "/opportunities", scopes: WRITE, tool: "create_opportunity",
        body: |_| json!({"name": "Fence", "skip_automations": true}),
        answer: Created(&["public_id", "name", "status"]) },
    Promised { method: "PATCH", path: "/opportunities/:id", scopes: WRITE, tool: "update_opportunity",
        body: |_| json!({"value": 7}), answer: One(&["public_id", "value"]) },
    Promised { method: "DELETE", path: "/opportunities/:id", scopes: WRITE, tool: "delete_opportunity", body: none,
        answer: Nothing },
    Promised { method: "POST", path: "/opportunities/search", scopes: READ, tool: "search_opportunities",
        body: |_| json!({"query": "ngi"}), answer: List(&["name", "placements"]) },
    Promised { method: "POST", path: "/opportunities/:id/move", scopes: WRITE, tool: "move_opportunity",
        body: |scene| scene.target.clone(), answer: One(&["deal_id", "stage_id", "position", "crm_pipeline_stages"]) },
    Promised { method: "POST", path: "/opportunities/:id/add-card", scopes: WRITE, tool: "add_opportunity_card",
        body: |scene| scene.target.clone(), answer: One(&["deal_id", "stage_id", "position", "crm_pipeline_stages"]) },

    Promised { method: "GET", path: "/opportunities/:id/products", scopes: READ, tool: "list_opportunity_products",
        body: none, answer: List(&["product_id", "unit_price", "payment_status", "crm_products"]) },
    Promised { method: "POST", path: "/opportunities/:id/products", scopes: WRITE, tool: "add_opportunity_product",
        body: |scene| json!({"product_id": scene.product, "payment_status": "paid"}),
        answer: Created(&["product_id", "payment_status"]) },
    Promised { method: "PATCH", path: "/opportunities/:id/products/:opportunityProductId", scopes: WRITE,
        tool: "update_opportunity_product", body: |_| json!({"discount_percent": 5}),
        answer: One(&["product_id", "discount_percent"]) },
    Promised { method: "DELETE", path: "/opportunities/:id/products/:opportunityProductId", scopes: WRITE,
        tool: "remove_opportunity_product", body: none, answer: Nothing },
    Promised { method: "POST", path: "/opportunities/:id/products/reorder", scopes: WRITE,
        tool: "reorder_opportunity_products", body: |scene| json!({"product_ids": [scene.line]}),
        answer: List(&["product_id", "sort_order"]) },
    Promised { method: "GET", path: "/opportunities/:id/product-costs/:opportunityProductId", scopes: READ,
        tool: "list_opportunity_product_costs", body: none, answer: List(&["unit_cost", "quantity"]) },
    Promised { method: "POST", path: "/opportunities/:id/product-costs/:opportunityProductId", scopes: WRITE,
        tool: "create_opportunity_product_cost", body: |_| json!({"unit_cost": 1}),
        answer: Created(&["unit_cost", "currency"]) },
    Promised { method: "PATCH", path: "/opportunities/:id/product-costs/:costId", scopes: WRITE,
        tool: "update_opportunity_product_cost", body: |_| json!({"label": "Brass"}), answer: One(&["label"]) },
    Promised { method: "DELETE", path: "/opportunities/:id/product-costs/:costId", scopes: WRITE,
        tool: "delete_opportunity_product_cost", body: none, answer: Nothing },

    Promised { method: "GET", path: "/opportunities/:id/contacts", scopes: &["opportunities:read", "contacts:read"],
        tool: "list_opportunity_contacts", body: none, answer: List(&["first_name", "linked_at"]) },
    Promised { method: "POST", path: "/opportunities/:id/contacts/:contactId", scopes: WRITE,
        tool: "add_opportunity_contact", body: none, answer: Created(&["first_name", "linked_at"]) },
    Promised { method: "DELETE", path: "/opportunities/:id/contacts/:contactId", scopes: WRITE,
        tool: "remove_opportunity_contact", body: none, answer: Nothing },
    Promised { method: "GET", path: "/opportunities/:id/users", scopes: READ, tool: "list_opportunity_users",
        body: none, answer: List(&["full_name", "is_primary", "assigned_at"]) },
    Promised { method: "POST", path: "/opportunities/:id/users/:userId", scopes: WRITE,
        tool: "assign_opportunity_user", body: none, answer: Created(&["full_name", "is_primary"]) },
    Promised { method: "DELETE", path: "/opportunities/:id/users/:userId", scopes: WRITE,
        tool: "unassign_opportunity_user", body: none, answer: Nothing },
    Promised { method: "GET", path: "/opportunities/:id/activities", scopes: &["opportunities:read", "activities:read"],
        tool: "get_opportunity_activities", body: none, answer: List(&["activity_type", "subject"]) },
    Promised { method: "GET", path: "/opportunities/:id/tasks", scopes: &["opportunities:read", "tasks:read"],
        tool: "get_opportunity_tasks", body: none, answer: List(&["title", "status"]) },
    Promised { method: "GET", path: "/opportunities/:id/work-orders", scopes: READ, tool: "get_opportunity_work_orders",
        body: none, answer: List(&["deal_name", "product_name", "deal_product_id", "status"]) },
    Promised { method: "GET", path: "/opportunities/:id/invoices", scopes: &["opportunities:read", "invoices:read"],
        tool: "list_opportunity_invoices", body: none,
        answer: List(&["trustpager_deal_id", "invoice_number", "total", "amount_due"]) },

    Promised { method: "POST", path: "/opportunities/bulk-create", scopes: WRITE, tool: "bulk_create_opportunities",
        body: |_| json!({"records": [{"name": "Fence"}, {}], "skip_automations": true}),
        answer: One(&["created", "errors", "created_count", "error_count"]) },
    Promised { method: "POST", path: "/opportunities/bulk-delete", scopes: &["opportunities:delete"],
        tool: "bulk_delete_opportunities", body: |scene| json!({"ids": [scene.opportunity]}),
        answer: One(&["success", "deleted", "failed"]) },
    Promised { method: "POST", path: "/opportunities/bulk-move", scopes: WRITE, tool: "bulk_move_opportunities",
        body: |scene| {
            let mut body = scene.target.clone();
            body["ids"] = json!([scene.opportunity]);
            body
        },
        answer: One(&["success", "moved", "failed"]) },
];

/// An opportunity with everything that a call could want, and what is not linked to
/// it yet.
struct Scene {
    product: String,
    /// The body of a move.
    target: Value,
    opportunity: String,
    line: String,
    cost: String,
    contacts: Linked,
    users: Linked,
}

/// Two records, of which one is linked to the opportunity.
struct Linked {
    linked: String,
    other: String,
}

impl Scene {
    fn set(
        client: &Client,
        business: &Business,
        contacts: &[String; 2],
        users: &[String; 2],
    ) -> Self {
        let opportunity = json!({"name": "Engine", "stage_id": business.stages[0]});
        let opportunity = create(client, "/opportunities", opportunity);
        let path = format!("/opportunities/{opportunity}");
        let line = json!({"product_id": business.product});
        let line = create(client, &format!("{path}/products"), line);
        let cost = format!("{path}/product-costs/{line}");
        let cost = create(client, &cost, json!({"unit_cost": 3}));
        create(
            client,
            "/tasks",
            json!({"title": "Oil", "deal_id": opportunity}),
        );
        let activity = json!({"activity_type": "note", "subject": "Oiled", "deal_id": opportunity});
        create(client, "/activities", activity);
        create(client, "/work-orders", json!({"deal_product_id": line}));
        create(client, "/invoices", json!({"opportunity_id": opportunity}));
        let link = |what: &str, [linked, other]: &[String; 2]| {
            client
                .post(&format!("{path}/{what}/{linked}"), json!({}))
                .expect(201);
            Linked {
                linked: linked.clone(),
                other: other.clone(),
            }
        };
        let (contacts, users) = (link("contacts", contacts), link("users", users));
        let target = json!({
            "pipeline_id": business.pipeline, "stage_id": business.stages[1], "skip_automations": true,
        });
        let product = business.product.clone();
        Self {
            product,
            target,
            opportunity,
            line,
            cost,
            contacts,
            users,
        }
    }

    /// The path with the ids of the scene: where something is to be linked, those of
    /// what is not linked yet.
    fn fill(&self, promised: &Promised) -> String {
        let of = |two: &Linked| match promised.method {
            "POST" => two.other.clone(),
            _ => two.linked.clone(),
        };
        promised
            .path
            .replace(":id", &self.opportunity)
            .replace(":opportunityProductId", &self.line)
            .replace(":costId", &self.cost)
            .replace(":contactId", &of(&self.contacts))
            .replace(":userId", &of(&self.users))
    }

    /// Calls the endpoint by that name of opportunities.
    fn call(&self, client: &Client, promised: &Promised, name: &str) -> Answer {
        let path = self.fill(promised).replacen("/opportunities", name, 1);
        let body = match (promised.body)(self) {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let headers = [("content-type", "application/json")];
        let headers = if body.is_empty() { &[] } else { &headers[..] };
        client.raw(promised.method, &path, headers, body.as_bytes())
    }
}

/// Two contacts and two users.
fn people(client: &Client) -> [[String; 2]; 2] {
    let names = ["Ada", "Bob"];
    let contacts = names.map(|name| create(client, "/contacts", json!({"first_name": name})));
    let users = names.map(|name| {
        let user = json!({"full_name": name, "email": format!("{name}@example.com")});
        create(client, "/company/users/invite", user)
    });
    [contacts, users]
}

/// Fails unless the answer is what was promised, without the fields that are
/// `hidden` from the caller.
fn assert_promised(answer: &Answer, shape: &Shape, hidden: &[&str]) {
    let (status, fields) = match shape {
        Nothing => {
            assert_eq!(
                (answer.status, answer.text.as_str()),
                (204, ""),
                "{}",
                answer.request
            );
            return;
        }
        Created(fields) => (201, fields),
        One(fields) | List(fields) => (200, fields),
    };
    assert_eq!(answer.status, status, "{}: {}", answer.request, answer.text);
    let body = answer.json();
    let mut parts: Vec<_> = body.as_object().expect("an envelope").keys().collect();
    parts.sort_unstable();
    assert!(
        body["meta"]["credits_remaining"].is_i64(),
        "{}: {body}",
        answer.request
    );
    let record = match shape {
        List(_) => {
            assert_eq!(parts, ["data", "meta", "pagination"], "{}", answer.request);
            let pagination = body["pagination"].as_object().expect("a pagination");
            for part in ["limit", "has_more", "next_cursor", "prev_cursor"] {
                assert!(pagination.contains_key(part), "no {part}: {body}");
            }
            let records = body["data"].as_array().expect("records");
            assert!(!records.is_empty(), "{}: {body}", answer.request);
            records.first()
        }
        _ => {
            assert_eq!(parts, ["data", "meta"], "{}", answer.request);
            Some(&body["data"])
        }
    };
    for field in *fields {
        let found = record.and_then(|record| record.get(field));
        let shown = !hidden.contains(field);
        assert_eq!(
            found.is_some(),
            shown,
            "{}: {field} in {body}",
            answer.request
        );
    }
}

on_both_engines! {
    fn every_promised_endpoint_is_declared_with_its_scopes_and_its_tool(server: &Server) {
        let declared = endpoints(&server.client());
        for Promised { method, path, scopes, tool, .. } in PROMISED {
            let found = declared
                .iter()
                .find(|one| (one.method(), one.path()) == (*method, *path))
                .unwrap_or_else(|| panic!("{method} {path} is not there"));
            let (mut found_scopes, mut scopes) = (found.scopes(), scopes.to_vec());
            found_scopes.sort_unstable();
            scopes.sort_unstable();
            assert_eq!((found_scopes, found.tool()), (scopes, Some(*tool)), "{method} {path}");
        }
    }

    fn every_promised_endpoint_answers_as_promised_by_each_of_its_names(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let [contacts, users] = people(&client);
        for prefix in ["/v1", "/functions/v1/api/v1"] {
            let caller = client.under(prefix);
            for name in ["/opportunities", "/deals"] {
                for promised in PROMISED {
                    let scene = Scene::set(&client, &business, &contacts, &users);
                    assert_promised(&scene.call(&caller, promised, name), &promised.answer, &[]);
                }
            }
        }
    }

    fn every_promised_endpoint_is_open_to_a_key_with_its_scopes_alone(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let [contacts, users] = people(&client);
        for promised in PROMISED {
            let scene = Scene::set(&client, &business, &contacts, &users);
            let mut scopes = promised.scopes.to_vec();
            if (promised.body)(&scene).get("payment_status").is_some() {
                scopes.push("invoices:write");
            }
            let answer = scene.call(&server.client_with(&scopes), promised, "/opportunities");
            assert_promised(&answer, &promised.answer, &["payment_status"]);
        }
    }

    fn what_was_paid_is_shown_and_set_with_the_scopes_of_invoices_alone(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let [contacts, users] = people(&client);
        let scene = Scene::set(&client, &business, &contacts, &users);
        let whole = format!("/opportunities/{}?expand=products", scene.opportunity);
        let lines = format!("/opportunities/{}/products", scene.opportunity);
        let line = format!("{lines}/{}", scene.line);
        let clerk = server.client_with(&["opportunities:read", "opportunities:write"]);
        let before = client.get(&whole).expect(200).data();
        let paid = json!({"product_id": scene.product, "quantity": 3, "payment_status": "paid"});
        for refused in [clerk.post(&lines, paid.clone()), clerk.patch(&line, paid.clone())] {
            assert_error(&refused, 403, "INSUFFICIENT_SCOPE", &["invoices:write"]);
        }
        assert_eq!(client.get(&whole).expect(200).data(), before);

        let payer = server.client_with(&["opportunities:write", "invoices:write"]);
        let told = payer.patch(&line, paid).expect(200).data();
        assert_eq!((&told["quantity"], told.get("payment_status")), (&json!(3), None));
        let teller = server.client_with(&["opportunities:read", "invoices:read"]);
        for (caller, shown) in [(&clerk, None), (&teller, Some(json!("paid")))] {
            let listed = caller.get("/opportunities?expand=products&limit=1").expect(200).data();
            for lines in [
                &caller.get(&lines).expect(200).data(),
                &caller.get(&whole).expect(200).data()["products"],
                &listed[0]["products"],
            ] {
                assert_eq!(lines[0]["id"], scene.line);
                assert_eq!(lines[0].get("payment_status"), shown.as_ref());
            }
        }
    }

    fn who_referred_an_opportunity_is_shown_when_it_is_asked_for(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let [contacts, users] = people(&client);
        let scene = Scene::set(&client, &business, &contacts, &users);
        let referral = json!({
            "referrer_contact_id": contacts[0], "referred_deal_id": scene.opportunity, "category": "Builder",
        });
        create(&client, "/referrals", referral);
        let reader = server.client_with(READ);
        let one = format!("/opportunities/{}", scene.opportunity);
        for path in [&one, "/opportunities"] {
            let read = |query: &str| {
                let data = reader.get(&format!("{path}{query}")).expect(200).data();
                data.get(0).cloned().unwrap_or(data)
            };
            let (plain, expanded) = (read(""), read("?expand=referrer"));
            for record in [&plain, &expanded] {
                assert_eq!(record["primary_referrer_contact_id"], contacts[0]);
                assert_eq!(record["primary_referrer_category"], "Builder");
            }
            assert_eq!(plain.get("referrer"), None);
            let referrer = &expanded["referrer"];
            assert_eq!((&referrer["id"], &referrer["first_name"]), (&json!(contacts[0]), &json!("Ada")));
        }
    }
}
