//! The stages of a pipeline.

use store::{Db, Tx};
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::money::Percent;
use crate::pipelines::{self, Pipeline, Removal};
use crate::record::{self, Column, New, Record, Writable};
use crate::text::{Name, Text};
use crate::time::Timestamp;

crate::record! {
    /// A stage of a pipeline.
    pub struct Stage in "stages", called "stage";
    /// The writable fields of a stage.
    pub struct StageFields;
    read {
        /// Its id.
        id: Uuid,
        /// The pipeline that it belongs to.
        pipeline_id: Uuid,
    }
    write {
        /// What it is called.
        solid name: Name,
        /// How it is shown, as a CSS colour.
        plain color: Text<32>,
        /// Its place in the pipeline, counted from 0; the last by default.
        plain position: i64,
        /// How likely an opportunity here is to be won, in percent, where it
        /// does not say so itself.
        patch probability: Percent,
        /// True when entering it wins the opportunity.
        plain is_won_stage: bool,
        /// True when entering it loses the opportunity.
        plain is_lost_stage: bool,
    }
    kept {
        /// When it was created.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
    }
    joined {
        /// How many cards stand in it.
        deal_count: i64,
    }
}

/// The colour of a stage that was given none.
const COLOR: &str = "#64748b";

crate::input! {
    /// A new order of a pipeline's stages.
    pub struct Reorder {
        /// All stages of the pipeline, each once, in the new order.
        required stage_ids: Vec<Uuid>,
    }
}

/// The stages of a pipeline in their order, which must exist.
pub fn list(db: &Db<'_>, who: &Caller, pipeline_id: Uuid) -> Result<Vec<Stage>> {
    record::check::<Pipeline>(db, who, pipeline_id)?;
    of(db, who, pipeline_id)
}

/// The stages of a pipeline in their order.
pub(crate) fn of(db: &Db<'_>, who: &Caller, pipeline_id: Uuid) -> Result<Vec<Stage>> {
    select(db, who, "t.pipeline_id", pipeline_id)
}

/// The ids of a pipeline's stages, which no card enters until the end of the
/// transaction.
pub(crate) fn lock_all(tx: &Tx<'_>, who: &Caller, pipeline_id: Uuid) -> Result<Vec<Uuid>> {
    Ok(tx.query(
        &format!(
            "select id from stages where workspace_id = $1 and pipeline_id = $2 order by id{}",
            tx.engine().for_update()
        ),
        &store::params![who.workspace_id, pipeline_id],
        |row| row.get(0),
    )?)
}

/// One stage of a pipeline.
pub fn get(db: &Db<'_>, who: &Caller, pipeline_id: Uuid, id: Uuid) -> Result<Stage> {
    record::check::<Pipeline>(db, who, pipeline_id)?;
    select(db, who, "t.id", id)?
        .into_iter()
        .find(|stage| stage.pipeline_id == pipeline_id)
        .ok_or_else(|| record::not_found::<Stage>(id))
}

fn select(db: &Db<'_>, who: &Caller, column: &str, id: Uuid) -> Result<Vec<Stage>> {
    Ok(db.query(
        &format!(
            "select {},
                    (select count(*) from cards c
                     where c.workspace_id = t.workspace_id and c.stage_id = t.id)
             from stages t where t.workspace_id = $1 and {column} = $2
             order by t.position, t.id",
            Stage::QUALIFIED
        ),
        &store::params![who.workspace_id, id],
        |row| {
            let mut columns = record::Columns::of(row);
            let mut stage = Stage::take(&mut columns)?;
            stage.deal_count = columns.take()?;
            Ok(stage)
        },
    )?)
}

/// Adds a stage to a pipeline.
pub fn create(
    tx: &mut Tx<'_>,
    who: &Caller,
    pipeline_id: Uuid,
    input: New<StageFields>,
) -> Result<Stage> {
    let New(mut fields) = input;
    record::lock::<Pipeline>(tx, who, pipeline_id)?;
    let count = count(tx, who, pipeline_id)?;
    let wanted = fields.position.replace(count);
    fields.is_won_stage.get_or_insert(false);
    fields.is_lost_stage.get_or_insert(false);
    check_outcome(fields.is_won_stage, fields.is_lost_stage)?;
    if fields.color.is_none() {
        fields.color = Text::read(COLOR).ok().flatten();
    }
    let id = who.new_id();
    let mut columns = fields.columns();
    columns.push(Column {
        name: "pipeline_id",
        value: pipeline_id.into(),
    });
    record::insert::<Stage>(tx, who, id, columns)?;
    if let Some(position) = wanted {
        put_at(tx, who, pipeline_id, id, position)?;
    }
    get(tx, who, pipeline_id, id)
}

/// Changes the fields that are given.
pub fn update(
    tx: &mut Tx<'_>,
    who: &Caller,
    pipeline_id: Uuid,
    id: Uuid,
    mut fields: StageFields,
) -> Result<Stage> {
    record::lock::<Pipeline>(tx, who, pipeline_id)?;
    let mut stage = get(tx, who, pipeline_id, id)?;
    let position = fields.position.take();
    let changes = fields.apply(&mut stage);
    check_outcome(Some(stage.is_won_stage), Some(stage.is_lost_stage))?;
    record::update::<Stage>(tx, who, id, &changes, [])?;
    if let Some(position) = position {
        put_at(tx, who, pipeline_id, id, position)?;
    }
    get(tx, who, pipeline_id, id)
}

/// Deletes a stage; the ones behind it move up.
pub fn delete(
    tx: &mut Tx<'_>,
    who: &Caller,
    pipeline_id: Uuid,
    id: Uuid,
    input: &Removal,
) -> Result<()> {
    record::lock::<Pipeline>(tx, who, pipeline_id)?;
    let stage = record::lock::<Stage>(tx, who, id)?;
    if stage.pipeline_id != pipeline_id {
        return Err(record::not_found::<Stage>(id));
    }
    if input.move_to == Some(id) {
        return Err(Error::invalid(
            "move_to",
            "must name another stage: this one is to be deleted",
        ));
    }
    pipelines::clear(tx, who, "stage_id", id, input.move_to)?;
    record::delete::<Stage>(tx, who, id)?;
    let rest = ids(tx, who, pipeline_id)?;
    write_order(tx, who, &rest)
}

/// Puts the stages of a pipeline into a new order.
pub fn reorder(
    tx: &mut Tx<'_>,
    who: &Caller,
    pipeline_id: Uuid,
    input: &Reorder,
) -> Result<Vec<Stage>> {
    record::lock::<Pipeline>(tx, who, pipeline_id)?;
    let mut current = ids(tx, who, pipeline_id)?;
    let mut wanted = input.stage_ids.clone();
    current.sort_unstable();
    wanted.sort_unstable();
    if current != wanted {
        return Err(Error::invalid(
            "stage_ids",
            format!(
                "must name each of the pipeline's {} stages exactly once",
                current.len()
            ),
        ));
    }
    write_order(tx, who, &input.stage_ids)?;
    of(tx, who, pipeline_id)
}

fn check_outcome(is_won: Option<bool>, is_lost: Option<bool>) -> Result<()> {
    if is_won == Some(true) && is_lost == Some(true) {
        return Err(Error::invalid(
            "is_lost_stage",
            "must be false where is_won_stage is true",
        ));
    }
    Ok(())
}

fn count(db: &Db<'_>, who: &Caller, pipeline_id: Uuid) -> Result<i64> {
    Ok(i64::try_from(ids(db, who, pipeline_id)?.len()).unwrap_or(i64::MAX))
}

fn ids(db: &Db<'_>, who: &Caller, pipeline_id: Uuid) -> Result<Vec<Uuid>> {
    Ok(db.query(
        "select id from stages where workspace_id = $1 and pipeline_id = $2
         order by position, id",
        &store::params![who.workspace_id, pipeline_id],
        |row| row.get(0),
    )?)
}

/// Puts one stage at an index among the others.
fn put_at(tx: &mut Tx<'_>, who: &Caller, pipeline_id: Uuid, id: Uuid, position: i64) -> Result<()> {
    let mut order = ids(tx, who, pipeline_id)?;
    order.retain(|other| *other != id);
    let index = usize::try_from(position.max(0)).unwrap_or(usize::MAX);
    order.insert(index.min(order.len()), id);
    write_order(tx, who, &order)
}

fn write_order(tx: &mut Tx<'_>, who: &Caller, order: &[Uuid]) -> Result<()> {
    for (position, id) in (0_i64..).zip(order) {
        tx.execute(
            "update stages set position = $3, updated_at = $4
             where workspace_id = $1 and id = $2 and position <> $3",
            &store::params![who.workspace_id, *id, position, who.now],
        )?;
    }
    Ok(())
}
