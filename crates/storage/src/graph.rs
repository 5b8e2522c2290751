//! What is known of people, as a graph of facts. What becomes of it when more is told is decided by
//! `epilogue_core::memory`, inside the transaction.

use async_trait::async_trait;
use epilogue_core::{
    MemoryScope, OrgId, SessionId, Timestamp,
    memory::{Entity, EntityId, Extraction, Fact, FactId},
};

use crate::{Page, PageRequest, Result};

/// How many sources of a fact are shown with it.
pub const SOURCES_SHOWN: u32 = 5;

/// How many facts one search looks at for each way of finding them.
pub const FOUND_MAX: u32 = 64;

/// How many words of a question are searched.
pub const QUESTION_WORDS_MAX: usize = 32;

/// How many vectors one search compares, the last learned first.
pub const VECTORS_MAX: u32 = 20_000;

/// A part of a conversation, and what a model says follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct AbsorbRequest {
    /// Whose memory, of whom.
    pub scope: MemoryScope,
    /// The conversation.
    pub session: SessionId,
    /// The first message of the part: as many have been absorbed before it.
    pub from: u32,
    /// The message after its last.
    pub until: u32,
    /// When it was said.
    pub told_at: Timestamp,
    /// What follows from it.
    pub extraction: Extraction,
    /// What its sentences are like, one for each fact of the extraction. `None`: nobody says.
    pub vectors: Option<Vectors>,
}

/// What sentences are like.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    /// By which model. Those of another are never compared with these.
    pub model: String,
    /// A vector for each sentence.
    pub vectors: Vec<Vec<f32>>,
}

/// What came of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbsorbOutcome {
    /// It is in the graph.
    Absorbed {
        /// How many facts are new.
        learned: u32,
        /// How many were known, and were told again.
        confirmed: u32,
        /// How many are over now.
        closed: u32,
    },
    /// It is not the one that comes next. Nothing was done.
    Elsewhere {
        /// How many messages have been absorbed.
        absorbed: u32,
    },
    /// The conversation is not remembered any more. Nothing was done.
    Forgotten,
}

/// A fact with the names of its ends and its latest sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactView {
    /// The fact.
    pub fact: Fact,
    /// Its subject's name.
    pub subject: String,
    /// Its object's name.
    pub object: String,
    /// Where it comes from, the latest first, at most [`SOURCES_SHOWN`].
    pub sources: Vec<FactSource>,
}

/// Where a fact comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactSource {
    /// The conversation.
    pub session: SessionId,
    /// The first message of the part that says so.
    pub part: u32,
    /// When it was said.
    pub told_at: Timestamp,
}

/// What is looked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FactQuestion {
    /// The question's own words. Empty: whatever was told last.
    pub text: String,
    /// What the question is like, if that is known.
    pub vector: Option<(String, Vec<f32>)>,
    /// Facts that were true then. `None`: whenever they were.
    pub as_of: Option<Timestamp>,
}

/// Facts in the orders in which they were found, the best first, each order at most [`FOUND_MAX`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundFacts {
    /// By their words.
    pub by_words: Vec<FactId>,
    /// By what they are like.
    pub by_vector: Vec<FactId>,
    /// By how near they stand in the graph to what the question names, and to what was found.
    pub by_distance: Vec<FactId>,
    /// By when they were told; those that the others found, and the last ones.
    pub by_time: Vec<FactId>,
    /// All of them, in the order of their ids.
    pub facts: Vec<FactView>,
    /// The conversations whose words fit, the best first.
    pub episodes: Vec<SessionId>,
}

/// The graph.
#[async_trait]
pub trait GraphStore: Send + Sync {
    /// Puts a part of a conversation into the graph, once: only the part that comes next is taken.
    async fn absorb(
        &self,
        org: &OrgId,
        request: AbsorbRequest,
        now: Timestamp,
    ) -> Result<AbsorbOutcome>;

    /// How many messages of a conversation have been absorbed. `None`: it is not remembered.
    async fn absorbed(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        session: SessionId,
    ) -> Result<Option<u32>>;

    /// Looks for facts and conversations, in every way at once.
    async fn find_facts(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        question: &FactQuestion,
    ) -> Result<FoundFacts>;

    /// All facts, the last told first.
    async fn list_facts(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        page: &PageRequest,
    ) -> Result<Page<FactView>>;

    /// An entity, and the facts it stands in, at most [`FOUND_MAX`], the last told first.
    async fn entity(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        entity: EntityId,
    ) -> Result<Option<(Entity, Vec<FactView>)>>;

    /// Why a fact is believed: the fact, and the conversations it comes from, whole, the latest first, at
    /// most [`SOURCES_SHOWN`].
    async fn why(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        fact: FactId,
    ) -> Result<Option<(FactView, Vec<crate::Episode>)>>;
}
