//! Opportunities by the hundred: what is reported is what happened.

use serde_json::{Value, json};

use crate::fixtures::{NOBODY, Pipeline, create, list, names, read, text};
use crate::harness::{Client, assert_error};

/// Sends these records and answers what became of them.
#[track_caller]
fn bulk_create(client: &Client, body: Value) -> Value {
    client
        .post("/opportunities/bulk-create", body)
        .expect(200)
        .data()
}

/// This many records that are all right.
fn records(count: usize) -> Value {
    (0..count)
        .map(|index| json!({"name": format!("Fence {index}")}))
        .collect()
}

/// The stage of the one card of each record that was created.
#[track_caller]
fn stages_of(data: &Value) -> Vec<String> {
    assert_eq!(data["errors"], json!([]));
    let stage = |record: &Value| {
        let cards = list(&record["placements"]);
        assert_eq!(cards.len(), 1, "{record}");
        text(&cards[0]["stage_id"])
    };
    list(&data["created"]).iter().map(stage).collect()
}

#[track_caller]
fn assert_no_opportunities(client: &Client) {
    assert_eq!(client.get("/opportunities").expect(200).data(), json!([]));
}

on_both_engines! {
    fn each_record_of_a_bulk_creation_stands_alone(server: &Server) {
        let client = server.client();
        let contact = create(&client, "/contacts", json!({"first_name": "Ada"}));
        let data = bulk_create(
            &client,
            json!({"records": [
                {"name": "Fence", "contact_id": contact, "tags": ["VIP"], "value": 12.5},
                {"value": 100},
                {"name": "Deck", "contact_id": NOBODY},
                {"name": "Gate"},
                {"name": "Wall", "value": "a lot", "status": "pending"},
                "Shed",
            ]}),
        );

        let created = client.get("/opportunities").expect(200).data();
        assert_eq!(
            names(&client.get("/opportunities").expect(200)),
            ["Gate", "Fence"]
        );
        // What failed took no number either.
        assert_eq!(
            [&created[1], &created[0]].map(|record| text(&record["public_id"])),
            ["OPP-001", "OPP-002"]
        );
        let numbered = |index: usize, record: &Value| {
            let mut record = record.clone();
            record["index"] = json!(index);
            record
        };
        assert_eq!(
            data["created"],
            json!([numbered(0, &created[1]), numbered(3, &created[0])])
        );
        assert_eq!(created[1]["contact_id"], *contact);
        assert_eq!(
            (&data["created_count"], &data["error_count"]),
            (&json!(2), &json!(4))
        );

        let errors = list(&data["errors"]);
        let expected = [
            (1, "MISSING_FIELDS", "name"),
            (2, "NOT_FOUND", "contact"),
            (4, "VALIDATION_ERROR", "value"),
            (5, "VALIDATION_ERROR", "object"),
        ];
        assert_eq!(errors.len(), expected.len());
        for (error, (index, code, named)) in errors.iter().zip(expected) {
            let [message, fix] = ["message", "fix"].map(|part| text(&error[part]));
            assert_eq!(
                *error,
                json!({"index": index, "code": code, "message": message, "fix": fix})
            );
            assert!(message.contains(named), "{error}");
            assert!(!fix.is_empty(), "{error}");
        }
        assert!(text(&errors[2]["message"]).contains("status"), "{data}");
        let keys: Vec<_> = data.as_object().expect("an object").keys().collect();
        assert_eq!(keys.len(), 4, "{keys:?}");

        let search = client
            .post("/opportunities/search", json!({"query": "Deck"}))
            .expect(200);
        assert_eq!(search.data(), json!([]));
        assert_eq!(
            client
                .get(&format!("/contacts/{contact}/opportunities"))
                .expect(200)
                .ids()
                .len(),
            1
        );
    }

    fn a_bulk_creation_in_which_every_record_fails_is_still_answered(server: &Server) {
        let client = server.client();
        let data = bulk_create(&client, json!({"records": [{}, {"name": " "}]}));
        assert_eq!(
            (&data["created"], &data["created_count"]),
            (&json!([]), &json!(0))
        );
        assert_eq!(data["error_count"], 2);
        assert_eq!(
            [&data["errors"][0], &data["errors"][1]].map(|error| &error["code"]),
            ["MISSING_FIELDS"; 2]
        );
        assert_no_opportunities(&client);
    }

    fn records_inherit_the_pipeline_and_stage_of_the_call(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let projects = Pipeline::create(&client, "Projects", &["Planned", "Built"]);
        let [lead, proposal] = ["Lead", "Proposal"].map(|stage| sales.stage(stage));
        let [planned, built] = ["Planned", "Built"].map(|stage| projects.stage(stage));

        let mixed = json!([
            {"name": "Inherits"},
            {"name": "Names a pipeline", "pipeline_id": projects.id},
            {"name": "Names a stage", "stage_id": built},
            {"name": "Names both", "pipeline_id": projects.id, "stage_id": built},
            {"name": "Names the same pipeline", "pipeline_id": sales.id},
        ]);
        for (default, inherited) in [
            (sales.target("Proposal"), proposal),
            (json!({"stage_id": proposal}), proposal),
            (json!({"pipeline_id": sales.id}), lead),
        ] {
            let mut body = default.clone();
            body["records"] = mixed.clone();
            let data = bulk_create(&client, body);
            assert_eq!(
                stages_of(&data),
                [inherited, planned, built, built, lead],
                "{default}"
            );
        }

        let data = bulk_create(&client, json!({"records": [{"name": "Nowhere"}]}));
        assert_eq!(data["created"][0]["placements"], json!([]));
    }

    fn a_wrong_default_refuses_the_whole_call(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let projects = Pipeline::create(&client, "Projects", &["Planned"]);
        // Whether or not a record would have used it.
        let records = json!([{"name": "Fence", "stage_id": sales.stage("Lead")}, {"name": "Deck"}]);
        for (default, status, code) in [
            (json!({"pipeline_id": NOBODY}), 404, "NOT_FOUND"),
            (json!({"stage_id": NOBODY}), 404, "NOT_FOUND"),
            (
                json!({"pipeline_id": sales.id, "stage_id": projects.stage("Planned")}),
                400,
                "VALIDATION_ERROR",
            ),
            (json!({"pipeline_id": "sales"}), 400, "VALIDATION_ERROR"),
            (json!({"stage_id": 7}), 400, "VALIDATION_ERROR"),
        ] {
            let mut body = default;
            body["records"] = records.clone();
            assert_error(
                &client.post("/opportunities/bulk-create", body),
                status,
                code,
                &[],
            );
            assert_no_opportunities(&client);
        }

        let id = create(&client, "/opportunities", json!({"name": "Fence"}));
        for (target, status, code) in [
            (
                json!({"pipeline_id": sales.id, "stage_id": NOBODY}),
                404,
                "NOT_FOUND",
            ),
            (
                json!({"pipeline_id": NOBODY, "stage_id": sales.stage("Lead")}),
                404,
                "NOT_FOUND",
            ),
            (
                json!({"stage_id": sales.stage("Lead")}),
                400,
                "MISSING_FIELDS",
            ),
        ] {
            let mut body = target;
            body["ids"] = json!([id]);
            assert_error(
                &client.post("/opportunities/bulk-move", body),
                status,
                code,
                &[],
            );
        }
        assert_eq!(
            read(&client, "/opportunities", &id)["placements"],
            json!([])
        );
    }

    fn a_call_takes_a_hundred_entries_and_not_one_more(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let too_many = client.post(
            "/opportunities/bulk-create",
            json!({"records": records(101)}),
        );
        assert_error(&too_many, 400, "VALIDATION_ERROR", &["records"]);
        assert_no_opportunities(&client);

        let data = bulk_create(
            &client,
            json!({"records": records(100), "stage_id": sales.stage("Lead")}),
        );
        assert_eq!(
            (&data["created_count"], &data["error_count"]),
            (&json!(100), &json!(0))
        );
        let ids: Vec<_> = list(&data["created"])
            .iter()
            .map(|record| record["id"].clone())
            .collect();
        assert_eq!(
            list(&data["created"])
                .iter()
                .map(|record| &record["index"])
                .collect::<Vec<_>>(),
            (0..100).collect::<Vec<_>>()
        );

        let with_one_more: Vec<_> = ids.iter().cloned().chain([json!(NOBODY)]).collect();
        let mut body = sales.target("Won");
        body["ids"] = json!(with_one_more);
        for route in ["bulk-move", "bulk-delete"] {
            let too_many = client.post(&format!("/opportunities/{route}"), body.clone());
            assert_error(&too_many, 400, "VALIDATION_ERROR", &["ids"]);
        }
        let open = client
            .get("/opportunities?status=open&limit=100")
            .expect(200);
        assert_eq!(open.ids().len(), 100);

        body["ids"] = json!(ids);
        let moved = client
            .post("/opportunities/bulk-move", body.clone())
            .expect(200)
            .data();
        assert_eq!(moved, json!({"success": true, "moved": 100, "failed": []}));
        let deleted = client
            .post("/opportunities/bulk-delete", json!({"ids": ids}))
            .expect(200)
            .data();
        assert_eq!(
            deleted,
            json!({"success": true, "deleted": 100, "failed": []})
        );
        assert_no_opportunities(&client);
    }

    fn nothing_to_do_is_refused(server: &Server) {
        let client = server.client();
        let target = Pipeline::default_of(&client).target("Lead");
        for (route, field) in [
            ("bulk-create", "records"),
            ("bulk-delete", "ids"),
            ("bulk-move", "ids"),
        ] {
            let path = format!("/opportunities/{route}");
            assert_error(
                &client.post(&path, target.clone()),
                400,
                "MISSING_FIELDS",
                &[field],
            );
            for (given, code) in [
                (json!([]), "VALIDATION_ERROR"),
                (json!("all"), "VALIDATION_ERROR"),
                (json!({}), "VALIDATION_ERROR"),
                (Value::Null, "MISSING_FIELDS"),
            ] {
                let mut body = target.clone();
                body[field] = given;
                assert_error(&client.post(&path, body), 400, code, &[field]);
            }
        }
    }

    fn a_bulk_deletion_counts_each_id_once_and_reports_those_that_name_nothing(server: &Server) {
        let client = server.client();
        let sales = Pipeline::default_of(&client);
        let [first, second, kept] = ["First", "Second", "Kept"].map(|name| {
            create(
                &client,
                "/opportunities",
                json!({"name": name, "stage_id": sales.stage("Lead")}),
            )
        });
        let ids = json!([first, NOBODY, second, first, first.to_uppercase(), NOBODY]);
        let data = client
            .post("/opportunities/bulk-delete", json!({"ids": ids}))
            .expect(200)
            .data();
        let failure = &data["failed"][0];
        assert_eq!(
            data,
            json!({
                "success": false,
                "deleted": 2,
                "failed": [{"id": NOBODY, "code": "NOT_FOUND", "message": failure["message"]}],
            })
        );
        assert!(!text(&failure["message"]).is_empty());
        assert_eq!(client.get("/opportunities").expect(200).ids(), [kept]);
        let stage = read(
            &client,
            &format!("/pipelines/{}/stages", sales.id),
            sales.stage("Lead"),
        );
        assert_eq!(stage["deal_count"], 1);

        let again = client
            .post("/opportunities/bulk-delete", json!({"ids": [first]}))
            .expect(200)
            .data();
        assert_eq!(
            (&again["success"], &again["deleted"]),
            (&json!(false), &json!(0))
        );
    }

    fn a_malformed_id_refuses_the_whole_call(server: &Server) {
        let client = server.client();
        let id = create(&client, "/opportunities", json!({"name": "Fence"}));
        let before = read(&client, "/opportunities", &id);
        let mut body = Pipeline::default_of(&client).target("Won");
        for malformed in [
            json!("fence"),
            json!(7),
            Value::Null,
            json!(""),
            json!([NOBODY]),
        ] {
            body["ids"] = json!([id, malformed]);
            for route in ["bulk-move", "bulk-delete"] {
                let refused = client.post(&format!("/opportunities/{route}"), body.clone());
                assert_error(&refused, 400, "VALIDATION_ERROR", &["ids"]);
            }
        }
        assert_eq!(read(&client, "/opportunities", &id), before);
    }
}
