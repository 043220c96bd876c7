//! What the fuzz targets share: the API in this process over a small business,
//! and values such as clients send.
//!
//! A panic anywhere ends the run, also one that the server would answer with
//! 500. [`Office::call`] claims what holds for every answer.

mod office;
mod values;

pub use office::{Office, Request};
pub use values::{json, text};
