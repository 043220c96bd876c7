//! A real server to test against, on either database engine.
//!
//! ```text
//! on_both_engines! {
//!     fn a_new_opportunity_is_open(server: &Server) {
//!         let made = server.client().post("/opportunities", json!({"name": "Fence"}));
//!         assert_eq!(made.expect(201).data()["status"], "open");
//!     }
//! }
//! ```

#![allow(
    dead_code,
    unused_imports,
    reason = "a toolbox: what today's tests leave unused, tomorrow's need"
)]

mod answer;
mod client;
mod cluster;
mod database;
mod disk;
mod line;
mod proxy;
mod rows;
mod server;

pub(crate) use answer::{Answer, assert_error};
pub(crate) use client::Client;
pub(crate) use cluster::Cluster;
pub(crate) use database::Engine;
pub(crate) use disk::Disk;
pub(crate) use line::Line;
pub(crate) use proxy::{Cut, Proxy};
pub(crate) use server::{Server, Workspace};

use std::time::{Duration, Instant};

/// Makes of each function a test on SQLite and one on PostgreSQL, each with a
/// fresh installation of its own: `sqlite::a_new_card…`, `postgres::a_new_card…`.
///
/// Once per module; its functions may use the module's other items.
macro_rules! on_both_engines {
    ($(
        $(#[$attribute:meta])*
        fn $behaviour:ident($server:ident: &Server) $body:block
    )+) => {
        $(fn $behaviour($server: &$crate::harness::Server) $body)+

        on_both_engines!(@engine sqlite Sqlite $($(#[$attribute])* $behaviour)+);
        on_both_engines!(@engine postgres Postgres $($(#[$attribute])* $behaviour)+);
    };
    (@engine $module:ident $engine:ident $($(#[$attribute:meta])* $behaviour:ident)+) => {
        mod $module {
            use $crate::harness::{Engine, Server};

            $(
                $(#[$attribute])*
                #[test]
                fn $behaviour() {
                    super::$behaviour(&Server::start(Engine::$engine));
                }
            )+
        }
    };
}

/// Asks again until there is an answer, for what the server does in its own
/// time: an automation, a delivery. Fails after 20 seconds.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "still not so after 20 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
