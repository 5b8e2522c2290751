//! Records as they are shown and asked for: the store's data types, without its decisions, so that
//! whoever speaks to clients can read and never decide.

pub use epilogue_storage::{
    AGENTS_MAX, ActivityCount, ActivityFilter, ActivityKind, ActivityOrder, ActivityText,
    AddIntegrationOutcome, AddNumberOutcome, AddTokenOutcome, AgentChange, AgentRecord, AgentWrite,
    AnalysisResult, BUCKETS_MAX, CARRIERS_MAX, Counts, Credential, CredentialKind, Cursor,
    DeleteAgentOutcome, Delivery, DeliveryAttempt, DeliveryFilter, EndReceipt, Episode,
    ErasureReport, HISTORY_MAX, HistoryEntry, HistoryPage, Hits, INTEGRATIONS_MAX, InboxCensus,
    KeyHash, LINE_MAX, LedgerRow, LiveBounds, LiveConversations, NUMBERS_MAX, OffsetPage,
    OpenedWithin, Organization, Page, PageRequest, Project, ProjectAgent, ProjectStats,
    PutCarrierOutcome, PutIntegrationOutcome, ReceiveOutcome, RecentFilter, RecentSessions,
    ResendOutcome, ResultFacets, ResultFilter, ResultHit, ResultOrder, ResultRecord, ResumeOutcome,
    RetryOutcome, Role, SKIP_MAX, SessionFilter, SessionName, StateFilter, StepFilter,
    SubscribeOutcome, TOKENS_MAX, TOTAL_MAX, TokenHolder, WORDS_MAX, WithTokens, WriteAgentOutcome,
    WriteProjectAgent, WriteProjectAgentOutcome, WriteVariablesOutcome,
};
