//! What webhooks say: a port. The facts are the engine's, the words are the dialects'.

use epilogue_core::{Agent, EventId, Session, StepKind, session::Ended};
use epilogue_storage::AnalysisResult;

/// The facts that a webhook tells.
#[derive(Debug)]
pub struct Notification<'a> {
    /// Which event: [`StepKind::NotifyEnded`] or [`StepKind::NotifyFinalized`].
    pub kind: StepKind,
    /// The event's id.
    pub id: &'a EventId,
    /// The session as it was at its end.
    pub session: &'a Session,
    /// The agent it was opened with.
    pub agent: &'a Agent,
    /// How it ended.
    pub ended: &'a Ended,
    /// The filled-in forms, as far as they are.
    pub analyses: &'a [AnalysisResult],
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
}

/// Words webhooks.
pub trait Wording: Send + Sync {
    /// `None`: the session's dialect has no such event.
    fn payload(&self, notification: &Notification<'_>) -> Option<Payload>;
}
