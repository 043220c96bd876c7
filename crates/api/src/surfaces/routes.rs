//! Which path leads where.

use std::collections::BTreeMap;

use axum::http::Method;
use matchit::Router;

use super::PREFIXES;
use super::pages::Page;
use crate::operation::Operation;

/// What a route leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// An operation, by its place among the declarations.
    Operation(usize),
    /// A page, by its place among them.
    Page(usize),
    /// Whether the process is alive.
    Health,
    /// Whether it can serve.
    Ready,
    /// What the server counts about itself.
    Metrics,
}

/// All routes.
pub(crate) struct Routes {
    router: Router<Vec<(Method, Endpoint)>>,
}

/// What was found at a path.
pub(crate) enum Found<'p> {
    /// An endpoint, and the ids in its path as they were written.
    Endpoint(Endpoint, Vec<&'p str>),
    /// A route that does not have this method but those.
    OtherMethods(String),
    /// Nothing.
    Nothing,
}

impl Routes {
    /// The routes of these operations, under both prefixes and all their names,
    /// those of these pages, and those of the server itself.
    pub(crate) fn new(operations: &[Operation], pages: &[Page]) -> Self {
        let mut routes: BTreeMap<String, Vec<(Method, Endpoint)>> = BTreeMap::new();
        let mut add = |route, method, endpoint| {
            routes.entry(route).or_default().push((method, endpoint));
        };
        for (index, operation) in operations.iter().enumerate() {
            for path in operation.paths() {
                for prefix in PREFIXES {
                    let route = format!("{prefix}{}", pattern(&path));
                    add(route, operation.method.clone(), Endpoint::Operation(index));
                }
            }
        }
        for (index, page) in pages.iter().enumerate() {
            for path in &page.paths {
                add(path.clone(), Method::GET, Endpoint::Page(index));
            }
        }
        add("/healthz".to_owned(), Method::GET, Endpoint::Health);
        add("/readyz".to_owned(), Method::GET, Endpoint::Ready);
        add("/metrics".to_owned(), Method::GET, Endpoint::Metrics);

        let mut router = Router::new();
        for (route, endpoints) in routes {
            router
                .insert(route, endpoints)
                .expect("the operations' routes do not contradict each other");
        }
        Self { router }
    }

    /// What is at `path`.
    pub(crate) fn find<'p>(&self, method: &Method, path: &'p str) -> Found<'p> {
        let Ok(found) = self.router.at(path) else {
            return Found::Nothing;
        };
        // HEAD is GET without the body, which the HTTP library leaves out.
        let wanted = match *method {
            Method::HEAD => &Method::GET,
            _ => method,
        };
        match found.value.iter().find(|(method, _)| method == wanted) {
            Some((_, endpoint)) => {
                let ids = found.params.iter().map(|(_, id)| id).collect();
                Found::Endpoint(*endpoint, ids)
            }
            None => Found::OtherMethods(allowed(found.value)),
        }
    }
}

/// The methods of a route, as the header `allow` lists them.
fn allowed(endpoints: &[(Method, Endpoint)]) -> String {
    let mut methods: Vec<_> = endpoints
        .iter()
        .map(|(method, _)| method.as_str())
        .collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.join(", ")
}

/// The router's form of a path: ids are named by their place, because the
/// same place must have the same name in all routes.
fn pattern(path: &str) -> String {
    path.split('/')
        .enumerate()
        .map(|(place, segment)| match segment.strip_prefix(':') {
            Some(_) => format!("{{{place}}}"),
            None => segment.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("/")
}
