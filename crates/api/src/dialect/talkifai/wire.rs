//! What goes over the wire: bodies read field by field, so that a wrong one is answered the way
//! this API's clients know, and the shapes of the answers.

use epilogue_core::Person;
use serde::Serialize;
use serde_json::{Map, Value};

use super::error::Error;

/// The longest message, in characters.
pub(super) const MESSAGE_CHARS_MAX: usize = 10_000;

/// An error's body: a text, or a list of what is wrong with the request.
#[derive(Debug, Serialize)]
pub(super) struct Refusal<T> {
    pub detail: T,
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Issue {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub loc: Vec<Place>,
    pub msg: String,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Place {
    Name(&'static str),
    Offset(usize),
}

impl Issue {
    pub fn new(
        kind: &'static str,
        loc: impl IntoIterator<Item = &'static str>,
        msg: impl Into<String>,
    ) -> Self {
        Self { kind, loc: loc.into_iter().map(Place::Name).collect(), msg: msg.into() }
    }
}

/// A JSON object, whose fields are taken out one by one. What is wrong is reported together.
pub(super) struct Fields {
    given: Map<String, Value>,
    issues: Vec<Issue>,
}

impl Fields {
    /// Reads an object. Text that nests too deeply is as wrong as text that is not JSON.
    pub fn read(body: &[u8]) -> Result<Self, Error> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(given)) => Ok(Self { given, issues: Vec::new() }),
            Ok(_) => Err(Error::Invalid(vec![Issue::new(
                "model_attributes_type",
                ["body"],
                "Input should be a valid dictionary or object to extract fields from",
            )])),
            Err(error) => Err(Error::Invalid(vec![Issue {
                kind: "json_invalid",
                loc: vec![Place::Name("body"), Place::Offset(offset(body, &error))],
                msg: "JSON decode error".to_owned(),
            }])),
        }
    }

    /// Takes a text. Null is as good as absent.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        match self.given.remove(name)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            _ => self.wrong("string_type", name, "Input should be a valid string"),
        }
    }

    /// Takes an object. Null is as good as absent.
    pub fn object(&mut self, name: &'static str) -> Option<Value> {
        match self.given.remove(name)? {
            Value::Null => None,
            object @ Value::Object(_) => Some(object),
            _ => self.wrong("dict_type", name, "Input should be a valid dictionary"),
        }
    }

    fn wrong<T>(&mut self, kind: &'static str, name: &'static str, msg: &str) -> Option<T> {
        self.issues.push(Issue::new(kind, ["body", name], msg));
        None
    }

    /// Nothing was wrong.
    pub fn done(self) -> Result<(), Error> {
        if self.issues.is_empty() { Ok(()) } else { Err(Error::Invalid(self.issues)) }
    }
}

/// How far into `body` the fault is, in bytes.
fn offset(body: &[u8], error: &serde_json::Error) -> usize {
    let lines = body.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    (before + error.column().saturating_sub(1)).min(body.len())
}

/// A session to be created.
#[derive(Debug)]
pub(super) struct CreateSession {
    pub agent_id: String,
    pub metadata: Value,
    pub person: Option<Person>,
}

impl CreateSession {
    pub fn read(body: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::read(body)?;
        let agent_id = fields.text("agent_id").filter(|id| !id.is_empty());
        let metadata = fields.object("metadata").unwrap_or_default();
        let identifier = fields.text("user_identifier").unwrap_or_default();
        if identifier.len() > Person::BYTES_MAX {
            let msg = format!("String should have at most {} bytes", Person::BYTES_MAX);
            fields.wrong::<()>("string_too_long", "user_identifier", &msg);
        }
        fields.done()?;
        let agent_id = agent_id.ok_or(Error::NoAgentId)?;
        Ok(Self { agent_id, metadata, person: Person::new(&identifier) })
    }
}

/// The message of a turn.
pub(super) fn message(body: &[u8]) -> Result<String, Error> {
    let mut fields = Fields::read(body)?;
    let message = fields.text("message").unwrap_or_default();
    fields.done()?;
    match message.chars().take(MESSAGE_CHARS_MAX + 1).count() {
        0 => Err(Error::NoMessage),
        1..=MESSAGE_CHARS_MAX => Ok(message),
        _ => Err(Error::MessageTooLong { max: MESSAGE_CHARS_MAX }),
    }
}

/// A session that was created.
#[derive(Debug, Serialize)]
pub(super) struct Created {
    pub conversation_id: String,
    pub session_token: String,
    pub agent_name: String,
    pub greeting: Option<String>,
    pub agent_model: String,
}

/// Part of a transcript.
#[derive(Debug, Serialize)]
pub(super) struct History {
    pub messages: Vec<HistoryMessage>,
    pub count: usize,
}

/// One message of it.
#[derive(Debug, Serialize)]
pub(super) struct HistoryMessage {
    pub role: &'static str,
    pub content: String,
    pub timestamp: String,
    pub token_count: Option<u32>,
}

/// A session that has ended.
#[derive(Debug, Serialize)]
pub(super) struct Acknowledged {
    pub success: bool,
    pub message: &'static str,
}

/// The first event of a stream.
#[derive(Debug, Serialize)]
pub(super) struct StreamStart<'a> {
    pub agent_name: &'a str,
}

/// More of the reply.
#[derive(Debug, Serialize)]
pub(super) struct Chunk<'a> {
    pub delta: &'a str,
}

/// A tool is at work, or has done its work.
#[derive(Debug, Serialize)]
pub(super) struct Tool<'a> {
    pub name: &'a str,
    pub status: &'static str,
}

/// The turn is complete.
#[derive(Debug, Serialize)]
pub(super) struct StreamEnd {
    pub usage: Used,
    pub end_session: bool,
}

/// What the turn used.
#[derive(Debug, Serialize)]
pub(super) struct Used {
    pub input_tokens: u64,
    pub output_tokens: u64,
}

/// The turn has failed.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    pub error: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(error: Error) -> Vec<&'static str> {
        match error {
            Error::Invalid(issues) => issues.into_iter().map(|issue| issue.kind).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_fault_is_located() {
        let Err(Error::Invalid(issues)) = Fields::read(b"{\n  \"message\": oops}") else {
            panic!("it is not JSON")
        };
        assert_eq!(issues[0].loc, [Place::Name("body"), Place::Offset(15)]);
    }

    #[test]
    fn what_is_no_json_object_is_refused_and_nothing_crashes() {
        let deep = "[".repeat(100_000);
        let bodies: [&[u8]; 6] =
            [b"", b"{", b"{\"message\": \"\xff\"}", deep.as_bytes(), b"{} {}", b"{\"a\":1e999}"];
        for body in bodies {
            assert_eq!(kinds(message(body).expect_err("refused")), ["json_invalid"]);
        }
        for body in ["[]", "1", "null", "\"message\""] {
            let error = message(body.as_bytes()).expect_err("refused");
            assert_eq!(kinds(error), ["model_attributes_type"]);
        }
    }

    #[test]
    fn every_wrong_field_is_reported() {
        let body = br#"{"agent_id": 1, "metadata": [], "user_identifier": {}}"#;
        let error = CreateSession::read(body).expect_err("refused");
        assert_eq!(kinds(error), ["string_type", "dict_type", "string_type"]);
    }

    #[test]
    fn an_identifier_at_the_limit_and_one_past_it() {
        let read = |length: usize| {
            let body = format!(r#"{{"agent_id":"a","user_identifier":"{}"}}"#, "x".repeat(length));
            CreateSession::read(body.as_bytes())
        };
        assert!(read(Person::BYTES_MAX).expect("accepted").person.is_some());
        assert_eq!(kinds(read(Person::BYTES_MAX + 1).expect_err("refused")), ["string_too_long"]);
    }

    #[test]
    fn null_is_as_good_as_absent() {
        let body = br#"{"agent_id": "a", "metadata": null, "user_identifier": null}"#;
        let read = CreateSession::read(body).expect("accepted");
        assert!(read.metadata.is_null() && read.person.is_none());
        let error = CreateSession::read(br#"{"agent_id": null}"#).expect_err("refused");
        assert!(matches!(error, Error::NoAgentId));
    }
}
