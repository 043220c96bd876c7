//! The reference: a Markdown page for each operation.

use std::fmt::Write as _;

use schemars::generate::Contract;
use serde_json::Value;

use super::{PREFIXES, examples, refusals};
use crate::operation::Operation;
use crate::schemas::{in_words, self_contained};

/// Where the page of an operation is, below the server's root.
pub(crate) fn path(operation: &Operation) -> String {
    let method = operation.method.as_str().to_ascii_lowercase();
    let slug = operation.path.replace("/:", "-").replace('/', "-");
    format!("/docs/{}/{method}{slug}.md", operation.resource())
}

/// The page itself. `public_url` is where clients reach the server.
pub(crate) fn render(operation: &Operation, public_url: &str) -> String {
    // Writing into a String can't fail.
    let mut page = String::new();
    let _ = writeln!(page, "# {}\n", operation.summary);
    let _ = writeln!(
        page,
        "```\n{} {}{}\n```\n",
        operation.method, PREFIXES[0], operation.path
    );
    let _ = writeln!(page, "{}\n", operation.description);
    let _ = writeln!(page, "- Scopes: {}", operation.needs());
    if operation.is_tool() {
        let _ = writeln!(page, "- Tool: `{}`", operation.tool);
    }
    let _ = writeln!(page, "- Cost in credits: {}", operation.cost);
    let _ = writeln!(page, "- Answers: {}", operation.status);
    if !operation.files.is_empty() {
        let _ = writeln!(page, "- As a file: {}", code_list(operation.files));
    }
    let aliases = operation.paths().split_off(1);
    if !aliases.is_empty() {
        let _ = writeln!(page, "- Also at: {}", code_list(&aliases));
    }
    parameters(&mut page, operation);
    request(&mut page, operation, public_url);
    answer(&mut page, operation);
    errors(&mut page, operation);
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

/// A call as it is typed, with a body where the operation takes one.
fn request(page: &mut String, operation: &Operation, public_url: &str) {
    let _ = write!(
        page,
        "\n## A request\n\n```\ncurl -X {} -H \"Authorization: Bearer $KEY\"",
        operation.method
    );
    let has_body = !operation.reads_query() && !operation.fields.is_empty();
    if has_body {
        let _ = write!(page, " -H \"Content-Type: application/json\"");
    }
    let path = example_path(operation);
    let _ = match required_query(operation) {
        query if query.is_empty() => write!(page, " {public_url}{path}"),
        query => write!(page, " '{public_url}{path}?{query}'"),
    };
    if has_body {
        // Within single quotes nothing but one of them has a meaning.
        let body = pretty(&examples::request(operation)).replace('\'', r"'\''");
        let _ = write!(page, " -d '{body}'");
    }
    let _ = writeln!(page, "\n```");
}

/// The path with ids in it.
fn example_path(operation: &Operation) -> String {
    let mut path = format!("{}{}", PREFIXES[0], operation.path);
    for id in operation.path_parameters() {
        let example = examples::id(&id.record).to_string();
        path = path.replace(&format!(":{}", id.name), &example);
    }
    path
}

/// The parameters of the query string without which a call makes no sense.
fn required_query(operation: &Operation) -> String {
    let needed = operation
        .fields
        .iter()
        .filter(|field| operation.reads_query() && field.required);
    let example = examples::request(operation);
    let mut query = form_urlencoded::Serializer::new(String::new());
    for field in needed {
        let value = example[field.name].as_str().unwrap_or_default();
        query.append_pair(field.name, value);
    }
    query.finish()
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

fn answer(page: &mut String, operation: &Operation) {
    fields_of_answer(page, operation);
    if let Some(example) = examples::answer(operation) {
        let _ = writeln!(
            page,
            "\n## The answer\n\n```json\n{}\n```",
            pretty(&example)
        );
    }
}

fn errors(page: &mut String, operation: &Operation) {
    let _ = writeln!(
        page,
        "\n## Errors\n\n| status | code | when |\n| --- | --- | --- |"
    );
    for refusal in refusals::of(operation) {
        let codes: Vec<_> = refusal.examples().iter().map(|error| error.code).collect();
        let _ = writeln!(
            page,
            "| {} | {} | {} |",
            refusal.status.as_u16(),
            code_list(&codes),
            refusal.when
        );
    }
}

fn fields_of_answer(page: &mut String, operation: &Operation) {
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
