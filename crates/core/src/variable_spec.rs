//! What an agent may save in the course of a conversation: named variables of known types.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How many variables an agent may name.
pub const SPECS_MAX: usize = 100;

/// A variable that an agent fills in while it talks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariableSpec {
    /// Its name in the session's bag, and in prompts.
    pub key: String,
    /// What its value is.
    #[serde(default, rename = "type")]
    pub kind: VariableKind,
    /// What it stands for, in words for the model.
    #[serde(default)]
    pub description: String,
}

/// The types of variables, in the words of JSON Schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VariableKind {
    /// Text.
    #[default]
    String,
    /// Any number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A list of anything.
    Array,
    /// Named members of anything.
    Object,
}

impl VariableKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::String, Self::Number, Self::Integer, Self::Boolean, Self::Array, Self::Object];

    /// The stored and published word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    /// The kind with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether a value is of this kind. Null is of none.
    pub fn fits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Number => value.is_number(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }
}

/// JSON Schema of an object that holds any of these variables, and nothing else.
pub fn schema(specs: &[VariableSpec]) -> Value {
    let members = specs.iter().map(|spec| {
        let member = json!({ "type": spec.kind.as_str(), "description": spec.description });
        (spec.key.clone(), member)
    });
    let members: Map<String, Value> = members.collect();
    json!({ "type": "object", "properties": members, "additionalProperties": false })
}

/// Which of the values that a model gave are variables of their type, and what is wrong with the
/// others, in words that it can act upon. Nulls say nothing and are passed over.
pub fn accepted(
    specs: &[VariableSpec],
    given: &Map<String, Value>,
) -> (Map<String, Value>, Vec<String>) {
    let (mut fits, mut wrong) = (Map::new(), Vec::new());
    for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
        match specs.iter().find(|spec| spec.key == *name) {
            Some(spec) if spec.kind.fits(value) => {
                fits.insert(name.clone(), value.clone());
            }
            Some(spec) => wrong.push(format!("{name} must be of type {}", spec.kind.as_str())),
            None => wrong.push(format!("there is no variable {name}")),
        }
    }
    (fits, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(key: &str, kind: VariableKind) -> VariableSpec {
        VariableSpec { key: key.into(), kind, description: format!("The {key}.") }
    }

    #[test]
    fn a_value_is_saved_under_its_name_and_type_alone() {
        let specs = [spec("name", VariableKind::String), spec("age", VariableKind::Integer)];
        let given = json!({ "name": "Ann", "age": 1.5, "other": 1, "nothing": null });
        let (fits, wrong) = accepted(&specs, given.as_object().expect("an object"));
        assert_eq!(Value::Object(fits), json!({ "name": "Ann" }));
        assert_eq!(wrong, ["age must be of type integer", "there is no variable other"]);
    }

    #[test]
    fn every_kind_has_one_word_and_takes_its_own_values() {
        let values = [json!("x"), json!(1.5), json!(2), json!(true), json!([]), json!({})];
        for (kind, value) in VariableKind::ALL.into_iter().zip(values) {
            assert_eq!(VariableKind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).expect("plain"), kind.as_str());
            assert!(kind.fits(&value) && !kind.fits(&Value::Null), "{kind:?}");
        }
        assert!(!VariableKind::String.fits(&json!(1)) && !VariableKind::Number.fits(&json!("1")));
        assert_eq!(VariableKind::parse("date"), None);
    }

    #[test]
    fn the_schema_names_each_variable_with_its_words() {
        let schema = schema(&[spec("age", VariableKind::Integer)]);
        let age = json!({ "type": "integer", "description": "The age." });
        assert_eq!(schema["properties"], json!({ "age": age }));
        assert_eq!(schema["additionalProperties"], false);
    }
}
