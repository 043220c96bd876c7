//! Envelopes: how what a handler answers stands in a response.

use axum::http::StatusCode;
use crm::bulk::Outcome;
use crm::paging::Page;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::error::ApiError;

/// A body, or as much of it as there is yet: none when there is nothing to say, an
/// error when a value can't be written as JSON.
pub(crate) type Body = crm::Result<Option<Vec<u8>>>;

/// What every answer with a body says beside its data.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Meta {
    /// What is left of the month's allowance, in credits.
    #[schemars(example = 999_998)]
    pub(crate) credits_remaining: i64,
    /// Fields and parameters of the request that nothing asked for: they were
    /// ignored. Only there when there are any.
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

    /// Whether it is a list, which is answered with its `pagination`.
    const HAS_PAGES: bool = false;

    /// Fields inside the request that nothing asked for; only what is written has any.
    fn take_unknown(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// The body up to its `meta`.
    fn opening(&self) -> Body;

    /// The schema of the body's `data`.
    fn schema(generator: &mut SchemaGenerator) -> Option<Schema>;
}

/// An answer that is yet to be put into its envelope.
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Fields of the request that nothing asked for.
    pub(crate) unknown: Vec<String>,
    opening: Option<Vec<u8>>,
}

impl Reply {
    /// # Errors
    /// For an answer that is no JSON.
    pub(crate) fn new<A: Answer>(mut answer: A, mut unknown: Vec<String>) -> crm::Result<Self> {
        unknown.extend(answer.take_unknown());
        Ok(Self::opened::<A>(answer.opening()?, unknown))
    }

    /// Of an answer whose opening is there already.
    pub(crate) fn opened<A: Answer>(opening: Option<Vec<u8>>, unknown: Vec<String>) -> Self {
        Self {
            status: A::STATUS,
            unknown,
            opening,
        }
    }

    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn into_body(self, meta: &Meta) -> Body {
        let close = |mut body: Vec<u8>| {
            body.extend_from_slice(b",\"meta\":");
            write(&mut body, meta)?;
            body.push(b'}');
            Ok(body)
        };
        self.opening.map(close).transpose()
    }
}

#[derive(Serialize)]
struct Envelope<T> {
    data: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<Pagination>,
}

/// Where a page stands in its list.
#[derive(Serialize, JsonSchema)]
struct Pagination {
    /// How many records a page has at most.
    #[schemars(example = 25)]
    limit: usize,
    /// Whether there are older records.
    has_more: bool,
    /// What continues the list as `cursor`; null on the last page.
    #[schemars(example = Value::Null)]
    next_cursor: Option<Uuid>,
    /// What goes back as `before`; null on the first page.
    #[schemars(example = Value::Null)]
    prev_cursor: Option<Uuid>,
}

/// The room that a record is given in a body at first, in bytes: a body that
/// outgrows its room is copied to a larger one.
const ROOM: usize = 1280;

fn enclose<T: Serialize>(records: usize, data: T, pagination: Option<Pagination>) -> Body {
    let mut body = Vec::with_capacity(ROOM * records.max(1));
    write(&mut body, &Envelope { data, pagination })?;
    // The brace that closes it comes after `meta`.
    body.pop();
    Ok(Some(body))
}

fn write<T: Serialize>(body: &mut Vec<u8>, value: &T) -> crm::Result<()> {
    serde_json::to_writer(body, value)
        .map_err(|error| store::Error::Encode(format!("an answer that is no JSON: {error}")).into())
}

/// The schema of what an envelope says beside its data.
pub(crate) fn meta_schema(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<Meta>()
}

/// The schema of a body with `data` in its envelope.
pub(crate) fn schema(generator: &mut SchemaGenerator, data: &Schema, has_pages: bool) -> Schema {
    let meta = meta_schema(generator);
    if !has_pages {
        return json_schema!({
            "type": "object",
            "properties": { "data": data, "meta": meta },
            "required": ["data", "meta"],
        });
    }
    let pagination = generator.subschema_for::<Pagination>();
    json_schema!({
        "type": "object",
        "properties": { "data": data, "pagination": pagination, "meta": meta },
        "required": ["data", "pagination", "meta"],
    })
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

            fn opening(&self) -> Body {
                enclose(1, &self.0, None)
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
    const HAS_PAGES: bool = true;

    fn opening(&self) -> Body {
        let pagination = Pagination {
            limit: self.limit.get() as usize,
            has_more: self.has_more,
            next_cursor: self.next_cursor,
            prev_cursor: self.prev_cursor,
        };
        enclose(self.items.len(), &self.items, Some(pagination))
    }

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<Vec<T>>())
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Answer for Whole<T> {
    const STATUS: StatusCode = StatusCode::OK;
    const HAS_PAGES: bool = true;

    fn opening(&self) -> Body {
        let pagination = Pagination {
            limit: self.0.len(),
            has_more: false,
            next_cursor: None,
            prev_cursor: None,
        };
        enclose(self.0.len(), &self.0, Some(pagination))
    }

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<Vec<T>>())
    }
}

/// Nothing: deleted, detached.
impl Answer for () {
    const STATUS: StatusCode = StatusCode::NO_CONTENT;

    fn opening(&self) -> Body {
        Ok(None)
    }

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }
}

/// A record of a bulk call that was refused.
#[derive(Serialize, JsonSchema)]
struct Refused {
    /// Its index in the request.
    index: usize,
    /// What kind of error it is, for programs.
    code: &'static str,
    /// What went wrong.
    message: String,
    /// What to do about it.
    fix: String,
}

/// A record of a bulk call that was created.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Created{T}")]
struct Numbered<'a, T> {
    /// Its index in the request.
    index: usize,
    #[serde(flatten)]
    record: &'a T,
}

/// What became of records that were to be created.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct BulkCreated<'a, T> {
    /// The records that were created, each with its index in the request.
    created: Vec<Numbered<'a, T>>,
    /// The records that were refused, each with its index in the request.
    errors: Vec<Refused>,
    /// How many were created.
    #[schemars(example = 1)]
    created_count: usize,
    /// How many were refused.
    error_count: usize,
}

impl<T: Serialize + JsonSchema + Send + 'static> Answer for Outcome<usize, T> {
    const STATUS: StatusCode = StatusCode::OK;

    fn take_unknown(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unknown)
    }

    fn opening(&self) -> Body {
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
        let data = BulkCreated {
            created,
            errors,
            created_count: self.done.len(),
            error_count: self.failed.len(),
        };
        enclose(self.done.len(), data, None)
    }

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<BulkCreated<'_, T>>())
    }
}

/// A record of a bulk call that was left as it was.
#[derive(Serialize, JsonSchema)]
struct Failed {
    /// Its id.
    id: Uuid,
    /// What kind of error it is, for programs.
    code: &'static str,
    /// What went wrong.
    message: String,
}

impl Failed {
    fn all(outcome: &Outcome<Uuid, ()>) -> Vec<Self> {
        let failed = outcome.failed.iter().map(|(id, error)| {
            let error = ApiError::of(error);
            Self {
                id: *id,
                code: error.code,
                message: error.message,
            }
        });
        failed.collect()
    }
}

/// What became of records that were to be deleted.
pub(crate) struct Deleted(pub(crate) Outcome<Uuid, ()>);

/// What became of records that were to be moved.
pub(crate) struct Moved(pub(crate) Outcome<Uuid, ()>);

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct BulkDeleted {
    /// False when any failed.
    #[schemars(example = true)]
    success: bool,
    /// How many were deleted.
    #[schemars(example = 1)]
    deleted: usize,
    /// Those that were not, and why.
    failed: Vec<Failed>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct BulkMoved {
    /// False when any failed.
    #[schemars(example = true)]
    success: bool,
    /// How many were moved.
    #[schemars(example = 1)]
    moved: usize,
    /// Those that were not, and why.
    failed: Vec<Failed>,
}

macro_rules! by_id {
    ($name:ident, $data:ident, $counted:ident) => {
        impl Answer for $name {
            const STATUS: StatusCode = StatusCode::OK;

            fn opening(&self) -> Body {
                let failed = Failed::all(&self.0);
                let data = $data {
                    success: failed.is_empty(),
                    $counted: self.0.done.len(),
                    failed,
                };
                enclose(1, data, None)
            }

            fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
                Some(generator.subschema_for::<$data>())
            }
        }
    };
}

by_id!(Deleted, BulkDeleted, deleted);
by_id!(Moved, BulkMoved, moved);
