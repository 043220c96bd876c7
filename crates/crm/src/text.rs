//! Texts with their lengths, and the closed lists of words.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::input::{Flaw, FromJson, kind_of};

/// A line of text: trimmed, at most `MAX` characters; blank counts as absent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(String);

/// The name of something: 1 to 255 characters.
pub type Name = Text<255>;

/// The longest note that is kept, in characters.
pub const NOTES_MAX: usize = 100_000;

/// A text of many lines, kept as it was typed, at most `MAX` characters;
/// blank counts as absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LongText<const MAX: usize>(String);

/// Notes on a record.
pub type Notes = LongText<NOTES_MAX>;

fn text_of(value: &Value, max: usize) -> Result<&str, Flaw> {
    let Value::String(text) = value else {
        return Err(Flaw::new(format!(
            "must be a string, not {}",
            kind_of(value)
        )));
    };
    check_text(text, max)?;
    Ok(text)
}

fn check_text(text: &str, max: usize) -> Result<(), Flaw> {
    // A character is at least one byte, so most texts need no counting.
    if text.len() > max && text.trim().chars().count() > max {
        return Err(Flaw::new(format!("must be at most {max} characters long")));
    }
    refuse_nul(text)
}

/// Refuses the one character that PostgreSQL can't keep.
pub(crate) fn refuse_nul(text: &str) -> Result<(), Flaw> {
    if text.contains('\0') {
        return Err(Flaw::new("must not contain the NUL character"));
    }
    Ok(())
}

macro_rules! text_type {
    ($type:ident, $read:expr) => {
        impl<const MAX: usize> $type<MAX> {
            /// Reads a text as a request's field would be.
            ///
            /// # Errors
            /// It is too long or contains NUL.
            pub fn read(text: &str) -> Result<Option<Self>, Flaw> {
                check_text(text, MAX)?;
                let read: fn(&str) -> &str = $read;
                Ok((!text.trim().is_empty()).then(|| Self(read(text).to_owned())))
            }

            /// The text itself.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl<const MAX: usize> FromJson for $type<MAX> {
            fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
                Self::read(text_of(value, MAX)?)
            }
        }

        impl<const MAX: usize> Deref for $type<MAX> {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl<const MAX: usize> std::fmt::Display for $type<MAX> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<const MAX: usize> JsonSchema for $type<MAX> {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                concat!("a ", stringify!($type)).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "maxLength": MAX })
            }
        }

        impl<const MAX: usize> store::FromColumn for $type<MAX> {
            const EXPECTS: &'static str = "text";

            fn from_cell(cell: store::Cell<'_>) -> Option<Self> {
                String::from_cell(cell).map(Self)
            }
        }

        impl<const MAX: usize> From<$type<MAX>> for store::Value {
            fn from(text: $type<MAX>) -> Self {
                Self::Text(text.0)
            }
        }
    };
}

text_type!(Text, str::trim);
text_type!(LongText, |text| text);

/// Makes one list of the words of a schema that has each with its meaning, which
/// most tools don't take for a list; the meanings go to the description.
pub fn list(schema: &mut Schema) {
    let Some(Value::Array(choices)) = schema.remove("oneOf") else {
        return;
    };
    let words: Value = choices
        .iter()
        .map(|choice| choice["const"].clone())
        .collect();
    let mut description = schema
        .get("description")
        .and_then(Value::as_str)
        .map_or_else(String::new, |description| format!("{description}\n"));
    for choice in &choices {
        if let (Value::String(word), Value::String(meaning)) =
            (&choice["const"], &choice["description"])
        {
            // Writing into a String can't fail.
            let _ = write!(description, "\n- `{word}`: {meaning}");
        }
    }
    schema.insert("type".to_owned(), "string".into());
    schema.insert("enum".to_owned(), words);
    schema.insert("description".to_owned(), description.into());
}

/// Declares a closed list of words: an enum that is one of the given texts on
/// the wire and in the database.
#[macro_export]
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$word_meta:meta])* $variant:ident = $word:literal ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash,
            serde::Serialize, schemars::JsonSchema,
        )]
        #[schemars(transform = $crate::text::list)]
        pub enum $name {
            $( $(#[$word_meta])* #[serde(rename = $word)] $variant, )*
        }

        impl $name {
            /// Every word, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$( Self::$variant ),*];

            /// The word itself.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::input::Flaw;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $( $word => Ok(Self::$variant), )*
                    _ => Err($crate::input::Flaw::new(
                        concat!("must be one of ", $crate::words!(@list $($word),*))
                    )),
                }
            }
        }

        impl $crate::input::FromJson for $name {
            fn from_json(
                value: &serde_json::Value,
            ) -> Result<Option<Self>, $crate::input::Flaw> {
                match value {
                    serde_json::Value::String(text) if text.trim().is_empty() => Ok(None),
                    serde_json::Value::String(text) => text.parse().map(Some),
                    _ => Err($crate::input::Flaw::new(
                        concat!("must be one of ", $crate::words!(@list $($word),*))
                    )),
                }
            }
        }

        impl store::FromColumn for $name {
            const EXPECTS: &'static str = concat!("one of ", $crate::words!(@list $($word),*));

            fn from_cell(cell: store::Cell<'_>) -> Option<Self> {
                String::from_cell(cell)?.parse().ok()
            }
        }

        impl From<$name> for store::Value {
            fn from(word: $name) -> Self {
                Self::Text(word.as_str().to_owned())
            }
        }
    };
    (@list $first:literal $(, $rest:literal)*) => {
        concat!($first $(, ", ", $rest)*)
    };
}
