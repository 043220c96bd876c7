//! Many opportunities in one call.

use store::Tx;
use uuid::Uuid;

use crate::bulk::{self, Ids, Outcome, Records};
use crate::caller::Caller;
use crate::error::Result;
use crate::events::Automations;

use super::{History, NewOpportunity, Opportunity, Placing, Target, cards};

crate::input! {
    /// Opportunities to create, with what they have in common.
    pub struct BulkCreate {
        /// The opportunities: 1 to 100, each as in POST /opportunities.
        required records: Records<NewOpportunity>,
        /// The pipeline of the records that name no pipeline and no stage of
        /// their own: they enter `stage_id`, or else its first stage.
        optional pipeline_id: Uuid,
        /// The stage of the records that name no pipeline and no stage of their
        /// own; its pipeline follows from it.
        optional stage_id: Uuid,
        /// The index in its stage of the card of each record that gives none of
        /// its own; 0, the top, by default.
        optional position: i64,
        flatten automations: Automations,
    }
}

crate::input! {
    /// Opportunities to move, and where to.
    pub struct BulkMove {
        /// Their ids: 1 to 100.
        required ids: Ids,
        flatten target: Target,
    }
}

/// Creates opportunities; those that name no pipeline and no stage enter the
/// call's.
pub fn bulk_create(
    tx: &mut Tx<'_>,
    who: &Caller,
    input: BulkCreate,
) -> Result<Outcome<usize, Opportunity>> {
    let BulkCreate {
        records,
        pipeline_id,
        stage_id,
        position,
        automations,
    } = input;
    let default = Placing {
        pipeline_id,
        stage_id,
        position,
    };
    let (mut inputs, unknown) = records.read("records");
    for new in inputs.iter_mut().flatten() {
        let own: &mut Placing = &mut new.placing;
        if own.pipeline_id.is_none() && own.stage_id.is_none() {
            own.pipeline_id = default.pipeline_id;
            own.stage_id = default.stage_id;
        }
        own.position = own.position.or(default.position);
        new.automations.add(&automations);
    }
    let placings = inputs.iter().flatten().map(|new| &new.placing);
    cards::lock_placings(tx, who, placings.chain([&default]))?;
    cards::target_of(tx, who, &default)?;
    let locale = who.locale(tx)?;
    bulk::create_each(tx, inputs, unknown, |tx, new| {
        super::create_in(tx, who, &locale, new, History::default())
    })
}

/// Deletes opportunities.
pub fn bulk_delete(
    tx: &mut Tx<'_>,
    who: &Caller,
    input: &bulk::Delete,
) -> Result<Outcome<Uuid, ()>> {
    cards::lock_stages(tx, who, input.ids.to_vec(), None)?;
    bulk::each_id(tx, &input.ids, |tx, id| super::delete(tx, who, id))
}

/// Moves opportunities to one stage.
pub fn bulk_move(tx: &mut Tx<'_>, who: &Caller, input: &BulkMove) -> Result<Outcome<Uuid, ()>> {
    cards::lock_stages(tx, who, input.ids.to_vec(), Some(input.target.stage_id))?;
    cards::check(
        tx,
        who,
        Some(input.target.pipeline_id),
        input.target.stage_id,
        input.target.position,
    )?;
    bulk::each_id(tx, &input.ids, |tx, id| {
        cards::move_to(tx, who, id, &input.target).map(drop)
    })
}
