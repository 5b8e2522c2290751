//! A session and the only ways it can change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    connection::Connection,
    endpoint::EndpointKey,
    id::{AgentId, Dialect, NodeId, OrgId, ProjectId, SessionId},
    money::MicroCredits,
    person::Person,
    profile::{Overdue, Profile},
    reason::{Deadline, DeadlineKind, EndCause, EndReason},
    staging::Staging,
    time::{Span, Timestamp},
    usage::Usage,
};

/// One conversation between a person and an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The tenant it belongs to.
    pub org: OrgId,
    /// Its identity in the core.
    pub id: SessionId,
    /// Which API opened it.
    pub dialect: Dialect,
    /// Its identity in that API's words. Unique within organization and dialect, unless it belongs
    /// to a project.
    pub dialect_id: String,
    /// The project it belongs to, in APIs that have such: names are unique within it, among its live
    /// sessions.
    pub project: Option<ProjectId>,
    /// The agent, and which version of it.
    pub agent: AgentVersion,
    /// Through which channel it runs, in APIs that have such.
    pub channel: Option<String>,
    /// The endpoint it belongs to. No two live sessions of one dialect and channel share one.
    pub endpoint: Option<EndpointKey>,
    /// The connection it lives by, if it lives by one.
    pub connection: Option<Connection>,
    /// The person, if the client said who.
    pub person: Option<Person>,
    /// The rules it lives by.
    pub profile: Profile,
    /// What it was given at open.
    pub context: Context,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When something last happened that counts for the idle timer.
    pub last_activity: Timestamp,
    /// When a keep-alive last came. Counts only where the profile says so.
    pub last_seen: Timestamp,
    /// What it has used.
    pub usage: Usage,
    /// Credits set aside for it.
    pub held: MicroCredits,
    /// How many messages its transcript has.
    pub messages: u32,
    /// The number of its latest turn; 0 before the first.
    pub turns: u32,
    /// Where it is in its life.
    pub state: SessionState,
}

/// One version of an agent's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AgentVersion {
    /// The agent.
    pub id: AgentId,
    /// Its version, from 1.
    pub version: u32,
}

/// What a session was given at open. Removed when the session is purged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    /// The client's own data, kept and shown, never interpreted.
    pub metadata: Value,
    /// Values for the prompt's template variables.
    pub variables: BTreeMap<String, String>,
    /// What is remembered of the person, as it goes to the model.
    pub recalled: Option<String>,
    /// The client's bag of prompt variables, of any JSON. See [`crate::variables::effective`].
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub bag: Map<String, Value>,
    /// Prompt variables that are the server's to say.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reserved: BTreeMap<String, String>,
    /// The address of its endpoint, as the client gave it.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub address: Value,
    /// How its avatar appears, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staging: Option<Staging>,
}

/// Where a session is in its life. Each state carries exactly the facts that are true in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Taking turns.
    Active {
        /// The turn that is running, if one is.
        turn: Option<TurnInFlight>,
    },
    /// Over for the caller; finalization steps are still owed.
    Finalizing(Ended),
    /// Every step has settled.
    Final {
        /// How it ended.
        ended: Ended,
        /// When the last step settled.
        finalized_at: Timestamp,
    },
}

/// A turn that is running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnInFlight {
    /// Its number within the session, from 1.
    pub number: u32,
    /// The node that runs it.
    pub node: NodeId,
    /// Until when that node is believed. After it, the turn counts as abandoned.
    pub lease_until: Timestamp,
}

/// The facts of an end. Decided once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When it was decided.
    pub at: Timestamp,
    /// Why. The first reason wins.
    pub reason: EndReason,
    /// The deadline that had passed, if one had.
    pub deadline: Option<Deadline>,
    /// What the session cost.
    pub cost: MicroCredits,
}

/// What became of a request to end a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndOutcome {
    /// This request ended it.
    EndedNow(Ended),
    /// Its deadline had passed before the request came, so it ended now, but for that reason.
    Lapsed(Ended),
    /// It had ended before. Nothing changed.
    AlreadyEnded(Ended),
    /// The timer looked too early: it lives on, and is due again then.
    StillActive {
        /// `None`: never.
        due_at: Option<Timestamp>,
    },
}

impl EndOutcome {
    /// The end, unless the session lives on.
    pub fn ended(&self) -> Option<&Ended> {
        match self {
            Self::EndedNow(ended) | Self::Lapsed(ended) | Self::AlreadyEnded(ended) => Some(ended),
            Self::StillActive { .. } => None,
        }
    }

    /// Whether this request, and no earlier one, moved the session to its end.
    pub fn is_new(&self) -> bool {
        matches!(self, Self::EndedNow(_) | Self::Lapsed(_))
    }
}

/// What a session says to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndVerdict {
    /// It ends.
    End {
        /// For this reason.
        reason: EndReason,
        /// The deadline that has passed, if one has.
        deadline: Option<Deadline>,
    },
    /// It has ended before.
    AlreadyEnded(Ended),
    /// Its deadline has not come; it is due again then.
    NotDue {
        /// `None`: never.
        due_at: Option<Timestamp>,
    },
}

/// What a session says to a new turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeginVerdict {
    /// It begins, with this number.
    Begin(u32),
    /// Another turn is running.
    Busy(TurnInFlight),
    /// Its deadline has passed, though nobody has ended it yet.
    Lapsed(Deadline),
    /// It has ended.
    Over(Ended),
}

/// What a session says to the result of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishVerdict {
    /// It is recorded.
    Record,
    /// The session has ended: nothing is written past the fence.
    Fenced(Ended),
    /// Another turn has taken this one's place after its lease ran out.
    Superseded,
}

impl Session {
    /// When the idle timer runs out. A turn in flight holds it for as long as its node is believed.
    fn idle_deadline(&self) -> Option<Timestamp> {
        let timeout = self.profile.idle_timeout?;
        let active = if self.profile.keep_alive_counts {
            self.last_activity.max(self.last_seen)
        } else {
            self.last_activity
        };
        Some(self.held_by_turn(active + timeout))
    }

    /// When the session is given up because nobody came back to it. A turn in flight holds that, too:
    /// it is carried through for whoever returns.
    fn connection_deadline(&self) -> Option<Timestamp> {
        let given_up_at = self.connection.as_ref().and_then(Connection::given_up_at)?;
        Some(self.held_by_turn(given_up_at))
    }

    /// A deadline, put off for as long as the node of a turn in flight is believed.
    fn held_by_turn(&self, at: Timestamp) -> Timestamp {
        self.turn_in_flight().map_or(at, |turn| at.max(turn.lease_until))
    }

    /// The deadline that comes first. `None` if it has ended, or never ends by itself.
    pub fn deadline(&self) -> Option<Deadline> {
        if self.ended().is_some() {
            return None;
        }
        let idle = self.idle_deadline().map(|at| Deadline { kind: DeadlineKind::Idle, at });
        let longest = self.profile.max_duration.map(|longest| Deadline {
            kind: DeadlineKind::MaxDuration,
            at: self.opened_at + longest,
        });
        let alone = self.connection_deadline();
        let alone = alone.map(|at| Deadline { kind: DeadlineKind::Disconnected, at });
        idle.into_iter().chain(longest).chain(alone).min_by_key(|deadline| deadline.at)
    }

    /// From when on the timer ends it, unless something happens before.
    pub fn due_at(&self) -> Option<Timestamp> {
        self.deadline().map(|deadline| match self.profile.turns.overdue {
            Overdue::IsOver => deadline.at,
            // The deadline's own moment still belongs to the session.
            Overdue::LivesOn => deadline.at + Span::from_millis(1),
        })
    }

    /// The deadline that has passed, if one has.
    pub fn lapsed(&self, now: Timestamp) -> Option<Deadline> {
        self.due_at().filter(|due_at| *due_at <= now).and_then(|_| self.deadline())
    }

    /// The deadline that has passed, where that counts before the timer has acted upon it.
    fn over_by_itself(&self, now: Timestamp) -> Option<Deadline> {
        self.lapsed(now).filter(|_| self.profile.turns.overdue == Overdue::IsOver)
    }

    /// Whether it takes turns: it has not ended, and no deadline has passed that counts.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended().is_none() && self.over_by_itself(now).is_none()
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<&Ended> {
        match &self.state {
            SessionState::Active { .. } => None,
            SessionState::Finalizing(ended) | SessionState::Final { ended, .. } => Some(ended),
        }
    }

    /// The turn that is running, if one is.
    pub fn turn_in_flight(&self) -> Option<&TurnInFlight> {
        match &self.state {
            SessionState::Active { turn } => turn.as_ref(),
            _ => None,
        }
    }

    /// Decides an end. A deadline that has passed came before whoever asks now, so it wins, unless
    /// the session lives on until the timer has come.
    pub fn end(&self, cause: &EndCause, now: Timestamp) -> EndVerdict {
        if let Some(ended) = self.ended() {
            return EndVerdict::AlreadyEnded(ended.clone());
        }
        let passed = match cause {
            EndCause::Asked(_) => self.over_by_itself(now),
            EndCause::Due => self.lapsed(now),
        };
        match (passed, cause) {
            (Some(deadline), _) => {
                EndVerdict::End { reason: deadline.kind.reason(), deadline: Some(deadline) }
            }
            (None, EndCause::Asked(reason)) => EndVerdict::End { reason: *reason, deadline: None },
            (None, EndCause::Due) => EndVerdict::NotDue { due_at: self.due_at() },
        }
    }

    /// Decides whether a turn may begin. One at a time; an abandoned one is passed over.
    pub fn may_begin_turn(&self, now: Timestamp) -> BeginVerdict {
        if let Some(ended) = self.ended() {
            return BeginVerdict::Over(ended.clone());
        }
        if let Some(deadline) = self.over_by_itself(now) {
            return BeginVerdict::Lapsed(deadline);
        }
        match self.turn_in_flight() {
            Some(turn) if turn.lease_until > now => BeginVerdict::Busy(turn.clone()),
            _ => BeginVerdict::Begin(self.turns + 1),
        }
    }

    /// Decides whether the result of turn `number` is written.
    pub fn may_finish_turn(&self, number: u32) -> FinishVerdict {
        match (&self.state, self.ended()) {
            (_, Some(ended)) => FinishVerdict::Fenced(ended.clone()),
            (SessionState::Active { turn: Some(turn) }, None) if turn.number == number => {
                FinishVerdict::Record
            }
            _ => FinishVerdict::Superseded,
        }
    }

    /// Whether there is a conversation. One in the client's keeping comes about with its first turn, and
    /// so does one that was opened for it.
    pub fn came_about(&self) -> bool {
        let rules = &self.profile.turns;
        // What was used is known for ever, what was said is not.
        let has_begun = !rules.begins_with_turn || self.usage != Usage::default();
        has_begun && (!rules.client_keeps || self.messages > 0)
    }

    /// How long it lasted, or has lasted so far.
    pub fn lasted(&self, now: Timestamp) -> Span {
        match self.ended() {
            Some(ended) => self.lasts_until(ended.at, ended.deadline),
            None => self.lasts_until(now, None),
        }
    }

    /// How long it lasts if it ends at this moment, by a deadline if by one. One in the client's keeping
    /// lasts to its last turn: the time it then waits for another is nobody's. So is the time in which a
    /// deadline had passed and nobody was there to act upon it.
    pub(crate) fn lasts_until(&self, at: Timestamp, deadline: Option<Deadline>) -> Span {
        let until = if self.profile.turns.client_keeps {
            self.last_activity
        } else {
            deadline.map_or(at, |deadline| at.min(deadline.at))
        };
        until.since(self.opened_at)
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
pub(crate) mod tests;
