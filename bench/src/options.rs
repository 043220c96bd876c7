//! What is to be measured.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures the server and what it is compared with, and writes the tables of
/// docs/performance.md.
///
/// Without options everything is measured and written down. As soon as something
/// else is chosen, the tables are only printed.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Measure these only
    #[arg(long, value_delimiter = ',', value_name = "PART")]
    pub(crate) only: Vec<Part>,
    /// How many opportunities there are: the smallest and the largest number show
    /// how it grows, the one in the middle is compared with others
    #[arg(long, value_delimiter = ',', default_value = "10k,100k,1m", value_parser = size)]
    pub(crate) sizes: Vec<u64>,
    /// On which databases
    #[arg(long, value_delimiter = ',', default_value = "sqlite,postgres")]
    pub(crate) engines: Vec<Engine>,
    /// How long each load takes
    #[arg(long, default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Where seeded databases are kept for the next time
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    pub(crate) data: PathBuf,
    /// Measure this program instead of building one
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
}

/// A part of what is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// One opportunity by its id
    GetOne,
    /// A page of 25
    List,
    /// A page with all expansions
    ListExpanded,
    /// A column of a board
    Board,
    /// One opportunity by its id, while others are moved
    Mixed,
    /// Creating one
    Create,
    /// Moving one
    Move,
    /// Creating a hundred in one call
    BulkCreate,
    /// The smallest database against the largest
    Growth,
    /// Searching the largest database
    Search,
    /// Pipeline summaries and stage counts
    Summary,
    /// Memory under every kind of load
    Memory,
    /// Memory and time that an export takes
    Export,
    /// From the start to the first answer
    Start,
    /// Two servers on one PostgreSQL database
    TwoServers,
}

/// A database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// Inside the server
    Sqlite,
    /// Beside it
    Postgres,
}

impl Options {
    /// Whether everything is measured as it is to be written down.
    pub(crate) fn is_whole(&self) -> bool {
        let default = Self::parse_from(["bench"]);
        self.binary.is_none()
            && self.only.is_empty()
            && self.sizes == default.sizes
            && self.engines == default.engines
            && self.seconds == default.seconds
    }

    /// Whether a part is to be measured.
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// Whether any of these is to be measured.
    pub(crate) fn wants_any(&self, parts: &[Part]) -> bool {
        parts.iter().any(|part| self.wants(*part))
    }

    /// How long each load takes.
    pub(crate) fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The smallest number of opportunities.
    pub(crate) fn smallest(&self) -> u64 {
        self.sizes.iter().copied().min().unwrap_or_default()
    }

    /// The largest.
    pub(crate) fn largest(&self) -> u64 {
        self.sizes.iter().copied().max().unwrap_or_default()
    }

    /// The one in the middle.
    pub(crate) fn middle(&self) -> u64 {
        let mut sizes = self.sizes.clone();
        sizes.sort_unstable();
        sizes.get(sizes.len() / 2).copied().unwrap_or_default()
    }
}

/// A number such as `10000`, `10k` or `1m`, of at least a thousand.
fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.to_ascii_lowercase() {
        text if text.ends_with('k') => (text.trim_end_matches('k').to_owned(), 1_000),
        text if text.ends_with('m') => (text.trim_end_matches('m').to_owned(), 1_000_000),
        text => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| "a number such as 10k or 1m")?;
    match number.checked_mul(unit) {
        Some(size) if size >= 1_000 => Ok(size),
        _ => Err("at least 1k".to_owned()),
    }
}
