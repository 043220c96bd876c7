//! Phone numbers: checked, and kept in E.164.
//!
//! A number typed without its country is read as one of the workspace's
//! region. What is kept is `+`, country code and national number: no spaces,
//! no trunk zero, no extension.

use std::borrow::Cow;
use std::ops::Deref;

use phonenumber::country::Id;
use phonenumber::metadata::DATABASE;
use phonenumber::{Metadata, Mode, PhoneNumber};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

use crate::error::Problems;
use crate::fold::decimal_digit;
use crate::input::{Flaw, FromJson, Patch};
use crate::text::Text;

/// The longest text that is looked at. The longest real number, with its
/// international prefix and generous punctuation, is half of it.
const MAX_TEXT: usize = 64;

/// A phone number: in an answer in E.164; in a request as it was typed, which
/// only with the workspace's country is known to be one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Phone(Text<MAX_TEXT>);

impl Deref for Phone {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl FromJson for Phone {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        Ok(Text::from_json(value)?.map(Self))
    }
}

impl JsonSchema for Phone {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Phone".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "format": "phone", "maxLength": MAX_TEXT, "examples": ["+61412345678"]
        })
    }
}

impl store::FromColumn for Phone {
    const EXPECTS: &'static str = "a phone number";

    fn from_cell(cell: store::Cell<'_>) -> Option<Self> {
        Text::from_cell(cell).map(Self)
    }
}

impl From<Phone> for store::Value {
    fn from(phone: Phone) -> Self {
        phone.0.into()
    }
}

/// The country in which numbers without a country code are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region(Option<Id>);

impl Region {
    /// The region of an ISO 3166 country code such as `AU`. With a code that
    /// is unknown, only numbers that begin with `+` can be read.
    pub fn of_country(code: &str) -> Region {
        let known = code.trim().to_ascii_uppercase().parse().ok();
        Region(known.filter(|id: &Id| DATABASE.by_id(id.as_ref()).is_some()))
    }

    /// True when its numbers are known.
    pub fn is_known(self) -> bool {
        self.0.is_some()
    }

    /// The numbering plan of the region.
    pub(crate) fn plan(self) -> Option<&'static Metadata> {
        DATABASE.by_id(self.0?.as_ref())
    }

    /// Country code and number, where these digits begin as calls from the
    /// region to another country do, or with the `00` of most of the world.
    pub(crate) fn dialled_abroad(self, digits: &str) -> Option<&str> {
        self.plan()
            .and_then(|plan| plan.international_prefix()?.find(digits))
            .filter(|prefix| prefix.start() == 0)
            .map(|prefix| &digits[prefix.end()..])
            .or_else(|| digits.strip_prefix("00"))
            .filter(|rest| !rest.is_empty())
    }

    /// A mobile number of this region as someone there would be given it.
    fn mobile_example(self) -> String {
        self.example(|plan| plan.mobile()?.example())
            .unwrap_or_else(|| "+61 412 345 678".to_owned())
    }

    fn landline_example(self) -> String {
        self.example(|plan| plan.fixed_line()?.example())
            .unwrap_or_else(|| "+61 2 9876 5432".to_owned())
    }

    fn example(
        self,
        pick: fn(&'static phonenumber::metadata::Descriptors) -> Option<&'static str>,
    ) -> Option<String> {
        let plan = self.plan()?;
        let national = pick(plan.descriptors())?;
        let number =
            phonenumber::parse(None, format!("+{}{national}", plan.country_code())).ok()?;
        Some(number.format().mode(Mode::International).to_string())
    }
}

/// Why a text was not accepted as a phone number. Its display form says what
/// is wrong; [`PhoneProblem::fix`] says what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneProblem {
    /// It has letters or signs that no number has, or hardly any digits.
    #[error("is not a phone number")]
    NotANumber {
        /// A number that would be accepted.
        example: String,
    },
    /// It has no country code, and the workspace's region is not known.
    #[error("has no country code, and the workspace has no country to read it in")]
    NoCountryCode {
        /// A number that would be accepted.
        example: String,
    },
    /// It looks like a number, but nobody can have it: too short, too long,
    /// or from a range that is not in use.
    #[error("is not a valid phone number")]
    Invalid {
        /// A number that would be accepted.
        example: String,
    },
    /// It is certainly a fixed line, where a mobile number belongs.
    #[error("is a fixed line, not a mobile number")]
    FixedLine {
        /// The number itself in E.164, as `landline` would keep it.
        number: String,
    },
}

impl PhoneProblem {
    /// What to send instead.
    pub fn fix(&self) -> String {
        match self {
            PhoneProblem::NotANumber { example } => format!(
                "Send digits with an optional leading '+', for example '{example}', \
                 and no extension or remark."
            ),
            PhoneProblem::NoCountryCode { example } => format!(
                "Begin with '+' and the country code, for example '{example}', \
                 or set the workspace's 'country'."
            ),
            PhoneProblem::Invalid { example } => format!(
                "Check the digits and include the area code, or begin with '+' and the \
                 country code, for example '{example}'."
            ),
            PhoneProblem::FixedLine { number } => {
                format!("Send '{number}' as 'landline': 'phone' is for mobile numbers.")
            }
        }
    }
}

/// Reads what belongs in `phone`: any valid number except one that is
/// certainly a fixed line. Where a plan does not tell the two apart, as in
/// North America, the number is accepted.
pub fn mobile_or_any(text: &str, region: Region) -> Result<String, PhoneProblem> {
    let number = read(text, region, Region::mobile_example)?;
    let e164 = number.format().mode(Mode::E164).to_string();
    if is_certainly_fixed_line(&number) {
        return Err(PhoneProblem::FixedLine { number: e164 });
    }
    Ok(e164)
}

/// Reads what belongs in `landline`: any valid number.
pub fn any_number(text: &str, region: Region) -> Result<String, PhoneProblem> {
    let number = read(text, region, Region::landline_example)?;
    Ok(number.format().mode(Mode::E164).to_string())
}

fn read(
    text: &str,
    region: Region,
    example: fn(Region) -> String,
) -> Result<PhoneNumber, PhoneProblem> {
    let Some(dialled) = dialled(text) else {
        return Err(PhoneProblem::NotANumber {
            example: example(region),
        });
    };
    // With a region, the parser would take that region's trunk prefix off a
    // number of any country, so a number that names its country goes alone.
    let parsed = if dialled.starts_with('+') {
        phonenumber::parse(None, &dialled)
    } else if let Some(abroad) = region.dialled_abroad(&dialled) {
        phonenumber::parse(None, format!("+{abroad}"))
    } else if region.0.is_some() {
        phonenumber::parse(region.0, &dialled)
    } else {
        return Err(PhoneProblem::NoCountryCode {
            example: example(region),
        });
    };
    parsed
        .ok()
        .filter(PhoneNumber::is_valid)
        .ok_or_else(|| PhoneProblem::Invalid {
            example: example(region),
        })
}

/// Only what is dialled: an optional `+` and ASCII digits. The number parser
/// gets nothing else: it would take `0412 345 678 or ask Kim` for a number,
/// and letters for the digits on their keys.
fn dialled(text: &str) -> Option<String> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let text = text.trim();
    let text = text.strip_prefix("tel:").unwrap_or(text);
    // `+61 (0)412 …`: the zero is for callers within the country.
    let text = text.replacen("(0)", "", usize::from(text.starts_with('+')));
    let mut dialled = String::new();
    for c in text.chars() {
        match c {
            '+' | '\u{ff0b}' if dialled.is_empty() => dialled.push('+'),
            _ if is_punctuation(c) => {}
            _ => dialled.push(decimal_digit(c)?),
        }
    }
    (dialled.len() >= 3).then_some(dialled)
}

/// What people put between the digits of a phone number.
pub(crate) fn is_punctuation(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '-' | '.' | '/' | '(' | ')' | '[' | ']' | '~' | '·')
        // Hyphens and dashes, their full-width forms, and the invisible
        // marks that come along when a number is copied from a web page.
        || matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}'..='\u{ff0f}')
        || matches!(c, '\u{ff08}' | '\u{ff09}' | '\u{ad}' | '\u{200b}'..='\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Whether its numbering plan gives this number to fixed lines only. Several
/// countries can share a country code, and the plan of any of them may be the
/// one that says `mobile`.
fn is_certainly_fixed_line(number: &PhoneNumber) -> bool {
    // With the leading zeros that Italian fixed lines have.
    let national = number.national().to_string();
    let plans = DATABASE.by_code(&number.code().value()).unwrap_or_default();
    let mut plans = plans.iter().map(|plan| plan.descriptors());
    let fixed = plans.clone().any(|plan| {
        plan.fixed_line()
            .is_some_and(|line| line.is_match(&national))
    });
    fixed
        && !plans.any(|plan| {
            plan.mobile()
                .is_some_and(|mobile| mobile.is_match(&national))
        })
}

/// How the text of a field is read: [`mobile_or_any`] or [`any_number`].
pub(crate) type Reading = fn(&str, Region) -> Result<String, PhoneProblem>;

/// Puts the numbers that are given, each in a field of that name, into E.164;
/// all that can't be are named at once. Only where one is given it is asked in
/// which `region` it is read.
pub(crate) fn read_fields<const N: usize>(
    fields: [(&'static str, &mut Patch<Phone>, Reading); N],
    region: impl Fn() -> crate::Result<Region>,
) -> crate::Result<()> {
    let mut problems = Problems::default();
    for (field, phone, read) in fields {
        let Some(given) = phone.value() else {
            continue;
        };
        match read(given, region()?) {
            Ok(number) => match Text::read(&number) {
                Ok(number) => *phone = number.map(Phone).map_or(Patch::Clear, Patch::Set),
                Err(flaw) => problems.invalid(field, flaw.message),
            },
            Err(problem) => problems.invalid_with_fix(field, problem.to_string(), problem.fix()),
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(problems.into()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    fn phone(text: &str, country: &str) -> Result<String, PhoneProblem> {
        mobile_or_any(text, Region::of_country(country))
    }

    #[test]
    fn a_mobile_number_is_kept_in_e164_however_it_is_typed() {
        for typed in [
            "0412 345 678",
            "0412345678",
            " (04) 1234-5678 ",
            "0412.345.678",
            "+61 412 345 678",
            "+61 (0)412 345 678",
            "+610412345678",
            "61412345678",
            "0011 61 412 345 678",
            "0061 412 345 678",
            "tel:+61-412-345-678",
            "０４１２　３４５　６７８",
            "\u{202a}+61 412 345 678\u{202c}",
        ] {
            assert_eq!(phone(typed, "AU").as_deref(), Ok("+61412345678"), "{typed}");
        }
        assert_eq!(phone("07400 123456", "GB").as_deref(), Ok("+447400123456"));
        assert_eq!(phone("(415) 555-2671", "US").as_deref(), Ok("+14155552671"));
        assert_eq!(
            phone("0151 23456789", "de").as_deref(),
            Ok("+4915123456789")
        );
    }

    #[test]
    fn a_number_from_abroad_needs_only_its_country_code() {
        assert_eq!(
            phone("+49 1512 3456789", "AU").as_deref(),
            Ok("+4915123456789")
        );
        assert_eq!(
            phone("+44 7400 123456", "nowhere").as_deref(),
            Ok("+447400123456")
        );
    }

    #[test]
    fn a_certain_fixed_line_is_refused_as_phone_and_sent_to_landline() {
        for (typed, country, e164) in [
            ("02 9876 5432", "AU", "+61298765432"),
            ("020 7946 0958", "GB", "+442079460958"),
            ("030 123456", "DE", "+4930123456"),
            ("02 1234 5678", "IT", "+390212345678"),
        ] {
            let problem = phone(typed, country).unwrap_err();
            assert_eq!(
                problem,
                PhoneProblem::FixedLine {
                    number: e164.to_owned()
                }
            );
            assert!(problem.fix().contains("landline"));
            assert_eq!(
                any_number(typed, Region::of_country(country)).as_deref(),
                Ok(e164)
            );
        }
    }

    #[test]
    fn a_number_that_may_be_either_is_accepted_as_phone() {
        assert_eq!(
            phone("+1 212 555 2368", "AU").as_deref(),
            Ok("+12125552368")
        );
        assert_eq!(phone("1300 975 707", "AU").as_deref(), Ok("+611300975707"));
    }

    #[test]
    fn a_mobile_number_is_accepted_as_landline() {
        let kept = any_number("0412 345 678", Region::of_country("AU"));
        assert_eq!(kept.as_deref(), Ok("+61412345678"));
    }

    #[test]
    fn an_impossible_number_is_refused_with_an_example_of_the_region() {
        for typed in [
            "12345",
            "0412 345",
            "0412 345 678 999 999",
            "+999 123 456 789",
            "9876 5432",
        ] {
            let problem = phone(typed, "AU").unwrap_err();
            assert!(
                matches!(problem, PhoneProblem::Invalid { .. }),
                "{typed}: {problem:?}"
            );
            assert!(
                problem.fix().contains("'+61 412 345 678'"),
                "{}",
                problem.fix()
            );
        }
        let problem = any_number("123", Region::of_country("GB")).unwrap_err();
        assert!(problem.fix().contains("'+44 "), "{}", problem.fix());
    }

    #[test]
    fn a_text_that_is_no_number_is_refused() {
        for typed in [
            "",
            " ",
            "+",
            "12",
            "call me",
            "1300 FLOWERS",
            "0412 345 678 ext 5",
            "kim@example.com",
        ] {
            let problem = phone(typed, "AU").unwrap_err();
            assert!(
                matches!(problem, PhoneProblem::NotANumber { .. }),
                "{typed}: {problem:?}"
            );
        }
    }

    #[test]
    fn without_a_known_region_a_national_number_asks_for_its_country_code() {
        let problem = phone("0412 345 678", "XX").unwrap_err();
        assert!(matches!(problem, PhoneProblem::NoCountryCode { .. }));
        assert!(problem.fix().contains('+'), "{}", problem.fix());
    }

    #[test]
    fn the_example_number_of_every_country_is_kept_digit_for_digit() {
        let mut unread = Vec::new();
        for plan in DATABASE.iter() {
            let kinds = [plan.descriptors().mobile(), plan.descriptors().fixed_line()];
            for example in kinds
                .into_iter()
                .flatten()
                .filter_map(|kind| kind.example())
            {
                let e164 = format!("+{}{example}", plan.country_code());
                if any_number(&e164, Region::of_country("AU")).as_ref() != Ok(&e164) {
                    unread.push((plan.id().to_owned(), e164));
                }
            }
        }
        assert!(unread.is_empty(), "{unread:?}");
    }

    #[test]
    fn hostile_texts_are_refused_and_nothing_panics() {
        let long = "1".repeat(10_000);
        let pluses = "+".repeat(10_000);
        for typed in [
            long.as_str(),
            pluses.as_str(),
            "📞📞📞",
            "0412\u{0}345678",
            "+1;phone-context=AA",
            ".;phone-context=",
            "+dwPAA;phone-context=AA",
            "++61412345678",
            "+00",
            "+000000",
            "000000000000000000000",
            "''; drop table contacts; --",
        ] {
            assert!(phone(typed, "AU").is_err(), "{typed:.20}");
            assert!(
                any_number(typed, Region::of_country("US")).is_err(),
                "{typed:.20}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_kept_is_read_as_itself(
            text in "[+0]{0,2}[-0-9 ()]{0,18}|\\PC{0,30}",
            country in prop::sample::select(vec!["AU", "GB", "US", "DE", "IT", "RU", "BR", "AR", "MX", "ZZ"]),
        ) {
            let region = Region::of_country(country);
            if let Ok(kept) = any_number(&text, region) {
                prop_assert!(kept.starts_with('+') && kept[1..].bytes().all(|b| b.is_ascii_digit()));
                prop_assert_eq!(any_number(&kept, region), Ok(kept.clone()));
            }
        }
    }
}
