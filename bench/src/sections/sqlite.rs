//! SQLite, against the limit of the machine and against PocketBase.

use super::{CALLERS, FEW, MANY, cards, check_created};
use crate::bare::Loop;
use crate::dealwright::Server;
use crate::limit::Limit;
use crate::loads;
use crate::options::Part;
use crate::pocketbase::{self, PocketBase};
use crate::race::race;
use crate::report::{Report, bytes, count};
use crate::seed::{BULK, Seed};
use crate::wrk::{Load, Request};
use crate::{Bench, Failure};

const PARTS: &[Part] = &[
    Part::GetOne,
    Part::List,
    Part::ListExpanded,
    Part::Board,
    Part::Mixed,
    Part::Create,
    Part::Move,
    Part::BulkCreate,
];

/// The server and PocketBase, with the same records.
struct Pair<'a> {
    bench: &'a Bench,
    seed: &'a Seed,
    ours: Server,
    theirs: PocketBase,
}

/// Measures what is wanted.
pub(crate) fn run(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    if !bench.options.wants_any(PARTS) {
        return Ok(());
    }
    let seed = bench.seed(bench.options.middle())?;
    let database = seed.copy_to(&bench.work("sqlite"))?;
    report.machine(pocketbase::version(&bench.data)?);
    let what = format!("SQLite file, {} opportunities", count(seed.size));
    report.fact(what, bytes(seed.bytes()?));
    let pair = Pair {
        bench,
        ours: Server::start(&bench.binary, &database, &[])?,
        theirs: PocketBase::start(&bench.data, &bench.work("pocketbase"), &seed)?,
        seed: &seed,
    };
    for (part, measure) in [
        (Part::GetOne, Pair::get_one as fn(&_, &mut _) -> _),
        (Part::List, Pair::list),
        (Part::ListExpanded, Pair::list_expanded),
        (Part::Board, Pair::board),
        (Part::Mixed, Pair::mixed),
        (Part::Create, Pair::create),
        (Part::Move, Pair::r#move),
        (Part::BulkCreate, Pair::bulk_create),
    ] {
        if bench.options.wants(part) {
            measure(&pair, report)?;
        }
    }
    pair.ours.end()
}

impl Pair<'_> {
    fn ours(&self, name: &str, connections: u32, requests: &[Request]) -> Result<Load, Failure> {
        self.bench
            .load(name, self.ours.target(), connections, requests)
    }

    fn theirs(&self, name: &str, connections: u32, requests: &[Request]) -> Result<Load, Failure> {
        self.bench
            .load(name, self.theirs.target(), connections, requests)
    }

    fn get_one(&self, report: &mut Report) -> Result<(), Failure> {
        let ours = loads::get_one(&self.seed.known);
        let theirs = pocketbase::loads::get_one(&self.theirs)?;
        self.read(report, "GET one", &ours, &theirs, 0.35)
    }

    fn list(&self, report: &mut Report) -> Result<(), Failure> {
        let (ours, theirs) = (loads::list(), pocketbase::loads::list());
        self.read(report, "list of 25", &ours, &theirs, 0.12)
    }

    /// A load that reads must reach this share of the limit, and ten times what
    /// PocketBase does.
    fn read(
        &self,
        report: &mut Report,
        title: &str,
        ours: &[Request],
        theirs: &[Request],
        of_limit: f64,
    ) -> Result<(), Failure> {
        for connections in [FEW, MANY] {
            let ours = self.ours("Dealwright", connections, ours)?;
            let theirs = self.theirs("PocketBase", connections, theirs)?;
            let server = Limit::start(ours.answer_size, &self.bench.work("limit"))?;
            let anything = ["GET /".to_owned()];
            let limit = self
                .bench
                .load("the limit", server.target(), connections, &anything)?;
            let figures = race(&[&ours, &limit, &theirs], self.bench.options.length())?;
            let what = format!("{title}, {connections} clients");
            report.at_least(&what, &figures[0], of_limit, &figures[1]);
            report.at_least(&what, &figures[0], 10.0, &figures[2]);
            report.figures(title, self.seed.size, &figures);
        }
        Ok(())
    }

    fn list_expanded(&self, report: &mut Report) -> Result<(), Failure> {
        for connections in [FEW, MANY] {
            let expanded =
                self.ours("with all expansions", connections, &loads::list_expanded())?;
            let plain = self.ours("the plain list", connections, &loads::list())?;
            let figures = race(&[&expanded, &plain], self.bench.options.length())?;
            let what = format!("list of 25 with all expansions, {connections} clients");
            report.at_least(&what, &figures[0], 0.5, &figures[1]);
            report.figures("list of 25", self.seed.size, &figures);
        }
        Ok(())
    }

    fn board(&self, report: &mut Report) -> Result<(), Failure> {
        let board = self.ours("Dealwright", FEW, &loads::board(&self.seed.known))?;
        let figures = race(&[&board], self.bench.options.length())?;
        report.figures("column of a board", self.seed.size, &figures);
        Ok(())
    }

    fn mixed(&self, report: &mut Report) -> Result<(), Failure> {
        for connections in [FEW, MANY] {
            let ours = self.ours("Dealwright", connections, &loads::mixed(&self.seed.known))?;
            let figures = race(&[&ours], self.bench.options.length())?;
            report.figures("GET one, a move in twenty", self.seed.size, &figures);
        }
        Ok(())
    }

    fn create(&self, report: &mut Report) -> Result<(), Failure> {
        let known = &self.seed.known;
        let client = self.ours.client();
        let before = cards(&client, known)?;
        let mut done = Vec::new();
        for connections in [FEW, MANY] {
            let ours = self.ours("Dealwright", connections, &loads::create(known))?;
            let theirs = self.theirs("PocketBase", connections, &pocketbase::loads::create())?;
            let plain = self.theirs(
                "PocketBase, without a card",
                connections,
                &pocketbase::loads::create_plain(),
            )?;
            let figures = race(&[&ours, &theirs, &plain], self.bench.options.length())?;
            report.figures("create, durable", self.seed.size, &figures);
            if connections == MANY {
                let what = format!("create, durable, {connections} clients");
                report.at_least(&what, &figures[0], 5.0, &figures[1]);
                report.at_least(&what, &figures[0], 5.0, &figures[2]);
            }
            done.push(ours.done());
        }
        check_created(before, cards(&client, known)?, 1, &done)
    }

    fn r#move(&self, report: &mut Report) -> Result<(), Failure> {
        let known = &self.seed.known;
        let client = self.ours.client();
        let before = cards(&client, known)?;
        let ours = self.ours("Dealwright", MANY, &loads::r#move(known))?;
        let theirs = self.theirs("PocketBase's create", MANY, &pocketbase::loads::create())?;
        let figures = race(&[&ours, &theirs], self.bench.options.length())?;
        let what = format!("move, durable, {MANY} clients");
        report.at_least(&what, &figures[0], 5.0, &figures[1]);
        report.figures("move, durable", self.seed.size, &figures);
        // As many cards as before.
        check_created(before, cards(&client, known)?, 0, &[])
    }

    fn bulk_create(&self, report: &mut Report) -> Result<(), Failure> {
        let known = &self.seed.known;
        let client = self.ours.client();
        let before = cards(&client, known)?;
        let calls = loads::bulk_create(known);
        let ours = self.ours("Dealwright", CALLERS, &calls)?;
        let bare = Loop::new(self.bench, self.seed, &calls)?;
        let theirs = self.theirs("PocketBase", CALLERS, &pocketbase::loads::batch())?;
        let figures = race(&[&ours, &bare, &theirs], self.bench.options.length())?;
        let what = "bulk-create of 100, durable";
        report.at_least(what, &figures[0], 0.5, &figures[1]);
        report.at_least(what, &figures[0], 5.0, &figures[2]);
        report.figures(what, self.seed.size, &figures);
        check_created(before, cards(&client, known)?, BULK, &[ours.done()])
    }
}
