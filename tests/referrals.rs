//! Referrals: who has brought whom, and what came of it.

use serde_json::{Value, json};

use crate::fixtures::{
    Filter, NOBODY, assert_filters_combine, create, instant, let_time_pass, list, read, text,
};
use crate::harness::{Client, assert_error};

#[track_caller]
fn made(client: &Client, fields: Value) -> Value {
    client.post("/referrals", fields).expect(201).data()
}

/// Contacts of these names.
#[track_caller]
fn contacts<const N: usize>(client: &Client, names: [&str; N]) -> [String; N] {
    names.map(|name| create(client, "/contacts", json!({"first_name": name})))
}

/// Who referred an opportunity most recently, by first name, and the category.
#[track_caller]
fn referrer(client: &Client, deal: &str) -> (Value, Value) {
    let path = format!("/opportunities/{deal}?expand=referrer");
    let opportunity = client.get(&path).expect(200).data();
    let referrer = &opportunity["referrer"];
    assert_eq!(opportunity["primary_referrer_contact_id"], referrer["id"]);
    (
        referrer["first_name"].clone(),
        opportunity["primary_referrer_category"].clone(),
    )
}

on_both_engines! {
    fn a_referral_is_created_read_changed_and_deleted(server: &Server) {
        let client = server.client();
        let [ada, ben, eve] = contacts(&client, ["Ada", "Ben", "Eve"]);
        let deal = create(&client, "/opportunities", json!({"name": "Fence"}));
        let record = made(&client, json!({"referrer_contact_id": ada}));
        assert_eq!(
            record,
            json!({
                "id": record["id"],
                "referrer_contact_id": ada,
                "referred_contact_id": null,
                "referred_deal_id": null,
                "source": "api",
                "status": "pending",
                "category": null,
                "notes": null,
                "converted_at": null,
                "created_at": record["created_at"],
                "updated_at": record["created_at"],
            })
        );
        let path = format!("/referrals/{}", text(&record["id"]));
        assert_eq!(client.get(&path).expect(200).data(), record);
        let_time_pass(&record["updated_at"]);
        let sent = json!({
            "referrer_contact_id": ben,
            "referred_contact_id": eve,
            "referred_deal_id": deal,
            "source": "form",
            "status": "converted",
            "category": "Builder",
            "notes": "Neighbours.\n",
            "converted_at": "2026-03-01T09:00:00.000Z",
        });
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
        for field in ["referred_contact_id", "referred_deal_id", "category", "notes"] {
            let cleared = client.patch(&path, json!({field: null})).expect(200).data();
            assert_eq!(cleared[field], Value::Null, "{field}");
        }
        let writer = server.client_with(&["referrals:read", "referrals:write"]);
        assert_error(&writer.delete(&path), 403, "INSUFFICIENT_SCOPE", &["referrals:delete"]);
        assert_eq!(client.delete(&path).expect(204).text, "");
        assert_error(&client.get(&path), 404, "NOT_FOUND", &[]);
        assert_error(&client.delete(&path), 404, "NOT_FOUND", &[]);
    }

    fn what_a_field_can_not_hold_is_refused_by_its_name(server: &Server) {
        let client = server.client();
        let [ada] = contacts(&client, ["Ada"]);
        let missing = client.post("/referrals", json!({"notes": "x"}));
        assert_error(&missing, 400, "MISSING_FIELDS", &["referrer_contact_id"]);
        let wrong = json!({"referrer_contact_id": "Ada", "source": "mail", "status": "won"});
        let named = [
            "referrer_contact_id",
            "source must be one of form, manual, api",
            "status must be one of pending, accepted, converted, declined",
        ];
        assert_error(&client.post("/referrals", wrong), 400, "VALIDATION_ERROR", &named);
        let oneself = json!({"referrer_contact_id": ada, "referred_contact_id": ada});
        assert_error(&client.post("/referrals", oneself), 400, "VALIDATION_ERROR", &["referred_contact_id"]);
        let id = create(&client, "/referrals", json!({"referrer_contact_id": ada}));
        let path = format!("/referrals/{id}");
        let removed = client.patch(&path, json!({"referrer_contact_id": null}));
        assert_error(&removed, 400, "MISSING_FIELDS", &["referrer_contact_id"]);
        for field in ["referrer_contact_id", "referred_contact_id", "referred_deal_id"] {
            let mut nobody = json!({"referrer_contact_id": ada});
            nobody[field] = json!(NOBODY);
            assert_error(&client.post("/referrals", nobody), 404, "NOT_FOUND", &[NOBODY]);
            assert_error(&client.patch(&path, json!({field: NOBODY})), 404, "NOT_FOUND", &[NOBODY]);
        }
        let nowhere = client.post(&format!("{path}/convert"), json!({"referred_deal_id": NOBODY}));
        assert_error(&nowhere, 404, "NOT_FOUND", &[NOBODY]);
        assert_eq!(read(&client, "/referrals", &id)["status"], "pending");
    }

    fn referrals_are_filtered_by_all_that_they_have(server: &Server) {
        let client = server.client();
        let [ada, ben, eve] = contacts(&client, ["Ada", "Ben", "Eve"]);
        let deal = create(&client, "/opportunities", json!({"name": "Fence"}));
        let referrals: Vec<_> = (0..9)
            .map(|index| {
                let mut fields = json!({
                    "referrer_contact_id": if index < 7 { &ada } else { &ben },
                    "source": if index % 2 == 0 { "manual" } else { "form" },
                    "status": if index > 0 { "accepted" } else { "declined" },
                    "category": if index == 5 { "Agent" } else { "Builder" },
                });
                if index > 1 {
                    fields["referred_contact_id"] = json!(eve);
                    fields["referred_deal_id"] = json!(deal);
                }
                let referral = made(&client, fields);
                let_time_pass(&referral["created_at"]);
                referral
            })
            .collect();
        let filters: Vec<Filter<'_>> = vec![
            (format!("referrer_contact_id={ada}"), &|index| index < 7),
            ("source=manual".to_owned(), &|index| index % 2 == 0),
            ("status=accepted".to_owned(), &|index| index > 0),
            ("category=Builder".to_owned(), &|index| index != 5),
            (format!("referred_contact_id={eve}"), &|index| index > 1),
            (format!("referred_deal_id={deal}"), &|index| index > 1),
            (format!("created_after={}", text(&referrals[3]["created_at"])), &|index| index >= 3),
            (format!("created_before={}", text(&referrals[8]["created_at"])), &|index| index < 8),
        ];
        assert_filters_combine(&client, "/referrals", &referrals, &filters);
        for wrong in ["source=mail", "status=won", "referred_deal_id=7"] {
            let (field, _) = wrong.split_once('=').expect("a filter");
            assert_error(&client.get(&format!("/referrals?{wrong}")), 400, "VALIDATION_ERROR", &[field]);
        }
    }

    fn an_opportunity_shows_who_referred_it_most_recently(server: &Server) {
        let client = server.client();
        let [ada, ben] = contacts(&client, ["Ada", "Ben"]);
        let [one, two] = ["One", "Two"].map(|name| create(&client, "/opportunities", json!({"name": name})));
        assert_eq!(referrer(&client, &one), (Value::Null, Value::Null));
        let refer = |by: &str, category: Value| {
            let fields = json!({"referrer_contact_id": by, "referred_deal_id": one, "category": category});
            create(&client, "/referrals", fields)
        };
        let first = refer(&ada, json!("Builder"));
        assert_eq!(referrer(&client, &one), (json!("Ada"), json!("Builder")));
        let second = refer(&ben, Value::Null);
        assert_eq!(referrer(&client, &one), (json!("Ben"), Value::Null));
        let patch = |id: &str, fields: Value| {
            client.patch(&format!("/referrals/{id}"), fields).expect(200);
        };
        patch(&second, json!({"category": "Agent"}));
        assert_eq!(referrer(&client, &one), (json!("Ben"), json!("Agent")));
        patch(&second, json!({"referred_deal_id": two}));
        assert_eq!(referrer(&client, &one), (json!("Ada"), json!("Builder")));
        assert_eq!(referrer(&client, &two), (json!("Ben"), json!("Agent")));
        client.delete(&format!("/referrals/{second}")).expect(204);
        assert_eq!(referrer(&client, &two), (Value::Null, Value::Null));

        let shown = client.get(&format!("/opportunities/{one}?expand=referrer")).expect(200).data();
        let contact = read(&client, "/contacts", &ada);
        let mut short = json!({});
        for field in ["id", "public_id", "first_name", "last_name", "email", "phone", "job_title"] {
            short[field] = contact[field].clone();
        }
        assert_eq!(shown["referrer"], short);
        let listed = client.get("/opportunities?expand=referrer").expect(200).data();
        let referrers: Vec<_> = list(&listed).iter().map(|one| one["referrer"].clone()).collect();
        assert_eq!(referrers, [Value::Null, short]);
        // It is no change of the opportunity's own, and nobody's to write.
        assert_eq!(shown["updated_at"], shown["created_at"]);
        let path = format!("/opportunities/{one}");
        client.patch(&path, json!({"primary_referrer_contact_id": ben})).expect(200);
        assert_eq!(referrer(&client, &one).0, "Ada");
        client.delete(&format!("/referrals/{first}")).expect(204);
        assert_eq!(referrer(&client, &one), (Value::Null, Value::Null));
    }

    fn referrals_made_at_once_agree_on_the_most_recent(server: &Server) {
        let client = server.client();
        let [ada, ben] = contacts(&client, ["Ada", "Ben"]);
        let deal = create(&client, "/opportunities", json!({"name": "Fence"}));
        let refer = |index: usize| {
            let by = if index.is_multiple_of(2) { &ada } else { &ben };
            let fields = json!({"referrer_contact_id": by, "referred_deal_id": deal, "category": format!("{index}")});
            create(&client, "/referrals", fields)
        };
        let gone: Vec<_> = (0..4).map(refer).collect();
        std::thread::scope(|scope| {
            for index in 4..20 {
                let refer = &refer;
                scope.spawn(move || refer(index));
            }
            for id in &gone {
                let client = &client;
                scope.spawn(move || client.delete(&format!("/referrals/{id}")).expect(204));
            }
        });
        let newest = client.get(&format!("/referrals?referred_deal_id={deal}&limit=1")).expect(200).data();
        let opportunity = read(&client, "/opportunities", &deal);
        assert_eq!(opportunity["primary_referrer_contact_id"], newest[0]["referrer_contact_id"]);
        assert_eq!(opportunity["primary_referrer_category"], newest[0]["category"]);
    }

    fn a_referral_is_converted_and_says_since_when(server: &Server) {
        let client = server.client();
        let [ada] = contacts(&client, ["Ada"]);
        let deal = create(&client, "/opportunities", json!({"name": "Fence"}));
        let record = made(&client, json!({"referrer_contact_id": ada}));
        let path = format!("/referrals/{}", text(&record["id"]));
        let_time_pass(&record["created_at"]);
        let done = client.post(&format!("{path}/convert"), json!({"referred_deal_id": deal})).expect(200).data();
        assert_eq!((&done["status"], &done["referred_deal_id"]), (&json!("converted"), &json!(deal)));
        assert!(instant(&done["converted_at"]) > instant(&record["created_at"]));
        assert_eq!(referrer(&client, &deal).0, "Ada");
        let_time_pass(&done["converted_at"]);
        assert_eq!(client.raw("POST", &format!("{path}/convert"), &[], b"").expect(200).data(), done);
        let declined = client.patch(&path, json!({"status": "declined"})).expect(200).data();
        assert_eq!(declined["converted_at"], Value::Null);
        assert_error(&client.post(&format!("/referrals/{NOBODY}/convert"), json!({})), 404, "NOT_FOUND", &[]);
    }

    fn the_leaderboard_shows_what_each_contact_has_brought(server: &Server) {
        let client = server.client();
        let [ada, ben] = contacts(&client, ["Ada", "Ben"]);
        let board = |query: &str| client.get(&format!("/referrals/leaderboard{query}")).expect(200);
        assert_eq!(board("").data(), json!([]));
        let deals = [json!({"name": "One", "value": 0.1}), json!({"name": "Two", "value": 0.2}), json!({"name": "Three", "value": 5, "currency": "USD"})];
        for deal in deals {
            let deal = create(&client, "/opportunities", deal);
            let fields = json!({"referrer_contact_id": ben, "referred_deal_id": deal, "status": "converted", "category": "Builder"});
            create(&client, "/referrals", fields);
        }
        for status in ["pending", "accepted", "declined", "pending"] {
            create(&client, "/referrals", json!({"referrer_contact_id": ada, "status": status}));
        }
        let answer = board("");
        let leaders = answer.data();
        assert_eq!(leaders[0]["referrer"]["id"], ben);
        assert_eq!(leaders[0]["referral_count"], 3);
        assert_eq!(leaders[0]["by_status"], json!({"pending": 0, "accepted": 0, "converted": 3, "declined": 0}));
        assert!(answer.text.contains(r#"[{"currency":"AUD","total_value":0.3},{"currency":"USD","total_value":5}]"#), "{}", answer.text);
        assert_eq!(leaders[1]["referrer"]["first_name"], "Ada");
        assert_eq!(leaders[1]["by_status"], json!({"pending": 2, "accepted": 1, "converted": 0, "declined": 1}));
        assert_eq!(leaders[1]["converted_value"], json!([]));
        instant(&leaders[1]["last_referred_at"]);
        assert_eq!(answer.json()["pagination"]["has_more"], false);
        let first = board("?limit=1");
        assert_eq!(list(&first.data()).len(), 1);
        assert_eq!(first.json()["pagination"]["has_more"], true);
        assert_eq!(list(&board("?category=Builder").data()).len(), 1);
        assert_eq!(list(&board("?created_before=2026-01-01").data()).len(), 0);
    }

    fn a_referral_stays_when_what_it_led_to_goes(server: &Server) {
        let client = server.client();
        let [ada, ben] = contacts(&client, ["Ada", "Ben"]);
        let [one, two] = ["One", "Two"].map(|name| create(&client, "/opportunities", json!({"name": name})));
        let [first, second] = [&one, &two].map(|deal| {
            let fields = json!({"referrer_contact_id": ada, "referred_contact_id": ben, "referred_deal_id": deal});
            create(&client, "/referrals", fields)
        });
        client.delete(&format!("/opportunities/{one}")).expect(204);
        client.post("/opportunities/bulk-delete", json!({"ids": [two]})).expect(200);
        client.delete(&format!("/contacts/{ben}")).expect(204);
        for id in [&first, &second] {
            let left = read(&client, "/referrals", id);
            assert_eq!(left["referrer_contact_id"], ada);
            assert_eq!((&left["referred_deal_id"], &left["referred_contact_id"]), (&Value::Null, &Value::Null));
        }
        let refused = client.delete(&format!("/contacts/{ada}"));
        assert_error(&refused, 409, "CONFLICT", &["referrals"]);
        let refused = client.post("/contacts/bulk-delete", json!({"ids": [ada]})).expect(200).data();
        assert_eq!(refused["failed"][0]["code"], "CONFLICT");
        for id in [&first, &second] {
            client.delete(&format!("/referrals/{id}")).expect(204);
        }
        client.delete(&format!("/contacts/{ada}")).expect(204);
    }
}
