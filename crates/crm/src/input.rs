//! Reading a request's fields: each is taken once, every problem is gathered,
//! and what nobody asked for is left over to be named as a warning.
//!
//! An input is declared with [`input!`](crate::input!), which makes the
//! struct, the reading of it and its description from the same lines.

use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Number, Value, json};
use uuid::Uuid;

use crate::error::{Error, Problem, Problems, Result};

/// Why a value can't be used.
#[derive(Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The place inside the field, as in `[2].name`; empty for the field itself.
    pub path: String,
    /// To be read after the field's name: "must be a number".
    pub message: String,
}

impl Flaw {
    /// A flaw of the field as a whole.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            message: message.into(),
        }
    }

    /// The same flaw, seen from one level further out.
    pub fn inside(self, step: impl std::fmt::Display) -> Self {
        Self {
            path: format!("{step}{}", self.path),
            message: self.message,
        }
    }
}

/// A type that a request's field can have.
pub trait FromJson: Sized + JsonSchema {
    /// Reads a value that is not null. `None` means that it counts as absent,
    /// as a blank text does.
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw>;

    /// Reads the value of a query parameter.
    fn from_text(text: &str) -> Result<Option<Self>, Flaw> {
        Self::from_json(&Value::String(text.to_owned()))
    }

    /// What null stands for in a field that always has a value.
    fn from_null() -> Result<Self, Flaw> {
        Err(Flaw::new("must not be null"))
    }
}

/// What a PATCH says of a field that may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Not mentioned.
    #[default]
    Keep,
    /// `null` or blank: empty it.
    Clear,
    /// The new value.
    Set(T),
}

impl<T> Patch<T> {
    /// The value that the field will have, given the one that it has.
    pub fn over(self, current: Option<T>) -> Option<T> {
        match self {
            Self::Keep => current,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// The new value, if one was given.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    /// True when the field was mentioned.
    pub fn is_given(&self) -> bool {
        !matches!(self, Self::Keep)
    }
}

/// A group of fields that a request may have.
pub trait Input: Sized {
    /// Takes the fields. `None` when a problem was found, which is then noted.
    fn read(fields: &mut Fields) -> Option<Self>;

    /// Describes each field, in the order of their declaration.
    fn describe(generator: &mut SchemaGenerator, into: &mut Vec<FieldDescription>);

    /// Reads the whole of a JSON object, refusing it if anything is wrong.
    /// Returns the names that were not asked for as well.
    fn from_object(object: Map<String, Value>) -> Result<(Self, Vec<String>)> {
        let mut fields = Fields::of_object(object);
        let input = Self::read(&mut fields);
        let unknown = fields.finish()?;
        input
            .map(|input| (input, unknown))
            .ok_or_else(|| Error::Input(Problems::default()))
    }
}

/// An input with nothing in it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Input for Nothing {
    fn read(_: &mut Fields) -> Option<Self> {
        Some(Self)
    }

    fn describe(_: &mut SchemaGenerator, _: &mut Vec<FieldDescription>) {}
}

/// A field of an input, for the surfaces that describe it.
#[derive(Debug, Clone)]
pub struct FieldDescription {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it means.
    pub description: String,
    /// True when a request without it is refused.
    pub required: bool,
    /// True when `null` may be sent.
    pub nullable: bool,
    /// True when a blank text is the same as none.
    pub may_be_blank: bool,
    /// A value that says more than its type does.
    pub example: Option<Value>,
    /// The values that it takes.
    pub schema: Schema,
}

/// The fields of one request, from a JSON object or from a query string.
#[derive(Debug)]
pub struct Fields {
    given: BTreeMap<String, Value>,
    from_query: bool,
    of_new_record: bool,
    problems: Problems,
}

impl Fields {
    /// The fields of a JSON object.
    pub fn of_object(object: Map<String, Value>) -> Self {
        Self {
            given: object.into_iter().collect(),
            from_query: false,
            of_new_record: false,
            problems: Problems::default(),
        }
    }

    /// The parameters of a query string; of one given twice the last counts.
    pub fn of_query(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let given = pairs
            .into_iter()
            .map(|(name, value)| (name, Value::String(value)))
            .collect();
        Self {
            given,
            from_query: true,
            of_new_record: false,
            problems: Problems::default(),
        }
    }

    /// The arguments of a tool. Where the operation is one that takes a query
    /// string, a text may also stand for what it would there.
    pub fn of_arguments(object: Map<String, Value>, from_query: bool) -> Self {
        Self {
            from_query,
            ..Self::of_object(object)
        }
    }

    /// Reads the fields of a record that does not exist yet.
    pub(crate) fn of_new_record<I: Input>(&mut self) -> Option<I> {
        self.of_new_record = true;
        let read = I::read(self);
        self.of_new_record = false;
        read
    }

    /// Ends the reading: all problems, or the names that nothing asked for.
    pub fn finish(self) -> Result<Vec<String>> {
        if self.problems.is_empty() {
            Ok(self.given.into_keys().collect())
        } else {
            Err(Error::Input(self.problems))
        }
    }

    /// True when a field of that name was sent and has not been taken yet.
    pub fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// The fields that were sent and have not been taken yet, by name.
    pub fn given(&self) -> &BTreeMap<String, Value> {
        &self.given
    }

    /// The problems found so far, to add those of a rule across fields.
    pub fn problems(&mut self) -> &mut Problems {
        &mut self.problems
    }

    /// A field without which the request makes no sense.
    pub fn required<T: FromJson>(&mut self, name: &'static str) -> Option<T> {
        match self.take::<T>(name) {
            Taken::Value(value) => Some(value),
            Taken::Absent | Taken::Null | Taken::Blank => {
                self.problems.missing.push(name.to_owned());
                None
            }
            Taken::Flawed => None,
        }
    }

    /// A field that may be absent or null, which are the same.
    pub fn optional<T: FromJson>(&mut self, name: &'static str) -> Option<Option<T>> {
        match self.take::<T>(name) {
            Taken::Value(value) => Some(Some(value)),
            Taken::Absent | Taken::Null | Taken::Blank => Some(None),
            Taken::Flawed => None,
        }
    }

    /// A field that has its type's default when it is absent or null.
    pub fn defaulted<T: FromJson + Default>(&mut self, name: &'static str) -> Option<T> {
        self.optional(name).map(Option::unwrap_or_default)
    }

    /// A field that null or blank empties.
    pub fn patch<T: FromJson>(&mut self, name: &'static str) -> Option<Patch<T>> {
        match self.take::<T>(name) {
            Taken::Value(value) => Some(Patch::Set(value)),
            Taken::Null | Taken::Blank => Some(Patch::Clear),
            Taken::Absent => Some(Patch::Keep),
            Taken::Flawed => None,
        }
    }

    /// A field that may be left out but, once given, can't be empty.
    pub fn solid<T: FromJson>(&mut self, name: &'static str) -> Option<Option<T>> {
        match self.take::<T>(name) {
            Taken::Value(value) => Some(Some(value)),
            Taken::Null | Taken::Blank => {
                self.problems.missing.push(name.to_owned());
                None
            }
            Taken::Absent => Some(None),
            Taken::Flawed => None,
        }
    }

    /// A field that may be left out and whose type says what null means; for a
    /// new record it means the default.
    pub fn plain<T: FromJson>(&mut self, name: &'static str) -> Option<Option<T>> {
        match self.take::<T>(name) {
            Taken::Value(value) => Some(Some(value)),
            Taken::Blank => Some(None),
            Taken::Null if self.of_new_record => Some(None),
            Taken::Null => match T::from_null() {
                Ok(value) => Some(Some(value)),
                Err(flaw) => {
                    self.note(name, flaw);
                    None
                }
            },
            Taken::Absent => Some(None),
            Taken::Flawed => None,
        }
    }

    /// The fields that `I` has, as they were given and merely checked: for
    /// what is merged into something stored before it is read.
    pub fn verbatim<I: Input>(&mut self) -> Option<Map<String, Value>> {
        let mut given = self.given.clone();
        I::read(self)?;
        given.retain(|name, _| !self.given.contains_key(name));
        Some(given.into_iter().collect())
    }

    /// What `I` would make of these fields: the names of those that it has, and what
    /// is wrong with them. None is taken.
    pub(crate) fn check<I: Input>(&self) -> (BTreeSet<String>, Problems) {
        let mut copy = Self {
            given: self.given.clone(),
            problems: Problems::default(),
            ..*self
        };
        I::read(&mut copy);
        let mut known: BTreeSet<_> = self.given.keys().cloned().collect();
        known.retain(|name| !copy.given.contains_key(name));
        (known, copy.problems)
    }

    /// Takes a field that is not read, for which it is refused if there is a problem
    /// with it.
    pub(crate) fn pass_over(&mut self, name: &str, problem: Option<Problem>) {
        self.given.remove(name);
        self.problems.invalid.extend(problem);
    }

    /// A list of at most `most` objects, each read as `I` with all its problems;
    /// none when it is absent, null or empty.
    pub(crate) fn objects<I: Input>(&mut self, name: &str, most: usize) -> Option<Vec<I>> {
        let items = match self.given.remove(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) if items.len() <= most => items,
            Some(Value::Array(items)) => {
                let length = items.len();
                let message = format!("must have at most {most} entries, not {length}");
                self.note(name, Flaw::new(message));
                return None;
            }
            Some(other) => {
                let message = format!("must be a list, not {}", kind_of(&other));
                self.note(name, Flaw::new(message));
                return None;
            }
        };
        let count = items.len();
        let read = items.into_iter().enumerate();
        let read: Vec<_> = read
            .filter_map(|(index, item)| self.object(format!("{name}[{index}]"), item))
            .collect();
        (read.len() == count).then_some(read)
    }

    /// An object within a field, whose problems and unknown fields are named after
    /// its place.
    fn object<I: Input>(&mut self, place: String, value: Value) -> Option<I> {
        let Value::Object(object) = value else {
            let message = format!("must be an object, not {}", kind_of(&value));
            self.problems.invalid(place, message);
            return None;
        };
        let mut fields = Self::of_object(object);
        let read = I::read(&mut fields);
        self.problems.add_of(&place, fields.problems);
        let unknown = fields.given.into_keys();
        // Nobody takes them, so they are left over with the others.
        self.given
            .extend(unknown.map(|name| (format!("{place}.{name}"), Value::Null)));
        read
    }

    fn take<T: FromJson>(&mut self, name: &'static str) -> Taken<T> {
        let read = match self.given.remove(name) {
            None => return Taken::Absent,
            Some(Value::Null) => return Taken::Null,
            Some(Value::String(text)) if self.from_query => T::from_text(&text),
            Some(value) => T::from_json(&value),
        };
        match read {
            Ok(Some(value)) => Taken::Value(value),
            Ok(None) => Taken::Blank,
            Err(flaw) => {
                self.note(name, flaw);
                Taken::Flawed
            }
        }
    }

    fn note(&mut self, name: &str, flaw: Flaw) {
        self.problems
            .invalid(format!("{name}{}", flaw.path), flaw.message);
    }
}

enum Taken<T> {
    Absent,
    Null,
    Blank,
    Flawed,
    Value(T),
}

/// Declares an [`Input`]: the struct, its reading and its description.
///
/// Each field says how it is taken: `required`, `optional`, `defaulted`, or
/// one of the kinds that [`record!`](crate::record!) makes; `flatten` embeds
/// another input. A name in brackets is the wire's, where it differs; what
/// stands behind `=` is an example, for the fields that a first request has and
/// those whose type does not say what they are like.
///
/// ```
/// crm::input! {
///     /// Where a card goes.
///     pub struct Target {
///         /// The stage to stand in.
///         required stage_id: uuid::Uuid,
///         /// What it is called.
///         optional name: crm::text::Name = "Difference engine",
///         /// The company, under its old name.
///         optional company_id ["customer_id"]: uuid::Uuid,
///     }
/// }
/// ```
#[macro_export]
macro_rules! input {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $kind:ident $field:ident $([$wire:literal])? : $type:ty $(= $example:tt)?
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        #[allow(missing_docs, reason = "what is flattened is documented where it is declared")]
        $vis struct $name {
            $( $(#[doc = $doc])* pub $field: $crate::input_type!($kind $type), )*
        }

        impl $crate::input::Input for $name {
            fn read(fields: &mut $crate::input::Fields) -> Option<Self> {
                // Every field is read before any is missed, so that all
                // problems are found at once.
                $( let $field = $crate::input_read!(fields, $kind, $field, $type $(, $wire)?); )*
                Some(Self { $( $field: $field?, )* })
            }

            fn describe(
                generator: &mut $crate::schemars::SchemaGenerator,
                into: &mut Vec<$crate::input::FieldDescription>,
            ) {
                $(
                    $crate::input_describe!(
                        generator, into, $kind, $field, $type, [$($example)?], concat!($($doc),*)
                        $(, $wire)?
                    );
                )*
            }
        }
    };
}

/// The type that a field of an input has in its struct.
#[doc(hidden)]
#[macro_export]
macro_rules! input_type {
    (required $type:ty) => { $type };
    (defaulted $type:ty) => { $type };
    (flatten $type:ty) => { $type };
    (optional $type:ty) => { Option<$type> };
    (solid $type:ty) => { Option<$type> };
    (plain $type:ty) => { Option<$type> };
    (patch $type:ty) => { $crate::input::Patch<$type> };
}

/// The reading of one field of an input.
#[doc(hidden)]
#[macro_export]
macro_rules! input_read {
    ($fields:ident, flatten, $field:ident, $type:ty) => {
        <$type as $crate::input::Input>::read($fields)
    };
    ($fields:ident, $kind:ident, $field:ident, $type:ty) => {
        $fields.$kind::<$type>(stringify!($field))
    };
    ($fields:ident, $kind:ident, $field:ident, $type:ty, $wire:literal) => {
        $fields.$kind::<$type>($wire)
    };
}

/// The description of one field of an input.
#[doc(hidden)]
#[macro_export]
macro_rules! input_describe {
    ($generator:ident, $into:ident, flatten, $field:ident, $type:ty, [], $doc:expr) => {
        <$type as $crate::input::Input>::describe($generator, $into)
    };
    (
        $generator:ident, $into:ident, $kind:ident, $field:ident, $type:ty,
        [$($example:tt)?], $doc:expr
    ) => {
        $crate::input_describe!(
            $generator,
            $into,
            $kind,
            $field,
            $type,
            [$($example)?],
            $doc,
            stringify!($field)
        )
    };
    (
        $generator:ident, $into:ident, $kind:ident, $field:ident, $type:ty,
        [$($example:tt)?], $doc:expr, $wire:expr
    ) => {
        $into.push($crate::input::FieldDescription {
            name: $wire,
            description: $doc.trim().to_owned(),
            required: stringify!($kind) == "required",
            nullable: match stringify!($kind) {
                "optional" | "defaulted" | "patch" => true,
                "plain" => <$type as $crate::input::FromJson>::from_null().is_ok(),
                _ => false,
            },
            may_be_blank: !matches!(stringify!($kind), "required" | "solid"),
            example: $crate::example!($($example)?),
            schema: $generator.subschema_for::<$type>(),
        })
    };
}

/// The example of a field, if it has one.
#[doc(hidden)]
#[macro_export]
macro_rules! example {
    () => {
        None
    };
    ($example:tt) => {
        Some(serde_json::json!($example))
    };
}

/// Names the JSON type of a value, for a message about a wrong one.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl FromJson for bool {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        match value {
            Value::Bool(value) => Ok(Some(*value)),
            other => Err(Flaw::new(format!(
                "must be true or false, not {}",
                kind_of(other)
            ))),
        }
    }

    fn from_text(text: &str) -> Result<Option<Self>, Flaw> {
        match text {
            "" => Ok(None),
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => Err(Flaw::new("must be true or false")),
        }
    }
}

impl FromJson for Uuid {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        match value {
            Value::String(text) => Self::from_text(text),
            other => Err(Flaw::new(format!(
                "must be a UUID string, not {}",
                kind_of(other)
            ))),
        }
    }

    fn from_text(text: &str) -> Result<Option<Self>, Flaw> {
        match text.trim() {
            "" => Ok(None),
            text => parse_uuid(text).map(Some),
        }
    }
}

/// Reads a UUID in its usual form: 36 characters with hyphens, in any case.
///
/// # Errors
/// The text has another form.
pub fn parse_uuid(text: &str) -> Result<Uuid, Flaw> {
    // `Uuid` itself reads braces, URNs and bare digits too, which clients
    // that compare ids as text would then take for other ids.
    (text.len() == 36)
        .then(|| Uuid::try_parse(text).ok())
        .flatten()
        .ok_or_else(|| Flaw::new("must be a UUID such as 0193d5e0-7a4b-7c3d-9e2f-1a2b3c4d5e6f"))
}

impl FromJson for i64 {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        match value {
            Value::Number(number) => whole(number)
                .map(Some)
                .ok_or_else(|| Flaw::new("must be a whole number")),
            other => Err(Flaw::new(format!(
                "must be a whole number, not {}",
                kind_of(other)
            ))),
        }
    }

    fn from_text(text: &str) -> Result<Option<Self>, Flaw> {
        match text.trim() {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| Flaw::new("must be a whole number")),
        }
    }
}

/// The whole number that a number is, however it is written: `7.0` is one too.
fn whole(number: &Number) -> Option<i64> {
    const BOUND: f64 = 9_007_199_254_740_992.0;
    number.as_i64().or_else(|| {
        let number = number.as_f64()?;
        // Further off, a double no longer knows whether it is whole.
        (number.fract() == 0.0 && number.abs() < BOUND).then_some(number as i64)
    })
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        let Value::Array(items) = value else {
            return Err(Flaw::new(format!("must be a list, not {}", kind_of(value))));
        };
        items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let item = match item {
                    Value::Null => T::from_null().map(Some),
                    item => T::from_json(item),
                };
                item.and_then(|item| item.ok_or_else(|| Flaw::new("must not be blank")))
                    .map_err(|flaw| flaw.inside(format_args!("[{index}]")))
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    fn from_text(text: &str) -> Result<Option<Self>, Flaw> {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let items = parts
            .map(T::from_text)
            .filter_map(Result::transpose)
            .collect::<Result<Self, Flaw>>()?;
        Ok((!items.is_empty()).then_some(items))
    }
}

/// The JSON Schema of an input as a whole.
pub fn object_schema<I: Input>(generator: &mut SchemaGenerator) -> Schema {
    let mut fields = Vec::new();
    I::describe(generator, &mut fields);
    schema_of(&fields)
}

/// The JSON Schema of an object with these fields. Others may be sent too: they
/// are ignored and named.
pub fn schema_of(fields: &[FieldDescription]) -> Schema {
    let required: Vec<_> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name)
        .collect();
    let properties: Map<_, _> = fields
        .iter()
        .map(|field| (field.name.to_owned(), field.described_schema()))
        .collect();
    schemars::json_schema!({
        "type": "object",
        "properties": properties,
        "required": required,
    })
}

impl FieldDescription {
    /// A field of at most `most` objects that are read as `I`, which may be left
    /// out; its example has what those of their fields give.
    pub(crate) fn objects<I: Input>(
        generator: &mut SchemaGenerator,
        name: &'static str,
        description: &str,
        most: usize,
    ) -> Self {
        let mut fields = Vec::new();
        I::describe(generator, &mut fields);
        let examples = fields.iter();
        let example: Map<_, _> = examples
            .filter_map(|field| Some((field.name.to_owned(), field.example.clone()?)))
            .collect();
        Self {
            name,
            description: description.to_owned(),
            required: false,
            nullable: true,
            may_be_blank: true,
            example: Some(json!([example])),
            schema: schemars::json_schema!({
                "type": "array", "maxItems": most, "items": schema_of(&fields),
            }),
        }
    }

    /// The field's schema with its description and its example, and with null
    /// where that may be sent.
    pub fn described_schema(&self) -> Value {
        let mut schema = self.schema.clone().to_value();
        if !self.may_be_blank {
            refuse_blank(&mut schema);
        }
        // What is in a list is never blank.
        if let Some(items) = schema.get_mut("items") {
            refuse_blank(items);
        }
        if self.nullable {
            schema = json!({ "anyOf": [schema, { "type": "null" }] });
        }
        if let Value::Object(schema) = &mut schema {
            let meanings = schema.get("description").and_then(Value::as_str);
            let meanings = meanings.and_then(|text| text.split_once("\n\n"));
            let description = match meanings {
                // What the words mean is not told by the field.
                Some((_, meanings)) => format!("{}\n\n{meanings}", self.description),
                None => self.description.clone(),
            };
            schema.insert("description".to_owned(), description.into());
            if let Some(example) = &self.example {
                schema.insert("examples".to_owned(), json!([example]));
            }
        }
        schema
    }
}

/// Has the schema of a text say that it may not be blank; one with a format or
/// with words of its own says that already.
pub(crate) fn refuse_blank(schema: &mut Value) {
    let Value::Object(schema) = schema else {
        return;
    };
    let is_text = schema.get("type").is_some_and(|kind| kind == "string");
    if is_text && !schema.contains_key("format") && !schema.contains_key("enum") {
        schema.entry("minLength").or_insert(1.into());
        schema.entry("pattern").or_insert(r"\S".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        for (given, read) in [
            ("7", Some(7)),
            ("7.0", Some(7)),
            ("-7e2", Some(-700)),
            ("9223372036854775807", Some(i64::MAX)),
            ("7.5", None),
            ("9223372036854775808", None),
            ("1e300", None),
        ] {
            let number: Value = serde_json::from_str(given).expect(given);
            let found = i64::from_json(&number).ok().flatten();
            assert_eq!(found, read, "{given}");
        }
    }

    crate::input! {
        #[expect(dead_code, reason = "it is only described")]
        struct Given {
            /// A name.
            required name: Text<9> = "Ada",
            /// Notes.
            optional notes: Text<9>,
            /// Words.
            optional words: Vec<Text<9>> = ["one", "two"],
        }
    }

    #[test]
    fn the_schema_of_a_field_says_whether_it_may_be_blank_and_has_its_example() {
        let mut generator = SchemaGenerator::default();
        let schema = object_schema::<Given>(&mut generator).to_value();
        let of = |path: &str| schema.pointer(&format!("/properties/{path}"));
        assert_eq!(of("name/pattern"), Some(&json!(r"\S")));
        assert_eq!(of("name/examples"), Some(&json!(["Ada"])));
        let notes = json!([{ "type": "string", "maxLength": 9 }, { "type": "null" }]);
        assert_eq!(of("notes/anyOf"), Some(&notes));
        assert_eq!(of("notes/examples"), None);
        assert_eq!(of("words/anyOf/0/items/minLength"), Some(&json!(1)));
        assert_eq!(of("words/examples/0/1"), Some(&json!("two")));
    }
}
