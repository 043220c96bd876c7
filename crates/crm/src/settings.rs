//! What a workspace offers to choose from: sources, reasons, custom fields.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value};
use store::{Db, Tx};

use crate::caller::Caller;
use crate::error::Result;
use crate::input::{FieldDescription, Fields, Flaw, FromJson, Input, kind_of, schema_of};
use crate::metadata::{Tags, check_storable};
use crate::text::Text;

/// A list whose entries the clients shape.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Entries(Vec<Value>);

impl FromJson for Entries {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        let Value::Array(entries) = value else {
            return Err(Flaw::new(format!("must be a list, not {}", kind_of(value))));
        };
        check_storable(value)?;
        Ok(Some(Self(entries.clone())))
    }
}

impl JsonSchema for Entries {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Entries".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": {} })
    }
}

crate::input! {
    /// The custom fields of each kind of record.
    #[derive(Default, Serialize)]
    pub struct CustomFields {
        /// Those of opportunities.
        defaulted deal: Entries,
        /// Those of companies.
        defaulted account: Entries,
        /// Those of contacts.
        defaulted contact: Entries,
    }
}

impl JsonSchema for CustomFields {
    fn schema_name() -> Cow<'static, str> {
        "CustomFields".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut fields = Vec::new();
        Self::describe(generator, &mut fields);
        let answered = generator.contract().is_serialize();
        for field in &mut fields {
            // Each is answered as a list, and may be asked for as null.
            field.required = answered;
            field.nullable = !answered;
        }
        let mut schema = schema_of(&fields);
        // What another kind would hold is not passed over: it would be lost.
        schema.insert("additionalProperties".to_owned(), false.into());
        schema
    }
}

impl FromJson for CustomFields {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        let Value::Object(object) = value else {
            return Err(Flaw::new(format!(
                "must be an object with deal, account and contact, not {}",
                kind_of(value)
            )));
        };
        match Self::from_object(object.clone()) {
            Ok((fields, unknown)) => match unknown.first() {
                None => Ok(Some(fields)),
                Some(name) => Err(Flaw::new("is none of deal, account and contact")
                    .inside(format_args!(".{name}"))),
            },
            Err(error) => Err(Flaw::new(format!("is not valid: {error}"))),
        }
    }
}

/// The choices of a list, each once.
type Choices = Vec<Text<255>>;

crate::input! {
    /// A workspace's settings.
    #[derive(Default, Serialize, JsonSchema)]
    pub struct Settings {
        /// Where opportunities come from.
        defaulted lead_sources: Choices = ["Trade fair", "Web"],
        /// Why opportunities are won.
        defaulted won_reasons: Choices,
        /// Why opportunities are lost.
        defaulted lost_reasons: Choices = ["Price"],
        /// What kinds of opportunities there are.
        defaulted opportunity_type_options: Choices,
        /// What kinds of referrals there are.
        defaulted referral_categories: Choices,
        /// The custom fields of each kind of record.
        defaulted custom_fields: CustomFields,
        /// Links that are shown beside a record.
        defaulted quick_links: Entries,
        /// The tags that are offered.
        defaulted tag_palette: Tags = [{ "name": "urgent", "color": "#3b82f6" }],
    }
}

impl Settings {
    /// As it is stored and answered.
    pub fn to_json(&self) -> Value {
        // Lists and texts only: nothing that JSON could not write.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The caller's settings.
pub fn get(db: &Db<'_>, who: &Caller) -> Result<Settings> {
    read(stored(db, who, "")?)
}

/// What changes of the settings: the keys that are given, each as it was sent.
#[derive(Debug, Clone)]
pub struct SettingsUpdate(Map<String, Value>);

impl Input for SettingsUpdate {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.verbatim::<Settings>().map(Self)
    }

    fn describe(generator: &mut SchemaGenerator, into: &mut Vec<FieldDescription>) {
        Settings::describe(generator, into);
    }
}

/// Changes the keys that are given and leaves the others; within
/// `custom_fields` likewise. A key that is null goes back to being empty.
pub fn update(tx: &mut Tx<'_>, who: &Caller, changes: SettingsUpdate) -> Result<Settings> {
    let mut merged = stored(tx, who, tx.engine().for_update())?;
    merge(&mut merged, changes.0);
    let settings = read(merged)?;
    tx.execute(
        "update workspaces set settings = $2, updated_at = $3 where id = $1",
        &store::params![who.workspace_id, settings.to_json(), who.now],
    )?;
    Ok(settings)
}

fn merge(into: &mut Map<String, Value>, changes: Map<String, Value>) {
    for (key, value) in changes {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn stored(db: &Db<'_>, who: &Caller, lock: &str) -> Result<Map<String, Value>> {
    let settings = db.query_one(
        &format!("select settings from workspaces where id = $1{lock}"),
        &store::params![who.workspace_id],
        |row| row.get::<Value>(0),
    )?;
    match settings {
        Value::Object(settings) => Ok(settings),
        _ => Ok(Map::new()),
    }
}

fn read(stored: Map<String, Value>) -> Result<Settings> {
    Settings::from_object(stored).map(|(settings, _)| settings)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::testing::{given, refused};

    on_both_engines! {
        fn a_patch_merges_key_by_key_and_null_empties_a_key(tx, desk) {
            let change = |tx: &mut Tx<'_>, body| update(tx, &desk.who, given(body));
            change(tx, json!({
                "lead_sources": ["Web", " Fair "], "won_reasons": ["Price"],
                "custom_fields": { "deal": [{ "key": "size" }], "contact": [1] },
            }))?;
            let changed = change(tx, json!({
                "won_reasons": null, "tag_palette": ["vip"], "custom_fields": { "contact": [2, 3] },
            }))?;
            let expected = json!({
                "lead_sources": ["Web", "Fair"], "won_reasons": [], "lost_reasons": [],
                "opportunity_type_options": [], "referral_categories": [], "quick_links": [],
                "custom_fields": { "deal": [{ "key": "size" }], "account": [], "contact": [2, 3] },
                "tag_palette": [{ "name": "vip", "color": "#3b82f6" }],
            });
            assert_eq!(changed.to_json(), expected);
            assert_eq!(get(tx, &desk.who)?.to_json(), expected);
            assert_eq!(get(tx, &desk.stranger)?.to_json(), Settings::default().to_json());
        }
    }

    #[test]
    fn what_is_no_setting_is_refused_by_its_name() {
        for (body, field) in [
            (json!({ "lead_sources": "Web" }), "lead_sources"),
            (json!({ "lead_sources": ["Web", 1] }), "lead_sources[1]"),
            (
                json!({ "custom_fields": { "deals": [] } }),
                "custom_fields.deals",
            ),
        ] {
            assert_eq!(refused::<SettingsUpdate>(body).invalid[0].field, field);
        }
        let problems = refused::<SettingsUpdate>(json!({ "custom_fields": { "deal": {} } }));
        assert!(problems.invalid[0].field.starts_with("custom_fields"));
        assert_eq!(Settings::default().to_json().as_object().unwrap().len(), 8);
    }
}
