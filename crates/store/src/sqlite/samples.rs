//! What is common in the texts of a table, as a sample of them shows it: by that it is
//! decided which parts of what is looked for the text index is asked for.
//!
//! FTS5 has a list for each trigram of all rows that it is in, not of where it stands in
//! them, so what has all parts of a text has to be looked into. To ask for a common part is
//! to go through a long list, to leave it out is to look into more texts; what is cheaper
//! depends on how common it is, also among the texts that have the other parts. Whatever
//! is chosen, the same is found.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use super::session::Session;
use crate::{Error, Pattern, Value, params};

/// How many texts a sample has at most.
const TEXTS: usize = 2048;
/// How many characters of each text it has at most.
const CHARACTERS: i64 = 512;
/// How many parts it knows at most, the most common ones: others are as good as rare.
const PARTS: usize = 14_336;

/// To look into one text takes as long as to go through this many entries of a list.
const ENTRIES_EACH_LOOK: f64 = 192.0;

/// What stands for how many texts have a part that none of the sample has.
const NEXT_TO_NONE: f64 = 0.5;

/// A trigram.
type Part = [char; 3];

/// The samples of all tables, which the connections of a database share.
#[derive(Clone, Default)]
pub(super) struct Samples(Arc<Mutex<HashMap<String, Arc<Sample>>>>);

impl Samples {
    /// That of a table whose last row has this number, unless it has grown by a quarter
    /// since: then it may have other texts now.
    fn of(&self, table: &str, last: i64) -> Option<Arc<Sample>> {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sample = samples.get(table)?;
        (last <= sample.last.saturating_add(sample.last / 4)).then(|| sample.clone())
    }

    fn keep(&self, table: &str, sample: Arc<Sample>) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples.insert(table.to_owned(), sample);
    }
}

impl Session {
    /// FTS5's query for what may have the pattern, to the index of `table`: a text may have
    /// all the parts that are asked for and still lack it, or have changed since the index
    /// learned of it.
    pub(crate) fn index_query(&self, table: &str, pattern: &Pattern) -> Result<Value, Error> {
        let query = self.sample(table)?.query_for(pattern);
        Ok(Value::Text(query.text))
    }

    /// What is common in the texts of a table, whosever they are: it decides how
    /// something is found, never what.
    fn sample(&self, table: &str) -> Result<Arc<Sample>, Error> {
        let ends = format!(
            "select coalesce((select min(rowid) from {table}), 0),
                    coalesce((select max(rowid) from {table}), 0)"
        );
        let (mut first, mut last) = (0_i64, 0_i64);
        self.rows(&ends, &[], &mut |row| {
            (first, last) = (row.get(0)?, row.get(1)?);
            Ok(ControlFlow::Break(()))
        })?;
        if let Some(sample) = self.samples.of(table, last) {
            return Ok(sample);
        }
        let throughout = format!(
            "with recursive spread (place) as (
                 select min(rowid) from {table}
                 union all
                 select (select t.rowid from {table} t where t.rowid >= place + $1
                         order by t.rowid limit 1)
                 from spread where place is not null
                 limit $2)
             select substr(t.doc, 1, $3) from spread cross join {table} t on t.rowid = place"
        );
        let apart = last.saturating_sub(first) / TEXTS as i64 + 1;
        let wanted = params![apart, TEXTS as i64, CHARACTERS];
        let mut texts = Vec::new();
        self.rows(&throughout, &wanted, &mut |row| {
            texts.push(row.get::<String>(0)?);
            Ok(ControlFlow::Continue(()))
        })?;
        let sample = Arc::new(Sample::of(&texts, last));
        self.samples.keep(table, sample.clone());
        Ok(sample)
    }
}

/// Some texts of a table, by what they have.
struct Sample {
    /// The number of the last row when it was taken.
    last: i64,
    texts: usize,
    /// The texts that have a part, where there are several.
    having: HashMap<Part, Texts>,
}

/// Some of the texts of a sample.
#[derive(Clone, Copy, Default)]
struct Texts([u64; TEXTS / u64::BITS as usize]);

impl Texts {
    fn add(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / u64::BITS as usize) {
            *word |= 1 << (index % u64::BITS as usize);
        }
    }

    fn with(mut self, other: Self, how: fn(u64, u64) -> u64) -> Self {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word = how(*word, other);
        }
        self
    }

    fn count(&self) -> f64 {
        f64::from(self.0.iter().map(|word| word.count_ones()).sum::<u32>())
    }
}

/// A query for the index, and what comes of it.
struct Query {
    text: String,
    outcome: Outcome,
}

/// What is expected of a query, in texts of the sample.
#[derive(Clone, Copy, Default)]
struct Outcome {
    /// Those that it finds.
    found: Texts,
    /// How many these are, or would be in a larger sample.
    count: f64,
    /// How many entries the lists have that it goes through.
    entries: f64,
}

impl Outcome {
    fn cost(&self) -> f64 {
        self.entries + ENTRIES_EACH_LOOK * self.count
    }
}

impl Sample {
    /// Of these texts, [`TEXTS`] at most.
    fn of(texts: &[String], last: i64) -> Self {
        let mut seen: HashMap<Part, (usize, u32)> = HashMap::new();
        for (index, text) in texts.iter().enumerate() {
            for part in parts(text) {
                let (latest, count) = seen.entry(part).or_insert((index, 1));
                if *latest != index {
                    (*latest, *count) = (index, *count + 1);
                }
            }
        }
        seen.retain(|_, (_, count)| *count > 1);
        let mut common: Vec<_> = seen.into_iter().collect();
        common.sort_unstable_by_key(|(part, (_, count))| (Reverse(*count), *part));
        common.truncate(PARTS);
        let known = common.into_iter().map(|(part, _)| (part, Texts::default()));
        let mut having: HashMap<_, _> = known.collect();
        for (index, text) in texts.iter().enumerate() {
            for part in parts(text) {
                if let Some(texts) = having.get_mut(&part) {
                    texts.add(index);
                }
            }
        }
        Self {
            last,
            texts: texts.len(),
            having,
        }
    }

    fn query_for(&self, pattern: &Pattern) -> Query {
        match pattern {
            Pattern::Text(text) => self.cheapest_of(self.queries_for(parts(text).collect())),
            Pattern::All(patterns) => {
                let (mut all, mut needed) = (Vec::new(), BTreeSet::new());
                for pattern in patterns {
                    match pattern {
                        Pattern::Text(text) => needed.extend(parts(text)),
                        _ => all.push(self.query_for(pattern)),
                    }
                }
                all.extend(self.queries_for(needed));
                self.cheapest_of(all)
            }
            Pattern::Any(patterns) => {
                let (mut texts, mut outcome) = (Vec::new(), Outcome::default());
                for query in patterns.iter().map(|pattern| self.query_for(pattern)) {
                    texts.push(query.text);
                    outcome = either(outcome, query.outcome);
                }
                Query {
                    text: joined(&texts, " OR "),
                    outcome,
                }
            }
        }
    }

    /// One for each part.
    fn queries_for(&self, parts: BTreeSet<Part>) -> Vec<Query> {
        let query_for = |part: Part| {
            let found = self.having.get(&part).copied().unwrap_or_default();
            let count = found.count().max(NEXT_TO_NONE);
            Query {
                text: format!("\"{}\"", String::from_iter(part).replace('"', "\"\"")),
                outcome: Outcome {
                    found,
                    count,
                    entries: count,
                },
            }
        };
        parts.into_iter().map(query_for).collect()
    }

    /// Those of `all`, which all have to be met, that together cost the least.
    fn cheapest_of(&self, all: Vec<Query>) -> Query {
        let (mut texts, mut outcome) = (Vec::new(), None);
        let mut left = all;
        loop {
            let with = |one: &Query| match outcome {
                Some(outcome) => self.both(outcome, one.outcome),
                None => one.outcome,
            };
            let outcomes = left.iter().map(with).enumerate();
            let best = outcomes.min_by(|(_, one), (_, other)| one.cost().total_cmp(&other.cost()));
            match best {
                Some((index, best)) if outcome.is_none_or(|before| best.cost() < before.cost()) => {
                    outcome = Some(best);
                    texts.push(left.remove(index).text);
                }
                _ => break,
            }
        }
        Query {
            text: joined(&texts, " AND "),
            outcome: outcome.unwrap_or_default(),
        }
    }

    /// What comes of two queries of which both have to be met.
    fn both(&self, one: Outcome, other: Outcome) -> Outcome {
        let found = one.found.with(other.found, |one, other| one & other);
        let count = match found.count() {
            // As if one had nothing to do with the other.
            0.0 => NEXT_TO_NONE.min(one.count * other.count / self.texts.max(1) as f64),
            count => count,
        };
        Outcome {
            found,
            count,
            entries: one.entries + other.entries,
        }
    }
}

/// What comes of two queries of which one has to be met.
fn either(one: Outcome, other: Outcome) -> Outcome {
    let found = one.found.with(other.found, |one, other| one | other);
    Outcome {
        found,
        count: found.count().max(one.count).max(other.count),
        entries: one.entries + other.entries,
    }
}

fn joined(texts: &[String], between: &str) -> String {
    match texts {
        [one] => one.clone(),
        several => format!("({})", several.join(between)),
    }
}

/// The trigrams of a text; what it has twice comes twice.
fn parts(text: &str) -> impl Iterator<Item = Part> {
    let seconds = text.chars().skip(1);
    let thirds = text.chars().skip(2);
    let both = text.chars().zip(seconds);
    both.zip(thirds)
        .map(|((first, second), third)| [first, second, third])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(texts: impl IntoIterator<Item = String>) -> Sample {
        Sample::of(&texts.into_iter().collect::<Vec<_>>(), 1000)
    }

    fn asked(sample: &Sample, pattern: &Pattern) -> String {
        sample.query_for(pattern).text
    }

    fn text(text: &str) -> Pattern {
        Pattern::Text(text.to_owned())
    }

    /// Each work on each thing, in a street of their own.
    fn works() -> Sample {
        let (things, works) = (["zinc roof", "fence", "kitchen"], ["repair", "survey"]);
        sample((0..300).map(|number| {
            let (thing, work) = (things[number % 3], works[number % 2]);
            format!("{thing} {work}, {number} mail street")
        }))
    }

    #[test]
    fn what_tells_most_is_asked_for_and_what_tells_nothing_more_is_not() {
        let sample = works();
        // All of them are in a street.
        assert_eq!(asked(&sample, &text("mail street")), "\" st\"");
        // Nothing is a survey of a fence, nor an xyz of zinc: though the words are common.
        for (wanted, common) in [
            ("survey fence", ["sur", "fen"]),
            ("zinc xyz", ["zin", "inc"]),
        ] {
            let query = asked(&sample, &text(wanted));
            assert_eq!(query.split(" AND ").count(), 2, "{query}");
            assert!(!common.iter().any(|part| query.contains(part)), "{query}");
        }
    }

    #[test]
    fn of_patterns_only_those_that_narrow_it_down_are_asked_for() {
        let sample = works();
        let common = Pattern::Any(vec![text("mail"), text("street")]);
        let one = Pattern::All(vec![common.clone(), text("fen")]);
        assert_eq!(asked(&sample, &one), "\"fen\"");
        let either = Pattern::Any(vec![text("fen"), text("roo")]);
        assert_eq!(asked(&sample, &either), "(\"fen\" OR \"roo\")");
        let all = Pattern::All(vec![common, either, text("sur")]);
        let query = asked(&sample, &all);
        assert!(
            query.contains("\"sur\"") && !query.contains("mai"),
            "{query}"
        );
    }

    #[test]
    fn without_any_text_something_is_asked_for() {
        let empty = sample([]);
        assert_eq!(asked(&empty, &text("a\"b")), "\"a\"\"b\"");
        assert_eq!(asked(&empty, &text("ščšč")), "(\"čšč\" AND \"ščš\")");
    }

    #[test]
    fn every_part_is_asked_for_once() {
        let empty = sample([]);
        assert_eq!(asked(&empty, &text("aaaaaaaaaaaa")), "\"aaa\"");
        let twice = Pattern::All(vec![text("ščš"), text("ščš")]);
        assert_eq!(asked(&empty, &twice), "\"ščš\"");
    }

    #[test]
    fn a_sample_of_whatever_texts_is_small() {
        let sign = |number: usize| char::from_u32(0x4E00 + number as u32 % 20_000).expect("a sign");
        // Each part in several of them.
        let texts = (0..TEXTS).map(|index| {
            let from = index / 2 * 37;
            String::from_iter((from..from + 500).map(|number| sign(number * 7 + index / 2)))
        });
        assert_eq!(sample(texts).having.len(), PARTS);
    }

    #[test]
    fn a_sample_is_good_until_there_are_a_quarter_more_texts() {
        let samples = Samples::default();
        assert!(samples.of("note", 0).is_none());
        samples.keep("note", Arc::new(works()));
        assert!(samples.of("note", 1250).is_some());
        assert!(samples.of("note", 1251).is_none());
        assert!(samples.of("other", 1000).is_none());
    }
}
