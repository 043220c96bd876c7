//! What Dealwright promises, tried on the real binary over HTTP: every test
//! runs on SQLite and on PostgreSQL.

#[macro_use]
mod harness;

mod cards;
mod conventions;
mod durability;
mod fixtures;
mod isolation;
mod keys;
mod opportunities;
mod paging;
mod routes;
mod starting;
