//! A fresh database for each test, and nothing left of it afterwards.

use std::sync::OnceLock;

use super::Cluster;

/// The two database engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A PostgreSQL database of one test's own; dropped with it.
pub(super) struct Database {
    /// The URL of the cluster that has it.
    cluster: String,
    name: String,
}

impl Database {
    /// In the cluster that all tests share.
    pub(super) fn create() -> Database {
        Database::create_in(postgres_url())
    }

    /// In the cluster with this URL.
    pub(super) fn create_in(cluster: &str) -> Database {
        let name = format!("dealwright_{}", uuid::Uuid::now_v7().simple());
        // From the template that nobody can be connected to: copying the
        // usual one fails while another test looks at it.
        let create = format!("create database {name} template template0");
        administer(cluster, &create)
            .unwrap_or_else(|error| panic!("no database could be made: {error:?}"));
        Database {
            cluster: cluster.to_owned(),
            name,
        }
    }

    pub(super) fn url(&self) -> String {
        let (server, _) = split_url(&self.cluster);
        format!("{server}/{}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("drop database {} with (force)", self.name);
        if let Err(error) = administer(&self.cluster, &drop) {
            eprintln!("database {} stays behind: {error:?}", self.name);
        }
    }
}

/// Everything before the database's name, and the name.
fn split_url(url: &str) -> (&str, &str) {
    let after_scheme = url.find("://").map_or(0, |scheme| scheme + 3);
    match url[after_scheme..].find('/') {
        Some(slash) => {
            let (server, name) = url.split_at(after_scheme + slash);
            (server, &name[1..])
        }
        None => (url, ""),
    }
}

fn administer(url: &str, statement: &str) -> Result<(), tokio_postgres::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread needs nothing that could be missing");
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        let connection = tokio::spawn(connection);
        client.batch_execute(statement).await?;
        drop(client);
        // It ends with the client; what it could still report is not ours.
        let _ = connection.await;
        Ok(())
    })
}

/// The server that `TEST_POSTGRES_URL` names, or one started for this process.
fn postgres_url() -> &'static str {
    static STARTED: OnceLock<Cluster> = OnceLock::new();
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        std::env::var("TEST_POSTGRES_URL")
            .ok()
            .filter(|url| !url.is_empty())
            // Kept for the whole life of the process.
            .unwrap_or_else(|| STARTED.get_or_init(Cluster::start).url().to_owned())
    })
}
