//! Measures the server: how fast it answers, next to what it is compared with,
//! and what it takes. docs/performance.md says how to read what comes out.

mod bare;
mod dealwright;
mod http;
mod limit;
mod loads;
mod machine;
mod made_up;
mod options;
mod packages;
mod pocketbase;
mod postgres;
mod process;
mod race;
mod report;
mod sections;
mod seed;
mod wrk;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser as _;

use options::{Engine, Options};
use report::Report;
use seed::Seed;
use wrk::{Load, Request, Target};

/// Why something could not be measured, to be shown to who asked for it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The root of the project.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Where the tables are kept.
const DOCUMENT: &str = "docs/performance.md";

/// What all measurements share.
struct Bench {
    options: Options,
    /// The program that is measured.
    binary: PathBuf,
    /// Where seeded databases are kept.
    data: PathBuf,
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<(), Failure> {
    std::fs::create_dir_all(&options.data)?;
    let bench = Bench {
        binary: match &options.binary {
            Some(binary) => std::path::absolute(binary)?,
            None => build()?,
        },
        data: std::fs::canonicalize(&options.data)?,
        options,
    };
    packages::need("wrk", "wrk")?;
    let _ = std::fs::remove_dir_all(bench.work(""));
    std::fs::create_dir_all(bench.work(""))?;
    let mut report = Report::default();
    let measured = measure(&bench, &mut report);
    // What came out before something failed took its time as well.
    println!("{report}");
    measured?;
    std::fs::remove_dir_all(bench.work(""))?;
    if bench.options.is_whole() {
        report::write(&report, &Path::new(ROOT).join(DOCUMENT))?;
    }
    Ok(())
}

fn measure(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    machine::describe(bench, report)?;
    if bench.options.engines.contains(&Engine::Sqlite) {
        sections::sqlite::run(bench, report)?;
        sections::scale::run(bench, report)?;
        sections::export::run(bench, report)?;
        sections::start::run(bench, report)?;
    }
    if bench.options.engines.contains(&Engine::Postgres) {
        sections::postgres::run(bench, report)?;
    }
    Ok(())
}

/// Builds the program as it is released.
fn build() -> Result<PathBuf, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--package", "dealwright"])
        .current_dir(ROOT)
        .status()?;
    if !built.success() {
        return Err("the server could not be built".into());
    }
    beside("dealwright")
}

/// A program that was built into the same folder as this one.
fn beside(name: &str) -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?.with_file_name(name);
    match program.is_file() {
        true => Ok(program),
        false => Err(format!("there is no {}", program.display()).into()),
    }
}

impl Bench {
    /// The seeded database of this size.
    fn seed(&self, size: u64) -> Result<Seed, Failure> {
        Seed::get(&self.data, &self.binary, size)
    }

    /// A load on these servers.
    fn load(
        &self,
        name: &str,
        target: Target,
        connections: u32,
        requests: &[Request],
    ) -> Result<Load, Failure> {
        Load::new(name, target, connections, &self.work(""), requests)
    }

    /// A place for what is thrown away.
    fn work(&self, name: &str) -> PathBuf {
        self.data.join("work").join(name)
    }
}
