//! How long a start takes on the largest SQLite database.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::http::Client;
use crate::options::Part;
use crate::process::Process;
use crate::report::{Report, count, time};
use crate::wrk::send;
use crate::{Bench, Failure, dealwright, loads};

/// How often it is started.
const STARTS: usize = 5;
/// More than one start is given.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures from the start of the process to its first answer, if that is wanted.
pub(crate) fn run(bench: &Bench, report: &mut Report) -> Result<(), Failure> {
    if !bench.options.wants(Part::Start) {
        return Ok(());
    }
    let seed = bench.seed(bench.options.largest())?;
    let database = seed.copy_to(&bench.work("started"))?;
    let authorization = dealwright::authorization(&bench.binary, &database)?;
    let requests = loads::get_one(&seed.known);
    let mut times = Vec::new();
    for request in requests.iter().take(STARTS) {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut command = dealwright::command(&bench.binary, &database);
        command.args(["serve", "--listen", &address]);
        let client = Client::new(&format!("http://{address}"), &authorization);
        let began = Instant::now();
        let mut process = Process::start(&mut command, &bench.work("started/server"))?;
        while let Err(error) = send(&client, request) {
            if began.elapsed() > PATIENCE {
                return Err(format!("the server does not start: {error}").into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        times.push(began.elapsed());
        process.end("TERM")?;
    }
    times.sort_unstable();
    let what = format!("start to first answer, at {}", count(seed.size));
    report.under(&what, times[STARTS / 2], Duration::from_millis(150));
    report.fact("slowest of five starts".to_owned(), time(times[STARTS - 1]));
    Ok(())
}
