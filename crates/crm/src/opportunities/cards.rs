//! Cards: where an opportunity stands in its pipelines, and how it moves.
//!
//! A stage that is won or lost decides the status of what enters it, and
//! gives it back when it leaves.

use std::collections::BTreeSet;

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
use crate::record::{self, Columns, change};
use crate::text::{Name, Text};
use crate::time::Timestamp;

use super::spots::spot;
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

impl Placement {
    /// The card of an opportunity at an index of a stage, where it stands since
    /// an instant.
    fn of(
        id: Uuid,
        opportunity_id: Uuid,
        (position, entered_stage_at): (i64, Timestamp),
        (pipeline, stage): (PlacementPipeline, PlacementStage),
    ) -> Self {
        Self {
            id,
            opportunity_id,
            pipeline_id: pipeline.id,
            stage_id: stage.id,
            position,
            entered_stage_at,
            pipeline,
            stage,
        }
    }
}

/// The pipeline of a card.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlacementPipeline {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    #[schemars(example = &"Sales")]
    pub name: Name,
}

/// The stage of a card.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlacementStage {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    #[schemars(example = &"Qualified")]
    pub name: Name,
    /// Its colour.
    #[schemars(example = &"#3b82f6")]
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

/// A stage that was found to exist, in which nobody else counts cards until the
/// end of the transaction, and the index wanted there.
#[derive(Debug)]
pub(crate) struct CheckedTarget {
    pub(super) pipeline: PlacementPipeline,
    pub(super) stage: PlacementStage,
    pub(super) position: i64,
}

impl CheckedTarget {
    /// The status that the stage gives, if it gives one.
    pub(super) fn status(&self) -> Option<Status> {
        match (self.stage.is_won_stage, self.stage.is_lost_stage) {
            (true, _) => Some(Status::Won),
            (_, true) => Some(Status::Lost),
            (false, false) => None,
        }
    }

    /// The card that has been put there.
    fn placement(
        self,
        id: Uuid,
        opportunity_id: Uuid,
        position: i64,
        entered_stage_at: Timestamp,
    ) -> Placement {
        let Self {
            pipeline, stage, ..
        } = self;
        Placement::of(
            id,
            opportunity_id,
            (position, entered_stage_at),
            (pipeline, stage),
        )
    }
}

/// Moves the opportunity: afterwards it has one card, there.
pub fn move_to(tx: &mut Tx<'_>, who: &Caller, id: Uuid, target: &Target) -> Result<Placement> {
    place(tx, who, id, target, Mode::Move)
}

/// Puts the opportunity into a pipeline without taking it out of others.
pub fn add_card(tx: &mut Tx<'_>, who: &Caller, id: Uuid, target: &Target) -> Result<Placement> {
    place(tx, who, id, target, Mode::Add)
}

/// The index of the card `c` in its stage: what is counted before each character of
/// its run, and the cards of the run that are above it.
const INDEX: &str = "case when c.rank = c.run then 0 else
                  (select count(*) from cards above
                   where above.workspace_id = c.workspace_id and above.stage_id = c.stage_id
                     and above.rank >= c.run and above.rank < c.rank) end
                + (select counted_before(n.counts, substr(c.run, 1, 1)) from card_counts n
                   where n.workspace_id = c.workspace_id and n.stage_id = c.stage_id
                     and n.prefix = '')
                + (select counted_before(n.counts, substr(c.run, 2, 1)) from card_counts n
                   where n.workspace_id = c.workspace_id and n.stage_id = c.stage_id
                     and n.prefix = substr(c.run, 1, 1))
                + case when length(c.run) < 3 then 0 else
                  (select counted_before(n.counts, substr(c.run, 3, 1)) from card_counts n
                   where n.workspace_id = c.workspace_id and n.stage_id = c.stage_id
                     and n.prefix = substr(c.run, 1, 2)) end
                + case when length(c.run) < 4 then 0 else
                  (select counted_before(n.counts, substr(c.run, 4, 1)) from card_counts n
                   where n.workspace_id = c.workspace_id and n.stage_id = c.stage_id
                     and n.prefix = substr(c.run, 1, 3)) end
                + case when length(c.run) < 5 then 0 else
                  (select counted_before(n.counts, substr(c.run, 5, 1)) from card_counts n
                   where n.workspace_id = c.workspace_id and n.stage_id = c.stage_id
                     and n.prefix = substr(c.run, 1, 4)) end";

/// The pipeline and the stage of a card, as [`place_of`] reads them.
const PLACE: &str = "p.id, p.name, s.id, s.name, s.color, s.position,
                s.is_won_stage, s.is_lost_stage";

fn place_of(
    columns: &mut Columns<'_, '_>,
) -> Result<(PlacementPipeline, PlacementStage), store::Error> {
    let pipeline = PlacementPipeline {
        id: columns.take()?,
        name: columns.take()?,
    };
    let stage = PlacementStage {
        id: columns.take()?,
        name: columns.take()?,
        color: columns.take()?,
        position: columns.take()?,
        is_won_stage: columns.take()?,
        is_lost_stage: columns.take()?,
    };
    Ok((pipeline, stage))
}

/// The statement that reads the cards of opportunities, in no particular order.
pub(super) fn of_sql(engine: Engine) -> String {
    format!(
        "select c.id, c.opportunity_id, {INDEX}, c.entered_stage_at, {PLACE}
         from {} c
         join stages s on s.workspace_id = c.workspace_id and s.id = c.stage_id
         join pipelines p on p.workspace_id = c.workspace_id and p.id = c.pipeline_id
         where c.workspace_id = $1",
        engine.listed("cards", "opportunity_id", 2)
    )
}

/// The cards of these opportunities, the oldest card first.
pub(super) fn of(db: &Db<'_>, who: &Caller, ids: Vec<Uuid>) -> Result<Vec<Placement>> {
    let mut cards = db.query(
        &of_sql(db.engine()),
        &store::params![who.workspace_id, ids],
        |row| {
            let mut columns = Columns::of(row);
            let (id, opportunity_id) = (columns.take()?, columns.take()?);
            let standing = (columns.take()?, columns.take()?);
            let place = place_of(&mut columns)?;
            Ok(Placement::of(id, opportunity_id, standing, place))
        },
    )?;
    cards.sort_unstable_by_key(|card| card.id);
    Ok(cards)
}

/// Finds the stage that a new opportunity's card is to enter, if any is named.
pub(super) fn target_of(
    tx: &mut Tx<'_>,
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
    let first = db.query_opt(
        "select id from stages where workspace_id = $1 and pipeline_id = $2
         order by position, id limit 1",
        &store::params![who.workspace_id, pipeline_id],
        |row| row.get(0),
    )?;
    if first.is_none() {
        record::check::<Pipeline>(db, who, pipeline_id)?;
    }
    first.ok_or_else(|| Error::invalid("pipeline_id", "must name a pipeline that has a stage"))
}

/// Makes sure that the stage exists, in that pipeline, and that nobody else
/// counts cards in it until the end of the transaction.
pub(super) fn check(
    tx: &mut Tx<'_>,
    who: &Caller,
    pipeline_id: Option<Uuid>,
    stage_id: Uuid,
    position: i64,
) -> Result<CheckedTarget> {
    let locked = lock(tx, who, vec![stage_id])?;
    target_in(tx, who, locked, pipeline_id, stage_id, position)
}

/// The same, of stages that are locked already.
fn target_in(
    db: &Db<'_>,
    who: &Caller,
    locked: Vec<(PlacementPipeline, PlacementStage)>,
    pipeline_id: Option<Uuid>,
    stage_id: Uuid,
    position: i64,
) -> Result<CheckedTarget> {
    let found = locked.into_iter().find(|(_, stage)| stage.id == stage_id);
    let elsewhere_is = pipeline_id.filter(|id| found.as_ref().is_none_or(|(own, _)| own.id != *id));
    if let Some(pipeline_id) = elsewhere_is {
        record::check::<Pipeline>(db, who, pipeline_id)?;
    }
    match found {
        None => Err(record::not_found::<Stage>(stage_id)),
        Some(_) if elsewhere_is.is_some() => Err(elsewhere()),
        Some((pipeline, stage)) => Ok(CheckedTarget {
            pipeline,
            stage,
            position,
        }),
    }
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
    target: CheckedTarget,
    entered_stage_at: Timestamp,
) -> Result<Placement> {
    let id = who.new_id();
    let spot = spot(tx, who, &target, opportunity_id)?;
    tx.enqueue(
        "insert into cards
             (workspace_id, id, opportunity_id, pipeline_id, stage_id, rank, run, entered_stage_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        store::params![
            who.workspace_id,
            id,
            opportunity_id,
            target.pipeline.id,
            target.stage.id,
            spot.rank.as_str(),
            spot.rank.run(),
            entered_stage_at
        ],
    )?;
    Ok(target.placement(id, opportunity_id, spot.position, entered_stage_at))
}

/// The statement that finds the stages where opportunities stand.
pub(super) fn stages_of_sql(engine: Engine) -> String {
    format!(
        "select c.stage_id from {} c where c.workspace_id = $1",
        engine.listed("cards", "opportunity_id", 2)
    )
}

/// Lets nobody else count cards in the stages where these opportunities stand,
/// nor in `target`, until the end of the transaction; the stages that there
/// are, of one writer only the target. Before the opportunities are locked, so that
/// no two wait for each other.
///
/// While it waits others may move one of the opportunities. Several are looked at again,
/// since each would have its stage locked out of turn; one alone is by [`place`].
pub(super) fn lock_stages(
    tx: &mut Tx<'_>,
    who: &Caller,
    opportunity_ids: Vec<Uuid>,
    target: Option<Uuid>,
) -> Result<Vec<(PlacementPipeline, PlacementStage)>> {
    let mut stages = Vec::from_iter(target);
    if tx.engine().has_one_writer() {
        return lock(tx, who, stages);
    }
    let several = opportunity_ids.len() > 1;
    let sql = stages_of_sql(tx.engine());
    let of_opportunities = store::params![who.workspace_id, opportunity_ids];
    let standing = |tx: &Tx<'_>| tx.query(&sql, &of_opportunities, |row| row.get::<Uuid>(0));
    stages.extend(standing(tx)?);
    let locked = lock(tx, who, stages)?;
    if several && !are_among(&locked, standing(tx)?) {
        return Err(tx.start_over().into());
    }
    Ok(locked)
}

/// Whether all of these stages are locked.
fn are_among(
    locked: &[(PlacementPipeline, PlacementStage)],
    stages: impl IntoIterator<Item = Uuid>,
) -> bool {
    let is_locked = |id| locked.iter().any(|(_, stage)| stage.id == id);
    stages.into_iter().all(is_locked)
}

/// Lets nobody else count cards in these stages until the end of the
/// transaction; those that there are. Always in the same order, and before
/// anything else is locked: whoever needs several asks for them at once.
fn lock(
    tx: &mut Tx<'_>,
    who: &Caller,
    mut stages: Vec<Uuid>,
) -> Result<Vec<(PlacementPipeline, PlacementStage)>> {
    if stages.is_empty() {
        return Ok(Vec::new());
    }
    stages.sort_unstable();
    stages.dedup();
    let locked = tx.query(
        &format!(
            "select {PLACE}
             from {} s
             join pipelines p on p.workspace_id = s.workspace_id and p.id = s.pipeline_id
             where s.workspace_id = $1 order by s.id{}",
            tx.engine().listed("stages", "id", 2),
            tx.engine().for_update_of("s")
        ),
        &store::params![who.workspace_id, stages],
        |row| place_of(&mut Columns::of(row)),
    )?;
    Ok(locked)
}

/// The same, of the stages that these placings name; what they name wrongly is
/// left to [`target_of`].
pub(super) fn lock_placings<'p>(
    tx: &mut Tx<'_>,
    who: &Caller,
    placings: impl Iterator<Item = &'p Placing>,
) -> Result<()> {
    if tx.engine().has_one_writer() {
        return Ok(());
    }
    let (mut stages, mut pipelines) = (BTreeSet::new(), BTreeSet::new());
    for placing in placings {
        match (placing.stage_id, placing.pipeline_id) {
            (Some(stage_id), _) => stages.insert(stage_id),
            (None, Some(pipeline_id)) => pipelines.insert(pipeline_id),
            (None, None) => false,
        };
    }
    for pipeline_id in pipelines {
        stages.extend(first_stage(tx, who, pipeline_id).ok());
    }
    lock(tx, who, stages.into_iter().collect()).map(drop)
}

/// The statement that reads where an opportunity stands, in no particular order.
pub(super) const STANDING: &str =
    "select c.id, c.pipeline_id, c.stage_id, c.entered_stage_at, s.is_won_stage, s.is_lost_stage
     from cards c
     join stages s on s.workspace_id = c.workspace_id and s.id = c.stage_id
     where c.workspace_id = $1 and c.opportunity_id = $2";

struct OldCard {
    id: Uuid,
    pipeline_id: Uuid,
    stage_id: Uuid,
    entered_stage_at: Timestamp,
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
    let stages = lock_stages(tx, who, vec![opportunity_id], Some(target.stage_id))?;
    let mut opportunity = record::lock::<Opportunity>(tx, who, opportunity_id)?;
    let mut cards = tx.query(
        STANDING,
        &store::params![who.workspace_id, opportunity_id],
        |row| {
            Ok(OldCard {
                id: row.get(0)?,
                pipeline_id: row.get(1)?,
                stage_id: row.get(2)?,
                entered_stage_at: row.get(3)?,
                closes: row.get::<bool>(4)? || row.get::<bool>(5)?,
            })
        },
    )?;
    let standing = cards.iter().map(|card| card.stage_id);
    if !tx.engine().has_one_writer() && !are_among(&stages, standing) {
        return Err(tx.start_over().into());
    }
    let target = target_in(
        tx,
        who,
        stages,
        Some(target.pipeline_id),
        target.stage_id,
        target.position,
    )?;
    cards.sort_unstable_by_key(|card| card.id);
    let there = cards
        .iter()
        .find(|card| card.pipeline_id == target.pipeline.id);
    let moved = match mode {
        Mode::Move => there.or(cards.first()),
        Mode::Add => there,
        Mode::Leave(_) if there.is_some() => there,
        Mode::Leave(pipeline) => cards.iter().find(|card| card.pipeline_id == pipeline),
    };
    let (gone, stays_there): (Vec<_>, bool) = {
        let others = cards
            .iter()
            .filter(|card| Some(card.pipeline_id) != moved.map(|card| card.pipeline_id));
        match mode {
            Mode::Move => (others.collect(), false),
            Mode::Add => (Vec::new(), false),
            Mode::Leave(pipeline) => (
                others.filter(|card| card.pipeline_id == pipeline).collect(),
                pipeline != target.pipeline.id && there.is_some(),
            ),
        }
    };
    for card in &gone {
        tx.enqueue(
            "delete from cards
             where workspace_id = $1 and opportunity_id = $2 and pipeline_id = $3",
            store::params![who.workspace_id, opportunity_id, card.pipeline_id],
        )?;
    }
    if stays_there {
        return card_in(tx, who, opportunity_id, target.pipeline.id);
    }
    let (from, status) = (moved.map(|card| card.stage_id), target.status());
    let placement = match moved {
        Some(card) => move_card(tx, who, opportunity_id, card, target)?,
        None => put_first_card(tx, who, opportunity_id, target, who.now)?,
    };
    let entered = from != Some(placement.stage_id);
    if entered {
        audit::log_field(
            tx,
            who,
            Entity::Opportunity,
            opportunity_id,
            "stage_id",
            &json!(from),
            &json!(placement.stage_id),
        )?;
        events::emit(
            tx,
            who,
            automations,
            Trigger::StageChanged,
            Entity::Opportunity,
            opportunity_id,
            serde_json::Map::from_iter([
                ("pipeline_id".to_owned(), json!(placement.pipeline_id)),
                ("stage_id".to_owned(), json!(placement.stage_id)),
                ("previous_stage_id".to_owned(), json!(from)),
            ]),
        )?;
    }
    // Also a card that only stays where it is can be all that is left: the
    // others may have stood in a stage that had closed the opportunity.
    if entered || !gone.is_empty() {
        let left = moved.filter(|_| entered).into_iter().chain(gone);
        let reopens = left.into_iter().any(|card| card.closes);
        let status = status.or(reopens.then_some(Status::Open));
        set_status(tx, who, &mut opportunity, status, automations)?;
    }
    Ok(placement)
}

fn move_card(
    tx: &mut Tx<'_>,
    who: &Caller,
    opportunity_id: Uuid,
    card: &OldCard,
    target: CheckedTarget,
) -> Result<Placement> {
    let spot = spot(tx, who, &target, opportunity_id)?;
    let entered_stage_at = match card.stage_id == target.stage.id {
        true => card.entered_stage_at,
        false => who.now,
    };
    let mut params = store::params![
        who.workspace_id,
        opportunity_id,
        card.pipeline_id,
        target.stage.id,
        spot.rank.as_str(),
        spot.rank.run(),
        entered_stage_at
    ]
    .to_vec();
    // Where the pipeline is part of the key, naming it has all of the card's indexes
    // written anew.
    let elsewhere = card.pipeline_id != target.pipeline.id;
    params.extend(elsewhere.then(|| target.pipeline.id.into()));
    tx.enqueue(
        &format!(
            "update cards set stage_id = $4, rank = $5, run = $6, entered_stage_at = $7{}
             where workspace_id = $1 and opportunity_id = $2 and pipeline_id = $3",
            if elsewhere { ", pipeline_id = $8" } else { "" }
        ),
        params,
    )?;
    Ok(target.placement(card.id, opportunity_id, spot.position, entered_stage_at))
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
