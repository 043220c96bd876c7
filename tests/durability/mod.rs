//! No write that was acknowledged is ever lost, and none is there in part,
//! whatever happens to the server, its disk or its database.
//!
//! Every test here lets clients write for a while ([`load`]), does harm
//! meanwhile, and then compares all that is there with what must be. That is
//! written down once, in the [`ledger`]: what each client was told, and one
//! call at most of which it knows nothing.
//!
//! `scripts/faults` runs them long; without it they run as long as
//! [`Length::of_this_run`] says.

mod book;
mod call;
mod choice;
mod database_gone;
mod dice;
mod drain;
// By means that only Linux has.
#[cfg(target_os = "linux")]
mod full_disk;
mod kills;
mod ledger;
mod load;
mod seen;
mod tally;

/// How much harm is done.
#[derive(Clone, Copy, Debug)]
struct Length {
    /// How often a server is killed.
    kills: usize,
    /// How often each lesser harm is done.
    cuts: usize,
}

impl Length {
    /// `FAULTS_KILLS` kills, or as many as are bearable in every run of the
    /// tests.
    fn of_this_run() -> Length {
        match std::env::var("FAULTS_KILLS") {
            Ok(kills) => {
                let kills = kills.parse().expect("FAULTS_KILLS is a number");
                Length {
                    kills,
                    cuts: kills.div_ceil(5),
                }
            }
            Err(_) => Length { kills: 3, cuts: 2 },
        }
    }
}
