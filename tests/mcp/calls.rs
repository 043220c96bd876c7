//! What a call of a tool does, and what is said when it is refused.

use std::time::Duration;

use serde_json::json;

use super::{call, done, error, refused, request, send};
use crate::fixtures::{Business, NOBODY, default_pipeline, text};
use crate::harness::eventually;

on_both_engines! {
    fn a_tool_answers_as_its_endpoint_does(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let path = format!("/opportunities/{}?expand=contact,customer", business.opportunity);
        let arguments = json!({"opportunity_id": business.opportunity, "expand": ["contact", "customer"]});
        let answer = done(&client, "get_opportunity", arguments);
        assert_eq!(answer["data"], client.get(&path).expect(200).data());

        let listed = done(&client, "list_contacts", json!({"limit": 1}));
        let over_http = client.get("/contacts?limit=1").expect(200).json();
        assert_eq!(listed["data"], over_http["data"]);
        assert_eq!(listed["pagination"], over_http["pagination"]);
        let left = over_http["meta"]["credits_remaining"].as_i64();
        assert_eq!(listed["meta"]["credits_remaining"].as_i64().map(|left| left - 1), left);
        // As a query string has it, too.
        assert_eq!(done(&client, "list_contacts", json!({"limit": "1"}))["data"], over_http["data"]);
        let expanded = done(&client, "list_opportunities", json!({"expand": "contact,customer"}));
        assert_eq!(expanded["data"][0]["contact"]["first_name"], "Ada");
    }

    fn what_is_deleted_is_answered_with_nothing(server: &Server) {
        let client = server.client();
        let contact = done(&client, "create_contact", json!({"first_name": "Ada"}))["data"]["id"].clone();
        let answer = done(&client, "delete_contact", json!({"contact_id": contact, "force": true}));
        assert!(answer["data"].is_null());
        assert!(answer["meta"]["credits_remaining"].is_i64(), "{answer}");
        assert_eq!(answer["meta"]["warnings"], json!(["Unknown field ignored: force"]));
        error(&client, "delete_contact", json!({"contact_id": contact}), "NOT_FOUND");
    }

    fn every_problem_of_a_call_is_told_at_once_in_the_words_of_tools(server: &Server) {
        let client = server.client();
        let arguments = json!({"opportunity_id": "7", "pipeline_id": true, "position": "top"});
        let refusal = error(&client, "move_opportunity", arguments, "MISSING_FIELDS");
        let message = text(&refusal["message"]);
        for name in ["opportunity_id", "pipeline_id", "stage_id", "position"] {
            assert!(message.contains(name), "{message}");
        }
        assert!(text(&refusal["fix"]).contains("Include 'stage_id' in the arguments."), "{refusal}");
        assert!(text(&refusal["hint"]).starts_with("Arguments: opportunity_id, pipeline_id, "), "{refusal}");

        let refusal = error(&client, "get_contact", json!({}), "MISSING_FIELDS");
        assert!(text(&refusal["message"]).contains("contact_id"), "{refusal}");
        let refusal = error(&client, "get_contact", json!({"contact_id": 7}), "VALIDATION_ERROR");
        assert!(text(&refusal["message"]).contains("must be a UUID, not a number"), "{refusal}");
        let refusal = error(&client, "get_contact", json!({"contact_id": NOBODY}), "NOT_FOUND");
        assert_eq!(refusal["status"], 404);
    }

    fn an_agent_corrects_itself_by_what_it_is_told(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let (_, stages) = default_pipeline(&client);
        let arguments = json!({"deal_id": business.opportunity, "stage_id": stages[4]});
        let refusal = error(&client, "move_deal", arguments, "MISSING_FIELDS");
        assert_eq!(refusal["fix"], "Include 'pipeline_id' in the arguments.");
        let arguments = json!({
            "deal_id": business.opportunity,
            "pipeline_id": business.pipeline,
            "stage_id": stages[4],
        });
        done(&client, "move_deal", arguments);
        let moved = done(&client, "get_deal", json!({"deal_id": business.opportunity}));
        assert_eq!(moved["data"]["status"], "won");
    }

    fn an_unknown_tool_and_a_wrong_shape_are_refused_by_the_protocol(server: &Server) {
        let client = server.client();
        for (method, params, code) in [
            ("tools/call", json!({"name": "drop_tables"}), -32602),
            ("tools/call", json!({"name": "list_contacts", "arguments": [1]}), -32602),
            ("tools/call", json!({"name": ["list_contacts"]}), -32602),
            ("tools/call", json!({}), -32602),
            ("tools/juggle", json!({}), -32601),
        ] {
            let (found, message) = refused(&client, method, params.clone());
            assert_eq!(found, code, "{method} {params}: {message}");
        }
    }

    fn a_call_with_an_idempotency_key_happens_once(server: &Server) {
        let client = server.client();
        let contact = json!({"first_name": "Ada", "idempotency_key": "ada-1"});
        let first = done(&client, "create_contact", contact.clone());
        let again = done(&client, "create_contact", contact);
        assert_eq!(first, again);
        let headers = [("content-type", "application/json"), ("idempotency-key", "ada-1")];
        let over_http = client.raw("POST", "/contacts", &headers, br#"{"first_name":"Ada"}"#).expect(201);
        assert_eq!(over_http.json(), first);
        error(&client, "create_contact", json!({"first_name": "Eve", "idempotency_key": "ada-1"}), "CONFLICT");
        assert_eq!(client.get("/contacts").expect(200).ids().len(), 1);

        for key in [json!("two words"), json!(""), json!(7)] {
            let arguments = json!({"first_name": "Bob", "idempotency_key": key});
            let refusal = error(&client, "create_contact", arguments, "VALIDATION_ERROR");
            assert!(text(&refusal["message"]).contains("idempotency_key must be"), "{refusal}");
        }
        assert_eq!(client.get("/contacts").expect(200).ids().len(), 1);
    }

    fn credits_are_charged_for_what_is_done_and_for_nothing_else(server: &Server) {
        let server = server.another(&["--monthly-credits", "3", "--enforce-credits"]);
        let client = server.client();
        error(&client, "create_contact", json!({}), "MISSING_FIELDS");
        error(&client, "get_contact", json!({"contact_id": NOBODY}), "NOT_FOUND");
        let made = done(&client, "create_contact", json!({"first_name": "Ada"}));
        assert_eq!(made["meta"]["credits_remaining"], 1);
        error(&client, "create_contact", json!({"first_name": "Bob"}), "INSUFFICIENT_CREDITS");
        done(&client, "list_contacts", json!({}));
        error(&client, "list_contacts", json!({}), "INSUFFICIENT_CREDITS");
        // What is free stays so.
        done(&client, "get_ai_instructions", json!({}));
        done(&client, "describe_resource", json!({"resource": "contacts"}));
    }

    fn a_key_that_calls_too_fast_is_told_when_to_come_again(server: &Server) {
        let server = server.another(&["--rate-limit", "1", "--rate-limit-burst", "3"]);
        let client = server.client();
        let refusal = loop {
            let (answer, refused) = call(&client, "get_ai_instructions", json!({}));
            if refused {
                break answer["error"].clone();
            }
        };
        assert_eq!((&refusal["code"], &refusal["status"]), (&json!("RATE_LIMITED"), &json!(429)));
        // A message that is no call is refused as a request is.
        let listed = eventually("the key is too fast", || {
            let answer = send(&client, &request("tools/list", json!({})));
            (answer.status == 429).then_some(answer)
        });
        assert_eq!(listed.error_code(), "RATE_LIMITED");
        let seconds = listed.header("retry-after").expect("a time to wait").parse().expect("seconds");
        std::thread::sleep(Duration::from_secs(seconds));
        done(&client, "get_ai_instructions", json!({}));
        assert_eq!(refusal["retry_after"], 1);
    }

    fn calls_are_counted_by_tool_and_told_to_the_log(server: &Server) {
        let client = server.client();
        done(&client, "list_customers", json!({}));
        error(&client, "get_contact", json!({"contact_id": NOBODY}), "NOT_FOUND");
        let page = client.under("").without_key().get("/metrics").expect(200).text;
        for counted in [
            r#"dealwright_tool_call_duration_seconds_count{tool="list_companies",status="2xx"} 1"#,
            r#"dealwright_tool_call_duration_seconds_count{tool="get_contact",status="4xx"} 1"#,
            r#"dealwright_http_request_duration_seconds_count{method="POST",route="/mcp",status="2xx"} 2"#,
        ] {
            assert!(page.contains(counted), "{counted} in {page}");
        }
        let log = server.log();
        assert!(log.contains(r#"tool="get_contact" status=404"#), "{log}");
    }

    fn nothing_that_an_agent_says_is_logged(server: &Server) {
        let server = server.another_logging("trace", &[]);
        let client = server.client();
        let name = "Zebulon Quagmire";
        let made = done(&client, "create_contact", json!({"first_name": name, name: name}));
        let id = text(&made["data"]["id"]);
        error(&client, "create_contact", json!({"email": name}), "MISSING_FIELDS");
        done(&client, "get_contact", json!({"contact_id": id}));
        refused(&client, "tools/call", json!({"name": name}));
        refused(&client, name, json!({}));
        refused(&client, "resources/read", json!({"uri": name}));
        for message in [json!({"jsonrpc": "2.0", "method": name}), json!([name]), json!(name)] {
            send(&client, &message);
        }
        let log = server.log();
        assert!(log.contains("tool call"), "{log}");
        let told: Vec<_> = log.lines().filter(|line| line.contains("Quagmire") || line.contains(&server.key()[8..])).collect();
        assert!(told.is_empty(), "{told:#?}");
    }
}
