//! The options that say what callers may use, for every command that answers
//! them.

use std::num::NonZeroU32;

use api::RateLimit;

/// What callers may use.
#[derive(Debug, clap::Args)]
pub(crate) struct CallOptions {
    /// How many credits each workspace has a month: a read costs 1, a write 2
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000)]
    pub(crate) monthly_credits: i64,
    /// Refuses the calls of a workspace whose credits are used up
    #[arg(long)]
    pub(crate) enforce_credits: bool,
    /// How many requests a second each API key may make; without it, any number
    #[arg(long, value_name = "REQUESTS")]
    rate_limit: Option<NonZeroU32>,
    /// How many requests an API key may make at once after a pause, where there
    /// is a rate limit; by default as many as in a second
    #[arg(long, value_name = "REQUESTS")]
    rate_limit_burst: Option<NonZeroU32>,
}

impl CallOptions {
    /// How fast each key may call, if that is limited.
    pub(crate) fn rate_limit(&self) -> Option<RateLimit> {
        self.rate_limit.map(|per_second| RateLimit {
            per_second,
            burst: self.rate_limit_burst.unwrap_or(per_second),
        })
    }
}
