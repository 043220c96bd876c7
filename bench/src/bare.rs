//! A reference for bulk-create: a bare loop that puts the same rows into the same
//! tables, a hundred opportunities a commit.

use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::dealwright::Server;
use crate::race::{Contender, Sample};
use crate::seed::{BULK, Seed};
use crate::wrk::{Request, send};
use crate::{Bench, Failure};

/// How many calls' rows are made for each second of the measurement.
const CALLS_A_SECOND: u64 = 80;
/// How often it runs: to warm up and to be measured, twice each.
const RUNS: usize = 4;

/// The loop, with the rows that it puts in.
pub(crate) struct Loop {
    connection: RefCell<Connection>,
    /// The rows that are left, in pieces of a commit each, those to come at the
    /// end.
    commits: RefCell<Vec<Commit>>,
    /// How many commits each run has.
    share: usize,
    tables: Vec<Table>,
}

/// What one commit puts in: for each opportunity a row of each of the tables.
type Commit = Vec<Vec<Vec<Value>>>;

/// A table that bulk-create puts a row into for each opportunity.
struct Table {
    name: String,
    /// The statement that puts one in.
    insert: String,
}

impl Loop {
    /// Lets a server make the rows by these calls, and gets ready to put them
    /// into another copy of the seed.
    pub(crate) fn new(bench: &Bench, seed: &Seed, calls: &[Request]) -> Result<Self, Failure> {
        let made = seed.copy_to(&bench.work("bare-made"))?;
        let count = (CALLS_A_SECOND * bench.options.seconds) as usize;
        let server = Server::start(&bench.binary, &made, &[])?;
        let connection = open(&made.file())?;
        let before = table_ends(&connection)?;
        let client = server.client();
        for call in calls.iter().cycle().take(count) {
            send(&client, call)?;
        }
        server.end()?;
        let mut tables = Vec::new();
        let mut rows = Vec::new();
        for End { name, key, last } in before {
            let new = rows_behind(&connection, &name, key, &last)?;
            let Some(row) = new.first() else { continue };
            if new.len() as u64 != count as u64 * BULK {
                return Err(format!("{} rows of {name} are new", new.len()).into());
            }
            let places = vec!["?"; row.len()].join(", ");
            tables.push(Table {
                insert: format!("insert into {name} values ({places})"),
                name,
            });
            rows.push(new.into_iter());
        }
        let mut commits = Vec::new();
        for _ in 0..count {
            let one = |_| {
                rows.iter_mut()
                    .map(|rows| rows.next().unwrap_or_default())
                    .collect()
            };
            commits.push((0..BULK).map(one).collect());
        }
        commits.reverse();
        let target = seed.copy_to(&bench.work("bare"))?;
        Ok(Self {
            connection: RefCell::new(open(&target.file())?),
            share: commits.len() / RUNS,
            commits: RefCell::new(commits),
            tables,
        })
    }
}

impl Contender for Loop {
    fn name(&self) -> &str {
        "bare loop"
    }

    fn connections(&self) -> u32 {
        1
    }

    fn cpu(&self) -> Result<Option<Duration>, Failure> {
        Ok(None)
    }

    /// Puts its share in, however long that takes.
    fn run(&self, _: Duration) -> Result<Sample, Failure> {
        let mut connection = self.connection.borrow_mut();
        let commits = {
            let mut left = self.commits.borrow_mut();
            let from = left.len().saturating_sub(self.share);
            left.split_off(from)
        };
        let began = Instant::now();
        let requests = commits.len() as u64;
        for commit in commits.into_iter().rev() {
            let transaction = connection.transaction()?;
            for opportunity in commit {
                transaction
                    .prepare_cached("update counters set value = value + 1 where name = 'OPP'")?
                    .execute([])?;
                for (table, row) in self.tables.iter().zip(opportunity) {
                    transaction
                        .prepare_cached(&table.insert)?
                        .execute(params_from_iter(row))
                        .map_err(|error| format!("{}: {error}", table.name))?;
                }
            }
            // As the server does before it commits.
            transaction
                .prepare_cached("delete from index_queue")?
                .execute([])?;
            transaction.commit()?;
        }
        Ok(Sample {
            requests,
            elapsed: began.elapsed(),
            p50: None,
            p95: None,
            p99: None,
        })
    }
}

/// Opens a database as the server's writer does; but it puts its log back itself, for
/// which the server has a thread.
fn open(file: &Path) -> Result<Connection, Failure> {
    let connection = Connection::open(file)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    store::add_functions(&connection)?;
    connection.execute_batch(
        "pragma journal_mode = wal;
         pragma synchronous = full;
         pragma journal_size_limit = 67108864;
         pragma wal_autocheckpoint = 8192;
         pragma cache_size = -32768;
         pragma temp_store = memory;
         pragma foreign_keys = on;",
    )?;
    Ok(connection)
}

/// Where a table ended.
struct End {
    name: String,
    /// What grows from row to row.
    key: &'static str,
    /// That of the last row.
    last: Value,
}

/// Where the tables end that calls put rows into, in the order in which they were
/// made: those whose rows are numbered, and the cards, which lie by their
/// opportunities. Triggers fill the others.
fn table_ends(connection: &Connection) -> Result<Vec<End>, Failure> {
    let mut statement = connection.prepare(
        "select l.name, l.wr from pragma_table_list l
         join sqlite_schema s on s.name = l.name and s.type = 'table'
         where l.schema = 'main' and l.type = 'table' and (l.wr = 0 or l.name = 'cards')
           and l.name not like 'sqlite_%'
         order by s.rowid",
    )?;
    let tables = statement.query_map([], |row| {
        let key = match row.get(1)? {
            true => "opportunity_id",
            false => "rowid",
        };
        Ok((row.get::<_, String>(0)?, key))
    })?;
    let mut ends = Vec::new();
    for table in tables {
        let (name, key) = table?;
        let sql = format!("select coalesce(max({key}), 0) from {name}");
        let last = connection.query_row(&sql, [], |row| row.get(0))?;
        ends.push(End { name, key, last });
    }
    Ok(ends)
}

/// The rows of a table behind the one whose `key` is `last`.
fn rows_behind(
    connection: &Connection,
    table: &str,
    key: &str,
    last: &Value,
) -> Result<Vec<Vec<Value>>, Failure> {
    let mut statement = connection.prepare(&format!(
        "select * from {table} where {key} > ? order by {key}"
    ))?;
    let width = statement.column_count();
    let rows = statement.query_map([last], |row| {
        (0..width).map(|index| row.get(index)).collect()
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
