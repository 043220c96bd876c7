//! What can be bound to a statement.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

/// A value bound to a `$n` parameter.
///
/// Each engine stores it in its own way; what a column is declared as must
/// agree with it:
///
/// | value       | SQLite                          | PostgreSQL                   |
/// | ----------- | ------------------------------- | ---------------------------- |
/// | `Bool`      | `integer`, 0 or 1               | `boolean`                    |
/// | `Int`       | `integer`                       | `bigint`, `int`, `smallint`  |
/// | `Text`      | `text`                          | `text`, `varchar`            |
/// | `Uuid`      | `blob`, 16 bytes                | `uuid`                       |
/// | `Timestamp` | `integer`, ms since the epoch   | `timestamptz`                |
/// | `Date`      | `text`, `YYYY-MM-DD`            | `date`                       |
/// | `Json`      | `text`                          | `jsonb`                      |
/// | `Bytes`     | `blob`                          | `bytea`                      |
///
/// An instant is kept to the millisecond on both engines; what is finer is cut
/// off. Text and JSON must not contain U+0000, and dates and instants must lie
/// in the years 0 to 9999: PostgreSQL can't store the others, and SQLite could
/// not sort them. Either is [`Error::Encode`](crate::Error::Encode) on both engines.
///
/// `Debug` shows the kind and the size of a value, never what it says, so that
/// it can stand in a log.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// SQL `null`, of any type.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer of any width.
    Int(i64),
    /// Text; also accepted for a JSON column, as JSON source text.
    Text(String),
    /// An id.
    Uuid(Uuid),
    /// An instant, to the millisecond.
    Timestamp(Timestamp),
    /// A calendar day.
    Date(Date),
    /// A JSON document.
    Json(serde_json::Value),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list of ids, for [`Engine::any`](crate::Engine::any).
    Uuids(Vec<Uuid>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bool(_) => f.write_str("Bool"),
            Self::Int(_) => f.write_str("Int"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Uuid(_) => f.write_str("Uuid"),
            Self::Timestamp(_) => f.write_str("Timestamp"),
            Self::Date(_) => f.write_str("Date"),
            Self::Json(_) => f.write_str("Json"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Uuids(ids) => write!(f, "Uuids({})", ids.len()),
        }
    }
}

/// The first second of the year 0.
const YEAR_0: i64 = -62_167_219_200;

impl Value {
    /// What neither engine may be given although one of them would take it.
    pub(crate) fn unstorable(&self) -> Option<&'static str> {
        match self {
            Self::Text(text) if text.contains('\0') => Some("text contains U+0000"),
            Self::Json(json) if json_has_nul(json) => Some("JSON contains U+0000"),
            Self::Date(date) if date.year() < 0 => Some("a date before the year 0"),
            Self::Timestamp(instant) if instant.as_second() < YEAR_0 => {
                Some("an instant before the year 0")
            }
            _ => None,
        }
    }
}

fn json_has_nul(json: &serde_json::Value) -> bool {
    match json {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(items) => items.iter().any(json_has_nul),
        serde_json::Value::Object(members) => members
            .iter()
            .any(|(name, value)| name.contains('\0') || json_has_nul(value)),
        _ => false,
    }
}

macro_rules! from {
    ($($from:ty => |$value:ident| $make:expr),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $make
            }
        })*
    };
}

from! {
    bool => |value| Self::Bool(value),
    i64 => |value| Self::Int(value),
    i32 => |value| Self::Int(value.into()),
    u32 => |value| Self::Int(value.into()),
    &str => |value| Self::Text(value.to_owned()),
    &String => |value| Self::Text(value.clone()),
    String => |value| Self::Text(value),
    Uuid => |value| Self::Uuid(value),
    Timestamp => |value| Self::Timestamp(value),
    Date => |value| Self::Date(value),
    serde_json::Value => |value| Self::Json(value),
    Vec<u8> => |value| Self::Bytes(value),
    &[u8] => |value| Self::Bytes(value.to_vec()),
    Vec<Uuid> => |value| Self::Uuids(value),
    &[Uuid] => |value| Self::Uuids(value.to_vec()),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The values of a statement's parameters, `$1` first, as an array of
/// [`Value`]: `db.query("… where id = $1 and open = $2", &params![id, true], …)`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        [$($crate::Value::from($value)),*] as [$crate::Value; _]
    };
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_value_in_a_log_does_not_tell_what_it_says() {
        let shown = format!("{:?}", params!["ada@example.com", 42_i64, Uuid::max()]);
        assert_eq!(shown, "[Text(15 bytes), Int, Uuid]");
    }

    #[test]
    fn nothing_with_a_nul_character_is_storable() {
        let json = serde_json::json!({"a": [{"b\0": 1}]});
        assert!(Value::from(json).unstorable().is_some());
        assert!(Value::from("a\0b").unstorable().is_some());
        assert!(Value::from("a\\u0000b").unstorable().is_none());
    }

    #[test]
    fn the_year_0_is_the_first_that_is_storable() {
        let first: Timestamp = "0000-01-01T00:00:00Z".parse().unwrap();
        assert!(Value::from(first).unstorable().is_none());
        assert!(
            Value::from(first - jiff::SignedDuration::from_secs(1))
                .unstorable()
                .is_some()
        );
        assert!(Value::from(Date::MIN).unstorable().is_some());
        assert!(params![].is_empty());
    }
}
