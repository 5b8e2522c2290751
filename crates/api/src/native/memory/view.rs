//! Facts and their ends on the wire.

use epilogue_engine::memory::{End, ShownCorrection, ShownEntity, ShownFact, Source};
use serde::Serialize;
use utoipa::ToSchema;

/// Somebody or something that facts are about: a node of the graph.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct EntityView {
    /// Its id among all that is known of the person.
    #[schema(example = "5f0c6d1e2b3a4958-e1")]
    id: String,
    /// Which agent knows it; null: one that is not there any more.
    agent_id: Option<String>,
    /// How it is called; `user` is the person.
    #[schema(example = "Lisbon")]
    name: String,
    /// `person`, `place`, `organization`, `animal`, `thing`, `event`, `value` or `other`.
    #[schema(example = "place")]
    kind: &'static str,
    /// What tells it from another of the same name.
    hint: Option<String>,
    /// When it was last spoken of (RFC 3339, UTC); null: it is the person.
    mentioned_at: Option<String>,
}

impl From<ShownEntity> for EntityView {
    fn from(entity: ShownEntity) -> Self {
        Self {
            id: entity.id,
            agent_id: entity.agent.map(|agent| agent.to_string()),
            name: entity.name,
            kind: entity.kind.as_str(),
            hint: entity.hint,
            mentioned_at: entity.mentioned_at.map(|at| at.to_string()),
        }
    }
}

/// One end of a fact.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct EndView {
    /// The entity's id; null where this memory does not tell.
    entity_id: Option<String>,
    /// How it is called; `user` is the person.
    #[schema(example = "user")]
    name: String,
}

impl From<End> for EndView {
    fn from(End { entity, name }: End) -> Self {
        Self { entity_id: entity, name }
    }
}

/// Where a fact comes from.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct SourceView {
    /// The session; null where it is not known.
    session_id: Option<String>,
    /// When it was said (RFC 3339, UTC).
    at: String,
}

/// Who put a fact in the place of another.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct CorrectionView {
    /// The fact that it replaces. It may have been deleted since.
    supersedes: String,
    /// The key that did it; `operator` for the operator's key.
    by: Option<String>,
    /// When (RFC 3339, UTC).
    at: String,
}

impl From<ShownCorrection> for CorrectionView {
    fn from(ShownCorrection { supersedes, by, at }: ShownCorrection) -> Self {
        Self { supersedes, by, at: at.to_string() }
    }
}

/// A fact: an edge of the graph.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct FactView {
    /// Its id among all that is known of the person.
    #[schema(example = "5f0c6d1e2b3a4958-12")]
    id: String,
    /// Which agent knows it; null: one that is not there any more.
    agent_id: Option<String>,
    /// Of whom or what.
    subject: EndView,
    /// How both ends belong together.
    #[schema(example = "lives_in")]
    relation: String,
    /// The other end.
    object: EndView,
    /// The fact in words.
    #[schema(example = "The user lives in Lisbon.")]
    sentence: String,
    /// Since when it has been true in the world (RFC 3339, UTC); null: nobody knows.
    valid_from: Option<String>,
    /// Until when; null: it still is. The same as `valid_from`: it never was, as far as is known now.
    valid_until: Option<String>,
    /// When it was learned.
    learned_at: String,
    /// When it was learned that it is over; null: it is not.
    unlearned_at: Option<String>,
    /// The conversations that say so, the latest first; at most five, all of them in an export.
    sources: Vec<SourceView>,
    /// Who put it in the place of another; null: nobody, it was told.
    correction: Option<CorrectionView>,
    /// The fact that has been put in its place; null: none.
    superseded_by: Option<String>,
    /// How well it fits the query, comparable within one answer; null without a query.
    score: Option<f64>,
}

impl From<ShownFact> for FactView {
    fn from(fact: ShownFact) -> Self {
        let source = |source: Source| SourceView {
            session_id: source.session.map(|id| id.to_string()),
            at: source.at.to_string(),
        };
        Self {
            id: fact.id,
            agent_id: fact.agent.map(|agent| agent.to_string()),
            subject: fact.subject.into(),
            relation: fact.relation,
            object: fact.object.into(),
            sentence: fact.sentence,
            valid_from: fact.valid_from.map(|at| at.to_string()),
            valid_until: fact.valid_until.map(|at| at.to_string()),
            learned_at: fact.learned_at.to_string(),
            unlearned_at: fact.unlearned_at.map(|at| at.to_string()),
            sources: fact.sources.into_iter().map(source).collect(),
            correction: fact.correction.map(Into::into),
            superseded_by: fact.superseded_by,
            score: fact.score,
        }
    }
}
