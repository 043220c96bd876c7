//! A small business to test against, and the catalog to walk through.

use serde_json::{Value, json};

use crate::harness::Client;

/// The ids of one record of each kind, linked to each other.
pub(crate) struct Business {
    pub(crate) pipeline: String,
    pub(crate) stages: Vec<String>,
    pub(crate) contact: String,
    pub(crate) company: String,
    pub(crate) user: String,
    pub(crate) api_key: String,
    pub(crate) opportunity: String,
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
        Business {
            pipeline,
            stages,
            contact,
            company,
            user,
            api_key,
            opportunity,
        }
    }

    /// The path of an endpoint with these ids in it.
    pub(crate) fn fill(&self, path: &str) -> String {
        let id_of = |resource: &str| match resource {
            "opportunities" => &self.opportunity,
            "pipelines" => &self.pipeline,
            "contacts" | "contactId" => &self.contact,
            "companies" | "companyId" => &self.company,
            "users" | "userId" => &self.user,
            "stageId" => &self.stages[1],
            "api-keys" => &self.api_key,
            other => panic!("no record is known for {other} in {path}"),
        };
        let mut filled = Vec::new();
        let mut before = "";
        for segment in path.split('/') {
            filled.push(match segment.strip_prefix(':') {
                Some("id") => id_of(before),
                Some(name) => id_of(name),
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

    pub(crate) fn scopes(&self) -> Vec<&str> {
        let scopes = self.0["scopes"].as_array().expect("a list of scopes");
        scopes.iter().filter_map(Value::as_str).collect()
    }

    /// Name and type of each field of the body.
    pub(crate) fn body_fields(&self) -> Vec<(&str, &str)> {
        let params = self.0["params"].as_array().expect("a list of parameters");
        params
            .iter()
            .filter(|param| param["in"] == "body")
            .filter_map(|param| Some((param["name"].as_str()?, param["type"].as_str()?)))
            .collect()
    }

    /// The path with an id in it that names nothing.
    pub(crate) fn path_to_nothing(&self) -> String {
        let nothing = "01900000-0000-7000-8000-000000000000";
        let segments = self
            .path()
            .split('/')
            .map(|segment| match segment.starts_with(':') {
                true => nothing,
                false => segment,
            });
        segments.collect::<Vec<_>>().join("/")
    }
}
