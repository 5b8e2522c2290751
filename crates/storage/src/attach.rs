//! Decisions about the connections that sessions live by.

use async_trait::async_trait;
use epilogue_core::{ConnectionId, NodeId, OrgId, Session, SessionId, Timestamp};

use crate::Result;

/// A connection that wants to take a session up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachRequest {
    /// The connection.
    pub connection: ConnectionId,
    /// Who it belongs to.
    pub holder: String,
    /// The node that serves it.
    pub node: NodeId,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachOutcome {
    /// The session is this connection's from now on, and no other's.
    Attached(Box<Session>),
    /// It has ended.
    Over(Box<Session>),
    /// There is no such session, it lives by no connection, or another's alone.
    NotYours,
}

/// What became of a connection that let its session go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DetachOutcome {
    /// The session is without a connection, and ends by itself then.
    Lost {
        /// When the timer has to look.
        due_at: Option<Timestamp>,
    },
    /// The session has ended, or is another connection's by now. Nothing changed.
    NotHeld,
}

/// The durable decisions about connections.
#[async_trait]
pub trait ConnectionStore: Send + Sync {
    /// Takes a session up.
    async fn attach(
        &self,
        org: &OrgId,
        id: SessionId,
        request: AttachRequest,
    ) -> Result<AttachOutcome>;

    /// Lets a session go, if it is this connection's: from now on its grace runs.
    async fn detach(
        &self,
        org: &OrgId,
        id: SessionId,
        connection: &ConnectionId,
        now: Timestamp,
    ) -> Result<DetachOutcome>;

    /// Lets the sessions go whose connections went with their nodes: all but those of `alive`.
    /// Returns how many.
    async fn lose_connections(&self, alive: &[NodeId], now: Timestamp) -> Result<u64>;
}
