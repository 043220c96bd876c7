//! Tables of rows in a file, whatever its format.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::cell::Cell;
use super::{csv_file, sheet};

/// A table that was found to have the columns that are wanted of it.
#[derive(Debug, Clone)]
pub(super) struct Table {
    path: PathBuf,
    form: Form,
    /// Where each wanted column stands.
    places: Vec<usize>,
}

#[derive(Debug, Clone)]
enum Form {
    /// A CSV file with this sign between its fields.
    Csv(u8),
    /// The sheet of that name.
    Sheet(String),
}

/// A row of a table: never a blank one.
#[derive(Debug)]
pub(super) struct Row {
    /// Its number, counted from 1 as editors and spreadsheets do: the line on
    /// which it begins.
    pub(super) number: u64,
    /// How far into the file it is: at most the file's size in bytes.
    pub(super) at: u64,
    /// The cells of the wanted columns, or why the row can't be read.
    pub(super) cells: Result<Vec<Cell>, String>,
}

/// What is done with each row; `Break` when no further one is wanted.
pub(super) type EachRow<'f> = dyn FnMut(Row) -> ControlFlow<()> + 'f;

impl Table {
    /// Opens a file and finds `columns` in its header. A CSV file may be
    /// separated by commas, semicolons or tabs, unless `delimiter` says which.
    ///
    /// # Errors
    /// The file can't be read, or lacks one of the columns.
    pub(super) fn open(
        path: &Path,
        sheet: Option<&str>,
        delimiter: Option<u8>,
        columns: &[&str],
    ) -> Result<Self, String> {
        let wrong = |why: String| format!("{}: {why}", path.display());
        let (form, header) = match extension(path).as_str() {
            "xls" | "xlsb" | "ods" => {
                return Err(wrong(
                    "this format is not read: save it as .xlsx or .csv".to_owned(),
                ));
            }
            "xlsx" | "xlsm" => {
                let (name, header) = sheet::header(path, sheet).map_err(wrong)?;
                (Form::Sheet(name), header)
            }
            _ if sheet.is_some() => {
                return Err(wrong(
                    "a CSV file has no sheets: leave `sheet` out".to_owned(),
                ));
            }
            _ => {
                let (sign, header) = csv_file::header(path, delimiter, columns).map_err(wrong)?;
                (Form::Csv(sign), header)
            }
        };
        Ok(Self {
            path: path.to_owned(),
            form,
            places: places(&header, columns).map_err(wrong)?,
        })
    }

    /// Passes every row to `f`, in their order.
    ///
    /// # Errors
    /// The file can't be read any further.
    pub(super) fn each(&self, f: &mut EachRow<'_>) -> Result<(), String> {
        match &self.form {
            Form::Csv(sign) => csv_file::each(&self.path, *sign, &self.places, f),
            Form::Sheet(name) => sheet::each(&self.path, name, &self.places, f),
        }
        .map_err(|why| format!("{}: {why}", self.path.display()))
    }

    /// The file's name.
    pub(super) fn file_name(&self) -> String {
        self.path.file_name().map_or_else(
            || self.path.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        )
    }

    /// The file's size in bytes.
    pub(super) fn size(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }
}

/// The extension of a file's name in lower case; empty when it has none.
pub(super) fn extension(path: &Path) -> String {
    path.extension()
        .map(|extension| extension.to_string_lossy().to_lowercase())
        .unwrap_or_default()
}

/// Finds each column in the header.
fn places(header: &[String], columns: &[&str]) -> Result<Vec<usize>, String> {
    let mut missing = Vec::new();
    let mut places = Vec::new();
    for column in columns {
        let mut found = (0..header.len()).filter(|place| header[*place].trim() == *column);
        match (found.next(), found.next()) {
            (Some(place), None) => places.push(place),
            (Some(_), Some(_)) => {
                return Err(format!(
                    "the column {column} is there twice: rename one of them"
                ));
            }
            (None, _) => missing.push(*column),
        }
    }
    if missing.is_empty() {
        return Ok(places);
    }
    let header: Vec<_> = header.iter().map(|name| name.trim()).collect();
    Err(format!(
        "has no column {}; it has {}",
        missing.join(", "),
        header.join(", ")
    ))
}
