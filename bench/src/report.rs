//! The tables that come out.

use std::fmt;
use std::time::Duration;

use crate::measure::Figure;

/// All that was found out.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<String>,
}

impl Report {
    /// Takes down what a load has shown.
    pub(crate) fn figures(&mut self, load: &str, size: u64, figures: &[Figure]) {
        for figure in figures {
            self.rows.push(format!(
                "| {load} | {size} | {} | {} | {:.0} | {} | {} | {} |",
                figure.name,
                figure.connections,
                figure.rate,
                time(figure.p50),
                time(figure.p99),
                time(figure.cpu),
            ));
        }
    }
}

fn time(time: Option<Duration>) -> String {
    match time {
        None => String::new(),
        Some(time) => format!("{:.2} ms", time.as_secs_f64() * 1000.0),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| load | opportunities | server | connections | requests/s | p50 | p99 | CPU each |"
        )?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- | --- | --- |")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}
