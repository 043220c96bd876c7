//! Clients that write until something happens, and what is known when it has
//! happened.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use super::dice::Dice;
use super::ledger::{Fate, Ledger, Unanswered};
use super::seen::Seen;
use super::tally::Tally;
use crate::harness::Server;

/// Clients that write at the same time, each with its ledger.
pub(super) struct Load {
    ledgers: Vec<Ledger>,
    pub(super) dice: Dice,
    pub(super) tally: Tally,
}

impl Load {
    /// So many clients of a new installation.
    pub(super) fn of(clients: usize, server: &Server) -> Load {
        let client = server.client();
        Load {
            ledgers: (1..=clients)
                .map(|number| Ledger::open(&client, number))
                .collect(),
            dice: Dice::new(),
            tally: Tally::default(),
        }
    }

    /// Lets all clients write while `harm` is done. Each goes on until it does
    /// not know whether its last call was done, until the server takes no more
    /// calls, or until `harm` comes back.
    pub(super) fn during(&mut self, unanswered: Unanswered, harm: impl FnOnce(&mut Dice, &Tally)) {
        let (stop, tally) = (AtomicBool::new(false), &self.tally);
        std::thread::scope(|scope| {
            for ledger in &mut self.ledgers {
                // Each its own: the others' calls take their own time.
                let (mut dice, stop) = (Dice::new(), &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        match ledger.act(&mut dice, unanswered, tally) {
                            Fate::Done => {}
                            // It may be better in a moment.
                            Fate::Refused => {
                                std::thread::sleep(std::time::Duration::from_millis(5))
                            }
                            Fate::Unknown | Fate::Gone => return,
                        }
                    }
                });
            }
            // Also when it fails, which ends the test.
            let _stop = Stopping(&stop);
            harm(&mut self.dice, tally);
        });
    }

    /// Compares all that is there with the ledgers.
    #[track_caller]
    pub(super) fn settle(&mut self, server: &Server) {
        let seen = Seen::look(server);
        for ledger in &mut self.ledgers {
            ledger.settle(&seen, &self.tally);
        }
        let known: BTreeSet<_> = self.ledgers.iter().flat_map(Ledger::ids).cloned().collect();
        seen.assert_nothing_is_beyond(&known);
    }

    /// Compares once more, also after a start, and shows what was counted.
    pub(super) fn finish(mut self, server: &Server) {
        self.settle(server);
        server.restart();
        self.settle(server);
        println!("on {:?}:\n{}", server.engine(), self.tally);
    }
}

/// Tells the clients to stop when it is dropped.
struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
