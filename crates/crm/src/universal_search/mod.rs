//! Searching contacts, companies and opportunities at once: what has the query as
//! it is, and behind that what is like it.

mod similarity;
#[cfg(test)]
mod tests;
mod typos;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use schemars::JsonSchema;
use serde::Serialize;
use store::{Db, Pattern};
use uuid::Uuid;

use self::similarity::{WHOLE, Wanted};
use crate::caller::Caller;
use crate::companies::Company;
use crate::contacts::Contact;
use crate::error::Result;
use crate::fold::fold;
use crate::opportunities::Opportunity;
use crate::paging::{Limit, Page};
use crate::record::{self, Record};
use crate::search::{self, Query};

/// What has less of the query than this is not like it, in ten-thousandths.
const LEAST: u32 = 5_000;
/// How many records of a kind are looked at for each pattern, the newest first, from each
/// place where they are found: at first, and where there are more and nothing is found.
const LOOKED_AT: [i64; 2] = [500, 4_000];

crate::words! {
    /// The kinds of records that are searched at once.
    pub enum EntityType {
        /// A person.
        Contact = "contact",
        /// A company.
        Company = "company",
        /// An opportunity.
        Opportunity = "opportunity",
    }
}

crate::input! {
    /// A search for records of several kinds.
    pub struct UniversalSearch {
        /// What to look for: a name, an e-mail address or a phone number, or a part
        /// of one, in any case, with or without accents. It may be misspelt.
        required query: Query = "lovelace",
        /// The kinds of records to look among; all of them when it is left out or
        /// empty.
        optional entity_types: Vec<EntityType>,
        /// How many records to answer: 1 to 100, clamped.
        optional limit: Limit,
    }
}

/// A record that a search found, in short.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SearchHit {
    /// What kind of record it is.
    pub entity_type: EntityType,
    /// Its id.
    pub entity_id: Uuid,
    /// What it is called.
    #[schemars(example = &"Ada Lovelace")]
    pub display_name: String,
    /// What tells it from others of that name: its number, and what it does,
    /// belongs to, or is reached by.
    #[schemars(example = &"C-001 · Analyst · ada@example.com")]
    pub subtitle: String,
    /// How much of the query it has: 1 if it has it as it is, else less, and 0.5 at
    /// least.
    #[schemars(example = 1.0)]
    pub rank: f64,
}

/// A record that was found, with what it is ordered by.
#[derive(Debug, Clone, Copy)]
struct Found {
    entity_type: EntityType,
    id: Uuid,
    /// In ten-thousandths.
    rank: u32,
    /// How far what was found is from the record's name; 0 if it is the name.
    distance: u8,
}

/// The records that `input` finds, best first: those that have the query as it is,
/// then those that are the most like it. Of equal ones those come first whose own
/// name it is, then those whose name begins so, then those whose name has it
/// somewhere, then those that are reached by it, then those that belong to such a
/// record; of these the newest.
pub fn search(db: &Db<'_>, who: &Caller, input: &UniversalSearch) -> Result<Page<SearchHit>> {
    let limit = input.limit.unwrap_or_default();
    let wanted = limit.get() as usize + 1;
    let asked = input.entity_types.as_deref().unwrap_or_default();
    let types = EntityType::ALL.iter().copied();
    let types: Vec<_> = types
        .filter(|one| asked.is_empty() || asked.contains(one))
        .collect();
    let needles = search::needles(db, who, &input.query)?;
    let mut found = Vec::new();
    for &one in &types {
        found.extend(one.having(db, who, &input.query, &needles, wanted)?);
    }
    if found.len() < wanted {
        let readings = needles.iter().filter_map(|text| Wanted::in_text(text));
        let readings: Vec<_> = readings.collect();
        let mut seen: HashSet<_> = found.iter().map(|one| one.id).collect();
        'looser: for pattern in typos::patterns(&readings) {
            for looked_at in LOOKED_AT {
                let mut are_more = false;
                for &one in &types {
                    let (like, more) = one.like(db, who, &pattern, &readings, looked_at)?;
                    found.extend(like.into_iter().filter(|like| seen.insert(like.id)));
                    are_more |= more;
                }
                // Looser ones cost the most and find the least.
                if !found.is_empty() {
                    break 'looser;
                }
                if !are_more {
                    break;
                }
            }
        }
    }
    found.sort_unstable_by_key(|one| (Reverse(one.rank), one.distance, Reverse(one.id)));
    found.truncate(wanted);
    let mut shown = HashMap::new();
    for one in types {
        let ids = found.iter().filter(|found| found.entity_type == one);
        shown.extend(one.shown(db, who, ids.map(|found| found.id).collect())?);
    }
    let hits = found.into_iter().filter_map(|one| {
        let (display_name, subtitle) = shown.remove(&one.id)?;
        Some(SearchHit {
            entity_type: one.entity_type,
            entity_id: one.id,
            display_name,
            subtitle,
            rank: f64::from(one.rank) / f64::from(WHOLE),
        })
    });
    Ok(Page::cut(hits.collect(), limit))
}

/// What a record is shown as, by its id: its name and what tells it apart.
type Shown = HashMap<Uuid, (String, String)>;

impl EntityType {
    /// The best `wanted` records that have the query as it is.
    fn having(
        self,
        db: &Db<'_>,
        who: &Caller,
        query: &str,
        needles: &[String],
        wanted: usize,
    ) -> Result<Vec<Found>> {
        let best = match self {
            Self::Contact => search::best::<Contact>(db, who, query, needles, wanted)?,
            Self::Company => search::best::<Company>(db, who, query, needles, wanted)?,
            Self::Opportunity => search::best::<Opportunity>(db, who, query, needles, wanted)?,
        };
        let wanted = fold(query);
        let found = best.into_iter().map(|(id, name)| Found {
            entity_type: self,
            id,
            rank: WHOLE,
            distance: match name.find(&wanted) {
                Some(0) if name.len() == wanted.len() => 0,
                Some(0) => 1,
                Some(_) => 2,
                None => 3 + self.is_known_by_others(),
            },
        });
        Ok(found.collect())
    }

    /// Of so many of the newest records in which the pattern is, those that are like one
    /// of the readings; and whether there may be more in which it is.
    fn like(
        self,
        db: &Db<'_>,
        who: &Caller,
        pattern: &Pattern,
        readings: &[Wanted],
        newest: i64,
    ) -> Result<(Vec<Found>, bool)> {
        let tier = match self {
            Self::Contact => search::matching::<Contact>(db, who, pattern)?,
            Self::Company => search::matching::<Company>(db, who, pattern)?,
            Self::Opportunity => search::matching::<Opportunity>(db, who, pattern)?,
        };
        let rank_in = |text: &str| {
            let ranks = readings.iter().map(|wanted| wanted.rank_in(text));
            ranks.max().unwrap_or_default()
        };
        let looked_at = tier.newest(db, "t.id, t.name_key, t.doc", newest, |row| {
            let (name, document): (String, String) = (row.get(1)?, row.get(2)?);
            let rank = rank_in(&document);
            let is_its_name = rank >= LEAST && rank_in(&name) == rank;
            Ok(Found {
                entity_type: self,
                id: row.get(0)?,
                rank,
                distance: match is_its_name {
                    true => 0,
                    false => 1 + self.is_known_by_others(),
                },
            })
        })?;
        let are_more = looked_at.len() as i64 >= newest;
        let like = looked_at.into_iter().filter(|one| one.rank >= LEAST);
        Ok((like.collect(), are_more))
    }

    /// 1 if what is not in the name of such a record is another record's, else 0.
    fn is_known_by_others(self) -> u8 {
        u8::from(self == Self::Opportunity)
    }

    /// What the records with these ids are shown as.
    fn shown(self, db: &Db<'_>, who: &Caller, ids: Vec<Uuid>) -> Result<Shown> {
        let shown = match self {
            Self::Contact => by_id(db, who, ids)?.into_values().map(of_contact).collect(),
            Self::Company => by_id(db, who, ids)?.into_values().map(of_company).collect(),
            Self::Opportunity => {
                let found: HashMap<_, Opportunity> = by_id(db, who, ids)?;
                let companies = found.values().filter_map(|one| one.company_id);
                let companies = by_id::<Company>(db, who, companies.collect())?;
                let contacts = found.values().filter_map(|one| one.contact_id);
                let contacts = by_id::<Contact>(db, who, contacts.collect())?;
                let shown = found.into_values().map(|one| {
                    let company = one.company_id.and_then(|id| companies.get(&id));
                    let contact = one.contact_id.and_then(|id| contacts.get(&id));
                    let customer = company.map(|company| &*company.name);
                    let customer = customer.or(contact.map(|contact| &*contact.display_name));
                    let parts = [Some(&*one.public_id), customer, Some(one.status.as_str())];
                    (one.id, (one.name.to_string(), subtitle(parts)))
                });
                shown.collect()
            }
        };
        Ok(shown)
    }
}

fn by_id<R: Record>(db: &Db<'_>, who: &Caller, ids: Vec<Uuid>) -> Result<HashMap<Uuid, R>> {
    let records = record::of_ids::<R>(db, who, ids)?.into_iter();
    Ok(records.map(|record| (record.id(), record)).collect())
}

fn of_contact(contact: Contact) -> (Uuid, (String, String)) {
    let reach = contact.email.as_deref().or(contact.phone.as_deref());
    let parts = [
        Some(&*contact.public_id),
        contact.job_title.as_deref(),
        reach.or(contact.landline.as_deref()),
    ];
    let subtitle = subtitle(parts);
    (contact.id, (contact.display_name, subtitle))
}

fn of_company(company: Company) -> (Uuid, (String, String)) {
    let reach = company.email.as_deref().or(company.website.as_deref());
    let parts = [
        Some(&*company.public_id),
        company.industry.as_deref(),
        reach.or(company.phone.as_deref()),
    ];
    let subtitle = subtitle(parts);
    (company.id, (company.name.into_string(), subtitle))
}

fn subtitle(parts: [Option<&str>; 3]) -> String {
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    parts.join(" · ")
}
