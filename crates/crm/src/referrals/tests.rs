#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value as Json, json};
use store::Engine;

use super::*;
use crate::caller::Ids;
use crate::testing::plans::{assert_pages_through, insert};
use crate::testing::{Desk, at, attempt, given, outcome, refused};
use crate::{contacts, opportunities};

fn referral(tx: &mut Tx<'_>, desk: &Desk, fields: Json) -> Result<Referral> {
    create(tx, &desk.who, given(fields))
}

fn patch(tx: &mut Tx<'_>, desk: &Desk, id: Uuid, fields: Json) -> Result<Referral> {
    update(tx, &desk.who, id, given(fields))
}

/// Who referred an opportunity most recently and the category, as it says and as
/// its referrals say.
fn referrer(db: &Db<'_>, desk: &Desk, deal: Uuid) -> Result<Option<(Uuid, Option<String>)>> {
    let opportunity = desk.get(db, deal)?;
    let referrals = list(
        db,
        &desk.who,
        &given(json!({ "referred_deal_id": deal, "limit": 1 })),
    )?;
    let newest = referrals.items.first();
    assert_eq!(
        opportunity.primary_referrer_contact_id,
        newest.map(|one| one.referrer_contact_id)
    );
    let category = newest.and_then(|one| one.category.as_deref());
    assert_eq!(opportunity.primary_referrer_category.as_deref(), category);
    Ok(opportunity
        .primary_referrer_contact_id
        .map(|id| (id, opportunity.primary_referrer_category)))
}

on_both_engines! {
    fn a_new_referral_is_pending_and_came_over_the_api(tx, desk) {
        let ada = desk.contact(tx, "Ada")?.id;
        let made = referral(tx, desk, json!({ "referrer_contact_id": ada }))?;
        assert_eq!((made.status, made.source), (ReferralStatus::Pending, ReferralSource::Api));
        assert_eq!((made.converted_at, made.referred_opportunity_id), (None, None));
    }

    fn the_most_recent_referral_gives_an_opportunity_its_referrer(tx, desk) {
        let [ada, ben, eve] = ["Ada", "Ben", "Eve"].map(|name| desk.contact(tx, name).unwrap().id);
        let (one, two) = (desk.opportunity(tx, "One")?.id, desk.opportunity(tx, "Two")?.id);
        let named = |by: Uuid, category: Option<&str>| {
            json!({ "referrer_contact_id": by, "referred_deal_id": one, "category": category })
        };
        let by = |who: Uuid, category: &str| Some((who, Some(category.to_owned())));
        let first = referral(tx, desk, named(ada, Some("Builder")))?.id;
        assert_eq!(referrer(tx, desk, one)?, by(ada, "Builder"));
        let second = referral(tx, desk, named(ben, None))?.id;
        assert_eq!(referrer(tx, desk, one)?, Some((ben, None)));
        referral(tx, desk, json!({ "referrer_contact_id": eve }))?;
        assert_eq!(referrer(tx, desk, one)?, Some((ben, None)));
        // Something else changes, something of an older one, something of the newest.
        patch(tx, desk, second, json!({ "notes": "Met at the fair", "status": "declined" }))?;
        patch(tx, desk, first, json!({ "category": "Agent" }))?;
        assert_eq!(referrer(tx, desk, one)?, Some((ben, None)));
        patch(tx, desk, second, json!({ "category": "Past customer" }))?;
        assert_eq!(referrer(tx, desk, one)?, by(ben, "Past customer"));
        patch(tx, desk, second, json!({ "referrer_contact_id": eve }))?;
        assert_eq!(referrer(tx, desk, one)?, by(eve, "Past customer"));
        // It names another one, none, and one again.
        patch(tx, desk, second, json!({ "referred_deal_id": two }))?;
        assert_eq!(referrer(tx, desk, one)?, by(ada, "Agent"));
        assert_eq!(referrer(tx, desk, two)?, by(eve, "Past customer"));
        patch(tx, desk, second, json!({ "referred_deal_id": null }))?;
        assert_eq!(referrer(tx, desk, two)?, None);
        patch(tx, desk, second, json!({ "referred_deal_id": one }))?;
        assert_eq!(referrer(tx, desk, one)?, by(eve, "Past customer"));
        delete(tx, &desk.who, second)?;
        assert_eq!(referrer(tx, desk, one)?, by(ada, "Agent"));
        delete(tx, &desk.who, first)?;
        assert_eq!(referrer(tx, desk, one)?, None);
        assert!(desk.log_of(tx, one)?.is_empty());
    }

    fn an_opportunity_is_told_of_when_a_referral_comes_to_name_it(tx, desk) {
        let ada = desk.contact(tx, "Ada")?.id;
        let deals = ["One", "Two", "Three"].map(|name| desk.opportunity(tx, name).unwrap().id);
        let told = |tx: &Tx<'_>| deals.map(|id| desk.events_of(tx, id).unwrap().len() - 1);
        let new = json!({ "referrer_contact_id": ada, "referred_deal_id": deals[0] });
        let id = referral(tx, desk, new.clone())?.id;
        assert_eq!(told(tx), [1, 0, 0]);
        patch(tx, desk, id, json!({ "referred_deal_id": deals[0], "notes": "x" }))?;
        patch(tx, desk, id, json!({ "referred_deal_id": null }))?;
        assert_eq!(told(tx), [1, 0, 0]);
        patch(tx, desk, id, json!({ "referred_deal_id": deals[1] }))?;
        convert(tx, &desk.who, id, given(json!({ "referred_deal_id": deals[2] })))?;
        assert_eq!(told(tx), [1, 1, 1]);
        assert_eq!(desk.events_of(tx, deals[2])?[1], "referral_attributed");
        let mut silent = new;
        silent["skip_automations"] = json!(true);
        referral(tx, desk, silent)?;
        assert_eq!(told(tx), [1, 1, 1]);
    }

    fn a_referral_is_converted_once(tx, desk) {
        let (ada, deal) = (desk.contact(tx, "Ada")?.id, desk.opportunity(tx, "Deal")?.id);
        let id = referral(tx, desk, json!({ "referrer_contact_id": ada, "status": "declined" }))?.id;
        let (later, latest) = (desk.later(10), desk.later(20));
        let done = convert(tx, &later, id, given(json!({ "referred_deal_id": deal })))?;
        assert_eq!((done.status, done.converted_at), (ReferralStatus::Converted, Some(later.now)));
        assert_eq!(referrer(tx, desk, deal)?, Some((ada, None)));
        let again = convert(tx, &latest, id, given(json!({})))?;
        assert_eq!((again.converted_at, again.updated_at), (Some(later.now), later.now));
        assert_eq!(again.referred_opportunity_id, Some(deal));
        assert_eq!(patch(tx, desk, id, json!({ "status": "accepted" }))?.converted_at, None);
        let early = json!({ "converted_at": "2026-01-01T00:00:00Z" });
        assert_eq!(attempt(tx, |tx| patch(tx, desk, id, early)), "invalid: converted_at");
    }

    fn nobody_refers_themselves(tx, desk) {
        let (ada, ben) = (desk.contact(tx, "Ada")?.id, desk.contact(tx, "Ben")?.id);
        let refused = "invalid: referred_contact_id";
        let oneself = json!({ "referrer_contact_id": ada, "referred_contact_id": ada });
        assert_eq!(attempt(tx, |tx| referral(tx, desk, oneself)), refused);
        let other = json!({ "referrer_contact_id": ada, "referred_contact_id": ben });
        let id = referral(tx, desk, other)?.id;
        for fields in [json!({ "referrer_contact_id": ben }), json!({ "referred_contact_id": ada })] {
            assert_eq!(attempt(tx, |tx| patch(tx, desk, id, fields)), refused);
        }
        patch(tx, desk, id, json!({ "referrer_contact_id": ben, "referred_contact_id": ada }))?;
    }

    fn a_referral_outlives_what_it_led_to_but_not_who_made_it(tx, desk) {
        let (ada, ben) = (desk.contact(tx, "Ada")?.id, desk.contact(tx, "Ben")?.id);
        let deal = desk.opportunity(tx, "Deal")?.id;
        let id = referral(tx, desk, json!({
            "referrer_contact_id": ada, "referred_contact_id": ben, "referred_deal_id": deal,
        }))?.id;
        let none = Automations::default();
        assert_eq!(attempt(tx, |tx| contacts::delete(tx, &desk.who, ada, &none)), "conflict");
        let both = given(json!({ "ids": [ada, ben] }));
        let gone = contacts::bulk_delete(tx, &desk.who, &both)?;
        assert_eq!((gone.done.len(), gone.failed[0].0), (1, ada));
        opportunities::delete(tx, &desk.who, deal)?;
        let left = record::get::<Referral>(tx, &desk.who, id)?;
        assert_eq!(left.referrer_contact_id, ada);
        assert_eq!((left.referred_contact_id, left.referred_opportunity_id), (None, None));
        delete(tx, &desk.who, id)?;
        contacts::delete(tx, &desk.who, ada, &none)?;
    }

    fn the_records_of_another_workspace_can_not_be_named(tx, desk) {
        let who = &desk.stranger;
        let (ada, deal) = (desk.contact(tx, "Ada")?.id, desk.opportunity(tx, "Deal")?.id);
        let own = contacts::create(tx, who, given(json!({ "first_name": "Own" })))?.id;
        let theirs = create(tx, who, given(json!({ "referrer_contact_id": own })))?.id;
        for (field, id, what) in [
            ("referrer_contact_id", ada, "contact"),
            ("referred_contact_id", ada, "contact"),
            ("referred_deal_id", deal, "opportunity"),
        ] {
            let expected = format!("not found: {what}");
            let mut new = json!({ "referrer_contact_id": own });
            new[field] = json!(id);
            assert_eq!(attempt(tx, |tx| create(tx, who, given(new))), expected);
            assert_eq!(attempt(tx, |tx| update(tx, who, theirs, given(json!({ field: id })))), expected);
        }
        let into = given(json!({ "referred_deal_id": deal }));
        assert_eq!(attempt(tx, |tx| convert(tx, who, theirs, into)), "not found: opportunity");
        let ours = referral(tx, desk, json!({ "referrer_contact_id": ada }))?.id;
        let expected = "not found: referral";
        for fields in [json!({ "notes": "x" }), json!({ "category": "x" })] {
            assert_eq!(attempt(tx, |tx| update(tx, who, ours, given(fields))), expected);
        }
        assert_eq!(attempt(tx, |tx| convert(tx, who, ours, given(json!({})))), expected);
        assert_eq!(attempt(tx, |tx| delete(tx, who, ours)), expected);
        assert_eq!(leaderboard(tx, who, &given(json!({})))?.items.len(), 1);
    }

    fn the_leaderboard_counts_and_adds_up_what_each_referrer_has_brought(tx, desk) {
        let [ada, ben, eve] = ["Ada", "Ben", "Eve"].map(|name| desk.contact(tx, name).unwrap().id);
        // Each fits into 64 bits, and all of them together do not.
        let huge = 900_000_000_000_000_i64;
        let deals: Vec<_> = [json!(0.1), json!(0.2), json!(null), json!(huge), json!(huge)]
            .into_iter()
            .map(|value| desk.create(tx, json!({ "name": "Deal", "value": value })).unwrap().id)
            .collect();
        let dollars = json!({ "name": "Deal", "value": 7, "currency": "USD" });
        let dollars = desk.create(tx, dollars)?.id;
        let mut add = |by: Uuid, deal: Option<Uuid>, status: &str, category: &str| {
            referral(tx, desk, json!({
                "referrer_contact_id": by, "referred_deal_id": deal, "status": status,
                "category": category,
            })).unwrap();
        };
        for deal in &deals {
            add(ada, Some(*deal), "converted", "Builder");
        }
        // The same one again counts once, and one that is not converted not at all.
        add(ada, Some(deals[0]), "converted", "Builder");
        add(ada, Some(dollars), "accepted", "Builder");
        add(ben, None, "pending", "Agent");
        add(ben, Some(dollars), "converted", "Builder");
        add(ben, None, "converted", "Agent");
        add(eve, None, "declined", "Agent");
        let board = leaderboard(tx, &desk.who, &given(json!({})))?;
        let answered = serde_json::to_value(&board.items).unwrap();
        let seen: Vec<_> = board.items.iter().map(|leader| leader.referrer.id).collect();
        assert_eq!(seen, [ada, ben, eve]);
        assert_eq!(answered[0]["referral_count"], 7);
        assert_eq!(answered[0]["by_status"], json!({ "pending": 0, "accepted": 1, "converted": 6, "declined": 0 }));
        assert_eq!(answered[0]["converted_value"].to_string(), r#"[{"currency":"AUD","total_value":1800000000000000.3}]"#);
        assert_eq!(answered[0]["referrer"]["first_name"], "Ada");
        assert_eq!(answered[0]["last_referred_at"], desk.who.now.to_string());
        assert_eq!(answered[1]["converted_value"], json!([{ "currency": "USD", "total_value": 7 }]));
        assert_eq!(answered[2]["converted_value"], json!([]));
        let agents = leaderboard(tx, &desk.who, &given(json!({ "category": "Agent" })))?.items;
        let agents: Vec<_> = agents.iter().map(|one| (one.referrer.id, one.referral_count)).collect();
        assert_eq!(agents, [(ben, 2), (eve, 1)]);
        let first = leaderboard(tx, &desk.who, &given(json!({ "limit": 2 })))?;
        assert_eq!((first.items.len(), first.has_more, first.next_cursor), (2, true, None));
        assert!(!leaderboard(tx, &desk.who, &given(json!({ "limit": 3 })))?.has_more);
        let early = given(json!({ "created_before": "2026-01-01" }));
        assert!(leaderboard(tx, &desk.who, &early)?.items.is_empty());
    }

    async fn referrals_that_come_and_go_at_once_agree_on_the_referrer(world) {
        let (contacts, deal, gone) = world.write(|tx, desk| {
            let contacts = (0..18).map(|index| Ok(desk.contact(tx, &format!("C{index}"))?.id));
            let contacts = contacts.collect::<Result<Vec<_>>>()?;
            let deal = desk.opportunity(tx, "Deal")?.id;
            let gone = (0..6).map(|index| {
                let fields = json!({ "referrer_contact_id": contacts[index], "referred_deal_id": deal });
                Ok(referral(tx, desk, fields)?.id)
            });
            let gone = gone.collect::<Result<Vec<_>>>()?;
            Ok((contacts, deal, gone))
        }).await.unwrap();
        let results = world.all_at_once(18, move |tx, desk, index| {
            if index % 3 == 0 {
                return delete(tx, &desk.who, gone[index / 3]);
            }
            let fields = json!({ "referrer_contact_id": contacts[index], "referred_deal_id": deal });
            referral(tx, desk, fields).map(drop)
        }).await;
        for result in results {
            assert_eq!(outcome(result), "done");
        }
        let found = world.read(move |db, desk| referrer(db, desk, deal)).await.unwrap();
        assert!(found.is_some());
    }

    async fn an_older_referral_that_comes_while_the_newest_goes_is_not_overlooked(world) {
        let (ada, deal, gone) = world.write(|tx, desk| {
            let (ada, ben) = (desk.contact(tx, "Ada")?.id, desk.contact(tx, "Ben")?.id);
            let deal = desk.opportunity(tx, "Deal")?.id;
            let fields = json!({ "referrer_contact_id": ben, "referred_deal_id": deal });
            Ok((ada, deal, referral(tx, desk, fields)?.id))
        }).await.unwrap();
        // Past the functions that lock: the triggers do it by themselves. The id
        // is older than the other one, as another server's clock may have it.
        let (came, went) = world.overlapping(
            move |tx, desk| {
                let now = desk.who.now;
                let id = Ids::default().next(at(now.as_millisecond() - 1000));
                Ok(tx.execute(
                    "insert into referrals (workspace_id, id, referrer_contact_id,
                         referred_opportunity_id, source, status, created_at, updated_at)
                     values ($1, $2, $3, $4, 'api', 'pending', $5, $5)",
                    &store::params![desk.who.workspace_id, id, ada, deal, now],
                )?)
            },
            move |tx, desk| Ok(tx.execute(
                "delete from referrals where workspace_id = $1 and id = $2",
                &store::params![desk.who.workspace_id, gone],
            )?),
        ).await;
        assert_eq!((came.unwrap(), went.unwrap()), (1, 1));
        let found = world.read(move |db, desk| referrer(db, desk, deal)).await.unwrap();
        assert_eq!(found, Some((ada, None)));
    }

    async fn a_contact_who_refers_someone_while_they_are_deleted_stays_or_is_gone(world) {
        let (ada, ben) = world.write(|tx, desk| {
            Ok((desk.contact(tx, "Ada")?.id, desk.contact(tx, "Ben")?.id))
        }).await.unwrap();
        let none = Automations::default;
        let (made, deleted) = world.overlapping(
            move |tx, desk| referral(tx, desk, json!({ "referrer_contact_id": ada })),
            move |tx, desk| contacts::delete(tx, &desk.who, ada, &none()),
        ).await;
        assert_eq!([outcome(made), outcome(deleted)], ["done", "conflict"]);
        let (deleted, made) = world.overlapping(
            move |tx, desk| contacts::delete(tx, &desk.who, ben, &none()),
            move |tx, desk| referral(tx, desk, json!({ "referrer_contact_id": ben })),
        ).await;
        assert_eq!([outcome(deleted), outcome(made)], ["done", "not found: contact"]);
    }

    async fn a_page_is_read_in_the_order_of_an_index_whatever_the_filter(world) {
        const ROWS: usize = 3000;
        let (ada, ben, deal) = world.write(|tx, desk| {
            let ids = Ids::default();
            let [ada, ben, eve] = ["Ada", "Ben", "Eve"].map(|name| desk.contact(tx, name).unwrap().id);
            let deal = desk.opportunity(tx, "Deal")?.id;
            let rows = (0..ROWS).map(|index| {
                let now = at(desk.who.now.as_millisecond() + index as i64);
                let some = |id: Uuid| (index % 7 == 0).then_some(id);
                store::params![
                    desk.who.workspace_id, ids.next(now), if index % 9 == 0 { ada } else { eve },
                    some(ben), some(deal), ["form", "manual", "api"][index % 3],
                    ["pending", "accepted", "declined"][index % 3],
                    format!("kind {}", index % 20), now, now
                ].to_vec()
            });
            insert(
                tx,
                "referrals",
                "workspace_id, id, referrer_contact_id, referred_contact_id, \
                 referred_opportunity_id, source, status, category, created_at, updated_at",
                rows.collect(),
            )?;
            if tx.engine() == Engine::Postgres {
                tx.execute("analyze referrals", &[])?;
            }
            Ok((ada, ben, deal))
        }).await.unwrap();
        world.read(move |db, desk| {
            let cursor = list(db, &desk.who, &given(json!({ "limit": 100 })))?.items[99].id;
            let key = match db.engine() {
                Engine::Sqlite => "sqlite_autoindex_referrals_1",
                Engine::Postgres => "referrals_pkey",
            };
            for (filter, index) in [
                (json!({}), key),
                (json!({ "referrer_contact_id": ada }), "referrals_by_referrer"),
                (json!({ "referred_contact_id": ben }), "referrals_by_contact"),
                (json!({ "referred_deal_id": deal }), "referrals_by_opportunity"),
                (json!({ "source": "form" }), "referrals_by_source"),
                (json!({ "status": "declined" }), "referrals_by_status"),
                (json!({ "category": "kind 7" }), "referrals_by_category"),
            ] {
                let condition = condition(&desk.who, &given(filter));
                assert_pages_through::<Referral>(db, &condition, index, cursor)?;
            }
            Ok(())
        }).await.unwrap();
    }
}

#[test]
fn a_referral_needs_who_made_it_and_words_that_there_are() {
    let problems = refused::<NewReferral>(json!({ "source": "mail", "status": "won" }));
    assert_eq!(problems.missing, ["referrer_contact_id"]);
    let fields: Vec<_> = problems.invalid.iter().map(|one| &*one.field).collect();
    assert_eq!(fields, ["source", "status"]);
    let removed = refused::<ReferralUpdate>(json!({ "referrer_contact_id": null }));
    assert_eq!(removed.missing, ["referrer_contact_id"]);
}
