//! What clients see: each made from the operations' declarations.

pub(crate) mod body;
pub(crate) mod catalog;
pub(crate) mod http;
pub(crate) mod reference;
pub(crate) mod routes;
