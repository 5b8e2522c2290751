//! What clients may ask for: to talk to us, and to nobody else.

use std::net::SocketAddr;

use turn_types::{
    attribute::XorPeerAddress,
    message::{CHANNEL_BIND, CREATE_PERMISSION},
    stun::{
        attribute::{AttributeFromRaw as _, AttributeStaticType as _, ErrorCode, RawAttribute},
        message::{
            Message, MessageClass, MessageWrite as _, MessageWriteExt as _, MessageWriteVec,
        },
    },
};

use super::credentials::Visitor;

/// The refusal (403) of a request that would open a way to others, if it is by whom it says. `None`: it
/// would not, or it proves nothing, and the desk has the word.
pub(super) fn forbid(
    request: &Message<'_>,
    visitor: &Visitor,
    targets: &[SocketAddr],
) -> Option<Vec<u8>> {
    let is_channel = request.method() == CHANNEL_BIND;
    if !is_channel && request.method() != CREATE_PERMISSION {
        return None;
    }
    let id = request.transaction_id();
    let is_foreign = |(_, attribute): (usize, RawAttribute<'_>)| {
        let peer = XorPeerAddress::from_raw(attribute).map(|peer| peer.addr(id));
        peer.is_ok_and(|peer| {
            let is_ours =
                |ours: &SocketAddr| ours.ip() == peer.ip() && (!is_channel || *ours == peer);
            !targets.iter().any(is_ours)
        })
    };
    if !request.iter_attributes().any(is_foreign) {
        return None;
    }
    refuse(request, visitor, ErrorCode::FORBIDDEN)
}

/// The refusal (441) of a request by somebody else than whom an allocation is for, if it is by whom it
/// says. `None`: it proves nothing.
pub(super) fn mistake(request: &Message<'_>, visitor: &Visitor) -> Option<Vec<u8>> {
    refuse(request, visitor, ErrorCode::WRONG_CREDENTIALS)
}

fn refuse(request: &Message<'_>, visitor: &Visitor, code: u16) -> Option<Vec<u8>> {
    let credentials = visitor.credentials();
    let algorithm = request.validate_integrity(&credentials).ok()?;
    let mut refusal = Message::builder_error(request, MessageWriteVec::new());
    refusal.add_attribute(&ErrorCode::builder(code).build().ok()?).ok()?;
    refusal.add_message_integrity(&credentials, algorithm).ok()?;
    Some(refusal.finish())
}

/// Whether a message refuses something, other than to ask who somebody is.
pub(super) fn refuses(said: &[u8]) -> bool {
    let usual = [ErrorCode::UNAUTHORIZED, ErrorCode::STALE_NONCE];
    error(said).is_some_and(|code| !usual.contains(&code))
}

/// Whether a message says that somebody is not who they say.
pub(super) fn denies(said: &[u8]) -> bool {
    error(said) == Some(ErrorCode::UNAUTHORIZED)
}

fn error(said: &[u8]) -> Option<u16> {
    let said = Message::from_bytes(said).ok()?;
    let is_error = said.has_class(MessageClass::Error);
    is_error.then(|| said.raw_attribute(ErrorCode::TYPE).map(|_| ()))??;
    said.attribute::<ErrorCode>().ok().map(|error| error.code())
}
