//! What a page of opportunities is answered with, and what it takes to read it.

use super::*;
use crate::products as price_list;
use crate::referrals;
use crate::testing::{Desk, pipeline, statements, target};

/// How many opportunities there are; as many as fill the largest page.
const COUNT: usize = 100;

/// An opportunity with two of everything that is its own.
fn rich(tx: &mut Tx<'_>, desk: &Desk, number: usize, stage: &Target) -> Result<Uuid> {
    let who = &desk.who;
    let contact = desk.contact(tx, &format!("Ada {number}"))?.id;
    let fields = json!({
        "name": format!("Engine {number}"),
        "contact_id": contact,
        "customer_id": desk.company(tx, &format!("Acme {number}"))?.id,
        "stage_id": desk.lead(),
    });
    let id = desk.create(tx, fields)?.id;
    add_card(tx, who, id, stage)?;
    let referrer = desk.contact(tx, &format!("Kim {number}"))?.id;
    let referral = json!({ "referrer_contact_id": referrer, "referred_deal_id": id });
    referrals::create(tx, who, given(referral))?;
    for place in 0..2 {
        let user = desk.user(tx, &format!("{place}-{number}"))?.id;
        assign_user(tx, who, id, user)?;
        let fields = json!({ "name": format!("Gear {place}-{number}"), "price": 3 });
        let product = price_list::create(tx, who, given(fields))?.id;
        let line = add_product(tx, who, id, given(json!({ "product_id": product })))?.id;
        for currency in ["AUD", "USD"] {
            let cost = json!({ "unit_cost": 1, "currency": currency });
            add_cost(tx, who, id, line, given(cost))?;
        }
    }
    Ok(id)
}

/// Fails unless everything is there that was to be expanded.
fn assert_rich(opportunity: &Opportunity) {
    let answer = answer(opportunity);
    for (field, count) in [("placements", 2), ("products", 2), ("assigned_users", 3)] {
        assert_eq!(
            answer[field].as_array().map(Vec::len),
            Some(count),
            "{field} of {answer}"
        );
    }
    for field in ["contact", "referrer", "customer", "products_margin"] {
        assert!(answer[field].is_object(), "{field} of {answer}");
    }
    assert_eq!(answer["products_margin"]["cost"], json!(2));
}

on_both_engines! {
    async fn a_page_with_all_that_belongs_to_it_takes_as_many_statements_as_one_record(world) {
        let (user, contact) = world.write(|tx, desk| {
            let (other, stages) = pipeline(tx, &desk.who, "Service", &["New"])?;
            let stage = target(other, stages[0], 0);
            let (user, contact) = (desk.user(tx, "Everywhere")?.id, desk.contact(tx, "Everyone")?.id);
            for number in 0..COUNT {
                let id = rich(tx, desk, number, &stage)?;
                assign_user(tx, &desk.who, id, user)?;
                add_contact(tx, &desk.who, id, contact)?;
            }
            Ok((user, contact))
        }).await.unwrap();
        world.read(move |db, desk| {
            let with = |mut input: Json, limit: usize| {
                input["limit"] = json!(limit);
                input["expand"] = json!(Expansion::ALL);
                input
            };
            let who = &desk.who;
            let counted = |what: &str, limit: usize, page: &dyn Fn() -> Result<Page<Opportunity>>| {
                let (page, count) = statements(page);
                let items = page.unwrap().items;
                assert_eq!(items.len(), limit, "{what}");
                items.iter().for_each(assert_rich);
                count
            };
            for filter in [
                json!({}),
                json!({ "stage_id": desk.lead() }),
                json!({ "pipeline_id": desk.pipeline }),
                json!({ "assigned_to": user }),
                json!({ "search": "engine", "status": "open" }),
            ] {
                let what = filter.to_string();
                let count = |limit| {
                    let input = given(with(filter.clone(), limit));
                    counted(&what, limit, &|| list(db, who, &input))
                };
                // What a search has to know of its table it asks for once.
                count(1);
                assert_eq!(count(1), count(COUNT), "{what}");
                // The list, the cards, five expansions and the costs of the products.
                assert!(count(COUNT) >= 8, "not all of {what} were counted");
            }
            for of in [Of::Contact(contact), Of::Pipeline(desk.pipeline)] {
                let what = format!("{of:?}");
                let count = |limit| {
                    let input = given(with(json!({}), limit));
                    counted(&what, limit, &|| list_of(db, who, of, &input))
                };
                assert_eq!(count(1), count(COUNT), "{what}");
            }
            Ok(())
        }).await.unwrap();
    }
}
