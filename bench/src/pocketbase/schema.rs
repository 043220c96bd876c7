//! The collections that someone who keeps opportunities in PocketBase would make.

use serde_json::{Map, Value, json};

use crate::Failure;
use crate::http::{self, Client};
use crate::seed::BULK;

/// Whoever is signed in may do everything.
const RULE: &str = "@request.auth.id != \"\"";

/// Makes the collections, and settles what concerns all of them.
pub(super) fn make(client: &Client) -> Result<(), Failure> {
    client.patch(
        "/api/settings",
        &json!({
            // Each opportunity with its card.
            "batch": { "enabled": true, "maxRequests": 2 * BULK, "timeout": 30 },
            // Ours logs no requests either while it is measured.
            "logs": { "maxDays": 0 },
            "rateLimits": { "enabled": false },
        }),
    )?;
    let texts = |names: &[&str]| names.iter().map(|name| text(name)).collect::<Vec<_>>();
    let companies = texts(&["name", "email", "phone", "website", "industry"]);
    let companies = collection(client, "companies", companies, &[])?;
    let contacts = texts(&[
        "first_name",
        "last_name",
        "email",
        "phone",
        "city",
        "source",
    ]);
    let contacts = collection(client, "contacts", contacts, &["email"])?;
    let pipelines = vec![text("name"), number("position")];
    let pipelines = collection(client, "pipelines", pipelines, &[])?;
    let stages = vec![
        relation("pipeline", &pipelines),
        text("name"),
        text("color"),
        number("position"),
        boolean("is_won"),
        boolean("is_lost"),
    ];
    let stages = collection(client, "stages", stages, &["pipeline"])?;
    let opportunities = vec![
        text("name"),
        json!({ "name": "status", "type": "select", "values": ["open", "won", "lost"], "maxSelect": 1 }),
        relation("contact", &contacts),
        relation("company", &companies),
        number("value"),
        text("currency"),
        number("probability"),
        date("expected_close_date"),
        date("won_at"),
        date("lost_at"),
        text("lead_source"),
        json!({ "name": "tags", "type": "json" }),
        text("notes"),
    ];
    let indexes = ["created", "status", "contact", "company"];
    let opportunities = collection(client, "opportunities", opportunities, &indexes)?;
    let cards = vec![
        relation("opportunity", &opportunities),
        relation("pipeline", &pipelines),
        relation("stage", &stages),
        text("rank"),
        date("entered_stage"),
    ];
    collection(
        client,
        "cards",
        cards,
        &["opportunity", "stage", "pipeline"],
    )?;
    Ok(())
}

/// Makes one, with an index for each of these columns. Gives its id.
fn collection(
    client: &Client,
    name: &str,
    mut fields: Vec<Value>,
    indexed: &[&str],
) -> Result<String, Failure> {
    fields.push(json!({ "name": "created", "type": "autodate", "onCreate": true }));
    fields
        .push(json!({ "name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true }));
    let index = |column: &&str| format!("create index {name}_by_{column} on {name} ({column})");
    let indexes: Vec<_> = indexed.iter().map(index).collect();
    let mut definition = Map::new();
    for rule in [
        "listRule",
        "viewRule",
        "createRule",
        "updateRule",
        "deleteRule",
    ] {
        definition.insert(rule.to_owned(), json!(RULE));
    }
    for (key, value) in [
        ("name", json!(name)),
        ("type", json!("base")),
        ("fields", json!(fields)),
        ("indexes", json!(indexes)),
    ] {
        definition.insert(key.to_owned(), value);
    }
    let made = client.post("/api/collections", &Value::Object(definition))?;
    http::text(&made, "id")
}

fn text(name: &str) -> Value {
    json!({ "name": name, "type": "text" })
}

fn number(name: &str) -> Value {
    json!({ "name": name, "type": "number" })
}

fn boolean(name: &str) -> Value {
    json!({ "name": name, "type": "bool" })
}

fn date(name: &str) -> Value {
    json!({ "name": name, "type": "date" })
}

fn relation(name: &str, collection: &str) -> Value {
    json!({ "name": name, "type": "relation", "collectionId": collection, "maxSelect": 1 })
}
