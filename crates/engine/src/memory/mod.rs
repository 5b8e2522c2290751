//! Long-term memory: a port, and the embedded store behind it.

mod embedded;

use async_trait::async_trait;
use epilogue_core::{MemoryScope, Message, OrgId, SessionId, Timestamp};

pub use self::embedded::EmbeddedMemory;

/// A conversation to be remembered.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// The tenant.
    pub org: OrgId,
    /// Whose memory, of whom.
    pub scope: MemoryScope,
    /// The conversation. Its key: remembering it twice changes nothing.
    pub session: SessionId,
    /// When it ended.
    pub at: Timestamp,
    /// Everything that was said, none left out.
    pub messages: Vec<Message>,
}

/// Why memory failed.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The store failed.
    #[error("the memory store failed")]
    Store(#[from] epilogue_storage::Error),
}

/// Remembers conversations and recalls them when the same person returns.
#[async_trait]
pub trait Memory: Send + Sync {
    /// Remembers a conversation. Harmless to repeat.
    async fn ingest(&self, conversation: Conversation) -> Result<(), MemoryError>;

    /// What is remembered, as text for the prompt. `None`: nothing.
    async fn recall(&self, org: &OrgId, scope: &MemoryScope)
    -> Result<Option<String>, MemoryError>;

    /// Forgets everything of a scope. Returns how many conversations there were.
    async fn forget(&self, org: &OrgId, scope: &MemoryScope) -> Result<u64, MemoryError>;
}
