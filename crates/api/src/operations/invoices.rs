//! `/invoices` and their line items.

use crm::input::Nothing;
use crm::invoices::lines::{self, BulkCreateLineItems, LineItemFields};
use crm::invoices::{self, BulkCreate, InvoiceUpdate, ListInvoices, NewInvoice};
use crm::record::New;

use crate::envelope::{Created, One, Whole};
use crate::operation::Operation;

const READ: &[&str] = &["invoices:read"];
const WRITE: &[&str] = &["invoices:write"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/invoices", "list_invoices")
            .scopes(READ)
            .about(
                "List invoices",
                "The newest first, with what they come to but without their line items. All \
                 filters may be combined: what is late is `status=sent` with `due_before` and \
                 today's date. Follow `pagination.next_cursor` for older ones.",
            )
            .read(|db, who, [], input: ListInvoices| invoices::list(db, who, &input)),
        Operation::get("/invoices/:id", "get_invoice")
            .scopes(READ)
            .about("Get an invoice", "One invoice with its `line_items` in their order.")
            .read(|db, who, [id], _: Nothing| invoices::get(db, who, id).map(One)),
        Operation::post("/invoices", "create_invoice")
            .scopes(WRITE)
            .about(
                "Create an invoice",
                "With the `line_items` that it begins with; more are added by \
                 `create_invoice_line_item`. Totals follow from the line items: `subtotal`, \
                 `tax_total`, `total` and `amount_due` can't be sent. Without `invoice_number` it \
                 gets the next one; one that is taken is a conflict. For several at once use \
                 `bulk_create_invoices`.",
            )
            .write(|tx, who, [], input: NewInvoice| invoices::create(tx, who, input).map(Created)),
        Operation::patch("/invoices/:id", "update_invoice")
            .scopes(WRITE)
            .about(
                "Update an invoice",
                "Changes the fields that are sent; `null` clears one that may be empty. Line items \
                 have endpoints of their own. To note a payment send the new `amount_paid` and the \
                 `status`: neither follows from the other. Another `currency_code` converts \
                 nothing, but rounds all amounts to its smallest unit.",
            )
            .write(|tx, who, [id], input: InvoiceUpdate| {
                invoices::update(tx, who, id, input).map(One)
            }),
        Operation::delete("/invoices/:id", "delete_invoice")
            .scopes(WRITE)
            .about(
                "Delete an invoice",
                "With its line items, whatever its status; it can't be undone. One that a customer \
                 has seen is better kept: set its `status` to `void` by `update_invoice`.",
            )
            .write(|tx, who, [id], _: Nothing| invoices::delete(tx, who, id)),
        Operation::post("/invoices/bulk", "bulk_create_invoices")
            .scopes(WRITE)
            .about(
                "Create up to 100 invoices",
                "Each with the `line_items` that it begins with. Each invoice stands alone: what is \
                 in `created` is kept, what is in `errors` left no trace and may be sent again. For \
                 a single one use `create_invoice`.",
            )
            .bulk()
            .write(|tx, who, [], input: BulkCreate| invoices::bulk_create(tx, who, input)),
        Operation::get("/invoices/:id/line-items", "list_invoice_line_items")
            .scopes(READ)
            .about(
                "List an invoice's line items",
                "All of them, in the order in which they were added.",
            )
            .read(|db, who, [id], _: Nothing| lines::list(db, who, id).map(Whole)),
        Operation::get("/invoices/:id/line-items/:lineItemId", "get_invoice_line_item")
            .scopes(READ)
            .about("Get a line item of an invoice", "One of its line items.")
            .read(|db, who, [id, line_id], _: Nothing| lines::get(db, who, id, line_id).map(One)),
        Operation::post("/invoices/:id/line-items", "create_invoice_line_item")
            .scopes(WRITE)
            .about(
                "Add a line item to an invoice",
                "Behind the others. With `product_id`, `unit_price` is the number of the product's \
                 price unless it is given; nothing is converted. The totals of the invoice follow.",
            )
            .write(|tx, who, [id], input: New<LineItemFields>| {
                lines::create(tx, who, id, input).map(Created)
            }),
        Operation::post("/invoices/:id/line-items/bulk", "bulk_create_invoice_line_items")
            .scopes(WRITE)
            .about(
                "Add up to 500 line items to an invoice",
                "Behind the others, in their order. Each stands alone: what is in `created` is \
                 kept, what is in `errors` left no trace and may be sent again. The totals of the \
                 invoice follow.",
            )
            .bulk()
            .write(|tx, who, [id], input: BulkCreateLineItems| {
                lines::bulk_create(tx, who, id, input)
            }),
        Operation::patch("/invoices/:id/line-items/:lineItemId", "update_invoice_line_item")
            .scopes(WRITE)
            .about(
                "Update a line item of an invoice",
                "Changes the fields that are sent; `null` clears one that may be empty. The totals \
                 of the invoice follow.",
            )
            .write(|tx, who, [id, line_id], input: LineItemFields| {
                lines::update(tx, who, id, line_id, input).map(One)
            }),
        Operation::delete("/invoices/:id/line-items/:lineItemId", "delete_invoice_line_item")
            .scopes(WRITE)
            .about(
                "Delete a line item of an invoice",
                "The totals of the invoice follow.",
            )
            .write(|tx, who, [id, line_id], _: Nothing| lines::delete(tx, who, id, line_id)),
    ]
}
