//! Lists for a terminal: columns as wide as they need to be.

use serde_json::Value;

/// A column: its heading, and where its value is in a row.
pub(super) type Column = (&'static str, &'static str);

/// Rows as a table. Nothing to show is said in words.
pub(super) fn of(rows: &[Value], columns: &[Column], nothing: &str) -> String {
    if rows.is_empty() {
        return nothing.to_owned();
    }
    let mut lines = vec![columns.iter().map(|(heading, _)| (*heading).to_owned()).collect()];
    lines.extend(
        rows.iter().map(|row| columns.iter().map(|(_, at)| cell(row, at)).collect::<Vec<_>>()),
    );
    let widths: Vec<_> = (0..columns.len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The value at a dotted path, as text; `-` where there is none.
pub(super) fn cell(row: &Value, path: &str) -> String {
    let value = path.split('.').try_fold(row, |value, key| value.get(key));
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => plain(text),
        Some(other) => other.to_string(),
    }
}

/// A stranger's text without control characters, which would move the cursor of whoever reads it.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_line_up_and_missing_values_show_as_a_dash() {
        let rows = [json!({ "id": "a", "usage": { "n": 12 } }), json!({ "id": "long\u{1b}[2J" })];
        let table = of(&rows, &[("ID", "id"), ("N", "usage.n")], "none");
        assert_eq!(table, "ID       N\na        12\nlong[2J  -");
        assert_eq!(of(&[], &[("ID", "id")], "none"), "none");
    }
}
