//! What belongs to records without being one: a page of it is all that belongs to a
//! page of them.

use std::marker::PhantomData;

use store::{Db, Row};
use tables::{Cell, Table};
use uuid::Uuid;

use super::List;
use crate::caller::Caller;
use crate::error::Result;
use crate::paging::{self, Listing, PageRequest};
use crate::record;
use crate::time::Timestamp;

/// What belongs to records, and is exported by their ids.
pub(crate) trait Linked: 'static {
    /// What many of it are called.
    const NAME: &'static str;
    /// The scope that reads it.
    const SCOPE: &'static str;
    /// The table of the records that it belongs to.
    const OF: &'static str;
    /// What its columns are called.
    const HEADINGS: &'static [&'static str];

    /// Gives `row` the cells of each that belongs to the records with these ids, in a
    /// number of statements that is the same for any number of them.
    fn rows(db: &Db<'_>, who: &Caller, of: &[Uuid], row: &mut dyn FnMut(&[Cell])) -> Result<()>;
}

/// All of it that the workspace has.
pub(super) struct All<L>(pub(super) PhantomData<fn() -> L>);

impl<L: Linked> List for All<L> {
    fn headings(&self) -> Vec<&'static str> {
        L::HEADINGS.to_vec()
    }

    fn page(
        &self,
        db: &Db<'_>,
        who: &Caller,
        request: PageRequest,
        table: &mut Table,
    ) -> Result<(usize, Option<Uuid>)> {
        let from = format!("{} t", L::OF);
        let listing = Listing {
            columns: "t.id",
            from: &from,
            id: "t.id",
        };
        let id = |id: &Uuid| *id;
        let page = paging::page(db, listing, record::all(who), request, id, |row| row.get(0))?;
        let mut rows = 0;
        L::rows(db, who, &page.items, &mut |cells| {
            table.row(cells);
            rows += 1;
        })?;
        Ok((rows, page.next_cursor))
    }
}

/// Who works for which company.
pub(super) struct Employments;

impl Linked for Employments {
    const NAME: &'static str = "employments";
    const SCOPE: &'static str = "contacts:read";
    const OF: &'static str = "contacts";
    const HEADINGS: &'static [&'static str] = &["contact_id", "customer_id", "linked_at"];

    fn rows(db: &Db<'_>, who: &Caller, of: &[Uuid], row: &mut dyn FnMut(&[Cell])) -> Result<()> {
        let select = "select contact_id, company_id, linked_at from employments
                      where workspace_id = $1 and contact_id";
        each(db, who, select, of, |link| {
            row(&[id(link, 0)?, id(link, 1)?, instant(link, 2)?]);
            Ok(())
        })
    }
}

/// The additional contacts of opportunities.
pub(super) struct OpportunityContacts;

impl Linked for OpportunityContacts {
    const NAME: &'static str = "opportunity-contacts";
    const SCOPE: &'static str = "opportunities:read";
    const OF: &'static str = "opportunities";
    const HEADINGS: &'static [&'static str] = &["deal_id", "contact_id", "linked_at"];

    fn rows(db: &Db<'_>, who: &Caller, of: &[Uuid], row: &mut dyn FnMut(&[Cell])) -> Result<()> {
        let select = "select opportunity_id, contact_id, linked_at from opportunity_contacts
                      where workspace_id = $1 and opportunity_id";
        each(db, who, select, of, |link| {
            row(&[id(link, 0)?, id(link, 1)?, instant(link, 2)?]);
            Ok(())
        })
    }
}

/// The users who are assigned to opportunities.
pub(super) struct OpportunityUsers;

impl Linked for OpportunityUsers {
    const NAME: &'static str = "opportunity-users";
    const SCOPE: &'static str = "opportunities:read";
    const OF: &'static str = "opportunities";
    const HEADINGS: &'static [&'static str] = &["deal_id", "user_id", "is_primary", "assigned_at"];

    fn rows(db: &Db<'_>, who: &Caller, of: &[Uuid], row: &mut dyn FnMut(&[Cell])) -> Result<()> {
        let select = "select opportunity_id, user_id, is_primary, assigned_at
                      from opportunity_users
                      where workspace_id = $1 and opportunity_id";
        each(db, who, select, of, |link| {
            let is_primary = Cell::Bool(link.get(2)?);
            row(&[id(link, 0)?, id(link, 1)?, is_primary, instant(link, 3)?]);
            Ok(())
        })
    }
}

/// Each row of `select`, which ends with the column that the ids `of` are looked for
/// in, the newest first.
fn each(
    db: &Db<'_>,
    who: &Caller,
    select: &str,
    of: &[Uuid],
    row: impl FnMut(&Row<'_>) -> Result<(), store::Error>,
) -> Result<()> {
    db.each(
        &format!("{select} {} order by 1 desc, 2 desc", db.engine().any(2)),
        &store::params![who.workspace_id, of.to_vec()],
        row,
    )?;
    Ok(())
}

fn id(row: &Row<'_>, column: usize) -> Result<Cell, store::Error> {
    Ok(Cell::Word(row.get::<Uuid>(column)?.to_string()))
}

fn instant(row: &Row<'_>, column: usize) -> Result<Cell, store::Error> {
    Ok(Cell::Instant(row.get::<Timestamp>(column)?.instant()))
}
