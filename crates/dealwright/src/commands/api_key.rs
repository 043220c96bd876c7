//! `dealwright api-key`: keys made and revoked at the command line.

use clap::Subcommand;
use crm::api_keys::{self, ApiKey, ApiKeyFields};
use crm::paging::{Cursor, Limit, PageRequest};
use crm::record::New;
use crm::scopes::Scopes;
use crm::text::Name;
use serde_json::json;
use uuid::Uuid;

use super::{Failure, WorkspaceOption, open_migrated, operator, print_json};
use crate::config::Configuration;

/// What is done about API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeyCommand {
    /// Makes a key and prints it: it can't be shown again
    Create {
        /// What it may do, separated by commas: opportunities:read,contacts:read;
        /// * for everything
        #[arg(long, value_name = "SCOPES")]
        scopes: String,
        /// What it is for
        #[arg(long, default_value = "made at the command line")]
        name: String,
        #[command(flatten)]
        workspace: WorkspaceOption,
        /// Prints one JSON object: id, key, workspace_id, name, scopes
        #[arg(long)]
        json: bool,
    },
    /// Lists the keys, the newest first, without the keys themselves
    List {
        #[command(flatten)]
        workspace: WorkspaceOption,
        /// Prints one JSON object with a list: api_keys
        #[arg(long)]
        json: bool,
    },
    /// Revokes a key: within a second every server refuses it
    Revoke {
        /// Its id, as `api-key list` shows it
        id: Uuid,
        #[command(flatten)]
        workspace: WorkspaceOption,
        /// Prints one JSON object: id
        #[arg(long)]
        json: bool,
    },
}

/// Runs one of them.
pub(crate) async fn run(
    configuration: &Configuration,
    command: &ApiKeyCommand,
) -> Result<(), Failure> {
    let store = open_migrated(configuration).await?;
    match command {
        ApiKeyCommand::Create {
            scopes,
            name,
            workspace,
            json,
        } => {
            let (workspace, who) = workspace.find(&store).await?;
            let name = Name::read(name).map_err(|flaw| format!("--name {}", flaw.message))?;
            let scopes = Scopes::of(scopes.split(','))
                .map_err(|flaw| format!("--scopes: each {}", flaw.message))?;
            let fields = ApiKeyFields {
                name: Some(name.ok_or("--name must not be blank")?),
                scopes: Some(scopes),
                ..ApiKeyFields::default()
            };
            let made = store
                .write(move |tx| api_keys::create(tx, &who, New(fields.clone())))
                .await?;
            if *json {
                print_json(&json!({
                    "id": made.record.id,
                    "key": made.key,
                    "workspace_id": workspace.id,
                    "name": made.record.name,
                    "scopes": made.record.scopes,
                }));
            } else {
                println!("{}", made.key.reveal());
            }
        }
        ApiKeyCommand::List { workspace, json } => {
            let (_, who) = workspace.find(&store).await?;
            let keys = store.read(move |db| all(db, &who)).await?;
            if *json {
                print_json(&json!({ "api_keys": keys }));
            } else {
                for key in keys {
                    let state = match key.revoked_at {
                        Some(at) => format!("revoked {at}"),
                        None => "in use".to_owned(),
                    };
                    let scopes = key.scopes.names().join(",");
                    println!("{}  {}  {scopes}  {state}", key.id, key.name);
                }
            }
        }
        ApiKeyCommand::Revoke {
            id,
            workspace,
            json,
        } => {
            let id = *id;
            let who = match workspace.is_given() {
                true => workspace.find(&store).await?.1,
                false => match store.read(move |db| api_keys::workspace_of(db, id)).await? {
                    Some(workspace_id) => operator(workspace_id),
                    None => return Err(format!("there is no API key with the id {id}").into()),
                },
            };
            store
                .write(move |tx| api_keys::revoke(tx, &who, id))
                .await?;
            if *json {
                print_json(&json!({ "id": id }));
            } else {
                println!("revoked {id}");
            }
        }
    }
    store.close().await;
    Ok(())
}

/// Every key of the workspace, page after page.
fn all(db: &store::Db<'_>, who: &crm::Caller) -> crm::Result<Vec<ApiKey>> {
    let mut keys = Vec::new();
    let mut cursor = None;
    loop {
        let request = PageRequest {
            limit: Limit::from(100),
            cursor,
        };
        let page = api_keys::list(db, who, request)?;
        keys.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = Some(Cursor::Older(next)),
            None => return Ok(keys),
        }
    }
}
