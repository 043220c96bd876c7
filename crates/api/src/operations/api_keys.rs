//! `/api-keys`.

use crm::api_keys::{self, ApiKey, ApiKeyFields};
use crm::input::Nothing;
use crm::paging::PageRequest;
use crm::record::{self, New};

use crate::envelope::{Created, One};
use crate::operation::Operation;

const READ: &[&str] = &["api-keys:read"];
const WRITE: &[&str] = &["api-keys:write"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api-keys", "list_api_keys")
            .scopes(READ)
            .about(
                "List API keys",
                "The newest first, with their scopes and when they were last used, without the \
                 keys themselves.",
            )
            .read(|db, who, [], page: PageRequest| api_keys::list(db, who, page)),
        Operation::get("/api-keys/:id", "get_api_key")
            .scopes(READ)
            .about(
                "Get an API key",
                "The record of one key: its scopes, its end, when it was last used. The key \
                 itself is shown only by `create_api_key`.",
            )
            .read(|db, who, [id], _: Nothing| record::get::<ApiKey>(db, who, id).map(One)),
        Operation::post("/api-keys", "create_api_key")
            .scopes(WRITE)
            .about(
                "Create an API key",
                "The answer shows the `key` once: keep it. A key can't grant what it lacks \
                 itself.",
            )
            .write(|tx, who, [], input: New<ApiKeyFields>| {
                api_keys::create(tx, who, input).map(Created)
            }),
        Operation::patch("/api-keys/:id", "update_api_key")
            .scopes(WRITE)
            .about(
                "Update an API key",
                "Changes its name, its scopes or its end, at once. A key can't grant what it \
                 lacks itself. To end it now use `revoke_api_key`.",
            )
            .write(|tx, who, [id], input: ApiKeyFields| {
                api_keys::update(tx, who, id, input).map(One)
            }),
        Operation::delete("/api-keys/:id", "revoke_api_key")
            .scopes(WRITE)
            .about(
                "Revoke an API key",
                "It is refused from now on, which can't be undone; its record stays, with \
                 `revoked_at`.",
            )
            .write(|tx, who, [id], _: Nothing| api_keys::revoke(tx, who, id)),
    ]
}
