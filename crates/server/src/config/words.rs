//! The words for what is wrong with a key, and what would be right.

use strsim::jaro_winkler;
use toml::{Table, Value};

use super::{
    path::{KeyPath, Segment},
    reader::{Fault, FaultKind},
};

/// The key a fault is about and the sentence that says so.
pub fn of_fault(fault: &Fault, defaults: &Table) -> (KeyPath, String) {
    let path = fault.path();
    match &fault.kind {
        FaultKind::UnknownKey { key, known } => {
            let nearest = nearest(key, known)
                .map(|near| format!("; the nearest known one is {}", path.key(near)))
                .unwrap_or_default();
            let path = path.key(key);
            let text = format!("{path} is not a known key{nearest}");
            (path, text)
        }
        FaultKind::MissingKey(key) => {
            let text = format!("{} is missing", path.key(key));
            (path, text)
        }
        FaultKind::WrongType { found, expected } => {
            let expected = plain(expected);
            let is_heading = found == "a table" && expected == "a list";
            let hint = if is_heading { heading(&path) } else { example(&path, defaults) };
            let text = format!("{path} is {found}; it must be {expected}{hint}");
            (path, text)
        }
        FaultKind::UnknownWord(known) => {
            let words: Vec<_> = known.iter().map(|word| format!("\"{word}\"")).collect();
            let text = format!("{path} must be one of {}", words.join(", "));
            (path, text)
        }
        FaultKind::Other(message) => {
            let text = format!("{path}: {message}{}", example(&path, defaults));
            (path, text)
        }
    }
}

/// The known key that is most like this one; a common beginning counts most.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    known.iter().copied().max_by(|a, b| jaro_winkler(key, a).total_cmp(&jaro_winkler(key, b)))
}

/// A table in the place of a list is most often a heading with one pair of brackets, or an inner
/// heading without its outer one.
fn heading(path: &KeyPath) -> String {
    let keys = path.segments().iter().filter_map(|segment| match segment {
        Segment::Key(key) => Some(key.as_str()),
        Segment::Index(_) => None,
    });
    format!(", each element under [[{}]]", keys.collect::<Vec<_>>().join("."))
}

/// The default, as an example of what would be right.
fn example(path: &KeyPath, defaults: &Table) -> String {
    let mut segments = path.segments().iter();
    let first = match segments.next() {
        Some(Segment::Key(key)) => defaults.get(key),
        _ => None,
    };
    let default = segments.fold(first, |value, segment| match segment {
        Segment::Key(key) => value.and_then(Value::as_table).and_then(|table| table.get(key)),
        Segment::Index(index) => value.and_then(Value::as_array).and_then(|list| list.get(*index)),
    });
    match default {
        Some(Value::Table(_)) | None => String::new(),
        Some(value) => format!(", for example {value}"),
    }
}

/// What a type is called by someone who writes a configuration.
fn plain(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list",
        "a map" => "a table",
        "a boolean" => "true or false",
        "a string" => "a text",
        "u16" | "u32" | "u64" | "usize" => "a whole number, not negative",
        "a Decimal type representing a fixed-point number" => "an amount, such as \"0.01\"",
        _ if expected.starts_with("struct ") => "a table",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_the_one_most_alike() {
        let known = ["listen", "public_url", "cors_origins"];
        assert_eq!(nearest("lisetn", &known), Some("listen"));
        assert_eq!(nearest("cors_origin", &known), Some("cors_origins"));
        assert_eq!(nearest("public", &known), Some("public_url"));
        assert_eq!(nearest("anything", &[]), None);
    }
}
