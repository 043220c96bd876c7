//! What is asked of the server: the requests of each load.

use serde_json::json;

use crate::made_up::{self, Dice, Surroundings};
use crate::seed::{BULK, Known};
use crate::wrk::Request;

/// How many different requests a load that writes has.
const DIFFERENT: u64 = 2_000;
/// How many different bulk calls.
const CALLS: u64 = 50;
/// How many stages each opportunity is moved to in turn.
const MOVES: u64 = 3;
/// How many are read for each that is moved, where both happens at once.
const READS_EACH_MOVE: usize = 19;

/// What an expanded page shows.
const EXPANSIONS: &str = "contact,referrer,customer,assigned_users";

/// One opportunity, with its cards.
pub(crate) fn get_one(known: &Known) -> Vec<Request> {
    let ids = known.opportunities.iter();
    ids.map(|id| format!("GET /v1/opportunities/{id}"))
        .collect()
}

/// The first page of 25, with their cards.
pub(crate) fn list() -> Vec<Request> {
    vec!["GET /v1/opportunities?limit=25".to_owned()]
}

/// The same with all that can be expanded.
pub(crate) fn list_expanded() -> Vec<Request> {
    vec![format!(
        "GET /v1/opportunities?limit=25&expand={EXPANSIONS}"
    )]
}

/// The page at the other end of the table.
pub(crate) fn last_page(known: &Known) -> Vec<Request> {
    vec![format!(
        "GET /v1/opportunities?limit=25&cursor={}",
        known.far_back
    )]
}

/// A column of a board: the first 25 of a stage.
pub(crate) fn board(known: &Known) -> Vec<Request> {
    let stages = known.pipelines.iter().flat_map(|(pipeline, stages)| {
        let column = move |stage| {
            format!("GET /v1/opportunities?limit=25&pipeline_id={pipeline}&stage_id={stage}")
        };
        stages.iter().map(column)
    });
    stages.collect()
}

/// One new opportunity, with a contact, a company, tags and a card.
pub(crate) fn create(known: &Known) -> Vec<Request> {
    let pipelines = known.stages();
    let around = surroundings(known, &pipelines);
    let made = (0..DIFFERENT).map(|number| made_up::opportunity(number, &around));
    made.map(|record| format!("POST /v1/opportunities {record}"))
        .collect()
}

/// A hundred of them in one call.
pub(crate) fn bulk_create(known: &Known) -> Vec<Request> {
    let pipelines = known.stages();
    let around = surroundings(known, &pipelines);
    let call = |number: u64| {
        let records: Vec<_> = (number * BULK..(number + 1) * BULK)
            .map(|number| made_up::opportunity(number, &around))
            .collect();
        format!(
            "POST /v1/opportunities/bulk-create {}",
            json!({ "records": records })
        )
    };
    (0..CALLS).map(call).collect()
}

fn surroundings<'a>(known: &'a Known, pipelines: &'a [Vec<String>]) -> Surroundings<'a> {
    Surroundings {
        contacts: &known.contacts,
        companies: &known.companies,
        pipelines,
    }
}

/// A card to the top of some stage of some pipeline.
pub(crate) fn r#move(known: &Known) -> Vec<Request> {
    let mut dice = Dice::new("move", 0);
    let mut requests = Vec::new();
    for id in &known.opportunities {
        for _ in 0..MOVES {
            let (pipeline, stages) =
                &known.pipelines[dice.below(known.pipelines.len() as u64) as usize];
            let stage = &stages[dice.below(stages.len() as u64) as usize];
            let target = json!({ "pipeline_id": pipeline, "stage_id": stage });
            requests.push(format!("POST /v1/opportunities/{id}/move {target}"));
        }
    }
    requests
}

/// Any of the opportunities by its id, and now and then one of them is moved.
pub(crate) fn mixed(known: &Known) -> Vec<Request> {
    let (reads, moves) = (get_one(known), r#move(known));
    let shares = reads.chunks(READS_EACH_MOVE).zip(moves);
    shares
        .flat_map(|(reads, one)| reads.iter().cloned().chain([one]))
        .collect()
}

/// The best 25 opportunities for each of these texts.
pub(crate) fn search(terms: &[String]) -> Vec<Request> {
    search_at("/v1/opportunities/search", terms)
}

/// The best 25 records of any kind for each of these texts.
pub(crate) fn search_all(terms: &[String]) -> Vec<Request> {
    search_at("/v1/search", terms)
}

fn search_at(path: &str, terms: &[String]) -> Vec<Request> {
    let request = |term: &String| {
        let body = json!({ "query": term, "limit": 25 });
        format!("POST {path} {body}")
    };
    terms.iter().map(request).collect()
}

/// How many opportunities stand in each stage, and what they are worth.
pub(crate) fn summary(known: &Known) -> Vec<Request> {
    let pipelines = known.pipelines.iter();
    pipelines
        .map(|(id, _)| format!("GET /v1/pipelines/{id}/summary"))
        .collect()
}

/// The stages, each with the number of its opportunities.
pub(crate) fn stage_counts(known: &Known) -> Vec<Request> {
    let pipelines = known.pipelines.iter();
    pipelines
        .map(|(id, _)| format!("GET /v1/pipelines/{id}/stages"))
        .collect()
}
