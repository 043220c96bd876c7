//! Pipelines, their stages, and the sums of what stands in them.

use serde_json::{Value, json};

use crate::fixtures::{NOBODY, Pipeline, create, instant, let_time_pass, list, names, read, text};
use crate::harness::{Client, assert_error};

/// The stages of a pipeline by name, in their order. Fails unless their
/// positions are 0, 1, 2 …
#[track_caller]
fn stages(client: &Client, pipeline: &str) -> Vec<String> {
    let answer = client
        .get(&format!("/pipelines/{pipeline}/stages"))
        .expect(200);
    let data = answer.data();
    let positions: Vec<_> = list(&data)
        .iter()
        .map(|stage| stage["position"].clone())
        .collect();
    assert_eq!(positions, (0..positions.len()).collect::<Vec<_>>());
    names(&answer)
}

/// The pipelines that say that they are the default one.
#[track_caller]
fn defaults(client: &Client) -> Vec<String> {
    let data = client.get("/pipelines").expect(200).data();
    let default = |pipeline: &&Value| pipeline["is_default"] == json!(true);
    list(&data)
        .iter()
        .filter(default)
        .map(|pipeline| text(&pipeline["name"]))
        .collect()
}

/// The rows of a sum in the order of their currencies.
#[track_caller]
fn by_currency(sum: &Value) -> Value {
    let mut rows = list(&sum["by_currency"]).to_vec();
    rows.sort_by_key(|row| text(&row["currency"]));
    Value::Array(rows)
}

/// A row of a sum.
fn worth(currency: &str, total: f64, weighted: f64) -> Value {
    json!({"currency": currency, "total_value": total, "weighted_value": weighted})
}

/// The opportunities of a stage, in the order of their cards.
#[track_caller]
fn column(client: &Client, stage: &str) -> Vec<String> {
    let data = client
        .get(&format!("/opportunities?stage_id={stage}&limit=100"))
        .expect(200)
        .data();
    let mut cards: Vec<_> = list(&data)
        .iter()
        .map(|opportunity| {
            let placements = list(&opportunity["placements"]);
            let card = placements
                .iter()
                .find(|card| card["stage_id"] == *stage)
                .expect("its card");
            (card["position"].as_u64(), text(&opportunity["name"]))
        })
        .collect();
    cards.sort_unstable();
    cards.into_iter().map(|(_, name)| name).collect()
}

on_both_engines! {
    fn a_workspace_begins_with_a_pipeline_that_can_be_used(server: &Server) {
        let client = server.client();
        let listed = client.get("/pipelines").expect(200);
        let pipeline = &listed.data()[0];
        assert_eq!(listed.ids().len(), 1);
        assert_eq!(pipeline["is_default"], true);
        let id = text(&pipeline["id"]);
        assert_eq!(
            stages(&client, &id),
            [
                "Lead",
                "Qualified",
                "Proposal",
                "Negotiation",
                "Won",
                "Lost"
            ]
        );
        let rows = client
            .get(&format!("/pipelines/{id}/stages"))
            .expect(200)
            .data();
        for stage in list(&rows) {
            assert_eq!(stage["is_won_stage"], stage["name"] == "Won", "{stage}");
            assert_eq!(stage["is_lost_stage"], stage["name"] == "Lost", "{stage}");
        }
    }

    fn a_pipeline_is_created_read_changed_and_deleted(server: &Server) {
        let client = server.client();
        let made = client
            .post(
                "/pipelines",
                json!({"name": " Projects ", "description": "After the sale"}),
            )
            .expect(201)
            .data();
        assert_eq!(
            made,
            json!({
                "id": made["id"],
                "name": "Projects",
                "description": "After the sale",
                "position": 1,
                "is_default": false,
                "created_at": made["created_at"],
                "updated_at": made["created_at"],
            })
        );
        instant(&made["created_at"]);
        let id = text(&made["id"]);
        let mut whole = made.clone();
        whole["stages"] = json!([]);
        assert_eq!(read(&client, "/pipelines", &id), whole);
        assert_eq!(client.get("/pipelines").expect(200).data()[0], made);

        let path = format!("/pipelines/{id}");
        let_time_pass(&made["updated_at"]);
        let changed = client
            .patch(
                &path,
                json!({"name": "Jobs", "description": null, "position": 5}),
            )
            .expect(200)
            .data();
        assert_eq!(
            (
                &changed["name"],
                &changed["description"],
                &changed["position"]
            ),
            (&json!("Jobs"), &Value::Null, &json!(5))
        );
        assert!(instant(&changed["updated_at"]) > instant(&made["updated_at"]));

        assert_error(
            &client.post("/pipelines", json!({"description": "x"})),
            400,
            "MISSING_FIELDS",
            &["name"],
        );
        assert_error(
            &client.patch(&path, json!({"name": " "})),
            400,
            "MISSING_FIELDS",
            &["name"],
        );
        assert_error(
            &client.patch(&path, json!({"name": 7, "is_default": "yes"})),
            400,
            "VALIDATION_ERROR",
            &["name", "is_default"],
        );

        assert_eq!(client.delete(&path).expect(204).text, "");
        for gone in [
            client.get(&path),
            client.delete(&path),
            client.get(&format!("{path}/stages")),
            client.get(&format!("{path}/summary")),
        ] {
            assert_error(&gone, 404, "NOT_FOUND", &[]);
        }
    }

    fn there_is_one_default_pipeline(server: &Server) {
        let client = server.client();
        let second = create(
            &client,
            "/pipelines",
            json!({"name": "Projects", "is_default": true}),
        );
        assert_eq!(defaults(&client), ["Projects"]);
        let third = create(&client, "/pipelines", json!({"name": "Service"}));
        assert_eq!(defaults(&client), ["Projects"]);
        client
            .patch(&format!("/pipelines/{third}"), json!({"is_default": true}))
            .expect(200);
        assert_eq!(defaults(&client), ["Service"]);
        client
            .patch(&format!("/pipelines/{second}"), json!({"name": "Jobs"}))
            .expect(200);
        assert_eq!(defaults(&client), ["Service"]);
    }

    fn a_stage_is_created_read_changed_and_deleted(server: &Server) {
        let client = server.client();
        let pipeline = create(&client, "/pipelines", json!({"name": "Projects"}));
        let path = format!("/pipelines/{pipeline}/stages");
        let sent = json!({
            "name": "Planned",
            "color": "#112233",
            "probability": 12.5,
            "is_won_stage": true,
        });
        let made = client.post(&path, sent).expect(201).data();
        assert_eq!(
            made,
            json!({
                "id": made["id"],
                "pipeline_id": pipeline,
                "name": "Planned",
                "color": "#112233",
                "position": 0,
                "probability": 12.5,
                "is_won_stage": true,
                "is_lost_stage": false,
                "deal_count": 0,
                "created_at": made["created_at"],
                "updated_at": made["created_at"],
            })
        );
        let id = text(&made["id"]);
        assert_eq!(client.get(&path).expect(200).data(), json!([made]));
        assert_eq!(
            read(&client, "/pipelines", &pipeline)["stages"],
            json!([made])
        );

        let stage = format!("{path}/{id}");
        let changes = json!({
            "name": "Built",
            "probability": null,
            "is_won_stage": false,
            "is_lost_stage": true,
        });
        let changed = client.patch(&stage, changes).expect(200).data();
        assert_eq!(
            (&changed["name"], &changed["probability"]),
            (&json!("Built"), &Value::Null)
        );
        assert_eq!(
            (&changed["is_won_stage"], &changed["is_lost_stage"]),
            (&json!(false), &json!(true))
        );
        assert_eq!(changed["color"], "#112233");
        assert_eq!(client.get(&path).expect(200).data(), json!([changed]));

        let plain = client
            .post(&path, json!({"name": "Plain"}))
            .expect(201)
            .data();
        assert_eq!(
            (
                &plain["position"],
                &plain["is_won_stage"],
                &plain["is_lost_stage"]
            ),
            (&json!(1), &json!(false), &json!(false))
        );

        assert_error(
            &client.post(&path, json!({})),
            400,
            "MISSING_FIELDS",
            &["name"],
        );
        let wrong = json!({"name": "x".repeat(256), "probability": 101, "position": "first"});
        assert_error(
            &client.post(&path, wrong),
            400,
            "VALIDATION_ERROR",
            &["name", "probability", "position"],
        );
        let elsewhere = format!("/pipelines/{NOBODY}/stages");
        assert_error(
            &client.post(&elsewhere, json!({"name": "Lost"})),
            404,
            "NOT_FOUND",
            &[],
        );

        client.delete(&stage).expect(204);
        assert_eq!(stages(&client, &pipeline), ["Plain"]);
        assert_error(&client.get(&stage), 404, "NOT_FOUND", &[]);
        assert_error(&client.delete(&stage), 404, "NOT_FOUND", &[]);
    }

    fn a_stage_is_reached_through_its_own_pipeline_only(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let projects = Pipeline::create(&client, "Projects", &["Planned"]);
        let path = format!(
            "/pipelines/{}/stages/{}",
            sales.id,
            projects.stage("Planned")
        );
        assert_error(&client.get(&path), 404, "NOT_FOUND", &[]);
        assert_error(
            &client.patch(&path, json!({"name": "Stolen"})),
            404,
            "NOT_FOUND",
            &[],
        );
        assert_error(&client.delete(&path), 404, "NOT_FOUND", &[]);
        assert_eq!(stages(&client, &projects.id), ["Planned"]);
    }

    fn stages_stand_where_they_are_put(server: &Server) {
        let client = server.client();
        let pipeline = Pipeline::create(&client, "Projects", &["A", "B", "C"]);
        let path = format!("/pipelines/{}/stages", pipeline.id);
        for (name, position) in [("First", 0), ("Third", 2), ("Last", 99)] {
            create(&client, &path, json!({"name": name, "position": position}));
        }
        assert_eq!(
            stages(&client, &pipeline.id),
            ["First", "A", "Third", "B", "C", "Last"]
        );
        client
            .patch(
                &format!("{path}/{}", pipeline.stage("C")),
                json!({"position": 1}),
            )
            .expect(200);
        assert_eq!(
            stages(&client, &pipeline.id),
            ["First", "C", "A", "Third", "B", "Last"]
        );
        client
            .delete(&format!("{path}/{}", pipeline.stage("A")))
            .expect(204);
        assert_eq!(
            stages(&client, &pipeline.id),
            ["First", "C", "Third", "B", "Last"]
        );
    }

    fn a_new_order_names_every_stage_exactly_once(server: &Server) {
        let client = server.client();
        let pipeline = Pipeline::create(&client, "Projects", &["A", "B", "C"]);
        let other = Pipeline::create(&client, "Service", &["D"]);
        let [a, b, c] = ["A", "B", "C"].map(|name| pipeline.stage(name));
        let path = format!("/pipelines/{}/stages/reorder", pipeline.id);

        let answer = client
            .post(&path, json!({"stage_ids": [c, a, b]}))
            .expect(200);
        assert_eq!(names(&answer), ["C", "A", "B"]);
        assert_eq!(stages(&client, &pipeline.id), ["C", "A", "B"]);

        for wrong in [
            json!([a, b]),
            json!([a, b, c, c]),
            json!([a, b, b]),
            json!([a, b, NOBODY]),
            json!([a, b, other.stage("D")]),
            json!([a, b, c, other.stage("D")]),
            json!([a, b, "c"]),
            json!([]),
            json!("A"),
        ] {
            let refused = client.post(&path, json!({"stage_ids": wrong}));
            assert_error(&refused, 400, "VALIDATION_ERROR", &["stage_ids"]);
        }
        assert_error(
            &client.post(&path, json!({})),
            400,
            "MISSING_FIELDS",
            &["stage_ids"],
        );
        assert_eq!(stages(&client, &pipeline.id), ["C", "A", "B"]);
    }

    fn each_stage_counts_the_cards_in_it(server: &Server) {
        let client = server.client();
        let pipeline = Pipeline::create(&client, "Projects", &["A", "B"]);
        let counts = || {
            let of = |rows: &Value| {
                list(rows)
                    .iter()
                    .map(|row| row["deal_count"].clone())
                    .collect::<Vec<_>>()
            };
            let listed = of(&client
                .get(&format!("/pipelines/{}/stages", pipeline.id))
                .expect(200)
                .data());
            assert_eq!(
                of(&read(&client, "/pipelines", &pipeline.id)["stages"]),
                listed
            );
            listed
        };
        assert_eq!(counts(), [0, 0]);
        let [first, second] = ["First", "Second"].map(|name| {
            create(
                &client,
                "/opportunities",
                json!({"name": name, "pipeline_id": pipeline.id}),
            )
        });
        assert_eq!(counts(), [2, 0]);
        client
            .post(
                &format!("/opportunities/{first}/move"),
                pipeline.target("B"),
            )
            .expect(200);
        assert_eq!(counts(), [1, 1]);
        client
            .delete(&format!("/opportunities/{second}"))
            .expect(204);
        assert_eq!(counts(), [0, 1]);
    }

    fn a_stage_with_cards_is_deleted_only_if_another_takes_them(server: &Server) {
        let client = server.client();
        let pipeline = Pipeline::create(&client, "Projects", &["A", "B", "C"]);
        let won = create(
            &client,
            &format!("/pipelines/{}/stages", pipeline.id),
            json!({"name": "Won", "is_won_stage": true}),
        );
        for name in ["Two", "One"] {
            create(
                &client,
                "/opportunities",
                json!({"name": name, "stage_id": pipeline.stage("A")}),
            );
        }
        create(
            &client,
            "/opportunities",
            json!({"name": "Zero", "stage_id": pipeline.stage("B")}),
        );
        let stage =
            |name: &str| format!("/pipelines/{}/stages/{}", pipeline.id, pipeline.stage(name));

        let refused = client.delete(&stage("A"));
        assert_error(&refused, 409, "CONFLICT", &[]);
        assert!(refused.text.contains("move_to"), "{}", refused.text);
        for (target, status, code) in [
            (pipeline.stage("A"), 400, "VALIDATION_ERROR"),
            ("elsewhere", 400, "VALIDATION_ERROR"),
            (NOBODY, 404, "NOT_FOUND"),
        ] {
            assert_error(
                &client.delete(&format!("{}?move_to={target}", stage("A"))),
                status,
                code,
                &[],
            );
        }
        assert_eq!(column(&client, pipeline.stage("A")), ["One", "Two"]);

        client
            .delete(&format!("{}?move_to={}", stage("A"), pipeline.stage("B")))
            .expect(204);
        assert_eq!(stages(&client, &pipeline.id), ["B", "C", "Won"]);
        assert_eq!(column(&client, pipeline.stage("B")), ["One", "Two", "Zero"]);
        client.delete(&stage("C")).expect(204);

        // Where they go decides their status, as any move does.
        client
            .delete(&format!("{}?move_to={won}", stage("B")))
            .expect(204);
        assert_eq!(column(&client, &won), ["One", "Two", "Zero"]);
        assert_eq!(
            client
                .get("/opportunities?status=won")
                .expect(200)
                .ids()
                .len(),
            3
        );
    }

    fn a_pipeline_with_cards_is_deleted_only_if_another_takes_them(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let projects = Pipeline::create(&client, "Projects", &["A", "B"]);
        create(
            &client,
            "/opportunities",
            json!({"name": "Below", "stage_id": projects.stage("B")}),
        );
        create(
            &client,
            "/opportunities",
            json!({"name": "Above", "stage_id": projects.stage("A")}),
        );
        let both = create(
            &client,
            "/opportunities",
            json!({"name": "In both", "stage_id": projects.stage("A")}),
        );
        client
            .post(
                &format!("/opportunities/{both}/add-card"),
                sales.target("Qualified"),
            )
            .expect(200);
        let path = format!("/pipelines/{}", projects.id);

        let refused = client.delete(&path);
        assert_error(&refused, 409, "CONFLICT", &[]);
        assert!(refused.text.contains("move_to"), "{}", refused.text);
        for (target, status, code) in [
            (projects.stage("B"), 400, "VALIDATION_ERROR"),
            ("elsewhere", 400, "VALIDATION_ERROR"),
            (NOBODY, 404, "NOT_FOUND"),
        ] {
            assert_error(
                &client.delete(&format!("{path}?move_to={target}")),
                status,
                code,
                &[],
            );
        }
        assert_eq!(column(&client, projects.stage("A")), ["In both", "Above"]);

        client
            .delete(&format!("{path}?move_to={}", sales.stage("Lead")))
            .expect(204);
        assert_error(&client.get(&path), 404, "NOT_FOUND", &[]);
        let data = client.get("/opportunities").expect(200).data();
        for opportunity in list(&data) {
            let cards = list(&opportunity["placements"]);
            assert_eq!(cards.len(), 1, "{opportunity}");
            assert_eq!(cards[0]["pipeline_id"], *sales.id);
        }
        let lead = column(&client, sales.stage("Lead"));
        assert!(
            lead.starts_with(&["Above".to_owned(), "Below".to_owned()]),
            "{lead:?}"
        );
    }

    fn the_opportunities_of_a_pipeline_are_listed_under_both_names(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let projects = Pipeline::create(&client, "Projects", &["Planned"]);
        let id = create(
            &client,
            "/opportunities",
            json!({"name": "Fence", "stage_id": projects.stage("Planned")}),
        );
        create(
            &client,
            "/opportunities",
            json!({"name": "Deck", "stage_id": sales.stage("Lead")}),
        );
        for name in ["opportunities", "deals"] {
            let listed = client
                .get(&format!("/pipelines/{}/{name}", projects.id))
                .expect(200);
            assert_eq!(listed.data(), json!([read(&client, "/opportunities", &id)]));
            assert_error(
                &client.get(&format!("/pipelines/{NOBODY}/{name}")),
                404,
                "NOT_FOUND",
                &[],
            );
        }
    }

    fn a_summary_adds_up_each_stage_and_currency_exactly(server: &Server) {
        let client = server.client();
        let pipeline = create(&client, "/pipelines", json!({"name": "Projects"}));
        let stages = format!("/pipelines/{pipeline}/stages");
        let quoted = create(
            &client,
            &stages,
            json!({"name": "Quoted", "probability": 50}),
        );
        let signed = create(
            &client,
            &stages,
            json!({"name": "Signed", "probability": 12.5}),
        );
        let empty = create(
            &client,
            &stages,
            json!({"name": "Empty", "probability": 100}),
        );
        for (stage, value, currency, probability) in [
            // 100.10 × 50 % + 0.20 × 25 % + 7 × 0 %, and one worth nothing yet.
            (&quoted, json!(100.10), "AUD", Value::Null),
            (&quoted, json!(0.20), "AUD", json!(25)),
            (&quoted, json!(7), "AUD", json!(0)),
            (&quoted, Value::Null, "AUD", json!(100)),
            // 0.1 and 0.2 are 0.3.
            (&quoted, json!(0.1), "EUR", json!(100)),
            (&quoted, json!(0.2), "EUR", json!(100)),
            // 80 × 12.5 % + 1000.0008 × 100 %.
            (&signed, json!(80), "AUD", Value::Null),
            (&signed, json!(1000.0008), "AUD", json!(100)),
        ] {
            let body = json!({
                "name": "Fence",
                "stage_id": stage,
                "value": value,
                "currency": currency,
                "probability": probability,
            });
            create(&client, "/opportunities", body);
        }
        // What stands elsewhere does not count.
        create(
            &client,
            "/opportunities",
            json!({"name": "Deck", "value": 5000}),
        );

        let mut summary = client
            .get(&format!("/pipelines/{pipeline}/summary"))
            .expect(200)
            .data();
        for sum in summary["stages"].as_array_mut().expect("a list of stages") {
            sum["by_currency"] = by_currency(sum);
        }
        summary["totals"]["by_currency"] = by_currency(&summary["totals"]);
        assert_eq!(
            summary,
            json!({
                "pipeline_id": pipeline,
                "name": "Projects",
                "stages": [
                    {
                        "stage_id": quoted,
                        "name": "Quoted",
                        "position": 0,
                        "deal_count": 6,
                        "by_currency": [
                            worth("AUD", 107.3, 50.1),
                            worth("EUR", 0.3, 0.3),
                        ],
                    },
                    {
                        "stage_id": signed,
                        "name": "Signed",
                        "position": 1,
                        "deal_count": 2,
                        "by_currency": [worth("AUD", 1080.0008, 1010.0008)],
                    },
                    {
                        "stage_id": empty,
                        "name": "Empty",
                        "position": 2,
                        "deal_count": 0,
                        "by_currency": [],
                    },
                ],
                "totals": {
                    "deal_count": 8,
                    "by_currency": [
                        worth("AUD", 1187.3008, 1060.1008),
                        worth("EUR", 0.3, 0.3),
                    ],
                },
            })
        );
    }

    fn large_amounts_are_summed_to_the_last_digit(server: &Server) {
        let client = server.client();
        let pipeline = Pipeline::default_of(&client);
        let stage = pipeline.stage("Lead");
        // More digits than a float has.
        let value = "900719925474099.1234";
        let body = format!(
            r#"{{"name": "Fence", "value": {value}, "probability": 50, "stage_id": "{stage}"}}"#
        );
        for _ in 0..2 {
            let made = client
                .raw(
                    "POST",
                    "/opportunities",
                    &[("content-type", "application/json")],
                    body.as_bytes(),
                )
                .expect(201);
            assert!(
                made.text.contains(&format!(r#""value":{value},"#)),
                "{}",
                made.text
            );
        }
        let summary = client
            .get(&format!("/pipelines/{}/summary", pipeline.id))
            .expect(200)
            .text;
        for sum in [
            r#""total_value":1801439850948198.2468"#,
            r#""weighted_value":900719925474099.1234"#,
        ] {
            // Of its stage, and of all of them.
            assert_eq!(summary.matches(sum).count(), 2, "{summary}");
        }
    }
}
