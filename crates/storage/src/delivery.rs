//! The webhook log: what was told to whom, and what they answered.

use async_trait::async_trait;
use epilogue_core::{EventId, OrgId, SessionId, StepState, Timestamp};

use crate::{Page, PageRequest, Result};

/// One event on its way to one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The event's id, the same on every attempt.
    pub id: EventId,
    /// The session it tells of.
    pub session: SessionId,
    /// The event's name in the dialect's words, such as `chat.ended`.
    pub event: String,
    /// Where to.
    pub url: String,
    /// The exact bytes that were sent.
    pub body: String,
    /// When it was first attempted.
    pub created_at: Timestamp,
    /// Whether a receiver has accepted it.
    pub accepted_at: Option<Timestamp>,
    /// How many attempts were made.
    pub attempts: u32,
}

/// One attempt at a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The receiver's status; `None` if there was no answer.
    pub status: Option<u16>,
    /// What went wrong, if anything.
    pub error: Option<String>,
    /// The beginning of the receiver's answer.
    pub response: String,
}

/// Which deliveries a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Of this session.
    pub session: Option<SessionId>,
    /// Accepted or not yet.
    pub accepted: Option<bool>,
}

/// What became of a wish to send again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResendOutcome {
    /// It is due at once, with the same id and a fresh schedule.
    Due,
    /// It is being sent or is due already.
    Underway(StepState),
    /// This organization has no such delivery.
    NoDelivery,
}

/// The webhook log. Written by [`crate::StepStore::settle`], in the commit of the step's report.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// The organization's deliveries, the latest first.
    async fn list_deliveries(
        &self,
        org: &OrgId,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<Page<Delivery>>;

    /// One delivery with its attempts, oldest first.
    async fn delivery(
        &self,
        org: &OrgId,
        id: &EventId,
    ) -> Result<Option<(Delivery, Vec<DeliveryAttempt>)>>;

    /// Sends again: the step that told the event is owed anew. A session that is final stays so.
    async fn resend(
        &self,
        org: &OrgId,
        id: &EventId,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<ResendOutcome>;
}
