//! Pipelines and what stands in them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use schemars::JsonSchema;
use serde::Serialize;
use store::{Db, Engine, Tx};
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::events::Automations;
use crate::money::{Amount, Currency, Total};
use crate::opportunities::{Mode, Target, place};
use crate::paging::{Page, PageRequest};
use crate::record::{self, New, Writable};
use crate::stages;
pub use crate::stages::Stage;
use crate::text::{Name, Notes};
use crate::time::Timestamp;

crate::record! {
    /// A pipeline: the stages that opportunities pass through.
    pub struct Pipeline in "pipelines", called "pipeline";
    /// The writable fields of a pipeline.
    pub struct PipelineFields;
    read {
        /// Its id.
        id: Uuid,
    }
    write {
        /// What it is called.
        solid name: Name = "Sales",
        /// What it is for.
        patch description: Notes = "New business",
        /// Its place among the pipelines, counted from 0; the last by default.
        /// Clamped to a million.
        plain position: i64,
        /// True for the one that is shown first; there is at most one.
        plain is_default: bool,
    }
    kept {
        /// When it was created.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
    }
    joined {
        /// Its stages in their order; only where one pipeline is asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        stages: Option<Vec<Stage>>,
    }
}

crate::input! {
    /// Where the cards of what is deleted go.
    pub struct Removal {
        /// A stage that takes the cards. Without it, what still holds cards is
        /// not deleted.
        optional move_to: Uuid,
        flatten automations: Automations,
    }
}

/// A page of the pipelines, newest first.
pub fn list(db: &Db<'_>, who: &Caller, request: PageRequest) -> Result<Page<Pipeline>> {
    record::page(db, record::all(who), request)
}

/// One pipeline with its stages.
pub fn get(db: &Db<'_>, who: &Caller, id: Uuid) -> Result<Pipeline> {
    let mut pipeline = record::get::<Pipeline>(db, who, id)?;
    pipeline.stages = Some(stages::of(db, who, id)?);
    Ok(pipeline)
}

/// Creates a pipeline, which has no stages yet.
pub fn create(tx: &mut Tx<'_>, who: &Caller, input: New<PipelineFields>) -> Result<Pipeline> {
    let New(mut fields) = input;
    lock_order(tx, who)?;
    fields.is_default.get_or_insert(false);
    fields.position = fields.position.map(clamped);
    if fields.position.is_none() {
        fields.position = Some(tx.query_one(
            "select coalesce(max(position) + 1, 0) from pipelines where workspace_id = $1",
            &store::params![who.workspace_id],
            |row| row.get(0),
        )?);
    }
    let id = who.new_id();
    if fields.is_default == Some(true) {
        leave_default(tx, who, id)?;
    }
    record::insert(tx, who, id, fields.columns())
}

/// Changes the fields that are given.
pub fn update(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    mut fields: PipelineFields,
) -> Result<Pipeline> {
    fields.position = fields.position.map(clamped);
    if fields.is_default == Some(true) {
        lock_order(tx, who)?;
    }
    let mut pipeline = record::lock::<Pipeline>(tx, who, id)?;
    if fields.is_default == Some(true) {
        leave_default(tx, who, id)?;
    }
    let changes = fields.apply(&mut pipeline);
    if !changes.is_empty() {
        pipeline.updated_at = who.now;
    }
    record::update::<Pipeline>(tx, who, id, &changes, [])?;
    Ok(pipeline)
}

/// A place as it is kept: whatever is asked for, there is room behind it.
fn clamped(position: i64) -> i64 {
    position.clamp(0, 1_000_000)
}

/// Lets nobody else say, until the end of the transaction, which pipeline is
/// the last or the default one of the workspace.
fn lock_order(tx: &Tx<'_>, who: &Caller) -> Result<()> {
    who.lock_workspace(tx)
}

/// Lets no other pipeline than `id` be the default one.
fn leave_default(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<()> {
    tx.execute(
        "update pipelines set is_default = false, updated_at = $3
         where workspace_id = $1 and id <> $2 and is_default",
        &store::params![who.workspace_id, id, who.now],
    )?;
    Ok(())
}

/// Deletes a pipeline with its stages.
pub fn delete(tx: &mut Tx<'_>, who: &Caller, id: Uuid, input: &Removal) -> Result<()> {
    record::lock::<Pipeline>(tx, who, id)?;
    let stages = stages::lock_all(tx, who, id)?;
    if input.move_to.is_some_and(|stage| stages.contains(&stage)) {
        return Err(Error::invalid(
            "move_to",
            "must name a stage of another pipeline: this one is to be deleted",
        ));
    }
    clear(tx, who, stages, input)?;
    record::delete::<Pipeline>(tx, who, id)
}

/// The statement that finds where the cards of stages stand: from the bottom up,
/// since each goes to the top of where it is moved, and so they keep their order.
pub(crate) fn cards_in_sql(engine: Engine) -> String {
    format!(
        "select c.opportunity_id, c.pipeline_id from cards c
         join stages s on s.workspace_id = c.workspace_id and s.id = c.stage_id
         where c.workspace_id = $1 and c.stage_id {}
         order by s.position desc, s.id desc, c.rank desc",
        engine.any(2)
    )
}

/// Moves the cards of these stages away, or refuses to. The caller has locked the
/// stages, so that no card enters.
pub(crate) fn clear(
    tx: &mut Tx<'_>,
    who: &Caller,
    stages: Vec<Uuid>,
    input: &Removal,
) -> Result<()> {
    let to = input
        .move_to
        .map(|stage| record::get::<Stage>(tx, who, stage))
        .transpose()?;
    // Nobody moves or deletes these any more: the cards that are found next
    // are those that are there.
    tx.execute(
        &format!(
            "select o.id from opportunities o
             where o.workspace_id = $1 and o.id in (
                 select c.opportunity_id from cards c where c.workspace_id = $1 and c.stage_id {}
             )
             order by o.id{}",
            tx.engine().any(2),
            tx.engine().for_update()
        ),
        &store::params![who.workspace_id, stages.clone()],
    )?;
    let cards = tx.query(
        &cards_in_sql(tx.engine()),
        &store::params![who.workspace_id, stages],
        |row| Ok((row.get::<Uuid>(0)?, row.get::<Uuid>(1)?)),
    )?;
    if cards.is_empty() {
        return Ok(());
    }
    let Some(to) = to else {
        return Err(Error::conflict(
            match cards.len() {
                1 => "A card stands in it".to_owned(),
                count => format!("{count} cards stand in it"),
            },
            "Pass ?move_to=<stage id> to move its cards to another stage, \
             or move the opportunities away first.",
        ));
    };
    for (opportunity_id, from_pipeline) in cards {
        let target = Target {
            pipeline_id: to.pipeline_id,
            stage_id: to.id,
            position: 0,
            automations: input.automations.clone(),
        };
        place(tx, who, opportunity_id, &target, Mode::Leave(from_pipeline))?;
    }
    Ok(())
}

/// What stands in a pipeline, by stage and by currency.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Summary {
    /// The pipeline.
    pub pipeline_id: Uuid,
    /// Its name.
    #[schemars(example = &"Sales")]
    pub name: Name,
    /// Its stages in their order.
    pub stages: Vec<StageSummary>,
    /// All of them together.
    pub totals: Totals,
}

/// What stands in a stage.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StageSummary {
    /// The stage.
    pub stage_id: Uuid,
    /// Its name.
    #[schemars(example = &"Qualified")]
    pub name: Name,
    /// Its place in the pipeline.
    pub position: i64,
    /// What stands in it.
    #[serde(flatten)]
    pub totals: Totals,
}

/// A number of opportunities and what they are worth.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Totals {
    /// How many opportunities there are.
    pub deal_count: i64,
    /// What they are worth, a row for each currency.
    pub by_currency: Vec<CurrencyTotals>,
    /// What their products earn, a row for each currency; only there when any
    /// has products.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub margins: Vec<MarginTotals>,
}

/// What opportunities are worth in one currency.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CurrencyTotals {
    /// The currency.
    pub currency: Currency,
    /// The sum of their values; where one has none, of its products' value.
    pub total_value: Total,
    /// The same, each weighted by its own probability, else by its stage's.
    pub weighted_value: Total,
}

/// What the products of opportunities earn in one currency. `value` of the
/// opportunities makes no difference to it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MarginTotals {
    /// The currency of the opportunities.
    pub currency: Currency,
    /// How many of the opportunities have products.
    #[schemars(example = 1)]
    pub deal_count: i64,
    /// How many of those have costs in another currency as well, which are not
    /// in `products_cost`.
    pub other_costs_count: i64,
    /// The sum of what their products are sold for.
    pub products_value: Total,
    /// The sum of what those cost in this currency.
    #[schemars(example = 12000)]
    pub products_cost: Total,
    /// `products_value` less `products_cost`.
    #[schemars(example = 5470)]
    pub margin: Total,
}

/// Opportunities of one stage, one currency and one probability.
struct Group {
    stage_id: Uuid,
    currency: Currency,
    probability: Option<Amount>,
    count: i64,
    value: Total,
}

/// Sums up what stands in a pipeline.
pub fn summary(db: &Db<'_>, who: &Caller, id: Uuid) -> Result<Summary> {
    let pipeline = record::get::<Pipeline>(db, who, id)?;
    let stages = stages::of(db, who, id)?;
    let groups = db.query(VALUES, &store::params![who.workspace_id, id], |row| {
        let (billions, rest) = (row.get::<i64>(4)?, row.get::<i64>(5)?);
        Ok(Group {
            stage_id: row.get(0)?,
            currency: row.get(1)?,
            probability: row.get(2)?,
            count: row.get(3)?,
            value: Total::of_halves(billions, rest),
        })
    })?;
    let margins = db.query(MARGINS, &store::params![who.workspace_id, id], |row| {
        let products_value = Total::of_halves(row.get(4)?, row.get(5)?);
        let products_cost = Total::of_halves(row.get(6)?, row.get(7)?);
        let totals = MarginTotals {
            currency: row.get(1)?,
            deal_count: row.get(2)?,
            other_costs_count: row.get(3)?,
            products_value,
            products_cost,
            margin: products_value - products_cost,
        };
        Ok((row.get::<Uuid>(0)?, totals))
    })?;
    Ok(Summary {
        pipeline_id: pipeline.id,
        name: pipeline.name,
        stages: stages
            .into_iter()
            .map(|stage| StageSummary {
                stage_id: stage.id,
                totals: Totals::of(
                    groups.iter().filter(|group| group.stage_id == stage.id),
                    margins.iter().filter(|(stage_id, _)| *stage_id == stage.id),
                ),
                name: stage.name,
                position: stage.position,
            })
            .collect(),
        totals: Totals::of(groups.iter(), margins.iter()),
    })
}

/// The statement that reads what the products of the opportunities in a
/// pipeline's stages are worth and cost, by currency.
const MARGINS: &str = "select m.stage_id, m.currency, m.cards, m.other_costs,
            m.products_billions, m.products_rest, m.cost_billions, m.cost_rest
     from stages s
     join stage_margins m on m.workspace_id = s.workspace_id and m.stage_id = s.id
     where s.workspace_id = $1 and s.pipeline_id = $2";

/// The statement that reads what the opportunities in a pipeline's stages are
/// worth, by currency and by how likely they are. The weighting multiplies,
/// which is done in 128 bits.
const VALUES: &str = "select v.stage_id, v.currency,
            case when v.probability < 0 then s.probability else v.probability end,
            cast(sum(v.cards) as bigint), cast(sum(v.billions) as bigint), cast(sum(v.rest) as bigint)
     from stages s
     join stage_values v on v.workspace_id = s.workspace_id and v.stage_id = s.id
     where s.workspace_id = $1 and s.pipeline_id = $2
     group by 1, 2, 3";

impl Totals {
    fn of<'a>(
        groups: impl Iterator<Item = &'a Group>,
        margins: impl Iterator<Item = &'a (Uuid, MarginTotals)>,
    ) -> Self {
        let mut deal_count = 0;
        let mut by_currency: BTreeMap<&str, CurrencyTotals> = BTreeMap::new();
        for group in groups {
            deal_count += group.count;
            let totals =
                by_currency
                    .entry(group.currency.code())
                    .or_insert_with(|| CurrencyTotals {
                        currency: group.currency,
                        total_value: Total::default(),
                        weighted_value: Total::default(),
                    });
            totals.total_value += group.value;
            totals.weighted_value += group.value.share(group.probability.unwrap_or_default());
        }
        Self {
            deal_count,
            by_currency: by_currency.into_values().collect(),
            margins: MarginTotals::by_currency(margins.map(|(_, totals)| totals)),
        }
    }
}

impl MarginTotals {
    /// The sums of `all`, a row for each currency.
    fn by_currency<'a>(all: impl Iterator<Item = &'a Self>) -> Vec<Self> {
        let mut sums: BTreeMap<&str, Self> = BTreeMap::new();
        for one in all {
            match sums.entry(one.currency.code()) {
                Entry::Vacant(entry) => drop(entry.insert(one.clone())),
                Entry::Occupied(mut entry) => {
                    let sum = entry.get_mut();
                    sum.deal_count += one.deal_count;
                    sum.other_costs_count += one.other_costs_count;
                    sum.products_value += one.products_value;
                    sum.products_cost += one.products_cost;
                    sum.margin += one.margin;
                }
            }
        }
        sums.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{Value as Json, json};

    use super::*;
    use crate::testing::{attempt, given, pipeline, target};
    use crate::{opportunities, testing::Desk};

    fn default_ones(db: &Db<'_>, desk: &Desk) -> Result<Vec<Uuid>> {
        let page = list(db, &desk.who, PageRequest::default())?;
        let defaults = page.items.into_iter().filter(|one| one.is_default);
        Ok(defaults.map(|one| one.id).collect())
    }

    on_both_engines! {
        fn there_is_at_most_one_default_pipeline(tx, desk) {
            assert_eq!(default_ones(tx, desk)?, [desk.pipeline]);
            let made = create(tx, &desk.who, given(json!({ "name": "Other", "is_default": true })))?;
            assert_eq!((made.position, made.stages.is_none()), (1, true));
            assert_eq!(default_ones(tx, desk)?, [made.id]);
            update(tx, &desk.who, desk.pipeline, given(json!({ "is_default": true })))?;
            assert_eq!(default_ones(tx, desk)?, [desk.pipeline]);
            let theirs = list(tx, &desk.stranger, PageRequest::default())?.items;
            assert!(theirs[0].is_default && theirs.len() == 1);
        }

        fn behind_the_last_place_there_is_room(tx, desk) {
            let named = |name: &str, position: i64| given(json!({ "name": name, "position": position }));
            let far = create(tx, &desk.who, named("Far", i64::MAX))?;
            let fields = given(json!({ "position": i64::MIN }));
            assert_eq!(update(tx, &desk.who, desk.pipeline, fields)?.position, 0);
            let next = create(tx, &desk.who, given(json!({ "name": "Next" })))?;
            assert_eq!((far.position, next.position), (1_000_000, 1_000_001));
        }

        fn one_pipeline_is_shown_with_its_stages_in_their_order(tx, desk) {
            let shown = get(tx, &desk.who, desk.pipeline)?;
            let names: Vec<_> = shown.stages.unwrap().iter().map(|stage| stage.name.to_string()).collect();
            assert_eq!(names, ["Lead", "Qualified", "Proposal", "Negotiation", "Won", "Lost"]);
        }

        fn a_summary_adds_up_values_by_stage_and_currency_exactly(tx, desk) {
            let (won, lead) = (desk.won(), desk.lead());
            for fields in [
                // Weighted by the stage's 10 percent, or by its own probability.
                json!({ "name": "a", "stage_id": lead, "value": 0.1 }),
                json!({ "name": "b", "stage_id": lead, "value": 0.2 }),
                json!({ "name": "c", "stage_id": lead, "value": 100, "probability": 33.3333 }),
                json!({ "name": "d", "stage_id": lead, "value": 7, "currency": "USD" }),
                json!({ "name": "e", "stage_id": won, "value": 900_000_000_000_000_i64 }),
                json!({ "name": "f", "stage_id": won, "value": 900_000_000_000_000_i64 }),
                json!({ "name": "g", "value": 1000 }),
            ] {
                desk.create(tx, fields)?;
            }
            let worthless = desk.create(tx, json!({ "name": "h", "stage_id": won }))?.id;
            tx.execute(
                "update opportunities set products_value = 15000 where workspace_id = $1 and id = $2",
                &store::params![desk.who.workspace_id, worthless],
            )?;
            let summary = serde_json::to_value(summary(tx, &desk.who, desk.pipeline)?).unwrap();
            assert_eq!((&summary["pipeline_id"], &summary["name"]), (&json!(desk.pipeline), &json!("Sales")));
            let stages = summary["stages"].as_array().unwrap();
            assert_eq!(stages.len(), 6);
            let numbers = |text: &str| serde_json::from_str::<Json>(text).unwrap();
            assert_eq!(stages[0], json!({
                "stage_id": lead, "name": "Lead", "position": 0, "deal_count": 4,
                "by_currency": [
                    { "currency": "AUD", "total_value": numbers("100.3"), "weighted_value": numbers("33.3633") },
                    { "currency": "USD", "total_value": 7, "weighted_value": numbers("0.7") },
                ],
            }));
            assert_eq!((&stages[1]["deal_count"], &stages[1]["by_currency"]), (&json!(0), &json!([])));
            let total = numbers("1800000000000001.5");
            assert_eq!(stages[4]["by_currency"], json!([
                { "currency": "AUD", "total_value": total, "weighted_value": total },
            ]));
            assert_eq!(summary["totals"]["deal_count"], 7);
            assert_eq!(summary["totals"]["by_currency"][0]["total_value"], numbers("1800000000000101.8"));
        }

        fn the_pipelines_and_stages_of_another_workspace_do_not_exist(tx, desk) {
            let who = &desk.stranger;
            let (own, own_stages) = pipeline(tx, who, "Own", &["One"])?;
            let (lead, none) = (desk.lead(), given::<Removal>(json!({})));
            for (result, what) in [
                (attempt(tx, |tx| get(tx, who, desk.pipeline)), "pipeline"),
                (attempt(tx, |tx| summary(tx, who, desk.pipeline)), "pipeline"),
                (attempt(tx, |tx| update(tx, who, desk.pipeline, given(json!({ "name": "x" })))), "pipeline"),
                (attempt(tx, |tx| delete(tx, who, desk.pipeline, &none)), "pipeline"),
                (attempt(tx, |tx| stages::list(tx, who, desk.pipeline)), "pipeline"),
                (attempt(tx, |tx| stages::get(tx, who, own, lead)), "stage"),
                (attempt(tx, |tx| stages::update(tx, who, own, lead, given(json!({})))), "stage"),
                (attempt(tx, |tx| stages::delete(tx, who, own, lead, &none)), "stage"),
                (
                    attempt(tx, |tx| {
                        let id = opportunities::create(tx, who, given(json!({ "name": "x" })))?.id;
                        opportunities::move_to(tx, who, id, &target(own, own_stages[0], 0))?;
                        delete(tx, who, own, &given(json!({ "move_to": lead })))
                    }),
                    "stage",
                ),
            ] {
                assert_eq!(result, format!("not found: {what}"));
            }
        }

        async fn pipelines_made_the_default_at_once_leave_one(world) {
            let results = world.all_at_once(6, |tx, desk, index| {
                let fields = json!({ "name": format!("{index}"), "is_default": true });
                create(tx, &desk.who, given(fields))
            }).await;
            let mut positions: Vec<_> = results.into_iter().map(|made| made.unwrap().position).collect();
            positions.sort_unstable();
            assert_eq!(positions, [1, 2, 3, 4, 5, 6]);
            let defaults = world.read(default_ones).await.unwrap();
            assert_eq!(defaults.len(), 1);
        }
    }
}
