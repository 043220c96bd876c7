//! CSV by RFC 4180.

use std::io;

use csv::{Terminator, Writer, WriterBuilder};

use crate::Cell;
use crate::buffer::Buffer;

/// What makes a spreadsheet take a text for a formula, at its beginning.
const SIGNS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A table as CSV.
pub struct CsvTable {
    writer: Writer<Buffer>,
    buffer: Buffer,
    columns: usize,
}

impl CsvTable {
    pub(crate) fn new(headings: &[&str]) -> io::Result<Self> {
        let buffer = Buffer::default();
        let mut writer = WriterBuilder::new()
            .terminator(Terminator::CRLF)
            .from_writer(buffer.clone());
        writer.write_record(headings)?;
        Ok(Self {
            writer,
            buffer,
            columns: headings.len(),
        })
    }

    pub(crate) fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        assert_eq!(cells.len(), self.columns, "a cell for each heading");
        for cell in cells {
            match cell {
                Cell::Empty => self.writer.write_field("")?,
                Cell::Text(text) if text.starts_with(SIGNS) => {
                    self.writer.write_field(format!("'{text}"))?;
                }
                Cell::Text(text) | Cell::Word(text) | Cell::Number(text) => {
                    self.writer.write_field(text)?;
                }
                Cell::Bool(value) => self.writer.write_field(value.to_string())?,
                Cell::Date(date) => self.writer.write_field(date.to_string())?,
                Cell::Instant(instant) => self.writer.write_field(format!("{instant:.3}"))?,
            }
        }
        // Ends the line.
        self.writer.write_record(None::<&[u8]>)?;
        Ok(())
    }

    pub(crate) fn take(&mut self) -> io::Result<Vec<u8>> {
        self.writer.flush()?;
        Ok(self.buffer.take())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn written(cell: Cell) -> String {
        let mut table = CsvTable::new(&["a", "b"]).unwrap();
        table.row(&[cell, Cell::Bool(true)]).unwrap();
        let text = String::from_utf8(table.take().unwrap()).unwrap();
        let line = text.strip_prefix("a,b\r\n").unwrap();
        line.strip_suffix(",true\r\n").unwrap().to_owned()
    }

    #[test]
    fn cells_are_written_as_rfc_4180_has_it() {
        let text = |text: &str| written(Cell::Text(text.to_owned()));
        assert_eq!(text("Łódź, 東京"), "\"Łódź, 東京\"");
        assert_eq!(text("a \"b\"\nc"), "\"a \"\"b\"\"\nc\"");
        assert_eq!(written(Cell::Empty), "");
        assert_eq!(
            written(Cell::Date(jiff::civil::date(2026, 3, 1))),
            "2026-03-01"
        );
        let instant = "2026-03-01T09:00:00Z".parse().unwrap();
        assert_eq!(written(Cell::Instant(instant)), "2026-03-01T09:00:00.000Z");
    }

    #[test]
    fn only_what_somebody_wrote_is_kept_from_being_a_formula() {
        for sign in SIGNS {
            let line = written(Cell::Text(format!("{sign}1+1")));
            assert_eq!(line.trim_matches('"'), format!("'{sign}1+1"));
        }
        assert_eq!(written(Cell::Text("a=1".into())), "a=1");
        assert_eq!(written(Cell::Word("+61412345678".into())), "+61412345678");
        assert_eq!(written(Cell::Number("-5.25".into())), "-5.25");
    }

    #[test]
    #[should_panic(expected = "a cell for each heading")]
    fn a_row_that_does_not_fit_the_headings_is_refused() {
        let mut table = CsvTable::new(&["a", "b"]).unwrap();
        let _ = table.row(&[Cell::Empty]);
    }

    #[test]
    fn a_table_without_rows_has_its_headings() {
        let mut table = CsvTable::new(&["a", "b"]).unwrap();
        assert_eq!(table.take().unwrap(), b"a,b\r\n");
        assert_eq!(table.take().unwrap(), b"");
    }
}
