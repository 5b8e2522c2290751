//! What is remembered of people: one episode per conversation.

use async_trait::async_trait;
use epilogue_core::{MemoryScope, OrgId, SessionId, Timestamp};

use crate::Result;

/// One conversation, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// Whose memory, of whom.
    pub scope: MemoryScope,
    /// The conversation. One episode each: telling it again changes nothing.
    pub session: SessionId,
    /// When it took place.
    pub at: Timestamp,
    /// Everything both sides said, a line each.
    pub text: String,
}

/// The episodes.
#[async_trait]
pub trait MemoryStore: Send + Sync {
    /// Remembers a conversation. `false`: it was remembered before.
    async fn remember(&self, org: &OrgId, episode: Episode) -> Result<bool>;

    /// The latest episodes of a scope, latest first.
    async fn recall(&self, org: &OrgId, scope: &MemoryScope, limit: u32) -> Result<Vec<Episode>>;

    /// Forgets everything of a scope. Returns how many episodes there were.
    async fn forget(&self, org: &OrgId, scope: &MemoryScope) -> Result<u64>;
}
