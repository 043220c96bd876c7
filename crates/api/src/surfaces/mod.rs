//! What clients see: each made from the operations' declarations.

pub(crate) mod body;
pub(crate) mod catalog;
pub(crate) mod docs;
pub(crate) mod examples;
pub(crate) mod http;
pub(crate) mod llms;
pub(crate) mod openapi;
pub(crate) mod pages;
pub(crate) mod reference;
pub(crate) mod refusals;
pub(crate) mod routes;

/// The paths under which the whole API is served: the canonical one, and the
/// one that old clients know.
pub const PREFIXES: [&str; 2] = ["/v1", "/functions/v1/api/v1"];
