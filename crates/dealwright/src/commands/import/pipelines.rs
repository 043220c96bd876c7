//! The pipelines that imported opportunities enter: those that the workspace
//! has, and those that the mapping asks for.

use std::collections::HashMap;

use crm::input::Patch;
use crm::paging::{Cursor, Limit, PageRequest};
use crm::pipelines::{self, Pipeline, PipelineFields};
use crm::record::New;
use crm::stages::{self, StageFields};
use crm::text::Name;
use crm::{Caller, Error};
use store::{Db, Tx};
use uuid::Uuid;

use super::mapping::{Outcome, PipelineMapping, StageMapping};
use super::report::MadePipeline;

/// The pipelines of a workspace by their names in lower case.
#[derive(Debug, Default)]
pub(super) struct Pipelines(HashMap<String, Found>);

#[derive(Debug)]
enum Found {
    /// The only one that is called so.
    One(Stages),
    /// Several are called so.
    Many,
}

/// The stages of a pipeline in their order, each with its name.
type Stages = Vec<(Name, Stage)>;

/// A stage that a card can enter.
#[derive(Debug, Clone, Copy)]
enum Stage {
    There(Uuid),
    /// Made only in a dry run, whose changes are undone.
    Planned,
}

impl Pipelines {
    /// Finds the workspace's pipelines, and makes what is missing of `wanted`.
    pub(super) fn prepare(
        tx: &mut Tx<'_>,
        who: &Caller,
        wanted: &[PipelineMapping],
        dry_run: bool,
    ) -> crm::Result<(Self, Vec<MadePipeline>)> {
        let mut known = HashMap::new();
        for pipeline in all(tx, who)? {
            let stages = stages::list(tx, who, pipeline.id)?;
            let stages = stages
                .into_iter()
                .map(|stage| (stage.name, stage.id))
                .collect();
            known
                .entry(pipeline.name.to_lowercase())
                .or_insert_with(Vec::new)
                .push((pipeline.id, stages));
        }
        let mut made = Vec::new();
        let mut found = HashMap::new();
        for pipeline in wanted {
            let (stages, report) = complete(tx, who, pipeline, &known, dry_run)?;
            made.extend(report);
            found.insert(pipeline.name.to_lowercase(), Found::One(stages));
        }
        for (name, mut pipelines) in known {
            found.entry(name).or_insert_with(|| match pipelines.pop() {
                Some((_, stages)) if pipelines.is_empty() => Found::One(
                    stages
                        .into_iter()
                        .map(|(name, id)| (name, Stage::There(id)))
                        .collect(),
                ),
                _ => Found::Many,
            });
        }
        Ok((Self(found), made))
    }

    /// The stage that a card enters, by the names; the pipeline's first where
    /// none is named. `None` in a dry run where it is yet to be made.
    pub(super) fn stage(&self, pipeline: &str, stage: Option<&str>) -> crm::Result<Option<Uuid>> {
        let stages = match self.0.get(&pipeline.to_lowercase()) {
            Some(Found::One(stages)) => stages,
            Some(Found::Many) => return Err(several(pipeline)),
            None => {
                return Err(Error::invalid(
                    "pipeline",
                    format!(
                        "must name a pipeline of the workspace or of the mapping, not {pipeline:?}"
                    ),
                ));
            }
        };
        let found = match stage {
            None => stages.first(),
            Some(wanted) => stages
                .iter()
                .find(|(name, _)| name.to_lowercase() == wanted.to_lowercase()),
        };
        match found {
            Some((_, Stage::There(id))) => Ok(Some(*id)),
            Some((_, Stage::Planned)) => Ok(None),
            None => {
                let names: Vec<_> = stages.iter().map(|(name, _)| &**name).collect();
                Err(Error::invalid(
                    "stage",
                    format!(
                        "must be one of {}, not {:?}",
                        names.join(", "),
                        stage.unwrap_or_default()
                    ),
                ))
            }
        }
    }
}

fn several(pipeline: &str) -> Error {
    Error::invalid(
        "pipeline",
        format!("is not clear: several are called {pipeline:?}; give each its own name"),
    )
}

/// Every pipeline of the workspace.
fn all(db: &Db<'_>, who: &Caller) -> crm::Result<Vec<Pipeline>> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let request = PageRequest {
            limit: Limit::from(100),
            cursor,
        };
        let page = pipelines::list(db, who, request)?;
        all.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = Some(Cursor::Older(next)),
            None => return Ok(all),
        }
    }
}

/// The pipelines of each name with the stages of each.
type Known = HashMap<String, Vec<(Uuid, Vec<(Name, Uuid)>)>>;

/// Makes the pipeline and its stages as far as they are missing.
fn complete(
    tx: &mut Tx<'_>,
    who: &Caller,
    wanted: &PipelineMapping,
    known: &Known,
    dry_run: bool,
) -> crm::Result<(Stages, Option<MadePipeline>)> {
    let existing = match known.get(&wanted.name.to_lowercase()).map(Vec::as_slice) {
        None | Some([]) => None,
        Some([one]) => Some(one),
        Some(_) => return Err(several(&wanted.name)),
    };
    let (id, mut stages) = match existing {
        Some((id, stages)) => {
            let stages = stages
                .iter()
                .map(|(name, id)| (name.clone(), Stage::There(*id)));
            (*id, stages.collect())
        }
        None => {
            let fields = PipelineFields {
                name: Some(wanted.name.clone()),
                ..PipelineFields::default()
            };
            (pipelines::create(tx, who, New(fields))?.id, Vec::new())
        }
    };
    let mut made = Vec::new();
    for (place, stage) in wanted.stages.iter().enumerate() {
        let name = stage.name.to_lowercase();
        if stages.iter().any(|(other, _)| other.to_lowercase() == name) {
            continue;
        }
        let place = place.min(stages.len());
        let id = create_stage(tx, who, id, stage, place)?;
        let stage_made = if dry_run {
            Stage::Planned
        } else {
            Stage::There(id)
        };
        stages.insert(place, (stage.name.clone(), stage_made));
        made.push(stage.name.clone());
    }
    let report = (existing.is_none() || !made.is_empty()).then(|| MadePipeline {
        name: wanted.name.clone(),
        made: existing.is_none(),
        stages_made: made,
    });
    Ok((stages, report))
}

fn create_stage(
    tx: &mut Tx<'_>,
    who: &Caller,
    pipeline: Uuid,
    stage: &StageMapping,
    place: usize,
) -> crm::Result<Uuid> {
    let fields = StageFields {
        name: Some(stage.name.clone()),
        color: stage.color.clone(),
        position: i64::try_from(place).ok(),
        probability: stage.probability.map_or(Patch::Keep, Patch::Set),
        is_won_stage: Some(stage.outcome == Some(Outcome::Won)),
        is_lost_stage: Some(stage.outcome == Some(Outcome::Lost)),
    };
    Ok(stages::create(tx, who, pipeline, New(fields))?.id)
}
