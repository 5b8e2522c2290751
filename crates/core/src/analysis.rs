//! Forms: what is asked about every ended conversation, and what counts as an answer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};

use crate::variable_spec::{VariableKind, VariableSpec};

/// The form whose one answer, [`RESULT`], says how a conversation went, in APIs that ask for that.
pub const EVALUATION: &str = "evaluation";
/// Its one label.
pub const RESULT: &str = "result";

/// The form that fills in, after the conversation, the variables that were not saved in it. What it
/// holds is the conversation's and goes with it.
pub const EXTRACTION: &str = "extracted_variables";

/// A set of labels to be determined from a transcript.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// Its name, unique within the agent.
    pub name: String,
    /// What is to be found out.
    pub labels: Vec<Label>,
    /// Whether it is filled in.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
const fn is_yes(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
const fn is_no(value: &bool) -> bool {
    !*value
}

/// One question with a typed answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Its name, unique within the form.
    pub name: String,
    /// What an answer looks like.
    #[serde(rename = "type")]
    pub kind: LabelKind,
    /// What is asked.
    #[serde(default)]
    pub description: String,
    /// The possible answers of a selector.
    #[serde(default)]
    pub options: Vec<String>,
    /// The least a number may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Number>,
    /// The most a number may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Number>,
    /// Whether the model is pressed for an answer. It may still be null: nothing is made up.
    #[serde(default, skip_serializing_if = "is_no")]
    pub required: bool,
}

/// The types of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelKind {
    /// Yes or no.
    Boolean,
    /// A number.
    Number,
    /// A text.
    #[serde(alias = "string")]
    Text,
    /// One of the label's options.
    #[serde(alias = "enum")]
    Selector,
    /// A whole number.
    Integer,
    /// A list of anything.
    List,
    /// Named members of anything.
    Object,
}

impl LabelKind {
    /// Whether an answer is a number.
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Number | Self::Integer)
    }
}

/// What the description of a list or an object ends with: schemas that leave open what a value holds
/// are not taken everywhere, so that such an answer comes as text.
const AS_JSON: &str = " (As JSON text.)";

/// What a label's description ends with when an answer is required.
const REQUIRED: &str = " (An answer is required if the conversation gives any ground for one.)";

/// A model's answer, held against the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// A value for every label: of its type, or null where it could not be determined.
    pub values: Map<String, Value>,
    /// The labels whose value had another type, in words a model understands.
    pub problems: Vec<String>,
}

/// The answer is not a JSON object, so nothing can be read from it.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not a JSON object")]
pub struct NotAnObject;

impl Label {
    /// A label with this name that asks for an answer of this type.
    pub fn new(name: impl Into<String>, kind: LabelKind, description: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind,
            description: description.into(),
            options: Vec::new(),
            min: None,
            max: None,
            required: false,
        }
    }

    fn accepts(&self, value: &Value) -> bool {
        match self.kind {
            LabelKind::Boolean => value.is_boolean(),
            LabelKind::Number => value.is_number() && self.has_within(value),
            LabelKind::Integer => (value.is_i64() || value.is_u64()) && self.has_within(value),
            LabelKind::List => value.is_array(),
            LabelKind::Object => value.is_object(),
            LabelKind::Text => value.is_string(),
            LabelKind::Selector => {
                value.as_str().is_some_and(|text| self.options.iter().any(|o| o == text))
            }
        }
    }

    /// Whether a number lies within the label's bounds.
    fn has_within(&self, value: &Value) -> bool {
        let bound = |bound: &Option<Number>| bound.as_ref().and_then(Number::as_f64);
        value.as_f64().is_some_and(|value| {
            bound(&self.min).is_none_or(|min| value >= min)
                && bound(&self.max).is_none_or(|max| value <= max)
        })
    }

    /// An answer as it is meant: a list or an object may come as JSON text.
    fn unwrapped(&self, value: Value) -> Value {
        match (self.kind, &value) {
            (LabelKind::List | LabelKind::Object, Value::String(text)) => {
                serde_json::from_str(text).unwrap_or(value)
            }
            _ => value,
        }
    }

    fn schema(&self) -> Value {
        let mut schema = match self.kind {
            LabelKind::Boolean => json!({ "type": ["boolean", "null"] }),
            LabelKind::Number => json!({ "type": ["number", "null"] }),
            LabelKind::Integer => json!({ "type": ["integer", "null"] }),
            LabelKind::Text | LabelKind::List | LabelKind::Object => {
                json!({ "type": ["string", "null"] })
            }
            LabelKind::Selector => {
                let options = self.options.iter().map(|o| json!(o)).chain([Value::Null]);
                json!({ "enum": options.collect::<Vec<_>>() })
            }
        };
        for (word, bound) in [("minimum", &self.min), ("maximum", &self.max)] {
            if let Some(bound) = bound.as_ref().filter(|_| self.kind.is_number()) {
                schema[word] = json!(bound);
            }
        }
        let as_json = matches!(self.kind, LabelKind::List | LabelKind::Object);
        let form = if as_json { AS_JSON } else { "" };
        let pressed = if self.required { REQUIRED } else { "" };
        schema["description"] = json!(format!("{}{form}{pressed}", self.description));
        schema
    }
}

/// The form for those variables of an agent that are not known yet. `None`: all are.
pub fn extraction(variables: &[VariableSpec], known: &Map<String, Value>) -> Option<Form> {
    let is_known = |key: &str| known.get(key).is_some_and(|value| !value.is_null());
    let open = variables.iter().filter(|variable| !is_known(&variable.key));
    let labels: Vec<_> = open
        .map(|variable| {
            let kind = match variable.kind {
                VariableKind::String => LabelKind::Text,
                VariableKind::Number => LabelKind::Number,
                VariableKind::Integer => LabelKind::Integer,
                VariableKind::Boolean => LabelKind::Boolean,
                VariableKind::Array => LabelKind::List,
                VariableKind::Object => LabelKind::Object,
            };
            Label::new(&variable.key, kind, &variable.description)
        })
        .collect();
    if labels.is_empty() {
        return None;
    }
    Some(Form { name: EXTRACTION.to_owned(), labels, enabled: true })
}

/// What came out of a conversation: the variables that an agent names, as saved in the course of it
/// or else as filled in after it. Those of which nothing is known are left out.
pub fn extracted(
    variables: &[VariableSpec],
    saved: &Map<String, Value>,
    filled_in: &Value,
) -> Map<String, Value> {
    let known = |value: &&Value| !value.is_null();
    let found = variables.iter().filter_map(|variable| {
        let saved = saved.get(&variable.key).filter(known);
        let value = saved.or_else(|| filled_in.get(&variable.key).filter(known))?;
        Some((variable.key.clone(), value.clone()))
    });
    found.collect()
}

impl Form {
    /// The JSON Schema of an answer. Strict: every label required, null allowed, nothing else.
    pub fn schema(&self) -> Value {
        let properties: Map<_, _> =
            self.labels.iter().map(|label| (label.name.clone(), label.schema())).collect();
        json!({
            "type": "object",
            "properties": properties,
            "required": self.labels.iter().map(|label| &label.name).collect::<Vec<_>>(),
            "additionalProperties": false,
        })
    }

    /// Reads an answer. Labels that are missing or of a wrong type become null; what was not
    /// asked is dropped.
    pub fn read(&self, answer: &str) -> Result<Answer, NotAnObject> {
        let Ok(Value::Object(mut given)) = serde_json::from_str(answer) else {
            return Err(NotAnObject);
        };
        let mut problems = Vec::new();
        let values = self.labels.iter().map(|label| {
            let value = label.unwrapped(given.remove(&label.name).unwrap_or(Value::Null));
            if value.is_null() || label.accepts(&value) {
                return (label.name.clone(), value);
            }
            problems.push(format!("`{}` must match {}", label.name, label.schema()));
            (label.name.clone(), Value::Null)
        });
        Ok(Answer { values: values.collect(), problems })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        let label = |name: &str, kind, options: &[&str]| Label {
            options: options.iter().map(ToString::to_string).collect(),
            ..Label::new(name, kind, "")
        };
        Form {
            name: "qa".into(),
            enabled: true,
            labels: vec![
                label("resolved", LabelKind::Boolean, &[]),
                label("score", LabelKind::Number, &[]),
                label("topic", LabelKind::Text, &[]),
                label("mood", LabelKind::Selector, &["good", "bad"]),
            ],
        }
    }

    #[test]
    fn a_right_answer_is_taken_as_it_is() {
        let answer = form()
            .read(r#"{"resolved":true,"score":4.5,"topic":"bills","mood":"bad","extra":1}"#)
            .expect("an object");
        assert!(answer.problems.is_empty());
        assert_eq!(
            Value::Object(answer.values),
            json!({ "resolved": true, "score": 4.5, "topic": "bills", "mood": "bad" })
        );
    }

    #[test]
    fn wrong_types_become_null_and_are_named() {
        let answer =
            form().read(r#"{"resolved":"yes","score":"4","mood":"angry"}"#).expect("an object");
        assert!(answer.values.values().all(Value::is_null));
        assert_eq!(answer.values.len(), 4);
        assert_eq!(answer.problems.len(), 3);
    }

    #[test]
    fn a_required_label_is_pressed_for_and_may_still_be_null() {
        let mut form = form();
        form.labels[0].required = true;
        assert!(
            form.schema()["properties"]["resolved"]["description"]
                .as_str()
                .is_some_and(|d| d.contains("required"))
        );
        let answer = form.read(r#"{"resolved":null}"#).expect("an object");
        assert!(answer.problems.is_empty() && answer.values["resolved"].is_null());
    }

    #[test]
    fn a_number_lies_within_its_bounds_and_not_one_past_them() {
        let bounded = Label {
            min: Some(1.into()),
            max: Some(5.into()),
            ..Label::new("score", LabelKind::Number, "How good?")
        };
        let schema = bounded.schema();
        assert_eq!((&schema["minimum"], &schema["maximum"]), (&json!(1), &json!(5)));
        for (value, fits) in [(0.99, false), (1.0, true), (5.0, true), (5.01, false)] {
            assert_eq!(bounded.accepts(&json!(value)), fits, "{value}");
        }
        let whole = Label { kind: LabelKind::Integer, ..bounded };
        assert!(whole.accepts(&json!(2)) && !whole.accepts(&json!(2.5)));
        assert!(!whole.accepts(&json!(6)));
    }

    fn spec(key: &str, kind: VariableKind) -> VariableSpec {
        VariableSpec { key: key.into(), kind, description: format!("The {key}.") }
    }

    #[test]
    fn what_is_still_open_is_asked_for_and_nothing_else() {
        let variables = [spec("name", VariableKind::String), spec("tags", VariableKind::Array)];
        let mut saved = Map::from_iter([("name".to_owned(), json!("Ann"))]);
        let form = extraction(&variables, &saved).expect("tags are open");
        assert_eq!(form.labels.iter().map(|label| &label.name).collect::<Vec<_>>(), ["tags"]);
        let answer = form.read(r#"{"tags":"[1,2]"}"#).expect("an object");
        assert_eq!(Value::Object(answer.values), json!({ "tags": [1, 2] }));
        assert_eq!(form.read(r#"{"tags":"none"}"#).expect("an object").problems.len(), 1);
        saved.insert("tags".to_owned(), json!([]));
        assert_eq!(extraction(&variables, &saved), None);
        saved.insert("tags".to_owned(), Value::Null);
        assert!(extraction(&variables, &saved).is_some(), "null says nothing");
    }

    #[test]
    fn what_was_saved_comes_before_what_was_filled_in_and_nulls_are_left_out() {
        let variables = ["a", "b", "c"].map(|key| spec(key, VariableKind::String));
        let saved = json!({ "a": "saved", "b": null, "other": "not asked for" });
        let found = extracted(
            &variables,
            saved.as_object().expect("an object"),
            &json!({ "a": "later", "b": "later", "c": null }),
        );
        assert_eq!(Value::Object(found), json!({ "a": "saved", "b": "later" }));
        assert!(extracted(&variables, &Map::new(), &Value::Null).is_empty());
    }

    #[test]
    fn prose_is_no_answer() {
        assert!(form().read("It went well.").is_err());
        assert!(form().read("[1]").is_err());
    }
}
