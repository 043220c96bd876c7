#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use schemars::generate::SchemaSettings;
use serde_json::json;

use super::*;
use crate::events::Automations;
use crate::scopes::Scopes;
use crate::testing::{Desk, given, refused, statements};
use crate::{contacts, opportunities, products, work_orders};

fn all_of(name: &str) -> Export {
    Kind::named(name).unwrap().filtered([]).unwrap()
}

fn begin(db: &Db<'_>, desk: &Desk, name: &str) -> Result<Progress> {
    Progress::begin(db, &desk.who, all_of(name), Format::Csv)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// How many records of each kind an export has, all on its first page.
fn counts(db: &Db<'_>, who: &Caller) -> Result<Vec<usize>> {
    let counts = Kind::all().map(|kind| {
        let progress = Progress::begin(db, who, all_of(kind.name), Format::Csv)?;
        let step = progress.step(db)?;
        let first = text(&step.bytes).split(',').next().unwrap();
        assert!(first.ends_with("id"), "{}", kind.name);
        Ok(step.rows)
    });
    counts.collect()
}

on_both_engines! {
    fn what_is_there_throughout_is_exported_once_and_in_order(tx, desk) {
        let mut made = Vec::new();
        for number in 0..450 {
            made.insert(0, desk.contact(tx, &format!("Ada {number}"))?.id);
        }
        let first = begin(tx, desk, "contacts")?.step(tx)?;
        assert_eq!(first.rows, 200);
        // The first page is read, and of the others one is gone and one is new.
        contacts::delete(tx, &desk.who, made[10], &Automations::default())?;
        contacts::delete(tx, &desk.who, made[300], &Automations::default())?;
        desk.contact(tx, "New")?;
        let second = first.rest.unwrap().step(tx)?;
        let third = second.rest.unwrap().step(tx)?;
        assert_eq!((second.rows, third.rows), (200, 49));
        assert!(third.rest.is_none());
        let csv = [first.bytes, second.bytes, third.bytes].concat();
        let ids = text(&csv).lines().skip(1).map(|line| line.split(',').next().unwrap());
        let mut expected: Vec<_> = made.iter().map(Uuid::to_string).collect();
        expected.remove(300);
        assert!(ids.eq(expected));
    }

    fn a_page_takes_as_many_statements_for_many_records_as_for_one(tx, desk) {
        let user = desk.user(tx, "Ada")?.id;
        for kind in [
            "contacts", "opportunities", "work-orders", "cards", "employments",
            "opportunity-contacts", "opportunity-users",
        ] {
            let mut counts = BTreeSet::new();
            for _ in 0..2 {
                for number in 0..5 {
                    let contact = desk.contact(tx, "Ada")?.id;
                    let company = desk.company(tx, "Engines")?.id;
                    contacts::add_employer(tx, &desk.who, contact, company)?;
                    let deal = desk.create(tx, json!({
                        "name": format!("{number}"), "contact_id": contact, "customer_id": company,
                        "stage_id": desk.lead(),
                    }))?.id;
                    opportunities::assign_user(tx, &desk.who, deal, user)?;
                    let another = desk.contact(tx, "Charles")?.id;
                    opportunities::add_contact(tx, &desk.who, deal, another)?;
                    let product = json!({ "name": "Gear", "price": 1 });
                    let product = products::create(tx, &desk.who, given(product))?.id;
                    let line = given(json!({ "product_id": product }));
                    let line = opportunities::add_product(tx, &desk.who, deal, line)?.id;
                    let order = json!({ "deal_product_id": line, "assigned_to": user });
                    work_orders::create(tx, &desk.who, given(order))?;
                }
                let progress = begin(tx, desk, kind)?;
                let (step, count) = statements(|| progress.step(tx));
                assert!(step?.rows > 0);
                counts.insert(count);
            }
            assert!(counts.len() == 1 && !counts.contains(&0), "{kind}: {counts:?}");
        }
    }

    fn of_those_that_an_opportunity_is_about_nothing_but_names_is_read(tx, desk) {
        let contact = desk.contact(tx, "Ada")?.id;
        let company = desk.company(tx, "Engines")?.id;
        let about = json!({ "name": "Loom", "contact_id": contact, "customer_id": company });
        let deal = desk.create(tx, about)?.id;
        let referrer = desk.contact(tx, "Charles")?.id;
        let referral = json!({ "referrer_contact_id": referrer, "referred_deal_id": deal });
        crate::referrals::create(tx, &desk.who, given(referral))?;
        // What the whole record could not be read with.
        for table in ["contacts", "companies"] {
            tx.execute(&format!("update {table} set metadata = '[]'"), &[])?;
        }
        assert!(record::get::<Contact>(tx, &desk.who, contact).is_err());
        let csv = begin(tx, desk, "opportunities")?.step(tx)?.bytes;
        for name in ["Ada", "Engines", "Charles"] {
            assert!(text(&csv).contains(&format!(",{name},")), "{}", text(&csv));
        }
    }

    fn an_export_needs_the_scope_of_its_kind(tx, desk) {
        for kind in Kind::all() {
            let with = |scopes| Caller { scopes, ..desk.who.clone() };
            let begin = |who: &Caller| Progress::begin(tx, who, all_of(kind.name), Format::Xlsx);
            assert!(begin(&with(Scopes::of([kind.scope]).unwrap())).is_ok(), "{}", kind.name);
            let others = crate::scopes::SCOPES.iter().copied().filter(|scope| *scope != kind.scope);
            let refused = begin(&with(Scopes::of(others).unwrap())).err().unwrap();
            assert!(matches!(refused, Error::ScopesMissing(missing) if missing == [kind.scope]));
        }
    }

    fn each_kind_is_of_the_workspace_and_begins_with_ids(tx, desk) {
        let before = counts(tx, &desk.stranger)?;
        desk.create(tx, json!({ "name": "Loom", "stage_id": desk.lead() }))?;
        desk.user(tx, "Ada")?;
        assert_eq!(counts(tx, &desk.stranger)?, before);
        assert_ne!(counts(tx, &desk.who)?, before);
    }
}

/// Asserts that every field of a record is known to its schema, which says what its
/// texts are, and that what stands beside stands behind one.
fn assert_columns_of<R: Exported>() {
    let generator = SchemaSettings::draft2020_12().for_serialize();
    let schema = generator.into_generator().into_root_schema_for::<R>();
    let known = schema.get("properties").unwrap();
    for field in R::FIELDS {
        assert!(known.get(field).is_some(), "{field} of {}", R::NAME);
    }
    for beside in R::BESIDE {
        assert!(R::FIELDS.contains(&beside.after), "{}", beside.after);
    }
    let headings = Columns::of::<R>().headings();
    assert_eq!(headings.len(), R::FIELDS.len() + R::BESIDE.len());
    let different: BTreeSet<_> = headings.iter().collect();
    assert_eq!(different.len(), headings.len(), "{}", R::NAME);
}

#[test]
fn every_field_is_a_column_of_its_own() {
    assert_columns_of::<Contact>();
    assert_columns_of::<Company>();
    assert_columns_of::<Opportunity>();
    assert_columns_of::<Pipeline>();
    assert_columns_of::<Stage>();
    assert_columns_of::<Product>();
    assert_columns_of::<ProductCost>();
    assert_columns_of::<OpportunityProduct>();
    assert_columns_of::<OpportunityProductCost>();
    assert_columns_of::<WorkOrder>();
    assert_columns_of::<WorkOrderStatus>();
    assert_columns_of::<Invoice>();
    assert_columns_of::<LineItem>();
    assert_columns_of::<Task>();
    assert_columns_of::<Activity>();
    assert_columns_of::<Referral>();
    assert_columns_of::<User>();
    assert_columns_of::<FieldChange>();
}

#[test]
fn no_two_kinds_are_called_the_same() {
    let mut names = BTreeSet::new();
    for kind in Kind::all() {
        for name in [Some(kind.name), kind.old_name].into_iter().flatten() {
            assert!(names.insert(name), "{name}");
        }
    }
}

#[test]
fn no_filter_is_called_as_what_is_wanted() {
    for kind in LISTED {
        let mut filters = Vec::new();
        (kind.describe_filter)(&mut SchemaGenerator::default(), &mut filters);
        for filter in filters {
            assert!(!["type", "format"].contains(&filter.name), "{}", kind.name);
        }
    }
}

#[test]
fn a_request_says_what_of_it_is_not_used() {
    let request: ExportRequest = given(json!({
        "type": "customers", "industry": "Cloth", "status": "won", "email": "a@example.com",
    }));
    assert_eq!(request.export.kind.name, "companies");
    assert_eq!(request.format, Format::Csv);
    assert_eq!(request.unused, ["email", "status"]);
    let problems = refused::<ExportRequest>(json!({ "type": 7, "created_after": "lots" }));
    let fields: Vec<_> = problems.invalid.iter().map(|one| &*one.field).collect();
    assert_eq!(fields, ["type", "created_after"]);
    assert_eq!(
        refused::<ExportRequest>(json!({ "format": "xlsx" })).missing,
        ["type"]
    );
}

#[test]
fn a_filter_that_is_not_used_is_refused_where_no_list_takes_it() {
    // No status of an opportunity, but a label that one of a work order may have.
    let on_site = json!({ "type": "contacts", "status": "On site" });
    assert_eq!(given::<ExportRequest>(on_site).unused, ["status"]);
    for (kind, status) in [
        ("opportunities", "On site"),
        ("contacts", &*"a".repeat(256)),
    ] {
        let problems = refused::<ExportRequest>(json!({ "type": kind, "status": status }));
        let fields: Vec<_> = problems.invalid.iter().map(|one| &*one.field).collect();
        assert_eq!(fields, ["status"], "{kind}");
    }
}

#[test]
fn filters_that_are_the_same_for_several_kinds_are_described_once() {
    let mut fields = Vec::new();
    ExportRequest::describe(&mut SchemaGenerator::default(), &mut fields);
    let said = |name| {
        let field = fields.iter().find(|field| field.name == name);
        field.map(|field| field.description.as_str())
    };
    assert_eq!(
        said("created_before"),
        Some(
            "Of contacts, companies, opportunities, work-orders: Those created before this \
             instant; a date means its start in UTC."
        )
    );
    assert_eq!(
        said("customer_id"),
        Some(
            "Of contacts: Those who work for this company. Of opportunities: Those of this company."
        )
    );
}
