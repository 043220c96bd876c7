//! Links between two records: a contact and a company, an opportunity and a
//! contact. Each is made once, and goes without taking either record along.

use schemars::JsonSchema;
use serde::Serialize;
use store::{Db, Tx};
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::paging::{self, Listing, Page, PageRequest};
use crate::record::{self, Columns, Record};
use crate::sql::Condition;
use crate::time::Timestamp;

/// A record as another one's link shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Linked{R}")]
pub struct Linked<R> {
    /// The record.
    #[serde(flatten)]
    pub record: R,
    /// Since when the two are linked.
    pub linked_at: Timestamp,
}

/// A table of links, seen from one side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Links {
    /// The table.
    pub(crate) table: &'static str,
    /// The column of the record whose links they are.
    pub(crate) of: &'static str,
    /// The column of the record that is linked.
    pub(crate) to: &'static str,
}

impl Links {
    /// A page of what is linked to the record `of`, newest record first.
    pub(crate) fn page<R: Record>(
        self,
        db: &Db<'_>,
        who: &Caller,
        of: Uuid,
        request: PageRequest,
    ) -> Result<Page<Linked<R>>> {
        let mut condition = Condition::in_workspace("l", who.workspace_id);
        condition.and(&format!("l.{} = ?", self.of), [of.into()]);
        let listing = Listing {
            columns: &format!("{}, l.linked_at", R::QUALIFIED),
            from: &format!(
                "{} l join {} t on t.workspace_id = l.workspace_id and t.id = l.{}",
                self.table,
                R::TABLE,
                self.to
            ),
            id: &format!("l.{}", self.to),
        };
        paging::page(
            db,
            listing,
            condition,
            request,
            |link: &Linked<R>| link.record.id(),
            |row| {
                let mut columns = Columns::of(row);
                Ok(Linked {
                    record: R::take(&mut columns)?,
                    linked_at: columns.take()?,
                })
            },
        )
    }

    /// Links the record `to`; a conflict if it is linked already. The caller
    /// has made sure that the record `of` stays until the end of the
    /// transaction.
    pub(crate) fn add<R: Record>(
        self,
        tx: &mut Tx<'_>,
        who: &Caller,
        of: Uuid,
        to: Uuid,
    ) -> Result<Linked<R>> {
        let record = record::share::<R>(tx, who, to)?;
        let Self {
            table,
            of: of_column,
            to: to_column,
        } = self;
        let added = tx.execute(
            &format!(
                "insert into {table} (workspace_id, {of_column}, {to_column}, linked_at)
                 values ($1, $2, $3, $4) on conflict do nothing"
            ),
            &store::params![who.workspace_id, of, to, who.now],
        )?;
        if added == 0 {
            return Err(Error::conflict(
                format!("This {} is linked already", R::WHAT),
                "Nothing needs to be done: a link is made once.",
            ));
        }
        Ok(Linked {
            record,
            linked_at: who.now,
        })
    }

    /// Undoes the link to the record `to`; an error if there is none.
    pub(crate) fn remove<R: Record>(
        self,
        tx: &mut Tx<'_>,
        who: &Caller,
        of: Uuid,
        to: Uuid,
    ) -> Result<()> {
        if self.remove_if_there(tx, who, of, to)? {
            Ok(())
        } else {
            Err(record::not_linked::<R>(tx, who, to))
        }
    }

    /// Undoes the link to the record `to`; false if there is none.
    pub(crate) fn remove_if_there(
        self,
        tx: &mut Tx<'_>,
        who: &Caller,
        of: Uuid,
        to: Uuid,
    ) -> Result<bool> {
        let removed = tx.execute(
            &format!(
                "delete from {} where workspace_id = $1 and {} = $2 and {} = $3",
                self.table, self.of, self.to
            ),
            &store::params![who.workspace_id, of, to],
        )?;
        Ok(removed > 0)
    }
}
