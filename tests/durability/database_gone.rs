//! A database that ends, and lines to it that are cut.

use std::time::Duration;

use serde_json::json;

use super::Length;
use super::dice::Dice;
use super::ledger::Unanswered;
use super::load::Load;
use super::tally::Tally;
use crate::harness::{Cluster, Cut, Engine, Proxy, Server, assert_error, eventually};

/// How many calls are acknowledged at most before harm is done.
const CALLS: usize = 60;

/// A server that reaches its database over a line that can be cut, beside
/// another that does not.
fn behind_a_proxy(server: &Server) -> (Server, Proxy) {
    let url = server.database_url().expect("PostgreSQL");
    let (_, after) = url.split_once('@').expect("a user in the URL");
    let (address, _) = after.split_once('/').expect("a database in the URL");
    let proxy = Proxy::to(address);
    let url = url.replace(address, proxy.address());
    (server.another(&["--database-url", &url]), proxy)
}

/// Lets clients write while `harm` is done, so often.
fn suffer(load: &mut Load, server: &Server, times: usize, harm: impl Fn(&mut Dice, &Tally)) {
    for _ in 0..times {
        load.during(Unanswered::IsAFault, |dice, tally| {
            tally.wait_for_calls(dice.below(CALLS));
            std::thread::sleep(Duration::from_millis(dice.below(20) as u64));
            harm(dice, tally);
        });
        load.settle(server);
    }
}

#[test]
fn a_database_that_ends_and_begins_again_is_used_again_and_nothing_is_lost() {
    let cluster = Cluster::start_durable();
    let server = Server::start_in(&cluster);
    let client = server.client();
    let mut load = Load::of(6, &server);
    suffer(
        &mut load,
        &server,
        Length::of_this_run().cuts,
        |_, tally| {
            cluster.stop_at_once();
            for _ in 0..20 {
                for refused in [
                    client.post("/opportunities", json!({"name": "Fence"})),
                    client.get("/opportunities"),
                ] {
                    assert_error(&refused, 503, "SERVICE_UNAVAILABLE", &[]);
                    assert_eq!(refused.header("retry-after"), Some("1"));
                }
            }
            client.under("").get("/readyz").expect(503);
            client.under("").get("/healthz").expect(200);
            cluster.start_again();
            tally.add("stops of the database", 1);
            eventually("the server reads again", || {
                let answer = client.get("/opportunities");
                (answer.status == 200).then_some(())
            });
        },
    );
    load.finish(&server);
}

#[test]
fn lines_to_the_database_that_are_cut_leave_nothing_half_done() {
    let direct = Server::start(Engine::Postgres);
    let (server, proxy) = behind_a_proxy(&direct);
    let mut load = Load::of(6, &server);
    let times = Length::of_this_run().cuts;
    suffer(&mut load, &server, times, |_, tally| {
        proxy.cut();
        tally.add("cuts of all lines", 1);
    });
    suffer(&mut load, &server, times, |_, tally| {
        direct.rows(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()",
            |row| row.get::<i64>(0),
        );
        tally.add("ends of all sessions", 1);
    });
    load.finish(&server);
}

#[test]
fn a_line_that_is_cut_at_a_commit_leaves_it_done_or_not_done() {
    let direct = Server::start(Engine::Postgres);
    let (server, proxy) = behind_a_proxy(&direct);
    let mut load = Load::of(6, &server);
    for (place, outcome) in [
        (Cut::BeforeCommit, "unanswered: not done"),
        (Cut::AfterCommit, "unanswered: done"),
    ] {
        let times = Length::of_this_run().cuts;
        // It may hit what the server writes of its own accord.
        while load.tally.count(outcome) < times {
            suffer(&mut load, &server, 1, |_, tally| {
                proxy.cut_next(place);
                eventually("a line was cut", || proxy.has_cut().then_some(()));
                tally.add(&format!("cuts {place:?}"), 1);
            });
        }
    }
    load.finish(&server);
}
