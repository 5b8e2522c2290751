//! What an operator sees of what is known of somebody, and does about it: look at all of it, correct one
//! fact, remove one fact.

use async_trait::async_trait;
use epilogue_core::{
    MemoryScope, OrgId, Timestamp,
    event::Activity,
    memory::{Entity, EntityId, FactCorrection, FactId, Impossible},
};

use crate::{Episode, FactView, Page, PageRequest, Result};

/// A fact with all that is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFact {
    /// The fact, its ends and its sources.
    pub view: FactView,
    /// Who put it in the place of another. `None`: nobody, it was told.
    pub correction: Option<CorrectedBy>,
    /// The fact that has been put in its place.
    pub superseded_by: Option<FactId>,
}

/// Who put a fact in the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectedBy {
    /// The fact that it replaces. It may have been removed since.
    pub supersedes: FactId,
    /// With which credential.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A fact is to be corrected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectFactRequest {
    /// The tenant.
    pub org: OrgId,
    /// Whose memory, of whom.
    pub scope: MemoryScope,
    /// Which fact.
    pub fact: FactId,
    /// What is corrected about it.
    pub correction: FactCorrection,
    /// With which credential.
    pub by: Option<String>,
}

/// What came of a correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorrectFactOutcome {
    /// This fact has taken its place.
    Corrected(FactId),
    /// There is no such fact.
    Unknown,
    /// Another has taken its place before.
    Superseded(FactId),
    /// It cannot be like that.
    Impossible(Impossible),
}

/// The operator's part of the graph.
#[async_trait]
pub trait CurationStore: Send + Sync {
    /// All facts, or those that were true at `as_of`, the last told first; each with up to `sources_max`
    /// sources.
    async fn known_facts(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        as_of: Option<Timestamp>,
        sources_max: u32,
        page: &PageRequest,
    ) -> Result<Page<KnownFact>>;

    /// These facts, in this order; those that are gone are left out.
    async fn pick_facts(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        facts: &[FactId],
    ) -> Result<Vec<KnownFact>>;

    /// These entities, in this order; those that are gone are left out, and so is the person.
    async fn pick_entities(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        entities: &[EntityId],
    ) -> Result<Vec<Entity>>;

    /// All entities, the first one known first.
    async fn list_entities(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        page: &PageRequest,
    ) -> Result<Page<Entity>>;

    /// All conversations that are remembered, the latest first.
    async fn list_episodes(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        page: &PageRequest,
    ) -> Result<Page<Episode>>;

    /// Puts another fact in the place of one, which is closed, and writes that down in the activity log.
    async fn correct_fact(
        &self,
        request: CorrectFactRequest,
        now: Timestamp,
    ) -> Result<CorrectFactOutcome>;

    /// Removes a fact for good, with entities of which nothing else is known, and writes that down in the
    /// activity log. `false`: there is no such fact.
    async fn drop_fact(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        fact: FactId,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<bool>;

    /// Writes down that a person was forgotten.
    async fn note_erasure(&self, org: &OrgId, entry: Activity) -> Result<()>;
}
