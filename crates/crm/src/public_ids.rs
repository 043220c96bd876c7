//! The short ids that people say to each other: `OPP-001`, `C-001`, `A-001`,
//! `INV-001`.

use store::Tx;

use crate::caller::Caller;
use crate::error::Result;

/// What a workspace counts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Counter {
    Opportunity,
    Contact,
    Company,
    Invoice,
}

impl Counter {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Opportunity => "OPP",
            Self::Contact => "C",
            Self::Company => "A",
            Self::Invoice => "INV",
        }
    }
}

/// The next id, which no record of the workspace had before. On PostgreSQL the
/// counter stays locked until the transaction ends: who creates the same kind of
/// record at the same time waits for that.
pub(crate) fn next(tx: &Tx<'_>, who: &Caller, counter: Counter) -> Result<String> {
    let prefix = counter.prefix();
    let number: i64 = tx.query_one(
        "insert into counters (workspace_id, name, value) values ($1, $2, 1)
         on conflict (workspace_id, name) do update set value = counters.value + 1
         returning value",
        &store::params![who.workspace_id, prefix],
        |row| row.get(0),
    )?;
    Ok(format!("{prefix}-{number:03}"))
}

/// Has the counter go on behind an id that was given by hand, if it is one of its
/// kind.
pub(crate) fn pass(tx: &mut Tx<'_>, who: &Caller, counter: Counter, id: &str) -> Result<()> {
    let prefix = counter.prefix();
    let digits = id
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('-'))
        // What has more of them is no number that anyone has counted up to.
        .filter(|digits| digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit()));
    if let Some(number) = digits.and_then(|digits| digits.parse::<i64>().ok()) {
        tx.enqueue(
            "insert into counters (workspace_id, name, value) values ($1, $2, $3)
             on conflict (workspace_id, name) do update set value = excluded.value
             where counters.value < excluded.value",
            store::params![who.workspace_id, prefix, number],
        )?;
    }
    Ok(())
}
