//! What an import says at its end.

use std::fmt;
use std::path::PathBuf;

use crm::text::Name;
use serde::Serialize;
use uuid::Uuid;

use super::desk::Outcome;

/// How many refused rows of a table are printed; JSON has all of them.
const PRINTED: usize = 50;

/// What became of everything.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// What the source is called.
    pub(super) source: Name,
    /// The workspace that it came into.
    pub(super) workspace_id: Uuid,
    /// True when nothing was written.
    pub(super) dry_run: bool,
    /// The pipelines that were made, or were given stages.
    pub(super) pipelines: Vec<MadePipeline>,
    /// The tables, in the order in which they were read.
    pub(super) tables: Vec<TableReport>,
    /// Files of a folder that the mapping says nothing of.
    pub(super) ignored_files: Vec<PathBuf>,
}

/// What the mapping asked for and was missing of a pipeline.
#[derive(Debug, Serialize)]
pub(super) struct MadePipeline {
    /// Its name.
    pub(super) name: Name,
    /// True when there was none of that name.
    pub(super) made: bool,
    /// The stages that it was given.
    pub(super) stages_made: Vec<Name>,
}

/// What became of the rows of a table: each is counted once.
#[derive(Debug, Default, Serialize)]
pub(super) struct TableReport {
    /// The file's name.
    pub(super) file: String,
    /// What its rows became.
    pub(super) into: &'static str,
    /// How many rows there are that are not blank.
    pub(super) read: u64,
    /// Rows that became a new record.
    pub(super) made: u64,
    /// Rows that became a record which existed before.
    pub(super) matched: u64,
    /// Rows that had been imported before.
    pub(super) unchanged: u64,
    /// Rows that became nothing.
    pub(super) refused: u64,
    /// Which these are, and why.
    pub(super) refusals: Vec<Refusal>,
}

/// A row that became nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Refusal {
    /// Its number in the file, counted from 1.
    pub(super) row: u64,
    /// Why.
    pub(super) reason: String,
}

impl Report {
    /// True when every row has become a record.
    pub(super) fn is_clean(&self) -> bool {
        self.tables.iter().all(|table| table.refused == 0)
    }
}

impl TableReport {
    /// Counts a row.
    pub(super) fn count(&mut self, row: u64, outcome: Outcome) {
        match outcome {
            Outcome::Made => self.made += 1,
            Outcome::Matched(_) => self.matched += 1,
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::Refused(reason) => return self.refuse(Refusal { row, reason }),
        }
        self.read += 1;
    }

    /// Counts a row that became nothing.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.read += 1;
        self.refused += 1;
        self.refusals.push(refusal);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.dry_run {
            writeln!(
                f,
                "This is what the import would do; nothing was written.\n"
            )?;
        }
        let width = |text: fn(&TableReport) -> &str, least: usize| {
            let widths = self.tables.iter().map(|table| text(table).chars().count());
            widths.max().unwrap_or_default().max(least)
        };
        let file = width(|table| &table.file, "file".len());
        let into = width(|table| table.into, "into".len());
        writeln!(
            f,
            "{:file$}  {:into$}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}",
            "file", "into", "read", "made", "matched", "unchanged", "refused"
        )?;
        for table in &self.tables {
            writeln!(
                f,
                "{:file$}  {:into$}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}",
                table.file,
                table.into,
                table.read,
                table.made,
                table.matched,
                table.unchanged,
                table.refused
            )?;
        }
        for pipeline in &self.pipelines {
            let what = if pipeline.made { "made" } else { "completed" };
            let stages: Vec<_> = pipeline.stages_made.iter().map(|name| &**name).collect();
            writeln!(
                f,
                "\n{what} the pipeline {} with the stages {}",
                pipeline.name,
                stages.join(", ")
            )?;
        }
        for file in &self.ignored_files {
            writeln!(f, "\nnot in the mapping: {}", file.display())?;
        }
        self.tables
            .iter()
            .filter(|table| table.refused > 0)
            .try_for_each(|table| table.write_refusals(f))
    }
}

impl TableReport {
    fn write_refusals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nrefused of {} (into {}):", self.file, self.into)?;
        for refusal in self.refusals.iter().take(PRINTED) {
            writeln!(f, "  row {}: {}", refusal.row, refusal.reason)?;
        }
        match self.refusals.len().saturating_sub(PRINTED) {
            0 => Ok(()),
            more => writeln!(f, "  … and {more} more: --json lists them all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_refused_rows_the_first_are_printed_and_json_has_all() {
        let mut table = TableReport {
            file: "deals.csv".to_owned(),
            into: "opportunities",
            ..TableReport::default()
        };
        for row in 2..=61 {
            table.count(row, Outcome::Refused("has no name".to_owned()));
        }
        table.count(62, Outcome::Made);
        let report = Report {
            source: Name::read("test").expect("short").expect("not blank"),
            workspace_id: Uuid::nil(),
            dry_run: false,
            pipelines: Vec::new(),
            tables: vec![table],
            ignored_files: Vec::new(),
        };
        let printed = report.to_string();
        assert!(printed.contains("  row 51: has no name\n"), "{printed}");
        assert!(!printed.contains("row 52"), "{printed}");
        assert!(printed.contains("and 10 more"), "{printed}");
        let json = serde_json::to_value(&report).expect("a report");
        let table = &json["tables"][0];
        assert_eq!(table["refusals"].as_array().map(Vec::len), Some(60));
        assert_eq!((&table["read"], &table["made"]), (&61.into(), &1.into()));
        assert!(!report.is_clean());
    }
}
