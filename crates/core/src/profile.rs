//! What behaves differently in a session because of how it was opened. Frozen at open, so that a
//! running session never changes its rules.

use serde::{Deserialize, Serialize};

use crate::{agent::Agent, time::Span};

/// The behaviour of one session. Wording is the dialect's; behaviour is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
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
    /// What the owner's webhook hears of when it does not say.
    #[serde(default)]
    pub hears: Hears,
    /// Whether sessions of this kind hold media that must be released.
    pub holds_media: bool,
    /// What stays after the end.
    pub keeps: Keeps,
    /// Whether ended conversations of this kind can be searched.
    #[serde(default)]
    pub searchable: bool,
    /// How its turns run, and what an end makes of one.
    #[serde(default)]
    pub turns: TurnRules,
}

impl Profile {
    /// The profile of a session with `agent`, which may set its own times where the API leaves them
    /// to it.
    #[must_use]
    pub fn for_agent(mut self, agent: &Agent) -> Self {
        if !self.turns.agent_sets_times {
            return self;
        }
        if let Some(seconds) = agent.idle_timeout_s {
            self.idle_timeout = (seconds > 0).then(|| Span::from_secs(seconds));
        }
        if agent.max_duration_s > 0 {
            self.max_duration = Some(Span::from_secs(agent.max_duration_s));
        }
        self
    }
}

/// How the turns of a session run. The default is what sessions did before there was a choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct TurnRules {
    /// When what is said is written down.
    pub writes: Writes,
    /// What a deadline that has passed means before the timer has acted upon it.
    pub overdue: Overdue,
    /// Which version of its agent the session goes by.
    pub configuration: Configuration,
    /// How long an end waits for a turn in flight to complete. `None`: it cuts the turn at once.
    pub end_waits: Option<Span>,
    /// Under which name the agent is offered the tool by which it says goodbye.
    pub finish_tool: FinishTool,
    /// Whether the call of that tool stands in the transcript like any other.
    pub finish_is_shown: bool,
    /// Whether the agent's greeting opens the transcript.
    pub greets: bool,
    /// Whether the agent's own times replace those of the API.
    pub agent_sets_times: bool,
    /// Whether the conversation is in the client's keeping. Then it comes about with its first turn
    /// that completes, and lasts until its last: nobody says when they have put it away.
    pub client_keeps: bool,
    /// Whether the session comes about with its first turn that is kept, for it was opened for that turn.
    /// One whose first turn leaves no trace has never been: it ends, and nobody is told of it.
    pub begins_with_turn: bool,
    /// Whether a turn may end with calls open, of tools that its caller runs before the next.
    pub defers_calls: bool,
}

impl Default for TurnRules {
    fn default() -> Self {
        Self::ORDINARY
    }
}

impl TurnRules {
    /// What sessions do unless their API says otherwise.
    pub const ORDINARY: Self = Self {
        writes: Writes::AsItGoes,
        overdue: Overdue::IsOver,
        configuration: Configuration::Frozen,
        end_waits: None,
        finish_tool: FinishTool::EndChat,
        finish_is_shown: false,
        greets: true,
        agent_sets_times: true,
        client_keeps: false,
        begins_with_turn: false,
        defers_calls: false,
    };
}

/// When what is said in a turn is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writes {
    /// The person's message at once, the reply when it is complete or cut.
    AsItGoes,
    /// The whole turn when it is complete, or nothing of it: one that fails leaves no trace and
    /// costs nothing.
    WholeTurns,
    /// What is said to the agent together with its reply. A turn that fails before the agent has said
    /// anything leaves no trace and costs nothing, so that its caller may try again; one that is cut
    /// or fails later keeps what was said.
    WithReply,
}

/// What a deadline that has passed means before the timer has acted upon it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overdue {
    /// The session is over: it takes no turn, and whoever ends it comes too late.
    IsOver,
    /// The session lives until the timer has ended it: a turn that comes first revives it. The
    /// deadline's own moment still belongs to the session.
    LivesOn,
}

/// Which version of its agent a session goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Configuration {
    /// The one it was opened with, for life.
    Frozen,
    /// The latest at each turn and at the end, from which on it stays.
    Live,
}

/// The name of the built-in tool by which an agent says goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishTool {
    /// `end_chat`
    EndChat,
    /// `finishTheConversation`
    FinishTheConversation,
    /// `endConversation`
    EndConversation,
    /// `end_call`
    EndCall,
}

impl FinishTool {
    /// The name, as a model sees it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EndChat => "end_chat",
            Self::FinishTheConversation => "finishTheConversation",
            Self::EndConversation => "endConversation",
            Self::EndCall => "end_call",
        }
    }

    /// The names by which its call is understood where it is offered under this one. To others it is
    /// a tool like any other.
    pub const fn understood(self) -> &'static [&'static str] {
        match self {
            Self::EndChat => &["end_chat"],
            Self::EndCall => &["end_call", "end_chat"],
            Self::FinishTheConversation | Self::EndConversation => {
                &["finishTheConversation", "endConversation"]
            }
        }
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

/// What an agent's webhook hears of when it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hears {
    /// Every event that the API has.
    #[default]
    Everything,
    /// The end alone.
    TheEnd,
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
    /// The messages, and what [`Self::Counters`] keeps. Variables, metadata and recalled memory are
    /// removed.
    Messages,
    /// Counters, cost and analysis. Messages, metadata and recalled memory are removed.
    Counters,
}
