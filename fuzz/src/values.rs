//! Values such as clients send, and such as no client should.

use arbitrary::{Result, Unstructured};
use serde_json::{Map, Number, Value};

/// Texts that mean something somewhere.
const TEXTS: [&str; 34] = [
    "",
    " ",
    "open",
    "won",
    "lost",
    "true",
    "null",
    "0",
    "-1",
    "12.5",
    "1e18",
    "922337203685477.5807",
    "9223372036854775807",
    "100",
    "2026-02-28",
    "9999-12-31",
    "0000-01-01",
    "2026-02-28T15:30:00.000Z",
    "2026-02-28T15:30:00+14:00",
    "zoe@example.com",
    "+61412345678",
    "0412 345 678",
    "EUR",
    "AU",
    "Australia/Sydney",
    "#a1b2c3",
    "*",
    "contacts:read",
    "contact,customer",
    "00000000-0000-0000-0000-000000000000",
    "%_\\'\"",
    "\u{0}",
    "\u{202e}\u{feff}İ\u{301}ﬃ",
    "\u{10ffff}",
];

/// A text: one of an id, one that means something, or anything.
pub fn text(u: &mut Unstructured<'_>, ids: &[String]) -> Result<String> {
    Ok(match u.int_in_range(0..=4)? {
        0 if !ids.is_empty() => u.choose(ids)?.clone(),
        1 | 2 => (*u.choose(&TEXTS)?).to_owned(),
        3 => u.choose(&TEXTS)?.repeat(u.int_in_range(1..=300)?),
        _ => u.arbitrary()?,
    })
}

/// A number as it may stand in JSON: of any size and with any exponent.
fn number(u: &mut Unstructured<'_>) -> Result<Value> {
    let text = match u.int_in_range(0..=3)? {
        0 => u.int_in_range(-2..=101_i64)?.to_string(),
        1 => u.arbitrary::<i64>()?.to_string(),
        2 => format!("{}.{}", u.arbitrary::<i64>()?, u.arbitrary::<u64>()?),
        _ => format!("{}e{}", u.arbitrary::<i32>()?, u.arbitrary::<i16>()?),
    };
    Ok(text.parse::<Number>().map_or(Value::Null, Value::Number))
}

/// Any JSON value; the fields of its objects have `names`, or other ones.
pub fn json(
    u: &mut Unstructured<'_>,
    ids: &[String],
    names: &[&str],
    depth: usize,
) -> Result<Value> {
    let kinds = if depth == 0 { 5 } else { 8 };
    Ok(match u.int_in_range(0..=kinds)? {
        0 => Value::Null,
        1 => Value::Bool(u.arbitrary()?),
        2 => number(u)?,
        3..=5 => Value::String(text(u, ids)?),
        6 => {
            let mut list = Vec::new();
            for _ in 0..u.int_in_range(0..=4)? {
                list.push(json(u, ids, names, depth - 1)?);
            }
            Value::Array(list)
        }
        _ => Value::Object(object(u, ids, names, depth - 1)?),
    })
}

fn object(
    u: &mut Unstructured<'_>,
    ids: &[String],
    names: &[&str],
    depth: usize,
) -> Result<Map<String, Value>> {
    let mut fields = Map::new();
    for _ in 0..u.int_in_range(0..=6)? {
        let name = match names.is_empty() || u.ratio(1, 8)? {
            true => text(u, ids)?,
            false => (*u.choose(names)?).to_owned(),
        };
        fields.insert(name, json(u, ids, names, depth)?);
    }
    Ok(fields)
}
