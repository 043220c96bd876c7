//! A server that is asked to end.

use super::Length;
use super::ledger::Unanswered;
use super::load::Load;

on_both_engines! {
    fn a_server_that_is_asked_to_end_answers_all_that_it_does(server: &Server) {
        let mut load = Load::of(16, server);
        for _ in 0..Length::of_this_run().cuts {
            load.during(Unanswered::WasNotDone, |_, tally| {
                tally.wait_for_calls(100);
                assert!(server.terminate().success());
                tally.add("orderly ends", 1);
            });
            server.start_again();
            load.settle(server);
        }
        load.finish(server);
    }
}
