//! Whole lists as files: over HTTP, and from the command line.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use calamine::{Data, DataType as _, Reader as _, Xlsx};
use serde_json::{Value, json};
use store::{Error, Options, Store, Target};

use crate::fixtures::{Business, assert_guarded};
use crate::harness::{Answer, Client, Line, Server, assert_error, eventually};

/// The rows of a table, each cell by its heading.
type Rows = Vec<BTreeMap<String, String>>;

fn csv_rows(bytes: &[u8]) -> Rows {
    let mut reader = csv::Reader::from_reader(bytes);
    let rows = reader.deserialize();
    rows.collect::<Result<_, _>>().expect("CSV")
}

/// What a workbook holds: the name of its only sheet, its headings and its rows.
fn sheet(bytes: &[u8]) -> (String, Vec<String>, Vec<Vec<Data>>) {
    let book: Result<Xlsx<_>, _> = calamine::open_workbook_from_rs(Cursor::new(bytes.to_vec()));
    let mut sheets = book.expect("a workbook").worksheets();
    assert_eq!(sheets.len(), 1);
    let (name, cells) = sheets.remove(0);
    let mut rows = cells.rows();
    let headings = rows.next().expect("headings").iter().map(Data::to_string);
    (
        name,
        headings.collect(),
        rows.map(<[Data]>::to_vec).collect(),
    )
}

#[track_caller]
fn export(client: &Client, query: &str) -> Answer {
    client.get(&format!("/crm/export?{query}")).expect(200)
}

/// All records of a list, in its order.
fn listed(client: &Client, path: &str) -> Vec<Value> {
    let mut records = Vec::new();
    let mut cursor = String::new();
    let sign = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = format!("{path}{sign}limit=100&cursor={cursor}");
        let page = client.get(&page).expect(200).json();
        records.extend(page["data"].as_array().cloned().expect("records"));
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return records,
        }
    }
}

fn column<'a>(rows: &'a Rows, name: &str) -> Vec<&'a str> {
    rows.iter().map(|row| row[name].as_str()).collect()
}

/// How a field of an answer is written in CSV, if it is one value.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Contacts, in calls of a hundred.
fn many_contacts(client: &Client, count: usize, notes: &str) {
    let all: Vec<_> = (0..count)
        .map(|number| json!({ "first_name": format!("Ada {number}"), "notes": notes }))
        .collect();
    for records in all.chunks(100) {
        let made = client.post("/contacts/bulk-create", json!({ "records": records }));
        assert_eq!(made.expect(200).data()["created_count"], records.len());
    }
}

/// Writes to the database behind the server's back.
fn tamper(server: &Server, sql: &'static str) {
    let target = match server.database_url() {
        Some(url) => Target::Postgres(url),
        None => Target::Sqlite(server.data_dir().join("dealwright.db")),
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let written: Result<_, Error> = runtime.block_on(async {
        let store = Store::open(&target, Options::default()).await?;
        let written = store.write(|tx| tx.execute(sql, &[])).await;
        store.close().await;
        written
    });
    assert_eq!(written.expect("a write"), 1);
}

/// Says a request for all contacts on a line of its own.
fn ask_for_contacts(server: &Server) -> Line {
    let mut line = Line::to(server);
    line.say(&format!(
        "GET /v1/crm/export?type=contacts HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         authorization: Bearer {}\r\n\r\n",
        server.key()
    ));
    line
}

on_both_engines! {
    fn an_export_has_all_that_the_list_has(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let bens = json!({
            "first_name": "Ben", "phone": "+61412345678", "date_of_birth": "1990-02-28",
            "metadata": {"shoe": 43}, "email_unsubscribed": true,
        });
        client.post("/contacts", bens).expect(201);
        many_contacts(&client, 450, "");
        client.patch(&format!("/opportunities/{}", business.opportunity), json!({
            "tags": ["urgent", "brass"], "probability": 12.5, "next_action_date": "2026-03-01T09:00:00Z",
        })).expect(200);
        client.post("/opportunities", json!({"name": "Loom"})).expect(201);
        for kind in ["contacts", "companies", "opportunities", "work-orders"] {
            let answer = export(&client, &format!("type={kind}&format=csv"));
            assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
            let name = answer.header("content-disposition").expect("a name").to_owned();
            assert!(name.starts_with(&format!("attachment; filename=\"{kind}-20")), "{name}");
            assert!(name.ends_with(".csv\""), "{name}");
            assert_guarded(&answer);
            let rows = csv_rows(&answer.bytes);
            let records = listed(&client, &format!("/{kind}"));
            assert_eq!(rows.len(), records.len());
            for (row, record) in rows.iter().zip(&records) {
                for (field, value) in record.as_object().expect("a record") {
                    if let Some(text) = as_text(value) {
                        assert_eq!(row[field], text, "{field} of {record}");
                    }
                }
            }
        }
    }

    fn what_is_more_than_one_value_is_put_into_words(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let opportunity = format!("/opportunities/{}", business.opportunity);
        let more = client.post("/contacts", json!({"first_name": "Charles"})).expect(201).id();
        client.post(&format!("{opportunity}/contacts/{more}"), json!({})).expect(201);
        let about = json!({"tags": ["urgent", "brass"], "metadata": {"cylinders": 8}});
        client.patch(&opportunity, about).expect(200);
        let service = client.post("/pipelines", json!({"name": "Service"})).expect(201).id();
        let stage = json!({"name": "Booked"});
        let stage = client.post(&format!("/pipelines/{service}/stages"), stage).expect(201).id();
        let card = json!({"pipeline_id": service, "stage_id": stage});
        client.post(&format!("{opportunity}/add-card"), card).expect(200);

        let rows = csv_rows(&export(&client, "type=deals").bytes);
        let row = &rows[0];
        for (heading, text) in [
            ("tags", "urgent; brass"),
            ("metadata", r#"{"cylinders":8}"#),
            ("stages", "Lead; Booked"),
            ("contact_name", "Ada Byron"),
            ("additional_contacts", "Charles"),
            ("customer_name", "Engines"),
            ("assigned_users", "Charles"),
            ("primary_referrer_name", "Ada Byron"),
            ("value", "1234.5"),
            ("products_value", "50"),
        ] {
            assert_eq!(row[heading], text, "{heading}");
        }
        assert!(row["pipelines"].ends_with("; Service"), "{}", row["pipelines"]);
        let rows = csv_rows(&export(&client, "type=contacts&search=ada").bytes);
        assert_eq!(column(&rows, "employers"), ["Engines"]);
    }

    fn names_of_another_list_are_for_those_who_may_read_it(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let more = client.post("/contacts", json!({"first_name": "Charles"})).expect(201).id();
        let contacts = format!("/opportunities/{}/contacts/{more}", business.opportunity);
        client.post(&contacts, json!({})).expect(201);
        for (query, heading, scopes, name) in [
            ("type=deals", "additional_contacts", ["opportunities:read", "contacts:read"], "Charles"),
            ("type=contacts&search=ada", "employers", ["contacts:read", "companies:read"], "Engines"),
        ] {
            let with = |scopes| csv_rows(&export(&server.client_with(scopes), query).bytes);
            assert_eq!(column(&with(&scopes), heading), [name]);
            assert_eq!(column(&with(&scopes[..1]), heading), [""]);
        }
    }

    fn a_workbook_has_the_same_in_cells_of_their_kinds(server: &Server) {
        let client = server.client();
        client.patch("/company", json!({"timezone": "Australia/Sydney"})).expect(200);
        client.post("/opportunities", json!({
            "name": "=1+1", "value": -17470.25, "expected_close_date": "2026-03-01",
            "next_action_date": "2026-03-01T20:30:00Z", "notes": "line\r\nline <b> & _x0041_ \u{1}東京",
        })).expect(201);
        let answer = export(&client, "type=opportunities&format=xlsx");
        assert_eq!(
            answer.header("content-type"),
            Some("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
        );
        let csv = export(&client, "type=opportunities&format=csv");
        let (name, headings, rows) = sheet(&answer.bytes);
        assert_eq!(name, "opportunities");
        let first_line = csv.text.lines().next().expect("headings");
        assert_eq!(headings.join(","), first_line);
        assert_eq!(rows.len(), 1);
        let cell = |name: &str| {
            let place = headings.iter().position(|heading| heading == name).expect(name);
            rows[0].get(place).cloned().unwrap_or_default()
        };
        let shown = |name: &str| cell(name).get_datetime().map(|shown| shown.to_ymd_hms_milli());
        assert_eq!(cell("name"), Data::String("=1+1".to_owned()));
        assert_eq!(cell("value"), Data::Float(-17470.25));
        assert_eq!(cell("probability"), Data::Empty);
        assert_eq!(shown("expected_close_date"), Some((2026, 3, 1, 0, 0, 0, 0)));
        // As a clock in Sydney had it, on the next day.
        assert_eq!(shown("next_action_date"), Some((2026, 3, 2, 7, 30, 0, 0)));
        assert_eq!(cell("notes"), Data::String("line\r\nline <b> & _x0041_ \u{1}東京".to_owned()));
    }

    fn what_somebody_wrote_is_no_formula_in_csv_and_what_is_a_number_stays_one(server: &Server) {
        let client = server.client();
        for first_name in ["=1+1", "+1", "-1", "@sum(A1)", "a=1", "\"quoted\", Łódź\n東京 🦀"] {
            client.post("/contacts", json!({
                "first_name": first_name, "phone": "+61412345678", "notes": "\t=1",
            })).expect(201);
        }
        let rows = csv_rows(&export(&client, "type=contacts").bytes);
        assert_eq!(
            column(&rows, "first_name"),
            ["\"quoted\", Łódź\n東京 🦀", "a=1", "'@sum(A1)", "'-1", "'+1", "'=1+1"]
        );
        assert_eq!(column(&rows, "phone"), ["+61412345678"; 6]);
        assert_eq!(column(&rows, "notes"), ["'\t=1"; 6]);
        client.post("/opportunities", json!({"name": "Trade-in", "value": -5.25})).expect(201);
        let rows = csv_rows(&export(&client, "type=opportunities").bytes);
        assert_eq!(column(&rows, "value"), ["-5.25"]);
    }

    fn the_filters_are_those_of_the_list(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let won = json!({"name": "Loom", "status": "won"});
        client.post("/opportunities", won).expect(201);
        client.post("/contacts", json!({"first_name": "Ben", "source": "Fair"})).expect(201);
        client.post("/companies", json!({"name": "Looms", "industry": "Cloth"})).expect(201);
        let Business { stages, pipeline, contact, company, user, .. } = business;
        for (kind, filter) in [
            ("opportunities", "status=won".to_owned()),
            ("opportunities", format!("pipeline_id={pipeline}&stage_id={}", stages[0])),
            ("opportunities", format!("stage_id={}", stages[1])),
            ("opportunities", format!("assigned_to={user}")),
            ("opportunities", format!("contact_id={contact}&customer_id={company}")),
            ("opportunities", "search=engine".to_owned()),
            ("opportunities", "created_after=2100-01-01".to_owned()),
            ("contacts", "search=byron".to_owned()),
            ("contacts", "email=ADA@example.com".to_owned()),
            ("contacts", "source=Fair".to_owned()),
            ("contacts", format!("customer_id={company}")),
            ("companies", "industry=Cloth".to_owned()),
            ("companies", "created_before=2100-01-01".to_owned()),
            ("work-orders", format!("assigned_to={user}&status=scheduled")),
            ("work-orders", "schedule_after=2100-01-01".to_owned()),
        ] {
            let expected = listed(&client, &format!("/{kind}?{filter}"));
            let expected: Vec<_> = expected.iter().map(|one| one["id"].as_str().expect("an id")).collect();
            let rows = csv_rows(&export(&client, &format!("type={kind}&{filter}")).bytes);
            assert_eq!(column(&rows, "id"), expected, "{kind} {filter}");
        }
        let (first, other) = (&stages[0], client.post("/pipelines", json!({"name": "Other"})).expect(201).id());
        let refused = client.get(&format!("/crm/export?type=deals&pipeline_id={other}&stage_id={first}"));
        assert_error(&refused, 400, "VALIDATION_ERROR", &["stage_id"]);
    }

    fn what_the_list_does_not_take_is_ignored_and_named(server: &Server) {
        let client = server.client();
        let answer = export(&client, "type=companies&limit=5&status=won&wörd=1");
        let warnings = answer.header("x-warnings").expect("warnings");
        for name in ["limit", "status", r"w\u{f6}rd"] {
            assert!(warnings.contains(&format!("Unknown query parameter ignored: {name}")), "{warnings}");
        }
        assert_eq!(export(&client, "type=companies").header("x-warnings"), None);
        // What no list takes is refused all the same.
        let refused = client.get("/crm/export?type=invoices&format=pdf&created_after=lots");
        assert_error(&refused, 400, "VALIDATION_ERROR", &["type must be one of contacts", "format", "created_after"]);
        let refused = client.get("/crm/export");
        assert_error(&refused, 400, "MISSING_FIELDS", &["type"]);
        assert_eq!(refused.json()["error"]["fix"], "Include 'type' in the query string.");
    }

    fn each_kind_needs_the_scope_that_reads_it(server: &Server) {
        for (kind, scope) in [
            ("contacts", "contacts:read"),
            ("companies", "companies:read"),
            ("customers", "companies:read"),
            ("opportunities", "opportunities:read"),
            ("deals", "deals:read"),
            ("work-orders", "work-orders:read"),
        ] {
            export(&server.client_with(&[scope]), &format!("type={kind}"));
            let others = ["contacts:read", "companies:read", "opportunities:read", "work-orders:read"];
            let today = scope.replace("deals", "opportunities");
            let others: Vec<_> = others.into_iter().filter(|other| *other != today).collect();
            let refused = server.client_with(&others).get(&format!("/crm/export?type={kind}"));
            assert_error(&refused, 403, "INSUFFICIENT_SCOPE", &[&today]);
        }
        let root = server.client().without_key().under("");
        let catalog = root.get("/api-index.json").expect(200).json();
        let resources = catalog["resources"].as_array().expect("resources");
        let ours = resources.iter().find(|resource| resource["id"] == "crm").expect("exports");
        assert_eq!(
            ours["endpoints"][0]["one_scope_of"],
            json!(["contacts:read", "companies:read", "opportunities:read", "work-orders:read"])
        );
    }

    fn an_export_costs_what_a_read_costs_and_a_refused_one_nothing(server: &Server) {
        let client = server.client();
        let left = || client.get("/contacts").expect(200).json()["meta"]["credits_remaining"].as_i64();
        let before = left().expect("credits");
        export(&client, "type=contacts");
        client.get("/crm/export?type=nothing").expect(400);
        assert_eq!(left(), Some(before - 2));
    }

    fn what_is_empty_has_its_headings(server: &Server) {
        let client = server.client();
        let csv = export(&client, "type=companies&format=csv");
        assert_eq!(
            csv.text,
            "id,public_id,name,email,phone,landline,industry,website,account_type,notes,metadata,\
             created_at,updated_at\r\n"
        );
        let (_, headings, rows) = sheet(&export(&client, "type=companies&format=xlsx").bytes);
        assert_eq!(headings.join(","), csv.text.trim_end());
        assert_eq!(rows, Vec::<Vec<Data>>::new());
        let head = client.raw("HEAD", "/crm/export?type=companies", &[], b"").expect(200);
        assert_eq!(head.text, "");
    }

    fn nothing_of_another_workspace_is_exported(server: &Server) {
        let theirs = Business::found(&server.client());
        let stranger = server.workspace("Stranger").client();
        for query in [
            "type=contacts".to_owned(),
            "type=companies".to_owned(),
            "type=opportunities".to_owned(),
            format!("type=contacts&customer_id={}", theirs.company),
            format!("type=opportunities&pipeline_id={}", theirs.pipeline),
            format!("type=opportunities&stage_id={}", theirs.stages[0]),
            format!("type=opportunities&assigned_to={}", theirs.user),
            "type=opportunities&search=engine".to_owned(),
        ] {
            assert_eq!(csv_rows(&export(&stranger, &query).bytes).len(), 0, "{query}");
        }
    }

    fn what_breaks_off_is_seen_to_break_off(server: &Server) {
        let client = server.client();
        let records: Vec<_> = (0..100).map(|number| json!({"name": format!("{number}")})).collect();
        for _ in 0..3 {
            client.post("/opportunities/bulk-create", json!({"records": records})).expect(200);
        }
        export(&client, "type=opportunities");
        // On the second page.
        tamper(server, "update opportunities set currency = '?'
                        where id = (select o.id from opportunities o order by o.id limit 1)");
        let broken = client.try_raw("GET", "/crm/export?type=opportunities", &[], b"");
        assert!(broken.is_err(), "half an export is taken for a whole one");
        eventually("the log tells of it", || server.log().contains("an export broke off").then_some(()));
        let whole = client.get("/crm/export?type=opportunities&created_after=2100-01-01");
        whole.expect(200);
        // On the first one it is an error like any other.
        tamper(server, "update opportunities set currency = '?'
                        where id = (select o.id from opportunities o order by o.id desc limit 1)");
        let refused = client.get("/crm/export?type=opportunities");
        assert_error(&refused, 500, "INTERNAL_ERROR", &[]);
    }

    fn an_export_is_at_work_until_it_is_taken_or_its_client_has_gone(server: &Server) {
        let client = server.client();
        // Far more than lies between a server and its client.
        many_contacts(&client, 400, &"n".repeat(100_000));
        let mut gone = ask_for_contacts(server);
        assert!(gone.hear_some().expect("a beginning").starts_with("HTTP/1.1 200 "));
        client.await_at_work(1);
        drop(gone);
        client.await_at_work(0);

        let mut slow = ask_for_contacts(server);
        let beginning = slow.hear_some().expect("a beginning");
        client.await_at_work(1);
        let heard = std::thread::scope(|scope| {
            let ended = scope.spawn(|| server.terminate());
            let heard = beginning + &slow.hear_all();
            assert!(ended.join().expect("an end").success());
            heard
        });
        assert!(heard.ends_with("\r\n0\r\n\r\n"), "it is cut off by the end of the server");
        assert!(heard.len() > 400 * 100_000);
    }

    fn exports_have_an_eighth_of_the_places_and_leave_the_others(server: &Server) {
        let server = server.another(&["--max-requests", "16"]);
        let client = server.client();
        many_contacts(&client, 100, &"n".repeat(100_000));
        let mut slow = [ask_for_contacts(&server), ask_for_contacts(&server)];
        for line in &mut slow {
            assert!(line.hear_some().expect("a beginning").starts_with("HTTP/1.1 200 "));
        }
        client.await_at_work(2);
        let refused = client.get("/crm/export?type=companies");
        assert_error(&refused, 503, "SERVICE_UNAVAILABLE", &[]);
        assert_eq!(refused.header("retry-after"), Some("1"));
        client.get("/contacts?limit=1").expect(200);
        let [one, _other] = slow;
        drop(one);
        client.await_at_work(1);
        export(&client, "type=companies");
    }

    fn the_command_exports_the_same_and_never_over_a_file(server: &Server) {
        let client = server.client();
        Business::found(&client);
        client.post("/opportunities", json!({"name": "Loom", "status": "won"})).expect(201);
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();

        let printed = server.cli(&["export", "--type", "deals", "--filter", "status=won", "--output", "-"]);
        assert!(printed.status.success(), "{printed:?}");
        assert_eq!(printed.stdout, export(&client, "type=deals&status=won").bytes);

        let file = path("won.xlsx");
        let arguments = ["export", "--type", "opportunities", "--format", "xlsx", "--output", &file];
        let done = server.cli(&arguments);
        assert!(done.status.success(), "{done:?}");
        let (_, _, rows) = sheet(&std::fs::read(&file).expect("a file"));
        assert_eq!(rows.len(), 2);
        let again = server.cli(&arguments);
        assert!(!again.status.success());
        assert!(String::from_utf8_lossy(&again.stderr).contains("exists already"));

        for (arguments, said) in [
            (&["--type", "contacts", "--filter", "status=won"][..], "status is no filter of contacts"),
            (&["--type", "deals", "--filter", "status=lots"], "status must be one of"),
            (&["--type", "nothing"], "it must be one of contacts, companies"),
            (&["--filter", "status=won"], "--type"),
            (&["--output", "-"], "--type"),
        ] {
            let refused = server.cli(&[&["export"], arguments].concat());
            let words = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(!refused.status.success() && words.contains(said), "{arguments:?}: {words}");
        }
    }

    fn the_command_takes_the_filters_of_every_list(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let Business { contact, company, product, .. } = &business;
        for (kind, path, filter, other) in [
            ("tasks", "/tasks", "status=todo".to_owned(), "status=completed"),
            ("activities", "/activities", format!("customer_id={company}"), "activity_type=meeting"),
            ("invoices", "/invoices", format!("deal_id={}", business.opportunity), "due_before=2000-01-01"),
            ("referrals", "/referrals", format!("referrer_contact_id={contact}"), "category=none"),
            ("products", "/products", "search=gear".to_owned(), "is_active=false"),
            ("users", "/company/users", "email=USER@example.com".to_owned(), "is_active=false"),
            ("change-log", "/data/crm-logs", format!("entity_id={product}"), "field=nothing"),
        ] {
            let exported = |filter: &str| {
                let done = server.cli(&["export", "--type", kind, "--filter", filter, "--output", "-"]);
                assert!(done.status.success(), "{kind} {filter}: {done:?}");
                csv_rows(&done.stdout)
            };
            let expected = listed(&client, &format!("{path}?{filter}"));
            let expected: Vec<_> = expected.iter().map(|one| one["id"].as_str().expect("an id")).collect();
            assert!(!expected.is_empty(), "{kind} {filter}");
            assert_eq!(column(&exported(&filter), "id"), expected, "{kind} {filter}");
            assert_eq!(exported(other).len(), 0, "{kind} {other}");
        }
    }

    fn the_command_exports_all_that_a_workspace_has(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let more = client.post("/contacts", json!({"first_name": "Charles"})).expect(201).id();
        client.post(&format!("/opportunities/{}/contacts/{more}", business.opportunity), json!({})).expect(201);
        Business::found(&server.workspace("Stranger").client());
        let folder = tempfile::tempdir().expect("a folder");
        let all = folder.path().join("all");
        let output = all.to_string_lossy().into_owned();
        let done = server.cli(&["export", "--output", &output]);
        assert!(done.status.success(), "{done:?}");
        let ids = |name: &str| {
            let rows = csv_rows(&std::fs::read(all.join(format!("{name}.csv"))).expect(name));
            column(&rows, "id").join(" ")
        };
        for (name, id) in [
            ("companies", &business.company),
            ("opportunities", &business.opportunity),
            ("pipelines", &business.pipeline),
            ("products", &business.product),
            ("product-costs", &business.product_cost),
            ("opportunity-products", &business.line),
            ("opportunity-product-costs", &business.line_cost),
            ("work-orders", &business.work_order),
            ("invoices", &business.invoice),
            ("invoice-line-items", &business.line_item),
            ("tasks", &business.task),
            ("activities", &business.activity),
            ("referrals", &business.referral),
        ] {
            assert_eq!(ids(name), *id, "{name}");
        }
        assert_eq!(ids("contacts"), format!("{more} {}", business.contact));
        assert!(ids("users").contains(&business.user));
        assert!(ids("work-order-statuses").contains(&business.work_order_status));
        let first = |name: &str, headings: &[&str]| {
            let rows = csv_rows(&std::fs::read(all.join(format!("{name}.csv"))).expect(name));
            assert_eq!(rows.len(), 1, "{name}");
            headings.iter().map(|heading| rows[0][*heading].clone()).collect::<Vec<_>>()
        };
        let Business { opportunity, pipeline, contact, company, user, .. } = &business;
        assert_eq!(
            first("cards", &["deal_id", "pipeline_id", "stage_id", "position"]),
            [opportunity.as_str(), pipeline, &business.stages[0], "0"]
        );
        assert_eq!(first("opportunity-contacts", &["deal_id", "contact_id"]), [opportunity.as_str(), &more]);
        let assigned = first("opportunity-users", &["deal_id", "user_id", "is_primary"]);
        assert_eq!(assigned, [opportunity.as_str(), user, "true"]);
        assert_eq!(first("employments", &["contact_id", "customer_id"]), [contact.as_str(), company]);
        let mut stages: Vec<_> = business.stages.clone();
        stages.sort_unstable_by(|one, other| other.cmp(one));
        assert_eq!(ids("stages"), stages.join(" "));
        assert_eq!(left_behind(folder.path()), ["all"]);
        assert!(!server.cli(&["export", "--output", &output]).status.success());
    }
}

/// What is in a folder.
fn left_behind(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}
