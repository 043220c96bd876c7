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
    let mut matches = Vec::new();
    for needle in needles(db, who, query)? {
        let parameter = condition.bound() + 1;
        let (text, value) = db.engine().contains(R::INDEX, "s", parameter, &needle);
        condition.bind(value);
        matches.push(text);
    }
    if matches.is_empty() {
        condition.and("false", []);
        return Ok(());
    }
    condition.and(
        &format!(
            "t.id in (select s.id from {} s where s.workspace_id = $1 and ({}))",
            R::INDEX,
            matches.join(" or ")
        ),
        [],
    );
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

/// The records that `search` finds, best first: those of exactly this name,
/// those whose name begins so, then the newest.
pub fn search<R: Searchable>(db: &Db<'_>, who: &Caller, search: &Search) -> Result<Page<R>> {
    let limit = search.limit.unwrap_or_default();
    let wanted = limit.get() as usize + 1;
    let name = fold(&search.query);
    let named = |condition: &str, values: Vec<Value>| {
        let mut named = record::all(who);
        named.and(condition, values);
        (format!("{} t", R::INDEX), named)
    };
    let mut anywhere = record::all(who);
    narrow::<R>(db, who, &mut anywhere, &search.query)?;
    let tiers = [
        named("t.name_key = ?", vec![name.clone().into()]),
        named(
            "t.name_key > ? and t.name_key < ?",
            vec![name.clone().into(), format!("{name}{}", char::MAX).into()],
        ),
        (format!("{} t", R::TABLE), anywhere),
    ];

    let mut ids: Vec<Uuid> = Vec::new();
    for (from, mut condition) in tiers {
        if ids.len() >= wanted || name.is_empty() {
            break;
        }
        // Some of these may be there already, by a better tier.
        let limit = condition.bind(i64::from(limit.get()) + 1 + ids.len() as i64);
        let found = db.query(
            &format!(
                "select t.id from {from} where {} order by t.id desc limit {limit}",
                condition.text()
            ),
            condition.params(),
            |row| row.get::<Uuid>(0),
        )?;
        let new: Vec<_> = found.into_iter().filter(|id| !ids.contains(id)).collect();
        ids.extend(new);
    }
    ids.truncate(wanted);
    let mut found = record::of_ids::<R>(db, who, ids.clone())?;
    found.sort_by_key(|record| ids.iter().position(|id| *id == record.id()));
    Ok(Page::cut(found, limit))
}
