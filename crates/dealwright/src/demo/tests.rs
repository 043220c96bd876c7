#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crm::activities::ListActivities;
use crm::companies::ListCompanies;
use crm::contacts::ListContacts;
use crm::invoices::{InvoiceStatus, ListInvoices};
use crm::opportunities::{Expansion, Expansions, ListOpportunities, Opportunity, Status};
use crm::products::ListProducts;
use crm::referrals::{ListReferrals, ReferralStatus};
use crm::tasks::{ListTasks, TaskStatus};
use crm::users::ListUsers;
use crm::work_orders::ListWorkOrders;
use crm::workspaces::{self, NewWorkspace};
use crm::{Ids, MIGRATIONS};
use store::{Db, Options, Store, Target as Database};

use super::*;

const NOW: &str = "2026-03-02T20:15:00.000Z";

/// Fills two workspaces, on each engine that is at hand, and looks into both.
async fn in_filled_workspaces(look: fn(&Db<'_>, &Caller)) {
    let folder = tempfile::tempdir().unwrap();
    look_into(&Database::Sqlite(folder.path().join("demo.db")), look)
        .await
        .unwrap();
    let Ok(server) = std::env::var("TEST_POSTGRES_URL") else {
        return;
    };
    let name = format!("demo_{}", Uuid::now_v7().simple());
    administer(
        &server,
        &format!("create database {name} template template0"),
    )
    .await;
    let (host, _) = server.rsplit_once('/').unwrap();
    let looked = look_into(&Database::Postgres(format!("{host}/{name}")), look).await;
    administer(&server, &format!("drop database {name} with (force)")).await;
    looked.unwrap();
}

async fn look_into(database: &Database, look: fn(&Db<'_>, &Caller)) -> Result<()> {
    let store = Store::open(database, Options::default()).await?;
    store.migrate(MIGRATIONS).await?;
    let now = Timestamp::parse(NOW).unwrap();
    let ids = Ids::default();
    let workspaces = store
        .write(move |tx| -> Result<_> {
            let mut make = |name| -> Result<Caller> {
                let (_, who) = workspaces::create(tx, NewWorkspace::called(name)?, now, &ids)?;
                fill(tx, &who)?;
                Ok(who)
            };
            Ok([make("one")?, make("two")?])
        })
        .await?;
    for who in workspaces {
        let look = move |db: &Db<'_>| -> Result<()> {
            look(db, &who);
            Ok(())
        };
        store.scan(look).await?;
    }
    store.close().await;
    Ok(())
}

async fn administer(server: &str, statement: &str) {
    let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(statement).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

/// A request for as much as one page holds.
fn all<I: Input>() -> I {
    let mut request = Row(Map::new());
    request.put("limit", &100);
    request.read().unwrap()
}

fn every_opportunity(db: &Db<'_>, who: &Caller) -> Vec<Opportunity> {
    opportunities::list(db, who, &all::<ListOpportunities>())
        .unwrap()
        .items
}

fn count(db: &Db<'_>, who: &Caller, from: &str) -> i64 {
    db.query_one(
        &format!("select count(*) from {from}"),
        &store::params![who.workspace_id],
        |row| row.get(0),
    )
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_workspace_gets_all_that_the_tables_name() {
    in_filled_workspaces(|db, who| {
        let users = users::list(db, who, &all::<ListUsers>()).unwrap().items;
        let companies = companies::list(db, who, &all::<ListCompanies>()).unwrap();
        let contacts = contacts::list(db, who, &all::<ListContacts>()).unwrap();
        // With the administrator, whom every new workspace has.
        assert_eq!(users.len(), 6);
        assert_eq!(companies.items.len(), 16);
        assert_eq!(contacts.items.len(), 36);
        assert_eq!(every_opportunity(db, who).len(), 60);
        let products = products::list(db, who, &all::<ListProducts>()).unwrap();
        assert_eq!(products.items.len(), 23);
        let costs = "product_costs where workspace_id = $1";
        assert_eq!(count(db, who, costs), 42);
        let lines = "opportunity_products where workspace_id = $1";
        assert_eq!(count(db, who, lines), 49);
        let orders = work_orders::list(db, who, &all::<ListWorkOrders>()).unwrap();
        assert_eq!(orders.items.len(), 12);
        let tasks = tasks::list(db, who, &all::<ListTasks>()).unwrap();
        let activities = activities::list(db, who, &all::<ListActivities>()).unwrap();
        let referrals = referrals::list(db, who, &all::<ListReferrals>()).unwrap();
        assert_eq!(tasks.items.len(), 22);
        assert_eq!(activities.items.len(), 30);
        assert_eq!(referrals.items.len(), 7);
        let employed = "employments where workspace_id = $1";
        assert_eq!(count(db, who, employed), 18);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stage_holds_cards_and_every_pipeline_is_worth_something() {
    in_filled_workspaces(|db, who| {
        let pipelines = pipelines::list(db, who, PageRequest::default()).unwrap();
        assert_eq!(pipelines.items.len(), 2);
        for pipeline in pipelines.items {
            let summary = pipelines::summary(db, who, pipeline.id).unwrap();
            for stage in &summary.stages {
                let totals = &stage.totals;
                assert!(totals.deal_count > 0, "{} is empty", stage.name);
                let value = totals.by_currency[0].total_value;
                assert!(value > crm::money::Total::default(), "{}", stage.name);
            }
            let worth = &summary.totals.by_currency;
            assert_eq!(worth.len(), 1);
            assert!(worth[0].total_value >= worth[0].weighted_value);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sold_earns_something_and_is_worth_about_what_was_said() {
    in_filled_workspaces(|db, who| {
        let input = ListOpportunities {
            expansions: Expansions {
                expand: vec![Expansion::Products],
            },
            ..all()
        };
        let mut sold = 0;
        for one in opportunities::list(db, who, &input).unwrap().items {
            let lines = one.products.unwrap();
            if lines.is_empty() {
                assert!(one.value.is_some(), "{} is worth nothing", one.name);
                continue;
            }
            sold += 1;
            for line in lines {
                let earned = line.margin.margin > crm::money::Total::default();
                assert!(earned, "{} in {}", &*line.product.name, one.name);
            }
            let worth = one.products_value.units();
            let said = one.value.map_or(worth, crm::money::Amount::units);
            assert!((worth - said).abs() * 20 < said, "{}: {worth}", one.name);
        }
        assert_eq!(sold, 28);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_won_is_billed_and_most_of_it_is_paid() {
    in_filled_workspaces(|db, who| {
        let opportunities = every_opportunity(db, who);
        let invoices = invoices::list(db, who, &all::<ListInvoices>()).unwrap();
        assert_eq!(invoices.items.len(), 12);
        let mut billed: HashMap<_, Total> = HashMap::new();
        for one in &invoices.items {
            let deal = opportunities
                .iter()
                .find(|deal| Some(deal.id) == one.opportunity_id)
                .unwrap();
            let number = &*one.invoice_number;
            assert!(deal.won_at <= Some(one.created_at), "{number}");
            assert!(one.updated_at <= who.now, "{number}");
            assert_eq!(one.company_id, deal.company_id, "{number}");
            let tax = Total::from(one.subtotal).share(TAX);
            assert_eq!(Total::from(one.tax_total), tax, "{number}");
            let is_paid = one.amount_due == Total::default();
            assert_eq!(one.status == InvoiceStatus::Paid, is_paid, "{number}");
            *billed.entry(deal.id).or_default() += one.subtotal.into();
        }
        let in_full = opportunities
            .iter()
            .filter(|deal| billed.get(&deal.id) == Some(&deal.products_value.into()));
        assert_eq!((billed.len(), in_full.count()), (10, 9));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_an_opportunity_agrees_with_its_stage() {
    in_filled_workspaces(|db, who| {
        let opportunities = every_opportunity(db, who);
        for one in &opportunities {
            let won = one.placements.iter().any(|card| card.stage.is_won_stage);
            let lost = one.placements.iter().any(|card| card.stage.is_lost_stage);
            assert_eq!(one.status == Status::Won, won, "{}", one.name);
            assert_eq!(one.status == Status::Lost, lost, "{}", one.name);
            assert_eq!(one.won_reason.is_some(), won, "{}", one.name);
            assert_eq!(one.lost_reason.is_some(), lost, "{}", one.name);
            assert_eq!(one.actual_close_date.is_some(), won || lost, "{}", one.name);
            assert_eq!(one.next_action_date.is_none(), won || lost, "{}", one.name);
        }
        let with = |status| {
            let mut statuses: Vec<_> = opportunities.iter().map(|one| one.status).collect();
            statuses.retain(|one| *one == status);
            statuses.len()
        };
        assert_eq!((with(Status::Won), with(Status::Lost)), (12, 8));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repairs_stand_in_both_pipelines() {
    in_filled_workspaces(|db, who| {
        let opportunities = every_opportunity(db, who);
        let cards = opportunities.iter().map(|one| one.placements.len());
        assert_eq!(cards.filter(|cards| *cards == 2).count(), 9);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_happens_before_its_time_or_after_today() {
    in_filled_workspaces(|db, who| {
        let contacts = contacts::list(db, who, &all::<ListContacts>()).unwrap();
        let met: HashMap<_, _> = contacts
            .items
            .iter()
            .map(|contact| (contact.id, contact.created_at))
            .collect();
        let mut younger = who.now;
        for one in every_opportunity(db, who) {
            assert!(one.created_at <= younger, "{} is out of order", one.name);
            younger = one.created_at;
            let contact = one.contact_id.unwrap();
            assert!(met[&contact] <= one.created_at, "{}", one.name);
            for card in &one.placements {
                let entered = card.entered_stage_at;
                assert!(
                    (one.created_at..=who.now).contains(&entered),
                    "{}",
                    one.name
                );
            }
            let closed = one.won_at.or(one.lost_at).unwrap_or(one.created_at);
            assert!((one.created_at..=who.now).contains(&closed), "{}", one.name);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_and_is_to_be_done_fits_the_opportunities() {
    in_filled_workspaces(|db, who| {
        let deals: HashMap<_, _> = every_opportunity(db, who)
            .into_iter()
            .map(|one| (one.id, one))
            .collect();
        let activities = activities::list(db, who, &all::<ListActivities>()).unwrap();
        for one in activities.items {
            let deal = &deals[&one.opportunity_id.unwrap()];
            let lived = deal.created_at..=who.now;
            assert!(lived.contains(&one.occurred_at), "{}", &*one.subject);
            assert!(deal.last_activity_at >= Some(one.occurred_at));
            assert_eq!(one.contact_id, deal.contact_id);
        }
        let today = who.locale(db).unwrap().date_at(who.now);
        let tasks = tasks::list(db, who, &all::<ListTasks>()).unwrap().items;
        let open = |status| matches!(status, TaskStatus::Todo | TaskStatus::InProgress);
        let due = |late: bool| {
            let due = tasks.iter().filter(|task| open(task.status));
            due.filter(|task| (task.due_date < Some(today)) == late)
                .count()
        };
        // A few are late, most are not.
        assert_eq!((due(true), due(false)), (2, 15));
        for task in &tasks {
            assert!(
                task.completed_at
                    .is_none_or(|at| (task.created_at..=who.now).contains(&at))
            );
            if let Some(deal) = task.opportunity_id {
                assert!(
                    deals[&deal].created_at <= task.created_at,
                    "{}",
                    &*task.title
                );
            }
        }
        let referrals = referrals::list(db, who, &all::<ListReferrals>()).unwrap();
        for referral in referrals.items {
            let Some(deal) = referral.referred_opportunity_id else {
                continue;
            };
            let deal = &deals[&deal];
            let referrer = Some(referral.referrer_contact_id);
            assert_eq!(deal.primary_referrer_contact_id, referrer, "{}", deal.name);
            assert_eq!(deal.contact_id, referral.referred_contact_id);
            let won = referral.status == ReferralStatus::Converted;
            assert_eq!(deal.status == Status::Won, won, "{}", deal.name);
            assert_eq!(referral.converted_at, deal.won_at, "{}", deal.name);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_won_is_carried_out_around_today() {
    in_filled_workspaces(|db, who| {
        let won: HashMap<_, _> = every_opportunity(db, who)
            .into_iter()
            .filter_map(|one| Some((one.id, one.won_at?)))
            .collect();
        let today = who.locale(db).unwrap().date_at(who.now);
        let ended = work_orders::statuses(db, who).unwrap();
        let ended = ended.iter().filter(|status| status.is_terminal);
        let ended: Vec<_> = ended.map(|status| status.id).collect();
        let orders = work_orders::list(db, who, &all::<ListWorkOrders>()).unwrap();
        let (mut past, mut ahead) = (0, 0);
        for order in orders.items {
            let what = format!("{} for {}", order.product_name, order.deal_name);
            let begun = won[&order.opportunity_id];
            assert!((begun..=who.now).contains(&order.created_at), "{what}");
            let changed = order.status_changed_at;
            assert!((order.created_at..=who.now).contains(&changed), "{what}");
            let is_past = order.schedule_date.unwrap() < today;
            let is_done = ended.contains(&order.status_id);
            assert!(is_past || !is_done, "{what} is done before its day");
            *(if is_past { &mut past } else { &mut ahead }) += 1;
        }
        assert_eq!((past, ahead), (7, 5));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_to_be_chosen_is_chosen_from_the_settings() {
    in_filled_workspaces(|db, who| {
        let settings = settings::get(db, who).unwrap();
        for one in every_opportunity(db, who) {
            for (choice, offered) in [
                (&one.lead_source, &settings.lead_sources),
                (&one.opportunity_type, &settings.opportunity_type_options),
            ] {
                assert!(offered.contains(choice.as_ref().unwrap()), "{}", one.name);
            }
            let won = one.won_reason.map(|reason| reason.to_string());
            let lost = one.lost_reason.map(|reason| reason.to_string());
            let mut reasons = settings.won_reasons.iter().chain(&settings.lost_reasons);
            if let Some(given) = won.or(lost) {
                assert!(reasons.any(|reason| **reason == given), "{}", one.name);
            }
        }
        for contact in contacts::list(db, who, &all::<ListContacts>())
            .unwrap()
            .items
        {
            assert!(settings.lead_sources.contains(&contact.source.unwrap()));
        }
        let referrals = referrals::list(db, who, &all::<ListReferrals>()).unwrap();
        for referral in referrals.items {
            let category = referral.category.unwrap();
            assert!(settings.referral_categories.contains(&category));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moves_are_logged_under_their_sellers_names_and_set_no_automation_off() {
    in_filled_workspaces(|db, who| {
        assert_eq!(count(db, who, "events where workspace_id = $1"), 0);
        let logged = "crm_field_change_log where workspace_id = $1";
        assert!(count(db, who, logged) > 60);
        let nameless = format!("{logged} and actor_id is null");
        assert_eq!(count(db, who, &nameless), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_workspace_is_filled_alike() {
    static SEEN: std::sync::Mutex<Vec<Vec<String>>> = std::sync::Mutex::new(Vec::new());
    in_filled_workspaces(|db, who| {
        let told = |one: Opportunity| {
            let cards = one
                .placements
                .iter()
                .map(|card| (&*card.stage.name, card.position));
            let cards: Vec<_> = cards.collect();
            let dates = (one.created_at, one.expected_close_date, one.won_at);
            format!("{} {} {dates:?} {cards:?}", one.public_id, one.name)
        };
        let told = every_opportunity(db, who).into_iter().map(told).collect();
        SEEN.lock().unwrap().push(told);
    })
    .await;
    let seen = SEEN.lock().unwrap();
    assert!(seen.len() >= 2);
    assert!(seen.iter().all(|workspace| *workspace == seen[0]));
}
