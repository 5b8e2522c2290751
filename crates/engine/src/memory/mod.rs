//! Long-term memory: a port, and the embedded graph behind it.
//!
//! What the port promises, whoever is behind it: a conversation is remembered once, however often it
//! is handed over; what is recalled is dated and says where it comes from; and what a person wants
//! forgotten is gone, or the report says what is not.

mod embedded;
mod embeddings;
mod forget;
pub mod graphiti;
mod people;
mod recollection;
mod retention;

use async_trait::async_trait;
use epilogue_core::{
    MemoryScope, Message, OrgId, Person, SessionId, Span, Timestamp, agent::ModelSpec,
};
use epilogue_storage::{ErasureReport, Page, PageRequest};

pub use self::{
    embedded::EmbeddedMemory,
    embeddings::{Embeddings, EmbeddingsEndpoint, EndpointEmbeddings},
    people::{
        Correction, End, ExportPlace, Exported, MemoryGraph, MemoryQuestion, PersonMemory,
        ShownCorrection, ShownEntity, ShownFact, WhyBelieved,
    },
    recollection::{RecalledEpisode, RecalledFact, Recollection, Source},
    retention::Retention,
};
use crate::llm::ModelError;

/// A conversation to be remembered.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// The tenant.
    pub org: OrgId,
    /// Whose memory, of whom.
    pub scope: MemoryScope,
    /// Of whom.
    pub person: Person,
    /// The conversation. Its key: remembering it twice changes nothing.
    pub session: SessionId,
    /// When it began. What began before its person was forgotten is not remembered any more.
    pub began_at: Timestamp,
    /// When it ended.
    pub at: Timestamp,
    /// Everything that was said, none left out.
    pub messages: Vec<Message>,
    /// Who can say what follows from it. `None`: nobody, so that only the conversation itself is kept.
    pub model: Option<ModelSpec>,
    /// How long this attempt may take. What takes longer comes back unfinished.
    pub patience: Span,
}

/// What came of a conversation that was handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ingested {
    /// It is remembered, all of it. How much that was, in words that quote nothing.
    Remembered(String),
    /// It is on its way, and got further: hand it over again after a while. That is no failure, and uses
    /// up none of the attempts.
    Unfinished {
        /// How far it is, in words that quote nothing.
        detail: String,
        /// After how long.
        again_in: Span,
    },
    /// Its person has been forgotten since it began.
    Forgotten,
}

/// Whose memory is asked, and for what.
#[derive(Clone, Debug)]
pub struct RecallRequest {
    /// The tenant.
    pub org: OrgId,
    /// Whose memory, of whom.
    pub scope: MemoryScope,
    /// What it is about. `None`: whatever is worth knowing when the person returns.
    pub query: Option<String>,
    /// As of when: what was true then. `None`: whatever was ever true or is announced, and what is over
    /// after what is not.
    pub as_of: Option<Timestamp>,
    /// At most so many facts.
    pub limit: u32,
}

/// Who is to be forgotten.
#[derive(Clone, Debug)]
pub struct ForgetRequest {
    /// The tenant.
    pub org: OrgId,
    /// Who.
    pub person: Person,
    /// Every scope under which the person may be known here.
    pub scopes: Vec<MemoryScope>,
}

/// Why memory failed.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The store failed.
    #[error("the memory store failed")]
    Store(#[from] epilogue_storage::Error),
    /// The model that says what follows from a conversation failed.
    #[error("the model that reads conversations failed")]
    Model(#[source] ModelError),
    /// That model answered, several times, and never as it was asked to.
    #[error("the model gave no usable answer to messages {from} to {until}: {why}")]
    Answer {
        /// The first message of the chunk.
        from: u32,
        /// The one after its last.
        until: u32,
        /// What was wrong, in words that quote nothing.
        why: String,
    },
    /// A service behind the memory failed: its name and what happened, in words that quote nothing.
    #[error("{service} failed: {why}")]
    Service {
        /// Which one.
        service: &'static str,
        /// What happened.
        why: String,
        /// Whether trying again may help.
        is_passing: bool,
    },
}

impl MemoryError {
    /// Whether trying again may help.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Store(_) | Self::Answer { .. } => true,
            Self::Model(error) => error.is_passing(),
            Self::Service { is_passing, .. } => *is_passing,
        }
    }
}

/// How a memory is, as far as it depends on others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// It depends on nobody.
    #[default]
    Own,
    /// The service behind it stores what it takes, as far as has been seen.
    Well,
    /// The service takes what it is given and stores nothing.
    Stalled {
        /// When that was noticed.
        since: Timestamp,
    },
}

/// Remembers conversations and recalls what follows from them when the same person returns.
#[async_trait]
pub trait Memory: Send + Sync {
    /// Remembers a conversation. Harmless to repeat, also after a crash in the middle: what has been done
    /// is not done twice.
    async fn ingest(&self, conversation: Conversation) -> Result<Ingested, MemoryError>;

    /// What is remembered. `None`: nothing.
    async fn recall(&self, asked: &RecallRequest) -> Result<Option<Recollection>, MemoryError>;

    /// Every fact of a scope, the last told first.
    async fn list(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        page: &PageRequest,
    ) -> Result<Page<RecalledFact>, MemoryError>;

    /// Forgets a person wherever this memory keeps things outside the store, which
    /// [`crate::Engine::forget`] clears by itself before it asks. Harmless to repeat.
    async fn forget(&self, request: &ForgetRequest) -> Result<ErasureReport, MemoryError>;

    /// How it is.
    fn condition(&self) -> Condition {
        Condition::Own
    }

    /// Whether everything is kept in the store, where single facts can be looked at and put right.
    fn is_in_store(&self) -> bool {
        false
    }
}
