//! Contacts: the people that one sells to.

use serde_json::{Value, json};

use crate::fixtures::{
    Filter, NOBODY, assert_filters_combine, create, encode, instant, let_time_pass, list, names,
    read, sorted_names, text,
};
use crate::harness::{Client, assert_error};

#[track_caller]
fn made(client: &Client, fields: Value) -> Value {
    client.post("/contacts", fields).expect(201).data()
}

#[track_caller]
fn patched(client: &Client, id: &str, fields: Value) -> Value {
    client
        .patch(&format!("/contacts/{id}"), fields)
        .expect(200)
        .data()
}

#[track_caller]
fn found(client: &Client, query: &str) -> Vec<String> {
    names(
        &client
            .post("/contacts/search", json!({ "query": query }))
            .expect(200),
    )
}

on_both_engines! {
    fn a_new_contact_is_answered_with_every_field_of_the_record(server: &Server) {
        let client = server.client();
        let record = made(&client, json!({"first_name": " Ada "}));
        assert_eq!(
            record,
            json!({
                "id": record["id"],
                "public_id": "C-001",
                "first_name": "Ada",
                "last_name": null,
                "email": null,
                "phone": null,
                "landline": null,
                "date_of_birth": null,
                "job_title": null,
                "source": null,
                "contact_type": null,
                "notes": null,
                "metadata": {},
                "address_line1": null,
                "city": null,
                "state": null,
                "postal_code": null,
                "country": null,
                "email_unsubscribed": false,
                "sms_unsubscribed": false,
                "display_name": "Ada",
                "greeting": record["greeting"],
                "created_at": record["created_at"],
                "updated_at": record["created_at"],
            })
        );
        assert!(text(&record["greeting"]).contains("Ada"), "{record}");
        instant(&record["created_at"]);
        assert_eq!(read(&client, "/contacts", &text(&record["id"])), record);
        assert_eq!(client.get("/contacts").expect(200).data(), json!([record]));
        assert_eq!(
            made(&client, json!({"first_name": "Bea"}))["public_id"],
            "C-002"
        );
    }

    fn every_writable_field_is_kept_changed_and_cleared(server: &Server) {
        let client = server.client();
        let nullable = json!({
            "last_name": "Byron",
            "email": "Ada@Example.com",
            "phone": "+61412345678",
            "landline": "+61298765432",
            "date_of_birth": "1815-12-10",
            "job_title": "Analyst",
            "source": "Trade fair",
            "contact_type": "Lead",
            "notes": "Likes engines",
            "address_line1": "12 St James's Square",
            "city": "London",
            "state": "London",
            "postal_code": "SW1Y 4JH",
            "country": "United Kingdom",
        });
        let mut sent = nullable.clone();
        sent["first_name"] = json!("Ada");
        sent["metadata"] = json!({"height": 1.65});
        sent["email_unsubscribed"] = json!(true);
        let record = made(&client, sent.clone());
        for (field, value) in sent.as_object().expect("fields") {
            assert_eq!(&record[field], value, "{field}");
        }
        assert_eq!(record["display_name"], "Ada Byron");
        let id = text(&record["id"]);

        let_time_pass(&record["updated_at"]);
        assert_eq!(patched(&client, &id, sent), record);
        let changed = patched(
            &client,
            &id,
            json!({"first_name": "Augusta", "sms_unsubscribed": true, "email_unsubscribed": false}),
        );
        assert_eq!(changed["display_name"], "Augusta Byron");
        assert_eq!(
            (&changed["sms_unsubscribed"], &changed["email_unsubscribed"]),
            (&json!(true), &json!(false))
        );
        assert!(instant(&changed["updated_at"]) > instant(&record["updated_at"]));

        let mut cleared = nullable.clone();
        for value in cleared.as_object_mut().expect("fields").values_mut() {
            *value = Value::Null;
        }
        let mut request = cleared.clone();
        request["metadata"] = Value::Null;
        let record = patched(&client, &id, request);
        for field in cleared.as_object().expect("fields").keys() {
            assert_eq!(record[field], Value::Null, "{field}");
        }
        assert_eq!(
            (&record["metadata"], &record["display_name"]),
            (&json!({}), &json!("Augusta"))
        );
        assert_eq!(read(&client, "/contacts", &id), record);

        client.delete(&format!("/contacts/{id}")).expect(204);
        assert_error(
            &client.get(&format!("/contacts/{id}")),
            404,
            "NOT_FOUND",
            &[],
        );
    }

    fn a_blank_last_name_is_none(server: &Server) {
        let client = server.client();
        let record = made(&client, json!({"first_name": "Ada", "last_name": "  "}));
        assert_eq!(
            (&record["last_name"], &record["display_name"]),
            (&Value::Null, &json!("Ada"))
        );
        let id = text(&record["id"]);
        assert_eq!(
            patched(&client, &id, json!({"last_name": "Byron"}))["display_name"],
            "Ada Byron"
        );
        let record = patched(&client, &id, json!({"last_name": ""}));
        assert_eq!(
            (&record["last_name"], &record["display_name"]),
            (&Value::Null, &json!("Ada"))
        );
    }

    fn what_a_field_can_not_hold_is_refused_by_its_name(server: &Server) {
        let client = server.client();
        for body in [
            json!({"last_name": "Byron"}),
            json!({"first_name": " "}),
            json!({"first_name": null}),
        ] {
            assert_error(
                &client.post("/contacts", body),
                400,
                "MISSING_FIELDS",
                &["first_name"],
            );
        }
        for (field, value) in [
            ("first_name", json!("x".repeat(256))),
            ("last_name", json!(7)),
            ("email", json!("ada at example.com")),
            ("date_of_birth", json!("10 December")),
            ("notes", json!("x".repeat(100_001))),
            ("metadata", json!({NOBODY: 1})),
            ("email_unsubscribed", json!("yes")),
        ] {
            let mut body = json!({"first_name": "Ada"});
            body[field] = value;
            assert_error(
                &client.post("/contacts", body),
                400,
                "VALIDATION_ERROR",
                &[field],
            );
        }
        assert_eq!(client.get("/contacts").expect(200).data(), json!([]));
    }

    fn phone_numbers_are_read_in_the_workspace_and_kept_in_e164(server: &Server) {
        let client = server.client();
        let record = made(
            &client,
            json!({"first_name": "Ada", "phone": "0412 345 678", "landline": "(02) 9876-5432"}),
        );
        assert_eq!(
            (&record["phone"], &record["landline"]),
            (&json!("+61412345678"), &json!("+61298765432"))
        );
        let id = text(&record["id"]);
        for (typed, kept) in [
            ("+61 (0)412 345 678", "+61412345678"),
            ("0061 412 345 679", "+61412345679"),
            ("+44 7400 123456", "+447400123456"),
            // North America does not tell mobile numbers from fixed lines.
            ("+1 212 555 0123", "+12125550123"),
        ] {
            assert_eq!(
                patched(&client, &id, json!({"phone": typed}))["phone"],
                kept,
                "{typed}"
            );
        }
        for wrong in ["12", "call me", "+61 412 345", "0412 345 678 or Kim"] {
            for field in ["phone", "landline"] {
                let refused = client.patch(&format!("/contacts/{id}"), json!({field: wrong}));
                assert_error(&refused, 400, "VALIDATION_ERROR", &[field]);
            }
        }
        client
            .patch("/company", json!({"country": "GB"}))
            .expect(200);
        assert_eq!(
            patched(&client, &id, json!({"phone": "07400 123456"}))["phone"],
            "+447400123456"
        );
        assert_eq!(
            patched(&client, &id, json!({"phone": " "}))["phone"],
            Value::Null
        );
    }

    fn a_fixed_line_is_refused_in_phone_and_told_where_it_belongs(server: &Server) {
        let client = server.client();
        for number in ["02 9876 5432", "+44 20 7946 0018", "+49 30 123456"] {
            let refused = client.post("/contacts", json!({"first_name": "Ada", "phone": number}));
            assert_error(&refused, 400, "VALIDATION_ERROR", &["phone"]);
            let fix = text(&refused.json()["error"]["fix"]);
            assert!(fix.contains("landline"), "{fix}");
            let record = made(&client, json!({"first_name": "Ada", "landline": number}));
            assert_eq!(record["phone"], Value::Null);
        }
        // A mobile number is good anywhere.
        made(
            &client,
            json!({"first_name": "Ada", "landline": "0412 345 678"}),
        );
        assert_eq!(client.get("/contacts").expect(200).ids().len(), 4);
    }

    fn every_filter_narrows_the_list_alone_and_with_every_other(server: &Server) {
        let client = server.client();
        let company = create(&client, "/companies", json!({"name": "Engines"}));
        let contacts: Vec<_> = (0..16_usize)
            .map(|i| {
                let record = made(
                    &client,
                    json!({
                        "first_name": if i % 2 == 0 { "Zoë" } else { "Bea" },
                        "email": if i % 3 == 0 { "Ada@Example.com" } else { "ada@example.org" },
                        "phone": (i % 4 < 2).then_some("0412 345 678"),
                        "source": if i % 5 < 3 { "Fair" } else { "Web" },
                    }),
                );
                if i % 6 < 4 {
                    client
                        .post(
                            &format!("/contacts/{}/employers/{company}", text(&record["id"])),
                            json!({}),
                        )
                        .expect(201);
                }
                let_time_pass(&record["created_at"]);
                record
            })
            .collect();
        let created = |i: usize| encode(&text(&contacts[i]["created_at"]));
        let filters: [Filter<'_>; 7] = [
            ("search=zoe".to_owned(), &|i| i % 2 == 0),
            ("email=ada%40example.COM".to_owned(), &|i| i % 3 == 0),
            (format!("phone={}", encode("(0412) 345 678")), &|i| {
                i % 4 < 2
            }),
            ("source=Fair".to_owned(), &|i| i % 5 < 3),
            (format!("customer_id={company}"), &|i| i % 6 < 4),
            (format!("created_after={}", created(2)), &|i| i >= 2),
            (format!("created_before={}", created(14)), &|i| i < 14),
        ];
        assert_filters_combine(&client, "/contacts", &contacts, &filters);
        let nothing = client
            .get(&format!("/contacts?customer_id={NOBODY}"))
            .expect(200);
        assert_eq!(nothing.data(), json!([]));
        let refused = client.get("/contacts?customer_id=engines&created_after=x");
        assert_error(
            &refused,
            400,
            "VALIDATION_ERROR",
            &["customer_id", "created_after"],
        );
    }

    fn search_finds_names_addresses_and_numbers_best_first(server: &Server) {
        let client = server.client();
        for (first_name, last_name, email, phone) in [
            ("Ann", Some("Lee"), None, None),
            ("Annabel", None, None, None),
            (
                "Zoë",
                Some("Ånnström"),
                Some("z_100%@example.com"),
                Some("0412 345 678"),
            ),
            ("Ann", None, None, None),
        ] {
            made(
                &client,
                json!({
                    "first_name": first_name,
                    "last_name": last_name,
                    "email": email,
                    "phone": phone,
                }),
            );
        }
        assert_eq!(found(&client, "ANN"), ["Ann", "Annabel", "Ann", "Zoë"]);
        assert_eq!(found(&client, "ann lee"), ["Ann"]);
        for query in [
            "annstrom",
            "zoe ann",
            "@example",
            "_",
            "100%",
            "zo",
            "0412345678",
            "+61412 345",
            "345-678",
        ] {
            assert_eq!(found(&client, query), ["Zoë"], "{query}");
        }
        for query in ["Anna Lee", "0412345679", "%%"] {
            assert_eq!(found(&client, query), Vec::<String>::new(), "{query}");
        }
        let limited = client
            .post("/contacts/search", json!({"query": "ann", "limit": 2}))
            .expect(200);
        assert_eq!(names(&limited), ["Ann", "Annabel"]);
        assert_eq!(limited.json()["pagination"]["has_more"], true);
    }

    fn a_contact_has_employers_and_a_company_its_people(server: &Server) {
        let client = server.client();
        let contact = create(&client, "/contacts", json!({"first_name": "Ada"}));
        let [engines, looms] =
            ["Engines", "Looms"].map(|name| create(&client, "/companies", json!({"name": name})));
        let path = format!("/contacts/{contact}/employers");
        assert_eq!(client.get(&path).expect(200).data(), json!([]));

        let row = client
            .post(&format!("{path}/{engines}"), json!({}))
            .expect(201)
            .data();
        let mut expected = read(&client, "/companies", &engines);
        expected["linked_at"] = row["linked_at"].clone();
        assert_eq!(row, expected);
        instant(&row["linked_at"]);
        client
            .post(&format!("{path}/{looms}"), json!({}))
            .expect(201);
        assert_eq!(names(&client.get(&path).expect(200)), ["Looms", "Engines"]);
        assert_eq!(client.get(&path).expect(200).data()[1], row);

        let mut person = read(&client, "/contacts", &contact);
        person["linked_at"] = row["linked_at"].clone();
        for of in ["companies", "customers"] {
            let people = client.get(&format!("/{of}/{engines}/contacts")).expect(200);
            assert_eq!(people.data(), json!([person]));
        }

        assert_error(
            &client.post(&format!("{path}/{engines}"), json!({})),
            409,
            "CONFLICT",
            &[],
        );
        assert_error(
            &client.post(&format!("{path}/{NOBODY}"), json!({})),
            404,
            "NOT_FOUND",
            &[],
        );
        client.delete(&format!("{path}/{engines}")).expect(204);
        assert_error(
            &client.delete(&format!("{path}/{engines}")),
            404,
            "NOT_FOUND",
            &[],
        );
        assert_eq!(names(&client.get(&path).expect(200)), ["Looms"]);
        client.delete(&format!("/companies/{looms}")).expect(204);
        assert_eq!(client.get(&path).expect(200).data(), json!([]));
        client.get(&format!("/contacts/{contact}")).expect(200);
    }

    fn the_opportunities_of_a_contact_are_listed_under_both_names(server: &Server) {
        let client = server.client();
        let contact = create(&client, "/contacts", json!({"first_name": "Ada"}));
        let primary = create(
            &client,
            "/opportunities",
            json!({"name": "Primary", "contact_id": contact}),
        );
        let additional = create(&client, "/opportunities", json!({"name": "Additional"}));
        create(
            &client,
            "/opportunities",
            json!({"name": "Somebody else's"}),
        );
        client
            .post(
                &format!("/opportunities/{additional}/contacts/{contact}"),
                json!({}),
            )
            .expect(201);
        for name in ["opportunities", "deals"] {
            let listed = client
                .get(&format!("/contacts/{contact}/{name}"))
                .expect(200);
            let expected = [&additional, &primary].map(|id| read(&client, "/opportunities", id));
            assert_eq!(listed.data(), json!(expected));
            assert_error(
                &client.get(&format!("/contacts/{NOBODY}/{name}")),
                404,
                "NOT_FOUND",
                &[],
            );
        }
    }

    fn a_deleted_contact_leaves_its_opportunities_without_it(server: &Server) {
        let client = server.client();
        let [ada, bea] =
            ["Ada", "Bea"].map(|name| create(&client, "/contacts", json!({"first_name": name})));
        let id = create(
            &client,
            "/opportunities",
            json!({"name": "Fence", "contact_id": ada}),
        );
        client
            .post(&format!("/opportunities/{id}/contacts/{bea}"), json!({}))
            .expect(201);
        for contact in [&ada, &bea] {
            client.delete(&format!("/contacts/{contact}")).expect(204);
        }
        let record = client
            .get(&format!("/opportunities/{id}?expand=contact"))
            .expect(200)
            .data();
        assert_eq!(
            (&record["contact_id"], &record["contact"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(
            client
                .get(&format!("/opportunities/{id}/contacts"))
                .expect(200)
                .data(),
            json!([])
        );
        assert_eq!(found(&client, "ada"), Vec::<String>::new());
        // Its number is not given to another.
        assert_eq!(
            made(&client, json!({"first_name": "Cy"}))["public_id"],
            "C-003"
        );
    }

    fn contacts_are_created_and_deleted_by_the_hundred(server: &Server) {
        let client = server.client();
        let records = json!([
            {"first_name": "Ada", "phone": "0412 345 678"},
            {"last_name": "Nobody"},
            {"first_name": "Bea", "phone": "02 9876 5432"},
            {"first_name": "Cy"},
        ]);
        let data = client
            .post("/contacts/bulk-create", json!({"records": records}))
            .expect(200)
            .data();
        assert_eq!(
            (&data["created_count"], &data["error_count"]),
            (&json!(2), &json!(2))
        );
        let errors = list(&data["errors"]);
        assert_eq!(
            [&errors[0], &errors[1]].map(|error| (error["index"].as_u64(), text(&error["code"]))),
            [
                (Some(1), "MISSING_FIELDS".to_owned()),
                (Some(2), "VALIDATION_ERROR".to_owned()),
            ]
        );
        assert!(text(&errors[1]["fix"]).contains("landline"), "{data}");
        let listed = client.get("/contacts").expect(200);
        assert_eq!(sorted_names(&listed), ["Ada", "Cy"]);
        let mut first = listed.data()[1].clone();
        first["index"] = json!(0);
        assert_eq!(data["created"][0], first);
        assert_eq!(data["created"][1]["index"], 3);

        let too_many: Vec<_> = (0..101).map(|_| json!({"first_name": "Dan"})).collect();
        for wrong in [json!(too_many), json!([])] {
            let refused = client.post("/contacts/bulk-create", json!({"records": wrong}));
            assert_error(&refused, 400, "VALIDATION_ERROR", &["records"]);
        }

        let ids = listed.ids();
        let malformed = client.post("/contacts/bulk-delete", json!({"ids": [ids[0], "cy"]}));
        assert_error(&malformed, 400, "VALIDATION_ERROR", &["ids"]);
        assert_eq!(client.get("/contacts").expect(200).ids(), ids);
        let data = client
            .post(
                "/contacts/bulk-delete",
                json!({"ids": [ids[0], NOBODY, ids[0]]}),
            )
            .expect(200)
            .data();
        assert_eq!(
            (&data["success"], &data["deleted"]),
            (&json!(false), &json!(1))
        );
        assert_eq!(
            (&data["failed"][0]["id"], &data["failed"][0]["code"]),
            (&json!(NOBODY), &json!("NOT_FOUND"))
        );
        assert_eq!(names(&client.get("/contacts").expect(200)), ["Ada"]);
    }
}
