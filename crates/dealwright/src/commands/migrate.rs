//! `dealwright migrate`.

use crm::MIGRATIONS;

use super::{Failure, open};
use crate::config::Configuration;

/// Applies the migrations that the database lacks and says which.
pub(crate) async fn run(configuration: &Configuration) -> Result<(), Failure> {
    let store = open(configuration).await?;
    let applied = store.migrate(MIGRATIONS).await?;
    for migration in MIGRATIONS
        .iter()
        .filter(|one| applied.contains(&one.number))
    {
        println!("applied {} {}", migration.number, migration.name);
    }
    println!("schema {} is up to date", store.schema_version().await?);
    store.close().await;
    Ok(())
}
