//! What is asked of PocketBase: what comes nearest to the loads of ours.

use serde_json::{Value, json};

use super::PocketBase;
use crate::Failure;
use crate::made_up::{self, Dice};
use crate::seed::BULK;
use crate::wrk::Request;

const RECORDS: &str = "/api/collections/opportunities/records";
/// How many opportunities are asked for by their id.
const KNOWN: u32 = 10_000;
/// How many different requests a load that writes has, and how many bulk calls.
const DIFFERENT: u64 = 2_000;
const CALLS: u64 = 50;

/// One opportunity, with its cards.
pub(crate) fn get_one(server: &PocketBase) -> Result<Vec<Request>, Failure> {
    let ids = server.some(KNOWN)?;
    let requests = ids
        .iter()
        .map(|id| format!("GET {RECORDS}/{id}?expand=cards_via_opportunity"));
    Ok(requests.collect())
}

/// The newest 25, with their cards, and without counting all there are.
pub(crate) fn list() -> Vec<Request> {
    vec![format!(
        "GET {RECORDS}?perPage=25&skipTotal=1&sort=-created&expand=cards_via_opportunity"
    )]
}

/// One new opportunity.
pub(crate) fn create() -> Vec<Request> {
    let requests = (0..DIFFERENT).map(|number| format!("POST {RECORDS} {}", opportunity(number)));
    requests.collect()
}

/// A hundred of them in one call.
pub(crate) fn batch() -> Vec<Request> {
    let call = |number: u64| {
        let requests: Vec<_> = (number * BULK..(number + 1) * BULK)
            .map(|number| json!({ "method": "POST", "url": RECORDS, "body": opportunity(number) }))
            .collect();
        format!("POST /api/batch {}", json!({ "requests": requests }))
    };
    (0..CALLS).map(call).collect()
}

/// As ours, in the words of the collections here. What it refers to is among the
/// first of the seed.
fn opportunity(number: u64) -> Value {
    let mut record = made_up::plain_opportunity(number);
    let mut dice = Dice::new("PocketBase", number);
    record["contact"] = json!(format!("c{:014}", 1 + dice.below(300)));
    record["company"] = json!(format!("k{:014}", 1 + dice.below(90)));
    record["status"] = json!("open");
    record["currency"] = json!("AUD");
    record
}
