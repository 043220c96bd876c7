//! Cards: how an opportunity moves through its pipelines.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::fixtures::{NOBODY, Pipeline, create, instant, let_time_pass, list, read, text};
use crate::harness::{Answer, Client, assert_error};

/// A new opportunity in a stage.
#[track_caller]
fn standing_in(client: &Client, stage: &str) -> String {
    create(
        client,
        "/opportunities",
        json!({"name": "Fence", "stage_id": stage}),
    )
}

/// The body of a move to an index in a stage.
fn at(mut target: Value, position: i64) -> Value {
    target["position"] = json!(position);
    target
}

fn shift(client: &Client, id: &str, target: Value) -> Answer {
    client.post(&format!("/opportunities/{id}/move"), target)
}

fn add_card(client: &Client, id: &str, target: Value) -> Answer {
    client.post(&format!("/opportunities/{id}/add-card"), target)
}

/// The opportunities in each stage of a pipeline, in the order of their cards.
/// Fails unless the positions are 0, 1, 2 … in every stage.
#[track_caller]
fn board(client: &Client, pipeline: &Pipeline) -> HashMap<String, Vec<String>> {
    let opportunities = client
        .get(&format!(
            "/opportunities?pipeline_id={}&limit=100",
            pipeline.id
        ))
        .expect(200)
        .data();
    let mut cards: HashMap<String, Vec<(u64, String)>> = HashMap::new();
    for opportunity in list(&opportunities) {
        for card in list(&opportunity["placements"]) {
            let position = card["position"].as_u64().expect("an index");
            let id = text(&opportunity["id"]);
            cards
                .entry(text(&card["stage_id"]))
                .or_default()
                .push((position, id));
        }
    }
    let order = |(stage, mut cards): (String, Vec<(u64, String)>)| {
        cards.sort_unstable();
        let (positions, ids): (Vec<_>, Vec<_>) = cards.into_iter().unzip();
        assert!(
            positions.iter().copied().eq(0..ids.len() as u64),
            "{positions:?} in {stage}"
        );
        (stage, ids)
    };
    cards.into_iter().map(order).collect()
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

on_both_engines! {
    fn a_move_answers_the_one_card_that_there_is_afterwards(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let projects = Pipeline::create(&client, "Projects", &["Planned", "Built"]);
        let id = create(&client, "/opportunities", json!({"name": "Fence"}));

        let card = shift(&client, &id, sales.target("Lead")).expect(200).data();
        assert_eq!(
            card,
            json!({
                "id": card["id"],
                "deal_id": id,
                "pipeline_id": sales.id,
                "stage_id": sales.stage("Lead"),
                "position": 0,
                "entered_stage_at": card["entered_stage_at"],
                "crm_pipelines": {"id": sales.id, "name": "Sales"},
                "crm_pipeline_stages": {
                    "id": sales.stage("Lead"),
                    "name": "Lead",
                    "color": card["crm_pipeline_stages"]["color"],
                    "position": 0,
                    "is_won_stage": false,
                    "is_lost_stage": false,
                },
            })
        );
        for (pipeline, stage) in [(&sales, "Proposal"), (&projects, "Built"), (&sales, "Lead")] {
            let card = shift(&client, &id, pipeline.target(stage))
                .expect(200)
                .data();
            assert_eq!(card["pipeline_id"], *pipeline.id);
            assert_eq!(card["stage_id"], *pipeline.stage(stage));
            assert_eq!(
                read(&client, "/opportunities", &id)["placements"],
                json!([card])
            );
        }

        add_card(&client, &id, projects.target("Planned")).expect(200);
        let card = shift(&client, &id, sales.target("Qualified"))
            .expect(200)
            .data();
        assert_eq!(
            read(&client, "/opportunities", &id)["placements"],
            json!([card])
        );
    }

    fn an_added_card_leaves_the_cards_in_other_pipelines_where_they_are(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let projects = Pipeline::create(&client, "Projects", &["Planned", "Built"]);
        let id = standing_in(&client, sales.stage("Proposal"));
        let first = read(&client, "/opportunities", &id)["placements"][0].clone();

        let second = add_card(&client, &id, projects.target("Planned"))
            .expect(200)
            .data();
        assert_eq!(second["stage_id"], projects.stage("Planned"));
        assert_ne!(second["id"], first["id"]);
        assert_eq!(
            read(&client, "/opportunities", &id)["placements"],
            json!([first, second])
        );

        let moved = add_card(&client, &id, projects.target("Built"))
            .expect(200)
            .data();
        assert_eq!(moved["id"], second["id"]);
        assert_eq!(moved["stage_id"], projects.stage("Built"));
        assert_eq!(
            read(&client, "/opportunities", &id)["placements"],
            json!([first, moved])
        );

        for (pipeline, other) in [(&sales, "Lead"), (&projects, "Planned")] {
            let listed = client
                .get(&format!("/opportunities?pipeline_id={}", pipeline.id))
                .expect(200);
            assert_eq!(listed.ids(), [id.as_str()]);
            let elsewhere = client
                .get(&format!(
                    "/opportunities?stage_id={}",
                    pipeline.stage(other)
                ))
                .expect(200);
            assert_eq!(elsewhere.data(), json!([]));
        }
    }

    fn a_stage_that_is_won_or_lost_closes_what_enters_and_reopens_what_leaves(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let outcomes = [
            ("Won", "won", "won_at", "lost_at"),
            ("Lost", "lost", "lost_at", "won_at"),
        ];
        for (stage, status, set, unset) in outcomes {
            let id = standing_in(&client, sales.stage("Lead"));
            shift(&client, &id, sales.target(stage)).expect(200);
            let closed = read(&client, "/opportunities", &id);
            assert_eq!(closed["status"], status);
            assert!(instant(&closed[set]) >= instant(&closed["created_at"]));
            assert_eq!(closed[unset], Value::Null);
            assert!(closed["actual_close_date"].is_string(), "{closed}");

            shift(&client, &id, sales.target("Negotiation")).expect(200);
            let open = read(&client, "/opportunities", &id);
            assert_eq!(open["status"], "open");
            for date in ["won_at", "lost_at", "actual_close_date"] {
                assert_eq!(open[date], Value::Null, "{date}");
            }
        }
    }

    fn from_won_to_lost_the_dates_change_sides(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let id = create(
            &client,
            "/opportunities",
            json!({
                "name": "Fence",
                "stage_id": sales.stage("Won"),
                "actual_close_date": "2026-01-31",
            }),
        );
        let won = read(&client, "/opportunities", &id);
        assert_eq!(
            (&won["status"], &won["lost_at"]),
            (&json!("won"), &Value::Null)
        );
        instant(&won["won_at"]);

        shift(&client, &id, sales.target("Lost")).expect(200);
        let lost = read(&client, "/opportunities", &id);
        assert_eq!(
            (&lost["status"], &lost["won_at"]),
            (&json!("lost"), &Value::Null)
        );
        instant(&lost["lost_at"]);

        // The date was the user's own, so that reopening leaves it.
        shift(&client, &id, sales.target("Lead")).expect(200);
        let open = read(&client, "/opportunities", &id);
        assert_eq!(
            (&open["status"], &open["lost_at"]),
            (&json!("open"), &Value::Null)
        );
        assert_eq!(
            [&won, &lost, &open].map(|record| &record["actual_close_date"]),
            ["2026-01-31"; 3]
        );
    }

    fn an_ordinary_move_leaves_a_status_that_was_set_by_hand(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let id = standing_in(&client, sales.stage("Lead"));
        client
            .patch(&format!("/opportunities/{id}"), json!({"status": "won"}))
            .expect(200);
        let won = read(&client, "/opportunities", &id);

        shift(&client, &id, sales.target("Qualified")).expect(200);
        let still = read(&client, "/opportunities", &id);
        assert_eq!(
            (&still["status"], &still["won_at"]),
            (&json!("won"), &won["won_at"])
        );
    }

    fn a_stage_of_another_pipeline_is_refused_everywhere(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let projects = Pipeline::create(&client, "Projects", &["Planned"]);
        let id = standing_in(&client, sales.stage("Lead"));
        let before = read(&client, "/opportunities", &id);

        let mixed = json!({"pipeline_id": sales.id, "stage_id": projects.stage("Planned")});
        let with = |name: &str, value: Value| {
            let mut body = mixed.clone();
            body[name] = value;
            body
        };
        for (path, body) in [
            (format!("/opportunities/{id}/move"), mixed.clone()),
            (format!("/opportunities/{id}/add-card"), mixed.clone()),
            ("/opportunities".to_owned(), with("name", json!("Deck"))),
            (
                "/opportunities/bulk-move".to_owned(),
                with("ids", json!([id])),
            ),
            (
                "/opportunities/bulk-create".to_owned(),
                with("records", json!([{"name": "Deck"}])),
            ),
        ] {
            assert_error(
                &client.post(&path, body),
                400,
                "VALIDATION_ERROR",
                &["stage_id"],
            );
        }
        let filter = format!(
            "/opportunities?pipeline_id={}&stage_id={}",
            sales.id,
            projects.stage("Planned")
        );
        assert_error(&client.get(&filter), 400, "VALIDATION_ERROR", &["stage_id"]);
        let records = json!({"records": [with("name", json!("Deck"))]});
        let data = client
            .post("/opportunities/bulk-create", records)
            .expect(200)
            .data();
        assert_eq!(data["errors"][0]["code"], "VALIDATION_ERROR");

        assert_eq!(
            client.get("/opportunities").expect(200).data(),
            json!([before])
        );
    }

    fn a_move_needs_a_pipeline_and_a_stage_that_exist(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let id = standing_in(&client, sales.stage("Lead"));
        let before = read(&client, "/opportunities", &id);
        for route in ["move", "add-card"] {
            let path = format!("/opportunities/{id}/{route}");
            assert_error(
                &client.post(&path, json!({})),
                400,
                "MISSING_FIELDS",
                &["pipeline_id", "stage_id"],
            );
            let malformed = json!({"pipeline_id": "sales", "stage_id": 7, "position": "top"});
            assert_error(
                &client.post(&path, malformed),
                400,
                "VALIDATION_ERROR",
                &["pipeline_id", "stage_id", "position"],
            );
            let unknown = json!({"pipeline_id": sales.id, "stage_id": NOBODY});
            assert_error(&client.post(&path, unknown), 404, "NOT_FOUND", &[]);
            let unknown = format!("/opportunities/{NOBODY}/{route}");
            assert_error(
                &client.post(&unknown, sales.target("Lead")),
                404,
                "NOT_FOUND",
                &[],
            );
        }
        assert_eq!(read(&client, "/opportunities", &id), before);
    }

    fn a_new_card_goes_on_top_unless_a_position_is_given(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let stage = sales.stage("Lead");
        let bottom = standing_in(&client, stage);
        let top = standing_in(&client, stage);
        let middle = client
            .post(
                "/opportunities",
                json!({"name": "Middle", "stage_id": stage, "position": 1}),
            )
            .expect(201);
        assert_eq!(middle.data()["placements"][0]["position"], 1);
        assert_eq!(board(&client, &sales)[stage], [top, middle.id(), bottom]);
    }

    fn a_position_is_clamped_to_the_stage(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let stage = sales.stage("Lead");
        let third = standing_in(&client, stage);
        let second = standing_in(&client, stage);
        let first = standing_in(&client, stage);
        let newcomer = create(&client, "/opportunities", json!({"name": "Newcomer"}));
        for (position, index) in [
            (99, 3),
            (i64::MAX, 3),
            (3, 3),
            (2, 2),
            (-1, 0),
            (1, 1),
            (i64::MIN, 0),
        ] {
            for act in [shift, add_card] {
                let card = act(&client, &newcomer, at(sales.target("Lead"), position))
                    .expect(200)
                    .data();
                assert_eq!(card["position"], index, "asked for {position}");
            }
            let mut expected = vec![first.clone(), second.clone(), third.clone()];
            expected.insert(index, newcomer.clone());
            assert_eq!(
                board(&client, &sales)[stage],
                expected,
                "asked for {position}"
            );
        }
    }

    fn a_move_to_where_the_card_stands_keeps_when_it_entered(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let id = standing_in(&client, sales.stage("Won"));
        standing_in(&client, sales.stage("Won"));
        let before = read(&client, "/opportunities", &id);
        let entered = &before["placements"][0]["entered_stage_at"];
        let_time_pass(entered);

        for act in [shift, add_card] {
            for position in [1, 0] {
                let card = act(&client, &id, at(sales.target("Won"), position))
                    .expect(200)
                    .data();
                assert_eq!(&card["entered_stage_at"], entered);
                assert_eq!(card["position"], position);
            }
        }
        assert_eq!(
            read(&client, "/opportunities", &id)["won_at"],
            before["won_at"]
        );

        let elsewhere = shift(&client, &id, sales.target("Lead")).expect(200).data();
        assert!(instant(&elsewhere["entered_stage_at"]) > instant(entered));
        let_time_pass(&elsewhere["entered_stage_at"]);
        let back = shift(&client, &id, sales.target("Won")).expect(200).data();
        assert!(instant(&back["entered_stage_at"]) > instant(&elsewhere["entered_stage_at"]));
    }

    fn a_thousand_random_moves_leave_every_stage_in_order(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let names = ["Lead", "Qualified", "Proposal", "Won"];
        let mut expected: Vec<Vec<String>> = names.iter().map(|_| Vec::new()).collect();
        let ids: Vec<_> = (0..20)
            .map(|_| standing_in(&client, sales.stage(names[0])))
            .collect();
        expected[0] = ids.iter().rev().cloned().collect();

        let mut dice = Dice(7);
        for step in 1..=1_000 {
            let id = &ids[dice.below(ids.len())];
            // Half of all moves go to one stage, so that it gets crowded.
            let stage = dice.below(2) * dice.below(names.len());
            let position = dice.below(24) as i64 - 2;
            for cards in &mut expected {
                cards.retain(|card| card != id);
            }
            let cards = &mut expected[stage];
            let index = usize::try_from(position).unwrap_or(0).min(cards.len());
            cards.insert(index, id.clone());

            let act = if dice.below(4) == 0 { add_card } else { shift };
            let card = act(&client, id, at(sales.target(names[stage]), position))
                .expect(200)
                .data();
            assert_eq!(card["position"], index, "step {step}");
            if step % 50 == 0 {
                let mut seen = board(&client, &sales);
                for (name, cards) in names.iter().zip(&expected) {
                    let seen = seen.remove(sales.stage(name)).unwrap_or_default();
                    assert_eq!(seen, *cards, "{name} after {step} moves");
                }
            }
        }
    }

    fn a_status_follows_the_card_that_moves_whatever_other_cards_there_are(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let projects = Pipeline::create(&client, "Projects", &["Planned", "Built"]);
        let id = standing_in(&client, sales.stage("Lead"));
        let status = || text(&read(&client, "/opportunities", &id)["status"]);

        add_card(&client, &id, sales.target("Won")).expect(200);
        assert_eq!(status(), "won");
        // After the sale comes the project: that reopens nothing.
        for stage in ["Planned", "Built"] {
            add_card(&client, &id, projects.target(stage)).expect(200);
            assert_eq!(status(), "won", "{stage}");
        }
        // The one card that is left stands in no won stage.
        shift(&client, &id, projects.target("Built")).expect(200);
        assert_eq!(status(), "open");
    }

    fn moves_at_once_leave_every_stage_in_order(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let names = ["Lead", "Qualified"];
        let ids: Vec<_> = (0..8)
            .map(|_| standing_in(&client, sales.stage("Lead")))
            .collect();
        std::thread::scope(|scope| {
            for seed in 0..4 {
                let (client, sales, ids) = (&client, &sales, &ids);
                scope.spawn(move || {
                    let mut dice = Dice(seed);
                    for _ in 0..25 {
                        let id = &ids[dice.below(ids.len())];
                        let target = sales.target(names[dice.below(names.len())]);
                        shift(client, id, at(target, dice.below(8) as i64)).expect(200);
                    }
                });
            }
        });
        let board = board(&client, &sales);
        let mut cards: Vec<_> = board.into_values().flatten().collect();
        cards.sort_unstable();
        assert_eq!(cards, ids);
    }

    fn moving_many_reports_those_that_could_not_be_moved(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let projects = Pipeline::create(&client, "Projects", &["Planned"]);
        let here = standing_in(&client, sales.stage("Lead"));
        let elsewhere = standing_in(&client, projects.stage("Planned"));
        let nowhere = create(&client, "/opportunities", json!({"name": "Fence"}));
        let ids = json!([here, NOBODY, elsewhere, here, nowhere]);

        let mut body = sales.target("Won");
        body["ids"] = ids;
        let data = client
            .post("/opportunities/bulk-move", body)
            .expect(200)
            .data();
        let failure = &data["failed"][0];
        assert_eq!(
            data,
            json!({
                "success": false,
                "moved": 3,
                "failed": [{"id": NOBODY, "code": "NOT_FOUND", "message": failure["message"]}],
            })
        );
        assert!(!text(&failure["message"]).is_empty());
        for id in [&here, &elsewhere, &nowhere] {
            let record = read(&client, "/opportunities", id);
            assert_eq!(record["status"], "won");
            let cards = list(&record["placements"]);
            assert_eq!(cards.len(), 1);
            assert_eq!(cards[0]["stage_id"], sales.stage("Won"));
        }
        assert_eq!(board(&client, &sales)[sales.stage("Won")].len(), 3);

        let mut body = sales.target("Lead");
        body["ids"] = json!([here]);
        let data = client
            .post("/opportunities/bulk-move", body)
            .expect(200)
            .data();
        assert_eq!(data, json!({"success": true, "moved": 1, "failed": []}));
        assert_eq!(read(&client, "/opportunities", &here)["status"], "open");
    }
}
