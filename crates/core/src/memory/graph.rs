//! The parts of the graph.

use serde::{Deserialize, Serialize};

use crate::{person::MemoryScope, time::Timestamp};

/// Since when something has been true of which nobody knows the beginning.
pub const BEGINNING: Timestamp = Timestamp::from_millis(-62_135_596_800_000);

/// An entity within what one agent remembers of one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntityId(pub u32);

impl EntityId {
    /// The person whose memory it is. Called "user" by everybody who speaks of it.
    pub const PERSON: Self = Self(0);
}

/// A fact within what one agent remembers of one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FactId(pub u32);

/// How a fact is called where several of a person's memories meet.
pub fn fact_name(scope: &MemoryScope, fact: FactId) -> String {
    format!("{}-{}", scope.short(), fact.0)
}

/// What an entity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// Somebody.
    Person,
    /// Somewhere.
    Place,
    /// A company, an office, a club.
    Organization,
    /// A pet, for example.
    Animal,
    /// Something one can have.
    Thing,
    /// Something that happens.
    Event,
    /// A colour, an amount, a taste.
    Value,
    /// None of these.
    Other,
}

impl EntityKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Person,
        Self::Place,
        Self::Organization,
        Self::Animal,
        Self::Thing,
        Self::Event,
        Self::Value,
        Self::Other,
    ];

    /// The stored and published word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Place => "place",
            Self::Organization => "organization",
            Self::Animal => "animal",
            Self::Thing => "thing",
            Self::Event => "event",
            Self::Value => "value",
            Self::Other => "other",
        }
    }

    /// The kind with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether one of either kind may be the same one.
    pub fn fits(self, other: Self) -> bool {
        self == other || self == Self::Other || other == Self::Other
    }
}

/// Somebody or something that facts are about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// Which one.
    pub id: EntityId,
    /// Its name as it was first written.
    pub name: String,
    /// What it is.
    pub kind: EntityKind,
    /// What tells it from another of the same name.
    pub hint: Option<String>,
    /// When it was last spoken of.
    pub mentioned_at: Timestamp,
}

/// Something that is, or was, true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Which one.
    pub id: FactId,
    /// Of whom or what.
    pub subject: EntityId,
    /// How subject and object belong together, such as `lives_in`.
    pub relation: String,
    /// The other end.
    pub object: EntityId,
    /// The fact in words.
    pub sentence: String,
    /// Whether a subject has one object at a time for this relation.
    pub exclusive: bool,
    /// Since when it has been true in the world; [`BEGINNING`]: nobody knows.
    pub valid_from: Timestamp,
    /// Until when, not included. `None`: it still is. The same as `valid_from`: it never was, as far as
    /// is known now.
    pub valid_until: Option<Timestamp>,
    /// When we learned it.
    pub learned_at: Timestamp,
    /// When we learned that it is over.
    pub unlearned_at: Option<Timestamp>,
    /// When it was last said.
    pub told_at: Timestamp,
}

impl Fact {
    /// Whether it was true in the world at that time, as far as is known now.
    pub fn is_valid_at(&self, at: Timestamp) -> bool {
        self.valid_from <= at && self.valid_until.is_none_or(|until| at < until)
    }

    /// Whether it was true in the world at `at`, as far as was known at `known`.
    pub fn was_valid_at(&self, at: Timestamp, known: Timestamp) -> bool {
        let ended =
            self.valid_until.filter(|_| self.unlearned_at.is_none_or(|learned| learned <= known));
        self.learned_at <= known && self.valid_from <= at && ended.is_none_or(|until| at < until)
    }
}

/// The numbers that are free next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// For an entity; the first is taken by the person.
    pub entities: u32,
    /// For a fact.
    pub facts: u32,
}

impl Default for Counters {
    fn default() -> Self {
        Self { entities: 1, facts: 0 }
    }
}

/// When something was said, and when we take note of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// When it was said.
    pub at: Timestamp,
    /// Now.
    pub learned_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_seen_as_of_the_world_and_as_of_what_was_known() {
        let at = Timestamp::from_millis;
        let fact = Fact {
            id: FactId(0),
            subject: EntityId::PERSON,
            relation: "lives_in".into(),
            object: EntityId(1),
            sentence: "The user lives in Ulm.".into(),
            exclusive: true,
            valid_from: at(10),
            valid_until: Some(at(20)),
            learned_at: at(12),
            unlearned_at: Some(at(30)),
            told_at: at(12),
        };
        assert_eq!([9, 10, 19, 20].map(|t| fact.is_valid_at(at(t))), [false, true, true, false]);
        assert!(!fact.was_valid_at(at(15), at(11)), "not learned yet");
        assert!(fact.was_valid_at(at(25), at(29)), "nobody knew that it was over");
        assert!(!fact.was_valid_at(at(25), at(30)));
    }

    #[test]
    fn kinds_have_words_and_the_unknown_one_fits_all() {
        for kind in EntityKind::ALL {
            assert_eq!(EntityKind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).expect("it writes"), kind.as_str());
            assert!(kind.fits(EntityKind::Other) && EntityKind::Other.fits(kind));
        }
        assert!(!EntityKind::Person.fits(EntityKind::Place));
    }
}
