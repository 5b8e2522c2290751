//! Conditions of a query that is put together from what is asked for.

use std::fmt::Write as _;

use epilogue_core::OrgId;
use rusqlite::types::Value;

/// Conditions, each with the values it names. The first is the organization.
pub(super) struct Conditions {
    pub sql: String,
    pub values: Vec<Value>,
}

impl Conditions {
    /// Everything of an organization, in the table called `table`.
    pub fn of(org: &OrgId, table: &str) -> Self {
        Self { sql: format!("{table}.org_id = ?1"), values: vec![Value::Text(org.to_string())] }
    }

    /// Adds `test value`, such as `at >=` and a time.
    pub fn and(&mut self, test: &str, value: impl Into<Value>) {
        let place = self.bind(value);
        let _ = write!(self.sql, " AND {test} {place}");
    }

    /// Adds that `column` is one of `values`. None of them: nothing matches.
    pub fn and_one_of<V: Into<Value>>(&mut self, column: &str, values: impl Iterator<Item = V>) {
        let places: Vec<_> = values.map(|value| self.bind(value)).collect();
        let _ = write!(self.sql, " AND {column} IN ({})", places.join(", "));
    }

    /// Adds a value, and names the place it is bound to.
    pub fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }
}
