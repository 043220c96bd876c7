//! A small business to test against, records and what is claimed of them, and
//! the catalog to walk through.

use serde_json::{Value, json};

use crate::harness::{Answer, Client, eventually};

/// A well-formed id that no record has.
pub(crate) const NOBODY: &str = "01900000-0000-7000-8000-000000000000";

/// The ids of one record of each kind, linked to each other.
pub(crate) struct Business {
    pub(crate) pipeline: String,
    pub(crate) stages: Vec<String>,
    pub(crate) contact: String,
    pub(crate) company: String,
    pub(crate) user: String,
    pub(crate) api_key: String,
    pub(crate) opportunity: String,
    pub(crate) product: String,
    pub(crate) product_cost: String,
    /// The product as the opportunity has it, and what it costs there.
    pub(crate) line: String,
    pub(crate) line_cost: String,
    /// What is to be carried out of it, and how far that is.
    pub(crate) work_order: String,
    pub(crate) work_order_status: String,
    pub(crate) invoice: String,
    pub(crate) line_item: String,
    pub(crate) task: String,
    pub(crate) activity: String,
    pub(crate) referral: String,
    /// That the product came to be counted in pieces.
    pub(crate) change: String,
}

impl Business {
    /// Made by `client` in its workspace.
    #[track_caller]
    pub(crate) fn found(client: &Client) -> Business {
        let (pipeline, stages) = default_pipeline(client);
        let contact =
            json!({"first_name": "Ada", "last_name": "Byron", "email": "ada@example.com"});
        let contact = client.post("/contacts", contact).expect(201).id();
        let company = client
            .post("/companies", json!({"name": "Engines"}))
            .expect(201)
            .id();
        let user = json!({"email": "user@example.com", "full_name": "Charles"});
        let user = client.post("/company/users/invite", user).expect(201).id();
        let api_key = json!({"name": "spare", "scopes": ["contacts:read"]});
        let api_key = client.post("/api-keys", api_key).expect(201).id();
        let opportunity = json!({
            "name": "Difference engine",
            "contact_id": contact,
            "customer_id": company,
            "stage_id": stages[0],
            "value": 1234.5,
        });
        let opportunity = client.post("/opportunities", opportunity).expect(201).id();
        let links = [
            format!("/opportunities/{opportunity}/users/{user}"),
            format!("/contacts/{contact}/employers/{company}"),
        ];
        for link in links {
            client.post(&link, json!({})).expect(201);
        }
        let product = json!({"name": "Brass gear", "price": 12.5, "sku": "GEAR-24"});
        let product = create(client, "/products", product);
        let cost = json!({"cost_price": 3.2, "unit_cost": 3.2, "supplier_id": company});
        let product_cost = create(client, &format!("/products/{product}/costs"), cost.clone());
        let line = json!({"product_id": product, "quantity": 4});
        let line = create(
            client,
            &format!("/opportunities/{opportunity}/products"),
            line,
        );
        let line_cost = format!("/opportunities/{opportunity}/product-costs/{line}");
        let line_cost = create(client, &line_cost, cost);
        let work_order = json!({"deal_product_id": line, "assigned_to": user});
        let work_order = client.post("/work-orders", work_order).expect(201);
        let work_order_status = text(&work_order.data()["status_id"]);
        let invoice = json!({"customer_id": company, "opportunity_id": opportunity});
        let invoice = create(client, "/invoices", invoice);
        let line_item = json!({"description": "Gears", "product_id": product, "quantity": 4});
        let line_item = create(
            client,
            &format!("/invoices/{invoice}/line-items"),
            line_item,
        );
        let about = json!({
            "deal_id": opportunity,
            "contact_id": contact,
            "customer_id": company,
        });
        let with = |mut fields: Value, more: Value| {
            let more = more.as_object().cloned().unwrap_or_default();
            fields.as_object_mut().expect("an object").extend(more);
            fields
        };
        let task = json!({"title": "Oil the wheels", "assigned_to": user, "category": "Care"});
        let task = create(client, "/tasks", with(task, about.clone()));
        let activity = json!({"activity_type": "call", "subject": "Asked for the drawings"});
        let activity = create(client, "/activities", with(activity, about));
        let referral = json!({"referrer_contact_id": contact, "referred_deal_id": opportunity});
        let referral = create(client, "/referrals", referral);
        client
            .patch(&format!("/products/{product}"), json!({"unit": "piece"}))
            .expect(200);
        let change = format!("/data/crm-logs?entity_id={product}");
        let change = client.get(&change).expect(200).ids().remove(0);
        Business {
            pipeline,
            stages,
            contact,
            company,
            user,
            api_key,
            opportunity,
            product,
            product_cost,
            line,
            line_cost,
            work_order: work_order.id(),
            work_order_status,
            invoice,
            line_item,
            task,
            activity,
            referral,
            change,
        }
    }

    /// All of them.
    pub(crate) fn ids(&self) -> Vec<String> {
        let one_each = [
            &self.pipeline,
            &self.contact,
            &self.company,
            &self.user,
            &self.api_key,
            &self.opportunity,
            &self.product,
            &self.product_cost,
            &self.line,
            &self.line_cost,
            &self.work_order,
            &self.work_order_status,
            &self.invoice,
            &self.line_item,
            &self.task,
            &self.activity,
            &self.referral,
            &self.change,
        ];
        one_each.into_iter().chain(&self.stages).cloned().collect()
    }

    /// The path of an endpoint with these ids in it.
    pub(crate) fn fill(&self, path: &str) -> String {
        let id_of = |before: &str, name: &str| match (before, name) {
            ("opportunities", _) => &self.opportunity,
            ("pipelines", _) => &self.pipeline,
            ("contacts", _) => &self.contact,
            ("companies" | "employers", _) => &self.company,
            ("users", _) => &self.user,
            ("stages", _) => &self.stages[1],
            ("api-keys", _) => &self.api_key,
            ("work-orders", _) => &self.work_order,
            ("statuses", _) => &self.work_order_status,
            ("invoices", _) => &self.invoice,
            ("line-items", _) => &self.line_item,
            ("tasks", _) => &self.task,
            ("activities", _) => &self.activity,
            ("referrals", _) => &self.referral,
            ("crm-logs", _) => &self.change,
            ("products", "id") => &self.product,
            ("costs", _) => &self.product_cost,
            ("products" | "product-costs", "opportunityProductId") => &self.line,
            ("product-costs", "costId") => &self.line_cost,
            _ => panic!("no record is known for {name} behind {before} in {path}"),
        };
        let mut filled = Vec::new();
        let mut before = "";
        for segment in path.split('/') {
            filled.push(match segment.strip_prefix(':') {
                Some(name) => id_of(before, name),
                None => segment,
            });
            before = segment;
        }
        filled.join("/")
    }
}

/// The default pipeline and its stages in their order.
#[track_caller]
pub(crate) fn default_pipeline(client: &Client) -> (String, Vec<String>) {
    let pipeline = client.get("/pipelines").expect(200).ids().remove(0);
    let stages = client
        .get(&format!("/pipelines/{pipeline}/stages"))
        .expect(200)
        .ids();
    (pipeline, stages)
}

/// A pipeline and its stages by name.
pub(crate) struct Pipeline {
    pub(crate) id: String,
    stages: Vec<(String, String)>,
}

impl Pipeline {
    /// The one that every workspace begins with.
    #[track_caller]
    pub(crate) fn default_of(client: &Client) -> Pipeline {
        let (id, _) = default_pipeline(client);
        Pipeline::load(client, id)
    }

    /// A new one with ordinary stages.
    #[track_caller]
    pub(crate) fn create(client: &Client, name: &str, stages: &[&str]) -> Pipeline {
        let id = create(client, "/pipelines", json!({"name": name}));
        for stage in stages {
            create(
                client,
                &format!("/pipelines/{id}/stages"),
                json!({"name": stage}),
            );
        }
        Pipeline::load(client, id)
    }

    #[track_caller]
    fn load(client: &Client, id: String) -> Pipeline {
        let stages = client.get(&format!("/pipelines/{id}/stages")).expect(200);
        let stages = list(&stages.data())
            .iter()
            .map(|stage| (text(&stage["name"]), text(&stage["id"])))
            .collect();
        Pipeline { id, stages }
    }

    /// The id of a stage.
    #[track_caller]
    pub(crate) fn stage(&self, name: &str) -> &str {
        match self.stages.iter().find(|(stage, _)| stage == name) {
            Some((_, id)) => id,
            None => panic!("no stage is called {name}"),
        }
    }

    /// The body of a move to a stage.
    #[track_caller]
    pub(crate) fn target(&self, stage: &str) -> Value {
        json!({"pipeline_id": self.id, "stage_id": self.stage(stage)})
    }
}

/// Creates a record and answers its id.
#[track_caller]
pub(crate) fn create(client: &Client, path: &str, body: Value) -> String {
    client.post(path, body).expect(201).id()
}

/// Every opportunity there is.
#[track_caller]
pub(crate) fn all_opportunities(client: &Client) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client
            .get(&format!("/opportunities?limit=100{cursor}"))
            .expect(200)
            .json();
        all.extend(page["data"].as_array().expect("records").iter().cloned());
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// The record as it is now.
#[track_caller]
pub(crate) fn read(client: &Client, path: &str, id: &str) -> Value {
    client.get(&format!("{path}/{id}")).expect(200).data()
}

/// The answer tells a browser that shows it to beware.
#[track_caller]
pub(crate) fn assert_guarded(answer: &Answer) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        (
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'",
        ),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
    ] {
        let Answer {
            request, status, ..
        } = answer;
        let found = answer.header(name);
        assert_eq!(found, Some(value), "{name} of {request} ({status})");
    }
}

/// The names of the records in an answer, in their order.
#[track_caller]
pub(crate) fn names(answer: &Answer) -> Vec<String> {
    let data = answer.data();
    let name = |record: &Value| match record.get("name") {
        Some(name) => text(name),
        None => text(&record["first_name"]),
    };
    list(&data).iter().map(name).collect()
}

/// The same, in the order of the alphabet.
#[track_caller]
pub(crate) fn sorted_names(answer: &Answer) -> Vec<String> {
    let mut names = names(answer);
    names.sort_unstable();
    names
}

#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => panic!("{value} is no text"),
    }
}

#[track_caller]
pub(crate) fn list(value: &Value) -> &[Value] {
    match value.as_array() {
        Some(list) => list,
        None => panic!("{value} is no list"),
    }
}

/// An instant as the API writes it: `2026-03-01T09:00:00.000Z`.
#[track_caller]
pub(crate) fn instant(value: &Value) -> jiff::Timestamp {
    let written = text(value);
    let instant = match written.parse::<jiff::Timestamp>() {
        Ok(instant) => instant,
        Err(error) => panic!("{written} is no instant: {error}"),
    };
    assert_eq!(format!("{instant:.3}"), written);
    instant
}

/// Returns when the clock shows a later instant than this one, so that what
/// happens next can't have the same.
#[track_caller]
pub(crate) fn let_time_pass(since: &Value) {
    let since = instant(since).as_millisecond();
    eventually("the clock shows a later instant", || {
        (jiff::Timestamp::now().as_millisecond() > since).then_some(())
    });
}

/// A filter of a list, and which of the records it lets through, by index.
pub(crate) type Filter<'a> = (String, &'a dyn Fn(usize) -> bool);

/// A list shows the records that all chosen filters let through, the newest
/// first, whichever filters are chosen. The records come in order of age.
#[track_caller]
pub(crate) fn assert_filters_combine(
    client: &Client,
    path: &str,
    records: &[Value],
    filters: &[Filter<'_>],
) {
    for choice in 0..1_u32 << filters.len() {
        let chosen: Vec<_> = filters
            .iter()
            .enumerate()
            .filter_map(|(bit, filter)| (choice >> bit & 1 == 1).then_some(filter))
            .collect();
        let query: Vec<_> = chosen.iter().map(|(query, _)| query.as_str()).collect();
        let path = format!("{path}?{}", query.join("&"));
        let expected: Vec<_> = (0..records.len())
            .rev()
            .filter(|index| chosen.iter().all(|(_, lets_through)| lets_through(*index)))
            .map(|index| text(&records[index]["id"]))
            .collect();
        assert!(!expected.is_empty(), "{path} would show nothing");
        assert_eq!(client.get(&path).expect(200).ids(), expected, "{path}");
    }
}

/// A text as it stands in a query string.
pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// Every endpoint of `/api-index.json`.
#[track_caller]
pub(crate) fn endpoints(client: &Client) -> Vec<Endpoint> {
    let catalog = client.get("/api-index.json").expect(200).json();
    let resources = catalog["resources"]
        .as_array()
        .expect("a list of resources");
    let endpoints: Vec<_> = resources
        .iter()
        .flat_map(|resource| {
            resource["endpoints"]
                .as_array()
                .expect("a list of endpoints")
        })
        .cloned()
        .map(Endpoint)
        .collect();
    // A walk through nothing would prove nothing.
    assert!(endpoints.len() > 60, "only {} endpoints", endpoints.len());
    endpoints
}

/// An endpoint as the catalog shows it.
pub(crate) struct Endpoint(Value);

impl Endpoint {
    pub(crate) fn method(&self) -> &str {
        self.0["method"].as_str().expect("a method")
    }

    pub(crate) fn path(&self) -> &str {
        self.0["path"].as_str().expect("a path")
    }

    /// What it is called as a tool, if it is one.
    pub(crate) fn tool(&self) -> Option<&str> {
        self.0["tool_name"].as_str()
    }

    pub(crate) fn is_write(&self) -> bool {
        self.0["is_write"].as_bool().expect("whether it writes")
    }

    pub(crate) fn scopes(&self) -> Vec<&str> {
        let scopes = self.0["scopes"].as_array().expect("a list of scopes");
        scopes.iter().filter_map(Value::as_str).collect()
    }

    /// Name and type of each field of the body.
    pub(crate) fn body_fields(&self) -> Vec<(&str, &str)> {
        self.fields_in("body")
    }

    /// The same of each field that is sent there: `body`, `query` or `path`.
    pub(crate) fn fields_in(&self, place: &str) -> Vec<(&str, &str)> {
        let params = self.0["params"].as_array().expect("a list of parameters");
        params
            .iter()
            .filter(|param| param["in"] == place)
            .filter_map(|param| Some((param["name"].as_str()?, param["type"].as_str()?)))
            .collect()
    }

    /// The path with an id in it that names nothing.
    pub(crate) fn path_to_nothing(&self) -> String {
        self.path_to(NOBODY)
    }

    /// The path with this for each id in it.
    pub(crate) fn path_to(&self, id: &str) -> String {
        let segments = self
            .path()
            .split('/')
            .map(|segment| match segment.starts_with(':') {
                true => id,
                false => segment,
            });
        segments.collect::<Vec<_>>().join("/")
    }
}
