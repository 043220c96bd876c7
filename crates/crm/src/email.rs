//! E-mail addresses.

use std::borrow::Cow;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

use crate::input::{Flaw, FromJson};
use crate::text::Text;

/// An e-mail address, as it was typed. Whether it exists only mail can tell;
/// what is refused could not be one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// The longest address that mail servers pass on, in characters.
    const MAX: usize = 254;

    /// Reads an address; blank counts as absent.
    ///
    /// # Errors
    /// It could not be one.
    pub fn read(text: &str) -> Result<Option<Self>, Flaw> {
        let Some(text) = Text::<{ Self::MAX }>::read(text)? else {
            return Ok(None);
        };
        let well_formed = text.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty()
                && !host.contains('@')
                && host.split('.').all(|label| !label.is_empty())
        });
        let stray = |c: char| c.is_whitespace() || c.is_control() || "<>(),;:\"\\".contains(c);
        if !well_formed || text.contains(stray) {
            return Err(Flaw::new(
                "must be an e-mail address such as ada@example.com",
            ));
        }
        Ok(Some(Self(text.into_string())))
    }
}

impl Deref for Email {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl FromJson for Email {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        Text::<{ Self::MAX }>::from_json(value)?.map_or(Ok(None), |text| Self::read(&text))
    }
}

impl JsonSchema for Email {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Email".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "email", "maxLength": Self::MAX, "examples": ["ada@example.com"] })
    }
}

impl store::FromColumn for Email {
    const EXPECTS: &'static str = "an e-mail address";

    fn from_cell(cell: store::Cell<'_>) -> Option<Self> {
        String::from_cell(cell).map(Self)
    }
}

impl From<Email> for store::Value {
    fn from(email: Email) -> Self {
        Self::Text(email.0)
    }
}
