//! Seeding: databases of a given size, made by the server itself, kept and used
//! again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Failure;
use crate::dealwright::{self, Database, Server};
use crate::http::{self, Client};
use crate::made_up::{self, Surroundings};

/// How many records a bulk call takes.
pub(crate) const BULK: u64 = 100;
/// How many clients seed at once.
const CLIENTS: usize = 8;
/// How many opportunities the loads know by their id.
const KNOWN: usize = 10_000;
/// Pipelines beside the default one.
const PIPELINES: &[&str] = &["Renovations", "Service contracts"];
const STAGES: &[&str] = &["Enquiry", "Visit", "Quote", "Won", "Lost"];

/// A seeded SQLite database that nobody changes: what is measured is a copy.
pub(crate) struct Seed {
    /// How many opportunities it has.
    pub(crate) size: u64,
    /// What the loads need to know of it.
    pub(crate) known: Known,
    database: Database,
}

/// What the loads need to know of a database.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Known {
    /// The ids of some opportunities, from all over the table.
    pub(crate) opportunities: Vec<String>,
    /// Behind this one there is just a page more.
    pub(crate) far_back: String,
    /// The pipelines, the default one first, with the stages of each.
    pub(crate) pipelines: Vec<(String, Vec<String>)>,
    /// Some contacts and companies.
    pub(crate) contacts: Vec<String>,
    /// See `contacts`.
    pub(crate) companies: Vec<String>,
    /// How many contacts there are.
    pub(crate) contact_count: u64,
}

impl Known {
    /// The stages of each pipeline.
    pub(crate) fn stages(&self) -> Vec<Vec<String>> {
        let stages = self.pipelines.iter().map(|(_, stages)| stages);
        stages.cloned().collect()
    }
}

impl Seed {
    /// The seed of this size in the folder, made if it is not there yet.
    pub(crate) fn get(folder: &Path, binary: &Path, size: u64) -> Result<Self, Failure> {
        let database = Database::sqlite(&folder.join(format!("seed-{size}")));
        // Written last, so that a seed with it is a whole one.
        let known_file = database.folder.join("known.json");
        if !known_file.exists() {
            let _ = fs::remove_dir_all(&database.folder);
            fill(binary, &database, size)?;
            let known = look_around(&database)?;
            fs::write(&known_file, serde_json::to_string(&known)?)?;
        }
        migrate(binary, &database)?;
        Ok(Self {
            size,
            known: serde_json::from_str(&fs::read_to_string(&known_file)?)?,
            database,
        })
    }

    /// What no other seed is called, not even the next one of the same size.
    pub(crate) fn name(&self) -> &str {
        &self.known.far_back
    }

    /// The database file.
    pub(crate) fn file(&self) -> PathBuf {
        self.database.file()
    }

    /// Its size on disk, in bytes.
    pub(crate) fn bytes(&self) -> Result<u64, Failure> {
        Ok(fs::metadata(self.file())?.len())
    }

    /// A copy of it in `folder`, which is made anew.
    pub(crate) fn copy_to(&self, folder: &Path) -> Result<Database, Failure> {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder)?;
        let copy = Database::sqlite(folder);
        fs::copy(self.file(), copy.file())?;
        // Or its way to the disk would be part of what is measured next.
        fs::File::open(copy.file())?.sync_all()?;
        Ok(copy)
    }
}

/// Brings a seed that an older program made up to date.
fn migrate(binary: &Path, database: &Database) -> Result<(), Failure> {
    let done = dealwright::command(binary, database)
        .arg("migrate")
        .output()?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into());
    }
    Ok(())
}

fn fill(binary: &Path, database: &Database, size: u64) -> Result<(), Failure> {
    let began = Instant::now();
    eprintln!("seeding {size} opportunities");
    let server = Server::start(binary, database, &[])?;
    let client = server.client();
    let pipelines = make_pipelines(&client)?;
    let companies = create_all(&client, "/v1/companies", size / 10, &made_up::company)?;
    let contacts = create_all(&client, "/v1/contacts", size / 3, &made_up::contact)?;
    let around = Surroundings {
        contacts: &contacts,
        companies: &companies,
        pipelines: &pipelines,
    };
    create_all(&client, "/v1/opportunities", size, &|number| {
        made_up::opportunity(number, &around)
    })?;
    server.end()?;
    eprintln!("seeded in {:.0?}", began.elapsed());
    Ok(())
}

/// Adds pipelines to the default one. Gives the stages of each.
fn make_pipelines(client: &Client) -> Result<Vec<Vec<String>>, Failure> {
    for name in PIPELINES {
        let made = client.post("/v1/pipelines", &json!({ "name": name }))?;
        let id = http::text(&made["data"], "id")?;
        for stage in STAGES {
            let fields = json!({
                "name": stage,
                "is_won_stage": *stage == "Won",
                "is_lost_stage": *stage == "Lost",
            });
            client.post(&format!("/v1/pipelines/{id}/stages"), &fields)?;
        }
    }
    let pipelines = client.get("/v1/pipelines")?;
    let mut all = Vec::new();
    for pipeline in http::list(&pipelines["data"])? {
        let id = http::text(pipeline, "id")?;
        let stages = client.get(&format!("/v1/pipelines/{id}/stages"))?;
        let stages = http::list(&stages["data"])?.iter();
        all.push(
            stages
                .map(|stage| http::text(stage, "id"))
                .collect::<Result<_, _>>()?,
        );
    }
    Ok(all)
}

/// Creates `count` records in bulk, by several clients at once. Gives their ids.
fn create_all(
    client: &Client,
    path: &str,
    count: u64,
    make: &(dyn Fn(u64) -> Value + Sync),
) -> Result<Vec<String>, Failure> {
    let next = AtomicU64::new(0);
    let work = || -> Result<Vec<String>, Failure> {
        let mut ids = Vec::new();
        loop {
            let from = next.fetch_add(BULK, Ordering::Relaxed);
            if from >= count {
                return Ok(ids);
            }
            let records: Vec<_> = (from..count.min(from + BULK)).map(make).collect();
            let asked = records.len();
            let answer = client.post(
                &format!("{path}/bulk-create"),
                &json!({ "records": records }),
            )?;
            let created = http::list(&answer["data"]["created"])?;
            if created.len() != asked {
                return Err(format!("{path}: {}", answer["data"]["errors"]).into());
            }
            for record in created {
                ids.push(http::text(record, "id")?);
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().map_err(|_| "a client that seeds failed")??);
        }
        Ok(all)
    })
}

/// Reads what the loads need to know.
fn look_around(database: &Database) -> Result<Known, Failure> {
    let file = Connection::open_with_flags(database.file(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let ids = |sql: &str| -> Result<Vec<String>, Failure> {
        let mut statement = file.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        let ids = rows.map(|id| Ok(hyphenated(&id?)));
        ids.collect()
    };
    let some = |table: &str| {
        ids(&format!(
            "select hex(id) from {table} order by random() limit {KNOWN}"
        ))
    };
    let mut pipelines = Vec::new();
    for pipeline in ids("select hex(id) from pipelines order by position")? {
        let plain = pipeline.replace('-', "");
        let stages = ids(&format!(
            "select hex(id) from stages where pipeline_id = x'{plain}' order by position"
        ))?;
        pipelines.push((pipeline, stages));
    }
    let count: i64 = file.query_row("select count(*) from contacts", [], |row| row.get(0))?;
    let far_back = ids("select hex(id) from opportunities order by id limit 1 offset 25")?;
    Ok(Known {
        opportunities: some("opportunities")?,
        far_back: far_back.into_iter().next().ok_or("too small a seed")?,
        pipelines,
        contacts: some("contacts")?,
        companies: some("companies")?,
        contact_count: count as u64,
    })
}

fn hyphenated(hex: &str) -> String {
    let hex = hex.to_lowercase();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}
