//! Cards: where an opportunity stands in its pipelines, and how it moves.
//!
//! A stage that is won or lost decides the status of what enters it, and
//! gives it back when it leaves.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use store::{Db, Engine, Tx};
use uuid::Uuid;

use crate::audit::{self, Entity};
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::events::{self, Automations, Trigger};
use crate::pipelines::{Pipeline, Stage};
use crate::rank::Rank;
use crate::record::{self, change};
use crate::text::{Name, Text};
use crate::time::Timestamp;

use super::{Opportunity, Placing, Status, status, write_changes};

/// A card: an opportunity's place in a pipeline.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Placement {
    /// The card's id.
    pub id: Uuid,
    /// The opportunity.
    #[serde(rename = "deal_id")]
    pub opportunity_id: Uuid,
    /// The pipeline.
    pub pipeline_id: Uuid,
    /// The stage.
    pub stage_id: Uuid,
    /// The card's index in the stage, 0 being the top.
    pub position: i64,
    /// Since when it stands in the stage.
    pub entered_stage_at: Timestamp,
    /// The pipeline by name.
    #[serde(rename = "crm_pipelines")]
    pub pipeline: PlacementPipeline,
    /// The stage in short.
    #[serde(rename = "crm_pipeline_stages")]
    pub stage: PlacementStage,
}

/// The pipeline of a card.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlacementPipeline {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: Name,
}

/// The stage of a card.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlacementStage {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: Name,
    /// Its colour.
    pub color: Text<32>,
    /// Its place in the pipeline, counted from 0.
    pub position: i64,
    /// True when entering it wins the opportunity.
    pub is_won_stage: bool,
    /// True when entering it loses the opportunity.
    pub is_lost_stage: bool,
}

crate::input! {
    /// Where a card is to go.
    pub struct Target {
        /// The pipeline.
        required pipeline_id: Uuid,
        /// A stage of that pipeline.
        required stage_id: Uuid,
        /// The card's index in the stage, clamped to the cards there; 0, the
        /// top, by default.
        defaulted position: i64,
        flatten automations: Automations,
    }
}

/// What becomes of the opportunity's other cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They go: afterwards there is one card.
    Move,
    /// Those in other pipelines stay.
    Add,
    /// The one in this pipeline goes, to where `target` says unless the
    /// opportunity stands in that pipeline already; the others stay.
    Leave(Uuid),
}

/// A stage that was found to exist, and the index wanted there.
#[derive(Debug)]
pub(crate) struct CheckedTarget {
    pipeline_id: Uuid,
    stage_id: Uuid,
    /// The status that the stage gives, if it gives one.
    pub(super) status: Option<Status>,
    position: i64,
}

/// Moves the opportunity: afterwards it has one card, there.
pub fn move_to(tx: &mut Tx<'_>, who: &Caller, id: Uuid, target: &Target) -> Result<Placement> {
    place(tx, who, id, target, Mode::Move)
}

/// Puts the opportunity into a pipeline without taking it out of others.
pub fn add_card(tx: &mut Tx<'_>, who: &Caller, id: Uuid, target: &Target) -> Result<Placement> {
    place(tx, who, id, target, Mode::Add)
}

/// The index of the card `c` in its stage: what is counted before each prefix of
/// its run, and the cards of the run that are above it.
const INDEX: &str = "(select count(*) from cards above
                 where above.workspace_id = c.workspace_id and above.stage_id = c.stage_id
                   and above.rank >= c.run and above.rank < c.rank)
                + (select coalesce(sum(n.cards), 0) from card_counts n
                   where n.workspace_id = c.workspace_id and n.stage_id = c.stage_id
                     and n.length = 1 and n.prefix < substr(c.run, 1, 1))
                + (select coalesce(sum(n.cards), 0) from card_counts n
                   where n.workspace_id = c.workspace_id and n.stage_id = c.stage_id
                     and n.length = 2 and n.prefix >= substr(c.run, 1, 1)
                     and n.prefix < substr(c.run, 1, 2))
                + (select coalesce(sum(n.cards), 0) from card_counts n
                   where n.workspace_id = c.workspace_id and n.stage_id = c.stage_id
                     and n.length = 3 and n.prefix >= substr(c.run, 1, 2)
                     and n.prefix < substr(c.run, 1, 3))
                + (select coalesce(sum(n.cards), 0) from card_counts n
                   where n.workspace_id = c.workspace_id and n.stage_id = c.stage_id
                     and n.length = 4 and n.prefix >= substr(c.run, 1, 3)
                     and n.prefix < substr(c.run, 1, 4))";

/// The statement that reads the cards of opportunities, in no particular
/// order: to have one from its primary key, SQLite would read the cards of the
/// whole workspace.
pub(super) fn of_sql(engine: Engine) -> String {
    format!(
        "select c.id, c.opportunity_id, c.pipeline_id, c.stage_id,
                {INDEX},
                c.entered_stage_at,
                p.name, s.name, s.color, s.position, s.is_won_stage, s.is_lost_stage
         from cards c
         join stages s on s.workspace_id = c.workspace_id and s.id = c.stage_id
         join pipelines p on p.workspace_id = c.workspace_id and p.id = c.pipeline_id
         where c.workspace_id = $1 and c.opportunity_id {}",
        engine.any(2)
    )
}

/// The cards of these opportunities, the oldest card first.
pub(super) fn of(db: &Db<'_>, who: &Caller, ids: Vec<Uuid>) -> Result<Vec<Placement>> {
    let mut cards = db.query(
        &of_sql(db.engine()),
        &store::params![who.workspace_id, ids],
        |row| {
            let (pipeline_id, stage_id) = (row.get(2)?, row.get(3)?);
            Ok(Placement {
                id: row.get(0)?,
                opportunity_id: row.get(1)?,
                pipeline_id,
                stage_id,
                position: row.get(4)?,
                entered_stage_at: row.get(5)?,
                pipeline: PlacementPipeline {
                    id: pipeline_id,
                    name: row.get(6)?,
                },
                stage: PlacementStage {
                    id: stage_id,
                    name: row.get(7)?,
                    color: row.get(8)?,
                    position: row.get(9)?,
                    is_won_stage: row.get(10)?,
                    is_lost_stage: row.get(11)?,
                },
            })
        },
    )?;
    cards.sort_unstable_by_key(|card| card.id);
    Ok(cards)
}

/// Finds the stage that a new opportunity's card is to enter, if any is named.
pub(super) fn target_of(
    tx: &Tx<'_>,
    who: &Caller,
    placing: &Placing,
) -> Result<Option<CheckedTarget>> {
    let position = placing.position.unwrap_or_default();
    match (placing.pipeline_id, placing.stage_id) {
        (None, None) => Ok(None),
        (pipeline_id, Some(stage_id)) => check(tx, who, pipeline_id, stage_id, position).map(Some),
        (Some(pipeline_id), None) => {
            let stage_id = first_stage(tx, who, pipeline_id)?;
            check(tx, who, Some(pipeline_id), stage_id, position).map(Some)
        }
    }
}

fn first_stage(db: &Db<'_>, who: &Caller, pipeline_id: Uuid) -> Result<Uuid> {
    record::check::<Pipeline>(db, who, pipeline_id)?;
    db.query_opt(
        "select id from stages where workspace_id = $1 and pipeline_id = $2
         order by position, id limit 1",
        &store::params![who.workspace_id, pipeline_id],
        |row| row.get(0),
    )?
    .ok_or_else(|| Error::invalid("pipeline_id", "must name a pipeline that has a stage"))
}

/// Makes sure that the stage exists, in that pipeline, and that nobody else
/// ranks cards in it until the end of the transaction.
pub(super) fn check(
    tx: &Tx<'_>,
    who: &Caller,
    pipeline_id: Option<Uuid>,
    stage_id: Uuid,
    position: i64,
) -> Result<CheckedTarget> {
    if let Some(pipeline_id) = pipeline_id {
        record::check::<Pipeline>(tx, who, pipeline_id)?;
    }
    let stage = record::lock::<Stage>(tx, who, stage_id)?;
    if pipeline_id.is_some_and(|id| id != stage.pipeline_id) {
        return Err(elsewhere());
    }
    Ok(CheckedTarget {
        pipeline_id: stage.pipeline_id,
        stage_id,
        status: match (stage.is_won_stage, stage.is_lost_stage) {
            (true, _) => Some(Status::Won),
            (_, true) => Some(Status::Lost),
            (false, false) => None,
        },
        position,
    })
}

/// Refuses a stage of another pipeline as a filter; one that nobody knows is in
/// no pipeline.
pub(super) fn check_filter(
    db: &Db<'_>,
    who: &Caller,
    pipeline_id: Uuid,
    stage_id: Uuid,
) -> Result<()> {
    match record::find::<Stage>(db, who, stage_id)? {
        Some(stage) if stage.pipeline_id != pipeline_id => Err(elsewhere()),
        _ => Ok(()),
    }
}

fn elsewhere() -> Error {
    Error::invalid(
        "stage_id",
        "must name a stage of the pipeline given in pipeline_id",
    )
}

/// Puts the card of an opportunity that has none yet.
pub(super) fn put_first_card(
    tx: &mut Tx<'_>,
    who: &Caller,
    opportunity_id: Uuid,
    target: &CheckedTarget,
    entered_stage_at: Timestamp,
) -> Result<()> {
    let id = who.new_id();
    let rank = rank_at(tx, who, target, id)?;
    tx.execute(
        "insert into cards
             (workspace_id, id, opportunity_id, pipeline_id, stage_id, rank, run, entered_stage_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        &store::params![
            who.workspace_id,
            id,
            opportunity_id,
            target.pipeline_id,
            target.stage_id,
            rank.as_str(),
            rank.run(),
            entered_stage_at
        ],
    )?;
    Ok(())
}

/// The statement that reads the ranks of a stage without the card `$3`.
pub(super) fn neighbours_sql(order: &str) -> String {
    format!(
        "select rank from cards where workspace_id = $1 and stage_id = $2 and id <> $3
         order by rank {order} limit $4 offset $5"
    )
}

/// A rank that gives the card `id` its index among the others of the stage.
fn rank_at(tx: &mut Tx<'_>, who: &Caller, target: &CheckedTarget, id: Uuid) -> Result<Rank> {
    let rank = free_rank(tx, who, target, id)?;
    if !rank.is_long() {
        return Ok(rank);
    }
    spread(tx, who, target.stage_id, &rank)?;
    free_rank(tx, who, target, id)
}

/// Gives the cards around a rank that has become long short ranks again.
fn spread(tx: &mut Tx<'_>, who: &Caller, stage_id: Uuid, around: &Rank) -> Result<()> {
    let (from, to) = around.neighbourhood();
    let neighbourhood = store::params![who.workspace_id, stage_id, from.as_str(), to.as_str()];
    let cards = tx.query(
        "select id from cards
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
    for (id, rank) in cards.iter().zip(around.spread(cards.len())) {
        tx.execute(
            "update cards set rank = $3 where workspace_id = $1 and id = $2",
            &store::params![who.workspace_id, *id, rank.as_str()],
        )?;
    }
    Ok(())
}

fn free_rank(db: &Db<'_>, who: &Caller, target: &CheckedTarget, id: Uuid) -> Result<Rank> {
    let neighbours = |order: &str, limit: i64, offset: i64| {
        db.query(
            &neighbours_sql(order),
            &store::params![who.workspace_id, target.stage_id, id, limit, offset],
            |row| row.get::<String>(0).map(Rank::from_stored),
        )
    };
    if target.position <= 0 {
        let top = neighbours("asc", 1, 0)?;
        return Ok(Rank::between(None, top.first()));
    }
    let around = neighbours("asc", 2, target.position - 1)?;
    if let [above, below @ ..] = around.as_slice() {
        return Ok(Rank::between(Some(above), below.first()));
    }
    let last = neighbours("desc", 1, 0)?;
    Ok(Rank::between(last.first(), None))
}

/// The statement that finds the stages where opportunities stand. The rank is
/// asked for because an index that holds only the stage would be read from end
/// to end.
pub(super) fn stages_of_sql(engine: Engine) -> String {
    format!(
        "select c.stage_id, c.rank from cards c
         where c.workspace_id = $1 and c.opportunity_id {}",
        engine.any(2)
    )
}

/// Lets nobody else count cards in the stages where these opportunities stand,
/// nor in `target`, until the end of the transaction. Always in the same order,
/// and before the opportunities are locked, so that no two wait for each other.
pub(super) fn lock_stages(
    tx: &mut Tx<'_>,
    who: &Caller,
    opportunity_ids: Vec<Uuid>,
    target: Option<Uuid>,
) -> Result<()> {
    let mut stages = tx.query(
        &stages_of_sql(tx.engine()),
        &store::params![who.workspace_id, opportunity_ids],
        |row| row.get::<Uuid>(0),
    )?;
    stages.extend(target);
    tx.execute(
        &format!(
            "select id from stages where workspace_id = $1 and id {} order by id{}",
            tx.engine().any(2),
            tx.engine().for_update()
        ),
        &store::params![who.workspace_id, stages],
    )?;
    Ok(())
}

/// The statement that reads where an opportunity stands; in no order, for the
/// same reason as [`of_sql`].
pub(super) const STANDING: &str =
    "select c.id, c.pipeline_id, c.stage_id, s.is_won_stage, s.is_lost_stage
     from cards c
     join stages s on s.workspace_id = c.workspace_id and s.id = c.stage_id
     where c.workspace_id = $1 and c.opportunity_id = $2";

struct OldCard {
    id: Uuid,
    pipeline_id: Uuid,
    stage_id: Uuid,
    closes: bool,
}

/// Puts the opportunity's card where `target` says.
pub(crate) fn place(
    tx: &mut Tx<'_>,
    who: &Caller,
    opportunity_id: Uuid,
    target: &Target,
    mode: Mode,
) -> Result<Placement> {
    let automations = &target.automations;
    lock_stages(tx, who, vec![opportunity_id], Some(target.stage_id))?;
    let mut opportunity = record::lock::<Opportunity>(tx, who, opportunity_id)?;
    let target = check(
        tx,
        who,
        Some(target.pipeline_id),
        target.stage_id,
        target.position,
    )?;
    let mut cards = tx.query(
        STANDING,
        &store::params![who.workspace_id, opportunity_id],
        |row| {
            Ok(OldCard {
                id: row.get(0)?,
                pipeline_id: row.get(1)?,
                stage_id: row.get(2)?,
                closes: row.get::<bool>(3)? || row.get::<bool>(4)?,
            })
        },
    )?;
    cards.sort_unstable_by_key(|card| card.id);
    let there = cards
        .iter()
        .find(|card| card.pipeline_id == target.pipeline_id);
    let moved = match mode {
        Mode::Move => there.or(cards.first()),
        Mode::Add => there,
        Mode::Leave(_) if there.is_some() => there,
        Mode::Leave(pipeline) => cards.iter().find(|card| card.pipeline_id == pipeline),
    };
    let (gone, stays_there): (Vec<_>, bool) = {
        let others = cards
            .iter()
            .filter(|card| Some(card.id) != moved.map(|card| card.id));
        match mode {
            Mode::Move => (others.collect(), false),
            Mode::Add => (Vec::new(), false),
            Mode::Leave(pipeline) => (
                others.filter(|card| card.pipeline_id == pipeline).collect(),
                pipeline != target.pipeline_id && there.is_some(),
            ),
        }
    };
    for card in &gone {
        tx.execute(
            "delete from cards where workspace_id = $1 and id = $2",
            &store::params![who.workspace_id, card.id],
        )?;
    }
    if stays_there {
        return card_in(tx, who, opportunity_id, target.pipeline_id);
    }
    let from = moved.map(|card| card.stage_id);
    match moved {
        Some(card) => {
            let rank = rank_at(tx, who, &target, card.id)?;
            tx.execute(
                "update cards
                 set pipeline_id = $3, stage_id = $4, rank = $5, run = $6,
                     entered_stage_at = case when stage_id = $4 then entered_stage_at else $7 end
                 where workspace_id = $1 and id = $2",
                &store::params![
                    who.workspace_id,
                    card.id,
                    target.pipeline_id,
                    target.stage_id,
                    rank.as_str(),
                    rank.run(),
                    who.now
                ],
            )?;
        }
        None => put_first_card(tx, who, opportunity_id, &target, who.now)?,
    }
    let entered = from != Some(target.stage_id);
    if entered {
        audit::log_field(
            tx,
            who,
            Entity::Opportunity,
            opportunity_id,
            "stage_id",
            &json!(from),
            &json!(target.stage_id),
        )?;
        events::emit(
            tx,
            who,
            automations,
            Trigger::StageChanged,
            Entity::Opportunity,
            opportunity_id,
            serde_json::Map::from_iter([
                ("pipeline_id".to_owned(), json!(target.pipeline_id)),
                ("stage_id".to_owned(), json!(target.stage_id)),
                ("previous_stage_id".to_owned(), json!(from)),
            ]),
        )?;
    }
    // Also a card that only stays where it is can be all that is left: the
    // others may have stood in a stage that had closed the opportunity.
    if entered || !gone.is_empty() {
        let left = moved.filter(|_| entered).into_iter().chain(gone);
        let reopens = left.into_iter().any(|card| card.closes);
        let status = target.status.or(reopens.then_some(Status::Open));
        set_status(tx, who, &mut opportunity, status, automations)?;
    }
    card_in(tx, who, opportunity_id, target.pipeline_id)
}

fn card_in(
    db: &Db<'_>,
    who: &Caller,
    opportunity_id: Uuid,
    pipeline_id: Uuid,
) -> Result<Placement> {
    of(db, who, vec![opportunity_id])?
        .into_iter()
        .find(|card| card.pipeline_id == pipeline_id)
        .ok_or(Error::Store(store::Error::NoRow))
}

/// Gives a locked opportunity the status that its stage wants, if it wants one.
fn set_status(
    tx: &mut Tx<'_>,
    who: &Caller,
    opportunity: &mut Opportunity,
    status: Option<Status>,
    automations: &Automations,
) -> Result<()> {
    let status = status.unwrap_or(opportunity.status);
    let Some(status) = change("status", "status", &mut opportunity.status, status) else {
        return Ok(());
    };
    let today = who.locale(tx)?.date_at(who.now);
    let mut changes = vec![status];
    changes.extend(status::follow(opportunity, who.now, today));
    write_changes(tx, who, opportunity, &changes, automations)
}
