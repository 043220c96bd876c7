//! A disk on which there is no room.

use serde_json::json;

use super::ledger::Unanswered;
use super::load::Load;
use crate::fixtures::{all_opportunities, create};
use crate::harness::{Client, Cluster, Disk, Engine, Server, assert_error, eventually};

/// Lets clients write while there is no room, and then again.
fn fill_and_free(server: &Server, fill: impl Fn(), free: impl Fn()) {
    let mut load = Load::of(4, server);
    load.during(Unanswered::IsAFault, |_, tally| {
        tally.wait_for_calls(100);
        fill();
        assert_refused_for_lack_of_room(&server.client());
        tally.wait_for("refused: no room", 20);
        all_opportunities(&server.client());
        server.client().under("").get("/readyz").expect(200);
        free();
        tally.wait_for_calls(100);
    });
    assert!(
        server.output().contains("the disk is full"),
        "nobody tells the operator"
    );
    load.settle(server);
    server.kill_9();
    server.start_again();
    load.finish(server);
}

/// Writes until there is room for nothing more. The error says why, and what to
/// do about it.
fn assert_refused_for_lack_of_room(client: &Client) {
    let large = json!({"first_name": "Ada", "notes": "n".repeat(100_000)});
    let refused = eventually("there is no room", || {
        let answer = client.post("/contacts", large.clone());
        (answer.status != 201).then_some(answer)
    });
    assert_error(&refused, 503, "SERVICE_UNAVAILABLE", &["disk"]);
    assert_eq!(refused.header("retry-after"), Some("1"));
    let fix = refused.json()["error"]["fix"].to_string();
    assert!(fix.contains("room"), "{fix}");
}

/// Lets no file of the server grow beyond what its log has now, or as far as
/// they will.
fn limit_files(server: &Server, limited: bool) {
    let process = server.process_id().expect("a running server").to_string();
    let limit = match limited {
        true => {
            let log = server.data_dir().join("dealwright.db-wal");
            let length = std::fs::metadata(log).expect("the log").len();
            format!("--fsize={length}:unlimited")
        }
        false => "--fsize=unlimited".to_owned(),
    };
    let set = std::process::Command::new("prlimit")
        .args(["--pid", &process, &limit])
        .status();
    assert!(set.is_ok_and(|status| status.success()), "prlimit {limit}");
}

/// On a small disk, where one can be mounted. The log may take half of it before it is
/// put back for its length.
#[test]
fn a_full_disk_is_told_of_and_nothing_is_lost_on_sqlite() {
    let test = "durability::full_disk::a_full_disk_is_told_of_and_nothing_is_lost_on_sqlite";
    let Some(disk) = Disk::for_test(test, 256) else {
        return;
    };
    let server = Server::start_on_disk(&disk);
    fill_and_free(&server, || disk.fill(), || disk.free());
}

/// A file that may not grow is what a quota looks like, and what there is where
/// nothing can be mounted.
#[test]
fn files_that_may_not_grow_are_told_of_and_nothing_is_lost_on_sqlite() {
    // The signal that would end it: a quota sends none.
    let server = Server::start_after(Engine::Sqlite, "trap '' XFSZ");
    fill_and_free(
        &server,
        || limit_files(&server, true),
        || limit_files(&server, false),
    );
}

#[test]
fn a_full_disk_is_told_of_and_nothing_is_lost_on_postgres() {
    let test = "durability::full_disk::a_full_disk_is_told_of_and_nothing_is_lost_on_postgres";
    let Some(disk) = Disk::for_test(test, 160) else {
        return;
    };
    let cluster = Cluster::start_on(&disk);
    let server = Server::start_in(&cluster);
    let fill = || {
        // A cluster that can't begin a new file of its log ends itself: that is
        // what happens to clients of one that is gone. This one has begun one.
        server.rows("select cast(pg_switch_wal() as text)", |row| {
            row.get::<String>(0)
        });
        create(&server.client(), "/contacts", json!({"first_name": "Ada"}));
        disk.fill();
    };
    fill_and_free(&server, fill, || disk.free());
}

#[test]
fn a_log_that_can_not_be_written_stops_nothing() {
    let server = Server::start_after(Engine::Sqlite, "exec 2>/dev/full");
    let client = server.client();
    create(&client, "/contacts", json!({"first_name": "Ada"}));
    client.get("/contacts/nobody").expect(400);
    assert!(server.terminate().success());
}
