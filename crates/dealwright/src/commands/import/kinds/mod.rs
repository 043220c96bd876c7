//! The kinds of records that a table can become: what a mapping may fill, how
//! an existing record is found, and how a new one is made. A further kind is a
//! file here and an entry in [`ALL`].

mod companies;
mod contacts;
mod opportunities;
mod opportunity_products;
mod products;
mod users;

use crm::imports;
use crm::input::{FieldDescription, Input};
use crm::schemars::SchemaGenerator;
use serde_json::{Map, Value as Json};
use store::Db;
use uuid::Uuid;

use super::cell::{parse_boolean, parse_number, quoted};
use super::desk::Desk;
use super::drafts::DraftedRow;

pub(super) use companies::Companies;
pub(super) use contacts::Contacts;
pub(super) use opportunities::Opportunities;
pub(super) use products::Products;
pub(super) use users::Users;

/// Every kind, in the order in which they are imported: what is referred to
/// comes before what refers to it.
const ALL: [&dyn Kind; 6] = [
    &users::Users,
    &companies::Companies,
    &contacts::Contacts,
    &products::Products,
    &opportunities::Opportunities,
    &opportunity_products::OpportunityProducts,
];

/// A kind of record that the rows of a table become.
pub(super) trait Kind: std::fmt::Debug + Sync {
    /// What a mapping calls it: `companies`.
    fn name(&self) -> &'static str;

    /// Under what the ledger keeps it.
    fn entry(&self) -> imports::Kind;

    /// The fields that a mapping may fill.
    fn fields(&self) -> Vec<Field>;

    /// True when its records have `metadata`.
    fn has_metadata(&self) -> bool {
        true
    }

    /// The name by which a record is the one that the row tells of, if it
    /// exists already.
    fn natural_key(&self, draft: &Draft) -> Option<String>;

    /// Every name by which other rows may refer to the record.
    fn names(&self, draft: &Draft) -> Vec<String> {
        self.natural_key(draft).into_iter().collect()
    }

    /// The records of that name.
    fn find(&self, db: &Db<'_>, who: &crm::Caller, name: &str) -> crm::Result<Vec<Uuid>>;

    /// The first `count` names that there are, in the order of the alphabet, where
    /// there are few enough to tell them to a row that names none.
    fn some_names(&self, _: &Db<'_>, _: &crm::Caller, _: u32) -> crm::Result<Option<Vec<String>>> {
        Ok(None)
    }

    /// Locks what the rows of a batch change beside the records that they become,
    /// before any of them does.
    fn lock(&self, _: &mut Desk<'_, '_>, _: &[DraftedRow]) -> crm::Result<()> {
        Ok(())
    }

    /// Makes the record.
    fn create(&self, desk: &mut Desk<'_, '_>, draft: &Draft) -> crm::Result<Uuid>;
}

/// A field that a mapping may fill.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// Its name.
    pub(super) name: &'static str,
    /// True when no record can be made without it.
    pub(super) required: bool,
    shape: Shape,
}

impl Field {
    /// The same field where a record can be made without it.
    fn optional(self) -> Self {
        Self {
            required: false,
            ..self
        }
    }
}

/// What the domain takes for a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    Number,
    Boolean,
    List,
    /// Not the domain's: the import reads it itself.
    Own,
}

/// A row made ready to become a record.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    /// The fields, as a request would give them.
    pub(super) input: Map<String, Json>,
    /// What only the import understands: names of other records, dates of a
    /// life elsewhere.
    pub(super) own: Map<String, Json>,
}

impl Draft {
    /// Puts a value into a field.
    ///
    /// # Errors
    /// The field can't have it.
    pub(super) fn set(&mut self, field: &Field, value: Json) -> Result<(), String> {
        let text = match &value {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        // Others are looked for by it before the domain sees it.
        if text.contains('\0') {
            return Err(format!("{} must not contain the NUL character", field.name));
        }
        let wrong = |what: &str| format!("{} must be {what}, not {}", field.name, quoted(&text));
        let value = match (field.shape, value) {
            (Shape::Number, value @ Json::Number(_)) => value,
            (Shape::Number, _) => parse_number(&text, '.')
                .map(Json::Number)
                .ok_or_else(|| wrong("a number such as 1054.50"))?,
            (Shape::Boolean, value @ Json::Bool(_)) => value,
            (Shape::Boolean, _) => parse_boolean(&text)
                .map(Json::Bool)
                .ok_or_else(|| wrong("yes or no"))?,
            (Shape::List, _) => text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .collect(),
            (Shape::Text | Shape::Own, _) => Json::String(text),
        };
        let into = match field.shape {
            Shape::Own => &mut self.own,
            _ => &mut self.input,
        };
        into.insert(field.name.to_owned(), value);
        Ok(())
    }

    /// The text of a field of the domain.
    fn text(&self, name: &str) -> Option<&str> {
        self.input.get(name)?.as_str()
    }

    /// The text of a field of the import's own.
    fn own(&self, name: &str) -> Option<&str> {
        self.own.get(name)?.as_str()
    }

    /// The domain's input.
    fn read<I: Input>(&self) -> crm::Result<I> {
        I::from_object(self.input.clone()).map(|(input, _)| input)
    }
}

/// The kind that a mapping calls so.
pub(super) fn named(name: &str) -> Result<&'static dyn Kind, String> {
    ALL.into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| {
            let names: Vec<_> = ALL.iter().map(|kind| kind.name()).collect();
            format!("into must be one of {}, not {name:?}", names.join(", "))
        })
}

/// When the kind is imported, among the others.
pub(super) fn turn(kind: &dyn Kind) -> Option<usize> {
    ALL.iter().position(|other| other.entry() == kind.entry())
}

/// The fields of the domain's input, and the import's own in the place of
/// those that hold ids: required ones and others.
fn fields_of<I: Input>(required: &[&'static str], optional: &[&'static str]) -> Vec<Field> {
    let mut generator = SchemaGenerator::default();
    let mut described = Vec::new();
    I::describe(&mut generator, &mut described);
    let from_domain = described
        .iter()
        .filter(|field| field.name != "metadata" && !field.name.ends_with("_id"))
        .map(|field| Field {
            name: field.name,
            required: field.required,
            shape: shape_of(field, &generator),
        });
    let own = |names: &[&'static str], required| {
        let field = move |name: &&'static str| Field {
            name,
            required,
            shape: Shape::Own,
        };
        names.iter().map(field).collect::<Vec<_>>()
    };
    from_domain
        .chain(own(required, true))
        .chain(own(optional, false))
        .collect()
}

fn shape_of(field: &FieldDescription, generator: &SchemaGenerator) -> Shape {
    let reference = field.schema.get("$ref").and_then(Json::as_str);
    let schema = reference
        .and_then(|path| path.rsplit('/').next())
        .and_then(|name| generator.definitions().get(name))
        .unwrap_or_else(|| field.schema.as_value());
    match schema.get("type").and_then(Json::as_str) {
        Some("number" | "integer") => Shape::Number,
        Some("boolean") => Shape::Boolean,
        Some("array") => Shape::List,
        _ => Shape::Text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(kind: &str) -> Vec<&'static str> {
        let kind = named(kind).expect("a kind");
        kind.fields().iter().map(|field| field.name).collect()
    }

    #[test]
    fn a_mapping_names_other_records_and_never_their_ids() {
        for kind in ALL {
            for name in names(kind.name()) {
                assert!(!name.ends_with("_id"), "{name}");
            }
        }
        for own in ["company", "contact", "assigned_user", "stage", "closed_on"] {
            assert!(names("opportunities").contains(&own), "{own}");
        }
    }

    #[test]
    fn only_what_a_record_can_not_be_without_is_required() {
        let required: Vec<_> = ALL
            .iter()
            .flat_map(|kind| kind.fields())
            .filter(|field| field.required)
            .map(|field| field.name)
            .collect();
        let expected = [
            "full_name",
            "name",
            "first_name",
            "name",
            "price",
            "name",
            "opportunity",
            "product",
        ];
        assert_eq!(required, expected);
    }

    #[test]
    fn a_field_takes_texts_as_what_the_domain_wants() {
        let fields = named("opportunities").expect("a kind").fields();
        let mut draft = Draft::default();
        let mut set = |name: &str, value: Json| {
            let field = fields.iter().find(|field| field.name == name);
            draft.set(field.expect("a field"), value)
        };
        set("value", json!("1,054.5")).expect("a number");
        set("tags", json!("hot, , old")).expect("a list");
        set("name", json!(500)).expect("a text");
        set("company", json!("Acme")).expect("a name");
        let error = set("probability", json!("likely")).expect_err("no number");
        assert!(error.contains("probability must be a number"), "{error}");
        let error = set("company", json!("Ac\0me")).expect_err("no text that can be kept");
        assert_eq!(error, "company must not contain the NUL character");
        assert_eq!(
            Json::Object(draft.input),
            json!({ "value": 1054.5, "tags": ["hot", "old"], "name": "500" })
        );
        assert_eq!(Json::Object(draft.own), json!({ "company": "Acme" }));
    }
}
