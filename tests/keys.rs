//! Keys and credits: what they open, when they end, what a call costs.

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::harness::{Answer, Server, assert_error, eventually};

fn credits(answer: &Answer) -> i64 {
    answer.json()["meta"]["credits_remaining"]
        .as_i64()
        .expect("what is left of the credits")
}

on_both_engines! {
    fn a_key_is_shown_once_and_grants_no_more_than_its_maker_has(server: &Server) {
        let client = server.client();
        let made = client.post("/api-keys", json!({"name": "CRM", "scopes": ["deals:read"]})).expect(201);
        let key = made.data()["key"].as_str().expect("the key itself").to_owned();
        assert_eq!(made.data()["scopes"], json!(["opportunities:read"]));
        assert_eq!(key.len(), "dw_live_".len() + 43);
        let read = client.get(&format!("/api-keys/{}", made.id())).expect(200);
        assert_eq!(read.data().get("key"), None);
        assert!(!client.get("/api-keys").expect(200).text.contains(&key));

        let maker = server.client_with(&["api-keys:write", "contacts:read"]);
        maker.post("/api-keys", json!({"name": "A", "scopes": ["contacts:read"]})).expect(201);
        for scopes in [json!(["contacts:read", "contacts:write"]), json!(["*"])] {
            let refused = maker.post("/api-keys", json!({"name": "B", "scopes": scopes}));
            assert_eq!((refused.status, refused.error_code().as_str()), (403, "INSUFFICIENT_SCOPE"));
        }
        let unknown = client.post("/api-keys", json!({"name": "C", "scopes": ["everything"]}));
        assert_error(&unknown, 400, "VALIDATION_ERROR", &["scopes"]);
    }

    fn a_revoked_key_is_refused_at_once_here_and_soon_elsewhere(server: &Server) {
        let elsewhere = server.another(&[]);
        let key = server.key_with(&["contacts:read"]);
        let id = server.client().get("/api-keys").expect(200).ids().remove(0);
        let (here, there) = (server.client().with_key(&key), elsewhere.client().with_key(&key));
        here.get("/contacts").expect(200);
        there.get("/contacts").expect(200);

        server.client().delete(&format!("/api-keys/{id}")).expect(204);
        assert_error(&here.get("/contacts"), 401, "UNAUTHORIZED", &[]);
        eventually("the key is refused elsewhere", || {
            (there.get("/contacts").status == 401).then_some(())
        });
        let read = server.client().get(&format!("/api-keys/{id}")).expect(200);
        assert!(read.data()["revoked_at"].is_string());
    }

    fn a_key_that_the_operator_revokes_is_refused(server: &Server) {
        let made = server.cli_json(&["api-key", "create", "--scopes", "contacts:read,contacts:write"]);
        let key = made["key"].as_str().expect("a key");
        let client = server.client().with_key(key);
        client.get("/contacts").expect(200);
        server.cli_json(&["api-key", "revoke", made["id"].as_str().expect("an id")]);
        eventually("the key is refused", || (client.get("/contacts").status == 401).then_some(()));
    }

    fn a_key_ends_when_it_expires(server: &Server) {
        let client = server.client();
        let make = |expires_at: &str| {
            let body = json!({"name": "A", "scopes": ["contacts:read"], "expires_at": expires_at});
            let made = client.post("/api-keys", body).expect(201).data();
            client.with_key(made["key"].as_str().expect("a key"))
        };
        assert_error(&make("2020-01-01T00:00:00Z").get("/contacts"), 401, "UNAUTHORIZED", &["expired"]);
        make("2999-01-01T00:00:00Z").get("/contacts").expect(200);
    }

    fn when_a_key_was_last_used_is_kept(server: &Server) {
        let key = server.key_with(&["contacts:read"]);
        let id = server.client().get("/api-keys").expect(200).ids().remove(0);
        server.client().with_key(&key).get("/contacts").expect(200);
        eventually("its use is written down", || {
            let read = server.client().get(&format!("/api-keys/{id}")).expect(200);
            read.data()["last_used_at"].is_string().then_some(())
        });
    }

    fn a_read_costs_one_credit_a_write_two_and_a_failure_nothing(server: &Server) {
        let client = server.client();
        assert_eq!(credits(&client.get("/contacts").expect(200)), 999_999);
        let made = client.post("/contacts", json!({"first_name": "Ada"})).expect(201);
        assert_eq!(credits(&made), 999_997);
        client.post("/contacts", json!({})).expect(400);
        client.get("/contacts/01900000-0000-7000-8000-000000000000").expect(404);
        assert_eq!(credits(&client.post("/contacts/search", json!({"query": "ada"})).expect(200)), 999_996);
        client.delete(&format!("/contacts/{}", made.id())).expect(204);
        client.get("/api-index.json").expect(200);
        assert_eq!(credits(&client.get("/contacts").expect(200)), 999_993);
    }

    fn a_call_whose_client_hangs_up_is_finished_and_charged(server: &Server) {
        let body = r#"{"first_name": "Ada"}"#;
        let request = format!(
            "POST /v1/contacts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            server.key(),
            body.len()
        );
        let mut stream = TcpStream::connect(server.address()).expect("a connection");
        stream.write_all(request.as_bytes()).expect("a request that is taken");
        drop(stream);
        let client = server.client();
        let mut looked = 0;
        eventually("the contact is there, and charged", || {
            looked += 1;
            let contacts = client.get("/contacts").expect(200);
            let there = contacts.ids().len() == 1;
            (there && credits(&contacts) == 1_000_000 - 2 - looked).then_some(())
        });
    }

    fn credits_survive_a_restart_and_are_each_workspaces_own(server: &Server) {
        let client = server.client();
        for _ in 0..10 {
            client.get("/contacts").expect(200);
        }
        server.restart();
        assert_eq!(credits(&client.get("/contacts").expect(200)), 999_989);
        let other = server.workspace("Other").client();
        assert_eq!(credits(&other.get("/contacts").expect(200)), 999_999);
    }

    fn credits_are_enforced_where_the_operator_says_so(server: &Server) {
        let strict = server.another(&["--monthly-credits", "3", "--enforce-credits"]);
        let client = strict.client();
        assert_eq!(credits(&client.get("/contacts").expect(200)), 2);
        assert_eq!(credits(&client.post("/contacts", json!({"first_name": "Ada"})).expect(201)), 0);
        let refused = client.get("/contacts");
        assert_error(&refused, 403, "INSUFFICIENT_CREDITS", &[]);
        // The same use on a server that does not enforce it.
        let used = eventually("the use is written down", || {
            let fresh = server.another(&["--monthly-credits", "3"]);
            let left = credits(&fresh.client().get("/contacts").expect(200));
            (left < 0).then_some(left)
        });
        assert!(used < 0);
    }

    fn several_that_start_at_once_set_up_one_installation(server: &Server) {
        let servers = Server::start_together(server.engine(), 4);
        let keys: Vec<_> = servers.iter().map(Server::key).filter(|key| !key.is_empty()).collect();
        assert_eq!(keys.len(), 1, "keys were printed by {} servers", keys.len());
        for server in &servers {
            let client = server.client().with_key(keys[0]);
            let pipelines = client.get("/pipelines").expect(200).data();
            assert_eq!(pipelines.as_array().map(Vec::len), Some(1));
        }
        let workspaces = servers[0].cli_json(&["workspace", "list"]);
        assert_eq!(workspaces["workspaces"].as_array().map(Vec::len), Some(1));
    }

    fn the_demo_is_a_business_at_work(server: &Server) {
        let server = Server::start_with(server.engine(), &["--demo"]);
        let client = server.client();
        let page = client.get("/opportunities?limit=100&expand=contact,customer,assigned_users").expect(200);
        let opportunities = page.data();
        let opportunities = opportunities.as_array().expect("opportunities");
        assert!(opportunities.len() > 30);
        let status = |wanted: &str| opportunities.iter().filter(|one| one["status"] == wanted).count();
        assert!(status("open") > 0 && status("won") > 0 && status("lost") > 0);
        let assigned = |one: &&Value| one["assigned_users"].as_array().is_some_and(|users| !users.is_empty());
        assert!(opportunities.iter().any(|one| assigned(&one)));
    }
}
