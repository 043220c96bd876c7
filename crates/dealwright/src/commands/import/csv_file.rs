//! Rows of CSV files, as spreadsheets and databases write them.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};

use super::cell::Cell;
use super::table::{EachRow, Row};

const NOT_UTF_8: &str = "is not UTF-8: save the file as CSV in UTF-8";

/// The sign between the fields, and the header. Where no sign is given, it is
/// the one under which the most of `columns` are there.
pub(super) fn header(
    path: &Path,
    delimiter: Option<u8>,
    columns: &[&str],
) -> Result<(u8, Vec<String>), String> {
    refuse_utf_16(path)?;
    let Some(sign) = delimiter else {
        let candidates = [b',', b';', b'\t'];
        let mut best: Option<(usize, u8, Vec<String>)> = None;
        for sign in candidates {
            let header = header_by(path, sign)?;
            let found = columns
                .iter()
                .filter(|column| header.iter().any(|name| name.trim() == **column))
                .count();
            if best.as_ref().is_none_or(|(most, ..)| found > *most) {
                best = Some((found, sign, header));
            }
        }
        return best
            .map(|(_, sign, header)| (sign, header))
            .ok_or_else(|| "has no header".to_owned());
    };
    Ok((sign, header_by(path, sign)?))
}

fn header_by(path: &Path, sign: u8) -> Result<Vec<String>, String> {
    let mut reader = open(path, sign)?;
    let header = reader.byte_headers().map_err(|error| error.to_string())?;
    if is_blank(header) {
        return Err("is empty: the first row must name the columns".to_owned());
    }
    header
        .iter()
        .map(|name| {
            std::str::from_utf8(name)
                .map(str::to_owned)
                .map_err(|_| format!("the header {NOT_UTF_8}"))
        })
        .collect()
}

/// A file, and a line break after it: so every record ends with one, and its
/// lines can be counted from its end. From its start they can't: the reader
/// passes over blank lines only when it looks for the next record.
type Lines = std::io::Chain<File, &'static [u8]>;

fn open(path: &Path, sign: u8) -> Result<Reader<Lines>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    Ok(ReaderBuilder::new()
        .delimiter(sign)
        .terminator(Terminator::Any(b'\n'))
        .flexible(true)
        .from_reader(file.chain(b"\n")))
}

fn refuse_utf_16(path: &Path) -> Result<(), String> {
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(2).read_to_end(&mut start))
        .map_err(|error| error.to_string())?;
    if matches!(start.as_slice(), [0xFF, 0xFE] | [0xFE, 0xFF]) {
        return Err(format!("is in UTF-16, so it {NOT_UTF_8}"));
    }
    Ok(())
}

/// Passes the cells at `places` of every row to `f`.
pub(super) fn each(
    path: &Path,
    sign: u8,
    places: &[usize],
    f: &mut EachRow<'_>,
) -> Result<(), String> {
    let mut reader = open(path, sign)?;
    let width = reader
        .byte_headers()
        .map_err(|error| error.to_string())?
        .len();
    let mut record = ByteRecord::new();
    let mut following = ByteRecord::new();
    let mut start = read(&mut reader, &mut record)?;
    while let Some(number) = start {
        // One ahead, since only the last record can be the one that a
        // forgotten quotation mark made out of all that follows it.
        start = read(&mut reader, &mut following)?;
        if !is_blank(&record) {
            let cells = if start.is_none() && is_unclosed(path, &record)? {
                Err(
                    "has a quotation mark that is never closed, which takes in all that \
                     follows: close it"
                        .to_owned(),
                )
            } else {
                cells(&record, width, places)
            };
            let row = Row {
                number,
                at: record.position().map_or(0, csv::Position::byte),
                cells,
            };
            if f(row).is_break() {
                break;
            }
        }
        std::mem::swap(&mut record, &mut following);
    }
    Ok(())
}

/// Reads the next record, and the line on which it begins; `None` at the end.
fn read(reader: &mut Reader<Lines>, record: &mut ByteRecord) -> Result<Option<u64>, String> {
    let there = reader
        .read_byte_record(record)
        .map_err(|error| error.to_string())?;
    let breaks = record.iter().flatten().filter(|byte| **byte == b'\n');
    let lines = breaks.count() as u64 + 1;
    Ok(there.then(|| reader.position().line().saturating_sub(lines)))
}

fn is_blank(record: &ByteRecord) -> bool {
    record.iter().all(|field| field.trim_ascii().is_empty())
}

fn cells(record: &ByteRecord, width: usize, places: &[usize]) -> Result<Vec<Cell>, String> {
    if record.len() != width {
        return Err(format!(
            "has {} fields where the header has {width}: a quotation mark or a delimiter \
             may be missing",
            record.len()
        ));
    }
    let cell = |place: &usize| match std::str::from_utf8(record.get(*place).unwrap_or_default()) {
        Ok(text) => Cell::Text(text.to_owned()),
        Err(_) => Cell::Flawed(NOT_UTF_8.to_owned()),
    };
    Ok(places.iter().map(cell).collect())
}

/// True when the file ends within the quotation marks of this record, its last.
fn is_unclosed(path: &Path, record: &ByteRecord) -> Result<bool, String> {
    let spans_lines = record.iter().flatten().any(|byte| *byte == b'\n');
    let Some(start) = record.position().filter(|_| spans_lines) else {
        return Ok(false);
    };
    let count = || -> std::io::Result<usize> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(start.byte()))?;
        let mut marks = 0;
        for byte in BufReader::new(file).bytes() {
            marks += usize::from(byte? == b'"');
        }
        Ok(marks)
    };
    count()
        .map(|marks| marks % 2 == 1)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::super::table::Table;
    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::Builder::new()
            .suffix(".csv")
            .tempfile()
            .expect("a temporary file");
        std::fs::write(file.path(), bytes).expect("written");
        file
    }

    fn open(bytes: &[u8], columns: &[&str]) -> Result<(tempfile::NamedTempFile, Table), String> {
        let file = file(bytes);
        let table = Table::open(file.path(), None, None, columns)?;
        Ok((file, table))
    }

    fn rows(bytes: &[u8], columns: &[&str]) -> Vec<(u64, Result<Vec<String>, String>)> {
        let (_file, table) = open(bytes, columns).expect("a readable file");
        let mut rows = Vec::new();
        table
            .each(&mut |row| {
                let cells = row.cells.and_then(|cells| {
                    cells
                        .into_iter()
                        .map(|cell| match cell {
                            Cell::Text(text) => Ok(text.trim().to_owned()),
                            Cell::Flawed(why) => Err(why),
                            other => panic!("{other:?}"),
                        })
                        .collect()
                });
                rows.push((row.number, cells));
                ControlFlow::Continue(())
            })
            .expect("a readable file");
        rows
    }

    fn good(number: u64, cells: &[&str]) -> (u64, Result<Vec<String>, String>) {
        (
            number,
            Ok(cells.iter().map(|cell| (*cell).to_owned()).collect()),
        )
    }

    #[test]
    fn columns_are_found_by_name_whatever_their_order() {
        let file = b"id,name,town\n1,Acme,Perth\n2,Betatech,\n";
        assert_eq!(
            rows(file, &["town", "id"]),
            [good(2, &["Perth", "1"]), good(3, &["", "2"])]
        );
    }

    #[test]
    fn a_byte_order_mark_semicolons_and_tabs_are_understood() {
        let semicolons = "\u{feff}id;name\r\n1;\"Acme, Inc\"\r\n".as_bytes();
        assert_eq!(
            rows(semicolons, &["id", "name"]),
            [good(2, &["1", "Acme, Inc"])]
        );
        assert_eq!(
            rows(b"id\tname\n1\tAcme\n", &["name"]),
            [good(2, &["Acme"])]
        );
    }

    #[test]
    fn rows_are_numbered_by_the_line_on_which_they_begin() {
        let file = "id,name\n\n1,\"Acme\nInc\"\n\n , \n2,Betatech";
        for file in [
            file.to_owned(),
            file.replace('\n', "\r\n"),
            format!("{file}\n\n"),
        ] {
            let found = rows(file.as_bytes(), &["id"]);
            assert_eq!(found, [good(3, &["1"]), good(7, &["2"])], "{file:?}");
        }
    }

    #[test]
    fn a_row_of_another_length_is_refused_and_the_others_are_read() {
        let found = rows(b"id,name\n1\n2,b,c\n3,d\n", &["id"]);
        assert!(
            found[0]
                .1
                .as_ref()
                .is_err_and(|why| why.contains("1 fields"))
        );
        assert!(
            found[1]
                .1
                .as_ref()
                .is_err_and(|why| why.contains("3 fields"))
        );
        assert_eq!(found[2], good(4, &["3"]));
    }

    #[test]
    fn a_line_break_between_quotation_marks_belongs_to_the_text() {
        let file = b"id,name\n1,\"Acme\r\nInc\"\r\n";
        assert_eq!(rows(file, &["name"]), [good(2, &["Acme\r\nInc"])]);
    }

    #[test]
    fn a_forgotten_quotation_mark_does_not_swallow_the_rest_unnoticed() {
        let found = rows(
            b"id,name\n1,\"Acme\n2,Betatech\n3,Cancity\n",
            &["id", "name"],
        );
        assert_eq!(found.len(), 1);
        assert!(
            found[0]
                .1
                .as_ref()
                .is_err_and(|why| why.contains("never closed"))
        );
        let found = rows(b"id,name\n1,Acme\n2,\"Betatech", &["id", "name"]);
        assert!(
            found[1]
                .1
                .as_ref()
                .is_err_and(|why| why.contains("never closed"))
        );
        let closed = b"\xEF\xBB\xBFid,name\n1,\"a \"\"b\"\"\nc\"\n";
        assert_eq!(rows(closed, &["name"]), [good(2, &["a \"b\"\nc"])]);
    }

    #[test]
    fn text_in_latin_1_is_refused_where_it_is_wanted() {
        let file = b"id,name,notes\n1,Caf\xe9,\n2,Bar,\xe9\n";
        let found = rows(file, &["id", "name"]);
        assert!(found[0].1.as_ref().is_err_and(|why| why.contains("UTF-8")));
        assert_eq!(found[1], good(3, &["2", "Bar"]));
    }

    #[test]
    fn what_can_not_be_a_table_of_these_columns_is_refused_at_once() {
        for (bytes, columns, why) in [
            (&b""[..], &["id"][..], "is empty"),
            (b"\r\n\n", &["id"], "is empty"),
            (b"\xff\xfei\0d\0", &["id"], "UTF-16"),
            (b"n\xe9,id\n", &["id"], "UTF-8"),
            (b"id,id\n", &["id"], "twice"),
            (
                b"id,name\n",
                &["town", "id"],
                "no column town; it has id, name",
            ),
        ] {
            let error = open(bytes, columns).expect_err(why);
            assert!(error.contains(why), "{why} in: {error}");
        }
        let missing = Table::open(Path::new("nowhere.csv"), None, None, &["id"]);
        assert!(missing.is_err());
    }
}
