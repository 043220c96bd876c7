//! Pages of a list: newest first, continued from an id.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;
use store::Db;
use uuid::Uuid;

use crate::error::Result;
use crate::input::{FieldDescription, Fields, Flaw, FromJson, Input};
use crate::sql::Condition;

/// How many records a page holds: 1 to 100, as a client may ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    const MAX: i64 = 100;

    /// What an export reads at once: many enough that a page is nearly all rows, few
    /// enough to be held even where each has long notes.
    pub(crate) const OF_EXPORT: Self = Self(200);

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// One more than the page holds: what shows that there are more.
    fn and_one(self) -> i64 {
        i64::from(self.0) + 1
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(25)
    }
}

impl From<i64> for Limit {
    fn from(limit: i64) -> Self {
        // Clamped, since clients do send 200.
        Self(u32::try_from(limit.clamp(1, Self::MAX)).unwrap_or(1))
    }
}

impl FromJson for Limit {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        Ok(i64::from_json(value)
            .map_err(|_| Flaw::new("must be a whole number from 1 to 100"))?
            .map(Self::from))
    }

    fn from_text(text: &str) -> Result<Option<Self>, Flaw> {
        Ok(i64::from_text(text)
            .map_err(|_| Flaw::new("must be a whole number from 1 to 100"))?
            .map(Self::from))
    }
}

impl JsonSchema for Limit {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "format": "int64", "default": 25 })
    }
}

/// Where a page stands in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// Just after this id, among the older ones.
    Older(Uuid),
    /// Just before this id, among the newer ones.
    Newer(Uuid),
}

/// Which page of a list is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct PageRequest {
    /// How many records.
    pub limit: Limit,
    /// From where; the newest when there is none.
    pub cursor: Option<Cursor>,
}

crate::input! {
    /// The parameters that ask for a page.
    pub(crate) struct PageParameters {
        /// How many records to answer: 1 to 100, clamped.
        optional limit: Limit,
        /// The `next_cursor` of the page before: the id after which to go on.
        optional cursor: Uuid,
        /// Another name of `cursor`.
        optional after: Uuid,
        /// The `prev_cursor` of a page: answers the page just newer than this id.
        optional before: Uuid,
    }
}

impl Input for PageRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        let given = PageParameters::read(fields)?;
        let older = given.cursor.or(given.after);
        if older.is_some() && given.before.is_some() {
            fields
                .problems()
                .invalid("before", "can't be combined with cursor or after");
            return None;
        }
        Some(Self {
            limit: given.limit.unwrap_or_default(),
            cursor: older.map(Cursor::Older).or(given.before.map(Cursor::Newer)),
        })
    }

    fn describe(generator: &mut SchemaGenerator, into: &mut Vec<FieldDescription>) {
        PageParameters::describe(generator, into);
    }
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The records, newest first.
    pub items: Vec<T>,
    /// How many were asked for.
    pub limit: Limit,
    /// True when older records follow.
    pub has_more: bool,
    /// From where the next page goes on; none on the last.
    pub next_cursor: Option<Uuid>,
    /// Before which the page of newer records ends; none on the first.
    pub prev_cursor: Option<Uuid>,
}

impl<T> Page<T> {
    /// A page that can't be continued, of `found` records of which one more
    /// than `limit` may have been looked up.
    pub fn cut(mut found: Vec<T>, limit: Limit) -> Self {
        let has_more = found.len() > limit.get() as usize;
        found.truncate(limit.get() as usize);
        Self {
            items: found,
            limit,
            has_more,
            next_cursor: None,
            prev_cursor: None,
        }
    }

    /// The page of what `map` makes of each record.
    pub fn map<U>(self, map: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(map).collect(),
            limit: self.limit,
            has_more: self.has_more,
            next_cursor: self.next_cursor,
            prev_cursor: self.prev_cursor,
        }
    }
}

/// What is listed.
#[derive(Debug, Clone, Copy)]
pub struct Listing<'a> {
    /// The columns of a row.
    pub columns: &'a str,
    /// The tables, joined.
    pub from: &'a str,
    /// The column that orders the list and that cursors name.
    pub id: &'a str,
}

/// The statement that reads a page and one record more.
pub(crate) fn statement(
    listing: Listing<'_>,
    condition: &Condition,
    request: PageRequest,
) -> (String, Condition) {
    let Listing { columns, from, id } = listing;
    let mut bounded = condition.clone();
    let order = match request.cursor {
        None => "desc",
        Some(Cursor::Older(cursor)) => {
            bounded.and(&format!("{id} < ?"), [cursor.into()]);
            "desc"
        }
        Some(Cursor::Newer(cursor)) => {
            bounded.and(&format!("{id} > ?"), [cursor.into()]);
            "asc"
        }
    };
    let limit = bounded.bind(request.limit.and_one());
    let sql = format!(
        "select {columns} from {from} where {} order by {id} {order} limit {limit}",
        bounded.text()
    );
    (sql, bounded)
}

/// Reads one page of `listing` under `condition`.
///
/// A page costs the same wherever it stands: it seeks its cursor in the index.
pub fn page<T>(
    db: &Db<'_>,
    listing: Listing<'_>,
    condition: Condition,
    request: PageRequest,
    id_of: impl Fn(&T) -> Uuid,
    map: impl FnMut(&store::Row<'_>) -> Result<T, store::Error>,
) -> Result<Page<T>> {
    let (sql, bounded) = statement(listing, &condition, request);
    let found = db.query(&sql, bounded.params(), map)?;
    let Listing { from, id, .. } = listing;
    let mut page = Page::cut(found, request.limit);
    let more = page.has_more;
    let exists = |comparison: &str, of: Option<&T>| -> Result<bool> {
        let Some(of) = of else { return Ok(false) };
        let mut beyond = condition.clone();
        beyond.and(&format!("{id} {comparison} ?"), [id_of(of).into()]);
        Ok(db
            .query_opt(
                &format!("select 1 from {from} where {} limit 1", beyond.text()),
                beyond.params(),
                |row| row.get::<i64>(0),
            )?
            .is_some())
    };
    let newer = match request.cursor {
        None => false,
        Some(Cursor::Older(_)) => exists(">", page.items.first())?,
        Some(Cursor::Newer(_)) => {
            page.items.reverse();
            page.has_more = exists("<", page.items.last())?;
            more
        }
    };
    page.next_cursor = page.items.last().filter(|_| page.has_more).map(&id_of);
    page.prev_cursor = page.items.first().filter(|_| newer).map(&id_of);
    Ok(page)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use crate::events::Automations;
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestCaseError, TestRunner};
    use serde_json::json;

    use super::*;
    use crate::companies::{self, Company};
    use crate::testing::{Desk, World, given, refused};

    fn page_of(db: &Db<'_>, desk: &Desk, body: Value) -> Result<Page<Company>> {
        companies::list(db, &desk.who, &given(body))
    }

    fn ids(page: &Page<Company>) -> Vec<Uuid> {
        page.items.iter().map(|one| one.id).collect()
    }

    on_both_engines! {
        fn pages_follow_each_other_in_both_directions(tx, desk) {
            let mut newest_first = Vec::new();
            for name in ["a", "b", "c", "d", "e", "f"] {
                newest_first.insert(0, desk.company(tx, name)?.id);
            }
            let first = page_of(tx, desk, json!({ "limit": 2 }))?;
            assert_eq!(ids(&first), newest_first[..2]);
            assert_eq!((first.has_more, first.next_cursor, first.prev_cursor), (true, Some(newest_first[1]), None));
            let second = page_of(tx, desk, json!({ "limit": 2, "cursor": first.next_cursor }))?;
            assert_eq!(ids(&second), newest_first[2..4]);
            assert_eq!(second.prev_cursor, Some(newest_first[2]));
            // Six in pages of two: the third is the last, and knows it.
            let third = page_of(tx, desk, json!({ "limit": 2, "after": second.next_cursor }))?;
            assert_eq!(ids(&third), newest_first[4..]);
            assert_eq!((third.has_more, third.next_cursor), (false, None));
            let back = page_of(tx, desk, json!({ "limit": 2, "before": third.prev_cursor }))?;
            assert_eq!(ids(&back), newest_first[2..4]);
            assert_eq!(
                (back.has_more, back.next_cursor, back.prev_cursor),
                (true, Some(newest_first[3]), Some(newest_first[2]))
            );
            let back = page_of(tx, desk, json!({ "limit": 2, "before": back.prev_cursor }))?;
            assert_eq!((ids(&back), back.prev_cursor), (newest_first[..2].to_vec(), None));
        }

        fn a_cursor_may_name_a_record_that_is_gone(tx, desk) {
            let made = ["a", "b", "c"].map(|name| desk.company(tx, name).map(|made| made.id));
            let [a, b, c] = made.map(|id| id.unwrap());
            companies::delete(tx, &desk.who, b, &Automations::default())?;
            assert_eq!(ids(&page_of(tx, desk, json!({ "cursor": b }))?), [a]);
            assert_eq!(ids(&page_of(tx, desk, json!({ "before": b }))?), [c]);
            let beyond = page_of(tx, desk, json!({ "cursor": a }))?;
            assert!(beyond.items.is_empty() && !beyond.has_more);
        }

        async fn paging_while_records_come_and_go_neither_repeats_nor_skips(world) {
            walk(&world).await;
        }
    }

    /// Pages through a list of twenty while others come and go after each page.
    async fn walk(world: &World) {
        let handle = tokio::runtime::Handle::current();
        let mut runner = TestRunner::new(Config {
            failure_persistence: None,
            ..Config::with_cases(12)
        });
        let changes = prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..12);
        let run = |(limit, changes): (i64, Vec<(bool, prop::sample::Index)>)| {
            let walked = world.write(move |tx, desk| {
                let mut alive = Vec::new();
                for index in 0..20 {
                    alive.push(desk.company(tx, &format!("{index}"))?.id);
                }
                let mut throughout: BTreeSet<_> = alive.iter().copied().collect();
                let (mut seen, mut changes) = (Vec::new(), changes.iter());
                let mut cursor = None;
                loop {
                    let page = page_of(tx, desk, json!({ "limit": limit, "cursor": cursor }))?;
                    seen.extend(ids(&page));
                    assert_eq!(page.has_more, page.next_cursor.is_some());
                    let Some(next) = page.next_cursor else { break };
                    cursor = Some(next);
                    match changes.next() {
                        Some((true, _)) => alive.push(desk.company(tx, "new")?.id),
                        Some((false, which)) => {
                            let gone = alive.remove(which.index(alive.len()));
                            companies::delete(tx, &desk.who, gone, &Automations::default())?;
                            throughout.remove(&gone);
                        }
                        None => {}
                    }
                }
                assert!(
                    seen.is_sorted_by(|newer, older| newer > older),
                    "in order and none twice"
                );
                let seen: BTreeSet<_> = seen.into_iter().collect();
                assert!(throughout.is_subset(&seen), "none skipped");
                for id in alive {
                    companies::delete(tx, &desk.who, id, &Automations::default())?;
                }
                Ok(())
            });
            let failed = |error: crate::Error| TestCaseError::fail(error.to_string());
            handle.block_on(walked).map_err(failed)
        };
        tokio::task::block_in_place(|| runner.run(&(1..8_i64, changes), run)).unwrap();
    }

    #[test]
    fn a_limit_is_clamped_and_25_by_default() {
        let limit = |body: Value| given::<PageRequest>(body).limit.get();
        assert_eq!(limit(json!({})), 25);
        for (wanted, given) in [(-5, 1), (0, 1), (100, 100), (200, 100), (i64::MAX, 100)] {
            assert_eq!(limit(json!({ "limit": wanted })), given);
        }
    }

    #[test]
    fn a_page_that_makes_no_sense_is_refused() {
        let id = "0193d5e0-7a4b-7c3d-9e2f-1a2b3c4d5e6f";
        for (body, field) in [
            (json!({ "limit": 2.5 }), "limit"),
            (json!({ "limit": "x" }), "limit"),
            (json!({ "cursor": "7" }), "cursor"),
            (json!({ "after": "7" }), "after"),
            (json!({ "before": id, "cursor": id }), "before"),
        ] {
            assert_eq!(refused::<PageRequest>(body).invalid[0].field, field);
        }
    }
}
