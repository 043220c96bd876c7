//! Custom field values and tags: the parts of a record that a workspace shapes
//! itself.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::input::{Flaw, FromJson, kind_of, parse_uuid, refuse_blank};
use crate::text::{Text, refuse_nul};

/// Custom field values by their key.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct Metadata(Map<String, Value>);

impl Metadata {
    /// The values.
    pub fn values(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl From<Map<String, Value>> for Metadata {
    fn from(values: Map<String, Value>) -> Self {
        Self(values)
    }
}

impl FromJson for Metadata {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        let Value::Object(values) = value else {
            return Err(Flaw::new(format!(
                "must be an object, not {}",
                kind_of(value)
            )));
        };
        for (key, value) in values {
            // Such keys are ids of custom fields in other systems; what is
            // kept under them could never be found by its name again.
            if parse_uuid(key).is_ok() {
                return Err(Flaw::new(
                    "must be keyed by field names, not by UUIDs (quick_links may hold those)",
                )
                .inside(format_args!(".{key}")));
            }
            check_storable(value).map_err(|flaw| flaw.inside(format_args!(".{key}")))?;
            refuse_nul(key)?;
        }
        Ok(Some(Self(values.clone())))
    }

    fn from_null() -> Result<Self, Flaw> {
        Ok(Self::default())
    }
}

/// Refuses what one of the engines can't keep: the NUL character, and numbers
/// beyond what any client could read back.
pub fn check_storable(value: &Value) -> Result<(), Flaw> {
    match value {
        Value::String(text) => refuse_nul(text),
        Value::Number(number) => {
            let text = number.to_string();
            let magnitude = number.as_f64().map_or(f64::INFINITY, f64::abs);
            let negligible =
                magnitude == 0.0 && text.contains(['1', '2', '3', '4', '5', '6', '7', '8', '9']);
            if text.len() > 400 || !magnitude.is_finite() || negligible {
                return Err(Flaw::new("must be a number that a double can hold"));
            }
            Ok(())
        }
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            check_storable(item).map_err(|flaw| flaw.inside(format_args!("[{index}]")))
        }),
        Value::Object(values) => values.iter().try_for_each(|(key, value)| {
            refuse_nul(key)?;
            check_storable(value).map_err(|flaw| flaw.inside(format_args!(".{key}")))
        }),
        Value::Null | Value::Bool(_) => Ok(()),
    }
}

impl JsonSchema for Metadata {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Metadata".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": true })
    }
}

impl store::FromColumn for Metadata {
    const EXPECTS: &'static str = "an object";

    fn from_cell(cell: store::Cell<'_>) -> Option<Self> {
        match Value::from_cell(cell)? {
            Value::Object(values) => Some(Self(values)),
            _ => None,
        }
    }
}

impl From<Metadata> for store::Value {
    fn from(metadata: Metadata) -> Self {
        Self::Json(Value::Object(metadata.0))
    }
}

/// A label on a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tag {
    /// What it says.
    #[schemars(example = &"urgent")]
    pub name: Text<50>,
    /// How it is shown, as a CSS colour.
    #[schemars(example = &TAG_COLOR)]
    pub color: Text<32>,
}

/// A label as it is read: its name alone will do.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
#[expect(dead_code, reason = "it only describes what is read")]
enum GivenTag {
    Name(#[schemars(transform = not_blank)] Text<50>),
    Whole {
        /// What it says.
        #[schemars(transform = not_blank)]
        name: Text<50>,
        /// How it is shown, as a CSS colour.
        #[schemars(default = "default_color")]
        color: Option<Text<32>>,
    },
}

fn not_blank(schema: &mut Schema) {
    let mut value = std::mem::take(schema).to_value();
    refuse_blank(&mut value);
    *schema = Schema::try_from(value).unwrap_or_default();
}

/// The colour of a tag that was given as a mere string.
const TAG_COLOR: &str = "#3b82f6";

/// The same, for the schema.
fn default_color() -> &'static str {
    TAG_COLOR
}

/// The labels of a record; a name is there once, whatever its case.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Tags(Vec<Tag>);

impl Tags {
    /// The labels, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Tag> {
        self.0.iter()
    }

    /// Adds a label; one of the same name keeps its place and takes the colour.
    fn add(&mut self, tag: Tag) {
        let key = tag.name.to_lowercase();
        match self.0.iter_mut().find(|old| old.name.to_lowercase() == key) {
            Some(old) => old.color = tag.color,
            None => self.0.push(tag),
        }
    }
}

impl FromJson for Tag {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        let (name, color) = match value {
            Value::String(_) => (Text::from_json(value)?, None),
            Value::Object(tag) => {
                let name = part(tag, "name")?
                    .ok_or_else(|| Flaw::new("must not be blank").inside(".name"))?;
                (Some(name), part(tag, "color")?)
            }
            other => {
                return Err(Flaw::new(format!(
                    "must be a string or an object with name and color, not {}",
                    kind_of(other)
                )));
            }
        };
        let default = Text::read(TAG_COLOR)?;
        Ok(name
            .zip(color.or(default))
            .map(|(name, color)| Self { name, color }))
    }
}

/// A part of a tag; null is the same as none.
fn part<const MAX: usize>(
    tag: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<Text<MAX>>, Flaw> {
    match tag.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => Text::from_json(value).map_err(|flaw| flaw.inside(format_args!(".{name}"))),
    }
}

impl FromJson for Tags {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        let given = Vec::<Tag>::from_json(value)?.unwrap_or_default();
        let mut tags = Self::default();
        given.into_iter().for_each(|tag| tags.add(tag));
        Ok(Some(tags))
    }

    fn from_null() -> Result<Self, Flaw> {
        Ok(Self::default())
    }
}

impl JsonSchema for Tags {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Tags".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = if generator.contract().is_serialize() {
            generator.subschema_for::<Tag>()
        } else {
            generator.subschema_for::<GivenTag>()
        };
        json_schema!({ "type": "array", "items": items })
    }
}

impl store::FromColumn for Tags {
    const EXPECTS: &'static str = "a list of tags";

    fn from_cell(cell: store::Cell<'_>) -> Option<Self> {
        let (store::Cell::Json(text) | store::Cell::Text(text)) = cell else {
            return None;
        };
        serde_json::from_str(text).map(Self).ok()
    }
}

impl From<Tags> for store::Value {
    fn from(tags: Tags) -> Self {
        let tags = tags
            .0
            .into_iter()
            .map(|tag| serde_json::json!({ "name": &*tag.name, "color": &*tag.color }));
        Self::Json(tags.collect())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn tags(given: Value) -> Value {
        serde_json::to_value(Tags::from_json(&given).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn a_tag_given_as_a_string_gets_the_default_colour() {
        assert_eq!(
            tags(
                json!([" VIP ", { "name": "hot", "color": "#f00" }, { "name": "cold", "color": null }])
            ),
            json!([
                { "name": "VIP", "color": "#3b82f6" },
                { "name": "hot", "color": "#f00" },
                { "name": "cold", "color": "#3b82f6" },
            ])
        );
    }

    #[test]
    fn a_tag_given_twice_is_one_with_the_last_colour_whatever_its_case() {
        assert_eq!(
            tags(json!([
                { "name": "Éclair", "color": "#1" }, "other",
                { "name": "éCLAIR", "color": "#2" }, { "name": "ÉCLAIR", "color": "#3" },
            ])),
            json!([{ "name": "Éclair", "color": "#3" }, { "name": "other", "color": "#3b82f6" }])
        );
    }

    #[test]
    fn what_is_no_tag_is_refused_with_its_place() {
        for (given, place) in [
            (json!(["ok", 7]), "[1]"),
            (json!(["ok", " "]), "[1]"),
            (json!([null]), "[0]"),
            (json!([{ "color": "#fff" }]), "[0].name"),
            (json!([{ "name": null }]), "[0].name"),
            (json!(["ok", { "name": " " }]), "[1].name"),
            (json!([{ "name": 1 }]), "[0].name"),
            (json!([{ "name": "a", "color": 1 }]), "[0].color"),
            (json!(["a".repeat(51)]), "[0]"),
            (json!([{ "name": "a".repeat(51) }]), "[0].name"),
            (json!("vip"), ""),
        ] {
            assert_eq!(Tags::from_json(&given).unwrap_err().path, place, "{given}");
        }
    }

    #[test]
    fn a_key_shaped_like_a_uuid_is_refused_at_the_root_alone() {
        let id = "0193d5e0-7a4b-7c3d-9e2f-1a2b3c4d5e6f";
        for key in [id.to_owned(), id.to_uppercase()] {
            let flaw = Metadata::from_json(&json!({ "size": 1, key.clone(): 2 })).unwrap_err();
            assert_eq!(flaw.path, format!(".{key}"));
        }
        let digest = id.replace('-', "");
        for kept in [
            json!({ "quick_links": { id: "x" }, "other": [{ id: 1 }] }),
            json!({ digest: "an MD5 looks so" }),
        ] {
            let read = Metadata::from_json(&kept).unwrap().unwrap();
            assert_eq!(serde_json::to_value(read).unwrap(), kept);
        }
    }

    #[test]
    fn null_empties_the_metadata_and_anything_else_than_an_object_is_refused() {
        assert!(Metadata::from_null().unwrap().values().is_empty());
        for given in [json!([]), json!("x"), json!(1), json!(true)] {
            assert!(Metadata::from_json(&given).is_err(), "{given}");
        }
    }

    #[test]
    fn what_an_engine_could_not_keep_is_refused_with_its_place() {
        for (given, place) in [
            (r#"{ "a": { "b": ["x", "\u0000"] } }"#, ".a.b[1]"),
            (r#"{ "a": { "b\u0000": 1 } }"#, ".a"),
            (r#"{ "a": 1e999 }"#, ".a"),
            (r#"{ "a": [1e-999] }"#, ".a[0]"),
        ] {
            let given: Value = serde_json::from_str(given).unwrap();
            assert_eq!(
                Metadata::from_json(&given).unwrap_err().path,
                place,
                "{given}"
            );
        }
    }
}
