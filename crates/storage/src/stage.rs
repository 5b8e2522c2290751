//! Decisions about sessions that are seen and heard.

use async_trait::async_trait;
use epilogue_core::{ConnectionId, NodeId, OrgId, Session, SessionId, Timestamp};

use crate::Result;

/// A stage that a node has set for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeStage {
    /// The tenant.
    pub org: OrgId,
    /// The session.
    pub session: SessionId,
    /// The stage.
    pub stage: ConnectionId,
    /// The node that has it.
    pub node: NodeId,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeStageOutcome {
    /// The session lives by a stage of that node, this one or one that it had there before.
    Taken(Box<Session>),
    /// It has ended, or a deadline of its has passed.
    Over,
    /// This organization has no such session.
    NoSession,
}

/// Something that was said on a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteSaid {
    /// The tenant.
    pub org: OrgId,
    /// The session.
    pub session: SessionId,
    /// The turn that it goes on with. `None`: it begins one.
    pub turn: Option<u32>,
    /// The words.
    pub text: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteSaidOutcome {
    /// It is in the transcript.
    Written {
        /// In this turn.
        turn: u32,
    },
    /// The session has ended, or a deadline of its has passed: nothing is written past the fence.
    Over,
    /// This organization has no such session.
    NoSession,
}

/// The durable decisions about sessions that are seen and heard.
#[async_trait]
pub trait StageStore: Send + Sync {
    /// Has a live session live by its stage from now on: if the node that has the stage goes, so does
    /// the session, by [`crate::ConnectionStore::lose_connections`].
    async fn take_stage(&self, request: TakeStage, now: Timestamp) -> Result<TakeStageOutcome>;

    /// Adds what was said to the transcript of a live session, and counts as activity. What goes on with
    /// the latest turn goes on with its message.
    async fn write_said(&self, request: WriteSaid, now: Timestamp) -> Result<WriteSaidOutcome>;
}
