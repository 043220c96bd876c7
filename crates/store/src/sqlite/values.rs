//! Values as SQLite takes them.

use std::rc::Rc;

use rusqlite::CachedStatement;
use rusqlite::types::{ToSqlOutput, Value as SqliteValue, ValueRef};

use super::failure::translate;
use crate::{Error, Value};

/// Binds by the names `$1`, `$2` …, since SQLite numbers named parameters in
/// the order in which they appear.
pub(super) fn bind(statement: &mut CachedStatement<'_>, params: &[Value]) -> Result<(), Error> {
    let mismatch = || Error::Parameters {
        given: params.len(),
    };
    // Each must be used, because PostgreSQL insists on it.
    let mut used = 0_usize;
    for index in 1..=statement.parameter_count() {
        let value = statement
            .parameter_name(index)
            .and_then(|name| name.strip_prefix('$'))
            .and_then(|number| number.parse::<usize>().ok())
            .and_then(|number| params.get(number.checked_sub(1)?))
            .ok_or_else(mismatch)?;
        if let Some(reason) = value.unstorable() {
            return Err(Error::Encode(reason.to_owned()));
        }
        statement
            .raw_bind_parameter(index, Bound(value))
            .map_err(|error| translate(&error, None))?;
        used += 1;
    }
    if used == params.len() {
        Ok(())
    } else {
        Err(mismatch())
    }
}

struct Bound<'a>(&'a Value);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(value) => ToSqlOutput::Owned(SqliteValue::Integer((*value).into())),
            Value::Int(value) => ToSqlOutput::Owned(SqliteValue::Integer(*value)),
            Value::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Value::Uuid(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value.as_bytes())),
            Value::Timestamp(value) => {
                ToSqlOutput::Owned(SqliteValue::Integer(value.as_millisecond()))
            }
            Value::Date(value) => ToSqlOutput::Owned(SqliteValue::Text(value.to_string())),
            Value::Json(value) => ToSqlOutput::Owned(SqliteValue::Text(value.to_string())),
            Value::Bytes(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
            Value::Uuids(ids) => {
                let ids: Vec<_> = ids
                    .iter()
                    .map(|id| SqliteValue::Blob(id.as_bytes().to_vec()))
                    .collect();
                return rusqlite::vtab::array::Array::to_sql(&Rc::new(ids)).map(pointer);
            }
        })
    }
}

/// An array is passed as a pointer that owns it, so it borrows nothing.
fn pointer(output: ToSqlOutput<'_>) -> ToSqlOutput<'static> {
    match output {
        ToSqlOutput::Pointer(pointer) => ToSqlOutput::Pointer(pointer),
        _ => ToSqlOutput::Owned(SqliteValue::Null),
    }
}
