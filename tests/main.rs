//! What Dealwright promises, tried on the real binary over HTTP: every test
//! runs on SQLite and on PostgreSQL.

#[macro_use]
mod harness;

mod fixtures;
mod isolation;
mod routes;
mod starting;
