//! A fresh database for each test, and nothing left of it afterwards.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// The two database engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A PostgreSQL database of one test's own; dropped with it.
pub(super) struct Database {
    name: String,
}

impl Database {
    pub(super) fn create() -> Database {
        let name = format!("dealwright_{}", uuid::Uuid::now_v7().simple());
        // From the template that nobody can be connected to: copying the
        // usual one fails while another test looks at it.
        administer(&format!("create database {name} template template0"))
            .unwrap_or_else(|error| panic!("no database could be made: {error:?}"));
        Database { name }
    }

    pub(super) fn url(&self) -> String {
        let (server, _) = split_url(postgres_url());
        format!("{server}/{}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(error) = administer(&format!("drop database {} with (force)", self.name)) {
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

fn administer(statement: &str) -> Result<(), tokio_postgres::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread needs nothing that could be missing");
    runtime.block_on(async {
        let (client, connection) =
            tokio_postgres::connect(postgres_url(), tokio_postgres::NoTls).await?;
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
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        std::env::var("TEST_POSTGRES_URL")
            .ok()
            .filter(|url| !url.is_empty())
            .unwrap_or_else(start_cluster)
    })
}

/// Starts a cluster that ends when this process does, however it ends: the
/// command under which it runs reads a pipe that only we hold.
fn start_cluster() -> String {
    use std::os::unix::process::CommandExt as _;
    static CLUSTER: OnceLock<Child> = OnceLock::new();

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/with-postgres");
    let mut child = Command::new(&script)
        .args(["sh", "-c", r#"echo "$TEST_POSTGRES_URL"; cat >/dev/null"#])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Not ours to share: it outlives us by a moment, and a test runner
        // would wait for it.
        .stderr(Stdio::piped())
        // A test runner that kills this process's group must leave the script
        // alive to clean up.
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("{} does not run: {error}", script.display()));
    let mut url = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout)
            .read_line(&mut url)
            .expect("the address of the cluster");
    }
    if !url.starts_with("postgres") {
        let said = child.wait_with_output().expect("what the script says");
        panic!(
            "no PostgreSQL to test on, and TEST_POSTGRES_URL is not set: {}",
            String::from_utf8_lossy(&said.stderr)
        );
    }
    // Kept for the whole life of the process: dropping it closes the pipe.
    CLUSTER.get_or_init(|| child);
    url.trim().to_owned()
}
