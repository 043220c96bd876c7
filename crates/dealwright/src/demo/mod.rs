//! A small business to look at: what `serve --demo` fills a new workspace
//! with.
//!
//! Magpie Creek Fences & Decks is made up, and so is everyone it deals with:
//! their addresses end as documentation's do, and their numbers are those that
//! Australia keeps for fiction. The tables beside this file say who they are
//! and how far each sale has come. A column is the field of that name as the
//! API has it, or is taken by the code below; days are counted from today.
//!
//! The business lives its past rather than importing it: each record is made,
//! and each card moved, by whom and on the day that the tables say, so that
//! the dates and the audit log tell the same story.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::str::FromStr;

use crm::activities;
use crm::companies::{self, NewCompany};
use crm::contacts::{self, Contact, NewContact};
use crm::events::Automations;
use crm::input::Input;
use crm::invoices;
use crm::metadata::{Tag, Tags};
use crm::money::{Amount, SCALE, Total};
use crm::opportunities::{
    self, NewOpportunity, NewProductLine, Opportunity, Placing, ProductLine, Target,
};
use crm::paging::PageRequest;
use crm::pipelines::{self, Stage};
use crm::record;
use crm::referrals::{self, NewReferral};
use crm::tasks;
use crm::time::{Date, Timestamp};
use crm::{
    Actor, ActorKind, Caller, Error, Result, product_costs, products, settings, stages, users,
    work_orders,
};
use jiff::tz::TimeZone;
use jiff::{ToSpan, civil};
use serde_json::{Map, Number, Value, json};
use store::Tx;
use uuid::Uuid;

const SETTINGS: &str = include_str!("settings.json");
const SERVICE_STAGES: &str = include_str!("service_stages.csv");
const USERS: &str = include_str!("users.csv");
const COMPANIES: &str = include_str!("companies.csv");
const CONTACTS: &str = include_str!("contacts.csv");
const PRODUCTS: &str = include_str!("products.csv");
const PRODUCT_COSTS: &str = include_str!("product_costs.csv");
const OPPORTUNITIES: &str = include_str!("opportunities.csv");
const OPPORTUNITY_PRODUCTS: &str = include_str!("opportunity_products.csv");
const WORK_ORDERS: &str = include_str!("work_orders.csv");
const INVOICES: &str = include_str!("invoices.csv");
const REFERRALS: &str = include_str!("referrals.csv");
const ACTIVITIES: &str = include_str!("activities.csv");
const TASKS: &str = include_str!("tasks.csv");

/// The tax on everything that is billed, in percent.
const TAX: Amount = Amount::from_units(10 * SCALE);

/// The day on which the business began to keep its sales here.
const FIRST_DAY: i16 = -420;

/// Fills a workspace that was just made.
///
/// # Errors
/// The workspace has no default pipeline with the usual stages, or users of
/// these addresses already; or the database failed.
pub(crate) fn fill(tx: &mut Tx<'_>, who: &Caller) -> Result<()> {
    let mut demo = Demo::begin(tx, who)?;
    for row in table(USERS)? {
        demo.add_user(tx, row)?;
    }
    for row in table(COMPANIES)? {
        demo.add_company(tx, row)?;
    }
    for row in table(CONTACTS)? {
        demo.add_contact(tx, row)?;
    }
    for row in table(PRODUCTS)? {
        demo.add_product(tx, row)?;
    }
    for row in table(PRODUCT_COSTS)? {
        demo.add_product_cost(tx, row)?;
    }
    for mut row in table(OPPORTUNITY_PRODUCTS)? {
        let opportunity = row.need("opportunity")?;
        demo.lines.entry(opportunity).or_default().push(row);
    }
    for row in table(OPPORTUNITIES)? {
        demo.add_opportunity(tx, row)?;
    }
    for row in table(WORK_ORDERS)? {
        demo.add_work_order(tx, row)?;
    }
    for row in table(INVOICES)? {
        demo.add_invoice(tx, row)?;
    }
    for row in table(REFERRALS)? {
        demo.add_referral(tx, row)?;
    }
    for row in table(ACTIVITIES)? {
        demo.add_activity(tx, row)?;
    }
    for row in table(TASKS)? {
        demo.add_task(tx, row)?;
    }
    match demo.lines.keys().next() {
        None => Ok(()),
        Some(opportunity) => Err(missing(opportunity)),
    }
}

/// What has been made so far, by the names that the tables use for it.
struct Demo<'a> {
    who: &'a Caller,
    today: civil::Date,
    zone: TimeZone,
    palette: Tags,
    stages: HashMap<String, Target>,
    /// Users, companies, contacts, products and opportunities: no two share a name.
    ids: HashMap<String, Uuid>,
    /// What goes into a unit of each product.
    costs: HashMap<String, Vec<Cost>>,
    /// The products of the opportunities that are yet to be made.
    lines: HashMap<String, Vec<Row>>,
    /// The rows of products that opportunities have, by the names of both.
    sold: HashMap<(String, String), Uuid>,
}

/// A cost of a product.
struct Cost {
    label: String,
    price: Number,
    quantity: u32,
    supplier: Option<String>,
}

/// When work begins.
const NINE: civil::Time = civil::time(9, 0, 0, 0);

impl<'a> Demo<'a> {
    /// Sets the workspace up: its settings and its two pipelines.
    fn begin(tx: &mut Tx<'_>, who: &'a Caller) -> Result<Self> {
        let changes = serde_json::from_str(SETTINGS)
            .map_err(|error| Error::invalid("settings", error.to_string()))?;
        let settings = settings::update(tx, who, Row(changes).read()?)?;
        let locale = who.locale(tx)?;
        let mut demo = Self {
            who,
            today: locale.date_at(who.now).civil(),
            zone: locale.zone(),
            palette: settings.tag_palette,
            stages: HashMap::new(),
            ids: HashMap::new(),
            costs: HashMap::new(),
            lines: HashMap::new(),
            sold: HashMap::new(),
        };
        let pipelines = pipelines::list(tx, who, PageRequest::default())?.items;
        let sales = pipelines.iter().find(|pipeline| pipeline.is_default);
        let sales = sales.ok_or_else(|| missing("default pipeline"))?;
        for stage in stages::list(tx, who, sales.id)? {
            demo.know_stage(&stage);
        }
        let mut service = Row(Map::new());
        service.put("name", &"Service & repairs");
        service.put("description", &"What was built is looked after here.");
        let service = pipelines::create(tx, who, service.read()?)?;
        for row in table(SERVICE_STAGES)? {
            let stage = stages::create(tx, who, service.id, row.read()?)?;
            demo.know_stage(&stage);
        }
        Ok(demo)
    }

    fn know_stage(&mut self, stage: &Stage) {
        let target = Target {
            pipeline_id: stage.pipeline_id,
            stage_id: stage.id,
            position: 0,
            automations: Automations::skipped(),
        };
        self.stages.insert(stage.name.to_string(), target);
    }

    fn add_user(&mut self, tx: &mut Tx<'_>, row: Row) -> Result<()> {
        let user = users::invite(tx, &self.on(FIRST_DAY)?, row.read()?)?;
        self.ids.insert(user.full_name.to_string(), user.id);
        Ok(())
    }

    fn add_company(&mut self, tx: &mut Tx<'_>, mut row: Row) -> Result<()> {
        let who = self.on(row.need("created_on")?)?;
        row.gather("metadata", &["payment_terms"]);
        let new = NewCompany {
            automations: Automations::skipped(),
            ..row.read()?
        };
        let company = companies::create(tx, &who, new)?;
        self.ids.insert(company.name.to_string(), company.id);
        Ok(())
    }

    fn add_contact(&mut self, tx: &mut Tx<'_>, mut row: Row) -> Result<()> {
        let who = self.on(row.need("created_on")?)?;
        let employer: Option<String> = row.take("employer")?;
        let new = NewContact {
            automations: Automations::skipped(),
            ..row.read()?
        };
        let contact = contacts::create(tx, &who, new)?;
        if let Some(employer) = employer {
            contacts::add_employer(tx, &who, contact.id, self.id(&employer)?)?;
        }
        self.ids.insert(contact.display_name, contact.id);
        Ok(())
    }

    fn add_product(&mut self, tx: &mut Tx<'_>, mut row: Row) -> Result<()> {
        row.replace("price", |dollars: Number| Ok(dollars))?;
        row.replace("deposit_percent", |percent: u8| Ok(percent))?;
        row.replace("is_active", |is_active: bool| Ok(is_active))?;
        let product = products::create(tx, &self.on(FIRST_DAY)?, row.read()?)?;
        self.ids.insert(product.name.to_string(), product.id);
        Ok(())
    }

    fn add_product_cost(&mut self, tx: &mut Tx<'_>, mut row: Row) -> Result<()> {
        let product: String = row.need("product")?;
        let cost = Cost {
            label: row.need("label")?,
            price: row.need("cost_price")?,
            quantity: row.need("quantity")?,
            supplier: row.take("supplier_id")?,
        };
        row.put("label", &cost.label);
        row.put("cost_price", &cost.price);
        row.put("quantity", &cost.quantity);
        row.put("supplier_id", &self.supplier(&cost)?);
        let who = self.on(FIRST_DAY)?;
        product_costs::create(tx, &who, self.id(&product)?, row.read()?)?;
        self.costs.entry(product).or_default().push(cost);
        Ok(())
    }

    fn supplier(&self, cost: &Cost) -> Result<Option<Uuid>> {
        let supplier = cost.supplier.as_ref();
        supplier.map(|name| self.id(name)).transpose()
    }

    /// Adds a product to an opportunity, with what so much of it costs.
    fn add_line(&mut self, tx: &mut Tx<'_>, who: &Caller, to: &str, mut row: Row) -> Result<()> {
        let id = self.id(to)?;
        let product: String = row.need("product")?;
        let quantity: u32 = row.need("quantity")?;
        row.put("product_id", &self.id(&product)?);
        row.put("quantity", &quantity);
        row.replace("discount_percent", |percent: u8| Ok(percent))?;
        let new = NewProductLine {
            automations: Automations::skipped(),
            ..row.read()?
        };
        let line = opportunities::add_product(tx, who, id, new)?.id;
        for cost in self.costs.get(&product).into_iter().flatten() {
            let mut row = Row(Map::new());
            row.put("label", &cost.label);
            row.put("unit_cost", &cost.price);
            row.put("quantity", &(cost.quantity * quantity));
            row.put("supplier_id", &self.supplier(cost)?);
            opportunities::add_cost(tx, who, id, line, row.read()?)?;
        }
        self.sold.insert((to.to_owned(), product), line);
        Ok(())
    }

    /// Each begins as a lead and then goes to where it stands now.
    fn add_opportunity(&mut self, tx: &mut Tx<'_>, mut row: Row) -> Result<()> {
        let (created_on, moved_on) = (row.need("created_on")?, row.need("entered_stage_on")?);
        let stage: String = row.need("stage")?;
        let service_stage: Option<String> = row.take("service_stage")?;
        let (sellers, other_contacts) = (row.list("users")?, row.list("other_contacts")?);
        let seller = sellers.first().ok_or_else(|| Error::missing("users"))?;
        let name: String = row.need("name")?;
        row.put("name", &name);
        let lines = self.lines.remove(&name).unwrap_or_default();

        row.gather("metadata", &["material", "size"]);
        row.replace("contact_id", |name: String| self.id(&name))?;
        row.replace("customer_id", |name: String| self.id(&name))?;
        row.replace("value", |dollars: u32| Ok(dollars))?;
        row.replace("probability", |percent: u8| Ok(percent))?;
        row.replace("expected_close_date", |days| Ok(self.day(days)))?;
        row.replace("next_action_date", |days| self.morning(days))?;
        let tags = row.list("tags")?;
        let tags = tags.iter().map(|name| self.tag(name));
        row.put("tags", &tags.collect::<Result<Vec<_>>>()?);

        let who = self.seller_on(seller, created_on)?;
        let new = NewOpportunity {
            placing: Placing {
                stage_id: Some(self.stage("Lead")?.stage_id),
                ..Placing::default()
            },
            automations: Automations::skipped(),
            ..row.read()?
        };
        let made = opportunities::create(tx, &who, new)?;
        let id = made.id;
        self.ids.insert(name.clone(), id);
        for user in &sellers {
            opportunities::assign_user(tx, &who, id, self.id(user)?)?;
        }
        for contact in &other_contacts {
            opportunities::add_contact(tx, &who, id, self.id(contact)?)?;
        }
        for line in lines {
            self.add_line(tx, &who, &name, line)?;
        }
        let who = self.seller_on(seller, moved_on)?;
        opportunities::move_to(tx, &who, id, self.stage(&stage)?)?;
        if let Some(stage) = service_stage {
            opportunities::add_card(tx, &who, id, self.stage(&stage)?)?;
        }
        Ok(())
    }

    /// Each begins with the first status and then gets the one that it has now.
    fn add_work_order(&self, tx: &mut Tx<'_>, mut row: Row) -> Result<()> {
        let who = self.seller_on(&row.need::<String>("by")?, row.need("created_on")?)?;
        let status: Option<String> = row.take("status")?;
        let changed_on = row.take("changed_on")?;
        let what = (row.need("opportunity")?, row.need("product")?);
        let line = self.sold.get(&what).ok_or_else(|| missing(&what.1))?;
        row.put("deal_product_id", line);
        row.gather("data", &["crew", "bring"]);
        row.replace("schedule_date", |days| Ok(self.day(days)))?;
        row.replace("assigned_to", |name: String| self.id(&name))?;
        let id = work_orders::create(tx, &who, row.read()?)?.id;
        if let (Some(status), Some(days)) = (status, changed_on) {
            let mut row = Row(Map::new());
            row.put("status", &status);
            let who = self.seller_on(&who.actor.name, days)?;
            work_orders::update(tx, &who, id, row.read()?)?;
        }
        Ok(())
    }

    /// Each bills the products of its opportunity or, in one line, a share of what
    /// they are worth, and is sent before it is paid.
    fn add_invoice(&self, tx: &mut Tx<'_>, mut row: Row) -> Result<()> {
        let seller: String = row.need("by")?;
        let who = self.seller_on(&seller, row.need("issued_on")?)?;
        let deal = self.id(&row.need::<String>("deal_id")?)?;
        let deal = record::get::<Opportunity>(tx, &who, deal)?;
        let lines: Vec<_> = match row.take::<i64>("share")? {
            Some(percent) => {
                let share =
                    Total::from(deal.products_value).share(Amount::from_units(SCALE * percent));
                let line: String = row.need("line")?;
                vec![
                    json!({ "description": line, "unit_price": share, "tax_amount": share.share(TAX) }),
                ]
            }
            None => {
                let lines = opportunities::products(tx, &who, deal.id)?.into_iter();
                let line = |line: ProductLine| {
                    json!({
                        "description": line.product.name,
                        "product_id": line.product_id,
                        "quantity": line.quantity,
                        "unit_price": line.unit_price,
                        "discount_percent": line.discount_percent,
                        "tax_amount": Total::from(line.margin.value).share(TAX),
                    })
                };
                lines.map(line).collect()
            }
        };
        let (paid_on, paid) = (row.take("paid_on")?, row.take::<Number>("amount_paid")?);
        let status: String = row.need("status")?;
        row.put("status", &if paid_on.is_some() { "sent" } else { &*status });
        row.put("line_items", &lines);
        row.replace("due_date", |days| Ok(self.day(days)))?;
        row.put("deal_id", &deal.id);
        row.put("customer_id", &deal.company_id);
        if let Some(contact) = deal.contact_id {
            let contact = record::get::<Contact>(tx, &who, contact)?;
            row.put("contact_name", &contact.display_name);
        }
        let invoice = invoices::create(tx, &who, row.read()?)?;
        let Some(paid_on) = paid_on else {
            return Ok(());
        };
        let mut payment = Row(Map::new());
        payment.put("status", &status);
        match paid {
            Some(paid) => payment.put("amount_paid", &paid),
            None => payment.put("amount_paid", &invoice.total),
        }
        let who = self.seller_on(&seller, paid_on)?;
        invoices::update(tx, &who, invoice.id, payment.read()?).map(drop)
    }

    fn add_referral(&self, tx: &mut Tx<'_>, mut row: Row) -> Result<()> {
        let who = self.seller_on(&row.need::<String>("by")?, row.need("created_on")?)?;
        for column in [
            "referrer_contact_id",
            "referred_contact_id",
            "referred_deal_id",
        ] {
            row.replace(column, |name: String| self.id(&name))?;
        }
        if let Some(days) = row.take("converted_on")? {
            row.put("converted_at", &self.morning(days)?);
        }
        let new = NewReferral {
            automations: Automations::skipped(),
            ..row.read()?
        };
        referrals::create(tx, &who, new).map(drop)
    }

    /// Each is entered when it has happened.
    fn add_activity(&self, tx: &mut Tx<'_>, mut row: Row) -> Result<()> {
        let seller: String = row.need("by")?;
        let occurred_at = self.instant(row.need("occurred_on")?, row.need("time")?)?;
        let who = Caller {
            now: occurred_at,
            ..self.seller_on(&seller, 0)?
        };
        row.replace("duration_minutes", |minutes: u16| Ok(minutes))?;
        self.put_what_it_is_about(tx, &mut row)?;
        activities::create(tx, &who, row.read()?).map(drop)
    }

    fn add_task(&self, tx: &mut Tx<'_>, mut row: Row) -> Result<()> {
        let user: String = row.need("assigned_to")?;
        let who = self.seller_on(&user, row.need("created_on")?)?;
        row.put("assigned_to", &self.id(&user)?);
        row.replace("due_date", |days| Ok(self.day(days)))?;
        if let Some(days) = row.take("completed_on")? {
            row.put("completed_at", &self.morning(days)?);
        }
        self.put_what_it_is_about(tx, &mut row)?;
        tasks::create(tx, &who, row.read()?).map(drop)
    }

    /// What is about an opportunity is about its contact and its company too.
    fn put_what_it_is_about(&self, tx: &Tx<'_>, row: &mut Row) -> Result<()> {
        let Some(name) = row.take::<String>("deal_id")? else {
            return Ok(());
        };
        let about = record::get::<Opportunity>(tx, self.who, self.id(&name)?)?;
        row.put("deal_id", &about.id);
        row.put("contact_id", &about.contact_id);
        row.put("customer_id", &about.company_id);
        Ok(())
    }

    fn id(&self, name: &str) -> Result<Uuid> {
        self.ids.get(name).copied().ok_or_else(|| missing(name))
    }

    fn stage(&self, name: &str) -> Result<&Target> {
        self.stages.get(name).ok_or_else(|| missing(name))
    }

    fn tag(&self, name: &str) -> Result<&Tag> {
        let mut palette = self.palette.iter();
        let tag = palette.find(|tag| &*tag.name == name);
        tag.ok_or_else(|| missing(name))
    }

    fn day(&self, days: i16) -> Date {
        self.today.saturating_add(days.days()).into()
    }

    /// When work begins on that day.
    fn morning(&self, days: i16) -> Result<Timestamp> {
        self.instant(days, NINE)
    }

    /// That time of that day.
    fn instant(&self, days: i16, time: civil::Time) -> Result<Timestamp> {
        let instant = self.day(days).civil().to_datetime(time);
        instant
            .to_zoned_datetime(self.zone.clone())
            .map(|instant| instant.timestamp().into())
            .map_err(|error| Error::invalid("now", error.to_string()))
    }

    /// Who fills the workspace, on another day.
    fn on(&self, days: i16) -> Result<Caller> {
        Ok(Caller {
            now: self.morning(days)?,
            ..self.who.clone()
        })
    }

    /// One of the users, at work on that day.
    fn seller_on(&self, name: &str, days: i16) -> Result<Caller> {
        Ok(Caller {
            actor: Actor {
                kind: ActorKind::User,
                id: Some(self.id(name)?),
                name: name.to_owned(),
            },
            ..self.on(days)?
        })
    }
}

/// The fields of a record, as a row of a table has them; what is blank there
/// is absent here.
struct Row(Map<String, Value>);

/// The rows of a table, whose first line names the columns.
fn table(csv: &str) -> Result<Vec<Row>> {
    csv::Reader::from_reader(csv.as_bytes())
        .into_deserialize()
        .map(|row| {
            let row: BTreeMap<String, String> =
                row.map_err(|error| Error::invalid("table", error.to_string()))?;
            let given = row.into_iter().filter(|(_, text)| !text.is_empty());
            Ok(Row(given.map(|(name, text)| (name, text.into())).collect()))
        })
        .collect()
}

impl Row {
    /// Takes a column out, if it is there.
    fn take<T: FromStr<Err: Display>>(&mut self, column: &str) -> Result<Option<T>> {
        let value = self.0.remove(column);
        let text = value.as_ref().and_then(Value::as_str);
        text.map(str::parse)
            .transpose()
            .map_err(|error| Error::invalid(column, format!("can't be read: {error}")))
    }

    /// Takes a column out that every row has.
    fn need<T: FromStr<Err: Display>>(&mut self, column: &str) -> Result<T> {
        self.take(column)?.ok_or_else(|| Error::missing(column))
    }

    /// Takes a column of several names out.
    fn list(&mut self, column: &str) -> Result<Vec<String>> {
        let names: Option<String> = self.take(column)?;
        let names = names.iter().flat_map(|names| names.split("; "));
        Ok(names.map(str::to_owned).collect())
    }

    fn put(&mut self, field: &str, value: &impl serde::Serialize) {
        self.0.insert(field.to_owned(), json!(value));
    }

    /// Puts what a column means in the place of what it says.
    fn replace<T, V>(&mut self, column: &str, meaning: impl Fn(T) -> Result<V>) -> Result<()>
    where
        T: FromStr<Err: Display>,
        V: serde::Serialize,
    {
        if let Some(said) = self.take(column)? {
            self.put(column, &meaning(said)?);
        }
        Ok(())
    }

    /// Puts the columns that are parts of an object into that field.
    fn gather(&mut self, field: &str, keys: &[&str]) {
        let values = keys.iter().filter_map(|key| self.0.remove_entry(*key));
        let values: Map<_, _> = values.collect();
        self.put(field, &values);
    }

    /// Reads what is left as a request would be read.
    fn read<I: Input>(self) -> Result<I> {
        let (input, unknown) = I::from_object(self.0)?;
        match unknown.first() {
            None => Ok(input),
            Some(column) => Err(Error::invalid(column, "is no field of the record")),
        }
    }
}

fn missing(name: &str) -> Error {
    Error::invalid(name, "is not there")
}

#[cfg(test)]
mod tests;
