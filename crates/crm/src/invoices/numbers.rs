//! What invoices are called: no two the same.

use store::Tx;

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::public_ids::{self, Counter};
use crate::text::Name;

/// The next number, which no invoice has had.
pub(super) fn next(tx: &Tx<'_>, who: &Caller) -> Result<String> {
    public_ids::next(tx, who, Counter::Invoice)
}

/// Makes sure that a number is free, and that it is not made later.
pub(super) fn take(tx: &mut Tx<'_>, who: &Caller, number: &Name) -> Result<()> {
    public_ids::pass(tx, who, Counter::Invoice, number)?;
    let other = tx.query_opt(
        "select 1 from invoices where workspace_id = $1 and invoice_number = $2",
        &store::params![who.workspace_id, number.clone()],
        |row| row.get::<i64>(0),
    )?;
    match other {
        None => Ok(()),
        Some(_) => Err(taken()),
    }
}

fn taken() -> Error {
    Error::conflict(
        "An invoice with this number exists already",
        "Use another number, or leave it out to get the next one; \
         GET /invoices?invoice_number= finds the invoice that has it.",
    )
}

/// The error of someone who looked whether a number was free at the same time as
/// another who took it.
pub(super) fn taken_meanwhile(error: Error) -> Error {
    match error {
        Error::Store(store::Error::UniqueViolation { constraint })
            if constraint == "invoices_by_number" =>
        {
            taken()
        }
        error => error,
    }
}
