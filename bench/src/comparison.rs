//! SQLite, against the limit of the machine and against PocketBase.

use crate::dealwright::Server;
use crate::limit::Limit;
use crate::loads;
use crate::measure::{Contender, Meter, race};
use crate::options::Part;
use crate::report::Report;
use crate::wrk::{Load, Request};
use crate::{Bench, Failure};

/// How many clients at once.
const CONNECTIONS: [u32; 2] = [16, 64];

/// Measures what is wanted.
pub(crate) fn run(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    let seed = bench.seed(bench.options.middle())?;
    let database = seed.copy_to(&bench.work("sqlite"))?;
    let server = Server::start(&bench.binary, &database, &[])?;
    let wanted = |part| bench.options.wants(part);
    let reads = [
        (Part::GetOne, "GET one", loads::get_one(&seed.known)),
        (Part::List, "list of 25", loads::list()),
    ];
    for (_, title, requests) in reads.iter().filter(|(part, ..)| wanted(*part)) {
        for connections in CONNECTIONS {
            let ours = load(bench, &server, connections, requests)?;
            let limit = Limit::start(ours.answer_size, &bench.work("limit"))?;
            let limit = Load::new(
                "limit",
                &[&limit.base],
                "",
                connections,
                (&bench.work("limit.requests"), &["GET /".to_owned()]),
                Meter::of(limit.id()),
            )?;
            let figures = race(&[&ours, &limit], bench.options.length())?;
            report.figures(title, seed.size, &figures);
        }
    }
    if wanted(Part::Create) {
        let ours = load(bench, &server, 64, &loads::create(&seed.known))?;
        let figures = race(&[&ours as &dyn Contender], bench.options.length())?;
        report.figures("create", seed.size, &figures);
    }
    server.end()
}

fn load(
    bench: &Bench,
    server: &Server,
    connections: u32,
    requests: &[Request],
) -> Result<Load, Failure> {
    Load::new(
        "Dealwright",
        &[&server.base],
        &server.authorization,
        connections,
        (&bench.work("dealwright.requests"), requests),
        Meter::of(server.id()),
    )
}
