//! The columns of an export: the fields of the record in the order of an answer,
//! each with what stands beside it.

use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::{Map, Value};
use tables::Cell;

use super::{AND, Exported};
use crate::time::{Date, Timestamp};

/// All columns of a kind of record.
pub(super) struct Columns(Vec<Column>);

struct Column {
    heading: &'static str,
    source: Source,
}

/// Where a cell comes from.
enum Source {
    /// From the field of that name.
    Field(Form),
    /// From what stands beside the record, at that place.
    Beside(usize),
}

/// What a text in a field is.
#[derive(Clone, Copy)]
enum Form {
    /// What somebody has written.
    Text,
    /// A word of ours, or an id.
    Word,
    Phone,
    Date,
    Instant,
}

impl Columns {
    pub(super) fn of<R: Exported>() -> Self {
        let settings = SchemaSettings::draft2020_12()
            .with(|settings| settings.inline_subschemas = true)
            .for_serialize();
        let schema = settings.into_generator().into_root_schema_for::<R>();
        let fields = R::FIELDS.iter().flat_map(|field| {
            let form = match schema.pointer(&format!("/properties/{field}")) {
                Some(schema) => Form::of(schema),
                None => Form::Text,
            };
            let own = Column {
                heading: field,
                source: Source::Field(form),
            };
            let beside = R::BESIDE.iter().enumerate();
            let beside = beside.filter(move |(_, beside)| beside.after == *field);
            let beside = beside.map(|(place, beside)| Column {
                heading: beside.heading,
                source: Source::Beside(place),
            });
            std::iter::once(own).chain(beside)
        });
        Self(fields.collect())
    }

    pub(super) fn headings(&self) -> Vec<&'static str> {
        self.0.iter().map(|column| column.heading).collect()
    }

    /// The row of a record.
    pub(super) fn row(&self, record: &impl Serialize, mut beside: Vec<String>) -> Vec<Cell> {
        let mut fields = match serde_json::to_value(record) {
            Ok(Value::Object(fields)) => fields,
            // A record is an object, or it could not be answered either.
            _ => Map::new(),
        };
        let cells = self.0.iter().map(|column| match column.source {
            Source::Field(form) => {
                let value = fields.get_mut(column.heading).map(Value::take);
                form.cell(value.unwrap_or_default())
            }
            Source::Beside(place) => {
                let text = beside.get_mut(place).map(std::mem::take);
                text_cell(text.unwrap_or_default(), Cell::Text)
            }
        });
        cells.collect()
    }
}

impl Form {
    /// That of the texts which a schema describes.
    fn of(schema: &Value) -> Self {
        if let Some(Value::Array(choices)) = schema.get("anyOf") {
            // Of what may be null, the other.
            let text = choices.iter().find(|choice| choice["type"] != "null");
            return text.map_or(Self::Text, Self::of);
        }
        if schema.get("enum").or(schema.get("oneOf")).is_some() {
            return Self::Word;
        }
        match schema["format"].as_str() {
            Some("uuid" | "currency-code") => Self::Word,
            Some("phone") => Self::Phone,
            Some("date") => Self::Date,
            Some("date-time") => Self::Instant,
            _ => Self::Text,
        }
    }

    fn cell(self, value: Value) -> Cell {
        match value {
            Value::Null => Cell::Empty,
            Value::Bool(value) => Cell::Bool(value),
            Value::Number(number) => Cell::Number(number.to_string()),
            Value::String(text) => self.of_text(text),
            Value::Array(items) => {
                let names: Vec<_> = items.into_iter().filter_map(name).collect();
                text_cell(names.join(AND), Cell::Text)
            }
            Value::Object(object) if object.is_empty() => Cell::Empty,
            object => Cell::Text(object.to_string()),
        }
    }

    fn of_text(self, text: String) -> Cell {
        match self {
            Self::Text => text_cell(text, Cell::Text),
            Self::Word => text_cell(text, Cell::Word),
            Self::Phone => {
                let is_number = text.bytes().all(|sign| b"+0123456789".contains(&sign));
                text_cell(text, if is_number { Cell::Word } else { Cell::Text })
            }
            Self::Date => match Date::parse(&text) {
                Ok(date) => Cell::Date(date.civil()),
                Err(_) => Cell::Text(text),
            },
            Self::Instant => match Timestamp::parse(&text) {
                Ok(instant) => Cell::Instant(instant.instant()),
                Err(_) => Cell::Text(text),
            },
        }
    }
}

/// A text in its cell; nothing for none.
fn text_cell(text: String, cell: fn(String) -> Cell) -> Cell {
    match text.is_empty() {
        true => Cell::Empty,
        false => cell(text),
    }
}

/// What an item of a list is called: itself, or by its name.
fn name(item: Value) -> Option<String> {
    match item {
        Value::String(text) => Some(text),
        Value::Object(mut object) => match object.remove("name") {
            Some(Value::String(name)) => Some(name),
            _ => None,
        },
        other => Some(other.to_string()),
    }
}
