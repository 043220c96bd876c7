//! Opportunities: what one is, how it changes, and how it is found.

use jiff::civil::Date;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixtures::{
    Filter, NOBODY, Pipeline, assert_filters_combine, create, encode, instant, let_time_pass, list,
    names, read, sorted_names, text,
};
use crate::harness::{Client, assert_error};

/// Creates an opportunity with these fields and answers it.
#[track_caller]
fn made(client: &Client, fields: Value) -> Value {
    client.post("/opportunities", fields).expect(201).data()
}

/// Changes these fields of an opportunity and answers it.
#[track_caller]
fn patched(client: &Client, id: &str, fields: Value) -> Value {
    client
        .patch(&format!("/opportunities/{id}"), fields)
        .expect(200)
        .data()
}

/// A record holds these fields with these values, whatever else it holds.
#[track_caller]
fn assert_holds(record: &Value, fields: &Value) {
    for (name, value) in fields.as_object().expect("fields") {
        assert_eq!(&record[name], value, "{name} in {record}");
    }
}

/// The names of the opportunities that a search finds, best first.
#[track_caller]
fn found(client: &Client, query: &str) -> Vec<String> {
    let answer = client.post("/opportunities/search", json!({ "query": query }));
    names(&answer.expect(200))
}

on_both_engines! {
    fn a_new_opportunity_is_answered_with_every_field_of_the_record(server: &Server) {
        let client = server.client();
        let record = made(&client, json!({"name": "  Fence for Ada "}));
        assert_eq!(
            record,
            json!({
                "id": record["id"],
                "public_id": "OPP-001",
                "name": "Fence for Ada",
                "status": "open",
                "contact_id": null,
                "customer_id": null,
                "value": null,
                "products_value": 0,
                "currency": "AUD",
                "probability": null,
                "expected_close_date": null,
                "actual_close_date": null,
                "lost_at": null,
                "won_at": null,
                "lead_source": null,
                "opportunity_type": null,
                "won_reason": null,
                "lost_reason": null,
                "next_action_name": null,
                "next_action_date": null,
                "tags": [],
                "notes": null,
                "metadata": {},
                "primary_referrer_contact_id": null,
                "primary_referrer_category": null,
                "last_activity_at": null,
                "placements": [],
                "created_at": record["created_at"],
                "updated_at": record["created_at"],
            })
        );
        let id = text(&record["id"]);
        assert_eq!(id, id.to_lowercase());
        assert_eq!(Uuid::parse_str(&id).map(|id| id.get_version_num()), Ok(7));
        instant(&record["created_at"]);

        assert_eq!(read(&client, "/opportunities", &id), record);
        assert_eq!(
            client.get("/opportunities").expect(200).data(),
            json!([record])
        );
    }

    fn a_card_is_shown_with_its_pipeline_and_its_stage(server: &Server) {
        let client = server.client();
        let pipeline = Pipeline::default_of(&client);
        let record = made(
            &client,
            json!({"name": "Fence", "stage_id": pipeline.stage("Qualified")}),
        );
        let stage = read(
            &client,
            &format!("/pipelines/{}/stages", pipeline.id),
            pipeline.stage("Qualified"),
        );
        let card = &record["placements"][0];
        assert_eq!(
            record["placements"],
            json!([{
                "id": card["id"],
                "deal_id": record["id"],
                "pipeline_id": pipeline.id,
                "stage_id": stage["id"],
                "position": 0,
                "entered_stage_at": card["entered_stage_at"],
                "crm_pipelines": {"id": pipeline.id, "name": "Sales"},
                "crm_pipeline_stages": {
                    "id": stage["id"],
                    "name": "Qualified",
                    "color": stage["color"],
                    "position": 1,
                    "is_won_stage": false,
                    "is_lost_stage": false,
                },
            }])
        );
        instant(&card["entered_stage_at"]);
        assert_eq!(
            read(&client, "/opportunities", &text(&record["id"])),
            record
        );
    }

    fn every_writable_field_is_kept_changed_and_cleared(server: &Server) {
        let client = server.client();
        let contact = create(&client, "/contacts", json!({"first_name": "Ada"}));
        let company = create(&client, "/companies", json!({"name": "Engines"}));
        let nullable = json!({
            "contact_id": contact,
            "customer_id": company,
            "value": 12_345.678_9,
            "probability": 62.5,
            "expected_close_date": "2026-03-01",
            "actual_close_date": "2026-02-28",
            "lead_source": "Trade fair",
            "opportunity_type": "Renewal",
            "won_reason": "Price",
            "lost_reason": "None",
            "next_action_name": "Call",
            "next_action_date": "2026-03-01T09:00:00.000Z",
            "notes": "First line\nsecond line",
        });
        let mut sent = nullable.clone();
        sent["name"] = json!("Fence");
        sent["currency"] = json!("EUR");
        sent["tags"] = json!([{"name": "VIP", "color": "#ff0000"}]);
        sent["metadata"] = json!({"gate": {"width": 3.5, "colours": ["red", null]}});
        let record = made(&client, sent.clone());
        assert_holds(&record, &sent);
        let id = text(&record["id"]);
        assert_eq!(read(&client, "/opportunities", &id), record);

        let changes = json!({
            "name": "Gate",
            "value": 0.1,
            "currency": "NZD",
            "probability": 0,
            "expected_close_date": "2028-02-29",
            "next_action_date": "2026-03-01T19:00:00+10:00",
            "notes": "Shorter",
            "tags": [],
            "metadata": {"gate": true},
        });
        let record = patched(&client, &id, changes.clone());
        let mut expected = sent.clone();
        for (name, value) in changes.as_object().expect("fields") {
            expected[name] = value.clone();
        }
        // The same instant as before, said in another zone.
        expected["next_action_date"] = json!("2026-03-01T09:00:00.000Z");
        assert_holds(&record, &expected);
        assert_eq!(read(&client, "/opportunities", &id), record);

        let mut cleared = nullable.clone();
        for value in cleared.as_object_mut().expect("fields").values_mut() {
            *value = Value::Null;
        }
        let mut request = cleared.clone();
        request["metadata"] = Value::Null;
        let record = patched(&client, &id, request);
        assert_holds(&record, &cleared);
        assert_eq!(record["metadata"], json!({}));
        assert_eq!(record["name"], "Gate");
        assert_eq!(read(&client, "/opportunities", &id), record);

        let refused = client.patch(&format!("/opportunities/{id}"), json!({"name": null}));
        assert_error(&refused, 400, "MISSING_FIELDS", &["name"]);
    }

    fn an_update_moves_updated_at_only_if_something_changes(server: &Server) {
        let client = server.client();
        let record = made(
            &client,
            json!({"name": "Fence", "value": 100, "tags": ["VIP"]}),
        );
        let id = text(&record["id"]);
        let_time_pass(&record["updated_at"]);
        for nothing in [
            json!({}),
            json!({"name": "Fence", "value": 100.0, "tags": ["VIP"]}),
        ] {
            assert_eq!(patched(&client, &id, nothing), record);
        }
        let changed = patched(&client, &id, json!({"value": 100.5}));
        assert_eq!(changed["created_at"], record["created_at"]);
        assert!(instant(&changed["updated_at"]) > instant(&record["updated_at"]));
    }

    fn blank_counts_as_absent(server: &Server) {
        let client = server.client();
        for body in [json!({}), json!({"name": null}), json!({"name": "  \t "})] {
            let refused = client.post("/opportunities", body);
            assert_error(&refused, 400, "MISSING_FIELDS", &["name"]);
        }
        let blank = json!({
            "name": "Fence",
            "contact_id": "",
            "lead_source": "  ",
            "expected_close_date": "",
            "next_action_date": " ",
            "notes": "\n",
            "currency": "",
            "status": "",
        });
        let record = made(&client, blank);
        for field in [
            "contact_id",
            "lead_source",
            "expected_close_date",
            "next_action_date",
            "notes",
        ] {
            assert_eq!(record[field], Value::Null, "{field}");
        }
        assert_holds(&record, &json!({"currency": "AUD", "status": "open"}));

        // Null in a new record means the same, whatever the field.
        let nulls =
            json!({"name": "Fence", "currency": null, "status": null, "tags": null, "value": null});
        assert_holds(
            &made(&client, nulls),
            &json!({"currency": "AUD", "status": "open", "tags": [], "value": null}),
        );

        let refused = client.post("/opportunities/search", json!({"query": " "}));
        assert_error(&refused, 400, "MISSING_FIELDS", &["query"]);
        assert_eq!(
            names(&client.get("/opportunities?search=&status=%20").expect(200)),
            ["Fence", "Fence"]
        );
    }

    fn what_a_field_can_not_hold_is_refused_by_its_name(server: &Server) {
        let client = server.client();
        let existing = create(&client, "/opportunities", json!({"name": "Fence"}));
        let long = |length: usize| "x".repeat(length);
        for (field, value) in [
            ("name", json!(long(256))),
            ("name", json!(7)),
            ("status", json!("pending")),
            ("contact_id", json!("not-a-uuid")),
            ("customer_id", json!(7)),
            ("value", json!("100")),
            ("value", json!(1e30)),
            ("currency", json!("XYZ")),
            ("probability", json!(100.1)),
            ("probability", json!(-1)),
            ("expected_close_date", json!("2026-02-30")),
            ("expected_close_date", json!("01/03/2026")),
            ("actual_close_date", json!("2026-3-1")),
            ("next_action_date", json!("tomorrow")),
            ("notes", json!(long(100_001))),
            ("tags", json!("VIP")),
            ("tags", json!([{"color": "#ff0000"}])),
            ("metadata", json!([])),
        ] {
            let mut body = json!({"name": "Deck"});
            body[field] = value.clone();
            let refused = client.post("/opportunities", body);
            assert_error(&refused, 400, "VALIDATION_ERROR", &[field]);
            let refused =
                client.patch(&format!("/opportunities/{existing}"), json!({field: value}));
            assert_error(&refused, 400, "VALIDATION_ERROR", &[field]);
        }
        assert_eq!(
            client.get("/opportunities").expect(200).ids(),
            [existing.as_str()]
        );

        let both = client.post(
            "/opportunities",
            json!({"status": "pending", "value": "a lot"}),
        );
        assert_error(&both, 400, "MISSING_FIELDS", &["name", "status", "value"]);

        let longest = json!({"name": long(255), "notes": long(100_000), "probability": 100});
        assert_holds(&patched(&client, &existing, longest.clone()), &longest);
        // Characters count, not bytes.
        let wide = json!({"name": "é".repeat(255)});
        assert_holds(&patched(&client, &existing, wide.clone()), &wide);

        for missing in [
            json!({"contact_id": NOBODY}),
            json!({"customer_id": NOBODY}),
        ] {
            let refused = client.patch(&format!("/opportunities/{existing}"), missing);
            assert_error(&refused, 404, "NOT_FOUND", &[]);
        }
    }

    fn tags_are_told_apart_without_case_and_the_last_colour_wins(server: &Server) {
        let client = server.client();
        let record = made(
            &client,
            json!({"name": "Fence", "tags": ["VIP", {"name": "Garden", "color": "#00ff00"}]}),
        );
        assert_eq!(
            record["tags"],
            json!([{"name": "VIP", "color": "#3b82f6"}, {"name": "Garden", "color": "#00ff00"}])
        );
        let id = text(&record["id"]);
        let twice = json!({"tags": ["vip", "Steel", {"name": "VIP", "color": "#ff0000"}]});
        let record = patched(&client, &id, twice);
        let tags = list(&record["tags"]);
        assert_eq!(tags.len(), 2, "{record}");
        assert_eq!(text(&tags[0]["name"]).to_lowercase(), "vip");
        assert_eq!(tags[0]["color"], "#ff0000");
        assert_eq!(tags[1], json!({"name": "Steel", "color": "#3b82f6"}));

        assert_eq!(
            patched(&client, &id, json!({"tags": []}))["tags"],
            json!([])
        );
    }

    fn metadata_takes_any_keys_but_uuids_at_its_root(server: &Server) {
        let client = server.client();
        let key = "01900000-0000-7000-8000-000000000001";
        for body in [
            json!({"name": "Fence", "metadata": {key: "steel"}}),
            json!({"name": "Fence", "metadata": {key.to_uppercase(): 1}}),
        ] {
            let refused = client.post("/opportunities", body);
            assert_error(&refused, 400, "VALIDATION_ERROR", &["metadata"]);
        }
        let metadata =
            json!({"quick_links": {key: "https://example.com"}, "other": {key: 1}, "": []});
        let record = made(&client, json!({"name": "Fence", "metadata": metadata}));
        assert_eq!(record["metadata"], metadata);

        let id = text(&record["id"]);
        let replaced = patched(&client, &id, json!({"metadata": {"height": 1.8}}));
        assert_eq!(replaced["metadata"], json!({"height": 1.8}));
        let refused = client.patch(
            &format!("/opportunities/{id}"),
            json!({"metadata": {key: 1}}),
        );
        assert_error(&refused, 400, "VALIDATION_ERROR", &["metadata"]);
        assert_eq!(
            patched(&client, &id, json!({"metadata": null}))["metadata"],
            json!({})
        );
    }

    fn a_patched_status_sets_and_clears_the_dates_but_moves_no_card(server: &Server) {
        let client = server.client();
        let pipeline = Pipeline::default_of(&client);
        let record = made(
            &client,
            json!({"name": "Fence", "stage_id": pipeline.stage("Proposal")}),
        );
        let id = text(&record["id"]);
        let placements = record["placements"].clone();

        let won = patched(&client, &id, json!({"status": "won"}));
        assert!(instant(&won["won_at"]) >= instant(&record["created_at"]));
        assert_holds(&won, &json!({"lost_at": null, "placements": placements}));
        assert!(won["actual_close_date"].is_string(), "{won}");
        let_time_pass(&won["won_at"]);
        let still = patched(&client, &id, json!({"status": "won"}));
        assert_eq!(still["won_at"], won["won_at"]);

        let lost = patched(&client, &id, json!({"status": "lost"}));
        assert!(instant(&lost["lost_at"]) > instant(&won["won_at"]));
        assert_holds(&lost, &json!({"won_at": null, "placements": placements}));
        assert!(lost["actual_close_date"].is_string(), "{lost}");

        let open = patched(&client, &id, json!({"status": "open"}));
        assert_holds(
            &open,
            &json!({
                "won_at": null,
                "lost_at": null,
                "actual_close_date": null,
                "placements": placements,
            }),
        );
    }

    fn a_closing_date_that_was_given_outlives_the_status(server: &Server) {
        let client = server.client();
        let given = "2026-01-31";
        let id = create(
            &client,
            "/opportunities",
            json!({"name": "Fence", "actual_close_date": given}),
        );
        for status in ["won", "lost", "open"] {
            let record = patched(&client, &id, json!({"status": status}));
            assert_eq!(record["actual_close_date"], given, "{status}");
        }
        let together = json!({"status": "won", "actual_close_date": "2026-02-01"});
        assert_holds(&patched(&client, &id, together.clone()), &together);

        // Set by the status, then corrected by hand: it is the user's now.
        let id = create(
            &client,
            "/opportunities",
            json!({"name": "Deck", "status": "won"}),
        );
        patched(&client, &id, json!({"actual_close_date": given}));
        let open = patched(&client, &id, json!({"status": "open"}));
        assert_holds(&open, &json!({"won_at": null, "actual_close_date": given}));
    }

    fn an_opportunity_may_be_created_closed(server: &Server) {
        let client = server.client();
        for (status, set, unset) in [("won", "won_at", "lost_at"), ("lost", "lost_at", "won_at")] {
            let record = made(&client, json!({"name": "Fence", "status": status}));
            assert_eq!(record["status"], status);
            instant(&record[set]);
            assert_eq!(record[unset], Value::Null);
            assert!(record["actual_close_date"].is_string(), "{record}");
        }
    }

    fn today_is_the_day_in_the_workspace(server: &Server) {
        let client = server.client();
        // 26 hours apart: it is never the same day in both.
        let [earliest, latest] = ["Etc/GMT+12", "Pacific/Kiritimati"].map(|zone| {
            client
                .patch("/company", json!({"timezone": zone}))
                .expect(200);
            let day = || {
                jiff::Timestamp::now()
                    .in_tz(zone)
                    .expect("a known zone")
                    .date()
            };
            let before = day();
            let record = made(&client, json!({"name": "Fence", "status": "won"}));
            let closed = text(&record["actual_close_date"])
                .parse::<Date>()
                .expect("a date");
            assert!((before..=day()).contains(&closed), "{closed} in {zone}");
            closed
        });
        assert!(earliest < latest);
    }

    fn a_new_opportunity_enters_the_pipeline_that_it_names(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let projects = Pipeline::create(&client, "Projects", &["Planned", "Built"]);
        let empty = create(&client, "/pipelines", json!({"name": "Empty"}));
        let stage_of = |fields: Value| {
            let mut body = json!({"name": "Fence"});
            for (name, value) in fields.as_object().expect("fields") {
                body[name] = value.clone();
            }
            let record = made(&client, body);
            let cards = list(&record["placements"]);
            assert!(cards.len() <= 1, "{record}");
            cards.first().map(|card| text(&card["stage_id"]))
        };
        assert_eq!(stage_of(json!({})), None);
        assert_eq!(
            stage_of(json!({"pipeline_id": projects.id})).as_deref(),
            Some(projects.stage("Planned"))
        );
        assert_eq!(
            stage_of(json!({"stage_id": projects.stage("Built")})).as_deref(),
            Some(projects.stage("Built"))
        );
        assert_eq!(
            stage_of(projects.target("Built")).as_deref(),
            Some(projects.stage("Built"))
        );

        let mismatch =
            json!({"name": "Fence", "pipeline_id": sales.id, "stage_id": projects.stage("Built")});
        assert_error(
            &client.post("/opportunities", mismatch),
            400,
            "VALIDATION_ERROR",
            &["stage_id"],
        );
        let stageless = client.post(
            "/opportunities",
            json!({"name": "Fence", "pipeline_id": empty}),
        );
        assert_error(&stageless, 400, "VALIDATION_ERROR", &["pipeline_id"]);
        for unknown in ["pipeline_id", "stage_id"] {
            let refused = client.post("/opportunities", json!({"name": "Fence", unknown: NOBODY}));
            assert_error(&refused, 404, "NOT_FOUND", &[]);
        }
        assert_eq!(client.get("/opportunities").expect(200).ids().len(), 4);
    }

    fn public_ids_count_up_and_are_never_used_again(server: &Server) {
        let client = server.client();
        let number = |record: &Value| text(&record["public_id"]);
        let first = made(&client, json!({"name": "One"}));
        let second = made(&client, json!({"name": "Two"}));
        client
            .delete(&format!("/opportunities/{}", text(&second["id"])))
            .expect(204);
        let third = made(&client, json!({"name": "Three"}));
        assert_eq!(
            [&first, &second, &third].map(number),
            ["OPP-001", "OPP-002", "OPP-003"]
        );
    }

    fn public_ids_taken_at_once_are_all_different(server: &Server) {
        let client = server.client();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        create(&client, "/opportunities", json!({"name": "Fence"}));
                    }
                });
            }
        });
        let data = client.get("/opportunities?limit=100").expect(200).data();
        let mut numbers: Vec<_> = list(&data)
            .iter()
            .map(|record| text(&record["public_id"]))
            .collect();
        numbers.sort_unstable();
        assert_eq!(
            numbers,
            (1..=40)
                .map(|number| format!("OPP-{number:03}"))
                .collect::<Vec<_>>()
        );
    }

    fn every_filter_narrows_the_list_alone_and_with_every_other(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let contact = create(&client, "/contacts", json!({"first_name": "Ada"}));
        let other_contact = create(&client, "/contacts", json!({"first_name": "Bea"}));
        let company = create(&client, "/companies", json!({"name": "Engines"}));
        let user = create(
            &client,
            "/company/users/invite",
            json!({"email": "cy@example.com", "full_name": "Cy"}),
        );
        let opportunities: Vec<_> = (0..16_usize)
            .map(|i| {
                let stage = match i % 6 {
                    0 | 1 => Some(sales.stage("Qualified")),
                    2 | 3 => Some(sales.stage("Lead")),
                    _ => None,
                };
                let record = made(
                    &client,
                    json!({
                        "name": if i % 2 == 0 { "Fence" } else { "Deck" },
                        "status": if i % 3 == 0 { "won" } else { "open" },
                        "contact_id": if i % 4 < 2 { &contact } else { &other_contact },
                        "customer_id": (i % 5 < 3).then_some(&company),
                        "stage_id": stage,
                    }),
                );
                if i % 3 < 2 {
                    client
                        .post(
                            &format!("/opportunities/{}/users/{user}", text(&record["id"])),
                            json!({}),
                        )
                        .expect(201);
                }
                let_time_pass(&record["created_at"]);
                record
            })
            .collect();
        let created = |i: usize| text(&opportunities[i]["created_at"]);
        let (since, until) = (created(2), created(14));

        let filters: [Filter<'_>; 9] = [
            ("search=fEN".to_owned(), &|i| i % 2 == 0),
            ("status=won".to_owned(), &|i| i % 3 == 0),
            (format!("contact_id={contact}"), &|i| i % 4 < 2),
            (format!("customer_id={company}"), &|i| i % 5 < 3),
            (format!("assigned_to={user}"), &|i| i % 3 < 2),
            (format!("pipeline_id={}", sales.id), &|i| i % 6 < 4),
            (format!("stage_id={}", sales.stage("Qualified")), &|i| {
                i % 6 < 2
            }),
            (format!("created_after={}", encode(&since)), &|i| i >= 2),
            (format!("created_before={}", encode(&until)), &|i| i < 14),
        ];
        assert_filters_combine(&client, "/opportunities", &opportunities, &filters);
    }

    fn a_filter_that_names_nothing_finds_nothing_and_a_malformed_one_is_refused(server: &Server) {
        let client = server.client();
        create(&client, "/opportunities", json!({"name": "Fence"}));
        for id in [
            "contact_id",
            "customer_id",
            "assigned_to",
            "pipeline_id",
            "stage_id",
        ] {
            let nothing = client
                .get(&format!("/opportunities?{id}={NOBODY}"))
                .expect(200);
            assert_eq!(nothing.data(), json!([]), "{id}");
            let refused = client.get(&format!("/opportunities?{id}=nobody"));
            assert_error(&refused, 400, "VALIDATION_ERROR", &[id]);
        }
        for (name, value) in [
            ("status", "pending"),
            ("created_after", "yesterday"),
            ("created_before", "2026-13-01"),
        ] {
            let refused = client.get(&format!("/opportunities?{name}={value}"));
            assert_error(&refused, 400, "VALIDATION_ERROR", &[name]);
        }
        let several = client.get("/opportunities?status=pending&contact_id=7&created_after=x");
        assert_error(
            &several,
            400,
            "VALIDATION_ERROR",
            &["status", "contact_id", "created_after"],
        );
    }

    fn created_after_is_inclusive_and_created_before_exclusive(server: &Server) {
        let client = server.client();
        let record = made(&client, json!({"name": "Fence"}));
        let created = instant(&record["created_at"]);
        let day = created.in_tz("UTC").expect("a known zone").date();
        let next_day = day.tomorrow().expect("not the end of time");
        let next = created + jiff::SignedDuration::from_millis(1);
        let in_sydney = created
            .in_tz("Australia/Sydney")
            .expect("a known zone")
            .strftime("%Y-%m-%dT%H:%M:%S%.3f%:z");
        for (bound, after, before) in [
            (created.to_string(), true, false),
            (in_sydney.to_string(), true, false),
            (next.to_string(), false, true),
            (day.to_string(), true, false),
            (next_day.to_string(), false, true),
        ] {
            for (name, shown) in [("created_after", after), ("created_before", before)] {
                let answer = client
                    .get(&format!("/opportunities?{name}={}", encode(&bound)))
                    .expect(200);
                assert_eq!(
                    !answer.ids().is_empty(),
                    shown,
                    "{name}={bound}, created {created}"
                );
            }
        }
    }

    fn an_expansion_stands_under_its_own_name_where_it_is_asked_for(server: &Server) {
        let client = server.client();
        let contact = create(&client, "/contacts", json!({"first_name": "Ada"}));
        let company = create(&client, "/companies", json!({"name": "Engines"}));
        let user = create(
            &client,
            "/company/users/invite",
            json!({"email": "cy@example.com", "full_name": "Cy"}),
        );
        let plain = made(&client, json!({"name": "Plain"}));
        let linked = made(
            &client,
            json!({"name": "Linked", "contact_id": contact, "customer_id": company}),
        );
        let id = text(&linked["id"]);
        let assigned = client
            .post(&format!("/opportunities/{id}/users/{user}"), json!({}))
            .expect(201)
            .data();

        let mut expected = linked.clone();
        expected["contact"] = read(&client, "/contacts", &contact);
        expected["customer"] = read(&client, "/companies", &company);
        expected["assigned_users"] = json!([assigned]);
        let mut expected_plain = plain.clone();
        expected_plain["contact"] = Value::Null;
        expected_plain["customer"] = Value::Null;
        expected_plain["assigned_users"] = json!([]);

        let all = "expand=contact,customer,assigned_users";
        assert_eq!(
            client
                .get(&format!("/opportunities/{id}?{all}"))
                .expect(200)
                .data(),
            expected
        );
        assert_eq!(
            client
                .get(&format!("/opportunities?{all}"))
                .expect(200)
                .data(),
            json!([expected, expected_plain])
        );
        for (name, others) in [
            ("contact", ["customer", "assigned_users"]),
            ("customer", ["contact", "assigned_users"]),
        ] {
            let record = client
                .get(&format!("/opportunities/{id}?expand={name}"))
                .expect(200)
                .data();
            assert_eq!(record[name], expected[name]);
            assert!(
                others.iter().all(|other| record.get(other).is_none()),
                "{record}"
            );
        }
        assert_eq!(read(&client, "/opportunities", &id), linked);

        for path in ["/opportunities".to_owned(), format!("/opportunities/{id}")] {
            let refused = client.get(&format!("{path}?expand=contact,invoices"));
            assert_error(&refused, 400, "VALIDATION_ERROR", &["expand"]);
            for valid in ["contact", "referrer", "customer", "products", "assigned_users"] {
                assert!(refused.text.contains(valid), "{}", refused.text);
            }
        }
    }

    fn a_deletion_takes_the_cards_and_links_along_and_nothing_else(server: &Server) {
        let client = server.client();
        let pipeline = Pipeline::default_of(&client);
        let contact = create(&client, "/contacts", json!({"first_name": "Ada"}));
        let second = create(&client, "/contacts", json!({"first_name": "Bea"}));
        let company = create(&client, "/companies", json!({"name": "Engines"}));
        let user = create(
            &client,
            "/company/users/invite",
            json!({"email": "cy@example.com", "full_name": "Cy"}),
        );
        let stage = pipeline.stage("Lead");
        let below = create(
            &client,
            "/opportunities",
            json!({"name": "Below", "stage_id": stage}),
        );
        let id = create(
            &client,
            "/opportunities",
            json!({
                "name": "Fence", "stage_id": stage, "contact_id": contact, "customer_id": company,
            }),
        );
        for link in [format!("contacts/{second}"), format!("users/{user}")] {
            client
                .post(&format!("/opportunities/{id}/{link}"), json!({}))
                .expect(201);
        }

        let gone = client.delete(&format!("/opportunities/{id}")).expect(204);
        assert_eq!(gone.text, "");

        let path = format!("/opportunities/{id}");
        assert_error(&client.get(&path), 404, "NOT_FOUND", &[]);
        assert_error(
            &client.patch(&path, json!({"name": "Gate"})),
            404,
            "NOT_FOUND",
            &[],
        );
        assert_error(&client.delete(&path), 404, "NOT_FOUND", &[]);
        assert_error(
            &client.get(&format!("{path}/contacts")),
            404,
            "NOT_FOUND",
            &[],
        );
        assert_eq!(
            client.get("/opportunities").expect(200).ids(),
            [below.as_str()]
        );
        assert_eq!(found(&client, "Fence"), Vec::<String>::new());
        for of in [
            format!("/contacts/{contact}"),
            format!("/contacts/{second}"),
            format!("/companies/{company}"),
        ] {
            client.get(&of).expect(200);
            assert_eq!(
                client
                    .get(&format!("{of}/opportunities"))
                    .expect(200)
                    .data(),
                json!([]),
                "{of}"
            );
        }
        client.get(&format!("/company/users/{user}")).expect(200);
        assert_eq!(
            client
                .get(&format!("/opportunities?assigned_to={user}"))
                .expect(200)
                .data(),
            json!([])
        );
        let stage = read(
            &client,
            &format!("/pipelines/{}/stages", pipeline.id),
            stage,
        );
        assert_eq!(stage["deal_count"], 1);
        assert_eq!(
            read(&client, "/opportunities", &below)["placements"][0]["position"],
            0
        );
    }

    fn search_finds_a_part_of_whatever_the_opportunity_is_known_by(server: &Server) {
        let client = server.client();
        let contact = create(
            &client,
            "/contacts",
            json!({
                "first_name": "Zoë", "last_name": "Müller-Østergård",
                "email": "zoe@blumen.example",
                "phone": "0412 345 678",
            }),
        );
        let company = create(
            &client,
            "/companies",
            json!({
                "name": "Straße & Söhne",
                "email": "office@strasse.example",
                "phone": "02 9876 5432",
            }),
        );
        let names_of_both = ["By company", "By contact"];
        create(
            &client,
            "/opportunities",
            json!({"name": "By contact", "contact_id": contact}),
        );
        create(
            &client,
            "/opportunities",
            json!({"name": "By company", "customer_id": company}),
        );
        create(
            &client,
            "/opportunities",
            json!({"name": "Łódź ÉCLAIR 100% snake_case"}),
        );
        create(
            &client,
            "/opportunities",
            json!({"name": "Snake case, 100 of them"}),
        );
        let by_name = "Łódź ÉCLAIR 100% snake_case";
        let lookalike = "Snake case, 100 of them";

        let cases: &[(&str, &[&str])] = &[
            // Names, in any case, with and without accents, anywhere.
            ("éclair", &[by_name]),
            ("LODZ eclair", &[by_name]),
            ("clai", &[by_name]),
            ("By C", &names_of_both),
            // What has a meaning elsewhere is an ordinary character.
            ("100%", &[by_name]),
            ("snake_c", &[by_name]),
            ("%", &[by_name]),
            ("_", &[by_name]),
            ("snake", &[lookalike, by_name]),
            ("'", &[]),
            ("\\", &[]),
            // One and two letters, one sign.
            ("Z", &[by_name, "By contact"]),
            ("zo", &["By contact"]),
            ("&", &["By company"]),
            // The contact: first, last, full name, address, phone.
            ("zoe", &["By contact"]),
            ("ostergard", &["By contact"]),
            ("zoë müller", &["By contact"]),
            ("@blumen", &["By contact"]),
            ("0412345678", &["By contact"]),
            ("0412 345", &["By contact"]),
            ("+61 412 345 678", &["By contact"]),
            ("(0412) 345-678", &["By contact"]),
            ("345 678", &["By contact"]),
            // The company: name, address, phone.
            ("STRASSE", &["By company"]),
            ("sohne", &["By company"]),
            ("office@", &["By company"]),
            ("02 9876 5432", &["By company"]),
            ("+61298765432", &["By company"]),
            // Nothing that only looks like it.
            ("eclaire", &[]),
            ("0412345679", &[]),
        ];
        for (query, expected) in cases {
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            let answer = client
                .post("/opportunities/search", json!({ "query": query }))
                .expect(200);
            assert_eq!(sorted_names(&answer), expected, "search for {query}");
            let listed = client
                .get(&format!("/opportunities?search={}", encode(query)))
                .expect(200);
            assert_eq!(sorted_names(&listed), expected, "list for {query}");
        }
    }

    fn search_follows_what_changes(server: &Server) {
        let client = server.client();
        let contact = create(
            &client,
            "/contacts",
            json!({"first_name": "Ada", "email": "ada@example.com"}),
        );
        let company = create(&client, "/companies", json!({"name": "Engines"}));
        let id = create(
            &client,
            "/opportunities",
            json!({"name": "Fence", "contact_id": contact, "customer_id": company}),
        );
        let changes = [
            (
                format!("/opportunities/{id}"),
                json!({"name": "Gate"}),
                "fence",
                "gate",
            ),
            (
                format!("/contacts/{contact}"),
                json!({"first_name": "Grace"}),
                "ada@nowhere",
                "grace",
            ),
            (
                format!("/contacts/{contact}"),
                json!({"email": "grace@example.com"}),
                "ada",
                "grace@",
            ),
            (
                format!("/companies/{company}"),
                json!({"name": "Looms"}),
                "engines",
                "looms",
            ),
        ];
        for (path, change, old, new) in changes {
            client.patch(&path, change).expect(200);
            assert_eq!(found(&client, old).len(), 0, "{old}");
            assert_eq!(found(&client, new).len(), 1, "{new}");
        }
        patched(&client, &id, json!({"contact_id": null}));
        assert_eq!(found(&client, "grace").len(), 0);
        client.delete(&format!("/companies/{company}")).expect(204);
        assert_eq!(found(&client, "looms").len(), 0);
        assert_eq!(found(&client, "gate").len(), 1);
    }

    fn the_best_match_comes_first_then_the_newest(server: &Server) {
        let client = server.client();
        let contact = create(&client, "/contacts", json!({"first_name": "Fence"}));
        for name in ["fence", "Fencer", "A fence", "Fénce"] {
            create(&client, "/opportunities", json!({"name": name}));
        }
        create(
            &client,
            "/opportunities",
            json!({"name": "Gate", "contact_id": contact}),
        );
        create(&client, "/opportunities", json!({"name": "Fence post"}));
        create(&client, "/opportunities", json!({"name": "Defence"}));

        let best_first = [
            "Fénce",
            "fence",
            "Fence post",
            "Fencer",
            "Defence",
            "Gate",
            "A fence",
        ];
        assert_eq!(found(&client, "FENCE"), best_first);

        let answer = client
            .post(
                "/opportunities/search",
                json!({"query": "fence", "limit": 3}),
            )
            .expect(200);
        assert_eq!(names(&answer), best_first[..3]);
        let pagination = &answer.json()["pagination"];
        assert_eq!(pagination["limit"], 3);
        assert_eq!(pagination["has_more"], true);
        let exact = client
            .post(
                "/opportunities/search",
                json!({"query": "fence", "limit": 7}),
            )
            .expect(200);
        assert_eq!(exact.json()["pagination"]["has_more"], false);

        // What is found is the whole record, cards included.
        let id = answer.ids().remove(0);
        assert_eq!(answer.data()[0], read(&client, "/opportunities", &id));

        let long = client.post("/opportunities/search", json!({"query": "x".repeat(201)}));
        assert_error(&long, 400, "VALIDATION_ERROR", &["query"]);
    }
}
