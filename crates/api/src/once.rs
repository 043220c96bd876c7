//! Requests with an `Idempotency-Key`: done once, and answered the same however
//! often they are sent.
//!
//! Since the answer is kept by the transaction that does the work, it is written
//! down to its last byte within it: what is left of the credits is taken from
//! before the call.

use axum::http::HeaderName;
use crm::idempotency::{self, Answer, Outcome, Request};
use crm::{Caller, Error};
use store::Tx;

use crate::envelope::{Meta, Reply};

/// The header with the key.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A call that is to be done once.
pub(crate) struct Once {
    /// What is asked, and by which key.
    pub(crate) request: Request,
    /// What it costs, in credits, if it is not answered again.
    pub(crate) cost: i64,
    /// What was left of the month's credits before it.
    pub(crate) remaining: i64,
    /// Whether it is refused when they do not suffice.
    pub(crate) enforced: bool,
    /// Query parameters that nothing asked for.
    pub(crate) unread: Vec<String>,
}

impl Once {
    /// Does `work` and answers as it does, or as it did the first time.
    pub(crate) fn run(
        &self,
        tx: &mut Tx<'_>,
        who: &Caller,
        work: impl FnOnce(&mut Tx<'_>) -> crm::Result<Reply>,
    ) -> crm::Result<Outcome> {
        idempotency::once(tx, who, &self.request, |tx| {
            let (cost, remaining) = (self.cost, self.remaining);
            if self.enforced && remaining < cost {
                return Err(Error::InsufficientCredits { cost, remaining });
            }
            let reply = work(tx)?;
            let meta = Meta::new(remaining - cost, &reply.unknown, &self.unread);
            Ok(Answer {
                status: reply.status.as_u16(),
                body: reply.into_body(&meta)?,
            })
        })
    }
}
