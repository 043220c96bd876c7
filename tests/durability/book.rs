//! What one client's opportunities must look like, and what each call makes of
//! them.

use std::collections::BTreeMap;

/// How many stages a client's pipeline has. What enters the last is won.
pub(super) const STAGES: usize = 4;
const WON: usize = STAGES - 1;

/// Something to do to a client's opportunities, which it calls by their names:
/// these are its own, and never change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Into a stage, on top.
    Create {
        name: String,
        stage: usize,
    },
    /// The same with each in turn.
    BulkCreate {
        names: Vec<String>,
        stage: usize,
    },
    /// To an index in a stage.
    Move {
        name: String,
        stage: usize,
        position: usize,
    },
    /// Each in turn to the top of a stage.
    BulkMove {
        names: Vec<String>,
        stage: usize,
    },
    /// To another value.
    Patch {
        name: String,
        value: i64,
    },
    Delete {
        name: String,
    },
    BulkDelete {
        names: Vec<String>,
    },
}

impl Deed {
    /// What it is counted as.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Deed::Create { .. } => "create",
            Deed::BulkCreate { .. } => "bulk-create",
            Deed::Move { .. } => "move",
            Deed::BulkMove { .. } => "bulk-move",
            Deed::Patch { .. } => "patch",
            Deed::Delete { .. } => "delete",
            Deed::BulkDelete { .. } => "bulk-delete",
        }
    }
}

/// An opportunity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// None until it is patched.
    pub(super) value: Option<i64>,
    pub(super) status: String,
}

/// All that one client has done, as it must show itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Book {
    /// The opportunities by their names.
    pub(super) records: BTreeMap<String, Record>,
    /// The names in each stage, from the top. Each is in one.
    pub(super) stages: [Vec<String>; STAGES],
    /// How many events and audit rows of each kind tell of an opportunity,
    /// also of one that is gone.
    pub(super) traces: BTreeMap<String, BTreeMap<String, i64>>,
}

impl Book {
    /// The same after this was done.
    pub(super) fn with(&self, deed: &Deed) -> Book {
        let mut book = self.clone();
        match deed {
            Deed::Create { name, stage } => book.create(name, *stage),
            Deed::BulkCreate { names, stage } => {
                names.iter().for_each(|name| book.create(name, *stage));
            }
            Deed::Move {
                name,
                stage,
                position,
            } => book.place(name, *stage, *position),
            Deed::BulkMove { names, stage } => {
                names.iter().for_each(|name| book.place(name, *stage, 0));
            }
            Deed::Patch { name, value } => book.patch(name, *value),
            Deed::Delete { name } => book.delete(name),
            Deed::BulkDelete { names } => names.iter().for_each(|name| book.delete(name)),
        }
        book
    }

    /// The stage that an opportunity stands in, and its index there.
    pub(super) fn place_of(&self, name: &str) -> (usize, usize) {
        let mut places = self.stages.iter().enumerate().filter_map(|(stage, names)| {
            let position = names.iter().position(|one| one == name)?;
            Some((stage, position))
        });
        places
            .next()
            .unwrap_or_else(|| panic!("{name} has no card"))
    }

    fn create(&mut self, name: &str, stage: usize) {
        assert_ne!(stage, WON, "a new opportunity is open");
        let record = Record {
            value: None,
            status: "open".to_owned(),
        };
        self.records.insert(name.to_owned(), record);
        self.stages[stage].insert(0, name.to_owned());
        self.trace(name, "event deal_created");
    }

    fn place(&mut self, name: &str, stage: usize, position: usize) {
        let (from, index) = self.place_of(name);
        self.stages[from].remove(index);
        let position = position.min(self.stages[stage].len());
        self.stages[stage].insert(position, name.to_owned());
        if from == stage {
            return;
        }
        self.trace(name, "event stage_changed");
        self.trace(name, "change stage_id");
        if from == WON || stage == WON {
            let status = if stage == WON { "won" } else { "open" };
            self.record(name).status = status.to_owned();
            self.trace(name, "event deal_updated");
            self.trace(name, "change status");
        }
    }

    fn patch(&mut self, name: &str, value: i64) {
        self.record(name).value = Some(value);
        self.trace(name, "event deal_updated");
        self.trace(name, "change value");
    }

    fn delete(&mut self, name: &str) {
        let (stage, index) = self.place_of(name);
        self.stages[stage].remove(index);
        self.records.remove(name);
    }

    fn record(&mut self, name: &str) -> &mut Record {
        let record = self.records.get_mut(name);
        record.unwrap_or_else(|| panic!("there is no {name}"))
    }

    fn trace(&mut self, name: &str, what: &str) {
        let traces = self.traces.entry(name.to_owned()).or_default();
        *traces.entry(what.to_owned()).or_default() += 1;
    }

    /// Where another book differs, in words.
    pub(super) fn difference(&self, other: &Book) -> String {
        let mut found = Vec::new();
        let names = self.traces.keys().chain(other.traces.keys());
        for name in names.collect::<std::collections::BTreeSet<_>>() {
            let (here, there) = (self.page(name), other.page(name));
            if here != there {
                found.push(format!("{name}: {here} instead of {there}"));
            }
        }
        for (stage, (here, there)) in self.stages.iter().zip(&other.stages).enumerate() {
            if here != there {
                found.push(format!("stage {stage}: {here:?} instead of {there:?}"));
            }
        }
        found.join("\n")
    }

    fn page(&self, name: &str) -> String {
        format!("{:?} {:?}", self.records.get(name), self.traces.get(name))
    }
}
