//! SQLite, the smallest database against the largest, and what only the largest
//! can show.

use std::time::Duration;

use super::{CALLERS, FEW, MANY};
use crate::dealwright::Server;
use crate::made_up::terms;
use crate::options::Part;
use crate::process::memory;
use crate::race::{Contender as _, Figure, race};
use crate::report::{Report, bytes, count};
use crate::seed::Seed;
use crate::wrk::{Load, Request, send};
use crate::{Bench, Failure, loads};

const PARTS: &[Part] = &[Part::Growth, Part::Search, Part::Summary, Part::Memory];
/// How long a server rests before it counts as idle.
const REST: Duration = Duration::from_secs(2);

/// The smallest and the largest database, each served.
struct Scale<'a> {
    bench: &'a Bench,
    small: (Seed, Server),
    large: (Seed, Server),
}

/// Measures what is wanted.
pub(crate) fn run(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    if !bench.options.wants_any(PARTS) {
        return Ok(());
    }
    let served = |size: u64, name: &str| -> Result<(Seed, Server), Failure> {
        let seed = bench.seed(size)?;
        let database = seed.copy_to(&bench.work(name))?;
        let server = Server::start(&bench.binary, &database, &[])?;
        send(&server.client(), &loads::list()[0])?;
        Ok((seed, server))
    };
    let scale = Scale {
        bench,
        small: served(bench.options.smallest(), "small")?,
        large: served(bench.options.largest(), "large")?,
    };
    let (seed, server) = &scale.large;
    let size = count(seed.size);
    report.fact(
        format!("SQLite file, {size} opportunities"),
        bytes(seed.bytes()?),
    );
    std::thread::sleep(REST);
    let idle = memory(server.id())?.resident;
    if bench.options.wants(Part::Growth) {
        scale.growth(report)?;
    }
    if bench.options.wants(Part::Search) {
        scale.search(report)?;
    }
    if bench.options.wants(Part::Summary) {
        scale.summary(report)?;
    }
    if bench.options.wants(Part::Memory) {
        scale.everything()?;
        let busy = memory(server.id())?;
        report.smaller(&format!("memory, idle, at {size}"), idle, 30_000_000);
        report.smaller(
            &format!("memory, under load, at {size}"),
            busy.peak,
            200_000_000,
        );
        report.fact("memory after the loads".to_owned(), bytes(busy.resident));
    }
    scale.small.1.end()?;
    scale.large.1.end()
}

impl Scale<'_> {
    fn ours(
        &self,
        server: &Server,
        connections: u32,
        requests: &[Request],
    ) -> Result<Load, Failure> {
        self.bench
            .load("Dealwright", server.target(), connections, requests)
    }

    /// A load on the one and on the other, in turn.
    fn both(
        &self,
        report: &mut Report,
        title: &str,
        connections: u32,
        requests: impl Fn(&Seed) -> Vec<Request>,
    ) -> Result<[Figure; 2], Failure> {
        let [(small, to_small), (large, to_large)] = [&self.small, &self.large];
        let one = self.ours(to_small, connections, &requests(small))?;
        let other = self.ours(to_large, connections, &requests(large))?;
        let figures = race(&[&one, &other], self.bench.options.length())?;
        report.figure(title, small.size, &figures[0]);
        report.figure(title, large.size, &figures[1]);
        let [one, other] = [0, 1].map(|index| figures[index].clone());
        Ok([one, other])
    }

    fn growth(&self, report: &mut Report) -> Result<(), Failure> {
        let sizes = format!(
            "{} to {}",
            count(self.small.0.size),
            count(self.large.0.size)
        );
        type Requests = fn(&Seed) -> Vec<Request>;
        let growing: [(&str, f64, Requests); 5] = [
            ("GET one", 0.15, |seed| loads::get_one(&seed.known)),
            ("first page", 0.15, |_| loads::list()),
            ("last page", 0.15, |seed| loads::last_page(&seed.known)),
            ("create", 0.25, |seed| loads::create(&seed.known)),
            ("move", 0.25, |seed| loads::r#move(&seed.known)),
        ];
        for (title, share, requests) in growing {
            let [small, large] = self.both(report, title, MANY, requests)?;
            report.loses_less(&format!("{title}, from {sizes}"), share, &small, &large);
        }
        Ok(())
    }

    fn search(&self, report: &mut Report) -> Result<(), Failure> {
        let (seed, server) = &self.large;
        let [found, nothing] = [25, 5].map(Duration::from_millis);
        let contacts = seed.known.contact_count;
        type Requests = fn(&[String]) -> Vec<Request>;
        let searches: [(&str, Requests, Vec<String>, Duration); 9] = [
            ("search, common", loads::search, terms::common(), found),
            ("search, rare", loads::search, terms::rare(contacts), found),
            (
                "search, a name or how one begins",
                loads::search,
                terms::names(seed.size),
                found,
            ),
            (
                "search, letters that never meet",
                loads::search,
                terms::unheard_of(),
                nothing,
            ),
            (
                "search, words that never follow each other",
                loads::search,
                terms::never_together(),
                nothing,
            ),
            (
                "search of all kinds, common",
                loads::search_all,
                terms::common(),
                found,
            ),
            (
                "search of all kinds, rare",
                loads::search_all,
                terms::rare(contacts),
                found,
            ),
            (
                "search of all kinds, misspelt",
                loads::search_all,
                terms::misspelt(contacts),
                found,
            ),
            (
                "search of all kinds, letters that never meet",
                loads::search_all,
                terms::unheard_of(),
                nothing,
            ),
        ];
        for (title, requests, terms, limit) in searches {
            let load = self.ours(server, 1, &requests(&terms))?;
            let figures = race(&[&load], self.bench.options.length())?;
            let what = format!("{title}, at {}, p95", count(seed.size));
            report.under(&what, figures[0].p95.unwrap_or_default(), limit);
            report.figures(title, seed.size, &figures);
        }
        Ok(())
    }

    fn summary(&self, report: &mut Report) -> Result<(), Failure> {
        type Requests = fn(&Seed) -> Vec<Request>;
        let counting: [(&str, Requests); 2] = [
            ("pipeline summary", |seed| loads::summary(&seed.known)),
            ("stage counts", |seed| loads::stage_counts(&seed.known)),
        ];
        for (title, requests) in counting {
            let figures = self.both(report, title, 1, requests)?;
            let sizes = [self.small.0.size, self.large.0.size];
            let limits = [5, 200].map(Duration::from_millis);
            for ((figure, size), limit) in figures.iter().zip(sizes).zip(limits) {
                let what = format!("{title}, at {}, p50", count(size));
                report.under(&what, figure.p50.unwrap_or_default(), limit);
            }
        }
        Ok(())
    }

    /// Every kind of load on the largest one.
    fn everything(&self) -> Result<(), Failure> {
        let (seed, server) = &self.large;
        let known = &seed.known;
        for (connections, requests) in [
            (MANY, loads::get_one(known)),
            (MANY, loads::list_expanded()),
            (MANY, loads::search(&terms::common())),
            (MANY, loads::create(known)),
            (MANY, loads::r#move(known)),
            (CALLERS, loads::bulk_create(known)),
            (FEW, loads::summary(known)),
        ] {
            let load = self.ours(server, connections, &requests)?;
            load.run(self.bench.options.length() / 2)?;
        }
        Ok(())
    }
}
