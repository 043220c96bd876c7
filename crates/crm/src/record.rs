//! Records: what every resource's rows have in common, and the statements that
//! follow from it. A resource's own file declares its record with
//! [`record!`](crate::record!) and holds the rules and the SQL that are its
//! own.

use std::fmt::Write as _;

use schemars::SchemaGenerator;
use serde::Serialize;
use serde_json::Value as Json;
use store::{Db, Engine, FromColumn, Row, Tx, Value};
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::input::{FieldDescription, Fields, Input, Patch};
use crate::paging::{Listing, Page, PageRequest};
use crate::sql::Condition;

/// A row of a table whose key is the workspace and an id.
pub trait Record: Sized {
    /// The table.
    const TABLE: &'static str;
    /// What one is called, as in "no contact with id … exists".
    const WHAT: &'static str;
    /// The columns in the order in which [`Record::take`] reads them.
    const COLUMNS: &'static str;
    /// The same, of the table under the alias `t`.
    const QUALIFIED: &'static str;
    /// The fields that it always has in an answer, by their names on the wire and in
    /// their order, but for those that come from elsewhere.
    const FIELDS: &'static [&'static str];

    /// Reads one from the next columns of a row.
    ///
    /// # Errors
    /// A column holds what its type can't be.
    fn take(columns: &mut Columns<'_, '_>) -> Result<Self, store::Error>;

    /// Its id.
    fn id(&self) -> Uuid;

    /// Reads one from a row that has its columns first.
    ///
    /// # Errors
    /// A column holds what its type can't be.
    fn from_row(row: &Row<'_>) -> Result<Self, store::Error> {
        Self::take(&mut Columns::of(row))
    }
}

/// The columns of a row, taken one after the other.
pub struct Columns<'a, 'r> {
    row: &'a Row<'r>,
    next: usize,
}

impl<'a, 'r> Columns<'a, 'r> {
    /// All columns of `row`.
    pub fn of(row: &'a Row<'r>) -> Self {
        Self { row, next: 0 }
    }

    /// The next one.
    ///
    /// # Errors
    /// It holds what `T` can't be.
    pub fn take<T: FromColumn>(&mut self) -> Result<T, store::Error> {
        let index = self.next;
        self.next += 1;
        self.row.get(index)
    }
}

/// A value for a column.
#[derive(Debug, Clone)]
pub struct Column {
    /// The column's name.
    pub name: &'static str,
    /// What it is to hold.
    pub value: Value,
}

/// A field that really changes.
#[derive(Debug, Clone)]
pub struct Change {
    /// The column that changes.
    pub column: &'static str,
    /// The field's name on the wire.
    pub field: &'static str,
    /// What it was.
    pub old: Json,
    /// What it will be.
    pub new: Json,
    /// The same, for the column.
    pub value: Value,
}

/// What a request says of a field, over what the record has there.
pub trait Slot<R> {
    /// Puts the new value in and gives the change, if it is one.
    fn apply(self, column: &'static str, field: &'static str, current: &mut R) -> Option<Change>;

    /// The value to store, if one was given.
    fn stored(self) -> Option<Value>;
}

impl<T> Slot<T> for Option<T>
where
    T: Clone + PartialEq + Serialize + Into<Value>,
{
    fn apply(self, column: &'static str, field: &'static str, current: &mut T) -> Option<Change> {
        self.and_then(|new| change(column, field, current, new))
    }

    fn stored(self) -> Option<Value> {
        self.map(Into::into)
    }
}

impl<T> Slot<Option<T>> for Patch<T>
where
    T: Clone + PartialEq + Serialize + Into<Value>,
{
    fn apply(
        self,
        column: &'static str,
        field: &'static str,
        current: &mut Option<T>,
    ) -> Option<Change> {
        let new = match self {
            Self::Keep => return None,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        };
        change(column, field, current, new)
    }

    fn stored(self) -> Option<Value> {
        match self {
            Self::Keep | Self::Clear => None,
            Self::Set(value) => Some(value.into()),
        }
    }
}

/// Puts `new` in the place of `current` and gives the change, if it is one.
pub fn change<T>(
    column: &'static str,
    field: &'static str,
    current: &mut T,
    new: T,
) -> Option<Change>
where
    T: Clone + PartialEq + Serialize + Into<Value>,
{
    if *current == new {
        return None;
    }
    // A field's type writes itself as JSON or it could not be answered either.
    let json = |value: &T| serde_json::to_value(value).unwrap_or_default();
    let change = Change {
        column,
        field,
        old: json(current),
        new: json(&new),
        value: new.clone().into(),
    };
    *current = new;
    Some(change)
}

/// The writable fields of a record.
pub trait Writable: Input + Default {
    /// The record that they are fields of.
    type Record;

    /// Puts what was given into the record; the fields that really change.
    fn apply(self, record: &mut Self::Record) -> Vec<Change>;

    /// What was given, for a new row.
    fn columns(self) -> Vec<Column>;

    /// The fields without which no record can be made.
    fn needed() -> &'static [&'static str];
}

/// The writable fields of a new record: those that it needs are there.
#[derive(Debug, Clone, Default)]
pub struct New<F>(pub F);

impl<F: Writable> Input for New<F> {
    fn read(fields: &mut Fields) -> Option<Self> {
        let needed = F::needed().iter();
        let missing: Vec<_> = needed.filter(|name| !fields.has(name)).collect();
        let given = fields.of_new_record::<F>();
        for name in &missing {
            fields.problems().missing.push((**name).to_owned());
        }
        given.filter(|_| missing.is_empty()).map(Self)
    }

    fn describe(generator: &mut SchemaGenerator, into: &mut Vec<FieldDescription>) {
        let from = into.len();
        F::describe(generator, into);
        for field in into.iter_mut().skip(from) {
            field.required = F::needed().contains(&field.name);
            // Null is the default of a new record's field, if it has one.
            field.nullable = !field.required;
        }
    }
}

/// Declares a [`Record`] and its [`Writable`] fields.
///
/// The sections give the order of the fields in an answer. A request may write
/// the columns under `write`; `read` and `kept` columns only we write, and they
/// differ in nothing but their place: what is `read`, such as the id, is
/// answered before the writable fields, and what is `kept`, such as the
/// instants, after them. `hidden` columns are never answered, `derived` fields
/// follow from others, and `joined` fields come from elsewhere.
///
/// A writable field is `solid` (a record can't be without it), `plain` (it
/// always has a value, which has a default) or `patch` (it may be null). A name
/// in brackets is the wire's, where it differs from the column's; what stands
/// behind `=` is an example, of an answer as well as of a request.
#[macro_export]
macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $record:ident in $table:literal, called $what:literal;
        $(#[$fields_meta:meta])*
        pub struct $fields:ident;
        read { $( $(#[$read_meta:meta])* $read:ident : $read_type:ty ),* $(,)? }
        write { $(
            $(#[doc = $doc:literal])*
            $kind:ident $write:ident $([$wire:literal])? : $write_type:ty $(= $example:tt)?
        ),* $(,)? }
        kept { $(
            $(#[$kept_meta:meta])* $kept:ident $([$kept_wire:literal])? : $kept_type:ty
        ),* $(,)? }
        $( hidden { $( $(#[$hidden_meta:meta])* $hidden:ident : $hidden_type:ty ),* $(,)? } )?
        $( derived { $(
            $(#[$derived_meta:meta])* $derived:ident : $derived_type:ty = $derive:expr
        ),* $(,)? } )?
        $( joined { $( $(#[$joined_meta:meta])* $joined:ident : $joined_type:ty ),* $(,)? } )?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, serde::Serialize, schemars::JsonSchema)]
        pub struct $record {
            $( $(#[$read_meta])* pub $read: $read_type, )*
            $(
                $(#[doc = $doc])*
                $(#[serde(rename = $wire)])?
                $(#[schemars(example = serde_json::json!($example))])?
                pub $write: $crate::record_type!($kind $write_type),
            )*
            $( $(#[$kept_meta])* $(#[serde(rename = $kept_wire)])? pub $kept: $kept_type, )*
            $($( $(#[$hidden_meta])* #[serde(skip)] pub $hidden: $hidden_type, )*)?
            $($( $(#[$derived_meta])* pub $derived: $derived_type, )*)?
            $($( $(#[$joined_meta])* pub $joined: $joined_type, )*)?
        }

        impl $record {
            /// Works out the fields that follow from others.
            fn derive(&mut self) {
                $($( self.$derived = $crate::record::derived(self, $derive); )*)?
            }
        }

        $crate::input! {
            $(#[$fields_meta])*
            #[derive(Default)]
            pub struct $fields {
                $( $(#[doc = $doc])* $kind $write $([$wire])? : $write_type $(= $example)?, )*
            }
        }

        $crate::record_kinds!($fields, $record; $( $kind $write $([$wire])? ),*);

        impl $crate::record::Record for $record {
            const TABLE: &'static str = $table;
            const WHAT: &'static str = $what;
            const COLUMNS: &'static str = $crate::record_columns!(
                "", $($read)* $($write)* $($kept)* $($($hidden)*)?
            );
            const QUALIFIED: &'static str = $crate::record_columns!(
                "t.", $($read)* $($write)* $($kept)* $($($hidden)*)?
            );
            const FIELDS: &'static [&'static str] = &[
                $( stringify!($read), )*
                $( $crate::record_wire!($write $($wire)?), )*
                $( $crate::record_wire!($kept $($kept_wire)?), )*
                $($( stringify!($derived), )*)?
            ];

            fn take(
                columns: &mut $crate::record::Columns<'_, '_>,
            ) -> Result<Self, store::Error> {
                let mut record = Self {
                    $( $read: columns.take()?, )*
                    $( $write: columns.take()?, )*
                    $( $kept: columns.take()?, )*
                    $($( $hidden: columns.take()?, )*)?
                    $($( $derived: Default::default(), )*)?
                    $($( $joined: Default::default(), )*)?
                };
                record.derive();
                Ok(record)
            }

            fn id(&self) -> uuid::Uuid {
                self.id
            }
        }
    };
}

/// The type that a writable field has in its record.
#[doc(hidden)]
#[macro_export]
macro_rules! record_type {
    (patch $type:ty) => { Option<$type> };
    ($kind:ident $type:ty) => { $type };
}

/// A list of columns as one text.
#[doc(hidden)]
#[macro_export]
macro_rules! record_columns {
    ($prefix:literal, $first:ident $($rest:ident)*) => {
        concat!($prefix, stringify!($first) $(, ", ", $prefix, stringify!($rest))*)
    };
}

/// The wire's name of a field: its own unless another is given.
#[doc(hidden)]
#[macro_export]
macro_rules! record_wire {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $wire:literal) => {
        $wire
    };
}

/// How the writable fields go into a record and its row.
#[doc(hidden)]
#[macro_export]
macro_rules! record_kinds {
    ($fields:ident, $record:ident; $( $kind:ident $field:ident $([$wire:literal])? ),*) => {
        impl $crate::record::Writable for $fields {
            type Record = $record;

            fn apply(self, record: &mut $record) -> Vec<$crate::record::Change> {
                use $crate::record::Slot as _;
                let mut changes = Vec::new();
                $(
                    changes.extend(self.$field.apply(
                        stringify!($field),
                        $crate::record_wire!($field $($wire)?),
                        &mut record.$field,
                    ));
                )*
                record.derive();
                changes
            }

            fn columns(self) -> Vec<$crate::record::Column> {
                let mut columns = Vec::new();
                $(
                    if let Some(value) = $crate::record::stored(self.$field) {
                        columns.push($crate::record::Column { name: stringify!($field), value });
                    }
                )*
                columns
            }

            fn needed() -> &'static [&'static str] {
                const KINDS: &[(&str, &str)] =
                    &[$( (stringify!($kind), $crate::record_wire!($field $($wire)?)) ),*];
                static NEEDED: std::sync::LazyLock<Vec<&'static str>> =
                    std::sync::LazyLock::new(|| {
                        KINDS
                            .iter()
                            .filter(|(kind, _)| *kind == "solid")
                            .map(|(_, wire)| *wire)
                            .collect()
                    });
                &NEEDED
            }
        }
    };
}

/// The record with that id, if the workspace has one.
pub fn find<R: Record>(db: &Db<'_>, who: &Caller, id: Uuid) -> Result<Option<R>> {
    select_one(db, who, id, "")
}

/// The record with that id.
pub fn get<R: Record>(db: &Db<'_>, who: &Caller, id: Uuid) -> Result<R> {
    find(db, who, id)?.ok_or_else(|| not_found::<R>(id))
}

/// The record with that id, which nobody else changes until the end of the
/// transaction.
pub fn lock<R: Record>(tx: &Tx<'_>, who: &Caller, id: Uuid) -> Result<R> {
    lock_if_there(tx, who, id)?.ok_or_else(|| not_found::<R>(id))
}

/// As [`lock`], for an id that was found in a list: by now somebody else may
/// have deleted its record.
pub fn lock_if_there<R: Record>(tx: &Tx<'_>, who: &Caller, id: Uuid) -> Result<Option<R>> {
    select_one(tx, who, id, tx.engine().for_update())
}

/// The record with that id, which stays as it is until the end of the
/// transaction: a reference to it can be written.
pub fn share<R: Record>(tx: &Tx<'_>, who: &Caller, id: Uuid) -> Result<R> {
    select_one(tx, who, id, tx.engine().for_share())?.ok_or_else(|| not_found::<R>(id))
}

/// The statement that reads the record with one id.
pub(crate) fn one<R: Record>(lock: &str) -> String {
    format!(
        "select {} from {} where workspace_id = $1 and id = $2{lock}",
        R::COLUMNS,
        R::TABLE
    )
}

fn select_one<R: Record>(db: &Db<'_>, who: &Caller, id: Uuid, lock: &str) -> Result<Option<R>> {
    Ok(db.query_opt(
        &one::<R>(lock),
        &store::params![who.workspace_id, id],
        R::from_row,
    )?)
}

/// Makes sure that the workspace has the record.
pub fn check<R: Record>(db: &Db<'_>, who: &Caller, id: Uuid) -> Result<()> {
    db.query_opt(
        &format!(
            "select 1 from {} where workspace_id = $1 and id = $2",
            R::TABLE
        ),
        &store::params![who.workspace_id, id],
        |row| row.get::<i64>(0),
    )?
    .map(drop)
    .ok_or_else(|| not_found::<R>(id))
}

/// The error for an id that names no record.
pub fn not_found<R: Record>(id: Uuid) -> Error {
    Error::NotFound { what: R::WHAT, id }
}

/// The error for a link to a record that there is not: either the record does
/// not exist, or it is not linked.
pub(crate) fn not_linked<R: Record>(db: &Db<'_>, who: &Caller, id: Uuid) -> Error {
    match check::<R>(db, who, id) {
        Ok(()) => Error::NotLinked { what: R::WHAT, id },
        Err(error) => error,
    }
}

/// The records with these ids, in no particular order; ids that name none are
/// passed over.
pub fn of_ids<R: Record>(db: &Db<'_>, who: &Caller, ids: Vec<Uuid>) -> Result<Vec<R>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(db.query(
        &format!(
            "select {} from {} where workspace_id = $1 and id {}",
            R::COLUMNS,
            R::TABLE,
            db.engine().any(2)
        ),
        &store::params![who.workspace_id, ids],
        R::from_row,
    )?)
}

/// The condition that all records of the workspace meet, under the alias `t`.
pub fn all(who: &Caller) -> Condition {
    Condition::in_workspace("t", who.workspace_id)
}

/// A page of the records under `condition`, which speaks of the table as `t`.
pub fn page<R: Record>(db: &Db<'_>, condition: Condition, request: PageRequest) -> Result<Page<R>> {
    let listing = Listing {
        columns: R::QUALIFIED,
        from: &format!("{} t", R::TABLE),
        id: "t.id",
    };
    crate::paging::page(db, listing, condition, request, R::id, R::from_row)
}

/// Adds a row made now, and reads it back.
pub fn insert<R: Record>(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    columns: Vec<Column>,
) -> Result<R> {
    let mut names = String::from("workspace_id, id, created_at, updated_at");
    let mut places = String::from("$1, $2, $3, $3");
    let mut params: Vec<Value> = store::params![who.workspace_id, id, who.now].into();
    for Column { name, value } in columns {
        params.push(value);
        // Writing into a String can't fail.
        let _ = write!(names, ", {name}");
        let _ = write!(places, ", ${}", params.len());
    }
    let insert = format!("insert into {} ({names}) values ({places})", R::TABLE);
    // To SQLite a statement that gives rows is one to be undone alone: where nothing else
    // makes it one, it would keep all pages that it changes as they were, and take longer
    // than to look for the row.
    if tx.engine() == Engine::Sqlite {
        tx.execute(&insert, &params)?;
        return get(tx, who, id);
    }
    let returning = format!("{insert} returning {}", R::COLUMNS);
    Ok(tx.query_one(&returning, &params, R::from_row)?)
}

/// Writes the changes, if there are any, with columns that no field shows and
/// the instant at which it happened.
pub fn update<R: Record>(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    changes: &[Change],
    internal: impl IntoIterator<Item = Column>,
) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut assignments = String::from("updated_at = $3");
    let mut params: Vec<Value> = store::params![who.workspace_id, id, who.now].into();
    let shown = changes
        .iter()
        .map(|change| (change.column, change.value.clone()));
    let internal = internal
        .into_iter()
        .map(|column| (column.name, column.value));
    for (column, value) in shown.chain(internal) {
        params.push(value);
        let _ = write!(assignments, ", {column} = ${}", params.len());
    }
    tx.execute(
        &format!(
            "update {} set {assignments} where workspace_id = $1 and id = $2",
            R::TABLE
        ),
        &params,
    )?;
    Ok(())
}

/// Removes the row; an error if there was none.
pub fn delete<R: Record>(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<()> {
    let removed = tx.execute(
        &format!(
            "delete from {} where workspace_id = $1 and id = $2",
            R::TABLE
        ),
        &store::params![who.workspace_id, id],
    )?;
    if removed == 0 {
        return Err(not_found::<R>(id));
    }
    Ok(())
}

/// The value to store for a field of a request, if one was given.
pub fn stored<R, S: Slot<R>>(slot: S) -> Option<Value> {
    slot.stored()
}

/// What `derive` makes of the record.
pub fn derived<R, T>(record: &R, derive: fn(&R) -> T) -> T {
    derive(record)
}
