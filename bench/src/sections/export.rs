//! What the export of the largest SQLite database takes.

use std::time::Instant;

use crate::dealwright::Server;
use crate::options::Part;
use crate::process::memory;
use crate::report::{Report, bytes, count, time};
use crate::{Bench, Failure};

/// What the server may hold in memory meanwhile, in bytes.
const MEMORY: u64 = 100_000_000;

/// Measures the export of all opportunities, each format by a server that does
/// nothing else, if that is wanted.
pub(crate) fn run(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    if !bench.options.wants(Part::Export) {
        return Ok(());
    }
    let seed = bench.seed(bench.options.largest())?;
    let database = seed.copy_to(&bench.work("exported"))?;
    let size = count(seed.size);
    for format in ["csv", "xlsx"] {
        let server = Server::start(&bench.binary, &database, &[])?;
        let path = format!("/v1/crm/export?type=opportunities&format={format}");
        let began = Instant::now();
        let (first, length) = server.client().download(&path)?;
        let took = began.elapsed();
        let peak = memory(server.id())?.peak;
        report.smaller(
            &format!("memory, export as {format}, of {size}"),
            peak,
            MEMORY,
        );
        report.fact(
            format!("export as {format}, of {size} opportunities"),
            format!(
                "{} in {}, the first byte after {}",
                bytes(length),
                time(took),
                time(first)
            ),
        );
        server.end()?;
    }
    Ok(())
}
