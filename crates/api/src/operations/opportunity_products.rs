//! `/opportunities/:id/products` and what they cost.

use crm::events::Automations;
use crm::input::Nothing;
use crm::opportunities::{
    self, NewProductLine, OpportunityProductCostFields, ProductLineUpdate, ReorderProducts,
};
use crm::paging::PageRequest;
use crm::record::New;

use crate::envelope::{Created, One, Whole};
use crate::operation::Operation;

const READ: &[&str] = &["opportunities:read"];
const WRITE: &[&str] = &["opportunities:write"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/opportunities/:id/products", "list_opportunity_products")
            .scopes(READ)
            .about(
                "List an opportunity's products",
                "All of them in their order, each with what it is worth, what it costs and what \
                 is left. `payment_status` is shown to keys with `invoices:read` only.",
            )
            .read(|db, who, [id], _: Nothing| opportunities::products(db, who, id).map(Whole)),
        Operation::post("/opportunities/:id/products", "add_opportunity_product")
            .scopes(WRITE)
            .about(
                "Add a product to an opportunity",
                "Behind the others. `unit_price` and `deposit_percent` are the product's unless \
                 they are given, and nothing is converted: give `unit_price` where the product's \
                 price is in another currency than the opportunity. Setting `payment_status` needs \
                 `invoices:write` as well. `products_value` of the opportunity follows.",
            )
            .write(|tx, who, [id], input: NewProductLine| {
                opportunities::add_product(tx, who, id, input).map(Created)
            }),
        Operation::patch(
            "/opportunities/:id/products/:opportunityProductId",
            "update_opportunity_product",
        )
        .scopes(WRITE)
        .about(
            "Update an opportunity's product",
            "Changes the fields that are sent. Setting `payment_status` needs `invoices:write` as \
             well. `products_value` of the opportunity follows.",
        )
        .write(|tx, who, [id, line_id], input: ProductLineUpdate| {
            opportunities::update_product(tx, who, id, line_id, input).map(One)
        }),
        Operation::delete(
            "/opportunities/:id/products/:opportunityProductId",
            "remove_opportunity_product",
        )
        .scopes(WRITE)
        .about(
            "Remove a product from an opportunity",
            "What it cost and its work orders go with it; the product itself stays. `products_value` of the \
             opportunity follows.",
        )
        .write(|tx, who, [id, line_id], automations: Automations| {
            opportunities::remove_product(tx, who, id, line_id, &automations)
        }),
        Operation::post(
            "/opportunities/:id/products/reorder",
            "reorder_opportunity_products",
        )
        .scopes(WRITE)
        .about(
            "Reorder an opportunity's products",
            "`product_ids` names every row of the opportunity's products exactly once, by the \
             row's own `id`, in the new order; anything else is refused and changes nothing.",
        )
        .overwrites()
        .write(|tx, who, [id], input: ReorderProducts| {
            opportunities::reorder_products(tx, who, id, &input).map(Whole)
        }),
        Operation::get(
            "/opportunities/:id/product-costs/:opportunityProductId",
            "list_opportunity_product_costs",
        )
        .scopes(READ)
        .about(
            "List what an opportunity's product costs",
            "For the row as a whole, the newest first.",
        )
        .read(|db, who, [id, line_id], page: PageRequest| {
            opportunities::costs(db, who, id, line_id, page)
        }),
        Operation::post(
            "/opportunities/:id/product-costs/:opportunityProductId",
            "create_opportunity_product_cost",
        )
        .scopes(WRITE)
        .about(
            "Add a cost to an opportunity's product",
            "For the row as a whole: `quantity` says how many are paid for, however many are \
             sold. Costs in the opportunity's currency count for the margin, others are shown \
             beside it.",
        )
        .write(
            |tx, who, [id, line_id], input: New<OpportunityProductCostFields>| {
                opportunities::add_cost(tx, who, id, line_id, input).map(Created)
            },
        ),
        Operation::patch(
            "/opportunities/:id/product-costs/:costId",
            "update_opportunity_product_cost",
        )
        .scopes(WRITE)
        .about(
            "Update a cost of an opportunity's product",
            "Changes the fields that are sent; `null` clears one that may be empty.",
        )
        .write(
            |tx, who, [id, cost_id], input: OpportunityProductCostFields| {
                opportunities::update_cost(tx, who, id, cost_id, input).map(One)
            },
        ),
        Operation::delete(
            "/opportunities/:id/product-costs/:costId",
            "delete_opportunity_product_cost",
        )
        .scopes(WRITE)
        .about(
            "Delete a cost of an opportunity's product",
            "The product stays, and earns as much more.",
        )
        .write(|tx, who, [id, cost_id], _: Nothing| {
            opportunities::delete_cost(tx, who, id, cost_id)
        }),
    ]
}
