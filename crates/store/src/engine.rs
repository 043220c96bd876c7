//! The few small places where the two engines need different SQL; how a text index is
//! asked is a larger one, [of its own](crate::Db::contains).

use crate::Value;

/// Which engine, and what it spells differently. Every function gives a piece
/// of SQL; no text of a user's ever becomes part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Engine {
    /// The condition "is one of the list bound at `$param`", to follow a
    /// column: `format!("id {}", engine.any(3))`, with
    /// [`Value::Uuids`] bound at `$3`. Nothing is one of an empty list.
    #[must_use]
    pub fn any(self, param: usize) -> String {
        match self {
            Self::Sqlite => format!("in rarray(${param})"),
            Self::Postgres => format!("= any(${param})"),
        }
    }

    /// The rows of `table` whose `column` is one of the list bound at `$param`, to
    /// stand before an alias in a `from`; what the list has twice may give its row
    /// twice. For what is asked often: of a list for [`any`](Self::any) SQLite makes
    /// a table each time.
    #[must_use]
    pub fn listed(self, table: &str, column: &str, param: usize) -> String {
        match self {
            Self::Sqlite => format!(
                "(select {table}.* from rarray(${param}) list
                  cross join {table} on {table}.{column} = list.value)"
            ),
            Self::Postgres => format!("(select * from {table} where {column} = any(${param}))"),
        }
    }

    /// Whether transactions that write come one after the other: what one has read
    /// stays as it is until its end. Elsewhere that has to be
    /// [asked for](Self::for_update).
    #[must_use]
    pub fn has_one_writer(self) -> bool {
        self == Self::Sqlite
    }

    /// The clause at the end of a `select` that locks its rows until the end
    /// of the transaction, still letting others refer to them. On SQLite
    /// nothing: there is one writer.
    #[must_use]
    pub fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " for no key update",
        }
    }

    /// As [`for_update`](Self::for_update), for a `select` from several tables of
    /// which only the rows of the one called `alias` are locked.
    #[must_use]
    pub fn for_update_of(self, alias: &str) -> String {
        match self {
            Self::Sqlite => String::new(),
            Self::Postgres => format!(" for no key update of {alias}"),
        }
    }

    /// The clause that keeps rows as they are until the end of the transaction,
    /// letting others read and share them. On SQLite nothing.
    #[must_use]
    pub fn for_share(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " for share",
        }
    }

    /// The statement that lets the planner know how large `table` has become.
    /// For what fills tables faster than PostgreSQL looks at them: it takes a
    /// table for small until it has, and then the wrong index for the right
    /// one. None on SQLite, whose plans follow from the schema, and from what the
    /// migrations say of its keys.
    #[must_use]
    pub fn analyze(self, table: &str) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(format!("analyze {table}")),
        }
    }

    /// A column that is only compared, where another one tells rows apart better or
    /// gives the order that is wanted: no index is sought by it. PostgreSQL
    /// [chooses by itself](crate::Db::plan_for_values), SQLite can't without
    /// statistics.
    #[must_use]
    pub fn in_passing(self, column: &str) -> String {
        match self {
            Self::Sqlite => format!("+{column}"),
            Self::Postgres => column.to_owned(),
        }
    }

    /// The same condition as [`contains`](crate::Db::contains) without the index:
    /// cheaper when a term is common and a newest-first walk with a limit finds
    /// its page quickly.
    #[must_use]
    pub fn scan_contains(
        self,
        alias: &str,
        param: usize,
        terms: &[String],
    ) -> (String, Vec<Value>) {
        let condition = |param| match self {
            Self::Sqlite => format!("instr({alias}.doc, ${param}) > 0"),
            Self::Postgres => format!("position(${param} in {alias}.doc) > 0"),
        };
        let conditions: Vec<_> = (param..)
            .zip(terms)
            .map(|(param, _)| condition(param))
            .collect();
        let values = terms.iter().cloned().map(Value::Text).collect();
        (format!("({})", conditions.join(" or ")), values)
    }

    /// Whether every one of `terms` is long enough to be found by the index.
    #[must_use]
    pub fn has_index_for(self, terms: &[String]) -> bool {
        terms.iter().all(|term| term.chars().nth(2).is_some())
    }
}
