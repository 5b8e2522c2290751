//! Prompt variables: a session's bag, a turn's overrides, and what the server says and nobody else.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::session::Context;

/// The variables of one turn: the session's, then the bag, then `overrides`, then what is reserved.
/// A reserved name belongs to the server however it is spelt: whoever else gives it is not heard.
pub fn effective(context: &Context, overrides: &Map<String, Value>) -> BTreeMap<String, String> {
    let mut variables = context.variables.clone();
    let given = context.bag.iter().chain(overrides);
    for (name, value) in given.filter(|(name, _)| !is_reserved(context, name)) {
        variables.insert(name.clone(), text(value));
    }
    variables.extend(context.reserved.clone());
    variables
}

fn is_reserved(context: &Context, name: &str) -> bool {
    let name = name.trim().to_lowercase();
    context.reserved.keys().any(|reserved| reserved.to_lowercase() == name)
}

/// A value as it stands in a prompt: text as it is, nothing for null, JSON for the rest.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// How many levels of arrays and objects a value has; a plain one has none.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// How much a bag may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BagLimits {
    /// In bytes of JSON.
    pub bytes_max: usize,
    /// In members.
    pub names_max: usize,
}

/// What is to become of a bag.
#[derive(Clone, Debug, PartialEq)]
pub struct BagChanges {
    /// The members that are written over those of the same names.
    pub set: Map<String, Value>,
    /// Whether a null takes its member away, instead of being written.
    pub null_removes: bool,
    /// What must hold of the bag afterwards.
    pub limits: BagLimits,
}

/// Why a bag is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BagFull {
    /// It would be too long.
    #[error("must have at most {0} bytes of JSON")]
    Bytes(usize),
    /// It would have too many members.
    #[error("must have at most {0} names")]
    Names(usize),
}

impl BagLimits {
    /// Holds a bag to the limits.
    pub fn hold(&self, bag: &Map<String, Value>) -> Result<(), BagFull> {
        if bag.len() > self.names_max {
            return Err(BagFull::Names(self.names_max));
        }
        // A map of JSON: it always serializes.
        let bytes = serde_json::to_string(bag).map_or(0, |json| json.len());
        if bytes > self.bytes_max { Err(BagFull::Bytes(self.bytes_max)) } else { Ok(()) }
    }
}

impl BagChanges {
    /// The bag as it is afterwards.
    pub fn applied_to(&self, bag: &Map<String, Value>) -> Result<Map<String, Value>, BagFull> {
        let mut changed = bag.clone();
        for (name, value) in &self.set {
            if self.null_removes && value.is_null() {
                changed.remove(name);
            } else {
                changed.insert(name.clone(), value.clone());
            }
        }
        self.limits.hold(&changed)?;
        Ok(changed)
    }
}

impl Context {
    /// The bag as others are shown it: what is reserved stands in it, in the server's words.
    pub fn shown_bag(&self) -> Map<String, Value> {
        let given = self.bag.iter().filter(|(name, _)| !is_reserved(self, name));
        let given = given.map(|(name, value)| (name.clone(), value.clone()));
        let reserved =
            self.reserved.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        given.chain(reserved).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn members(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).expect("an object")
    }

    fn context() -> Context {
        Context {
            bag: members(
                json!({ "name": "Ann", "n": 1, "list": [1, "a"], "CHANNEL": "mine", "no": null }),
            ),
            reserved: [("channel".to_owned(), "web".to_owned())].into(),
            ..Context::default()
        }
    }

    #[test]
    fn a_turns_overrides_lie_over_the_bag_and_reserved_names_over_both() {
        let overrides =
            json!({ "name": "Bob", "Channel": "forged", " channel ": "forged", "x": true });
        let effective = effective(&context(), &members(overrides));
        let expected = [
            ("channel", "web"),
            ("list", r#"[1,"a"]"#),
            ("n", "1"),
            ("name", "Bob"),
            ("no", ""),
            ("x", "true"),
        ];
        assert_eq!(effective, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    }

    #[test]
    fn the_bag_is_shown_with_what_is_reserved() {
        let shown = Value::Object(context().shown_bag());
        let expected =
            json!({ "name": "Ann", "n": 1, "list": [1, "a"], "no": null, "channel": "web" });
        assert_eq!(shown, expected);
    }

    #[test]
    fn changes_lie_over_the_bag_and_nulls_remove_where_they_are_to() {
        let bag = members(json!({ "a": 1, "b": { "x": 1 }, "c": 3 }));
        let limits = BagLimits { bytes_max: 1_000, names_max: 10 };
        let set = members(json!({ "b": { "y": 2 }, "c": null, "d": null }));
        let applied = |null_removes| {
            let changes = BagChanges { set: set.clone(), null_removes, limits };
            Value::Object(changes.applied_to(&bag).expect("fits"))
        };
        assert_eq!(applied(true), json!({ "a": 1, "b": { "y": 2 } }));
        assert_eq!(applied(false), json!({ "a": 1, "b": { "y": 2 }, "c": null, "d": null }));
    }

    #[test]
    fn a_bag_is_held_to_its_limits_and_not_one_past_them() {
        let set = members(json!({ "b": "xyz" }));
        let bag = members(json!({ "a": 1 }));
        let whole = r#"{"a":1,"b":"xyz"}"#.len();
        let held = |bytes_max, names_max| {
            let limits = BagLimits { bytes_max, names_max };
            let changes = BagChanges { set: set.clone(), null_removes: false, limits };
            changes.applied_to(&bag).map(|bag| bag.len())
        };
        assert_eq!(held(whole, 2), Ok(2));
        assert_eq!(held(whole - 1, 2), Err(BagFull::Bytes(whole - 1)));
        assert_eq!(held(whole, 1), Err(BagFull::Names(1)));
    }

    #[test]
    fn depth_counts_levels() {
        for (value, levels) in [(json!(1), 0), (json!({}), 1), (json!({ "a": [1, { "b": 1 }] }), 3)]
        {
            assert_eq!(depth(&value), levels, "{value}");
        }
    }
}
