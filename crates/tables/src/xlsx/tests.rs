#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Cursor;

use calamine::{Data, DataType as _, Range, Reader as _, Xlsx};
use jiff::SignedDuration;

use super::*;

fn read(bytes: Vec<u8>) -> Vec<(String, Range<Data>)> {
    let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(bytes)).unwrap();
    book.worksheets()
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

#[test]
fn a_workbook_is_read_as_it_was_written() {
    let zone = TimeZone::get("Australia/Sydney").unwrap();
    let headings = ["text", "number", "truth", "day", "instant", "nothing"];
    let mut book = Workbook::new("deals & more", &headings, zone).unwrap();
    let instant = "2026-03-01T20:30:00.250Z".parse().unwrap();
    book.row(&[
        text("=1+1 <b> & \"ü\"\n東京 🦀 "),
        Cell::Number("-17470.25".to_owned()),
        Cell::Bool(true),
        Cell::Date(date(2026, 3, 1)),
        Cell::Instant(instant),
        Cell::Empty,
    ])
    .unwrap();
    let mut bytes = book.take();
    bytes.extend(book.finish().unwrap());
    let sheets = read(bytes);
    assert_eq!(sheets.len(), 1);
    let (name, rows) = &sheets[0];
    assert_eq!(name, "deals & more");
    let cell = |row, column| rows.get_value((row, column)).cloned().unwrap_or_default();
    for (column, heading) in (0..).zip(headings) {
        assert_eq!(cell(0, column), Data::String(heading.to_owned()));
    }
    assert_eq!(
        cell(1, 0),
        Data::String("=1+1 <b> & \"ü\"\n東京 🦀 ".to_owned())
    );
    assert_eq!(cell(1, 1), Data::Float(-17470.25));
    assert_eq!(cell(1, 2), Data::Bool(true));
    let shown = |column| {
        cell(1, column)
            .get_datetime()
            .map(|shown| shown.to_ymd_hms_milli())
    };
    assert_eq!(shown(3), Some((2026, 3, 1, 0, 0, 0, 0)));
    // Half past seven in the morning, on the next day.
    assert_eq!(shown(4), Some((2026, 3, 2, 7, 30, 0, 250)));
    assert_eq!(cell(1, 5), Data::Empty);
}

#[test]
fn a_sheet_that_is_full_is_followed_by_another() {
    let mut book = Workbook::with_sheets_of(3, "rows", &["n"], TimeZone::UTC).unwrap();
    for number in 1..=5 {
        book.row(&[Cell::Number(number.to_string())]).unwrap();
    }
    let sheets = read(book.finish().unwrap());
    let seen: Vec<_> = sheets
        .iter()
        .map(|(name, rows)| {
            let column: Vec<_> = rows.rows().map(|row| row[0].to_string()).collect();
            (name.as_str(), column.join(" "))
        })
        .collect();
    let expected = [("rows", "n 1 2"), ("rows 2", "n 3 4"), ("rows 3", "n 5")];
    assert_eq!(seen, expected.map(|(name, rows)| (name, rows.to_owned())));
}

#[test]
fn days_that_excel_counts_wrong_are_texts() {
    let mut book = Workbook::new("days", &["day"], TimeZone::UTC).unwrap();
    for day in [date(1900, 2, 28), date(1900, 3, 1), date(9999, 12, 31)] {
        book.row(&[Cell::Date(day)]).unwrap();
    }
    let sheets = read(book.finish().unwrap());
    let day = |row| sheets[0].1.get_value((row, 0)).cloned().unwrap();
    let counted = |row| day(row).get_datetime().map(|day| day.as_f64());
    assert_eq!(day(1), Data::String("1900-02-28".to_owned()));
    assert_eq!(counted(2), Some(61.0));
    assert_eq!(counted(3), Some(2_958_465.0));
}

#[test]
fn every_second_of_a_day_is_the_same_when_it_is_counted_back() {
    let day = date(2026, 3, 1);
    for second in 0..86_400 {
        let clock =
            day.to_datetime(jiff::civil::Time::midnight()) + SignedDuration::from_secs(second);
        let serial: f64 = format!("{}{}", days(day), part_of_day(clock))
            .parse()
            .unwrap();
        // As precise as a double is at such a day.
        let seconds = (serial.fract() * 86_400.0 * 1e5).round() / 1e5;
        assert_eq!(seconds.floor(), second as f64, "{clock}: {serial}");
    }
}

#[test]
fn the_last_instant_of_a_day_is_of_that_day() {
    let last = date(2026, 3, 1).at(23, 59, 59, 999_999_999);
    assert_eq!(part_of_day(last), ".999999999999");
    assert_eq!(part_of_day(date(2026, 3, 1).at(0, 0, 0, 0)), "");
    assert_eq!(part_of_day(date(2026, 3, 1).at(9, 0, 0, 0)), ".375");
}

#[test]
fn columns_are_called_as_spreadsheets_call_them() {
    let names = [0, 25, 26, 51, 52, 701, 702].map(letters);
    assert_eq!(names, ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
}
