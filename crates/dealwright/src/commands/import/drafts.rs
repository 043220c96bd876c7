//! From the rows of a table to drafts of records, in batches, without a
//! database.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crm::text::Name;
use serde_json::{Map, Value as Json};
use tokio::sync::mpsc::Sender;

use super::cell::Cell;
use super::kinds::Draft;
use super::plan::PlannedTable;
use super::report::Refusal;

/// How many rows one transaction takes: enough that its commit costs little,
/// few enough that nobody else waits long for it.
const BATCH: usize = 250;

/// A row that may become a record.
#[derive(Debug)]
pub(super) struct DraftedRow {
    /// Its number in the file.
    pub(super) number: u64,
    /// By what it is known again.
    pub(super) key: Name,
    /// What it says.
    pub(super) draft: Draft,
}

/// Some rows that follow each other.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Those that may become records.
    pub(super) rows: Vec<DraftedRow>,
    /// Those that can't.
    pub(super) refused: Vec<Refusal>,
    /// How far into the file they reach, in bytes.
    pub(super) at: u64,
}

impl Batch {
    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len() + self.refused.len()
    }
}

/// Reads the table to its end, or until nobody takes the batches any more.
///
/// # Errors
/// The file can't be read any further.
pub(super) fn read(planned: &PlannedTable, sender: &Sender<Batch>) -> Result<(), String> {
    let mut drafter = Drafter {
        planned,
        seen: HashMap::new(),
    };
    let mut batch = Batch::default();
    planned.table.each(&mut |row| {
        let number = row.number;
        match row.cells.and_then(|cells| drafter.draft(number, &cells)) {
            Ok(drafted) => batch.rows.extend(drafted),
            Err(reason) => batch.refused.push(Refusal {
                row: number,
                reason,
            }),
        }
        batch.at = row.at;
        if batch.len() < BATCH {
            return ControlFlow::Continue(());
        }
        match sender.blocking_send(std::mem::take(&mut batch)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    if batch.len() > 0 {
        // Nobody takes it when the import has failed, which is reported there.
        let _ = sender.blocking_send(batch);
    }
    Ok(())
}

struct Drafter<'a> {
    planned: &'a PlannedTable,
    /// The keys so far, each with its row, where none may come again.
    seen: HashMap<Name, u64>,
}

impl Drafter<'_> {
    /// What the row says; `None` for one that may say nothing, and does.
    fn draft(&mut self, number: u64, cells: &[Cell]) -> Result<Option<DraftedRow>, String> {
        let mapping = &self.planned.mapping;
        let mut flaws = Vec::new();
        let mut values = Vec::new();
        for (column, cell) in mapping.columns.iter().zip(cells) {
            let value = column.value(cell, &self.planned.lists);
            values.push(value.unwrap_or_else(|flaw| {
                flaws.push(flaw);
                None
            }));
        }
        let key = mapping.key.render(&values);
        if mapping.gaps && key.is_none() && flaws.is_empty() {
            return Ok(None);
        }
        let mut draft = Draft::default();
        for (field, template) in &mapping.fields {
            if let Some(value) = template.render(&values) {
                draft
                    .set(field, value)
                    .unwrap_or_else(|flaw| flaws.push(flaw));
            }
        }
        let metadata: Map<String, Json> = mapping
            .metadata
            .iter()
            .filter_map(|(key, template)| Some((key.clone(), template.render(&values)?)))
            .collect();
        if !metadata.is_empty() {
            draft.input.insert("metadata".to_owned(), metadata.into());
        }
        if !flaws.is_empty() {
            return Err(flaws.join("; "));
        }
        let key = self.key(number, key)?;
        Ok(Some(DraftedRow { number, key, draft }))
    }

    fn key(&mut self, number: u64, key: Option<Json>) -> Result<Name, String> {
        let text = match key {
            Some(Json::String(text)) => text,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let key = Name::read(&text)
            .map_err(|flaw| format!("its key {}", flaw.message))?
            .ok_or("its key is blank, so that it could not be known again")?;
        if !self.planned.mapping.repeats {
            if let Some(first) = self.seen.get(&key) {
                return Err(format!("row {first} has the same key, {:?}", &*key));
            }
            self.seen.insert(key.clone(), number);
        }
        Ok(key)
    }
}
