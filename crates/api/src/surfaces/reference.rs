//! The reference: a Markdown page for each operation.

use std::fmt::Write as _;

use schemars::generate::Contract;
use serde_json::Value;

use super::PREFIXES;
use crate::operation::Operation;
use crate::schemas::{in_words, self_contained};

/// Where the page of an operation is, below the server's root.
pub(crate) fn path(operation: &Operation) -> String {
    let method = operation.method.as_str().to_ascii_lowercase();
    let slug = operation.path.replace("/:", "-").replace('/', "-");
    format!("/docs/{}/{method}{slug}.md", operation.resource())
}

/// The page itself.
pub(crate) fn render(operation: &Operation) -> String {
    // Writing into a String can't fail.
    let mut page = String::new();
    let _ = writeln!(page, "# {}\n", operation.summary);
    let _ = writeln!(
        page,
        "```\n{} {}{}\n```\n",
        operation.method, PREFIXES[0], operation.path
    );
    let _ = writeln!(page, "{}\n", operation.description);
    let _ = writeln!(page, "- Scopes: {}", code_list(operation.scopes));
    let _ = writeln!(page, "- Tool: `{}`", operation.tool);
    let _ = writeln!(page, "- Cost in credits: {}", operation.cost);
    let _ = writeln!(page, "- Answers: {}", operation.status);
    let aliases = operation.paths().split_off(1);
    if !aliases.is_empty() {
        let _ = writeln!(page, "- Also at: {}", code_list(&aliases));
    }
    parameters(&mut page, operation);
    answer(&mut page, operation);
    page
}

fn code_list<T: AsRef<str>>(texts: &[T]) -> String {
    let texts: Vec<_> = texts
        .iter()
        .map(|text| format!("`{}`", text.as_ref()))
        .collect();
    texts.join(", ")
}

fn parameters(page: &mut String, operation: &Operation) {
    let ids: Vec<_> = operation.path_parameters().collect();
    if !ids.is_empty() {
        let _ = writeln!(
            page,
            "\n## In the path\n\n| name | type | meaning |\n| --- | --- | --- |"
        );
        for id in ids {
            let _ = writeln!(page, "| `{}` | uuid | {} |", id.name, id.description());
        }
    }
    if operation.fields.is_empty() {
        return;
    }
    let place = match operation.reads_query() {
        true => "In the query string",
        false => "In the body",
    };
    let _ = writeln!(
        page,
        "\n## {place}\n\n| name | type | required | meaning |\n| --- | --- | --- | --- |"
    );
    for field in &operation.fields {
        let required = match field.required {
            true => "yes",
            false => "",
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {required} | {} |",
            field.name,
            in_words(&field.described_schema()),
            cell(&field.description)
        );
    }
}

fn answer(page: &mut String, operation: &Operation) {
    let Some(schema) = operation.data_schema(&mut self_contained(Contract::Serialize)) else {
        return;
    };
    let (schema, of_a_list) = match schema.get("items") {
        Some(items) => (items, true),
        None => (schema.as_value(), false),
    };
    let Some(Value::Object(fields)) = schema.get("properties") else {
        return;
    };
    let heading = match of_a_list {
        true => "What each record of `data` has",
        false => "What `data` has",
    };
    let _ = writeln!(
        page,
        "\n## {heading}\n\n| name | type | meaning |\n| --- | --- | --- |"
    );
    for (name, field) in fields {
        let meaning = field.get("description").and_then(Value::as_str);
        let _ = writeln!(
            page,
            "| `{name}` | {} | {} |",
            in_words(field),
            cell(meaning.unwrap_or_default())
        );
    }
}

/// A text that stays within its cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
