//! What an opportunity is found by: what it copies of its contact and its company.

use store::{Row, Tx};
use uuid::Uuid;

use super::{Opportunity, OpportunityFields};
use crate::caller::Caller;
use crate::companies::Company;
use crate::contacts::{Contact, full_name};
use crate::error::Result;
use crate::record::{self, Record};
use crate::search::{self, Document, Reach, Searchable};

/// What a contact or a company is found by, as their tables have it.
pub(super) struct Linked {
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    landline: Option<String>,
}

impl Linked {
    const OF_CONTACT: &str = "first_name, last_name, email, phone, landline";
    const OF_COMPANY: &str = "name, null, email, phone, landline";

    /// From these columns, of which `first` is the first; there may be no such record.
    fn from_row(row: &Row<'_>, first: usize) -> std::result::Result<Self, store::Error> {
        let text = |column| row.get::<Option<String>>(first + column);
        let last = text(1)?;
        Ok(Self {
            name: text(0)?.map(|first| full_name(&first, last.as_deref())),
            email: text(2)?,
            phone: text(3)?,
            landline: text(4)?,
        })
    }

    fn reach(&self) -> Reach<'_> {
        Reach {
            name: self.name.as_deref(),
            email: self.email.as_deref(),
            phone: self.phone.as_deref(),
            landline: self.landline.as_deref(),
        }
    }
}

/// The contact and the company that are named. They exist, and stay until the
/// end of the transaction as they are: what they are found by is about to be
/// copied.
pub(super) fn links(tx: &Tx<'_>, who: &Caller, fields: &OpportunityFields) -> Result<Vec<Linked>> {
    let contact = fields
        .contact_id
        .value()
        .map(|id| link_to::<Contact>(tx, who, *id, Linked::OF_CONTACT));
    let company = fields
        .company_id
        .value()
        .map(|id| link_to::<Company>(tx, who, *id, Linked::OF_COMPANY));
    contact.into_iter().chain(company).collect()
}

fn link_to<R: Record>(tx: &Tx<'_>, who: &Caller, id: Uuid, columns: &str) -> Result<Linked> {
    tx.query_opt(
        &format!(
            "select {columns} from {} where workspace_id = $1 and id = $2{}",
            R::TABLE,
            tx.engine().for_share()
        ),
        &store::params![who.workspace_id, id],
        |row| Linked::from_row(row, 0),
    )?
    .ok_or_else(|| record::not_found::<R>(id))
}

/// Writes anew what opportunities are found by: those whose `column` (of
/// `opportunities o`) is `id`.
///
/// What is written comes from several records. Whoever changed one of them
/// locks the search row first and then looks, so that of two who change
/// different ones at once the second sees what the first has written.
pub(crate) fn reindex(tx: &mut Tx<'_>, who: &Caller, column: &str, id: Uuid) -> Result<()> {
    tx.execute(
        &format!(
            "select s.id from {} s
             where s.workspace_id = $1 and s.id in (
                 select o.id from opportunities o where o.workspace_id = $1 and {column} = $2
             )
             order by s.id{}",
            Opportunity::INDEX,
            tx.engine().for_update()
        ),
        &store::params![who.workspace_id, id],
    )?;
    let documents = tx.query(
        &format!(
            "select o.id, o.name,
                    c.first_name, c.last_name, c.email, c.phone, c.landline,
                    k.name, null, k.email, k.phone, k.landline
             from opportunities o
             left join contacts c on c.workspace_id = o.workspace_id and c.id = o.contact_id
             left join companies k on k.workspace_id = o.workspace_id and k.id = o.company_id
             where o.workspace_id = $1 and {column} = $2"
        ),
        &store::params![who.workspace_id, id],
        |row| {
            let (id, name): (Uuid, String) = (row.get(0)?, row.get(1)?);
            let linked = [Linked::from_row(row, 2)?, Linked::from_row(row, 7)?];
            let document = document(&name, &linked);
            Ok((id, name, document))
        },
    )?;
    for (id, name, document) in documents {
        search::put::<Opportunity>(tx, who, id, &name, document)?;
    }
    Ok(())
}

/// What an opportunity is found by: its name, its contact and its company.
pub(super) fn document(name: &str, linked: &[Linked]) -> Document {
    let mut document = Document::default();
    document.text(Some(name));
    for linked in linked {
        document.reach(linked.reach());
    }
    document
}
