//! The few places where the two engines need different SQL.

use crate::sqlite::INDEX_QUEUE;
use crate::{Value, trigrams};

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

    /// The condition "the column `doc` of `table`, here called `alias`,
    /// contains one of `terms`", through the index; and what to bind from
    /// `$param` on.
    ///
    /// `doc` and the terms must have been folded alike (lower case, no accents)
    /// by the caller; here they are compared as they are, every character
    /// meaning itself. A term of one or two characters [is in no
    /// index](Self::has_index_for).
    ///
    /// The migrations make the index. PostgreSQL:
    ///
    /// ```sql
    /// create extension if not exists pg_trgm;
    /// create index note_doc on note using gin (doc gin_trgm_ops);
    /// ```
    ///
    /// SQLite, with an `integer primary key`, because `vacuum` gives other
    /// rows new rowids and the index would then name the wrong ones:
    ///
    /// ```sql
    /// create table note (number integer primary key, id blob not null unique, doc text not null);
    /// create virtual table note_index using fts5(
    ///     doc, content = 'note', content_rowid = 'number',
    ///     detail = none, columnsize = 0, tokenize = 'trigram case_sensitive 1'
    /// );
    /// create table index_queue (
    ///     source text not null, number integer not null, old_doc text, new_doc text,
    ///     primary key (source, number)
    /// ) without rowid;
    /// create trigger note_added after insert on note begin
    ///     insert into index_queue (source, number, new_doc) values ('note', new.number, new.doc)
    ///     on conflict (source, number) do update set new_doc = excluded.new_doc;
    /// end;
    /// create trigger note_removed after delete on note begin
    ///     insert into index_queue (source, number, old_doc) values ('note', old.number, old.doc)
    ///     on conflict (source, number) do update set new_doc = null;
    /// end;
    /// create trigger note_changed after update of doc on note begin
    ///     insert into index_queue (source, number, old_doc, new_doc)
    ///     values ('note', new.number, old.doc, new.doc)
    ///     on conflict (source, number) do update set new_doc = excluded.new_doc;
    /// end;
    /// create trigger note_learned after delete on index_queue when old.source = 'note' begin
    ///     insert into note_index (note_index, rowid, doc)
    ///     select 'delete', old.number, old.old_doc where old.old_doc is not null;
    ///     insert into note_index (rowid, doc)
    ///     select old.number, old.new_doc where old.new_doc is not null;
    /// end;
    /// ```
    ///
    /// The store empties the queue when many texts wait in it; what waits is looked
    /// through beside the index. An index that learns from every transaction writes as
    /// many pieces, which it has to merge.
    #[must_use]
    pub fn contains(
        self,
        table: &str,
        alias: &str,
        param: usize,
        terms: &[String],
    ) -> (String, Vec<Value>) {
        let pattern = Pattern::any_of(terms);
        match self {
            Self::Sqlite => {
                let (has, texts) = pattern.instrs(&format!("{alias}.doc"), param + 1);
                let condition = format!(
                    "({alias}.rowid in (
                         select rowid from {table}_index where {table}_index match ${param}
                         union all select number from {INDEX_QUEUE} where source = '{table}')
                      and {has})"
                );
                (condition, [vec![pattern.fts_query()], texts].concat())
            }
            Self::Postgres => pattern.likes(&format!("{alias}.doc"), param),
        }
    }

    /// The same condition as [`contains`](Self::contains) without the index:
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

    /// From where the rows of `table`, called `alias`, in which `pattern` is
    /// found come newest first, however many there are: whoever wants some takes as many
    /// from each place, and a row that several have once.
    #[must_use]
    pub fn newest_matching(
        self,
        table: &str,
        alias: &str,
        param: usize,
        pattern: &Pattern,
    ) -> Vec<Walk> {
        let column = format!("{alias}.doc");
        match self {
            // The index itself is in the order in which rows were added.
            Self::Sqlite => {
                let (has, texts) = pattern.instrs(&column, param + 1);
                let indexed = Walk {
                    from: format!(
                        "{table}_index i cross join {table} {alias} on {alias}.rowid = i.rowid"
                    ),
                    condition: format!("i.{table}_index match ${param} and {has}"),
                    values: [vec![pattern.fts_query()], texts].concat(),
                    order: "i.rowid".to_owned(),
                };
                let (has, values) = pattern.instrs(&column, param);
                let waiting = Walk {
                    from: format!(
                        "{INDEX_QUEUE} i cross join {table} {alias} on {alias}.rowid = i.number"
                    ),
                    condition: format!("i.source = '{table}' and {has}"),
                    values,
                    order: "i.number".to_owned(),
                };
                vec![indexed, waiting]
            }
            Self::Postgres => {
                let (condition, values) = pattern.likes(&column, param);
                vec![Walk {
                    from: format!("{table} {alias}"),
                    condition,
                    values,
                    order: format!("{alias}.id"),
                }]
            }
        }
    }

    /// The statement that counts, no further than `limit`, how many rows of
    /// `table` contain one of `terms`, of those that the index has learned, and what to
    /// bind from `$1` on: for whoever has to choose between [`contains`](Self::contains) and
    /// [`scan_contains`](Self::scan_contains). None on PostgreSQL, which
    /// [chooses by itself](crate::Db::plan_for_values).
    #[must_use]
    pub fn count_containing(
        self,
        table: &str,
        terms: &[String],
        limit: i64,
    ) -> Option<(String, Vec<Value>)> {
        match self {
            Self::Sqlite => {
                let pattern = Pattern::any_of(terms);
                let (has, texts) = pattern.instrs("t.doc", 2);
                let values = [vec![pattern.fts_query()], texts].concat();
                let sql = format!(
                    "select count(*) from (
                         select 1 from {table}_index i
                         cross join {table} t on t.rowid = i.rowid
                         where i.{table}_index match $1 and {has} limit {limit})"
                );
                Some((sql, values))
            }
            Self::Postgres => None,
        }
    }
}

/// The pieces of a statement that gives rows newest first.
#[derive(Clone, Debug)]
pub struct Walk {
    /// What to select from.
    pub from: String,
    /// The condition that the rows meet.
    pub condition: String,
    /// What it binds.
    pub values: Vec<Value>,
    /// What to order by, descending.
    pub order: String,
}

/// What is looked for in a text by its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This text, which has [three characters or more](Engine::has_index_for).
    Text(String),
    /// Each of these, of which there is one at least, anywhere.
    All(Vec<Pattern>),
    /// One of these, of which there is one at least.
    Any(Vec<Pattern>),
}

impl Pattern {
    /// One of these texts.
    #[must_use]
    pub fn any_of(terms: &[String]) -> Self {
        Self::Any(terms.iter().cloned().map(Self::Text).collect())
    }

    /// FTS5's query for what may have it: a text may lack what has all its parts, or have
    /// changed since the index learned of it.
    fn fts_query(&self) -> Value {
        let quoted = |part: &str| format!("\"{}\"", part.replace('"', "\"\""));
        let query = self.spelled(" AND ", " OR ", &mut |text| {
            let parts: Vec<_> = trigrams::telling(text).map(quoted).collect();
            format!("({})", parts.join(" AND "))
        });
        Value::Text(query)
    }

    /// As `likes`, of SQLite.
    fn instrs(&self, column: &str, first: usize) -> (String, Vec<Value>) {
        let mut values = Vec::new();
        let condition = self.spelled(" and ", " or ", &mut |text| {
            values.push(Value::Text(text.to_owned()));
            format!("instr({column}, ${}) > 0", first + values.len() - 1)
        });
        (condition, values)
    }

    /// The condition that it is found in `column`, and what to bind from `$first`
    /// on.
    fn likes(&self, column: &str, first: usize) -> (String, Vec<Value>) {
        let mut values = Vec::new();
        let condition = self.spelled(" and ", " or ", &mut |text| {
            values.push(Value::Text(like_pattern(text)));
            format!("{column} like ${}", first + values.len() - 1)
        });
        (condition, values)
    }

    fn spelled(&self, and: &str, or: &str, text: &mut impl FnMut(&str) -> String) -> String {
        let (parts, between) = match self {
            Self::Text(term) => return text(term),
            Self::All(parts) => (parts, and),
            Self::Any(parts) => (parts, or),
        };
        let parts: Vec<_> = parts
            .iter()
            .map(|part| part.spelled(and, or, text))
            .collect();
        format!("({})", parts.join(between))
    }
}

fn like_pattern(term: &str) -> String {
    let mut pattern = String::with_capacity(term.len() + 2);
    pattern.push('%');
    for character in term.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
