//! What can go wrong, in the domain's words. The wire's codes and statuses are
//! made from these in one place, outside this crate.

use uuid::Uuid;

/// Why an operation was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input can't be used; every offending field is named.
    #[error("{0}")]
    Input(#[from] Problems),
    /// There is no such record in the caller's workspace.
    #[error("no {what} with id {id} exists")]
    NotFound {
        /// The kind of record, as in "contact".
        what: &'static str,
        /// The id that was asked for.
        id: Uuid,
    },
    /// The record exists, but is not linked to the one that it was to be taken
    /// off.
    #[error("the {what} {id} is not linked here")]
    NotLinked {
        /// The kind of record that is not linked.
        what: &'static str,
        /// Its id.
        id: Uuid,
    },
    /// The state of the records forbids it: a link made twice, a value taken,
    /// a record still in use.
    #[error("{message}")]
    Conflict {
        /// What stands in the way.
        message: String,
        /// What the caller can do about it.
        fix: String,
    },
    /// The caller's key lacks scopes that this very request needs.
    #[error("this needs {}", .0.join(", "))]
    ScopesMissing(Vec<&'static str>),
    /// The same request is at work already and did not end while this one
    /// waited for it.
    #[error("the same request is still at work")]
    InProgress,
    /// The month's allowance does not pay for what was asked.
    #[error("this costs {cost} credits, {remaining} are left this month")]
    InsufficientCredits {
        /// What it costs.
        cost: i64,
        /// What is left.
        remaining: i64,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The result of a domain function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An input error about one field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let mut problems = Problems::default();
        problems.invalid(field, message);
        Self::Input(problems)
    }

    /// An input error about a required field that was left out.
    pub fn missing(field: impl Into<String>) -> Self {
        Self::Input(Problems {
            missing: vec![field.into()],
            ..Problems::default()
        })
    }

    /// The same of an object at `place`, after which its fields are named.
    pub(crate) fn inside(self, place: &str) -> Self {
        match self {
            Self::Input(problems) => {
                let mut placed = Problems::default();
                placed.add_of(place, problems);
                Self::Input(placed)
            }
            other => other,
        }
    }

    /// A conflict, with the way out of it.
    pub fn conflict(message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Conflict {
            message: message.into(),
            fix: fix.into(),
        }
    }
}

/// A field whose value can't be used, and what would be valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field's name on the wire, with the place inside it: `tags[2].name`.
    pub field: String,
    /// What is wrong, to be read after the name: "must be a number".
    pub message: String,
    /// What to send instead, as a sentence, where the message does not say so.
    pub fix: Option<String>,
}

/// Everything that is wrong with an input, gathered before it is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    /// Required fields that are absent, null or blank.
    pub missing: Vec<String>,
    /// Fields whose value can't be used.
    pub invalid: Vec<Problem>,
}

impl Problems {
    /// True when nothing was found wrong.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.invalid.is_empty()
    }

    /// Adds what is wrong with the object at `place`.
    pub(crate) fn add_of(&mut self, place: &str, others: Self) {
        let at = |field: String| format!("{place}.{field}");
        self.missing.extend(others.missing.into_iter().map(at));
        let invalid = others.invalid.into_iter();
        self.invalid.extend(invalid.map(|problem| Problem {
            field: at(problem.field),
            ..problem
        }));
    }

    /// Notes that `field` can't be used.
    pub fn invalid(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.invalid.push(Problem {
            field: field.into(),
            message: message.into(),
            fix: None,
        });
    }

    /// Notes that `field` can't be used, with a fix of its own.
    pub fn invalid_with_fix(
        &mut self,
        field: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.invalid.push(Problem {
            field: field.into(),
            message: message.into(),
            fix: Some(fix.into()),
        });
    }
}

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.missing.is_empty() {
            write!(f, "Required fields missing: {}", self.missing.join(", "))?;
            if !self.invalid.is_empty() {
                f.write_str("; ")?;
            }
        }
        for (index, problem) in self.invalid.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{} {}", problem.field, problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
