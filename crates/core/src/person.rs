//! Who the agent talks to, as far as memory is concerned.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::AgentId;

/// A person's identifier, normalised so that the same person is always written alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Person(String);

impl Person {
    /// The longest identifier, in bytes, before normalisation.
    pub const BYTES_MAX: usize = 4096;

    /// Trims, lowers the case, and writes Gmail addresses, whose dots and tags mean nothing, in
    /// their shortest form. `None` if nothing is left or it is longer than [`Self::BYTES_MAX`].
    pub fn new(identifier: &str) -> Option<Self> {
        if identifier.len() > Self::BYTES_MAX {
            return None;
        }
        let plain = identifier.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let person = match plain.split_once('@') {
            Some((mailbox, domain @ ("gmail.com" | "googlemail.com"))) => {
                let mailbox = mailbox.split('+').next().unwrap_or_default().replace('.', "");
                format!("{mailbox}@{domain}")
            }
            _ => plain,
        };
        (!person.is_empty()).then_some(Self(person))
    }

    /// The normalised identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of everything that is remembered of this person, whoever remembers it.
    pub fn key(&self) -> PersonKey {
        let mut digest = Sha256::new();
        digest.update(b"epilogue person\0");
        digest.update(&self.0);
        PersonKey(digest.finalize().into())
    }

    /// The key of what `agent` remembers of this person. A digest of the identifier itself, not
    /// of a sanitised form of it, so that no two people can share one.
    pub fn memory_scope(&self, agent: &AgentId) -> MemoryScope {
        let mut digest = Sha256::new();
        digest.update(agent.as_str().len().to_be_bytes());
        digest.update(agent.as_str());
        digest.update(&self.0);
        MemoryScope(hex::encode(digest.finalize()))
    }
}

/// A person's identifier as a digest: enough to find what belongs to them, and not who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonKey(pub [u8; 32]);

impl PersonKey {
    /// How many bytes of it are shown.
    const SHORT_BYTES: usize = 8;

    /// Its beginning: how it is shown where one person is to be told from another.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..Self::SHORT_BYTES])
    }
}

/// What one agent remembers of one person.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemoryScope(pub String);

impl MemoryScope {
    /// How much of it is shown, in characters: enough to tell apart what is known of one person.
    const SHORT_CHARS: usize = 16;

    /// Its beginning: how it is shown, and told from the others of the same person.
    pub fn short(&self) -> &str {
        self.0.get(..Self::SHORT_CHARS).unwrap_or(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(identifier: &str) -> Option<String> {
        Person::new(identifier).map(|person| person.0)
    }

    #[test]
    fn the_same_person_is_written_alike() {
        assert_eq!(person("  Ann@Example.COM "), person("ann@example.com"));
        assert_eq!(person("a.nn+shop@gmail.com"), person("ann@gmail.com"));
        assert_ne!(person("a.nn@example.com"), person("ann@example.com"));
        assert_eq!(person(" \t"), None);
    }

    #[test]
    fn length_at_the_limit_and_one_past_it() {
        assert!(person(&"x".repeat(Person::BYTES_MAX)).is_some());
        assert!(person(&"x".repeat(Person::BYTES_MAX + 1)).is_none());
    }

    #[test]
    fn nobody_shares_a_scope() {
        let scope = |agent: &str, who: &str| {
            Person::new(who).expect("a person").memory_scope(&AgentId::from(agent))
        };
        assert_ne!(scope("a", "a.b@x"), scope("a", "a_b@x"));
        assert_ne!(scope("a", "bc"), scope("ab", "c"));
        let key = |who: &str| Person::new(who).expect("a person").key();
        assert_eq!(key("ANN@x"), key(" ann@x "));
        assert_ne!(key("a.b@x"), key("a_b@x"));
    }
}
