//! How the relay answers, in the words of STUN.

use std::net::SocketAddr;

use turn_types::{
    attribute::{Data, XorPeerAddress},
    message::DATA,
    stun::{
        attribute::{
            AttributeStaticType as _, AttributeType, AttributeWrite, ErrorCode, Fingerprint, Nonce,
            Realm, UnknownAttributes, XorMappedAddress,
        },
        message::{
            IntegrityAlgorithm, IntegrityKey, Message, MessageWrite as _, MessageWriteExt as _,
            MessageWriteVec, StunWriteError,
        },
    },
};

/// The realm that the relay's credentials are for.
pub const REALM: &str = "epilogue";

/// How many attributes that we do not know are named.
const UNKNOWN_MAX: usize = 8;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400: it is none that can be understood.
    BadRequest,
    /// 401: it does not prove who it is from.
    Unauthorized,
    /// 403: it would reach what is not ours.
    Forbidden,
    /// 420: it demands what we do not know.
    Unknown(Vec<AttributeType>),
    /// 437: there is no allocation, or one too many.
    Mismatch,
    /// 438: its nonce is not good any more.
    StaleNonce,
    /// 440: we have no such address.
    NoSuchFamily,
    /// 441: the allocation is another's.
    WrongCredentials,
    /// 442: only UDP is relayed.
    NoSuchTransport,
    /// 443: the address is not of the allocation's protocol.
    OtherFamily,
    /// 486: its session has as many as it may.
    QuotaReached,
    /// 508: there is no room, or no such room.
    NoCapacity,
}

impl Refusal {
    /// Whether it belongs to the usual course of things: who does not know the nonce is told it.
    pub(super) const fn is_challenge(&self) -> bool {
        matches!(self, Self::Unauthorized | Self::StaleNonce)
    }

    const fn code(&self) -> u16 {
        match self {
            Self::BadRequest => ErrorCode::BAD_REQUEST,
            Self::Unauthorized => ErrorCode::UNAUTHORIZED,
            Self::Forbidden => ErrorCode::FORBIDDEN,
            Self::Unknown(_) => ErrorCode::UNKNOWN_ATTRIBUTE,
            Self::Mismatch => ErrorCode::ALLOCATION_MISMATCH,
            Self::StaleNonce => ErrorCode::STALE_NONCE,
            Self::NoSuchFamily => ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED,
            Self::WrongCredentials => ErrorCode::WRONG_CREDENTIALS,
            Self::NoSuchTransport => ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL,
            Self::OtherFamily => ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH,
            Self::QuotaReached => ErrorCode::ALLOCATION_QUOTA_REACHED,
            Self::NoCapacity => ErrorCode::INSUFFICIENT_CAPACITY,
        }
    }
}

/// An answer, or an attribute that cannot be written.
pub(super) type Written = Result<Vec<u8>, StunWriteError>;

/// Refuses a request. Who proved who it is gets a signed answer, and who is to prove it a nonce.
pub(super) fn refuse(
    request: &Message<'_>,
    refusal: &Refusal,
    key: Option<&IntegrityKey>,
    nonce: &str,
) -> Written {
    let mut answer = Message::builder_error(request, MessageWriteVec::new());
    answer.add_attribute(&ErrorCode::builder(refusal.code()).build()?)?;
    if let Refusal::Unknown(unknown) = refusal {
        let named = unknown.get(..UNKNOWN_MAX).unwrap_or(unknown);
        answer.add_attribute(&UnknownAttributes::new(named))?;
    }
    if refusal.is_challenge() {
        answer.add_attribute(&Realm::new(REALM)?)?;
        answer.add_attribute(&Nonce::new(nonce)?)?;
    }
    finish(request, answer, key)
}

/// Grants a request.
pub(super) fn grant(
    request: &Message<'_>,
    attributes: &[&dyn AttributeWrite],
    key: &IntegrityKey,
) -> Written {
    let mut answer = Message::builder_success(request, MessageWriteVec::new());
    for attribute in attributes {
        answer.add_attribute(*attribute)?;
    }
    finish(request, answer, Some(key))
}

/// Tells a client where it writes from, which anybody may ask.
pub(super) fn mirror(request: &Message<'_>, client: SocketAddr) -> Written {
    let mut answer = Message::builder_success(request, MessageWriteVec::new());
    answer.add_attribute(&XorMappedAddress::new(client, request.transaction_id()))?;
    finish(request, answer, None)
}

/// Something that was said to a client, and from which address.
pub(super) fn indicate(from: SocketAddr, bytes: &[u8]) -> Written {
    let mut told = Message::builder_indication(DATA, MessageWriteVec::new());
    let id = told.transaction_id();
    told.add_attribute(&XorPeerAddress::new(from, id))?;
    told.add_attribute(&Data::new(bytes))?;
    Ok(told.finish())
}

fn finish(
    request: &Message<'_>,
    mut answer: MessageWriteVec,
    key: Option<&IntegrityKey>,
) -> Written {
    if let Some(key) = key {
        answer.add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1)?;
    }
    if request.has_attribute(Fingerprint::TYPE) {
        answer.add_fingerprint()?;
    }
    Ok(answer.finish())
}
