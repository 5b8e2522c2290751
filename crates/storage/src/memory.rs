//! What is remembered of people: one episode per conversation, and who is not to be remembered.

use async_trait::async_trait;
use epilogue_core::{MemoryScope, OrgId, Person, PersonKey, SessionId, Timestamp};

use crate::{ErasureReport, Result};

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

/// A conversation to be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberRequest {
    /// The conversation.
    pub episode: Episode,
    /// Of whom.
    pub person: PersonKey,
    /// When it began.
    pub began_at: Timestamp,
    /// Random bytes, for the words of a scope that is new.
    pub salt: [u8; 16],
}

/// What came of a conversation to be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RememberOutcome {
    /// It is remembered.
    Remembered,
    /// It was remembered before.
    KnownBefore {
        /// How many of its messages are in the graph.
        absorbed: u32,
    },
    /// The person was forgotten after it began: nothing is kept.
    Forgotten,
}

/// How many rows one decision of an erasure removes at the most; the next one goes on.
pub const ERASED_AT_ONCE: u32 = 2_000;

/// How many conversations one decision lets go of at the most.
pub const EXPIRED_AT_ONCE: u32 = 50;

/// How many transcripts one decision of an erasure removes at the most.
pub const TRANSCRIPTS_AT_ONCE: u32 = 20;

/// What one decision of an erasure did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureStep {
    /// What it removed.
    pub report: ErasureReport,
    /// Whether nothing more is there to be removed.
    pub done: bool,
}

/// The episodes, and the erasure of everything that is remembered.
#[async_trait]
pub trait MemoryStore: Send + Sync {
    /// Remembers a conversation, unless its person was forgotten after it began.
    async fn remember(&self, org: &OrgId, request: RememberRequest) -> Result<RememberOutcome>;

    /// The latest episodes of a scope, latest first.
    async fn recall(&self, org: &OrgId, scope: &MemoryScope, limit: u32) -> Result<Vec<Episode>>;

    /// Under which scopes a person is known.
    async fn scopes_of(&self, org: &OrgId, person: PersonKey) -> Result<Vec<MemoryScope>>;

    /// When a person was last forgotten.
    async fn forgotten_at(&self, org: &OrgId, person: PersonKey) -> Result<Option<Timestamp>>;

    /// Forgets a person, up to [`ERASED_AT_ONCE`] rows of them: everything of their scopes and of these
    /// ones, and what was recalled into their sessions. From the first such decision on nothing is
    /// remembered of a conversation that began before `now`.
    async fn erase_person(
        &self,
        org: &OrgId,
        person: &Person,
        scopes: &[MemoryScope],
        now: Timestamp,
    ) -> Result<ErasureStep>;

    /// Removes up to [`EXPIRED_AT_ONCE`] conversations that took place before then, with the facts that no
    /// later one tells of.
    async fn expire_memory(&self, org: &OrgId, before: Timestamp) -> Result<ErasureStep>;

    /// Removes up to [`TRANSCRIPTS_AT_ONCE`] of a person's transcripts, with everything else that was
    /// said in or about those sessions. Counters, cost and the ledger stay. Sessions that are not final
    /// are left alone and said to be so.
    async fn erase_transcripts(
        &self,
        org: &OrgId,
        person: &Person,
        now: Timestamp,
    ) -> Result<ErasureStep>;
}
