//! What tools there are, and what is said of them.

use serde_json::{Value, json};

use super::{ask, done, error, names, refused, tools};
use crate::fixtures::{endpoints, list, text};

/// The definition of one.
#[track_caller]
fn named<'a>(tools: &'a [Value], name: &str) -> &'a Value {
    let mut found = tools.iter().filter(|tool| tool["name"] == name);
    found.next().unwrap_or_else(|| panic!("there is no {name}"))
}

/// The hints of a tool: reads only, destroys, may be repeated, reaches out.
fn hints(tool: &Value) -> [Option<bool>; 4] {
    [
        "readOnlyHint",
        "destructiveHint",
        "idempotentHint",
        "openWorldHint",
    ]
    .map(|hint| tool["annotations"][hint].as_bool())
}

on_both_engines! {
    fn each_endpoint_of_the_catalog_that_answers_no_file_is_a_tool(server: &Server) {
        let client = server.client();
        let tools = tools(&client);
        let (endpoints, files): (Vec<_>, Vec<_>) =
            endpoints(&client).into_iter().partition(|endpoint| endpoint.tool().is_some());
        let files: Vec<_> = files.iter().map(|endpoint| endpoint.path()).collect();
        assert_eq!(files, ["/crm/export"]);
        let declared: Vec<_> = endpoints.iter().filter_map(|endpoint| endpoint.tool()).collect();
        assert_eq!(names(&tools), declared);
        for (tool, endpoint) in tools.iter().zip(&endpoints) {
            let title = text(&tool["title"]);
            let said = text(&tool["description"]);
            assert!(said.starts_with(&title) && said.len() > title.len() + 30, "{said}");
            assert_eq!(tool["annotations"]["title"], tool["title"]);
            let [reads, destroys, ..] = hints(tool);
            assert_eq!(reads, Some(!endpoint.is_write()), "{title}");
            if endpoint.method() == "DELETE" {
                assert_eq!(destroys, Some(true), "{title}");
            }
            for schema in ["inputSchema", "outputSchema"] {
                assert_eq!(tool[schema]["type"], "object", "{schema} of {title}");
            }
            assert!(!tool.to_string().contains("$ref"), "{title} refers to elsewhere");
            for (name, about) in tool["inputSchema"]["properties"].as_object().expect("arguments") {
                assert!(about["description"].is_string(), "{name} of {title}");
            }
        }
    }

    fn a_tool_takes_the_ids_of_the_path_by_the_names_of_their_records(server: &Server) {
        let tools = tools(&server.client());
        let of = |tool: &str| named(&tools, tool)["inputSchema"].clone();
        let moving = of("move_opportunity");
        assert_eq!(moving["required"], json!(["opportunity_id", "pipeline_id", "stage_id"]));
        assert_eq!(moving["properties"]["opportunity_id"]["format"], "uuid");
        assert_eq!(of("add_opportunity_contact")["required"], json!(["opportunity_id", "contact_id"]));
        assert_eq!(of("revoke_api_key")["required"], json!(["api_key_id"]));
        // What may be sent twice by mistake can be known again.
        assert!(of("create_contact")["properties"]["idempotency_key"].is_object());
        for tool in ["update_contact", "delete_contact", "search_contacts", "list_contacts"] {
            assert!(of(tool)["properties"].get("idempotency_key").is_none(), "{tool}");
        }
    }

    fn the_hints_of_a_tool_are_true(server: &Server) {
        let tools = tools(&server.client());
        for (tool, [reads, destroys, repeatable]) in [
            ("list_contacts", [true, false, true]),
            ("search_contacts", [true, false, true]),
            ("search", [true, false, true]),
            ("create_contact", [false, false, false]),
            ("add_opportunity_contact", [false, false, true]),
            ("update_contact", [false, true, true]),
            ("move_opportunity", [false, true, true]),
            ("complete_task", [false, true, true]),
            ("convert_referral", [false, true, true]),
            ("reorder_opportunity_products", [false, true, true]),
            ("bulk_delete_contacts", [false, true, true]),
            ("delete_contact", [false, true, true]),
        ] {
            let expected = [reads, destroys, repeatable, false].map(Some);
            assert_eq!(hints(named(&tools, tool)), expected, "{tool}");
        }
    }

    fn a_client_lists_only_what_its_key_may_do(server: &Server) {
        let client = server.client_with(&["contacts:read", "opportunities:read"]);
        let listed = names(&tools(&client));
        assert!(listed.contains(&"list_contact_opportunities".to_owned()), "{listed:?}");
        assert!(listed.contains(&"get_ai_instructions".to_owned()), "{listed:?}");
        for forbidden in ["create_contact", "list_contact_employers", "list_pipelines"] {
            assert!(!listed.contains(&forbidden.to_owned()), "{listed:?}");
        }
        let refusal = error(&client, "create_contact", json!({"first_name": "Ada"}), "INSUFFICIENT_SCOPE");
        assert!(text(&refusal["message"]).contains("contacts:write"), "{refusal}");
    }

    fn a_listing_goes_on_behind_its_cursor(server: &Server) {
        let client = server.client();
        let all = tools(&client);
        let rest = ask(&client, "tools/list", json!({"cursor": all[9]["name"]}));
        assert_eq!(list(&rest["tools"]), &all[10..]);
        let (code, _) = refused(&client, "tools/list", json!({"cursor": "nowhere"}));
        assert_eq!(code, -32602);
    }

    fn old_names_can_be_called_with_old_arguments_and_are_not_listed(server: &Server) {
        let client = server.client();
        let listed = names(&tools(&client)).join(" ");
        assert!(!listed.contains("deal") && !listed.contains("customer"), "{listed}");

        let company = done(&client, "create_customer", json!({"name": "Engines"}));
        let company = text(&company["data"]["id"]);
        let made = done(&client, "create_deal", json!({"name": "Fence", "customer_id": company}));
        let id = text(&made["data"]["id"]);
        let changed = done(&client, "update_deal", json!({"deal_id": id, "value": 7}));
        assert_eq!(changed["data"]["value"], 7);
        let found = done(&client, "list_customer_deals", json!({"customer_id": company}));
        assert_eq!(found["data"][0]["id"], id.as_str());
        // Each by itself, too.
        done(&client, "get_deal", json!({"opportunity_id": id}));
        done(&client, "get_opportunity", json!({"deal_id": id}));
        done(&client, "delete_deal", json!({"deal_id": id}));
        error(&client, "get_deal", json!({"deal_id": id}), "NOT_FOUND");
    }

    fn an_agent_is_told_how_to_work_here_for_nothing(server: &Server) {
        let client = server.client();
        let told = done(&client, "get_ai_instructions", json!({}));
        assert_eq!(told["meta"]["credits_remaining"], 1_000_000);
        let told = &told["data"];
        assert!(text(&told["instructions"]).contains("move_opportunity"));
        assert_eq!(told["scopes"], json!(["*"]));
        assert_eq!(told["workspace"]["name"], "My business");
        let pipeline = client.get("/pipelines").expect(200).ids().remove(0);
        let whole = client.get(&format!("/pipelines/{pipeline}")).expect(200).data();
        assert_eq!(told["pipelines"], json!([whole]));
        assert!(list(&told["resources"]).contains(&json!("opportunities")));

        let limited = server.client_with(&["contacts:read"]);
        let told = done(&limited, "get_ai_instructions", json!({}))["data"].clone();
        assert_eq!((&told["workspace"], &told["pipelines"]), (&Value::Null, &Value::Null));
        // The same over HTTP.
        assert_eq!(limited.get("/agents/instructions").expect(200).data(), told);
    }

    fn a_kind_of_record_is_described_as_the_key_may_use_it(server: &Server) {
        let client = server.client_with(&["opportunities:read"]);
        let told = done(&client, "describe_resource", json!({"resource": "deals"}))["data"].clone();
        assert_eq!(told["resource"], "opportunities");
        let step = |part: &str, tool: &str| -> Value {
            let mut steps = list(&told[part]).iter();
            steps.find(|step| step["tool"] == tool).cloned().unwrap_or_default()
        };
        assert_eq!(step("primary", "get_opportunity")["allowed"], true);
        assert_eq!(step("workflows", "move_opportunity")["allowed"], false);
        assert_eq!(step("workflows", "move_opportunity")["scopes"], json!(["opportunities:write"]));
        let below: Vec<_> = list(&told["sub_resources"]).iter().map(|sub| text(&sub["name"])).collect();
        assert!(["contacts", "users", "products"].iter().all(|name| below.iter().any(|one| one == name)), "{below:?}");
        assert_eq!(told["field_hints"]["name"]["required"], true);

        let resources = done(&client, "get_ai_instructions", json!({}))["data"]["resources"].clone();
        for (resource, tool) in [
            ("users", "get_user"),
            ("stages", "create_pipeline_stage"),
            ("crm-logs", "list_crm_logs"),
            ("crm-settings", "update_crm_settings"),
        ] {
            assert!(list(&resources).iter().any(|one| one == resource), "{resources}");
            let told = done(&client, "describe_resource", json!({"resource": resource}))["data"].clone();
            assert_eq!(told["resource"], resource);
            assert!(list(&told["primary"]).iter().any(|step| step["tool"] == tool), "{told}");
        }

        let refusal = error(&client, "describe_resource", json!({"resource": "zebras"}), "VALIDATION_ERROR");
        assert!(text(&refusal["fix"]).contains("opportunities, pipelines"), "{refusal}");
        error(&client, "describe_resource", json!({}), "MISSING_FIELDS");
    }
}
