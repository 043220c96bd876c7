//! Many records in one call: the call is one transaction, and within it each
//! record stands alone. What is reported as done is committed, what is
//! reported as failed left no trace.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;
use store::Tx;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::events::Automations;
use crate::input::{Flaw, FromJson, Input, kind_of};

/// How many records one call takes.
pub const MAX: usize = 100;

/// The ids of the records that a call is about: 1 to 100; one that is given
/// twice counts once.
#[derive(Debug, Clone)]
pub struct Ids(Vec<Uuid>);

impl Ids {
    /// The ids, each once.
    pub(crate) fn to_vec(&self) -> Vec<Uuid> {
        self.0.clone()
    }
}

impl FromJson for Ids {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        let mut ids = Vec::new();
        check_length(value, MAX)?;
        for id in Vec::<Uuid>::from_json(value)?.unwrap_or_default() {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(Some(Self(ids)))
    }
}

impl JsonSchema for Ids {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Ids".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let id = generator.subschema_for::<Uuid>();
        json_schema!({ "type": "array", "minItems": 1, "maxItems": MAX, "items": id })
    }
}

/// The records that a call brings: 1 to `MOST`, each read on its own.
#[derive(Debug, Clone)]
pub struct Records<I, const MOST: usize = MAX> {
    given: Vec<Value>,
    input: PhantomData<fn() -> I>,
}

impl<I: Input, const MOST: usize> FromJson for Records<I, MOST> {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        check_length(value, MOST)?;
        Ok(Some(Self {
            given: value.as_array().cloned().unwrap_or_default(),
            input: PhantomData,
        }))
    }
}

impl<I: Input, const MOST: usize> JsonSchema for Records<I, MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Records".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let record = crate::input::object_schema::<I>(generator);
        json_schema!({ "type": "array", "minItems": 1, "maxItems": MOST, "items": record })
    }
}

fn check_length(value: &Value, most: usize) -> Result<(), Flaw> {
    match value.as_array().map(Vec::len) {
        Some(0) => Err(Flaw::new("must not be empty")),
        Some(length) if length > most => Err(Flaw::new(format!(
            "must have at most {most} entries, not {length}"
        ))),
        Some(_) => Ok(()),
        None => Err(Flaw::new(format!("must be a list, not {}", kind_of(value)))),
    }
}

/// What became of the records of a call: `K` tells them apart.
#[derive(Debug)]
pub struct Outcome<K, R> {
    /// Those that were done.
    pub done: Vec<(K, R)>,
    /// Those that were refused, and why.
    pub failed: Vec<(K, Error)>,
    /// Fields that nothing asked for, as `records[2].colour`.
    pub unknown: Vec<String>,
}

impl<I: Input, const MOST: usize> Records<I, MOST> {
    /// Each record as its input, or what is wrong with it; and the fields that
    /// nothing asked for, as `records[2].colour` where the records are given as
    /// `field` of that name.
    pub(crate) fn read(self, field: &str) -> (Vec<Result<I>>, Vec<String>) {
        let mut unknown = Vec::new();
        let read = self.given.into_iter().enumerate().map(|(index, record)| {
            let Value::Object(fields) = record else {
                return Err(Error::invalid(
                    format!("{field}[{index}]"),
                    "must be an object",
                ));
            };
            let (input, extra) = I::from_object(fields)?;
            let extra = extra.into_iter();
            unknown.extend(extra.map(|name| format!("{field}[{index}].{name}")));
            Ok(input)
        });
        (read.collect(), unknown)
    }
}

/// Creates each of `records`, which are given as `field`.
pub(crate) fn create<I: Input, R, const MOST: usize>(
    tx: &mut Tx<'_>,
    field: &str,
    records: Records<I, MOST>,
    create: impl FnMut(&mut Tx<'_>, I) -> Result<R>,
) -> Result<Outcome<usize, R>> {
    let (inputs, unknown) = records.read(field);
    create_each(tx, inputs, unknown, create)
}

/// Creates a record of each input that could be read.
pub(crate) fn create_each<I, R>(
    tx: &mut Tx<'_>,
    inputs: Vec<Result<I>>,
    unknown: Vec<String>,
    mut create: impl FnMut(&mut Tx<'_>, I) -> Result<R>,
) -> Result<Outcome<usize, R>> {
    let outcome = each(tx, inputs.into_iter().enumerate(), |tx, _, input| {
        create(tx, input?)
    })?;
    Ok(Outcome { unknown, ..outcome })
}

/// Does something to each of the records with these ids.
pub(crate) fn each_id(
    tx: &mut Tx<'_>,
    ids: &Ids,
    mut act: impl FnMut(&mut Tx<'_>, Uuid) -> Result<()>,
) -> Result<Outcome<Uuid, ()>> {
    let ids = ids.0.iter().map(|id| (*id, ()));
    each(tx, ids, |tx, id, ()| act(tx, id))
}

fn each<K: Copy, I, R>(
    tx: &mut Tx<'_>,
    items: impl Iterator<Item = (K, I)>,
    mut act: impl FnMut(&mut Tx<'_>, K, I) -> Result<R>,
) -> Result<Outcome<K, R>> {
    let mut outcome = Outcome {
        done: Vec::new(),
        failed: Vec::new(),
        unknown: Vec::new(),
    };
    for (key, item) in items {
        match tx.savepoint(|tx| act(tx, key, item)) {
            Ok(result) => outcome.done.push((key, result)),
            // The database failing is no fault of the record.
            Err(Error::Store(error)) => return Err(error.into()),
            Err(error) => outcome.failed.push((key, error)),
        }
    }
    Ok(outcome)
}

crate::input! {
    /// The records to delete.
    pub struct Delete {
        /// Their ids: 1 to 100.
        required ids: Ids,
        flatten automations: Automations,
    }
}
