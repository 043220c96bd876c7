//! What is found through a text index: which statements ask it, on either engine.

use crate::sqlite::INDEX_QUEUE;
use crate::{Db, Error, Session, Value};

impl Db<'_> {
    /// The condition "the column `doc` of `table`, here called `alias`,
    /// contains one of `terms`", through the index; and what to bind from
    /// `$param` on.
    ///
    /// `doc` and the terms must have been folded alike (lower case, no accents)
    /// by the caller; here they are compared as they are, every character
    /// meaning itself. A term of one or two characters [is in no
    /// index](crate::Engine::has_index_for).
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
    ///
    /// # Errors
    /// The database's.
    pub fn contains(
        &self,
        table: &str,
        alias: &str,
        param: usize,
        terms: &[String],
    ) -> Result<(String, Vec<Value>), Error> {
        let (column, pattern) = (format!("{alias}.doc"), Pattern::any_of(terms));
        let Session::Sqlite(session) = self.session else {
            return Ok(pattern.likes(&column, param));
        };
        let asked = session.index_query(table, &pattern)?;
        let (has, texts) = pattern.instrs(&column, param + 1);
        let condition = format!(
            "({alias}.rowid in (
                 select rowid from {table}_index where {table}_index match ${param}
                 union all select number from {INDEX_QUEUE} where source = '{table}')
              and {has})"
        );
        Ok((condition, [vec![asked], texts].concat()))
    }

    /// From where the rows of `table`, called `alias`, in which `pattern` is
    /// found come newest first, however many there are: whoever wants some takes as many
    /// from each place, and a row that several have once.
    ///
    /// # Errors
    /// The database's.
    pub fn newest_matching(
        &self,
        table: &str,
        alias: &str,
        param: usize,
        pattern: &Pattern,
    ) -> Result<Vec<Walk>, Error> {
        let column = format!("{alias}.doc");
        let Session::Sqlite(session) = self.session else {
            let (condition, values) = pattern.likes(&column, param);
            return Ok(vec![Walk {
                from: format!("{table} {alias}"),
                condition,
                values,
                order: format!("{alias}.id"),
            }]);
        };
        let asked = session.index_query(table, pattern)?;
        let (has, texts) = pattern.instrs(&column, param + 1);
        // The index itself is in the order in which rows were added.
        let indexed = Walk {
            from: format!("{table}_index i cross join {table} {alias} on {alias}.rowid = i.rowid"),
            condition: format!("i.{table}_index match ${param} and {has}"),
            values: [vec![asked], texts].concat(),
            order: "i.rowid".to_owned(),
        };
        let (has, values) = pattern.instrs(&column, param);
        let waiting = Walk {
            from: format!("{INDEX_QUEUE} i cross join {table} {alias} on {alias}.rowid = i.number"),
            condition: format!("i.source = '{table}' and {has}"),
            values,
            order: "i.number".to_owned(),
        };
        Ok(vec![indexed, waiting])
    }

    /// The statement that counts, no further than `limit`, how many rows of
    /// `table` contain one of `terms`, of those that the index has learned, and what to
    /// bind from `$1` on: for whoever has to choose between [`contains`](Self::contains) and
    /// [`scan_contains`](crate::Engine::scan_contains). None on PostgreSQL, which
    /// [chooses by itself](Self::plan_for_values).
    ///
    /// # Errors
    /// The database's.
    pub fn count_containing(
        &self,
        table: &str,
        terms: &[String],
        limit: i64,
    ) -> Result<Option<(String, Vec<Value>)>, Error> {
        let Session::Sqlite(session) = self.session else {
            return Ok(None);
        };
        let pattern = Pattern::any_of(terms);
        let asked = session.index_query(table, &pattern)?;
        let (has, texts) = pattern.instrs("t.doc", 2);
        let sql = format!(
            "select count(*) from (
                 select 1 from {table}_index i
                 cross join {table} t on t.rowid = i.rowid
                 where i.{table}_index match $1 and {has} limit {limit})"
        );
        Ok(Some((sql, [vec![asked], texts].concat())))
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
    /// This text, which has [three characters or more](crate::Engine::has_index_for).
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
