//! A reference: `pgbench`, which sends PostgreSQL the statements that the server
//! sends, and does nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::Cluster;
use super::script::Script;
use super::statements::{self, Transaction};
use crate::Failure;
use crate::dealwright::Database;
use crate::measure::{Contender, Meter, Sample};
use crate::process;
use crate::wrk::Request;

/// How many of the requests become a script.
const READS: usize = 16;
/// Fewer of those that write, since each client prepares each statement of each
/// script.
const WRITES: usize = 4;

/// What `pgbench` is to send.
pub(crate) struct Pgbench {
    program: PathBuf,
    url: String,
    clients: u32,
    scripts: Vec<PathBuf>,
    /// Its variables that never change, as `name=value`.
    variables: Vec<String>,
    meter: Meter,
}

impl Pgbench {
    /// Sends what reading by these requests sends.
    pub(crate) fn reading(
        cluster: &Cluster,
        binary: &Path,
        database: (&str, &Database),
        requests: &[Request],
        clients: u32,
    ) -> Result<Self, Failure> {
        let requests = &requests[..READS.min(requests.len())];
        let seen = statements::of_requests(cluster, binary, database, requests)?;
        // Each is sent with the very values that it was seen with.
        let pairs = seen.iter().map(|seen| [seen, seen]);
        Self::new(cluster, database, pairs, clients)
    }

    /// Sends what writing by these requests sends, each time with other ids.
    pub(crate) fn writing(
        cluster: &Cluster,
        binary: &Path,
        database: (&str, &Database),
        requests: &[Request],
        clients: u32,
    ) -> Result<Self, Failure> {
        let mut twice = Vec::new();
        for request in requests.iter().take(WRITES) {
            twice.extend([request.clone(), request.clone()]);
        }
        let seen = statements::of_requests(cluster, binary, database, &twice)?;
        let pairs = seen.chunks_exact(2).map(|pair| [&pair[0], &pair[1]]);
        Self::new(cluster, database, pairs, clients)
    }

    /// A script for each request, from two times that it was seen: what differs
    /// between them has to be new each time.
    fn new<'a>(
        cluster: &Cluster,
        (name, database): (&str, &Database),
        seen: impl Iterator<Item = [&'a Transaction; 2]>,
        clients: u32,
    ) -> Result<Self, Failure> {
        let mut scripts = Vec::new();
        let mut variables = Vec::new();
        for (number, [one, other]) in seen.enumerate() {
            let types = one
                .iter()
                .map(|statement| parameter_types(cluster, name, &statement.sql))
                .collect::<Result<Vec<_>, _>>()?;
            let script = Script::new(number, one, other, &types)?;
            let file = database.folder.join(format!("{name}-{number}.pgbench"));
            fs::write(&file, script.text)?;
            scripts.push(file);
            variables.extend(script.variables);
        }
        Ok(Self {
            program: cluster.programs.join("pgbench"),
            url: cluster.url(name),
            clients,
            scripts,
            variables,
            meter: Meter {
                processes: Vec::new(),
                families: vec![cluster.id()],
            },
        })
    }
}

/// The types of a statement's parameters, as PostgreSQL infers them.
fn parameter_types(cluster: &Cluster, database: &str, sql: &str) -> Result<Vec<String>, Failure> {
    if !sql.contains('$') {
        return Ok(Vec::new());
    }
    let types = cluster.psql(
        database,
        &format!(
            "prepare it as {sql};
             select array_to_string(parameter_types, ',') from pg_prepared_statements"
        ),
    )?;
    Ok(types.split(',').map(str::to_owned).collect())
}

impl Contender for Pgbench {
    fn name(&self) -> &str {
        "pgbench"
    }

    fn connections(&self) -> u32 {
        self.clients
    }

    fn cpu(&self) -> Result<Option<Duration>, Failure> {
        self.meter.read().map(Some)
    }

    fn run(&self, length: Duration) -> Result<Sample, Failure> {
        let mut command = Command::new(&self.program);
        command
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
            .arg(format!("--client={}", self.clients))
            .arg(format!("--time={}", length.as_secs().max(1)));
        for variable in &self.variables {
            command.args(["--define", variable]);
        }
        // So that no two runs make the same ids.
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed()?;
        command.arg(format!("--define=run={}", now.as_secs()));
        command.arg("--define=n=0");
        for script in &self.scripts {
            command.arg("--file").arg(script);
        }
        let printed = process::run(command.arg(&self.url))?;
        let number = |label: &str| -> Result<f64, Failure> {
            let line = printed.lines().find_map(|line| line.strip_prefix(label));
            let word = line.and_then(|line| line.split_whitespace().next());
            let word = word.ok_or_else(|| format!("pgbench printed no {label}: {printed}"))?;
            Ok(word.parse()?)
        };
        if number("number of failed transactions:")? > 0.0 {
            return Err(format!("pgbench: transactions failed: {printed}").into());
        }
        let done = number("number of transactions actually processed:")?;
        Ok(Sample {
            requests: done as u64,
            elapsed: Duration::from_secs_f64(done / number("tps =")?),
            p50: None,
            p95: None,
            p99: None,
        })
    }
}
