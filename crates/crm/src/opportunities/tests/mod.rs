//! How opportunities behave.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bulk;
mod cards;
mod expand;
mod people;
mod plans;
mod products;
mod races;

use serde_json::{Value as Json, json};

use super::*;
use crate::testing::{attempt, given, outcome, refused};
use crate::{companies, contacts, stages};

/// An opportunity as it is answered.
fn answer(opportunity: &Opportunity) -> Json {
    serde_json::to_value(opportunity).unwrap()
}

on_both_engines! {
    fn a_new_opportunity_is_open_and_has_its_defaults(tx, desk) {
        let made = answer(&desk.opportunity(tx, "  Fit-out ")?);
        let expected = json!({
            "id": made["id"], "public_id": "OPP-001", "name": "Fit-out", "status": "open",
            "contact_id": null, "customer_id": null, "value": null, "currency": "AUD",
            "probability": null, "expected_close_date": null, "actual_close_date": null,
            "lead_source": null, "opportunity_type": null, "won_reason": null,
            "lost_reason": null, "next_action_name": null, "next_action_date": null,
            "tags": [], "notes": null, "metadata": {}, "products_value": 0,
            "won_at": null, "lost_at": null, "primary_referrer_contact_id": null,
            "primary_referrer_category": null, "last_activity_at": null,
            "created_at": crate::testing::NOW, "updated_at": crate::testing::NOW,
            "placements": [],
        });
        assert_eq!(made, expected);
        let id = made["id"].as_str().unwrap().parse().unwrap();
        assert_eq!(answer(&desk.get(tx, id)?), expected);
        assert_eq!(desk.events_of(tx, id)?, ["deal_created"]);
        assert!(desk.log_of(tx, id)?.is_empty());
    }

    fn every_writable_field_is_kept_as_it_was_sent(tx, desk) {
        let contact = desk.contact(tx, "Ada")?.id;
        let company = desk.company(tx, "Analytical Engines")?.id;
        let fields = json!({
            "name": "東京 – Zoë’s ½ “deal” 🏗", "status": "lost", "contact_id": contact,
            "customer_id": company, "value": 1234567.8901, "currency": "JPY",
            "probability": 33.3333, "expected_close_date": "2026-12-31",
            "actual_close_date": "2024-02-29", "lead_source": "Web", "opportunity_type": "New",
            "won_reason": "price", "lost_reason": "timing", "next_action_name": "Call",
            "next_action_date": "2026-03-01T09:00:00.000Z",
            "tags": [{ "name": "VIP", "color": "#ff0000" }], "notes": " two\nlines ",
            "metadata": { "size": { "m2": 12.50, "rooms": [1, null, true] } },
        });
        let id = desk.create(tx, fields.clone())?.id;
        let kept = answer(&desk.get(tx, id)?);
        for (field, sent) in fields.as_object().unwrap() {
            assert_eq!(&kept[field], sent, "{field}");
        }
        assert_eq!(kept["lost_at"], crate::testing::NOW);
    }

    fn the_currency_is_the_workspaces_own_unless_named(tx, desk) {
        crate::workspaces::update(tx, &desk.who, given(json!({ "currency": "nzd" })))?;
        assert_eq!(desk.opportunity(tx, "Local")?.currency.code(), "NZD");
        let named = desk.create(tx, json!({ "name": "Abroad", "currency": "usd" }))?;
        assert_eq!(named.currency.code(), "USD");
    }

    fn a_public_id_is_never_used_again(tx, desk) {
        let mut seen = Vec::new();
        for _ in 0..3 {
            let made = desk.opportunity(tx, "Deal")?;
            seen.push(made.public_id);
            delete(tx, &desk.who, made.id)?;
        }
        assert_eq!(seen, ["OPP-001", "OPP-002", "OPP-003"]);
        let theirs = create(tx, &desk.stranger, given(json!({ "name": "Deal" })))?;
        assert_eq!(theirs.public_id, "OPP-001");
        tx.execute(
            "update counters set value = 999 where workspace_id = $1",
            &store::params![desk.who.workspace_id],
        )?;
        assert_eq!(desk.opportunity(tx, "Deal")?.public_id, "OPP-1000");
    }

    fn a_patch_changes_what_it_names_and_logs_each_field_once(tx, desk) {
        let company = desk.company(tx, "Acme")?.id;
        let id = desk.create(tx, json!({
            "name": "Old", "value": 10, "notes": "keep", "expected_close_date": "2026-05-01",
        }))?.id;
        let later = desk.later(60);
        let fields = json!({
            "name": "New", "value": 10.0, "customer_id": company,
            "expected_close_date": null, "tags": ["vip"],
        });
        let patched = update(tx, &later, id, given(fields))?;
        assert_eq!(patched.updated_at, later.now);
        assert_eq!(answer(&patched), answer(&desk.get(tx, id)?));
        assert_eq!(&**patched.notes.as_ref().unwrap(), "keep");
        let tag = json!([{ "name": "vip", "color": "#3b82f6" }]);
        // `value` was sent with the same number, and so did not change.
        assert_eq!(desk.log_of(tx, id)?, [
            ("name".to_owned(), json!("Old"), json!("New")),
            ("customer_id".to_owned(), Json::Null, json!(company)),
            ("expected_close_date".to_owned(), json!("2026-05-01"), Json::Null),
            ("tags".to_owned(), json!([]), tag),
        ]);
        assert_eq!(desk.events_of(tx, id)?, ["deal_created", "deal_updated"]);
        let data: Json = tx.query_one(
            "select data from events where workspace_id = $1 and trigger_type = 'deal_updated'",
            &store::params![desk.who.workspace_id],
            |row| row.get(0),
        )?;
        assert_eq!(
            data["_changed_fields"],
            json!(["name", "customer_id", "expected_close_date", "tags"])
        );
        assert_eq!(data["_previous_values"], json!({
            "name": "Old", "customer_id": null, "expected_close_date": "2026-05-01", "tags": [],
        }));
    }

    fn a_patch_that_changes_nothing_leaves_no_trace(tx, desk) {
        let made = desk.create(tx, json!({ "name": "Same", "value": 1.5, "tags": ["a"] }))?;
        for fields in [json!({}), json!({ "name": " Same ", "value": 1.50, "tags": ["a"], "notes": null })] {
            let same = update(tx, &desk.later(60), made.id, given(fields))?;
            assert_eq!(answer(&same), answer(&made));
        }
        assert!(desk.log_of(tx, made.id)?.is_empty());
        assert_eq!(desk.events_of(tx, made.id)?, ["deal_created"]);
    }

    fn the_log_says_who_changed_what_and_when(tx, desk) {
        let id = desk.opportunity(tx, "Deal")?.id;
        let mut who = desk.later(5);
        let key = who.new_id();
        who.actor = crate::Actor {
            kind: crate::ActorKind::ApiKey, id: Some(key), name: "Website".to_owned(),
        };
        who.request_id = Some("request-7".to_owned());
        update(tx, &who, id, given(json!({ "probability": 12.5 })))?;
        let row = tx.query_one(
            "select entity_type, actor_type, actor_id, actor_name, request_id, changed_at, new_value
             from crm_field_change_log where workspace_id = $1 and entity_id = $2",
            &store::params![who.workspace_id, id],
            |row| Ok((
                (row.get::<String>(0)?, row.get::<String>(1)?, row.get::<Uuid>(2)?),
                (row.get::<String>(3)?, row.get::<String>(4)?, row.get::<Timestamp>(5)?),
                row.get::<Json>(6)?,
            )),
        )?;
        assert_eq!(row, (
            ("opportunity".to_owned(), "api_key".to_owned(), key),
            ("Website".to_owned(), "request-7".to_owned(), who.now),
            json!(12.5),
        ));
    }

    fn the_log_can_only_grow(tx, desk) {
        let id = desk.opportunity(tx, "Deal")?.id;
        desk.patch(tx, id, json!({ "name": "Other" }))?;
        for sql in [
            "update crm_field_change_log set field = 'x' where workspace_id = $1",
            "delete from crm_field_change_log where workspace_id = $1",
        ] {
            let params = store::params![desk.who.workspace_id];
            tx.savepoint(|tx| tx.execute(sql, &params)).unwrap_err();
        }
        if tx.engine() == store::Engine::Postgres {
            tx.savepoint(|tx| tx.execute("truncate crm_field_change_log", &[])).unwrap_err();
        }
        delete(tx, &desk.who, id)?;
        assert_eq!(desk.log_of(tx, id)?.len(), 1);
    }

    fn automations_that_are_to_be_skipped_get_no_event(tx, desk) {
        let id = desk.create(tx, json!({ "name": "Old", "skip_automations": true }))?.id;
        desk.patch(tx, id, json!({ "name": "New", "skip_automations": true }))?;
        let target = given(json!({
            "pipeline_id": desk.pipeline, "stage_id": desk.won(), "skip_automations": true,
        }));
        move_to(tx, &desk.who, id, &target)?;
        assert!(desk.events_of(tx, id)?.is_empty());
        assert_eq!(desk.get(tx, id)?.status, Status::Won);
    }

    fn actions_that_are_to_be_skipped_are_named_in_the_event(tx, desk) {
        let (id, action) = (desk.opportunity(tx, "Deal")?.id, desk.who.new_id());
        let target = given(json!({
            "pipeline_id": desk.pipeline, "stage_id": desk.lead(), "skip_action_ids": [action],
        }));
        move_to(tx, &desk.who, id, &target)?;
        let skipped: Json = tx.query_one(
            "select skip_action_ids from events where workspace_id = $1 and trigger_type = 'stage_changed'",
            &store::params![desk.who.workspace_id],
            |row| row.get(0),
        )?;
        assert_eq!(skipped, json!([action]));
    }

    fn a_status_that_is_set_by_hand_sets_its_dates(tx, desk) {
        let id = desk.create(tx, json!({ "name": "Deal", "pipeline_id": desk.pipeline }))?.id;
        let later = desk.later(3600);
        let mut patch = |fields: Json| update(tx, &later, id, given(fields));
        let won = answer(&patch(json!({ "status": "won" }))?);
        // It is already the first of March where the workspace is.
        assert_eq!(won["actual_close_date"], "2026-03-01");
        assert_eq!(won["won_at"], later.now.to_string());
        assert_eq!(won["placements"][0]["stage_id"], json!(desk.lead()), "no card moves");
        let lost = answer(&patch(json!({ "status": "lost" }))?);
        assert_eq!((&lost["won_at"], &lost["lost_at"]), (&Json::Null, &won["won_at"]));
        assert_eq!(lost["actual_close_date"], "2026-03-01");
        let open = answer(&patch(json!({ "status": "open" }))?);
        for field in ["won_at", "lost_at", "actual_close_date"] {
            assert_eq!(open[field], Json::Null, "{field}");
        }
        let fields: Vec<_> = desk.log_of(tx, id)?.into_iter().map(|(field, ..)| field).collect();
        assert_eq!(fields, [
            "status", "won_at", "actual_close_date",
            "status", "won_at", "lost_at",
            "status", "lost_at", "actual_close_date",
        ]);
    }

    fn a_close_date_that_was_set_by_hand_outlasts_the_status(tx, desk) {
        let id = desk.create(tx, json!({ "name": "Deal", "actual_close_date": "2025-01-31" }))?.id;
        desk.patch(tx, id, json!({ "status": "won" }))?;
        let open = desk.patch(tx, id, json!({ "status": "open" }))?;
        assert_eq!(answer(&open)["actual_close_date"], "2025-01-31");
        desk.patch(tx, id, json!({ "actual_close_date": null }))?;
        desk.patch(tx, id, json!({ "status": "lost" }))?;
        desk.patch(tx, id, json!({ "actual_close_date": "2025-02-28" }))?;
        let open = desk.patch(tx, id, json!({ "status": "open" }))?;
        assert_eq!(answer(&open)["actual_close_date"], "2025-02-28");
    }

    fn sending_a_close_date_back_unchanged_does_not_make_it_ones_own(tx, desk) {
        let id = desk.opportunity(tx, "Deal")?.id;
        let won = answer(&desk.patch(tx, id, json!({ "status": "won" }))?);
        desk.patch(tx, id, json!({ "name": "New", "actual_close_date": won["actual_close_date"] }))?;
        let open = desk.patch(tx, id, json!({ "status": "open" }))?;
        assert_eq!(open.actual_close_date, None);
    }

    fn a_stage_decides_the_status_of_what_is_created_in_it(tx, desk) {
        let fields = json!({ "name": "Deal", "status": "lost", "stage_id": desk.won() });
        let made = desk.create(tx, fields)?;
        assert_eq!((made.status, made.won_at, made.lost_at), (Status::Won, Some(desk.who.now), None));
        let made = desk.create(tx, json!({ "name": "Deal", "status": "lost", "stage_id": desk.lead() }))?;
        assert_eq!((made.status, made.won_at, made.lost_at), (Status::Lost, None, Some(desk.who.now)));
    }

    fn a_pipeline_alone_means_its_first_stage_and_a_stage_alone_its_pipeline(tx, desk) {
        let stage_of = |made: Opportunity| (made.placements[0].pipeline_id, made.placements[0].stage_id);
        stages::reorder(tx, &desk.who, desk.pipeline, &given(json!({
            "stage_ids": desk.stages.iter().rev().collect::<Vec<_>>(),
        })))?;
        let made = desk.create(tx, json!({ "name": "Deal", "pipeline_id": desk.pipeline }))?;
        assert_eq!(stage_of(made), (desk.pipeline, desk.lost()));
        let made = desk.create(tx, json!({ "name": "Deal", "stage_id": desk.qualified() }))?;
        assert_eq!(stage_of(made), (desk.pipeline, desk.qualified()));
        let (other, _) = crate::testing::pipeline(tx, &desk.who, "Empty", &[])?;
        let both = json!({ "name": "Deal", "pipeline_id": other, "stage_id": desk.lead() });
        assert_eq!(attempt(tx, |tx| desk.create(tx, both)), "invalid: stage_id");
        let empty = json!({ "name": "Deal", "pipeline_id": other });
        assert_eq!(attempt(tx, |tx| desk.create(tx, empty)), "invalid: pipeline_id");
    }

    fn an_import_says_when_it_closed_and_since_when_it_stands_in_its_stage(tx, desk) {
        let day = |text: &str| Date::parse(text).unwrap();
        let history = History {
            closed_on: Some(day("2024-07-01")), entered_stage_on: Some(day("2024-01-15")),
        };
        let new = given(json!({ "name": "Old", "stage_id": desk.won() }));
        let made = answer(&create_with_history(tx, &desk.who, new, history)?);
        // Midnight in Sydney, in winter and in summer.
        assert_eq!(made["won_at"], "2024-06-30T14:00:00.000Z");
        assert_eq!(made["actual_close_date"], "2024-07-01");
        assert_eq!(made["placements"][0]["entered_stage_at"], "2024-01-14T13:00:00.000Z");
        assert_eq!(made["created_at"], crate::testing::NOW);
    }

    fn deleting_an_opportunity_takes_its_cards_and_links_and_nothing_else(tx, desk) {
        let (contact, company, user) =
            (desk.contact(tx, "Ada")?.id, desk.company(tx, "Acme")?.id, desk.user(tx, "Kim")?.id);
        let id = desk.create(tx, json!({
            "name": "Deal", "customer_id": company, "stage_id": desk.lead(),
        }))?.id;
        add_contact(tx, &desk.who, id, contact)?;
        assign_user(tx, &desk.who, id, user)?;
        delete(tx, &desk.who, id)?;
        for table in ["cards", "opportunity_contacts", "opportunity_users"] {
            let left = tx.query_one(
                &format!("select count(*) from {table} where workspace_id = $1 and opportunity_id = $2"),
                &store::params![desk.who.workspace_id, id],
                |row| row.get::<i64>(0),
            )?;
            assert_eq!(left, 0, "{table}");
        }
        record::get::<Contact>(tx, &desk.who, contact)?;
        record::get::<Company>(tx, &desk.who, company)?;
        let gone = [
            attempt(tx, |tx| delete(tx, &desk.who, id)),
            attempt(tx, |tx| desk.patch(tx, id, json!({ "name": "x" }))),
            attempt(tx, |tx| desk.move_to(tx, id, desk.lead(), 0)),
            outcome(desk.get(tx, id)),
        ];
        assert_eq!(gone, ["not found: opportunity"; 4]);
        assert!(search(tx, &desk.who, &given(json!({ "query": "Deal" })))?.items.is_empty());
    }

    fn what_another_record_clears_is_logged_and_told(tx, desk) {
        let (contact, company) = (desk.contact(tx, "Ada")?.id, desk.company(tx, "Acme")?.id);
        let id = desk.create(tx, json!({
            "name": "Deal", "contact_id": contact, "customer_id": company,
        }))?.id;
        contacts::delete(tx, &desk.later(1), contact, &Automations::default())?;
        companies::delete(tx, &desk.later(2), company, &Automations::default())?;
        let left = desk.get(tx, id)?;
        assert_eq!((left.contact_id, left.company_id), (None, None));
        assert_eq!(left.updated_at, desk.later(2).now);
        assert_eq!(desk.log_of(tx, id)?, [
            ("contact_id".to_owned(), json!(contact), Json::Null),
            ("customer_id".to_owned(), json!(company), Json::Null),
        ]);
        assert_eq!(desk.events_of(tx, id)?, ["deal_created", "deal_updated", "deal_updated"]);
        for name in ["Ada", "Acme"] {
            assert!(search(tx, &desk.who, &given(json!({ "query": name })))?.items.is_empty());
        }
    }

    fn filters_combine_and_one_that_names_nothing_finds_nothing(tx, desk) {
        let (contact, company, user) =
            (desk.contact(tx, "Ada")?.id, desk.company(tx, "Acme")?.id, desk.user(tx, "Kim")?.id);
        let all = json!({
            "name": "All", "contact_id": contact, "customer_id": company, "stage_id": desk.won(),
        });
        let all = desk.create(tx, all)?.id;
        assign_user(tx, &desk.who, all, user)?;
        let none = create(tx, &desk.later(86_400), given(json!({ "name": "None" })))?.id;
        let everything = json!({
            "search": "all", "status": "won", "contact_id": contact, "customer_id": company,
            "assigned_to": user, "pipeline_id": desk.pipeline, "stage_id": desk.won(),
            "created_after": crate::testing::NOW, "created_before": "2026-03-01",
        });
        let found = |db: &Db<'_>, filter: Json| -> Result<Vec<Uuid>> {
            let page = list(db, &desk.who, &given(filter))?;
            Ok(page.items.iter().map(|one| one.id).collect())
        };
        assert_eq!(found(tx, json!({}))?, [none, all]);
        assert_eq!(found(tx, everything.clone())?, [all]);
        for (field, value) in everything.as_object().unwrap() {
            let expected: &[Uuid] = if field == "created_after" { &[none, all] } else { &[all] };
            assert_eq!(found(tx, json!({ field: value }))?, expected, "{field} alone");
        }
        for field in ["contact_id", "customer_id", "assigned_to", "pipeline_id", "stage_id"] {
            assert!(found(tx, json!({ field: none }))?.is_empty(), "{field}");
        }
        // The first is inclusive, the second is not.
        assert_eq!(found(tx, json!({ "created_after": "2026-02-28T15:30:00.001Z" }))?, [none]);
        assert!(found(tx, json!({ "created_before": crate::testing::NOW }))?.is_empty());
    }

    fn expansions_bring_what_is_linked_and_null_for_what_is_not(tx, desk) {
        let contact = desk.contact(tx, "Ada")?;
        let user = desk.user(tx, "Kim")?.id;
        let one = desk.create(tx, json!({ "name": "One", "contact_id": contact.id }))?.id;
        desk.opportunity(tx, "Two")?;
        assign_user(tx, &desk.who, one, user)?;
        let input = ListOpportunities {
            expansions: Expansions {
                expand: vec![Expansion::Contact, Expansion::Customer, Expansion::AssignedUsers],
            },
            ..given(json!({}))
        };
        let page = list(tx, &desk.who, &input)?;
        let (two, one) = (answer(&page.items[0]), answer(&page.items[1]));
        assert_eq!(one["contact"], serde_json::to_value(&contact).unwrap());
        assert_eq!(one["assigned_users"][0]["id"], json!(user));
        assert_eq!(one["assigned_users"][0]["is_primary"], true);
        for (of, field) in [(&one, "customer"), (&two, "contact"), (&two, "customer")] {
            assert_eq!(of.get(field), Some(&Json::Null), "{field}");
        }
        assert_eq!(two["assigned_users"], json!([]));
        assert_eq!(answer(&desk.get(tx, page.items[1].id)?).get("contact"), None);
    }

    fn a_referrer_is_shown_in_short(tx, desk) {
        let contact = desk.contact(tx, "Ada")?;
        let id = desk.opportunity(tx, "Deal")?.id;
        let shown = |db: &Db<'_>| -> Result<Json> {
            let expansions = Expansions { expand: vec![Expansion::Referrer] };
            Ok(answer(&get(db, &desk.who, id, &expansions)?))
        };
        assert_eq!(shown(tx)?.get("referrer"), Some(&Json::Null));
        tx.execute(
            "update opportunities set primary_referrer_contact_id = $3
             where workspace_id = $1 and id = $2",
            &store::params![desk.who.workspace_id, id, contact.id],
        )?;
        assert_eq!(shown(tx)?["referrer"], json!({
            "id": contact.id, "public_id": "C-001", "first_name": "Ada", "last_name": null,
            "email": null, "phone": null, "job_title": null,
        }));
    }

    fn the_opportunities_of_a_record_are_those_that_name_it(tx, desk) {
        let (contact, company) = (desk.contact(tx, "Ada")?.id, desk.company(tx, "Acme")?.id);
        let primary = desk.create(tx, json!({ "name": "P", "contact_id": contact }))?.id;
        let additional = desk.create(tx, json!({ "name": "A", "customer_id": company }))?.id;
        add_contact(tx, &desk.who, additional, contact)?;
        let carded = desk.create(tx, json!({ "name": "C", "stage_id": desk.lead() }))?.id;
        let found = |of: Of| -> Result<Vec<Uuid>> {
            let page = list_of(tx, &desk.who, of, &given(json!({})))?;
            Ok(page.items.iter().map(|one| one.id).collect())
        };
        assert_eq!(found(Of::Contact(contact))?, [additional, primary]);
        assert_eq!(found(Of::Company(company))?, [additional]);
        assert_eq!(found(Of::Pipeline(desk.pipeline))?, [carded]);
        assert_eq!(outcome(found(Of::Contact(company))), "not found: contact");
    }

    fn nothing_of_another_workspace_can_be_seen_linked_or_changed(tx, desk) {
        let (contact, company, user) =
            (desk.contact(tx, "Ada")?.id, desk.company(tx, "Acme")?.id, desk.user(tx, "Kim")?.id);
        let id = desk.create(tx, json!({ "name": "Deal", "stage_id": desk.lead() }))?.id;
        add_contact(tx, &desk.who, id, contact)?;
        assign_user(tx, &desk.who, id, user)?;
        let before = answer(&desk.get(tx, id)?);
        let who = &desk.stranger;
        let own = create(tx, who, given(json!({ "name": "Own" })))?.id;
        let (own_pipeline, own_stages) = crate::testing::pipeline(tx, who, "Own", &["Only"])?;
        let own_target = crate::testing::target(own_pipeline, own_stages[0], 0);

        let mut seen = Vec::new();
        let mut tries = |what: &str, call: &mut dyn FnMut(&mut Tx<'_>) -> Result<()>| {
            seen.push((what.to_owned(), attempt(tx, |tx| call(tx))));
        };
        let page = PageRequest::default();
        tries("get", &mut |tx| get(tx, who, id, &Expansions::default()).map(drop));
        tries("update", &mut |tx| update(tx, who, id, given(json!({ "name": "x" }))).map(drop));
        tries("delete", &mut |tx| delete(tx, who, id));
        tries("move", &mut |tx| move_to(tx, who, id, &own_target).map(drop));
        tries("card", &mut |tx| add_card(tx, who, id, &own_target).map(drop));
        tries("users", &mut |tx| users(tx, who, id, page).map(drop));
        tries("contacts", &mut |tx| super::contacts(tx, who, id, page).map(drop));
        tries("add contact", &mut |tx| add_contact(tx, who, id, contact).map(drop));
        tries("remove contact", &mut |tx| remove_contact(tx, who, id, contact));
        tries("assign", &mut |tx| assign_user(tx, who, id, user).map(drop));
        tries("unassign", &mut |tx| unassign_user(tx, who, id, user));
        for (what, result) in seen {
            assert_eq!(result, "not found: opportunity", "{what}");
        }

        let new = |fields: Json| move |tx: &mut Tx<'_>| create(tx, who, given(fields)).map(drop);
        for (result, expected) in [
            (attempt(tx, new(json!({ "name": "x", "contact_id": contact }))), "contact"),
            (attempt(tx, new(json!({ "name": "x", "customer_id": company }))), "company"),
            (attempt(tx, new(json!({ "name": "x", "stage_id": desk.lead() }))), "stage"),
            (attempt(tx, new(json!({ "name": "x", "pipeline_id": desk.pipeline }))), "pipeline"),
            (attempt(tx, |tx| update(tx, who, own, given(json!({ "contact_id": contact })))), "contact"),
            (attempt(tx, |tx| update(tx, who, own, given(json!({ "customer_id": company })))), "company"),
            (attempt(tx, |tx| move_to(tx, who, own, &desk.target(desk.lead(), 0))), "pipeline"),
            (attempt(tx, |tx| add_card(tx, who, own, &desk.target(desk.lead(), 0))), "pipeline"),
            (
                attempt(tx, |tx| {
                    let target = crate::testing::target(own_pipeline, desk.lead(), 0);
                    move_to(tx, who, own, &target)
                }),
                "stage",
            ),
            (attempt(tx, |tx| add_contact(tx, who, own, contact)), "contact"),
            (attempt(tx, |tx| assign_user(tx, who, own, user)), "user"),
        ] {
            assert_eq!(result, format!("not found: {expected}"));
        }

        let listed = list(tx, who, &given(json!({ "stage_id": desk.lead() })))?;
        assert!(listed.items.is_empty());
        let ids: Vec<_> = list(tx, who, &given(json!({})))?.items.iter().map(|one| one.id).collect();
        assert_eq!(ids, [own]);
        for query in ["Deal", "de"] {
            assert!(search(tx, who, &given(json!({ "query": query })))?.items.is_empty());
        }
        let failed = bulk_delete(tx, who, &given(json!({ "ids": [id] })))?.failed;
        assert_eq!(outcome::<()>(Err(failed.into_iter().next().unwrap().1)), "not found: opportunity");
        assert_eq!(answer(&desk.get(tx, id)?), before);
    }
}

#[test]
fn a_new_opportunity_needs_a_name_and_all_problems_are_told_at_once() {
    let problems = refused::<NewOpportunity>(json!({
        "name": "  ", "status": "maybe", "probability": 100.0001, "currency": "XXQ",
        "contact_id": "12", "expected_close_date": "2026-02-30", "value": "12", "tags": [{}],
        "next_action_date": "tomorrow", "notes": "a".repeat(100_001),
    }));
    assert_eq!(problems.missing, ["name"]);
    let mut invalid: Vec<_> = problems
        .invalid
        .iter()
        .map(|problem| problem.field.as_str())
        .collect();
    invalid.sort_unstable();
    assert_eq!(
        invalid,
        [
            "contact_id",
            "currency",
            "expected_close_date",
            "next_action_date",
            "notes",
            "probability",
            "status",
            "tags[0].name",
            "value",
        ]
    );
}

#[test]
fn a_name_has_up_to_255_characters_whatever_their_bytes() {
    given::<NewOpportunity>(json!({ "name": "東".repeat(255) }));
    given::<NewOpportunity>(json!({ "name": format!(" {} ", "a".repeat(255)) }));
    let problems = refused::<NewOpportunity>(json!({ "name": "東".repeat(256) }));
    assert_eq!(problems.invalid[0].field, "name");
}

#[test]
fn an_unknown_expansion_is_refused_with_the_valid_ones() {
    let problems = refused::<Expansions>(json!({ "expand": ["contact", "owner"] }));
    let problem = &problems.invalid[0];
    assert_eq!(problem.field, "expand[1]");
    for known in ["contact", "referrer", "customer", "assigned_users"] {
        assert!(problem.message.contains(known), "{}", problem.message);
    }
}
