//! Tables for people with a spreadsheet: CSV and XLSX, written row by row. What
//! has been written can be taken away at any time, so that a table takes the same
//! memory however long it grows.
//!
//! ```
//! use tables::{Cell, Table};
//!
//! let mut table = Table::csv(&["name", "value"]);
//! table.row(&[Cell::Text("Difference engine".into()), Cell::Number("17470".into())]);
//! assert_eq!(table.take(), b"name,value\r\nDifference engine,17470\r\n");
//! assert_eq!(table.finish(), b"");
//! ```

mod buffer;
mod csv_table;
mod xlsx;

use jiff::tz::TimeZone;

use csv_table::CsvTable;
use xlsx::Workbook;

/// What stands at one place of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// What somebody has written.
    Text(String),
    /// What has a form of its own: an id, a phone number, a word of a list.
    Word(String),
    /// A number in decimal digits.
    Number(String),
    /// True or false.
    Bool(bool),
    /// A day.
    Date(jiff::civil::Date),
    /// An instant.
    Instant(jiff::Timestamp),
}

/// A table that is being written.
pub enum Table {
    /// As [`Table::csv`] makes it.
    Csv(Box<CsvTable>),
    /// As [`Table::xlsx`] makes it.
    Xlsx(Box<Workbook>),
}

/// Why writing can't fail.
const IN_MEMORY: &str = "a table is written to memory, and no part of it gets too large";

impl Table {
    /// A table by RFC 4180, in UTF-8: a line with the headings, and one for each
    /// row.
    ///
    /// A [`Cell::Text`] that a spreadsheet would take for a formula, because it
    /// begins with `=`, `+`, `-`, `@`, a tab or a carriage return, gets an apostrophe
    /// before it. Instants are in UTC.
    pub fn csv(headings: &[&str]) -> Self {
        let table = CsvTable::new(headings).expect(IN_MEMORY);
        Self::Csv(Box::new(table))
    }

    /// A workbook of Office Open XML with a sheet called `name`, and further ones
    /// where one is full. Each begins with the headings, which stay in sight.
    ///
    /// No text is ever a formula. Instants are shown as clocks in `zone` show them,
    /// since a spreadsheet knows of no zones. A text longer than a cell can hold is
    /// cut, and ends with `…`; a day before March 1900 is a text.
    pub fn xlsx(name: &str, headings: &[&str], zone: TimeZone) -> Self {
        let book = Workbook::new(name, headings, zone).expect(IN_MEMORY);
        Self::Xlsx(Box::new(book))
    }

    /// Adds a row, with a cell for each heading.
    ///
    /// # Panics
    /// If there are more or fewer: they would stand below wrong headings.
    pub fn row(&mut self, cells: &[Cell]) {
        match self {
            Self::Csv(table) => table.row(cells),
            Self::Xlsx(book) => book.row(cells),
        }
        .expect(IN_MEMORY);
    }

    /// What has been written and not been taken yet, as far as it can be told.
    pub fn take(&mut self) -> Vec<u8> {
        match self {
            Self::Csv(table) => table.take(),
            Self::Xlsx(book) => Ok(book.take()),
        }
        .expect(IN_MEMORY)
    }

    /// Ends the table: the rest of it.
    pub fn finish(self) -> Vec<u8> {
        match self {
            Self::Csv(mut table) => table.take(),
            Self::Xlsx(book) => book.finish(),
        }
        .expect(IN_MEMORY)
    }
}
