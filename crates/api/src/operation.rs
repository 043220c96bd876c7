//! An operation, declared once: where it is, who may call it, what it takes,
//! what it answers, and what it does. Every surface is made from this.
//!
//! ```text
//! Operation::post("/opportunities/:id/move", "move_opportunity")
//!     .scopes(&["opportunities:write"])
//!     .about("Move an opportunity to a stage", "If it is not in the pipeline …")
//!     .write(|tx, who, [id], target: Target| {
//!         opportunities::move_to(tx, who, id, &target).map(One)
//!     })
//! ```
//!
//! The closure's types say the rest: its array the ids in the path, its input
//! the fields and their schema, its answer the envelope and the status.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::{Method, StatusCode};
use crm::error::Problems;
use crm::exports::ExportRequest;
use crm::idempotency::Outcome;
use crm::input::{FieldDescription, Fields, Input, parse_uuid, schema_of};
use crm::scopes::Scopes;
use crm::{Caller, Error};
use schemars::generate::Contract;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};
use store::{Db, Store, Tx};
use uuid::Uuid;

use crate::downloads::{self, Download};
use crate::envelope::{self, Answer, Reply};
use crate::error::ApiError;
use crate::names::{
    OLD_SEGMENTS, is_parameter, parameters, rename, rename_words, singular, spaced, words,
};
use crate::once::Once;
use crate::response_cache::{Key, ResponseCache};
use crate::schemas;

/// The largest body of an ordinary request, in bytes.
pub(crate) const BODY_LIMIT: usize = 2 * 1024 * 1024;
/// The largest body of a request for many records, in bytes.
pub(crate) const BULK_BODY_LIMIT: usize = 16 * 1024 * 1024;

/// The filter that makes any list a search, which may read for long.
const SEARCH: &str = "search";

/// An operation of the API.
pub struct Operation {
    /// The HTTP method.
    pub method: Method,
    /// The path below the prefix, with `:name` where an id stands.
    pub path: &'static str,
    /// What the operation is called as a tool; unique.
    pub tool: &'static str,
    /// The scopes that a caller needs, all of them.
    pub scopes: &'static [&'static str],
    /// The scopes of which a caller needs one: that of what is asked for.
    pub one_scope_of: Vec<&'static str>,
    /// What it does, in a line.
    pub summary: &'static str,
    /// What someone who calls it should know.
    pub description: &'static str,
    /// What a call costs, in credits.
    pub cost: i64,
    /// The status of its answer.
    pub status: StatusCode,
    /// The largest body that it takes, in bytes.
    pub body_limit: usize,
    /// Whether, of a POST, it does more than add something: it brings about what
    /// the call describes, whatever was there before.
    pub overwrites: bool,
    /// The media types of the file that it answers instead of JSON; none where it
    /// answers JSON.
    pub files: &'static [&'static str],
    /// The fields that it takes: of the body of a POST, PATCH or PUT, of the
    /// query string of a GET or DELETE.
    pub fields: Vec<FieldDescription>,
    needed: Scopes,
    has_pages: bool,
    data_schema: fn(&mut SchemaGenerator) -> Option<Schema>,
    run: Run,
}

type Run = Box<dyn Fn(Call) -> Running + Send + Sync>;
type Running = Pin<Box<dyn Future<Output = Result<Done, Error>> + Send>>;

/// How a call ended well.
pub(crate) enum Done {
    /// With an answer that is yet to be put into its envelope.
    Fresh(Reply),
    /// With an answer that is kept, complete.
    Kept(Outcome),
    /// With a file, and the names that nothing asked for.
    File(Download, Vec<String>),
}

/// A call of an operation, ready to be read and run.
pub struct Call {
    /// Where the records are.
    pub store: Store,
    /// Who calls.
    pub who: Caller,
    /// The ids in the path, in their order.
    pub path: Vec<Uuid>,
    /// The fields that were sent.
    pub fields: Fields,
    /// That it is to be done once, if it is.
    pub(crate) once: Option<Once>,
    /// Where answers are kept that may be given again.
    pub(crate) responses: Arc<ResponseCache>,
}

/// An id in the path of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathParameter {
    /// Its name in the path, without the colon.
    pub name: &'static str,
    /// The record that it names, as in "contact".
    pub record: String,
}

impl PathParameter {
    /// What it was once called there, if that was something else.
    pub fn old_argument(&self) -> Option<String> {
        let name = self.argument();
        let mut renamed = OLD_SEGMENTS.map(|old| rename_words(&name, old)).into_iter();
        renamed.find(|old| *old != name)
    }

    /// Its name among the arguments of a tool, as in `contact_id`.
    pub fn argument(&self) -> String {
        format!("{}_id", self.record.to_lowercase().replace(' ', "_"))
    }

    /// What it means.
    pub fn description(&self) -> String {
        format!("The id of the {}.", self.record)
    }

    /// The values that it takes.
    pub fn schema(&self) -> Value {
        json!({ "type": "string", "format": "uuid", "description": self.description() })
    }
}

/// What a call of an operation does to what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// Nothing is changed.
    pub reads_only: bool,
    /// Something that was there may be changed or gone.
    pub destroys: bool,
    /// The same call again changes nothing more.
    pub repeatable: bool,
}

/// The beginning of a declaration.
pub(crate) struct Declaration {
    method: Method,
    path: &'static str,
    tool: &'static str,
    scopes: &'static [&'static str],
    one_scope_of: Vec<&'static str>,
    summary: &'static str,
    description: &'static str,
    body_limit: usize,
    free: bool,
    overwrites: bool,
    long: bool,
    cached: bool,
}

impl Operation {
    pub(crate) fn get(path: &'static str, tool: &'static str) -> Declaration {
        Declaration::new(Method::GET, path, tool)
    }

    pub(crate) fn post(path: &'static str, tool: &'static str) -> Declaration {
        Declaration::new(Method::POST, path, tool)
    }

    pub(crate) fn patch(path: &'static str, tool: &'static str) -> Declaration {
        Declaration::new(Method::PATCH, path, tool)
    }

    pub(crate) fn delete(path: &'static str, tool: &'static str) -> Declaration {
        Declaration::new(Method::DELETE, path, tool)
    }

    /// Every path that leads to it, its own first.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = vec![self.path.to_owned()];
        for (today, old) in OLD_SEGMENTS {
            let renamed: Vec<_> = paths
                .iter()
                .map(|path| rename(path, today, old))
                .filter(|path| !paths.contains(path))
                .collect();
            paths.extend(renamed);
        }
        paths
    }

    /// Every name that it has as a tool, its own first.
    pub fn tools(&self) -> Vec<String> {
        let mut names = vec![self.tool.to_owned()];
        for old in OLD_SEGMENTS {
            let renamed: Vec<_> = names
                .iter()
                .map(|name| rename_words(name, old))
                .filter(|name| !names.contains(name))
                .collect();
            names.extend(renamed);
        }
        names
    }

    /// What a call does to what is there.
    pub fn effect(&self) -> Effect {
        let post = self.method == Method::POST;
        // A POST to a record's own address links it, which is done once.
        let links = self.path.rsplit('/').next().is_some_and(is_parameter);
        Effect {
            reads_only: !self.is_write(),
            destroys: self.is_write() && (!post || self.overwrites),
            repeatable: !self.is_write() || !post || self.overwrites || links,
        }
    }

    /// The resource that it belongs to: the first segment of its path.
    pub fn resource(&self) -> &'static str {
        self.path.split('/').nth(1).unwrap_or_default()
    }

    /// The ids in its path. Each is of the record that its name begins with, as
    /// `contactId` does, or else of the resource that stands before it.
    pub fn path_parameters(&self) -> impl Iterator<Item = PathParameter> {
        parameters(self.path).map(|(resource, name)| PathParameter {
            name,
            record: match name.strip_suffix("Id") {
                Some(record) => spaced(record),
                None => singular(&words(resource)),
            },
        })
    }

    /// True when it answers a list.
    pub fn lists(&self) -> bool {
        self.has_pages
    }

    /// True when its fields are those of the query string.
    pub fn reads_query(&self) -> bool {
        reads_query(&self.method)
    }

    /// True when it changes something.
    pub fn is_write(&self) -> bool {
        self.cost > READ
    }

    /// True when it can be called as a tool, which takes no file.
    pub fn is_tool(&self) -> bool {
        self.files.is_empty()
    }

    /// True when it may change what a key can do, so that what is remembered of
    /// keys must be forgotten.
    pub(crate) fn changes_keys(&self) -> bool {
        self.scopes.contains(&"api-keys:write")
    }

    /// What it needs, in words: scopes, or none.
    pub fn needs(&self) -> String {
        let quoted = |scopes: &[&str], between| {
            let scopes: Vec<_> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
            scopes.join(between)
        };
        match (self.scopes, &*self.one_scope_of) {
            ([], []) => "no scope".to_owned(),
            ([], some) => format!("{}, by what is asked for", quoted(some, " or ")),
            (all, _) => quoted(all, " and "),
        }
    }

    /// The scopes that it needs and `held` lacks.
    pub fn missing_scopes(&self, held: Scopes) -> Vec<&'static str> {
        if held.contains(self.needed) {
            return Vec::new();
        }
        let lacks = |scope: &&&str| !held.has(scope);
        self.scopes.iter().filter(lacks).copied().collect()
    }

    /// The schema of all that it takes, as one object: the ids in its path, each
    /// by the name of its record, and its fields.
    pub fn input_schema(&self) -> Schema {
        let mut schema = schema_of(&self.fields).to_value();
        let ids: Vec<_> = self.path_parameters().collect();
        let required = ids.iter().map(|id| Value::from(id.argument()));
        if let Some(Value::Array(names)) = schema.get_mut("required") {
            names.splice(0..0, required);
        }
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            let fields = std::mem::take(properties);
            properties.extend(ids.iter().map(|id| (id.argument(), id.schema())));
            properties.extend(fields);
        }
        Schema::try_from(schema).expect("an object is a schema")
    }

    /// The schema of what it answers as `data`; none when it answers no body.
    pub fn data_schema(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        (self.data_schema)(generator)
    }

    /// The schema of its whole answer, which has `data` in an envelope; none when
    /// it answers no body.
    pub fn answer_schema(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        let data = self.data_schema(generator)?;
        Some(envelope::schema(generator, &data, self.has_pages))
    }

    /// Reads the ids in a path; a malformed one is noted with its name.
    pub fn read_path<'a>(
        &self,
        segments: impl Iterator<Item = &'a str>,
        problems: &mut Problems,
    ) -> Vec<Uuid> {
        let named = self.path_parameters().zip(segments);
        named
            .filter_map(|(parameter, text)| {
                parse_uuid(text)
                    .map_err(|flaw| problems.invalid(parameter.name, flaw.message))
                    .ok()
            })
            .collect()
    }

    /// What a domain error says on the wire, with what the operation would take
    /// as the hint.
    pub(crate) fn explain(&self, error: &Error) -> ApiError {
        let Error::Input(problems) = error else {
            return ApiError::of(error);
        };
        let (kind, place) = match (self.reads_query(), self.is_write()) {
            (true, _) => ("Query parameters", "in the query string"),
            (false, true) => ("Writable fields", "in the request body"),
            (false, false) => ("Fields of the body", "in the request body"),
        };
        let mut said = ApiError::input(problems, place);
        if !self.fields.is_empty() {
            let names: Vec<_> = self.fields.iter().map(|field| field.name).collect();
            said.hint = format!("{kind}: {}", names.join(", "));
        }
        said
    }

    /// Reads the fields and does what the operation does.
    pub(crate) fn run(&self, call: Call) -> Running {
        (self.run)(call)
    }
}

/// What an answer is like.
struct Shape {
    status: StatusCode,
    has_pages: bool,
    data_schema: fn(&mut SchemaGenerator) -> Option<Schema>,
    files: &'static [&'static str],
}

impl Shape {
    /// That of an answer in an envelope.
    fn of<A: Answer>() -> Self {
        Self {
            status: A::STATUS,
            has_pages: A::HAS_PAGES,
            data_schema: A::schema,
            files: &[],
        }
    }
}

/// What a read costs, and what a write costs, in credits.
pub(crate) const READ: i64 = 1;
const WRITE: i64 = 2;

impl Declaration {
    fn new(method: Method, path: &'static str, tool: &'static str) -> Self {
        Self {
            method,
            path,
            tool,
            scopes: &[],
            one_scope_of: Vec::new(),
            summary: "",
            description: "",
            body_limit: BODY_LIMIT,
            free: false,
            overwrites: false,
            long: false,
            cached: false,
        }
    }

    /// The scopes that a caller needs, all of them.
    pub(crate) fn scopes(self, scopes: &'static [&'static str]) -> Self {
        Self { scopes, ..self }
    }

    /// The scopes of which a caller needs one, by what is asked for: only the
    /// operation itself knows which.
    pub(crate) fn one_scope_of(self, scopes: impl Iterator<Item = &'static str>) -> Self {
        Self {
            one_scope_of: scopes.collect(),
            ..self
        }
    }

    /// What it does, in a line, and what someone who calls it should know.
    pub(crate) fn about(self, summary: &'static str, description: &'static str) -> Self {
        Self {
            summary,
            description,
            ..self
        }
    }

    /// Takes a body for many records.
    pub(crate) fn bulk(self) -> Self {
        Self {
            body_limit: BULK_BODY_LIMIT,
            ..self
        }
    }

    /// Costs nothing.
    pub(crate) fn free(self) -> Self {
        Self { free: true, ..self }
    }

    /// Brings about what the call describes, whatever was there before.
    pub(crate) fn overwrites(self) -> Self {
        Self {
            overwrites: true,
            ..self
        }
    }

    /// May read for longer than the threads that answer have time for.
    pub(crate) fn long(self) -> Self {
        Self { long: true, ..self }
    }

    /// May give an answer again until something is written, but for a search. Of the
    /// caller it depends on the workspace and the scopes alone, and not on the time.
    pub(crate) fn cached(self) -> Self {
        Self {
            cached: true,
            ..self
        }
    }

    /// Ends the declaration of an operation that only reads.
    pub(crate) fn read<const N: usize, I, A, F>(self, handler: F) -> Operation
    where
        I: Input + Clone + Send + 'static,
        A: Answer,
        F: Fn(&Db<'_>, &Caller, [Uuid; N], I) -> crm::Result<A> + Copy + Send + Sync + 'static,
    {
        let Self {
            long, cached, tool, ..
        } = self;
        assert!(
            !(long && cached),
            "{tool} is kept and so never reads for long"
        );
        self.end::<N, I>(
            READ,
            Shape::of::<A>(),
            Box::new(move |call| {
                Box::pin(async move {
                    let long = long || call.fields.has(SEARCH);
                    let key = match cached && !long {
                        true => Key::of(tool, &call.who, &call.path, call.fields.given()),
                        false => None,
                    };
                    let (path, input, unknown) = read_call(call.path, call.fields)?;
                    let (store, who) = (call.store, call.who);
                    if let Some(once) = call.once {
                        // A search whose answer is to come again: a write, then.
                        let work = move |tx: &mut Tx<'_>, who: &Caller, input| {
                            handler(tx, who, path, input)
                        };
                        return run_once(store, who, once, input, unknown, work).await;
                    }
                    let responses = call.responses;
                    let work = move |db: &Db<'_>| {
                        let answer = || handler(db, &who, path, input)?.opening();
                        match key {
                            Some(key) => responses.answer(db, key, answer),
                            None => answer(),
                        }
                    };
                    let opening = match long {
                        true => store.scan(work).await?,
                        false => store.read(work).await?,
                    };
                    Ok(Done::Fresh(Reply::opened::<A>(opening, unknown)))
                })
            }),
        )
    }

    /// Ends the declaration of an operation that changes something.
    pub(crate) fn write<const N: usize, I, A, F>(self, handler: F) -> Operation
    where
        I: Input + Clone + Send + 'static,
        A: Answer,
        F: Fn(&mut Tx<'_>, &Caller, [Uuid; N], I) -> crm::Result<A> + Copy + Send + Sync + 'static,
    {
        self.end::<N, I>(
            WRITE,
            Shape::of::<A>(),
            Box::new(move |call| {
                Box::pin(async move {
                    let (path, input, unknown) = read_call(call.path, call.fields)?;
                    let (store, who) = (call.store, call.who);
                    let work =
                        move |tx: &mut Tx<'_>, who: &Caller, input| handler(tx, who, path, input);
                    if let Some(once) = call.once {
                        return run_once(store, who, once, input, unknown, work).await;
                    }
                    let answer = store.write(move |tx| work(tx, &who, input.clone())).await?;
                    Ok(Done::Fresh(Reply::new(answer, unknown)?))
                })
            }),
        )
    }

    /// Ends the declaration of an operation that reads an export.
    pub(crate) fn export(self) -> Operation {
        let shape = Shape {
            status: StatusCode::OK,
            has_pages: false,
            data_schema: |_| None,
            files: downloads::MEDIA_TYPES,
        };
        self.end::<0, ExportRequest>(
            READ,
            shape,
            Box::new(|call| {
                Box::pin(async move {
                    let read = read_call::<0, ExportRequest>(call.path, call.fields)?;
                    let ([], request, mut unknown) = read;
                    unknown.extend(request.unused.iter().cloned());
                    let file = downloads::export(call.store, call.who, request).await?;
                    Ok(Done::File(file, unknown))
                })
            }),
        )
    }

    fn end<const N: usize, I: Input>(self, cost: i64, shape: Shape, run: Run) -> Operation {
        let Self {
            method,
            path,
            tool,
            scopes,
            one_scope_of,
            summary,
            description,
            body_limit,
            free,
            overwrites,
            long: _,
            cached: _,
        } = self;
        assert_eq!(
            parameters(path).count(),
            N,
            "{tool} takes as many ids as its path has"
        );
        let needed = Scopes::of(scopes.iter().copied())
            .unwrap_or_else(|flaw| panic!("{tool} needs scopes that exist: {}", flaw.message));
        let mut fields = Vec::new();
        I::describe(
            &mut schemas::self_contained(Contract::Deserialize),
            &mut fields,
        );
        if reads_query(&method) {
            // A query string has no null.
            for field in &mut fields {
                field.nullable = false;
            }
        }
        Operation {
            method,
            path,
            tool,
            scopes,
            one_scope_of,
            summary,
            description,
            cost: if free { 0 } else { cost },
            status: shape.status,
            body_limit,
            overwrites,
            files: shape.files,
            fields,
            needed,
            has_pages: shape.has_pages,
            data_schema: shape.data_schema,
            run,
        }
    }
}

/// Runs a call that is to be done once: its answer is put into its envelope
/// within the transaction that keeps it.
async fn run_once<I, A>(
    store: Store,
    who: Caller,
    once: Once,
    input: I,
    unknown: Vec<String>,
    work: impl Fn(&mut Tx<'_>, &Caller, I) -> crm::Result<A> + Send + 'static,
) -> Result<Done, Error>
where
    I: Clone + Send + 'static,
    A: Answer,
{
    store
        .write(move |tx| {
            once.run(tx, &who, |tx| {
                let answer = work(tx, &who, input.clone())?;
                Reply::new(answer, unknown.clone())
            })
        })
        .await
        .map(Done::Kept)
}

/// The ids and the input of a call, and the names that nothing asked for.
fn read_call<const N: usize, I: Input>(
    path: Vec<Uuid>,
    mut fields: Fields,
) -> Result<([Uuid; N], I, Vec<String>), Error> {
    let input = I::read(&mut fields);
    let unknown = fields.finish()?;
    // A path or an input that could not be read has left a problem behind.
    match (<[Uuid; N]>::try_from(path), input) {
        (Ok(path), Some(input)) => Ok((path, input, unknown)),
        _ => Err(Error::Input(Problems::default())),
    }
}

/// True when calls with that method have their fields in the query string.
fn reads_query(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::DELETE)
}

#[cfg(test)]
mod tests {
    use crm::input::Nothing;
    use crm::search::Search;

    use super::*;

    #[test]
    fn a_path_is_also_reached_by_its_old_names() {
        let of = |path| {
            Operation::get(path, "tool")
                .read(|_, _, [_id], _: Nothing| Ok(()))
                .paths()
        };
        assert_eq!(
            of("/companies/:id/opportunities"),
            [
                "/companies/:id/opportunities",
                "/companies/:id/deals",
                "/customers/:id/opportunities",
                "/customers/:id/deals",
            ]
        );
        assert_eq!(of("/company/users/:id"), ["/company/users/:id"]);
    }

    #[test]
    fn a_tool_is_also_called_by_its_old_names() {
        let of = |tool| {
            Operation::get("/contacts", tool)
                .read(|_, _, [], _: Nothing| Ok(()))
                .tools()
        };
        assert_eq!(
            of("list_company_opportunities"),
            [
                "list_company_opportunities",
                "list_company_deals",
                "list_customer_opportunities",
                "list_customer_deals",
            ]
        );
        assert_eq!(of("get_opportunity"), ["get_opportunity", "get_deal"]);
        assert_eq!(of("get_user"), ["get_user"]);
    }

    #[test]
    fn a_call_is_repeatable_unless_it_makes_something_new() {
        let effect = |method, path: &'static str, overwrites| {
            let declared = Declaration::new(method, path, "tool");
            let declared = Declaration {
                overwrites,
                ..declared
            };
            let operation = match path.matches(':').count() {
                0 => declared.write(|_, _, [], _: Nothing| Ok(())),
                1 => declared.write(|_, _, [_id], _: Nothing| Ok(())),
                _ => declared.write(|_, _, [_id, _other], _: Nothing| Ok(())),
            };
            let Effect {
                reads_only,
                destroys,
                repeatable,
            } = operation.effect();
            assert!(!reads_only, "{path}");
            (destroys, repeatable)
        };
        for (method, path, overwrites, expected) in [
            (Method::POST, "/contacts", false, (false, false)),
            (
                Method::POST,
                "/contacts/:id/employers/:companyId",
                false,
                (false, true),
            ),
            (Method::POST, "/opportunities/:id/move", true, (true, true)),
            (Method::PATCH, "/contacts/:id", false, (true, true)),
            (Method::DELETE, "/contacts/:id", false, (true, true)),
        ] {
            assert_eq!(effect(method, path, overwrites), expected, "{path}");
        }
        let searched = Operation::post("/contacts/search", "tool")
            .read(|_, _, [], _: Search| Ok(()))
            .effect();
        assert!(searched.reads_only && searched.repeatable && !searched.destroys);
    }

    #[test]
    fn an_id_in_a_path_is_of_the_record_that_the_path_names() {
        let of = |path| {
            let operation = Operation::get(path, "tool").read(|_, _, [_id], _: Nothing| Ok(()));
            let mut ids = operation.path_parameters();
            ids.next().map(|id| (id.name, id.description()))
        };
        for (path, name, description) in [
            (
                "/opportunities/:id/move",
                "id",
                "The id of the opportunity.",
            ),
            ("/companies/:id/contacts", "id", "The id of the company."),
            ("/company/users/:id", "id", "The id of the user."),
            ("/api-keys/:id", "id", "The id of the API key."),
            (
                "/contacts/:contactId",
                "contactId",
                "The id of the contact.",
            ),
            (
                "/products/:opportunityProductId",
                "opportunityProductId",
                "The id of the opportunity product.",
            ),
        ] {
            assert_eq!(of(path), Some((name, description.to_owned())), "{path}");
        }
    }

    #[test]
    fn the_input_of_a_tool_has_the_ids_of_the_path_by_the_names_of_their_records() {
        let operation = Operation::post("/api-keys/:id/contacts/:contactId", "tool")
            .write(|_, _, [_, _], _: Search| Ok(()));
        let schema = operation.input_schema();
        assert_eq!(
            schema.get("required"),
            Some(&json!(["api_key_id", "contact_id", "query"]))
        );
        let properties = schema.get("properties").and_then(Value::as_object);
        let properties = properties.expect("properties");
        assert_eq!(properties.len(), 4);
        assert_eq!(properties["contact_id"]["format"], "uuid");
        assert!(properties.contains_key("limit"));
    }

    #[test]
    fn the_schema_of_an_answer_is_that_of_the_whole_body() {
        let of = |operation: &Operation| {
            let mut generator = schemas::self_contained(Contract::Serialize);
            let schema = operation.answer_schema(&mut generator);
            schema.map(|schema| schema.to_value())
        };
        let one = Operation::get("/x", "tool")
            .read(|_, _, [], _: Nothing| Ok(envelope::One("a text".to_owned())));
        let one = of(&one).expect("a body");
        assert_eq!(one["required"], json!(["data", "meta"]));
        assert_eq!(one["properties"]["data"]["type"], "string");
        let many = Operation::get("/x", "tool")
            .read(|_, _, [], _: Nothing| Ok(envelope::Whole(vec![true])));
        let many = of(&many).expect("a body");
        assert_eq!(many["required"], json!(["data", "pagination", "meta"]));
        assert_eq!(many["properties"]["data"]["items"]["type"], "boolean");
        let none = Operation::delete("/x", "tool").write(|_, _, [], _: Nothing| Ok(()));
        assert_eq!(of(&none), None);
    }

    #[test]
    fn the_hint_of_a_refused_input_lists_what_the_operation_takes() {
        let refused = Error::invalid("query", "must be a string");
        let wrote = Operation::post("/contacts", "tool").write(|_, _, [], _: Search| Ok(()));
        let searched = Operation::post("/contacts", "tool").read(|_, _, [], _: Search| Ok(()));
        let listed = Operation::get("/contacts", "tool").read(|_, _, [], _: Search| Ok(()));
        for (operation, hint) in [
            (wrote, "Writable fields: query, limit"),
            (searched, "Fields of the body: query, limit"),
            (listed, "Query parameters: query, limit"),
        ] {
            assert_eq!(operation.explain(&refused).hint, hint);
        }
    }
}
