//! Spots: where in its stage a card can stand, as a rank between those of its neighbours.

use store::{Db, Tx};
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::Result;
use crate::rank::Rank;

use super::cards::CheckedTarget;

/// A free place in a stage.
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) rank: Rank,
    /// The index of the card that takes it.
    pub(super) position: i64,
}

/// The statement that reads the ranks of a stage without the card of the
/// opportunity `$3`.
pub(super) fn neighbours_sql(order: &str) -> String {
    format!(
        "select rank from cards where workspace_id = $1 and stage_id = $2 and opportunity_id <> $3
         order by rank {order} limit $4 offset $5"
    )
}

/// A rank that gives the card of an opportunity its index among the others of
/// the stage.
pub(super) fn spot(
    tx: &mut Tx<'_>,
    who: &Caller,
    target: &CheckedTarget,
    opportunity_id: Uuid,
) -> Result<Spot> {
    let free = free_spot(tx, who, target, opportunity_id)?;
    if !free.rank.is_long() {
        return Ok(free);
    }
    spread(tx, who, target, &free.rank)?;
    free_spot(tx, who, target, opportunity_id)
}

/// Gives the cards around a rank that has become long short ranks again.
fn spread(tx: &mut Tx<'_>, who: &Caller, target: &CheckedTarget, around: &Rank) -> Result<()> {
    let (from, to) = around.neighbourhood();
    let neighbourhood = store::params![
        who.workspace_id,
        target.stage.id,
        from.as_str(),
        to.as_str()
    ];
    let opportunities = tx.query(
        "select opportunity_id from cards
         where workspace_id = $1 and stage_id = $2 and rank >= $3 and rank < $4
         order by rank",
        &neighbourhood,
        |row| row.get::<Uuid>(0),
    )?;
    // Out of the way first, so that no new rank meets an old one.
    tx.execute(
        "update cards set rank = '~' || rank
         where workspace_id = $1 and stage_id = $2 and rank >= $3 and rank < $4",
        &neighbourhood,
    )?;
    for (id, rank) in opportunities.iter().zip(around.spread(opportunities.len())) {
        tx.execute(
            "update cards set rank = $4
             where workspace_id = $1 and opportunity_id = $2 and pipeline_id = $3",
            &store::params![who.workspace_id, *id, target.pipeline.id, rank.as_str()],
        )?;
    }
    Ok(())
}

fn free_spot(
    db: &Db<'_>,
    who: &Caller,
    target: &CheckedTarget,
    opportunity_id: Uuid,
) -> Result<Spot> {
    let stage = store::params![who.workspace_id, target.stage.id, opportunity_id];
    let neighbours = |order: &str, limit: i64, offset: i64| {
        let mut params = stage.to_vec();
        params.extend(store::params![limit, offset]);
        db.query(&neighbours_sql(order), &params, |row| {
            row.get::<String>(0).map(Rank::from_stored)
        })
    };
    if target.position <= 0 {
        let top = neighbours("asc", 1, 0)?;
        return Ok(Spot {
            rank: Rank::between(None, top.first()),
            position: 0,
        });
    }
    let others = db.query_one(OTHERS, &stage, |row| row.get(0))?;
    if target.position >= others {
        let last = neighbours("desc", 1, 0)?;
        return Ok(Spot {
            rank: Rank::between(last.first(), None),
            position: others,
        });
    }
    let around = neighbours("asc", 2, target.position - 1)?;
    Ok(Spot {
        rank: Rank::between(around.first(), around.get(1)),
        position: target.position,
    })
}

/// How many cards stand in a stage besides that of the opportunity `$3`.
pub(super) const OTHERS: &str = "select coalesce(
                (select counted_before(n.counts, '~') from card_counts n
                 where n.workspace_id = $1 and n.stage_id = $2 and n.prefix = ''), 0)
            - (select count(*) from cards own
               where own.workspace_id = $1 and own.opportunity_id = $3 and own.stage_id = $2)";
