//! The tables within a document, whose prose stays.

use std::fs;
use std::path::Path;

use super::Report;
use crate::Failure;

/// Between these lines stands what is written here.
const BEGIN: &str = "<!-- bench: from here on written by `cargo run --release -p bench` -->";
const END: &str = "<!-- bench: to here -->";

/// Puts the report into a document, in place of the one before.
pub(crate) fn write(report: &Report, file: &Path) -> Result<(), Failure> {
    let text = fs::read_to_string(file)?;
    let text = replaced(&text, &report.to_string())
        .ok_or_else(|| format!("{} has no place for the tables", file.display()))?;
    Ok(fs::write(file, text)?)
}

fn replaced(text: &str, tables: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{tables}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let text = format!("Prose.\n{BEGIN}\n\nold\n\n{END}\nMore.\n");
        let expected = format!("Prose.\n{BEGIN}\n\nnew\n\n{END}\nMore.\n");
        assert_eq!(replaced(&text, "new\n"), Some(expected));
        assert_eq!(replaced("Prose.", "new\n"), None);
    }
}
