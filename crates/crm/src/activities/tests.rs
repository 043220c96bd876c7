#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::json;
use store::Engine;

use super::*;
use crate::caller::Ids;
use crate::events::Automations;
use crate::testing::plans::{assert_pages_through, insert, plan};
use crate::testing::{Desk, at, attempt, given, outcome, refused};
use crate::{companies, contacts, opportunities};

/// A call about an opportunity, so many seconds after the instant of the tests.
fn call(tx: &mut Tx<'_>, desk: &Desk, deal: Option<Uuid>, seconds: i64) -> Result<Uuid> {
    let occurred_at = desk.later(seconds).now.to_string();
    let fields = json!({
        "activity_type": "call", "subject": "Call", "deal_id": deal, "occurred_at": occurred_at,
    });
    Ok(create(tx, &desk.who, given(fields))?.id)
}

/// So many seconds after the instant of the tests.
fn when(desk: &Desk, seconds: i64) -> Json {
    json!({ "occurred_at": desk.later(seconds).now.to_string() })
}

fn patch(tx: &mut Tx<'_>, desk: &Desk, id: Uuid, fields: Json) -> Result<Activity> {
    update(tx, &desk.who, id, given(fields))
}

/// How many seconds after the instant of the tests an opportunity's newest activity
/// took place, as it says and as its activities say.
fn newest(db: &Db<'_>, desk: &Desk, deal: Uuid) -> Result<Option<i64>> {
    let said = desk.get(db, deal)?.last_activity_at;
    let activities = list_of(
        db,
        &desk.who,
        Of::Opportunity(deal),
        given(json!({ "limit": 100 })),
    )?;
    let found = activities.items.iter().map(|one| one.occurred_at).max();
    assert_eq!(said, found);
    let start = desk.who.now.as_millisecond();
    Ok(said.map(|instant| (instant.as_millisecond() - start) / 1000))
}

on_both_engines! {
    fn an_activity_takes_place_when_it_is_entered_unless_said_otherwise(tx, desk) {
        let fields = json!({ "activity_type": "note", "subject": " Seen ", "occurred_at": null });
        let made = create(tx, &desk.who, given(fields))?;
        assert_eq!((&*made.subject, made.activity_type), ("Seen", ActivityType::Note));
        assert_eq!((made.occurred_at, made.duration_minutes), (desk.who.now, None));
        let changed = patch(tx, desk, made.id, json!({ "duration_minutes": 25, "outcome": "Sold" }))?;
        assert_eq!(changed.duration_minutes, Some(Minutes(25)));
        assert_eq!(record::get::<Activity>(tx, &desk.who, made.id)?.duration_minutes, Some(Minutes(25)));
    }

    fn the_newest_activity_of_an_opportunity_is_known_whatever_happens_to_it(tx, desk) {
        let (one, two) = (desk.opportunity(tx, "One")?.id, desk.opportunity(tx, "Two")?.id);
        assert_eq!(newest(tx, desk, one)?, None);
        let first = call(tx, desk, Some(one), 10)?;
        let second = call(tx, desk, Some(one), 30)?;
        let third = call(tx, desk, Some(one), 20)?;
        assert_eq!(newest(tx, desk, one)?, Some(30));
        // It is at another time: later, earlier than others, and the newest again.
        for (seconds, expected) in [(40, 40), (5, 20), (35, 35)] {
            patch(tx, desk, second, when(desk, seconds))?;
            assert_eq!(newest(tx, desk, one)?, Some(expected));
        }
        patch(tx, desk, third, when(desk, 25))?;
        patch(tx, desk, third, json!({ "subject": "Rang" }))?;
        assert_eq!(newest(tx, desk, one)?, Some(35));
        // It is about another one, about none, and about one again.
        patch(tx, desk, second, json!({ "deal_id": two }))?;
        assert_eq!((newest(tx, desk, one)?, newest(tx, desk, two)?), (Some(25), Some(35)));
        let mut both = when(desk, 60);
        both["deal_id"] = Json::Null;
        patch(tx, desk, second, both)?;
        assert_eq!((newest(tx, desk, one)?, newest(tx, desk, two)?), (Some(25), None));
        patch(tx, desk, second, json!({ "deal_id": one }))?;
        assert_eq!(newest(tx, desk, one)?, Some(60));
        for (gone, expected) in [(first, Some(60)), (second, Some(25)), (third, None)] {
            delete(tx, &desk.who, gone)?;
            assert_eq!(newest(tx, desk, one)?, expected);
        }
        // Of two at one instant one goes.
        let twin = call(tx, desk, Some(one), 50)?;
        call(tx, desk, Some(one), 50)?;
        delete(tx, &desk.who, twin)?;
        assert_eq!(newest(tx, desk, one)?, Some(50));
        assert!(desk.log_of(tx, one)?.is_empty());
        assert_eq!(desk.get(tx, one)?.updated_at, desk.who.now);
    }

    fn an_activity_outlives_what_it_names_and_forgets_it(tx, desk) {
        let who = &desk.later(60);
        let (contact, company) = (desk.contact(tx, "Ada")?.id, desk.company(tx, "Acme")?.id);
        let deal = desk.opportunity(tx, "Deal")?.id;
        let fields = json!({
            "activity_type": "meeting", "subject": "Met", "contact_id": contact,
            "customer_id": company, "deal_id": deal,
        });
        let id = create(tx, who, given(fields))?.id;
        for seconds in [3, 1, 2] {
            call(tx, desk, Some(deal), seconds)?;
        }
        let page = PageRequest::default();
        let ids = |page: Page<Activity>| page.items.iter().map(|one| one.id).collect::<Vec<_>>();
        assert_eq!(ids(list_of(tx, who, Of::Contact(contact), page)?), [id]);
        assert_eq!(ids(list_of(tx, who, Of::Company(company), page)?), [id]);
        assert_eq!(list_of(tx, who, Of::Opportunity(deal), page)?.items.len(), 4);
        contacts::delete(tx, who, contact, &Automations::default())?;
        companies::delete(tx, who, company, &Automations::default())?;
        opportunities::delete(tx, who, deal)?;
        let left = list(tx, who, &given(json!({})))?.items;
        assert_eq!(left.len(), 4);
        for one in left {
            assert_eq!((one.contact_id, one.company_id, one.opportunity_id), (None, None, None));
        }
    }

    fn the_records_of_another_workspace_can_not_be_named(tx, desk) {
        let who = &desk.stranger;
        let (contact, company) = (desk.contact(tx, "Ada")?.id, desk.company(tx, "Acme")?.id);
        let deal = desk.opportunity(tx, "Deal")?.id;
        let new = json!({ "activity_type": "note", "subject": "Theirs" });
        let theirs = create(tx, who, given(new.clone()))?.id;
        let page = PageRequest::default();
        for (field, id, of, what) in [
            ("contact_id", contact, Of::Contact(contact), "contact"),
            ("customer_id", company, Of::Company(company), "company"),
            ("deal_id", deal, Of::Opportunity(deal), "opportunity"),
        ] {
            let expected = format!("not found: {what}");
            let mut naming = new.clone();
            naming[field] = json!(id);
            assert_eq!(attempt(tx, |tx| create(tx, who, given(naming))), expected);
            assert_eq!(attempt(tx, |tx| update(tx, who, theirs, given(json!({ field: id })))), expected);
            assert_eq!(attempt(tx, |tx| list_of(tx, who, of, page)), expected);
        }
        let ours = call(tx, desk, Some(deal), 0)?;
        let later = when(desk, 9);
        for fields in [json!({ "subject": "x" }), later] {
            let refused = attempt(tx, |tx| update(tx, who, ours, given(fields)));
            assert_eq!(refused, "not found: activity");
        }
        assert_eq!(attempt(tx, |tx| delete(tx, who, ours)), "not found: activity");
        assert_eq!(newest(tx, desk, deal)?, Some(0));
    }

    async fn activities_that_come_and_go_at_once_agree_on_the_newest(world) {
        let (deal, gone) = world.write(|tx, desk| {
            let deal = desk.opportunity(tx, "Deal")?.id;
            let gone = (0..6).map(|index| call(tx, desk, Some(deal), 100 + index));
            let gone = gone.collect::<Result<Vec<_>>>()?;
            Ok((deal, gone))
        }).await.unwrap();
        let results = world.all_at_once(18, move |tx, desk, index| match index % 3 {
            0 => delete(tx, &desk.who, gone[index / 3]),
            _ => call(tx, desk, Some(deal), index as i64 * 7 % 18).map(drop),
        }).await;
        for result in results {
            assert_eq!(outcome(result), "done");
        }
        let newest = world.read(move |db, desk| newest(db, desk, deal)).await.unwrap();
        // That of the call with the index 5.
        assert_eq!(newest, Some(17));
    }

    async fn an_older_activity_that_comes_while_the_newest_goes_is_not_overlooked(world) {
        let (deal, gone) = world.write(|tx, desk| {
            let deal = desk.opportunity(tx, "Deal")?.id;
            call(tx, desk, Some(deal), 10)?;
            Ok((deal, call(tx, desk, Some(deal), 30)?))
        }).await.unwrap();
        // Past the functions that lock: the triggers do it by themselves.
        let (came, went) = world.overlapping(
            move |tx, desk| {
                let occurred_at = desk.later(20).now;
                Ok(tx.execute(
                    "insert into activities (workspace_id, id, activity_type, subject,
                         opportunity_id, occurred_at, created_at, updated_at)
                     values ($1, $2, 'call', 'Call', $3, $4, $4, $4)",
                    &store::params![desk.who.workspace_id, desk.who.new_id(), deal, occurred_at],
                )?)
            },
            move |tx, desk| Ok(tx.execute(
                "delete from activities where workspace_id = $1 and id = $2",
                &store::params![desk.who.workspace_id, gone],
            )?),
        ).await;
        assert_eq!((came.unwrap(), went.unwrap()), (1, 1));
        let newest = world.read(move |db, desk| newest(db, desk, deal)).await.unwrap();
        assert_eq!(newest, Some(20));
    }

    async fn activities_that_change_places_never_wait_for_each_other_in_a_circle(world) {
        let (deals, calls) = world.write(|tx, desk| {
            let deals = [desk.opportunity(tx, "One")?.id, desk.opportunity(tx, "Two")?.id];
            let calls = (0..8).map(|index| call(tx, desk, Some(deals[index % 2]), index as i64));
            let calls = calls.collect::<Result<Vec<_>>>()?;
            Ok((deals, calls))
        }).await.unwrap();
        let before = world.store.stats().retries;
        let results = world.all_at_once(8, move |tx, desk, index| {
            patch(tx, desk, calls[index], json!({ "deal_id": deals[(index + 1) % 2] }))
        }).await;
        for result in results {
            assert_eq!(outcome(result), "done");
        }
        if world.store.engine() == Engine::Postgres {
            assert_eq!(world.store.stats().retries, before);
        }
        let newest = world.read(move |db, desk| {
            Ok(deals.map(|deal| newest(db, desk, deal).unwrap()))
        }).await.unwrap();
        assert_eq!(newest, [Some(7), Some(6)]);
    }

    async fn a_page_is_read_in_the_order_of_an_index_whatever_the_filter(world) {
        const ROWS: usize = 3000;
        let (contact, company, deal) = world.write(|tx, desk| {
            let ids = Ids::default();
            let (contact, company) = (desk.contact(tx, "Ada")?.id, desk.company(tx, "Acme")?.id);
            let deal = desk.opportunity(tx, "Deal")?.id;
            let rows = (0..ROWS).map(|index| {
                let now = at(desk.who.now.as_millisecond() + index as i64);
                let some = |id: Uuid| (index % 7 == 0).then_some(id);
                store::params![
                    desk.who.workspace_id, ids.next(now), ["call", "meeting", "note"][index % 3],
                    "Call", some(contact), some(deal), some(company), now, now, now
                ].to_vec()
            });
            insert(
                tx,
                "activities",
                "workspace_id, id, activity_type, subject, contact_id, opportunity_id, company_id, \
                 occurred_at, created_at, updated_at",
                rows.collect(),
            )?;
            if tx.engine() == Engine::Postgres {
                tx.execute("analyze activities", &[])?;
            }
            Ok((contact, company, deal))
        }).await.unwrap();
        world.read(move |db, desk| {
            let cursor = list(db, &desk.who, &given(json!({ "limit": 100 })))?.items[99].id;
            let key = match db.engine() {
                Engine::Sqlite => "sqlite_autoindex_activities_1",
                Engine::Postgres => "activities_pkey",
            };
            for (filter, index) in [
                (json!({}), key),
                (json!({ "activity_type": "note" }), "activities_by_type"),
                (json!({ "contact_id": contact }), "activities_by_contact"),
                (json!({ "deal_id": deal }), "activities_by_opportunity"),
                (json!({ "customer_id": company }), "activities_by_company"),
            ] {
                let condition = condition(&desk.who, &given(filter));
                assert_pages_through::<Activity>(db, &condition, index, cursor)?;
            }
            // As the triggers ask for the newest one.
            let plan = plan(
                db,
                "select max(a.occurred_at) from activities a
                 where a.workspace_id = $1 and a.opportunity_id = $2",
                &store::params![desk.who.workspace_id, deal],
            )?;
            assert!(plan.contains("activities_by_instant"), "{plan}");
            Ok(())
        }).await.unwrap();
    }
}

#[test]
fn an_activity_needs_a_type_and_a_subject_and_takes_a_while() {
    let problems = refused::<New<ActivityFields>>(json!({ "duration_minutes": -1 }));
    assert_eq!(problems.missing, ["activity_type", "subject"]);
    assert_eq!(problems.invalid[0].field, "duration_minutes");
    for minutes in [json!(1.5), json!("5"), json!(527_041)] {
        let problems = refused::<ActivityFields>(json!({ "duration_minutes": minutes }));
        assert_eq!(problems.invalid[0].field, "duration_minutes", "{minutes}");
    }
    for minutes in [json!(0), json!(527_040), json!(30.0)] {
        given::<ActivityFields>(json!({ "duration_minutes": minutes }));
    }
}
