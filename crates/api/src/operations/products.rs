//! `/products` and what they cost.

use crm::input::Nothing;
use crm::paging::PageRequest;
use crm::product_costs::{self, ProductCostFields};
use crm::products::{self, ListProducts, Product, ProductFields};
use crm::record::{self, New};

use crate::envelope::{Created, One};
use crate::operation::Operation;

const READ: &[&str] = &["products:read"];
const WRITE: &[&str] = &["products:write"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/products", "list_products")
            .scopes(READ)
            .about(
                "List products",
                "The newest first. All filters may be combined. Follow `pagination.next_cursor` \
                 for older ones.",
            )
            .read(|db, who, [], input: ListProducts| products::list(db, who, &input)),
        Operation::get("/products/:id", "get_product")
            .scopes(READ)
            .about("Get a product", "One product.")
            .read(|db, who, [id], _: Nothing| record::get::<Product>(db, who, id).map(One)),
        Operation::post("/products", "create_product")
            .scopes(WRITE)
            .about(
                "Create a product",
                "Its price is in the workspace's currency unless another one is named.",
            )
            .write(|tx, who, [], input: New<ProductFields>| {
                products::create(tx, who, input).map(Created)
            }),
        Operation::patch("/products/:id", "update_product")
            .scopes(WRITE)
            .about(
                "Update a product",
                "Changes the fields that are sent; `null` clears one that may be empty. What \
                 opportunities have of it stays at their own prices. Each field that really \
                 changes is written to the change log.",
            )
            .write(|tx, who, [id], input: ProductFields| {
                products::update(tx, who, id, input).map(One)
            }),
        Operation::delete("/products/:id", "delete_product")
            .scopes(WRITE)
            .about(
                "Delete a product",
                "With its costs. While opportunities use it that is a conflict: set `is_active` \
                 to false instead. Invoices keep what they bill of it.",
            )
            .write(|tx, who, [id], _: Nothing| products::delete(tx, who, id)),
        Operation::get("/products/:id/costs", "list_product_costs")
            .scopes(READ)
            .about(
                "List a product's costs",
                "What goes into one unit of it, in the currency of its price, the newest first.",
            )
            .read(|db, who, [id], page: PageRequest| product_costs::list(db, who, id, page)),
        Operation::post("/products/:id/costs", "create_product_cost")
            .scopes(WRITE)
            .about(
                "Add a cost to a product",
                "`supplier_id` is the company that it comes from.",
            )
            .write(|tx, who, [id], input: New<ProductCostFields>| {
                product_costs::create(tx, who, id, input).map(Created)
            }),
        Operation::patch("/products/:id/costs/:costId", "update_product_cost")
            .scopes(WRITE)
            .about(
                "Update a product's cost",
                "Changes the fields that are sent; `null` clears one that may be empty.",
            )
            .write(|tx, who, [id, cost_id], input: ProductCostFields| {
                product_costs::update(tx, who, id, cost_id, input).map(One)
            }),
        Operation::delete("/products/:id/costs/:costId", "delete_product_cost")
            .scopes(WRITE)
            .about(
                "Delete a product's cost",
                "The costs of opportunities stay as they are.",
            )
            .write(|tx, who, [id, cost_id], _: Nothing| {
                product_costs::delete(tx, who, id, cost_id)
            }),
    ]
}
