//! The API: every operation declared once, and the surfaces made from that.
//!
//! [`operations`] holds the declarations, a file for each resource;
//! [`operation`] is what a declaration consists of. [`Service`] answers
//! requests over HTTP. What an operation does is the domain's, in the crate
//! below this one.

mod auth;
mod calls;
mod credits;
mod discovery;
mod downloads;
mod envelope;
mod error;
mod metrics;
mod names;
mod once;
pub mod operation;
pub mod operations;
mod rate_limits;
mod response_cache;
mod schemas;
mod spans;
mod surfaces;
mod turns;

pub use metrics::MetricsAccess;
pub use rate_limits::RateLimit;
pub use surfaces::PREFIXES;
pub use surfaces::http::{Connection, Options, Service};
pub use surfaces::mcp::{Identity, StdioError};
