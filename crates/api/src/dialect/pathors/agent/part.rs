//! Reading parts of a document: each knows its name, by which it is complained about.

use serde_json::{Map, Value, json};

use super::super::error::Error;

/// A part of a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    name: &'a str,
    value: &'a Value,
}

impl<'a> Part<'a> {
    /// A part of this name. One that lies deeper has the whole way in its name.
    pub fn new(name: &'a str, value: &'a Value) -> Self {
        Self { name, value }
    }

    /// The refusal of this part, in words that go on from its name.
    pub fn wrong(&self, what: impl std::fmt::Display) -> Error {
        let message = format!("{} {what}", self.name);
        Error::bad(message).with_details(json!({ "field": self.name }))
    }

    pub fn is_null(&self) -> bool {
        self.value.is_null()
    }

    pub fn flag(&self) -> Result<bool, Error> {
        self.value.as_bool().ok_or_else(|| self.wrong("must be true or false"))
    }

    /// A text of so many characters.
    pub fn text(&self, least: usize, most: usize) -> Result<&'a str, Error> {
        let text = self.value.as_str().filter(|text| {
            let count = text.chars().count();
            (least..=most).contains(&count)
        });
        text.ok_or_else(|| self.wrong(format!("must be a text of {least} to {most} characters")))
    }

    /// One of these words.
    pub fn word(&self, words: &[&str]) -> Result<&'a str, Error> {
        let word = self.value.as_str().filter(|word| words.contains(word));
        word.ok_or_else(|| self.wrong(format!("must be one of {}", words.join(", "))))
    }

    /// A list of at most so many items.
    pub fn items(&self, most: usize) -> Result<&'a [Value], Error> {
        let items = self.value.as_array().filter(|items| items.len() <= most);
        let items = items.ok_or_else(|| self.wrong(format!("must be a list of at most {most}")))?;
        Ok(items)
    }

    /// A list of at most so many different texts, each of at most so many characters.
    pub fn texts(&self, most: usize, chars: usize) -> Result<Vec<String>, Error> {
        let mut texts: Vec<String> = Vec::new();
        for item in self.items(most)? {
            let text = Part::new(self.name, item).text(1, chars)?;
            if texts.iter().all(|other| other != text) {
                texts.push(text.to_owned());
            }
        }
        Ok(texts)
    }

    pub fn members(&self) -> Result<&'a Map<String, Value>, Error> {
        self.value.as_object().ok_or_else(|| self.wrong("must be an object"))
    }
}

/// A member that is there and not null.
pub(super) fn given<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).filter(|value| !value.is_null())
}
