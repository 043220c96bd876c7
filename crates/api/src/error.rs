//! Errors as the wire knows them: the one mapping from what went wrong to a
//! status, a code, and words by which the caller can correct itself.

use std::borrow::Cow;

use axum::http::StatusCode;
use crm::error::Problems;
use schemars::JsonSchema;
use serde::Serialize;

use crate::rate_limits::{RateLimit, Standing};

/// What went wrong with a call.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct ApiError {
    /// What kind it is, for programs.
    pub(crate) code: &'static str,
    /// What went wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) fix: String,
    /// What would be valid.
    pub(crate) hint: String,
    /// The HTTP status.
    #[serde(serialize_with = "as_number")]
    #[schemars(with = "u16")]
    pub(crate) status: StatusCode,
    /// What goes with it beside the body.
    #[serde(skip)]
    pub(crate) aside: Box<Aside>,
}

/// The body of an answer to a call that was refused.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(crate) struct Envelope<'a> {
    /// What went wrong.
    error: &'a ApiError,
}

/// What goes with an error and is no part of its body.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// What lies behind it, for the log.
    pub(crate) cause: Option<String>,
    /// Headers.
    pub(crate) headers: Vec<(&'static str, String)>,
}

fn as_number<S: serde::Serializer>(status: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u16(status.as_u16())
}

impl ApiError {
    fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            code,
            message: message.into(),
            fix: fix.into(),
            hint: hint.into(),
            status,
            aside: Box::default(),
        }
    }

    fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.aside.headers.push((name, value.into()));
        self
    }

    fn with_cause(mut self, cause: impl Into<String>) -> Self {
        self.aside.cause = Some(cause.into());
        self
    }

    /// No key, or one that opens nothing.
    pub(crate) fn unauthorized(message: &str) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORIZED",
            message,
            "Send the header 'Authorization: Bearer <key>' with a key that is in use.",
            "A key begins with dw_live_; the operator makes one with `dealwright api-key create`.",
        )
        .with_header("www-authenticate", "Bearer")
    }

    /// The key may not do this.
    pub(crate) fn insufficient_scope(missing: &[&str]) -> Self {
        let (noun, names) = match missing {
            [one] => ("scope", (*one).to_owned()),
            several => ("scopes", several.join(", ")),
        };
        Self::new(
            StatusCode::FORBIDDEN,
            "INSUFFICIENT_SCOPE",
            format!("This key lacks the {noun} {names}"),
            format!("Use a key that has the {noun} {names}."),
            "GET /api-index.json lists the scopes that each endpoint needs.",
        )
    }

    /// The month's allowance is used up.
    fn insufficient_credits(cost: i64, remaining: i64) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "INSUFFICIENT_CREDITS",
            format!("This call costs {cost} credits, {remaining} are left this month"),
            "Wait for the next month, or ask the operator to raise the monthly allowance.",
            "A read costs 1 credit, a write 2; the allowance is renewed on the first of the month, UTC.",
        )
    }

    /// The key calls faster than `limit` lets it, for the next `seconds`.
    pub(crate) fn rate_limited(limit: RateLimit, seconds: u64, standing: Standing) -> Self {
        let RateLimit { per_second, burst } = limit;
        let error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "RATE_LIMITED",
            format!("This key has made more than {per_second} requests a second"),
            "Send the request again after the seconds in retry-after.",
            format!(
                "A key may make {per_second} requests a second, and {burst} at once after a \
                 pause; ratelimit in each answer says how many are left."
            ),
        );
        standing.headers().into_iter().fold(
            error.with_header("retry-after", seconds.to_string()),
            |error, (name, value)| error.with_header(name, value),
        )
    }

    /// There is no such route.
    pub(crate) fn no_route(path: &str) -> Self {
        // A path can be as long as a header may be.
        let shown: String = path.chars().take(200).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            format!("There is no endpoint {shown}"),
            "Correct the path.",
            "GET /api-index.json lists every endpoint; all begin with /v1 or /functions/v1/api/v1.",
        )
    }

    /// The route exists, but not with this method.
    pub(crate) fn method_not_allowed(method: &str, allowed: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            format!("This endpoint has no method {method}"),
            format!("Use one of: {allowed}."),
            "GET /api-index.json lists every endpoint with its method.",
        )
        .with_header("allow", allowed)
    }

    /// A body of another type than JSON.
    pub(crate) fn unsupported_media_type(given: &str) -> Self {
        let given: String = given.chars().take(100).collect();
        let message = match given.as_str() {
            "" => "The body came without a content type".to_owned(),
            given => format!("The body is {given}"),
        };
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            message,
            "Send the body as JSON with the header 'Content-Type: application/json'.",
            "application/json is the only media type that is read here.",
        )
    }

    /// A body that is no JSON object.
    pub(crate) fn invalid_body(why: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "INVALID_BODY",
            why,
            "Send one JSON object as the body.",
            r#"A body looks like {"name": "…"}; objects and lists may be nested 128 deep."#,
        )
    }

    /// A body larger than `limit` bytes.
    pub(crate) fn body_too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "INVALID_BODY",
            format!("The body is larger than {limit} bytes"),
            "Send less at once: split the records over several calls.",
            format!("This endpoint takes up to {limit} bytes."),
        )
    }

    /// What went wrong inside, with no word about it: that is for the log.
    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "INTERNAL_ERROR",
            "The server failed",
            "Try again; if it persists, give the operator the request id.",
            "The request id is in the header x-request-id.",
        )
        .with_cause(cause)
    }

    /// More requests are at work than may be.
    pub(crate) fn overloaded() -> Self {
        Self::unavailable("The server is at work on as many requests as it takes at once")
    }

    fn unavailable(message: &str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "SERVICE_UNAVAILABLE",
            message,
            "Try again after the seconds in retry-after.",
            "Nothing of the call was kept, unless the connection to the database broke at its very end.",
        )
        .with_header("retry-after", "1")
    }

    /// What a domain error says on the wire.
    pub(crate) fn of(error: &crm::Error) -> Self {
        match error {
            crm::Error::Input(problems) => Self::input(problems, "in the request body"),
            crm::Error::NotFound { what, .. } => Self::new(
                StatusCode::NOT_FOUND,
                "NOT_FOUND",
                capitalised(&error.to_string()),
                format!("Correct the id: list or search to find the right {what}."),
                "Ids belong to one workspace: what another one has does not exist for this key.",
            ),
            crm::Error::NotLinked { what, .. } => Self::new(
                StatusCode::NOT_FOUND,
                "NOT_FOUND",
                capitalised(&error.to_string()),
                format!("List what is linked to find the right {what}, or take it as done."),
                "The record itself exists; only the link that was to be removed does not.",
            ),
            crm::Error::Conflict { message, fix } => Self::new(
                StatusCode::CONFLICT,
                "CONFLICT",
                message,
                fix,
                "The call changed nothing.",
            ),
            crm::Error::ScopesMissing(scopes) => Self::insufficient_scope(scopes),
            crm::Error::InProgress => Self::new(
                StatusCode::CONFLICT,
                "CONFLICT",
                "A request with this Idempotency-Key is still at work",
                "Send the same request again after the seconds in retry-after.",
                "It is answered as the first one was, and nothing is done twice.",
            )
            .with_header("retry-after", "1"),
            crm::Error::InsufficientCredits { cost, remaining } => {
                Self::insufficient_credits(*cost, *remaining)
            }
            crm::Error::Store(error) => Self::store(error),
        }
    }

    /// What is wrong with an input, whose fields are sent in this `place`.
    pub(crate) fn input(problems: &Problems, place: &str) -> Self {
        let code = match problems.missing.is_empty() {
            true => "VALIDATION_ERROR",
            false => "MISSING_FIELDS",
        };
        let mut fixes = Vec::new();
        if !problems.missing.is_empty() {
            let names: Vec<_> = problems
                .missing
                .iter()
                .map(|name| format!("'{name}'"))
                .collect();
            fixes.push(format!("Include {} {place}.", names.join(", ")));
        }
        fixes.extend(problems.invalid.iter().map(|problem| {
            problem
                .fix
                .clone()
                .unwrap_or_else(|| format!("Correct '{}': it {}.", problem.field, problem.message))
        }));
        Self::new(
            StatusCode::BAD_REQUEST,
            code,
            problems.to_string(),
            fixes.join(" "),
            "GET /api-index.json lists what each endpoint takes.",
        )
    }

    fn store(error: &store::Error) -> Self {
        match error {
            store::Error::Unavailable(reason) => {
                Self::unavailable("The database can't be reached or is too busy").with_cause(reason)
            }
            store::Error::Locked => Self::unavailable("Other calls hold the same records"),
            store::Error::Full => Self {
                fix: "Have the operator make room on the server's disk, then try again.".to_owned(),
                hint: "Nothing of the call was kept; reading needs no room.".to_owned(),
                ..Self::unavailable("The server's disk takes no more")
                    .with_cause("the disk is full")
            },
            // Two callers at once; whoever was later is told to look again.
            store::Error::UniqueViolation { .. } | store::Error::ForeignKeyViolation { .. } => {
                Self::new(
                    StatusCode::CONFLICT,
                    "CONFLICT",
                    "Another call changed the same records at the same time",
                    "Read the records again and repeat the call if it is still wanted.",
                    "The call changed nothing.",
                )
            }
            error => Self::internal(error.to_string()),
        }
    }

    /// The error as the caller is told it. What lies behind one of the server's own
    /// is for the log; the caller gets the id by which the operator finds it there.
    pub(crate) fn told(mut self, request_id: &str) -> Self {
        if let Some(cause) = &self.aside.cause {
            tracing::error!(request_id, cause, "a call failed");
        }
        if self.status == StatusCode::INTERNAL_SERVER_ERROR {
            self.hint = format!("The request id is {request_id}.");
        }
        self
    }

    /// As it is answered.
    pub(crate) fn envelope(&self) -> Envelope<'_> {
        Envelope { error: self }
    }

    /// The whole body.
    pub(crate) fn body(&self) -> Vec<u8> {
        serde_json::to_vec(&self.envelope()).expect("texts and a number are always JSON")
    }

    /// The error for a client that sees no headers: with the seconds after which
    /// to try again, if it is worth that.
    pub(crate) fn without_headers(&self) -> WithoutHeaders<'_> {
        let mut headers = self.aside.headers.iter();
        let after = headers.find(|(name, _)| *name == "retry-after");
        WithoutHeaders {
            error: self,
            retry_after: after.and_then(|(_, seconds)| seconds.parse().ok()),
        }
    }
}

/// An error with what is otherwise said in headers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WithoutHeaders<'a> {
    #[serde(flatten)]
    error: &'a ApiError,
    /// In how many seconds to try again; only there when that may help.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

fn capitalised(text: &str) -> Cow<'_, str> {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) if first.is_lowercase() => {
            format!("{}{}", first.to_uppercase(), characters.as_str()).into()
        }
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_with_a_fix_of_its_own_is_answered_with_that_and_nothing_twice() {
        let mut problems = Problems::default();
        problems.invalid("value", "must be a number");
        assert_eq!(
            ApiError::input(&problems, "in the arguments").fix,
            "Correct 'value': it must be a number."
        );
        let mut problems = Problems::default();
        problems.invalid_with_fix("phone", "is a fixed line", "Send a landline.");
        let fixed = crm::Error::from(problems);
        let said = ApiError::of(&fixed);
        assert_eq!(
            (&*said.message, &*said.fix),
            ("phone is a fixed line", "Send a landline.")
        );
    }
}
