//! Why a session ended: a closed set. Dialects translate into their own words at the edge.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Why a session ended. The first reason wins and is never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The person, or the client acting for them, asked for it.
    UserEnd,
    /// The agent said goodbye with its built-in tool.
    AgentFinish,
    /// Nothing happened for longer than the session's idle timeout.
    Idle,
    /// The session reached its maximum duration.
    MaxDuration,
    /// The connection that kept it alive was lost and did not come back in time.
    Disconnected,
    /// An operator ended it.
    Operator,
    /// The organization's credits ran out in mid-conversation.
    CreditsExhausted,
    /// We could not carry the session on: our fault, so it is not billed.
    Failed,
}

/// Who caused an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CausedBy {
    /// The person or their client.
    User,
    /// The agent.
    Agent,
    /// A deadline that passed.
    Timer,
    /// A connection that was lost.
    Connection,
    /// A human with operator rights.
    Operator,
    /// The ledger.
    Billing,
    /// Epilogue itself.
    System,
}

impl EndReason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::UserEnd,
        Self::AgentFinish,
        Self::Idle,
        Self::MaxDuration,
        Self::Disconnected,
        Self::Operator,
        Self::CreditsExhausted,
        Self::Failed,
    ];

    /// The stored and published word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UserEnd => "user_end",
            Self::AgentFinish => "agent_finish",
            Self::Idle => "idle",
            Self::MaxDuration => "max_duration",
            Self::Disconnected => "disconnected",
            Self::Operator => "operator",
            Self::CreditsExhausted => "credits_exhausted",
            Self::Failed => "failed",
        }
    }

    /// The reason with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// Who causes an end with this reason.
    pub const fn caused_by(self) -> CausedBy {
        match self {
            Self::UserEnd => CausedBy::User,
            Self::AgentFinish => CausedBy::Agent,
            Self::Idle | Self::MaxDuration => CausedBy::Timer,
            Self::Disconnected => CausedBy::Connection,
            Self::Operator => CausedBy::Operator,
            Self::CreditsExhausted => CausedBy::Billing,
            Self::Failed => CausedBy::System,
        }
    }

    /// Whether the recorded usage is charged. Everything is, except what we broke ourselves.
    pub const fn is_billed(self) -> bool {
        !matches!(self, Self::Failed)
    }
}

/// What moves a session to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// Somebody asked, for this reason.
    Asked(EndReason),
    /// The timer says that a deadline has passed. The session itself knows which, and whether.
    Due,
}

/// A request to end one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndRequest {
    /// What moves it.
    pub cause: EndCause,
    /// The caller's words, kept in the activity log. At most [`EndRequest::NOTE_CHARS_MAX`].
    pub note: Option<String>,
    /// The credential that asked, for the activity log; absent for timers and agents.
    pub by: Option<String>,
    /// What is said last in the agent's name, written in the commit of the end. Only by the request
    /// that ends the session, and not to one whose deadline had passed before.
    pub last_words: Option<String>,
}

impl EndRequest {
    /// The longest note that is kept, in characters.
    pub const NOTE_CHARS_MAX: usize = 10_000;

    /// Somebody asks for an end.
    pub fn asked(reason: EndReason) -> Self {
        Self { cause: EndCause::Asked(reason), note: None, by: None, last_words: None }
    }

    /// The timer looks at a session.
    pub fn due() -> Self {
        Self { cause: EndCause::Due, note: None, by: None, last_words: None }
    }
}

/// Which clock ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineKind {
    /// Nothing happened for too long.
    Idle,
    /// The session has lasted as long as it may.
    MaxDuration,
    /// The connection it lived by was lost, and nobody came back in time.
    Disconnected,
}

impl DeadlineKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Idle, Self::MaxDuration, Self::Disconnected];

    /// The reason an end by this deadline has.
    pub const fn reason(self) -> EndReason {
        match self {
            Self::Idle => EndReason::Idle,
            Self::MaxDuration => EndReason::MaxDuration,
            Self::Disconnected => EndReason::Disconnected,
        }
    }
}

/// The point after which a session is over by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// Which clock.
    pub kind: DeadlineKind,
    /// When it runs out.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for reason in EndReason::ALL {
            assert_eq!(EndReason::parse(reason.as_str()), Some(reason));
            assert_eq!(
                serde_json::to_value(reason).expect("serializes"),
                serde_json::Value::from(reason.as_str())
            );
        }
        assert_eq!(EndReason::parse("because"), None);
    }

    #[test]
    fn only_our_own_failure_is_free() {
        let free: Vec<_> = EndReason::ALL.into_iter().filter(|r| !r.is_billed()).collect();
        assert_eq!(free, [EndReason::Failed]);
    }
}
