//! How calls are refused: with which statuses, when, and by which operations.

use std::num::NonZeroU32;

use axum::http::{Method, StatusCode};
use crm::error::{Error, Problems};
use crm::input::FieldDescription;
use uuid::Uuid;

use crate::error::ApiError;
use crate::operation::Operation;
use crate::rate_limits::{RateLimit, RateLimits};

/// A status with which calls are refused.
pub(crate) struct Refusal {
    /// What it is called among the parts of a document.
    pub(crate) name: &'static str,
    /// The status.
    pub(crate) status: StatusCode,
    /// When it is answered.
    pub(crate) when: &'static str,
    /// Headers that it has beside those of every answer.
    pub(crate) headers: &'static [&'static str],
    of: fn(&Operation) -> bool,
    examples: fn() -> Vec<ApiError>,
}

const REFUSALS: [Refusal; 10] = [
    Refusal {
        name: "BadRequest",
        status: StatusCode::BAD_REQUEST,
        when: "Fields, parameters or ids are missing or can't be used, or the body is no JSON object.",
        headers: &[],
        of: reads_anything,
        examples: || {
            let mut problems = Problems::default();
            problems.missing.push("name".to_owned());
            let wrong = Error::invalid("status", "must be one of open, won, lost");
            vec![
                ApiError::of(&problems.into()),
                ApiError::of(&wrong),
                ApiError::invalid_body("The body must be a JSON object, not a list"),
            ]
        },
    },
    Refusal {
        name: "Unauthorized",
        status: StatusCode::UNAUTHORIZED,
        when: "There is no key, or one that is unknown, revoked or expired.",
        headers: &["www-authenticate"],
        of: |_| true,
        examples: || vec![ApiError::unauthorized("No API key was sent")],
    },
    Refusal {
        name: "Forbidden",
        status: StatusCode::FORBIDDEN,
        when: "The key lacks a scope, or the month's credits are used up and that is enforced.",
        headers: &[],
        of: |_| true,
        examples: || {
            let spent = Error::InsufficientCredits {
                cost: 2,
                remaining: 1,
            };
            vec![
                ApiError::insufficient_scope(&["opportunities:write"]),
                ApiError::of(&spent),
            ]
        },
    },
    Refusal {
        name: "NotFound",
        status: StatusCode::NOT_FOUND,
        when: "An id names no record of this workspace.",
        headers: &[],
        of: names_records,
        examples: || {
            vec![ApiError::of(&Error::NotFound {
                what: "contact",
                id: Uuid::nil(),
            })]
        },
    },
    Refusal {
        name: "Conflict",
        status: StatusCode::CONFLICT,
        when: "What is there stands against it: a link made twice, a value taken, something still \
               in use, or an `Idempotency-Key` of another request.",
        headers: &["retry-after"],
        of: |operation| operation.is_write() || operation.method == Method::POST,
        examples: || {
            let twice = Error::conflict(
                "This contact is linked already",
                "Nothing needs to be done: a link is made once.",
            );
            vec![ApiError::of(&twice)]
        },
    },
    Refusal {
        name: "ContentTooLarge",
        status: StatusCode::PAYLOAD_TOO_LARGE,
        when: "The body is larger than the operation takes.",
        headers: &[],
        of: |operation| !operation.reads_query(),
        examples: || vec![ApiError::body_too_large(2 * 1024 * 1024)],
    },
    Refusal {
        name: "UnsupportedMediaType",
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        when: "The body is not `application/json`.",
        headers: &[],
        of: |operation| !operation.reads_query(),
        examples: || vec![ApiError::unsupported_media_type("text/plain")],
    },
    Refusal {
        name: "TooManyRequests",
        status: StatusCode::TOO_MANY_REQUESTS,
        when: "The key calls faster than the operator lets it.",
        headers: &["retry-after"],
        of: |_| true,
        examples: || {
            let once = RateLimit {
                per_second: NonZeroU32::MIN,
                burst: NonZeroU32::MIN,
            };
            let limits = RateLimits::new(once);
            let twice = [(); 2].map(|()| limits.take(Uuid::nil()));
            twice.into_iter().filter_map(Result::err).collect()
        },
    },
    Refusal {
        name: "InternalServerError",
        status: StatusCode::INTERNAL_SERVER_ERROR,
        when: "The server failed; the operator finds the reason by the request id.",
        headers: &[],
        of: |_| true,
        examples: || vec![ApiError::internal("")],
    },
    Refusal {
        name: "ServiceUnavailable",
        status: StatusCode::SERVICE_UNAVAILABLE,
        when: "The server takes no more at once, or can't reach its database.",
        headers: &["retry-after"],
        of: |_| true,
        examples: || vec![ApiError::overloaded()],
    },
];

/// True when a call has something that can be wrong.
fn reads_anything(operation: &Operation) -> bool {
    !operation.reads_query()
        || !operation.fields.is_empty()
        || operation.path_parameters().next().is_some()
}

/// True when a call names records that must be there. One that filters a list
/// need not be.
fn names_records(operation: &Operation) -> bool {
    let names_one = |field: &FieldDescription| {
        field
            .schema
            .get("format")
            .is_some_and(|format| format == "uuid")
    };
    operation.path_parameters().next().is_some()
        || (operation.method != Method::GET && operation.fields.iter().any(names_one))
}

/// All statuses with which calls are refused.
pub(crate) fn all() -> &'static [Refusal] {
    &REFUSALS
}

/// Those that an operation can answer.
pub(crate) fn of(operation: &Operation) -> impl Iterator<Item = &'static Refusal> {
    REFUSALS.iter().filter(|refusal| (refusal.of)(operation))
}

impl Refusal {
    /// An error of each kind that is answered with it.
    pub(crate) fn examples(&self) -> Vec<ApiError> {
        (self.examples)()
    }
}
