//! Prompt variables: a session's bag, a turn's overrides, and what the server says and nobody else.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::session::Context;

/// The built-in tool by which an agent saves variables, offered to those that name some.
pub const SAVE_VARIABLES: &str = "save_variables";

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

/// How long the bag of a session may become, as JSON text. Prompts are made of it.
pub const BAG_BYTES_MAX: usize = 256 * 1024;

/// How many variables the bag of a session may come to hold.
pub const BAG_NAMES_MAX: usize = 1_000;

/// What a null among the variables that are written means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// A value like any other.
    Kept,
    /// That the variable of this name is to go.
    Delete,
}

/// The merged bag would be longer than [`BAG_BYTES_MAX`], or have more than [`BAG_NAMES_MAX`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the variables are more than {BAG_NAMES_MAX}, or longer than {BAG_BYTES_MAX} bytes")]
pub struct BagTooLong;

/// Lays `given` over `bag`, name by name; what a value holds inside is replaced with it.
pub fn merged(
    bag: &Map<String, Value>,
    given: &Map<String, Value>,
    nulls: Nulls,
) -> Result<Map<String, Value>, BagTooLong> {
    let mut merged = bag.clone();
    for (name, value) in given {
        if value.is_null() && nulls == Nulls::Delete {
            merged.remove(name);
        } else {
            merged.insert(name.clone(), value.clone());
        }
    }
    if fits(&merged) { Ok(merged) } else { Err(BagTooLong) }
}

/// Lays as many of `given` over `bag` as it takes, in the order of their names.
pub fn merged_as_far(bag: &Map<String, Value>, given: &Map<String, Value>) -> Map<String, Value> {
    if let Ok(merged) = merged(bag, given, Nulls::Kept) {
        return merged;
    }
    given.iter().fold(bag.clone(), |bag, (name, value)| {
        let one = [(name.clone(), value.clone())].into_iter().collect();
        merged(&bag, &one, Nulls::Kept).unwrap_or(bag)
    })
}

/// Whether a bag is within its limits.
pub fn fits(bag: &Map<String, Value>) -> bool {
    BagLimits { bytes_max: BAG_BYTES_MAX, names_max: BAG_NAMES_MAX }.hold(bag).is_ok()
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

/// Why a bag is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BagFull {
    /// It is too long.
    #[error("must have at most {0} bytes of JSON")]
    Bytes(usize),
    /// It has too many members.
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
    fn bags_are_merged_name_by_name() {
        let bag = members(json!({ "a": { "x": 1 }, "b": 2, "c": 3 }));
        let given = members(json!({ "a": { "y": 1 }, "b": null, "d": 4 }));
        let over = |nulls| merged(&bag, &given, nulls).map(Value::Object);
        let kept = json!({ "a": { "y": 1 }, "b": null, "c": 3, "d": 4 });
        assert_eq!(over(Nulls::Kept), Ok(kept));
        assert_eq!(over(Nulls::Delete), Ok(json!({ "a": { "y": 1 }, "c": 3, "d": 4 })));
    }

    #[test]
    fn a_bag_is_as_long_as_its_limit_and_no_longer() {
        // {"a":"…"} has eight bytes around its text.
        let text = |length| members(json!({ "a": "x".repeat(length) }));
        let into_nothing = |given| merged(&Map::new(), &given, Nulls::Kept).map(|bag| bag.len());
        assert_eq!(into_nothing(text(BAG_BYTES_MAX - 8)), Ok(1));
        assert_eq!(into_nothing(text(BAG_BYTES_MAX - 7)), Err(BagTooLong));
        assert!(fits(&text(BAG_BYTES_MAX - 8)) && !fits(&text(BAG_BYTES_MAX - 7)));
        let names = |count: usize| (0..count).map(|n| (n.to_string(), json!(n))).collect();
        assert!(fits(&names(BAG_NAMES_MAX)) && !fits(&names(BAG_NAMES_MAX + 1)));
    }

    #[test]
    fn a_bag_is_held_to_its_limits_and_not_one_past_them() {
        let bag = members(json!({ "a": 1, "b": "xyz" }));
        let whole = r#"{"a":1,"b":"xyz"}"#.len();
        let held = |bytes_max, names_max| BagLimits { bytes_max, names_max }.hold(&bag);
        assert_eq!(held(whole, 2), Ok(()));
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
