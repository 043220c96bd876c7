#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::json;
use store::Engine;

use super::*;
use crate::bulk;
use crate::caller::Ids;
use crate::events::Automations;
use crate::testing::plans::{assert_pages_through, insert};
use crate::testing::{Desk, at, attempt, given, refused};
use crate::{companies, contacts, opportunities, users};

fn task(tx: &mut Tx<'_>, desk: &Desk, fields: serde_json::Value) -> Result<Task> {
    create(tx, &desk.who, given(fields))
}

fn patch(tx: &mut Tx<'_>, who: &Caller, id: Uuid, fields: serde_json::Value) -> Result<Task> {
    update(tx, who, id, given(fields))
}

on_both_engines! {
    fn a_new_task_is_to_be_done_and_matters_as_most_do(tx, desk) {
        let made = task(tx, desk, json!({ "title": " Call ", "status": null, "priority": null }))?;
        assert_eq!((&*made.title, made.status, made.priority), ("Call", TaskStatus::Todo, Priority::Medium));
        assert_eq!((made.completed_at, made.due_date, made.assigned_to), (None, None, None));
        assert_eq!(record::get::<Task>(tx, &desk.who, made.id)?.title, made.title);
    }

    fn when_it_was_completed_follows_the_status(tx, desk) {
        let id = task(tx, desk, json!({ "title": "Call" }))?.id;
        let (later, latest) = (desk.later(10), desk.later(20));
        assert_eq!(complete(tx, &later, id)?.completed_at, Some(later.now));
        // It is completed already.
        let again = complete(tx, &latest, id)?;
        assert_eq!((again.completed_at, again.updated_at), (Some(later.now), later.now));
        let renamed = patch(tx, &latest, id, json!({ "title": "Ring", "status": "completed" }))?;
        assert_eq!(renamed.completed_at, Some(later.now));
        for status in ["todo", "in_progress", "cancelled"] {
            patch(tx, &later, id, json!({ "status": "completed" }))?;
            let left = patch(tx, &latest, id, json!({ "status": status }))?;
            assert_eq!(left.completed_at, None, "{status}");
            assert_eq!(record::get::<Task>(tx, &desk.who, id)?.completed_at, None);
        }
        let day = "2026-01-02T03:04:05.000Z";
        let done = patch(tx, &desk.who, id, json!({ "status": "completed", "completed_at": day }))?;
        assert_eq!(done.completed_at.unwrap().to_string(), day);
        let corrected = patch(tx, &desk.who, id, json!({ "completed_at": "2026-01-03T00:00:00Z" }))?;
        assert_eq!(corrected.completed_at.unwrap().to_string(), "2026-01-03T00:00:00.000Z");
        let old = task(tx, desk, json!({ "title": "Old", "status": "completed", "completed_at": day }))?;
        assert_eq!(old.completed_at.unwrap().to_string(), day);
        let now = task(tx, desk, json!({ "title": "Now", "status": "completed", "completed_at": null }))?;
        assert_eq!(now.completed_at, Some(desk.who.now));
    }

    fn an_instant_of_completion_without_the_status_is_refused(tx, desk) {
        let day = "2026-01-02T03:04:05.000Z";
        let id = task(tx, desk, json!({ "title": "Call" }))?.id;
        let refused = "invalid: completed_at";
        for fields in [
            json!({ "completed_at": day }),
            json!({ "completed_at": day, "status": "cancelled" }),
        ] {
            assert_eq!(attempt(tx, |tx| patch(tx, &desk.who, id, fields.clone())), refused);
            let mut new = fields;
            new["title"] = json!("New");
            assert_eq!(attempt(tx, |tx| task(tx, desk, new)), refused);
        }
        complete(tx, &desk.who, id)?;
        let cleared = json!({ "completed_at": null });
        assert_eq!(attempt(tx, |tx| patch(tx, &desk.who, id, cleared)), refused);
        let both = json!({ "completed_at": null, "status": "todo" });
        assert_eq!(patch(tx, &desk.who, id, both)?.completed_at, None);
    }

    fn a_task_outlives_what_it_names_and_forgets_it(tx, desk) {
        let who = &desk.later(60);
        let (contact, company) = (desk.contact(tx, "Ada")?.id, desk.company(tx, "Acme")?.id);
        let (user, deal) = (desk.user(tx, "Kim")?.id, desk.opportunity(tx, "Deal")?.id);
        let named = json!({
            "title": "Call", "contact_id": contact, "customer_id": company,
            "assigned_to": user, "deal_id": deal,
        });
        let id = task(tx, desk, named.clone())?.id;
        let other = task(tx, desk, named)?.id;
        let unnamed = task(tx, desk, json!({ "title": "Rest" }))?;
        opportunities::delete(tx, who, deal)?;
        assert_eq!(record::get::<Task>(tx, who, id)?.opportunity_id, None);
        contacts::delete(tx, who, contact, &Automations::default())?;
        assert_eq!(record::get::<Task>(tx, who, id)?.contact_id, None);
        let companies: bulk::Delete = given(json!({ "ids": [company] }));
        assert_eq!(companies::bulk_delete(tx, who, &companies)?.done.len(), 1);
        assert_eq!(record::get::<Task>(tx, who, id)?.company_id, None);
        users::delete(tx, who, user)?;
        for id in [id, other] {
            let left = record::get::<Task>(tx, who, id)?;
            assert_eq!((left.assigned_to, left.contact_id, left.company_id), (None, None, None));
            assert_eq!((left.opportunity_id, left.updated_at), (None, who.now));
        }
        assert_eq!(record::get::<Task>(tx, who, unnamed.id)?.updated_at, unnamed.updated_at);
    }

    fn opportunities_deleted_together_leave_their_tasks(tx, desk) {
        let deals = [desk.opportunity(tx, "One")?.id, desk.opportunity(tx, "Two")?.id];
        for deal in deals {
            task(tx, desk, json!({ "title": "Call", "deal_id": deal }))?;
        }
        let gone = opportunities::bulk_delete(tx, &desk.who, &given(json!({ "ids": deals })))?;
        assert_eq!(gone.done.len(), 2);
        let left = list(tx, &desk.who, &given(json!({})))?.items;
        assert_eq!(left.iter().map(|task| task.opportunity_id).collect::<Vec<_>>(), [None, None]);
    }

    fn the_records_of_another_workspace_can_not_be_named(tx, desk) {
        let who = &desk.stranger;
        let (contact, company) = (desk.contact(tx, "Ada")?.id, desk.company(tx, "Acme")?.id);
        let (user, deal) = (desk.user(tx, "Kim")?.id, desk.opportunity(tx, "Deal")?.id);
        let theirs = create(tx, who, given(json!({ "title": "Theirs" })))?.id;
        for (field, id, what) in [
            ("contact_id", contact, "contact"),
            ("customer_id", company, "company"),
            ("assigned_to", user, "user"),
            ("deal_id", deal, "opportunity"),
        ] {
            let expected = format!("not found: {what}");
            let new = json!({ "title": "x", field: id });
            assert_eq!(attempt(tx, |tx| create(tx, who, given(new))), expected);
            assert_eq!(attempt(tx, |tx| patch(tx, who, theirs, json!({ field: id }))), expected);
        }
        let ours = task(tx, desk, json!({ "title": "Ours" }))?.id;
        let expected = "not found: task";
        assert_eq!(attempt(tx, |tx| patch(tx, who, ours, json!({ "title": "x" }))), expected);
        assert_eq!(attempt(tx, |tx| complete(tx, who, ours)), expected);
        assert_eq!(attempt(tx, |tx| delete(tx, who, ours)), expected);
        let page = PageRequest::default();
        assert_eq!(attempt(tx, |tx| of_opportunity(tx, who, deal, page)), "not found: opportunity");
        assert_eq!(list(tx, who, &given(json!({})))?.items.len(), 1);
    }

    async fn a_task_that_names_what_is_being_deleted_is_cleared_or_refused(world) {
        let (deal, contact, id) = world.write(|tx, desk| {
            let (deal, contact) = (desk.opportunity(tx, "Deal")?.id, desk.contact(tx, "Ada")?.id);
            Ok((deal, contact, task(tx, desk, json!({ "title": "Call" }))?.id))
        }).await.unwrap();
        let (named, gone) = world.overlapping(
            move |tx, desk| patch(tx, &desk.who, id, json!({ "deal_id": deal })),
            move |tx, desk| opportunities::delete(tx, &desk.who, deal),
        ).await;
        assert!(named.is_ok() && gone.is_ok());
        let left = world.read(move |db, desk| record::get::<Task>(db, &desk.who, id)).await.unwrap();
        assert_eq!(left.opportunity_id, None);
        let (gone, named) = world.overlapping(
            move |tx, desk| contacts::delete(tx, &desk.who, contact, &Automations::default()),
            move |tx, desk| patch(tx, &desk.who, id, json!({ "contact_id": contact })),
        ).await;
        gone.unwrap();
        assert_eq!(crate::testing::outcome(named), "not found: contact");
    }

    async fn a_page_is_read_in_the_order_of_an_index_whatever_the_filter(world) {
        const ROWS: usize = 3000;
        let (user, contact, company, deal) = world.write(|tx, desk| {
            let ids = Ids::default();
            let user = desk.user(tx, "Kim")?.id;
            let (contact, company) = (desk.contact(tx, "Ada")?.id, desk.company(tx, "Acme")?.id);
            let deal = desk.opportunity(tx, "Deal")?.id;
            let rows = (0..ROWS).map(|index| {
                let now = at(desk.who.now.as_millisecond() + index as i64);
                let some = |id: Uuid| (index % 7 == 0).then_some(id);
                let status = ["todo", "in_progress", "cancelled"][index % 3];
                let priority = ["low", "medium", "high", "critical"][index % 4];
                let day = Date::parse(&format!("2026-03-{:02}", index % 28 + 1)).ok();
                store::params![
                    desk.who.workspace_id, ids.next(now), "Call", status, priority, day,
                    some(user), some(deal), some(contact), some(company),
                    format!("kind {}", index % 20), now, now
                ].to_vec()
            });
            insert(
                tx,
                "tasks",
                "workspace_id, id, title, status, priority, due_date, assigned_to, opportunity_id, \
                 contact_id, company_id, category, created_at, updated_at",
                rows.collect(),
            )?;
            if tx.engine() == Engine::Postgres {
                tx.execute("analyze tasks", &[])?;
            }
            Ok((user, contact, company, deal))
        }).await.unwrap();
        world.read(move |db, desk| {
            let cursor = list(db, &desk.who, &given(json!({ "limit": 100 })))?.items[99].id;
            let key = match db.engine() {
                Engine::Sqlite => "sqlite_autoindex_tasks_1",
                Engine::Postgres => "tasks_pkey",
            };
            for (filter, index) in [
                (json!({}), key),
                (json!({ "status": "todo" }), "tasks_by_status"),
                (json!({ "priority": "critical" }), "tasks_by_priority"),
                (json!({ "due_date": "2026-03-07" }), "tasks_by_due_date"),
                (json!({ "assigned_to": user }), "tasks_by_user"),
                (json!({ "deal_id": deal }), "tasks_by_opportunity"),
                (json!({ "contact_id": contact }), "tasks_by_contact"),
                (json!({ "customer_id": company }), "tasks_by_company"),
                (json!({ "category": "kind 7" }), "tasks_by_category"),
            ] {
                let condition = condition(&desk.who, &given(filter));
                assert_pages_through::<Task>(db, &condition, index, cursor)?;
            }
            Ok(())
        }).await.unwrap();
    }
}

#[test]
fn a_task_needs_a_title_and_words_that_there_are() {
    let problems = refused::<New<TaskFields>>(json!({ "status": "done", "priority": "urgent" }));
    assert_eq!(problems.missing, ["title"]);
    let fields: Vec<_> = problems.invalid.iter().map(|one| &*one.field).collect();
    assert_eq!(fields, ["status", "priority"]);
    assert_eq!(
        refused::<TaskFields>(json!({ "title": " " })).missing,
        ["title"]
    );
}
