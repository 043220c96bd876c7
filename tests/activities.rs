//! Activities: the calls, meetings and notes that tell what has happened.

use serde_json::{Value, json};

use crate::fixtures::{
    Filter, NOBODY, assert_filters_combine, create, instant, let_time_pass, read, text,
};
use crate::harness::{Client, assert_error};

#[track_caller]
fn made(client: &Client, fields: Value) -> Value {
    client.post("/activities", fields).expect(201).data()
}

/// A call about an opportunity on that day of March.
#[track_caller]
fn call(client: &Client, deal: &str, day: u32) -> String {
    let fields = json!({
        "activity_type": "call",
        "subject": "Rang",
        "deal_id": deal,
        "occurred_at": on(day),
    });
    create(client, "/activities", fields)
}

/// Noon of that day of March.
fn on(day: u32) -> String {
    format!("2026-03-{day:02}T12:00:00.000Z")
}

/// When the newest activity of an opportunity took place.
#[track_caller]
fn newest(client: &Client, deal: &str) -> Value {
    read(client, "/opportunities", deal)["last_activity_at"].clone()
}

/// A record of each kind that an activity can name: its field, its path and its id.
#[track_caller]
fn nameable(client: &Client) -> [(&'static str, &'static str, String); 3] {
    let deal = create(client, "/opportunities", json!({"name": "Fence"}));
    let contact = create(client, "/contacts", json!({"first_name": "Ada"}));
    let company = create(client, "/companies", json!({"name": "Engines"}));
    [
        ("deal_id", "/opportunities", deal),
        ("contact_id", "/contacts", contact),
        ("customer_id", "/companies", company),
    ]
}

on_both_engines! {
    fn an_activity_is_created_read_changed_and_deleted(server: &Server) {
        let client = server.client();
        let record = made(&client, json!({"activity_type": "note", "subject": " Seen "}));
        assert_eq!(
            record,
            json!({
                "id": record["id"],
                "activity_type": "note",
                "subject": "Seen",
                "description": null,
                "contact_id": null,
                "deal_id": null,
                "customer_id": null,
                "occurred_at": record["created_at"],
                "duration_minutes": null,
                "outcome": null,
                "created_at": record["created_at"],
                "updated_at": record["created_at"],
            })
        );
        instant(&record["created_at"]);
        let path = format!("/activities/{}", text(&record["id"]));
        assert_eq!(client.get(&path).expect(200).data(), record);

        let_time_pass(&record["updated_at"]);
        let mut sent = json!({
            "activity_type": "meeting",
            "subject": "Met on site",
            "description": "Rain.\n",
            "occurred_at": on(1),
            "duration_minutes": 45,
            "outcome": "They want gates",
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
        for field in ["description", "duration_minutes", "outcome", "deal_id", "contact_id", "customer_id"] {
            let cleared = client.patch(&path, json!({field: null})).expect(200).data();
            assert_eq!(cleared[field], Value::Null, "{field}");
        }
        assert_eq!(client.delete(&path).expect(204).text, "");
        assert_error(&client.get(&path), 404, "NOT_FOUND", &[]);
        assert_error(&client.delete(&path), 404, "NOT_FOUND", &[]);
    }

    fn what_a_field_can_not_hold_is_refused_by_its_name(server: &Server) {
        let client = server.client();
        let missing = client.post("/activities", json!({"subject": ""}));
        assert_error(&missing, 400, "MISSING_FIELDS", &["activity_type", "subject"]);
        let wrong = json!({
            "activity_type": "visit",
            "subject": "x".repeat(256),
            "occurred_at": "yesterday",
            "duration_minutes": -5,
            "deal_id": 7,
        });
        let named = [
            "activity_type must be one of call, meeting, note",
            "subject",
            "occurred_at",
            "duration_minutes must be a whole number from 0",
            "deal_id",
        ];
        assert_error(&client.post("/activities", wrong), 400, "VALIDATION_ERROR", &named);
        let id = create(&client, "/activities", json!({"activity_type": "call", "subject": "Rang"}));
        let path = format!("/activities/{id}");
        let refused = client.patch(&path, json!({"occurred_at": null}));
        assert_error(&refused, 400, "VALIDATION_ERROR", &["occurred_at"]);
        for field in ["deal_id", "contact_id", "customer_id"] {
            let nobody = json!({"activity_type": "call", "subject": "Rang", field: NOBODY});
            assert_error(&client.post("/activities", nobody.clone()), 404, "NOT_FOUND", &[NOBODY]);
            assert_error(&client.patch(&path, nobody), 404, "NOT_FOUND", &[NOBODY]);
        }
    }

    fn activities_are_filtered_by_what_they_are_about_and_when(server: &Server) {
        let client = server.client();
        let named = nameable(&client);
        let activities: Vec<_> = (0..9)
            .map(|index| {
                let mut fields = json!({
                    "activity_type": if index < 6 { "call" } else { "note" },
                    "subject": format!("{index}"),
                    "occurred_at": on(index + 1),
                });
                for (field, _, id) in &named {
                    if index > 1 {
                        fields[*field] = json!(id);
                    }
                }
                let activity = made(&client, fields);
                let_time_pass(&activity["created_at"]);
                activity
            })
            .collect();
        let mut filters: Vec<Filter<'_>> = vec![
            ("activity_type=call".to_owned(), &|index| index < 6),
            (format!("occurred_after={}", on(2)), &|index| index >= 1),
            ("occurred_before=2026-03-09".to_owned(), &|index| index < 8),
            (format!("created_after={}", text(&activities[3]["created_at"])), &|index| index >= 3),
            (format!("created_before={}", text(&activities[7]["created_at"])), &|index| index < 7),
        ];
        for (field, _, id) in &named {
            filters.push((format!("{field}={id}"), &|index| index > 1));
        }
        assert_filters_combine(&client, "/activities", &activities, &filters);
        for wrong in ["activity_type=visit", "occurred_after=x", "contact_id=7"] {
            let (field, _) = wrong.split_once('=').expect("a filter");
            let refused = client.get(&format!("/activities?{wrong}"));
            assert_error(&refused, 400, "VALIDATION_ERROR", &[field]);
        }
    }

    fn what_an_activity_names_lists_it_in_pages(server: &Server) {
        let client = server.client();
        let named = nameable(&client);
        for (field, path, id) in &named {
            let path = format!("{path}/{id}/activities");
            assert_eq!(client.get(&path).expect(200).data(), json!([]));
            let mut made: Vec<_> = (0..3)
                .map(|_| {
                    let fields = json!({"activity_type": "note", "subject": "Seen", *field: id});
                    create(&client, "/activities", fields)
                })
                .collect();
            made.reverse();
            let first = client.get(&format!("{path}?limit=2")).expect(200);
            assert_eq!(first.ids(), made[..2]);
            let next = text(&first.json()["pagination"]["next_cursor"]);
            assert_eq!(client.get(&format!("{path}?after={next}")).expect(200).ids(), made[2..]);
            let old = path.replace("opportunities", "deals").replace("companies", "customers");
            assert_eq!(client.get(&old).expect(200).ids(), made);
            assert_error(&client.get(&path.replace(id, NOBODY)), 404, "NOT_FOUND", &[]);
            let reader = server.client_with(&["activities:read"]);
            assert_error(&reader.get(&path), 403, "INSUFFICIENT_SCOPE", &[":read"]);
        }
    }

    fn an_opportunity_knows_its_newest_activity(server: &Server) {
        let client = server.client();
        let [one, two] = ["One", "Two"].map(|name| create(&client, "/opportunities", json!({"name": name})));
        assert_eq!(newest(&client, &one), Value::Null);
        let before = read(&client, "/opportunities", &one);
        let first = call(&client, &one, 10);
        let second = call(&client, &one, 20);
        call(&client, &one, 15);
        assert_eq!(newest(&client, &one), on(20));
        let patch = |id: &str, fields: Value| {
            client.patch(&format!("/activities/{id}"), fields).expect(200);
        };
        patch(&second, json!({"occurred_at": on(12)}));
        assert_eq!(newest(&client, &one), on(15));
        patch(&first, json!({"occurred_at": on(30)}));
        assert_eq!(newest(&client, &one), on(30));
        patch(&first, json!({"deal_id": two}));
        assert_eq!((newest(&client, &one), newest(&client, &two)), (json!(on(15)), json!(on(30))));
        client.delete(&format!("/activities/{first}")).expect(204);
        assert_eq!(newest(&client, &two), Value::Null);
        // It is no change of the opportunity's own.
        let after = read(&client, "/opportunities", &one);
        assert_eq!(after["updated_at"], before["updated_at"]);
        let refused = client.patch(&format!("/opportunities/{two}"), json!({"last_activity_at": on(1)}));
        assert!(refused.expect(200).json()["meta"]["warnings"].to_string().contains("last_activity_at"));
        assert_eq!(newest(&client, &two), Value::Null);
    }

    fn activities_entered_at_once_agree_on_the_newest(server: &Server) {
        let client = server.client();
        let deal = create(&client, "/opportunities", json!({"name": "Fence"}));
        let gone: Vec<_> = (28..31).map(|day| call(&client, &deal, day)).collect();
        std::thread::scope(|scope| {
            for day in 1..=20 {
                let (client, deal) = (&client, &deal);
                scope.spawn(move || call(client, deal, day));
            }
            for id in &gone {
                let client = &client;
                scope.spawn(move || client.delete(&format!("/activities/{id}")).expect(204));
            }
        });
        assert_eq!(newest(&client, &deal), on(20));
    }

    fn an_activity_stays_when_what_it_names_goes(server: &Server) {
        let client = server.client();
        let named = nameable(&client);
        let mut fields = json!({"activity_type": "call", "subject": "Rang"});
        for (field, _, id) in &named {
            fields[*field] = json!(id);
        }
        let id = create(&client, "/activities", fields);
        for (field, path, record) in &named {
            let gone = client.post(&format!("{path}/bulk-delete"), json!({"ids": [record]}));
            assert_eq!(gone.expect(200).data()["deleted"], 1);
            let left = read(&client, "/activities", &id);
            assert_eq!(left[field], Value::Null, "{field}");
        }
    }
}
