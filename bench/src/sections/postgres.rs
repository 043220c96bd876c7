//! PostgreSQL, against its own `pgbench`, and two servers on one database.

use super::{FEW, MANY, cards, check_created};
use crate::dealwright::{Database, Server};
use crate::loads;
use crate::options::Part;
use crate::postgres::Cluster;
use crate::postgres::pgbench::Pgbench;
use crate::race::{Contender, Meter, race};
use crate::report::{Report, bytes, count};
use crate::seed::Seed;
use crate::wrk::{Load, Request, Target};
use crate::{Bench, Failure};

const PARTS: &[Part] = &[Part::GetOne, Part::Create, Part::TwoServers];
/// What the database is called, and the one that `pgbench` works on.
const OURS: &str = "measured";
const BARE: &str = "bare";

/// How many connections of a server write at once.
const WRITERS: u32 = 4;

/// One server, two of them, and how each is started: as anyone would, where two share with
/// PostgreSQL and with who asks the cores that one already keeps busy; and held to one
/// connection, where there is room for both, which shows whether one is in the other's way.
const SERVERS: [(&str, &str, &[&str]); 2] = [
    ("one server", "two servers", &[]),
    (
        "one server of one connection",
        "two servers of one connection each",
        &["--database-connections", "1"],
    ),
];

/// A cluster with what the seed holds.
struct Bed<'a> {
    bench: &'a Bench,
    cluster: Cluster,
    seed: Seed,
    database: Database,
}

/// Measures what is wanted.
pub(crate) fn run(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    if !bench.options.wants_any(PARTS) {
        return Ok(());
    }
    let seed = bench.seed(bench.options.middle())?;
    let cluster = Cluster::start(&bench.data)?;
    report.machine(cluster.version()?);
    let bed = Bed {
        database: cluster.database(&bench.binary, &bench.work("postgres"), &seed, OURS)?,
        bench,
        cluster,
        seed,
    };
    let what = format!(
        "PostgreSQL database, {} opportunities",
        count(bed.seed.size)
    );
    report.fact(what, bytes(bed.cluster.bytes(OURS)?));
    if bench.options.wants(Part::GetOne) {
        let requests = loads::get_one(&bed.seed.known);
        let pgbench = Pgbench::reading(
            &bed.cluster,
            &bench.binary,
            (OURS, &bed.database),
            &requests,
            FEW,
        )?;
        bed.against(report, "GET one, PostgreSQL", &requests, &pgbench, 0.5)?;
    }
    if bench.options.wants(Part::Create) {
        bed.create(report)?;
    }
    if bench.options.wants(Part::TwoServers) {
        for servers in SERVERS {
            bed.two_servers(report, servers)?;
        }
    }
    Ok(())
}

impl Bed<'_> {
    fn server(&self, arguments: &[&str]) -> Result<Server, Failure> {
        Server::start(&self.bench.binary, &self.database, arguments)
    }

    /// A load that is shared by these servers.
    fn load(
        &self,
        name: &str,
        servers: &[&Server],
        connections: u32,
        requests: &[Request],
    ) -> Result<Load, Failure> {
        let authorization = servers.first().map(|server| &server.authorization);
        let target = Target {
            servers: servers.iter().map(|server| server.base.clone()).collect(),
            authorization: authorization.cloned().unwrap_or_default(),
            meter: Meter {
                processes: servers.iter().map(|server| server.id()).collect(),
                families: vec![self.cluster.id()],
            },
        };
        self.bench.load(name, target, connections, requests)
    }

    /// A load must reach this share of what `pgbench` does.
    fn against(
        &self,
        report: &mut Report,
        title: &str,
        requests: &[Request],
        pgbench: &dyn Contender,
        share: f64,
    ) -> Result<Load, Failure> {
        let server = self.server(&[])?;
        let ours = self.load("Dealwright", &[&server], MANY, requests)?;
        let figures = race(&[&ours, pgbench], self.bench.options.length())?;
        report.at_least(title, &figures[0], share, &figures[1]);
        report.figures(title, self.seed.size, &figures);
        server.end()?;
        Ok(ours)
    }

    fn create(&self, report: &mut Report) -> Result<(), Failure> {
        let known = &self.seed.known;
        let requests = loads::create(known);
        let work = self.bench.work("postgres");
        // What `pgbench` makes up must not get in the way of ours.
        let bare = self
            .cluster
            .database(&self.bench.binary, &work, &self.seed, BARE)?;
        let pgbench = Pgbench::writing(
            &self.cluster,
            &self.bench.binary,
            (BARE, &bare),
            &requests,
            WRITERS,
        )?;
        let before = self.cards()?;
        let ours = self.against(report, "create, PostgreSQL", &requests, &pgbench, 1.0 / 3.0)?;
        check_created(before, self.cards()?, 1, &[ours.done()])
    }

    fn cards(&self) -> Result<u64, Failure> {
        let server = self.server(&[])?;
        let cards = cards(&server.client(), &self.seed.known)?;
        server.end()?;
        Ok(cards)
    }

    /// Two servers must do no less than one, and lose or double nothing.
    fn two_servers(
        &self,
        report: &mut Report,
        (single, pair, arguments): (&str, &str, &[&str]),
    ) -> Result<(), Failure> {
        let (one, other) = (self.server(arguments)?, self.server(arguments)?);
        let known = &self.seed.known;
        let before = cards(&one.client(), known)?;
        let mut created = Vec::new();
        for (title, requests) in [
            ("GET one, PostgreSQL", loads::get_one(known)),
            ("create, PostgreSQL", loads::create(known)),
        ] {
            let both = self.load(pair, &[&one, &other], MANY, &requests)?;
            let alone = self.load(single, &[&one], MANY, &requests)?;
            let figures = race(&[&both, &alone], self.bench.options.length())?;
            let what = format!("{title}, {pair}");
            report.at_least(&what, &figures[0], 1.0, &figures[1]);
            report.figures(title, self.seed.size, &figures);
            created = vec![both.done(), alone.done()];
        }
        check_created(before, cards(&other.client(), known)?, 1, &created)?;
        one.end()?;
        other.end()
    }
}
