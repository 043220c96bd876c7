//! PostgreSQL: a cluster of our own with its defaults, which sync every commit to
//! disk, but for a buffer that holds what is measured.

pub(crate) mod pgbench;
mod script;
mod statements;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::dealwright::{self, Database};
use crate::process::{self, Process};
use crate::seed::Seed;
use crate::{Failure, packages};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is not as PostgreSQL's packages have it. The log is read for the
/// statements that the server sends.
const SETTINGS: &[&str] = &[
    "shared_buffers=1GB",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "logging_collector=on",
    "log_destination=csvlog",
    "log_directory=log",
    "log_filename=postgres",
    "log_rotation_age=0",
    "log_rotation_size=0",
    "log_truncate_on_rotation=off",
];

/// A running cluster.
pub(crate) struct Cluster {
    process: Process,
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl Cluster {
    /// Starts the cluster in the data folder, which is made where it is missing.
    pub(crate) fn start(data: &Path) -> Result<Self, Failure> {
        let programs = match programs() {
            Some(programs) => programs,
            None => {
                packages::install("postgresql")?;
                programs().ok_or("there is no PostgreSQL server on this machine")?
            }
        };
        let folder = data.join("postgres");
        let user = User::find(data)?;
        let cluster = folder.join("cluster");
        if !cluster.join("PG_VERSION").exists() {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder)?;
            user.own(&folder)?;
            let mut initdb = Command::new(programs.join("initdb"));
            initdb
                .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
                .args([
                    "--locale-provider=icu",
                    "--icu-locale=en",
                    "--locale=C.UTF-8",
                ])
                .arg("--pgdata")
                .arg(&cluster);
            process::run(user.become_by(initdb.current_dir(&folder)))?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut postgres = Command::new(programs.join("postgres"));
        postgres
            .arg("-D")
            .arg(&cluster)
            .args(["-c", &format!("port={port}")]);
        for setting in SETTINGS {
            postgres.args(["-c", setting]);
        }
        let process = Process::start(
            user.become_by(postgres.current_dir(&folder)),
            &data.join("postgres-output"),
        )?;
        let started = Self {
            process,
            programs,
            folder: cluster,
            port,
        };
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = started.psql("postgres", "select 1") {
            if Instant::now() > deadline {
                return Err(format!("PostgreSQL does not start: {error}").into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(started)
    }

    /// The number of the process whose children are the backends.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// A database's address.
    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs statements, each on its own. Gives what the last one answers, a row a
    /// line, its columns between bars.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> Result<String, Failure> {
        let mut command = Command::new(self.programs.join("psql"));
        let output = process::run(
            command
                .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
                .args([
                    "--set=ON_ERROR_STOP=1",
                    "--dbname",
                    &self.url(database),
                    "--command",
                    sql,
                ]),
        )?;
        Ok(output.trim().to_owned())
    }

    /// Its version, as it says itself.
    pub(crate) fn version(&self) -> Result<String, Failure> {
        let version = self.psql("postgres", "show server_version")?;
        Ok(format!("PostgreSQL {version}"))
    }

    /// A new database with what the seed holds, called so.
    pub(crate) fn database(
        &self,
        binary: &Path,
        work: &Path,
        seed: &Seed,
        name: &str,
    ) -> Result<Database, Failure> {
        let kept = format!("seed_{}", seed.size);
        // What it is a copy of is written there last, so that it is a whole one.
        let of = format!(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = '{kept}'"
        );
        if self.psql("postgres", &of)? != seed.name() {
            self.fill(binary, work, seed, &kept)?;
        }
        self.drop(name)?;
        self.psql(
            "postgres",
            &format!("create database {name} template {kept} strategy file_copy"),
        )?;
        // Or it would fall into what is measured next.
        self.psql("postgres", "checkpoint")?;
        Ok(Database {
            folder: work.to_owned(),
            url: Some(self.url(name)),
        })
    }

    /// Makes the database that is copied later.
    fn fill(&self, binary: &Path, work: &Path, seed: &Seed, name: &str) -> Result<(), Failure> {
        eprintln!("copying {} opportunities to PostgreSQL", seed.size);
        self.drop(name)?;
        self.psql("postgres", &format!("create database {name}"))?;
        let source = seed.file().display().to_string();
        let target = self.url(name);
        let copy = ["copy", "--from", &source, "--to", &target];
        dealwright::run(binary, &Database::sqlite(work), &copy)?;
        let written = format!("comment on database {name} is '{}'", seed.name());
        self.psql("postgres", &written).map(drop)
    }

    fn drop(&self, name: &str) -> Result<(), Failure> {
        self.psql(
            "postgres",
            &format!("drop database if exists {name} with (force)"),
        )
        .map(drop)
    }

    /// How many bytes a database takes.
    pub(crate) fn bytes(&self, database: &str) -> Result<u64, Failure> {
        Ok(self
            .psql(database, "select pg_database_size(current_database())")?
            .parse()?)
    }
}

/// In an orderly way, or the next start would have to wait for what is left.
impl Drop for Cluster {
    fn drop(&mut self) {
        // What is kept in it outlives a disorderly end as well.
        let _ = self.process.end("INT");
    }
}

/// Where the newest server's programs are.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let newest = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max()?;
    Some(PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin")))
}

/// As whom the cluster is run.
enum User {
    /// As who runs this.
    Ourselves,
    /// As somebody else: PostgreSQL refuses to run as root.
    Other { user: u32, group: u32 },
}

impl User {
    fn find(data: &Path) -> Result<Self, Failure> {
        // Our own folder belongs to whom we are.
        if fs::metadata("/proc/self")?.uid() != 0 {
            return Ok(Self::Ourselves);
        }
        for folder in data.ancestors() {
            if fs::metadata(folder)?.permissions().mode() & 0o001 == 0 {
                let folder = folder.display();
                return Err(format!(
                    "PostgreSQL does not run as root, and nobody else may pass {folder}: \
                     choose another folder with --data"
                )
                .into());
            }
        }
        let id = |which: &str| -> Result<u32, Failure> {
            let printed = process::run(Command::new("id").args([which, "postgres"]))?;
            Ok(printed.trim().parse()?)
        };
        Ok(Self::Other {
            user: id("-u")?,
            group: id("-g")?,
        })
    }

    fn own(&self, folder: &Path) -> Result<(), Failure> {
        match self {
            Self::Ourselves => Ok(()),
            Self::Other { user, group } => Ok(chown(folder, Some(*user), Some(*group))?),
        }
    }

    fn become_by<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        match self {
            Self::Ourselves => command,
            Self::Other { user, group } => command.uid(*user).gid(*group),
        }
    }
}
