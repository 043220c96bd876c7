//! What a workspace has used of its monthly allowance, as the database keeps
//! it. The meter that runs in memory is the server's.

use store::{Db, Tx};
use uuid::Uuid;

use crate::error::Result;

/// Credits used in a month (`2026-03`, in UTC).
pub fn used(db: &Db<'_>, workspace_id: Uuid, month: &str) -> Result<i64> {
    let used = db.query_opt(
        "select used from credit_usage where workspace_id = $1 and month = $2",
        &store::params![workspace_id, month],
        |row| row.get(0),
    )?;
    Ok(used.unwrap_or(0))
}

/// Adds to the credits used in a month; answers the new sum.
pub fn add(tx: &mut Tx<'_>, workspace_id: Uuid, month: &str, credits: i64) -> Result<i64> {
    Ok(tx.query_one(
        "insert into credit_usage (workspace_id, month, used) values ($1, $2, $3)
         on conflict (workspace_id, month)
         do update set used = credit_usage.used + excluded.used
         returning used",
        &store::params![workspace_id, month, credits],
        |row| row.get(0),
    )?)
}
