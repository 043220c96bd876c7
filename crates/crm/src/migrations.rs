//! The schema, step by step; the same steps under the same numbers on both
//! engines.

use store::Migration;
use store::transfer::Rules;

macro_rules! migration {
    ($number:literal, $name:literal, $file:literal) => {
        Migration {
            number: $number,
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $file)),
            postgres: include_str!(concat!("../migrations/postgres/", $file)),
        }
    };
}

/// How rows are copied: a card that is added counts with what its opportunity is worth.
pub const COPYING: Rules = Rules {
    last: &["cards"],
    derived: &["card_counts", "stage_margins", "stage_values"],
};

/// Every step, in order. A step that was released is never changed.
pub const MIGRATIONS: &[Migration] = &[
    migration!(1, "foundation", "0001_foundation.sql"),
    migration!(2, "search", "0002_search.sql"),
    migration!(3, "idempotency", "0003_idempotency.sql"),
    migration!(4, "stage_values", "0004_stage_values.sql"),
    migration!(5, "cards_by_opportunity", "0005_cards_by_opportunity.sql"),
    migration!(6, "index_queue", "0006_index_queue.sql"),
    migration!(7, "products", "0007_products.sql"),
    migration!(8, "work", "0008_work.sql"),
    migration!(9, "referrals", "0009_referrals.sql"),
    migration!(10, "invoices", "0010_invoices.sql"),
    migration!(11, "work_orders", "0011_work_orders.sql"),
    migration!(12, "change_log", "0012_change_log.sql"),
    migration!(13, "universal_search", "0013_universal_search.sql"),
    migration!(14, "card_counts", "0014_card_counts.sql"),
    migration!(15, "cheaper_writes", "0015_cheaper_writes.sql"),
    migration!(16, "fewer_trees", "0016_fewer_trees.sql"),
];

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;
    use store::transfer;
    use store::{Engine, Store, Tx, params};
    use uuid::Uuid;

    use super::*;
    use crate::testing::{Blank, NOW, given};
    use crate::time::Timestamp;
    use crate::{Caller, Ids, opportunities, work_orders};

    const ENGINES: [Engine; 2] = [Engine::Sqlite, Engine::Postgres];
    const WORKSPACE: Uuid = Uuid::from_u128(1);
    const CONTACT: Uuid = Uuid::from_u128(2);
    const PIPELINE: Uuid = Uuid::from_u128(3);
    const STAGE: Uuid = Uuid::from_u128(4);
    const OPPORTUNITY: Uuid = Uuid::from_u128(5);

    /// A small business as the first step knows it.
    fn found(tx: &mut Tx<'_>) -> Result<(), store::Error> {
        let now: jiff::Timestamp = NOW.parse().unwrap();
        let empty = json!({});
        tx.execute(
            "insert into workspaces
                (id, name, timezone, currency, country, settings, created_at, updated_at)
             values ($1, 'Old', 'Australia/Sydney', 'AUD', 'AU', $2, $3, $3)",
            &params![WORKSPACE, empty.clone(), now],
        )?;
        tx.execute(
            "insert into counters (workspace_id, name, value) values ($1, 'OPP', 1)",
            &params![WORKSPACE],
        )?;
        tx.execute(
            "insert into contacts
                (workspace_id, id, public_id, first_name, metadata, email_unsubscribed,
                 sms_unsubscribed, created_at, updated_at)
             values ($1, $2, 'C-001', 'Ada', $3, $4, $4, $5, $5)",
            &params![WORKSPACE, CONTACT, empty.clone(), false, now],
        )?;
        tx.execute(
            "insert into pipelines
                (workspace_id, id, name, position, is_default, created_at, updated_at)
             values ($1, $2, 'Sales', 0, $3, $4, $4)",
            &params![WORKSPACE, PIPELINE, true, now],
        )?;
        tx.execute(
            "insert into stages
                (workspace_id, id, pipeline_id, name, color, position, is_won_stage,
                 is_lost_stage, created_at, updated_at)
             values ($1, $2, $3, 'Lead', '#808080', 0, $4, $4, $5, $5)",
            &params![WORKSPACE, STAGE, PIPELINE, false, now],
        )?;
        tx.execute(
            "insert into opportunities
                (workspace_id, id, public_id, name, status, contact_id, value, currency, tags,
                 metadata, created_at, updated_at)
             values ($1, $2, 'OPP-001', 'Fence', 'open', $3, 12345000, 'AUD', $4, $5, $6, $6)",
            &params![
                WORKSPACE,
                OPPORTUNITY,
                CONTACT,
                json!([]),
                empty.clone(),
                now
            ],
        )?;
        tx.execute(
            "insert into cards
                (workspace_id, id, opportunity_id, pipeline_id, stage_id, rank, run,
                 entered_stage_at)
             values ($1, $2, $2, $3, $4, 'a0', 'a', $5)",
            &params![WORKSPACE, OPPORTUNITY, PIPELINE, STAGE, now],
        )?;
        tx.execute(
            "insert into crm_field_change_log
                (workspace_id, id, entity_type, entity_id, field, old_value, new_value,
                 actor_type, actor_name, changed_at)
             values ($1, $2, 'opportunity', $2, 'name', $3, $4, 'user', 'Ada', $5)",
            &params![WORKSPACE, OPPORTUNITY, json!(null), json!("Fence"), now],
        )?;
        Ok(())
    }

    /// Reads what was there from the start, and goes on with it.
    async fn serves(store: &Store) {
        let now = Timestamp::parse(NOW).unwrap();
        let who = Caller::operator(WORKSPACE, now, Ids::default());
        let (old, new, statuses) = store
            .write(move |tx| {
                let old = opportunities::get(tx, &who, OPPORTUNITY, &given(json!({})))?;
                opportunities::update(tx, &who, OPPORTUNITY, given(json!({"name": "Gate"})))?;
                let fields =
                    given(json!({"name": "New", "contact_id": CONTACT, "stage_id": STAGE}));
                let new = opportunities::create(tx, &who, fields)?;
                Ok::<_, crate::Error>((old, new, work_orders::statuses(tx, &who)?))
            })
            .await
            .unwrap();
        assert_eq!((&*old.name, old.placements.len()), ("Fence", 1));
        assert_eq!((&*new.name, new.placements.len()), ("New", 1));
        let labels: Vec<_> = statuses
            .iter()
            .map(|one| (&*one.label, one.is_terminal))
            .collect();
        assert_eq!(
            labels,
            [
                ("Scheduled", false),
                ("In progress", false),
                ("On hold", false),
                ("Completed", true),
                ("Cancelled", true),
            ]
        );
        for status in statuses {
            assert_eq!(status.id.get_version_num(), 7, "{}", status.id);
            assert_eq!(status.id.get_variant(), uuid::Variant::RFC4122);
            assert_eq!(status.id.as_bytes()[..6], WORKSPACE.as_bytes()[..6]);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_database_of_the_first_version_comes_through_every_step_and_serves() {
        for engine in ENGINES {
            let blank = Blank::new(engine).await;
            let store = &blank.store;
            for (index, step) in MIGRATIONS.iter().enumerate() {
                let applied = store.migrate(&MIGRATIONS[..=index]).await.unwrap();
                assert_eq!(applied, [step.number], "{engine:?}");
                if index == 0 {
                    store.write(found).await.unwrap();
                }
                assert_eq!(store.schema_version().await.unwrap(), step.number);
            }
            serves(store).await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_database_of_each_version_can_change_its_engine_and_then_be_brought_up_to_date() {
        for [from, to] in [ENGINES, [Engine::Postgres, Engine::Sqlite]] {
            let old = Blank::new(from).await;
            for index in 0..MIGRATIONS.len() {
                old.store.migrate(&MIGRATIONS[..=index]).await.unwrap();
                if index == 0 {
                    old.store.write(found).await.unwrap();
                }
                let new = Blank::new(to).await;
                new.store.migrate(&MIGRATIONS[..=index]).await.unwrap();
                transfer::copy(&old.store, &new.store, COPYING, |_| {})
                    .await
                    .unwrap_or_else(|error| panic!("{from:?} to {to:?}: {error}"));
                new.store.migrate(MIGRATIONS).await.unwrap();
                serves(&new.store).await;
            }
        }
    }
}
