//! Reading parts of a document that its owner wrote, each fault with the path of the part.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use url::Url;

use super::super::error::Problem;

/// The longest URL, in characters.
pub const URL_CHARS_MAX: usize = 2_048;

/// A part of a document and the way to it. Absent parts and nulls read alike.
#[derive(Clone, Copy)]
pub(in super::super) struct Part<'a> {
    value: &'a Value,
    way: Option<&'a Way<'a>>,
}

/// A way from the root.
pub(in super::super) struct Way<'a> {
    before: Option<&'a Self>,
    name: String,
}

impl Way<'_> {
    fn path(&self) -> String {
        match self.before {
            Some(before) if self.name.starts_with('[') => {
                format!("{}{}", before.path(), self.name)
            }
            Some(before) => format!("{}.{}", before.path(), self.name),
            None => self.name.clone(),
        }
    }
}

impl<'a> Part<'a> {
    /// The root of a document.
    pub fn root(value: &'a Value) -> Self {
        Self { value, way: None }
    }

    /// The part's path.
    pub fn path(&self) -> String {
        self.way.map_or_else(|| "$".to_owned(), Way::path)
    }

    /// What is wrong with it.
    pub fn wrong(&self, problem: impl Into<String>) -> Problem {
        Problem::field(self.path(), problem)
    }

    /// Whether it is absent, null, or a blank text.
    pub fn is_empty(&self) -> bool {
        match self.value {
            Value::Null => true,
            Value::String(text) => text.trim().is_empty(),
            _ => false,
        }
    }

    /// Reads a member with `read`.
    pub fn member<T>(
        &self,
        name: &str,
        read: impl FnOnce(Part<'_>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let way = Way { before: self.way, name: name.to_owned() };
        let value = self.value.get(name).unwrap_or(&Value::Null);
        read(Part { value, way: Some(&way) })
    }

    /// Reads every item of a list that has at most `max`. Absent: none.
    pub fn items<T>(
        &self,
        max: usize,
        mut read: impl FnMut(Part<'_>) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        let items = match self.value {
            Value::Null => return Ok(Vec::new()),
            Value::Array(items) => items,
            _ => return Err(self.wrong("must be a list")),
        };
        if items.len() > max {
            return Err(self.wrong(format!("must have at most {max} items")));
        }
        let read = |(place, value): (usize, &Value)| {
            let way = Way { before: self.way, name: format!("[{place}]") };
            read(Part { value, way: Some(&way) })
        };
        items.iter().enumerate().map(read).collect()
    }

    /// An object. Absent: an empty one.
    pub fn object(&self) -> Result<Map<String, Value>, Problem> {
        match self.value {
            Value::Null => Ok(Map::new()),
            Value::Object(members) => Ok(members.clone()),
            _ => Err(self.wrong("must be an object")),
        }
    }

    /// A text.
    pub fn text(&self) -> Result<Option<String>, Problem> {
        match self.value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            _ => Err(self.wrong("must be a text")),
        }
    }

    /// A text of `min` to `max` characters, which must be there.
    pub fn name(&self, min: usize, max: usize) -> Result<String, Problem> {
        let text = self.text()?.unwrap_or_default();
        let chars = text.trim().chars().count();
        if chars < min || text.chars().count() > max {
            return Err(self.wrong(format!("must have {min} to {max} characters")));
        }
        Ok(text)
    }

    /// Yes or no.
    pub fn flag(&self, default: bool) -> Result<bool, Problem> {
        match self.value {
            Value::Null => Ok(default),
            Value::Bool(flag) => Ok(*flag),
            _ => Err(self.wrong("must be true or false")),
        }
    }

    /// A number within bounds.
    pub fn number(&self, least: f64, most: f64) -> Result<Option<f64>, Problem> {
        let wrong = || self.wrong(format!("must be a number from {least} to {most}"));
        match self.value {
            Value::Null => Ok(None),
            Value::Number(number) => {
                let number = number.as_f64().filter(|number| (least..=most).contains(number));
                number.map(Some).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }

    /// A whole number within bounds.
    pub fn whole(&self, least: u64, most: u64) -> Result<Option<u64>, Problem> {
        if self.value.is_null() {
            return Ok(None);
        }
        let number = self.value.as_u64().filter(|number| (least..=most).contains(number));
        let wrong = || self.wrong(format!("must be a whole number from {least} to {most}"));
        number.map(Some).ok_or_else(wrong)
    }

    /// An `http` or `https` address, which must be there.
    pub fn url(&self) -> Result<Url, Problem> {
        let text = self.text()?.unwrap_or_default();
        let read = Url::parse(text.trim()).ok().filter(|_| text.chars().count() <= URL_CHARS_MAX);
        let fits = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        read.filter(fits).ok_or_else(|| self.wrong("must be an http or https URL"))
    }

    /// Texts by name. Numbers and truth values are taken as they are written; absent: none.
    pub fn texts(&self) -> Result<BTreeMap<String, String>, Problem> {
        let text = |(name, value): (String, Value)| match value {
            Value::Null => Ok((name, String::new())),
            Value::String(text) => Ok((name, text)),
            Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
            _ => Err(self.wrong(format!("`{name}` must be a text"))),
        };
        self.object()?.into_iter().map(text).collect()
    }

    /// The value itself.
    pub fn value(&self) -> &Value {
        self.value
    }
}
