//! What webhooks say, in the words of the dialect that opened the session.

use epilogue_engine::wording::{Notification, Payload, Wording};

use crate::{dialect, native};

/// Every dialect's words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dialects;

impl Wording for Dialects {
    fn payload(&self, notification: &Notification<'_>) -> Option<Payload> {
        match notification.session.dialect.as_str() {
            native::NAME => native::payload(notification),
            dialect::talkifai::NAME => dialect::talkifai::payload(notification),
            _ => None,
        }
    }
}
