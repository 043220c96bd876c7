//! The stages of a pipeline.

use store::{Db, Tx};
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::money::Percent;
use crate::order;
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
        solid name: Name = "Qualified",
        /// How it is shown, as a CSS colour.
        plain color: Text<32> = "#3b82f6",
        /// Its place in the pipeline, counted from 0; the last by default.
        plain position: i64,
        /// How likely an opportunity here is to be won, in percent, where it
        /// does not say so itself.
        patch probability: Percent = 25,
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
                    coalesce((select counted_before(n.counts, '~') from card_counts n
                              where n.workspace_id = t.workspace_id and n.stage_id = t.id
                                and n.prefix = ''), 0)
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
    pipelines::clear(tx, who, vec![id], input)?;
    record::delete::<Stage>(tx, who, id)?;
    let rest = ids(tx, who, pipeline_id)?;
    order::write::<Stage>(tx, who, "position", &rest)
}

/// Puts the stages of a pipeline into a new order.
pub fn reorder(
    tx: &mut Tx<'_>,
    who: &Caller,
    pipeline_id: Uuid,
    input: &Reorder,
) -> Result<Vec<Stage>> {
    record::lock::<Pipeline>(tx, who, pipeline_id)?;
    let current = ids(tx, who, pipeline_id)?;
    let count = current.len();
    if !order::is_permutation(current, &input.stage_ids) {
        return Err(Error::invalid(
            "stage_ids",
            format!("must name each of the pipeline's {count} stages exactly once"),
        ));
    }
    order::write::<Stage>(tx, who, "position", &input.stage_ids)?;
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
    let stages = order::with_at(ids(tx, who, pipeline_id)?, id, position);
    order::write::<Stage>(tx, who, "position", &stages)
}

/// Lets nobody else put a card into any stage of the workspace, or take one
/// out, until the end of the transaction.
pub(crate) fn hold_cards(tx: &mut Tx<'_>, who: &Caller) -> Result<()> {
    tx.execute(
        &format!(
            "select id from stages where workspace_id = $1 order by id{}",
            tx.engine().for_update()
        ),
        &store::params![who.workspace_id],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::testing::{Desk, attempt, given, outcome, pipeline};

    fn order(db: &Db<'_>, desk: &Desk) -> Result<Vec<(String, i64)>> {
        let stages = list(db, &desk.who, desk.pipeline)?;
        Ok(stages
            .iter()
            .map(|stage| (stage.name.to_string(), stage.position))
            .collect())
    }

    fn numbered(names: &[&str]) -> Vec<(String, i64)> {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .zip(0..)
            .collect()
    }

    on_both_engines! {
        fn a_stage_is_put_where_it_says_and_the_others_make_room(tx, desk) {
            let last = create(tx, &desk.who, desk.pipeline, given(json!({ "name": "Last" })))?;
            assert_eq!((last.position, &*last.color, last.deal_count), (6, "#64748b", 0));
            assert_eq!((last.probability, last.is_won_stage, last.is_lost_stage), (None, false, false));
            create(tx, &desk.who, desk.pipeline, given(json!({ "name": "First", "position": 0 })))?;
            update(tx, &desk.who, desk.pipeline, desk.won(), given(json!({ "position": 1 })))?;
            update(tx, &desk.who, desk.pipeline, desk.lead(), given(json!({ "position": 99 })))?;
            let expected = ["First", "Won", "Qualified", "Proposal", "Negotiation", "Lost", "Last", "Lead"];
            assert_eq!(order(tx, desk)?, numbered(&expected));
        }

        fn a_new_order_names_every_stage_exactly_once(tx, desk) {
            let reversed: Vec<_> = desk.stages.iter().rev().copied().collect();
            let mut wrong = vec![reversed[1..].to_vec(), reversed.clone(), reversed.clone(), Vec::new()];
            wrong[1].push(reversed[0]);
            wrong[2][0] = desk.who.new_id();
            for stage_ids in wrong {
                let input = given(json!({ "stage_ids": stage_ids }));
                let result = attempt(tx, |tx| reorder(tx, &desk.who, desk.pipeline, &input));
                assert_eq!(result, "invalid: stage_ids");
            }
            let names = ["Lead", "Qualified", "Proposal", "Negotiation", "Won", "Lost"];
            assert_eq!(order(tx, desk)?, numbered(&names));
            let input = given(json!({ "stage_ids": reversed }));
            let answered: Vec<_> = reorder(tx, &desk.who, desk.pipeline, &input)?
                .iter()
                .map(|stage| stage.id)
                .collect();
            assert_eq!(answered, reversed);
            let names = ["Lost", "Won", "Negotiation", "Proposal", "Qualified", "Lead"];
            assert_eq!(order(tx, desk)?, numbered(&names));
        }

        fn a_stage_counts_its_cards_and_is_found_in_its_own_pipeline_alone(tx, desk) {
            for _ in 0..3 {
                desk.create(tx, json!({ "name": "Deal", "stage_id": desk.lead() }))?;
            }
            assert_eq!(get(tx, &desk.who, desk.pipeline, desk.lead())?.deal_count, 3);
            let (other, _) = pipeline(tx, &desk.who, "Other", &["One"])?;
            assert_eq!(outcome(get(tx, &desk.who, other, desk.lead())), "not found: stage");
            let none = given(json!({}));
            let deleted = attempt(tx, |tx| delete(tx, &desk.who, other, desk.qualified(), &none));
            assert_eq!(deleted, "not found: stage");
            let rename = given(json!({ "name": "x" }));
            let renamed = attempt(tx, |tx| update(tx, &desk.who, other, desk.lead(), rename));
            assert_eq!(renamed, "not found: stage");
        }

        fn a_stage_can_not_both_win_and_lose(tx, desk) {
            let both = json!({ "name": "x", "is_won_stage": true, "is_lost_stage": true });
            let made = attempt(tx, |tx| create(tx, &desk.who, desk.pipeline, given(both)));
            let lose = given(json!({ "is_lost_stage": true }));
            let changed = attempt(tx, |tx| update(tx, &desk.who, desk.pipeline, desk.won(), lose));
            assert_eq!([made, changed], ["invalid: is_lost_stage"; 2]);
            let turn = given(json!({ "is_won_stage": false, "is_lost_stage": true }));
            let turned = update(tx, &desk.who, desk.pipeline, desk.won(), turn)?;
            assert!(turned.is_lost_stage && !turned.is_won_stage);
        }

        async fn stages_made_at_once_get_positions_of_their_own(world) {
            let results = world.all_at_once(6, |tx, desk, index| {
                let fields = json!({ "name": format!("{index}") });
                create(tx, &desk.who, desk.pipeline, given(fields))
            }).await;
            let mut positions: Vec<_> = results.into_iter().map(|made| made.unwrap().position).collect();
            positions.sort_unstable();
            assert_eq!(positions, [6, 7, 8, 9, 10, 11]);
        }
    }
}
