//! How the status keeps the dates of an opportunity.

use crate::record::{Change, change};
use crate::time::{Date, Timestamp};

use super::{Opportunity, Status};

/// The column that tells since when an opportunity is closed by this status;
/// none for an open one.
pub(super) const fn closing_column(status: Status) -> Option<&'static str> {
    match status {
        Status::Won => Some("won_at"),
        Status::Lost => Some("lost_at"),
        Status::Open => None,
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
