//! The people of the evaluation set: what they said, what is asked about it, and what a model answered.

use std::{fs, path::Path};

use epilogue_core::{
    Message, Role, Timestamp,
    memory::{Extraction, parse_when},
    message::NewMessage,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use crate::Result;

/// Questions are about the middle of a day.
const NOON: epilogue_core::Span = epilogue_core::Span::from_secs(12 * 3600);

/// One person.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The name of the file.
    #[serde(skip)]
    pub name: String,
    /// In which language most is said.
    pub language: String,
    /// What it is about.
    pub topics: Vec<String>,
    /// When the questions are asked.
    #[serde(deserialize_with = "day")]
    pub today: Timestamp,
    /// What was said, oldest first.
    pub sessions: Vec<Session>,
    /// What is asked.
    pub questions: Vec<Question>,
    /// What a model answered to each session, read by nobody but the memory.
    #[serde(skip)]
    pub answers: Vec<Value>,
}

/// One conversation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// When.
    #[serde(deserialize_with = "time")]
    pub at: Timestamp,
    /// What was said.
    pub messages: Vec<Said>,
}

/// One message.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// By the person.
    User(String),
    /// By the agent.
    Agent(String),
}

/// One question.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What is searched with.
    pub ask: String,
    /// Which day it asks about. `None`: today.
    #[serde(default, deserialize_with = "maybe_day")]
    pub as_of: Option<Timestamp>,
    /// The facts that must be recalled: what each has in it.
    #[serde(default)]
    pub expect: Vec<Vec<String>>,
    /// What must stand in no other fact.
    #[serde(default)]
    pub never: Vec<String>,
    /// Nothing is to be found.
    #[serde(default)]
    pub nothing: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answers {
    sessions: Vec<Value>,
}

impl Session {
    /// The conversation as a transcript.
    pub fn transcript(&self) -> Vec<Message> {
        let numbered = self.messages.iter().zip(0..);
        numbered
            .map(|(said, seq)| {
                let (role, text) = match said {
                    Said::User(text) => (Role::User, text),
                    Said::Agent(text) => (Role::Assistant, text),
                };
                Message { seq, turn: seq / 2 + 1, body: NewMessage::text(role, text, self.at) }
            })
            .collect()
    }
}

/// Reads the whole set, in order.
pub fn read(folder: &Path) -> Result<Vec<Case>> {
    let mut paths: Vec<_> = fs::read_dir(folder.join("people"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    paths.sort();
    paths.iter().map(|path| read_one(folder, path)).collect()
}

fn read_one(folder: &Path, path: &Path) -> Result<Case> {
    let wrong = |what: String| format!("{}: {what}", path.display());
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    let mut case: Case =
        toml::from_str(&fs::read_to_string(path)?).map_err(|error| wrong(error.to_string()))?;
    let answers = fs::read(folder.join("answers").join(format!("{name}.json")))?;
    let answers: Answers =
        serde_json::from_slice(&answers).map_err(|error| wrong(error.to_string()))?;
    if answers.sessions.len() != case.sessions.len() {
        return Err(wrong("there is not one answer for each session".into()).into());
    }
    for answer in &answers.sessions {
        let read =
            Extraction::read(&answer.to_string()).map_err(|error| wrong(error.to_string()))?;
        if !read.problems.is_empty() {
            return Err(wrong(read.problems.join(", ")).into());
        }
    }
    case.name = name;
    case.answers = answers.sessions;
    Ok(case)
}

fn time<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    parse_when(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no time")))
}

fn day<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Timestamp, D::Error> {
    Ok(time(from)? + NOON)
}

fn maybe_day<'de, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<Timestamp>, D::Error> {
    day(from).map(Some)
}

/// Where the set is.
pub fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("memory")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::memory::judge;

    fn said(case: &Case) -> String {
        let messages = case.sessions.iter().flat_map(|session| &session.messages);
        let texts = messages.map(|(Said::User(text) | Said::Agent(text))| text.as_str());
        judge::plain(&texts.collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn the_set_is_as_large_and_as_mixed_as_is_promised() {
        let cases = read(&folder()).expect("it reads");
        let questions = cases.iter().flat_map(|case| &case.questions);
        assert!(cases.len() >= 60 && questions.clone().count() >= 250);
        assert!(questions.clone().filter(|question| question.as_of.is_some()).count() >= 50);
        assert!(questions.filter(|question| question.nothing).count() >= 10);
        let languages: BTreeSet<_> = cases.iter().map(|case| case.language.as_str()).collect();
        for language in ["en", "de", "es", "fr", "pt", "hi", "hi-Latn", "ur", "ar", "ja", "zh"] {
            assert!(languages.contains(language), "{language}");
        }
    }

    #[test]
    fn every_person_speaks_more_than_once_in_order_and_is_asked_about() {
        for case in read(&folder()).expect("it reads") {
            let times: Vec<_> = case.sessions.iter().map(|session| session.at).collect();
            assert!((2..=6).contains(&times.len()), "{}", case.name);
            assert!(times.is_sorted() && times.last() < Some(&case.today), "{}", case.name);
            assert!(case.questions.len() >= 3 && !case.topics.is_empty(), "{}", case.name);
            let speaks = |session: &Session| {
                session
                    .messages
                    .iter()
                    .all(|(Said::User(text) | Said::Agent(text))| !text.is_empty())
                    && matches!(session.messages.first(), Some(Said::User(_)))
            };
            assert!(case.sessions.iter().all(speaks), "{}", case.name);
        }
    }

    #[test]
    fn each_question_says_what_is_expected_and_the_conversations_can_answer_it() {
        for case in read(&folder()).expect("it reads") {
            let said = said(&case);
            for question in &case.questions {
                let ask = format!("{}: {}", case.name, question.ask);
                assert_eq!(question.nothing, question.expect.is_empty(), "{ask}");
                // A sentence inflects and says "the user"; a name, a number or the stem of a word was said.
                let told = |strings: &Vec<String>| {
                    let plain = judge::plain(&strings.join(" "));
                    let words = plain.split([' ', '|', ',', '.']).filter(|word| !word.is_empty());
                    words
                        .map(|word| word.chars().take(4).collect::<String>())
                        .any(|stem| stem.chars().count() >= 2 && said.contains(&stem))
                };
                assert!(question.expect.iter().all(told), "{ask}");
            }
        }
    }
}
