//! What webhooks say: a port. The facts are the engine's, the words are the dialects'.

use epilogue_core::{
    Agent, Dialect, EventId, Message, Session, StepKind, message::ToolCall, retry::Manners,
    session::Ended,
};
use epilogue_storage::AnalysisResult;
use serde_json::{Map, Value};

/// The facts that a webhook tells.
#[derive(Debug)]
pub struct Notification<'a> {
    /// Which event: that of a kind for which [`StepKind::notifies`].
    pub kind: StepKind,
    /// The event's id.
    pub id: &'a EventId,
    /// The session as it was at its end.
    pub session: &'a Session,
    /// The agent it was opened with.
    pub agent: &'a Agent,
    /// How it ended. `None`: it had not when it was told, which only its start may be.
    pub ended: Option<&'a Ended>,
    /// The filled-in forms, as far as they are.
    pub analyses: &'a [AnalysisResult],
    /// What came out of the conversation, as far as the receiver is to have it.
    pub extracted: &'a Map<String, Value>,
    /// What was said, where [`Wording::tells_transcript`] asks for it.
    pub transcript: &'a [Message],
}

/// A webhook's body in a dialect's words. The same facts always give the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The event's name, such as `chat.ended`.
    pub event: String,
    /// The exact body.
    pub body: String,
    /// A header that carries the body's signature beside the standard ones.
    pub body_signature_header: Option<&'static str>,
    /// How it is told. `None`: by the operator's schedule.
    pub manners: Option<Manners>,
}

/// A tool's call, to be put into words.
#[derive(Debug)]
pub struct ToolInvocation<'a> {
    /// In which conversation.
    pub session: &'a Session,
    /// By which agent.
    pub agent: &'a Agent,
    /// What the model asked for. Its arguments are a JSON object.
    pub call: &'a ToolCall,
}

/// How an ended conversation is found again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResultWords {
    /// Where the person was reached.
    pub endpoint: String,
    /// The client's own data about it.
    pub data: Map<String, Value>,
}

/// Words webhooks.
pub trait Wording: Send + Sync {
    /// `None`: the session's dialect has no such event.
    fn payload(&self, notification: &Notification<'_>) -> Option<Payload>;

    /// Whether this dialect's webhooks tell what was said.
    fn tells_transcript(&self, _dialect: &Dialect) -> bool {
        false
    }

    /// The body of a tool's call in the words of `dialect`, which the tool was written through. It
    /// need not be the session's. `None`: it has none, and the arguments are sent.
    fn tool_call(&self, _dialect: &Dialect, _call: &ToolInvocation<'_>) -> Option<String> {
        None
    }

    /// How an ended conversation is found again in its dialect's search.
    fn result(&self, _session: &Session) -> ResultWords {
        ResultWords::default()
    }
}
