//! What happens at once ends as if it had happened one after the other.

use serde_json::json;

use super::super::*;
use crate::testing::{Desk, given, outcome, pipeline, target};
use crate::{companies, contacts, pipelines, stages, users};

fn found(db: &Db<'_>, desk: &Desk, query: &str) -> Result<usize> {
    let input = given(json!({ "query": query }));
    Ok(search(db, &desk.who, &input)?.items.len())
}

on_both_engines! {
    async fn cards_that_enter_a_stage_at_once_all_get_a_place(world) {
        let ids = world.write(|tx, desk| {
            (0..24).map(|_| Ok(desk.opportunity(tx, "Deal")?.id)).collect::<Result<Vec<_>>>()
        }).await.unwrap();
        let results = world.all_at_once(24, move |tx, desk, index| {
            desk.move_to(tx, ids[index], desk.lead(), (index % 3) as i64)
        }).await;
        for result in results {
            assert_eq!(outcome(result), "done");
        }
        let names = world.read(|db, desk| desk.names_in(db, desk.lead())).await.unwrap();
        assert_eq!(names.len(), 24);
    }

    async fn moves_of_one_card_follow_each_other(world) {
        let id = world.write(|tx, desk| Ok(desk.opportunity(tx, "Deal")?.id)).await.unwrap();
        let results = world.all_at_once(12, move |tx, desk, index| {
            desk.move_to(tx, id, desk.stages[index % 6], 0)
        }).await;
        for result in results {
            assert_eq!(outcome(result), "done");
        }
        let (deal, log) = world.read(move |db, desk| Ok((desk.get(db, id)?, desk.log_of(db, id)?)))
            .await.unwrap();
        assert_eq!(deal.placements.len(), 1);
        // Every logged move begins where the one before has ended.
        let moves: Vec<_> = log.into_iter().filter(|(field, ..)| field == "stage_id").collect();
        for pair in moves.windows(2) {
            assert_eq!(pair[0].2, pair[1].1);
        }
        assert_eq!(moves.last().unwrap().2, json!(deal.placements[0].stage_id));
    }

    async fn opportunities_created_at_once_get_numbers_of_their_own(world) {
        let results = world.all_at_once(16, |tx, desk, _| {
            Ok(desk.create(tx, json!({ "name": "Deal", "stage_id": desk.lead() }))?.public_id)
        }).await;
        let mut numbers: Vec<_> = results.into_iter().map(Result::unwrap).collect();
        numbers.sort_unstable();
        let expected: Vec<_> = (1..=16).map(|number| format!("OPP-{number:03}")).collect();
        assert_eq!(numbers, expected);
    }

    async fn calls_that_enter_several_stages_never_wait_for_each_other_in_a_circle(world) {
        let ids = world.write(|tx, desk| {
            (0..8).map(|_| Ok(desk.opportunity(tx, "Deal")?.id)).collect::<Result<Vec<_>>>()
        }).await.unwrap();
        let before = world.store.stats().retries;
        let results = world.all_at_once(8, move |tx, desk, index| {
            if index % 4 == 3 {
                return desk.move_to(tx, ids[index], desk.stages[index % 2], 0).map(drop);
            }
            // Each in another order.
            let records: Vec<_> = (0..12)
                .map(|number| json!({ "name": "Deal", "stage_id": desk.stages[(index + number * 5) % 6] }))
                .collect();
            let made = bulk_create(tx, &desk.who, given(json!({ "records": records })))?;
            assert_eq!(made.done.len(), 12);
            Ok(())
        }).await;
        for result in results {
            assert_eq!(outcome(result), "done");
        }
        assert_eq!(world.store.stats().retries, before);
    }

    async fn a_stage_is_not_deleted_under_a_card_that_enters_it(world) {
        let id = world.write(|tx, desk| Ok(desk.opportunity(tx, "Deal")?.id)).await.unwrap();
        let (entered, deleted) = world.overlapping(
            move |tx, desk| desk.move_to(tx, id, desk.lead(), 0),
            |tx, desk| stages::delete(tx, &desk.who, desk.pipeline, desk.lead(), &given(json!({}))),
        ).await;
        assert_eq!((outcome(entered), outcome(deleted)), ("done".to_owned(), "conflict".to_owned()));
        let (deleted, entered) = world.overlapping(
            |tx, desk| stages::delete(tx, &desk.who, desk.pipeline, desk.won(), &given(json!({}))),
            move |tx, desk| desk.move_to(tx, id, desk.won(), 0),
        ).await;
        assert_eq!((outcome(deleted), outcome(entered)), ("done".to_owned(), "not found: stage".to_owned()));
    }

    async fn a_pipeline_is_not_deleted_under_a_card_that_enters_it(world) {
        let (other, stages) = world.write(|tx, desk| pipeline(tx, &desk.who, "Other", &["One"])).await.unwrap();
        let stage = stages[0];
        let (created, deleted) = world.overlapping(
            move |tx, desk| desk.create(tx, json!({ "name": "Deal", "stage_id": stage })),
            move |tx, desk| pipelines::delete(tx, &desk.who, other, &given(json!({}))),
        ).await;
        assert_eq!((outcome(created), outcome(deleted)), ("done".to_owned(), "conflict".to_owned()));
    }

    async fn a_card_that_leaves_a_stage_in_time_is_not_moved_again_when_that_goes(world) {
        let id = world.write(|tx, desk| {
            Ok(desk.create(tx, json!({ "name": "Deal", "stage_id": desk.lead() }))?.id)
        }).await.unwrap();
        let (moved, deleted) = world.overlapping(
            move |tx, desk| desk.move_to(tx, id, desk.qualified(), 0),
            |tx, desk| {
                let to = given(json!({ "move_to": desk.won() }));
                stages::delete(tx, &desk.who, desk.pipeline, desk.lead(), &to)
            },
        ).await;
        assert_eq!((outcome(moved), outcome(deleted)), ("done".to_owned(), "done".to_owned()));
        let deal = world.read(move |db, desk| desk.get(db, id)).await.unwrap();
        assert_eq!((deal.placements[0].stage_id, deal.status), (world.desk.qualified(), Status::Open));
    }

    async fn a_card_that_is_deleted_does_not_hinder_the_end_of_its_stage(world) {
        let id = world.write(|tx, desk| {
            Ok(desk.create(tx, json!({ "name": "Deal", "stage_id": desk.lead() }))?.id)
        }).await.unwrap();
        let (gone, deleted) = world.overlapping(
            move |tx, desk| delete(tx, &desk.who, id),
            |tx, desk| {
                let to = given(json!({ "move_to": desk.won() }));
                stages::delete(tx, &desk.who, desk.pipeline, desk.lead(), &to)
            },
        ).await;
        assert_eq!((outcome(gone), outcome(deleted)), ("done".to_owned(), "done".to_owned()));
    }

    async fn a_contact_that_is_linked_while_it_is_deleted_is_either_linked_or_gone(world) {
        let (id, first, second) = world.write(|tx, desk| {
            let (first, second) = (desk.contact(tx, "Ada")?.id, desk.contact(tx, "Ben")?.id);
            Ok((desk.opportunity(tx, "Deal")?.id, first, second))
        }).await.unwrap();
        let (linked, deleted) = world.overlapping(
            move |tx, desk| desk.patch(tx, id, json!({ "contact_id": first })),
            move |tx, desk| contacts::delete(tx, &desk.who, first, &Automations::default()),
        ).await;
        assert_eq!((outcome(linked), outcome(deleted)), ("done".to_owned(), "done".to_owned()));
        let deal = world.read(move |db, desk| desk.get(db, id)).await.unwrap();
        assert_eq!(deal.contact_id, None);
        let (deleted, linked) = world.overlapping(
            move |tx, desk| contacts::delete(tx, &desk.who, second, &Automations::default()),
            move |tx, desk| add_contact(tx, &desk.who, id, second),
        ).await;
        assert_eq!((outcome(deleted), outcome(linked)), ("done".to_owned(), "not found: contact".to_owned()));
    }

    async fn a_link_that_goes_elsewhere_in_time_is_not_cleared(world) {
        let (id, first, second) = world.write(|tx, desk| {
            let (first, second) = (desk.company(tx, "One")?.id, desk.company(tx, "Two")?.id);
            let id = desk.create(tx, json!({ "name": "Deal", "customer_id": first }))?.id;
            Ok((id, first, second))
        }).await.unwrap();
        let (moved, deleted) = world.overlapping(
            move |tx, desk| desk.patch(tx, id, json!({ "customer_id": second })),
            move |tx, desk| companies::delete(tx, &desk.who, first, &Automations::default()),
        ).await;
        assert_eq!((outcome(moved), outcome(deleted)), ("done".to_owned(), "done".to_owned()));
        let deal = world.read(move |db, desk| desk.get(db, id)).await.unwrap();
        assert_eq!(deal.company_id, Some(second));
    }

    async fn an_opportunity_that_is_deleted_does_not_hinder_the_end_of_its_people(world) {
        let (ids, contact, user) = world.write(|tx, desk| {
            let (contact, user) = (desk.contact(tx, "Ada")?.id, desk.user(tx, "Kim")?.id);
            let mut ids = Vec::new();
            for _ in 0..2 {
                let id = desk.create(tx, json!({ "name": "Deal", "contact_id": contact }))?.id;
                assign_user(tx, &desk.who, id, user)?;
                ids.push(id);
            }
            Ok((ids, contact, user))
        }).await.unwrap();
        let (one, two) = (ids[0], ids[1]);
        let (gone, deleted) = world.overlapping(
            move |tx, desk| delete(tx, &desk.who, one),
            move |tx, desk| contacts::delete(tx, &desk.who, contact, &Automations::default()),
        ).await;
        assert_eq!((outcome(gone), outcome(deleted)), ("done".to_owned(), "done".to_owned()));
        let (gone, deleted) = world.overlapping(
            move |tx, desk| delete(tx, &desk.who, two),
            move |tx, desk| users::delete(tx, &desk.who, user),
        ).await;
        assert_eq!((outcome(gone), outcome(deleted)), ("done".to_owned(), "done".to_owned()));
    }

    async fn a_user_who_is_assigned_while_they_leave_is_either_assigned_or_gone(world) {
        let (id, user) = world.write(|tx, desk| {
            Ok((desk.opportunity(tx, "Deal")?.id, desk.user(tx, "Kim")?.id))
        }).await.unwrap();
        let (left, assigned) = world.overlapping(
            move |tx, desk| users::delete(tx, &desk.who, user),
            move |tx, desk| assign_user(tx, &desk.who, id, user),
        ).await;
        assert_eq!((outcome(left), outcome(assigned)), ("done".to_owned(), "not found: user".to_owned()));
    }

    async fn users_assigned_at_once_have_one_primary_among_them(world) {
        let (id, people) = world.write(|tx, desk| {
            let people: Result<Vec<_>> = (0..8)
                .map(|index| Ok(desk.user(tx, &format!("User{index}"))?.id))
                .collect();
            Ok((desk.opportunity(tx, "Deal")?.id, people?))
        }).await.unwrap();
        let results = world.all_at_once(8, move |tx, desk, index| {
            assign_user(tx, &desk.who, id, people[index])
        }).await;
        let primary = results.into_iter().filter(|row| row.as_ref().unwrap().is_primary);
        assert_eq!(primary.count(), 1);
    }

    async fn two_who_change_what_an_opportunity_is_found_by_are_both_heard(world) {
        let (id, contact) = world.write(|tx, desk| {
            let contact = desk.contact(tx, "Oldcontact")?.id;
            let fields = json!({ "name": "Olddeal", "contact_id": contact });
            Ok((desk.create(tx, fields)?.id, contact))
        }).await.unwrap();
        let (renamed, called) = world.overlapping(
            move |tx, desk| desk.patch(tx, id, json!({ "name": "Newdeal" })),
            move |tx, desk| {
                let fields = given(json!({ "first_name": "Newcontact" }));
                contacts::update(tx, &desk.who, contact, fields)
            },
        ).await;
        assert_eq!((outcome(renamed), outcome(called)), ("done".to_owned(), "done".to_owned()));
        let (called, renamed) = world.overlapping(
            move |tx, desk| {
                let fields = given(json!({ "last_name": "Surname" }));
                contacts::update(tx, &desk.who, contact, fields)
            },
            move |tx, desk| desk.patch(tx, id, json!({ "name": "Newestdeal" })),
        ).await;
        assert_eq!((outcome(called), outcome(renamed)), ("done".to_owned(), "done".to_owned()));
        world.read(|db, desk| {
            for (query, expected) in [
                ("olddeal", 0), ("newdeal", 0), ("newestdeal", 1),
                ("oldcontact", 0), ("newcontact", 1), ("newcontact surname", 1),
            ] {
                assert_eq!(found(db, desk, query)?, expected, "{query}");
            }
            Ok(())
        }).await.unwrap();
    }

    async fn a_contact_that_changes_while_its_opportunity_goes_is_no_failure(world) {
        let (id, contact) = world.write(|tx, desk| {
            let contact = desk.contact(tx, "Ada")?.id;
            Ok((desk.create(tx, json!({ "name": "Deal", "contact_id": contact }))?.id, contact))
        }).await.unwrap();
        let (gone, called) = world.overlapping(
            move |tx, desk| delete(tx, &desk.who, id),
            move |tx, desk| contacts::update(tx, &desk.who, contact, given(json!({ "first_name": "Eve" }))),
        ).await;
        assert_eq!((outcome(gone), outcome(called)), ("done".to_owned(), "done".to_owned()));
    }

    async fn a_card_that_goes_elsewhere_while_its_move_waits_has_that_begin_anew(world) {
        let ids = world.write(|tx, desk| {
            (0..2).map(|_| {
                Ok(desk.create(tx, json!({ "name": "Deal", "stage_id": desk.stages[2] }))?.id)
            }).collect::<Result<Vec<_>>>()
        }).await.unwrap();
        let (one, several) = (ids[0], ids.clone());
        for (round, alone) in [true, false].into_iter().enumerate() {
            let before = world.store.stats().retries;
            let several = several.clone();
            // The second waits for the stage that the card leaves for one that is before it.
            let (first, second) = world.overlapping(
                move |tx, desk| desk.move_to(tx, one, desk.stages[round], 0).map(drop),
                move |tx, desk| {
                    let to = desk.target(desk.stages[2], 0);
                    if alone {
                        return move_to(tx, &desk.who, one, &to).map(drop);
                    }
                    let input = given(json!({
                        "ids": several, "pipeline_id": to.pipeline_id, "stage_id": to.stage_id,
                    }));
                    bulk_move(tx, &desk.who, &input).map(drop)
                },
            ).await;
            assert_eq!((outcome(first), outcome(second)), ("done".to_owned(), "done".to_owned()));
            let begun_anew = world.store.stats().retries > before;
            assert_eq!(begun_anew, world.store.engine() == store::Engine::Postgres);
            let ids = ids.clone();
            world.read(move |db, desk| {
                for id in ids {
                    let at = desk.get(db, id)?.placements.first().map(|card| card.stage_id);
                    assert_eq!(at, Some(desk.stages[2]));
                }
                Ok(())
            }).await.unwrap();
        }
    }

    async fn bulk_moves_of_the_same_cards_in_opposite_orders_both_end_well(world) {
        let (ids, other, stage) = world.write(|tx, desk| {
            let ids: Result<Vec<_>> = (0..6).map(|_| Ok(desk.opportunity(tx, "Deal")?.id)).collect();
            let (other, stages) = pipeline(tx, &desk.who, "Other", &["One"])?;
            Ok((ids?, other, stages[0]))
        }).await.unwrap();
        let results = world.all_at_once(2, move |tx, desk, index| {
            let (to, ids) = match index {
                0 => (desk.target(desk.lead(), 0), ids.clone()),
                _ => (target(other, stage, 0), ids.iter().rev().copied().collect()),
            };
            let input = given(json!({
                "ids": ids, "pipeline_id": to.pipeline_id, "stage_id": to.stage_id,
            }));
            bulk_move(tx, &desk.who, &input)
        }).await;
        for result in results {
            assert_eq!(result.unwrap().done.len(), 6);
        }
    }
}
