//! What an import will do: the mapping, brought together with the files, all
//! of them looked into before anything happens.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use crm::text::Name;

use super::column::{ListedIn, Lists};
use super::files::Files;
use super::mapping::{Mapping, PipelineMapping, TableMapping};
use super::table::Table;

/// An import that can begin.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) source: Name,
    pub(super) pipelines: Vec<PipelineMapping>,
    pub(super) tables: Vec<Arc<PlannedTable>>,
    /// Files of a folder that the mapping says nothing of.
    pub(super) ignored: Vec<PathBuf>,
}

/// A table that was found, with how its rows are read.
#[derive(Debug)]
pub(super) struct PlannedTable {
    pub(super) mapping: TableMapping,
    pub(super) table: Table,
    /// The lists that its columns are checked against.
    pub(super) lists: Lists,
}

impl Plan {
    /// Finds the files of the mapping and looks into each.
    ///
    /// # Errors
    /// A file is missing, can't be read, or lacks a column: every such file is
    /// named.
    pub(super) fn new(mapping: Mapping, paths: &[PathBuf]) -> Result<Self, String> {
        let files = Files::gather(paths)?;
        let mut tables = Vec::new();
        let mut used = Vec::new();
        let mut problems = Vec::new();
        for table in mapping.tables {
            match plan_table(table, &files, &mut used) {
                Ok(planned) => tables.extend(planned.map(Arc::new)),
                Err(problem) => problems.push(problem),
            }
        }
        let ignored = files.others(&used);
        if !files.complete {
            problems.extend(
                ignored
                    .iter()
                    .map(|file| format!("{}: the mapping names no such file", file.display())),
            );
        }
        if problems.is_empty() && tables.is_empty() {
            problems.push("none of the mapping's files was given".to_owned());
        }
        match problems.as_slice() {
            [] => Ok(Self {
                source: mapping.source,
                pipelines: mapping.pipelines,
                tables,
                ignored,
            }),
            [only] => Err(only.clone()),
            all => Err(format!("\n  {}", all.join("\n  "))),
        }
    }
}

fn plan_table(
    mapping: TableMapping,
    files: &Files,
    used: &mut Vec<PathBuf>,
) -> Result<Option<PlannedTable>, String> {
    let path = match files.find(&mapping.file)? {
        Some(path) => path,
        None if files.complete => {
            return Err(format!(
                "{}: there is no such file, and the mapping makes {} of it",
                mapping.file,
                mapping.kind.name()
            ));
        }
        // Of files given one by one, those are imported.
        None => return Ok(None),
    };
    used.push(path.to_owned());
    let columns: Vec<_> = mapping.columns.iter().map(|column| &*column.name).collect();
    let sheet = mapping.sheet.as_deref();
    let table = Table::open(path, sheet, mapping.delimiter, &columns)?;
    let mut lists = HashMap::new();
    for list in mapping
        .columns
        .iter()
        .filter_map(|column| column.listed_in.as_ref())
    {
        lists.insert(list.clone(), Arc::new(read_list(list, files, used)?));
    }
    Ok(Some(PlannedTable {
        mapping,
        table,
        lists,
    }))
}

/// The values that a column lists.
fn read_list(
    list: &ListedIn,
    files: &Files,
    used: &mut Vec<PathBuf>,
) -> Result<HashSet<String>, String> {
    let path = files.find(&list.file)?.ok_or_else(|| {
        format!(
            "{}: there is no such file, and the mapping checks values against its column {}",
            list.file, list.column
        )
    })?;
    used.push(path.to_owned());
    let table = Table::open(path, list.sheet.as_deref(), None, &[&list.column])?;
    let mut values = HashSet::new();
    let mut flaw = None;
    table.each(&mut |row| {
        let number = row.number;
        let found = row
            .cells
            .and_then(|cells| cells.iter().map(super::cell::Cell::plain).collect());
        let found: Vec<_> = match found {
            Ok(found) => found,
            Err(why) => {
                flaw = Some(format!("{}, row {number}: {why}", path.display()));
                return ControlFlow::Break(());
            }
        };
        values.extend(found.into_iter().flatten().map(|value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        }));
        ControlFlow::Continue(())
    })?;
    flaw.map_or(Ok(values), Err)
}
