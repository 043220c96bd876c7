//! Exports: whole lists as tables, read page by page.
//!
//! Each page is a read of its own, so an export holds nothing while whoever takes it
//! is slow. A page goes on behind the last record of the one before: what is there
//! from beginning to end is exported once, as it is when its page is read, and what
//! is made meanwhile is not.
//!
//! What can be exported is in [`LISTED`] and [`FURTHER`]; a kind of record is one
//! entry there, and says the rest by its `Exported`, or by its `Linked` where it is
//! none by itself.

mod columns;
mod linked;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::marker::PhantomData;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;
use store::Db;
use tables::Table;
use uuid::Uuid;

use crate::activities::{self, Activity};
use crate::caller::Caller;
use crate::change_log::{self, FieldChange};
use crate::companies::Company;
use crate::contacts::Contact;
use crate::error::{Error, Problem, Problems, Result};
use crate::input::{FieldDescription, Fields, Flaw, FromJson, Input, Nothing};
use crate::invoices::{self, Invoice, lines::LineItem};
use crate::opportunities::{Opportunity, OpportunityProduct, OpportunityProductCost, Placement};
use crate::paging::{Cursor, Limit, Page, PageRequest};
use crate::pipelines::Pipeline;
use crate::product_costs::ProductCost;
use crate::products::{self, Product};
use crate::record::{self, Record};
use crate::referrals::{self, Referral};
use crate::stages::Stage;
use crate::tasks::{self, Task};
use crate::users::{self, User};
use crate::work_orders::{WorkOrder, WorkOrderStatus};

use columns::Columns;
pub(crate) use linked::Linked;
use linked::{Employments, OpportunityContacts, OpportunityUsers};

/// What clients export.
pub static LISTED: &[Kind] = &[
    Kind::of::<Contact>(),
    Kind::of::<Company>(),
    Kind::of::<Opportunity>(),
    Kind::of::<WorkOrder>(),
];

/// What belongs to the rest of a workspace.
pub static FURTHER: &[Kind] = &[
    Kind::of::<Pipeline>(),
    Kind::of::<Stage>(),
    Kind::linked::<Placement>(),
    Kind::linked::<OpportunityContacts>(),
    Kind::linked::<OpportunityUsers>(),
    Kind::linked::<Employments>(),
    Kind::of::<Product>(),
    Kind::of::<ProductCost>(),
    Kind::of::<OpportunityProduct>(),
    Kind::of::<OpportunityProductCost>(),
    Kind::of::<WorkOrderStatus>(),
    Kind::of::<Invoice>(),
    Kind::of::<LineItem>(),
    Kind::of::<Task>(),
    Kind::of::<Activity>(),
    Kind::of::<Referral>(),
    Kind::of::<User>(),
    Kind::of::<FieldChange>(),
];

crate::words! {
    /// What an export is written as.
    #[derive(Default)]
    pub enum Format {
        /// CSV by RFC 4180, in UTF-8.
        #[default]
        Csv = "csv",
        /// A workbook for Excel and its like.
        Xlsx = "xlsx",
    }
}

/// A record that can be exported.
pub(crate) trait Exported: Record + Serialize + JsonSchema + 'static {
    /// What many of them are called.
    const NAME: &'static str;
    /// What they were once called.
    const OLD_NAME: Option<&'static str> = None;
    /// The scope that reads them.
    const SCOPE: &'static str;
    /// Columns beyond the record's own fields.
    const BESIDE: &'static [Beside] = &[];
    /// Which of them are exported.
    type Filter: Input + Clone + Send + Sync + 'static;

    /// A page of their list.
    fn page(
        db: &Db<'_>,
        who: &Caller,
        filter: &Self::Filter,
        request: PageRequest,
    ) -> Result<Page<Self>>;

    /// For each of `records` the texts of [`Self::BESIDE`], which may be taken out of
    /// it. The number of statements is the same for any number of records.
    fn beside(_: &Db<'_>, _: &Caller, records: &mut [Self]) -> Result<Vec<Vec<String>>> {
        Ok(vec![Vec::new(); records.len()])
    }
}

/// A column that is no field of the record.
pub(crate) struct Beside {
    /// The field behind which it stands.
    pub(crate) after: &'static str,
    /// What it is called.
    pub(crate) heading: &'static str,
}

/// What lies between several things in one cell.
pub(crate) const AND: &str = "; ";

/// The names of what is linked to each of the records with these ids, in one text
/// and in the order of `order`. `select` gives the record's id first, and ends with
/// the column that `ids` are looked for in.
pub(crate) fn joined_names(
    db: &Db<'_>,
    who: &Caller,
    select: &str,
    order: &str,
    ids: &[Uuid],
    name: impl Fn(&store::Row<'_>) -> Result<String, store::Error>,
) -> Result<HashMap<Uuid, String>> {
    let mut names: HashMap<Uuid, String> = HashMap::new();
    db.each(
        &format!("{select} {} order by 1, {order}", db.engine().any(2)),
        &store::params![who.workspace_id, ids.to_vec()],
        |row| {
            let of_record = names.entry(row.get(0)?).or_default();
            if !of_record.is_empty() {
                of_record.push_str(AND);
            }
            of_record.push_str(&name(row)?);
            Ok(())
        },
    )?;
    Ok(names)
}

/// Makes records exportable as their list has them.
macro_rules! listed {
    ($($record:ident, $name:literal, $scope:literal, $module:ident::$list:ident ($filter:ident);)*) => { $(
        impl Exported for $record {
            const NAME: &'static str = $name;
            const SCOPE: &'static str = $scope;
            type Filter = $module::$filter;

            fn page(
                db: &Db<'_>,
                who: &Caller,
                filter: &Self::Filter,
                request: PageRequest,
            ) -> Result<Page<Self>> {
                let input = $module::$list {
                    filter: filter.clone(),
                    page: request,
                };
                $module::list(db, who, &input)
            }
        }
    )* };
}

listed! {
    Product, "products", "products:read", products::ListProducts(ProductFilter);
    Invoice, "invoices", "invoices:read", invoices::ListInvoices(InvoiceFilter);
    Task, "tasks", "tasks:read", tasks::ListTasks(TaskFilter);
    Activity, "activities", "activities:read", activities::ListActivities(ActivityFilter);
    Referral, "referrals", "referrals:read", referrals::ListReferrals(ReferralFilter);
    User, "users", "users:read", users::ListUsers(UserFilter);
    FieldChange, "change-log", "crm_audit:read", change_log::ListChanges(ChangeFilter);
}

/// Makes records exportable whose list, where there is one, takes no filter.
macro_rules! all_of {
    ($($record:ident, $name:literal, $scope:literal;)*) => { $(
        impl Exported for $record {
            const NAME: &'static str = $name;
            const SCOPE: &'static str = $scope;
            type Filter = Nothing;

            fn page(
                db: &Db<'_>,
                who: &Caller,
                _: &Nothing,
                request: PageRequest,
            ) -> Result<Page<Self>> {
                record::page(db, record::all(who), request)
            }
        }
    )* };
}

all_of! {
    Pipeline, "pipelines", "pipelines:read";
    Stage, "stages", "pipelines:read";
    ProductCost, "product-costs", "products:read";
    OpportunityProduct, "opportunity-products", "opportunities:read";
    OpportunityProductCost, "opportunity-product-costs", "opportunities:read";
    WorkOrderStatus, "work-order-statuses", "work-orders:read";
    LineItem, "invoice-line-items", "invoices:read";
}

/// A kind of record that can be exported.
#[derive(Debug)]
pub struct Kind {
    /// What many of them are called.
    pub name: &'static str,
    /// The scope that reads them.
    pub scope: &'static str,
    old_name: Option<&'static str>,
    filtered: fn(&mut Fields) -> Option<Arc<dyn List>>,
    check_filter: fn(&Fields) -> (BTreeSet<String>, Problems),
    describe_filter: fn(&mut SchemaGenerator, &mut Vec<FieldDescription>),
}

impl Kind {
    const fn of<R: Exported>() -> Self {
        Self {
            name: R::NAME,
            scope: R::SCOPE,
            old_name: R::OLD_NAME,
            filtered: |fields| {
                let list = Filtered::<R> {
                    columns: Columns::of::<R>(),
                    filter: R::Filter::read(fields)?,
                };
                Some(Arc::new(list))
            },
            check_filter: Fields::check::<R::Filter>,
            describe_filter: R::Filter::describe,
        }
    }

    const fn linked<L: Linked>() -> Self {
        Self {
            name: L::NAME,
            scope: L::SCOPE,
            old_name: None,
            filtered: |_| Some(Arc::new(linked::All::<L>(PhantomData))),
            check_filter: Fields::check::<Nothing>,
            describe_filter: Nothing::describe,
        }
    }

    /// The kind with that name, or with that old one.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().find(|kind| kind.is_called(name))
    }

    /// All kinds.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        LISTED.iter().chain(FURTHER)
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.old_name == Some(name)
    }

    /// The export of those that the parameters of its list let through.
    ///
    /// # Errors
    /// They can't be used, or the list does not have them.
    pub fn filtered(
        &'static self,
        parameters: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Export> {
        let mut fields = Fields::of_query(parameters);
        let list = (self.filtered)(&mut fields);
        let mut problems = Problems::default();
        for name in fields.finish()? {
            problems.invalid(name, format!("is no filter of {}", self.name));
        }
        match list {
            Some(list) if problems.is_empty() => Ok(Export { kind: self, list }),
            _ => Err(problems.into()),
        }
    }
}

/// The records of one kind under a filter.
trait List: Send + Sync {
    fn headings(&self) -> Vec<&'static str>;

    /// Writes the rows of a page; how many they are, and from where the next one goes
    /// on.
    fn page(
        &self,
        db: &Db<'_>,
        who: &Caller,
        request: PageRequest,
        table: &mut Table,
    ) -> Result<(usize, Option<Uuid>)>;
}

struct Filtered<R: Exported> {
    columns: Columns,
    filter: R::Filter,
}

impl<R: Exported> List for Filtered<R> {
    fn headings(&self) -> Vec<&'static str> {
        self.columns.headings()
    }

    fn page(
        &self,
        db: &Db<'_>,
        who: &Caller,
        request: PageRequest,
        table: &mut Table,
    ) -> Result<(usize, Option<Uuid>)> {
        let mut page = R::page(db, who, &self.filter, request)?;
        let rows = page.items.len();
        let beside = R::beside(db, who, &mut page.items)?;
        // Each is gone when it is written: a page is never held as records and as
        // rows.
        for (record, beside) in page.items.into_iter().zip(beside) {
            table.row(&self.columns.row(&record, beside));
        }
        Ok((rows, page.next_cursor))
    }
}

/// What is to be exported.
#[derive(Clone)]
pub struct Export {
    /// Which kind of record.
    pub kind: &'static Kind,
    list: Arc<dyn List>,
}

impl Export {
    /// What it is called as a file, on the day that it is in the workspace:
    /// `contacts-2026-03-01.csv`.
    pub fn file_name(&self, db: &Db<'_>, who: &Caller, format: Format) -> Result<String> {
        let today = who.locale(db)?.date_at(who.now);
        Ok(format!("{}-{today}.{}", self.kind.name, format.as_str()))
    }
}

/// An export on its way.
pub struct Progress {
    export: Export,
    who: Caller,
    table: Table,
    cursor: Option<Cursor>,
}

impl Progress {
    /// Begins an export.
    ///
    /// # Errors
    /// The caller may not read such records; the database's.
    pub fn begin(db: &Db<'_>, who: &Caller, export: Export, format: Format) -> Result<Self> {
        let kind = export.kind;
        if !who.scopes.has(kind.scope) {
            return Err(Error::ScopesMissing(vec![kind.scope]));
        }
        let headings = export.list.headings();
        let table = match format {
            Format::Csv => Table::csv(&headings),
            Format::Xlsx => Table::xlsx(kind.name, &headings, who.locale(db)?.zone()),
        };
        Ok(Self {
            export,
            who: who.clone(),
            table,
            cursor: None,
        })
    }

    /// Reads the next page.
    ///
    /// # Errors
    /// The filter makes no sense; the database's.
    pub fn step(mut self, db: &Db<'_>) -> Result<Step> {
        let request = PageRequest {
            limit: Limit::OF_EXPORT,
            cursor: self.cursor,
        };
        let list = &self.export.list;
        let (rows, next) = list.page(db, &self.who, request, &mut self.table)?;
        let Some(last) = next else {
            return Ok(Step {
                rows,
                bytes: self.table.finish(),
                rest: None,
            });
        };
        self.cursor = Some(Cursor::Older(last));
        Ok(Step {
            rows,
            bytes: self.table.take(),
            rest: Some(self),
        })
    }
}

/// What a page adds to an export.
pub struct Step {
    /// How many rows.
    pub rows: usize,
    /// The bytes that follow.
    pub bytes: Vec<u8>,
    /// The export from there on, unless it has ended.
    pub rest: Option<Progress>,
}

/// A kind of record that clients export, as they name it.
#[derive(Debug, Clone, Copy)]
struct Listed(&'static Kind);

impl FromJson for Listed {
    fn from_json(value: &Value) -> Result<Option<Self>, Flaw> {
        let name = match value.as_str().map(str::trim) {
            Some("") => return Ok(None),
            name => name.unwrap_or_default(),
        };
        match LISTED.iter().find(|kind| kind.is_called(name)) {
            Some(kind) => Ok(Some(Self(kind))),
            None => Err(Flaw::new(format!(
                "must be one of {}",
                listed_names().join(", ")
            ))),
        }
    }
}

impl JsonSchema for Listed {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ExportedType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": listed_names() })
    }
}

fn listed_names() -> Vec<&'static str> {
    LISTED.iter().map(|kind| kind.name).collect()
}

crate::input! {
    /// What of a request for an export is the same for all kinds of records.
    struct Wanted {
        /// What is exported. It needs the scope that reads it: `contacts:read` for
        /// contacts. `customers` and `deals` are old names of companies and
        /// opportunities.
        required kind ["type"]: Listed = "opportunities",
        /// What it is written as; `csv` by default.
        defaulted format: Format = "csv",
    }
}

/// A request for an export.
#[derive(Clone)]
pub struct ExportRequest {
    /// What is exported.
    pub export: Export,
    /// As what.
    pub format: Format,
    /// The filters that were given and that the list of such records does not have.
    pub unused: Vec<String>,
}

/// Passes over the filters that the wanted list does not have and another one has;
/// their names. Whatever is wanted, none may be what no list takes.
fn pass_over_others(fields: &mut Fields) -> Vec<String> {
    let checks: Vec<_> = LISTED
        .iter()
        .map(|kind| (kind.check_filter)(fields))
        .collect();
    let names: BTreeSet<_> = checks.iter().flat_map(|(known, _)| known.clone()).collect();
    for name in &names {
        let by_lists = checks.iter().filter(|(known, _)| known.contains(name));
        let mut problems = by_lists.map(|(_, problems)| {
            let of_name = |problem: &&Problem| problem.field == *name;
            problems.invalid.iter().find(of_name).cloned()
        });
        let first = problems.next().flatten();
        let is_taken = problems.any(|problem| problem.is_none());
        fields.pass_over(name, first.filter(|_| !is_taken));
    }
    names.into_iter().collect()
}

impl Input for ExportRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        let wanted = Wanted::read(fields);
        let list = wanted
            .as_ref()
            .map(|wanted| (wanted.kind.0.filtered)(fields));
        let unused = pass_over_others(fields);
        let wanted = wanted?;
        Some(Self {
            export: Export {
                kind: wanted.kind.0,
                list: list??,
            },
            format: wanted.format,
            unused,
        })
    }

    fn describe(generator: &mut SchemaGenerator, into: &mut Vec<FieldDescription>) {
        Wanted::describe(generator, into);
        let own = into.len();
        for kind in LISTED {
            let mut filters = Vec::new();
            (kind.describe_filter)(generator, &mut filters);
            for mut filter in filters {
                let said = format!("Of {}: {}", kind.name, filter.description);
                match into[own..].iter_mut().find(|one| one.name == filter.name) {
                    Some(known) => {
                        // Where the words are the same, they are said once.
                        if known.schema != filter.schema {
                            known.schema = json_schema!({
                                "anyOf": [known.schema, filter.schema],
                            });
                        }
                        let same = known.description.strip_suffix(&filter.description);
                        known.description = match same.and_then(|kinds| kinds.strip_suffix(": ")) {
                            Some(kinds) => format!("{kinds}, {}", &said["Of ".len()..]),
                            None => format!("{} {said}", known.description),
                        };
                    }
                    None => {
                        filter.description = said;
                        // Any one of them may well find nothing.
                        filter.example = None;
                        into.push(filter);
                    }
                }
            }
        }
    }
}
