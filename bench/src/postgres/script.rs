//! The script for `pgbench` that does what a transaction of the server did.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::statements::{Statement, Transaction};
use crate::Failure;

/// A script, and the variables that it needs.
pub(super) struct Script {
    pub(super) text: String,
    /// As `name=value`.
    pub(super) variables: Vec<String>,
}

/// Numbers that no other transaction has: `id` grows from one to the next, so that
/// ids made of it sort by age as those of the server do, and `top` falls, as the
/// ranks of cards do that come on top of the others.
const NUMBERS: &str = "\\set n :n + 1
\\set id (:run % 10000000) * 10000000000 + :n * 1000 + :client_id
\\set top 900000000000000000 - :id
";

impl Script {
    /// The script for what was seen as `one` and, of the same request, as `other`.
    pub(super) fn new(
        number: usize,
        one: &Transaction,
        other: &Transaction,
        types: &[Vec<String>],
    ) -> Result<Self, Failure> {
        let mut values = Values {
            script: number,
            variables: Vec::new(),
            ids: BTreeMap::new(),
        };
        let mut lines = Vec::new();
        let same = one
            .iter()
            .zip(other)
            .all(|(one, other)| one.sql == other.sql);
        if one.len() != other.len() || !same {
            return Err("the same request did not send the same statements".into());
        }
        for ((one, other), types) in one.iter().zip(other).zip(types) {
            lines.push(values.write(one, other, types)?);
        }
        Ok(Self {
            text: format!("{NUMBERS}{}", in_flights(one, &lines)),
            variables: values.variables,
        })
    }
}

/// The statements with what the server sends without waiting for an answer in
/// pipelines: what opens a transaction goes out with the first statement, and
/// nobody waits for the end of one that only reads.
fn in_flights(transaction: &Transaction, lines: &[String]) -> String {
    let reads = transaction
        .first()
        .is_some_and(|first| first.sql.contains("read only"));
    let mut text = String::new();
    let mut open = false;
    for (index, (statement, line)) in transaction.iter().zip(lines).enumerate() {
        let last_before_end = reads && index + 2 == transaction.len();
        let waits = statement.parameters.is_some() && !last_before_end;
        let alone = waits || index + 1 == transaction.len();
        if !open && !alone {
            text.push_str("\\startpipeline\n");
            open = true;
        }
        text.push_str(line);
        text.push_str(";\n");
        if open && alone {
            text.push_str("\\endpipeline\n");
            open = false;
        }
    }
    text
}

/// What stands for the values of the parameters.
struct Values {
    script: usize,
    variables: Vec<String>,
    /// The ids that were new, each with its number.
    ids: BTreeMap<String, usize>,
}

impl Values {
    /// A statement with something that stands for each of its parameters.
    fn write(
        &mut self,
        one: &Statement,
        other: &Statement,
        types: &[String],
    ) -> Result<String, Failure> {
        let (Some(values), Some(others)) = (&one.parameters, &other.parameters) else {
            return Ok(one.sql.clone());
        };
        let mut written = Vec::new();
        for ((value, other), kind) in values.iter().zip(others).zip(types) {
            written.push(match (value, other) {
                (Some(value), Some(other)) if value != other => self.new_one(value, other, kind),
                (Some(value), _) => self.same(value, kind),
                (None, _) => format!("null::{kind}"),
            });
        }
        let mut pieces = one.sql.split('$');
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = piece.split_at(digits);
            let index: usize = number.parse()?;
            let stands = written
                .get(index.wrapping_sub(1))
                .ok_or("an unknown parameter")?;
            write!(text, "{stands}{rest}")?;
        }
        Ok(text)
    }

    /// A value that is always the same: a variable, which `pgbench` sends as a
    /// parameter.
    fn same(&mut self, value: &str, kind: &str) -> String {
        let name = format!("v{}_{}", self.script, self.variables.len());
        self.variables.push(format!("{name}={value}"));
        format!(":{name}::{kind}")
    }

    /// A value that has to be a new one each time.
    fn new_one(&mut self, value: &str, other: &str, kind: &str) -> String {
        let ids: Vec<_> = uuids(value).filter(|id| !other.contains(id)).collect();
        if !ids.is_empty() {
            let mut text = format!("'{}'", value.replace('\'', "''"));
            for id in ids {
                let count = self.ids.len();
                let number = *self.ids.entry(id.to_owned()).or_insert(count);
                // Digits are a UUID as well.
                let made = format!("lpad(:id::text || '{number:02}', 32, '9')");
                text = text.replace(id, &format!("' || {made} || '"));
            }
            return format!("({text})::{kind}");
        }
        match kind {
            "text" | "character varying" => {
                let begin = self.same(value, kind);
                format!("({begin} || :top::text)")
            }
            // A moment or a number need not be another one.
            _ => self.same(value, kind),
        }
    }
}

/// The UUIDs in a text.
fn uuids(text: &str) -> impl Iterator<Item = &str> {
    let starts = (0..text.len()).filter_map(|start| text.get(start..start + 36));
    starts.filter(|part| {
        let fits = |(index, byte): (usize, u8)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        };
        part.bytes().enumerate().all(fits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "01a20d8c-1775-715c-b430-d57068477313";
    const SECOND: &str = "01a20d8c-17a3-763b-8e1d-973513939880";

    fn statement(sql: &str, parameters: &[&str]) -> Statement {
        let parameters = parameters.iter().map(|value| Some((*value).to_owned()));
        Statement {
            sql: sql.to_owned(),
            parameters: Some(parameters.collect()),
        }
    }

    fn control(sql: &str) -> Statement {
        Statement {
            sql: sql.to_owned(),
            parameters: None,
        }
    }

    fn script(one: &Transaction, other: &Transaction, types: &[&[&str]]) -> Script {
        let owned = |types: &&[&str]| types.iter().map(|&kind| kind.to_owned()).collect();
        let types: Vec<Vec<String>> = types.iter().map(owned).collect();
        Script::new(0, one, other, &types).expect("a script")
    }

    #[test]
    fn what_differs_is_new_each_time_and_the_rest_stays() {
        let seen = |id: &str, number: &str| {
            let one = statement("insert into t values ($1, $2, $3)", &[id, number, "it's"]);
            let list = format!("{{{id}}}");
            vec![one, statement("select any($1)", &[&list])]
        };
        let types: [&[&str]; 2] = [&["uuid", "text", "text"], &["uuid[]"]];
        let made = script(&seen(FIRST, "OPP-1"), &seen(SECOND, "OPP-2"), &types);
        let body = made.text.strip_prefix(NUMBERS).expect("the numbers first");
        let id = "lpad(:id::text || '00', 32, '9')";
        assert_eq!(
            body,
            format!(
                "insert into t values (('' || {id} || '')::uuid, (:v0_0::text || :top::text), \
                 :v0_1::text);\nselect any(('{{' || {id} || '}}')::uuid[]);\n"
            )
        );
        assert_eq!(made.variables, ["v0_0=OPP-1", "v0_1=it's"]);
    }

    #[test]
    fn nobody_waits_for_a_beginning_or_for_the_end_of_reading() {
        let reading = vec![
            control("begin read only"),
            statement("select 1", &[]),
            statement("select 2", &[]),
            control("commit"),
        ];
        let types: [&[&str]; 4] = [&[]; 4];
        let made = script(&reading, &reading, &types);
        let body = made.text.strip_prefix(NUMBERS).expect("the numbers first");
        assert_eq!(
            body,
            "\\startpipeline\nbegin read only;\nselect 1;\n\\endpipeline\n\
             \\startpipeline\nselect 2;\ncommit;\n\\endpipeline\n"
        );
        let writing = vec![
            control("begin"),
            statement("select 1", &[]),
            control("commit"),
        ];
        let made = script(&writing, &writing, &types[..3]);
        assert!(
            made.text.ends_with("\\endpipeline\ncommit;\n"),
            "{}",
            made.text
        );
    }
}
