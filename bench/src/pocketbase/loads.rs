//! What is asked of PocketBase: what comes nearest to the loads of ours.

use std::ops::Range;

use serde_json::{Value, json};

use super::PocketBase;
use crate::Failure;
use crate::made_up::{self, Dice};
use crate::seed::BULK;
use crate::wrk::{FRESH_ID, Request};

const RECORDS: &str = "/api/collections/opportunities/records";
const CARDS: &str = "/api/collections/cards/records";
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

/// One new opportunity without a card.
pub(crate) fn create_plain() -> Vec<Request> {
    let requests = (0..DIFFERENT).map(|number| format!("POST {RECORDS} {}", opportunity(number)));
    requests.collect()
}

/// One new opportunity and its card, in one transaction.
pub(crate) fn create() -> Vec<Request> {
    (0..DIFFERENT)
        .map(|number| batch_of(number..number + 1))
        .collect()
}

/// A hundred of them in one call, each with its card.
pub(crate) fn batch() -> Vec<Request> {
    let calls = (0..CALLS).map(|number| number * BULK);
    calls.map(|from| batch_of(from..from + BULK)).collect()
}

fn batch_of(numbers: Range<u64>) -> Request {
    let requests: Vec<_> = numbers.flat_map(with_card).collect();
    format!("POST /api/batch {}", json!({ "requests": requests }))
}

/// What creates an opportunity, and what creates its card.
fn with_card(number: u64) -> [Value; 2] {
    let id = format!("{FRESH_ID}{:02}", number % BULK);
    let mut record = opportunity(number);
    record["id"] = json!(id);
    let mut dice = Dice::new("PocketBase's card", number);
    let stage = 1 + dice.below(6);
    let card = json!({
        "opportunity": id,
        "pipeline": format!("p{:014}", 1),
        "stage": format!("s{stage:014}"),
        "rank": format!("{:06}", dice.below(1_000_000)),
        "entered_stage": "2026-11-24 12:00:00.000Z",
    });
    [
        json!({ "method": "POST", "url": RECORDS, "body": record }),
        json!({ "method": "POST", "url": CARDS, "body": card }),
    ]
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
