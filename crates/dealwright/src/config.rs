//! The options: from the command line, the environment and a TOML file, in
//! this order of precedence, each declared once.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::{Error, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, ValueEnum};
use store::{Options, Target};

/// The SQLite database in a data folder.
const DATABASE_FILE: &str = "dealwright.db";

/// Which database a URL or path means: `postgres://…`; `sqlite:PATH` or PATH, a
/// file that is there or is called like one (`….db`), else a data folder.
pub(crate) fn target_of(url: &str) -> Target {
    if ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
    {
        return Target::Postgres(url.to_owned());
    }
    let path = Path::new(url.strip_prefix("sqlite:").unwrap_or(url));
    let is_file = path.is_file() || (!path.is_dir() && path.extension().is_some());
    Target::Sqlite(match is_file {
        true => path.to_owned(),
        false => path.join(DATABASE_FILE),
    })
}

/// The options that every command has. Not `Debug`: the database's URL holds a
/// password.
#[derive(clap::Args)]
pub(crate) struct Configuration {
    /// The file from which options are read that are given nowhere else
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The folder that holds the SQLite database; made where it is missing
    #[arg(long, global = true, value_name = "FOLDER", default_value = "./data")]
    pub(crate) data_dir: PathBuf,
    /// A PostgreSQL database to use instead of SQLite:
    /// postgres://user:password@host:port/database, encrypted and verified
    /// with ?sslmode=require
    #[arg(long, global = true, value_name = "URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// How many connections to PostgreSQL are opened at most
    #[arg(long, global = true, value_name = "NUMBER", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) database_connections: u16,
    /// From how many milliseconds on a database statement is told to the log;
    /// 0 for never
    #[arg(
        long,
        global = true,
        value_name = "MILLISECONDS",
        default_value_t = 1000
    )]
    pub(crate) slow_statement_ms: u32,
    /// How log lines are written to the standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

impl Configuration {
    /// Which database is meant.
    pub(crate) fn target(&self) -> Target {
        match &self.database_url {
            Some(url) => Target::Postgres(url.clone()),
            None => Target::Sqlite(self.data_dir.join(DATABASE_FILE)),
        }
    }

    /// How it is used.
    pub(crate) fn store_options(&self) -> Options {
        Options {
            connections: self.database_connections.into(),
            slow_statement: match self.slow_statement_ms {
                0 => None,
                limit => Some(Duration::from_millis(limit.into())),
            },
            ..Options::default()
        }
    }
}

/// Reads the command line by `command`, its environment and its file.
///
/// # Errors
/// What to show to whoever wrote them.
pub(crate) fn read(command: clap::Command) -> Result<ArgMatches, Error> {
    read_from(command, std::env::args_os().collect())
}

/// The same for a command line that might have been given.
///
/// # Errors
/// What would be shown.
pub(crate) fn read_from(
    command: clap::Command,
    arguments: Vec<OsString>,
) -> Result<ArgMatches, Error> {
    let command = with_environment(command);
    let first = command.clone().ignore_errors(true);
    let file = first
        .try_get_matches_from(&arguments)?
        .get_one::<PathBuf>("config")
        .cloned();
    let command = match file {
        Some(path) => with_file(command, &path)?,
        None => command,
    };
    command.try_get_matches_from(arguments)
}

/// Lets every option be given by the environment.
fn with_environment(command: clap::Command) -> clap::Command {
    each_option(command, &|option, name| {
        option.env(format!("DEALWRIGHT_{}", name.to_ascii_uppercase()))
    })
}

/// Lets the file decide where neither the command line nor the environment
/// does.
fn with_file(command: clap::Command, path: &Path) -> Result<clap::Command, Error> {
    let wrong = |what: String| {
        Error::raw(
            ErrorKind::Io,
            format!("the configuration file {}: {what}\n", path.display()),
        )
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // The error itself would quote the line, which may hold a password.
        let before = text.get(..error.span().map_or(0, |span| span.start));
        let line = before.unwrap_or_default().lines().count().max(1);
        wrong(format!("line {line}: {}", error.message()))
    })?;
    let mut values = HashMap::new();
    for (name, value) in table {
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            _ => {
                return Err(wrong(format!(
                    "{name} must be a text, a number or a truth value"
                )));
            }
        };
        values.insert(name, value);
    }
    let known = std::cell::RefCell::new(vec!["config".to_owned()]);
    let command = each_option(command, &|option, name| {
        known.borrow_mut().push(name.to_owned());
        match values.get(name) {
            Some(value) => option.required(false).default_value(value.clone()),
            None => option,
        }
    });
    let known = known.into_inner();
    match values.keys().find(|name| !known.contains(name)) {
        Some(name) => Err(wrong(format!("there is no option {name}"))),
        None => Ok(command),
    }
}

/// Changes every option of the command and of those below it, which is given
/// with its name in a file.
fn each_option(command: clap::Command, change: &dyn Fn(Arg, &str) -> Arg) -> clap::Command {
    let command = command.mut_args(|option| match option.get_long() {
        Some(long) if !matches!(option.get_action(), ArgAction::Help | ArgAction::Version) => {
            let name = long.replace('-', "_");
            change(option, &name)
        }
        _ => option,
    });
    let below: Vec<_> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    below.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |below| each_option(below, change))
    })
}
