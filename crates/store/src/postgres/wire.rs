//! Values as they travel: the binary format of each type.

use std::error::Error as StdError;

use bytes::{BufMut as _, BytesMut};
use jiff::Timestamp;
use jiff::civil::{Date, date};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};
use uuid::Uuid;

use crate::{Cell as Column, Value};

/// Microseconds from 1970 to 2000, from which PostgreSQL counts.
const EPOCH_2000: i64 = 946_684_800_000_000;
const DAY_2000: Date = date(2000, 1, 1);

/// A value that its parameter can't hold.
#[derive(Debug, thiserror::Error)]
#[error("{kind} for a parameter of type {wanted}")]
pub(super) struct Unencodable {
    kind: &'static str,
    wanted: String,
}

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let unencodable = |kind| {
            Box::new(Unencodable {
                kind,
                wanted: ty.to_string(),
            })
        };
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Bool(value) if *ty == Type::BOOL => out.put_u8((*value).into()),
            Self::Bool(_) => return Err(unencodable("a truth value")),
            Self::Int(value) => {
                let too_large = || unencodable("too large an integer");
                match *ty {
                    Type::INT8 => out.put_i64(*value),
                    Type::INT4 => out.put_i32((*value).try_into().map_err(|_| too_large())?),
                    Type::INT2 => out.put_i16((*value).try_into().map_err(|_| too_large())?),
                    Type::NUMERIC => put_numeric(*value, out),
                    Type::FLOAT8 => out.put_f64(*value as f64),
                    _ => return Err(unencodable("an integer")),
                }
            }
            Self::Text(value) => match *ty {
                Type::TEXT
                | Type::VARCHAR
                | Type::BPCHAR
                | Type::NAME
                | Type::UNKNOWN
                | Type::JSON => out.put_slice(value.as_bytes()),
                Type::JSONB => {
                    out.put_u8(1);
                    out.put_slice(value.as_bytes());
                }
                _ => return Err(unencodable("text")),
            },
            Self::Uuid(value) if *ty == Type::UUID => out.put_slice(value.as_bytes()),
            Self::Uuid(_) => return Err(unencodable("an id")),
            Self::Timestamp(value) if matches!(*ty, Type::TIMESTAMPTZ | Type::TIMESTAMP) => {
                // To the millisecond, as on SQLite.
                out.put_i64(value.as_millisecond() * 1000 - EPOCH_2000);
            }
            Self::Timestamp(_) => return Err(unencodable("an instant")),
            Self::Date(value) if *ty == Type::DATE => {
                let days = DAY_2000.duration_until(*value).as_hours() / 24;
                out.put_i32(days.try_into()?);
            }
            Self::Date(_) => return Err(unencodable("a date")),
            Self::Json(value) => match *ty {
                Type::JSONB => {
                    out.put_u8(1);
                    serde_json::to_writer(out.writer(), value)?;
                }
                Type::JSON => serde_json::to_writer(out.writer(), value)?,
                _ => return Err(unencodable("JSON")),
            },
            Self::Bytes(value) if *ty == Type::BYTEA => out.put_slice(value),
            Self::Bytes(_) => return Err(unencodable("bytes")),
            Self::Uuids(ids) if *ty == Type::UUID_ARRAY => put_uuids(ids, out)?,
            Self::Uuids(_) => return Err(unencodable("a list of ids")),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        // What does not fit is refused by `to_sql`, in words of our own.
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// One dimension, no nulls, the element type, its length and lower bound; then
/// each element with its length before it.
fn put_uuids(ids: &[Uuid], out: &mut BytesMut) -> Result<(), std::num::TryFromIntError> {
    out.put_i32(i32::from(!ids.is_empty()));
    out.put_i32(0);
    out.put_u32(Type::UUID.oid());
    if !ids.is_empty() {
        out.put_i32(ids.len().try_into()?);
        out.put_i32(1);
    }
    for id in ids {
        out.put_i32(16);
        out.put_slice(id.as_bytes());
    }
    Ok(())
}

/// Base-10,000 digits, the first having the weight 10,000^weight.
fn put_numeric(value: i64, out: &mut BytesMut) {
    let mut digits = [0_u16; 5];
    let mut count = 0;
    let mut rest = value.unsigned_abs();
    while rest > 0 {
        digits[count] = (rest % 10_000) as u16;
        rest /= 10_000;
        count += 1;
    }
    // At most five digits: none of these conversions loses anything.
    let count_on_wire = count as u16;
    out.put_u16(count_on_wire);
    out.put_u16(count_on_wire.saturating_sub(1));
    out.put_u16(if value < 0 { 0x4000 } else { 0 });
    out.put_u16(0);
    for digit in digits[..count].iter().rev() {
        out.put_u16(*digit);
    }
}

fn numeric(mut raw: &[u8]) -> Option<i64> {
    let mut next = || {
        let (head, tail) = raw.split_first_chunk::<2>()?;
        raw = tail;
        Some(u16::from_be_bytes(*head))
    };
    let count = next()?;
    let weight = next()?.cast_signed();
    let negative = match next()? {
        0 => false,
        0x4000 => true,
        // Not a number, or infinite.
        _ => return None,
    };
    let _scale = next()?;
    let mut value = 0_i128;
    for place in 0..count {
        let digit = next()?;
        match weight.checked_sub(i16::try_from(place).ok()?)? {
            0.. => value = value.checked_mul(10_000)?.checked_add(digit.into())?,
            // A fraction.
            _ if digit > 0 => return None,
            _ => {}
        }
    }
    let missing = (i32::from(weight) + 1 - i32::from(count)).max(0);
    let value = value.checked_mul(10_000_i128.checked_pow(missing.try_into().ok()?)?)?;
    i64::try_from(if negative { -value } else { value }).ok()
}

impl<'a> FromSql<'a> for Column<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(decode(ty, raw).unwrap_or(Column::Unreadable))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Column::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn decode<'a>(ty: &Type, raw: &'a [u8]) -> Option<Column<'a>> {
    Some(match *ty {
        Type::BOOL => Column::Bool(raw != [0]),
        Type::INT8 => Column::Int(i64::from_be_bytes(raw.try_into().ok()?)),
        Type::INT4 => Column::Int(i32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT2 => Column::Int(i16::from_be_bytes(raw.try_into().ok()?).into()),
        Type::OID => Column::Int(u32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::NUMERIC => Column::Int(numeric(raw)?),
        Type::FLOAT8 => Column::Real(f64::from_be_bytes(raw.try_into().ok()?)),
        Type::FLOAT4 => Column::Real(f32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
            Column::Text(std::str::from_utf8(raw).ok()?)
        }
        Type::UUID => Column::Uuid(Uuid::from_slice(raw).ok()?),
        Type::TIMESTAMPTZ | Type::TIMESTAMP => {
            let since_2000 = i64::from_be_bytes(raw.try_into().ok()?);
            Column::Timestamp(
                Timestamp::from_microsecond(since_2000.checked_add(EPOCH_2000)?).ok()?,
            )
        }
        Type::DATE => {
            let days = i32::from_be_bytes(raw.try_into().ok()?);
            let since_2000 = jiff::SignedDuration::from_hours(i64::from(days) * 24);
            Column::Date(DAY_2000.checked_add(since_2000).ok()?)
        }
        Type::JSON => Column::Json(std::str::from_utf8(raw).ok()?),
        // The first byte is the version of the format.
        Type::JSONB => Column::Json(std::str::from_utf8(raw.strip_prefix(&[1])?).ok()?),
        Type::BYTEA => Column::Bytes(raw),
        _ => return None,
    })
}
