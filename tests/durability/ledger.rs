//! The acknowledged ledger: what each client was told, and so what must be.

use super::book::{Book, Deed};
use super::call::{Call, Caller};
use super::choice::choose;
use super::dice::Dice;
use super::seen::Seen;
use super::tally::Tally;
use crate::harness::{Answer, Client, assert_error};

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

/// What one client knows of its opportunities, which nobody else touches. They
/// are in a pipeline of its own, so that it knows the place of each card.
pub(super) struct Ledger {
    caller: Caller,
    /// What the names of all its opportunities begin with.
    prefix: String,
    /// How many names and keys it has given.
    given: usize,
    /// What was acknowledged.
    book: Book,
    /// The last call, while nobody knows whether it was done.
    unknown: Option<Call>,
    /// The last call with a key that was answered, and what with.
    kept: Option<(Call, Vec<u8>)>,
}

impl Ledger {
    /// Of a client that has done nothing yet.
    pub(super) fn open(client: &Client, number: usize) -> Ledger {
        Ledger {
            caller: Caller::new(client, &format!("client {number}")),
            prefix: format!("client-{number}-"),
            given: 0,
            book: Book::default(),
            unknown: None,
            kept: None,
        }
    }

    /// The ids of all opportunities that there ever were.
    pub(super) fn ids(&self) -> impl Iterator<Item = &String> {
        self.caller.ids.values()
    }

    /// Does something, and notes what came of it.
    pub(super) fn act(&mut self, dice: &mut Dice, unanswered: Unanswered, tally: &Tally) -> Fate {
        let mut name_it = || {
            self.given += 1;
            format!("{}{}", self.prefix, self.given)
        };
        let deed = choose(&self.book, dice, &mut name_it);
        let may_have_key = matches!(
            deed,
            Deed::Create { .. } | Deed::BulkCreate { .. } | Deed::Move { .. }
        );
        let key = (may_have_key && dice.below(2) == 0).then(name_it);
        let call = self.caller.call(deed, key);
        let fate = self.send(call, unanswered, tally);
        if fate == Fate::Done && dice.below(20) == 0 {
            self.repeat_kept(unanswered, tally);
        }
        fate
    }

    fn send(&mut self, call: Call, unanswered: Unanswered, tally: &Tally) -> Fate {
        let answer = match self.caller.send(&call) {
            Ok(answer) => answer,
            Err(error) => match unanswered {
                Unanswered::IsUnknown => {
                    self.unknown = Some(call);
                    return Fate::Unknown;
                }
                Unanswered::WasNotDone => {
                    tally.add("unanswered: must not be done", 1);
                    return Fate::Gone;
                }
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
        self.caller.learn(deed, &answer);
        match deed {
            Deed::Move { name, .. } => {
                let (placement, (stage, position)) = (answer.data(), book.place_of(name));
                assert_eq!(
                    placement["stage_id"], self.caller.stages[stage],
                    "{placement}"
                );
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
            Deed::Create { .. } | Deed::BulkCreate { .. } | Deed::Delete { .. } => {}
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
        match self.caller.send(call) {
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
            let known = self
                .caller
                .ids
                .entry(name.clone())
                .or_insert_with(|| id.clone());
            assert_eq!(*known, id, "{name} has another id");
        }
        let found = seen.book(&self.caller.ids, &self.caller.pipeline, &self.caller.stages);
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
        let answer = match self.caller.send(&call) {
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
