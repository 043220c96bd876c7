//! Pages of a list: newest first, continued from an id.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;
use store::Db;
use uuid::Uuid;

use crate::error::Result;
use crate::input::{FieldDescription, Fields, Flaw, FromJson, Input};
use crate::sql::Condition;

/// How many records a page holds: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    const MAX: i64 = 100;

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
        json_schema!({ "type": "integer", "default": 25 })
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
