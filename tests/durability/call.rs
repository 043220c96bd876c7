//! Deeds as requests.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::book::{Deed, STAGES};
use crate::fixtures::{Pipeline, list, text};
use crate::harness::{Answer, Client};

/// The names of the stages of a client's pipeline.
const STAGE_NAMES: [&str; STAGES] = ["Lead", "Offer", "Talk", "Won"];

/// A request that does something, and may be sent again.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) deed: Deed,
    /// The key that makes it happen once.
    pub(super) key: Option<String>,
    method: &'static str,
    pub(super) path: String,
    body: Vec<u8>,
}

/// Who sends calls, and knows what the server calls everything in them.
pub(super) struct Caller {
    client: Client,
    pub(super) pipeline: String,
    pub(super) stages: [String; STAGES],
    /// The ids of all opportunities that there ever were, by name.
    pub(super) ids: BTreeMap<String, String>,
}

impl Caller {
    /// With a new pipeline of this name.
    pub(super) fn new(client: &Client, pipeline: &str) -> Caller {
        let (ordinary, won) = STAGE_NAMES.split_at(STAGES - 1);
        let pipeline = Pipeline::create(client, pipeline, ordinary);
        let path = format!("/pipelines/{}/stages", pipeline.id);
        let won = client.post(&path, json!({"name": won[0], "is_won_stage": true}));
        let won = won.expect(201).id();
        Caller {
            client: client.clone(),
            stages: std::array::from_fn(|index| match ordinary.get(index) {
                Some(name) => pipeline.stage(name).to_owned(),
                None => won.clone(),
            }),
            pipeline: pipeline.id,
            ids: BTreeMap::new(),
        }
    }

    pub(super) fn call(&self, deed: Deed, key: Option<String>) -> Call {
        let id = |name: &String| &self.ids[name];
        let ids = |names: &[String]| names.iter().map(id).cloned().collect::<Vec<_>>();
        let stage = |stage: &usize| &self.stages[*stage];
        let (method, path, body) = match &deed {
            Deed::Create { name, stage: to } => (
                "POST",
                "/opportunities".to_owned(),
                json!({"name": name, "stage_id": stage(to)}),
            ),
            Deed::BulkCreate { names, stage: to } => {
                let records: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
                (
                    "POST",
                    "/opportunities/bulk-create".to_owned(),
                    json!({"records": records, "stage_id": stage(to)}),
                )
            }
            Deed::Move {
                name,
                stage: to,
                position,
            } => (
                "POST",
                format!("/opportunities/{}/move", id(name)),
                json!({"pipeline_id": self.pipeline, "stage_id": stage(to), "position": position}),
            ),
            Deed::BulkMove { names, stage: to } => (
                "POST",
                "/opportunities/bulk-move".to_owned(),
                json!({"ids": ids(names), "pipeline_id": self.pipeline, "stage_id": stage(to)}),
            ),
            Deed::Patch { name, value } => (
                "PATCH",
                format!("/opportunities/{}", id(name)),
                json!({"value": value}),
            ),
            Deed::Delete { name } => (
                "DELETE",
                format!("/opportunities/{}", id(name)),
                Value::Null,
            ),
            Deed::BulkDelete { names } => (
                "POST",
                "/opportunities/bulk-delete".to_owned(),
                json!({"ids": ids(names)}),
            ),
        };
        let body = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        Call {
            deed,
            key,
            method,
            path,
            body,
        }
    }

    pub(super) fn send(&self, call: &Call) -> Result<Answer, ureq::Error> {
        let mut headers = Vec::new();
        if !call.body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        if let Some(key) = &call.key {
            headers.push(("idempotency-key", key));
        }
        self.client
            .try_raw(call.method, &call.path, &headers, &call.body)
    }

    /// Notes the ids in the answer to what has created something.
    pub(super) fn learn(&mut self, deed: &Deed, answer: &Answer) {
        match deed {
            Deed::Create { name, .. } => {
                self.ids.insert(name.clone(), answer.id());
            }
            Deed::BulkCreate { names, .. } => {
                let created = answer.data()["created"].take();
                assert_eq!(list(&created).len(), names.len(), "{}", answer.text);
                for one in list(&created) {
                    self.ids.insert(text(&one["name"]), text(&one["id"]));
                }
            }
            _ => {}
        }
    }
}
