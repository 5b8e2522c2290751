//! What webhooks say, in the words of the dialect that opened the session.

use epilogue_core::{Dialect, Session};
use epilogue_engine::wording::{Notification, Payload, ResultWords, ToolInvocation, Wording};

use crate::{dialect, native};

/// Every dialect's words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dialects;

impl Wording for Dialects {
    fn payload(&self, notification: &Notification<'_>) -> Option<Payload> {
        match notification.session.dialect.as_str() {
            native::NAME => native::payload(notification),
            dialect::talkifai::NAME => dialect::talkifai::payload(notification),
            dialect::dasha::NAME => dialect::dasha::payload(notification),
            dialect::pathors::NAME => dialect::pathors::payload(notification),
            _ => None,
        }
    }

    fn tells_transcript(&self, dialect: &Dialect) -> bool {
        dialect.as_str() == dialect::dasha::NAME
    }

    fn tool_call(&self, dialect: &Dialect, call: &ToolInvocation<'_>) -> Option<String> {
        match dialect.as_str() {
            dialect::dasha::NAME => dialect::dasha::tool_call(call),
            _ => None,
        }
    }

    fn result(&self, session: &Session) -> ResultWords {
        match session.dialect.as_str() {
            dialect::dasha::NAME => dialect::dasha::result(session),
            _ => ResultWords::default(),
        }
    }
}
