//! The line items of an invoice: what is billed, how much of it, at which price.

use schemars::SchemaGenerator;
use store::{Db, Tx};
use uuid::Uuid;

use crate::bulk::{self, Outcome, Records};
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::input::{FieldDescription, Fields, Input};
use crate::money::{Amount, Currency, Percent, Quantity};
use crate::products::Product;
use crate::record::{self, Column, New, Record, Writable};
use crate::text::Text;
use crate::time::Timestamp;

use super::Invoice;
use super::totals::{Totals, line_total, payable};

/// How many line items an invoice may have: they are always shown together.
pub(super) const MAX: usize = 1000;

/// How many line items one call adds at most.
const MAX_AT_ONCE: usize = 500;

crate::record! {
    /// A line item of an invoice.
    pub struct LineItem in "invoice_line_items", called "line item";
    /// The writable fields of a line item.
    pub struct LineItemFields;
    read {
        /// Its id; an invoice's line items are in the order of their ids.
        id: Uuid,
        /// The invoice.
        invoice_id: Uuid,
    }
    write {
        /// What is billed, up to 4,000 characters.
        solid description: Text<4000> = "Brass gear, 24 teeth",
        /// The product that it is, if it is one of the price list; null once that is
        /// deleted.
        patch product_id: Uuid,
        /// How much of it; 1 by default.
        plain quantity: Quantity = 4,
        /// What one unit costs, in the invoice's currency; by default the number of
        /// the product's price where one is named, else 0.
        plain unit_price: Amount = 12.5,
        /// What is taken off, in percent; nothing by default.
        plain discount_percent: Percent = 10,
        /// The tax on the line as a whole, in the invoice's currency and rounded to
        /// its smallest unit; 0 by default.
        plain tax_amount: Amount = 4.5,
    }
    kept {
        /// Quantity × unit price less discount, without tax, rounded half away from
        /// zero to the smallest unit of the invoice's currency.
        #[schemars(example = 45)]
        line_total: Amount,
        /// When it was added.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
    }
}

/// The line items that a new invoice begins with.
#[derive(Debug, Clone, Default)]
pub struct NewLineItems(pub(super) Vec<New<LineItemFields>>);

impl Input for NewLineItems {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.objects("line_items", MAX).map(Self)
    }

    fn describe(generator: &mut SchemaGenerator, into: &mut Vec<FieldDescription>) {
        into.push(FieldDescription::objects::<New<LineItemFields>>(
            generator,
            "line_items",
            "Its line items, up to 1,000, each as in POST /invoices/:id/line-items; none by \
             default.",
            MAX,
        ));
    }
}

crate::input! {
    /// Line items to add to an invoice.
    pub struct BulkCreateLineItems {
        /// The line items: 1 to 500, each as in POST /invoices/:id/line-items.
        required line_items: Records<New<LineItemFields>, MAX_AT_ONCE>,
    }
}

/// The line items of an invoice in the order in which they were added.
pub fn list(db: &Db<'_>, who: &Caller, invoice_id: Uuid) -> Result<Vec<LineItem>> {
    record::check::<Invoice>(db, who, invoice_id)?;
    of(db, who, invoice_id)
}

/// One line item of an invoice.
pub fn get(db: &Db<'_>, who: &Caller, invoice_id: Uuid, id: Uuid) -> Result<LineItem> {
    record::check::<Invoice>(db, who, invoice_id)?;
    let line = record::get::<LineItem>(db, who, id)?;
    of_invoice(line, invoice_id)
}

/// Adds a line item behind the others.
pub fn create(
    tx: &mut Tx<'_>,
    who: &Caller,
    invoice_id: Uuid,
    new: New<LineItemFields>,
) -> Result<LineItem> {
    let mut book = Book::open(tx, who, invoice_id)?;
    let line = book.add(tx, who, new)?;
    book.close(tx, who)?;
    Ok(line)
}

/// Adds line items behind the others.
pub fn bulk_create(
    tx: &mut Tx<'_>,
    who: &Caller,
    invoice_id: Uuid,
    input: BulkCreateLineItems,
) -> Result<Outcome<usize, LineItem>> {
    let mut book = Book::open(tx, who, invoice_id)?;
    let outcome = bulk::create(tx, "line_items", input.line_items, |tx, new| {
        book.add(tx, who, new)
    })?;
    if !outcome.done.is_empty() {
        book.close(tx, who)?;
    }
    Ok(outcome)
}

/// Changes the fields that are given of a line item.
pub fn update(
    tx: &mut Tx<'_>,
    who: &Caller,
    invoice_id: Uuid,
    id: Uuid,
    mut fields: LineItemFields,
) -> Result<LineItem> {
    let mut invoice = record::lock::<Invoice>(tx, who, invoice_id)?;
    if let Some(product_id) = fields.product_id.value() {
        record::share::<Product>(tx, who, *product_id)?;
    }
    let mut line = of_invoice(record::lock::<LineItem>(tx, who, id)?, invoice_id)?;
    let currency = invoice.currency_code;
    fields.tax_amount = fields
        .tax_amount
        .map(|tax| payable("tax_amount", tax, currency))
        .transpose()?;
    let before = line.totals();
    let changes = fields.apply(&mut line);
    if changes.is_empty() {
        return Ok(line);
    }
    line.updated_at = who.now;
    line.count(currency)?;
    invoice.come_to(invoice.totals() - before + line.totals())?;
    record::update::<LineItem>(tx, who, id, &changes, [line.counted()])?;
    keep_totals(tx, who, &invoice)?;
    Ok(line)
}

/// Takes a line item off its invoice.
pub fn delete(tx: &mut Tx<'_>, who: &Caller, invoice_id: Uuid, id: Uuid) -> Result<()> {
    let mut invoice = record::lock::<Invoice>(tx, who, invoice_id)?;
    let line = of_invoice(record::lock::<LineItem>(tx, who, id)?, invoice_id)?;
    invoice.come_to(invoice.totals() - line.totals())?;
    record::delete::<LineItem>(tx, who, id)?;
    keep_totals(tx, who, &invoice)
}

/// The statement that reads the line items of an invoice in their order.
pub(super) fn of_sql() -> String {
    format!(
        "select {} from invoice_line_items
         where workspace_id = $1 and invoice_id = $2 order by id",
        LineItem::COLUMNS
    )
}

/// The line items of an invoice in their order.
pub(super) fn of(db: &Db<'_>, who: &Caller, invoice_id: Uuid) -> Result<Vec<LineItem>> {
    Ok(db.query(
        &of_sql(),
        &store::params![who.workspace_id, invoice_id],
        LineItem::from_row,
    )?)
}

/// The line item, if it is the invoice's.
fn of_invoice(line: LineItem, invoice_id: Uuid) -> Result<LineItem> {
    match line.invoice_id == invoice_id {
        true => Ok(line),
        false => Err(record::not_found::<LineItem>(line.id)),
    }
}

/// A line item that is about to be added, all of it known.
pub(super) struct Draft {
    fields: LineItemFields,
    line_total: Amount,
    tax_amount: Amount,
}

impl Draft {
    /// Takes what is not given from the product, or what it is by default.
    pub(super) fn of(
        tx: &Tx<'_>,
        who: &Caller,
        currency: Currency,
        new: New<LineItemFields>,
    ) -> Result<Self> {
        let New(mut fields) = new;
        if let Some(product_id) = fields.product_id.value() {
            let product = record::share::<Product>(tx, who, *product_id)?;
            fields.unit_price.get_or_insert(product.price);
        }
        let tax = fields.tax_amount.unwrap_or_default();
        let tax_amount = payable("tax_amount", tax, currency)?;
        fields.tax_amount = Some(tax_amount);
        let line_total = line_total(
            *fields.quantity.get_or_insert(Quantity::ONE),
            *fields.unit_price.get_or_insert_default(),
            *fields.discount_percent.get_or_insert(Percent::NONE),
            currency,
        )?;
        Ok(Self {
            fields,
            line_total,
            tax_amount,
        })
    }

    pub(super) fn totals(&self) -> Totals {
        Totals::of_line(self.line_total, self.tax_amount)
    }

    /// Adds it to an invoice, whose totals are kept by whoever calls this.
    pub(super) fn insert(
        self,
        tx: &mut Tx<'_>,
        who: &Caller,
        invoice_id: Uuid,
    ) -> Result<LineItem> {
        let mut columns = self.fields.columns();
        columns.extend([
            Column {
                name: "invoice_id",
                value: invoice_id.into(),
            },
            Column {
                name: "line_total",
                value: self.line_total.into(),
            },
        ]);
        record::insert(tx, who, who.new_id(), columns)
    }
}

/// A locked invoice to which line items are added, and how many it has.
struct Book {
    invoice: Invoice,
    lines: usize,
}

impl Book {
    fn open(tx: &Tx<'_>, who: &Caller, invoice_id: Uuid) -> Result<Self> {
        let invoice = record::lock::<Invoice>(tx, who, invoice_id)?;
        let lines: i64 = tx.query_one(
            "select count(*) from invoice_line_items where workspace_id = $1 and invoice_id = $2",
            &store::params![who.workspace_id, invoice_id],
            |row| row.get(0),
        )?;
        Ok(Self {
            invoice,
            lines: usize::try_from(lines).unwrap_or(MAX),
        })
    }

    /// Adds a line item; the invoice is written when the book is closed.
    fn add(&mut self, tx: &mut Tx<'_>, who: &Caller, new: New<LineItemFields>) -> Result<LineItem> {
        if self.lines >= MAX {
            return Err(Error::conflict(
                format!(
                    "The invoice has {MAX} line items already, which is as many as it may have"
                ),
                "Put the others on another invoice.",
            ));
        }
        let draft = Draft::of(tx, who, self.invoice.currency_code, new)?;
        self.invoice
            .come_to(self.invoice.totals() + draft.totals())?;
        self.lines += 1;
        draft.insert(tx, who, self.invoice.id)
    }

    fn close(self, tx: &mut Tx<'_>, who: &Caller) -> Result<()> {
        keep_totals(tx, who, &self.invoice)
    }
}

fn keep_totals(tx: &mut Tx<'_>, who: &Caller, invoice: &Invoice) -> Result<()> {
    tx.enqueue(
        "update invoices set subtotal = $3, tax_total = $4, updated_at = $5
         where workspace_id = $1 and id = $2",
        store::params![
            who.workspace_id,
            invoice.id,
            invoice.subtotal,
            invoice.tax_total,
            who.now
        ],
    )?;
    Ok(())
}

impl LineItem {
    /// Works out anew what it comes to in `currency`.
    fn count(&mut self, currency: Currency) -> Result<()> {
        self.tax_amount = payable("tax_amount", self.tax_amount, currency)?;
        self.line_total = line_total(
            self.quantity,
            self.unit_price,
            self.discount_percent,
            currency,
        )?;
        Ok(())
    }

    /// What it comes to, for its row.
    fn counted(&self) -> Column {
        Column {
            name: "line_total",
            value: self.line_total.into(),
        }
    }
}

/// Rounds the line items of a locked invoice anew, which has got another currency.
pub(super) fn round(
    tx: &mut Tx<'_>,
    who: &Caller,
    currency: Currency,
    lines: &mut [LineItem],
) -> Result<()> {
    for line in lines {
        let before = line.totals();
        line.count(currency)?;
        if line.totals() == before {
            continue;
        }
        line.updated_at = who.now;
        tx.enqueue(
            "update invoice_line_items set line_total = $3, tax_amount = $4, updated_at = $5
             where workspace_id = $1 and id = $2",
            store::params![
                who.workspace_id,
                line.id,
                line.line_total,
                line.tax_amount,
                who.now
            ],
        )?;
    }
    Ok(())
}
