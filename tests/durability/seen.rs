//! All that is there, as the API and the database show it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::book::{Book, Record, STAGES};
use crate::fixtures::{all_opportunities, list, text};
use crate::harness::{Client, Engine, Server, eventually};

/// How many cards there are by stage and prefix of a rank.
type Counts = BTreeMap<(uuid::Uuid, String), i64>;

/// Everything at one moment at which nobody writes.
pub(super) struct Seen {
    client: Client,
    opportunities: Vec<Value>,
    /// How many events and changes of each kind tell of an id.
    traces: Vec<(String, String, i64)>,
}

impl Seen {
    /// Looks, when the database has done with all that it was asked to do, and
    /// makes sure that what is there fits together.
    pub(super) fn look(server: &Server) -> Seen {
        wait_for_quiet(server);
        let client = server.client();
        let seen = Seen {
            opportunities: all_opportunities(&client),
            traces: traces(server),
            client,
        };
        seen.assert_no_number_is_given_twice();
        assert_counts_are_true(server);
        assert_searched_texts_are_those_of_the_opportunities(server);
        seen
    }

    /// Names and ids of the opportunities whose names begin so.
    pub(super) fn ids_of(&self, prefix: &str) -> Vec<(String, String)> {
        let all = self.opportunities.iter();
        all.map(|one| (text(&one["name"]), text(&one["id"])))
            .filter(|(name, _)| name.starts_with(prefix))
            .collect()
    }

    /// The book of the client that knows these ids and has this pipeline.
    pub(super) fn book(
        &self,
        ids: &BTreeMap<String, String>,
        pipeline: &str,
        stages: &[String; STAGES],
    ) -> Book {
        let names: BTreeMap<_, _> = ids.iter().map(|(name, id)| (id.as_str(), name)).collect();
        let mut book = Book::default();
        let mut standing: [BTreeMap<u64, String>; STAGES] = Default::default();
        for one in &self.opportunities {
            let Some(&name) = names.get(text(&one["id"]).as_str()) else {
                continue;
            };
            let record = Record {
                value: one["value"].as_i64(),
                status: text(&one["status"]),
            };
            let twin = book.records.insert(text(&one["name"]), record);
            assert!(twin.is_none(), "{name} is there twice");
            let [card] = list(&one["placements"]) else {
                panic!("not one card: {one}");
            };
            assert_eq!(card["pipeline_id"], pipeline, "{one}");
            let stage = stages.iter().position(|id| card["stage_id"] == *id);
            let stage = stage.unwrap_or_else(|| panic!("in no stage: {one}"));
            let position = card["position"].as_u64().expect("an index");
            let twin = standing[stage].insert(position, name.clone());
            assert!(twin.is_none(), "two cards of a stage have one index: {one}");
        }
        for (stage, cards) in standing.into_iter().enumerate() {
            let indices = cards.keys().copied();
            assert!(
                indices.eq(0..cards.len() as u64),
                "indices are missing: {cards:?}"
            );
            book.stages[stage] = cards.into_values().collect();
        }
        for (id, what, count) in &self.traces {
            if let Some(&name) = names.get(id.as_str()) {
                let traces = book.traces.entry(name.clone()).or_default();
                traces.insert(what.clone(), *count);
            }
        }
        self.assert_summary_is_true(&book, pipeline, stages);
        book
    }

    /// Every event and every change tells of an opportunity that somebody
    /// knows, and there is no other opportunity.
    pub(super) fn assert_nothing_is_beyond(&self, known: &BTreeSet<String>) {
        let there = self.opportunities.iter().map(|one| text(&one["id"]));
        let told_of = self.traces.iter().map(|(id, ..)| id.clone());
        for id in there.chain(told_of) {
            assert!(known.contains(&id), "nobody made {id}");
        }
    }

    fn assert_no_number_is_given_twice(&self) {
        let mut numbers = BTreeSet::new();
        for one in &self.opportunities {
            let number = text(&one["public_id"]);
            assert!(numbers.insert(number), "a number was given twice: {one}");
        }
    }

    fn assert_summary_is_true(&self, book: &Book, pipeline: &str, stages: &[String; STAGES]) {
        let path = format!("/pipelines/{pipeline}/summary");
        let summary = self.client.get(&path).expect(200).data();
        assert_eq!(
            summary["totals"]["deal_count"].as_u64(),
            Some(book.records.len() as u64),
            "{summary}"
        );
        for (stage, cards) in stages.iter().zip(&book.stages) {
            let counted = list(&summary["stages"])
                .iter()
                .find(|one| one["stage_id"] == **stage);
            let counted = counted.and_then(|one| one["deal_count"].as_u64());
            assert_eq!(counted, Some(cards.len() as u64), "{summary}");
        }
    }
}

/// PostgreSQL may still be at work for a client that is gone already.
fn wait_for_quiet(server: &Server) {
    if server.engine() == Engine::Sqlite {
        return;
    }
    eventually("PostgreSQL is at rest", || {
        let at_work = server.rows(
            "select count(*) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()
             and backend_type = 'client backend' and state <> 'idle'",
            |row| row.get::<i64>(0),
        );
        (at_work == [0]).then_some(())
    });
}

fn traces(server: &Server) -> Vec<(String, String, i64)> {
    server.rows(
        "select entity_id, 'event ' || trigger_type, count(*) from events
         where entity_type = 'opportunity' group by entity_id, trigger_type
         union all
         select entity_id, 'change ' || field, count(*) from crm_field_change_log
         where entity_type = 'opportunity' and field in ('value', 'stage_id', 'status')
         group by entity_id, field",
        |row| {
            Ok((
                row.get::<uuid::Uuid>(0)?.to_string(),
                row.get(1)?,
                row.get(2)?,
            ))
        },
    )
}

/// What the triggers have counted is what there is to count.
fn assert_counts_are_true(server: &Server) {
    let runs = server.rows("select stage_id, run from cards", |row| {
        Ok((row.get::<uuid::Uuid>(0)?, row.get::<String>(1)?))
    });
    let mut counted = Counts::new();
    for (stage, run) in runs {
        for length in 0..run.len() {
            let place = (stage, run[..length].to_owned());
            *counted.entry(place).or_default() += 1;
        }
    }
    let kept = server.rows(
        "select stage_id, prefix, counted_before(counts, '~') from card_counts",
        |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)),
    );
    assert_eq!(kept.into_iter().collect::<Counts>(), counted);
    let miscounted = server.rows(
        "select count(*) from (
             select stage_id, currency, probability, sum(cards), sum(billions), sum(rest) from (
                 select stage_id, currency, probability, cards, billions, rest from stage_values
                 union all
                 select c.stage_id, o.currency, coalesce(o.probability, -1), -1,
                        -coalesce(o.value, o.products_value) / 1000000000,
                        -coalesce(o.value, o.products_value) % 1000000000
                 from cards c
                 join opportunities o
                     on o.workspace_id = c.workspace_id and o.id = c.opportunity_id
             ) as sides
             group by 1, 2, 3
             having sum(cards) <> 0 or sum(billions) <> 0 or sum(rest) <> 0
         ) as differences",
        |row| row.get::<i64>(0),
    );
    assert_eq!(miscounted, [0]);
    let miscounted = server.rows(
        "select count(*) from (
             select stage_id, currency, sum(cards), sum(products_billions), sum(products_rest) from (
                 select stage_id, currency, cards, products_billions, products_rest
                 from stage_margins
                 union all
                 select c.stage_id, o.currency, -1,
                        -o.products_value / 1000000000, -o.products_value % 1000000000
                 from cards c
                 join opportunities o
                     on o.workspace_id = c.workspace_id and o.id = c.opportunity_id
                 where o.product_lines > 0
             ) as sides
             group by 1, 2
             having sum(cards) <> 0 or sum(products_billions) <> 0 or sum(products_rest) <> 0
         ) as differences",
        |row| row.get::<i64>(0),
    );
    assert_eq!(miscounted, [0]);
}

fn assert_searched_texts_are_those_of_the_opportunities(server: &Server) {
    let unpaired = server.rows(
        "select count(*) from opportunities o
         full join opportunity_search s on s.workspace_id = o.workspace_id and s.id = o.id
         where o.id is null or s.id is null",
        |row| row.get::<i64>(0),
    );
    assert_eq!(unpaired, [0]);
}
