//! What holds on every route: walked through by the catalog.

use serde_json::json;

use crate::fixtures::{Business, endpoints};
use crate::harness::{Answer, Client, assert_error};

/// Calls any endpoint; a body goes along where the method has one.
fn call(client: &Client, method: &str, path: &str, body: &str) -> Answer {
    match method {
        "GET" | "DELETE" => client.raw(method, path, &[], b""),
        _ => client.raw(
            method,
            path,
            &[("content-type", "application/json")],
            body.as_bytes(),
        ),
    }
}

/// The answer as it is compared: all but what is left of the credits, which
/// every call lessens.
fn comparable(answer: &Answer) -> (u16, String) {
    let text = match answer.text.split_once("\"credits_remaining\":") {
        Some((before, after)) => {
            let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}{rest}")
        }
        None => answer.text.clone(),
    };
    (answer.status, text)
}

/// The path by every name that it has.
fn names(path: &str) -> Vec<String> {
    let old = path
        .replace("opportunities", "deals")
        .replace("companies", "customers");
    let mixed = [
        path.replace("opportunities", "deals"),
        path.replace("companies", "customers"),
        old,
    ];
    mixed.into_iter().filter(|name| name != path).collect()
}

on_both_engines! {
    fn each_scope_that_is_missing_is_refused_by_its_name(server: &Server) {
        let endpoints = endpoints(&server.client());
        let mut all: Vec<_> = endpoints.iter().flat_map(|endpoint| endpoint.scopes()).collect();
        all.sort_unstable();
        all.dedup();
        for missing in &all {
            let others: Vec<_> = all.iter().copied().filter(|scope| scope != missing).collect();
            let client = server.client_with(&others);
            let needing = endpoints.iter().filter(|endpoint| endpoint.scopes().contains(missing));
            for endpoint in needing {
                let answer = call(&client, endpoint.method(), &endpoint.path_to_nothing(), "{}");
                assert_error(&answer, 403, "INSUFFICIENT_SCOPE", &[missing]);
            }
        }
        for endpoint in &endpoints {
            // A key has one at least.
            let client = match &*endpoint.scopes() {
                [] => server.client_with(&["crm_audit:read"]),
                scopes => server.client_with(scopes),
            };
            let answer = call(&client, endpoint.method(), &endpoint.path_to_nothing(), "{}");
            assert!(
                ![401, 403].contains(&answer.status),
                "{} is enough for {}: {}",
                endpoint.scopes().join(", "),
                answer.request,
                answer.text
            );
        }
    }

    fn the_old_names_of_scopes_are_the_same_scopes(server: &Server) {
        let client = server.client_with(&["deals:read", "customers:read", "pipelines:read"]);
        client.get("/opportunities").expect(200);
        client.get("/companies").expect(200);
        let refused = client.post("/companies", json!({"name": "Engines"}));
        assert_error(&refused, 403, "INSUFFICIENT_SCOPE", &["companies:write"]);
    }

    fn no_route_answers_without_a_key_that_is_in_use(server: &Server) {
        let client = server.client();
        let unknown = format!("dw_live_{}", "A".repeat(43));
        let strangers = [
            client.without_key(),
            client.with_key(&unknown),
            client.with_key("dw_live_short"),
            client.with_key("' or 1=1 --"),
        ];
        for endpoint in endpoints(&client) {
            for stranger in &strangers {
                let answer = call(stranger, endpoint.method(), &endpoint.path_to_nothing(), "{}");
                assert_error(&answer, 401, "UNAUTHORIZED", &[]);
            }
        }
    }

    fn every_route_answers_the_same_by_all_its_names(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let old_prefix = client.under("/functions/v1/api/v1");
        let mut compared = 0;
        for endpoint in endpoints(&client) {
            let (method, path) = (endpoint.method(), endpoint.path());
            // What a call changes can't be compared with a second call, so
            // those are made where they are refused.
            let path = match method {
                "GET" => business.fill(path),
                _ => endpoint.path_to_nothing(),
            };
            let expected = comparable(&call(&client, method, &path, "[]"));
            for (prefix, client) in [("new", &client), ("old", &old_prefix)] {
                for name in names(&path).iter().chain([&path]) {
                    let found = comparable(&call(client, method, name, "[]"));
                    assert_eq!(found, expected, "{method} {name} under the {prefix} prefix");
                    compared += 1;
                }
            }
        }
        assert!(compared > 200, "only {compared} answers were compared");
    }

    fn an_old_client_can_work_through_the_old_names(server: &Server) {
        let client = server.client().under("/functions/v1/api/v1");
        let company = client.post("/customers", json!({"name": "Engines"})).expect(201);
        let made = client
            .post("/deals", json!({"name": "Fence", "customer_id": company.id()}))
            .expect(201);
        let path = format!("/deals/{}", made.id());
        client.patch(&path, json!({"value": 7})).expect(200);
        let found = client.get(&format!("{path}?expand=customer")).expect(200).data();
        assert_eq!(found["customer"]["name"], "Engines");
        assert_eq!(client.get(&format!("/customers/{}/deals", company.id())).expect(200).ids(), [made.id()]);
        client.delete(&path).expect(204);
        assert_error(&server.client().get(&format!("/opportunities/{}", made.id())), 404, "NOT_FOUND", &[]);
    }

    fn a_wrong_type_in_any_field_is_refused_by_the_name_of_the_field(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let mut tried = 0;
        for endpoint in endpoints(&client) {
            for (field, kind) in endpoint.body_fields() {
                let wrong = match kind {
                    "array" | "object" | "uuid" | "date" | "date-time" | "email" | "string" => json!(true),
                    "phone" | "currency-code" | "country-code" | "time-zone" => json!(true),
                    "number" | "integer" | "boolean" => json!("many"),
                    other => panic!("no wrong value is known for {other}"),
                };
                let path = business.fill(endpoint.path());
                let body = json!({ field: wrong }).to_string();
                let answer = call(&client, endpoint.method(), &path, &body);
                assert_eq!(answer.status, 400, "{field} of {}: {}", answer.request, answer.text);
                let said = answer.json()["error"]["message"].to_string();
                assert!(said.contains(&format!("{field} must")), "{field} of {}: {said}", answer.request);
                tried += 1;
            }
        }
        assert!(tried > 100, "only {tried} fields were tried");
        let after = client.get(&format!("/opportunities/{}", business.opportunity)).expect(200);
        assert_eq!(after.data()["name"], "Difference engine");
    }

    fn an_id_that_is_no_uuid_is_refused_in_every_path(server: &Server) {
        let client = server.client();
        for endpoint in endpoints(&client) {
            let Some((_, parameter)) = endpoint.path().split_once(':') else {
                continue;
            };
            let name = parameter.split('/').next().unwrap_or_default();
            let path = endpoint.path().replacen(&format!(":{name}"), "7", 1);
            let path = path.replace(":contactId", "8").replace(":userId", "8");
            let answer = call(&client, endpoint.method(), &path, "{}");
            // Other fields may be missing as well; then that is the code.
            assert_eq!(answer.status, 400, "{}: {}", answer.request, answer.text);
            let message = answer.json()["error"]["message"].to_string();
            assert!(message.contains(&format!("{name} must be a UUID")), "{message}");
        }
    }

    fn what_is_not_there_is_not_found_and_what_can_not_be_done_is_not_allowed(server: &Server) {
        let client = server.client();
        assert_error(&client.get("/nothing"), 404, "NOT_FOUND", &["/v1/nothing"]);
        assert_error(&client.under("").get("/"), 404, "NOT_FOUND", &[]);
        assert_error(&client.under("/v2").get("/opportunities"), 404, "NOT_FOUND", &[]);
        let refused = client.put("/opportunities", json!({}));
        assert_error(&refused, 405, "METHOD_NOT_ALLOWED", &["PUT"]);
        assert_eq!(refused.header("allow"), Some("GET, POST, HEAD"));
        let head = client.raw("HEAD", "/opportunities", &[], b"").expect(200);
        assert_eq!(head.text, "");
    }

    fn the_catalog_has_the_schema_of_each_parameter_and_the_record_of_each_id(server: &Server) {
        let catalog = server.client().without_key().under("").get("/api-index.json").expect(200).json();
        let mut seen = Vec::new();
        for resource in catalog["resources"].as_array().expect("resources") {
            for endpoint in resource["endpoints"].as_array().expect("endpoints") {
                for param in endpoint["params"].as_array().expect("parameters") {
                    assert!(param["schema"].is_object(), "{param}");
                    assert_eq!(param["schema"]["description"], param["description"]);
                    let named = [&endpoint["tool_name"], &param["name"]].map(|name| name.as_str().unwrap_or_default());
                    seen.push((named.join(" "), param.clone()));
                }
            }
        }
        let param = |name: &str| {
            let found = seen.iter().find(|(named, _)| named == name);
            found.map(|(_, param)| param.clone()).expect(name)
        };
        assert_eq!(param("assign_opportunity_user id")["description"], "The id of the opportunity.");
        assert_eq!(param("assign_opportunity_user userId")["description"], "The id of the user.");
        assert_eq!(param("revoke_api_key id")["description"], "The id of the API key.");
        let records = param("bulk_create_opportunities records");
        assert_eq!(records["type"], "array");
        assert_eq!(records["schema"]["maxItems"], 100);
        let record = &records["schema"]["items"];
        assert_eq!(record["required"], json!(["name"]));
        assert_eq!(record["properties"]["name"]["maxLength"], 255);
    }

    fn a_page_of_the_reference_says_what_is_valid(server: &Server) {
        let pages = server.client().without_key().under("");
        let page = pages.get("/docs/opportunities/patch-opportunities-id.md").expect(200).text;
        for row in [
            "| `id` | uuid | The id of the opportunity. |",
            "| `name` | string of at most 255 characters |",
            "| `status` | one of `open`, `won`, `lost` |",
            "| `probability` | number from 0 to 100 or null |",
            "| `tags` | array of (string of 1 to 50 characters or object) or null |",
            "| `skip_action_ids` | array of uuid or null |",
            "- Cost in credits: 2",
        ] {
            assert!(page.contains(row), "{row} in {page}");
        }
        let page = pages.get("/docs/opportunities/get-opportunities.md").expect(200).text;
        assert!(page.contains("| `limit` | integer; `25` by default |"), "{page}");
    }

    fn each_endpoint_of_the_catalog_has_a_page_in_the_reference(server: &Server) {
        let catalog = server.client().without_key().under("").get("/api-index.json").expect(200).json();
        let base = catalog["base_url"].as_str().expect("a base").to_owned();
        let root = base.trim_end_matches("/v1").to_owned();
        let pages = server.client().without_key().under("");
        for resource in catalog["resources"].as_array().expect("resources") {
            for endpoint in resource["endpoints"].as_array().expect("endpoints") {
                let url = endpoint["doc_url"].as_str().expect("a page");
                let page = pages.get(url.strip_prefix(&root).expect("of this server")).expect(200);
                let route = format!("{} /v1{}", endpoint["method"].as_str().expect("a method"), endpoint["path"].as_str().expect("a path"));
                assert!(page.text.contains(&route), "{route} in {}", page.text);
            }
        }
    }
}
