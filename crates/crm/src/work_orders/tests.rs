#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value as Json, json};

use super::*;
use crate::caller::Ids;
use crate::testing::plans::{assert_pages_through, insert, plan};
use crate::testing::{Desk, at, attempt, given, outcome, refused};
use crate::{opportunities, products, users};

/// An opportunity of that name with a product, and the row that this makes.
fn sold(tx: &mut Tx<'_>, who: &Caller, name: &str) -> Result<(Uuid, Uuid)> {
    let deal = opportunities::create(tx, who, given(json!({ "name": name })))?.id;
    Ok((deal, add_line(tx, who, deal)?))
}

fn add_line(tx: &mut Tx<'_>, who: &Caller, deal: Uuid) -> Result<Uuid> {
    let product = products::create(tx, who, given(json!({ "name": "Gear", "price": 1 })))?.id;
    let line = given(json!({ "product_id": product }));
    Ok(opportunities::add_product(tx, who, deal, line)?.id)
}

fn order(tx: &mut Tx<'_>, desk: &Desk, fields: Json) -> Result<WorkOrder> {
    create(tx, &desk.who, given(fields))
}

fn patch(tx: &mut Tx<'_>, who: &Caller, id: Uuid, fields: Json) -> Result<WorkOrder> {
    update(tx, who, id, given(fields))
}

fn status(db: &Db<'_>, desk: &Desk, label: &str) -> Result<Uuid> {
    Ok(statuses::named(db, &desk.who, label)?.id)
}

fn labels(db: &Db<'_>, desk: &Desk) -> Result<Vec<(String, i64)>> {
    let all = statuses(db, &desk.who)?;
    let pairs = all.into_iter();
    Ok(pairs
        .map(|one| (one.label.into_string(), one.position))
        .collect())
}

fn numbered(labels: &[&str]) -> Vec<(String, i64)> {
    labels
        .iter()
        .map(|label| (*label).to_owned())
        .zip(0..)
        .collect()
}

on_both_engines! {
    fn there_are_a_hundred_statuses_at_most(tx, desk) {
        for number in labels(tx, desk)?.len()..100 {
            create_status(tx, &desk.who, given(json!({ "label": format!("Status {number}") })))?;
        }
        let further = given(json!({ "label": "Further" }));
        assert_eq!(attempt(tx, |tx| create_status(tx, &desk.who, further)), "conflict");
        assert_eq!(labels(tx, desk)?.len(), 100);
    }

    fn a_status_is_put_where_it_says_and_the_others_make_room(tx, desk) {
        let first = ["Scheduled", "In progress", "On hold", "Completed", "Cancelled"];
        assert_eq!(labels(tx, desk)?, numbered(&first));
        let made = create_status(tx, &desk.who, given(json!({ "label": "Checked" })))?;
        assert_eq!((&*made.color, made.position, made.is_terminal), ("#64748b", 5, false));
        let asked = json!({ "label": "Asked for", "position": 0, "is_terminal": false });
        assert_eq!(create_status(tx, &desk.who, given(asked))?.position, 0);
        let held = status(tx, desk, "on HOLD")?;
        let moved = given(json!({ "position": 99, "color": "red" }));
        assert_eq!(update_status(tx, &desk.who, held, moved)?.position, 6);
        let completed = status(tx, desk, "Completed")?;
        delete_status(tx, &desk.who, completed, &given(json!({})))?;
        let now = ["Asked for", "Scheduled", "In progress", "Cancelled", "Checked", "On hold"];
        assert_eq!(labels(tx, desk)?, numbered(&now));
    }

    fn no_two_statuses_differ_in_case_alone(tx, desk) {
        create_status(tx, &desk.who, given(json!({ "label": "Überprüft" })))?;
        for label in ["überPRÜFT", "on hold", "COMPLETED"] {
            let new = given(json!({ "label": label }));
            assert_eq!(attempt(tx, |tx| create_status(tx, &desk.who, new)), "conflict", "{label}");
        }
        let held = status(tx, desk, "On hold")?;
        let taken = given(json!({ "label": "überprüft" }));
        assert_eq!(attempt(tx, |tx| update_status(tx, &desk.who, held, taken)), "conflict");
        let own = update_status(tx, &desk.who, held, given(json!({ "label": "ON HOLD" })))?;
        assert_eq!(&*own.label, "ON HOLD");
        // What it was called before is free again.
        update_status(tx, &desk.who, held, given(json!({ "label": "Waiting" })))?;
        create_status(tx, &desk.who, given(json!({ "label": "on hold" })))?;
        create_status(tx, &desk.stranger, given(json!({ "label": "Überprüft" })))?;
    }

    fn a_status_that_work_orders_have_goes_only_when_they_get_another(tx, desk) {
        let (_, line) = sold(tx, &desk.who, "Deal")?;
        let made = order(tx, desk, json!({ "deal_product_id": line }))?;
        let (own, other) = (made.status_id, status(tx, desk, "On hold")?);
        let kept = order(tx, desk, json!({ "deal_product_id": line, "status_id": other }))?;
        let later = desk.later(60);
        let mut remove = |input: Json| attempt(tx, |tx| delete_status(tx, &later, own, &given(input)));
        assert_eq!(remove(json!({})), "conflict");
        assert_eq!(remove(json!({ "move_to": own })), "invalid: move_to");
        let theirs = desk.who.new_id();
        assert_eq!(remove(json!({ "move_to": theirs })), "not found: work order status");
        assert_eq!(remove(json!({ "move_to": other })), "done");
        assert_eq!(remove(json!({})), "not found: work order status");
        let moved = get(tx, &desk.who, made.id)?;
        assert_eq!((&*moved.status, moved.status_id, moved.status_changed_at), ("On hold", other, later.now));
        assert_eq!(get(tx, &desk.who, kept.id)?.status_changed_at, kept.status_changed_at);
    }

    fn a_new_work_order_has_the_first_status_or_the_one_that_is_given(tx, desk) {
        let (deal, line) = sold(tx, &desk.who, "Deal")?;
        let made = order(tx, desk, json!({ "deal_product_id": line }))?;
        assert_eq!(serde_json::to_value(&made).unwrap(), json!({
            "id": made.id, "deal_product_id": line, "status_id": status(tx, desk, "Scheduled")?,
            "schedule_date": null, "schedule_time": null, "assigned_to": null, "data": {},
            "sort_order": 0, "deal_id": deal, "status_changed_at": crate::testing::NOW,
            "created_at": crate::testing::NOW, "updated_at": crate::testing::NOW,
            "status": "Scheduled", "deal_name": "Deal", "product_name": "Gear",
        }));
        let held = status(tx, desk, "On hold")?;
        for given in [
            json!({ "status": " on hold " }),
            json!({ "status_id": held }),
            json!({ "status_id": held, "status": "ON HOLD" }),
        ] {
            let mut fields = given.clone();
            fields["deal_product_id"] = json!(line);
            assert_eq!(order(tx, desk, fields)?.status_id, held, "{given}");
        }
        for wrong in [
            json!({ "deal_product_id": line, "status": "Lost" }),
            json!({ "deal_product_id": line, "status": "Completed", "status_id": held }),
        ] {
            assert_eq!(attempt(tx, |tx| order(tx, desk, wrong)), "invalid: status");
        }
        for one in statuses(tx, &desk.who)? {
            let to = given(json!({ "move_to": held }));
            if one.id != held {
                delete_status(tx, &desk.who, one.id, &to)?;
            }
        }
        assert_eq!(&*order(tx, desk, json!({ "deal_product_id": line }))?.status, "On hold");
        let all = list(tx, &desk.who, &given(json!({})))?.items;
        for one in all {
            delete(tx, &desk.who, one.id)?;
        }
        delete_status(tx, &desk.who, held, &given(json!({})))?;
        let none = attempt(tx, |tx| order(tx, desk, json!({ "deal_product_id": line })));
        assert_eq!(none, "invalid: status_id");
    }

    fn since_when_it_has_its_status_follows_the_status(tx, desk) {
        let (_, line) = sold(tx, &desk.who, "Deal")?;
        let id = order(tx, desk, json!({ "deal_product_id": line }))?.id;
        let (later, latest) = (desk.later(10), desk.later(20));
        let begun = patch(tx, &later, id, json!({ "status": "in progress" }))?;
        assert_eq!((begun.status_changed_at, begun.updated_at), (later.now, later.now));
        let same = patch(tx, &latest, id, json!({ "status_id": begun.status_id }))?;
        assert_eq!((same.status_changed_at, same.updated_at), (later.now, later.now));
        let planned = patch(tx, &latest, id, json!({ "schedule_time": "07:05:00" }))?;
        assert_eq!((planned.status_changed_at, planned.updated_at), (later.now, latest.now));
        let read = get(tx, &desk.who, id)?;
        assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(&planned).unwrap());
        assert_eq!(read.schedule_time.unwrap().to_string(), "07:05");
    }

    fn a_work_order_stays_with_its_opportunity_and_shows_what_that_is_called_now(tx, desk) {
        let (deal, line) = sold(tx, &desk.who, "Deal")?;
        let second = add_line(tx, &desk.who, deal)?;
        let (_, elsewhere) = sold(tx, &desk.who, "Other")?;
        let id = order(tx, desk, json!({ "deal_product_id": line }))?.id;
        let moved = patch(tx, &desk.who, id, json!({ "deal_product_id": second }))?;
        assert_eq!((moved.opportunity_product_id, moved.opportunity_id), (second, deal));
        let refused = attempt(tx, |tx| patch(tx, &desk.who, id, json!({ "deal_product_id": elsewhere })));
        assert_eq!(refused, "invalid: deal_product_id");
        desk.patch(tx, deal, json!({ "name": "Renamed" }))?;
        assert_eq!(get(tx, &desk.who, id)?.deal_name, "Renamed");
        let page = of_opportunity(tx, &desk.who, deal, PageRequest::default())?;
        assert_eq!((page.items.len(), &*page.items[0].deal_name), (1, "Renamed"));
    }

    fn work_orders_go_with_their_product_and_their_opportunity_and_lose_their_user(tx, desk) {
        let user = desk.user(tx, "Kim")?.id;
        let (deal, line) = sold(tx, &desk.who, "Deal")?;
        let second = add_line(tx, &desk.who, deal)?;
        let (other, elsewhere) = sold(tx, &desk.who, "Other")?;
        let (last, left) = sold(tx, &desk.who, "Last")?;
        let mut made = Vec::new();
        for line in [line, second, elsewhere, left] {
            made.push(order(tx, desk, json!({ "deal_product_id": line, "assigned_to": user }))?.id);
        }
        let there = |tx: &Tx<'_>| -> Result<Vec<bool>> {
            let find = |id: &Uuid| record::find::<WorkOrder>(tx, &desk.who, *id);
            made.iter().map(|id| Ok(find(id)?.is_some())).collect()
        };
        opportunities::remove_product(tx, &desk.who, deal, line, &given(json!({})))?;
        assert_eq!(there(tx)?, [false, true, true, true]);
        opportunities::delete(tx, &desk.who, deal)?;
        assert_eq!(there(tx)?, [false, false, true, true]);
        opportunities::bulk_delete(tx, &desk.who, &given(json!({ "ids": [other] })))?;
        assert_eq!(there(tx)?, [false, false, false, true]);
        let later = desk.later(60);
        users::delete(tx, &later, user)?;
        let kept = get(tx, &desk.who, made[3])?;
        assert_eq!((kept.assigned_to, kept.updated_at, kept.opportunity_id), (None, later.now, last));
    }

    fn the_records_of_another_workspace_can_not_be_named(tx, desk) {
        let who = &desk.stranger;
        let user = desk.user(tx, "Kim")?.id;
        let (deal, line) = sold(tx, &desk.who, "Deal")?;
        let ours = order(tx, desk, json!({ "deal_product_id": line }))?;
        let (_, own) = sold(tx, who, "Theirs")?;
        let theirs = create(tx, who, given(json!({ "deal_product_id": own })))?.id;
        for (field, id, what) in [
            ("deal_product_id", line, "opportunity product"),
            ("status_id", ours.status_id, "work order status"),
            ("assigned_to", user, "user"),
        ] {
            let expected = format!("not found: {what}");
            let mut new = json!({ "deal_product_id": own });
            new[field] = json!(id);
            assert_eq!(attempt(tx, |tx| create(tx, who, given(new))), expected);
            assert_eq!(attempt(tx, |tx| patch(tx, who, theirs, json!({ field: id }))), expected);
        }
        let expected = "not found: work order";
        assert_eq!(attempt(tx, |tx| get(tx, who, ours.id)), expected);
        assert_eq!(attempt(tx, |tx| patch(tx, who, ours.id, json!({ "sort_order": 1 }))), expected);
        assert_eq!(attempt(tx, |tx| delete(tx, who, ours.id)), expected);
        let page = PageRequest::default();
        assert_eq!(attempt(tx, |tx| of_opportunity(tx, who, deal, page)), "not found: opportunity");
        let expected = "not found: work order status";
        let rename = given(json!({ "label": "x" }));
        assert_eq!(attempt(tx, |tx| update_status(tx, who, ours.status_id, rename)), expected);
        let to_own = json!({ "move_to": statuses::named(tx, who, "On hold")?.id });
        assert_eq!(attempt(tx, |tx| delete_status(tx, who, ours.status_id, &given(to_own))), expected);
        let to_ours = json!({ "move_to": ours.status_id });
        let held = statuses::named(tx, who, "On hold")?.id;
        assert_eq!(attempt(tx, |tx| delete_status(tx, who, held, &given(to_ours))), expected);
        assert_eq!(list(tx, who, &given(json!({})))?.items.len(), 1);
    }

    async fn a_work_order_that_names_what_is_being_deleted_goes_with_it_or_is_refused(world) {
        let (deal, line, user) = world.write(|tx, desk| {
            let (deal, line) = sold(tx, &desk.who, "Deal")?;
            Ok((deal, line, desk.user(tx, "Kim")?.id))
        }).await.unwrap();
        let (made, gone) = world.overlapping(
            move |tx, desk| order(tx, desk, json!({ "deal_product_id": line, "assigned_to": user })),
            move |tx, desk| users::delete(tx, &desk.who, user),
        ).await;
        gone.unwrap();
        let (made, held) = (made.unwrap(), world.write(|tx, desk| status(tx, desk, "On hold")).await.unwrap());
        let id = made.id;
        let left = world.read(move |db, desk| get(db, &desk.who, id)).await.unwrap();
        assert_eq!(left.assigned_to, None);
        let (gone, taken) = world.overlapping(
            move |tx, desk| delete_status(tx, &desk.who, held, &given(json!({}))),
            move |tx, desk| patch(tx, &desk.who, id, json!({ "status_id": held })),
        ).await;
        gone.unwrap();
        assert_eq!(outcome(taken), "not found: work order status");
        let (made, gone) = world.overlapping(
            move |tx, desk| order(tx, desk, json!({ "deal_product_id": line })),
            move |tx, desk| opportunities::delete(tx, &desk.who, deal),
        ).await;
        assert!(made.is_ok() && gone.is_ok());
        let left = world.read(|db, desk| list(db, &desk.who, &given(json!({})))).await.unwrap();
        assert!(left.items.is_empty());
    }

    async fn statuses_made_at_once_get_positions_of_their_own_and_one_label_once(world) {
        let results = world.all_at_once(6, |tx, desk, index| {
            let label = if index < 4 { format!("{index}") } else { "Twice".to_owned() };
            create_status(tx, &desk.who, given(json!({ "label": label })))
        }).await;
        let mut positions: Vec<_> = results.iter().flatten().map(|made| made.position).collect();
        positions.sort_unstable();
        assert_eq!(positions, [5, 6, 7, 8, 9]);
        let refused: Vec<_> = results.into_iter().map(outcome).filter(|ended| ended != "done").collect();
        assert_eq!(refused, ["conflict"]);
    }

    async fn a_page_is_read_in_the_order_of_an_index_whatever_the_filter(world) {
        const ROWS: usize = 3000;
        let (user, deal, line, held) = world.write(|tx, desk| {
            let ids = Ids::default();
            let user = desk.user(tx, "Kim")?.id;
            let (deal, line) = sold(tx, &desk.who, "Deal")?;
            let others = [sold(tx, &desk.who, "One")?, sold(tx, &desk.who, "Two")?];
            let all = statuses(tx, &desk.who)?;
            let rows = (0..ROWS).map(|index| {
                let now = at(desk.who.now.as_millisecond() + index as i64);
                let day = Date::parse(&format!("2026-03-{:02}", index % 28 + 1)).ok();
                let (deal, line) = if index % 20 == 0 { (deal, line) } else { others[index % 2] };
                store::params![
                    desk.who.workspace_id, ids.next(now), deal, line, all[index % 5].id, day,
                    (index % 7 == 0).then_some(user), json!({}), 0_i64, now, now, now
                ].to_vec()
            });
            insert(
                tx,
                "work_orders",
                "workspace_id, id, opportunity_id, opportunity_product_id, status_id, schedule_date, \
                 assigned_to, data, sort_order, status_changed_at, created_at, updated_at",
                rows.collect(),
            )?;
            if tx.engine() == Engine::Postgres {
                tx.execute("analyze work_orders", &[])?;
            }
            Ok((user, deal, line, all[2].id))
        }).await.unwrap();
        world.read(move |db, desk| {
            let newest = list(db, &desk.who, &given(json!({ "limit": 100 })))?.items;
            let key = match db.engine() {
                Engine::Sqlite => "sqlite_autoindex_work_orders_1",
                Engine::Postgres => "work_orders_pkey",
            };
            for (filter, index) in [
                (json!({}), key),
                (json!({ "status": "on hold" }), "work_orders_by_status"),
                (json!({ "status_id": held }), "work_orders_by_status"),
                (json!({ "assigned_to": user }), "work_orders_by_user"),
                (json!({ "schedule_date": "2026-03-07" }), "work_orders_by_schedule"),
                (json!({ "deal_id": deal }), "work_orders_by_opportunity"),
                (json!({ "deal_product_id": line }), "work_orders_by_line"),
            ] {
                let condition = condition(db, &desk.who, &given(filter))?;
                assert_pages_through::<WorkOrder>(db, &condition, index, newest[99].id)?;
            }
            // Where no row is found, all that could be scanned would be.
            let nothing = desk.who.new_id();
            let ids: Vec<_> = newest[..25].iter().map(|one| one.id).collect();
            for (sql, params) in [
                (names_sql(db.engine()), store::params![desk.who.workspace_id, ids].to_vec()),
                (statuses::USED.to_owned(), store::params![desk.who.workspace_id, nothing].to_vec()),
                (
                    move_all_sql(db.engine()),
                    store::params![desk.who.workspace_id, nothing, held, desk.who.now].to_vec(),
                ),
            ] {
                let plan = plan(db, &sql, &params)?;
                for scan in ["SCAN t", "SCAN work_orders", "Seq Scan on work_orders"] {
                    assert!(!plan.contains(scan), "{sql}\n{plan}");
                }
            }
            Ok(())
        }).await.unwrap();
    }
}

#[test]
fn a_work_order_needs_a_product_and_times_that_there_are() {
    let problems = refused::<NewWorkOrder>(json!({
        "status": "x".repeat(256), "schedule_date": "2026-02-30", "schedule_time": "24:00", "data": [],
    }));
    assert_eq!(problems.missing, ["deal_product_id"]);
    let fields: Vec<_> = problems.invalid.iter().map(|one| &*one.field).collect();
    assert_eq!(fields, ["schedule_date", "schedule_time", "data", "status"]);
}
