//! Envelopes: how what a handler answers stands in a response.

use axum::http::StatusCode;
use crm::bulk::Outcome;
use crm::paging::Page;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::error::ApiError;

/// A body: none when there is nothing to say, an error when a value can't be
/// written as JSON.
pub(crate) type Body = Option<serde_json::Result<Vec<u8>>>;

/// What every answer with a body says beside its data.
#[derive(Debug, Serialize)]
pub(crate) struct Meta {
    /// What is left of the month's allowance.
    pub(crate) credits_remaining: i64,
    /// What was passed over in the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<String>,
}

impl Meta {
    /// What is left of the allowance, and the names of fields and of query
    /// parameters that nothing asked for.
    pub(crate) fn new(credits_remaining: i64, fields: &[String], parameters: &[String]) -> Self {
        let fields = fields.iter().map(|name| warning("field", name));
        let parameters = parameters
            .iter()
            .map(|name| warning("query parameter", name));
        Self {
            credits_remaining,
            warnings: bounded(fields.chain(parameters)),
        }
    }
}

/// How many warnings an answer has at most: a client can send any number of
/// fields.
const WARNINGS: usize = 20;

fn bounded(mut warnings: impl Iterator<Item = String>) -> Vec<String> {
    let mut shown: Vec<_> = warnings.by_ref().take(WARNINGS).collect();
    match warnings.count() {
        0 => {}
        more => shown.push(format!("and {more} more")),
    }
    shown
}

/// How a field or a parameter that nothing asked for is named. Names come from
/// the client and may be as long as its request.
fn warning(what: &str, name: &str) -> String {
    let shown: String = name.chars().take(100).collect();
    format!("Unknown {what} ignored: {shown}")
}

/// Something that a handler can answer.
pub(crate) trait Answer: Send + 'static {
    /// The status that it is answered with.
    const STATUS: StatusCode;

    /// Fields inside the request that nothing asked for.
    fn take_unknown(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// The body in its envelope.
    fn body(&self, meta: &Meta) -> Body;

    /// The schema of the body's `data`.
    fn schema(generator: &mut SchemaGenerator) -> Option<Schema>;
}

/// An answer that is yet to be put into its envelope.
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Fields of the request that nothing asked for.
    pub(crate) unknown: Vec<String>,
    body: Box<dyn FnOnce(&Meta) -> Body + Send>,
}

impl Reply {
    pub(crate) fn new<A: Answer>(mut answer: A, mut unknown: Vec<String>) -> Self {
        unknown.extend(answer.take_unknown());
        Self {
            status: A::STATUS,
            unknown,
            body: Box::new(move |meta| answer.body(meta)),
        }
    }

    pub(crate) fn into_body(self, meta: &Meta) -> Body {
        (self.body)(meta)
    }
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    data: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<Pagination>,
    meta: &'a Meta,
}

#[derive(Serialize)]
struct Pagination {
    limit: usize,
    has_more: bool,
    next_cursor: Option<Uuid>,
    prev_cursor: Option<Uuid>,
}

fn enclose<T: Serialize>(data: T, pagination: Option<Pagination>, meta: &Meta) -> Body {
    Some(serde_json::to_vec(&Envelope {
        data,
        pagination,
        meta,
    }))
}

/// One record.
pub(crate) struct One<T>(pub(crate) T);

/// One record that was made by the call.
pub(crate) struct Created<T>(pub(crate) T);

/// All records of a list that has no pages.
pub(crate) struct Whole<T>(pub(crate) Vec<T>);

macro_rules! one_record {
    ($name:ident, $status:expr) => {
        impl<T: Serialize + JsonSchema + Send + 'static> Answer for $name<T> {
            const STATUS: StatusCode = $status;

            fn body(&self, meta: &Meta) -> Body {
                enclose(&self.0, None, meta)
            }

            fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
                Some(generator.subschema_for::<T>())
            }
        }
    };
}

one_record!(One, StatusCode::OK);
one_record!(Created, StatusCode::CREATED);

impl<T: Serialize + JsonSchema + Send + 'static> Answer for Page<T> {
    const STATUS: StatusCode = StatusCode::OK;

    fn body(&self, meta: &Meta) -> Body {
        let pagination = Pagination {
            limit: self.limit.get() as usize,
            has_more: self.has_more,
            next_cursor: self.next_cursor,
            prev_cursor: self.prev_cursor,
        };
        enclose(&self.items, Some(pagination), meta)
    }

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<Vec<T>>())
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Answer for Whole<T> {
    const STATUS: StatusCode = StatusCode::OK;

    fn body(&self, meta: &Meta) -> Body {
        let pagination = Pagination {
            limit: self.0.len(),
            has_more: false,
            next_cursor: None,
            prev_cursor: None,
        };
        enclose(&self.0, Some(pagination), meta)
    }

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<Vec<T>>())
    }
}

/// Nothing: deleted, detached.
impl Answer for () {
    const STATUS: StatusCode = StatusCode::NO_CONTENT;

    fn body(&self, _: &Meta) -> Body {
        None
    }

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }
}

/// A record of a bulk call that was refused.
#[derive(Serialize)]
struct Refused {
    index: usize,
    code: &'static str,
    message: String,
    fix: String,
}

#[derive(Serialize)]
struct Numbered<'a, T> {
    index: usize,
    #[serde(flatten)]
    record: &'a T,
}

impl<T: Serialize + JsonSchema + Send + 'static> Answer for Outcome<usize, T> {
    const STATUS: StatusCode = StatusCode::OK;

    fn take_unknown(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unknown)
    }

    fn body(&self, meta: &Meta) -> Body {
        #[derive(Serialize)]
        struct Created<'a, T> {
            created: Vec<Numbered<'a, T>>,
            errors: Vec<Refused>,
            created_count: usize,
            error_count: usize,
        }
        let created = self
            .done
            .iter()
            .map(|(index, record)| Numbered {
                index: *index,
                record,
            })
            .collect();
        let errors = self
            .failed
            .iter()
            .map(|(index, error)| {
                let error = ApiError::of(error);
                Refused {
                    index: *index,
                    code: error.code,
                    message: error.message,
                    fix: error.fix,
                }
            })
            .collect();
        let data = Created {
            created,
            errors,
            created_count: self.done.len(),
            error_count: self.failed.len(),
        };
        enclose(data, None, meta)
    }

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        let record = generator.subschema_for::<T>();
        Some(json_schema!({
            "type": "object",
            "properties": {
                "created": {
                    "description": "The records that were created, each with its index in the request.",
                    "type": "array",
                    "items": { "type": "object", "allOf": [
                        { "type": "object", "properties": { "index": { "type": "integer" } } },
                        record,
                    ] },
                },
                "errors": {
                    "description": "The records that were refused, each with its index in the request.",
                    "type": "array",
                    "items": { "type": "object", "properties": {
                        "index": { "type": "integer" },
                        "code": { "type": "string" },
                        "message": { "type": "string" },
                        "fix": { "type": "string" },
                    } },
                },
                "created_count": { "description": "How many were created.", "type": "integer" },
                "error_count": { "description": "How many were refused.", "type": "integer" },
            },
        }))
    }
}

/// What became of records that were to be deleted.
pub(crate) struct Deleted(pub(crate) Outcome<Uuid, ()>);

/// What became of records that were to be moved.
pub(crate) struct Moved(pub(crate) Outcome<Uuid, ()>);

macro_rules! by_id {
    ($name:ident, $counted:literal) => {
        impl Answer for $name {
            const STATUS: StatusCode = StatusCode::OK;

            fn body(&self, meta: &Meta) -> Body {
                let failed: Vec<_> = self
                    .0
                    .failed
                    .iter()
                    .map(|(id, error)| {
                        let error = ApiError::of(error);
                        json!({ "id": id, "code": error.code, "message": error.message })
                    })
                    .collect();
                let data = json!({
                    "success": failed.is_empty(),
                    $counted: self.0.done.len(),
                    "failed": failed,
                });
                enclose(data, None, meta)
            }

            fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
                Some(json_schema!({
                    "type": "object",
                    "properties": {
                        "success": { "description": "False when any failed.", "type": "boolean" },
                        $counted: {
                            "description": concat!("How many were ", $counted, "."),
                            "type": "integer",
                        },
                        "failed": {
                            "description": "Those that were not, and why.",
                            "type": "array",
                            "items": { "type": "object", "properties": {
                                "id": { "type": "string", "format": "uuid" },
                                "code": { "type": "string" },
                                "message": { "type": "string" },
                            } },
                        },
                    },
                }))
            }
        }
    };
}

by_id!(Deleted, "deleted");
by_id!(Moved, "moved");
