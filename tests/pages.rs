//! The pages that need no key, and that all of them are about the same
//! operations.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::fixtures::{Business, endpoints};
use crate::harness::{Answer, Client, Server};

/// Every kind of page, with its media type.
const PAGES: [(&str, &str); 9] = [
    ("/openapi.json", "application/json"),
    ("/api-index.json", "application/json"),
    ("/llms.txt", "text/markdown; charset=utf-8"),
    ("/llms-full.txt", "text/markdown; charset=utf-8"),
    (
        "/docs/pipelines/get-pipelines-id.md",
        "text/markdown; charset=utf-8",
    ),
    ("/docs", "text/html; charset=utf-8"),
    ("/docs/start.js", "text/javascript; charset=utf-8"),
    (
        "/docs/swagger-ui-bundle.js",
        "text/javascript; charset=utf-8",
    ),
    ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
];

fn root(server: &Server) -> Client {
    server.client().without_key().under("")
}

fn document(server: &Server) -> Value {
    root(server).get("/openapi.json").expect(200).json()
}

/// What OpenAPI says of an operation, by its method and its path.
fn described<'a>(document: &'a Value, method: &str, path: &str) -> &'a Value {
    // What an id is called may be another there: two paths that differ in nothing
    // else are one.
    let shape = |path: &str| -> Vec<String> {
        let shape = path
            .split('/')
            .map(|segment| match segment.strip_prefix([':', '{']) {
                Some(_) => "{}".to_owned(),
                None => segment.to_owned(),
            });
        shape.collect()
    };
    let paths = document["paths"].as_object().expect("paths");
    let found = paths.iter().find(|(key, _)| shape(key) == shape(path));
    &found.expect(path).1[method.to_ascii_lowercase()]
}

/// What a part of a document is, wherever that is written.
fn resolved<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    match part.get("$ref").and_then(Value::as_str) {
        Some(reference) => document.pointer(&reference[1..]).expect(reference),
        None => part,
    }
}

/// The names of the ids, the parameters and the fields that an operation takes.
fn taken(document: &Value, operation: &Value) -> HashSet<String> {
    let parameters = operation["parameters"].as_array().expect("parameters");
    let parameters = parameters
        .iter()
        .map(|parameter| resolved(document, parameter));
    let named = parameters
        .filter(|parameter| parameter["in"] != "header" && parameter["in"] != "path")
        .filter_map(|parameter| parameter["name"].as_str());
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    let fields = resolved(document, body)["properties"].as_object();
    let fields = fields
        .into_iter()
        .flat_map(|fields| fields.keys().map(String::as_str));
    named.chain(fields).map(str::to_owned).collect()
}

fn with_header(client: &Client, path: &str, name: &str, value: &str) -> Answer {
    client.raw("GET", path, &[(name, value)], b"")
}

on_both_engines! {
    fn each_page_is_there_without_a_key_and_is_asked_for_again_only_when_it_has_changed(server: &Server) {
        let root = root(server);
        for (path, media_type) in PAGES {
            let page = root.raw("GET", path, &[], b"").expect(200);
            assert_eq!(page.header("content-type"), Some(media_type), "{path}");
            assert_eq!(page.header("cache-control"), Some("no-cache"), "{path}");
            assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{path}");
            assert!(page.header("x-request-id").is_some(), "{path}");
            let tag = page.header("etag").expect(path);
            for known in [tag, "*", &format!("\"other\", W/{tag}")] {
                let same = with_header(&root, path, "if-none-match", known).expect(304);
                assert_eq!((&*same.text, same.header("etag")), ("", Some(tag)), "{path}");
            }
            with_header(&root, path, "if-none-match", "\"other\"").expect(200);
            assert_eq!(root.raw("HEAD", path, &[], b"").expect(200).text, "", "{path}");
            let refused = root.put(path, json!({})).expect(405);
            assert_eq!(refused.header("allow"), Some("GET, HEAD"), "{path}");
        }
    }

    fn the_page_for_browsers_may_ask_this_server_alone(server: &Server) {
        let page = root(server).get("/docs").expect(200);
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(policy.contains("connect-src 'self'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!page.text.contains("://") && !page.text.contains("<script>"), "{}", page.text);
    }

    fn every_endpoint_is_an_operation_of_openapi_with_all_that_it_takes(server: &Server) {
        let document = document(server);
        let catalog = root(server).get("/api-index.json").expect(200).json();
        let mut seen = 0;
        for resource in catalog["resources"].as_array().expect("resources") {
            for endpoint in resource["endpoints"].as_array().expect("endpoints") {
                let text = |name: &str| endpoint[name].as_str().expect(name);
                let operation = described(&document, text("method"), text("path"));
                if !endpoint["tool_name"].is_null() {
                    assert_eq!(operation["operationId"], endpoint["tool_name"]);
                }
                assert_eq!(operation["security"][0]["key"], endpoint["scopes"]);
                let params = endpoint["params"].as_array().expect("parameters");
                let sent = params.iter().filter(|param| param["in"] != "path");
                let names = sent.map(|param| param["name"].as_str().expect("a name").to_owned());
                assert_eq!(taken(&document, operation), names.collect(), "{}", text("path"));
                seen += 1;
            }
        }
        let paths = document["paths"].as_object().expect("paths").values();
        let described: usize = paths.map(|path| path.as_object().expect("methods").len()).sum();
        assert_eq!(described, seen);
    }

    fn every_example_of_a_request_can_be_sent(server: &Server) {
        let (client, document) = (server.client(), document(server));
        let business = Business::found(&client);
        let mut sent = 0;
        for endpoint in endpoints(&client) {
            let operation = described(&document, endpoint.method(), endpoint.path());
            let example = &operation["requestBody"]["content"]["application/json"]["example"];
            if example.is_null() {
                continue;
            }
            let body = example.to_string();
            let json = [("content-type", "application/json")];
            let path = business.fill(endpoint.path());
            let answer = client.raw(endpoint.method(), &path, &json, body.as_bytes());
            // The ids in it are of nothing here, someone has the address, and one
            // stage is not all of them.
            let kept = matches!(answer.status, 200 | 201 | 404 | 409);
            let known = answer.text.contains("exactly once");
            assert!(kept || known, "{} with {body}: {}", answer.request, answer.text);
            assert!(!answer.text.contains("warnings"), "{} with {body}: {}", answer.request, answer.text);
            sent += 1;
        }
        assert!(sent > 20, "only {sent} were sent");
    }

    fn the_text_for_agents_leads_to_every_page_and_has_them_all(server: &Server) {
        let root = root(server);
        let index = root.get("/llms.txt").expect(200).text;
        let full = root.get("/llms-full.txt").expect(200).text;
        assert!(index.starts_with("# Dealwright\n\n> "), "{index}");
        assert!(index.contains("Authorization: Bearer"), "{index}");
        let links = index.lines().filter_map(|line| line.strip_prefix("- [")?.split_once("]("));
        let mut pages = 0;
        for (_, rest) in links {
            let (url, said) = rest.split_once("): ").expect(rest);
            assert!(!said.is_empty(), "{rest}");
            let path = &url[url.find("/docs/").unwrap_or_else(|| url.rfind('/').expect(url))..];
            let page = root.get(path).expect(200);
            if path.starts_with("/docs/") {
                assert!(full.contains(&page.text), "{path}");
                pages += 1;
            }
        }
        assert_eq!(pages, endpoints(&server.client()).len());
    }

    fn a_page_of_the_reference_shows_a_request_its_answer_and_its_errors(server: &Server) {
        let page = root(server).get("/docs/pipelines/post-pipelines-id-stages.md").expect(200).text;
        for part in [
            "## A request\n\n```\ncurl -X POST -H \"Authorization: Bearer $KEY\"",
            "\"name\": \"Qualified\"",
            "## The answer\n\n```json\n{\n  \"data\": {",
            "\"deal_count\": 0",
            "| 409 | `CONFLICT` |",
            "| 415 | `UNSUPPORTED_MEDIA_TYPE` |",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        let page = root(server).get("/docs/company/get-company.md").expect(200).text;
        assert!(!page.contains("| 404 |") && !page.contains("| 415 |"), "{page}");
    }
}
