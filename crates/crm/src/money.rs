//! Money, quantities and percentages: exact numbers of four decimals.

use std::borrow::Cow;

use iso_currency::Currency as Iso4217;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::{Number, Value};

use crate::error::Error;
use crate::input::{Flaw, FromJson, kind_of};

/// Units of the last decimal kept in one whole.
pub const SCALE: i64 = 10_000;

/// How many decimals are kept.
const DECIMALS: u32 = 4;

/// The largest whole number that there is room for.
const WHOLE: i64 = i64::MAX / SCALE;

/// An exact number in ten-thousandths: money or a quantity.
///
/// What is given with more decimals is rounded half away from zero, as a
/// `numeric(19, 4)` column would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Amount(i64);

/// A percentage from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(Amount);

/// How much of something: more than nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(Amount);

/// What a number of things come to, exactly: to fourteen decimals. It is rounded
/// when all is added up, and only then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Worth(i128);

/// A sum of amounts, in ten-thousandths, with room for any number of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Total(i128);

/// An ISO 4217 currency code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Currency(Iso4217);

impl Amount {
    /// The largest one.
    pub const MAX: Self = Self(i64::MAX);

    /// The amount of `units` ten-thousandths.
    pub const fn from_units(units: i64) -> Self {
        Self(units)
    }

    /// How many ten-thousandths it is.
    pub const fn units(self) -> i64 {
        self.0
    }

    /// Reads a decimal number, plain or with an exponent.
    pub fn parse(text: &str) -> Option<Self> {
        let number = Decimal::from_str_exact(text)
            .or_else(|_| text.parse())
            .or_else(|_| Decimal::from_scientific(text))
            .ok()
            .or_else(|| is_negligible(text).then_some(Decimal::ZERO))?;
        number
            .checked_mul(Decimal::from(SCALE))?
            .round_dp_with_strategy(0, rust_decimal::RoundingStrategy::MidpointAwayFromZero)
            .to_i64()
            .map(Self)
    }

    /// It in so many decimals, at most four, rounded half away from zero; none if
    /// there is no room for it.
    pub fn rounded_to(self, decimals: u32) -> Option<Self> {
        let part = 10_i128.pow(DECIMALS - decimals);
        i64::try_from(rounded(self.0.into(), part)? * part)
            .ok()
            .map(Self)
    }

    /// The error for what would come to more than an amount can hold: `what` does,
    /// by what was given as `field`.
    pub(crate) fn no_room(field: &str, what: &str) -> Error {
        Error::invalid(
            field,
            format!(
                "must be closer to 0: {what} would lie beyond ±{}",
                Self::MAX
            ),
        )
    }
}

impl Percent {
    /// Nothing of it.
    pub const NONE: Self = Self(Amount(0));

    /// The share of `amount` percent, if that lies between 0 and 100.
    pub fn of(amount: Amount) -> Option<Self> {
        (0..=100 * SCALE)
            .contains(&amount.units())
            .then_some(Self(amount))
    }

    /// The share as an amount: 25 for a quarter.
    pub fn amount(self) -> Amount {
        self.0
    }
}

impl Quantity {
    /// One of something.
    pub const ONE: Self = Self(Amount(SCALE));

    /// That much, if it is more than nothing.
    pub fn of(amount: Amount) -> Option<Self> {
        (amount.units() > 0).then_some(Self(amount))
    }

    /// How much it is.
    pub fn amount(self) -> Amount {
        self.0
    }
}

impl Worth {
    /// Its units in one whole: ten-thousandths of the quantity, of the price and
    /// of the percentage, which is itself in hundredths.
    const SCALE: i128 = 100_000_000_000_000;

    /// `quantity` things at `price` each, less `discount`; none if an amount
    /// could not hold it.
    pub fn of(quantity: Quantity, price: Amount, discount: Percent) -> Option<Self> {
        let left = 100 * SCALE - discount.0.units();
        let worth = i128::from(quantity.0.units())
            .checked_mul(price.units().into())?
            .checked_mul(left.into())
            .map(Self)?;
        worth.rounded().map(|_| worth)
    }

    /// The two together; none if there is no room for it.
    pub fn and(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// It in four decimals, rounded half away from zero; none if an amount could
    /// not hold it.
    pub fn rounded(self) -> Option<Amount> {
        self.rounded_to(DECIMALS)
    }

    /// It in so many decimals, at most four, rounded half away from zero; none if
    /// an amount could not hold it.
    pub fn rounded_to(self, decimals: u32) -> Option<Amount> {
        let part = Self::SCALE / 10_i128.pow(decimals);
        let units = rounded(self.0, part)? * 10_i128.pow(DECIMALS - decimals);
        i64::try_from(units).ok().map(Amount)
    }
}

impl Total {
    /// The total of `units` ten-thousandths.
    pub const fn from_units(units: i128) -> Self {
        Self(units)
    }

    /// The total of billions of units and what is left of them, as sums that
    /// may outgrow 64 bits are kept.
    pub const fn of_halves(billions: i64, rest: i64) -> Self {
        Self(billions as i128 * 1_000_000_000 + rest as i128)
    }

    /// It as an amount; none if that could not hold it.
    pub fn amount(self) -> Option<Amount> {
        i64::try_from(self.0).ok().map(Amount)
    }

    /// `percent` of the total, rounded half away from zero.
    pub fn share(self, percent: Amount) -> Self {
        let whole = i128::from(100 * SCALE);
        let product = self.0 * i128::from(percent.units());
        let half = if product < 0 { -whole / 2 } else { whole / 2 };
        Self((product + half) / whole)
    }
}

impl std::ops::Add for Total {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl std::ops::Sub for Total {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl From<Amount> for Total {
    fn from(amount: Amount) -> Self {
        Self(amount.0.into())
    }
}

impl std::ops::AddAssign for Total {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Currency {
    /// Reads a code in any case.
    ///
    /// # Errors
    /// ISO 4217 has no such code.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        Iso4217::from_code(&text.trim().to_ascii_uppercase())
            .map(Self)
            .ok_or_else(|| Flaw::new("must be an ISO 4217 currency code such as AUD"))
    }

    /// The code: three capital letters.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals its smallest unit has, as ISO 4217 says: 2 where cents are
    /// paid, 0 where nothing is smaller than one. What has no such unit, as gold,
    /// has all that are kept.
    pub fn decimals(self) -> u32 {
        self.0.exponent().map_or(DECIMALS, u32::from).min(DECIMALS)
    }
}

/// How many times `part` goes into `number`, rounded half away from zero; none if
/// there is no room for it. A part is one, or even.
fn rounded(number: i128, part: i128) -> Option<i128> {
    let half = part / 2 * number.signum();
    Some(number.checked_add(half)? / part)
}

/// True for a number that rounds to nothing, however small it is: a decimal has
/// no room for the exponents of the smallest.
fn is_negligible(text: &str) -> bool {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let (falls, places) = match exponent.strip_prefix('-') {
        Some(places) => (true, places),
        None => (false, exponent.strip_prefix('+').unwrap_or(exponent)),
    };
    if whole.is_empty() || ![whole, fraction, places].into_iter().all(is_number) {
        return false;
    }
    let digits = format!("{whole}{fraction}");
    let Some(zeros) = digits.find(|digit| digit != '0') else {
        return true;
    };
    // It is less than ten to this power. More places than can be counted are as many
    // as can.
    let places = places.parse().unwrap_or(i64::MAX);
    let length = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let power =
        (length(whole.len()) - length(zeros)).saturating_add(if falls { -places } else { places });
    power < -4
}

/// Writes ten-thousandths as a decimal number without needless zeros.
fn format_units(units: i128, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    let scale = u128::from(SCALE.unsigned_abs());
    let (whole, rest) = (units.unsigned_abs() / scale, units.unsigned_abs() % scale);
    let sign = if units < 0 { "-" } else { "" };
    if rest == 0 {
        write!(f, "{sign}{whole}")
    } else {
        let decimals = format!("{rest:04}");
        write!(f, "{sign}{whole}.{}", decimals.trim_end_matches('0'))
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        format_units(self.0.into(), f)
    }
}

impl std::fmt::Display for Total {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        format_units(self.0, f)
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! written_as_number {
    ($($type:ident),*) => {
        $(impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // The text of the number itself, so that no float is involved.
                self.to_string()
                    .parse::<Number>()
                    .map_err(serde::ser::Error::custom)?
                    .serialize(serializer)
            }
        })*
    };
}

written_as_number!(Amount, Percent, Quantity, Total);

impl FromJson for Amount {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        match value {
            Value::Number(number) => Self::parse(&number.to_string())
                .map(Some)
                .ok_or_else(|| Flaw::new(format!("must be a number from -{WHOLE} to {WHOLE}"))),
            other => Err(Flaw::new(format!(
                "must be a number, not {}",
                kind_of(other)
            ))),
        }
    }
}

impl FromJson for Percent {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        Amount::from_json(value)?
            .and_then(Self::of)
            .map(Some)
            .ok_or_else(|| Flaw::new("must be a number from 0 to 100"))
    }
}

impl FromJson for Quantity {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        Amount::from_json(value)?
            .and_then(Self::of)
            .map(Some)
            .ok_or_else(|| Flaw::new(format!("must be a number from 0.0001 to {WHOLE}")))
    }
}

impl FromJson for Currency {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        match value {
            Value::String(text) if text.trim().is_empty() => Ok(None),
            Value::String(text) => Self::parse(text).map(Some),
            other => Err(Flaw::new(format!(
                "must be a currency code, not {}",
                kind_of(other)
            ))),
        }
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

macro_rules! schema {
    ($type:ident, $schema:tt) => {
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

schema!(Amount, {
    "type": "number", "minimum": -WHOLE, "maximum": WHOLE, "examples": [17470]
});
schema!(Total, { "type": "number", "examples": [17470] });
schema!(Percent, { "type": "number", "minimum": 0, "maximum": 100, "examples": [60] });
schema!(Quantity, { "type": "number", "minimum": 0.0001, "maximum": WHOLE, "examples": [1] });
schema!(Currency, { "type": "string", "format": "currency-code", "examples": ["AUD"] });

impl store::FromColumn for Amount {
    const EXPECTS: &'static str = "ten-thousandths";

    fn from_cell(cell: store::Cell<'_>) -> Option<Self> {
        i64::from_cell(cell).map(Self)
    }
}

impl store::FromColumn for Percent {
    const EXPECTS: &'static str = Amount::EXPECTS;

    fn from_cell(cell: store::Cell<'_>) -> Option<Self> {
        Amount::from_cell(cell).map(Self)
    }
}

impl store::FromColumn for Quantity {
    const EXPECTS: &'static str = Amount::EXPECTS;

    fn from_cell(cell: store::Cell<'_>) -> Option<Self> {
        Amount::from_cell(cell).map(Self)
    }
}

impl store::FromColumn for Currency {
    const EXPECTS: &'static str = "a currency code";

    fn from_cell(cell: store::Cell<'_>) -> Option<Self> {
        Self::parse(&String::from_cell(cell)?).ok()
    }
}

impl From<Amount> for store::Value {
    fn from(amount: Amount) -> Self {
        Self::Int(amount.0)
    }
}

impl From<Percent> for store::Value {
    fn from(percent: Percent) -> Self {
        percent.0.into()
    }
}

impl From<Quantity> for store::Value {
    fn from(quantity: Quantity) -> Self {
        quantity.0.into()
    }
}

impl From<Currency> for store::Value {
    fn from(currency: Currency) -> Self {
        Self::Text(currency.code().to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parsed(text: &str) -> Option<String> {
        Amount::parse(text).map(|amount| amount.to_string())
    }

    #[test]
    fn an_amount_keeps_four_decimals_and_rounds_the_rest_away_from_zero() {
        for (given, kept) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("0.1", "0.1"),
            ("12.3400", "12.34"),
            ("0.00005", "0.0001"),
            ("-0.00005", "-0.0001"),
            ("0.000049", "0"),
            ("1.99995", "2"),
            ("1e3", "1000"),
            ("1.5E-3", "0.0015"),
            ("3.7811e-262", "0"),
            ("-1.23456789e-25", "0"),
            ("1e-99999999999999999999", "0"),
            ("0e99999999999999999999", "0"),
            ("0.000000000000000000000000000000000000123456e5", "0"),
            ("123456789012345678901234567890.123e-36", "0"),
            ("922337203685477.5807", "922337203685477.5807"),
            ("-922337203685477.5808", "-922337203685477.5808"),
        ] {
            assert_eq!(parsed(given).as_deref(), Some(kept), "{given}");
        }
    }

    #[test]
    fn an_amount_that_has_no_room_is_refused_and_never_cut() {
        for given in [
            "922337203685477.5808",
            "-922337203685477.5809",
            "1e15",
            "1e400",
            "",
            "x",
            "1,5",
            "NaN",
        ] {
            assert_eq!(parsed(given), None, "{given}");
        }
    }

    #[test]
    fn a_number_on_the_wire_is_no_string_and_no_float_on_its_way() {
        let number: Value = serde_json::from_str("0.1").unwrap();
        assert_eq!(Amount::from_json(&number).unwrap().unwrap().units(), 1000);
        assert!(Amount::from_json(&json!("0.1")).is_err());
        // As a double this would end in .0000.
        let large: Value = serde_json::from_str("900719925474099.3001").unwrap();
        let amount = Amount::from_json(&large).unwrap().unwrap();
        assert_eq!(
            serde_json::to_string(&amount).unwrap(),
            "900719925474099.3001"
        );
    }

    #[test]
    fn a_percentage_lies_between_nothing_and_all() {
        let percent = |text: &str| {
            let number: Value = serde_json::from_str(text).unwrap();
            Percent::from_json(&number)
                .ok()
                .flatten()
                .map(|percent| percent.to_string())
        };
        assert_eq!(percent("0").as_deref(), Some("0"));
        assert_eq!(percent("100.0").as_deref(), Some("100"));
        assert_eq!(percent("33.3333").as_deref(), Some("33.3333"));
        assert_eq!((percent("-0.0001"), percent("100.0001")), (None, None));
    }

    #[test]
    fn a_share_is_rounded_half_away_from_zero() {
        let share = |units: i128, percent: i64| {
            Total::from_units(units).share(Amount::from_units(percent * SCALE))
        };
        assert_eq!(share(10_001, 50), Total::from_units(5001));
        assert_eq!(share(-10_001, 50), Total::from_units(-5001));
        assert_eq!(share(10_001, 100), Total::from_units(10_001));
        assert_eq!(
            share(i128::from(i64::MAX) * 1000, 100),
            Total::from_units(i128::from(i64::MAX) * 1000)
        );
    }

    #[test]
    fn a_quantity_is_more_than_nothing() {
        let quantity = |text: &str| {
            let number: Value = serde_json::from_str(text).unwrap();
            let read = Quantity::from_json(&number).ok().flatten();
            read.map(|quantity| quantity.to_string())
        };
        assert_eq!(quantity("0.00005").as_deref(), Some("0.0001"));
        assert_eq!(quantity("2.50").as_deref(), Some("2.5"));
        for given in ["0", "-0.0", "0.00004", "-1", "1e15"] {
            assert_eq!(quantity(given), None, "{given}");
        }
    }

    #[test]
    fn a_million_cents_are_ten_thousand() {
        let cent = Amount::parse("0.01").unwrap();
        let line = Worth::of(Quantity::ONE, cent, Percent::NONE).unwrap();
        let (mut worth, mut total) = (Worth::default(), Total::default());
        for _ in 0..1_000_000 {
            worth = worth.and(line).unwrap();
            total += cent.into();
        }
        assert_eq!(worth.rounded().unwrap().to_string(), "10000");
        assert_eq!(total.to_string(), "10000");
    }

    #[test]
    fn what_things_are_worth_is_rounded_once_and_refused_where_there_is_no_room() {
        let worth = |quantity: &str, price: &str, discount: &str| {
            Worth::of(
                Quantity::of(Amount::parse(quantity)?)?,
                Amount::parse(price)?,
                Percent::of(Amount::parse(discount)?)?,
            )
        };
        let rounded = |quantity, price, discount| {
            let worth = worth(quantity, price, discount);
            worth
                .and_then(Worth::rounded)
                .map(|amount| amount.to_string())
        };
        for (quantity, price, discount, result) in [
            ("3", "19.99", "0", "59.97"),
            ("3", "19.99", "12.5", "52.4738"),
            ("3", "-19.99", "12.5", "-52.4738"),
            ("0.5", "0.0001", "0", "0.0001"),
            ("0.4999", "0.0001", "0", "0"),
            ("7", "100", "100", "0"),
            ("1", "922337203685477.5807", "0", "922337203685477.5807"),
            ("922337203685477.5807", "1", "0", "922337203685477.5807"),
        ] {
            assert_eq!(rounded(quantity, price, discount).as_deref(), Some(result));
        }
        for (quantity, price, discount) in [
            ("1.0001", "922337203685477.5807", "0"),
            ("2", "-922337203685477.5808", "0"),
            ("922337203685477", "922337203685477", "99.9999"),
        ] {
            assert_eq!(rounded(quantity, price, discount), None);
        }
        // Half of the last decimal, twice: rounded one by one it would be two.
        let half = worth("0.5", "0.0001", "0").unwrap();
        assert_eq!(
            half.and(half).and_then(Worth::rounded),
            Some(Amount::from_units(1))
        );
    }

    #[test]
    fn money_is_rounded_to_what_can_be_paid() {
        let decimals = |code| Currency::parse(code).unwrap().decimals();
        assert_eq!(
            ["JPY", "AUD", "KWD", "CLF", "XAU"].map(decimals),
            [0, 2, 3, 4, 4]
        );
        for (given, in_each) in [
            ("0.5", ["1", "0.5", "0.5", "0.5"]),
            ("-2.4950", ["-2", "-2.5", "-2.495", "-2.495"]),
            ("1.0049", ["1", "1", "1.005", "1.0049"]),
            ("-0.0005", ["0", "0", "-0.001", "-0.0005"]),
        ] {
            let amount = Amount::parse(given).unwrap();
            let all = Worth::of(Quantity::ONE, amount, Percent::NONE).unwrap();
            for (decimals, expected) in [0, 2, 3, 4].into_iter().zip(in_each) {
                let rounded = amount.rounded_to(decimals);
                assert_eq!(rounded.unwrap().to_string(), expected, "{given}");
                assert_eq!(all.rounded_to(decimals), rounded, "{given}");
            }
        }
        assert_eq!(
            Amount::MAX.rounded_to(2).unwrap().to_string(),
            "922337203685477.58"
        );
        assert_eq!(
            (Amount::MAX.rounded_to(0), Amount::MAX.rounded_to(3)),
            (None, None)
        );
    }

    #[test]
    fn a_currency_is_one_of_iso_4217() {
        assert_eq!(Currency::parse(" aud ").unwrap().code(), "AUD");
        for given in ["", "AU", "XXQ", "AUDD", "A$"] {
            assert!(Currency::parse(given).is_err(), "{given}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_itself(units in any::<i64>()) {
            let amount = Amount::from_units(units);
            let text = serde_json::to_string(&amount).unwrap();
            let number: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(Amount::from_json(&number).unwrap(), Some(amount));
            prop_assert!(!text.contains('e') && !text.ends_with(".0"), "{}", text);
        }

        #[test]
        fn a_total_is_the_exact_sum_in_any_order(units in prop::collection::vec(any::<i64>(), 0..50)) {
            let sum = |units: &mut dyn Iterator<Item = &i64>| {
                let amounts = units.map(|unit| Total::from_units((*unit).into()));
                amounts.fold(Total::default(), |sum, amount| sum + amount)
            };
            let exact: i128 = units.iter().map(|unit| i128::from(*unit)).sum();
            prop_assert_eq!(sum(&mut units.iter()), Total::from_units(exact));
            prop_assert_eq!(sum(&mut units.iter().rev()), Total::from_units(exact));
        }
    }
}
