//! Workspaces: each a business of its own, whose records no other one sees.

use jiff::tz::TimeZone;
use schemars::{JsonSchema, json_schema};
use serde::Serialize;
use serde_json::Value;
use store::{Db, Tx};
use uuid::Uuid;

use crate::caller::{Caller, Ids};
use crate::email::Email;
use crate::error::{Error, Result};
use crate::input::{Flaw, FromJson, Patch};
use crate::money::{Amount, Currency, Percent, SCALE};
use crate::phone::Region;
use crate::pipelines::{self, PipelineFields};
use crate::record::{Columns, New};
use crate::settings::Settings;
use crate::stages::{self, StageFields};
use crate::text::{Name, Text};
use crate::time::Timestamp;
use crate::users::{self, Role, User, UserFields};
use crate::work_orders;

/// An IANA time zone, such as `Australia/Sydney`.
pub type ZoneName = Checked<ZoneRule>;

/// An ISO 3166 country code, such as `AU`.
pub type CountryCode = Checked<CountryRule>;

/// A text that obeys a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked<R>(String, std::marker::PhantomData<R>);

/// What a [`Checked`] text has to be.
pub trait Rule {
    /// To be read after the field's name.
    const EXPECTED: &'static str;

    /// What the texts are called as a format of strings.
    const FORMAT: &'static str;

    /// One that obeys.
    const EXAMPLE: &'static str;

    /// The text as it is kept, if it obeys.
    fn check(text: &str) -> Option<String>;
}

/// Names a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneRule;

/// Names a country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountryRule;

impl Rule for ZoneRule {
    const EXPECTED: &'static str = "must be an IANA time zone such as Australia/Sydney";
    const FORMAT: &'static str = "time-zone";
    const EXAMPLE: &'static str = "Australia/Sydney";

    fn check(text: &str) -> Option<String> {
        let zone = TimeZone::get(text).ok()?;
        zone.iana_name().map(str::to_owned)
    }
}

impl Rule for CountryRule {
    const EXPECTED: &'static str = "must be an ISO 3166 country code such as AU";
    const FORMAT: &'static str = "country-code";
    const EXAMPLE: &'static str = "AU";

    fn check(text: &str) -> Option<String> {
        let code = text.to_ascii_uppercase();
        Region::of_country(&code).is_known().then_some(code)
    }
}

impl<R: Rule> Checked<R> {
    /// Reads a text.
    ///
    /// # Errors
    /// It does not obey the rule.
    pub fn read(text: &str) -> Result<Self, Flaw> {
        R::check(text.trim())
            .map(|text| Self(text, std::marker::PhantomData))
            .ok_or_else(|| Flaw::new(R::EXPECTED))
    }
}

impl<R: Rule> FromJson for Checked<R> {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        Text::<64>::from_json(value)?.map_or(Ok(None), |text| Self::read(&text).map(Some))
    }
}

impl<R: Rule> JsonSchema for Checked<R> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        R::FORMAT.into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        json_schema!({ "type": "string", "format": R::FORMAT, "examples": [R::EXAMPLE] })
    }
}

impl<R> Serialize for Checked<R> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<R> store::FromColumn for Checked<R> {
    const EXPECTS: &'static str = "text";

    fn from_cell(cell: store::Cell<'_>) -> Option<Self> {
        String::from_cell(cell).map(|text| Self(text, std::marker::PhantomData))
    }
}

impl<R> From<Checked<R>> for store::Value {
    fn from(text: Checked<R>) -> Self {
        Self::Text(text.0)
    }
}

/// A workspace: the caller's own business.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Workspace {
    /// Its id.
    pub id: Uuid,
    /// What it is called.
    #[schemars(example = &"Engines & Sons")]
    pub name: Name,
    /// The time zone that decides which day it is.
    pub timezone: ZoneName,
    /// The currency of new opportunities.
    pub currency: Currency,
    /// The country in which phone numbers are read.
    pub country: CountryCode,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

crate::input! {
    /// What changes of the workspace.
    #[derive(Default)]
    pub struct WorkspaceUpdate {
        /// What it is called.
        solid name: Name = "Engines & Sons",
        /// An IANA time zone: decides which day it is.
        solid timezone: ZoneName = "Australia/Sydney",
        /// The currency of new opportunities, by ISO 4217.
        solid currency: Currency = "AUD",
        /// The country in which phone numbers are read, by ISO 3166.
        solid country: CountryCode,
    }
}

const COLUMNS: &str = "id, name, timezone, currency, country, created_at, updated_at";

fn from_row(row: &store::Row<'_>) -> Result<Workspace, store::Error> {
    let mut columns = Columns::of(row);
    Ok(Workspace {
        id: columns.take()?,
        name: columns.take()?,
        timezone: columns.take()?,
        currency: columns.take()?,
        country: columns.take()?,
        created_at: columns.take()?,
        updated_at: columns.take()?,
    })
}

/// Every workspace of the installation, the oldest first.
pub fn all(db: &Db<'_>) -> Result<Vec<Workspace>> {
    Ok(db.query(
        &format!("select {COLUMNS} from workspaces order by id"),
        &[],
        from_row,
    )?)
}

/// The caller's workspace.
pub fn get(db: &Db<'_>, who: &Caller) -> Result<Workspace> {
    Ok(db.query_one(
        &format!("select {COLUMNS} from workspaces where id = $1"),
        &store::params![who.workspace_id],
        from_row,
    )?)
}

/// Changes the fields that are given.
pub fn update(tx: &mut Tx<'_>, who: &Caller, input: WorkspaceUpdate) -> Result<Workspace> {
    who.lock_workspace(tx)?;
    let mut workspace = get(tx, who)?;
    workspace.name = input.name.unwrap_or(workspace.name);
    workspace.timezone = input.timezone.unwrap_or(workspace.timezone);
    workspace.currency = input.currency.unwrap_or(workspace.currency);
    workspace.country = input.country.unwrap_or(workspace.country);
    workspace.updated_at = who.now;
    tx.execute(
        "update workspaces set name = $2, timezone = $3, currency = $4, country = $5,
                updated_at = $6
         where id = $1",
        &store::params![
            who.workspace_id,
            workspace.name.clone(),
            workspace.timezone.clone(),
            workspace.currency,
            workspace.country.clone(),
            who.now
        ],
    )?;
    Ok(workspace)
}

/// A workspace to create.
#[derive(Debug, Clone)]
pub struct NewWorkspace {
    /// What it is called.
    pub name: Name,
    /// Its time zone.
    pub timezone: ZoneName,
    /// Its currency.
    pub currency: Currency,
    /// Its country.
    pub country: CountryCode,
}

impl NewWorkspace {
    /// One of that name, in Australia until told otherwise.
    pub fn called(name: &str) -> Result<Self> {
        let invalid = |flaw: Flaw| Error::invalid("name", flaw.message);
        Ok(Self {
            name: Name::read(name)
                .map_err(invalid)?
                .ok_or_else(|| Error::missing("name"))?,
            timezone: ZoneName::read("Australia/Sydney").map_err(invalid)?,
            currency: Currency::parse("AUD").map_err(invalid)?,
            country: CountryCode::read("AU").map_err(invalid)?,
        })
    }
}

/// The default pipeline: name, probability, colour.
const STAGES: [(&str, i64, &str); 6] = [
    ("Lead", 10, "#64748b"),
    ("Qualified", 25, "#3b82f6"),
    ("Proposal", 50, "#8b5cf6"),
    ("Negotiation", 75, "#f59e0b"),
    ("Won", 100, "#22c55e"),
    ("Lost", 0, "#ef4444"),
];

/// Creates the first workspace of an installation; none if it has been set up
/// already, by this server or by another that started at the same time.
pub fn create_first(
    tx: &mut Tx<'_>,
    new: NewWorkspace,
    now: Timestamp,
    ids: &Ids,
) -> Result<Option<(Workspace, Caller)>> {
    if !set_up(tx, now)? {
        return Ok(None);
    }
    create(tx, new, now, ids).map(Some)
}

/// Notes that the installation is in use; whether it was not before.
fn set_up(tx: &mut Tx<'_>, now: Timestamp) -> Result<bool> {
    let noted = tx.execute(
        "insert into installation (id, set_up_at) values (1, $1) on conflict do nothing",
        &store::params![now],
    )?;
    Ok(noted > 0)
}

/// Creates a workspace with a pipeline, statuses for work orders and an administrator. Answers the
/// operator who may go on to fill it.
pub fn create(
    tx: &mut Tx<'_>,
    new: NewWorkspace,
    now: Timestamp,
    ids: &Ids,
) -> Result<(Workspace, Caller)> {
    set_up(tx, now)?;
    let who = Caller::operator(ids.next(now), now, ids.clone());
    tx.execute(
        "insert into workspaces
             (id, name, timezone, currency, country, settings, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7)",
        &store::params![
            who.workspace_id,
            new.name,
            new.timezone,
            new.currency,
            new.country,
            Settings::default().to_json(),
            who.now
        ],
    )?;
    create_pipeline(tx, &who)?;
    work_orders::create_first_statuses(tx, &who)?;
    create_administrator(tx, &who)?;
    Ok((get(tx, &who)?, who))
}

fn create_pipeline(tx: &mut Tx<'_>, who: &Caller) -> Result<()> {
    let fields = PipelineFields {
        name: Name::read("Sales").ok().flatten(),
        is_default: Some(true),
        ..PipelineFields::default()
    };
    let pipeline = pipelines::create(tx, who, New(fields))?;
    for (name, percent, color) in STAGES {
        let fields = StageFields {
            name: Name::read(name).ok().flatten(),
            color: Text::read(color).ok().flatten(),
            probability: Percent::of(Amount::from_units(percent * SCALE))
                .map_or(Patch::Clear, Patch::Set),
            is_won_stage: Some(name == "Won"),
            is_lost_stage: Some(name == "Lost"),
            ..StageFields::default()
        };
        stages::create(tx, who, pipeline.id, New(fields))?;
    }
    Ok(())
}

fn create_administrator(tx: &mut Tx<'_>, who: &Caller) -> Result<User> {
    let fields = UserFields {
        full_name: Name::read("Administrator").ok().flatten(),
        email: Email::read("admin@localhost")
            .ok()
            .flatten()
            .map_or(Patch::Clear, Patch::Set),
        role: Some(Role::Admin),
        ..UserFields::default()
    };
    users::create(tx, who, fields)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::paging::PageRequest;
    use crate::testing::{given, refused};

    on_both_engines! {
        fn a_workspace_begins_with_a_pipeline_and_an_administrator(tx, desk) {
            let workspace = get(tx, &desk.who)?;
            assert_eq!((&*workspace.name, workspace.currency.code()), ("Ours", "AUD"));
            let pipeline = pipelines::get(tx, &desk.who, desk.pipeline)?;
            let stages = pipeline.stages.unwrap();
            let won: Vec<_> = stages.iter().filter(|stage| stage.is_won_stage).map(|stage| &*stage.name).collect();
            let lost: Vec<_> = stages.iter().filter(|stage| stage.is_lost_stage).map(|stage| &*stage.name).collect();
            assert_eq!((won, lost), (vec!["Won"], vec!["Lost"]));
            let users = users::list(tx, &desk.who, &given(json!({})))?.items;
            assert_eq!((users.len(), users[0].role), (1, Role::Admin));
            assert_eq!(pipelines::list(tx, &desk.who, PageRequest::default())?.items.len(), 1);
        }

        fn changes_are_kept_in_their_usual_form(tx, desk) {
            let changed = update(tx, &desk.later(1), given(json!({
                "name": "Neu", "timezone": "europe/berlin", "currency": "eur", "country": "de",
            })))?;
            let shown = serde_json::to_value(&changed).unwrap();
            assert_eq!(shown["timezone"], "Europe/Berlin");
            assert_eq!((&shown["currency"], &shown["country"]), (&json!("EUR"), &json!("DE")));
            assert_eq!(serde_json::to_value(get(tx, &desk.who)?).unwrap(), shown);
            assert_eq!(&*get(tx, &desk.stranger)?.name, "Theirs");
        }

        async fn of_servers_that_start_at_once_on_an_empty_database_one_sets_it_up(world) {
            world.write(|tx, _| {
                tx.execute("delete from installation", &[])?;
                Ok(())
            }).await.unwrap();
            let results = world.all_at_once(4, |tx, desk, _| {
                create_first(tx, NewWorkspace::called("First")?, desk.who.now, &desk.who.ids)
            }).await;
            let made = results.into_iter().filter(|made| made.as_ref().unwrap().is_some());
            assert_eq!(made.count(), 1);
        }
    }

    #[test]
    fn what_is_no_zone_currency_or_country_is_refused() {
        let problems = refused::<WorkspaceUpdate>(json!({
            "name": "", "timezone": "Mars/Olympus", "currency": "XXQ", "country": "ZZ",
        }));
        let invalid: Vec<_> = problems
            .invalid
            .iter()
            .map(|problem| &*problem.field)
            .collect();
        assert_eq!(
            (problems.missing, invalid),
            (
                vec!["name".to_owned()],
                vec!["timezone", "currency", "country"]
            )
        );
    }
}
