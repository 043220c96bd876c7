//! Rows of the sheets of XLSX workbooks. Cells are streamed; only the texts
//! that a workbook's sheets share are held in memory.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use calamine::{DataRef, ExcelDateTime, Reader, Xlsx};
use jiff::civil;

use super::cell::Cell;
use super::table::{EachRow, Row};

/// How many columns a sheet can have: beyond them lies only damage.
const COLUMNS: usize = 16_384;

type Workbook = Xlsx<BufReader<File>>;

/// The sheet of that name, or the first one, and its header.
pub(super) fn header(path: &Path, name: Option<&str>) -> Result<(String, Vec<String>), String> {
    let mut workbook = open(path)?;
    let names = workbook.sheet_names();
    let name = match name {
        Some(name) if names.iter().any(|other| other == name) => name.to_owned(),
        Some(name) => {
            return Err(format!("has no sheet {name}; it has {}", names.join(", ")));
        }
        None => names.into_iter().next().ok_or("has no sheet")?,
    };
    let mut header = Vec::new();
    each_row(&mut workbook, &name, |_, cells| {
        header = cells.into_iter().map(heading).collect();
        false
    })?;
    if header.is_empty() {
        return Err(format!(
            "the sheet {name} is empty: its first row must name the columns"
        ));
    }
    Ok((name, header))
}

/// Passes the cells at `places` of every row but the header to `f`.
pub(super) fn each(
    path: &Path,
    name: &str,
    places: &[usize],
    f: &mut EachRow<'_>,
) -> Result<(), String> {
    let size = std::fs::metadata(path).map_or(0, |file| file.len());
    let mut workbook = open(path)?;
    let mut seen_header = false;
    let height = height(&mut workbook, name)?;
    each_row(&mut workbook, name, |number, mut cells| {
        if !std::mem::replace(&mut seen_header, true) {
            return true;
        }
        let cells = places
            .iter()
            .map(|place| match cells.get_mut(*place) {
                Some(cell) => std::mem::replace(cell, Cell::Text(String::new())),
                None => Cell::Text(String::new()),
            })
            .collect();
        let row = Row {
            number,
            at: size.saturating_mul(number) / height.max(number),
            cells: Ok(cells),
        };
        f(row).is_continue()
    })
}

fn open(path: &Path) -> Result<Workbook, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    Xlsx::new(BufReader::new(file)).map_err(|error| format!("is no XLSX workbook: {error}"))
}

/// How many rows the sheet says that it has.
fn height(workbook: &mut Workbook, name: &str) -> Result<u64, String> {
    let cells = workbook
        .worksheet_cells_reader(name)
        .map_err(|error| error.to_string())?;
    Ok(u64::from(cells.dimensions().end.0) + 1)
}

/// Passes every row that is not blank to `f`, with its number, until `f` says
/// that it wants no more.
fn each_row(
    workbook: &mut Workbook,
    name: &str,
    mut f: impl FnMut(u64, Vec<Cell>) -> bool,
) -> Result<(), String> {
    let mut reader = workbook
        .worksheet_cells_reader(name)
        .map_err(|error| error.to_string())?;
    let mut row = 0;
    let mut cells: Vec<Cell> = Vec::new();
    loop {
        let next = reader.next_cell().map_err(|error| error.to_string())?;
        let place = next.as_ref().map(|cell| cell.get_position());
        if place.is_none_or(|(next_row, _)| next_row != row) {
            let finished = std::mem::take(&mut cells);
            let blank = finished.iter().all(Cell::is_blank);
            if !blank && !f(u64::from(row) + 1, finished) {
                return Ok(());
            }
        }
        let (Some(cell), Some((next_row, column))) = (next, place) else {
            return Ok(());
        };
        row = next_row;
        let column = column as usize;
        if column >= COLUMNS {
            return Err("is damaged: it has cells beyond the last column".to_owned());
        }
        if cells.len() <= column {
            cells.resize(column + 1, Cell::Text(String::new()));
        }
        cells[column] = read(cell.get_value());
    }
}

fn heading(cell: Cell) -> String {
    match cell.plain() {
        Ok(Some(serde_json::Value::String(text))) => text,
        Ok(Some(other)) => other.to_string(),
        Ok(None) | Err(_) => String::new(),
    }
}

fn read(value: &DataRef<'_>) -> Cell {
    match value {
        DataRef::Int(number) => Cell::Number((*number).into()),
        DataRef::Float(number) => {
            // The shortest text of a whole number has no fraction: 1054, not 1054.0.
            let read = number.to_string().parse();
            read.map_or_else(|_| Cell::Flawed("is not a number".to_owned()), Cell::Number)
        }
        DataRef::String(text) => Cell::Text(text.clone()),
        DataRef::SharedString(text) => Cell::Text((*text).to_owned()),
        DataRef::Bool(truth) => Cell::Boolean(*truth),
        DataRef::DateTime(instant) => date_time(*instant),
        DataRef::DateTimeIso(text) => text
            .parse()
            .map_or_else(|_| Cell::Text(text.clone()), Cell::DateTime),
        DataRef::DurationIso(text) => Cell::Text(text.clone()),
        DataRef::Error(error) => Cell::Flawed(format!("holds the error {error}")),
        DataRef::Empty => Cell::Text(String::new()),
    }
}

fn date_time(instant: ExcelDateTime) -> Cell {
    if !instant.is_datetime() {
        return Cell::Text(instant.as_f64().to_string());
    }
    let (year, month, day, hour, minute, second, milli) = instant.to_ymd_hms_milli();
    let small = |number: u8| i8::try_from(number).ok();
    let read = || {
        civil::DateTime::new(
            i16::try_from(year).ok()?,
            small(month)?,
            small(day)?,
            small(hour)?,
            small(minute)?,
            small(second)?,
            i32::from(milli) * 1_000_000,
        )
        .ok()
    };
    read().map_or_else(|| Cell::Flawed("holds no date".to_owned()), Cell::DateTime)
}
