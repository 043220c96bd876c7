//! `/llms.txt` and `/llms-full.txt`: the API as text, for agents. The one is the
//! index, in the form of llmstxt.org; the other has every page of the reference.

use std::fmt::Write as _;

use bytes::Bytes;

use super::openapi::ABOUT;
use super::reference;
use crate::operation::Operation;
use crate::schemas::label;

const SUMMARY: &str = "\
# Dealwright

> A self-hosted sales pipeline server: an HTTP API for opportunities, pipelines, contacts, \
companies, users, products, invoices, work orders, tasks, activities and referrals.
";

/// The index. `public_url` is where clients reach the server.
pub(crate) fn index(operations: &[Operation], public_url: &str) -> String {
    // Writing into a String can't fail.
    let mut text = String::new();
    let _ = writeln!(text, "{SUMMARY}\n{ABOUT}\n");
    let _ = writeln!(
        text,
        "Every path begins with `{public_url}{}`. Try a key with:\n\n```\ncurl -H \"Authorization: \
         Bearer $KEY\" {public_url}{}/pipelines\n```",
        super::PREFIXES[0],
        super::PREFIXES[0]
    );
    for resource in operations.chunk_by(|one, next| one.resource() == next.resource()) {
        let _ = writeln!(text, "\n## {}\n", label(resource[0].resource()));
        for operation in resource {
            let _ = writeln!(
                text,
                "- [{}]({public_url}{}): `{} {}`. {}",
                operation.summary,
                reference::path(operation),
                operation.method,
                operation.path,
                first_sentence(operation.description),
            );
        }
    }
    let _ = writeln!(
        text,
        "\n## Optional\n\n\
         - [The whole reference]({public_url}/llms-full.txt): every page in one text\n\
         - [OpenAPI]({public_url}/openapi.json): the same for tools, with JSON Schemas\n\
         - [Catalog]({public_url}/api-index.json): every endpoint with its parameters and scopes"
    );
    text
}

/// What is read of a description where there is a line for it.
fn first_sentence(description: &str) -> &str {
    let end = description
        .find(". ")
        .map_or(description.len(), |end| end + 1);
    &description[..end]
}

/// The whole reference, and within it the page of each operation.
pub(crate) struct Full {
    /// All of it.
    pub(crate) text: Bytes,
    /// The part that is an operation's page, in their order.
    pub(crate) pages: Vec<Bytes>,
}

/// The whole reference. `public_url` is where clients reach the server.
pub(crate) fn full(operations: &[Operation], public_url: &str) -> Full {
    let mut text = format!("{SUMMARY}\n{ABOUT}\n");
    let mut ends = Vec::new();
    for operation in operations {
        text.push('\n');
        let start = text.len();
        text.push_str(&reference::render(operation, public_url));
        ends.push(start..text.len());
    }
    text.shrink_to_fit();
    let text = Bytes::from(text);
    let pages = ends.into_iter().map(|page| text.slice(page)).collect();
    Full { text, pages }
}
