//! The load generator: `wrk`, which sends what a file of requests says.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::Failure;
use crate::http::Client;
use crate::race::{Contender, Meter, Sample};

/// Sends the requests of a file, in random order.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lua/requests.lua");

/// How many loads there were, and how often one was put on.
static LOADS: AtomicU32 = AtomicU32::new(0);
static RUNS: AtomicU32 = AtomicU32::new(0);

/// A request: `GET /path`, or `POST /path` and a body of JSON.
pub(crate) type Request = String;

/// Begins an id in a request that is a new one each time that it is sent; two more
/// digits tell apart several of them in one request.
pub(crate) const FRESH_ID: &str = "fresh-id-0000";

/// Sends one such request by itself.
pub(crate) fn send(client: &Client, request: &Request) -> Result<String, Failure> {
    let now = SystemTime::UNIX_EPOCH.elapsed()?.as_micros() % 10_u128.pow(12);
    let request = request.replace(FRESH_ID, &format!("a{now:012}"));
    let mut parts = request.splitn(3, ' ');
    let method = parts.next().unwrap_or_default();
    let path = parts.next().ok_or("a request without a path")?;
    client.send(method, path, parts.next())
}

/// What servers have been asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    /// So many requests were answered.
    pub(crate) answered: u64,
    /// And so many more at most may have been done without an answer being read.
    pub(crate) under_way: u64,
}

/// Servers that can be put under a load.
pub(crate) struct Target {
    /// Where they are; each gets its share of the connections.
    pub(crate) servers: Vec<String>,
    /// What their clients send as `Authorization`.
    pub(crate) authorization: String,
    /// Whose processor time it takes.
    pub(crate) meter: Meter,
}

/// Servers under a load.
pub(crate) struct Load {
    name: String,
    target: Target,
    connections: u32,
    requests: PathBuf,
    done: Cell<Done>,
    /// How long the answer to the first of the requests is, in bytes.
    pub(crate) answer_size: usize,
}

impl Load {
    /// Gets a load ready: writes its requests to a file in the folder, and sends the
    /// first of them to see that it is answered as it should be.
    pub(crate) fn new(
        name: &str,
        target: Target,
        connections: u32,
        folder: &Path,
        requests: &[Request],
    ) -> Result<Self, Failure> {
        let number = LOADS.fetch_add(1, Ordering::Relaxed);
        let file = folder.join(format!("requests-{number}"));
        fs::write(&file, requests.join("\n"))?;
        let first = requests.first().ok_or("a load without requests")?;
        let mut answer_size = 0;
        for server in &target.servers {
            answer_size = send(&Client::new(server, &target.authorization), first)?.len();
        }
        Ok(Self {
            name: name.to_owned(),
            connections,
            requests: file,
            done: Cell::new(Done {
                answered: target.servers.len() as u64,
                under_way: 0,
            }),
            target,
            answer_size,
        })
    }

    /// What its servers have been asked for so far.
    pub(crate) fn done(&self) -> Done {
        self.done.get()
    }

    fn start(&self, server: &str, length: Duration) -> Result<Child, Failure> {
        let connections = (self.connections / self.target.servers.len() as u32).max(1);
        Command::new("wrk")
            .arg(format!("--threads={}", connections.min(2)))
            .arg(format!("--connections={connections}"))
            .arg(format!("--duration={}s", length.as_secs().max(1)))
            .args(["--timeout=30s", "--script", SCRIPT, server, "--"])
            .arg(&self.requests)
            .arg(&self.target.authorization)
            .arg(RUNS.fetch_add(1, Ordering::Relaxed).to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("wrk: {error}").into())
    }
}

impl Contender for Load {
    fn name(&self) -> &str {
        &self.name
    }

    fn connections(&self) -> u32 {
        self.connections
    }

    fn cpu(&self) -> Result<Option<Duration>, Failure> {
        self.target.meter.read().map(Some)
    }

    fn run(&self, length: Duration) -> Result<Sample, Failure> {
        let started: Result<Vec<_>, _> = self
            .target
            .servers
            .iter()
            .map(|server| self.start(server, length))
            .collect();
        let mut total: Option<Sample> = None;
        for child in started? {
            let output = child.wait_with_output()?;
            let printed = String::from_utf8_lossy(&output.stdout);
            let said = String::from_utf8_lossy(&output.stderr);
            let line = printed.lines().rfind(|line| line.starts_with('{'));
            let line = line.ok_or_else(|| format!("wrk failed: {printed}{said}"))?;
            let outcome: Outcome = serde_json::from_str(line)?;
            let sample = outcome.check(&self.name)?;
            total = Some(match total {
                Some(total) => total.beside(&sample),
                None => sample,
            });
        }
        let total = total.ok_or("a load without servers")?;
        let done = self.done.get();
        self.done.set(Done {
            answered: done.answered + total.requests,
            under_way: done.under_way + u64::from(self.connections),
        });
        Ok(total)
    }
}

/// What the script prints; times are in microseconds.
#[derive(Deserialize)]
struct Outcome {
    requests: u64,
    microseconds: u64,
    refused: u64,
    broken: u64,
    p50: u64,
    p95: u64,
    p99: u64,
}

impl Outcome {
    /// A load that was not answered throughout measures nothing.
    fn check(self, name: &str) -> Result<Sample, Failure> {
        let Self {
            refused, broken, ..
        } = self;
        if refused + broken > 0 {
            return Err(format!(
                "{name}: of {} requests {refused} were answered with an error and {broken} not at all",
                self.requests
            )
            .into());
        }
        Ok(Sample {
            requests: self.requests,
            elapsed: Duration::from_micros(self.microseconds),
            p50: Some(Duration::from_micros(self.p50)),
            p95: Some(Duration::from_micros(self.p95)),
            p99: Some(Duration::from_micros(self.p99)),
        })
    }
}
