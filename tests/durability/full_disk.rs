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
    load.settle(server);
    server.kill_9();
    server.start_again();
    load.finish(server);
}

/// A write that needs more room than what may be left in a file that is there
/// already is refused; the error says why, and what to do.
fn assert_refused_for_lack_of_room(client: &Client) {
    // Not to be made any shorter.
    let notes: String = (0..5000).map(|number: u32| format!("{:x}", number.wrapping_mul(2_654_435_761))).collect();
    let large = json!({"records": vec![json!({"name": "Fence", "notes": notes}); 50]});
    let refused = eventually("there is no room", || {
        let answer = client.post("/opportunities/bulk-create", large.clone());
        (answer.status != 200).then_some(answer)
    });
    assert_error(&refused, 503, "SERVICE_UNAVAILABLE", &["disk"]);
    assert_eq!(refused.header("retry-after"), Some("1"));
    let fix = refused.json()["error"]["fix"].to_string();
    assert!(fix.contains("room"), "{fix}");
}
