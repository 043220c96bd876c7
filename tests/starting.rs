//! Starting and stopping: what an operator can rely on.

use serde_json::json;

use crate::harness::assert_error;

on_both_engines! {
    fn a_new_installation_answers_with_the_key_it_printed(server: &Server) {
        let root = server.client().under("");
        root.without_key().get("/healthz").expect(200);
        root.without_key().get("/readyz").expect(200);

        server.client().get("/opportunities").expect(200);
        let stranger = server.client().without_key().get("/opportunities");
        assert_error(&stranger, 401, "UNAUTHORIZED", &[]);
    }

    fn the_old_prefix_serves_the_same_records(server: &Server) {
        let made = server.client().post("/opportunities", json!({"name": "Fence"})).expect(201);
        let old = server.client().under("/functions/v1/api/v1");
        let found = old.get(&format!("/deals/{}", made.id())).expect(200);
        assert_eq!(found.data(), made.data());
    }

    fn a_restart_keeps_keys_and_records_and_prints_no_key(server: &Server) {
        let client = server.client();
        let id = client.post("/opportunities", json!({"name": "Fence"})).expect(201).id();
        let printed = server.output().matches(server.key()).count();

        server.restart();

        client.get(&format!("/opportunities/{id}")).expect(200);
        assert_eq!(server.output().matches(server.key()).count(), printed);
    }

    fn an_acknowledged_write_survives_kill_9(server: &Server) {
        let client = server.client();
        let id = client.post("/opportunities", json!({"name": "Fence"})).expect(201).id();

        server.kill_9();
        server.start_again();

        client.get(&format!("/opportunities/{id}")).expect(200);
    }

    fn a_key_does_what_its_scopes_allow_and_no_more(server: &Server) {
        let reader = server.client_with(&["opportunities:read"]);
        reader.get("/opportunities").expect(200);
        let refused = reader.post("/opportunities", json!({"name": "Fence"}));
        assert_error(&refused, 403, "INSUFFICIENT_SCOPE", &["opportunities:write"]);
    }

    fn check_tries_what_serve_would_be_given_by_the_file(server: &Server) {
        let file = server.data_dir().with_file_name("options.toml");
        let check = |text: &str| {
            std::fs::write(&file, text).expect("a file");
            let checked = server.cli(&["check", "--config", &file.display().to_string()]);
            (checked.status.code(), String::from_utf8_lossy(&checked.stdout).into_owned())
        };
        let (code, said) = check("max_requests = 8\nlisten = \"127.0.0.1:0\"\n");
        assert_eq!(code, Some(0), "{said}");
        let (code, said) = check("max_requests = 0\n");
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("failed  options of serve: invalid value '0' for '--max-requests"), "{said}");
        // What else there is to check is checked all the same.
        assert!(said.contains("ok      database"), "{said}");
    }

    fn a_workspace_made_on_the_command_line_sees_only_its_own(server: &Server) {
        let id = server.client().post("/opportunities", json!({"name": "Fence"})).expect(201).id();
        let other = server.workspace("Other");
        let path = format!("/opportunities/{id}");
        assert_error(&other.client().get(&path), 404, "NOT_FOUND", &[]);
        let listed = other.client().get("/opportunities").expect(200);
        assert_eq!(listed.ids(), Vec::<String>::new());
    }
}
