//! How the status keeps the dates of an opportunity.

use crate::record::{Change, change};
use crate::time::{Date, Timestamp};

use super::{Opportunity, Status};

/// The column that tells when an opportunity got this status.
///
/// An open one has none; asking for it means `lost_at`, which is then null.
pub(super) const fn instant_column(status: Status) -> &'static str {
    match status {
        Status::Won => "won_at",
        Status::Lost | Status::Open => "lost_at",
    }
}

/// Lets the dates follow a status that has just changed.
pub(super) fn follow(opportunity: &mut Opportunity, now: Timestamp, today: Date) -> Vec<Change> {
    let won_at = (opportunity.status == Status::Won).then_some(now);
    let lost_at = (opportunity.status == Status::Lost).then_some(now);
    let closed_on = match opportunity.status {
        Status::Open if opportunity.close_date_by_status => {
            opportunity.close_date_by_status = false;
            None
        }
        Status::Won | Status::Lost if opportunity.actual_close_date.is_none() => {
            opportunity.close_date_by_status = true;
            Some(today)
        }
        Status::Open | Status::Won | Status::Lost => opportunity.actual_close_date,
    };
    [
        change("won_at", "won_at", &mut opportunity.won_at, won_at),
        change("lost_at", "lost_at", &mut opportunity.lost_at, lost_at),
        change(
            "actual_close_date",
            "actual_close_date",
            &mut opportunity.actual_close_date,
            closed_on,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}
