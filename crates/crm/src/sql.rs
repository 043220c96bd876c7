//! Composing statements: conditions are fixed texts of ours, every value is
//! bound.

use store::Value;

/// A condition with its bound values. It always begins by the workspace, so
/// that no statement made of it can reach another's records.
#[derive(Debug, Clone)]
pub struct Condition {
    text: String,
    params: Vec<Value>,
}

impl Condition {
    /// The records of `table` (a table's name or alias) in the workspace.
    pub fn in_workspace(table: &str, workspace_id: uuid::Uuid) -> Self {
        Self {
            text: format!("{table}.workspace_id = $1"),
            params: vec![workspace_id.into()],
        }
    }

    /// Narrows it. Each `?` in `text` stands for the next of `values`.
    pub fn and(&mut self, text: &str, values: impl IntoIterator<Item = Value>) -> &mut Self {
        let mut values = values.into_iter();
        self.text.push_str(" and ");
        for part in text.split_inclusive('?') {
            match part.strip_suffix('?') {
                Some(before) => {
                    self.text.push_str(before);
                    let value = values.next().unwrap_or(Value::Null);
                    let parameter = self.bind(value);
                    self.text.push_str(&parameter);
                }
                None => self.text.push_str(part),
            }
        }
        self
    }

    /// Narrows it where a value was given.
    pub fn and_if<V: Into<Value>>(&mut self, text: &str, value: Option<V>) -> &mut Self {
        if let Some(value) = value {
            self.and(text, [value.into()]);
        }
        self
    }

    /// Binds one more value and gives the parameter that stands for it.
    pub fn bind(&mut self, value: impl Into<Value>) -> String {
        self.params.push(value.into());
        format!("${}", self.params.len())
    }

    /// Binds further values, for a text that names their parameters itself.
    pub fn bind_all(&mut self, values: Vec<Value>) -> &mut Self {
        self.params.extend(values);
        self
    }

    /// How many values are bound.
    pub fn bound(&self) -> usize {
        self.params.len()
    }

    /// The condition's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bound values.
    pub fn params(&self) -> &[Value] {
        &self.params
    }
}
