//! The acknowledged ledger: what each client was told, and so what must be.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::book::{Book, Deed, STAGES};
use super::dice::Dice;
use super::seen::Seen;
use super::tally::Tally;
use crate::fixtures::{Pipeline, list, text};
use crate::harness::{Answer, Client, assert_error};

/// How many opportunities a client keeps, about.
const KEPT: usize = 40;

/// How many records a bulk call has.
const BULK: usize = 12;

/// The names of the stages of a client's pipeline.
const STAGE_NAMES: [&str; STAGES] = ["Lead", "Offer", "Talk", "Won"];

/// What it means that a call got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// It may have been done or not, as when the server was killed.
    IsUnknown,
    /// It was not done, as when the server was asked to end.
    WasNotDone,
    /// Something is wrong with the server.
    IsAFault,
}

/// What has become of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    /// Certainly not done; it may be tried again.
    Refused,
    /// Certainly not done, by a server that takes no more calls.
    Gone,
    Unknown,
}

/// A call that is sent, perhaps not for the first time.
#[derive(Clone, Debug)]
struct Call {
    deed: Deed,
    /// The key that makes it happen once.
    key: Option<String>,
    method: &'static str,
    path: String,
    body: Vec<u8>,
}

/// What one client knows of its opportunities, which nobody else touches. They
/// are in a pipeline of its own, so that it knows the place of each card.
pub(super) struct Ledger {
    client: Client,
    /// What the names of all its opportunities begin with.
    prefix: String,
    pipeline: String,
    stages: [String; STAGES],
    /// How many names and keys it has given.
    given: usize,
    /// What was acknowledged.
    book: Book,
    /// The last call, while nobody knows whether it was done.
    unknown: Option<Call>,
    /// The last call with a key that was answered, and what with.
    kept: Option<(Call, Vec<u8>)>,
    /// The ids of all opportunities that there ever were, by name.
    ids: BTreeMap<String, String>,
}

impl Ledger {
    /// Of a client that has done nothing yet.
    pub(super) fn open(client: &Client, number: usize) -> Ledger {
        let pipeline = Pipeline::create(client, &format!("client {number}"), &STAGE_NAMES[..3]);
        let won = json!({"name": STAGE_NAMES[3], "is_won_stage": true});
        let path = format!("/pipelines/{}/stages", pipeline.id);
        let won = client.post(&path, won).expect(201).id();
        Ledger {
            client: client.clone(),
            prefix: format!("client-{number}-"),
            stages: std::array::from_fn(|index| match STAGE_NAMES.get(index) {
                Some(name) if index < 3 => pipeline.stage(name).to_owned(),
                _ => won.clone(),
            }),
            pipeline: pipeline.id,
            given: 0,
            book: Book::default(),
            unknown: None,
            kept: None,
            ids: BTreeMap::new(),
        }
    }

    /// The ids of all opportunities that there ever were.
    pub(super) fn ids(&self) -> impl Iterator<Item = &String> {
        self.ids.values()
    }

    /// Does something, and notes what came of it.
    pub(super) fn act(&mut self, dice: &mut Dice, unanswered: Unanswered, tally: &Tally) -> Fate {
        let deed = self.choose(dice);
        let may_have_key = matches!(
            deed,
            Deed::Create { .. } | Deed::BulkCreate { .. } | Deed::Move { .. }
        );
        let key = (may_have_key && dice.below(2) == 0).then(|| self.next("key-"));
        let call = self.call(deed, key);
        let fate = self.send(call, unanswered, tally);
        if fate == Fate::Done && dice.below(20) == 0 {
            self.repeat_kept(unanswered, tally);
        }
        fate
    }

    fn choose(&mut self, dice: &mut Dice) -> Deed {
        let names: Vec<_> = self.book.records.keys().cloned().collect();
        let (ordinary, any) = (dice.below(STAGES - 1), dice.below(STAGES));
        if names.len() < 2 * BULK {
            let names = (0..BULK).map(|_| self.next("")).collect();
            return Deed::BulkCreate {
                names,
                stage: ordinary,
            };
        }
        let name = dice.one_of(&names).clone();
        let from = dice.below(names.len() - BULK);
        let several = names[from..from + BULK].to_vec();
        match dice.below(12) {
            0 if names.len() > KEPT => Deed::BulkDelete { names: several },
            1 => Deed::BulkMove {
                names: several,
                stage: any,
            },
            2 if names.len() < 2 * KEPT => {
                let names = (0..BULK).map(|_| self.next("")).collect();
                Deed::BulkCreate {
                    names,
                    stage: ordinary,
                }
            }
            3 => Deed::Delete { name },
            4..=6 => {
                let deed = Deed::Move {
                    name,
                    stage: any,
                    position: dice.below(KEPT),
                };
                // One to where it stands already could not be told from none.
                match self.book.with(&deed) == self.book {
                    true => self.choose(dice),
                    false => deed,
                }
            }
            7..=8 => {
                let value = self.book.records[&name].value.unwrap_or_default();
                Deed::Patch {
                    name,
                    value: value + 1 + dice.below(1000) as i64,
                }
            }
            _ => Deed::Create {
                name: self.next(""),
                stage: ordinary,
            },
        }
    }

    /// A name or a key that was never given before.
    fn next(&mut self, what: &str) -> String {
        self.given += 1;
        format!("{}{what}{}", self.prefix, self.given)
    }

    fn call(&self, deed: Deed, key: Option<String>) -> Call {
        let id = |name: &String| &self.ids[name];
        let ids = |names: &[String]| names.iter().map(id).cloned().collect::<Vec<_>>();
        let stage = |stage: &usize| &self.stages[*stage];
        let (method, path, body) = match &deed {
            Deed::Create { name, stage: to } => (
                "POST",
                "/opportunities".to_owned(),
                json!({"name": name, "stage_id": stage(to)}),
            ),
            Deed::BulkCreate { names, stage: to } => {
                let records: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
                (
                    "POST",
                    "/opportunities/bulk-create".to_owned(),
                    json!({"records": records, "stage_id": stage(to)}),
                )
            }
            Deed::Move {
                name,
                stage: to,
                position,
            } => (
                "POST",
                format!("/opportunities/{}/move", id(name)),
                json!({"pipeline_id": self.pipeline, "stage_id": stage(to), "position": position}),
            ),
            Deed::BulkMove { names, stage: to } => (
                "POST",
                "/opportunities/bulk-move".to_owned(),
                json!({"ids": ids(names), "pipeline_id": self.pipeline, "stage_id": stage(to)}),
            ),
            Deed::Patch { name, value } => (
                "PATCH",
                format!("/opportunities/{}", id(name)),
                json!({"value": value}),
            ),
            Deed::Delete { name } => (
                "DELETE",
                format!("/opportunities/{}", id(name)),
                Value::Null,
            ),
            Deed::BulkDelete { names } => (
                "POST",
                "/opportunities/bulk-delete".to_owned(),
                json!({"ids": ids(names)}),
            ),
        };
        let body = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        Call {
            deed,
            key,
            method,
            path,
            body,
        }
    }

    fn send(&mut self, call: Call, unanswered: Unanswered, tally: &Tally) -> Fate {
        let answer = match self.try_send(&call) {
            Ok(answer) => answer,
            Err(error) => match unanswered {
                Unanswered::IsUnknown => {
                    self.unknown = Some(call);
                    return Fate::Unknown;
                }
                Unanswered::WasNotDone => return Fate::Gone,
                Unanswered::IsAFault => panic!("{} got no answer: {error}", call.path),
            },
        };
        if answer.status == 503 {
            assert_error(&answer, 503, "SERVICE_UNAVAILABLE", &[]);
            if answer.text.contains("disk") {
                tally.add("refused: no room on the disk", 1);
                return Fate::Refused;
            }
            // The database was lost, perhaps while it committed.
            self.unknown = Some(call);
            return Fate::Unknown;
        }
        self.acknowledge(call, answer, tally);
        Fate::Done
    }

    fn try_send(&self, call: &Call) -> Result<Answer, ureq::Error> {
        let mut headers = Vec::new();
        if !call.body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        if let Some(key) = &call.key {
            headers.push(("idempotency-key", key));
        }
        self.client
            .try_raw(call.method, &call.path, &headers, &call.body)
    }

    /// Takes an answer for what it says, which must be true.
    fn acknowledge(&mut self, call: Call, answer: Answer, tally: &Tally) {
        let deed = &call.deed;
        let status = match deed {
            Deed::Create { .. } => 201,
            Deed::Delete { .. } => 204,
            _ => 200,
        };
        let answer = answer.expect(status);
        let book = self.book.with(deed);
        match deed {
            Deed::Create { name, .. } => {
                self.ids.insert(name.clone(), answer.id());
            }
            Deed::BulkCreate { names, .. } => {
                let data = answer.data();
                assert_eq!(
                    data["created_count"].as_u64(),
                    Some(names.len() as u64),
                    "{data}"
                );
                for one in list(&data["created"]) {
                    self.ids.insert(text(&one["name"]), text(&one["id"]));
                }
            }
            Deed::Move { name, .. } => {
                let (placement, (stage, position)) = (answer.data(), book.place_of(name));
                assert_eq!(placement["stage_id"], self.stages[stage], "{placement}");
                assert_eq!(
                    placement["position"].as_u64(),
                    Some(position as u64),
                    "{placement}"
                );
            }
            Deed::Patch { value, .. } => assert_eq!(answer.data()["value"].as_i64(), Some(*value)),
            Deed::BulkMove { .. } | Deed::BulkDelete { .. } => {
                assert_eq!(answer.data()["success"], true, "{}", answer.text);
            }
            Deed::Delete { .. } => {}
        }
        self.book = book;
        tally.add(&format!("acknowledged: {}", deed.kind()), 1);
        if call.key.is_some() {
            tally.add("acknowledged under a key", 1);
            self.kept = Some((call, answer.bytes));
        }
    }

    /// Sends the last call with a key once more: it is answered as before, and
    /// done no second time.
    fn repeat_kept(&mut self, unanswered: Unanswered, tally: &Tally) {
        let Some((call, first)) = &self.kept else {
            return;
        };
        match self.try_send(call) {
            Ok(answer) if answer.status == 503 => {}
            Ok(answer) => {
                assert_eq!(
                    &answer.bytes, first,
                    "{} is answered otherwise",
                    answer.request
                );
                assert_eq!(answer.header("idempotent-replayed"), Some("true"));
                tally.add("repeated after its answer", 1);
            }
            Err(error) if unanswered == Unanswered::IsAFault => {
                panic!("{} got no answer: {error}", call.path)
            }
            Err(_) => {}
        }
    }

    /// Compares what is there with what must be, after which everything is
    /// known again.
    pub(super) fn settle(&mut self, seen: &Seen, tally: &Tally) {
        for (name, id) in seen.ids_of(&self.prefix) {
            let known = self.ids.entry(name.clone()).or_insert_with(|| id.clone());
            assert_eq!(*known, id, "{name} has another id");
        }
        let found = seen.book(&self.ids, &self.pipeline, &self.stages);
        let unknown = self.unknown.take().map(|call| {
            let done = self.book.with(&call.deed);
            let was_done = found == done;
            if was_done {
                self.book = done;
            }
            (call, was_done)
        });
        assert!(
            found == self.book,
            "what was acknowledged to {} is not what is there, with {unknown:?} unanswered:\n{}",
            self.prefix,
            found.difference(&self.book)
        );
        tally.add("opportunities compared", found.records.len());
        tally.add("histories compared", found.traces.len());
        if let Some((call, was_done)) = unknown {
            let outcome = if was_done { "done" } else { "not done" };
            tally.add(&format!("unanswered: {outcome}"), 1);
            if call.key.is_some() {
                self.retry(call, was_done, tally);
            }
        }
        self.repeat_kept(Unanswered::IsAFault, tally);
    }

    /// Sends a call that got no answer once more, under its key: it is done
    /// now unless it was done before.
    fn retry(&mut self, call: Call, was_done: bool, tally: &Tally) {
        let answer = match self.try_send(&call) {
            Ok(answer) => answer,
            Err(error) => panic!("{} got no answer again: {error}", call.path),
        };
        let replayed = answer.header("idempotent-replayed") == Some("true");
        assert_eq!(replayed, was_done, "{} {}", answer.request, answer.text);
        tally.add("repeated without an answer", 1);
        if was_done {
            assert!(answer.status < 300, "{} {}", answer.request, answer.text);
            self.kept = Some((call, answer.bytes));
        } else {
            self.acknowledge(call, answer, tally);
        }
    }
}
