//! A server that is killed in the middle of whatever it was doing.

use std::time::Duration;

use super::Length;
use super::ledger::Unanswered;
use super::load::Load;
use crate::harness::Engine;

/// How many calls are acknowledged at most before the server is killed.
const CALLS: usize = 150;

on_both_engines! {
    fn nothing_acknowledged_is_lost_by_kill_9_and_nothing_is_there_in_part(server: &Server) {
        let mut load = Load::of(6, server);
        for _ in 0..Length::of_this_run().kills {
            load.during(Unanswered::IsUnknown, |dice, tally| {
                // Anywhere, from the first call on.
                tally.wait_for_calls(dice.below(CALLS));
                std::thread::sleep(Duration::from_millis(dice.below(30) as u64));
                server.kill_9();
                tally.add("kills", 1);
            });
            server.start_again();
            load.settle(server);
        }
        if server.engine() == Engine::Sqlite {
            let checked = server.cli(&["check"]);
            assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
        }
        load.finish(server);
    }
}
