//! Tasks: what is to be done, by whom and by when.

use serde_json::{Value, json};

use crate::fixtures::{
    Filter, NOBODY, assert_filters_combine, create, instant, let_time_pass, read, text,
};
use crate::harness::{Client, assert_error};

#[track_caller]
fn made(client: &Client, fields: Value) -> Value {
    client.post("/tasks", fields).expect(201).data()
}

/// A record of each kind that a task can name: its field, its path and its id.
#[track_caller]
fn nameable(client: &Client) -> [(&'static str, &'static str, String); 4] {
    let user = json!({"full_name": "Kim", "email": "kim@example.com"});
    let user = create(client, "/company/users/invite", user);
    let deal = create(client, "/opportunities", json!({"name": "Fence"}));
    let contact = create(client, "/contacts", json!({"first_name": "Ada"}));
    let company = create(client, "/companies", json!({"name": "Engines"}));
    [
        ("assigned_to", "/company/users", user),
        ("deal_id", "/opportunities", deal),
        ("contact_id", "/contacts", contact),
        ("customer_id", "/companies", company),
    ]
}

on_both_engines! {
    fn a_task_is_created_read_changed_and_deleted(server: &Server) {
        let client = server.client();
        let record = made(&client, json!({"title": " Send the drawings "}));
        assert_eq!(
            record,
            json!({
                "id": record["id"],
                "title": "Send the drawings",
                "description": null,
                "status": "todo",
                "priority": "medium",
                "due_date": null,
                "completed_at": null,
                "assigned_to": null,
                "deal_id": null,
                "contact_id": null,
                "customer_id": null,
                "category": null,
                "created_at": record["created_at"],
                "updated_at": record["created_at"],
            })
        );
        instant(&record["created_at"]);
        let path = format!("/tasks/{}", text(&record["id"]));
        assert_eq!(client.get(&path).expect(200).data(), record);
        assert_eq!(client.get("/tasks").expect(200).data(), json!([record]));

        let_time_pass(&record["updated_at"]);
        let mut sent = json!({
            "title": "Bring the drawings",
            "description": "All three.\n",
            "status": "in_progress",
            "priority": "critical",
            "due_date": "2026-03-31",
            "category": "Visit",
        });
        for (field, _, id) in nameable(&client) {
            sent[field] = json!(id);
        }
        let changed = client.patch(&path, sent.clone()).expect(200).data();
        for (field, value) in sent.as_object().expect("fields") {
            assert_eq!(&changed[field], value, "{field}");
        }
        assert!(instant(&changed["updated_at"]) > instant(&record["updated_at"]));
        assert_eq!(client.get(&path).expect(200).data(), changed);
        let copy = made(&client, sent.clone());
        for field in sent.as_object().expect("fields").keys() {
            assert_eq!(copy[field], changed[field], "{field}");
        }
        // Nothing changes, so it was not changed.
        assert_eq!(client.patch(&path, sent).expect(200).data(), changed);

        for field in ["description", "due_date", "assigned_to", "deal_id", "contact_id", "customer_id", "category"] {
            let cleared = client.patch(&path, json!({field: null})).expect(200).data();
            assert_eq!(cleared[field], Value::Null, "{field}");
        }
        assert_eq!(client.delete(&path).expect(204).text, "");
        assert_error(&client.get(&path), 404, "NOT_FOUND", &[]);
        assert_error(&client.delete(&path), 404, "NOT_FOUND", &[]);
        assert_error(&client.post(&format!("{path}/complete"), json!({})), 404, "NOT_FOUND", &[]);
    }

    fn a_completed_task_says_since_when_and_another_says_nothing(server: &Server) {
        let client = server.client();
        let record = made(&client, json!({"title": "Call"}));
        let path = format!("/tasks/{}", text(&record["id"]));
        let_time_pass(&record["created_at"]);
        // It needs no body.
        let done = client.raw("POST", &format!("{path}/complete"), &[], b"").expect(200).data();
        assert_eq!(done["status"], "completed");
        assert!(instant(&done["completed_at"]) > instant(&record["created_at"]));
        let_time_pass(&done["completed_at"]);
        let again = client.post(&format!("{path}/complete"), json!({})).expect(200).data();
        assert_eq!(again, done);
        let reopened = client.patch(&path, json!({"status": "todo"})).expect(200).data();
        assert_eq!(reopened["completed_at"], Value::Null);
        let by_patch = client.patch(&path, json!({"status": "completed"})).expect(200).data();
        assert!(instant(&by_patch["completed_at"]) > instant(&done["completed_at"]));

        let long_ago = json!({"title": "Old", "status": "completed", "completed_at": "2020-01-02T03:04:05Z"});
        assert_eq!(made(&client, long_ago)["completed_at"], "2020-01-02T03:04:05.000Z");
        let refused = client.post("/tasks", json!({"title": "New", "completed_at": "2020-01-02T03:04:05Z"}));
        assert_error(&refused, 400, "VALIDATION_ERROR", &["completed_at", "completed"]);
        let refused = client.patch(&path, json!({"completed_at": null}));
        assert_error(&refused, 400, "VALIDATION_ERROR", &["completed_at"]);
    }

    fn what_a_field_can_not_hold_is_refused_by_its_name(server: &Server) {
        let client = server.client();
        for body in [json!({}), json!({"title": " "}), json!({"title": null, "status": "todo"})] {
            assert_error(&client.post("/tasks", body), 400, "MISSING_FIELDS", &["title"]);
        }
        let wrong = json!({
            "title": "x".repeat(256),
            "status": "done",
            "priority": "urgent",
            "due_date": "tomorrow",
            "assigned_to": "Kim",
        });
        let refused = client.post("/tasks", wrong);
        let named = [
            "title",
            "status must be one of todo, in_progress, completed, cancelled",
            "priority must be one of low, medium, high, critical",
            "due_date",
            "assigned_to",
        ];
        assert_error(&refused, 400, "VALIDATION_ERROR", &named);
        let id = create(&client, "/tasks", json!({"title": "Call"}));
        for (field, _, _) in nameable(&client) {
            let nobody = json!({"title": "Call", field: NOBODY});
            assert_error(&client.post("/tasks", nobody.clone()), 404, "NOT_FOUND", &[NOBODY]);
            assert_error(&client.patch(&format!("/tasks/{id}"), nobody), 404, "NOT_FOUND", &[NOBODY]);
        }
        assert_eq!(client.get("/tasks").expect(200).ids(), [id]);
    }

    fn tasks_are_filtered_by_all_that_they_have(server: &Server) {
        let client = server.client();
        let named = nameable(&client);
        let tasks: Vec<_> = (0..12)
            .map(|index| {
                let mut fields = json!({
                    "title": format!("Task {index}"),
                    "status": if index % 2 == 0 { "completed" } else { "in_progress" },
                    "priority": if index < 8 { "high" } else { "low" },
                    "due_date": format!("2026-03-{:02}", index + 1),
                    "category": if index == 5 { "Call" } else { "Visit" },
                });
                for (field, _, id) in &named {
                    if index > 3 {
                        fields[*field] = json!(id);
                    }
                }
                let task = made(&client, fields);
                let_time_pass(&task["created_at"]);
                task
            })
            .collect();
        let mut filters: Vec<Filter<'_>> = vec![
            ("status=completed".to_owned(), &|index| index % 2 == 0),
            ("priority=high".to_owned(), &|index| index < 8),
            ("due_after=2026-03-05".to_owned(), &|index| index >= 4),
            ("due_before=2026-03-12".to_owned(), &|index| index < 11),
            ("category=Visit".to_owned(), &|index| index != 5),
            (format!("created_after={}", text(&tasks[1]["created_at"])), &|index| index >= 1),
            (format!("created_before={}", text(&tasks[11]["created_at"])), &|index| index < 11),
        ];
        for (field, _, id) in &named[..2] {
            filters.push((format!("{field}={id}"), &|index| index > 3));
        }
        assert_filters_combine(&client, "/tasks", &tasks, &filters);
        let ids = |query: &str| client.get(&format!("/tasks?{query}")).expect(200).ids();
        assert_eq!(ids("due_date=2026-03-07"), [text(&tasks[6]["id"])]);
        for (field, _, id) in &named {
            assert_eq!(ids(&format!("{field}={id}")).len(), 8, "{field}");
            assert_eq!(ids(&format!("{field}={NOBODY}")).len(), 0, "{field}");
        }
        let done = text(&tasks[10]["completed_at"]);
        assert_eq!(ids(&format!("completed_after={done}")), [text(&tasks[10]["id"])]);
        assert_eq!(ids(&format!("completed_before={done}")).len(), 5);
        for wrong in ["status=done", "priority=urgent", "due_date=x", "deal_id=7", "limit=x"] {
            let (field, _) = wrong.split_once('=').expect("a filter");
            assert_error(&client.get(&format!("/tasks?{wrong}")), 400, "VALIDATION_ERROR", &[field]);
        }
    }

    fn an_opportunity_lists_its_tasks_in_pages(server: &Server) {
        let client = server.client();
        let id = create(&client, "/opportunities", json!({"name": "Fence"}));
        let path = format!("/opportunities/{id}/tasks");
        assert_eq!(client.get(&path).expect(200).data(), json!([]));
        let mut tasks: Vec<_> = (0..5)
            .map(|index| create(&client, "/tasks", json!({"title": format!("{index}"), "deal_id": id})))
            .collect();
        create(&client, "/tasks", json!({"title": "Of none"}));
        tasks.reverse();
        let first = client.get(&format!("{path}?limit=2")).expect(200);
        assert_eq!(first.ids(), tasks[..2]);
        assert_eq!(first.json()["pagination"]["has_more"], true);
        let next = text(&first.json()["pagination"]["next_cursor"]);
        let rest = client.get(&format!("{path}?cursor={next}")).expect(200);
        assert_eq!(rest.ids(), tasks[2..]);
        assert_eq!(client.get(&format!("/deals/{id}/tasks")).expect(200).ids(), tasks);
        assert_error(&client.get(&format!("/opportunities/{NOBODY}/tasks")), 404, "NOT_FOUND", &[]);
        let reader = server.client_with(&["tasks:read"]);
        assert_error(&reader.get(&path), 403, "INSUFFICIENT_SCOPE", &["opportunities:read"]);
    }

    fn a_task_stays_when_what_it_names_goes(server: &Server) {
        let client = server.client();
        let named = nameable(&client);
        let mut fields = json!({"title": "Call"});
        for (field, _, id) in &named {
            fields[*field] = json!(id);
        }
        let id = create(&client, "/tasks", fields);
        for (field, path, record) in &named {
            client.delete(&format!("{path}/{record}")).expect(204);
            let left = read(&client, "/tasks", &id);
            assert_eq!(left[field], Value::Null, "{field}");
        }
    }
}
