//! TalkifAI chat sessions.

use epilogue_engine::wording::{Notification, Payload};

/// The dialect's name.
pub const NAME: &str = "talkifai";

/// What `chat.ended` says.
pub(crate) fn payload(_notification: &Notification<'_>) -> Option<Payload> {
    None
}
