//! Decisions about steps.

use async_trait::async_trait;
use epilogue_core::{
    NodeId, OrgId, SessionId, Step, StepId, StepKind, StepState, Timestamp,
    event::Activity,
    step::{Attempt, AttemptOutcome},
};
use serde_json::Value;

use crate::{Delivery, DeliveryAttempt, Page, PageRequest, Result, ResultRecord};

/// A lane of one organization that has due steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueLane {
    /// The tenant.
    pub org: OrgId,
    /// The lane.
    pub lane: String,
    /// When its first step is due.
    pub due_at: Timestamp,
}

/// A wish to work.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// The tenant.
    pub org: OrgId,
    /// The lane.
    pub lane: String,
    /// Who will work.
    pub node: NodeId,
    /// Until when that node is believed.
    pub lease_until: Timestamp,
    /// At most this many steps.
    pub limit: u32,
}

/// A step that is ours until the lease runs out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedStep {
    /// The step. Its `attempt` is the fencing token.
    pub step: Step,
    /// When it was claimed.
    pub claimed_at: Timestamp,
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepReport {
    /// The step is done.
    Done,
    /// There was nothing to do, for this reason.
    Skipped(String),
    /// It is owed again from then on: it failed, or it is not finished yet.
    Again {
        /// When.
        due_at: Timestamp,
    },
    /// It failed for the last time, for this reason.
    Park(String),
}

/// Something a step made, kept in the same commit as its report.
#[derive(Clone, Debug, PartialEq)]
pub enum Product {
    /// A filled-in form.
    Analysis(AnalysisResult),
    /// A webhook delivery and the attempt made at it.
    Delivery(Box<Delivery>, DeliveryAttempt),
    /// The conversation as it is searched, and its words.
    Result(Box<ResultRecord>, String),
    /// An entry in the activity log.
    Activity(Box<Activity>),
    /// Everything of the session that must not stay has been named for removal: messages,
    /// metadata, variables, recalled memory, delivered bodies.
    Purge,
}

/// A filled-in form.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalysisResult {
    /// Which form.
    pub form: String,
    /// A value or null for every label.
    pub values: Value,
    /// When it was filled in.
    pub at: Timestamp,
}

/// The report of an attempt.
#[derive(Clone, Debug)]
pub struct SettleRequest {
    /// The tenant.
    pub org: OrgId,
    /// The step.
    pub step: StepId,
    /// The claim that reports.
    pub attempt: u32,
    /// When it was claimed.
    pub started_at: Timestamp,
    /// What it came to.
    pub report: StepReport,
    /// How that is recorded.
    pub outcome: AttemptOutcome,
    /// What was done, or what went wrong. Never message text.
    pub detail: String,
    /// What it made.
    pub products: Vec<Product>,
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettleOutcome {
    /// It is recorded.
    Recorded {
        /// Whether this was the session's last step, so that it is final now.
        finalized: bool,
        /// The steps that waited for this one and are due now.
        released: Vec<StepKind>,
    },
    /// The lease was lost to a later claim. Nothing was written.
    LeaseLost,
}

/// What became of a wish to resume a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryOutcome {
    /// It is due at once, with a fresh schedule.
    Resumed,
    /// It is not parked: nothing to resume.
    NotParked(StepState),
    /// This organization has no such step.
    NoStep,
}

/// Which steps a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepFilter {
    /// In this state, one of [`StepState::WORDS`]. Absent: any.
    pub state: Option<String>,
}

/// How steps stand, for metrics and health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepCensus {
    /// Owed or leased. A step that waits is not counted: it waits for one that is, or is parked.
    pub owed: u64,
    /// Parked.
    pub parked: u64,
    /// When the oldest of them was first owed.
    pub oldest_owed_at: Option<Timestamp>,
}

/// The durable decisions about steps.
#[async_trait]
pub trait StepStore: Send + Sync {
    /// Lanes with a step due at `now` or earlier (a lease that has run out is due again), in the
    /// order of organization and lane, from after `after` on. A plain read.
    async fn due_lanes(
        &self,
        now: Timestamp,
        after: Option<&DueLane>,
        limit: u32,
    ) -> Result<Vec<DueLane>>;

    /// When the next step is due.
    async fn next_due_step(&self) -> Result<Option<Timestamp>>;

    /// Leases due steps of one lane, the longest due first. A step found under a lease that has
    /// run out gets an `interrupted` attempt on record.
    async fn claim(&self, request: ClaimRequest, now: Timestamp) -> Result<Vec<ClaimedStep>>;

    /// Records what an attempt came to, with what it made; releases the steps that waited for it;
    /// and makes the session final when nothing is owed any more.
    async fn settle(&self, request: SettleRequest, now: Timestamp) -> Result<SettleOutcome>;

    /// Records what an attempt came to, and claims what its worker may do next. A backend that can
    /// does both in one commit. Nothing is claimed by a worker that has lost its lease.
    async fn settle_and_claim(
        &self,
        request: SettleRequest,
        next: ClaimRequest,
        now: Timestamp,
    ) -> Result<(SettleOutcome, Vec<ClaimedStep>)> {
        let outcome = self.settle(request, now).await?;
        let claimed = match outcome {
            SettleOutcome::Recorded { .. } => self.claim(next, now).await?,
            SettleOutcome::LeaseLost => Vec::new(),
        };
        Ok((outcome, claimed))
    }

    /// Resumes a parked step.
    async fn retry(
        &self,
        org: &OrgId,
        step: StepId,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<RetryOutcome>;

    /// Makes leases of nodes that are gone due at once: all but those of `alive`. Returns how many.
    async fn release_leases(&self, alive: &[NodeId], now: Timestamp) -> Result<u64>;

    /// The organization's steps, the latest owed first.
    async fn list_steps(
        &self,
        org: &OrgId,
        filter: &StepFilter,
        page: &PageRequest,
    ) -> Result<Page<Step>>;

    /// One session's steps with their attempts, in the order of their kinds.
    async fn steps_of(&self, org: &OrgId, session: SessionId) -> Result<Vec<(Step, Vec<Attempt>)>>;

    /// One session's filled-in forms.
    async fn analyses_of(&self, org: &OrgId, session: SessionId) -> Result<Vec<AnalysisResult>>;

    /// How steps stand.
    async fn step_census(&self) -> Result<StepCensus>;
}
