//! Decisions about conversations on their way to a memory service.

use async_trait::async_trait;
use epilogue_core::{
    MemoryScope, NodeId, OrgId, PersonKey, SessionId, Timestamp,
    upload::{Progress, Upload},
};

use crate::Result;

/// A conversation to be put into its lane.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// The tenant.
    pub org: OrgId,
    /// The conversation.
    pub session: SessionId,
    /// The lane: whose memory, of whom.
    pub scope: MemoryScope,
    /// Of whom.
    pub person: PersonKey,
    /// When it began. What began before its person was forgotten is dropped at once.
    pub began_at: Timestamp,
    /// When it ended, which is its place in the lane.
    pub ended_at: Timestamp,
    /// When it may begin: a moment later than now, so that what ended before it and is put into the
    /// lane after it still goes first.
    pub due_at: Timestamp,
}

/// An organization that has uploads to go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueUploads {
    /// The tenant.
    pub org: OrgId,
    /// When its first upload is due.
    pub due_at: Timestamp,
}

/// A wish to go on with uploads.
#[derive(Clone, Debug)]
pub struct ClaimUploads {
    /// The tenant.
    pub org: OrgId,
    /// Who will work.
    pub node: NodeId,
    /// Until when that node is believed.
    pub lease_until: Timestamp,
    /// At most this many.
    pub limit: u32,
}

/// Who works on an upload.
#[derive(Clone, Debug)]
pub struct UploadClaim {
    /// The tenant.
    pub org: OrgId,
    /// The conversation.
    pub session: SessionId,
    /// The claim: the upload's `attempt` when it was claimed.
    pub attempt: u32,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadOutcome {
    /// It is written.
    Recorded,
    /// The lease was lost to a later claim, or the upload is settled. Nothing was written.
    LeaseLost,
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadReport {
    /// All of it has been found in the service. The next of its lane is due.
    Done(String),
    /// It goes on from then on.
    GoesOn {
        /// When.
        due_at: Timestamp,
    },
    /// It failed, and goes on from then on.
    Again {
        /// When.
        due_at: Timestamp,
        /// Why.
        detail: String,
    },
    /// It failed for the last time. The next of its lane is due.
    Park(String),
}

/// What of a lane was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedUploads {
    /// Conversations that were not through.
    pub conversations: u64,
    /// Messages of theirs that were sent and not found yet: the service may still show them.
    pub on_their_way: u64,
}

/// How uploads stand, for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadCensus {
    /// On their way.
    pub open: u64,
    /// Given up on.
    pub parked: u64,
    /// When the oldest of those on their way was put into its lane.
    pub oldest_at: Option<Timestamp>,
}

/// The durable decisions about uploads.
#[async_trait]
pub trait UploadStore: Send + Sync {
    /// Puts a conversation into its lane, once, and answers with how it stands.
    async fn enqueue_upload(&self, upload: NewUpload, now: Timestamp) -> Result<Upload>;

    /// How a conversation stands. `None`: it stands in no lane.
    async fn upload(&self, org: &OrgId, session: SessionId) -> Result<Option<Upload>>;

    /// Organizations with uploads due at `now` or earlier (a lease that has run out is due again),
    /// in their order, from after `after` on. A plain read.
    async fn due_uploads(
        &self,
        now: Timestamp,
        after: Option<&OrgId>,
        limit: u32,
    ) -> Result<Vec<DueUploads>>;

    /// When the next upload is due.
    async fn next_due_upload(&self) -> Result<Option<Timestamp>>;

    /// Leases due uploads of one organization, the longest due first: of a lane never more than one.
    async fn claim_uploads(&self, request: ClaimUploads, now: Timestamp) -> Result<Vec<Upload>>;

    /// Records how far an upload has come, and extends its lease. More messages than before confirmed:
    /// what failed before counts no more.
    async fn advance_upload(
        &self,
        claim: &UploadClaim,
        progress: Progress,
        lease_until: Timestamp,
    ) -> Result<UploadOutcome>;

    /// Records what an attempt came to. When the upload is at rest, the step that waits for it is due
    /// in the same commit.
    async fn settle_upload(
        &self,
        claim: &UploadClaim,
        report: UploadReport,
        now: Timestamp,
    ) -> Result<UploadOutcome>;

    /// Puts a parked upload back into its place, with a fresh schedule. `false`: it is not parked. The
    /// resumption of the step that waits for it does the same.
    async fn resume_upload(&self, org: &OrgId, session: SessionId, now: Timestamp) -> Result<bool>;

    /// Gives up on everything in a lane, because the person is forgotten, and forgets what has been
    /// through. The steps that wait for it are due in the same commit.
    async fn drop_uploads(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        now: Timestamp,
    ) -> Result<DroppedUploads>;

    /// Makes leases of nodes that are gone due at once: all but those of `alive`. Returns how many.
    async fn release_uploads(&self, alive: &[NodeId], now: Timestamp) -> Result<u64>;

    /// How uploads stand.
    async fn upload_census(&self) -> Result<UploadCensus>;
}
