//! Templates: texts with the names of columns in braces, as in
//! `{product} — {account}`.

use serde_json::Value as Json;

/// A text made from a row: the first of several alternatives all of whose
/// columns have a value.
#[derive(Debug, Clone)]
pub(super) struct Template {
    alternatives: Vec<Vec<Part>>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    /// The column at this place among those that are read.
    Column(usize),
}

impl Template {
    /// Reads the alternatives. `column` gives a column its place.
    ///
    /// # Errors
    /// There is no alternative, or a brace stands alone.
    pub(super) fn parse(
        alternatives: &[String],
        mut column: impl FnMut(&str) -> usize,
    ) -> Result<Self, String> {
        if alternatives.is_empty() {
            return Err("is an empty list: write at least one template".to_owned());
        }
        let alternatives = alternatives
            .iter()
            .map(|text| parse_one(text, &mut column))
            .collect::<Result<_, _>>()?;
        Ok(Self { alternatives })
    }

    /// What the template says of a row, whose columns are given with `None` for
    /// those that are blank. `None` when no alternative has all its columns.
    ///
    /// A template that is nothing but one column has that column's value, be it
    /// a number; any other is a text.
    pub(super) fn render(&self, row: &[Option<Json>]) -> Option<Json> {
        self.alternatives
            .iter()
            .find_map(|parts| render(parts, row))
    }
}

fn parse_one(text: &str, column: &mut impl FnMut(&str) -> usize) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '{' | '}' if characters.peek() == Some(&character) => {
                characters.next();
                plain.push(character);
            }
            '{' => {
                let name: String = characters.by_ref().take_while(|c| *c != '}').collect();
                let ended = text.contains('}') && !name.contains('{');
                if !ended || name.trim().is_empty() {
                    return Err(stray(text));
                }
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(Part::Column(column(name.trim())));
            }
            '}' => return Err(stray(text)),
            other => plain.push(other),
        }
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

fn stray(text: &str) -> String {
    format!(
        "has a brace that stands alone in {text:?}: name a column as {{column}}, \
         and write a brace itself twice"
    )
}

fn render(parts: &[Part], row: &[Option<Json>]) -> Option<Json> {
    let value = |column: &usize| row.get(*column)?.as_ref();
    if let [Part::Column(column)] = parts {
        return value(column).cloned();
    }
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(plain) => text.push_str(plain),
            Part::Column(column) => match value(column)? {
                Json::String(cell) => text.push_str(cell),
                other => text.push_str(&other.to_string()),
            },
        }
    }
    Some(Json::String(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(alternatives: &[&str]) -> Result<Template, String> {
        let alternatives: Vec<_> = alternatives.iter().map(|text| (*text).to_owned()).collect();
        Template::parse(&alternatives, |name| match name {
            "product" => 0,
            "account" => 1,
            _ => 2,
        })
    }

    fn render(alternatives: &[&str], row: &[Json]) -> Option<Json> {
        let row: Vec<_> = row
            .iter()
            .map(|cell| (!cell.is_null()).then(|| cell.clone()))
            .collect();
        parse(alternatives).expect("a good template").render(&row)
    }

    #[test]
    fn the_first_alternative_whose_columns_are_filled_counts() {
        let name = ["{product} — {account}", "{product}"];
        assert_eq!(
            render(&name, &[json!("GTX"), json!("Acme")]),
            Some(json!("GTX — Acme"))
        );
        assert_eq!(
            render(&name, &[json!("GTX"), Json::Null]),
            Some(json!("GTX"))
        );
        assert_eq!(render(&name, &[Json::Null, json!("Acme")]), None);
    }

    #[test]
    fn a_column_alone_keeps_its_type_and_within_a_text_is_written_out() {
        let row = [json!(12.5), json!(true), Json::Null];
        assert_eq!(render(&["{product}"], &row), Some(json!(12.5)));
        assert_eq!(
            render(&["{ product }/{account}"], &row),
            Some(json!("12.5/true"))
        );
    }

    #[test]
    fn braces_are_written_twice_and_a_constant_always_applies() {
        assert_eq!(render(&["{{USD}}"], &[]), Some(json!("{USD}")));
    }

    #[test]
    fn a_stray_brace_and_an_empty_list_are_refused() {
        for wrong in ["{product", "product}", "{}", "{a{b}", "{{a}"] {
            let error = parse(&[wrong]).expect_err(wrong);
            assert!(error.contains("brace that stands alone"), "{error}");
        }
        assert!(parse(&[]).is_err());
    }
}
