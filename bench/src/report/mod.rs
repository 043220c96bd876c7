//! What comes out: whether the thresholds are reached, and the figures behind that.

mod document;
mod units;

use std::fmt;
use std::time::Duration;

pub(crate) use document::write;
pub(crate) use units::{bytes, count, rate, time};

use crate::race::Figure;

/// All that was found out.
#[derive(Default)]
pub(crate) struct Report {
    machine: Vec<String>,
    verdicts: Vec<Verdict>,
    rows: Vec<Row>,
    facts: Vec<Fact>,
}

/// Whether a threshold is reached.
struct Verdict {
    what: String,
    measured: String,
    threshold: String,
    reached: bool,
}

/// How someone did under a load.
struct Row {
    load: String,
    size: u64,
    figure: Figure,
}

/// Something that is no load: memory, disk, a start.
struct Fact {
    what: String,
    value: String,
}

impl Report {
    /// Takes down what it was measured with.
    pub(crate) fn machine(&mut self, line: String) {
        self.machine.push(line);
    }

    /// Takes down how someone did with so many opportunities.
    pub(crate) fn figure(&mut self, load: &str, size: u64, figure: &Figure) {
        self.rows.push(Row {
            load: load.to_owned(),
            size,
            figure: figure.clone(),
        });
    }

    /// The same of several.
    pub(crate) fn figures(&mut self, load: &str, size: u64, figures: &[Figure]) {
        for figure in figures {
            self.figure(load, size, figure);
        }
    }

    /// Takes down something else.
    pub(crate) fn fact(&mut self, what: String, value: String) {
        self.facts.push(Fact { what, value });
    }

    /// One must be so many times as fast as the other.
    pub(crate) fn at_least(&mut self, what: &str, one: &Figure, times: f64, other: &Figure) {
        let ratio = one.rate / other.rate;
        self.verdicts.push(Verdict {
            what: what.to_owned(),
            measured: format!("{} × {}", units::ratio(ratio), other.name),
            threshold: format!("{} ×", units::ratio(times)),
            reached: ratio >= times,
        });
    }

    /// The second must not be slower than the first by this share.
    pub(crate) fn loses_less(&mut self, what: &str, share: f64, from: &Figure, to: &Figure) {
        let lost = 1.0 - to.rate / from.rate;
        self.verdicts.push(Verdict {
            what: what.to_owned(),
            measured: format!("loses {:.1} %", lost.max(0.0) * 100.0),
            threshold: format!("under {:.0} %", share * 100.0),
            reached: lost < share,
        });
    }

    /// It must take less than this.
    pub(crate) fn under(&mut self, what: &str, took: Duration, limit: Duration) {
        self.verdicts.push(Verdict {
            what: what.to_owned(),
            measured: time(took),
            threshold: format!("under {}", time(limit)),
            reached: took < limit,
        });
    }

    /// It must be smaller than this, in bytes.
    pub(crate) fn smaller(&mut self, what: &str, size: u64, limit: u64) {
        self.verdicts.push(Verdict {
            what: what.to_owned(),
            measured: bytes(size),
            threshold: format!("under {}", bytes(limit)),
            reached: size < limit,
        });
    }
}

/// The tables.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.machine {
            writeln!(f, "- {line}")?;
        }
        if !self.verdicts.is_empty() {
            writeln!(f, "\n| what | measured | must be | reached |")?;
            writeln!(f, "| --- | --- | --- | --- |")?;
        }
        for verdict in &self.verdicts {
            let reached = if verdict.reached { "yes" } else { "**no**" };
            writeln!(
                f,
                "| {} | {} | {} | {reached} |",
                verdict.what, verdict.measured, verdict.threshold
            )?;
        }
        if !self.rows.is_empty() {
            writeln!(
                f,
                "\n| load | opportunities | who | clients | requests/s | p50 | p95 | p99 | CPU each |"
            )?;
            writeln!(f, "| --- | --: | --- | --: | --: | --: | --: | --: | --: |")?;
        }
        for Row { load, size, figure } in &self.rows {
            let [p50, p95, p99, cpu] = [figure.p50, figure.p95, figure.p99, figure.cpu]
                .map(|duration| duration.map(time).unwrap_or_default());
            writeln!(
                f,
                "| {load} | {} | {} | {} | {} | {p50} | {p95} | {p99} | {cpu} |",
                count(*size),
                figure.name,
                figure.connections,
                rate(figure.rate),
            )?;
        }
        if !self.facts.is_empty() {
            writeln!(f, "\n| what | |\n| --- | --: |")?;
        }
        for Fact { what, value } in &self.facts {
            writeln!(f, "| {what} | {value} |")?;
        }
        Ok(())
    }
}
