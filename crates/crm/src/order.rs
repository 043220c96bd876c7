//! Lists whose records are in an order of their own: each keeps its index.

use store::Tx;
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::Result;
use crate::record::Record;

/// The list with one of it at an index among the others, clamped to them.
pub(crate) fn with_at(mut list: Vec<Uuid>, id: Uuid, index: i64) -> Vec<Uuid> {
    list.retain(|other| *other != id);
    let index = usize::try_from(index.max(0)).unwrap_or(usize::MAX);
    list.insert(index.min(list.len()), id);
    list
}

/// Whether `wanted` has each of `list` exactly once.
pub(crate) fn is_permutation(mut list: Vec<Uuid>, wanted: &[Uuid]) -> bool {
    let mut wanted = wanted.to_vec();
    list.sort_unstable();
    wanted.sort_unstable();
    list == wanted
}

/// Writes the indexes of a list into `column`, where they are others.
pub(crate) fn write<R: Record>(
    tx: &mut Tx<'_>,
    who: &Caller,
    column: &str,
    list: &[Uuid],
) -> Result<()> {
    let sql = format!(
        "update {} set {column} = $3, updated_at = $4
         where workspace_id = $1 and id = $2 and {column} <> $3",
        R::TABLE
    );
    for (index, id) in (0_i64..).zip(list) {
        tx.execute(&sql, &store::params![who.workspace_id, *id, index, who.now])?;
    }
    Ok(())
}
