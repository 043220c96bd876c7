//! XLSX, as a stream.
//!
//! A workbook is a ZIP archive of XML files. Here the sheets come first, each row
//! as it is written, and the parts that name them at the end, when it is known how
//! many there are. Texts stand in their cells instead of a list of all texts, which
//! would have to be kept until then.

mod text;

use std::fmt::Write as _;
use std::io::{self, Write as _};

use jiff::civil::{Date, DateTime, date};
use jiff::tz::TimeZone;
use zip::write::{SimpleFileOptions, StreamWriter, ZipWriter};

use crate::Cell;
use crate::buffer::Buffer;
use text::{cut, escape};

/// How many rows a sheet has at most.
const ROWS: u32 = 1_048_576;

/// How large a sheet may become in the archive, in bytes before it is packed: below
/// what would need the 64 bit form of ZIP, which Excel repairs with a warning.
const BYTES: u64 = 0xF000_0000;

/// The last day of which Excel's calendar is wrong: it has a 29th of February 1900.
const WRONG_UNTIL: Date = date(1900, 2, 28);

/// The day that Excel counts as 0, seen from the days that it counts right.
const DAY_ZERO: Date = date(1899, 12, 30);

/// The styles of cells, by their places in `xl/styles.xml`.
const HEADING: u8 = 1;
const DAY: u8 = 2;
const CLOCK: u8 = 3;

const STYLES: &str = r#"<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><numFmts count="2"><numFmt numFmtId="164" formatCode="yyyy\-mm\-dd"/><numFmt numFmtId="165" formatCode="yyyy\-mm\-dd\ hh:mm:ss"/></numFmts><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="4"><xf xfId="0"/><xf xfId="0" fontId="1" applyFont="1"/><xf xfId="0" numFmtId="164" applyNumberFormat="1"/><xf xfId="0" numFmtId="165" applyNumberFormat="1"/></cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>"#;

const SHEET_START: &str = r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetFormatPr defaultColWidth="20" defaultRowHeight="15"/><sheetData>"#;

const SHEET_END: &str = "</sheetData></worksheet>";

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";

/// A table as a workbook.
pub struct Workbook {
    archive: ZipWriter<StreamWriter<Buffer>>,
    buffer: Buffer,
    name: String,
    zone: TimeZone,
    headings: Vec<Cell>,
    /// What the columns are called: `A`, `B` … `AA`.
    letters: Vec<String>,
    sheets: u32,
    /// What the sheet at hand has.
    rows: u32,
    bytes: u64,
    /// How many rows a sheet gets.
    full: u32,
    line: String,
}

impl Workbook {
    pub(crate) fn new(name: &str, headings: &[&str], zone: TimeZone) -> io::Result<Self> {
        Self::with_sheets_of(ROWS, name, headings, zone)
    }

    fn with_sheets_of(
        full: u32,
        name: &str,
        headings: &[&str],
        zone: TimeZone,
    ) -> io::Result<Self> {
        let buffer = Buffer::default();
        let text = |heading: &&str| Cell::Text((*heading).to_owned());
        let mut book = Self {
            archive: ZipWriter::new_stream(buffer.clone()),
            buffer,
            name: name.to_owned(),
            zone,
            headings: headings.iter().map(text).collect(),
            letters: (0..headings.len()).map(letters).collect(),
            sheets: 0,
            rows: 0,
            bytes: 0,
            full,
            line: String::new(),
        };
        book.begin_sheet()?;
        Ok(book)
    }

    pub(crate) fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        assert_eq!(cells.len(), self.letters.len(), "a cell for each heading");
        if self.rows == self.full || self.bytes > BYTES {
            self.write(SHEET_END)?;
            self.begin_sheet()?;
        }
        self.write_row(cells, 0)
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.buffer.take()
    }

    pub(crate) fn finish(mut self) -> io::Result<Vec<u8>> {
        self.write(SHEET_END)?;
        self.part("xl/styles.xml", STYLES)?;
        let (mut types, mut sheets, mut relations) = (String::new(), String::new(), String::new());
        for number in 1..=self.sheets {
            let mut name = String::new();
            escape(&self.name, &mut name);
            if number > 1 {
                let _ = write!(name, " {number}");
            }
            let _ = write!(
                sheets,
                r#"<sheet name="{name}" sheetId="{number}" r:id="rId{number}"/>"#
            );
            let _ = write!(
                relations,
                r#"<Relationship Id="rId{number}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet{number}.xml"/>"#
            );
            let _ = write!(
                types,
                r#"<Override PartName="/xl/worksheets/sheet{number}.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>"#
            );
        }
        let styles = self.sheets + 1;
        self.part(
            "xl/workbook.xml",
            &format!(
                r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><bookViews><workbookView/></bookViews><sheets>{sheets}</sheets></workbook>"#
            ),
        )?;
        self.part(
            "xl/_rels/workbook.xml.rels",
            &format!(
                r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{relations}<Relationship Id="rId{styles}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>"#
            ),
        )?;
        self.part(
            "_rels/.rels",
            r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
        )?;
        self.part(
            "[Content_Types].xml",
            &format!(
                r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/>{types}</Types>"#
            ),
        )?;
        self.archive.finish()?;
        Ok(self.buffer.take())
    }

    fn begin_sheet(&mut self) -> io::Result<()> {
        self.sheets += 1;
        (self.rows, self.bytes) = (0, 0);
        self.part(
            &format!("xl/worksheets/sheet{}.xml", self.sheets),
            SHEET_START,
        )?;
        let headings = std::mem::take(&mut self.headings);
        let written = self.write_row(&headings, HEADING);
        self.headings = headings;
        written
    }

    /// Begins a file of the archive.
    fn part(&mut self, name: &str, content: &str) -> io::Result<()> {
        // The quickest packing: XML gets small by any.
        let options = SimpleFileOptions::default().compression_level(Some(1));
        self.archive.start_file(name, options)?;
        self.write(DECLARATION)?;
        self.write(content)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.bytes += text.len() as u64;
        self.archive.write_all(text.as_bytes())
    }

    fn write_row(&mut self, cells: &[Cell], style: u8) -> io::Result<()> {
        self.rows += 1;
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        line.push_str("<row>");
        for (letters, cell) in self.letters.iter().zip(cells) {
            self.write_cell(&mut line, letters, cell, style);
        }
        line.push_str("</row>");
        self.write(&line)?;
        self.line = line;
        Ok(())
    }

    fn write_cell(&self, line: &mut String, letters: &str, cell: &Cell, style: u8) {
        let row = self.rows;
        // Writing into a String can't fail.
        let _ = match cell {
            Cell::Empty => Ok(()),
            Cell::Text(text) | Cell::Word(text) => text_cell(line, letters, row, text, style),
            Cell::Number(number) => {
                write!(line, r#"<c r="{letters}{row}"><v>{number}</v></c>"#)
            }
            Cell::Bool(value) => {
                let value = u8::from(*value);
                write!(line, r#"<c r="{letters}{row}" t="b"><v>{value}</v></c>"#)
            }
            Cell::Date(day) if *day <= WRONG_UNTIL => {
                text_cell(line, letters, row, &day.to_string(), style)
            }
            Cell::Date(day) => {
                let days = days(*day);
                write!(line, r#"<c r="{letters}{row}" s="{DAY}"><v>{days}</v></c>"#)
            }
            Cell::Instant(instant) => {
                let clock = self.zone.to_datetime(*instant);
                match clock.date() <= WRONG_UNTIL {
                    true => text_cell(line, letters, row, &clock.to_string(), style),
                    false => {
                        let days = days(clock.date());
                        let part = part_of_day(clock);
                        write!(
                            line,
                            r#"<c r="{letters}{row}" s="{CLOCK}"><v>{days}{part}</v></c>"#
                        )
                    }
                }
            }
        };
    }
}

fn text_cell(
    line: &mut String,
    letters: &str,
    row: u32,
    text: &str,
    style: u8,
) -> std::fmt::Result {
    write!(line, r#"<c r="{letters}{row}" t="inlineStr""#)?;
    if style > 0 {
        write!(line, r#" s="{style}""#)?;
    }
    line.push_str(r#"><is><t xml:space="preserve">"#);
    escape(&cut(text), line);
    line.push_str("</t></is></c>");
    Ok(())
}

/// The number of a day in Excel's calendar.
fn days(day: Date) -> i64 {
    day.duration_since(DAY_ZERO).as_hours() / 24
}

/// How much of its day has passed, as decimals: `.375`. They are rounded to the
/// nearest, and so many that what is counted back of them is the same second.
fn part_of_day(clock: DateTime) -> String {
    const NANOSECONDS: i128 = 24 * 60 * 60 * 1_000_000_000;
    const WHOLE: i128 = 1_000_000_000_000;
    let passed = clock.duration_since(clock.date().into()).as_nanos();
    // Not up to the next day.
    let part = ((passed * WHOLE + NANOSECONDS / 2) / NANOSECONDS).min(WHOLE - 1);
    match format!(".{part:012}").trim_end_matches('0') {
        "." => String::new(),
        part => part.to_owned(),
    }
}

/// What a column is called, counted from 0: `A` … `Z`, `AA` …
fn letters(column: usize) -> String {
    let mut letters = String::new();
    let mut rest = column + 1;
    while rest > 0 {
        let letter = u8::try_from((rest - 1) % 26).unwrap_or_default();
        letters.insert(0, char::from(b'A' + letter));
        rest = (rest - 1) / 26;
    }
    letters
}

#[cfg(test)]
mod tests;
