//! What a key may do.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::input::{Flaw, FromJson};

/// Every scope there is. A set of them is stored by name, so the order may
/// change; there is room for 128.
pub const SCOPES: &[&str] = &[
    "opportunities:read",
    "opportunities:write",
    "opportunities:delete",
    "contacts:read",
    "contacts:write",
    "contacts:delete",
    "companies:read",
    "companies:write",
    "companies:delete",
    "pipelines:read",
    "pipelines:write",
    "products:read",
    "products:write",
    "activities:read",
    "activities:write",
    "tasks:read",
    "tasks:write",
    "work-orders:read",
    "work-orders:write",
    "files:read",
    "files:write",
    "documents:read",
    "documents:write",
    "spreadsheets:read",
    "spreadsheets:write",
    "spreadsheets:delete",
    "forms:read",
    "forms:write",
    "invoices:read",
    "invoices:write",
    "referrals:read",
    "referrals:write",
    "referrals:delete",
    "automations:read",
    "automations:write",
    "automations:trigger",
    "webhooks:read",
    "webhooks:write",
    "users:read",
    "users:write",
    "company:read",
    "company:write",
    "api-keys:read",
    "api-keys:write",
    "crm_audit:read",
];

/// Stands for every scope, also those that are added later.
const EVERYTHING: &str = "*";

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u128);

impl Scopes {
    /// Every scope, as `*` grants it.
    pub const fn all() -> Self {
        Self(u128::MAX)
    }

    /// Adds a scope by its name, by an old name of it, or by `*`.
    ///
    /// # Errors
    /// There is no such scope.
    pub fn add(&mut self, name: &str) -> Result<(), Flaw> {
        if name == EVERYTHING {
            *self = Self::all();
            return Ok(());
        }
        let name = canonical(name);
        match SCOPES.iter().position(|scope| *scope == name) {
            Some(index) => {
                self.0 |= 1 << index;
                Ok(())
            }
            None => Err(Flaw::new(format!(
                "must be one of *, {}",
                SCOPES.join(", ")
            ))),
        }
    }

    /// The set of the scopes named.
    ///
    /// # Errors
    /// One of them does not exist.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Flaw> {
        let mut scopes = Self::default();
        for (index, name) in names.into_iter().enumerate() {
            scopes
                .add(name.trim())
                .map_err(|flaw| flaw.inside(format_args!("[{index}]")))?;
        }
        Ok(scopes)
    }

    /// True when every scope of `needed` is in the set.
    pub const fn contains(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }

    /// True when the scope of that name is in the set.
    pub fn has(self, name: &str) -> bool {
        Self::of([name]).is_ok_and(|needed| self.contains(needed))
    }

    /// The scopes of `self` that `held` lacks.
    pub const fn without(self, held: Self) -> Self {
        Self(self.0 & !held.0)
    }

    /// True when there is none in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names, in the order of [`SCOPES`]; `*` alone for the whole.
    pub fn names(self) -> Vec<&'static str> {
        if self == Self::all() {
            return vec![EVERYTHING];
        }
        SCOPES
            .iter()
            .enumerate()
            .filter(|(index, _)| self.0 & (1 << index) != 0)
            .map(|(_, name)| *name)
            .collect()
    }
}

/// The families of scopes that have an old name: today's, and the old one.
const OLD_FAMILIES: [(&str, &str); 2] = [("opportunities", "deals"), ("companies", "customers")];

/// The name that a scope has today.
fn canonical(name: &str) -> Cow<'_, str> {
    let renamed = name.split_once(':').and_then(|(family, verb)| {
        let (today, _) = OLD_FAMILIES.iter().find(|(_, old)| *old == family)?;
        Some(format!("{today}:{verb}").into())
    });
    renamed.unwrap_or_else(|| name.into())
}

/// The old names of the scopes that have one.
fn old_names() -> impl Iterator<Item = String> {
    SCOPES.iter().filter_map(|name| {
        let (family, verb) = name.split_once(':')?;
        let (_, old) = OLD_FAMILIES.iter().find(|(today, _)| *today == family)?;
        Some(format!("{old}:{verb}"))
    })
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl FromJson for Scopes {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        let names = value
            .as_array()
            .and_then(|names| names.iter().map(Value::as_str).collect::<Option<Vec<_>>>())
            .ok_or_else(|| Flaw::new("must be a list of scope names"))?;
        if names.is_empty() {
            return Err(Flaw::new("must name at least one scope"));
        }
        Self::of(names).map(Some)
    }
}

impl JsonSchema for Scopes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scopes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names = std::iter::once(EVERYTHING).chain(SCOPES.iter().copied());
        let items = if generator.contract().is_serialize() {
            // Scopes will be added: a client need not know all that it is shown.
            json_schema!({ "type": "string", "examples": names.collect::<Vec<_>>() })
        } else {
            let names: Vec<_> = names.map(str::to_owned).chain(old_names()).collect();
            json_schema!({ "type": "string", "enum": names })
        };
        json_schema!({ "type": "array", "minItems": 1, "items": items })
    }
}

impl store::FromColumn for Scopes {
    const EXPECTS: &'static str = "a list of scopes";

    fn from_cell(cell: store::Cell<'_>) -> Option<Self> {
        let names = Value::from_cell(cell)?;
        Self::of(names.as_array()?.iter().filter_map(Value::as_str)).ok()
    }
}

impl From<Scopes> for store::Value {
    fn from(scopes: Scopes) -> Self {
        Self::Json(scopes.names().into())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn an_old_name_of_a_scope_is_the_scope() {
        let old = Scopes::of(["deals:write", "customers:delete"]).unwrap();
        assert_eq!(old.names(), ["opportunities:write", "companies:delete"]);
        let held = Scopes::of(["opportunities:read"]).unwrap();
        assert!(held.has("deals:read") && !held.has("deals:write") && !held.has("nothing"));
    }

    #[test]
    fn a_star_is_every_scope_and_all_named_scopes_are_no_star() {
        let star = Scopes::of(["*", "tasks:read"]).unwrap();
        assert_eq!(star.names(), ["*"]);
        assert!(SCOPES.iter().all(|scope| star.has(scope)));
        let named = Scopes::of(SCOPES.iter().copied()).unwrap();
        assert!(!named.contains(star) && star.contains(named));
    }

    #[test]
    fn an_unknown_scope_is_refused_with_its_place_and_so_is_none() {
        let flaw = Scopes::from_json(&json!(["tasks:read", "tasks:delete"])).unwrap_err();
        assert_eq!(flaw.path, "[1]");
        assert!(flaw.message.contains("tasks:write"));
        for given in [json!([]), json!("*"), json!([1])] {
            assert!(Scopes::from_json(&given).is_err(), "{given}");
        }
    }
}
