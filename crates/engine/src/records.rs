//! Records as they are shown and asked for: the store's data types, without its decisions, so that
//! whoever speaks to clients can read and never decide.

pub use epilogue_storage::{
    AnalysisResult, Credential, CredentialKind, Cursor, Delivery, DeliveryAttempt, DeliveryFilter,
    EndReceipt, KeyHash, LedgerRow, Organization, Page, PageRequest, RecentFilter, RecentSessions,
    ResendOutcome, RetryOutcome, Role, SessionFilter, SessionName, StateFilter, StepFilter,
};
