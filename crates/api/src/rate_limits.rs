//! Rate limits: how fast each API key may call.
//!
//! A key has a bucket of requests, which refills at a steady rate. Only what was
//! authenticated has one, and one that is full again is forgotten, so the memory
//! that this takes is bounded by the keys in use.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use uuid::Uuid;

use crate::error::ApiError;

/// How fast an API key may call.
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    /// How many requests a second, in the long run.
    pub per_second: NonZeroU32,
    /// How many at once, after a pause.
    pub burst: NonZeroU32,
}

impl RateLimit {
    /// In how many seconds `requests` are let through again.
    fn seconds_for(self, requests: u32) -> u32 {
        requests.div_ceil(self.per_second.get())
    }
}

/// The buckets of the keys in use.
pub(crate) struct RateLimits<C: Clock = DefaultClock> {
    limit: RateLimit,
    buckets: RateLimiter<Uuid, HashMapStateStore<Uuid>, C, StateInformationMiddleware>,
}

/// What an API key may still do, as an answer's headers say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// How many requests fill the bucket.
    quota: u32,
    /// In how many seconds an empty bucket is full.
    window: u32,
    /// How many requests are in it.
    remaining: u32,
    /// In how many seconds it is full again; once it is empty, in how many the
    /// next request is let through.
    seconds: u64,
}

impl Standing {
    /// The fields of draft-ietf-httpapi-ratelimit-headers.
    pub(crate) fn headers(self) -> [(&'static str, String); 2] {
        let Self {
            quota,
            window,
            remaining,
            seconds,
        } = self;
        [
            (
                "ratelimit-policy",
                format!(r#""default";q={quota};w={window}"#),
            ),
            (
                "ratelimit",
                format!(r#""default";r={remaining};t={seconds}"#),
            ),
        ]
    }
}

impl RateLimits {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self::by_clock(limit, DefaultClock::default())
    }
}

impl<C: Clock> RateLimits<C> {
    fn by_clock(limit: RateLimit, clock: C) -> Self {
        let quota = Quota::per_second(limit.per_second).allow_burst(limit.burst);
        Self {
            limit,
            buckets: RateLimiter::hashmap_with_clock(quota, clock).with_middleware(),
        }
    }

    /// Takes a request out of a key's bucket.
    ///
    /// # Errors
    /// `RATE_LIMITED`, when it is empty.
    pub(crate) fn take(&self, key_id: Uuid) -> Result<Standing, ApiError> {
        let quota = self.limit.burst.get();
        let standing = |remaining, seconds| Standing {
            quota,
            window: self.limit.seconds_for(quota),
            remaining,
            seconds,
        };
        match self.buckets.check_key(&key_id) {
            Ok(bucket) => {
                let remaining = bucket.remaining_burst_capacity();
                let taken = quota.saturating_sub(remaining);
                Ok(standing(remaining, self.limit.seconds_for(taken).into()))
            }
            Err(until) => {
                let wait = until.wait_time_from(self.buckets.clock().now());
                // Rounded up: whoever comes back then must not be too early.
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                let seconds = seconds.max(1);
                Err(ApiError::rate_limited(
                    self.limit,
                    seconds,
                    standing(0, seconds),
                ))
            }
        }
    }

    /// Forgets the buckets that are full again.
    pub(crate) fn forget_full(&self) {
        self.buckets.retain_recent();
        self.buckets.shrink_to_fit();
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limits(per_second: u32, burst: u32) -> (RateLimits<FakeRelativeClock>, FakeRelativeClock) {
        let limit = RateLimit {
            per_second: NonZeroU32::new(per_second).unwrap(),
            burst: NonZeroU32::new(burst).unwrap(),
        };
        let clock = FakeRelativeClock::default();
        (RateLimits::by_clock(limit, clock.clone()), clock)
    }

    fn said<T>(error: Result<T, ApiError>) -> Vec<String> {
        let headers = error.err().unwrap().aside.headers.into_iter();
        headers
            .map(|(name, value)| format!("{name}: {value}"))
            .collect()
    }

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let (limits, clock) = limits(2, 5);
        let key = Uuid::from_u128(1);
        for left in (0..5).rev() {
            let standing = limits.take(key).unwrap();
            assert_eq!(standing.remaining, left);
            assert_eq!(standing.seconds, u64::from((5 - left).div_ceil(2)));
        }
        assert_eq!(
            said(limits.take(key)),
            [
                "retry-after: 1",
                r#"ratelimit-policy: "default";q=5;w=3"#,
                r#"ratelimit: "default";r=0;t=1"#,
            ]
        );
        assert!(limits.take(Uuid::from_u128(2)).is_ok());
        clock.advance(Duration::from_secs(1));
        assert_eq!(limits.take(key).unwrap().remaining, 1);
        assert_eq!(limits.take(key).unwrap().remaining, 0);
        assert!(limits.take(key).is_err());
    }

    #[test]
    fn whoever_waits_as_long_as_told_is_let_through() {
        let (limits, clock) = limits(1, 1);
        let key = Uuid::from_u128(1);
        limits.take(key).unwrap();
        for pause in [0, 1, 500, 999] {
            clock.advance(Duration::from_millis(pause));
            let [retry_after, ..] = &said(limits.take(key))[..] else {
                panic!("no header");
            };
            let seconds = retry_after.strip_prefix("retry-after: ").unwrap();
            clock.advance(Duration::from_secs(seconds.parse().unwrap()));
            limits.take(key).unwrap();
        }
    }

    #[test]
    fn a_bucket_is_kept_no_longer_than_it_is_needed() {
        let (limits, clock) = limits(10, 10);
        for number in 0..1000 {
            limits.take(Uuid::from_u128(number)).unwrap();
        }
        limits.forget_full();
        assert_eq!(limits.buckets.len(), 1000);
        clock.advance(Duration::from_secs(2));
        limits.forget_full();
        assert!(limits.buckets.is_empty());
    }
}
