//! An instant that belongs to a status: a record has it while it has that status,
//! and only then.

use crate::error::{Error, Problems, Result};
use crate::input::Patch;
use crate::time::Timestamp;

/// A status and the instant at which it was reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Milestone {
    /// The status.
    pub(crate) status: &'static str,
    /// The field that has the instant.
    pub(crate) field: &'static str,
}

impl Milestone {
    /// What becomes of the instant when a record that had the status, or had it
    /// not, `has` it after a call that says `given` of the instant.
    ///
    /// # Errors
    /// The call gives an instant to a record without the status, or takes it
    /// from one that has and keeps it.
    pub(crate) fn follow(
        self,
        given: Patch<Timestamp>,
        had: bool,
        has: bool,
        now: Timestamp,
    ) -> Result<Patch<Timestamp>> {
        let Self { status, field } = self;
        let refuse = |message: String, fix: String| {
            let mut problems = Problems::default();
            problems.invalid_with_fix(field, message, fix);
            Err(Error::Input(problems))
        };
        match given {
            Patch::Set(_) if !has => refuse(
                format!("can only be given when the status is {status}"),
                format!("Leave it out, or send \"status\": \"{status}\" with it."),
            ),
            Patch::Clear if had && has => refuse(
                format!("can't be null while the status is {status}"),
                "Send another status, and it is cleared.".to_owned(),
            ),
            Patch::Set(at) => Ok(Patch::Set(at)),
            Patch::Keep if had && has => Ok(Patch::Keep),
            Patch::Keep | Patch::Clear if has => Ok(Patch::Set(now)),
            Patch::Keep | Patch::Clear => Ok(Patch::Clear),
        }
    }
}
