//! Facts and entities as they are shown: under names that hold across all memories of a person.

use epilogue_core::{
    AgentId, Timestamp,
    memory::{BEGINNING, Entity, EntityId, EntityKind, fact_name},
};
use epilogue_storage::KnownFact;

use super::PersonMemory;
use crate::memory::{RecalledFact, Source};

/// How the person is called among the ends of facts.
const PERSON: &str = "user";

/// One end of a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The entity's name among all that is shown. `None`: this memory does not tell.
    pub entity: Option<String>,
    /// How it is called.
    pub name: String,
}

/// Somebody or something that facts are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownEntity {
    /// Its name among all that is shown.
    pub id: String,
    /// Which agent knows it.
    pub agent: Option<AgentId>,
    /// How it is called; `user` is the person.
    pub name: String,
    /// What it is.
    pub kind: EntityKind,
    /// What tells it from another of the same name.
    pub hint: Option<String>,
    /// When it was last spoken of. `None`: the person, of whom everything speaks.
    pub mentioned_at: Option<Timestamp>,
}

/// Who put a fact in the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCorrection {
    /// The fact that it replaces.
    pub supersedes: String,
    /// With which credential.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A fact.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownFact {
    /// Its name among all that is known of the person.
    pub id: String,
    /// Which agent knows it.
    pub agent: Option<AgentId>,
    /// Of whom or what.
    pub subject: End,
    /// How both belong together.
    pub relation: String,
    /// The other end.
    pub object: End,
    /// The fact in words.
    pub sentence: String,
    /// Since when it has been true in the world. `None`: nobody knows.
    pub valid_from: Option<Timestamp>,
    /// Until when. `None`: it still is.
    pub valid_until: Option<Timestamp>,
    /// When we learned it.
    pub learned_at: Timestamp,
    /// When we learned that it is over.
    pub unlearned_at: Option<Timestamp>,
    /// The conversations it comes from, the latest first.
    pub sources: Vec<Source>,
    /// Who put it in the place of another.
    pub correction: Option<ShownCorrection>,
    /// The fact that has been put in its place.
    pub superseded_by: Option<String>,
    /// How well it fits what was asked for, if anything was.
    pub score: Option<f64>,
}

impl PersonMemory {
    pub(super) fn entity_name(&self, id: EntityId) -> String {
        format!("{}-e{}", self.scope.short(), id.0)
    }

    pub(super) fn entity(&self, entity: Entity) -> ShownEntity {
        ShownEntity {
            id: self.entity_name(entity.id),
            agent: self.agent.clone(),
            name: entity.name,
            kind: entity.kind,
            hint: entity.hint,
            mentioned_at: Some(entity.mentioned_at),
        }
    }

    /// The person, who is an entity of every memory and written down in none.
    pub(super) fn person(&self) -> ShownEntity {
        ShownEntity {
            id: self.entity_name(EntityId::PERSON),
            agent: self.agent.clone(),
            name: PERSON.to_owned(),
            kind: EntityKind::Person,
            hint: None,
            mentioned_at: None,
        }
    }

    /// A fact of the store.
    pub(super) fn known(&self, known: KnownFact, score: Option<f64>) -> ShownFact {
        let KnownFact { view, correction, superseded_by } = known;
        let fact = view.fact;
        let end = |id, name| End { entity: Some(self.entity_name(id)), name };
        let source = |source: epilogue_storage::FactSource| Source {
            session: Some(source.session),
            at: source.told_at,
        };
        ShownFact {
            id: fact_name(&self.scope, fact.id),
            agent: self.agent.clone(),
            subject: end(fact.subject, view.subject),
            relation: fact.relation,
            object: end(fact.object, view.object),
            sentence: fact.sentence,
            valid_from: Some(fact.valid_from).filter(|from| *from > BEGINNING),
            valid_until: fact.valid_until,
            learned_at: fact.learned_at,
            unlearned_at: fact.unlearned_at,
            sources: view.sources.into_iter().map(source).collect(),
            correction: correction.map(|made| ShownCorrection {
                supersedes: fact_name(&self.scope, made.supersedes),
                by: made.by,
                at: made.at,
            }),
            superseded_by: superseded_by.map(|id| fact_name(&self.scope, id)),
            score,
        }
    }

    /// A fact of a memory that is elsewhere.
    pub(super) fn recalled(&self, fact: RecalledFact, is_asked: bool) -> ShownFact {
        ShownFact {
            id: format!("{}-{}", self.scope.short(), fact.id),
            agent: self.agent.clone(),
            subject: End { entity: None, name: fact.subject },
            relation: fact.relation,
            object: End { entity: None, name: fact.object },
            sentence: fact.sentence,
            valid_from: fact.valid_from,
            valid_until: fact.valid_until,
            learned_at: fact.learned_at,
            unlearned_at: fact.unlearned_at,
            sources: fact.sources,
            correction: None,
            superseded_by: None,
            score: is_asked.then_some(fact.score),
        }
    }
}
