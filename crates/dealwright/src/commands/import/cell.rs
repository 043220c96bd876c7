//! Cells as the files hold them, and the numbers, dates and truth values that
//! people write into them.

use jiff::civil;
use serde_json::Value as Json;

/// How many characters of a value a message quotes.
const QUOTED: usize = 80;

/// What a file holds in one place. A sheet knows types, a CSV file only texts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// A text, which may be blank.
    Text(String),
    /// A number, as JSON has it.
    Number(serde_json::Number),
    /// A truth value.
    Boolean(bool),
    /// A day, or an instant without a time zone.
    DateTime(civil::DateTime),
    /// Something that can't be read, and why.
    Flawed(String),
}

impl Cell {
    /// True when nothing is there.
    pub(super) fn is_blank(&self) -> bool {
        matches!(self, Self::Text(text) if text.trim().is_empty())
    }

    /// The cell as it is, without its surrounding space; `None` when it is blank.
    pub(super) fn plain(&self) -> Result<Option<Json>, String> {
        Ok(match self {
            Self::Text(text) => {
                let text = text.trim();
                (!text.is_empty()).then(|| text.into())
            }
            Self::Number(number) => Some(Json::Number(number.clone())),
            Self::Boolean(truth) => Some(Json::Bool(*truth)),
            Self::DateTime(at) if at.time() == civil::Time::midnight() => {
                Some(at.date().to_string().into())
            }
            Self::DateTime(at) => Some(at.to_string().into()),
            Self::Flawed(why) => return Err(why.clone()),
        })
    }
}

/// A value as a message quotes it: the beginning of it, if it is long.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Reads a number as people write it: `1234.5`, `1,234.50`, `-$1'054`. With a
/// comma as `decimal`, the point groups.
pub(super) fn parse_number(text: &str, decimal: char) -> Option<serde_json::Number> {
    let currency = ['$', '€', '£', '¥'];
    let text = text.trim();
    let (sign, text) = match text.strip_prefix(['-', '−']) {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let text = text.trim().trim_start_matches(currency);
    let text = text.trim_end_matches(currency).trim();
    let (whole, fraction) = match text.split_once(decimal) {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, Some(fraction)),
        Some(_) => return None,
        None => (text, None),
    };
    let whole = ungrouped(whole, decimal)?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(&whole) || !fraction.is_none_or(digits) {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        significant => significant,
    };
    let number = match fraction {
        Some(fraction) => format!("{sign}{whole}.{fraction}"),
        None => format!("{sign}{whole}"),
    };
    number.parse().ok()
}

/// Takes the signs out that group the digits by three.
fn ungrouped(whole: &str, decimal: char) -> Option<String> {
    let point = if decimal == ',' { '.' } else { ',' };
    let groups_by = [point, '\'', '’', ' ', '\u{a0}', '\u{202f}'];
    let Some(group) = whole.chars().find(|c| groups_by.contains(c)) else {
        return Some(whole.to_owned());
    };
    let mut groups = whole.split(group);
    let first = groups.next()?;
    let well_formed = (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3);
    well_formed.then(|| whole.replace(group, ""))
}

/// Reads a truth value.
pub(super) fn parse_boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" | "1" => Some(true),
        "false" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str, decimal: char) -> Option<String> {
        parse_number(text, decimal).map(|number| number.to_string())
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, read) in [
            ("1054", "1054"),
            (" 1054.50 ", "1054.50"),
            ("1,054", "1054"),
            ("1,234,567.8", "1234567.8"),
            ("-$1,054", "-1054"),
            ("1 054 €", "1054"),
            ("1'054", "1054"),
            ("+7", "7"),
            ("007", "7"),
            ("0", "0"),
            ("0.5", "0.5"),
        ] {
            assert_eq!(number(text, '.').as_deref(), Some(read), "{text}");
        }
        assert_eq!(number("1.054,50", ',').as_deref(), Some("1054.50"));
        assert_eq!(number("12,5", ',').as_deref(), Some("12.5"));
    }

    #[test]
    fn what_could_be_two_numbers_or_none_is_refused() {
        for text in [
            "", "-", "12,5", "1,05,4", "1.2.3", "1054.", ".5", "1e3", "ten", "1,054 5", "0x1f",
            "$", "--1", "NaN", "1,,054", "٣",
        ] {
            assert_eq!(number(text, '.'), None, "{text}");
        }
        assert_eq!(number("1054.5", ','), None);
    }

    #[test]
    fn of_a_long_value_a_message_quotes_the_beginning() {
        assert_eq!(quoted("3/1/2017"), "\"3/1/2017\"");
        let long = quoted(&"é".repeat(10_000));
        assert_eq!(long.chars().count(), QUOTED + 3);
    }

    #[test]
    fn truth_values_are_read_in_any_case() {
        assert_eq!(parse_boolean("Yes"), Some(true));
        assert_eq!(parse_boolean("0"), Some(false));
        assert_eq!(parse_boolean("maybe"), None);
    }

    #[test]
    fn a_day_is_written_without_its_midnight() {
        let day = civil::date(2017, 3, 1);
        let plain = |cell: Cell| cell.plain().expect("readable");
        assert_eq!(
            plain(Cell::DateTime(day.at(0, 0, 0, 0))),
            Some("2017-03-01".into())
        );
        assert_eq!(
            plain(Cell::DateTime(day.at(9, 30, 0, 0))),
            Some("2017-03-01T09:30:00".into())
        );
        assert_eq!(plain(Cell::Text("  ".to_owned())), None);
    }
}
