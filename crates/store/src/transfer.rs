//! Moving everything that one database holds into another, on whichever
//! engines.
//!
//! What there is to move is asked of the databases themselves, so that a new
//! table or column needs no word here. The types come from PostgreSQL where
//! one side is that: SQLite's `blob` does not tell an id from bytes. Between
//! two SQLite files its own types say enough.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::vec;

use uuid::Uuid;

use crate::sqlite::{self, INDEX_QUEUE};
use crate::{Db, Engine, Error, Row, Store, Tx, Value, blocking};

/// How many rows travel together, and how many such parcels may wait.
const PARCEL: usize = 500;
const WAITING: usize = 4;
/// After how many rows of a table its text index learns of them, so that they do not
/// all wait for the end.
const LEARNT: u64 = 10_000;
/// How many values a statement of PostgreSQL is given at most; it takes 65,535.
const VALUES: usize = 32_000;
/// The table that each database has for itself: which steps it has been
/// through.
const MIGRATIONS: &str = "schema_migrations";

/// What the triggers of the tables ask of a [`copy`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// The tables whose rows are written after those of all others: their triggers look
    /// at these.
    pub last: &'static [&'static str],
    /// The tables that the triggers of others fill: they are only compared.
    pub derived: &'static [&'static str],
}

/// How far a [`copy`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is being done.
    pub step: Step,
    /// With which table.
    pub table: &'a str,
    /// How many of its rows are through.
    pub done: u64,
    /// How many it has.
    pub rows: u64,
}

/// The two rounds of a [`copy`]: each goes through all tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Rows are written.
    Copying,
    /// They are read again, and compared with those they were made from.
    Comparing,
}

/// What a [`copy`] has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// How many tables were written, empty ones as well.
    pub tables: usize,
    /// How many rows are in all of them.
    pub rows: u64,
}

/// Why a [`copy`] failed. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The source could not be read.
    #[error("the source: {0}")]
    Source(#[source] Error),
    /// The target could not be written, or read again.
    #[error("the target: {0}")]
    Target(#[from] Error),
    /// The target holds rows already.
    #[error("the target is not empty: it has rows in {table}")]
    NotEmpty {
        /// One of the tables that have.
        table: String,
    },
    /// A table of one that the other does not have.
    #[error("the table {table} is only in one of the two databases")]
    OtherTables {
        /// Its name.
        table: String,
    },
    /// A table that can't be moved: without a primary key, or with a column of
    /// a type that has no counterpart on the other engine.
    #[error("the table {table} can't be moved: {reason}")]
    Unmovable {
        /// Its name.
        table: String,
        /// Why.
        reason: String,
    },
    /// A row that did not arrive as it was sent.
    #[error("the table {table} differs from its source at the key {key}")]
    Different {
        /// The table's name.
        table: String,
        /// The values of the row's primary key.
        key: String,
    },
}

/// Copies every row of `from`, as it is at one moment, into the tables of
/// `to`; then reads both again and compares them row by row and value by value.
///
/// Both must have been brought to the same migration, and `to` hold no rows.
/// It is one transaction of `to`: everything is there in the end and found
/// equal, or nothing. While it runs nobody else can use `to`; `from` can be
/// used as ever. A few thousand rows are held in memory at a time.
///
/// `progress` is told after every few hundred rows.
///
/// # Errors
/// [`CopyError`].
pub async fn copy(
    from: &Store,
    to: &Store,
    rules: Rules,
    mut progress: impl FnMut(Progress<'_>) + Send + 'static,
) -> Result<Copied, CopyError> {
    let theirs = from.read(columns).await.map_err(CopyError::Source)?;
    let ours = to.read(columns).await?;
    let same_tables = |one: &[Described], other: &[Described]| {
        let other: BTreeSet<_> = other.iter().map(|column| &column.table).collect();
        match one.iter().find(|column| !other.contains(&column.table)) {
            Some(Described { table, .. }) => Err(CopyError::OtherTables {
                table: table.clone(),
            }),
            None => Ok(()),
        }
    };
    same_tables(&theirs, &ours)?;
    same_tables(&ours, &theirs)?;
    let mut tables = match to.engine() {
        Engine::Postgres => tables(ours)?,
        Engine::Sqlite => tables(theirs)?,
    };
    tables.sort_by_key(|table| rules.last.contains(&table.name.as_str()));
    let (from, to) = (from.clone(), to.clone());
    blocking(move || run(&from, &to, &tables, rules.derived, &mut progress)).await
}

/// Copies the SQLite database `from`, as it is at one moment, into one file
/// that needs no other beside it. Whoever uses `from` is not held up, however
/// much is written meanwhile. `to` must be missing or empty; when this returns
/// it is complete, but not yet synced to the disk.
///
/// # Errors
/// [`Error::Unavailable`] when a file can't be opened, [`Error::Full`],
/// [`Error::Engine`] when `from` is damaged or no database.
pub async fn snapshot_file(from: &Path, to: &Path) -> Result<(), Error> {
    let (from, to): (PathBuf, PathBuf) = (from.into(), to.into());
    blocking(move || sqlite::snapshot_file(&from, &to)).await
}

// ------------------------------------------------------------------- the rows

/// One row: a value for each column of its table.
type Record = Vec<Value>;

/// What the reading side sends: of each table its count and then its rows, and
/// after all tables the same once more.
enum Parcel {
    Count(u64),
    Rows(Vec<Record>),
}

fn run(
    from: &Store,
    to: &Store,
    tables: &[Table],
    derived: &[&str],
    progress: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<Copied, CopyError> {
    // Before anyone is kept from their tables; and again when no rows can be
    // added any more.
    to.snapshot(|db| refuse_rows(db, tables))?;
    let (sender, receiver) = sync_channel(WAITING);
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            from.snapshot(|db| {
                for table in written(tables, derived).chain(tables) {
                    table.send(db, &sender)?;
                }
                Ok(())
            })
        });
        let written = to.load(|tx| write(tx, tables, derived, Delivery::new(receiver), progress));
        match reading.join().unwrap_or(Err(Error::Panicked)) {
            // The writing side ended it and knows why.
            Ok(()) | Err(Error::Aborted) => written,
            // That side only knows that nothing came any more.
            Err(error) => Err(CopyError::Source(error)),
        }
    })
    .and_then(|copied| {
        // Each of their rows was changed by every row that it counts.
        let names = tables.iter().map(|table| table.name.as_str());
        let counted: Vec<_> = names.filter(|name| derived.contains(name)).collect();
        to.tidy(&counted)?;
        Ok(copied)
    })
}

/// The tables whose rows are written, in the order in which they are.
fn written<'a>(tables: &'a [Table], derived: &[&str]) -> impl Iterator<Item = &'a Table> {
    tables
        .iter()
        .filter(|table| !derived.contains(&table.name.as_str()))
}

fn write(
    tx: &mut Tx<'_>,
    tables: &[Table],
    derived: &[&str],
    mut delivery: Delivery,
    progress: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<Copied, CopyError> {
    refuse_rows(tx, tables)?;
    let mut copied = Copied::default();
    for table in written(tables, derived) {
        copied.tables += 1;
        copied.rows += table.fill(tx, &mut delivery, progress)?;
    }
    tx.index_now()?;
    for table in tables {
        table.compare(tx, &mut delivery, progress)?;
    }
    Ok(copied)
}

fn refuse_rows(db: &Db<'_>, tables: &[Table]) -> Result<(), CopyError> {
    for table in tables {
        if table.count(db)? > 0 {
            return Err(CopyError::NotEmpty {
                table: table.name.clone(),
            });
        }
    }
    Ok(())
}

/// The rows as they arrive.
struct Delivery {
    parcels: Receiver<Parcel>,
    opened: vec::IntoIter<Record>,
}

impl Delivery {
    fn new(parcels: Receiver<Parcel>) -> Self {
        Self {
            parcels,
            opened: Vec::new().into_iter(),
        }
    }

    /// How many rows the next table has.
    fn count(&mut self) -> Result<u64, Error> {
        match self.parcels.recv() {
            Ok(Parcel::Count(count)) => Ok(count),
            _ => Err(ended()),
        }
    }

    /// The next few rows of this table.
    fn rows(&mut self) -> Result<Vec<Record>, Error> {
        match self.parcels.recv() {
            Ok(Parcel::Rows(rows)) => Ok(rows),
            _ => Err(ended()),
        }
    }

    /// The next row of this table.
    fn next(&mut self) -> Result<Record, Error> {
        loop {
            if let Some(row) = self.opened.next() {
                return Ok(row);
            }
            self.opened = self.rows()?.into_iter();
        }
    }
}

fn ended() -> Error {
    Error::unavailable("the other database gave fewer rows than it had counted")
}

// ----------------------------------------------------------------- the tables

struct Table {
    name: String,
    columns: Vec<Column>,
    /// Which columns make the primary key, in its order.
    key: Vec<usize>,
}

struct Column {
    name: String,
    kind: Kind,
}

/// As what a column's values are read.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Bool,
    Int,
    Text,
    Uuid,
    Timestamp,
    Date,
    Json,
    Bytes,
}

impl Kind {
    /// Of a type by the name that its engine has for it.
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "int2" | "int4" | "int8" | "integer" | "int" => Self::Int,
            "text" | "varchar" => Self::Text,
            "uuid" => Self::Uuid,
            "timestamptz" => Self::Timestamp,
            "date" => Self::Date,
            "jsonb" | "json" => Self::Json,
            "bytea" | "blob" => Self::Bytes,
            _ => return None,
        })
    }

    fn read(self, row: &Row<'_>, index: usize) -> Result<Value, Error> {
        Ok(match self {
            Self::Bool => row.get::<Option<bool>>(index)?.into(),
            Self::Int => row.get::<Option<i64>>(index)?.into(),
            Self::Text => row.get::<Option<String>>(index)?.into(),
            Self::Uuid => row.get::<Option<Uuid>>(index)?.into(),
            Self::Timestamp => row.get::<Option<jiff::Timestamp>>(index)?.into(),
            Self::Date => row.get::<Option<jiff::civil::Date>>(index)?.into(),
            Self::Json => row.get::<Option<serde_json::Value>>(index)?.into(),
            Self::Bytes => row.get::<Option<Vec<u8>>>(index)?.into(),
        })
    }
}

/// A column as the database describes it.
struct Described {
    table: String,
    column: String,
    type_name: String,
    /// Its place in the primary key, if it is part of it.
    in_key: Option<i64>,
}

/// Every column of every table that holds rows of its own: no index tables of
/// SQLite's full-text search nor their queue, no computed columns, nothing of an
/// extension.
fn columns(db: &Db<'_>) -> Result<Vec<Described>, Error> {
    let sql = match db.engine() {
        Engine::Sqlite => format!(
            "select l.name, c.name, lower(c.type), nullif(c.pk, 0)
             from pragma_table_list l join pragma_table_info(l.name) c
             where l.schema = 'main' and l.type = 'table'
             and l.name not like 'sqlite\\_%' escape '\\' and l.name not in ($1, '{INDEX_QUEUE}')
             order by l.name, c.cid"
        ),
        Engine::Postgres => {
            "select c.relname, a.attname, t.typname, array_position(i.indkey::int2[], a.attnum)
             from pg_class c
             join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
                 and not a.attisdropped and a.attgenerated = ''
             join pg_type t on t.oid = a.atttypid
             left join pg_index i on i.indrelid = c.oid and i.indisprimary
             where c.relnamespace = (select oid from pg_namespace where nspname = current_schema())
             and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> $1
             and not exists (
                 select from pg_depend d
                 where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
             )
             order by c.relname, a.attnum"
                .to_owned()
        }
    };
    db.query(&sql, &crate::params![MIGRATIONS], |row| {
        Ok(Described {
            table: row.get(0)?,
            column: row.get(1)?,
            type_name: row.get(2)?,
            in_key: row.get(3)?,
        })
    })
}

/// The tables of these columns, which come in their order.
fn tables(columns: Vec<Described>) -> Result<Vec<Table>, CopyError> {
    columns
        .chunk_by(|one, next| one.table == next.table)
        .map(|described| {
            let name = &described[0].table;
            let unmovable = |reason: String| CopyError::Unmovable {
                table: name.clone(),
                reason,
            };
            let columns = described.iter().map(|one| {
                let kind = Kind::of(&one.type_name).ok_or_else(|| {
                    unmovable(format!("{} is of the type {}", one.column, one.type_name))
                })?;
                Ok(Column {
                    name: one.column.clone(),
                    kind,
                })
            });
            let columns = columns.collect::<Result<_, CopyError>>()?;
            let mut key: Vec<_> = (0..described.len())
                .filter(|index| described[*index].in_key.is_some())
                .collect();
            key.sort_by_key(|index| described[*index].in_key);
            if key.is_empty() {
                return Err(unmovable("it has no primary key".to_owned()));
            }
            Ok(Table {
                name: name.clone(),
                columns,
                key,
            })
        })
        .collect()
}

impl Table {
    fn count(&self, db: &Db<'_>) -> Result<u64, Error> {
        let sql = format!("select count(*) from \"{}\"", self.name);
        let count: i64 = db.query_one(&sql, &[], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// All rows in the order of the key, which is the same on both engines:
    /// text by its bytes.
    fn select(&self, engine: Engine) -> String {
        let order = self.key.iter().map(|index| {
            let column = &self.columns[*index];
            match (engine, column.kind) {
                (Engine::Postgres, Kind::Text) => format!("\"{}\" collate \"C\"", column.name),
                _ => format!("\"{}\"", column.name),
            }
        });
        format!(
            "select {} from \"{}\" order by {}",
            self.column_list(),
            self.name,
            order.collect::<Vec<_>>().join(", ")
        )
    }

    fn insert(&self, rows: usize) -> String {
        let width = self.columns.len();
        let row = |row: usize| {
            let params = (1..=width).map(|column| format!("${}", row * width + column));
            format!("({})", params.collect::<Vec<_>>().join(", "))
        };
        format!(
            "insert into \"{}\" ({}) values {}",
            self.name,
            self.column_list(),
            (0..rows).map(row).collect::<Vec<_>>().join(", ")
        )
    }

    fn column_list(&self) -> String {
        let names = self
            .columns
            .iter()
            .map(|column| format!("\"{}\"", column.name));
        names.collect::<Vec<_>>().join(", ")
    }

    fn read(&self, row: &Row<'_>) -> Result<Record, Error> {
        let columns = self.columns.iter().enumerate();
        columns
            .map(|(index, column)| column.kind.read(row, index))
            .collect()
    }

    /// Sends the count and the rows. [`Error::Aborted`] when nobody takes them
    /// any more.
    fn send(&self, db: &Db<'_>, parcels: &SyncSender<Parcel>) -> Result<(), Error> {
        let post = |parcel| parcels.send(parcel).map_err(|_| Error::Aborted);
        post(Parcel::Count(self.count(db)?))?;
        let mut rows = Vec::with_capacity(PARCEL);
        db.each(&self.select(db.engine()), &[], |row| {
            rows.push(self.read(row)?);
            if rows.len() == PARCEL {
                let full = std::mem::replace(&mut rows, Vec::with_capacity(PARCEL));
                post(Parcel::Rows(full))?;
            }
            Ok(())
        })?;
        if !rows.is_empty() {
            post(Parcel::Rows(rows))?;
        }
        Ok(())
    }

    /// Writes the rows that are delivered, and tells how many they were.
    fn fill(
        &self,
        tx: &mut Tx<'_>,
        delivery: &mut Delivery,
        progress: &mut (dyn FnMut(Progress<'_>) + Send),
    ) -> Result<u64, CopyError> {
        let at_once = match tx.engine() {
            // Without a round trip one by one is the fastest.
            Engine::Sqlite => 1,
            Engine::Postgres => (VALUES / self.columns.len()).clamp(1, PARCEL),
        };
        let rows = delivery.count()?;
        let mut report = self.report(Step::Copying, rows, progress);
        let mut done = 0;
        while done < rows {
            let parcel = delivery.rows()?;
            for some in parcel.chunks(at_once) {
                tx.execute(&self.insert(some.len()), &some.concat())?;
                done += some.len() as u64;
            }
            if done % LEARNT < PARCEL as u64 {
                tx.index_now()?;
            }
            report(done);
        }
        Ok(rows)
    }

    /// Compares the rows that are delivered with those that are here. Both come
    /// in the order of the key.
    fn compare(
        &self,
        db: &Db<'_>,
        delivery: &mut Delivery,
        progress: &mut (dyn FnMut(Progress<'_>) + Send),
    ) -> Result<(), CopyError> {
        let rows = delivery.count()?;
        let mut report = self.report(Step::Comparing, rows, progress);
        let mut different = None;
        let mut done = 0;
        db.each(&self.select(db.engine()), &[], |row| {
            let here = self.read(row)?;
            let there = match done < rows {
                true => Some(delivery.next()?),
                false => None,
            };
            done += 1;
            if different.is_none() && !there.is_some_and(|there| same_record(&here, &there)) {
                different = Some(self.key_of(&here));
            }
            if done.is_multiple_of(PARCEL as u64) {
                report(done);
            }
            Ok(())
        })?;
        if different.is_none() && done < rows {
            different = Some(self.key_of(&delivery.next()?));
        }
        report(rows);
        match different {
            Some(key) => Err(CopyError::Different {
                table: self.name.clone(),
                key,
            }),
            None => Ok(()),
        }
    }

    fn report<'a>(
        &'a self,
        step: Step,
        rows: u64,
        progress: &'a mut (dyn FnMut(Progress<'_>) + Send),
    ) -> impl FnMut(u64) + 'a {
        move |done| {
            progress(Progress {
                step,
                table: &self.name,
                done,
                rows,
            });
        }
    }

    fn key_of(&self, record: &Record) -> String {
        let values = self.key.iter().map(|index| match &record[*index] {
            Value::Int(value) => value.to_string(),
            Value::Text(value) => value.clone(),
            Value::Uuid(value) => value.to_string(),
            Value::Timestamp(value) => value.to_string(),
            Value::Date(value) => value.to_string(),
            // Between two SQLite files an id looks like this.
            Value::Bytes(bytes) => match Uuid::from_slice(bytes) {
                Ok(id) => id.to_string(),
                Err(_) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            },
            other => format!("{other:?}"),
        });
        values.collect::<Vec<_>>().join(", ")
    }
}

// ----------------------------------------------------------------- comparison

fn same_record(one: &Record, other: &Record) -> bool {
    one.iter()
        .zip(other)
        .all(|(one, other)| same_value(one, other))
}

fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Json(one), Value::Json(other)) => same_json(one, other),
        // What is finer than a millisecond is not kept.
        (Value::Timestamp(one), Value::Timestamp(other)) => {
            one.as_millisecond() == other.as_millisecond()
        }
        _ => one == other,
    }
}

fn same_json(one: &serde_json::Value, other: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (one, other) {
        // Numbers by their value: PostgreSQL writes 1e2 as 100.
        (Number(one), Number(other)) => {
            one == other || decimal(&one.to_string()) == decimal(&other.to_string())
        }
        (Array(one), Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same_json(a, b))
        }
        (Object(one), Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, a)| other.get(name).is_some_and(|b| same_json(a, b)))
        }
        _ => one == other,
    }
}

/// A decimal number as its sign, its digits without zeros at either end, and
/// the power of ten of the last one.
fn decimal(number: &str) -> (bool, String, i64) {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let unsigned = mantissa.trim_start_matches('-');
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_end_matches('0');
    // Neither is anywhere near the end of 64 bits: a larger number is not JSON
    // that a database keeps.
    let exponent: i64 = exponent.parse().unwrap_or(i64::MAX / 2);
    let power = exponent - fraction.len() as i64 + (all.len() - digits.len()) as i64;
    match digits.trim_start_matches('0') {
        "" => (false, String::new(), 0),
        digits => (unsigned.len() < mantissa.len(), digits.to_owned(), power),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn json_is_the_same_however_its_members_and_numbers_are_written() {
        let same = |one: &str, other: &str| {
            let read = |text| serde_json::from_str(text).unwrap();
            same_json(&read(one), &read(other))
        };
        for (one, other) in [
            (
                r#"{"a": 1, "b": [true, null]}"#,
                r#"{"b":[true,null],"a":1}"#,
            ),
            ("1e2", "100"),
            ("1.50", "1.5"),
            ("-0.0", "0"),
            ("-12.5E-3", "-0.0125"),
            ("120", "1.2e+2"),
        ] {
            assert!(same(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("1", "-1"),
            ("1", "10"),
            ("12345678901234567890123", "12345678901234567890124"),
            ("\"1\"", "1"),
            ("[1, 2]", "[2, 1]"),
            (r#"{"a": null}"#, "{}"),
            (r#"{"a": 1}"#, r#"{"b": 1}"#),
        ] {
            assert!(!same(one, other), "{one} {other}");
        }
    }
}
