//! What an opportunity is answered with beyond its own columns: its cards
//! always, its contact, referrer, company, products and users when asked for. It
//! takes a fixed number of statements, however many opportunities there are.

use std::collections::HashMap;
use std::hash::Hash;

use schemars::JsonSchema;
use serde::Serialize;
use store::Db;
use uuid::Uuid;

use crate::caller::Caller;
use crate::companies::Company;
use crate::contacts::Contact;
use crate::email::Email;
use crate::error::Result;
use crate::phone::Phone;
use crate::record::{self, Record};
use crate::text::{Name, Text};

use super::{Margin, Opportunity, cards, people, products};

crate::words! {
    /// Something that an opportunity's answer can include.
    pub enum Expansion {
        /// The primary contact, whole.
        Contact = "contact",
        /// The contact who referred it most recently, in short.
        Referrer = "referrer",
        /// The company, whole.
        Customer = "customer",
        /// The products, and what they earn.
        Products = "products",
        /// The assigned users.
        AssignedUsers = "assigned_users",
    }
}

crate::input! {
    /// What is to be included with each opportunity.
    #[derive(Default)]
    pub struct Expansions {
        /// What to include, separated by commas: `contact`, `referrer`,
        /// `customer`, `products`, `assigned_users`.
        defaulted expand: Vec<Expansion> = ["contact", "customer"],
    }
}

/// The contact who referred an opportunity, in short.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Referrer {
    /// Its id.
    pub id: Uuid,
    /// Its number within the workspace: `C-001`.
    #[schemars(example = &"C-001")]
    pub public_id: String,
    /// The first name.
    #[schemars(example = &"Ada")]
    pub first_name: Name,
    /// The last name.
    #[schemars(example = &"Lovelace")]
    pub last_name: Option<Name>,
    /// The e-mail address.
    pub email: Option<Email>,
    /// The mobile number.
    pub phone: Option<Phone>,
    /// What they do.
    pub job_title: Option<Text<255>>,
}

impl From<Contact> for Referrer {
    fn from(contact: Contact) -> Self {
        Self {
            id: contact.id,
            public_id: contact.public_id,
            first_name: contact.first_name,
            last_name: contact.last_name,
            email: contact.email,
            phone: contact.phone,
            job_title: contact.job_title,
        }
    }
}

/// Adds the cards, and what is to be expanded.
pub(super) fn complete(
    db: &Db<'_>,
    who: &Caller,
    opportunities: &mut [Opportunity],
    expansions: &Expansions,
) -> Result<()> {
    if opportunities.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = opportunities.iter().map(|one| one.id).collect();
    let mut cards = grouped(cards::of(db, who, ids.clone())?, |card| card.opportunity_id);
    for one in &mut *opportunities {
        one.placements = cards.remove(&one.id).unwrap_or_default();
    }
    if expansions.expand.contains(&Expansion::Contact) {
        let contacts = of_ids::<Contact>(db, who, opportunities.iter().map(|one| one.contact_id))?;
        for one in &mut *opportunities {
            one.contact = Some(linked(&contacts, one.contact_id));
        }
    }
    if expansions.expand.contains(&Expansion::Referrer) {
        let ids = opportunities
            .iter()
            .map(|one| one.primary_referrer_contact_id);
        let contacts = of_ids::<Contact>(db, who, ids)?;
        for one in &mut *opportunities {
            let referrer = linked(&contacts, one.primary_referrer_contact_id);
            one.referrer = Some(referrer.map(|contact| Box::new((*contact).into())));
        }
    }
    if expansions.expand.contains(&Expansion::Customer) {
        let companies = of_ids::<Company>(db, who, opportunities.iter().map(|one| one.company_id))?;
        for one in &mut *opportunities {
            one.customer = Some(linked(&companies, one.company_id));
        }
    }
    if expansions.expand.contains(&Expansion::Products) {
        let mut lines = products::of(db, who, opportunities)?;
        for one in &mut *opportunities {
            let lines = lines.remove(&one.id).unwrap_or_default();
            let margins = lines.iter().map(|line| &line.margin);
            one.products_margin = Some(Margin::of_all(one.products_value, margins));
            one.products = Some(lines);
        }
    }
    if expansions.expand.contains(&Expansion::AssignedUsers) {
        let mut users = grouped(people::assigned(db, who, ids)?, |(id, _)| *id);
        for one in &mut *opportunities {
            let users = users.remove(&one.id).unwrap_or_default();
            one.assigned_users = Some(users.into_iter().map(|(_, user)| user).collect());
        }
    }
    Ok(())
}

fn of_ids<R: Record>(
    db: &Db<'_>,
    who: &Caller,
    ids: impl Iterator<Item = Option<Uuid>>,
) -> Result<HashMap<Uuid, R>> {
    let records = record::of_ids::<R>(db, who, ids.flatten().collect())?;
    Ok(records
        .into_iter()
        .map(|record| (record.id(), record))
        .collect())
}

fn linked<R: Clone>(records: &HashMap<Uuid, R>, id: Option<Uuid>) -> Option<Box<R>> {
    id.and_then(|id| records.get(&id)).cloned().map(Box::new)
}

fn grouped<K: Eq + Hash, T>(items: Vec<T>, key: impl Fn(&T) -> K) -> HashMap<K, Vec<T>> {
    let mut groups: HashMap<K, Vec<T>> = HashMap::new();
    for item in items {
        groups.entry(key(&item)).or_default().push(item);
    }
    groups
}
