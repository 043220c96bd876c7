//! Hostile input on every route: whatever is sent, the answer is one that tells
//! the sender what is wrong, and the server goes on.
//!
//! The same input each time, so that a failure is the change's; another one
//! with `PROPTEST_RNG_SEED`, more of it with `PROPTEST_CASES` (for each route).

use std::cell::Cell;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use serde_json::{Map, Number, Value};

use crate::fixtures::{Business, Endpoint, encode, endpoints};
use crate::harness::{Answer, Client};

/// How often each route is called.
const CASES: u32 = 12;

/// Texts that mean something somewhere, and some that upset what reads them.
const TEXTS: [&str; 24] = [
    "",
    " ",
    "open",
    "true",
    "null",
    "-1",
    "1e400",
    "922337203685477.58075",
    "9223372036854775808",
    "2026-02-30",
    "9999-12-31",
    "-009999-01-01T00:00:00Z",
    "2026-02-28T15:30:00+25:00",
    "ada@example.com",
    "+61412345678",
    "EUR",
    "Australia/Sydney",
    "contact,customer",
    "%_\\'\";--",
    "\u{0}",
    "\u{202e}\u{feff}İ\u{301}ﬃ",
    "\u{10ffff}",
    "{{name}} ${name}",
    "00000000-0000-0000-0000-000000000000",
];

/// Days and instants, some of them the first and the last there are.
const DAYS: [&str; 6] = [
    "0001-01-01",
    "9999-12-31",
    "2026-02-28",
    "0000-12-31T23:59:59Z",
    "9999-12-31T23:59:59.999Z",
    "2026-02-28T15:30:00.000Z",
];

/// A request to one endpoint.
#[derive(Debug, Clone)]
struct Hostile {
    /// What stands for the ids in the path; none for those of real records.
    ids: Option<String>,
    query: String,
    idempotency_key: Option<String>,
    body: Vec<u8>,
}

/// What the requests are made up of.
struct Words {
    /// Texts, with the ids of real records among them.
    texts: Vec<String>,
    /// Ids of real records.
    ids: Vec<String>,
    /// The fields of all bodies: those of one are inside lists of another.
    names: Vec<String>,
}

impl Words {
    fn text(&self) -> impl Strategy<Value = String> + Clone + use<> {
        prop_oneof![
            3 => select(self.texts.clone()),
            1 => (select(&TEXTS[..]), 2..400_usize).prop_map(|(text, times)| text.repeat(times)),
            2 => any::<String>(),
        ]
        .boxed()
    }

    /// Any JSON value.
    fn json(&self) -> BoxedStrategy<Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            number(),
            self.text().prop_map(Value::String),
        ];
        let (names, text) = (select(self.names.clone()), self.text());
        leaf.prop_recursive(3, 32, 6, move |inner| {
            let name = prop_oneof![4 => names.clone(), 1 => text.clone()];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::vec((name, inner), 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
        .boxed()
    }

    /// A value of this type, or any other: what is refused at sight leaves
    /// what lies behind untried.
    fn value(&self, kind: &str) -> BoxedStrategy<Value> {
        let likely = match kind {
            "uuid" => select(self.ids.clone()).prop_map(Value::String).boxed(),
            "string" => "[a-z]{1,20}".prop_map(Value::String).boxed(),
            "number" | "integer" => (0..100_i64).prop_map(Value::from).boxed(),
            "boolean" => any::<bool>().prop_map(Value::Bool).boxed(),
            "date" | "date-time" => select(&DAYS[..]).prop_map(Value::from).boxed(),
            "email" => "[a-z]{1,9}@example.com".prop_map(Value::String).boxed(),
            "array" => prop::collection::vec(self.json(), 0..3)
                .prop_map(Value::Array)
                .boxed(),
            _ => self.json(),
        };
        prop_oneof![3 => likely, 1 => self.json()].boxed()
    }

    /// A body with this endpoint's fields, or any bytes.
    fn body(&self, endpoint: &Endpoint) -> impl Strategy<Value = Vec<u8>> + use<> {
        let fields: Vec<_> = endpoint
            .fields_in("body")
            .into_iter()
            .map(|(name, kind)| (Just(name.to_owned()), prop::option::of(self.value(kind))))
            .collect();
        let object = fields.prop_map(|fields| {
            let fields = fields.into_iter();
            let given: Map<_, _> = fields
                .filter_map(|(name, value)| Some((name, value?)))
                .collect();
            Value::Object(given).to_string().into_bytes()
        });
        prop_oneof![
            6 => object,
            1 => self.json().prop_map(|value| value.to_string().into_bytes()),
            1 => prop::collection::vec(any::<u8>(), 0..200),
        ]
    }

    /// A query string with this endpoint's parameters, and others.
    fn query(&self, endpoint: &Endpoint) -> impl Strategy<Value = String> + use<> {
        let mut pairs = vec![
            self.text()
                .prop_map(|text| format!("%ff%00={}", encode(&text)))
                .boxed(),
        ];
        pairs.extend(endpoint.fields_in("query").into_iter().map(|(name, kind)| {
            let name = name.to_owned();
            let of_its_type = self.value(kind).prop_map(|value| match value {
                Value::String(text) => encode(&text),
                value => encode(&value.to_string()),
            });
            let bytes = prop::collection::vec(any::<u8>(), 0..20)
                .prop_map(|bytes| bytes.iter().map(|byte| format!("%{byte:02x}")).collect());
            prop_oneof![8 => of_its_type, 1 => bytes]
                .prop_map(move |value: String| format!("{name}={value}"))
                .boxed()
        }));
        let pair = prop::strategy::Union::new(pairs);
        prop::collection::vec(pair, 0..4).prop_map(|pairs| pairs.join("&"))
    }

    fn request(&self, endpoint: &Endpoint) -> impl Strategy<Value = Hostile> + use<> {
        let ids = prop::option::weighted(0.2, self.text().prop_map(|text| encode(&text)));
        // What a header can hold at all.
        let key = prop::option::weighted(0.2, "[ -~]{0,300}");
        (ids, self.query(endpoint), key, self.body(endpoint)).prop_map(
            |(ids, query, idempotency_key, body)| Hostile {
                ids,
                query,
                idempotency_key,
                body,
            },
        )
    }
}

fn number() -> impl Strategy<Value = Value> {
    let texts = prop_oneof![
        (-2..102_i64).prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        (any::<i64>(), any::<u64>()).prop_map(|(whole, part)| format!("{whole}.{part}")),
        (any::<i32>(), any::<i16>()).prop_map(|(number, exponent)| format!("{number}e{exponent}")),
    ];
    texts.prop_map(|text| text.parse::<Number>().map_or(Value::Null, Value::Number))
}

/// The same input in each run, unless another seed or number is asked for.
fn runner(seed: u64) -> TestRunner {
    let chosen = Config::default();
    TestRunner::new(Config {
        cases: match std::env::var_os("PROPTEST_CASES") {
            Some(_) => chosen.cases,
            None => CASES,
        },
        rng_seed: match chosen.rng_seed {
            RngSeed::Random => RngSeed::Fixed(seed),
            RngSeed::Fixed(chosen) => RngSeed::Fixed(chosen.wrapping_add(seed)),
        },
        failure_persistence: None,
        max_shrink_iters: 200,
        ..chosen
    })
}

fn send(client: &Client, business: &Business, endpoint: &Endpoint, said: &Hostile) -> Answer {
    let path = match &said.ids {
        None => business.fill(endpoint.path()),
        Some(id) => endpoint.path_to(id),
    };
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(
        said.idempotency_key
            .as_deref()
            .map(|key| ("idempotency-key", key)),
    );
    let path = format!("{path}?{}", said.query);
    let body = match endpoint.method() {
        "GET" | "DELETE" => &[],
        _ => said.body.as_slice(),
    };
    client.raw(endpoint.method(), &path, &headers, body)
}

/// It succeeded, or it says what was wrong in the way of every error.
fn check(answer: &Answer) -> Result<(), TestCaseError> {
    let Answer {
        request,
        status,
        text,
        ..
    } = answer;
    prop_assert!(*status < 500, "{request} was answered {status}: {text}");
    prop_assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    if *status >= 400 {
        let error = &answer.json()["error"];
        for part in ["code", "message", "fix", "hint"] {
            prop_assert!(error[part].is_string(), "{request} has no {part}: {text}");
        }
    }
    Ok(())
}

on_both_engines! {
    fn whatever_is_sent_no_route_fails(server: &Server) {
        let client = server.client();
        let business = Business::found(&client);
        let mut endpoints = endpoints(&client);
        // What deletes a record comes last: the others need it.
        endpoints.sort_by_key(|endpoint| endpoint.method() == "DELETE");
        let ids = business.ids();
        let names = endpoints.iter().flat_map(|endpoint| endpoint.fields_in("body"));
        let words = Words {
            texts: TEXTS.iter().map(|&text| text.to_owned()).chain(ids.clone()).collect(),
            names: names.map(|(name, _)| name.to_owned()).collect(),
            ids,
        };
        let mut reached = 0;
        for (seed, endpoint) in (0..).zip(&endpoints) {
            let succeeded = Cell::new(false);
            let ended = runner(seed).run(&words.request(endpoint), |said| {
                let answer = send(&client, &business, endpoint, &said);
                succeeded.set(succeeded.get() || answer.status < 300);
                check(&answer)
            });
            if let Err(error) = ended {
                panic!("{} {}: {error}", endpoint.method(), endpoint.path());
            }
            reached += usize::from(succeeded.get());
        }
        // Input that every route refuses at sight would try nothing behind it.
        assert!(reached > endpoints.len() / 2, "only {reached} routes did anything");
        client.under("").get("/readyz").expect(200);
        client.get("/opportunities").expect(200);
    }
}
