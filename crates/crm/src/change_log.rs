//! The change log as it is read: who changed which field of what, from what to
//! what, and when. [`audit`](crate::audit) writes it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value as Json;
use store::{Db, Engine, Value};
use uuid::Uuid;

use crate::audit::Entity;
use crate::caller::{ActorKind, Caller};
use crate::error::Result;
use crate::input::{Flaw, FromJson};
use crate::paging::{Page, PageRequest};
use crate::record::{self, Columns, Record};
use crate::record_columns;
use crate::sql::Condition;
use crate::text::Text;
use crate::time::{Moment, Timestamp};

/// A field that was changed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FieldChange {
    /// Its id; ids sort by age.
    pub id: Uuid,
    /// What kind of record was changed.
    pub entity_type: Entity,
    /// The record, which may be gone by now.
    pub entity_id: Uuid,
    /// The field, by its name in the API.
    #[schemars(example = &"value")]
    pub field: String,
    /// What it was; null for what was empty.
    #[schemars(schema_with = "any_value", example = &15000)]
    pub old_value: Json,
    /// What it became; null for what was cleared.
    #[schemars(schema_with = "any_value", example = &17470)]
    pub new_value: Json,
    /// Who changed it.
    pub actor: LoggedActor,
    /// The request that changed it, by its `x-request-id`; null for what no
    /// request did.
    #[schemars(example = &"checkout-42")]
    pub request_id: Option<String>,
    /// When it was changed.
    pub changed_at: Timestamp,
}

/// Who changed something.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LoggedActor {
    /// What they are.
    #[serde(rename = "type")]
    pub kind: ActorKind,
    /// The key, the user or the automation; null for the operator at the command
    /// line.
    pub id: Option<Uuid>,
    /// What they were called then.
    #[schemars(example = &"Website")]
    pub name: String,
}

fn any_value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["string", "number", "boolean", "array", "object", "null"],
        "items": {},
    })
}

impl Record for FieldChange {
    const TABLE: &'static str = "crm_field_change_log";
    const WHAT: &'static str = "logged change";
    const COLUMNS: &'static str = record_columns!(
        "",
        id entity_type entity_id field old_value new_value
        actor_type actor_id actor_name request_id changed_at
    );
    const QUALIFIED: &'static str = record_columns!(
        "t.",
        id entity_type entity_id field old_value new_value
        actor_type actor_id actor_name request_id changed_at
    );
    const FIELDS: &'static [&'static str] = &[
        "id",
        "entity_type",
        "entity_id",
        "field",
        "old_value",
        "new_value",
        "actor",
        "request_id",
        "changed_at",
    ];

    fn take(columns: &mut Columns<'_, '_>) -> Result<Self, store::Error> {
        Ok(Self {
            id: columns.take()?,
            entity_type: columns.take()?,
            entity_id: columns.take()?,
            field: columns.take()?,
            old_value: columns.take()?,
            new_value: columns.take()?,
            actor: LoggedActor {
                kind: columns.take()?,
                id: columns.take()?,
                name: columns.take()?,
            },
            request_id: columns.take()?,
            changed_at: columns.take()?,
        })
    }

    fn id(&self) -> Uuid {
        self.id
    }
}

/// A kind of record, which may be called by its old name.
#[derive(Debug, Clone, Copy)]
pub struct Kind(Entity);

impl FromJson for Kind {
    fn from_json(value: &Json) -> Result<Option<Self>, Flaw> {
        let kind = match value.as_str().map(str::trim) {
            Some("deal") => Some(Entity::Opportunity),
            Some("customer" | "account") => Some(Entity::Company),
            _ => Entity::from_json(value)?,
        };
        Ok(kind.map(Self))
    }
}

impl JsonSchema for Kind {
    fn inline_schema() -> bool {
        Entity::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        Entity::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Entity::json_schema(generator)
    }
}

crate::input! {
    /// Which changes are listed.
    pub struct ChangeFilter {
        /// Those of records of this kind.
        optional entity_type: Kind,
        /// Those of this record.
        optional entity_id: Uuid,
        /// Those of this field, by its name in the API.
        optional field: Text<255> = "value",
        /// Those made by such.
        optional actor_type: ActorKind,
        /// Those made by this key, user or automation.
        optional actor_id: Uuid,
        /// Those of the request with this `x-request-id`.
        optional request_id: Text<128>,
        /// Those made at this instant or later; a date means its start in UTC.
        optional changed_after: Moment = "2026-01-01",
        /// Those made before this instant; a date means its start in UTC.
        optional changed_before: Moment,
    }
}

crate::input! {
    /// A page of changes.
    pub struct ListChanges {
        flatten filter: ChangeFilter,
        flatten page: PageRequest,
    }
}

/// A page of the changes, newest first.
pub fn list(db: &Db<'_>, who: &Caller, input: &ListChanges) -> Result<Page<FieldChange>> {
    let condition = condition(db.engine(), who, &input.filter);
    record::page(db, condition, input.page)
}

/// The condition of the changes that `filter` lets through. They are sought by what
/// the fewest of them have in common, and the rest is looked at in passing.
fn condition(engine: Engine, who: &Caller, filter: &ChangeFilter) -> Condition {
    let mut condition = record::all(who);
    let wanted: [(&str, Option<Value>); 6] = [
        ("t.entity_id", filter.entity_id.map(Value::from)),
        ("t.request_id", filter.request_id.clone().map(Value::from)),
        ("t.actor_id", filter.actor_id.map(Value::from)),
        ("t.field", filter.field.clone().map(Value::from)),
        (
            "t.entity_type",
            filter.entity_type.map(|kind| kind.0.into()),
        ),
        ("t.actor_type", filter.actor_type.map(Value::from)),
    ];
    let given = wanted
        .into_iter()
        .filter_map(|(column, value)| Some((column, value?)));
    for (index, (column, value)) in given.enumerate() {
        let column = match index {
            0 => column.to_owned(),
            _ => engine.in_passing(column),
        };
        condition.and(&format!("{column} = ?"), [value]);
    }
    if let Some(Moment(after)) = filter.changed_after {
        // No id is older than the change that it names, so the list ends here. Of one
        // record or one request there is less than of any time.
        let id = match filter.entity_id.is_some() || filter.request_id.is_some() {
            true => engine.in_passing("t.id"),
            false => "t.id".to_owned(),
        };
        condition.and(
            &format!("{id} >= ? and t.changed_at >= ?"),
            [first_id_of(after).into(), after.into()],
        );
    }
    if let Some(Moment(before)) = filter.changed_before {
        condition.and("t.changed_at < ?", [before.into()]);
    }
    condition
}

/// The least id that can be made at an instant or later.
fn first_id_of(instant: Timestamp) -> Uuid {
    let milliseconds = instant.as_millisecond().max(0).unsigned_abs();
    Uuid::from_u128(u128::from(milliseconds) << 80)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::caller::{Actor, Ids};
    use crate::testing::plans::{assert_pages_through, insert};
    use crate::testing::{Desk, at, given, refused};

    /// What the log has of a filter: the new values, the newest first.
    fn found(db: &Db<'_>, desk: &Desk, filter: Json) -> Result<Vec<Json>> {
        let page = list(db, &desk.who, &given(filter))?;
        Ok(page
            .items
            .into_iter()
            .map(|change| change.new_value)
            .collect())
    }

    on_both_engines! {
        fn when_something_changed_is_when_it_says_whatever_its_id_does(tx, desk) {
            let id = desk.opportunity(tx, "0")?.id;
            let rename = |tx: &mut store::Tx<'_>, who: &Caller, name: &str| {
                crate::opportunities::update(tx, who, id, given(json!({ "name": name })))
            };
            // The clock goes back, and the ids stay ahead.
            for (name, seconds) in [("1", 60), ("2", 120), ("3", 30), ("4", 90)] {
                rename(tx, &desk.later(seconds), name)?;
            }
            let instant = |seconds| json!(desk.later(seconds).now);
            for (filter, names) in [
                (json!({ "changed_after": instant(60) }), &["4", "2", "1"][..]),
                (json!({ "changed_after": instant(120) }), &["2"]),
                (json!({ "changed_after": instant(121) }), &[]),
                (json!({ "changed_before": instant(60) }), &["3"]),
                (json!({ "changed_before": instant(61) }), &["3", "1"]),
                (json!({ "changed_after": instant(30), "changed_before": instant(90) }), &["3", "1"]),
                (json!({ "changed_after": "0001-01-01" }), &["4", "3", "2", "1"]),
                (json!({ "changed_after": "9999-12-31" }), &[]),
            ] {
                assert_eq!(found(tx, desk, filter.clone())?, names, "{filter}");
            }
        }

        fn a_kind_of_record_may_be_called_by_its_old_name(tx, desk) {
            let deal = desk.opportunity(tx, "Deal")?.id;
            desk.patch(tx, deal, json!({ "name": "New deal" }))?;
            let company = desk.company(tx, "Company")?.id;
            crate::companies::update(tx, &desk.who, company, given(json!({ "name": "New company" })))?;
            for (names, new) in [
                (&["opportunity", "deal"][..], "New deal"),
                (&["company", "customer", "account"], "New company"),
            ] {
                for name in names {
                    assert_eq!(found(tx, desk, json!({ "entity_type": name }))?, [new], "{name}");
                }
            }
            assert!(list(tx, &desk.stranger, &given(json!({})))?.items.is_empty());
        }

        async fn a_page_is_read_in_the_order_of_an_index_whatever_the_filter(world) {
            const ROWS: usize = 3000;
            let (entity, actor) = world.write(|tx, desk| {
                let ids = Ids::default();
                let mut who = desk.who.clone();
                who.actor = Actor { kind: ActorKind::ApiKey, id: Some(who.new_id()), name: "Key".to_owned() };
                let others: Vec<_> = (0..40).map(|_| who.new_id()).collect();
                let rows = (0..ROWS).map(|index| {
                    let now = at(who.now.as_millisecond() + index as i64);
                    store::params![
                        who.workspace_id, ids.next(now),
                        ["opportunity", "contact", "company", "product"][index % 4], others[index % 40],
                        format!("field_{}", index % 12), json!(null), json!(index),
                        ["api_key", "user"][index % 2], others[index % 7], "Somebody",
                        format!("request-{}", index / 2), now
                    ].to_vec()
                });
                insert(
                    tx,
                    "crm_field_change_log",
                    "workspace_id, id, entity_type, entity_id, field, old_value, new_value, actor_type, \
                     actor_id, actor_name, request_id, changed_at",
                    rows.collect(),
                )?;
                if tx.engine() == Engine::Postgres {
                    tx.execute("analyze crm_field_change_log", &[])?;
                }
                Ok((others[3], others[5]))
            }).await.unwrap();
            world.read(move |db, desk| {
                let newest = list(db, &desk.who, &given(json!({ "limit": 100 })))?.items;
                let (cursor, late) = (newest[99].id, newest[0].changed_at);
                let key = match db.engine() {
                    Engine::Sqlite => "PRIMARY KEY",
                    Engine::Postgres => "crm_field_change_log_pkey",
                };
                let pages_through = |filter: Json, index: &str| {
                    let condition = condition(db.engine(), &desk.who, &given(filter));
                    assert_pages_through::<FieldChange>(db, &condition, index, cursor)
                };
                for (filter, index) in [
                    (json!({}), key),
                    (json!({ "changed_after": late }), key),
                    (json!({ "changed_before": late }), key),
                    (json!({ "entity_id": entity }), "log_by_entity"),
                    (json!({ "entity_type": "product" }), "log_by_kind"),
                    (json!({ "field": "field_7" }), "log_by_field"),
                    (json!({ "actor_type": "automation" }), "log_by_actor_kind"),
                    (json!({ "actor_id": actor }), "log_by_actor "),
                    (json!({ "request_id": "request-7" }), "log_by_request"),
                ] {
                    pages_through(filter, index)?;
                }
                if db.engine() == Engine::Postgres {
                    // It knows how much there is of what, and may as well sort a little.
                    return Ok(());
                }
                for (filter, index) in [
                    (json!({ "entity_type": "product", "entity_id": entity }), "log_by_entity"),
                    (json!({ "field": "field_7", "entity_id": entity, "changed_after": late }), "log_by_entity"),
                    (json!({ "actor_type": "user", "actor_id": actor }), "log_by_actor "),
                    (json!({ "request_id": "request-7", "actor_id": actor }), "log_by_request"),
                    (json!({ "entity_type": "product", "field": "field_7" }), "log_by_field"),
                ] {
                    pages_through(filter, index)?;
                }
                Ok(())
            }).await.unwrap();
        }
    }

    #[test]
    fn a_kind_that_there_is_not_is_refused() {
        let problems =
            refused::<ListChanges>(json!({ "entity_type": "task", "actor_type": "robot" }));
        let fields: Vec<_> = problems.invalid.iter().map(|one| &*one.field).collect();
        assert_eq!(fields, ["entity_type", "actor_type"]);
    }
}
