//! Cards, and how the stages and the status agree.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::json;
use store::Tx;
use uuid::Uuid;

use super::super::*;
use super::answer;
use crate::testing::{Desk, World, attempt, given, pipeline, target};
use crate::{pipelines, stages};

fn cards_in(tx: &mut Tx<'_>, desk: &Desk, names: &[&str], stage: Uuid) -> Result<Vec<Uuid>> {
    let cards = names.iter().map(|name| {
        let made = desk.create(tx, json!({ "name": name, "stage_id": stage }))?;
        Ok(made.id)
    });
    cards.collect()
}

on_both_engines! {
    fn a_new_card_goes_on_top_unless_it_says_where(tx, desk) {
        let lead = desk.lead();
        let a = desk.create(tx, json!({ "name": "a", "stage_id": lead }))?;
        assert_eq!(a.placements[0].position, 0);
        desk.create(tx, json!({ "name": "b", "stage_id": lead }))?;
        let c = desk.create(tx, json!({ "name": "c", "stage_id": lead, "position": 1 }))?;
        assert_eq!(c.placements[0].position, 1);
        desk.create(tx, json!({ "name": "d", "stage_id": lead, "position": 99 }))?;
        assert_eq!(desk.names_in(tx, lead)?, ["b", "c", "a", "d"]);
    }

    fn cards_put_at_the_same_index_again_and_again_keep_short_ranks_and_their_order(tx, desk) {
        let lead = desk.lead();
        let mut expected = vec!["top".to_owned(), "bottom".to_owned()];
        desk.create(tx, json!({ "name": "bottom", "stage_id": lead }))?;
        desk.create(tx, json!({ "name": "top", "stage_id": lead }))?;
        for number in 0..600 {
            let made = desk.create(tx, json!({
                "name": format!("{number}"), "stage_id": lead, "position": 1,
            }))?;
            assert_eq!(made.placements[0].position, 1);
            expected.insert(1, format!("{number}"));
        }
        assert_eq!(desk.names_in(tx, lead)?, expected);
        let ranks = tx.query(
            "select rank from cards where workspace_id = $1",
            &store::params![desk.who.workspace_id],
            |row| row.get::<String>(0),
        )?;
        assert!(ranks.iter().all(|rank| rank.len() <= 41), "{ranks:?}");
        // What was spread is counted as it stands.
        let last = desk.move_to(tx, desk.get_by_name(tx, "300")?, desk.won(), 0)?;
        assert_eq!(last.position, 0);
        let bottom = desk.get_by_name(tx, "bottom")?;
        assert_eq!(desk.get(tx, bottom)?.placements[0].position, 600);
    }

    fn a_placement_shows_its_pipeline_and_its_stage(tx, desk) {
        let id = desk.opportunity(tx, "Deal")?.id;
        let placement = desk.move_to(tx, id, desk.won(), 0)?;
        let shown = serde_json::to_value(&placement).unwrap();
        assert_eq!(shown, json!({
            "id": placement.id, "deal_id": id, "pipeline_id": desk.pipeline,
            "stage_id": desk.won(), "position": 0, "entered_stage_at": crate::testing::NOW,
            "crm_pipelines": { "id": desk.pipeline, "name": "Sales" },
            "crm_pipeline_stages": {
                "id": desk.won(), "name": "Won", "color": "#22c55e", "position": 4,
                "is_won_stage": true, "is_lost_stage": false,
            },
        }));
        assert_eq!(answer(&desk.get(tx, id)?)["placements"], json!([shown]));
    }

    fn a_card_is_put_where_the_call_says_among_the_others(tx, desk) {
        let lead = desk.lead();
        let ids = cards_in(tx, desk, &["d", "c", "b", "a"], lead)?;
        let a = ids[3];
        for (position, index, order) in [
            (2, 2, ["b", "c", "a", "d"]),
            (0, 0, ["a", "b", "c", "d"]),
            (1, 1, ["b", "a", "c", "d"]),
            (3, 3, ["b", "c", "d", "a"]),
            (i64::MIN, 0, ["a", "b", "c", "d"]),
            (i64::MAX, 3, ["b", "c", "d", "a"]),
        ] {
            assert_eq!(desk.move_to(tx, a, lead, position)?.position, index);
            assert_eq!(desk.names_in(tx, lead)?, order, "to {position}");
        }
    }

    fn a_move_within_the_stage_is_no_change_of_it(tx, desk) {
        let ids = cards_in(tx, desk, &["b", "a"], desk.lead())?;
        let before = answer(&desk.get(tx, ids[0])?);
        let target = desk.target(desk.lead(), 0);
        let placement = move_to(tx, &desk.later(60), ids[0], &target)?;
        assert_eq!(placement.entered_stage_at, desk.who.now);
        assert_eq!(answer(&desk.get(tx, ids[0])?)["updated_at"], before["updated_at"]);
        assert_eq!(desk.events_of(tx, ids[0])?, ["deal_created"]);
        assert!(desk.log_of(tx, ids[0])?.is_empty());
        assert_eq!(desk.names_in(tx, desk.lead())?, ["b", "a"]);
    }

    fn a_changed_stage_is_logged_and_told_with_where_it_came_from(tx, desk) {
        let id = desk.create(tx, json!({ "name": "Deal", "stage_id": desk.lead() }))?.id;
        let later = desk.later(60);
        let placement = move_to(tx, &later, id, &desk.target(desk.qualified(), 0))?;
        assert_eq!(placement.entered_stage_at, later.now);
        assert_eq!(desk.log_of(tx, id)?, [
            ("stage_id".to_owned(), json!(desk.lead()), json!(desk.qualified())),
        ]);
        let data: serde_json::Value = tx.query_one(
            "select data from events where workspace_id = $1 and trigger_type = 'stage_changed'",
            &store::params![desk.who.workspace_id],
            |row| row.get(0),
        )?;
        assert_eq!(data, json!({
            "pipeline_id": desk.pipeline, "stage_id": desk.qualified(),
            "previous_stage_id": desk.lead(),
        }));
    }

    fn after_a_move_there_is_one_card(tx, desk) {
        let (other, stages) = pipeline(tx, &desk.who, "Other", &["One", "Two"])?;
        let (third, thirds) = pipeline(tx, &desk.who, "Third", &["Only"])?;
        let id = desk.create(tx, json!({ "name": "Deal", "stage_id": desk.lead() }))?.id;
        add_card(tx, &desk.who, id, &target(other, stages[0], 0))?;
        assert_eq!(desk.get(tx, id)?.placements.len(), 2);
        let placement = move_to(tx, &desk.who, id, &target(third, thirds[0], 0))?;
        let placements = desk.get(tx, id)?.placements;
        assert_eq!(placements.len(), 1);
        assert_eq!((placements[0].id, placements[0].stage_id), (placement.id, thirds[0]));
    }

    fn add_card_leaves_the_cards_of_other_pipelines(tx, desk) {
        let (other, stages) = pipeline(tx, &desk.who, "Other", &["One", "Two"])?;
        let id = desk.create(tx, json!({ "name": "Deal", "stage_id": desk.lead() }))?.id;
        let first = add_card(tx, &desk.who, id, &target(other, stages[0], 0))?;
        let again = add_card(tx, &desk.who, id, &target(other, stages[1], 0))?;
        assert_eq!(first.id, again.id);
        let same = add_card(tx, &desk.who, id, &target(other, stages[1], 0))?;
        assert_eq!(same.position, 0);
        let places: Vec<_> = desk.get(tx, id)?.placements.iter().map(|card| card.stage_id).collect();
        assert_eq!(places, [desk.lead(), stages[1]]);
        // For the new card and for its change of stage, not for the third call.
        assert_eq!(desk.events_of(tx, id)?, ["deal_created", "stage_changed", "stage_changed"]);
    }

    fn a_stage_of_another_pipeline_is_refused_everywhere(tx, desk) {
        let (other, stages) = pipeline(tx, &desk.who, "Other", &["One"])?;
        let id = desk.opportunity(tx, "Deal")?.id;
        for wrong in [target(other, desk.lead(), 0), target(desk.pipeline, stages[0], 0)] {
            assert_eq!(attempt(tx, |tx| move_to(tx, &desk.who, id, &wrong)), "invalid: stage_id");
            assert_eq!(attempt(tx, |tx| add_card(tx, &desk.who, id, &wrong)), "invalid: stage_id");
        }
    }

    fn a_closing_stage_closes_and_an_ordinary_one_opens_again(tx, desk) {
        let id = desk.create(tx, json!({ "name": "Deal", "stage_id": desk.lead() }))?.id;
        let mut into = |stage| -> Result<serde_json::Value> {
            desk.move_to(tx, id, stage, 0)?;
            Ok(answer(&desk.get(tx, id)?))
        };
        let won = into(desk.won())?;
        assert_eq!((&won["status"], &won["won_at"]), (&json!("won"), &json!(crate::testing::NOW)));
        assert_eq!(won["actual_close_date"], "2026-03-01");
        let lost = into(desk.lost())?;
        assert_eq!((&lost["status"], &lost["won_at"]), (&json!("lost"), &json!(null)));
        assert_eq!(lost["lost_at"], crate::testing::NOW);
        let open = into(desk.lead())?;
        for field in ["won_at", "lost_at", "actual_close_date"] {
            assert_eq!(open[field], json!(null), "{field}");
        }
        assert_eq!(open["status"], "open");
        let stages = ["stage_id", "status"];
        let fields = desk.log_of(tx, id)?.into_iter().map(|(field, ..)| field);
        let fields: Vec<_> = fields.filter(|field| stages.contains(&&**field)).collect();
        assert_eq!(fields, stages.repeat(3));
        assert_eq!(
            desk.events_of(tx, id)?,
            [&["deal_created"][..], &["stage_changed", "deal_updated"].repeat(3)].concat()
        );
    }

    fn a_status_set_by_hand_outlasts_moves_between_ordinary_stages(tx, desk) {
        let id = desk.create(tx, json!({ "name": "Deal", "stage_id": desk.lead() }))?.id;
        desk.patch(tx, id, json!({ "status": "won" }))?;
        desk.move_to(tx, id, desk.qualified(), 0)?;
        assert_eq!(desk.get(tx, id)?.status, Status::Won);
    }

    fn a_move_that_takes_the_last_card_out_of_a_closing_stage_reopens(tx, desk) {
        let (other, stages) = pipeline(tx, &desk.who, "Other", &["One"])?;
        let id = desk.create(tx, json!({ "name": "Deal", "stage_id": desk.won() }))?.id;
        add_card(tx, &desk.who, id, &target(other, stages[0], 0))?;
        assert_eq!(desk.get(tx, id)?.status, Status::Won);
        // The card in the other pipeline stands there already and only stays.
        move_to(tx, &desk.who, id, &target(other, stages[0], 0))?;
        let left = desk.get(tx, id)?;
        assert_eq!((left.status, left.won_at, left.placements.len()), (Status::Open, None, 1));
    }

    fn a_pipeline_that_holds_cards_is_deleted_only_with_a_place_for_them(tx, desk) {
        let (other, others) = pipeline(tx, &desk.who, "Other", &["One", "Two"])?;
        cards_in(tx, desk, &["b", "a"], desk.lead())?;
        cards_in(tx, desk, &["d", "c"], desk.qualified())?;
        cards_in(tx, desk, &["x"], others[0])?;
        let remove = |tx: &mut Tx<'_>, to: serde_json::Value| {
            attempt(tx, |tx| pipelines::delete(tx, &desk.who, desk.pipeline, &given(to)))
        };
        assert_eq!(remove(tx, json!({})), "conflict");
        assert_eq!(remove(tx, json!({ "move_to": desk.won() })), "invalid: move_to");
        assert_eq!(remove(tx, json!({ "move_to": desk.pipeline })), "not found: stage");
        assert_eq!(remove(tx, json!({ "move_to": others[0] })), "done");
        // In the order of the stages that they came from, above what was there.
        assert_eq!(desk.names_in(tx, others[0])?, ["a", "b", "c", "d", "x"]);
        assert_eq!(remove(tx, json!({})), "not found: pipeline");
        assert_eq!(attempt(tx, |tx| pipelines::delete(tx, &desk.who, other, &given(json!({})))), "conflict");
    }

    fn a_stage_that_is_deleted_hands_its_cards_over_in_their_order(tx, desk) {
        let won = cards_in(tx, desk, &["b", "a"], desk.won())?;
        cards_in(tx, desk, &["x"], desk.lead())?;
        let remove = |tx: &mut Tx<'_>, to: serde_json::Value| {
            attempt(tx, |tx| stages::delete(tx, &desk.who, desk.pipeline, desk.won(), &given(to)))
        };
        assert_eq!(remove(tx, json!({})), "conflict");
        assert_eq!(remove(tx, json!({ "move_to": desk.won() })), "invalid: move_to");
        assert_eq!(remove(tx, json!({ "move_to": desk.lead() })), "done");
        assert_eq!(desk.names_in(tx, desk.lead())?, ["a", "b", "x"]);
        assert_eq!(desk.get(tx, won[0])?.status, Status::Open);
        let positions: Vec<_> = stages::list(tx, &desk.who, desk.pipeline)?
            .iter()
            .map(|stage| (stage.name.to_string(), stage.position, stage.deal_count))
            .collect();
        let expected = [("Lead", 0, 3), ("Qualified", 1, 0), ("Proposal", 2, 0), ("Negotiation", 3, 0), ("Lost", 4, 0)];
        assert_eq!(positions, expected.map(|(name, position, count)| (name.to_owned(), position, count)));
    }

    fn who_stands_in_the_other_pipeline_already_keeps_that_place(tx, desk) {
        let (other, others) = pipeline(tx, &desk.who, "Other", &["One", "Two"])?;
        let ids = cards_in(tx, desk, &["b", "a"], desk.lead())?;
        add_card(tx, &desk.who, ids[0], &target(other, others[1], 0))?;
        let to = given(json!({ "move_to": others[0] }));
        pipelines::delete(tx, &desk.who, desk.pipeline, &to)?;
        assert_eq!(desk.names_in(tx, others[0])?, ["a"]);
        assert_eq!(desk.names_in(tx, others[1])?, ["b"]);
    }

    async fn a_thousand_random_moves_leave_the_order_that_a_list_would_have(world) {
        world.write(|tx, desk| {
            let mut chance = Chance(20_260_301);
            let mut stages: Vec<Vec<String>> = vec![Vec::new(); desk.stages.len()];
            let mut ids = Vec::new();
            for index in 0..25 {
                let name = format!("{index}");
                let fields = json!({ "name": name, "stage_id": desk.lead(), "skip_automations": true });
                ids.push(desk.create(tx, fields)?.id);
                stages[0].insert(0, name);
            }
            for turn in 0..1000 {
                let (card, to) = (chance.below(ids.len()), chance.below(stages.len()));
                let name = card.to_string();
                stages.iter_mut().for_each(|stage| stage.retain(|other| *other != name));
                // Sometimes beyond the end, where it is clamped.
                let position = chance.below(stages[to].len() + 2);
                let index = position.min(stages[to].len());
                stages[to].insert(index, name);
                let placement = desk.move_to(tx, ids[card], desk.stages[to], position as i64)?;
                assert_eq!(placement.position, index as i64, "turn {turn}");
                if turn % 100 == 99 {
                    for (stage, expected) in desk.stages.iter().zip(&stages) {
                        assert_eq!(&desk.names_in(tx, *stage)?, expected, "turn {turn}");
                    }
                }
            }
            Ok(())
        })
        .await
        .unwrap();
    }

    async fn what_stages_are_worth_is_what_adding_up_gives(world) {
        world.write(|tx, desk| {
            let mut chance = Chance(20_261_124);
            let (other, stages) = pipeline(tx, &desk.who, "Other", &["One", "Two"])?;
            let mut ids = Vec::new();
            for turn in 0..300 {
                let amount = chance.below(4_000_000_000) as i64 - 1_000_000_000;
                let value = format!("{amount}.{:04}", chance.below(10_000));
                let value: serde_json::Value = serde_json::from_str(&value).unwrap();
                let probability = [json!(null), json!(20), json!(62.5)][chance.below(3)].clone();
                let stage = desk.stages[chance.below(3)];
                if ids.len() < 5 || chance.below(4) == 0 {
                    ids.push(desk.create(tx, json!({
                        "name": "Deal", "stage_id": stage, "value": value, "probability": probability,
                    }))?.id);
                }
                let at = chance.below(ids.len());
                let id = ids[at];
                match chance.below(7) {
                    0 => drop(desk.patch(tx, id, json!({ "value": value }))?),
                    1 => drop(desk.patch(tx, id, json!({ "value": null, "currency": "EUR" }))?),
                    2 => drop(desk.patch(tx, id, json!({ "probability": probability, "currency": "AUD" }))?),
                    3 => drop(desk.move_to(tx, id, stage, 0)?),
                    4 => drop(add_card(tx, &desk.who, id, &target(other, stages[at % 2], 0))?),
                    5 => drop(move_to(tx, &desk.who, id, &target(other, stages[at % 2], 0))?),
                    _ => {
                        delete(tx, &desk.who, id)?;
                        ids.remove(at);
                    }
                }
                assert_eq!(kept_worth(tx)?, added_up(tx)?, "turn {turn}");
            }
            for id in ids {
                delete(tx, &desk.who, id)?;
            }
            assert!(kept_worth(tx)?.is_empty());
            Ok(())
        })
        .await
        .unwrap();
    }

    async fn whatever_happens_status_stages_and_dates_agree(world) {
        agree(&world).await;
    }
}

/// What the stages' opportunities are worth, by currency and probability: how
/// many, and the two halves of the sum.
type Worth = Vec<(Uuid, String, i64, [i64; 3])>;

fn kept_worth(db: &Db<'_>) -> Result<Worth> {
    worth(
        db,
        "select stage_id, currency, probability, cards, billions, rest from stage_values
         order by 1, 2, 3",
    )
}

fn added_up(db: &Db<'_>) -> Result<Worth> {
    worth(
        db,
        "select c.stage_id, o.currency, coalesce(o.probability, -1), count(*),
                cast(sum(coalesce(o.value, o.products_value) / 1000000000) as bigint),
                cast(sum(coalesce(o.value, o.products_value) % 1000000000) as bigint)
         from cards c
         join opportunities o on o.workspace_id = c.workspace_id and o.id = c.opportunity_id
         group by 1, 2, 3 order by 1, 2, 3",
    )
}

fn worth(db: &Db<'_>, sql: &str) -> Result<Worth> {
    Ok(db.query(sql, &[], |row| {
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            [row.get(3)?, row.get(4)?, row.get(5)?],
        ))
    })?)
}

/// Numbers that look random and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        // The constants of Knuth's MMIX.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// Something that may happen to an opportunity.
#[derive(Debug, Clone)]
enum Step {
    Status(Status),
    CloseDate(Option<&'static str>),
    /// To a stage of one of the two pipelines.
    Move(bool, usize),
    Add(bool, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop::sample::select(Status::ALL.to_vec());
    let date = prop::sample::select(vec![None, Some("2025-06-30"), Some("2026-03-01")]);
    prop_oneof![
        2 => status.prop_map(Step::Status),
        1 => date.prop_map(Step::CloseDate),
        3 => (any::<bool>(), 0..3_usize).prop_map(|(other, stage)| Step::Move(other, stage)),
        2 => (any::<bool>(), 0..3_usize).prop_map(|(other, stage)| Step::Add(other, stage)),
    ]
}

/// What becomes of status and close date, and nothing else.
#[derive(Debug)]
struct Model {
    status: Status,
    /// The close date, and whether the status has set it.
    closed: Option<(String, bool)>,
    /// In each pipeline the stage: 0 ordinary, 1 wins, 2 loses.
    cards: [Option<usize>; 2],
}

impl Model {
    fn set_status(&mut self, status: Status, today: &str) {
        if status == self.status {
            return;
        }
        self.status = status;
        match (status, &self.closed) {
            (Status::Open, Some((_, true))) => self.closed = None,
            (Status::Won | Status::Lost, None) => self.closed = Some((today.to_owned(), true)),
            _ => {}
        }
    }

    fn enter(&mut self, pipeline: usize, stage: usize, alone: bool, today: &str) {
        let before = self.cards;
        if alone {
            self.cards = [None, None];
        }
        self.cards[pipeline] = Some(stage);
        if before == self.cards {
            return;
        }
        let closes = |card: &Option<usize>| card.is_some_and(|stage| stage > 0);
        // Whatever is no longer where it was has left its stage.
        let left = (0..2).any(|one| before[one] != self.cards[one] && closes(&before[one]));
        match stage {
            1 => self.set_status(Status::Won, today),
            2 => self.set_status(Status::Lost, today),
            _ if left => self.set_status(Status::Open, today),
            _ => {}
        }
    }
}

async fn agree(world: &World) {
    let today = "2026-03-01";
    let pipelines = world
        .write(|tx, desk| {
            let ours = (desk.pipeline, [desk.lead(), desk.won(), desk.lost()]);
            let (other, ordinary) = pipeline(tx, &desk.who, "Other", &["One"])?;
            let mut closing =
                |fields| stages::create(tx, &desk.who, other, given(fields)).map(|stage| stage.id);
            let won = closing(json!({ "name": "Yes", "is_won_stage": true }))?;
            let lost = closing(json!({ "name": "No", "is_lost_stage": true }))?;
            Ok([ours, (other, [ordinary[0], won, lost])])
        })
        .await
        .unwrap();
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(40)
    });
    let handle = tokio::runtime::Handle::current();
    let run = |steps: Vec<Step>| -> Result<(), TestCaseError> {
        let done = world.write(move |tx, desk| {
            let id = desk.opportunity(tx, "Deal")?.id;
            let mut model = Model {
                status: Status::Open,
                closed: None,
                cards: [None, None],
            };
            for step in steps.clone() {
                let to = |other: bool, stage: usize| {
                    let (pipeline, stages) = &pipelines[usize::from(other)];
                    target(*pipeline, stages[stage], 0)
                };
                match step {
                    Step::Status(status) => {
                        desk.patch(tx, id, json!({ "status": status.as_str() }))?;
                        model.set_status(status, today);
                    }
                    Step::CloseDate(date) => {
                        desk.patch(tx, id, json!({ "actual_close_date": date }))?;
                        let current = model.closed.as_ref().map(|(date, _)| date.as_str());
                        if current != date {
                            model.closed = date.map(|date| (date.to_owned(), false));
                        }
                    }
                    Step::Move(other, stage) => {
                        move_to(tx, &desk.who, id, &to(other, stage))?;
                        model.enter(usize::from(other), stage, true, today);
                    }
                    Step::Add(other, stage) => {
                        add_card(tx, &desk.who, id, &to(other, stage))?;
                        model.enter(usize::from(other), stage, false, today);
                    }
                }
                let now = desk.get(tx, id)?;
                assert_eq!(now.status, model.status, "{step:?} {model:?}");
                assert_eq!(now.won_at.is_some(), now.status == Status::Won);
                assert_eq!(now.lost_at.is_some(), now.status == Status::Lost);
                let closed = now.actual_close_date.map(|date| date.to_string());
                assert_eq!(
                    closed,
                    model.closed.clone().map(|(date, _)| date),
                    "{step:?}"
                );
                assert_eq!(now.placements.len(), model.cards.iter().flatten().count());
            }
            Ok(())
        });
        handle
            .block_on(done)
            .map_err(|error| TestCaseError::fail(error.to_string()))
    };
    tokio::task::block_in_place(|| runner.run(&prop::collection::vec(step(), 1..14), run)).unwrap();
}
