//! Opportunities: the deals that move through the pipelines.

mod bulk;
mod cards;
mod expand;
mod export;
mod found_by;
mod margin;
mod people;
mod product_costs;
mod products;
mod spots;
mod status;
#[cfg(test)]
mod tests;

use serde_json::Value;
use store::{Db, Tx};
use uuid::Uuid;

pub use bulk::{BulkCreate, BulkMove, bulk_create, bulk_delete, bulk_move};
pub(crate) use cards::{Mode, place};
pub use cards::{Placement, Target, add_card, move_to};
pub use expand::{Expansion, Expansions, Referrer};
pub(crate) use found_by::reindex;
use found_by::{document, links};
pub use margin::{CurrencyCost, Margin};
pub(crate) use people::unassign_everywhere;
pub use people::{
    AssignedUser, add_contact, assign_user, contacts, remove_contact, unassign_user, users,
};
pub use product_costs::{
    OpportunityProductCost, OpportunityProductCostFields, add_cost, costs, delete_cost, update_cost,
};
pub use products::{
    NewProductLine, OpportunityProduct, OpportunityProductFields, PaymentStatus, ProductLine,
    ProductLineUpdate, ReorderProducts, add_imported_product, add_product, products,
    remove_product, reorder_products, update_product,
};

use crate::audit::{self, Entity};
use crate::caller::{Caller, Locale};
use crate::companies::Company;
use crate::contacts::Contact;
use crate::error::Result;
use crate::events::{self, Automations, Trigger};
use crate::input::Patch;
use crate::mentions;
use crate::metadata::{Metadata, Tags};
use crate::money::{Amount, Currency, Percent};
use crate::paging::{self, Listing, Page, PageRequest};
use crate::public_ids::{self, Counter};
use crate::record::{self, Column, New, Record, Writable, change};
use crate::search::{self, Query, Search, Searchable};
use crate::sql::Condition;
use crate::text::{Name, Notes, Text};
use crate::time::{Date, Moment, Timestamp};

crate::words! {
    /// How an opportunity stands.
    #[derive(Default)]
    pub enum Status {
        /// Still being worked on.
        #[default]
        Open = "open",
        /// The customer bought.
        Won = "won",
        /// The customer did not buy.
        Lost = "lost",
    }
}

crate::record! {
    /// An opportunity: something that may be sold to someone.
    pub struct Opportunity in "opportunities", called "opportunity";
    /// The writable fields of an opportunity.
    pub struct OpportunityFields;
    read {
        /// Its id; ids sort by age.
        id: Uuid,
        /// Its number within the workspace, never reused: `OPP-001`.
        #[schemars(example = &"OPP-001")]
        public_id: String,
    }
    write {
        /// What the opportunity is called.
        solid name: Name = "Difference engine",
        /// How it stands. A stage that is won or lost sets it.
        plain status: Status,
        /// The primary contact.
        patch contact_id: Uuid,
        /// The company that would buy.
        patch company_id ["customer_id"]: Uuid,
        /// What it is worth, set by hand.
        patch value: Amount = 17470,
        /// The currency of `value`, by ISO 4217; the workspace's by default.
        plain currency: Currency,
        /// How likely it is to be won, in percent.
        patch probability: Percent = 60,
        /// When it is expected to close.
        patch expected_close_date: Date = "2026-06-30",
        /// When it closed; set by the status where it is empty.
        patch actual_close_date: Date = null,
        /// Where it came from.
        patch lead_source: Text<255> = "Trade fair",
        /// What kind of opportunity it is.
        patch opportunity_type: Text<255>,
        /// Why it was won.
        patch won_reason: Text<1000>,
        /// Why it was lost.
        patch lost_reason: Text<1000>,
        /// What is to be done next.
        patch next_action_name: Text<255> = "Send the drawings",
        /// When that is to be done.
        patch next_action_date: Timestamp,
        /// Labels. Strings are accepted and get a default colour; a PATCH
        /// replaces all of them.
        plain tags: Tags = [{ "name": "urgent", "color": "#3b82f6" }],
        /// Notes, up to 100,000 characters.
        patch notes: Notes,
        /// Custom field values by their key; a PATCH replaces all of them.
        plain metadata: Metadata = { "cylinders": 8 },
    }
    kept {
        /// The value of its products: quantity × unit price less discount.
        products_value: Amount,
        /// When it was won.
        #[schemars(example = Value::Null)]
        won_at: Option<Timestamp>,
        /// When it was lost.
        #[schemars(example = Value::Null)]
        lost_at: Option<Timestamp>,
        /// The contact who referred it most recently.
        #[schemars(example = Value::Null)]
        primary_referrer_contact_id: Option<Uuid>,
        /// The category of that referral.
        primary_referrer_category: Option<String>,
        /// When its newest activity took place.
        #[schemars(example = Value::Null)]
        last_activity_at: Option<Timestamp>,
        /// When it was created.
        created_at: Timestamp,
        /// When it was last changed.
        updated_at: Timestamp,
    }
    hidden {
        /// True while `actual_close_date` is there only because the status
        /// closed it, and so goes when it opens again.
        close_date_by_status: bool,
        /// How many products it has.
        product_lines: i64,
        /// What they cost in its currency.
        products_cost: Amount,
        /// How many of their costs are in another currency.
        other_costs: i64,
    }
    joined {
        /// Its cards: where it stands in which pipeline.
        placements: Vec<Placement>,
        /// The primary contact, with `expand=contact`.
        #[serde(skip_serializing_if = "Option::is_none")]
        contact: Option<Option<Box<Contact>>>,
        /// The contact who referred it, in short, with `expand=referrer`.
        #[serde(skip_serializing_if = "Option::is_none")]
        referrer: Option<Option<Box<Referrer>>>,
        /// The company, with `expand=customer`.
        #[serde(skip_serializing_if = "Option::is_none")]
        customer: Option<Option<Box<Company>>>,
        /// The products in their order, with `expand=products`.
        #[serde(skip_serializing_if = "Option::is_none")]
        products: Option<Vec<ProductLine>>,
        /// What the products earn together, with `expand=products`.
        #[serde(skip_serializing_if = "Option::is_none")]
        products_margin: Option<Margin>,
        /// The assigned users, with `expand=assigned_users`.
        #[serde(skip_serializing_if = "Option::is_none")]
        assigned_users: Option<Vec<AssignedUser>>,
    }
}

impl Searchable for Opportunity {
    const INDEX: &'static str = "opportunity_search";
}

crate::input! {
    /// A new opportunity.
    pub struct NewOpportunity {
        flatten fields: New<OpportunityFields>,
        flatten placing: Placing,
        flatten automations: Automations,
    }
}

crate::input! {
    /// Where a new opportunity's card goes, if it is to have one.
    #[derive(Default)]
    pub struct Placing {
        /// The pipeline that the opportunity enters; without a stage, at its
        /// first one.
        optional pipeline_id: Uuid,
        /// The stage that it enters; its pipeline follows from it.
        optional stage_id: Uuid,
        /// The card's index in the stage; 0, the top, by default.
        optional position: i64,
    }
}

crate::input! {
    /// What changes of an opportunity.
    pub struct OpportunityUpdate {
        flatten fields: OpportunityFields,
        flatten automations: Automations,
    }
}

crate::input! {
    /// Which opportunities are listed.
    pub struct OpportunityFilter {
        /// Those found by this part of a name, an e-mail address or a phone
        /// number of the opportunity, its contact or its company.
        optional search: Query = "engine",
        /// Those with this status.
        optional status: Status,
        /// Those with this primary contact.
        optional contact_id: Uuid,
        /// Those of this company.
        optional company_id ["customer_id"]: Uuid,
        /// Those that this user is assigned to.
        optional assigned_to: Uuid,
        /// Those with a card in this pipeline.
        optional pipeline_id: Uuid,
        /// Those with a card in this stage.
        optional stage_id: Uuid,
        /// Those created at this instant or later; a date means its start in UTC.
        optional created_after: Moment = "2026-01-01",
        /// Those created before this instant; a date means its start in UTC.
        optional created_before: Moment,
    }
}

crate::input! {
    /// A page of opportunities.
    pub struct ListOpportunities {
        flatten filter: OpportunityFilter,
        flatten page: PageRequest,
        flatten expansions: Expansions,
    }
}

/// The opportunities with a card `c`, one for each card.
const BY_CARD: Listing<'_> = Listing {
    columns: Opportunity::QUALIFIED,
    from: "cards c
           join opportunities t on t.workspace_id = c.workspace_id and t.id = c.opportunity_id",
    id: "c.opportunity_id",
};

/// The opportunities of an assigned user `u`.
const BY_USER: Listing<'_> = Listing {
    columns: Opportunity::QUALIFIED,
    from: "opportunity_users u
           join opportunities t on t.workspace_id = u.workspace_id and t.id = u.opportunity_id",
    id: "u.opportunity_id",
};

/// All opportunities.
const ALL: Listing<'_> = Listing {
    columns: Opportunity::QUALIFIED,
    from: "opportunities t",
    id: "t.id",
};

/// A page of the opportunities, newest first.
pub fn list(db: &Db<'_>, who: &Caller, input: &ListOpportunities) -> Result<Page<Opportunity>> {
    if let (Some(pipeline_id), Some(stage_id)) = (input.filter.pipeline_id, input.filter.stage_id) {
        cards::check_filter(db, who, pipeline_id, stage_id)?;
    }
    let (listing, condition) = listed(db, who, &input.filter)?;
    page(db, who, listing, condition, input.page, &input.expansions)
}

/// What a list is read from, and under which condition. Of a stage, a pipeline
/// or a user it is read from their own index, which has the order of the list:
/// a page of theirs costs the same however many opportunities others have.
fn listed(
    db: &Db<'_>,
    who: &Caller,
    filter: &OpportunityFilter,
) -> Result<(Listing<'static>, Condition)> {
    let by_card = filter.pipeline_id.or(filter.stage_id).is_some();
    let listing = match filter.assigned_to {
        _ if by_card => BY_CARD,
        Some(_) => BY_USER,
        None => ALL,
    };
    let mut condition = record::all(who);
    condition
        .and_if("t.status = ?", filter.status)
        .and_if("t.contact_id = ?", filter.contact_id)
        .and_if("t.company_id = ?", filter.company_id)
        .and_if(
            "t.created_at >= ?",
            filter.created_after.map(|moment| moment.0),
        )
        .and_if(
            "t.created_at < ?",
            filter.created_before.map(|moment| moment.0),
        )
        .and_if("c.pipeline_id = ?", filter.pipeline_id);
    if by_card {
        condition.and("c.workspace_id = $1", []);
    }
    if let Some(stage_id) = filter.stage_id {
        // The index of the cards begins by the pipeline.
        condition.and(
            "c.stage_id = ? and c.pipeline_id = (select s.pipeline_id from stages s
                                                 where s.workspace_id = $1 and s.id = ?)",
            [stage_id.into(), stage_id.into()],
        );
    }
    if let Some(user_id) = filter.assigned_to {
        let text = if by_card {
            "exists (select 1 from opportunity_users u
                     where u.workspace_id = $1 and u.opportunity_id = t.id and u.user_id = ?)"
        } else {
            "u.workspace_id = $1 and u.user_id = ?"
        };
        condition.and(text, [user_id.into()]);
    }
    if let Some(query) = &filter.search {
        search::narrow::<Opportunity>(db, who, &mut condition, query)?;
    }
    Ok((listing, condition))
}

/// A page of the opportunities of `listing` under `condition`, with what is
/// asked to be expanded.
fn page(
    db: &Db<'_>,
    who: &Caller,
    listing: Listing<'_>,
    condition: Condition,
    request: PageRequest,
    expansions: &Expansions,
) -> Result<Page<Opportunity>> {
    let id = |opportunity: &Opportunity| opportunity.id;
    let mut page = paging::page(db, listing, condition, request, id, Opportunity::from_row)?;
    expand::complete(db, who, &mut page.items, expansions)?;
    Ok(page)
}

/// One opportunity, with its cards and what is asked to be expanded.
pub fn get(db: &Db<'_>, who: &Caller, id: Uuid, expansions: &Expansions) -> Result<Opportunity> {
    let mut found = [record::get::<Opportunity>(db, who, id)?];
    expand::complete(db, who, &mut found, expansions)?;
    let [opportunity] = found;
    Ok(opportunity)
}

/// The opportunities found by `input`, best match first.
pub fn search(db: &Db<'_>, who: &Caller, input: &Search) -> Result<Page<Opportunity>> {
    let mut page = search::search(db, who, input)?;
    expand::complete(db, who, &mut page.items, &Expansions::default())?;
    Ok(page)
}

/// What only an import may say of a new opportunity.
#[derive(Debug, Clone, Copy, Default)]
pub struct History {
    /// When it closed, which is then when it was won or lost.
    pub closed_on: Option<Date>,
    /// When its card entered its stage.
    pub entered_stage_on: Option<Date>,
}

/// Creates an opportunity, with a card where one is asked for.
pub fn create(tx: &mut Tx<'_>, who: &Caller, input: NewOpportunity) -> Result<Opportunity> {
    create_with_history(tx, who, input, History::default())
}

/// Creates an opportunity that has had a life elsewhere.
pub fn create_with_history(
    tx: &mut Tx<'_>,
    who: &Caller,
    input: NewOpportunity,
    history: History,
) -> Result<Opportunity> {
    let locale = who.locale(tx)?;
    create_in(tx, who, &locale, input, history)
}

/// Creates an opportunity in a workspace whose locale has been looked up.
fn create_in(
    tx: &mut Tx<'_>,
    who: &Caller,
    locale: &Locale,
    input: NewOpportunity,
    history: History,
) -> Result<Opportunity> {
    let NewOpportunity {
        fields: New(mut fields),
        placing,
        automations,
    } = input;
    let linked = links(tx, who, &fields)?;
    let target = cards::target_of(tx, who, &placing)?;
    let status = target
        .as_ref()
        .and_then(|target| target.status())
        .or(fields.status)
        .unwrap_or_default();
    let instant_of = |day: Date| Timestamp::start_of(day, &locale.zone());

    fields.status = Some(status);
    fields.currency.get_or_insert(locale.currency);
    fields.tags.get_or_insert_default();
    fields.metadata.get_or_insert_default();
    let mut columns = Vec::new();
    if let Some(column) = status::closing_column(status) {
        let closed_at = history.closed_on.map_or(who.now, instant_of);
        columns.push(Column {
            name: column,
            value: closed_at.into(),
        });
        if fields.actual_close_date.value().is_none() {
            fields.actual_close_date = Patch::Set(closed_at.date_in(&locale.zone()));
            columns.push(Column {
                name: "close_date_by_status",
                value: true.into(),
            });
        }
    }
    columns.extend(fields.columns());
    let public_id = public_ids::next(tx, who, Counter::Opportunity)?;
    columns.push(Column {
        name: "public_id",
        value: public_id.into(),
    });
    let id = who.new_id();
    let mut opportunity = record::insert::<Opportunity>(tx, who, id, columns)?;
    let document = document(&opportunity.name, &linked);
    search::put::<Opportunity>(tx, who, id, &opportunity.name, document)?;
    if let Some(target) = target {
        let entered = history.entered_stage_on.map_or(who.now, instant_of);
        let card = cards::put_first_card(tx, who, id, target, entered)?;
        opportunity.placements.push(card);
    }
    events::emit(
        tx,
        who,
        &automations,
        Trigger::DealCreated,
        Entity::Opportunity,
        id,
        serde_json::Map::new(),
    )?;
    Ok(opportunity)
}

/// Changes the fields that are given.
pub fn update(
    tx: &mut Tx<'_>,
    who: &Caller,
    id: Uuid,
    input: OpportunityUpdate,
) -> Result<Opportunity> {
    let OpportunityUpdate {
        fields,
        automations,
    } = input;
    if fields.says_what_it_is_worth() {
        cards::lock_stages(tx, who, vec![id], None)?;
    }
    let mut opportunity = record::lock::<Opportunity>(tx, who, id)?;
    links(tx, who, &fields)?;
    let before = opportunity.status;
    let mut changes = fields.apply(&mut opportunity);
    if changed(&changes, "actual_close_date") {
        opportunity.close_date_by_status = false;
    }
    if opportunity.status != before {
        let today = who.locale(tx)?.date_at(who.now);
        changes.extend(status::follow(&mut opportunity, who.now, today));
    }
    if changed(&changes, "contact_id")
        && let Some(contact_id) = opportunity.contact_id
    {
        people::drop_contact(tx, who, id, contact_id)?;
    }
    write_changes(tx, who, &mut opportunity, &changes, &automations)?;
    expand::complete(
        tx,
        who,
        std::slice::from_mut(&mut opportunity),
        &Expansions::default(),
    )?;
    Ok(opportunity)
}

impl OpportunityFields {
    /// Whether they can change what its stages are worth, which is counted as
    /// their cards are.
    fn says_what_it_is_worth(&self) -> bool {
        self.currency.is_some() || self.value != Patch::Keep || self.probability != Patch::Keep
    }
}

fn changed(changes: &[record::Change], column: &str) -> bool {
    changes.iter().any(|change| change.column == column)
}

/// Writes changes that were made to a locked opportunity, with their audit
/// rows and their event.
pub(crate) fn write_changes(
    tx: &mut Tx<'_>,
    who: &Caller,
    opportunity: &mut Opportunity,
    changes: &[record::Change],
    automations: &Automations,
) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let id = opportunity.id;
    opportunity.updated_at = who.now;
    let mut internal = vec![Column {
        name: "close_date_by_status",
        value: opportunity.close_date_by_status.into(),
    }];
    if changed(changes, "currency") {
        margin::count_costs(tx, who, opportunity)?;
        internal.extend([
            Column {
                name: "products_cost",
                value: opportunity.products_cost.into(),
            },
            Column {
                name: "other_costs",
                value: opportunity.other_costs.into(),
            },
        ]);
    }
    record::update::<Opportunity>(tx, who, id, changes, internal)?;
    audit::log(tx, who, Entity::Opportunity, id, changes)?;
    let found_by = ["name", "contact_id", "company_id"];
    if found_by.iter().any(|column| changed(changes, column)) {
        reindex(tx, who, "o.id", id)?;
    }
    events::emit(
        tx,
        who,
        automations,
        Trigger::DealUpdated,
        Entity::Opportunity,
        id,
        events::update_data(changes),
    )
}

/// Deletes an opportunity with its products and their work orders, its cards and its
/// links; what names it stays.
pub fn delete(tx: &mut Tx<'_>, who: &Caller, id: Uuid) -> Result<()> {
    cards::lock_stages(tx, who, vec![id], None)?;
    record::lock::<Opportunity>(tx, who, id)?;
    mentions::clear(tx, who, mentions::OF_OPPORTUNITY, id)?;
    search::remove::<Opportunity>(tx, who, id)?;
    record::delete::<Opportunity>(tx, who, id)
}

/// Takes the contact off every opportunity whose primary contact it is.
pub(crate) fn unlink_contact(
    tx: &mut Tx<'_>,
    who: &Caller,
    contact_id: Uuid,
    automations: &Automations,
) -> Result<()> {
    unlink(
        tx,
        who,
        ("contact_id", "contact_id"),
        contact_id,
        automations,
        |opportunity| &mut opportunity.contact_id,
    )
}

/// Takes the company off every opportunity that it has.
pub(crate) fn unlink_company(
    tx: &mut Tx<'_>,
    who: &Caller,
    company_id: Uuid,
    automations: &Automations,
) -> Result<()> {
    unlink(
        tx,
        who,
        ("company_id", "customer_id"),
        company_id,
        automations,
        |opportunity| &mut opportunity.company_id,
    )
}

/// Clears the link that `link` gives, a column with its name on the wire, of
/// every opportunity that has `target` there.
fn unlink(
    tx: &mut Tx<'_>,
    who: &Caller,
    (column, field): (&'static str, &'static str),
    target: Uuid,
    automations: &Automations,
    link: fn(&mut Opportunity) -> &mut Option<Uuid>,
) -> Result<()> {
    let ids = tx.query(
        &format!(
            "select id from opportunities where workspace_id = $1 and {column} = $2 order by id"
        ),
        &store::params![who.workspace_id, target],
        |row| row.get::<Uuid>(0),
    )?;
    for id in ids {
        let Some(mut opportunity) = record::lock_if_there::<Opportunity>(tx, who, id)? else {
            continue;
        };
        let link = link(&mut opportunity);
        // Somebody else may have linked another record meanwhile.
        if *link != Some(target) {
            continue;
        }
        let cleared = change(column, field, link, None);
        write_changes(tx, who, &mut opportunity, cleared.as_slice(), automations)?;
    }
    Ok(())
}

/// The opportunities of a contact, a company or a pipeline: those whose
/// `column` is `id`.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    /// Of the contact, as the primary one or an additional one.
    Contact(Uuid),
    /// Of the company.
    Company(Uuid),
    /// With a card in the pipeline.
    Pipeline(Uuid),
}

crate::input! {
    /// A page of someone's opportunities.
    pub struct ListOf {
        flatten page: PageRequest,
        flatten expansions: Expansions,
    }
}

/// A page of the opportunities that belong to another record, which must exist.
pub fn list_of(db: &Db<'_>, who: &Caller, of: Of, input: &ListOf) -> Result<Page<Opportunity>> {
    let mut condition = record::all(who);
    let listing = match of {
        Of::Contact(id) => {
            record::check::<Contact>(db, who, id)?;
            condition.and(
                "(t.contact_id = ? or t.id in (select l.opportunity_id from opportunity_contacts l
                   where l.workspace_id = $1 and l.contact_id = ?))",
                [id.into(), id.into()],
            );
            ALL
        }
        Of::Company(id) => {
            record::check::<Company>(db, who, id)?;
            condition.and("t.company_id = ?", [id.into()]);
            ALL
        }
        Of::Pipeline(id) => {
            record::check::<crate::pipelines::Pipeline>(db, who, id)?;
            condition.and("c.workspace_id = $1 and c.pipeline_id = ?", [id.into()]);
            BY_CARD
        }
    };
    page(db, who, listing, condition, input.page, &input.expansions)
}
