//! Invoices: what customers are billed, and how far that is paid.
//!
//! What an invoice comes to is kept with it, under its lock, by whoever changes its
//! line items. Its status is what someone says it is: it follows from nothing.

use store::{Db, Tx};
use uuid::Uuid;

use crate::caller::{Caller, Locale};
use crate::companies::Company;
use crate::error::{Error, Result};
use crate::input::Patch;
use crate::mentions;
use crate::money::{Amount, Currency, Total};
use crate::opportunities::Opportunity;
use crate::paging::{Page, PageRequest};
use crate::record::{self, Column, New, Writable};
use crate::sql::Condition;
use crate::text::{Name, Text};
use crate::time::{Date, Moment, Timestamp};

mod bulk;
pub mod lines;
mod numbers;
mod totals;

pub use bulk::{BulkCreate, bulk_create};
use lines::{Draft, LineItem, NewLineItems};
use totals::{Totals, payable};

crate::words! {
    /// How far an invoice is.
    #[derive(Default)]
    pub enum InvoiceStatus {
        /// Being written.
        #[default]
        Draft = "draft",
        /// With the customer.
        Sent = "sent",
        /// Paid in part.
        PartiallyPaid = "partially_paid",
        /// Paid in full.
        Paid = "paid",
        /// Not paid in time.
        Overdue = "overdue",
        /// No longer valid; kept for the record.
        Void = "void",
    }
}

crate::record! {
    /// An invoice.
    pub struct Invoice in "invoices", called "invoice";
    /// The writable fields of an invoice.
    pub struct InvoiceFields;
    read {
        /// Its id; ids sort by age.
        id: Uuid,
    }
    write {
        /// What it is called; no two of the workspace's are called the same. The
        /// next of `INV-001`, `INV-002` … by default.
        plain invoice_number: Name = "INV-001",
        /// How far it is, as someone says; `draft` by default.
        plain status: InvoiceStatus,
        /// The day of the invoice; today in the workspace by default.
        plain issue_date: Date = "2026-03-01",
        /// The day by which it is to be paid.
        patch due_date: Date = "2026-03-31",
        /// The currency of all its amounts, by ISO 4217; the opportunity's by
        /// default where one is named, else the workspace's.
        plain currency_code: Currency,
        /// What the customer calls it, as the number of their order.
        patch reference: Text<255> = "PO 4711",
        /// The person whom it is addressed to.
        patch contact_name: Name = "Ada Byron",
        /// The company that is billed.
        patch company_id ["customer_id"]: Uuid,
        /// The opportunity that it came of.
        patch opportunity_id: Uuid,
        /// What another system calls the order.
        patch external_order_id: Text<255> = "SO-1042",
        /// What was paid of it; 0 by default. Rounded to the currency's smallest
        /// unit, as is `amount_credited`.
        plain amount_paid: Amount = 20,
        /// What was credited on it; 0 by default.
        plain amount_credited: Amount = 0,
    }
    kept {
        /// What its line items come to without tax.
        #[schemars(example = 45)]
        subtotal: Amount,
        /// The tax on its line items.
        #[schemars(example = 4.5)]
        tax_total: Amount,
        /// When it was created.
        created_at: Timestamp,
        /// When it or one of its line items was last changed.
        updated_at: Timestamp,
    }
    derived {
        /// `subtotal` and `tax_total` together.
        #[schemars(example = 49.5)]
        total: Total = |invoice| Total::from(invoice.subtotal) + invoice.tax_total.into(),
        /// What is left to pay: `total` less `amount_paid` and `amount_credited`.
        #[schemars(example = 29.5)]
        amount_due: Total = |invoice| {
            invoice.total - invoice.amount_paid.into() - invoice.amount_credited.into()
        },
        /// The same as `opportunity_id`, by its old name.
        trustpager_deal_id: Option<Uuid> = |invoice| invoice.opportunity_id,
    }
    joined {
        /// Its line items in their order; not in lists of invoices.
        #[serde(skip_serializing_if = "Option::is_none")]
        line_items: Option<Vec<LineItem>>,
    }
}

crate::input! {
    /// The opportunity by its old names.
    #[derive(Default)]
    pub struct OldNames {
        /// The same as `opportunity_id`.
        patch trustpager_deal_id: Uuid,
        /// The same as `opportunity_id`.
        patch deal_id: Uuid,
    }
}

impl OldNames {
    /// What is said of the opportunity under all its names.
    fn and(self, opportunity_id: Patch<Uuid>) -> Result<Patch<Uuid>> {
        let said = [
            ("opportunity_id", opportunity_id),
            ("trustpager_deal_id", self.trustpager_deal_id),
            ("deal_id", self.deal_id),
        ];
        let mut said = said.into_iter().filter(|(_, patch)| patch.is_given());
        let Some((name, first)) = said.next() else {
            return Ok(Patch::Keep);
        };
        match said.find(|(_, other)| *other != first) {
            None => Ok(first),
            Some((other, _)) => Err(Error::invalid(
                other,
                format!("must be the same as {name}: both name the opportunity"),
            )),
        }
    }
}

crate::input! {
    /// A new invoice.
    pub struct NewInvoice {
        flatten fields: New<InvoiceFields>,
        flatten old_names: OldNames,
        flatten line_items: NewLineItems,
    }
}

crate::input! {
    /// What changes of an invoice.
    pub struct InvoiceUpdate {
        flatten fields: InvoiceFields,
        flatten old_names: OldNames,
    }
}

crate::input! {
    /// Which invoices are listed.
    pub struct InvoiceFilter {
        /// Those that are that far.
        optional status: InvoiceStatus,
        /// Those of this company.
        optional company_id ["customer_id"]: Uuid,
        /// Those that came of this opportunity.
        optional opportunity_id: Uuid,
        /// The same as `opportunity_id`.
        optional trustpager_deal_id: Uuid,
        /// The same as `opportunity_id`.
        optional deal_id: Uuid,
        /// The one that is called so.
        optional invoice_number: Name = "INV-001",
        /// Those of the order that another system calls so.
        optional external_order_id: Text<255> = "SO-1042",
        /// Those of this day or later.
        optional issued_after: Date = "2026-03-01",
        /// Those of a day before this one.
        optional issued_before: Date,
        /// Those due on this day or later.
        optional due_after: Date,
        /// Those due before this day.
        optional due_before: Date,
        /// Those created at this instant or later; a date means its start in UTC.
        optional created_after: Moment,
        /// Those created before this instant; a date means its start in UTC.
        optional created_before: Moment,
    }
}

crate::input! {
    /// A page of invoices.
    pub struct ListInvoices {
        flatten filter: InvoiceFilter,
        flatten page: PageRequest,
    }
}

/// A page of the invoices, newest first.
pub fn list(db: &Db<'_>, who: &Caller, input: &ListInvoices) -> Result<Page<Invoice>> {
    record::page(db, condition(who, &input.filter), input.page)
}

/// The condition of the invoices that `filter` lets through.
fn condition(who: &Caller, filter: &InvoiceFilter) -> Condition {
    let instant = |moment: Option<Moment>| moment.map(|moment| moment.0);
    let mut condition = record::all(who);
    condition
        .and_if("t.status = ?", filter.status)
        .and_if("t.company_id = ?", filter.company_id)
        .and_if("t.opportunity_id = ?", filter.opportunity_id)
        .and_if("t.opportunity_id = ?", filter.trustpager_deal_id)
        .and_if("t.opportunity_id = ?", filter.deal_id)
        .and_if("t.invoice_number = ?", filter.invoice_number.clone())
        .and_if("t.external_order_id = ?", filter.external_order_id.clone())
        .and_if("t.issue_date >= ?", filter.issued_after)
        .and_if("t.issue_date < ?", filter.issued_before)
        .and_if("t.due_date >= ?", filter.due_after)
        .and_if("t.due_date < ?", filter.due_before)
        .and_if("t.created_at >= ?", instant(filter.created_after))
        .and_if("t.created_at < ?", instant(filter.created_before));
    condition
}

/// A page of the invoices that came of an opportunity, newest first.
pub fn of_opportunity(
    db: &Db<'_>,
    who: &Caller,
    id: Uuid,
    request: PageRequest,
) -> Result<Page<Invoice>> {
    record::check::<Opportunity>(db, who, id)?;
    let mut condition = record::all(who);
    condition.and("t.opportunity_id = ?", [id.into()]);
    record::page(db, condition, request)
}

/// One invoice with its line items.
pub fn get(db: &Db<'_>, who: &Caller, id: Uuid) -> Result<Invoice> {
    let mut invoice = record::get::<Invoice>(db, who, id)?;
    invoice.line_items = Some(lines::of(db, who, id)?);
    Ok(invoice)
}

/// Creates an invoice with the line items that it begins with.
pub fn create(tx: &mut Tx<'_>, who: &Caller, new: NewInvoice) -> Result<Invoice> {
    let locale = who.locale(tx)?;
    create_in(tx, who, &locale, new)
}

fn create_in(tx: &mut Tx<'_>, who: &Caller, locale: &Locale, new: NewInvoice) -> Result<Invoice> {
    let NewInvoice {
        fields: New(mut fields),
        old_names,
        line_items: NewLineItems(lines),
    } = new;
    fields.opportunity_id = old_names.and(fields.opportunity_id)?;
    mentions::hold::<Company>(tx, who, &fields.company_id)?;
    let opportunity = fields.opportunity_id.value();
    let opportunity = opportunity
        .map(|id| record::share::<Opportunity>(tx, who, *id))
        .transpose()?;
    let usual = opportunity.map_or(locale.currency, |opportunity| opportunity.currency);
    let currency = *fields.currency_code.get_or_insert(usual);
    fields.status.get_or_insert_default();
    fields
        .issue_date
        .get_or_insert_with(|| locale.date_at(who.now));
    for (field, amount) in [
        ("amount_paid", &mut fields.amount_paid),
        ("amount_credited", &mut fields.amount_credited),
    ] {
        *amount = Some(payable(field, amount.unwrap_or_default(), currency)?);
    }
    let drafts: Vec<_> = lines
        .into_iter()
        .enumerate()
        .map(|(index, line)| {
            let draft = Draft::of(tx, who, currency, line);
            draft.map_err(|error| error.inside(&format!("line_items[{index}]")))
        })
        .collect::<Result<_>>()?;
    let totals: Totals = drafts.iter().map(Draft::totals).sum();
    let number = match fields.invoice_number.take() {
        Some(number) => {
            numbers::take(tx, who, &number)?;
            number.into()
        }
        None => numbers::next(tx, who)?.into(),
    };
    let mut columns = fields.columns();
    columns.push(Column {
        name: "invoice_number",
        value: number,
    });
    columns.extend(columns_of(totals)?);
    let invoice = record::insert::<Invoice>(tx, who, who.new_id(), columns);
    let mut invoice = invoice.map_err(numbers::taken_meanwhile)?;
    invoice.check_room()?;
    let lines = drafts
        .into_iter()
        .map(|draft| draft.insert(tx, who, invoice.id));
    invoice.line_items = Some(lines.collect::<Result<_>>()?);
    Ok(invoice)
}

/// Changes the fields that are given. In another currency all amounts are rounded to
/// its smallest unit; nothing is converted.
pub fn update(tx: &mut Tx<'_>, who: &Caller, id: Uuid, input: InvoiceUpdate) -> Result<Invoice> {
    let InvoiceUpdate {
        mut fields,
        old_names,
    } = input;
    fields.opportunity_id = old_names.and(fields.opportunity_id)?;
    mentions::hold::<Company>(tx, who, &fields.company_id)?;
    mentions::hold::<Opportunity>(tx, who, &fields.opportunity_id)?;
    let mut invoice = record::lock::<Invoice>(tx, who, id)?;
    let mut lines = lines::of(tx, who, id)?;
    let currency = fields.currency_code.unwrap_or(invoice.currency_code);
    for (field, amount, kept) in [
        ("amount_paid", &mut fields.amount_paid, invoice.amount_paid),
        (
            "amount_credited",
            &mut fields.amount_credited,
            invoice.amount_credited,
        ),
    ] {
        *amount = Some(payable(field, amount.unwrap_or(kept), currency)?);
    }
    if let Some(number) = &fields.invoice_number
        && *number != invoice.invoice_number
    {
        numbers::take(tx, who, number)?;
    }
    let changes = fields.apply(&mut invoice);
    if !changes.is_empty() {
        invoice.updated_at = who.now;
        lines::round(tx, who, currency, &mut lines)?;
        let totals: Totals = lines.iter().map(LineItem::totals).sum();
        invoice.come_to(totals)?;
        let written = record::update::<Invoice>(tx, who, id, &changes, columns_of(totals)?);
        written.map_err(numbers::taken_meanwhile)?;
    }
    invoice.line_items = Some(lines);
    Ok(invoice)
}

/// Deletes an invoice with its line items, however far it is.
pub fn delete(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<()> {
    record::delete::<Invoice>(tx, who, id)
}

fn columns_of(totals: Totals) -> Result<[Column; 2]> {
    let (subtotal, tax_total) = totals.amounts()?;
    Ok([
        Column {
            name: "subtotal",
            value: subtotal.into(),
        },
        Column {
            name: "tax_total",
            value: tax_total.into(),
        },
    ])
}

#[cfg(test)]
mod tests;
