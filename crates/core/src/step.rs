//! A step: one durable piece of finalization. It is owed, tried, and then done, skipped or parked.

use serde::{Deserialize, Serialize};

use crate::{
    id::{NodeId, OrgId, SessionId, StepId, SubscriptionId},
    time::Timestamp,
};

/// What a session can owe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Tell subscribers that the session has begun. The only step that is owed from the open on.
    NotifyStarted,
    /// Stop streams and media, free what they held.
    ReleaseMedia,
    /// Put the conversation into the person's long-term memory.
    IngestMemory,
    /// Fill in the agent's analysis forms.
    Analyze,
    /// Keep the conversation where it can be searched.
    RecordResult,
    /// Tell the agent's owner, or a subscriber, that the session has ended.
    NotifyEnded,
    /// Tell the agent's owner, or a subscriber, that everything has settled.
    NotifyFinalized,
    /// Remove what must not stay.
    Purge,
}

impl StepKind {
    /// Every kind, in the order they run where one needs another.
    pub const ALL: [Self; 8] = [
        Self::NotifyStarted,
        Self::ReleaseMedia,
        Self::IngestMemory,
        Self::Analyze,
        Self::RecordResult,
        Self::NotifyEnded,
        Self::NotifyFinalized,
        Self::Purge,
    ];

    /// The stored and published word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotifyStarted => "notify_started",
            Self::ReleaseMedia => "release_media",
            Self::IngestMemory => "ingest_memory",
            Self::Analyze => "analyze",
            Self::RecordResult => "record_result",
            Self::NotifyEnded => "notify_ended",
            Self::NotifyFinalized => "notify_finalized",
            Self::Purge => "purge",
        }
    }

    /// The kind with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether it tells a webhook something.
    pub const fn notifies(self) -> bool {
        self.event().is_some()
    }

    /// The event that it tells, as webhooks and subscriptions ask for it. What a receiver reads in the
    /// event itself are the words of its API.
    pub const fn event(self) -> Option<&'static str> {
        match self {
            Self::NotifyStarted => Some("session.started"),
            Self::NotifyEnded => Some("session.ended"),
            Self::NotifyFinalized => Some("session.finalized"),
            Self::ReleaseMedia
            | Self::IngestMemory
            | Self::Analyze
            | Self::RecordResult
            | Self::Purge => None,
        }
    }
}

/// One owed step of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The tenant.
    pub org: OrgId,
    /// The session that owes it.
    pub session: SessionId,
    /// What is owed.
    pub kind: StepKind,
    /// Which subscriber it tells. `None`: it tells none, or the agent's own webhook.
    pub target: Option<SubscriptionId>,
    /// What it needs to get through, such as one receiver. Steps of one lane share its capacity,
    /// so that a slow receiver delays nobody else's.
    pub lane: String,
    /// Where it stands.
    pub state: StepState,
    /// How often it has been claimed. Also the fencing token: only the latest claim may report.
    pub attempt: u32,
    /// How many attempts failed since it was owed or resumed.
    pub failures: u32,
    /// When it was first owed.
    pub owed_at: Timestamp,
}

impl Step {
    /// Its identity.
    pub fn id(&self) -> StepId {
        StepId { session: self.session, kind: self.kind, target: self.target }
    }
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StepState {
    /// Another step must settle first.
    Waiting,
    /// To be run from then on.
    Owed {
        /// When it is due.
        due_at: Timestamp,
    },
    /// A node is at it.
    Leased {
        /// Which.
        node: NodeId,
        /// Until when the node is believed.
        until: Timestamp,
    },
    /// It has been done.
    Done {
        /// When.
        at: Timestamp,
    },
    /// There turned out to be nothing to do.
    Skipped {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// Given up on, visibly, until someone resumes it.
    Parked {
        /// When.
        at: Timestamp,
        /// The last failure.
        reason: String,
    },
}

impl StepState {
    /// The words of [`Self::as_str`].
    pub const WORDS: [&str; 6] = ["waiting", "owed", "leased", "done", "skipped", "parked"];

    /// The stored and published word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Owed { .. } => "owed",
            Self::Leased { .. } => "leased",
            Self::Done { .. } => "done",
            Self::Skipped { .. } => "skipped",
            Self::Parked { .. } => "parked",
        }
    }

    /// Done or skipped: nothing more will happen.
    pub const fn is_settled(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Skipped { .. })
    }

    /// Settled, or waiting for a person.
    pub const fn is_at_rest(&self) -> bool {
        self.is_settled() || matches!(self, Self::Parked { .. })
    }
}

/// What became of one attempt, for the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The claim's number.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was reported, or found to have been interrupted.
    pub finished_at: Timestamp,
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// What was done, or what went wrong. Never message text.
    pub detail: String,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// The step is done.
    Done,
    /// There was nothing to do.
    Skipped,
    /// It got further and goes on later: no failure.
    Unfinished,
    /// It failed, and trying again may help.
    Failed,
    /// It failed, and trying again cannot help.
    Fatal,
    /// The node died or lost its lease; what it did is unknown.
    Interrupted,
}

impl AttemptOutcome {
    /// The stored and published word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Unfinished => "unfinished",
            Self::Failed => "failed",
            Self::Fatal => "fatal",
            Self::Interrupted => "interrupted",
        }
    }

    /// The outcome with this word.
    pub fn parse(word: &str) -> Option<Self> {
        let outcomes = [
            Self::Done,
            Self::Skipped,
            Self::Unfinished,
            Self::Failed,
            Self::Fatal,
            Self::Interrupted,
        ];
        outcomes.into_iter().find(|outcome| outcome.as_str() == word)
    }
}
