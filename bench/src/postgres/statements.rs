//! What the server really says to PostgreSQL, taken from PostgreSQL's log, so that
//! it is never out of date.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Cluster;
use crate::dealwright::{Database, Server};
use crate::wrk::{Request, send};
use crate::{Failure, http};

/// Where a line of the log has what.
const DATABASE: usize = 2;
const SESSION: usize = 5;
const MESSAGE: usize = 13;
const DETAIL: usize = 14;

/// Statements that the server sent, between their `begin` and their `commit`.
pub(super) type Transaction = Vec<Statement>;

/// A statement that the server sent.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) sql: String,
    /// Its parameters; `None` for one that has none and was not prepared, such
    /// as `begin`.
    pub(super) parameters: Option<Vec<Option<String>>>,
}

impl Statement {
    fn begins(&self) -> bool {
        self.parameters.is_none() && self.sql.starts_with("begin")
    }

    fn ends(&self) -> bool {
        self.parameters.is_none() && self.sql.ends_with("commit")
    }
}

/// What the server was seen to do.
pub(super) struct Seen {
    /// The transaction that each of the requests came to.
    pub(super) transactions: Vec<Transaction>,
    /// What it sets for its connections, each as `name=value`.
    pub(super) settings: Vec<String>,
}

/// Sends each of the requests, which are about one opportunity, to a server of its
/// own. Gives the transaction that each came to: the last one that has the id of
/// the opportunity among its parameters.
pub(super) fn of_requests(
    cluster: &Cluster,
    binary: &Path,
    (name, database): (&str, &Database),
    requests: &[Request],
) -> Result<Seen, Failure> {
    let log = |what: &str| {
        cluster.psql(
            "postgres",
            &format!("alter database {name} set log_statement = '{what}'"),
        )
    };
    log("all")?;
    // One connection, so that what belongs together stands together.
    let server = Server::start(binary, database, &["--database-connections", "1"])?;
    let client = server.client();
    let mut ids = Vec::new();
    for request in requests {
        let answer: Value = serde_json::from_str(&send(&client, request)?)?;
        ids.push(http::text(&answer["data"], "id")?);
    }
    server.end()?;
    log("none")?;
    let transactions = transactions(&cluster.folder.join("log/postgres.csv"), name)?;
    let about = |id: &String| -> Result<Transaction, Failure> {
        let knows = |statement: &Statement| {
            let parameters = statement.parameters.iter().flatten().flatten();
            parameters
                .into_iter()
                .any(|value| value.contains(id.as_str()))
        };
        let found = transactions
            .iter()
            .rfind(|statements| statements.iter().any(knows));
        found
            .cloned()
            .ok_or_else(|| format!("no statement knows {id}").into())
    };
    Ok(Seen {
        transactions: ids.iter().map(about).collect::<Result<_, _>>()?,
        settings: settings(&transactions),
    })
}

/// What was set last for a connection, outside of any transaction.
fn settings(transactions: &[Transaction]) -> Vec<String> {
    let sets = |statements: &&Transaction| statements[0].sql.starts_with("set ");
    let last = transactions.iter().rfind(sets);
    let statements = last
        .iter()
        .flat_map(|statements| statements[0].sql.split(';'));
    let setting = |statement: &str| {
        let (name, value) = statement.trim().strip_prefix("set ")?.split_once(" = ")?;
        Some(format!("{name}={}", value.trim_matches('\'')))
    };
    statements.filter_map(setting).collect()
}

/// The transactions that the log has of a database.
fn transactions(log: &Path, database: &str) -> Result<Vec<Transaction>, Failure> {
    let text = fs::read(log)?;
    let mut lines = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(&*text);
    let mut transactions: Vec<Transaction> = Vec::new();
    let mut open: Option<(String, Transaction)> = None;
    for line in lines.records() {
        let line = line?;
        let field = |index| line.get(index).unwrap_or_default();
        if field(DATABASE) != database {
            continue;
        }
        let Some(statement) = read(field(MESSAGE), field(DETAIL))? else {
            continue;
        };
        let session = field(SESSION);
        match &mut open {
            Some((owner, statements)) if owner == session => {
                let ends = statement.ends();
                statements.push(statement);
                if ends {
                    transactions.extend(open.take().map(|(_, statements)| statements));
                }
            }
            _ if statement.begins() => open = Some((session.to_owned(), vec![statement])),
            _ => transactions.push(vec![statement]),
        }
    }
    Ok(transactions)
}

/// The statement that an entry of the log tells of.
fn read(message: &str, detail: &str) -> Result<Option<Statement>, Failure> {
    if let Some(sql) = message.strip_prefix("statement: ") {
        let sql = sql.trim().trim_end_matches(';').to_owned();
        return Ok(Some(Statement {
            sql,
            parameters: None,
        }));
    }
    let Some(executed) = message.strip_prefix("execute ") else {
        return Ok(None);
    };
    let (_, sql) = executed
        .split_once(": ")
        .ok_or("an unknown entry in the log")?;
    let values = detail
        .split_once("arameters: ")
        .map_or("", |(_, values)| values);
    Ok(Some(Statement {
        sql: sql.to_owned(),
        parameters: Some(values_of(values)?),
    }))
}

/// The values in `$1 = 'it''s', $2 = NULL`.
fn values_of(mut text: &str) -> Result<Vec<Option<String>>, Failure> {
    let mut values = Vec::new();
    while let Some((_, rest)) = text.split_once(" = ") {
        let Some(mut quoted) = rest.strip_prefix('\'') else {
            values.push(None);
            text = rest;
            continue;
        };
        let mut value = String::new();
        loop {
            let (piece, rest) = quoted.split_once('\'').ok_or("a value without its end")?;
            value.push_str(piece);
            match rest.strip_prefix('\'') {
                Some(rest) => {
                    value.push('\'');
                    quoted = rest;
                }
                None => {
                    text = rest;
                    break;
                }
            }
        }
        values.push(Some(value));
    }
    Ok(values)
}
