//! The mapping file: which files there are, what their rows become, and how
//! each field comes from the columns. `docs/import.md` describes it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crm::money::{Amount, Percent};
use crm::text::{Name, Text};
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::column::{Column, Format, ListedIn};
use super::kinds::{self, Field, Kind};
use super::template::Template;

/// A mapping file that was read and found sound.
#[derive(Debug)]
pub(super) struct Mapping {
    /// What the source is called in the ledger.
    pub(super) source: Name,
    /// The pipelines that the import makes where they are missing.
    pub(super) pipelines: Vec<PipelineMapping>,
    /// The tables, in the order in which they are imported.
    pub(super) tables: Vec<TableMapping>,
}

/// A pipeline, and the stages that it needs.
#[derive(Debug, Clone)]
pub(super) struct PipelineMapping {
    pub(super) name: Name,
    pub(super) stages: Vec<StageMapping>,
}

/// A stage as it is made where the pipeline has none of that name.
#[derive(Debug, Clone)]
pub(super) struct StageMapping {
    pub(super) name: Name,
    pub(super) color: Option<Text<32>>,
    pub(super) probability: Option<Percent>,
    pub(super) outcome: Option<Outcome>,
}

/// What entering a stage means for an opportunity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// It is won.
    Won,
    /// It is lost.
    Lost,
}

/// A table, and what its rows become.
#[derive(Debug)]
pub(super) struct TableMapping {
    /// The file's name, with or without its extension.
    pub(super) file: String,
    /// The sheet of a workbook; its first one by default.
    pub(super) sheet: Option<String>,
    /// The sign between the fields of a CSV file, where it is not to be guessed.
    pub(super) delimiter: Option<u8>,
    /// What the rows become.
    pub(super) kind: &'static dyn Kind,
    /// By what a row is known again.
    pub(super) key: Template,
    /// True where a key may come again, as that of a company does in a table
    /// of its orders: then the first row with it counts.
    pub(super) repeats: bool,
    /// True where a row may have no key, as a deal without a product has none
    /// in a table of products: then it is passed over.
    pub(super) gaps: bool,
    /// The columns that are read.
    pub(super) columns: Vec<Column>,
    /// The fields, each with its template.
    pub(super) fields: Vec<(Field, Template)>,
    /// The values of `metadata` by their keys.
    pub(super) metadata: Vec<(String, Template)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMapping {
    source: String,
    #[serde(default)]
    pipelines: Vec<RawPipeline>,
    tables: Vec<RawTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPipeline {
    name: String,
    stages: Vec<RawStage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStage {
    name: String,
    color: Option<String>,
    probability: Option<f64>,
    outcome: Option<Outcome>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    file: String,
    sheet: Option<String>,
    delimiter: Option<String>,
    into: String,
    key: Alternatives,
    #[serde(default)]
    repeats: bool,
    #[serde(default)]
    gaps: bool,
    #[serde(default)]
    columns: BTreeMap<String, RawColumn>,
    fields: BTreeMap<String, Alternatives>,
    #[serde(default)]
    metadata: BTreeMap<String, Alternatives>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawColumn {
    #[serde(rename = "type")]
    kind: Option<RawFormat>,
    format: Option<String>,
    decimal: Option<char>,
    #[serde(default)]
    replace: HashMap<String, String>,
    listed_in: Option<RawList>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawFormat {
    Text,
    Number,
    Date,
    Boolean,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawList {
    file: String,
    sheet: Option<String>,
    column: String,
}

/// One template, or a list of them.
struct Alternatives(Vec<String>);

impl<'de> Deserialize<'de> for Alternatives {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Alternatives;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a template such as \"{column}\", or a list of templates")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Alternatives, E> {
                Ok(Alternatives(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Alternatives, A::Error> {
                let mut all = Vec::new();
                while let Some(text) = list.next_element()? {
                    all.push(text);
                }
                Ok(Alternatives(all))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

impl Mapping {
    /// Reads the file.
    ///
    /// # Errors
    /// It can't be read, or something in it is wrong: every such place is named.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let wrong = |why: String| format!("the mapping {}: {why}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        Self::parse(&text).map_err(wrong)
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let raw: RawMapping = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut problems = Problems::default();
        let source = problems.at("source", name(&raw.source));
        if raw.tables.is_empty() {
            problems.note("tables", "there is none: add a [[tables]] section");
        }
        let pipelines = raw
            .pipelines
            .into_iter()
            .map(|pipeline| {
                let place = format!("pipeline {:?}", pipeline.name);
                read_pipeline(pipeline, &place, &mut problems)
            })
            .collect::<Vec<_>>();
        let mut tables: Vec<_> = raw
            .tables
            .into_iter()
            .map(|table| {
                let place = format!("table {:?}", table.file);
                read_table(table, &place, &mut problems)
            })
            .collect();
        problems.finish()?;
        // What is referred to comes first; within a kind the file's order stays.
        tables.sort_by_key(|table| table.as_ref().map(|table| kinds::turn(table.kind)));
        Ok(Self {
            source: source.ok_or("source is missing")?,
            pipelines: pipelines.into_iter().flatten().collect(),
            tables: tables.into_iter().flatten().collect(),
        })
    }
}

/// What is wrong with a mapping, all of it.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn note(&mut self, place: &str, why: impl std::fmt::Display) {
        self.0.push(format!("{place}: {why}"));
    }

    /// Unwraps what was read at `place`, or notes why it could not be.
    fn at<T>(&mut self, place: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|why| self.note(place, why)).ok()
    }

    fn finish(self) -> Result<(), String> {
        match self.0.as_slice() {
            [] => Ok(()),
            [only] => Err(only.clone()),
            all => Err(format!("\n  {}", all.join("\n  "))),
        }
    }
}

fn name(text: &str) -> Result<Name, String> {
    Name::read(text)
        .map_err(|flaw| flaw.message)?
        .ok_or_else(|| "must not be blank".to_owned())
}

fn read_pipeline(
    raw: RawPipeline,
    place: &str,
    problems: &mut Problems,
) -> Option<PipelineMapping> {
    if raw.stages.is_empty() {
        problems.note(place, "has no stages: list at least one");
    }
    let mut stages: Vec<StageMapping> = Vec::new();
    for raw in raw.stages {
        let place = format!("{place}, stage {:?}", raw.name);
        let Some(stage) = read_stage(raw, &place, problems) else {
            continue;
        };
        if stages.iter().any(|other| other.name == stage.name) {
            problems.note(&place, "is listed twice: name each stage once");
        }
        stages.push(stage);
    }
    Some(PipelineMapping {
        name: problems.at(place, name(&raw.name))?,
        stages,
    })
}

fn read_stage(raw: RawStage, place: &str, problems: &mut Problems) -> Option<StageMapping> {
    let percent = |given: f64| {
        Amount::parse(&given.to_string())
            .and_then(Percent::of)
            .ok_or_else(|| format!("probability must be from 0 to 100, not {given}"))
    };
    let color = |text: String| {
        Text::read(&text)
            .map_err(|flaw| format!("color {}", flaw.message))
            .and_then(|color| color.ok_or_else(|| "color must not be blank".to_owned()))
    };
    let read = (
        problems.at(place, name(&raw.name)),
        problems.at(place, raw.color.map(color).transpose()),
        problems.at(place, raw.probability.map(percent).transpose()),
    );
    let (name, color, probability) = read;
    Some(StageMapping {
        name: name?,
        color: color?,
        probability: probability?,
        outcome: raw.outcome,
    })
}

fn read_table(raw: RawTable, place: &str, problems: &mut Problems) -> Option<TableMapping> {
    if raw.file.trim().is_empty() {
        problems.note(place, "file must not be blank");
    }
    let delimiter = problems.at(place, raw.delimiter.as_deref().map(delimiter).transpose());
    let mut columns = Vec::new();
    for (name, column) in raw.columns {
        let place = format!("{place}, column {name:?}");
        columns.extend(read_column(name, column, &place, problems));
    }
    let mut template = |place: &str, alternatives: Alternatives, problems: &mut Problems| {
        let read = Template::parse(&alternatives.0, |name| place_of(name, &mut columns));
        problems.at(place, read)
    };
    let key = template(&format!("{place}, key"), raw.key, problems);

    let kind = problems.at(place, kinds::named(&raw.into))?;
    let known = kind.fields();
    let mut fields = Vec::new();
    for (name, alternatives) in raw.fields {
        let place = format!("{place}, field {name:?}");
        let template = template(&place, alternatives, problems);
        match known.iter().find(|field| field.name == name) {
            Some(field) => fields.extend(template.map(|template| (field.clone(), template))),
            None => problems.note(&place, unknown_field(kind, &known, &name)),
        }
    }
    for field in known.iter().filter(|field| field.required) {
        if !fields.iter().any(|(given, _)| given.name == field.name) {
            problems.note(
                place,
                format!(
                    "{} need the field {}: give it a template",
                    kind.name(),
                    field.name
                ),
            );
        }
    }
    let given = |name| fields.iter().any(|(field, _)| field.name == name);
    if given("stage") && !given("pipeline") {
        problems.note(
            place,
            "stage needs the field pipeline beside it: give it a template",
        );
    }
    if !kind.has_metadata() && !raw.metadata.is_empty() {
        problems.note(
            place,
            format!("{} have no metadata: leave it out", kind.name()),
        );
    }
    let mut metadata = Vec::new();
    for (name, alternatives) in raw.metadata {
        let place = format!("{place}, metadata {name:?}");
        let template = template(&place, alternatives, problems);
        metadata.extend(template.map(|template| (name, template)));
    }
    Some(TableMapping {
        file: raw.file,
        sheet: raw.sheet,
        delimiter: delimiter?,
        kind,
        key: key?,
        repeats: raw.repeats,
        gaps: raw.gaps,
        columns,
        fields,
        metadata,
    })
}

fn unknown_field(kind: &dyn Kind, known: &[Field], name: &str) -> String {
    let names: Vec<_> = known.iter().map(|field| field.name).collect();
    let advice = if name == "metadata" {
        "put custom fields into the table's own section, [tables.metadata]".to_owned()
    } else {
        format!("they have {}", names.join(", "))
    };
    format!("{} have no such field: {advice}", kind.name())
}

/// Where the column stands among those that are read.
fn place_of(name: &str, columns: &mut Vec<Column>) -> usize {
    match columns.iter().position(|column| column.name == name) {
        Some(place) => place,
        None => {
            columns.push(Column::plain(name));
            columns.len() - 1
        }
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [sign] if sign.is_ascii() && !matches!(sign, b'"' | b'\r' | b'\n') => Ok(*sign),
        _ => Err(format!(
            "delimiter must be one ASCII character such as \";\" or \"\\t\", not {text:?}"
        )),
    }
}

fn read_column(
    name: String,
    raw: RawColumn,
    place: &str,
    problems: &mut Problems,
) -> Option<Column> {
    let kind = raw.kind.unwrap_or(RawFormat::Text);
    if raw.format.is_some() && kind != RawFormat::Date {
        problems.note(place, "format is for dates: add type = \"date\"");
    }
    if raw.decimal.is_some() && kind != RawFormat::Number {
        problems.note(place, "decimal is for numbers: add type = \"number\"");
    }
    let format = match kind {
        RawFormat::Text => Format::Plain,
        RawFormat::Boolean => Format::Boolean,
        RawFormat::Number => match raw.decimal.unwrap_or('.') {
            decimal @ ('.' | ',') => Format::Number(decimal),
            other => {
                problems.note(
                    place,
                    format!("decimal must be \".\" or \",\", not {other:?}"),
                );
                return None;
            }
        },
        RawFormat::Date => {
            let format = raw.format.unwrap_or_else(|| "%Y-%m-%d".to_owned());
            problems.at(place, Format::check_date(&format))?;
            Format::Date(format)
        }
    };
    Some(Column {
        name,
        format,
        replace: raw.replace,
        listed_in: raw.listed_in.map(|list| ListedIn {
            file: list.file,
            sheet: list.sheet,
            column: list.column,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        source = "test"
        [[pipelines]]
        name = "Sales"
        stages = [{ name = "Lead", probability = 12.5 }, { name = "Won", outcome = "won" }]
        [[tables]]
        file = "deals"
        into = "opportunities"
        key = "{id}"
        [tables.columns]
        close = { type = "date", format = "%m/%d/%Y" }
        [tables.fields]
        name = ["{product} — {account}", "{product}"]
        company = "{account}"
        closed_on = "{close}"
        [tables.metadata]
        id = "{id}"
        [[tables]]
        file = "accounts"
        into = "companies"
        key = "{account}"
        fields = { name = "{account}" }
    "#;

    fn error(text: &str) -> String {
        Mapping::parse(text).expect_err("a wrong mapping")
    }

    fn with(wrong: &str, right: &str) -> String {
        assert!(GOOD.contains(right), "{right}");
        error(&GOOD.replacen(right, wrong, 1))
    }

    #[test]
    fn what_is_referred_to_is_imported_first() {
        let mapping = Mapping::parse(GOOD).expect("a good mapping");
        let order: Vec<_> = mapping.tables.iter().map(|table| &*table.file).collect();
        assert_eq!(order, ["accounts", "deals"]);
        assert_eq!(&*mapping.pipelines[0].stages[1].name, "Won");
    }

    #[test]
    fn every_column_that_a_template_names_is_read_once() {
        let mapping = Mapping::parse(GOOD).expect("a good mapping");
        let mut columns: Vec<_> = mapping.tables[1]
            .columns
            .iter()
            .map(|column| &*column.name)
            .collect();
        columns.sort_unstable();
        assert_eq!(columns, ["account", "close", "id", "product"]);
    }

    #[test]
    fn an_error_names_its_place_and_what_would_be_right() {
        for (wrong, right, parts) in [
            (
                "nam = \"{account}\"",
                "name = \"{account}\"",
                &["table \"accounts\", field \"nam\"", "they have name, "][..],
            ),
            (
                "into = \"firms\"",
                "into = \"companies\"",
                &["table \"accounts\"", "users, companies, contacts"],
            ),
            (
                "M/D/YYYY",
                "%m/%d/%Y",
                &["table \"deals\", column \"close\"", "%m/%d/%Y"],
            ),
            (
                "company = \"{account\"",
                "company = \"{account}\"",
                &["table \"deals\", field \"company\"", "brace"],
            ),
            (
                "probability = 125",
                "probability = 12.5",
                &["pipeline \"Sales\", stage \"Lead\"", "from 0 to 100"],
            ),
            (
                "name = \"Lead\"",
                "name = \"Won\"",
                &["stage \"Lead\"", "twice"],
            ),
            ("source = \" \"", "source = \"test\"", &["source", "blank"]),
            (
                "outcome = \"maybe\"",
                "outcome = \"won\"",
                &["line 5", "maybe", "lost"],
            ),
            (
                "notes = \"Sales\"\nstage = \"{stage}\"",
                "closed_on = \"{close}\"",
                &["table \"deals\"", "stage needs the field pipeline"],
            ),
            (
                "kee = \"{id}\"",
                "key = \"{id}\"",
                &["line 9", "unknown field `kee`"],
            ),
            (
                "key = 7",
                "key = \"{id}\"",
                &["line 9", "a template such as"],
            ),
        ] {
            let error = with(wrong, right);
            for part in parts {
                assert!(error.contains(part), "{part} in: {error}");
            }
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let error = error(
            r#"
            source = "test"
            [[tables]]
            file = "people"
            into = "users"
            key = "{id"
            delimiter = "ab"
            columns = { age = { type = "number", decimal = ";" }, born = { decimal = "," } }
            fields = { nick = "{nick}" }
            metadata = { age = "{age}" }
            "#,
        );
        for part in [
            "key",
            "delimiter",
            "\"age\"",
            "\"born\"",
            "\"nick\"",
            "full_name",
            "metadata",
        ] {
            assert!(error.contains(part), "{part} in: {error}");
        }
        assert_eq!(
            error.lines().filter(|line| !line.is_empty()).count(),
            7,
            "{error}"
        );
    }

    #[test]
    fn a_mapping_without_tables_is_refused() {
        assert!(error("source = \"test\"\ntables = []").contains("[[tables]]"));
        assert!(error("source = \"test\"").contains("tables"));
    }
}
