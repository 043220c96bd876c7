//! The plans of the statements that run all the time, on enough rows that a
//! wrong one would show: a plan that scans passes every other test.

use serde_json::json;
use store::{Engine, Pattern, Value};

use super::super::*;
use crate::caller::Ids;
use crate::mentions;
use crate::pipelines;
use crate::rank::Rank;
use crate::testing::plans::{insert, plan};
use crate::testing::{World, at, given, pipeline};

const ROWS: usize = 6500;

/// Opportunities spread over the stages of a pipeline, all of them in another one
/// as well, a few contacts and two workspaces.
async fn fill(world: &World) {
    world
        .write(|tx, desk| {
            let ids = Ids::default();
            let user = desk.user(tx, "Kim")?.id;
            let (elsewhere, entrances) = pipeline(tx, &desk.who, "Elsewhere", &["Entrance"])?;
            let contacts = ["Ada", "Ben", "Eve"].map(|name| desk.contact(tx, name));
            let contacts: Vec<Uuid> = contacts
                .into_iter()
                .map(|contact| contact.map(|contact| contact.id))
                .collect::<Result<_>>()?;
            let (mut opportunities, mut cards, mut texts, mut users) =
                (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            let start = desk.who.now.as_millisecond();
            for index in 0..ROWS {
                let now = at(start + index as i64);
                let id = ids.next(now);
                let name = format!("deal {index:05} of {}", index % 97);
                let own = index % 5 > 0;
                let workspace = if own {
                    desk.who.workspace_id
                } else {
                    desk.stranger.workspace_id
                };
                let contact = own.then_some(contacts[index % 3]);
                let status = ["open", "won", "lost"][index % 3];
                opportunities.push(
                    store::params![
                        workspace,
                        id,
                        format!("OPP-{index}"),
                        name.clone(),
                        status,
                        contact,
                        "AUD",
                        json!([]),
                        json!({}),
                        now,
                        now
                    ]
                    .to_vec(),
                );
                let doc = format!(
                    "{name}\nada number {index}\nada{index}@example.com\n{}",
                    "x".repeat(200)
                );
                texts.push(store::params![workspace, id, name, doc].to_vec());
                if own {
                    let rank = Rank::from_stored(format!("b{index:05}V"));
                    let places = [
                        (desk.pipeline, desk.stages[index % 6]),
                        (elsewhere, entrances[0]),
                    ];
                    cards.extend(places.map(|(pipeline, stage)| {
                        store::params![
                            workspace,
                            ids.next(now),
                            id,
                            pipeline,
                            stage,
                            rank.as_str(),
                            rank.run(),
                            now
                        ]
                        .to_vec()
                    }));
                    users.push(store::params![workspace, id, user, true, now].to_vec());
                }
            }
            insert(
                tx,
                "opportunities",
                "workspace_id, id, public_id, name, status, contact_id, currency, tags, metadata, \
                 created_at, updated_at",
                opportunities,
            )?;
            insert(
                tx,
                "opportunity_search",
                "workspace_id, id, name_key, doc",
                texts,
            )?;
            insert(
                tx,
                "cards",
                "workspace_id, id, opportunity_id, pipeline_id, stage_id, rank, run, \
                 entered_stage_at",
                cards,
            )?;
            insert(
                tx,
                "opportunity_users",
                "workspace_id, opportunity_id, user_id, is_primary, assigned_at",
                users,
            )?;
            // As PostgreSQL does by itself after that many changes. Nobody
            // does it on SQLite, whose plans must be right without.
            if tx.engine() == Engine::Postgres {
                tx.execute(
                    "select gin_clean_pending_list('opportunity_search_index')",
                    &[],
                )?;
                tx.execute("analyze", &[])?;
            }
            Ok(())
        })
        .await
        .unwrap();
}

/// A long price list, and a line with a cost for each opportunity.
async fn fill_products(world: &World) {
    world
        .write(|tx, desk| {
            let who = &desk.who;
            let opportunities = tx.query(
                "select id from opportunities where workspace_id = $1",
                &store::params![who.workspace_id],
                |row| row.get::<Uuid>(0),
            )?;
            let (mut products, mut product_costs) = (Vec::new(), Vec::new());
            let (mut lines, mut costs) = (Vec::new(), Vec::new());
            for index in 0..ROWS {
                let (gear, line) = (who.new_id(), who.new_id());
                products.push(
                    store::params![
                        who.workspace_id,
                        gear,
                        format!("Gear {index}"),
                        100,
                        format!("S-{index}"),
                        "AUD",
                        format!("Gears {}", index % 200),
                        index % 50 > 0,
                        json!({}),
                        who.now,
                        who.now
                    ]
                    .to_vec(),
                );
                product_costs.push(
                    store::params![
                        who.workspace_id,
                        who.new_id(),
                        gear,
                        100,
                        10_000,
                        who.now,
                        who.now
                    ]
                    .to_vec(),
                );
                let Some(opportunity) = opportunities.get(index) else {
                    continue;
                };
                lines.push(
                    store::params![
                        who.workspace_id,
                        line,
                        *opportunity,
                        gear,
                        10_000,
                        100,
                        0,
                        "unpaid",
                        0,
                        who.now,
                        who.now
                    ]
                    .to_vec(),
                );
                costs.push(
                    store::params![
                        who.workspace_id,
                        who.new_id(),
                        *opportunity,
                        line,
                        100,
                        10_000,
                        "AUD",
                        100,
                        who.now,
                        who.now
                    ]
                    .to_vec(),
                );
            }
            insert(
                tx,
                "products",
                "workspace_id, id, name, price, sku, currency, category, is_active, metadata, \
                 created_at, updated_at",
                products,
            )?;
            insert(
                tx,
                "product_costs",
                "workspace_id, id, product_id, cost_price, quantity, created_at, updated_at",
                product_costs,
            )?;
            insert(
                tx,
                "opportunity_products",
                "workspace_id, id, opportunity_id, product_id, quantity, unit_price, \
                 discount_percent, payment_status, sort_order, created_at, updated_at",
                lines,
            )?;
            insert(
                tx,
                "opportunity_product_costs",
                "workspace_id, id, opportunity_id, opportunity_product_id, unit_cost, quantity, \
                 currency, total_cost, created_at, updated_at",
                costs,
            )?;
            if tx.engine() == Engine::Postgres {
                tx.execute("analyze", &[])?;
            }
            Ok(())
        })
        .await
        .unwrap();
}

/// Fails unless the plan goes through these indexes, as SQLite and as
/// PostgreSQL name them, and reads none of the large tables from end to end.
fn assert_through(
    db: &Db<'_>,
    what: &str,
    sql: &str,
    params: &[Value],
    indexes: [&[&str]; 2],
) -> Result<()> {
    let plan = plan(db, sql, params)?;
    let indexes = match db.engine() {
        Engine::Sqlite => indexes[0],
        Engine::Postgres => indexes[1],
    };
    for index in indexes {
        assert!(plan.contains(index), "{what} not through {index}:\n{plan}");
    }
    if db.engine() == Engine::Sqlite {
        for step in plan.lines() {
            let table = step.starts_with("SCAN ")
                && !step.contains("VIRTUAL TABLE")
                && step != "SCAN CONSTANT ROW";
            // The whole of a workspace is as bad, but for a page that is read in
            // the order of its records.
            let workspace = step.ends_with("(workspace_id=?)") && !step.starts_with("SEARCH t ");
            assert!(!table && !workspace, "{what}: {step}:\n{plan}");
        }
    }
    for table in [
        "opportunities",
        "cards",
        "opportunity_search",
        "opportunity_users",
    ] {
        assert!(
            !plan.contains(&format!("Seq Scan on {table}")),
            "{what}:\n{plan}"
        );
    }
    Ok(())
}

/// The id in the middle of the workspace's opportunities, and as many around
/// it as a page holds.
fn middle(db: &Db<'_>, who: &Caller) -> Result<Vec<Uuid>> {
    Ok(db.query(
        "select id from opportunities where workspace_id = $1 order by id limit 25 offset $2",
        &store::params![who.workspace_id, ROWS as i64 * 2 / 5],
        |row| row.get(0),
    )?)
}

on_both_engines! {
    async fn one_opportunity_and_its_cards_are_read_by_their_keys(world) {
        fill(&world).await;
        world.read(|db, desk| {
            let some = middle(db, &desk.who)?;
            let one = store::params![desk.who.workspace_id, some[0]];
            assert_through(db, "one", &record::one::<Opportunity>(""), &one, [
                &["sqlite_autoindex_opportunities_1 (workspace_id=? AND id=?)"],
                &["Index Scan using opportunities_pkey"],
            ])?;
            assert_through(db, "where it stands", cards::STANDING, &one, [
                &["PRIMARY KEY (workspace_id=? AND opportunity_id=?)"],
                &["cards_pkey"],
            ])?;
            if !db.engine().has_one_writer() {
                let stages = store::params![desk.who.workspace_id, some.clone()];
                let sql = cards::stages_of_sql(db.engine());
                assert_through(db, "its stages", &sql, &stages, [&[], &["cards_pkey"]])?;
            }
            // As the triggers ask that keep what stages are worth.
            let worth = "select c.stage_id from cards c
                 where c.workspace_id = $1 and c.opportunity_id = $2 and c.rank is not null";
            assert_through(db, "the stages' worth", worth, &one, [
                &["PRIMARY KEY (workspace_id=? AND opportunity_id=?)"],
                &["cards_pkey"],
            ])?;
            let page = store::params![desk.who.workspace_id, some];
            assert_through(db, "cards", &cards::of_sql(db.engine()), &page, [
                &[
                    "PRIMARY KEY (workspace_id=? AND opportunity_id=?)",
                    "COVERING INDEX cards_by_stage (workspace_id=? AND stage_id=? AND rank>? AND rank<?)",
                    "PRIMARY KEY (prefix=? AND stage_id=? AND workspace_id=?)",
                ],
                &[
                    "cards_pkey",
                    "cards_by_stage",
                    "card_counts_pkey",
                ],
            ])
        }).await.unwrap();
    }

    async fn a_rank_is_found_beside_its_neighbours(world) {
        fill(&world).await;
        world.read(|db, desk| {
            let own = middle(db, &desk.who)?[0];
            let stage = store::params![desk.who.workspace_id, desk.lead(), own];
            assert_through(db, "others", spots::OTHERS, &stage, [
                &["PRIMARY KEY (workspace_id=? AND opportunity_id=?)"],
                &["cards_pkey"],
            ])?;
            for (order, limit, offset) in [("asc", 1, 0), ("asc", 2, 5), ("desc", 1, 0)] {
                let params = store::params![desk.who.workspace_id, desk.lead(), own, limit, offset];
                let sql = spots::neighbours_sql(order);
                assert_through(db, order, &sql, &params, [
                    &["cards_by_stage (workspace_id=? AND stage_id=?)"],
                    &["using cards_by_stage"],
                ])?;
                let plan = plan(db, &sql, &params)?;
                assert!(!plan.contains("Sort") && !plan.contains("B-TREE"), "{plan}");
            }
            Ok(())
        }).await.unwrap();
    }

    async fn the_cards_of_a_stage_that_goes_are_found_by_an_index(world) {
        fill(&world).await;
        world.read(|db, desk| {
            let stages = store::params![desk.who.workspace_id, vec![desk.lead()]];
            assert_through(db, "its cards", &pipelines::cards_in_sql(db.engine()), &stages, [
                &["cards_by_stage (workspace_id=? AND stage_id=?)"],
                &["cards_by_stage"],
            ])?;
            // Whether one is left is asked by no statement, and told by no plan of
            // SQLite's but what its program opens.
            if db.engine() == Engine::Sqlite {
                let opens = |table: &str, index: &str, deleted: &str| -> Result<bool> {
                    let root: i64 = db.query_one(
                        "select rootpage from sqlite_schema where tbl_name = $1 and name = $2",
                        &store::params![table, index],
                        |row| row.get(0),
                    )?;
                    let opened = db.query(
                        &format!("explain delete from {deleted} where workspace_id = x'00' and id = x'00'"),
                        &[],
                        |row| Ok((row.get::<String>(1)?, row.get::<i64>(3)?)),
                    )?;
                    Ok(opened.contains(&("OpenRead".to_owned(), root)))
                };
                for (table, index, deleted) in [
                    ("cards", "cards_by_pipeline", "stages"),
                    ("opportunity_contacts", "opportunity_contacts_by_contact", "contacts"),
                    ("opportunity_users", "opportunity_users_by_user", "members"),
                    ("employments", "employments_by_company", "companies"),
                ] {
                    assert!(opens(table, index, deleted)?, "{index} of {table}");
                }
            }
            Ok(())
        }).await.unwrap();
    }

    async fn a_page_is_read_in_the_order_of_an_index_whatever_the_filter(world) {
        fill(&world).await;
        world.read(|db, desk| {
            let cursor = middle(db, &desk.who)?[0];
            let one = |column: &str, table: &str| {
                db.query_one(
                    &format!("select {column} from {table} where workspace_id = $1 order by id limit 1"),
                    &store::params![desk.who.workspace_id],
                    |row| row.get::<Uuid>(0),
                )
            };
            let (contact, user) = (one("id", "contacts")?, one("id", "members")?);
            for (filter, sqlite, postgres) in [
                (json!({}), "sqlite_autoindex_opportunities_1", "opportunities_pkey"),
                (json!({ "status": "won" }), "opportunities_by_status", "opportunities_by_status"),
                (json!({ "contact_id": contact }), "opportunities_by_contact", "opportunities_by_contact"),
                (json!({ "stage_id": desk.lead() }), "cards_by_pipeline", "cards_by_pipeline"),
                (json!({ "pipeline_id": desk.pipeline }), "cards_of_pipeline", "cards_of_pipeline"),
                (json!({ "assigned_to": user }), "opportunity_users", "opportunity_users"),
            ] {
                for page in [json!({}), json!({ "cursor": cursor }), json!({ "before": cursor })] {
                    let (listing, condition) = listed(db, &desk.who, &given(filter.clone()))?;
                    let (sql, bounded) = paging::statement(listing, &condition, given(page.clone()));
                    let what = format!("{filter} {page}");
                    assert_through(db, &what, &sql, bounded.params(), [&[sqlite], &[postgres]])?;
                    let plan = plan(db, &sql, bounded.params())?;
                    assert!(!plan.contains("Sort") && !plan.contains("B-TREE"), "{what}\n{plan}");
                }
            }
            Ok(())
        }).await.unwrap();
    }

    async fn the_products_of_opportunities_and_their_costs_are_read_by_their_keys(world) {
        fill(&world).await;
        fill_products(&world).await;
        world.read(|db, desk| {
            let some = middle(db, &desk.who)?;
            let page = store::params![desk.who.workspace_id, some.clone()];
            assert_through(db, "lines", &products::of_sql(db.engine()), &page, [
                &[
                    "sqlite_autoindex_opportunity_products_2 (workspace_id=? AND opportunity_id=?)",
                    "sqlite_autoindex_products_1 (workspace_id=? AND id=?)",
                ],
                &["opportunity_products_workspace_id_opportunity_id_id_key"],
            ])?;
            assert_through(db, "costs", &margin::costs_sql(db.engine()), &page, [
                &["opportunity_product_costs_by_line (workspace_id=? AND opportunity_id=?)"],
                &["opportunity_product_costs_by_line"],
            ])?;
            let one = store::params![desk.who.workspace_id, some[0]];
            assert_through(db, "what it comes to", margin::LINES, &one, [
                &["sqlite_autoindex_opportunity_products_2 (workspace_id=? AND opportunity_id=?)"],
                &["opportunity_products_workspace_id_opportunity_id_id_key"],
            ])?;
            assert_through(db, "whether it is used", crate::products::USED, &one, [
                &["opportunity_products_by_product (workspace_id=? AND product_id=?)"],
                &["opportunity_products_by_product"],
            ])?;
            for (table, column) in [("product_costs", "supplier_id"), ("opportunity_product_costs", "supplier_id")] {
                assert!(mentions::OF_COMPANY.contains(&(table, column)));
                let params = store::params![desk.who.workspace_id, some[0], desk.who.now];
                let plan = plan(db, &mentions::clear_sql(db.engine(), (table, column)), &params)?;
                let index = format!("{table}_by_supplier");
                assert!(plan.contains(&index), "not through {index}:\n{plan}");
            }
            let line = db.query_one(
                "select id from opportunity_products where workspace_id = $1 and opportunity_id = $2",
                &one,
                |row| row.get::<Uuid>(0),
            )?;
            let condition = product_costs::of_line(&desk.who, some[0], line);
            let listing = Listing {
                columns: OpportunityProductCost::QUALIFIED,
                from: "opportunity_product_costs t",
                id: "t.id",
            };
            let (sql, bounded) = paging::statement(listing, &condition, PageRequest::default());
            assert_through(db, "a line's costs", &sql, bounded.params(), [
                &["opportunity_product_costs_by_line (workspace_id=? AND opportunity_id=? AND opportunity_product_id=?)"],
                &["opportunity_product_costs_by_line"],
            ])
        }).await.unwrap();
    }

    async fn a_page_of_products_is_read_in_the_order_of_an_index(world) {
        fill_products(&world).await;
        world.read(|db, desk| {
            for (filter, index) in [
                (json!({}), ["sqlite_autoindex_products_1", "products_pkey"]),
                (json!({ "sku": "S-17" }), ["products_by_sku"; 2]),
                (json!({ "category": "Gears 17" }), ["products_by_category"; 2]),
                (json!({ "is_active": false }), ["products_by_activity"; 2]),
            ] {
                let condition = crate::products::listed(db, &desk.who, &given(filter.clone()))?;
                let listing = Listing {
                    columns: crate::products::Product::QUALIFIED,
                    from: "products t",
                    id: "t.id",
                };
                let (sql, bounded) = paging::statement(listing, &condition, PageRequest::default());
                let plan = plan(db, &sql, bounded.params())?;
                let wanted = if db.engine() == Engine::Sqlite { index[0] } else { index[1] };
                assert!(plan.contains(wanted), "{filter} not through {wanted}:\n{plan}");
                assert!(!plan.contains("Sort") && !plan.contains("B-TREE"), "{filter}\n{plan}");
            }
            Ok(())
        }).await.unwrap();
    }

    async fn a_search_goes_through_the_names_and_the_trigrams(world) {
        fill(&world).await;
        world.read(|db, desk| {
            let names = ["opportunity_search_by_name"];
            let found = "deal 00123".to_owned();
            let trigrams: [&[&str]; 2] = [
                &[
                    "SCAN i VIRTUAL TABLE",
                    "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)",
                ],
                &["Bitmap Index Scan on opportunity_search_index"],
            ];
            let misspelt = ["eal 00", "00123"].map(|part| Pattern::Text(part.to_owned()));
            let misspelt = Pattern::Any(vec![
                Pattern::All(misspelt.into()),
                Pattern::Text("\ndaal".to_owned()),
            ]);
            let tiers: [(search::Tier, [&[&str]; 2]); 4] = [
                (search::named::<Opportunity>(&desk.who, &found), [&names, &names]),
                (search::beginning::<Opportunity>(db, &desk.who, &found)?, [&names, &names]),
                (search::containing::<Opportunity>(db, &desk.who, &[found])?, trigrams),
                (search::matching::<Opportunity>(db, &desk.who, &misspelt)?, trigrams),
            ];
            for (tier, indexes) in tiers {
                let (sql, bounded) = &tier.statements("t.id, t.name_key", 26)[0];
                assert_through(db, "tier", sql, bounded.params(), indexes)?;
            }
            let filter = given(json!({ "search": "deal 00123" }));
            let (listing, condition) = listed(db, &desk.who, &filter)?;
            let (sql, bounded) = paging::statement(listing, &condition, PageRequest::default());
            assert_through(db, "list", &sql, bounded.params(), [
                &[
                    "opportunity_search_index VIRTUAL TABLE",
                    "SEARCH s USING INTEGER PRIMARY KEY (rowid=?)",
                    "sqlite_autoindex_opportunities_1 (workspace_id=? AND id=?)",
                ],
                &["Bitmap Index Scan on opportunity_search_index", "opportunities_pkey"],
            ])
        }).await.unwrap();
    }

    async fn a_phone_number_has_trigrams(world) {
        world.read(|db, desk| {
            let needles = search::needles(db, &desk.who, "0412 345 679")?;
            assert!(needles.len() > 1);
            // Of one that has none PostgreSQL reads all documents, and of the others with it.
            for needle in needles.iter().filter(|_| db.engine() == Engine::Postgres) {
                let has = db.query_one(
                    "select cardinality(show_trgm($1)) > 3",
                    &store::params![needle.clone()],
                    |row| row.get::<bool>(0),
                )?;
                assert!(has, "{needle}");
            }
            Ok(())
        }).await.unwrap();
    }

    async fn what_is_common_is_found_by_walking_from_the_newest(world) {
        fill(&world).await;
        world.read(|db, desk| {
            let common = "deal".to_owned();
            let tiers = [
                search::beginning::<Opportunity>(db, &desk.who, &common)?,
                search::containing::<Opportunity>(db, &desk.who, &[common])?,
            ];
            for tier in tiers {
                for (sql, bounded) in tier.statements("t.id, t.name_key", 26) {
                    let plan = plan(db, &sql, bounded.params())?;
                    assert!(!plan.contains("Sort") && !plan.contains("B-TREE"), "{plan}");
                }
            }
            let all = list(db, &desk.who, &given(json!({ "limit": 100 })))?;
            let narrowed = list(db, &desk.who, &given(json!({ "limit": 100, "search": "deal" })))?;
            let found = search(db, &desk.who, &given(json!({ "limit": 100, "query": "deal" })))?;
            for page in [narrowed, found] {
                let ids = |page: &Page<Opportunity>| page.items.iter().map(|one| one.id).collect::<Vec<_>>();
                assert_eq!(ids(&page), ids(&all));
                assert!(page.has_more);
            }
            let filter = given(json!({ "search": "deal" }));
            let (listing, condition) = listed(db, &desk.who, &filter)?;
            let (sql, bounded) = paging::statement(listing, &condition, PageRequest::default());
            let plan = plan(db, &sql, bounded.params())?;
            assert!(!plan.contains("Sort") && !plan.contains("B-TREE"), "{plan}");
            Ok(())
        }).await.unwrap();
    }
}
