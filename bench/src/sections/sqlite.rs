//! SQLite, against the limit of the machine and against PocketBase.

use super::{FEW, MANY, cards, check_created, load};
use crate::bare::Loop;
use crate::dealwright::Server;
use crate::limit::Limit;
use crate::loads;
use crate::measure::{Meter, race};
use crate::options::Part;
use crate::pocketbase::{self, PocketBase};
use crate::report::{Report, bytes};
use crate::seed::{BULK, Seed};
use crate::wrk::{Load, Request};
use crate::{Bench, Failure};

const PARTS: &[Part] = &[
    Part::GetOne,
    Part::List,
    Part::ListExpanded,
    Part::Board,
    Part::Create,
    Part::Move,
    Part::BulkCreate,
];

/// How many clients call in bulk at once.
const CALLERS: u32 = 4;

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
    let theirs = PocketBase::start(&bench.data, &bench.work("pocketbase"), &seed)?;
    report.machine(pocketbase::version(&bench.data)?);
    report.fact(
        format!("database file, {} opportunities", seed.size),
        bytes(seed.bytes()?),
    );
    let pair = Pair {
        bench,
        ours: Server::start(&bench.binary, &database, &[])?,
        seed: &seed,
        theirs,
    };
    if bench.options.wants(Part::GetOne) {
        let requests = [
            loads::get_one(&seed.known),
            pocketbase::loads::get_one(&pair.theirs)?,
        ];
        pair.read(report, "GET one", &requests, 0.35)?;
    }
    if bench.options.wants(Part::List) {
        let requests = [loads::list(), pocketbase::loads::list()];
        pair.read(report, "list of 25", &requests, 0.12)?;
    }
    if bench.options.wants(Part::ListExpanded) {
        pair.list_expanded(report)?;
    }
    if bench.options.wants(Part::Board) {
        let board = load(
            bench,
            "Dealwright",
            &pair.ours,
            FEW,
            &loads::board(&seed.known),
        )?;
        report.figures(
            "column of a board",
            seed.size,
            &race(&[&board], bench.options.length())?,
        );
    }
    pair.write(report)?;
    pair.ours.end()
}

impl Pair<'_> {
    fn ours(&self, connections: u32, requests: &[Request]) -> Result<Load, Failure> {
        load(self.bench, "Dealwright", &self.ours, connections, requests)
    }

    fn theirs(&self, connections: u32, requests: &[Request]) -> Result<Load, Failure> {
        Load::new(
            "PocketBase",
            &[&self.theirs.base],
            &self.theirs.authorization,
            connections,
            (&self.bench.work("pocketbase.requests"), requests),
            Meter::of(self.theirs.id()),
        )
    }

    /// A load that reads must reach this share of the limit, and ten times what
    /// PocketBase does.
    fn read(
        &self,
        report: &mut Report,
        title: &str,
        [ours, theirs]: &[Vec<Request>; 2],
        of_limit: f64,
    ) -> Result<(), Failure> {
        for connections in [FEW, MANY] {
            let ours = self.ours(connections, ours)?;
            let theirs = self.theirs(connections, theirs)?;
            let limit = Limit::start(ours.answer_size, &self.bench.work("limit"))?;
            let limit = Load::new(
                "the limit",
                &[&limit.base],
                "",
                connections,
                (&self.bench.work("limit.requests"), &["GET /".to_owned()]),
                Meter::of(limit.id()),
            )?;
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
            let expanded = load(
                self.bench,
                "with all expansions",
                &self.ours,
                connections,
                &loads::list_expanded(),
            )?;
            let plain = load(
                self.bench,
                "the plain list",
                &self.ours,
                connections,
                &loads::list(),
            )?;
            let figures = race(&[&expanded, &plain], self.bench.options.length())?;
            let what = format!("list of 25 with all expansions, {connections} clients");
            report.at_least(&what, &figures[0], 0.5, &figures[1]);
            report.figures("list of 25", self.seed.size, &figures);
        }
        Ok(())
    }

    fn write(&self, report: &mut Report) -> Result<(), Failure> {
        let known = &self.seed.known;
        let client = self.ours.client();
        if self.bench.options.wants(Part::Create) {
            let before = cards(&client, known)?;
            let mut done = Vec::new();
            for connections in [FEW, MANY] {
                let ours = self.ours(connections, &loads::create(known))?;
                let theirs = self.theirs(connections, &pocketbase::loads::create())?;
                let figures = race(&[&ours, &theirs], self.bench.options.length())?;
                report.figures("create, durable", self.seed.size, &figures);
                if connections == MANY {
                    let what = format!("create, durable, {connections} clients");
                    report.at_least(&what, &figures[0], 5.0, &figures[1]);
                }
                done.push(ours.done());
            }
            check_created(before, cards(&client, known)?, 1, &done)?;
        }
        if self.bench.options.wants(Part::Move) {
            let before = cards(&client, known)?;
            let ours = self.ours(MANY, &loads::r#move(known))?;
            let theirs = self.theirs(MANY, &pocketbase::loads::create())?;
            let mut figures = race(&[&ours, &theirs], self.bench.options.length())?;
            "PocketBase's create".clone_into(&mut figures[1].name);
            let what = format!("move, durable, {MANY} clients");
            report.at_least(&what, &figures[0], 5.0, &figures[1]);
            report.figures("move, durable", self.seed.size, &figures);
            check_created(before, cards(&client, known)?, 0, &[])?;
        }
        if self.bench.options.wants(Part::BulkCreate) {
            let calls = loads::bulk_create(known);
            let before = cards(&client, known)?;
            let ours = self.ours(CALLERS, &calls)?;
            let bare = Loop::new(self.bench, self.seed, &calls)?;
            let theirs = self.theirs(CALLERS, &pocketbase::loads::batch())?;
            let figures = race(&[&ours, &bare, &theirs], self.bench.options.length())?;
            let what = "bulk-create of 100, durable";
            report.at_least(what, &figures[0], 0.5, &figures[1]);
            report.at_least(what, &figures[0], 5.0, &figures[2]);
            report.figures(what, self.seed.size, &figures);
            check_created(before, cards(&client, known)?, BULK, &[ours.done()])?;
        }
        Ok(())
    }
}
