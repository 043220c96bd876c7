//! Who has referred most successfully.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;
use store::Db;
use uuid::Uuid;

use crate::caller::Caller;
use crate::contacts::Contact;
use crate::error::Result;
use crate::money::{Currency, Total};
use crate::opportunities::Referrer;
use crate::paging::{Limit, Page};
use crate::record;
use crate::sql::Condition;
use crate::text::Text;
use crate::time::{Moment, Timestamp};

use super::{ReferralFilter, ReferralSource, condition};

crate::input! {
    /// Which referrals count on the leaderboard, and how long it is.
    pub struct Leaderboard {
        /// Only referrals made so.
        optional source: ReferralSource,
        /// Only referrals of this kind.
        optional category: Text<255>,
        /// Only referrals created at this instant or later; a date means its
        /// start in UTC.
        optional created_after: Moment = "2026-01-01",
        /// Only referrals created before this instant; a date means its start in
        /// UTC.
        optional created_before: Moment,
        /// How many contacts to answer: 1 to 100, clamped.
        optional limit: Limit,
    }
}

/// A contact on the leaderboard, with what their referrals led to.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Leader {
    /// The contact, in short.
    pub referrer: Referrer,
    /// How many referrals they have made.
    #[schemars(example = 3)]
    pub referral_count: i64,
    /// How many of them stand how.
    pub by_status: ByStatus,
    /// What the opportunities are worth that their converted referrals led to,
    /// by currency: each opportunity counts once, with its `value`, or its
    /// `products_value` where that is null.
    pub converted_value: Vec<CurrencyTotal>,
    /// When they made the newest one.
    pub last_referred_at: Timestamp,
}

/// How many referrals have which status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ByStatus {
    /// How many are pending.
    #[schemars(example = 1)]
    pub pending: i64,
    /// How many are accepted.
    pub accepted: i64,
    /// How many are converted.
    #[schemars(example = 2)]
    pub converted: i64,
    /// How many are declined.
    pub declined: i64,
}

/// An amount of money in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CurrencyTotal {
    /// The currency.
    pub currency: Currency,
    /// The sum.
    pub total_value: Total,
}

/// What the referrals of one contact come to.
struct Tally {
    referrer_id: Uuid,
    count: i64,
    by_status: ByStatus,
    newest: Timestamp,
}

/// The contacts who have made referrals: those with the most converted ones
/// first, of these those with the most of all, then the oldest contact.
pub fn leaderboard(db: &Db<'_>, who: &Caller, input: &Leaderboard) -> Result<Page<Leader>> {
    let limit = input.limit.unwrap_or_default();
    let counted = condition(
        who,
        &ReferralFilter {
            referrer_contact_id: None,
            referred_contact_id: None,
            referred_opportunity_id: None,
            source: input.source,
            status: None,
            category: input.category.clone(),
            created_after: input.created_after,
            created_before: input.created_before,
        },
    );
    let page = Page::cut(tallies(db, &counted, limit)?, limit);
    let ids: Vec<_> = page.items.iter().map(|tally| tally.referrer_id).collect();
    let mut values = converted_values(db, &counted, ids.clone())?;
    let contacts = record::of_ids::<Contact>(db, who, ids)?;
    let mut contacts: HashMap<_, _> = contacts
        .into_iter()
        .map(|contact| (contact.id, contact))
        .collect();
    let mut leaders = Vec::new();
    for tally in page.items {
        // Each of them has their contact: the database would not let it go.
        let contact = contacts
            .remove(&tally.referrer_id)
            .ok_or_else(|| record::not_found::<Contact>(tally.referrer_id))?;
        leaders.push(Leader {
            referrer: contact.into(),
            referral_count: tally.count,
            by_status: tally.by_status,
            converted_value: values.remove(&tally.referrer_id).unwrap_or_default(),
            last_referred_at: tally.newest,
        });
    }
    Ok(Page {
        items: leaders,
        limit: page.limit,
        has_more: page.has_more,
        next_cursor: None,
        prev_cursor: None,
    })
}

/// What the referrals under `counted` come to, one more than `limit` if there
/// are more.
fn tallies(db: &Db<'_>, counted: &Condition, limit: Limit) -> Result<Vec<Tally>> {
    let mut bounded = counted.clone();
    let limit = bounded.bind(i64::from(limit.get()) + 1);
    Ok(db.query(
        &format!(
            "select t.referrer_contact_id, count(*),
                    count(case when t.status = 'pending' then 1 end),
                    count(case when t.status = 'accepted' then 1 end),
                    count(case when t.status = 'converted' then 1 end),
                    count(case when t.status = 'declined' then 1 end),
                    max(t.created_at)
             from referrals t
             where {}
             group by t.referrer_contact_id
             order by 5 desc, 2 desc, 1 limit {limit}",
            bounded.text()
        ),
        bounded.params(),
        |row| {
            Ok(Tally {
                referrer_id: row.get(0)?,
                count: row.get(1)?,
                by_status: ByStatus {
                    pending: row.get(2)?,
                    accepted: row.get(3)?,
                    converted: row.get(4)?,
                    declined: row.get(5)?,
                },
                newest: row.get(6)?,
            })
        },
    )?)
}

/// What the converted referrals of each of these contacts are worth.
fn converted_values(
    db: &Db<'_>,
    counted: &Condition,
    referrers: Vec<Uuid>,
) -> Result<HashMap<Uuid, Vec<CurrencyTotal>>> {
    let mut bounded = counted.clone();
    bounded.bind(referrers);
    let referrers = db.engine().any(bounded.bound());
    // A sum of 64-bit amounts can outgrow 64 bits, so each half is summed alone.
    let sums = db.query(
        &format!(
            "select d.referrer_contact_id, o.currency,
                    cast(sum(coalesce(o.value, o.products_value) / 1000000000) as bigint),
                    cast(sum(coalesce(o.value, o.products_value) % 1000000000) as bigint)
             from (select distinct t.workspace_id, t.referrer_contact_id, t.referred_opportunity_id
                   from referrals t
                   where {} and t.status = 'converted' and t.referred_opportunity_id is not null
                     and t.referrer_contact_id {referrers}) d
             join opportunities o on o.workspace_id = d.workspace_id and o.id = d.referred_opportunity_id
             group by d.referrer_contact_id, o.currency
             order by o.currency",
            bounded.text()
        ),
        bounded.params(),
        |row| {
            let (billions, rest) = (row.get::<i64>(2)?, row.get::<i64>(3)?);
            let total = CurrencyTotal {
                currency: row.get(1)?,
                total_value: Total::from_units(
                    i128::from(billions) * 1_000_000_000 + i128::from(rest),
                ),
            };
            Ok((row.get::<Uuid>(0)?, total))
        },
    )?;
    let mut values: HashMap<Uuid, Vec<CurrencyTotal>> = HashMap::new();
    for (referrer, total) in sums {
        values.entry(referrer).or_default().push(total);
    }
    Ok(values)
}
