//! What a model answers about a chunk of a conversation. It is never believed unseen: each part is held
//! against the schema and its limits, and what does not fit is named and left out.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::{graph::EntityKind, names::name_key};
use crate::time::Timestamp;

/// How many facts one answer may state.
pub const FACTS_MAX: usize = 64;

/// How many known facts one answer may end.
pub const ENDED_MAX: usize = 64;

/// The longest name, in characters.
pub const NAME_CHARS_MAX: usize = 200;

/// The longest hint, in characters.
pub const HINT_CHARS_MAX: usize = 100;

/// The longest relation, in characters.
pub const RELATION_CHARS_MAX: usize = 64;

/// The longest sentence, in characters.
pub const SENTENCE_CHARS_MAX: usize = 500;

/// The longest answer, in bytes.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// How many problems are named: they go back to the model.
const PROBLEMS_MAX: usize = 16;

/// The name by which the person themself is known in every answer.
const PERSON: &str = "user";

/// Somebody or something, as the model names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mention {
    /// The name. "user" is the person themself.
    pub name: String,
    /// What it is.
    pub kind: EntityKind,
    /// What tells it from another of the same name.
    #[serde(default)]
    pub hint: Option<String>,
}

impl Mention {
    /// Whether the person themself is meant.
    pub fn is_person(&self) -> bool {
        name_key(&self.name) == PERSON
    }

    fn problem(&self) -> Option<&'static str> {
        let hint = self.hint.as_deref().unwrap_or_default();
        if name_key(&self.name).is_empty() {
            Some("a name is empty")
        } else if self.name.chars().count() > NAME_CHARS_MAX {
            Some("a name is too long")
        } else if hint.chars().count() > HINT_CHARS_MAX {
            Some("a hint is too long")
        } else {
            None
        }
    }
}

/// A fact, as the model states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatedFact {
    /// Of whom or what.
    pub subject: Mention,
    /// How subject and object belong together: English, in snake case.
    pub relation: String,
    /// The other end.
    pub object: Mention,
    /// One sentence that says it all, in the language of the conversation.
    pub sentence: String,
    /// Since when it has been true in the world, if that was said.
    #[serde(default, with = "when")]
    pub from: Option<Timestamp>,
    /// Until when, if that was said.
    #[serde(default, with = "when")]
    pub until: Option<Timestamp>,
    /// Whether a subject has one object at a time for this relation.
    pub exclusive: bool,
}

/// A known fact that is no longer true, as the model states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatedEnd {
    /// Of whom or what.
    pub subject: Mention,
    /// How subject and object belonged together.
    pub relation: String,
    /// The other end.
    pub object: Mention,
    /// When it stopped being true in the world, if that was said.
    #[serde(default, with = "when")]
    pub when: Option<Timestamp>,
}

/// Everything that a chunk of a conversation tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extraction {
    /// What is true, or was.
    pub facts: Vec<StatedFact>,
    /// What is no longer.
    pub ended: Vec<StatedEnd>,
}

/// An answer that was read, and what was wrong with parts of it, in words that quote nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadExtraction {
    /// The parts that fit.
    pub extraction: Extraction,
    /// What was left out, and why.
    pub problems: Vec<String>,
}

/// The answer is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtractionError {
    /// It is not one JSON object with the two lists.
    #[error("the answer is not a JSON object with the lists `facts` and `ended`")]
    NotAnObject,
    /// It is longer than [`ANSWER_BYTES_MAX`].
    #[error("the answer is too long")]
    TooLong,
    /// It has more than [`FACTS_MAX`] facts or [`ENDED_MAX`] ends.
    #[error("the answer has more than {FACTS_MAX} facts or {ENDED_MAX} ends")]
    TooMuch,
}

impl Extraction {
    /// Reads a model's answer.
    pub fn read(answer: &str) -> Result<ReadExtraction, ExtractionError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Lists {
            facts: Vec<Value>,
            ended: Vec<Value>,
        }
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(ExtractionError::TooLong);
        }
        let lists: Lists =
            serde_json::from_str(answer).map_err(|_| ExtractionError::NotAnObject)?;
        if lists.facts.len() > FACTS_MAX || lists.ended.len() > ENDED_MAX {
            return Err(ExtractionError::TooMuch);
        }
        let mut problems = Vec::new();
        let facts = taken("facts", lists.facts, StatedFact::problem, &mut problems);
        let ended = taken("ended", lists.ended, StatedEnd::problem, &mut problems);
        Ok(ReadExtraction { extraction: Self { facts, ended }, problems })
    }
}

/// The items that fit, and the problems of the others.
fn taken<T: for<'de> Deserialize<'de>>(
    list: &str,
    items: Vec<Value>,
    problem: impl Fn(&T) -> Option<&'static str>,
    problems: &mut Vec<String>,
) -> Vec<T> {
    let mut fits = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let why = match serde_json::from_value::<T>(item) {
            Ok(item) => match problem(&item) {
                None => {
                    fits.push(item);
                    continue;
                }
                Some(why) => why,
            },
            Err(_) => "it does not match the schema",
        };
        if problems.len() < PROBLEMS_MAX {
            problems.push(format!("{list}[{index}]: {why}"));
        }
    }
    fits
}

impl StatedFact {
    fn problem(&self) -> Option<&'static str> {
        let until = self.until.zip(self.from).is_some_and(|(until, from)| until < from);
        if self.sentence.trim().is_empty() {
            Some("the sentence is empty")
        } else if self.sentence.chars().count() > SENTENCE_CHARS_MAX {
            Some("the sentence is too long")
        } else if until {
            Some("it ends before it begins")
        } else {
            ends_problem(&self.subject, &self.relation, &self.object)
        }
    }
}

impl StatedEnd {
    fn problem(&self) -> Option<&'static str> {
        ends_problem(&self.subject, &self.relation, &self.object)
    }
}

fn ends_problem(subject: &Mention, relation: &str, object: &Mention) -> Option<&'static str> {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if relation.is_empty() || !relation.chars().all(is_word) {
        Some("the relation is not in English snake case")
    } else if relation.len() > RELATION_CHARS_MAX {
        Some("the relation is too long")
    } else if subject.is_person() && object.is_person() {
        Some("subject and object are both the user")
    } else {
        subject.problem().or_else(|| object.problem())
    }
}

/// Reads a date or a time as models write them: `2026`, `2026-03`, `2026-03-01`, or a time with or
/// without an offset, which is then UTC. A date is its beginning.
pub fn parse_when(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(at) = Timestamp::parse(text) {
        return Some(at);
    }
    let whole = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        _ => text.to_owned(),
    };
    let at = match whole.parse::<jiff::civil::DateTime>() {
        Ok(time) => time,
        Err(_) => whole.parse::<jiff::civil::Date>().ok()?.at(0, 0, 0, 0),
    };
    let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some(Timestamp::from_millis(at.as_millisecond()))
}

mod when {
    use serde::de::Error as _;

    use super::{Deserialize as _, Deserializer, Serializer, Timestamp, parse_when};

    #[expect(clippy::ref_option, reason = "the form that serde calls")]
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => to.collect_str(at),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
        parse_when(&text).map(Some).ok_or_else(|| D::Error::custom("not a date"))
    }
}

/// The JSON Schema of an answer. In its strict form, as endpoints want it: every member is required and
/// none is added. Lengths are said in words, for endpoints refuse strict schemas that bound texts, and make
/// grammars of enormous size of bounded lists. They are held to when the answer is read.
pub fn schema() -> Value {
    let kinds: Vec<_> = EntityKind::ALL.into_iter().map(EntityKind::as_str).collect();
    let at_most = |max: usize| format!("at most {max} characters");
    let text = |max: usize| json!({ "type": "string", "description": at_most(max) });
    let maybe = |what: String| json!({ "type": ["string", "null"], "description": what });
    let object = |members: Value| {
        let required: Vec<_> =
            members.as_object().into_iter().flatten().map(|(name, _)| name).collect();
        json!({
            "type": "object", "required": required, "properties": members,
            "additionalProperties": false,
        })
    };
    let mention = object(json!({
        "name": text(NAME_CHARS_MAX),
        "kind": { "type": "string", "enum": kinds },
        "hint": maybe(at_most(HINT_CHARS_MAX)),
    }));
    let relation = text(RELATION_CHARS_MAX);
    let date = maybe("an ISO 8601 date or time".to_owned());
    let fact = object(json!({
        "subject": mention, "relation": relation, "object": mention,
        "sentence": text(SENTENCE_CHARS_MAX), "from": date, "until": date,
        "exclusive": { "type": "boolean" },
    }));
    let end = object(json!({
        "subject": mention, "relation": relation, "object": mention, "when": date,
    }));
    object(json!({
        "facts": { "type": "array", "items": fact, "description": format!("at most {FACTS_MAX}") },
        "ended": { "type": "array", "items": end, "description": format!("at most {ENDED_MAX}") },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact() -> Value {
        json!({
            "subject": { "name": "user", "kind": "person", "hint": null },
            "relation": "lives_in",
            "object": { "name": "Lisbon", "kind": "place", "hint": null },
            "sentence": "The user lives in Lisbon.",
            "from": "2026-03-01", "until": null, "exclusive": true,
        })
    }

    fn end() -> Value {
        json!({
            "subject": { "name": "user", "kind": "person", "hint": null },
            "relation": "has_pet",
            "object": { "name": "Rex", "kind": "animal", "hint": "dog" },
            "when": "2026-05-02",
        })
    }

    fn read(facts: &[Value], ended: &[Value]) -> Result<ReadExtraction, ExtractionError> {
        Extraction::read(&json!({ "facts": facts, "ended": ended }).to_string())
    }

    fn with(name: &str, value: impl Into<Value>) -> Value {
        let mut fact = fact();
        *fact.pointer_mut(name).expect("a member") = value.into();
        fact
    }

    #[test]
    fn an_answer_is_read_and_writes_as_it_was() {
        let found = read(&[fact()], &[end()]).expect("it reads");
        assert_eq!(found.problems, Vec::<String>::new());
        let stated = &found.extraction.facts[0];
        assert!(stated.subject.is_person() && stated.exclusive && stated.until.is_none());
        assert_eq!(stated.from, Timestamp::parse("2026-03-01T00:00:00Z"));
        assert_eq!(found.extraction.ended[0].object.hint.as_deref(), Some("dog"));
        let written = serde_json::to_string(&found.extraction).expect("it writes");
        assert_eq!(Extraction::read(&written).expect("it reads").extraction, found.extraction);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let not = Err(ExtractionError::NotAnObject);
        for text in [
            "",
            "I found no facts.",
            "[]",
            "{}",
            "null",
            "{\"facts\":[]}",
            "{\"facts\":",
            "{\"facts\":{},\"ended\":[]}",
            "{\"facts\":[],\"ended\":[],\"note\":\"x\"}",
            "```json\n{\"facts\":[],\"ended\":[]}\n```",
        ] {
            assert_eq!(Extraction::read(text), not, "{text}");
        }
        let deep = format!("{{\"facts\":{}{},\"ended\":[]}}", "[".repeat(9_000), "]".repeat(9_000));
        assert_eq!(Extraction::read(&deep), not);
        let long = format!("{{\"facts\":[],\"ended\":[]}}{}", " ".repeat(ANSWER_BYTES_MAX));
        assert_eq!(Extraction::read(&long), Err(ExtractionError::TooLong));
        assert!(Extraction::read(&long[..ANSWER_BYTES_MAX]).is_ok());
    }

    #[test]
    fn an_answer_holds_what_it_may_and_no_more() {
        assert!(read(&vec![fact(); FACTS_MAX], &vec![end(); ENDED_MAX]).is_ok());
        assert_eq!(read(&vec![fact(); FACTS_MAX + 1], &[]), Err(ExtractionError::TooMuch));
        assert_eq!(read(&[], &vec![end(); ENDED_MAX + 1]), Err(ExtractionError::TooMuch));
    }

    #[test]
    fn a_part_that_does_not_fit_is_named_without_its_words_and_the_others_stay() {
        let canary = "c4n4ry";
        let long = |max: usize| canary.repeat(max)[..=max].to_owned();
        for wrong in [
            with("/sentence", " "),
            with("/sentence", long(SENTENCE_CHARS_MAX)),
            with("/relation", long(RELATION_CHARS_MAX)),
            with("/relation", format!("Lives in {canary}")),
            with("/relation", ""),
            with("/subject/name", " \u{a0}"),
            with("/object/name", long(NAME_CHARS_MAX)),
            with("/object/hint", long(HINT_CHARS_MAX)),
            with("/object/name", " USER "),
            with("/subject/kind", canary),
            with("/from", canary),
            with("/until", "2025-01-01"),
            with("/exclusive", canary),
            json!({ canary: canary }),
            json!(canary),
        ] {
            let found = read(&[wrong.clone(), fact()], &[wrong.clone(), end()]).expect("it reads");
            assert_eq!(
                (found.extraction.facts.len(), found.extraction.ended.len()),
                (1, 1),
                "{wrong}"
            );
            assert_eq!(found.problems.len(), 2, "{wrong}: {:?}", found.problems);
            assert!(!found.problems.concat().contains(canary), "{:?}", found.problems);
        }
        let problems = read(&vec![json!(1); FACTS_MAX], &[]).expect("it reads").problems;
        assert_eq!(problems.len(), PROBLEMS_MAX);
    }

    #[test]
    fn what_is_just_short_enough_fits() {
        for right in [
            with("/sentence", "é".repeat(SENTENCE_CHARS_MAX)),
            with("/relation", "r".repeat(RELATION_CHARS_MAX)),
            with("/subject/name", "é".repeat(NAME_CHARS_MAX)),
            with("/object/hint", "é".repeat(HINT_CHARS_MAX)),
            with("/until", "2026-03-01"),
            with("/from", ""),
        ] {
            assert_eq!(read(&[right], &[]).expect("it reads").problems, Vec::<String>::new());
        }
    }

    #[test]
    fn dates_are_read_as_models_write_them() {
        for (text, at) in [
            ("2026", "2026-01-01T00:00:00Z"),
            ("2026-03", "2026-03-01T00:00:00Z"),
            (" 2026-03-02 ", "2026-03-02T00:00:00Z"),
            ("2026-03-02T10:30", "2026-03-02T10:30:00Z"),
            ("2026-03-02T10:30:00+02:00", "2026-03-02T08:30:00Z"),
        ] {
            assert_eq!(parse_when(text), Timestamp::parse(at), "{text}");
        }
        for wrong in ["soon", "20", "2026-13", "2026-02-30", "99999", "last May", "-1"] {
            assert_eq!(parse_when(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_schema_asks_for_every_member_it_knows() {
        let schema = schema();
        let fact = &schema["properties"]["facts"]["items"];
        assert_eq!(fact["required"].as_array().map(Vec::len), Some(7));
        assert_eq!(fact["additionalProperties"], false);
        let text = schema.to_string();
        for refused in ["maxLength", "maxItems", "minLength", "default"] {
            assert!(!text.contains(refused), "a strict schema may not say {refused}");
        }
        assert_eq!(fact["properties"]["subject"]["required"], json!(["hint", "kind", "name"]));
    }
}
