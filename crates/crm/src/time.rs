//! Instants and days as the wire writes them.

use std::borrow::Cow;
use std::time::Duration;

use jiff::civil;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::input::{Flaw, FromJson, kind_of};

/// An instant, to the millisecond: `2026-03-01T09:00:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

/// A day of the calendar: `2026-03-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(civil::Date);

/// A time of the day, to the minute: `09:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(civil::Time);

/// An instant that may be given as a day, which then means its start in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

const NOT_A_TIMESTAMP: &str = "must be an RFC 3339 timestamp such as 2026-03-01T09:00:00.000Z";
const NOT_A_DATE: &str = "must be a date such as 2026-03-01";
const NOT_A_TIME: &str = "must be a time of the day such as 09:30";
const NOT_A_MOMENT: &str = "must be a date such as 2026-03-01 or an RFC 3339 timestamp such as \
                            2026-03-01T09:00:00.000Z";

/// The years that four digits can write.
const YEARS: std::ops::RangeInclusive<i16> = 1..=9999;

impl Timestamp {
    /// The current instant of the machine's clock.
    pub fn now() -> Self {
        Self::from(jiff::Timestamp::now())
    }

    /// The instant at which `date` starts in `zone`; of the last days of the
    /// calendar, which start after the last instant there is, that one.
    pub fn start_of(date: Date, zone: &TimeZone) -> Self {
        Self::from(
            date.0
                .to_zoned_datetime(zone.clone())
                .map_or(jiff::Timestamp::MAX, |start| start.timestamp()),
        )
    }

    /// The day that it is in `zone`.
    pub fn date_in(self, zone: &TimeZone) -> Date {
        Date(self.0.to_zoned_datetime(zone.clone()).date())
    }

    /// The month that it is in UTC: `2026-03`.
    pub fn month(self) -> String {
        TimeZone::UTC
            .to_datetime(self.0)
            .strftime("%Y-%m")
            .to_string()
    }

    /// The instant that long before this one.
    pub fn before(self, duration: Duration) -> Self {
        self.0
            .checked_sub(duration)
            .map_or(Self(jiff::Timestamp::MIN), Self::from)
    }

    /// The instant as the calendar library has it.
    pub fn instant(self) -> jiff::Timestamp {
        self.0
    }

    /// Milliseconds since 1970.
    pub fn as_millisecond(self) -> i64 {
        self.0.as_millisecond()
    }

    /// Reads an RFC 3339 timestamp.
    ///
    /// # Errors
    /// It is none, or its year has not four digits.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        text.trim()
            .parse::<jiff::Timestamp>()
            .ok()
            .filter(|instant| YEARS.contains(&TimeZone::UTC.to_datetime(*instant).year()))
            .map(Self::from)
            .ok_or_else(|| Flaw::new(NOT_A_TIMESTAMP))
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(instant: jiff::Timestamp) -> Self {
        // Both engines keep milliseconds; what is answered at once is what
        // will be read later.
        Self(jiff::Timestamp::from_millisecond(instant.as_millisecond()).unwrap_or(instant))
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl Date {
    /// Reads `YYYY-MM-DD`.
    ///
    /// # Errors
    /// It has another form or is no day of the calendar.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let text = text.trim();
        (text.len() == 10)
            .then(|| text.parse::<civil::Date>().ok())
            .flatten()
            .filter(|date| YEARS.contains(&date.year()))
            .map(Self)
            .ok_or_else(|| Flaw::new(NOT_A_DATE))
    }

    /// The day as the calendar library has it.
    pub fn civil(self) -> civil::Date {
        self.0
    }
}

impl From<civil::Date> for Date {
    fn from(date: civil::Date) -> Self {
        Self(date)
    }
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl TimeOfDay {
    /// Reads `HH:MM`, as `HH:MM:00` too, which is how databases write it.
    ///
    /// # Errors
    /// It has another form or is no time of the day.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let text = text.trim();
        let minutes = match text.len() {
            8 => text.strip_suffix(":00").unwrap_or(text),
            _ => text,
        };
        civil::Time::strptime("%H:%M", minutes)
            .ok()
            .map(Self)
            .filter(|time| time.to_string() == minutes)
            .ok_or_else(|| Flaw::new(NOT_A_TIME))
    }
}

impl std::fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl store::FromColumn for TimeOfDay {
    const EXPECTS: &'static str = "a time of the day";

    fn from_cell(cell: store::Cell<'_>) -> Option<Self> {
        Self::parse(&String::from_cell(cell)?).ok()
    }
}

impl From<TimeOfDay> for store::Value {
    fn from(time: TimeOfDay) -> Self {
        Self::Text(time.to_string())
    }
}

macro_rules! written_as_text {
    ($type:ident, $format:literal, $example:literal, $expected:ident, $parse:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl store::FromColumn for $type {
            const EXPECTS: &'static str = $format;

            fn from_cell(cell: store::Cell<'_>) -> Option<Self> {
                store::FromColumn::from_cell(cell).map(Self)
            }
        }

        impl From<$type> for store::Value {
            fn from(value: $type) -> Self {
                value.0.into()
            }
        }

        read_from_text!($type, $expected, $parse, {
            "type": "string", "format": $format, "examples": [$example]
        });
    };
}

macro_rules! read_from_text {
    ($type:ident, $expected:ident, $parse:expr, $schema:tt) => {
        impl FromJson for $type {
            fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
                match value {
                    Value::String(text) if text.trim().is_empty() => Ok(None),
                    Value::String(text) => $parse(text).map(Some),
                    other => Err(Flaw::new(format!("{}, not {}", $expected, kind_of(other)))),
                }
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

written_as_text!(
    Timestamp,
    "date-time",
    "2026-03-01T09:00:00.000Z",
    NOT_A_TIMESTAMP,
    Timestamp::parse
);
written_as_text!(Date, "date", "2026-03-01", NOT_A_DATE, Date::parse);
read_from_text!(TimeOfDay, NOT_A_TIME, TimeOfDay::parse, {
    "type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$", "examples": ["09:30"]
});
read_from_text!(Moment, NOT_A_MOMENT, Moment::parse, {
    "anyOf": [{ "type": "string", "format": "date" }, { "type": "string", "format": "date-time" }],
    "examples": ["2026-03-01"]
});

impl Moment {
    fn parse(text: &str) -> Result<Self, Flaw> {
        Date::parse(text)
            .map(|date| Timestamp::start_of(date, &TimeZone::UTC))
            .or_else(|_| Timestamp::parse(text))
            .map(Self)
            .map_err(|_| Flaw::new(NOT_A_MOMENT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_day_has_hours_and_minutes() {
        for (text, time) in [
            ("09:30", Some("09:30")),
            (" 23:59 ", Some("23:59")),
            ("00:00:00", Some("00:00")),
            ("09:30:30", None),
            ("24:00", None),
            ("9:30", None),
            ("09:60", None),
            ("09.30", None),
            ("", None),
            ("٠٩:٣٠", None),
        ] {
            let read = TimeOfDay::parse(text).ok().map(|time| time.to_string());
            assert_eq!(read.as_deref(), time, "{text}");
        }
    }
}
