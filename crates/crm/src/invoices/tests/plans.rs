use serde_json::json;
use store::Engine;

use super::super::lines::of_sql;
use super::*;
use crate::caller::Ids;
use crate::mentions;
use crate::testing::at;
use crate::testing::plans::{assert_pages_through, insert, plan};

const ROWS: usize = 3000;

on_both_engines! {
    async fn a_page_is_read_in_the_order_of_an_index_whatever_the_filter(world) {
        let (company, deal, product) = world.write(|tx, desk| {
            let ids = Ids::default();
            let (company, deal) = (desk.company(tx, "Acme")?.id, desk.opportunity(tx, "Deal")?.id);
            let product = json!({ "name": "Gear", "price": 1 });
            let product = crate::products::create(tx, &desk.who, given(product))?.id;
            let (mut invoices, mut lines) = (Vec::new(), Vec::new());
            for index in 0..ROWS {
                let now = at(desk.who.now.as_millisecond() + index as i64);
                let id = ids.next(now);
                let some = |id: Uuid| (index % 7 == 0).then_some(id);
                let status = ["draft", "sent", "paid"][index % 3];
                invoices.push(store::params![
                    desk.who.workspace_id, id, format!("N-{index}"), status, Date::parse("2026-03-01").ok(),
                    "AUD", some(company), some(deal), format!("SO-{}", index % 50), 0, 0, 0, 0, now, now
                ].to_vec());
                lines.push(store::params![
                    desk.who.workspace_id, ids.next(now), id, "Gear", some(product), 10_000, 0, 0, 0, 0, now, now
                ].to_vec());
            }
            insert(
                tx,
                "invoices",
                "workspace_id, id, invoice_number, status, issue_date, currency_code, company_id, \
                 opportunity_id, external_order_id, amount_paid, amount_credited, subtotal, tax_total, \
                 created_at, updated_at",
                invoices,
            )?;
            insert(
                tx,
                "invoice_line_items",
                "workspace_id, id, invoice_id, description, product_id, quantity, unit_price, \
                 discount_percent, tax_amount, line_total, created_at, updated_at",
                lines,
            )?;
            if tx.engine() == Engine::Postgres {
                tx.execute("analyze invoices", &[])?;
                tx.execute("analyze invoice_line_items", &[])?;
            }
            Ok((company, deal, product))
        }).await.unwrap();
        world.read(move |db, desk| {
            let who = &desk.who;
            let cursor = list(db, who, &given(json!({ "limit": 100 })))?.items[99].id;
            let key = match db.engine() {
                Engine::Sqlite => "sqlite_autoindex_invoices_1",
                Engine::Postgres => "invoices_pkey",
            };
            for (filter, index) in [
                (json!({}), key),
                (json!({ "status": "sent" }), "invoices_by_status"),
                (json!({ "customer_id": company }), "invoices_by_company"),
                (json!({ "trustpager_deal_id": deal }), "invoices_by_opportunity"),
                (json!({ "external_order_id": "SO-7" }), "invoices_by_external_order"),
            ] {
                let condition = condition(who, &given(filter));
                assert_pages_through::<Invoice>(db, &condition, index, cursor)?;
            }
            // There is one at most, so its order is no matter.
            let one = condition(who, &given(json!({ "invoice_number": "N-7" })));
            let sql = format!("select t.id from invoices t where {} order by t.id desc limit 26", one.text());
            let found = plan(db, &sql, one.params())?;
            assert!(found.contains("invoices_by_number"), "{found}");

            let lines = plan(db, &of_sql(), &store::params![who.workspace_id, cursor])?;
            assert!(lines.contains("invoice_line_items_by_invoice"), "{lines}");
            assert!(!lines.contains("Sort") && !lines.contains("B-TREE"), "{lines}");
            for (columns, index, id) in [
                (mentions::OF_OPPORTUNITY, "invoices_by_opportunity", deal),
                (mentions::OF_COMPANY, "invoices_by_company", company),
                (mentions::OF_PRODUCT, "invoice_line_items_by_product", product),
            ] {
                let ours = columns.iter().find(|(table, _)| index.starts_with(table));
                let sql = mentions::clear_sql(db.engine(), *ours.unwrap());
                let found = plan(db, &sql, &store::params![who.workspace_id, id, who.now])?;
                assert!(found.contains(index), "{sql}\n{found}");
            }
            Ok(())
        }).await.unwrap();
    }
}
