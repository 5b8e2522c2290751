//! What behaves differently in a session because of how it was opened. Frozen at open, so that a
//! running session never changes its rules.

use serde::{Deserialize, Serialize};

use crate::{agent::Agent, time::Span};

/// The behaviour of one session. Wording is the dialect's; behaviour is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// How long nothing may happen before the session ends by itself. `None`: for ever.
    pub idle_timeout: Option<Span>,
    /// How long the session may last. `None`: for ever.
    pub max_duration: Option<Span>,
    /// Whether a keep-alive counts as activity, or only as having been seen.
    pub keep_alive_counts: bool,
    /// What the agent's finish tool does.
    pub agent_finish: AgentFinish,
    /// Whether, and when, the owner's webhook hears of the end.
    pub notify_ended: NotifyEnded,
    /// Whether the owner's webhook hears that every step has settled.
    pub notify_finalized: bool,
    /// Whether sessions of this kind hold media that must be released.
    pub holds_media: bool,
    /// What stays after the end.
    pub keeps: Keeps,
    /// Whether ended conversations of this kind can be searched.
    #[serde(default)]
    pub searchable: bool,
}

impl Profile {
    /// The profile of a session with `agent`, which may set its own times.
    #[must_use]
    pub fn for_agent(mut self, agent: &Agent) -> Self {
        if let Some(seconds) = agent.idle_timeout_s {
            self.idle_timeout = (seconds > 0).then(|| Span::from_secs(seconds));
        }
        if agent.max_duration_s > 0 {
            self.max_duration = Some(Span::from_secs(agent.max_duration_s));
        }
        self
    }
}

/// Whether, and when, the owner's webhook hears of the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotifyEnded {
    /// This API has no such event.
    Never,
    /// At once: the bill is settled by then.
    AtOnce,
    /// When the analysis is at rest, to carry it.
    AfterAnalysis,
}

/// What the agent's finish tool does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentFinish {
    /// The session ends when the turn is complete.
    EndsSession,
    /// The client is told, and is expected to end the session itself.
    TellsClient,
}

/// What stays of a session after its last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeps {
    /// Everything, the transcript included.
    Transcript,
    /// Counters, cost and analysis. Messages, metadata and recalled memory are removed.
    Counters,
}
