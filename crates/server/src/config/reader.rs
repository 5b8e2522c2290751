//! Turns a table into typed sections. It differs from a plain TOML reader in its errors: they say
//! where and what as data, and never carry a value, which might be a secret.

use std::fmt;

use serde::{
    Deserializer,
    de::{
        Expected, IntoDeserializer, Unexpected, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use toml::Value;

use super::path::{KeyPath, Segment};

/// Why a table is not a configuration.
#[derive(Debug)]
pub struct Fault {
    /// The way to the key or its table, the innermost first.
    way: Vec<Segment>,
    /// What is wrong there.
    pub kind: FaultKind,
}

/// What is wrong with a key.
#[derive(Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// There is no such key.
    UnknownKey {
        /// The key.
        key: String,
        /// The keys that there are.
        known: &'static [&'static str],
    },
    /// A key that must be there is not.
    MissingKey(&'static str),
    /// Something else was expected.
    WrongType {
        /// What was found, without its value.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A word that is not among the possible ones.
    UnknownWord(&'static [&'static str]),
    /// Anything else.
    Other(String),
}

impl Fault {
    /// Where it is. For unknown and missing keys: their table.
    pub fn path(&self) -> KeyPath {
        KeyPath::new(self.way.iter().rev().cloned().collect())
    }

    /// Some types repeat a text they cannot read. It might be a secret.
    fn without(mut self, text: &str) -> Self {
        if let FaultKind::Other(message) = &mut self.kind
            && !text.is_empty()
        {
            *message = message.replace(&format!(": {text:?}"), "").replace(text, "…");
        }
        self
    }

    fn under(mut self, segment: Option<Segment>) -> Self {
        self.way.extend(segment);
        self
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Self { way: Vec::new(), kind }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.path(), self.kind)
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        FaultKind::Other(message.to_string()).into()
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        FaultKind::WrongType { found: kind_of(&found), expected: expected.to_string() }.into()
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        FaultKind::UnknownWord(known).into()
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        FaultKind::UnknownKey { key: key.to_owned(), known }.into()
    }

    fn missing_field(key: &'static str) -> Self {
        FaultKind::MissingKey(key).into()
    }
}

/// What kind of value was found. Numbers are shown, texts are not: they may be secret.
fn kind_of(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Float(number) => number.to_string(),
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a table".into(),
        _ => "a text".into(),
    }
}

/// A value and the last part of the way to it.
#[derive(Debug)]
pub struct Node {
    value: Value,
    segment: Option<Segment>,
}

impl Node {
    /// The root of a configuration.
    pub fn root(table: toml::Table) -> Self {
        Self { value: Value::Table(table), segment: None }
    }

    fn child(segment: Segment, value: Value) -> Self {
        Self { value, segment: Some(segment) }
    }
}

fn visit<'de, V: Visitor<'de>>(value: Value, visitor: V) -> Result<V::Value, Fault> {
    match value {
        Value::String(text) => {
            let shown = text.clone();
            visitor.visit_string(text).map_err(|fault: Fault| fault.without(&shown))
        }
        Value::Integer(number) => visitor.visit_i64(number),
        Value::Float(number) => visitor.visit_f64(number),
        Value::Boolean(value) => visitor.visit_bool(value),
        Value::Datetime(at) => visitor.visit_string(at.to_string()),
        Value::Array(items) => {
            let items = items.into_iter().enumerate();
            let nodes = items.map(|(index, value)| Node::child(Segment::Index(index), value));
            visitor.visit_seq(SeqDeserializer::new(nodes))
        }
        Value::Table(table) => {
            let nodes = table
                .into_iter()
                .map(|(key, value)| (key.clone(), Node::child(Segment::Key(key), value)));
            visitor.visit_map(MapDeserializer::new(nodes))
        }
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Self { value, segment } = self;
        visit(value, visitor).map_err(|fault| fault.under(segment))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let segment = self.segment.clone();
        // The inner value has its own place on record; a complaint of the wrapper has none yet.
        visitor
            .visit_newtype_struct(self)
            .map_err(|fault| if fault.way.is_empty() { fault.under(segment) } else { fault })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Self { value, segment } = self;
        match value {
            Value::String(word) => {
                visitor.visit_enum(IntoDeserializer::<Fault>::into_deserializer(word))
            }
            other => visit(other, NoWord).map(|never| match never {}),
        }
        .map_err(|fault: Fault| fault.under(segment))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl IntoDeserializer<'_, Fault> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Accepts nothing, so that a value in the place of a word gets the usual complaint.
struct NoWord;

impl Visitor<'_> for NoWord {
    type Value = std::convert::Infallible;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::{Deserialize, de::DeserializeOwned};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read for its errors")]
    struct Sample {
        list: Vec<Inner>,
        secret: Option<u32>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read for its errors")]
    struct Inner {
        word: Word,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Yes,
        No,
    }

    fn fault<T: DeserializeOwned + fmt::Debug>(text: &str) -> (String, FaultKind) {
        let table = text.parse().expect("TOML");
        let fault = T::deserialize(Node::root(table)).expect_err("a fault");
        (fault.path().to_string(), fault.kind)
    }

    #[test]
    fn a_fault_names_its_place_and_what_would_be_right() {
        let unknown = FaultKind::UnknownKey { key: "wrod".into(), known: &["word"] };
        assert_eq!(fault::<Sample>("list = [{ wrod = 1 }]"), ("list[0]".into(), unknown));
        let word = FaultKind::UnknownWord(&["yes", "no"]);
        assert_eq!(fault::<Sample>("list = [{ word = 'x' }]"), ("list[0].word".into(), word));
        let missing = FaultKind::MissingKey("word");
        assert_eq!(fault::<Sample>("list = [{ word = 'yes' }, {}]"), ("list[1]".into(), missing));
        let (path, kind) = fault::<Sample>("list = [{ word = 1 }]");
        assert_eq!(path, "list[0].word");
        assert!(matches!(kind, FaultKind::WrongType { .. }), "{kind:?}");
    }

    #[test]
    fn a_fault_never_carries_a_text() {
        let (path, kind) = fault::<Sample>("list = []\nsecret = 'whsec_1'");
        assert_eq!(path, "secret");
        assert!(!format!("{kind:?}").contains("whsec_1"));
        let (_, kind) = fault::<HashMap<String, url::Url>>("a = 'hook?token=1'");
        assert!(matches!(&kind, FaultKind::Other(text) if !text.contains("token")), "{kind:?}");
    }
}
