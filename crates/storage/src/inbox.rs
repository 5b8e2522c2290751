//! Decisions about messages that people send, from when they are brought until they are answered.

use async_trait::async_trait;
use epilogue_core::{
    NodeId, OrgId, SessionId, Timestamp,
    texting::{Inbound, InboundId, InboundMessage},
};

use crate::{Page, PageRequest, Result};

/// How many messages may stand in one line. One person does not write more.
pub const LINE_MAX: u32 = 100;

/// How many messages of one organization may be on their way.
pub const INBOX_MAX: u32 = 10_000;

/// What became of a message that was brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveOutcome {
    /// It stands in its line.
    Received,
    /// It was brought before. Nothing changed.
    Known,
    /// [`LINE_MAX`] stand in its line, or [`INBOX_MAX`] in those of its organization.
    TooMany,
}

/// A carrier of one organization whose messages are due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueInbox {
    /// The tenant.
    pub org: OrgId,
    /// The carrier.
    pub carrier: String,
    /// When its first message is due.
    pub due_at: Timestamp,
}

/// A wish to work on messages.
#[derive(Clone, Debug)]
pub struct ClaimInbound {
    /// The tenant.
    pub org: OrgId,
    /// The carrier.
    pub carrier: String,
    /// Who will work.
    pub node: NodeId,
    /// Until when that node is believed.
    pub lease_until: Timestamp,
    /// At most this many messages.
    pub limit: u32,
}

/// Who works on a message.
#[derive(Clone, Debug)]
pub struct InboundClaim {
    /// The tenant.
    pub org: OrgId,
    /// The message.
    pub id: InboundId,
    /// The claim: the message's `attempt` when it was claimed.
    pub attempt: u32,
}

/// How far a message has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It belongs to this conversation.
    Session(SessionId),
    /// This is the answer, in parts.
    Reply(Vec<String>),
    /// The carrier has accepted the next part, and calls it so. Counts as activity of the session.
    Sent(String),
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboundOutcome {
    /// It is written.
    Recorded,
    /// The lease was lost to a later claim, or the message is settled. Nothing was written.
    LeaseLost,
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboundReport {
    /// The message is answered, or needs no answer: what was said is removed, the next of its line
    /// is due.
    Done(String),
    /// It failed and is owed again from then on.
    Again {
        /// When.
        due_at: Timestamp,
        /// Why.
        detail: String,
    },
    /// It was interrupted by no fault of its own, and is owed again at once.
    Interrupted,
    /// It failed for the last time: the next of its line is due.
    Park(String),
}

/// What became of a wish to resume a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeOutcome {
    /// It is due at once, or as the last of its line if others stand there, with a fresh schedule.
    Resumed,
    /// It is not parked: nothing to resume.
    NotParked,
    /// This organization has no such message.
    NoMessage,
}

/// How messages stand, for metrics and health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboxCensus {
    /// On their way to an answer.
    pub open: u64,
    /// Given up on.
    pub parked: u64,
    /// When the oldest of those on their way was brought.
    pub oldest_at: Option<Timestamp>,
}

/// The durable decisions about messages.
#[async_trait]
pub trait InboxStore: Send + Sync {
    /// Takes a message in. Its name is its own: brought again, it is known.
    async fn receive(
        &self,
        org: &OrgId,
        inbound: Inbound,
        now: Timestamp,
    ) -> Result<ReceiveOutcome>;

    /// Carriers with a message due at `now` or earlier (a lease that has run out is due again), in
    /// the order of organization and carrier, from after `after` on. A plain read.
    async fn due_inboxes(
        &self,
        now: Timestamp,
        after: Option<&DueInbox>,
        limit: u32,
    ) -> Result<Vec<DueInbox>>;

    /// When the next message is due.
    async fn next_due_inbound(&self) -> Result<Option<Timestamp>>;

    /// Leases due messages of one carrier, the longest due first: of a line never more than one.
    async fn claim_inbound(
        &self,
        request: ClaimInbound,
        now: Timestamp,
    ) -> Result<Vec<InboundMessage>>;

    /// Records how far a message has come, and extends its lease.
    async fn advance_inbound(
        &self,
        claim: &InboundClaim,
        progress: Progress,
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<InboundOutcome>;

    /// Records what an attempt came to.
    async fn settle_inbound(
        &self,
        claim: &InboundClaim,
        report: InboundReport,
        now: Timestamp,
    ) -> Result<InboundOutcome>;

    /// Resumes a parked message.
    async fn resume_inbound(
        &self,
        org: &OrgId,
        id: &InboundId,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<ResumeOutcome>;

    /// Makes leases of nodes that are gone due at once: all but those of `alive`. Returns how many.
    async fn release_inbox(&self, alive: &[NodeId], now: Timestamp) -> Result<u64>;

    /// The organization's messages, the latest first: all, or those whose state has this word.
    async fn list_inbound(
        &self,
        org: &OrgId,
        state: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<InboundMessage>>;

    /// How messages stand.
    async fn inbox_census(&self) -> Result<InboxCensus>;
}
