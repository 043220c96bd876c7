//! Where one row is turned into a record: its transaction, and what is known of
//! the records that it refers to.

use std::collections::{BTreeMap, HashMap, HashSet};

use crm::imports::{self, Ledger};
use crm::text::Name;
use crm::{Caller, Error};
use store::Tx;
use uuid::Uuid;

use super::kinds::{Draft, Kind};
use super::pipelines::Pipelines;

/// How many names a refusal lists.
const LISTED: u32 = 10;

/// A desk for one row.
pub(super) struct Desk<'a, 't> {
    /// The transaction.
    pub(super) tx: &'a mut Tx<'t>,
    /// As whom it is done, and when.
    pub(super) who: &'a Caller,
    /// What the source is called.
    pub(super) source: &'a Name,
    /// The pipelines that cards can enter.
    pub(super) pipelines: &'a Pipelines,
    /// What a dry run would have made so far.
    pub(super) planned: &'a Planned,
    /// Links that rows of the same transaction have found before.
    pub(super) links: &'a mut Links,
}

/// Links that were found: `None` for a record that a dry run only plans.
pub(super) type Links = HashMap<(imports::Kind, String), Option<Uuid>>;

/// What a dry run would have made or matched in the transactions that it has
/// undone. Empty in an import that is meant.
#[derive(Debug, Default)]
pub(super) struct Planned {
    keys: HashSet<(imports::Kind, Name)>,
    /// As they are written, by how they are in lower case.
    names: HashMap<imports::Kind, BTreeMap<String, String>>,
    matched: HashSet<Uuid>,
}

impl Planned {
    /// Notes that a row would have become a record, an existing one if it is
    /// named.
    pub(super) fn add(
        &mut self,
        kind: &dyn Kind,
        key: &Name,
        draft: &Draft,
        matched: Option<Uuid>,
    ) {
        self.keys.insert((kind.entry(), key.clone()));
        let names = self.names.entry(kind.entry()).or_default();
        for name in kind.names(draft) {
            names.entry(name.to_lowercase()).or_insert(name);
        }
        self.matched.extend(matched);
    }

    /// The names, in the order of how they are in lower case.
    fn names(&self, kind: &dyn Kind) -> impl Iterator<Item = &String> {
        let names = self.names.get(&kind.entry());
        names.into_iter().flat_map(BTreeMap::values)
    }

    fn has_name(&self, kind: &dyn Kind, name: &str) -> bool {
        self.names
            .get(&kind.entry())
            .is_some_and(|names| names.contains_key(&name.to_lowercase()))
    }
}

/// What became of a row.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A new record.
    Made,
    /// This record, which existed before.
    Matched(Uuid),
    /// Nothing: it had been imported before.
    Unchanged,
    /// Nothing, and why.
    Refused(String),
}

impl Desk<'_, '_> {
    fn ledger(&self, kind: &dyn Kind) -> Ledger<'_> {
        Ledger {
            source: self.source,
            kind: kind.entry(),
        }
    }

    /// Turns a row into a record, unless it is one already.
    pub(super) fn bring_in(
        &mut self,
        kind: &dyn Kind,
        key: &Name,
        draft: &Draft,
    ) -> crm::Result<Outcome> {
        let known = self.ledger(kind).find(self.tx, self.who, key)?.is_some();
        if known || self.planned.keys.contains(&(kind.entry(), key.clone())) {
            return Ok(Outcome::Unchanged);
        }
        let (outcome, id) = match self.existing(kind, draft)? {
            Some(id) => (Outcome::Matched(id), id),
            None => (Outcome::Made, kind.create(self, draft)?),
        };
        let ledger = Ledger {
            source: self.source,
            kind: kind.entry(),
        };
        ledger.note(self.tx, self.who, key, id)?;
        Ok(outcome)
    }

    /// The record that the row tells of by its natural key. One that is another
    /// row's already is not this one's too: two rows are two records.
    fn existing(&self, kind: &dyn Kind, draft: &Draft) -> crm::Result<Option<Uuid>> {
        let Some(name) = kind.natural_key(draft) else {
            return Ok(None);
        };
        let mut free = Vec::new();
        for id in kind.find(self.tx, self.who, &name)? {
            let taken = self.planned.matched.contains(&id)
                || self.ledger(kind).has(self.tx, self.who, id)?;
            if !taken {
                free.push(id);
            }
        }
        match free.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            several => Err(Error::conflict(
                format!(
                    "the workspace has {} {} called {name:?}: which one is meant?",
                    several.len(),
                    kind.name()
                ),
                "Rename or merge them.",
            )),
        }
    }

    /// The record that `name`, if there is one, refers to: by the key of its
    /// row in this source, else by its name. `None` for one that a dry run only
    /// plans.
    ///
    /// # Errors
    /// There is no such record, or several.
    pub(super) fn link(
        &mut self,
        kind: &dyn Kind,
        field: &'static str,
        name: Option<&str>,
    ) -> crm::Result<Option<Uuid>> {
        let Some(name) = name else {
            return Ok(None);
        };
        let entry = (kind.entry(), name.to_owned());
        if let Some(found) = self.links.get(&entry) {
            return Ok(*found);
        }
        let found = self.find(kind, field, name)?;
        self.links.insert(entry, found);
        Ok(found)
    }

    fn find(&self, kind: &dyn Kind, field: &'static str, name: &str) -> crm::Result<Option<Uuid>> {
        let invalid = |why: String| Error::invalid(field, why);
        let key = Name::read(name)
            .map_err(|flaw| invalid(flaw.message))?
            .ok_or_else(|| invalid("must not be blank".to_owned()))?;
        if let Some(id) = self.ledger(kind).find(self.tx, self.who, &key)? {
            return Ok(Some(id));
        }
        match kind.find(self.tx, self.who, &key)?.as_slice() {
            [one] => return Ok(Some(*one)),
            [] => {}
            several => {
                return Err(invalid(format!(
                    "is not clear: {} {} are called {name:?}",
                    several.len(),
                    kind.name()
                )));
            }
        }
        if self.planned.has_name(kind, &key) || self.planned.keys.contains(&(kind.entry(), key)) {
            return Ok(None);
        }
        Err(invalid(format!(
            "must name one of the {} that are there or were imported before{}, not {name:?}",
            kind.name(),
            self.some_names(kind)?
        )))
    }

    /// The names that a refused row could have meant, in parentheses.
    fn some_names(&self, kind: &dyn Kind) -> crm::Result<String> {
        let Some(mut names) = kind.some_names(self.tx, self.who, LISTED + 1)? else {
            return Ok(String::new());
        };
        let listed = LISTED as usize;
        names.extend(self.planned.names(kind).take(listed + 1).cloned());
        names.sort_by_key(|name| name.to_lowercase());
        names.dedup_by_key(|name| name.to_lowercase());
        if names.len() > listed {
            names.splice(listed.., ["…".to_owned()]);
        }
        Ok(format!(" ({})", names.join(", ")))
    }

    /// The stage that a card enters, if the row names any.
    pub(super) fn stage(
        &self,
        pipeline: Option<&str>,
        stage: Option<&str>,
    ) -> crm::Result<Option<Uuid>> {
        match (pipeline, stage) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Error::invalid("stage", "needs a pipeline beside it")),
            (Some(pipeline), stage) => self.pipelines.stage(pipeline, stage),
        }
    }

    /// Refuses a name that must be unique where a dry run plans a record of it:
    /// the database does not know that one.
    pub(super) fn check_unplanned(&self, kind: &dyn Kind, name: &str) -> crm::Result<()> {
        if self.planned.has_name(kind, name) {
            return Err(Error::conflict(
                format!(
                    "A {} with this address exists already",
                    kind.entry().as_str()
                ),
                "Use another address.",
            ));
        }
        Ok(())
    }
}
