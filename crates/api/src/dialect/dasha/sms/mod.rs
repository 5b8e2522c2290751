//! P1, P2 and the Twilio SMS channel: accounts, numbers, messages that arrive, replies that leave.
//!
//! The vendor publishes no inbound address and no rule of signature for text messages; both are
//! Twilio's own here. See `docs/dialects/dasha.md`.

mod inbound;
mod numbers;
mod provider;
mod signature;
mod twilio;

use axum::{
    Router,
    routing::{post, put},
};
use epilogue_core::Span;
use url::{Position, Url};

pub use self::{inbound::INBOUND_BYTES_MAX, twilio::Twilio};
use crate::Api;

/// The most UTF-16 units that Twilio takes as one message.
pub const PART_UNITS_MAX: usize = 1_600;

/// How many parts of one reply are sent. What would come after them is left out.
pub const PARTS_MAX: usize = 32;

/// How the channel is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwilioSettings {
    /// Where Twilio's API is. The operator's to say, and nobody else's.
    pub api_url: Url,
    /// How long a conversation by text message may be quiet before it ends.
    pub session_ttl: Span,
}

/// The routes.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/providers/twilio", post(provider::put))
        .route("/api/v1/providers/twilio/{id}/sms", post(inbound::receive))
        .route("/api/v1/sip-phone-numbers", post(numbers::add).get(numbers::list))
        .route("/api/v1/sip-phone-numbers/{id}/agent-link", put(numbers::link))
}

/// The address at which Twilio tells of messages for an account, below the public one.
fn inbound_path(carrier: &str) -> String {
    format!("/api/v1/providers/twilio/{carrier}/sms")
}

/// An address of this server as clients write it: the public one, and a path below it.
fn public(api: &Api, path: &str) -> String {
    format!("{}{path}", api.settings().public_url.as_str().trim_end_matches('/'))
}

/// The same as Twilio may have signed it: its servers have been seen to leave a port out and to
/// write the usual one out, and its own libraries take both.
fn as_signed(api: &Api, path: &str) -> [String; 2] {
    let base = &api.settings().public_url;
    let port = match base.port() {
        Some(_) => String::new(),
        None => base.port_or_known_default().map_or_else(String::new, |port| format!(":{port}")),
    };
    let rest = base[Position::AfterPort..].trim_end_matches('/');
    let other = format!("{}{port}{rest}{path}", &base[..Position::AfterHost]);
    [public(api, path), other]
}

/// What an account's secret is sealed for: it opens for this account of this organization alone.
fn sealed_for(org: &epilogue_core::OrgId, account: &str) -> Vec<u8> {
    format!("{org} {account}").into_bytes()
}
