//! The workspace itself: its name and place, its settings, its members and
//! the keys to it.

use serde_json::{Value, json};

use crate::fixtures::{NOBODY, create, instant, let_time_pass, read, text};
use crate::harness::{Client, assert_error};

/// Changes the settings and answers them.
#[track_caller]
fn set(client: &Client, changes: Value) -> Value {
    client
        .patch("/company/crm-settings", changes)
        .expect(200)
        .data()
}

/// Invites a user and answers them.
#[track_caller]
fn invite(client: &Client, email: &str) -> Value {
    let body = json!({"full_name": "Ann", "email": email});
    client
        .post("/company/users/invite", body)
        .expect(201)
        .data()
}

on_both_engines! {
    fn the_workspace_has_a_name_a_place_and_a_currency(server: &Server) {
        let client = server.client();
        let company = client.get("/company").expect(200).data();
        for field in ["id", "name", "timezone", "currency", "country"] {
            assert!(company[field].is_string(), "{field} in {company}");
        }
        let changes = json!({
            "name": "Fences Ltd",
            "timezone": "Europe/London",
            "currency": "GBP",
            "country": "GB",
        });
        let changed = client.patch("/company", changes.clone()).expect(200).data();
        for (field, value) in changes.as_object().expect("fields") {
            assert_eq!(&changed[field], value, "{field}");
        }
        assert_eq!(changed["id"], company["id"]);
        let renamed = client
            .patch("/company", json!({"name": "Decks Ltd"}))
            .expect(200)
            .data();
        assert_eq!(
            (&renamed["name"], &renamed["currency"]),
            (&json!("Decks Ltd"), &json!("GBP"))
        );
        assert_eq!(client.get("/company").expect(200).data(), renamed);

        let opportunity = client
            .post("/opportunities", json!({"name": "Fence"}))
            .expect(201)
            .data();
        assert_eq!(opportunity["currency"], "GBP");

        for (field, value) in [
            ("name", json!("x".repeat(256))),
            ("timezone", json!("Europe/Atlantis")),
            ("currency", json!("POUNDS")),
            ("country", json!("Atlantis")),
        ] {
            assert_error(
                &client.patch("/company", json!({field: value})),
                400,
                "VALIDATION_ERROR",
                &[field],
            );
        }
        assert_error(
            &client.patch("/company", json!({"name": ""})),
            400,
            "MISSING_FIELDS",
            &["name"],
        );
        assert_eq!(client.get("/company").expect(200).data(), renamed);
    }

    fn settings_are_merged_key_by_key(server: &Server) {
        let client = server.client();
        let before = client.get("/company/crm-settings").expect(200).data();
        let lists = [
            "lead_sources",
            "won_reasons",
            "lost_reasons",
            "opportunity_type_options",
            "referral_categories",
            "quick_links",
        ];
        for key in lists {
            assert!(before[key].is_array(), "{key} in {before}");
        }
        for kind in ["deal", "account", "contact"] {
            assert!(
                before["custom_fields"][kind].is_array(),
                "{kind} in {before}"
            );
        }

        let field = json!({"key": "height", "label": "Height", "type": "number"});
        let mut expected = before;
        for (changes, changed) in [
            (
                json!({"lead_sources": ["Fair", "Web"]}),
                vec!["/lead_sources"],
            ),
            (
                json!({"won_reasons": ["Price"], "lost_reasons": ["Time"]}),
                vec!["/won_reasons", "/lost_reasons"],
            ),
            // A list is replaced, not added to.
            (json!({"lead_sources": ["Phone"]}), vec!["/lead_sources"]),
            (
                json!({"quick_links": [{"label": "Wiki", "url": "https://example.com"}]}),
                vec!["/quick_links"],
            ),
            (
                json!({"custom_fields": {"deal": [field]}}),
                vec!["/custom_fields/deal"],
            ),
            (
                json!({"custom_fields": {"contact": [field]}}),
                vec!["/custom_fields/contact"],
            ),
            (json!({"lead_sources": []}), vec!["/lead_sources"]),
        ] {
            for pointer in changed {
                let value = changes.pointer(pointer).expect("the change").clone();
                *expected.pointer_mut(pointer).expect("the setting") = value;
            }
            assert_eq!(set(&client, changes), expected);
        }
        assert_eq!(set(&client, json!({})), expected);
        assert_eq!(
            client.get("/company/crm-settings").expect(200).data(),
            expected
        );

        for (key, wrong) in [
            ("lead_sources", json!("Fair")),
            ("won_reasons", json!([7])),
            ("custom_fields", json!([])),
        ] {
            let refused = client.patch(
                "/company/crm-settings",
                json!({key: wrong, "lost_reasons": ["None"]}),
            );
            assert_error(&refused, 400, "VALIDATION_ERROR", &[key]);
        }
        assert_eq!(
            client.get("/company/crm-settings").expect(200).data(),
            expected
        );
    }

    fn a_member_is_invited_changed_and_deleted(server: &Server) {
        let client = server.client();
        let sent = json!({
            "email": "ann@example.com", "full_name": " Ann Lee ", "role": "client_viewer",
            "phone": "0412 345 678", "job_title": "Builder",
        });
        let user = client
            .post("/company/users/invite", sent)
            .expect(201)
            .data();
        assert_eq!(
            user,
            json!({
                "id": user["id"],
                "email": "ann@example.com",
                "full_name": "Ann Lee",
                "role": "client_viewer",
                "phone": "+61412345678",
                "job_title": "Builder",
                "is_active": true,
                "created_at": user["created_at"],
                "updated_at": user["created_at"],
            })
        );
        instant(&user["created_at"]);
        let id = text(&user["id"]);
        let path = format!("/company/users/{id}");
        assert_eq!(client.get(&path).expect(200).data(), user);
        assert_eq!(client.get("/company/users").expect(200).data()[0], user);

        let_time_pass(&user["updated_at"]);
        let changes = json!({
            "full_name": "Ann",
            "role": "client_admin",
            "phone": null,
            "job_title": null,
            "is_active": false,
        });
        let changed = client.patch(&path, changes.clone()).expect(200).data();
        for (field, value) in changes.as_object().expect("fields") {
            assert_eq!(&changed[field], value, "{field}");
        }
        assert_eq!(changed["email"], "ann@example.com");
        assert!(instant(&changed["updated_at"]) > instant(&user["updated_at"]));
        assert_eq!(client.get(&path).expect(200).data(), changed);

        assert_error(
            &client.post("/company/users/invite", json!({})),
            400,
            "MISSING_FIELDS",
            &["email", "full_name"],
        );
        for (field, value) in [
            ("email", json!("ann")),
            ("role", json!("owner")),
            ("is_active", json!("no")),
            ("phone", json!("12")),
        ] {
            assert_error(
                &client.patch(&path, json!({field: value})),
                400,
                "VALIDATION_ERROR",
                &[field],
            );
        }
        assert_error(
            &client.patch(&path, json!({"full_name": ""})),
            400,
            "MISSING_FIELDS",
            &["full_name"],
        );

        assert_eq!(client.delete(&path).expect(204).text, "");
        assert_error(&client.get(&path), 404, "NOT_FOUND", &[]);
        assert_error(&client.delete(&path), 404, "NOT_FOUND", &[]);
    }

    fn no_two_members_share_an_address(server: &Server) {
        let client = server.client();
        let ann = text(&invite(&client, "ann@example.com")["id"]);
        let bob = text(&invite(&client, "bob@example.com")["id"]);
        for email in ["ann@example.com", "ANN@Example.com"] {
            let taken = client.post(
                "/company/users/invite",
                json!({"full_name": "Ann", "email": email}),
            );
            assert_error(&taken, 409, "CONFLICT", &[]);
            let taken = client.patch(&format!("/company/users/{bob}"), json!({"email": email}));
            assert_error(&taken, 409, "CONFLICT", &[]);
        }
        assert_eq!(
            read(&client, "/company/users", &bob)["email"],
            "bob@example.com"
        );
        // Their own address, written otherwise, is free for them.
        client
            .patch(
                &format!("/company/users/{ann}"),
                json!({"email": "Ann@example.com"}),
            )
            .expect(200);
        // Another workspace has members of its own, and a deleted one's is free.
        invite(&server.workspace("Other").client(), "ann@example.com");
        client.delete(&format!("/company/users/{ann}")).expect(204);
        invite(&client, "ann@example.com");
    }

    fn the_record_of_a_key_has_everything_but_the_key(server: &Server) {
        let client = server.client();
        let made = client
            .post(
                "/api-keys",
                json!({"name": " Import ", "scopes": ["contacts:read"]}),
            )
            .expect(201)
            .data();
        let key = text(&made["key"]);
        let random = key.strip_prefix("dw_live_").expect("the prefix of a key");
        assert!(
            random
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
        assert_eq!(
            made,
            json!({
                "id": made["id"],
                "name": "Import",
                "scopes": ["contacts:read"],
                "expires_at": null,
                "last_used_at": null,
                "revoked_at": null,
                "created_at": made["created_at"],
                "updated_at": made["created_at"],
                "key": key,
            })
        );
        let mut record = made.clone();
        record.as_object_mut().expect("a record").remove("key");
        assert_eq!(read(&client, "/api-keys", &text(&made["id"])), record);
        assert_eq!(client.get("/api-keys").expect(200).data()[0], record);
        assert!(!server.output().contains(random));

        assert_error(
            &client.post("/api-keys", json!({})),
            400,
            "MISSING_FIELDS",
            &["name", "scopes"],
        );
        for wrong in [
            json!("contacts:read"),
            json!(["contacts:admin"]),
            json!([7]),
        ] {
            let refused = client.post("/api-keys", json!({"name": "Import", "scopes": wrong}));
            assert_error(&refused, 400, "VALIDATION_ERROR", &["scopes"]);
        }
    }

    fn a_key_can_not_be_given_more_than_its_giver_has(server: &Server) {
        let client = server.client();
        let clerk = server.client_with(&["api-keys:write", "contacts:read"]);
        let id = create(
            &clerk,
            "/api-keys",
            json!({"name": "Same", "scopes": ["contacts:read"]}),
        );
        let path = format!("/api-keys/{id}");
        for (scopes, missing) in [
            (json!(["contacts:read", "contacts:write"]), "contacts:write"),
            (json!(["customers:read"]), "companies:read"),
        ] {
            let refused = clerk.post("/api-keys", json!({"name": "More", "scopes": scopes}));
            assert_error(&refused, 403, "INSUFFICIENT_SCOPE", &[missing]);
            let refused = clerk.patch(&path, json!({"scopes": scopes}));
            assert_error(&refused, 403, "INSUFFICIENT_SCOPE", &[missing]);
        }
        assert_error(
            &clerk.patch(&path, json!({"scopes": ["*"]})),
            403,
            "INSUFFICIENT_SCOPE",
            &[],
        );
        assert_eq!(
            client.get(&path).expect(200).data()["scopes"],
            json!(["contacts:read"])
        );
        client.patch(&path, json!({"scopes": ["*"]})).expect(200);
    }

    fn a_changed_key_can_do_what_it_says_from_then_on(server: &Server) {
        let client = server.client();
        let made = client
            .post(
                "/api-keys",
                json!({"name": "Clerk", "scopes": ["contacts:read"]}),
            )
            .expect(201)
            .data();
        let path = format!("/api-keys/{}", text(&made["id"]));
        let clerk = client.with_key(&text(&made["key"]));
        clerk.get("/contacts").expect(200);

        let changed = client
            .patch(
                &path,
                json!({"name": "Buyer", "scopes": ["companies:read"]}),
            )
            .expect(200)
            .data();
        assert_eq!(
            (&changed["name"], &changed["scopes"]),
            (&json!("Buyer"), &json!(["companies:read"]))
        );
        assert!(changed.get("key").is_none(), "{changed}");
        assert_error(
            &clerk.get("/contacts"),
            403,
            "INSUFFICIENT_SCOPE",
            &["contacts:read"],
        );
        clerk.get("/companies").expect(200);

        client
            .patch(&path, json!({"expires_at": "2020-01-01T00:00:00Z"}))
            .expect(200);
        assert_error(&clerk.get("/companies"), 401, "UNAUTHORIZED", &[]);
        client.patch(&path, json!({"expires_at": null})).expect(200);
        clerk.get("/companies").expect(200);
    }

    fn a_revoked_key_keeps_its_record_and_may_be_the_one_that_revokes(server: &Server) {
        let client = server.client();
        let made = client
            .post(
                "/api-keys",
                json!({"name": "Leaving", "scopes": ["api-keys:write"]}),
            )
            .expect(201)
            .data();
        let path = format!("/api-keys/{}", text(&made["id"]));
        let leaving = client.with_key(&text(&made["key"]));
        assert_eq!(leaving.delete(&path).expect(204).text, "");
        assert_error(&leaving.delete(&path), 401, "UNAUTHORIZED", &[]);

        let record = client.get(&path).expect(200).data();
        instant(&record["revoked_at"]);
        assert_eq!(client.get("/api-keys").expect(200).data()[0], record);
        assert_error(
            &client.delete(&format!("/api-keys/{NOBODY}")),
            404,
            "NOT_FOUND",
            &[],
        );
    }
}
