//! Many invoices in one call.

use store::Tx;
use uuid::Uuid;

use crate::bulk::{self, Outcome, Records};
use crate::caller::Caller;
use crate::companies::Company;
use crate::error::{Error, Result};
use crate::input::Patch;
use crate::mentions;
use crate::opportunities::Opportunity;

use super::{Invoice, NewInvoice, lines};

crate::input! {
    /// Invoices to create.
    pub struct BulkCreate {
        /// The invoices: 1 to 100, each as in POST /invoices, with up to 1,000 line
        /// items together.
        required invoices: Records<NewInvoice>,
    }
}

/// Creates invoices.
pub fn bulk_create(
    tx: &mut Tx<'_>,
    who: &Caller,
    input: BulkCreate,
) -> Result<Outcome<usize, Invoice>> {
    let (inputs, unknown) = input.invoices.read("invoices");
    let lines: usize = inputs
        .iter()
        .flatten()
        .map(|new| new.line_items.0.len())
        .sum();
    if lines > lines::MAX {
        let most = lines::MAX;
        let message = format!("must have at most {most} line items together, not {lines}");
        return Err(Error::invalid("invoices", message));
    }
    let named = |of: fn(&NewInvoice) -> &Patch<Uuid>| {
        let named = inputs.iter().flatten().map(of);
        named.filter_map(|named| named.value().copied())
    };
    mentions::hold_all::<Company>(tx, who, named(|new| &new.fields.0.company_id))?;
    let opportunities = named(|new| &new.fields.0.opportunity_id)
        .chain(named(|new| &new.old_names.trustpager_deal_id))
        .chain(named(|new| &new.old_names.deal_id));
    mentions::hold_all::<Opportunity>(tx, who, opportunities)?;
    let locale = who.locale(tx)?;
    bulk::create_each(tx, inputs, unknown, |tx, new| {
        super::create_in(tx, who, &locale, new)
    })
}
