//! Invented lives, as many as are wanted: what conversations tell of a person, and what is asked of it.

use epilogue_core::{
    Message, Role, Timestamp,
    memory::{EntityKind, Extraction, Mention, StatedFact},
    message::NewMessage,
};
use epilogue_engine::ids::Ids;

/// Verbs, the relation of each, and whether somebody has only one such thing at a time.
const VERBS: [(&str, &str, bool); 24] = [
    ("lives near", "lives_near", true),
    ("works for", "works_for", true),
    ("is engaged to", "engaged_to", true),
    ("drives", "drives", true),
    ("likes", "likes", false),
    ("dislikes", "dislikes", false),
    ("bought", "bought", false),
    ("sold", "sold", false),
    ("repairs", "repairs", false),
    ("visited", "visited", false),
    ("knows", "knows", false),
    ("teaches", "teaches", false),
    ("studies", "studies", false),
    ("collects", "collects", false),
    ("manages", "manages", false),
    ("recommends", "recommends", false),
    ("plans to see", "plans_to_see", false),
    ("is afraid of", "afraid_of", false),
    ("wrote about", "wrote_about", false),
    ("cooks for", "cooks_for", false),
    ("plays with", "plays_with", false),
    ("is allergic to", "allergic_to", false),
    ("dreams of", "dreams_of", false),
    ("borrowed", "borrowed", false),
];

/// What names are made of.
const SYLLABLES: [&str; 40] = [
    "ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "qui", "ro", "su",
    "ta", "ve", "wi", "xo", "yu", "bran", "cor", "dal", "fen", "gor", "hel", "jun", "kas", "lin",
    "mor", "nes", "pol", "rik", "sal", "tor", "vin", "wes", "yar", "zel", "ost",
];

/// What something is like.
const QUALITIES: [&str; 24] = [
    "old", "green", "quiet", "wooden", "famous", "broken", "northern", "cheap", "bright", "sour",
    "royal", "hidden", "frozen", "golden", "noisy", "narrow", "gentle", "foreign", "modern",
    "dusty", "silver", "round", "local", "early",
];

/// What there is.
const THINGS: [&str; 40] = [
    "bridge",
    "piano",
    "bakery",
    "garden",
    "boat",
    "library",
    "kitchen",
    "camera",
    "horse",
    "museum",
    "bicycle",
    "choir",
    "mountain",
    "recipe",
    "school",
    "lamp",
    "river",
    "theatre",
    "jacket",
    "island",
    "clinic",
    "orchard",
    "guitar",
    "airport",
    "festival",
    "puppet",
    "market",
    "novel",
    "harbour",
    "engine",
    "cousin",
    "neighbour",
    "dentist",
    "painting",
    "castle",
    "violin",
    "stadium",
    "village",
    "parrot",
    "workshop",
];

/// How many people and places somebody speaks of.
const NAMES_OF_A_PERSON: usize = 400;

/// How many messages a conversation has.
pub const MESSAGES: usize = 12;

/// Somebody who is invented as they speak.
#[derive(Debug)]
pub struct Invented<'a> {
    chance: &'a Ids,
    names: Vec<String>,
}

impl<'a> Invented<'a> {
    /// Somebody new.
    pub fn new(chance: &'a Ids) -> Self {
        let mut invented = Self { chance, names: Vec::new() };
        invented.names = (0..NAMES_OF_A_PERSON).map(|_| invented.name()).collect();
        invented
    }

    /// What a part of a conversation tells: two of five facts are about the person.
    pub fn extraction(&self, facts: usize) -> Extraction {
        Extraction { facts: (0..facts).map(|_| self.fact()).collect(), ended: Vec::new() }
    }

    /// A conversation, told at `at`.
    pub fn messages(&self, at: Timestamp) -> Vec<Message> {
        let said = (0..MESSAGES).zip(0..).map(|(place, seq)| {
            let role = if place % 2 == 0 { Role::User } else { Role::Assistant };
            let text = format!("{} And {}", self.fact().sentence, self.fact().sentence);
            Message { seq, turn: seq / 2 + 1, body: NewMessage::text(role, text, at) }
        });
        said.collect()
    }

    /// Something that is asked about the person: of what is told often, or of a name.
    pub fn question(&self) -> String {
        let (verb, ..) = *self.pick(&VERBS);
        match self.below(4) {
            0 => format!(
                "What does the user say about the {} {}?",
                self.pick(&QUALITIES),
                self.pick(&THINGS)
            ),
            1 => format!("Who {verb} a {}?", self.pick(&THINGS)),
            2 => format!("What do you know about {}?", self.pick(&self.names)),
            _ => format!(
                "Is it {} who {verb} the {}, or the user?",
                self.pick(&self.names),
                self.pick(&THINGS)
            ),
        }
    }

    fn fact(&self) -> StatedFact {
        let (verb, relation, exclusive) = *self.pick(&VERBS);
        let is_person = self.below(5) < 2;
        let subject = if is_person { "user" } else { self.pick(&self.names) };
        let object = format!(
            "{} {} of {}",
            self.pick(&QUALITIES),
            self.pick(&THINGS),
            self.pick(&self.names)
        );
        let who = if is_person { "The user" } else { subject };
        let mention = |name: &str, kind| Mention { name: name.to_owned(), kind, hint: None };
        StatedFact {
            sentence: format!("{who} {verb} the {object}."),
            subject: mention(subject, EntityKind::Person),
            relation: relation.to_owned(),
            object: mention(&object, EntityKind::Thing),
            from: None,
            until: None,
            exclusive,
        }
    }

    fn name(&self) -> String {
        let name: String = (0..3).map(|_| *self.pick(&SYLLABLES)).collect();
        name[..1].to_uppercase() + &name[1..]
    }

    fn pick<'b, T>(&self, from: &'b [T]) -> &'b T {
        &from[self.below(from.len())]
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a fraction of a small number"
    )]
    fn below(&self, bound: usize) -> usize {
        ((self.chance.fraction() * bound as f64) as usize).min(bound - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_invented_life_is_as_a_model_may_tell_it_and_hardly_repeats_itself() {
        let chance = Ids::seeded(1);
        let extraction = Invented::new(&chance).extraction(60);
        let text = serde_json::to_string(&extraction).expect("it is JSON");
        let read = Extraction::read(&text).expect("it reads");
        assert_eq!((read.extraction.facts.len(), read.problems), (60, vec![]));
        let sentences: BTreeSet<_> = extraction.facts.iter().map(|fact| &fact.sentence).collect();
        assert!(sentences.len() >= 58, "{}", sentences.len());
        let again = Ids::seeded(1);
        assert_eq!(Invented::new(&again).extraction(60), extraction);
    }
}
