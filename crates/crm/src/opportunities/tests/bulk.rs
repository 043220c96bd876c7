//! Many opportunities in one call.

use serde_json::{Value as Json, json};

use super::super::*;
use crate::error::Error;
use crate::testing::{attempt, given, outcome, pipeline, refused};

/// The outcome of each that failed.
fn failures<K: Copy>(failed: Vec<(K, Error)>) -> Vec<(K, String)> {
    let failed = failed.into_iter();
    failed
        .map(|(key, error)| (key, outcome::<()>(Err(error))))
        .collect()
}

on_both_engines! {
    fn a_record_that_fails_leaves_no_trace_and_the_others_are_made(tx, desk) {
        let nobody = desk.who.new_id();
        let outcome = bulk_create(tx, &desk.who, given(json!({
            "stage_id": desk.lead(),
            "records": [
                { "name": "One", "colour": "red" }, { "name": "Two", "contact_id": nobody },
                { "value": "x" }, 7, { "name": "Five", "tags": ["a"] },
            ],
        })))?;
        let done: Vec<_> = outcome.done.iter().map(|(index, made)| (*index, &*made.public_id)).collect();
        assert_eq!(done, [(0, "OPP-001"), (4, "OPP-002")]);
        assert_eq!(failures(outcome.failed), [
            (1, "not found: contact".to_owned()),
            (2, "invalid: name, value".to_owned()),
            (3, "invalid: records[3]".to_owned()),
        ]);
        assert_eq!(outcome.unknown, ["records[0].colour"]);
        assert_eq!(desk.names_in(tx, desk.lead())?, ["Five", "One"]);
        let listed = list(tx, &desk.who, &given(json!({})))?.items;
        assert_eq!(listed.len(), 2);
        for table in ["events", "opportunity_search"] {
            let rows = tx.query_one(
                &format!("select count(*) from {table} where workspace_id = $1"),
                &store::params![desk.who.workspace_id],
                |row| row.get::<i64>(0),
            )?;
            assert_eq!(rows, 2, "{table}");
        }
    }

    fn a_record_inherits_where_it_goes_unless_it_says_so_itself(tx, desk) {
        let (other, stages) = pipeline(tx, &desk.who, "Other", &["One", "Two"])?;
        let outcome = bulk_create(tx, &desk.who, given(json!({
            "pipeline_id": desk.pipeline, "stage_id": desk.qualified(), "skip_automations": true,
            "records": [
                { "name": "Inherits" },
                { "name": "Own pipeline", "pipeline_id": other },
                { "name": "Own stage", "stage_id": stages[1] },
            ],
        })))?;
        let places: Vec<_> = outcome.done.iter().map(|(_, made)| made.placements[0].stage_id).collect();
        assert_eq!(places, [desk.qualified(), stages[0], stages[1]]);
        assert!(desk.events_of(tx, outcome.done[0].1.id)?.is_empty());
    }

    fn a_wrong_default_or_target_refuses_the_whole_call(tx, desk) {
        let (other, _) = pipeline(tx, &desk.who, "Other", &["One"])?;
        let id = desk.opportunity(tx, "Deal")?.id;
        let with = |more: Json| {
            let mut body = json!({ "records": [{ "name": "x" }], "ids": [id] });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        let (nothing, lead) = (desk.who.new_id(), desk.lead());
        for (wrong, expected) in [
            (json!({ "pipeline_id": desk.pipeline, "stage_id": nothing }), "not found: stage"),
            (json!({ "pipeline_id": nothing, "stage_id": lead }), "not found: pipeline"),
            (json!({ "pipeline_id": other, "stage_id": lead }), "invalid: stage_id"),
        ] {
            let made = attempt(tx, |tx| bulk_create(tx, &desk.who, given(with(wrong.clone()))));
            let moved = attempt(tx, |tx| bulk_move(tx, &desk.who, &given(with(wrong))));
            assert_eq!([made, moved], [expected; 2]);
        }
        assert_eq!(list(tx, &desk.who, &given(json!({})))?.items.len(), 1);
    }

    fn a_bulk_move_tells_of_each_and_an_id_given_twice_counts_once(tx, desk) {
        let ids: Vec<_> = ["a", "b"].into_iter()
            .map(|name| Ok(desk.opportunity(tx, name)?.id))
            .collect::<Result<_>>()?;
        let nothing = desk.who.new_id();
        let outcome = bulk_move(tx, &desk.who, &given(json!({
            "ids": [ids[0], ids[1], ids[0], nothing],
            "pipeline_id": desk.pipeline, "stage_id": desk.lost(),
        })))?;
        let moved: Vec<_> = outcome.done.iter().map(|(id, ())| *id).collect();
        assert_eq!(moved, ids);
        assert_eq!(failures(outcome.failed), [(nothing, "not found: opportunity".to_owned())]);
        for id in ids {
            assert_eq!(desk.get(tx, id)?.status, Status::Lost);
            assert_eq!(desk.events_of(tx, id)?, ["deal_created", "stage_changed", "deal_updated"]);
            let log = desk.log_of(tx, id)?;
            let fields: Vec<_> = log.iter().map(|(field, ..)| &**field).collect();
            assert_eq!(fields, ["stage_id", "status", "lost_at", "actual_close_date"]);
        }
    }

    fn a_bulk_delete_deletes_what_there_is(tx, desk) {
        let (id, nothing) = (desk.opportunity(tx, "Deal")?.id, desk.who.new_id());
        let outcome = bulk_delete(tx, &desk.who, &given(json!({ "ids": [nothing, id, id] })))?;
        assert_eq!(outcome.done, [(id, ())]);
        assert_eq!(failures(outcome.failed), [(nothing, "not found: opportunity".to_owned())]);
        assert!(list(tx, &desk.who, &given(json!({})))?.items.is_empty());
    }
}

#[test]
fn a_bulk_call_takes_one_to_a_hundred() {
    let names = |count: usize| vec![json!({ "name": "x" }); count];
    given::<BulkCreate>(json!({ "records": names(100) }));
    for records in [names(0), names(101)] {
        let problems = refused::<BulkCreate>(json!({ "records": records }));
        assert_eq!(problems.invalid[0].field, "records");
    }
    let id = "0193d5e0-7a4b-7c3d-9e2f-1a2b3c4d5e6f";
    // A hundred and one entries, even if they are one id.
    let problems = refused::<crate::bulk::Delete>(json!({ "ids": vec![id; 101] }));
    assert_eq!(problems.invalid[0].field, "ids");
    let problems = refused::<crate::bulk::Delete>(json!({ "ids": [id, "7"] }));
    assert_eq!(problems.invalid[0].field, "ids[1]");
    let problems = refused::<crate::bulk::Delete>(json!({}));
    assert_eq!(problems.missing, ["ids"]);
}
