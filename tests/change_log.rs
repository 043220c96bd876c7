//! The change log: whatever changes a field leaves a row, and nothing else does.

use std::fs;

use serde_json::{Value, json};

use crate::fixtures::{
    Business, Filter, NOBODY, Pipeline, assert_filters_combine, create, instant, let_time_pass,
    list, text,
};
use crate::harness::{Answer, Client, Server, assert_error};
use crate::mcp::{done, pipe};

/// What the log has under these filters: each field with its old and its new
/// value, the oldest first.
#[track_caller]
fn logged(client: &Client, query: &str) -> Vec<(String, Value, Value)> {
    let answer = client
        .get(&format!("/data/crm-logs?limit=100&{query}"))
        .expect(200);
    let change = |row: &Value| {
        (
            text(&row["field"]),
            row["old_value"].clone(),
            row["new_value"].clone(),
        )
    };
    list(&answer.data()).iter().rev().map(change).collect()
}

/// The names of the fields that changed, the oldest change first.
#[track_caller]
fn fields(client: &Client, query: &str) -> Vec<String> {
    let changes = logged(client, query).into_iter();
    changes.map(|(field, _, _)| field).collect()
}

/// A request that is called so.
#[track_caller]
fn send(client: &Client, id: &str, method: &str, path: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("x-request-id", id)];
    let body = if method == "DELETE" {
        String::new()
    } else {
        body.to_string()
    };
    client.raw(method, path, &headers, body.as_bytes())
}

/// The client of a new key of this name, and the key's id.
#[track_caller]
fn client_called(server: &Server, name: &str) -> (Client, String) {
    let made = server
        .client()
        .post("/api-keys", json!({"name": name, "scopes": ["*"]}))
        .expect(201);
    (
        server.client().with_key(&text(&made.data()["key"])),
        made.id(),
    )
}

/// A change, for the tests that have no other use for it.
#[track_caller]
fn renamed(client: &Client) -> String {
    let id = create(client, "/opportunities", json!({"name": "Fence"}));
    client
        .patch(&format!("/opportunities/{id}"), json!({"name": "Gate"}))
        .expect(200);
    id
}

on_both_engines! {
    fn a_patch_leaves_a_row_for_each_field_that_says_who_when_and_by_which_request(server: &Server) {
        let (client, key) = client_called(server, "Website");
        for (kind, path, new, changes) in [
            ("opportunity", "/opportunities", json!({"name": "Old", "value": 1.5, "notes": "x"}), json!({"name": "New", "value": 2.25, "notes": null, "tags": ["vip"]})),
            ("contact", "/contacts", json!({"first_name": "Ada"}), json!({"first_name": "Eva", "email": "eva@example.com"})),
            ("company", "/companies", json!({"name": "Old"}), json!({"name": "New", "metadata": {"size": [1, 2]}})),
            ("product", "/products", json!({"name": "Old", "price": 1}), json!({"price": 2, "is_active": false})),
        ] {
            let made = client.post(path, new).expect(201).data();
            let id = text(&made["id"]);
            let_time_pass(&made["updated_at"]);
            let path = format!("{path}/{id}");
            let changed = send(&client, "call-7", "PATCH", &path, &changes).expect(200).data();
            // The same once more changes nothing, and nor does what is refused.
            client.patch(&path, changes.clone()).expect(200);
            assert_eq!(client.patch(&path, json!({"name": "x".repeat(256), "price": "x", "first_name": 7})).status, 400);
            let rows = client.get(&format!("/data/crm-logs?entity_id={id}")).expect(200).data();
            let rows = list(&rows);
            let sent = changes.as_object().expect("fields");
            assert_eq!(rows.len(), sent.len(), "{rows:?}");
            for row in rows {
                let field = text(&row["field"]);
                assert!(sent.contains_key(&field), "{field}");
                assert_eq!(
                    *row,
                    json!({
                        "id": row["id"],
                        "entity_type": kind,
                        "entity_id": id,
                        "field": field,
                        "old_value": made[&field],
                        "new_value": changed[&field],
                        "actor": {"type": "api_key", "id": key, "name": "Website"},
                        "request_id": "call-7",
                        "changed_at": changed["updated_at"],
                    })
                );
                instant(&row["changed_at"]);
                let one = format!("/data/crm-logs/{}", text(&row["id"]));
                assert_eq!(client.get(&one).expect(200).data(), *row);
            }
            // What is deleted is still told of.
            client.delete(&path).expect(204);
            assert_eq!(fields(&client, &format!("entity_id={id}")).len(), sent.len());
        }
        assert_error(&client.get(&format!("/data/crm-logs/{NOBODY}")), 404, "NOT_FOUND", &[]);
    }

    fn what_a_stage_sets_is_logged_whichever_way_the_card_comes_there(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let other = Pipeline::create(&client, "Other", &["One", "Two"]);
        let [lead, won, lost] = ["Lead", "Won", "Lost"].map(|name| sales.stage(name).to_owned());
        let id = create(&client, "/opportunities", json!({"name": "Fence", "stage_id": lead}));
        let path = format!("/opportunities/{id}");
        let all = format!("entity_id={id}");
        assert_eq!(logged(&client, &all), []);
        send(&client, "move", "POST", &format!("{path}/move"), &sales.target("Won")).expect(200);
        let now = client.get(&path).expect(200).data();
        let closed = [
            ("stage_id".to_owned(), json!(lead), json!(won)),
            ("status".to_owned(), json!("open"), json!("won")),
            ("won_at".to_owned(), Value::Null, now["won_at"].clone()),
            ("actual_close_date".to_owned(), Value::Null, now["actual_close_date"].clone()),
        ];
        let of = |request: &str| logged(&client, &format!("{all}&request_id={request}"));
        let sorted = |mut changes: Vec<(String, Value, Value)>| {
            changes.sort_by(|one, other| one.0.cmp(&other.0));
            changes
        };
        assert_eq!(sorted(of("move")), sorted(closed.to_vec()));
        // Where it stands already.
        send(&client, "again", "POST", &format!("{path}/move"), &sales.target("Won")).expect(200);
        assert_eq!(of("again"), []);
        // A second card changes no status; that it is there is told.
        send(&client, "card", "POST", &format!("{path}/add-card"), &other.target("One")).expect(200);
        assert_eq!(of("card"), [("stage_id".to_owned(), Value::Null, json!(other.stage("One")))]);
        let mut bulk = sales.target("Lost");
        bulk["ids"] = json!([id, NOBODY]);
        let moved = send(&client, "bulk", "POST", "/opportunities/bulk-move", &bulk).expect(200).data();
        assert_eq!(moved["moved"], 1);
        let names: Vec<_> = sorted(of("bulk")).into_iter().map(|(field, _, _)| field).collect();
        assert_eq!(names, ["lost_at", "stage_id", "status", "won_at"]);
        let lead_instead = format!("/pipelines/{}/stages/{lost}?move_to={lead}", sales.id);
        send(&client, "stage", "DELETE", &lead_instead, &Value::Null).expect(204);
        let names: Vec<_> = sorted(of("stage")).into_iter().map(|(field, _, _)| field).collect();
        assert_eq!(names, ["actual_close_date", "lost_at", "stage_id", "status"]);
        send(&client, "by-hand", "PATCH", &path, &json!({"status": "won"})).expect(200);
        let names: Vec<_> = sorted(of("by-hand")).into_iter().map(|(field, _, _)| field).collect();
        assert_eq!(names, ["actual_close_date", "status", "won_at"]);
    }

    fn a_link_that_a_deletion_clears_is_a_change(server: &Server) {
        let client = server.client();
        for (path, field, new) in [
            ("/contacts", "contact_id", json!({"first_name": "Ada"})),
            ("/companies", "customer_id", json!({"name": "Engines"})),
        ] {
            let gone = [create(&client, path, new.clone()), create(&client, path, new)];
            let deals = gone.clone().map(|id| create(&client, "/opportunities", json!({"name": "Fence", field: id})));
            send(&client, "one", "DELETE", &format!("{path}/{}", gone[0]), &Value::Null).expect(204);
            let bulk = json!({"ids": [gone[1], NOBODY]});
            send(&client, "many", "POST", &format!("{path}/bulk-delete"), &bulk).expect(200);
            for (index, request) in ["one", "many"].into_iter().enumerate() {
                let of = format!("entity_id={}&request_id={request}", deals[index]);
                let expected = (field.to_owned(), json!(gone[index]), Value::Null);
                assert_eq!(logged(&client, &of), [expected], "{path}");
                assert_eq!(fields(&client, &format!("entity_id={}", deals[index])).len(), 1);
            }
        }
    }

    fn what_is_made_and_what_follows_from_other_records_is_no_change(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        // The product had a unit put in, and nothing else was changed.
        assert_eq!(client.get("/data/crm-logs").expect(200).ids(), [business.change]);
        let records = json!({"records": [{"name": "A", "status": "won"}, {"name": ""}], "stage_id": business.stages[4]});
        client.post("/opportunities/bulk-create", records).expect(200);
        client.post("/contacts/bulk-create", json!({"records": [{"first_name": "Eva"}]})).expect(200);
        client.post("/companies/bulk-create", json!({"records": [{"name": "Works"}]})).expect(200);
        let deal = format!("/opportunities/{}", business.opportunity);
        client.patch(&format!("{deal}/products/{}", business.line), json!({"quantity": 7})).expect(200);
        client.delete(&format!("/referrals/{}", business.referral)).expect(204);
        client.delete(&format!("/activities/{}", business.activity)).expect(204);
        client.patch(&format!("/work-orders/{}", business.work_order), json!({"status": "Completed"})).expect(200);
        client.patch(&format!("/tasks/{}", business.task), json!({"title": "Rest"})).expect(200);
        client.delete(&format!("{deal}/users/{}", business.user)).expect(204);
        let folder = server.data_dir().with_file_name("export");
        fs::create_dir(&folder).expect("a folder of our own");
        fs::write(folder.join("deals.csv"), "id,name,value\n1,Deck,7\n2,Ramp,8\n").expect("a table");
        let mapping = "source = \"old\"\n[[tables]]\nfile = \"deals\"\ninto = \"opportunities\"\nkey = \"{id}\"\n\
                       [tables.fields]\nname = \"{name}\"\nvalue = \"{value}\"\n";
        let mapping_file = folder.join("mapping.toml");
        fs::write(&mapping_file, mapping).expect("a mapping");
        let [folder, mapping] = [&folder, &mapping_file].map(|path| path.to_str().expect("a name of our own"));
        for _ in 0..2 {
            let output = server.cli(&["import", folder, "--mapping", mapping]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(client.get("/opportunities?search=ramp").expect(200).ids().len(), 1);
        assert_eq!(client.get("/data/crm-logs").expect(200).ids().len(), 1);
    }

    fn a_request_that_is_sent_again_under_its_key_is_logged_once(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let id = create(&client, "/opportunities", json!({"name": "Fence", "stage_id": sales.stage("Lead")}));
        let headers = [("content-type", "application/json"), ("idempotency-key", "once")];
        let body = sales.target("Qualified").to_string();
        for _ in 0..2 {
            client.raw("POST", &format!("/opportunities/{id}/move"), &headers, body.as_bytes()).expect(200);
        }
        assert_eq!(fields(&client, &format!("entity_id={id}")), ["stage_id"]);
    }

    fn an_agent_is_logged_as_its_key_and_at_the_command_line_as_the_operator(server: &Server) {
        let (client, key) = client_called(server, "Agent");
        let id = create(&client, "/contacts", json!({"first_name": "Ada"}));
        let change = |name: &str| json!({"contact_id": id, "first_name": name});
        done(&client, "update_contact", change("Eva"));
        pipe::converse(server, &[], &[pipe::calling("update_contact", change("Ida"))]);
        let rows = client.get(&format!("/data/crm-logs?entity_id={id}")).expect(200).data();
        let [by_operator, by_key] = list(&rows) else { panic!("{rows}") };
        assert_eq!(by_key["actor"], json!({"type": "api_key", "id": key, "name": "Agent"}));
        assert!(by_key["request_id"].is_string(), "{by_key}");
        assert_eq!(by_operator["actor"], json!({"type": "user", "id": null, "name": "operator"}));
        assert_eq!(by_operator["new_value"], "Ida");
        // An agent reads the log as well.
        let told = done(&client, "list_crm_logs", json!({"entity_id": id, "actor_type": "user"}));
        assert_eq!(told["data"], json!([by_operator]));
    }

    fn changes_are_filtered_by_all_that_they_say(server: &Server) {
        let clients = ["Website", "Agent"].map(|name| client_called(server, name));
        let client = &clients[0].0;
        let deal = create(client, "/opportunities", json!({"name": "Deal"}));
        let company = create(client, "/companies", json!({"name": "Company"}));
        for index in 0..12 {
            let path = match index {
                5 | 7 => format!("/companies/{company}"),
                _ => format!("/opportunities/{deal}"),
            };
            let field = if index % 3 == 0 { "notes" } else { "name" };
            let by = &clients[usize::from(index == 4)].0;
            let request = format!("call-{}", u8::from(index > 9));
            let changed = send(by, &request, "PATCH", &path, &json!({field: format!("{index}")})).expect(200);
            let_time_pass(&changed.data()["updated_at"]);
        }
        let changes = client.get("/data/crm-logs").expect(200).data();
        let changes: Vec<_> = list(&changes).iter().rev().cloned().collect();
        assert_eq!(changes.len(), 12);
        let filters: [Filter<'_>; 8] = [
            ("entity_type=deal".to_owned(), &|index| index != 5 && index != 7),
            (format!("entity_id={deal}"), &|index| index != 5 && index != 7),
            ("field=name".to_owned(), &|index| index % 3 != 0),
            ("actor_type=api_key".to_owned(), &|_| true),
            (format!("actor_id={}", clients[0].1), &|index| index != 4),
            ("request_id=call-0".to_owned(), &|index| index <= 9),
            (format!("changed_after={}", text(&changes[2]["changed_at"])), &|index| index >= 2),
            (format!("changed_before={}", text(&changes[9]["changed_at"])), &|index| index < 9),
        ];
        assert_filters_combine(client, "/data/crm-logs", &changes, &filters);
        let count = |query: &str| client.get(&format!("/data/crm-logs?{query}")).expect(200).ids().len();
        for (query, expected) in [
            ("entity_type=customer", 2),
            ("entity_type=account", 2),
            ("entity_type=company", 2),
            ("entity_type=opportunity", 10),
            ("entity_type=product", 0),
            ("actor_type=automation", 0),
            ("field=nothing", 0),
            ("request_id=nothing", 0),
            (&format!("entity_id={NOBODY}"), 0),
            (&format!("actor_id={NOBODY}"), 0),
        ] {
            assert_eq!(count(query), expected, "{query}");
        }
        let first = client.get("/data/crm-logs?entity_type=deal&limit=4").expect(200);
        let next = text(&first.json()["pagination"]["next_cursor"]);
        let rest = client.get(&format!("/data/crm-logs?entity_type=deal&cursor={next}")).expect(200);
        let all = client.get("/data/crm-logs?entity_type=deal").expect(200);
        assert_eq!([first.ids(), rest.ids()].concat(), all.ids());
        for wrong in ["entity_type=task", "entity_id=7", "actor_type=robot", "actor_id=x", "changed_after=x"] {
            let (field, _) = wrong.split_once('=').expect("a filter");
            assert_error(&client.get(&format!("/data/crm-logs?{wrong}")), 400, "VALIDATION_ERROR", &[field]);
        }
    }

    fn the_log_is_read_with_a_scope_of_its_own_and_written_by_nobody(server: &Server) {
        let client = server.client();
        let id = renamed(&client);
        let row = client.get(&format!("/data/crm-logs?entity_id={id}")).expect(200).ids().remove(0);
        let reader = server.client_with(&["crm_audit:read"]);
        for path in ["/data/crm-logs".to_owned(), format!("/data/crm-logs/{row}")] {
            reader.get(&path).expect(200);
            let other = server.client_with(&["opportunities:read", "contacts:read", "companies:read"]);
            assert_error(&other.get(&path), 403, "INSUFFICIENT_SCOPE", &["crm_audit:read"]);
            assert_error(&client.delete(&path), 405, "METHOD_NOT_ALLOWED", &[]);
            assert_error(&client.patch(&path, json!({"field": "x"})), 405, "METHOD_NOT_ALLOWED", &[]);
        }
        let theirs = server.workspace("Stranger").client();
        assert_error(&theirs.get(&format!("/data/crm-logs/{row}")), 404, "NOT_FOUND", &[]);
        assert_eq!(theirs.get("/data/crm-logs").expect(200).data(), json!([]));
    }
}
