//! Measuring: contenders in turn, close in time, since the machine's speed
//! drifts.

use std::time::Duration;

use crate::Failure;
use crate::process;

/// How long each one is warmed up before its time counts.
const WARM_UP: Duration = Duration::from_secs(1);

/// Nobody waits for an answer for so long.
const PATIENCE: Duration = Duration::from_secs(120);

/// Something that can be measured.
pub(crate) trait Contender {
    /// What it is called in the report.
    fn name(&self) -> &str;

    /// How many clients it has at once.
    fn connections(&self) -> u32;

    /// The processor time that the servers have used so far, where that can be
    /// told from the client's.
    fn cpu(&self) -> Result<Option<Duration>, Failure>;

    /// Does its work for about so long.
    fn run(&self, length: Duration) -> Result<Sample, Failure>;
}

/// Whose processor time counts.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    /// These processes'.
    pub(crate) processes: Vec<u32>,
    /// That of these and of their children.
    pub(crate) families: Vec<u32>,
}

impl Meter {
    /// One process's.
    pub(crate) fn of(process: u32) -> Self {
        Self {
            processes: vec![process],
            families: Vec::new(),
        }
    }

    /// What they have used so far.
    pub(crate) fn read(&self) -> Result<Duration, Failure> {
        let mut total = Duration::ZERO;
        for &process in &self.processes {
            total += process::cpu(process)?;
        }
        for &parent in &self.families {
            total += process::cpu_of_family(parent)?;
        }
        Ok(total)
    }
}

/// What was done in one stretch of time.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// How many requests were answered.
    pub(crate) requests: u64,
    /// In how long.
    pub(crate) elapsed: Duration,
    /// The time that half of them took at most, where it was measured.
    pub(crate) p50: Option<Duration>,
    /// That 95 % of them took at most.
    pub(crate) p95: Option<Duration>,
    /// That 99 % of them took at most.
    pub(crate) p99: Option<Duration>,
}

impl Sample {
    /// This one and another one of the same time, as one.
    pub(crate) fn beside(&self, other: &Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            elapsed: self.elapsed.max(other.elapsed),
            p50: longer(self.p50, other.p50),
            p95: longer(self.p95, other.p95),
            p99: longer(self.p99, other.p99),
        }
    }
}

fn longer(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.zip(other).map(|(one, other)| one.max(other))
}

/// How a contender did over all its rounds.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// Who.
    pub(crate) name: String,
    /// With how many clients at once.
    pub(crate) connections: u32,
    /// Requests a second.
    pub(crate) rate: f64,
    /// The means of the rounds' percentiles.
    pub(crate) p50: Option<Duration>,
    /// See `p50`.
    pub(crate) p95: Option<Duration>,
    /// See `p50`.
    pub(crate) p99: Option<Duration>,
    /// The servers' processor time for each request.
    pub(crate) cpu: Option<Duration>,
}

/// Measures the contenders in turn, each for `length` altogether.
pub(crate) fn race(
    contenders: &[&dyn Contender],
    length: Duration,
) -> Result<Vec<Figure>, Failure> {
    // A reference is only as good as it is near.
    let rounds = match contenders.len() {
        1 => 1,
        _ => 2,
    };
    let mut runs: Vec<Vec<Run>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (contender, runs) in contenders.iter().zip(&mut runs) {
            contender.run(WARM_UP)?;
            let before = contender.cpu()?;
            let sample = answered(*contender, length / rounds)?;
            let cpu = contender
                .cpu()?
                .zip(before)
                .map(|(after, before)| after - before);
            runs.push(Run { sample, cpu });
        }
    }
    let figures = contenders.iter().zip(&runs);
    Ok(figures
        .map(|(contender, runs)| figure(*contender, runs))
        .collect())
}

/// A stretch of time of about `length`, or longer where nothing is answered within
/// it.
fn answered(contender: &dyn Contender, length: Duration) -> Result<Sample, Failure> {
    let mut length = length;
    while length < PATIENCE {
        let sample = contender.run(length)?;
        if sample.requests > 0 {
            return Ok(sample);
        }
        length *= 4;
    }
    Err(format!("{} answers nothing", contender.name()).into())
}

/// One round of one contender.
struct Run {
    sample: Sample,
    cpu: Option<Duration>,
}

fn figure(contender: &dyn Contender, runs: &[Run]) -> Figure {
    let requests: u64 = runs.iter().map(|run| run.sample.requests).sum();
    let elapsed: Duration = runs.iter().map(|run| run.sample.elapsed).sum();
    let cpu: Option<Duration> = runs.iter().map(|run| run.cpu).sum();
    let mean = |percentile: fn(&Sample) -> Option<Duration>| {
        let total: Option<Duration> = runs.iter().map(|run| percentile(&run.sample)).sum();
        total.map(|total| total / runs.len() as u32)
    };
    let figure = Figure {
        name: contender.name().to_owned(),
        connections: contender.connections(),
        rate: requests as f64 / elapsed.as_secs_f64(),
        p50: mean(|sample| sample.p50),
        p95: mean(|sample| sample.p95),
        p99: mean(|sample| sample.p99),
        cpu: cpu.map(|cpu| cpu.div_f64(requests.max(1) as f64)),
    };
    eprintln!(
        "  {:<28} {:>4} connections {:>10.0}/s",
        figure.name, figure.connections, figure.rate
    );
    figure
}
