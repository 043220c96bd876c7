//! What an import promises, tried on both engines: SQLite always, PostgreSQL
//! where `TEST_POSTGRES_URL` names a server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crm::input::Input;
use crm::opportunities::{ListOpportunities, Opportunity};
use crm::paging::PageRequest;
use crm::record::{self, New};
use crm::text::Name;
use crm::time::Timestamp;
use crm::workspaces::{self, NewWorkspace};
use crm::{Caller, Ids, MIGRATIONS, companies, contacts, pipelines, products, users};
use serde_json::{Value as Json, json};
use store::{Options, Store, Target};
use uuid::Uuid;

use super::mapping::Mapping;
use super::plan::Plan;
use super::report::{Report, TableReport};
use super::run;

const MAPPING: &str = r#"
source = "old crm"

[[pipelines]]
name = "Deals"
stages = [
    { name = "Talking", probability = 40 },
    { name = "Won", outcome = "won" },
    { name = "Lost", outcome = "lost" },
]

[[tables]]
file = "deals"
into = "opportunities"
key = "{id}"
[tables.columns]
product = { replace = { GTXPro = "GTX Pro" }, listed_in = { file = "products", column = "product" } }
engaged = { type = "date", format = "%m/%d/%Y" }
closed = { type = "date", format = "%m/%d/%Y" }
[tables.fields]
name = ["{product} — {account}", "{product}"]
company = "{account}"
contact = "{email}"
assigned_user = "{agent}"
pipeline = "Deals"
stage = "{stage}"
value = "{value}"
closed_on = "{closed}"
entered_stage_on = ["{closed}", "{engaged}"]
[tables.metadata]
id = "{id}"

[[tables]]
file = "deals"
into = "opportunity_products"
key = "{id}"
[tables.columns]
product = { replace = { GTXPro = "GTX Pro" } }
value = { replace = { 0 = "" } }
[tables.fields]
opportunity = "{id}"
product = "{product}"
unit_price = "{value}"

[[tables]]
file = "products"
into = "products"
key = "{product}"
[tables.fields]
name = "{product}"
price = "{price}"
category = "{series}"
cost_price = "{cost}"

[[tables]]
file = "accounts"
into = "companies"
key = "{account}"
[tables.columns]
sector = { replace = { technolgy = "technology" } }
[tables.fields]
name = "{account}"
industry = "{sector}"

[[tables]]
file = "agents"
into = "users"
key = "{agent}"
[tables.fields]
full_name = "{agent}"
email = "{email}"

[[tables]]
file = "people"
into = "contacts"
key = "{email}"
[tables.fields]
first_name = "{name}"
email = "{email}"
company = "{account}"
"#;

const FILES: [(&str, &str); 5] = [
    (
        "products.csv",
        "product,price,series,cost\nGTX Pro,\"1,200\",GTX,640.25\nMG Special,55,MG,\n",
    ),
    (
        "accounts.csv",
        "account,sector\nAcme,technolgy\nCancity,retail\n",
    ),
    (
        "agents.csv",
        "agent,email\nMoses Frase,\nAnna Snelling,anna@example.com\n",
    ),
    (
        "people.csv",
        "name,email,account\nAda,ada@example.com,Acme\n",
    ),
    (
        "deals.csv",
        "id,agent,product,account,stage,engaged,closed,value,email\n\
         D1,Moses Frase,GTXPro,Acme,Won,10/20/2016,3/1/2017,\"1,054.50\",ada@example.com\n\
         D2,Anna Snelling,MG Special,Cancity,Lost,10/25/2016,3/9/2017,0,\n\
         D3,anna@example.com,GTX Pro,,Talking,10/25/2016,,,\n",
    ),
];

/// A database with a workspace, and a folder with the files of [`FILES`].
struct Home {
    store: Store,
    who: Caller,
    folder: tempfile::TempDir,
    database: Option<postgres::Database>,
}

impl Home {
    async fn new(target: Target, folder: tempfile::TempDir) -> Self {
        let store = Store::open(&target, Options::default()).await.unwrap();
        store.migrate(MIGRATIONS).await.unwrap();
        let new = NewWorkspace::called("Test").unwrap();
        let (_, who) = store
            .write(move |tx| workspaces::create(tx, new.clone(), Timestamp::now(), &Ids::default()))
            .await
            .unwrap();
        let home = Self {
            store,
            who,
            folder,
            database: None,
        };
        for (name, text) in FILES {
            home.file(name, text.as_bytes());
        }
        home
    }

    /// On PostgreSQL, where there is one.
    async fn on_postgres() -> Option<Self> {
        let database = postgres::Database::create().await?;
        let target = Target::Postgres(database.url.clone());
        let mut home = Self::new(target, tempfile::tempdir().unwrap()).await;
        home.database = Some(database);
        Some(home)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::create_dir_all(self.data()).unwrap();
        let path = self.data().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn plan(&self, mapping: &str) -> Result<Plan, String> {
        Plan::new(Mapping::parse(mapping)?, &[self.data()])
    }

    async fn run(&self, mapping: &str, dry_run: bool) -> Report {
        let plan = self.plan(mapping).unwrap();
        run::run(&self.store, &self.who, plan, dry_run, |_, _| {})
            .await
            .unwrap()
    }

    async fn import(&self) -> Report {
        self.run(MAPPING, false).await
    }

    async fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&store::Db<'_>, &Caller) -> crm::Result<T> + Send + 'static,
    ) -> T {
        let who = self.who.clone();
        self.store.read(move |db| f(db, &who)).await.unwrap()
    }

    async fn write<T: Send + 'static>(
        &self,
        f: impl Fn(&mut store::Tx<'_>, &Caller) -> crm::Result<T> + Send + 'static,
    ) -> T {
        let who = self.who.clone();
        self.store.write(move |tx| f(tx, &who)).await.unwrap()
    }

    /// How many rows each table of the database has that an import writes to.
    async fn counts(&self) -> Vec<(&'static str, i64)> {
        const TABLES: [&str; 18] = [
            "members",
            "pipelines",
            "stages",
            "companies",
            "company_search",
            "contacts",
            "employments",
            "products",
            "product_search",
            "product_costs",
            "opportunities",
            "opportunity_search",
            "opportunity_users",
            "cards",
            "opportunity_products",
            "opportunity_product_costs",
            "imported",
            "events",
        ];
        let count = |db: &store::Db<'_>, table| {
            let sql = format!("select count(*) from {table}");
            Ok((table, db.query_one(&sql, &[], |row| row.get(0))?))
        };
        self.read(move |db, _| TABLES.into_iter().map(|table| count(db, table)).collect())
            .await
    }

    async fn opportunities(&self) -> Vec<Opportunity> {
        let Json::Object(input) = json!({
            "limit": 100,
            "expand": ["contact", "customer", "products", "assigned_users"],
        }) else {
            unreachable!("it is an object");
        };
        let (input, _) = ListOpportunities::from_object(input).unwrap();
        let page = self
            .read(move |db, who| crm::opportunities::list(db, who, &input))
            .await;
        page.items
    }

    /// The only opportunity with that id in the source.
    async fn deal(&self, id: impl Into<Json>) -> Opportunity {
        let id = id.into();
        let mut found = self.opportunities().await;
        found.retain(|one| one.metadata.values().get("id") == Some(&id));
        let [one] = found.try_into().unwrap();
        one
    }
}

/// Rows read, made, matched, unchanged, refused.
fn numbers(table: &TableReport) -> [u64; 5] {
    [
        table.read,
        table.made,
        table.matched,
        table.unchanged,
        table.refused,
    ]
}

fn of<'a>(report: &'a Report, into: &str) -> &'a TableReport {
    let table = report.tables.iter().find(|table| table.into == into);
    table.unwrap()
}

/// The rows that a table was refused, each with its reason.
fn refusals<'a>(report: &'a Report, into: &str) -> Vec<(u64, &'a str)> {
    let refusals = of(report, into).refusals.iter();
    refusals
        .map(|refusal| (refusal.row, refusal.reason.as_str()))
        .collect()
}

macro_rules! on_both_engines {
    ($( async fn $name:ident($home:ident: Home) $body:block )*) => { $(
        mod $name {
            use super::*;

            async fn tried($home: &Home) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                let folder = tempfile::tempdir().unwrap();
                let target = Target::Sqlite(folder.path().join("test.db"));
                tried(&Home::new(target, folder).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                if let Some(home) = Home::on_postgres().await {
                    tried(&home).await;
                }
            }
        }
    )* };
}

mod hostile;

on_both_engines! {
    async fn every_row_becomes_a_record_with_its_links(home: Home) {
        let report = home.import().await;
        assert!(report.is_clean(), "{report}");
        let made: Vec<_> = report.tables.iter().map(|table| (table.into, table.made)).collect();
        let order = [
            ("users", 2), ("companies", 2), ("contacts", 1),
            ("products", 2), ("opportunities", 3), ("opportunity_products", 3),
        ];
        assert_eq!(made, order);

        let won = home.deal("D1").await;
        assert_eq!(&*won.name, "GTX Pro — Acme");
        assert_eq!(won.status, crm::opportunities::Status::Won);
        assert_eq!(won.value.unwrap().to_string(), "1054.5");
        assert_eq!(won.actual_close_date.unwrap().to_string(), "2017-03-01");
        // The day begins in Sydney, where the workspace is.
        assert_eq!(won.won_at.unwrap().to_string(), "2017-02-28T13:00:00.000Z");
        assert_eq!(won.placements[0].entered_stage_at, won.won_at.unwrap());
        assert_eq!(&*won.placements[0].stage.name, "Won");
        assert_eq!(&*won.customer.flatten().unwrap().name, "Acme");
        assert_eq!(&*won.contact.flatten().unwrap().first_name, "Ada");
        let [agent] = won.assigned_users.unwrap().try_into().unwrap();
        assert!(agent.is_primary && &*agent.user.full_name == "Moses Frase");

        let open = home.deal("D3").await;
        assert_eq!(&*open.name, "GTX Pro");
        assert_eq!(open.status, crm::opportunities::Status::Open);
        assert_eq!((open.value, open.company_id, open.actual_close_date), (None, None, None));
        assert_eq!(open.placements[0].entered_stage_at.to_string(), "2016-10-24T13:00:00.000Z");
        let [agent] = open.assigned_users.unwrap().try_into().unwrap();
        assert_eq!(&*agent.user.full_name, "Anna Snelling");

        let acme = home.read(|db, who| companies::find_by_name(db, who, "ACME")).await;
        let found = home
            .read(move |db, who| crm::record::get::<companies::Company>(db, who, acme[0]))
            .await;
        assert_eq!(found.industry.as_deref(), Some("technology"));
        let staff = home
            .read(move |db, who| companies::contacts(db, who, found.id, PageRequest::default()))
            .await;
        assert_eq!(staff.items.len(), 1);
    }

    async fn what_was_sold_agrees_with_the_file_and_the_rest_has_its_list_price(home: Home) {
        home.import().await;
        // However the file spells the product, and whatever the deal was sold for.
        for (id, product, price) in [
            ("D1", "GTX Pro", "1054.5"),
            ("D2", "MG Special", "55"),
            ("D3", "GTX Pro", "1200"),
        ] {
            let deal = home.deal(id).await;
            let [line] = deal.products.unwrap().try_into().unwrap();
            assert_eq!(&*line.product.name, product);
            assert_eq!((line.quantity.to_string(), line.discount_percent.to_string()), ("1".to_owned(), "0".to_owned()));
            assert_eq!((line.unit_price.to_string(), deal.products_value.to_string()), (price.to_owned(), price.to_owned()));
        }
        let pro = home.read(|db, who| products::find_by_name(db, who, "gtx pro")).await;
        let [id] = pro.try_into().unwrap();
        let pro = home.read(move |db, who| crm::record::get::<products::Product>(db, who, id)).await;
        assert_eq!((pro.price.to_string().as_str(), pro.category.as_deref()), ("1200", Some("GTX")));
        let costs = home
            .read(move |db, who| crm::product_costs::list(db, who, id, PageRequest::default()))
            .await;
        let costs: Vec<_> = costs.items.iter().map(|cost| cost.cost_price.to_string()).collect();
        assert_eq!(costs, ["640.25"]);
    }

    async fn margins_appear_once_costs_are_entered(home: Home) {
        home.import().await;
        let deal = home.deal("D1").await;
        let (id, pipeline) = (deal.id, deal.placements[0].pipeline_id);
        let line = deal.products.unwrap()[0].id;
        home.write(move |tx, who| {
            let Json::Object(cost) = json!({ "unit_cost": 640.25 }) else {
                unreachable!("it is an object");
            };
            let (cost, _) = Input::from_object(cost)?;
            crm::opportunities::add_cost(tx, who, id, line, cost)
        })
        .await;
        let margin = home.deal("D1").await.products_margin.unwrap();
        assert_eq!(margin.margin.to_string(), "414.25");
        let summary = home.read(move |db, who| pipelines::summary(db, who, pipeline)).await;
        let margins: Vec<_> = summary
            .stages
            .iter()
            .map(|stage| {
                let margins = stage.totals.margins.iter();
                margins.map(|margin| margin.margin.to_string()).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(margins, [["1200"], ["414.25"], ["55"]]);
    }

    async fn lines_come_from_a_table_of_their_own_too(home: Home) {
        let mapping = MAPPING.replace(
            "file = \"deals\"\ninto = \"opportunity_products\"\nkey = \"{id}\"",
            "file = \"lines\"\ninto = \"opportunity_products\"\nkey = \"{id}/{product}\"\ngaps = true",
        );
        let mapping = mapping.replace(
            "unit_price = \"{value}\"",
            "unit_price = \"{value}\"\nquantity = \"{count}\"\ndiscount_percent = \"{off}\"\nunit_cost = \"{cost}\"",
        );
        let header = "id,product,value,count,off,cost\n";
        let lines = "D1,MG Special,,,,\nD1,GTXPro,1000,2.5,10,600\nD2,,,,,\n";
        home.file("lines.csv", (header.to_owned() + lines).as_bytes());
        let report = home.run(&mapping, false).await;
        assert!(report.is_clean(), "{report}");
        // One that names no product is none.
        assert_eq!(numbers(of(&report, "opportunity_products")), [2, 2, 0, 0, 0]);
        let deal = home.deal("D1").await;
        let names: Vec<_> = deal.products.unwrap().iter().map(|line| line.product.name.to_string()).collect();
        assert_eq!(names, ["MG Special", "GTX Pro"]);
        let margin = deal.products_margin.unwrap();
        assert_eq!(
            (margin.value.to_string(), margin.cost.to_string(), margin.margin.to_string()),
            ("2305".to_owned(), "1500".to_owned(), "805".to_owned())
        );

        let lines = "D1,GTX Pro,,0,,\nD1,GTX Max,,,,\nD9,GTX Pro,,,,\nD3,GTX Pro,,,110,\nD3,GTXPro,,,,dear\n";
        home.file("lines.csv", (header.to_owned() + lines).as_bytes());
        let dry = home.run(&mapping, true).await;
        let report = home.run(&mapping, false).await;
        let reasons = refusals(&report, "opportunity_products");
        assert_eq!(reasons, refusals(&dry, "opportunity_products"));
        for ((row, why), (at, part)) in reasons.iter().zip([
            (3, "product must name one of the products that are there or were imported before \
                 (GTX Pro, MG Special), not \"GTX Max\""),
            (4, "opportunity must name one of the opportunities"),
            (5, "discount_percent must"),
            (6, "unit_cost must be a number"),
        ]) {
            assert!(*row == at && why.contains(part), "row {row}: {why}");
        }
        // Row 2 is known by its key.
        assert_eq!(numbers(of(&report, "opportunity_products")), [5, 0, 0, 1, 4]);
    }

    async fn a_refusal_lists_ten_products_of_those_that_are_there_or_planned(home: Home) {
        home.write(|tx, who| {
            for name in ["p09", "P05", "z"] {
                let Json::Object(product) = json!({ "name": name, "price": 7 }) else {
                    unreachable!("it is an object");
                };
                products::create(tx, who, Input::from_object(product)?.0)?;
            }
            Ok(())
        })
        .await;
        let mut list = "product,price,series,cost\n".to_owned();
        for number in (1..=20).rev() {
            list.push_str(&format!("p{number:02},1,,\n"));
        }
        home.file("products.csv", list.as_bytes());
        let mapping = MAPPING.replace(", listed_in = { file = \"products\", column = \"product\" }", "");
        let dry = home.run(&mapping, true).await;
        let real = home.run(&mapping, false).await;
        for report in [&dry, &real] {
            let lines = of(report, "opportunity_products");
            let why = &lines.refusals[0].reason;
            let listed = "(p01, p02, p03, p04, P05, p06, p07, p08, p09, p10, …), not \"GTX Pro\"";
            assert!(why.ends_with(listed), "{why}");
        }
    }

    async fn a_product_that_is_there_is_sold_at_the_price_it_has(home: Home) {
        home.write(|tx, who| {
            let Json::Object(product) = json!({ "name": "gtx PRO", "price": 7 }) else {
                unreachable!("it is an object");
            };
            products::create(tx, who, Input::from_object(product)?.0)
        })
        .await;
        let report = home.import().await;
        assert_eq!(numbers(of(&report, "products")), [2, 1, 1, 0, 0]);
        assert_eq!(home.deal("D3").await.products_value.to_string(), "7");
    }

    async fn the_pipeline_sums_up_what_was_imported(home: Home) {
        home.import().await;
        let pipeline = home.deal("D1").await.placements[0].pipeline_id;
        let summary = home.read(move |db, who| pipelines::summary(db, who, pipeline)).await;
        let stages: Vec<_> = summary
            .stages
            .iter()
            .map(|stage| (&*stage.name, stage.totals.deal_count))
            .collect();
        assert_eq!(stages, [("Talking", 1), ("Won", 1), ("Lost", 1)]);
        // Of what has no value of its own, its product's list price.
        assert_eq!(summary.totals.by_currency[0].total_value.to_string(), "2254.5");
    }

    async fn importing_again_changes_nothing(home: Home) {
        home.import().await;
        let before = home.counts().await;
        let again = home.import().await;
        for table in &again.tables {
            assert_eq!(table.unchanged, table.read, "{again}");
        }
        assert!(again.pipelines.is_empty());
        assert_eq!(home.counts().await, before);
    }

    async fn no_event_tells_automations_of_old_records(home: Home) {
        home.import().await;
        let counts = home.counts().await;
        assert!(counts.contains(&("events", 0)), "{counts:?}");
    }

    async fn a_dry_run_reports_the_same_and_writes_nothing(home: Home) {
        home.file("deals.csv", b"id,agent,product,account,stage,engaged,closed,value,email\n\
            D1,Moses Frase,GTXPro,Acme,Won,,3/1/2017,7,ada@example.com\n\
            D2,Nobody,MG Special,Acme,Won,,,,\n\
            D3,Moses Frase,MG Special,Nowhere,Won,,,,\n\
            D4,Moses Frase,MG Special,Acme,Nowhen,,,,\n\
            D5,Moses Frase,MG Special,Acme,Won,,,,nobody@example.com\n");
        home.file("agents.csv", b"agent,email\nMoses Frase,\nAda,a@example.com\nBob,A@example.com\n");
        let before = home.counts().await;
        let dry = home.run(MAPPING, true).await;
        assert!(dry.dry_run);
        assert_eq!(home.counts().await, before);

        let real = home.import().await;
        assert_eq!(numbers(of(&real, "opportunities")), [5, 1, 0, 0, 4]);
        assert_eq!(numbers(of(&real, "users")), [3, 2, 0, 0, 1]);
        let said = |report: &Report| {
            let report = serde_json::to_value(report).unwrap();
            (report["tables"].clone(), report["pipelines"].clone())
        };
        assert_eq!(said(&dry), said(&real));
    }

    async fn what_exists_by_its_name_is_matched_and_left_as_it_is(home: Home) {
        home.write(|tx, who| {
            let name = |text| Name::read(text).unwrap();
            let company = companies::CompanyFields { name: name("aCME"), ..Default::default() };
            let new = companies::NewCompany {
                fields: New(company),
                automations: crm::events::Automations::skipped(),
            };
            companies::create(tx, who, new)?;
            let user = users::UserFields { full_name: name("moses frase"), ..Default::default() };
            users::create(tx, who, user)?;
            let contact = contacts::ContactFields {
                first_name: name("Augusta"),
                email: crm::input::Patch::Set(crm::email::Email::read("ADA@example.com").unwrap().unwrap()),
                ..Default::default()
            };
            let new = contacts::NewContact {
                fields: New(contact),
                automations: crm::events::Automations::skipped(),
            };
            contacts::create(tx, who, new)
        })
        .await;
        let report = home.import().await;
        assert_eq!(numbers(of(&report, "companies")), [2, 1, 1, 0, 0]);
        assert_eq!(numbers(of(&report, "users")), [2, 1, 1, 0, 0]);
        assert_eq!(numbers(of(&report, "contacts")), [1, 0, 1, 0, 0]);
        let won = home.deal("D1").await;
        let company = won.customer.flatten().unwrap();
        assert_eq!((&*company.name, company.industry), ("aCME", None));
        assert_eq!(&*won.contact.flatten().unwrap().first_name, "Augusta");
        let again = home.import().await;
        assert_eq!(numbers(of(&again, "companies")), [2, 0, 0, 2, 0]);
    }

    async fn two_rows_of_one_name_are_two_records(home: Home) {
        let mapping = MAPPING.replace("key = \"{account}\"", "key = \"{nr}\"");
        home.file("accounts.csv", b"nr,account,sector\n1,Acme,\n2,Acme,\n3,Cancity,\n");
        let report = home.run(&mapping, false).await;
        assert_eq!(numbers(of(&report, "companies")), [3, 3, 0, 0, 0]);
        let [(row, why)] = refusals(&report, "opportunities").try_into().unwrap();
        assert!(row == 2 && why.contains("not clear"), "{why}");
    }

    async fn a_refused_row_leaves_no_trace_and_hinders_no_other(home: Home) {
        home.file("people.csv", b"name,email,account\n\
            Ada,ada@example.com,Acme\n\
            Bob,not an address,Acme\n\
            ,eve@example.com,Acme\n\
            Dan,dan@example.com,Nowhere\n\
            Fay,fay@example.com,Acme\n");
        let report = home.import().await;
        assert_eq!(numbers(of(&report, "contacts")), [5, 2, 0, 0, 3]);
        let refused = refusals(&report, "contacts");
        for ((row, why), (at, part)) in refused.iter().zip([
            (3, "email must be an e-mail address"),
            (4, "first_name"),
            (5, "company must name one of the companies"),
        ]) {
            assert!(*row == at && why.contains(part), "row {row}: {why}");
        }
        let counts = home.counts().await;
        assert!(counts.contains(&("contacts", 2)) && counts.contains(&("employments", 2)), "{counts:?}");
    }

    async fn a_corrected_file_brings_in_what_was_refused(home: Home) {
        let deals = FILES[4].1;
        home.file("deals.csv", deals.replace("3/9/2017", "13/9/2017").as_bytes());
        let report = home.import().await;
        let [(row, why)] = refusals(&report, "opportunities").try_into().unwrap();
        assert!(row == 3 && why.contains("13/9/2017"), "{why}");
        home.file("deals.csv", deals.as_bytes());
        let report = home.import().await;
        assert_eq!(numbers(of(&report, "opportunities")), [3, 1, 0, 2, 0]);
    }

    async fn a_value_that_is_not_listed_and_a_key_given_twice_are_refused(home: Home) {
        home.file("deals.csv", b"id,agent,product,account,stage,engaged,closed,value,email\n\
            D1,,GTXPro,,Talking,,,,\n\
            D2,,GTX Max,,Talking,,,,\n\
            D1,,GTX Pro,,Talking,,,,\n\
            ,,GTX Pro,,Talking,,,,\n\
            D5,,GTX Pro,,Talking,,,a lot,\n");
        let report = home.import().await;
        assert_eq!(numbers(of(&report, "opportunities")), [5, 1, 0, 0, 4]);
        let reasons: Vec<_> = refusals(&report, "opportunities");
        for ((row, why), (at, part)) in reasons.iter().zip([
            (3, "\"GTX Max\" is not listed in column product of products"),
            (4, "row 2 has the same key"),
            (5, "key is blank"),
            (6, "value must be a number"),
        ]) {
            assert!(*row == at && why.contains(part), "row {row}: {why}");
        }
    }

    async fn a_flat_file_can_give_companies_and_their_deals(home: Home) {
        let mapping = r#"
            source = "flat"
            [[tables]]
            file = "deals"
            into = "companies"
            key = "{account}"
            repeats = true
            fields = { name = "{account}" }
            [[tables]]
            file = "deals"
            into = "opportunities"
            key = "{id}"
            fields = { name = "{id}", company = "{account}", tags = "{product}" }
        "#;
        home.file("deals.csv", b"id,account,product\n1,Acme,a\n2,Acme,b\n3,Cancity,c\n");
        let report = home.run(mapping, false).await;
        assert_eq!(numbers(of(&report, "companies")), [3, 2, 0, 1, 0]);
        assert_eq!(numbers(of(&report, "opportunities")), [3, 3, 0, 0, 0]);
        assert!(home.opportunities().await.iter().all(|one| one.placements.is_empty()));
    }

    async fn an_import_that_was_cut_off_goes_on_where_it_was(home: Home) {
        let mut deals = FILES[4].1.lines().next().unwrap().to_owned() + "\n";
        for number in 0..700 {
            deals += &format!("D{number},Moses Frase,GTXPro,Acme,Won,,3/1/2017,{number},\n");
        }
        home.file("deals.csv", deals.as_bytes());
        // Whoever awaits the import goes away after its first batch of deals, and
        // the next time after the first one of what was sold.
        for into in ["opportunities", "opportunity_products"] {
            let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
            let (store, who, plan) = (home.store.clone(), home.who.clone(), home.plan(MAPPING).unwrap());
            let import = tokio::spawn(async move {
                let progress = move |_, table: &TableReport| {
                    if table.into == into {
                        said.send(table.made).unwrap();
                        std::thread::sleep(std::time::Duration::from_millis(50));
                    }
                };
                run::run(&store, &who, plan, false, progress).await.map(drop)
            });
            heard.recv().await.unwrap();
            import.abort();
            assert!(import.await.unwrap_err().is_cancelled());
        }

        let report = home.import().await;
        assert_eq!(numbers(of(&report, "opportunities")), [700, 0, 0, 700, 0]);
        let [read, made, matched, unchanged, refused] = numbers(of(&report, "opportunity_products"));
        assert_eq!((read, matched, refused), (700, 0, 0));
        assert!(unchanged >= 250 && made > 0 && made + unchanged == 700, "{report}");
        let counts = home.counts().await;
        for table in [
            "opportunities", "cards", "opportunity_users", "opportunity_search", "opportunity_products",
        ] {
            assert!(counts.contains(&(table, 700)), "{counts:?}");
        }
    }

    async fn two_imports_at_once_make_every_record_once(home: Home) {
        let mut deals = FILES[4].1.lines().next().unwrap().to_owned() + "\n";
        let mut accounts = "account,sector\n".to_owned();
        for number in 0..400 {
            deals += &format!("D{number},Moses Frase,GTXPro,Account {number},Won,,,{number},\n");
            accounts += &format!("Account {number},retail\n");
        }
        home.file("deals.csv", deals.as_bytes());
        home.file("accounts.csv", (accounts + "Acme,\n").as_bytes());
        // The second one comes as another source, which can tell records only
        // by their names; opportunities have none.
        let other = MAPPING.replace("old crm", "another crm");
        let (one, two, three) = tokio::join!(
            home.import(),
            home.import(),
            home.run(&other, false),
        );
        for report in [&one, &two, &three] {
            assert!(report.is_clean(), "{report}");
        }
        let made = |into| of(&one, into).made + of(&two, into).made + of(&three, into).made;
        assert_eq!(made("companies"), 401);
        assert_eq!(made("users"), 2);
        assert_eq!(of(&one, "opportunities").made + of(&two, "opportunities").made, 400);
        let counts = home.counts().await;
        for count in [("companies", 401), ("contacts", 1), ("products", 2), ("opportunities", 800), ("opportunity_products", 800), ("pipelines", 2)] {
            assert!(counts.contains(&count), "{count:?} in {counts:?}");
        }
    }

    async fn a_pipeline_that_is_there_is_given_only_the_stages_it_lacks(home: Home) {
        let mapping = MAPPING.replace("Deals", "sales");
        let report = home.run(&mapping, false).await;
        let [pipeline] = report.pipelines.as_slice() else {
            panic!("{report}");
        };
        assert!(!pipeline.made);
        let stages: Vec<_> = pipeline.stages_made.iter().map(|stage| &**stage).collect();
        assert_eq!(stages, ["Talking"]);
        assert!(report.is_clean(), "{report}");
    }

    async fn a_stage_that_the_pipeline_lacks_is_refused_with_those_it_has(home: Home) {
        home.file("deals.csv", FILES[4].1.replace("Talking", "Dreaming").as_bytes());
        let report = home.import().await;
        let [(row, why)] = refusals(&report, "opportunities").try_into().unwrap();
        assert!(row == 4 && why.contains("Talking, Won, Lost, not \"Dreaming\""), "{why}");
    }

    async fn a_sheet_is_read_like_a_csv_file(home: Home) {
        std::fs::remove_file(home.data().join("deals.csv")).unwrap();
        home.file("deals.xlsx", include_bytes!("tests/deals.xlsx"));
        let report = home.import().await;
        assert_eq!(numbers(of(&report, "opportunities")), [4, 3, 0, 0, 1]);
        let [(row, why)] = refusals(&report, "opportunities").try_into().unwrap();
        assert!(row == 6 && why.contains("#N/A"), "{row}: {why}");
        let won = home.deal(101).await;
        assert_eq!(won.value.unwrap().to_string(), "1054.5");
        assert_eq!(won.actual_close_date.unwrap().to_string(), "2017-03-01");
        assert_eq!(&*won.name, "GTX Pro — Acme");
    }
}

/// The error that a changed file makes before anything happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_has_statistics_of_every_table_that_an_import_fills() {
    let Some(home) = Home::on_postgres().await else {
        return;
    };
    let costs = "unit_price = \"{value}\"\nunit_cost = \"{value}\"";
    let mapping = MAPPING.replace("unit_price = \"{value}\"", costs);
    assert!(home.run(&mapping, false).await.is_clean());
    let unknown: Vec<String> = home
        .read(|db, _| {
            let sql = "select relname::text from pg_class where relkind = 'r' and reltuples < 0";
            Ok(db.query(sql, &[], |row| row.get(0))?)
        })
        .await;
    let mut filled = home.counts().await;
    // However long the files are, there are few of these.
    filled.retain(|(table, rows)| *rows > 0 && !["pipelines", "stages"].contains(table));
    assert!(
        filled.contains(&("opportunity_product_costs", 1)),
        "{filled:?}"
    );
    for (table, _) in filled {
        assert!(!unknown.contains(&table.to_owned()), "{table}");
    }
}

/// Whoever deletes a contact locks its opportunities in the order of their ids.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opportunities_are_locked_in_one_order_whatever_that_of_the_file_is() {
    let Some(home) = Home::on_postgres().await else {
        return;
    };
    let mapping = MAPPING.replace(
        "file = \"deals\"\ninto = \"opportunity_products\"",
        "file = \"lines\"\ninto = \"opportunity_products\"",
    );
    let header = "id,product,value\n".to_owned();
    home.file("lines.csv", header.as_bytes());
    assert!(home.run(&mapping, false).await.is_clean());
    let mut deals = [
        ("D1", home.deal("D1").await.id),
        ("D2", home.deal("D2").await.id),
    ];
    deals.sort_unstable_by_key(|(_, id)| *id);
    let [(first, first_id), (last, last_id)] = deals;
    let lines = format!("{header}{last},GTX Pro,\n{first},GTX Pro,\n");
    home.file("lines.csv", lines.as_bytes());

    let (held, mut is_held) = tokio::sync::mpsc::unbounded_channel();
    let somebody = home.write(move |tx, who| {
        record::lock::<Opportunity>(tx, who, first_id)?;
        held.send(()).unwrap();
        let waits = "select count(*) from pg_locks
                     where not granted and pg_backend_pid() = any(pg_blocking_pids(pid))";
        while tx.query_one(waits, &[], |row| row.get::<i64>(0))? == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let free = "select id from opportunities where id = $1 for update skip locked";
        Ok(tx.query_opt(free, &store::params![last_id], |row| row.get::<Uuid>(0))?)
    });
    let import = async {
        is_held.recv().await.unwrap();
        home.run(&mapping, false).await
    };
    let (free, report) = tokio::join!(somebody, import);
    assert_eq!(free, Some(last_id));
    assert_eq!(
        numbers(of(&report, "opportunity_products")),
        [2, 2, 0, 0, 0]
    );
}

fn refused(change: impl Fn(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in FILES {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    change(folder.path());
    let mapping = Mapping::parse(MAPPING).unwrap();
    Plan::new(mapping, &[folder.path().to_owned()]).unwrap_err()
}

#[test]
fn a_missing_file_or_column_is_an_error_before_anything_happens() {
    let error = refused(|folder| std::fs::remove_file(folder.join("agents.csv")).unwrap());
    assert!(error.contains("agents: there is no such file"), "{error}");
    let error = refused(|folder| std::fs::remove_file(folder.join("products.csv")).unwrap());
    assert!(error.contains("products: there is no such file"), "{error}");
    let error = refused(|folder| {
        std::fs::write(folder.join("accounts.csv"), "name,sector\n").unwrap();
        std::fs::write(folder.join("people.csv"), "name,mail,account\n").unwrap();
    });
    assert!(error.contains("accounts.csv: has no column account; it has name, sector"));
    assert!(error.contains("people.csv: has no column email"), "{error}");
}

#[test]
fn what_only_looks_like_a_workbook_is_an_error() {
    for bytes in [&b""[..], b"PK\x03\x04 no", b"id,agent\n1,2\n"] {
        let error = refused(|folder| {
            std::fs::remove_file(folder.join("deals.csv")).unwrap();
            std::fs::write(folder.join("deals.xlsx"), bytes).unwrap();
        });
        assert!(error.contains("is no XLSX workbook"), "{error}");
    }
}

#[test]
fn of_files_given_one_by_one_only_those_are_imported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.csv");
    std::fs::write(&file, "account,sector\n").unwrap();
    let mapping = || Mapping::parse(MAPPING).unwrap();
    let plan = Plan::new(mapping(), std::slice::from_ref(&file)).unwrap();
    assert_eq!(plan.tables.len(), 1);

    let stranger = folder.path().join("strangers.csv");
    std::fs::write(&stranger, "account\n").unwrap();
    let error = Plan::new(mapping(), &[file, stranger]).unwrap_err();
    assert!(
        error.contains("strangers.csv: the mapping names no such file"),
        "{error}"
    );
}

#[test]
fn the_example_mapping_is_sound() {
    let text = include_str!("../../../../../examples/crm-sales-opportunities.toml");
    let mapping = Mapping::parse(text).unwrap();
    assert_eq!(mapping.tables.len(), 5);
}

mod postgres {
    use super::{AtomicU32, Ordering};

    /// Runs one statement on the server's own database.
    async fn administer(server: &str, sql: &str) {
        let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls)
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    }

    /// A database that is dropped with this.
    pub(super) struct Database {
        server: String,
        name: String,
        pub(super) url: String,
    }

    impl Database {
        /// A new one; none without a server to make it on.
        pub(super) async fn create() -> Option<Self> {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let server = std::env::var("TEST_POSTGRES_URL").ok()?;
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("import_test_{}_{number}", std::process::id());
            administer(&server, &format!("create database {name}")).await;
            let (start, options) = match server.split_once('?') {
                Some((start, options)) => (start, format!("?{options}")),
                None => (server.as_str(), String::new()),
            };
            let (host, _) = start.rsplit_once('/').unwrap();
            let url = format!("{host}/{name}{options}");
            Some(Self { server, name, url })
        }
    }

    impl Drop for Database {
        fn drop(&mut self) {
            let sql = format!("drop database if exists {} with (force)", self.name);
            let server = self.server.clone();
            std::thread::spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap()
                    .block_on(administer(&server, &sql));
            })
            .join()
            .unwrap();
        }
    }
}
