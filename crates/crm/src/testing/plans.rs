//! Looking at how a statement is carried out: a plan that scans passes every other
//! test.

use store::{Db, Engine, Tx, Value};

use crate::error::Result;
use crate::paging::{Listing, statement};
use crate::record::Record;
use crate::sql::Condition;
use crate::testing::given;

/// Adds rows, many in one statement.
pub(crate) fn insert(
    tx: &mut Tx<'_>,
    table: &str,
    columns: &str,
    rows: Vec<Vec<Value>>,
) -> Result<()> {
    for rows in rows.chunks(500) {
        let mut number = 0;
        let places: Vec<_> = rows
            .iter()
            .map(|row| {
                let row: Vec<_> = row
                    .iter()
                    .map(|_| {
                        number += 1;
                        format!("${number}")
                    })
                    .collect();
                format!("({})", row.join(", "))
            })
            .collect();
        let sql = format!(
            "insert into {table} ({columns}) values {}",
            places.join(", ")
        );
        tx.execute(&sql, &rows.concat())?;
    }
    Ok(())
}

/// The plan, a step on each line.
pub(crate) fn plan(db: &Db<'_>, sql: &str, params: &[Value]) -> Result<String> {
    let (explain, column) = match db.engine() {
        Engine::Sqlite => ("explain query plan", 3),
        Engine::Postgres => ("explain (costs off)", 0),
    };
    let steps = db.query(&format!("{explain} {sql}"), params, |row| {
        row.get::<String>(column)
    })?;
    Ok(steps.join("\n"))
}

/// Fails unless a page of the records under `condition` is read through this index
/// in the order of the list, whether it is the first one or continues another.
pub(crate) fn assert_pages_through<R: Record>(
    db: &Db<'_>,
    condition: &Condition,
    index: &str,
    cursor: uuid::Uuid,
) -> Result<()> {
    let table = format!("{} t", R::TABLE);
    let listing = Listing {
        columns: R::QUALIFIED,
        from: &table,
        id: "t.id",
    };
    for page in [
        serde_json::json!({}),
        serde_json::json!({ "cursor": cursor }),
        serde_json::json!({ "before": cursor }),
    ] {
        let (sql, bounded) = statement(listing, condition, given(page));
        let plan = plan(db, &sql, bounded.params())?;
        assert!(plan.contains(index), "not through {index}: {sql}\n{plan}");
        for sorting in ["Sort", "B-TREE", "Seq Scan"] {
            assert!(!plan.contains(sorting), "{sql}\n{plan}");
        }
    }
    Ok(())
}
