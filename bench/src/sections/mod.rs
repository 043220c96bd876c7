//! What is measured, and what it must come to.

pub(crate) mod export;
pub(crate) mod postgres;
pub(crate) mod scale;
pub(crate) mod sqlite;
pub(crate) mod start;

use std::time::Duration;

use crate::Failure;
use crate::http::{self, Client};
use crate::seed::Known;
use crate::wrk::Done;

/// How many clients at once; half of what is promised is promised at the second.
const FEW: u32 = 16;
const MANY: u32 = 64;
/// How many call in bulk at once.
const CALLERS: u32 = 4;

/// How often, and after what pauses, one looks whether all is done.
const LOOKS: usize = 100;
const PAUSE: Duration = Duration::from_millis(200);

/// How many cards there are in all pipelines, once nobody changes that any more:
/// what a client no longer waits for is finished all the same.
fn cards(client: &Client, known: &Known) -> Result<u64, Failure> {
    let mut last = None;
    for _ in 0..LOOKS {
        let counts = [summed(client, known)?, by_stages(client, known)?];
        if last == Some(counts) {
            let [summed, by_stages] = counts;
            return match summed == by_stages {
                true => Ok(summed),
                false => Err(format!("{summed} cards are {by_stages} by their stages").into()),
            };
        }
        last = Some(counts);
        std::thread::sleep(PAUSE);
    }
    Err("the number of cards goes on changing".into())
}

/// By the pipelines' summaries.
fn summed(client: &Client, known: &Known) -> Result<u64, Failure> {
    let mut total = 0;
    for (pipeline, _) in &known.pipelines {
        let summary = client.get(&format!("/v1/pipelines/{pipeline}/summary"))?;
        let count = summary["data"]["totals"]["deal_count"].as_u64();
        total += count.ok_or("a summary without a count")?;
    }
    Ok(total)
}

/// By the counts that are kept of each stage.
fn by_stages(client: &Client, known: &Known) -> Result<u64, Failure> {
    let mut total = 0;
    for (pipeline, _) in &known.pipelines {
        let stages = client.get(&format!("/v1/pipelines/{pipeline}/stages"))?;
        let counts = http::list(&stages["data"])?.iter();
        total += counts
            .filter_map(|stage| stage["deal_count"].as_u64())
            .sum::<u64>();
    }
    Ok(total)
}

/// Makes sure that what was answered is there, and no more than was asked for.
fn check_created(before: u64, after: u64, each: u64, done: &[Done]) -> Result<(), Failure> {
    let answered: u64 = done.iter().map(|done| done.answered * each).sum();
    let under_way: u64 = done.iter().map(|done| done.under_way * each).sum();
    let created = after - before;
    match (answered..=answered + under_way).contains(&created) {
        true => Ok(()),
        false => Err(format!(
            "{answered} creates were answered, {under_way} more were under way, \
             and there are {created} more"
        )
        .into()),
    }
}
