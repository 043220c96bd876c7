//! What imports have brought in: the ledger by which a row that comes again is
//! known again, and adds nothing.
//!
//! An entry is written in the transaction of the record that it tells of, so
//! an import that was cut off goes on where its last transaction ended.

use store::{Db, Tx};
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::Result;
use crate::stages;
use crate::text::Name;
use crate::time::Timestamp;

crate::words! {
    /// The kinds of records that are imported.
    pub enum Kind {
        /// A member of the workspace.
        User = "user",
        /// A company.
        Company = "company",
        /// A contact.
        Contact = "contact",
        /// A product.
        Product = "product",
        /// An opportunity.
        Opportunity = "opportunity",
        /// A product of an opportunity.
        OpportunityProduct = "opportunity_product",
    }
}

/// The rows of one kind, from one source: another system, or another export.
#[derive(Debug, Clone, Copy)]
pub struct Ledger<'a> {
    /// What the source is called.
    pub source: &'a Name,
    /// What its rows have become.
    pub kind: Kind,
}

/// Begins a transaction of an import. Until it ends no other import writes into
/// the workspace: two that look for the same name at once would both find
/// nothing, and both make the record. Everybody else goes on undisturbed, but
/// that while opportunities or their products come in nobody moves a card: in
/// which stages theirs will stand is not known yet, and two who take stages one
/// after the other would wait for each other.
pub fn begin(tx: &mut Tx<'_>, who: &Caller, kind: Option<Kind>) -> Result<()> {
    who.lock_workspace(tx)?;
    match kind {
        Some(Kind::Opportunity | Kind::OpportunityProduct) => stages::hold_cards(tx, who),
        _ => Ok(()),
    }
}

/// Locks those of the opportunities that are there: products come into them in the
/// order of a file, but whoever locks several does it in the order of their ids.
pub fn lock_opportunities(tx: &mut Tx<'_>, who: &Caller, ids: Vec<Uuid>) -> Result<()> {
    tx.execute(
        &format!(
            "select id from opportunities where workspace_id = $1 and id {} order by id{}",
            tx.engine().any(2),
            tx.engine().for_update()
        ),
        &store::params![who.workspace_id, ids],
    )?;
    Ok(())
}

/// The tables that an import fills.
const FILLED: [&str; 16] = [
    "members",
    "companies",
    "company_search",
    "contacts",
    "contact_search",
    "employments",
    "products",
    "product_search",
    "product_costs",
    "opportunities",
    "opportunity_search",
    "opportunity_users",
    "cards",
    "opportunity_products",
    "opportunity_product_costs",
    "imported",
];

/// Lets the planner know how large the tables have become that an import
/// fills: they may just have been empty.
pub fn refresh_statistics(tx: &mut Tx<'_>) -> Result<()> {
    for table in FILLED {
        if let Some(statement) = tx.engine().analyze(table) {
            tx.execute(&statement, &[])?;
        }
    }
    Ok(())
}

impl Ledger<'_> {
    /// The record that the row `external_id` has become, which may have been
    /// deleted since.
    pub fn find(self, db: &Db<'_>, who: &Caller, external_id: &Name) -> Result<Option<Uuid>> {
        Ok(db.query_opt(
            "select record_id from imported
             where workspace_id = $1 and source = $2 and kind = $3 and external_id = $4",
            &store::params![
                who.workspace_id,
                self.source.clone(),
                self.kind,
                external_id.clone()
            ],
            |row| row.get(0),
        )?)
    }

    /// True when a row of the source has become this record.
    pub fn has(self, db: &Db<'_>, who: &Caller, record_id: Uuid) -> Result<bool> {
        Ok(db
            .query_opt(
                "select imported_at from imported
                 where workspace_id = $1 and source = $2 and kind = $3 and record_id = $4
                 limit 1",
                &store::params![who.workspace_id, self.source.clone(), self.kind, record_id],
                |row| row.get::<Timestamp>(0),
            )?
            .is_some())
    }

    /// Notes that the row `external_id` has become the record.
    pub fn note(
        self,
        tx: &mut Tx<'_>,
        who: &Caller,
        external_id: &Name,
        record_id: Uuid,
    ) -> Result<()> {
        tx.execute(
            "insert into imported
                 (workspace_id, source, kind, external_id, record_id, imported_at)
             values ($1, $2, $3, $4, $5, $6)",
            &store::params![
                who.workspace_id,
                self.source.clone(),
                self.kind,
                external_id.clone(),
                record_id,
                who.now
            ],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::read(text).expect("short").expect("not blank")
    }

    on_both_engines! {
        fn a_row_is_known_again_within_its_source_its_kind_and_its_workspace(tx, desk) {
            let (source, other) = (name("old"), name("older"));
            let companies = Ledger { source: &source, kind: Kind::Company };
            let record = desk.who.new_id();
            companies.note(tx, &desk.who, &name("1"), record)?;
            assert_eq!(companies.find(tx, &desk.who, &name("1"))?, Some(record));
            assert!(companies.has(tx, &desk.who, record)?);

            assert_eq!(companies.find(tx, &desk.who, &name("2"))?, None);
            assert_eq!(companies.find(tx, &desk.stranger, &name("1"))?, None);
            for (source, kind) in [(&other, Kind::Company), (&source, Kind::User)] {
                let ledger = Ledger { source, kind };
                assert_eq!(ledger.find(tx, &desk.who, &name("1"))?, None);
                assert!(!ledger.has(tx, &desk.who, record)?);
            }
        }

        fn a_row_is_entered_once(tx, desk) {
            let source = name("old");
            let ledger = Ledger { source: &source, kind: Kind::Company };
            let first = desk.who.new_id();
            ledger.note(tx, &desk.who, &name("1"), first)?;
            let again = tx.savepoint(|tx| ledger.note(tx, &desk.who, &name("1"), desk.who.new_id()));
            assert!(again.is_err());
            assert_eq!(ledger.find(tx, &desk.who, &name("1"))?, Some(first));
        }
    }
}
