//! What can be read by an address.

use serde_json::{Value, json};

use super::{ask, refused};
use crate::fixtures::{Business, NOBODY, list, text};
use crate::harness::Client;

/// The text of a resource.
#[track_caller]
fn read(client: &Client, uri: &str) -> String {
    let result = ask(client, "resources/read", json!({ "uri": uri }));
    let contents = &result["contents"][0];
    assert_eq!(contents["uri"], uri);
    text(&contents["text"])
}

/// The addresses in a listing.
fn addresses(listing: &Value, kind: &str, name: &str) -> Vec<String> {
    let listed = list(&listing[kind]).iter();
    listed.map(|one| text(&one[name])).collect()
}

on_both_engines! {
    fn the_pipelines_and_what_is_said_of_the_api_are_listed(server: &Server) {
        let client = server.client();
        let pipeline = client.get("/pipelines").expect(200).ids().remove(0);
        let listing = ask(&client, "resources/list", json!({}));
        let address = format!("dealwright://pipelines/{pipeline}");
        assert_eq!(
            addresses(&listing, "resources", "uri"),
            ["dealwright://llms.txt", "dealwright://llms-full.txt", &address]
        );
        let pages = client.under("").without_key();
        for page in ["llms.txt", "llms-full.txt"] {
            let over_http = pages.get(&format!("/{page}")).expect(200).text;
            assert_eq!(read(&client, &format!("dealwright://{page}")), over_http);
        }
        let whole: Value = serde_json::from_str(&read(&client, &address)).expect("JSON");
        assert_eq!(whole["data"], client.get(&format!("/pipelines/{pipeline}")).expect(200).data());
        assert_eq!(list(&whole["data"]["stages"]).len(), 6);

        let limited = server.client_with(&["contacts:read"]);
        let listing = ask(&limited, "resources/list", json!({}));
        assert_eq!(list(&listing["resources"]).len(), 2);
        let (_, message) = refused(&limited, "resources/read", json!({ "uri": address }));
        assert!(message.contains("pipelines:read"), "{message}");
    }

    fn the_pipelines_have_pages(server: &Server) {
        let client = server.client();
        for number in 0..100 {
            client.post("/pipelines", json!({"name": format!("Pipeline {number}")})).expect(201);
        }
        let first = ask(&client, "resources/list", json!({}));
        assert_eq!(list(&first["resources"]).len(), 102);
        let second = ask(&client, "resources/list", json!({"cursor": first["nextCursor"]}));
        assert_eq!(list(&second["resources"]).len(), 1);
        assert_eq!(second.get("nextCursor"), None);
    }

    fn a_record_is_read_by_its_address(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let listing = ask(&client, "resources/templates/list", json!({}));
        let templates = addresses(&listing, "resourceTemplates", "uriTemplate");
        assert!(templates.contains(&"dealwright://opportunities/{opportunity_id}".to_owned()), "{templates:?}");
        assert!(templates.contains(&"dealwright://company/users/{user_id}".to_owned()), "{templates:?}");
        for (address, path) in [
            (format!("opportunities/{}", business.opportunity), format!("/opportunities/{}", business.opportunity)),
            (format!("company/users/{}", business.user), format!("/company/users/{}", business.user)),
        ] {
            let whole: Value = serde_json::from_str(&read(&client, &format!("dealwright://{address}"))).expect("JSON");
            assert_eq!(whole["data"], client.get(&path).expect(200).data());
        }
        for address in [
            format!("dealwright://opportunities/{NOBODY}"),
            format!("dealwright://zebras/{NOBODY}"),
            format!("https://opportunities/{}", business.opportunity),
            "dealwright://opportunities".to_owned(),
            String::new(),
        ] {
            let (code, message) = refused(&client, "resources/read", json!({ "uri": address }));
            assert_eq!(code, -32002, "{address}: {message}");
        }
        let limited = server.client_with(&["contacts:read"]);
        let listing = ask(&limited, "resources/templates/list", json!({}));
        assert_eq!(addresses(&listing, "resourceTemplates", "uriTemplate"), ["dealwright://contacts/{contact_id}"]);
    }
}
