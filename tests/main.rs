//! What Dealwright promises, tried on the real binary over HTTP: every test
//! runs on SQLite and on PostgreSQL.

#[macro_use]
mod harness;

mod activities;
mod backup;
mod bulk;
mod cards;
mod change_log;
mod companies;
mod contacts;
mod conventions;
mod durability;
mod export;
mod fixtures;
mod freshness;
mod hostile;
mod idempotency;
mod invoices;
mod isolation;
mod keys;
mod logs;
mod mcp;
mod metrics;
mod money;
mod opportunities;
mod overload;
mod pages;
mod paging;
mod people;
mod pipelines;
mod products;
mod promised;
mod rate_limits;
mod referrals;
mod routes;
mod starting;
mod tasks;
mod traces;
mod universal_search;
mod work_orders;
mod workspace;
