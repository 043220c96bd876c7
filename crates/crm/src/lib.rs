//! The sales pipeline itself: its records and its rules, as plain functions
//! over a transaction.
//!
//! Nothing here knows of HTTP, of envelopes or of which engine runs below.
//! A resource's file holds its record, its SQL and its rules together. Field
//! names that differ between the database and the wire are mapped where the
//! record is declared.

// The macros' expansions name these.
#[doc(hidden)]
pub use schemars;

mod migrations;
#[cfg(test)]
#[macro_use]
mod testing;

pub mod activities;
pub mod api_keys;
pub mod audit;
pub mod bulk;
pub mod caller;
pub mod change_log;
pub mod companies;
pub mod contacts;
pub mod credits;
pub mod email;
pub mod error;
pub mod events;
pub mod exports;
pub mod fold;
pub mod idempotency;
pub mod imports;
pub mod input;
pub mod invoices;
pub mod links;
mod mentions;
pub mod metadata;
mod milestone;
pub mod money;
pub mod opportunities;
mod order;
pub mod paging;
pub mod phone;
pub mod pipelines;
pub mod product_costs;
pub mod products;
mod public_ids;
pub mod rank;
pub mod record;
pub mod referrals;
pub mod scopes;
pub mod search;
pub mod settings;
pub mod sql;
pub mod stages;
pub mod tasks;
pub mod text;
pub mod time;
pub mod universal_search;
pub mod users;
pub mod work_orders;
pub mod workspaces;

pub use caller::{Actor, ActorKind, Caller, Ids};
pub use error::{Error, Problem, Problems, Result};
pub use migrations::{COPYING, MIGRATIONS};
