//! Whether an agent remembers.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Whether an agent remembers people. Written as `true`, `false` or `"read_only"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryMode {
    /// It knows nobody.
    #[default]
    Off,
    /// It recalls at open what is known and learns from each conversation.
    On,
    /// It recalls what is known, and its own conversations teach it nothing.
    ReadOnly,
}

impl MemoryMode {
    /// Whether what is known is recalled at open.
    pub const fn recalls(self) -> bool {
        matches!(self, Self::On | Self::ReadOnly)
    }

    /// Whether its conversations are remembered.
    pub const fn learns(self) -> bool {
        matches!(self, Self::On)
    }
}

/// As a switch.
impl From<bool> for MemoryMode {
    fn from(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

/// The first two as the switch they were before there was a third, so that stored agents stay equal.
impl Serialize for MemoryMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::On => serializer.serialize_bool(true),
            Self::ReadOnly => serializer.serialize_str("read_only"),
        }
    }
}

impl<'de> Deserialize<'de> for MemoryMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Switch(bool),
            Word(String),
        }
        match Written::deserialize(deserializer) {
            Ok(Written::Switch(on)) => Ok(on.into()),
            Ok(Written::Word(word)) if word == "read_only" => Ok(Self::ReadOnly),
            _ => Err(D::Error::custom("expected true, false or \"read_only\"")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_reads_and_writes_as_it_did_and_has_a_third_place() {
        for (text, mode) in [
            ("true", MemoryMode::On),
            ("false", MemoryMode::Off),
            ("\"read_only\"", MemoryMode::ReadOnly),
        ] {
            assert_eq!(serde_json::from_str::<MemoryMode>(text).expect("it reads"), mode);
            assert_eq!(serde_json::to_string(&mode).expect("it writes"), text);
        }
        for wrong in ["\"on\"", "1", "null", "\"readonly\""] {
            let error = serde_json::from_str::<MemoryMode>(wrong).expect_err(wrong).to_string();
            assert!(error.contains("true, false or \"read_only\""), "{error}");
        }
    }
}
