//! Searching by a part of a name, an address or a phone number.
//!
//! Each searchable record has a row in its search table: its folded name, and
//! a document of everything that it is found by. The engines index the
//! documents; what a document says is decided here.

use std::fmt::Write as _;

use store::{Db, Pattern, Row, Tx};
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
        required query: Query = "engines",
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
    /// Adds a text, if there is one.
    pub(crate) fn text(&mut self, text: Option<&str>) {
        if let Some(text) = text {
            // A folded text holds no line break, so no match spans two of them.
            let _ = writeln!(self.0, "{}", fold(text));
        }
    }

    /// Adds what somebody is known and reached by.
    pub(crate) fn reach(&mut self, reach: Reach<'_>) {
        self.text(reach.name);
        self.text(reach.email);
        for phone in [reach.phone, reach.landline].into_iter().flatten() {
            let _ = writeln!(self.0, "{}", as_phone(phone));
        }
    }
}

/// What a contact or a company is known and reached by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) email: Option<&'a str>,
    pub(crate) phone: Option<&'a str>,
    pub(crate) landline: Option<&'a str>,
}

/// Writes an E.164 number, or a part of one, in letters of its own, so that a phone
/// number is only ever found by a phone number: in capitals, which no folded text has
/// and which are letters also to PostgreSQL's index, whatever its locale.
fn as_phone(number: &str) -> String {
    let letter = |sign| match sign {
        '+' => Some('A'),
        '0'..='9' => char::from_u32(u32::from('B') + u32::from(sign) - u32::from('0')),
        _ => None,
    };
    number.chars().filter_map(letter).collect()
}

/// Whether it is one of [these letters](as_phone).
pub(crate) fn is_phone_sign(c: char) -> bool {
    c.is_ascii_uppercase()
}

/// Makes the record findable by `document` and by its name.
pub(crate) fn put<R: Searchable>(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    name: &str,
    document: Document,
) -> Result<()> {
    // Begun by a line break, so that there is one before every line: a part of a
    // word can be looked for where words begin.
    let document = format!("\n{}", document.0);
    tx.enqueue(
        &format!(
            "insert into {} (workspace_id, id, name_key, doc) values ($1, $2, $3, $4)
             on conflict (workspace_id, id)
             do update set name_key = excluded.name_key, doc = excluded.doc",
            R::INDEX
        ),
        store::params![who.workspace_id, id, fold(name), document],
    )?;
    Ok(())
}

/// Makes the record no longer findable.
pub(crate) fn remove<R: Searchable>(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<()> {
    tx.enqueue(
        &format!(
            "delete from {} where workspace_id = $1 and id = $2",
            R::INDEX
        ),
        store::params![who.workspace_id, id],
    )?;
    Ok(())
}

/// The records, each with a `name`, that are called so, in any case; oldest first.
pub(crate) fn find_by_name<R: Searchable>(
    db: &Db<'_>,
    who: &Caller,
    name: &str,
) -> Result<Vec<Uuid>> {
    let wanted = name.trim().to_lowercase();
    // The key knows no accents either, and two names may differ by just these.
    let found = db.query(
        &format!(
            "select t.id, t.name
             from {} s
             join {} t on t.workspace_id = s.workspace_id and t.id = s.id
             where s.workspace_id = $1 and s.name_key = $2
             order by t.id",
            R::INDEX,
            R::TABLE
        ),
        &store::params![who.workspace_id, fold(name)],
        |row| Ok((row.get::<Uuid>(0)?, row.get::<String>(1)?)),
    )?;
    Ok(found
        .into_iter()
        .filter(|(_, name)| name.to_lowercase() == wanted)
        .map(|(id, _)| id)
        .collect())
}

/// What matches more often than this is common: it is found sooner by looking
/// at one record after the other, newest first, than by gathering all matches.
const COMMON: i64 = 5000;

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
    let (engine, table, parameter) = (db.engine(), R::INDEX, condition.bound() + 1);
    db.plan_for_values();
    let text = if !engine.has_index_for(&needles) || is_common::<R>(db, &needles)? {
        let (matches, values) = engine.scan_contains("s", parameter, &needles);
        condition.bind_all(values);
        format!(
            "exists (select 1 from {table} s
                     where s.workspace_id = t.workspace_id and s.id = t.id and {matches})"
        )
    } else {
        let (matches, values) = db.contains(table, "s", parameter, &needles)?;
        condition.bind_all(values);
        // Nothing of the workspace's must tempt SQLite to begin by its
        // documents: the index is far shorter.
        format!(
            "(t.workspace_id, t.id) in (select s.workspace_id, s.id from {table} s where {matches})"
        )
    };
    condition.and(&text, []);
    Ok(())
}

/// Whether so many documents match that it is better to walk through them.
fn is_common<R: Searchable>(db: &Db<'_>, needles: &[String]) -> Result<bool> {
    match db.count_containing(R::INDEX, needles, COMMON)? {
        Some((sql, values)) => Ok(db.query_one(&sql, &values, |row| row.get::<i64>(0))? == COMMON),
        None => Ok(false),
    }
}

/// The texts of which any one makes a document a match.
pub(crate) fn needles(db: &Db<'_>, who: &Caller, query: &str) -> Result<Vec<String>> {
    let mut needles = vec![fold(query)];
    if digits(query).len() > 2 {
        let region = who.region(db)?;
        let phones = phone_needles(query, region);
        needles.extend(phones.iter().map(|part| as_phone(part)));
    }
    needles.retain(|needle| !needle.is_empty());
    Ok(needles)
}

/// Where matches of one rank are found, newest first.
pub(crate) struct Tier(Vec<Source>);

/// One place where they are.
struct Source {
    from: String,
    condition: Condition,
    order: String,
}

impl Tier {
    /// The statements that read `columns` (of the search table, called `t`) of the
    /// newest `limit` of each source; a row may come from several.
    pub(crate) fn statements(&self, columns: &str, limit: i64) -> Vec<(String, Condition)> {
        let statement = |source: &Source| {
            let Source { from, order, .. } = source;
            let mut bounded = source.condition.clone();
            let limit = bounded.bind(limit);
            let sql = format!(
                "select {columns} from {from} where {} order by {order} desc limit {limit}",
                bounded.text()
            );
            (sql, bounded)
        };
        self.0.iter().map(statement).collect()
    }

    /// What they read.
    pub(crate) fn newest<T>(
        &self,
        db: &Db<'_>,
        columns: &str,
        limit: i64,
        mut map: impl FnMut(&Row<'_>) -> std::result::Result<T, store::Error>,
    ) -> Result<Vec<T>> {
        let mut found = Vec::new();
        for (sql, bounded) in self.statements(columns, limit) {
            found.extend(db.query(&sql, bounded.params(), &mut map)?);
        }
        Ok(found)
    }
}

/// Those of exactly this name.
pub(crate) fn named<R: Searchable>(who: &Caller, name: &str) -> Tier {
    let mut condition = record::all(who);
    condition.and("t.name_key = ?", [name.into()]);
    documents::<R>(condition)
}

/// Those whose name begins so and goes on.
pub(crate) fn beginning<R: Searchable>(db: &Db<'_>, who: &Caller, name: &str) -> Result<Tier> {
    let begins = |column: &str| {
        let after = format!("{name}{}", char::MAX);
        let mut condition = record::all(who);
        let text = format!("{column} > ? and {column} < ?");
        condition.and(&text, [name.into(), after.into()]);
        condition
    };
    let indexed = begins("t.name_key");
    let counted = format!(
        "select count(*) from (select 1 from {} t where {} limit {COMMON}) as counted",
        R::INDEX,
        indexed.text()
    );
    let count: i64 = db.query_one(&counted, indexed.params(), |row| row.get(0))?;
    Ok(documents::<R>(match count {
        COMMON => begins(&db.engine().in_passing("t.name_key")),
        _ => indexed,
    }))
}

/// Those in whose documents one of the needles is.
pub(crate) fn containing<R: Searchable>(
    db: &Db<'_>,
    who: &Caller,
    needles: &[String],
) -> Result<Tier> {
    let engine = db.engine();
    if engine.has_index_for(needles) {
        return matching::<R>(db, who, &Pattern::any_of(needles));
    }
    let mut condition = record::all(who);
    let (text, values) = engine.scan_contains("t", condition.bound() + 1, needles);
    condition.bind_all(values).and(&text, []);
    Ok(documents::<R>(condition))
}

/// Those in whose documents the pattern is.
pub(crate) fn matching<R: Searchable>(
    db: &Db<'_>,
    who: &Caller,
    pattern: &Pattern,
) -> Result<Tier> {
    let everything = record::all(who);
    let parameter = everything.bound() + 1;
    let walks = db.newest_matching(R::INDEX, "t", parameter, pattern)?;
    let sources = walks.into_iter().map(|walk| {
        let mut condition = everything.clone();
        condition.bind_all(walk.values).and(&walk.condition, []);
        Source {
            from: walk.from,
            condition,
            order: walk.order,
        }
    });
    Ok(Tier(sources.collect()))
}

fn documents<R: Searchable>(condition: Condition) -> Tier {
    Tier(vec![Source {
        from: format!("{} t", R::INDEX),
        condition,
        order: "t.id".to_owned(),
    }])
}

/// The records that `search` finds, best first: those of exactly this name,
/// those whose name begins so, then the newest.
pub fn search<R: Searchable>(db: &Db<'_>, who: &Caller, search: &Search) -> Result<Page<R>> {
    let limit = search.limit.unwrap_or_default();
    let needles = needles(db, who, &search.query)?;
    let best = best::<R>(db, who, &search.query, &needles, limit.get() as usize + 1)?;
    let ids: Vec<_> = best.into_iter().map(|(id, _)| id).collect();
    let mut found = record::of_ids::<R>(db, who, ids.clone())?;
    found.sort_by_key(|record| ids.iter().position(|id| *id == record.id()));
    Ok(Page::cut(found, limit))
}

/// The best `wanted` records in which `query` is found, whose needles are
/// `needles`, in the order of [`search`]: the id and the folded name of each.
pub(crate) fn best<R: Searchable>(
    db: &Db<'_>,
    who: &Caller,
    query: &str,
    needles: &[String],
    wanted: usize,
) -> Result<Vec<(Uuid, String)>> {
    let mut best: Vec<(Uuid, String)> = Vec::new();
    let mut take = |tier: Tier| -> Result<bool> {
        // Some of these may be there already, by a better tier.
        let limit = (wanted + best.len()) as i64;
        let mut found = tier.newest(db, "t.id, t.name_key", limit, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        found.retain(|one| !best.contains(one));
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.dedup();
        best.extend(found);
        Ok(best.len() >= wanted)
    };
    db.plan_for_values();
    let name = fold(query);
    let enough =
        name.is_empty() || take(named::<R>(who, &name))? || take(beginning::<R>(db, who, &name)?)?;
    if !enough {
        take(containing::<R>(db, who, needles)?)?;
    }
    best.truncate(wanted);
    Ok(best)
}

#[cfg(test)]
mod tests {
    use crate::events::Automations;
    use serde_json::json;

    use super::*;
    use crate::contacts::{self, Contact};
    use crate::opportunities::{self, ListOpportunities};
    use crate::testing::{Desk, given, refused};

    /// The names of the opportunities found, in their order.
    fn found(db: &Db<'_>, desk: &Desk, query: &str) -> Result<Vec<String>> {
        let page = opportunities::search(db, &desk.who, &given(json!({ "query": query })))?;
        Ok(page
            .items
            .into_iter()
            .map(|one| one.name.into_string())
            .collect())
    }

    on_both_engines! {
        fn an_opportunity_is_found_by_itself_its_contact_and_its_company(tx, desk) {
            let contact: Contact = contacts::create(tx, &desk.who, given(json!({
                "first_name": "Zoë", "last_name": "Ørsted-Łopez", "email": "zoe@fjord.example",
                "phone": "0412 345 678", "landline": "02 9876 5432",
            })))?;
            let company = crate::companies::create(tx, &desk.who, given(json!({
                "name": "Müller & Söhne", "email": "office@mueller.example", "phone": "03 9123 4567",
            })))?;
            let fields = json!({
                "name": "Fit-out 50% “Phase_2”", "contact_id": contact.id, "customer_id": company.id,
            });
            let deal = desk.create(tx, fields)?;
            desk.opportunity(tx, "Plain 500")?;
            for query in [
                "fit-OUT", "50%", "phase_2", "\"phase", "t 50% \"ph",
                "zoe", "ZOË", "orsted-lopez", "Zoe Ørsted", "zoe@fjord", "@FJORD.example",
                "muller & sohne", "SÖHNE", "office@m",
                "0412 345 678", "0412345", "+61 412 345", "+61412345678", "(02) 9876-5432", "9876 5432",
                "03 9123 4567", "345678",
                "ö", "t-", "&", "zo",
            ] {
                assert_eq!(found(tx, desk, query)?, [&*deal.name], "{query}");
                let input: ListOpportunities = given(json!({ "search": query }));
                let listed = opportunities::list(tx, &desk.who, &input)?;
                assert_eq!(listed.items.len(), 1, "{query}");
                assert_eq!(listed.items[0].id, deal.id, "{query}");
            }
            for query in ["zoe muller", "f_t", "f%t", "50%%", "0412 345 679", "'", "fitout", "\u{ad}"] {
                assert!(found(tx, desk, query)?.is_empty(), "{query}");
            }
        }

        fn an_exact_name_comes_first_then_names_that_begin_so_then_the_newest(tx, desk) {
            for name in ["Roof", "Roof repair", "A new roof", "roóf", "Roofing", "The roof again"] {
                desk.opportunity(tx, name)?;
            }
            assert_eq!(
                found(tx, desk, " ROOF ")?,
                ["roóf", "Roof", "Roofing", "Roof repair", "The roof again", "A new roof"]
            );
            let page = opportunities::search(tx, &desk.who, &given(json!({ "query": "roof", "limit": 3 })))?;
            assert_eq!((page.items.len(), page.has_more, page.next_cursor), (3, true, None));
            let page = opportunities::search(tx, &desk.who, &given(json!({ "query": "roof", "limit": 6 })))?;
            assert_eq!((page.items.len(), page.has_more), (6, false));
        }

        fn what_a_record_is_found_by_follows_its_changes(tx, desk) {
            let contact = desk.contact(tx, "Adelaide")?.id;
            let deal = desk.create(tx, json!({ "name": "Oldname", "contact_id": contact }))?;
            desk.patch(tx, deal.id, json!({ "name": "Newname" }))?;
            contacts::update(tx, &desk.who, contact, given(json!({ "email": "late@example.com" })))?;
            for (query, expected) in [("oldname", 0), ("newname", 1), ("late@", 1), ("adelaide", 1)] {
                assert_eq!(found(tx, desk, query)?.len(), expected, "{query}");
            }
            desk.patch(tx, deal.id, json!({ "contact_id": null }))?;
            assert!(found(tx, desk, "adelaide")?.is_empty());
            let page = contacts::search(tx, &desk.who, &given(json!({ "query": "LATE@example.com" })))?;
            assert_eq!(page.items[0].id, contact);
            contacts::delete(tx, &desk.who, contact, &Automations::default())?;
            let page = contacts::search(tx, &desk.who, &given(json!({ "query": "adelaide" })))?;
            assert!(page.items.is_empty());
        }

        fn every_script_is_searched(tx, desk) {
            for name in ["東京タワー", "Ёлка и Щука", "עִבְרִית", "🏗 crane"] {
                desk.opportunity(tx, name)?;
            }
            for (query, name) in [
                ("東京", "東京タワー"), ("ﾀﾜｰ", "東京タワー"), ("елка", "Ёлка и Щука"),
                ("עברית", "עִבְרִית"), ("🏗", "🏗 crane"),
            ] {
                assert_eq!(found(tx, desk, query)?, [name], "{query}");
            }
        }
    }

    #[test]
    fn a_query_has_one_to_two_hundred_characters() {
        given::<Search>(json!({ "query": "é".repeat(200) }));
        for body in [
            json!({}),
            json!({ "query": " \n" }),
            json!({ "query": null }),
        ] {
            assert_eq!(refused::<Search>(body).missing, ["query"]);
        }
        let problems = refused::<Search>(json!({ "query": "é".repeat(201) }));
        assert_eq!(problems.invalid[0].field, "query");
    }
}
