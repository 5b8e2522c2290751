//! What is remembered. One trait per aggregate, each method one durable *decision*: a transaction
//! that takes the time and answers with a named outcome. `Ok` means: on disk, whatever happens next.
//!
//! There is no transaction object that lives across awaits. That is what lets the embedded backend
//! commit many callers' decisions with one disk sync, and PostgreSQL do each in one round trip. The
//! rules inside a decision are `epilogue-core`'s; a backend reads, asks, writes.
//!
//! Every method takes the organization, except those that find work (`due_*`, `*_census`) or find
//! out which organization a credential belongs to.

mod activity;
mod agent;
mod attach;
mod carrier;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod curation;
mod delivery;
mod directory;
mod erasure;
mod error;
mod graph;
mod history;
mod inbox;
mod integration;
mod ledger;
mod memory;
mod page;
mod project_agent;
mod result;
mod session;
pub mod sqlite;
mod stage;
mod step;
mod subscription;
#[cfg(test)]
mod suites;
mod turn;
mod upload;

pub use activity::{
    ActivityCount, ActivityFilter, ActivityKind, ActivityOrder, ActivityStore, ActivityText,
    ENTRIES_SEARCHED_MAX,
};
pub use agent::{
    AGENTS_MAX, AgentChange, AgentRecord, AgentStore, AgentWrite, DeleteAgentOutcome,
    WriteAgentOutcome,
};
pub use attach::{AttachOutcome, AttachRequest, ConnectionStore, DetachOutcome};
pub use carrier::{AddNumberOutcome, CARRIERS_MAX, CarrierStore, NUMBERS_MAX, PutCarrierOutcome};
pub use curation::{CorrectFactOutcome, CorrectFactRequest, CorrectedBy, CurationStore, KnownFact};
pub use delivery::{Delivery, DeliveryAttempt, DeliveryFilter, DeliveryStore, ResendOutcome};
pub use directory::{
    Credential, CredentialKind, DirectoryStore, KeyHash, Organization, OrganizationConfig, Project,
    Role,
};
pub use erasure::{ErasureReport, Removed};
pub use error::{Error, Result};
pub use graph::{
    AbsorbOutcome, AbsorbRequest, FOUND_MAX, FactQuestion, FactSource, FactView, FoundFacts,
    GraphStore, QUESTION_WORDS_MAX, SOURCES_SHOWN, VECTORS_MAX, Vectors,
};
pub use history::{
    HISTORY_MAX, HistoryEntry, HistoryPage, HistoryStore, OpenedWithin, ProjectStats,
};
pub use inbox::{
    ClaimInbound, DueInbox, INBOX_MAX, InboundClaim, InboundOutcome, InboundReport, InboxCensus,
    InboxStore, LINE_MAX, Progress, ReceiveOutcome, ResumeOutcome,
};
pub use integration::{
    AddIntegrationOutcome, AddTokenOutcome, INTEGRATIONS_MAX, IntegrationStore,
    PutIntegrationOutcome, TOKENS_MAX, TokenHolder, WithTokens,
};
pub use ledger::{LedgerRow, LedgerStore, Mismatch};
pub use memory::{
    ERASED_AT_ONCE, EXPIRED_AT_ONCE, Episode, ErasureStep, MemoryStore, RememberOutcome,
    RememberRequest, TRANSCRIPTS_AT_ONCE,
};
pub use page::{Cursor, Page, PageRequest};
pub use project_agent::{
    ProjectAgent, ProjectAgentStore, WriteProjectAgent, WriteProjectAgentOutcome,
};
pub use result::{
    BUCKETS_MAX, Counts, Hits, OffsetPage, RESULTS_SEARCHED_MAX, ResultFacets, ResultFilter,
    ResultHit, ResultOrder, ResultRecord, ResultStore, SKIP_MAX, TOTAL_MAX, WORDS_MAX,
};
pub use session::{
    Admission, DueSession, EndReceipt, LiveBounds, LiveConversations, OpenOutcome, OpenRequest,
    RecentFilter, RecentSessions, SessionCensus, SessionFilter, SessionName, SessionStore,
    StateFilter, WriteVariables, WriteVariablesOutcome,
};
pub use stage::{StageStore, TakeStage, TakeStageOutcome, WriteSaid, WriteSaidOutcome};
pub use step::{
    AnalysisResult, ClaimRequest, ClaimedStep, DueLane, Product, RetryOutcome, SettleOutcome,
    SettleRequest, StepCensus, StepFilter, StepReport, StepStore,
};
pub use subscription::{GONE_STEPS_MAX, SubscribeOutcome, SubscriptionStore};
pub use turn::{
    BeginTurnOutcome, BeginTurnRequest, FinishTurnOutcome, FinishTurnRequest, TurnStore,
};
pub use upload::{
    ClaimUploads, DroppedUploads, DueUploads, NewUpload, UploadCensus, UploadClaim, UploadOutcome,
    UploadReport, UploadStore,
};

/// Everything a backend offers.
#[async_trait::async_trait]
pub trait Storage:
    SessionStore
    + TurnStore
    + ConnectionStore
    + StageStore
    + StepStore
    + SubscriptionStore
    + ProjectAgentStore
    + DeliveryStore
    + LedgerStore
    + DirectoryStore
    + MemoryStore
    + GraphStore
    + CurationStore
    + ActivityStore
    + AgentStore
    + IntegrationStore
    + CarrierStore
    + InboxStore
    + ResultStore
    + HistoryStore
    + UploadStore
    + Send
    + Sync
{
    /// Figures about the commits so far, for metrics.
    fn commit_stats(&self) -> CommitStats;

    /// Puts what is stored in order for whoever looks at it next. To be called when nothing more
    /// will be decided; whatever is decided all the same is as durable as before.
    async fn tidy(&self) -> Result<()>;
}

/// Figures about a backend's commits since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitStats {
    /// How many commits were made.
    pub commits: u64,
    /// How many decisions they carried.
    pub decisions: u64,
    /// How many decisions were turned away because the queue was full.
    pub shed: u64,
    /// For how long what was removed could not be taken out of the write-ahead log as well.
    pub log_overdue_ms: u64,
}
