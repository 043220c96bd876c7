//! Companies, once called customers: the accounts that opportunities belong to.

use serde_json::{Value, json};

use crate::fixtures::{
    Filter, NOBODY, assert_filters_combine, create, encode, instant, let_time_pass, names, read,
    sorted_names, text,
};
use crate::harness::{Client, assert_error};

#[track_caller]
fn made(client: &Client, fields: Value) -> Value {
    client.post("/companies", fields).expect(201).data()
}

#[track_caller]
fn found(client: &Client, query: &str) -> Vec<String> {
    names(
        &client
            .post("/companies/search", json!({ "query": query }))
            .expect(200),
    )
}

on_both_engines! {
    fn a_company_is_created_read_changed_and_deleted(server: &Server) {
        let client = server.client();
        let record = made(&client, json!({"name": " Engines "}));
        assert_eq!(
            record,
            json!({
                "id": record["id"],
                "public_id": "A-001",
                "name": "Engines",
                "email": null,
                "phone": null,
                "landline": null,
                "industry": null,
                "website": null,
                "account_type": null,
                "notes": null,
                "metadata": {},
                "created_at": record["created_at"],
                "updated_at": record["created_at"],
            })
        );
        instant(&record["created_at"]);
        let id = text(&record["id"]);
        let path = format!("/companies/{id}");
        assert_eq!(client.get(&path).expect(200).data(), record);
        assert_eq!(client.get("/companies").expect(200).data(), json!([record]));

        let_time_pass(&record["updated_at"]);
        let nullable = json!({
            "email": "office@engines.example",
            "phone": "+61412345678",
            "landline": "+61298765432",
            "industry": "Machines",
            "website": "https://engines.example/about",
            "account_type": "Partner",
            "notes": "Pays late",
        });
        let mut sent = nullable.clone();
        sent["name"] = json!("Looms");
        sent["metadata"] = json!({"size": 7});
        let changed = client.patch(&path, sent.clone()).expect(200).data();
        for (field, value) in sent.as_object().expect("fields") {
            assert_eq!(&changed[field], value, "{field}");
        }
        assert!(instant(&changed["updated_at"]) > instant(&record["updated_at"]));
        assert_eq!(client.get(&path).expect(200).data(), changed);
        let copy = made(&client, sent.clone());
        for field in sent.as_object().expect("fields").keys() {
            assert_eq!(copy[field], changed[field], "{field}");
        }

        for field in nullable.as_object().expect("fields").keys() {
            let cleared = client.patch(&path, json!({field: null})).expect(200).data();
            assert_eq!(cleared[field], Value::Null, "{field}");
        }
        assert_eq!(
            client
                .patch(&path, json!({"metadata": null}))
                .expect(200)
                .data()["metadata"],
            json!({})
        );

        assert_eq!(client.delete(&path).expect(204).text, "");
        assert_error(&client.get(&path), 404, "NOT_FOUND", &[]);
        assert_error(&client.delete(&path), 404, "NOT_FOUND", &[]);
        // Its number is not given to another.
        assert_eq!(
            made(&client, json!({"name": "Mills"}))["public_id"],
            "A-003"
        );
    }

    fn what_a_field_can_not_hold_is_refused_by_its_name(server: &Server) {
        let client = server.client();
        for body in [
            json!({"industry": "Machines"}),
            json!({"name": ""}),
            json!({"name": null}),
        ] {
            assert_error(
                &client.post("/companies", body),
                400,
                "MISSING_FIELDS",
                &["name"],
            );
        }
        let wrong = json!({
            "name": "x".repeat(256),
            "email": "office",
            "industry": 7,
            "metadata": {NOBODY: 1},
        });
        let refused = client.post("/companies", wrong);
        assert_error(
            &refused,
            400,
            "VALIDATION_ERROR",
            &["name", "email", "industry", "metadata"],
        );
        for field in ["phone", "landline"] {
            let refused = client.post("/companies", json!({"name": "Engines", field: "call us"}));
            assert_error(&refused, 400, "VALIDATION_ERROR", &[field]);
        }
        assert_eq!(client.get("/companies").expect(200).data(), json!([]));
    }

    fn a_company_may_answer_the_phone_on_a_fixed_line(server: &Server) {
        let client = server.client();
        let record = made(
            &client,
            json!({"name": "Engines", "phone": "(02) 9876 5432", "landline": "02 9876 5433"}),
        );
        assert_eq!(
            (&record["phone"], &record["landline"]),
            (&json!("+61298765432"), &json!("+61298765433"))
        );
    }

    fn filters_narrow_the_list_alone_and_together(server: &Server) {
        let client = server.client();
        let companies: Vec<_> = (0..8_usize)
            .map(|i| {
                let record = made(
                    &client,
                    json!({
                        "name": if i % 2 == 0 { "Éngines" } else { "Looms" },
                        "industry": if i % 4 < 2 { "Machines" } else { "Cloth" },
                    }),
                );
                let_time_pass(&record["created_at"]);
                record
            })
            .collect();
        let created = |i: usize| encode(&text(&companies[i]["created_at"]));
        let filters: [Filter<'_>; 4] = [
            ("search=engine".to_owned(), &|i| i % 2 == 0),
            ("industry=Machines".to_owned(), &|i| i % 4 < 2),
            (format!("created_after={}", created(1)), &|i| i >= 1),
            (format!("created_before={}", created(7)), &|i| i < 7),
        ];
        assert_filters_combine(&client, "/companies", &companies, &filters);
    }

    fn search_finds_names_addresses_and_numbers_best_first(server: &Server) {
        let client = server.client();
        for (name, email, phone) in [
            ("Mill", None, None),
            ("Mill Street Bakery", None, None),
            (
                "Söhne & Windmill 100%",
                Some("back_office@example.com"),
                Some("02 9876 5432"),
            ),
            ("MILL", None, None),
        ] {
            made(
                &client,
                json!({"name": name, "email": email, "phone": phone}),
            );
        }
        assert_eq!(
            found(&client, "mill"),
            [
                "MILL",
                "Mill",
                "Mill Street Bakery",
                "Söhne & Windmill 100%"
            ]
        );
        for query in [
            "sohne",
            "SÖHNE &",
            "%",
            "k_o",
            "@example",
            "0298765432",
            "+61 2 9876",
            "(02) 9876-5432",
        ] {
            assert_eq!(found(&client, query), ["Söhne & Windmill 100%"], "{query}");
        }
        for query in ["mile", "02 9876 5433", "Mill Bakery"] {
            assert_eq!(found(&client, query), Vec::<String>::new(), "{query}");
        }
        assert_error(
            &client.post("/companies/search", json!({})),
            400,
            "MISSING_FIELDS",
            &["query"],
        );
    }

    fn the_opportunities_of_a_company_are_listed_under_every_name(server: &Server) {
        let client = server.client();
        let company = create(&client, "/customers", json!({"name": "Engines"}));
        let [first, second] = ["First", "Second"].map(|name| {
            create(
                &client,
                "/opportunities",
                json!({"name": name, "customer_id": company}),
            )
        });
        create(
            &client,
            "/opportunities",
            json!({"name": "Somebody else's"}),
        );
        let expected = [&second, &first].map(|id| read(&client, "/opportunities", id));
        for of in ["companies", "customers"] {
            assert_eq!(
                client.get(&format!("/{of}")).expect(200).ids(),
                [company.as_str()]
            );
            for name in ["opportunities", "deals"] {
                let listed = client.get(&format!("/{of}/{company}/{name}")).expect(200);
                assert_eq!(listed.data(), json!(expected));
                assert_error(
                    &client.get(&format!("/{of}/{NOBODY}/{name}")),
                    404,
                    "NOT_FOUND",
                    &[],
                );
            }
        }
        assert_error(
            &client.get(&format!("/companies/{NOBODY}/contacts")),
            404,
            "NOT_FOUND",
            &[],
        );
    }

    fn a_deleted_company_leaves_its_people_and_its_opportunities(server: &Server) {
        let client = server.client();
        let company = create(&client, "/companies", json!({"name": "Engines"}));
        let contact = create(&client, "/contacts", json!({"first_name": "Ada"}));
        let id = create(
            &client,
            "/opportunities",
            json!({"name": "Fence", "customer_id": company, "contact_id": contact}),
        );
        client
            .post(
                &format!("/contacts/{contact}/employers/{company}"),
                json!({}),
            )
            .expect(201);
        client.delete(&format!("/customers/{company}")).expect(204);

        let record = client
            .get(&format!("/opportunities/{id}?expand=customer"))
            .expect(200)
            .data();
        assert_eq!(
            (&record["customer_id"], &record["customer"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(record["contact_id"], *contact);
        assert_eq!(
            client
                .get(&format!("/contacts/{contact}/employers"))
                .expect(200)
                .data(),
            json!([])
        );
        assert_eq!(found(&client, "engines"), Vec::<String>::new());
    }

    fn companies_are_created_and_deleted_by_the_hundred(server: &Server) {
        let client = server.client();
        let records =
            json!([{"name": "Engines"}, {}, {"name": "Looms", "email": "none"}, {"name": "Mills"}]);
        let data = client
            .post("/customers/bulk-create", json!({"records": records}))
            .expect(200)
            .data();
        assert_eq!(
            (&data["created_count"], &data["error_count"]),
            (&json!(2), &json!(2))
        );
        let told = |error: &Value| (error["index"].as_u64(), text(&error["code"]));
        assert_eq!(
            [&data["errors"][0], &data["errors"][1]].map(told),
            [
                (Some(1), "MISSING_FIELDS".to_owned()),
                (Some(2), "VALIDATION_ERROR".to_owned())
            ]
        );
        let listed = client.get("/companies").expect(200);
        assert_eq!(sorted_names(&listed), ["Engines", "Mills"]);
        let mut last = listed.data()[0].clone();
        last["index"] = json!(3);
        assert_eq!(data["created"][1], last);

        let too_many: Vec<_> = (0..101).map(|_| json!({"name": "Mills"})).collect();
        let refused = client.post("/companies/bulk-create", json!({"records": too_many}));
        assert_error(&refused, 400, "VALIDATION_ERROR", &["records"]);

        let ids = listed.ids();
        let data = client
            .post("/companies/bulk-delete", json!({"ids": [ids[0], ids[0]]}))
            .expect(200)
            .data();
        assert_eq!(data, json!({"success": true, "deleted": 1, "failed": []}));
        let malformed = client.post("/companies/bulk-delete", json!({"ids": [ids[1], "mills"]}));
        assert_error(&malformed, 400, "VALIDATION_ERROR", &["ids"]);
        assert_eq!(client.get("/companies").expect(200).ids(), ids[1..]);
    }
}
