//! The few places where the two engines need different SQL.

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
    /// one. None on SQLite, whose plans follow from the schema.
    #[must_use]
    pub fn analyze(self, table: &str) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(format!("analyze {table}")),
        }
    }

    /// The condition "the column `doc` of `table`, here called `alias`,
    /// contains `term`", through the index; and what to bind at `$param`.
    ///
    /// `doc` and `term` must have been folded alike (lower case, no accents)
    /// by the caller; here they are compared as they are, every character
    /// meaning itself. A term of one or two characters is in no index: it gives
    /// [`scan_contains`](Self::scan_contains).
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
    ///     doc, content = 'note', content_rowid = 'number', tokenize = 'trigram case_sensitive 1'
    /// );
    /// create trigger note_index_insert after insert on note begin
    ///     insert into note_index (rowid, doc) values (new.number, new.doc);
    /// end;
    /// create trigger note_index_delete after delete on note begin
    ///     insert into note_index (note_index, rowid, doc) values ('delete', old.number, old.doc);
    /// end;
    /// create trigger note_index_update after update of doc on note
    /// when old.doc is not new.doc begin
    ///     insert into note_index (note_index, rowid, doc) values ('delete', old.number, old.doc);
    ///     insert into note_index (rowid, doc) values (new.number, new.doc);
    /// end;
    /// ```
    #[must_use]
    pub fn contains(self, table: &str, alias: &str, param: usize, term: &str) -> (String, Value) {
        if term.chars().nth(2).is_none() {
            return self.scan_contains(alias, param, term);
        }
        match self {
            Self::Sqlite => (
                format!(
                    "{alias}.rowid in (select rowid from {table}_index \
                     where {table}_index match ${param})"
                ),
                Value::Text(format!("\"{}\"", term.replace('"', "\"\""))),
            ),
            Self::Postgres => (
                format!("{alias}.doc like ${param}"),
                Value::Text(like_pattern(term)),
            ),
        }
    }

    /// The same condition as [`contains`](Self::contains) without the index:
    /// cheaper when the term is common and a newest-first walk with a limit
    /// finds its page quickly.
    #[must_use]
    pub fn scan_contains(self, alias: &str, param: usize, term: &str) -> (String, Value) {
        let condition = match self {
            Self::Sqlite => format!("instr({alias}.doc, ${param}) > 0"),
            Self::Postgres => format!("position(${param} in {alias}.doc) > 0"),
        };
        (condition, Value::Text(term.to_owned()))
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
