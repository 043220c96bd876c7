//! What is done to the values of a column before anything is made of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::civil;
use serde_json::Value as Json;

use super::cell::{Cell, parse_boolean, parse_number, quoted};

/// A column that is read, and how.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// Its name in the header.
    pub(super) name: String,
    /// What its values are.
    pub(super) format: Format,
    /// Values that are to be another one, by what the file says.
    pub(super) replace: HashMap<String, String>,
    /// Where the values are listed that it may have.
    pub(super) listed_in: Option<ListedIn>,
}

/// What the values of a column are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// Whatever they are.
    #[default]
    Plain,
    /// Numbers with this decimal sign.
    Number(char),
    /// Days in this form, which is strftime's.
    Date(String),
    /// Truth values.
    Boolean,
}

/// A column of some file that lists the values of another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ListedIn {
    /// The file's name, with or without its extension.
    pub(super) file: String,
    /// The sheet of a workbook; its first one by default.
    pub(super) sheet: Option<String>,
    /// The column.
    pub(super) column: String,
}

/// The values that lists allow.
pub(super) type Lists = HashMap<ListedIn, Arc<HashSet<String>>>;

impl Column {
    /// A column whose values are taken as they are.
    pub(super) fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            format: Format::Plain,
            replace: HashMap::new(),
            listed_in: None,
        }
    }

    /// The value that a cell stands for; `None` when it is blank.
    ///
    /// # Errors
    /// It can't be what the mapping says that it is.
    pub(super) fn value(&self, cell: &Cell, lists: &Lists) -> Result<Option<Json>, String> {
        let wrong = |why: String| format!("{} {why}", self.name);
        let Some(found) = cell.plain().map_err(wrong)? else {
            return Ok(None);
        };
        let replaced = match &found {
            Json::String(text) => self.replace.get(text),
            other => self.replace.get(&other.to_string()),
        };
        let value = match replaced.map(|text| text.trim()) {
            Some("") => return Ok(None),
            Some(text) => self.formatted(&Cell::Text(text.to_owned()), text.into()),
            None => self.formatted(cell, found),
        }
        .map_err(wrong)?;
        self.check_listed(&value, lists).map_err(wrong)?;
        Ok(Some(value))
    }

    fn formatted(&self, cell: &Cell, found: Json) -> Result<Json, String> {
        match (&self.format, cell, found) {
            (Format::Plain, _, found) => Ok(found),
            (Format::Number(_), Cell::Number(_), number) => Ok(number),
            (Format::Number(decimal), _, Json::String(text)) => parse_number(&text, *decimal)
                .map(Json::Number)
                .ok_or_else(|| {
                    format!(
                        "must be a number such as 1054{decimal}50, not {}",
                        quoted(&text)
                    )
                }),
            (Format::Date(_), Cell::DateTime(at), _) => Ok(at.date().to_string().into()),
            (Format::Date(format), _, Json::String(text)) => parse_date(format, &text)
                .map(|date| date.to_string().into())
                .ok_or_else(|| {
                    format!("must be a date in the form {format}, not {}", quoted(&text))
                }),
            (Format::Boolean, Cell::Boolean(_), truth) => Ok(truth),
            (Format::Boolean, _, Json::String(text)) => parse_boolean(&text)
                .map(Json::Bool)
                .ok_or_else(|| format!("must be yes or no, not {}", quoted(&text))),
            (format, _, found) => Err(format!("must be {}, not {found}", format.noun())),
        }
    }

    fn check_listed(&self, value: &Json, lists: &Lists) -> Result<(), String> {
        let Some(listed_in) = &self.listed_in else {
            return Ok(());
        };
        let text = match value {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        if lists
            .get(listed_in)
            .is_some_and(|list| list.contains(&text))
        {
            return Ok(());
        }
        Err(format!(
            "{} is not listed in column {} of {}",
            quoted(&text),
            listed_in.column,
            listed_in.file
        ))
    }
}

impl Format {
    fn noun(&self) -> &'static str {
        match self {
            Self::Plain => "a value",
            Self::Number(_) => "a number",
            Self::Date(_) => "a date",
            Self::Boolean => "yes or no",
        }
    }

    /// Makes sure that a form of dates says which day it is.
    ///
    /// # Errors
    /// It is no such form.
    pub(super) fn check_date(format: &str) -> Result<(), String> {
        let day = civil::date(2017, 3, 31);
        jiff::fmt::strtime::format(format, day.at(0, 0, 0, 0))
            .ok()
            .and_then(|text| parse_date(format, &text))
            .filter(|read| *read == day)
            .map(drop)
            .ok_or_else(|| {
                format!(
                    "{format:?} is no form of a date: write year, month and day as strftime \
                     does, \"%m/%d/%Y\" for 3/31/2017"
                )
            })
    }
}

fn parse_date(format: &str, text: &str) -> Option<civil::Date> {
    civil::Date::strptime(format, text)
        .ok()
        .filter(|date| (1..=9999).contains(&date.year()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(column: &Column, text: &str) -> Result<Option<Json>, String> {
        column.value(&Cell::Text(text.to_owned()), &Lists::new())
    }

    fn dates(format: &str) -> Column {
        Column {
            format: Format::Date(format.to_owned()),
            ..Column::plain("engaged")
        }
    }

    #[test]
    fn american_dates_are_read_with_and_without_leading_zeros() {
        let american = dates("%m/%d/%Y");
        for text in ["3/1/2017", "03/01/2017", " 3/01/2017 "] {
            assert_eq!(
                read(&american, text),
                Ok(Some(json!("2017-03-01"))),
                "{text}"
            );
        }
        assert_eq!(read(&american, ""), Ok(None));
    }

    #[test]
    fn a_day_that_does_not_exist_is_refused_with_its_text() {
        for text in [
            "2/30/2017",
            "13/1/2017",
            "2017-03-01",
            "3/1/2017 x",
            "3/1",
            "3/1/-17",
        ] {
            let error = read(&dates("%m/%d/%Y"), text).expect_err(text);
            assert!(error.contains(text), "{error}");
            assert!(error.starts_with("engaged must be a date"), "{error}");
        }
    }

    #[test]
    fn a_date_of_a_sheet_needs_no_form() {
        let cell = Cell::DateTime(civil::date(2017, 3, 1).at(0, 0, 0, 0));
        assert_eq!(
            dates("%m/%d/%Y").value(&cell, &Lists::new()),
            Ok(Some(json!("2017-03-01")))
        );
        let serial = Cell::Number(42_795.into());
        assert!(dates("%m/%d/%Y").value(&serial, &Lists::new()).is_err());
    }

    #[test]
    fn a_form_that_does_not_say_the_day_is_refused() {
        for good in [
            "%m/%d/%Y",
            "%Y-%m-%d",
            "%d.%m.%y",
            "%d %b %Y",
            "%m/%d/%Y %H:%M",
        ] {
            assert_eq!(Format::check_date(good), Ok(()), "{good}");
        }
        for bad in ["M/D/YYYY", "%m/%Y", "", "%", "%Q", "%H:%M"] {
            assert!(Format::check_date(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_sheet_holds_as_a_number_is_replaced_too() {
        let column = Column {
            format: Format::Number('.'),
            replace: HashMap::from([
                ("0".to_owned(), String::new()),
                ("7".to_owned(), "7.5".to_owned()),
            ]),
            ..Column::plain("value")
        };
        let read = |number: i64| column.value(&Cell::Number(number.into()), &Lists::new());
        assert_eq!(read(0), Ok(None));
        assert_eq!(read(7), Ok(Some(json!(7.5))));
        assert_eq!(read(10), Ok(Some(json!(10))));
    }

    #[test]
    fn replacing_comes_before_everything_else() {
        let list = ListedIn {
            file: "products".to_owned(),
            sheet: None,
            column: "product".to_owned(),
        };
        let column = Column {
            replace: HashMap::from([
                ("GTXPro".to_owned(), "GTX Pro".to_owned()),
                ("n/a".to_owned(), String::new()),
            ]),
            listed_in: Some(list.clone()),
            ..Column::plain("product")
        };
        let lists = Lists::from([(list, Arc::new(HashSet::from(["GTX Pro".to_owned()])))]);
        let read = |text: &str| column.value(&Cell::Text(text.to_owned()), &lists);
        assert_eq!(read("GTXPro"), Ok(Some(json!("GTX Pro"))));
        assert_eq!(read("n/a"), Ok(None));
        let error = read("GTX Pro Max").expect_err("not listed");
        assert_eq!(
            error,
            "product \"GTX Pro Max\" is not listed in column product of products"
        );
    }
}
