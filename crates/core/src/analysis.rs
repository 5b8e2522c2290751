//! Forms: what is asked about every ended conversation, and what counts as an answer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

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
}

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
    fn accepts(&self, value: &Value) -> bool {
        match self.kind {
            LabelKind::Boolean => value.is_boolean(),
            LabelKind::Number => value.is_number(),
            LabelKind::Text => value.is_string(),
            LabelKind::Selector => {
                value.as_str().is_some_and(|text| self.options.iter().any(|o| o == text))
            }
        }
    }

    fn schema(&self) -> Value {
        let mut schema = match self.kind {
            LabelKind::Boolean => json!({ "type": ["boolean", "null"] }),
            LabelKind::Number => json!({ "type": ["number", "null"] }),
            LabelKind::Text => json!({ "type": ["string", "null"] }),
            LabelKind::Selector => {
                let options = self.options.iter().map(|o| json!(o)).chain([Value::Null]);
                json!({ "enum": options.collect::<Vec<_>>() })
            }
        };
        let pressed = if self.required { REQUIRED } else { "" };
        schema["description"] = json!(format!("{}{pressed}", self.description));
        schema
    }
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
            let value = given.remove(&label.name).unwrap_or(Value::Null);
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
            name: name.into(),
            kind,
            description: String::new(),
            options: options.iter().map(ToString::to_string).collect(),
            required: false,
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
    fn prose_is_no_answer() {
        assert!(form().read("It went well.").is_err());
        assert!(form().read("[1]").is_err());
    }
}
