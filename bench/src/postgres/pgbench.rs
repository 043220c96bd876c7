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
use crate::process;
use crate::race::{Contender, Sample};
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
    /// What the server sets for its connections.
    options: String,
    scripts: Vec<PathBuf>,
    /// Its variables that never change, as `name=value`.
    variables: Vec<String>,
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
        let pairs = seen.transactions.iter().map(|seen| [seen, seen]);
        Self::new(cluster, database, pairs, &seen.settings, clients)
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
        let pairs = seen.transactions.chunks_exact(2);
        let pairs = pairs.map(|pair| [&pair[0], &pair[1]]);
        Self::new(cluster, database, pairs, &seen.settings, clients)
    }

    /// A script for each request, from two times that it was seen: what differs
    /// between them has to be new each time.
    fn new<'a>(
        cluster: &Cluster,
        (name, database): (&str, &Database),
        seen: impl Iterator<Item = [&'a Transaction; 2]>,
        settings: &[String],
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
            options: settings
                .iter()
                .map(|setting| format!("-c {setting} "))
                .collect(),
            scripts,
            variables,
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

    /// That of its first second can't be told from that of the others.
    fn cpu(&self) -> Result<Option<Duration>, Failure> {
        Ok(None)
    }

    /// Its first second, in which it connects and prepares, does not count.
    fn run(&self, length: Duration) -> Result<Sample, Failure> {
        let mut command = Command::new(&self.program);
        command
            .env("PGOPTIONS", &self.options)
            .args([
                "--no-vacuum",
                "--protocol=prepared",
                "--jobs=2",
                "--progress=1",
            ])
            .arg(format!("--client={}", self.clients))
            .arg(format!("--time={}", 1 + length.as_secs().max(1)));
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
        let seconds = seconds(&process::run_told(command.arg(&self.url))?)?;
        let counted = seconds.get(1..).unwrap_or_default();
        Ok(Sample {
            requests: counted.iter().map(|second| second.done).sum::<f64>() as u64,
            elapsed: Duration::from_secs_f64(counted.iter().map(|second| second.length).sum()),
            p50: None,
            p95: None,
            p99: None,
        })
    }
}

/// What `pgbench` tells of a second.
#[derive(Debug, PartialEq)]
struct Second {
    /// How long it was, in seconds.
    length: f64,
    /// How many transactions it did in it.
    done: f64,
}

/// The seconds that `pgbench` tells of; a transaction that failed is an error.
fn seconds(printed: &str) -> Result<Vec<Second>, Failure> {
    let mut seconds = Vec::new();
    let mut before = 0.0;
    for line in printed.lines() {
        // As in `progress: 1.0 s, 959.0 tps, lat 16.6 ms stddev 3.2, 0 failed`.
        let Some(line) = line.strip_prefix("progress: ") else {
            continue;
        };
        let words: Vec<_> = line.split_whitespace().collect();
        let [at, "s,", rate, "tps,", .., "0", "failed"] = words[..] else {
            return Err(format!("pgbench failed: {line}").into());
        };
        let (at, rate): (f64, f64) = (at.parse()?, rate.parse()?);
        let length = at - before;
        let done = rate * length;
        seconds.push(Second { length, done });
        before = at;
    }
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seconds_are_read_and_a_failure_is_noticed() {
        let printed = "pgbench (15.18)\n\
            progress: 1.0 s, 100.0 tps, lat 1.6 ms stddev 3.2, 0 failed\n\
            progress: 3.0 s, 200.0 tps, lat 1.6 ms stddev 3.2, 0 failed\n\
            tps = 150\n";
        let second = |length, done| Second { length, done };
        let read = seconds(printed).expect("seconds");
        assert_eq!(read, [second(1.0, 100.0), second(2.0, 400.0)]);
        let failed = printed.replacen("0 failed", "10 failed", 1);
        assert!(seconds(&failed).is_err());
    }
}
