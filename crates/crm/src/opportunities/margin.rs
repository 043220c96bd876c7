//! What an opportunity's products are worth and what they cost. Both are kept
//! with the opportunity, in the transaction that changes them; what is in
//! between is 128 bits wide.
//!
//! Only costs in the opportunity's own currency can be taken off its value; the
//! others are shown beside it.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, json};
use store::{Db, Engine, Tx};
use uuid::Uuid;

use crate::audit::Entity;
use crate::caller::Caller;
use crate::error::Result;
use crate::events::{self, Automations, Trigger};
use crate::money::{Amount, Currency, Total, Worth};

use super::Opportunity;

/// What something earns.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Margin {
    /// What it is sold for: quantity × unit price less discount.
    #[schemars(example = 50)]
    pub value: Amount,
    /// What it costs, as far as that is in the opportunity's currency.
    #[schemars(example = 32)]
    pub cost: Total,
    /// `value` less `cost`.
    #[schemars(example = 18)]
    pub margin: Total,
    /// What it costs in other currencies, which is not in `cost`.
    pub other_costs: Vec<CurrencyCost>,
}

/// What something costs in one currency.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CurrencyCost {
    /// The currency.
    #[schemars(example = &"USD")]
    pub currency: Currency,
    /// The sum of the costs.
    #[schemars(example = 5)]
    pub cost: Total,
}

impl Margin {
    /// What is sold for `value` in `currency` earns, with those `costs`.
    pub(super) fn of(value: Amount, currency: Currency, costs: Vec<CurrencyCost>) -> Self {
        let (own, other_costs): (Vec<_>, Vec<_>) = costs
            .into_iter()
            .partition(|cost| cost.currency == currency);
        let cost = own
            .into_iter()
            .fold(Total::default(), |sum, cost| sum + cost.cost);
        Self {
            value,
            cost,
            margin: Total::from(value) - cost,
            other_costs,
        }
    }

    /// What all of `lines` earn together, which are worth `value`.
    pub(super) fn of_all<'a>(value: Amount, lines: impl Iterator<Item = &'a Self>) -> Self {
        let mut cost = Total::default();
        let mut other_costs: Vec<CurrencyCost> = Vec::new();
        for line in lines {
            cost += line.cost;
            for other in &line.other_costs {
                match other_costs
                    .iter_mut()
                    .find(|known| known.currency == other.currency)
                {
                    Some(known) => known.cost += other.cost,
                    None => other_costs.push(other.clone()),
                }
            }
        }
        other_costs.sort_by_key(|other| other.currency.code());
        Self {
            value,
            cost,
            margin: Total::from(value) - cost,
            other_costs,
        }
    }
}

/// The statement that sums up what each line of opportunities costs.
pub(super) fn costs_sql(engine: Engine) -> String {
    format!(
        "select c.opportunity_product_id, c.currency,
                cast(sum(c.total_cost / 1000000000) as bigint),
                cast(sum(c.total_cost % 1000000000) as bigint), count(*)
         from opportunity_product_costs c
         where c.workspace_id = $1 and c.opportunity_id {}
         group by c.opportunity_product_id, c.currency
         order by c.currency",
        engine.any(2)
    )
}

/// What a line costs in one currency, in how many rows.
struct LineCost {
    line: Uuid,
    cost: CurrencyCost,
    rows: i64,
}

fn line_costs(db: &Db<'_>, who: &Caller, opportunity_ids: Vec<Uuid>) -> Result<Vec<LineCost>> {
    Ok(db.query(
        &costs_sql(db.engine()),
        &store::params![who.workspace_id, opportunity_ids],
        |row| {
            Ok(LineCost {
                line: row.get(0)?,
                cost: CurrencyCost {
                    currency: row.get(1)?,
                    cost: Total::of_halves(row.get(2)?, row.get(3)?),
                },
                rows: row.get(4)?,
            })
        },
    )?)
}

/// What the lines of these opportunities cost, each by currency.
pub(super) fn costs(
    db: &Db<'_>,
    who: &Caller,
    opportunity_ids: Vec<Uuid>,
) -> Result<HashMap<Uuid, Vec<CurrencyCost>>> {
    let mut costs: HashMap<Uuid, Vec<CurrencyCost>> = HashMap::new();
    for LineCost { line, cost, .. } in line_costs(db, who, opportunity_ids)? {
        costs.entry(line).or_default().push(cost);
    }
    Ok(costs)
}

/// The statement that reads what the products of one opportunity are worth.
pub(super) const LINES: &str = "select quantity, unit_price, discount_percent
     from opportunity_products where workspace_id = $1 and opportunity_id = $2";

/// Keeps what the products of a locked opportunity come to, after they changed. Its
/// stages count what it is worth, so [`lock_stages`](super::cards::lock_stages) comes first,
/// but within an import.
pub(super) fn recount(
    tx: &mut Tx<'_>,
    who: &Caller,
    opportunity: &mut Opportunity,
    automations: &Automations,
) -> Result<()> {
    let lines = tx.query(
        LINES,
        &store::params![who.workspace_id, opportunity.id],
        |row| Ok(Worth::of(row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let value = lines
        .iter()
        .try_fold(Worth::default(), |sum, line| sum.and((*line)?))
        .and_then(Worth::rounded)
        .ok_or_else(|| Amount::no_room("quantity", "its products"))?;
    let before = std::mem::replace(&mut opportunity.products_value, value);
    // A line comes without costs.
    if opportunity.product_lines > 0 {
        count_costs(tx, who, opportunity)?;
    }
    opportunity.product_lines = i64::try_from(lines.len()).unwrap_or(i64::MAX);
    if before != value {
        opportunity.updated_at = who.now;
    }
    tx.execute(
        "update opportunities
         set products_value = $3, product_lines = $4, products_cost = $5, other_costs = $6,
             updated_at = $7
         where workspace_id = $1 and id = $2",
        &store::params![
            who.workspace_id,
            opportunity.id,
            value,
            opportunity.product_lines,
            opportunity.products_cost,
            opportunity.other_costs,
            opportunity.updated_at
        ],
    )?;
    if before == value {
        return Ok(());
    }
    let data = Map::from_iter([
        ("_changed_fields".to_owned(), json!(["products_value"])),
        (
            "_previous_values".to_owned(),
            json!({ "products_value": before }),
        ),
    ]);
    events::emit(
        tx,
        who,
        automations,
        Trigger::DealUpdated,
        Entity::Opportunity,
        opportunity.id,
        data,
    )
}

/// Works out anew what the products of a locked opportunity cost in its currency
/// and how many costs are in others, without writing it.
pub(super) fn count_costs(db: &Db<'_>, who: &Caller, opportunity: &mut Opportunity) -> Result<()> {
    let (mut own, mut others) = (Total::default(), 0);
    for LineCost { cost, rows, .. } in line_costs(db, who, vec![opportunity.id])? {
        match cost.currency == opportunity.currency {
            true => own += cost.cost,
            false => others += rows,
        }
    }
    opportunity.products_cost = own
        .amount()
        .ok_or_else(|| Amount::no_room("unit_cost", "the costs of its products"))?;
    opportunity.other_costs = others;
    Ok(())
}
