//! `dealwright workspace`: the businesses that an installation serves.

use clap::Subcommand;
use crm::workspaces::{self, NewWorkspace};
use crm::{Ids, time::Timestamp};
use serde_json::json;

use super::{Failure, open_migrated, print_json};
use crate::config::Configuration;

/// What is done about workspaces.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkspaceCommand {
    /// Makes a workspace with a default pipeline and an administrator
    Create {
        /// What it is called
        #[arg(long)]
        name: String,
        /// Prints one JSON object: id, name
        #[arg(long)]
        json: bool,
    },
    /// Lists the workspaces, the oldest first
    List {
        /// Prints one JSON object with a list: workspaces
        #[arg(long)]
        json: bool,
    },
}

/// Runs one of them.
pub(crate) async fn run(
    configuration: &Configuration,
    command: &WorkspaceCommand,
) -> Result<(), Failure> {
    let store = open_migrated(configuration).await?;
    match command {
        WorkspaceCommand::Create { name, json } => {
            let new = NewWorkspace::called(name)?;
            let (now, ids) = (Timestamp::now(), Ids::default());
            let made = store
                .write(move |tx| workspaces::create(tx, new.clone(), now, &ids))
                .await?;
            let (workspace, _) = made;
            if *json {
                print_json(&json!({ "id": workspace.id, "name": workspace.name }));
            } else {
                println!("{}  {}", workspace.id, workspace.name);
            }
        }
        WorkspaceCommand::List { json } => {
            let all = store.read(workspaces::all).await?;
            if *json {
                print_json(&json!({ "workspaces": all }));
            } else {
                for workspace in all {
                    println!("{}  {}", workspace.id, workspace.name);
                }
            }
        }
    }
    store.close().await;
    Ok(())
}
