//! Money is exact: no float comes near it.

use std::path::{Path, PathBuf};

/// Where floats are in use, each with what for. None of it is money.
const FLOATS: &[(&str, &str)] = &[
    (
        "crates/crm/src/input.rs",
        "7.0 is read as a whole number, as far as a double knows which are",
    ),
    (
        "crates/crm/src/metadata.rs",
        "whether a client could read a custom value back",
    ),
    (
        "crates/crm/src/universal_search/mod.rs",
        "how like a query something is",
    ),
    (
        "crates/store/src/row.rs",
        "what a column of floats would hold; no table has one",
    ),
    ("crates/store/src/postgres/wire.rs", "the same, on the wire"),
    (
        "crates/store/src/postgres/mod.rs",
        "how long to wait, with chance in it",
    ),
    ("crates/store/src/slow.rs", "how long a statement took"),
    (
        "crates/store/src/sqlite/samples.rs",
        "what a search in a text index is expected to cost",
    ),
    (
        "crates/tables/src/xlsx/tests.rs",
        "which day a reader finds in a cell of a workbook",
    ),
    ("crates/api/src/metrics.rs", "how long requests took"),
    ("crates/api/src/surfaces/http.rs", "how long a request took"),
    (
        "crates/api/src/surfaces/mcp/call.rs",
        "how long a call took",
    ),
    (
        "crates/dealwright/src/pace.rs",
        "how long a body may take to come",
    ),
    (
        "crates/dealwright/src/commands/import/mapping.rs",
        "how probable a mapping says that a sale is",
    ),
    (
        "crates/dealwright/src/commands/import/sheet.rs",
        "a sheet's numbers are doubles, of which the shortest digits are what was typed",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files with that extension below a folder, by their paths from the project's
/// root, with the words of each outside of what `comment` begins.
fn words(folder: &str, extension: &str, comment: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.file_type().expect("a type").is_dir() {
                folders.push(path);
                continue;
            }
            if entry
                .path()
                .extension()
                .is_none_or(|found| found != extension)
            {
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).expect("a text");
            let code = text.lines().map(|line| match line.split_once(comment) {
                Some((code, _)) => code,
                None => line,
            });
            let words = code
                .flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
                .map(str::to_lowercase)
                .collect();
            found.push((path, words));
        }
    }
    assert!(
        found.len() > 4,
        "only {} files are below {folder}",
        found.len()
    );
    found
}

#[test]
fn floats_are_only_where_there_is_no_money() {
    let sources = ["store", "tables", "crm", "api", "dealwright"]
        .map(|name| words(&format!("crates/{name}/src"), "rs", "//"));
    let mut with_floats: Vec<_> = sources
        .iter()
        .flatten()
        .filter(|(_, words)| {
            words
                .iter()
                .any(|word| word.ends_with("f32") || word.ends_with("f64"))
        })
        .map(|(path, _)| path.as_str())
        .collect();
    let mut allowed: Vec<_> = FLOATS.iter().map(|(path, _)| *path).collect();
    with_floats.sort_unstable();
    allowed.sort_unstable();
    assert_eq!(with_floats, allowed);
}

#[test]
fn no_column_holds_floats() {
    let inexact = ["real", "float", "float4", "float8", "double"];
    for (path, words) in words("crates/crm/migrations", "sql", "--") {
        let found = words.iter().find(|word| inexact.contains(&word.as_str()));
        assert_eq!(found, None, "{path}");
    }
}
