//! What ends a socket: the published words where there are some, and the code it is closed with.

use std::borrow::Cow;

/// A reason to close a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// What the client is told before.
    pub message: Cow<'static, str>,
    /// With which code the socket is closed.
    pub code: u16,
}

/// The conversation is over, and everything about it is said.
pub(super) const DONE: u16 = 1000;
/// The frames break the rules of WebSocket itself.
const PROTOCOL: u16 = 1002;
/// A kind of data that this API does not speak.
const UNSUPPORTED: u16 = 1003;
/// A message that does not say what its type must say.
const MALFORMED: u16 = 1007;
/// The client may not do that, or not now.
const POLICY: u16 = 1008;
/// The message is too long.
const TOO_BIG: u16 = 1009;
/// A fault of ours.
const INTERNAL: u16 = 1011;
/// The server restarts: coming back helps.
pub(super) const RESTART: u16 = 1012;
/// There is too much to do at the moment: coming back later helps.
const TRY_LATER: u16 = 1013;

const fn fault(code: u16, message: &'static str) -> Fault {
    Fault { message: Cow::Borrowed(message), code }
}

pub(super) const MISSING_TOKEN: Fault = fault(POLICY, "Missing token");
pub(super) const INVALID_TOKEN: Fault = fault(POLICY, "Invalid token");
pub(super) const DISABLED: Fault = fault(POLICY, "Web integration is not enabled");
pub(super) const NO_WEB_CHAT: Fault = fault(POLICY, "Web chat is not enabled");
pub(super) const ORIGIN: Fault = fault(POLICY, "Origin not allowed");
pub(super) const NO_INIT: Fault = fault(POLICY, "Init message not received");
pub(super) const INIT_AGAIN: Fault = fault(POLICY, "Multiple init messages received");
pub(super) const TOO_LARGE: Fault = fault(TOO_BIG, "Too large message");
pub(super) const BINARY: Fault = fault(UNSUPPORTED, "Binary messages are not supported");
pub(super) const VOICE: Fault = fault(UNSUPPORTED, "Voice is not supported");
pub(super) const NOT_TEXT: Fault = fault(MALFORMED, "The message is not UTF-8");
pub(super) const BROKEN: Fault = fault(PROTOCOL, "The frames break the WebSocket protocol");
pub(super) const UNKNOWN_RECORD: Fault = fault(POLICY, "Unknown recordId");
pub(super) const TAKEN_OVER: Fault =
    fault(POLICY, "The conversation goes on in another connection");
pub(super) const TOO_MANY_OPENS: Fault = fault(TRY_LATER, "Rate limit exceeded");
pub(super) const OURS: Fault = fault(INTERNAL, "The server could not go on");

/// A message that does not say what its type must say.
pub(super) fn malformed(message: impl Into<Cow<'static, str>>) -> Fault {
    Fault { message: message.into(), code: MALFORMED }
}

/// A conversation that could not be opened.
pub(super) fn not_opened(message: String, is_passing: bool) -> Fault {
    Fault { message: message.into(), code: if is_passing { TRY_LATER } else { POLICY } }
}
