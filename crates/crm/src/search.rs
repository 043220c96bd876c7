//! Searching by a part of a name, an address or a phone number.
//!
//! Each searchable record has a row in its search table: its folded name, and
//! a document of everything that it is found by. The engines index the
//! documents; what a document says is decided here.

use std::fmt::Write as _;

use store::{Db, Tx, Value};
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::Result;
use crate::fold::{digits, fold, phone_needles};
use crate::paging::{Limit, Page};
use crate::record::{self, Record};
use crate::sql::Condition;
use crate::text::Text;

/// What a search looks for.
pub type Query = Text<200>;

crate::input! {
    /// A search for records.
    pub struct Search {
        /// What to look for: a part of a name, an e-mail address or a phone
        /// number, in any case, with or without accents.
        required query: Query,
        /// How many records to answer: 1 to 100, clamped.
        optional limit: Limit,
    }
}

/// A record that can be searched for.
pub trait Searchable: Record {
    /// Its search table.
    const INDEX: &'static str;
}

/// What a record is found by.
#[derive(Debug, Default)]
pub(crate) struct Document(String);

impl Document {
    /// Adds a text.
    pub(crate) fn text(&mut self, text: Option<&str>) {
        // A folded text holds no line break, so no match spans two of them.
        let _ = writeln!(self.0, "{}", fold(text.unwrap_or_default()));
    }

    /// Adds a phone number.
    pub(crate) fn phone(&mut self, phone: Option<&str>) {
        if let Some(phone) = phone {
            let _ = writeln!(self.0, "{}", as_phone(phone));
        }
    }
}

/// Writes an E.164 number, or a part of one, in letters of their own (of
/// Unicode's private use area), so that a phone number is only ever found by a
/// phone number.
fn as_phone(number: &str) -> String {
    number
        .bytes()
        .filter_map(|sign| char::from_u32(0xE000 + u32::from(sign)))
        .collect()
}

/// Makes the record findable by `document` and by its name.
pub(crate) fn put<R: Searchable>(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    name: &str,
    document: Document,
) -> Result<()> {
    tx.execute(
        &format!(
            "insert into {} (workspace_id, id, name_key, doc) values ($1, $2, $3, $4)
             on conflict (workspace_id, id)
             do update set name_key = excluded.name_key, doc = excluded.doc",
            R::INDEX
        ),
        &store::params![who.workspace_id, id, fold(name), document.0],
    )?;
    Ok(())
}

/// Makes the record no longer findable.
pub(crate) fn remove<R: Searchable>(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<()> {
    tx.execute(
        &format!(
            "delete from {} where workspace_id = $1 and id = $2",
            R::INDEX
        ),
        &store::params![who.workspace_id, id],
    )?;
    Ok(())
}

/// Narrows `condition`, which speaks of the record's table as `t`, to what
/// `query` is found in.
pub fn narrow<R: Searchable>(
    db: &Db<'_>,
    who: &Caller,
    condition: &mut Condition,
    query: &str,
) -> Result<()> {
    let needles = needles(db, who, query)?;
    if needles.is_empty() {
        condition.and("false", []);
        return Ok(());
    }
    let mut matches = Vec::new();
    for needle in &needles {
        let parameter = condition.bound() + 1;
        let (text, value) = db.engine().contains(R::INDEX, "s", parameter, needle);
        condition.bind(value);
        matches.push(text);
    }
    let (table, matches) = (R::INDEX, matches.join(" or "));
    // What is in no index is looked for in the workspace's documents. Else
    // nothing must tempt SQLite to begin by those: the index is far shorter.
    let text = if needles.iter().any(|needle| needle.chars().nth(2).is_none()) {
        format!("t.id in (select s.id from {table} s where s.workspace_id = $1 and ({matches}))")
    } else {
        format!(
            "(t.workspace_id, t.id) in (select s.workspace_id, s.id from {table} s where {matches})"
        )
    };
    condition.and(&text, []);
    Ok(())
}

/// The texts of which any one makes a document a match.
fn needles(db: &Db<'_>, who: &Caller, query: &str) -> Result<Vec<String>> {
    let mut needles = vec![fold(query)];
    if digits(query).len() > 2 {
        let region = who.region(db)?;
        let phones = phone_needles(query, region);
        needles.extend(phones.iter().map(|part| as_phone(part)));
    }
    needles.retain(|needle| !needle.is_empty());
    Ok(needles)
}

/// Where matches of one rank are found.
pub(crate) struct Tier {
    table: &'static str,
    condition: Condition,
}

impl Tier {
    /// The statement that reads the newest `limit` of them.
    pub(crate) fn statement(&self, limit: i64) -> (String, Condition) {
        let mut bounded = self.condition.clone();
        let limit = bounded.bind(limit);
        let sql = format!(
            "select t.id from {} t where {} order by t.id desc limit {limit}",
            self.table,
            bounded.text()
        );
        (sql, bounded)
    }
}

/// The ranks of a match, the best first; none for a query that folds to
/// nothing.
pub(crate) fn tiers<R: Searchable>(db: &Db<'_>, who: &Caller, query: &str) -> Result<Vec<Tier>> {
    let name = fold(query);
    if name.is_empty() {
        return Ok(Vec::new());
    }
    let named = |text: &str, values: Vec<Value>| {
        let mut condition = record::all(who);
        condition.and(text, values);
        Tier {
            table: R::INDEX,
            condition,
        }
    };
    let after = format!("{name}{}", char::MAX);
    let mut anywhere = record::all(who);
    narrow::<R>(db, who, &mut anywhere, query)?;
    Ok(vec![
        named("t.name_key = ?", vec![name.clone().into()]),
        named(
            "t.name_key > ? and t.name_key < ?",
            vec![name.into(), after.into()],
        ),
        Tier {
            table: R::TABLE,
            condition: anywhere,
        },
    ])
}

/// The records that `search` finds, best first: those of exactly this name,
/// those whose name begins so, then the newest.
pub fn search<R: Searchable>(db: &Db<'_>, who: &Caller, search: &Search) -> Result<Page<R>> {
    let limit = search.limit.unwrap_or_default();
    let wanted = limit.get() as usize + 1;
    let mut ids: Vec<Uuid> = Vec::new();
    for tier in tiers::<R>(db, who, &search.query)? {
        if ids.len() >= wanted {
            break;
        }
        // Some of these may be there already, by a better tier.
        let (sql, bounded) = tier.statement(i64::from(limit.get()) + 1 + ids.len() as i64);
        let found = db.query(&sql, bounded.params(), |row| row.get::<Uuid>(0))?;
        let new: Vec<_> = found.into_iter().filter(|id| !ids.contains(id)).collect();
        ids.extend(new);
    }
    ids.truncate(wanted);
    let mut found = record::of_ids::<R>(db, who, ids.clone())?;
    found.sort_by_key(|record| ids.iter().position(|id| *id == record.id()));
    Ok(Page::cut(found, limit))
}
