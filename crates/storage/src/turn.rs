//! Decisions about turns.

use async_trait::async_trait;
use epilogue_core::{
    EndReason, Message, NodeId, OrgId, Session, SessionId, Timestamp, Usage,
    event::Activity,
    message::{NewMessage, Said},
    open_calls::Misfit,
    reason::Deadline,
    session::{Ended, TurnInFlight},
};
use serde_json::{Map, Value};

use crate::Result;

/// A turn to begin.
#[derive(Clone, Debug)]
pub struct BeginTurnRequest {
    /// The tenant.
    pub org: OrgId,
    /// The session.
    pub session: SessionId,
    /// Who will run it.
    pub node: NodeId,
    /// Until when that node is believed.
    pub lease_until: Timestamp,
    /// What is said to the agent. Where the session writes it later, it comes again with
    /// [`FinishTurnRequest::messages`], and what it used with the rest.
    pub messages: Vec<Said>,
    /// The caller's name for this turn: of one that is on record under it, the record is the answer.
    pub key: Option<String>,
    /// How much of the transcript to answer with, the new message included.
    pub history_max: u32,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum BeginTurnOutcome {
    /// It began. Where the session writes as it goes, what was said is in the transcript.
    Begun {
        /// The session as it is now.
        session: Box<Session>,
        /// The turn's number.
        number: u32,
        /// The end of the transcript.
        history: Vec<Message>,
        /// What was said, as it goes on from where the transcript stood.
        messages: Vec<Said>,
    },
    /// The key's turn is on record, whether or not the session has ended since. Nothing changed.
    OnRecord {
        /// The session as it is now.
        session: Box<Session>,
        /// What the turn added to the transcript.
        messages: Vec<Message>,
        /// How many of these, the first ones, were said to the agent.
        said: u32,
    },
    /// Another turn is running.
    Busy(TurnInFlight),
    /// A deadline has passed, though nobody has ended the session yet.
    Lapsed(Deadline),
    /// The session has ended.
    Over(Ended),
    /// The session follows an agent that is gone, or no longer one that writes. Nothing changed.
    NoAgent,
    /// What was said does not go on from where the transcript stands. Nothing changed.
    Misfit(Misfit),
    /// This organization has no such session.
    NoSession,
}

/// A turn to finish.
#[derive(Clone, Debug)]
pub struct FinishTurnRequest {
    /// The tenant.
    pub org: OrgId,
    /// The session.
    pub session: SessionId,
    /// The turn.
    pub number: u32,
    /// What it added to the transcript, in order. Must be valid for replay.
    pub messages: Vec<NewMessage>,
    /// How many of these, the first ones, were said to the agent.
    pub said: u32,
    /// What it used.
    pub usage: Usage,
    /// What the agent saved: it is laid over the session's bag, as far as that takes it.
    pub variables: Map<String, Value>,
    /// What it did that stands in the activity log, written whatever becomes of the turn.
    pub activity: Vec<Activity>,
    /// The name under which it can be asked for again.
    pub key: Option<String>,
    /// The turn is the session's last, and ends it for this reason.
    pub then_end: Option<EndReason>,
    /// The credential that asked for that, if one did.
    pub by: Option<String>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum FinishTurnOutcome {
    /// It is in the transcript, and if it was to end the session, the session has ended.
    Recorded(Box<Session>),
    /// The session ended first. Nothing was written.
    Fenced(Ended),
    /// The turn's lease had run out and another took its place. Nothing was written.
    Superseded,
    /// This organization has no such session.
    NoSession,
}

/// The durable decisions about turns.
#[async_trait]
pub trait TurnStore: Send + Sync {
    /// Begins a turn: takes the session's one place, counts as activity, and writes what was said if
    /// the session writes as it goes. Calls that are open are answered with it, or closed. A session whose configuration is live goes by
    /// its agent's latest version from here on.
    async fn begin_turn(
        &self,
        request: BeginTurnRequest,
        now: Timestamp,
    ) -> Result<BeginTurnOutcome>;

    /// Finishes a turn: writes what it added and used, frees the place, counts as activity, records
    /// the turn's key, and ends the session if it was the last: all or nothing.
    async fn finish_turn(
        &self,
        request: FinishTurnRequest,
        now: Timestamp,
    ) -> Result<FinishTurnOutcome>;

    /// Frees the places of turns whose nodes are gone: all but those of `alive`. Returns how many.
    async fn abandon_turns(&self, alive: &[NodeId], now: Timestamp) -> Result<u64>;
}
