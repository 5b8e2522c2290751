//! Webhooks: how they are signed, where they may go, and what one attempt comes to.

pub(crate) mod address;
pub mod deliver;
pub mod egress;
#[cfg(test)]
pub(crate) mod fake;
pub(crate) mod owners;
pub(crate) mod resolve;
mod sign;
pub mod template;

use async_trait::async_trait;
use epilogue_core::{EventId, Span, Timestamp, agent::HookMethod};
use http::HeaderMap;
use secrecy::SecretString;
use url::Url;

use self::resolve::Guard;

pub use self::{deliver::HttpWebhooks, owners::may_set as may_set_header};

/// One attempt to be made.
#[derive(Clone, Debug)]
pub struct WebhookRequest {
    /// Where to.
    pub url: Url,
    /// The event's id: `webhook-id`. The same on every attempt.
    pub id: EventId,
    /// When this attempt is made: `webhook-timestamp`.
    pub at: Timestamp,
    /// How it is called. Methods without a body send none.
    pub method: HookMethod,
    /// The receiver's own headers, their secrets resolved and marked as such.
    pub headers: HeaderMap,
    /// What the body is.
    pub content_type: &'static str,
    /// The exact body.
    pub body: String,
    /// What it is signed with, newest first. Empty: not signed.
    pub secrets: Vec<SecretString>,
    /// A header that carries `sha256=<hex HMAC-SHA256 of the body>` beside the standard ones.
    pub body_signature_header: Option<&'static str>,
    /// How long the attempt may take, from look-up to answer.
    pub timeout: Span,
}

/// What an attempt came to.
#[derive(Debug)]
pub struct WebhookReply {
    /// The receiver's verdict, or why there is none.
    pub result: Result<WebhookAnswer, WebhookError>,
    /// How long it took.
    pub took: Span,
}

/// A receiver's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// The HTTP status.
    pub status: u16,
    /// How long it asks us to wait.
    pub retry_after: Option<Span>,
    /// The beginning of its body, at most [`deliver::RESPONSE_BYTES_MAX`] bytes.
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// It took too long.
    #[error("no answer within {seconds} s")]
    Timeout {
        /// The limit.
        seconds: u64,
    },
    /// The address is not one we call.
    #[error("{host} is at a private address, and allow_private_webhooks is off")]
    PrivateAddress {
        /// The host of the URL.
        host: String,
    },
    /// The name does not resolve.
    #[error("{host} does not resolve")]
    Unresolved {
        /// The host of the URL.
        host: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection could not be made.
    #[error("no connection could be made")]
    NotConnected(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The connection broke.
    #[error("the connection failed")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The scheme is not `https`, nor `http` where private addresses are allowed.
    #[error("{0} is not a scheme for webhooks")]
    Scheme(String),
    /// A header cannot be sent as it is.
    #[error("a header cannot be sent")]
    Header(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl WebhookError {
    /// Whether it is certain that nothing of the request has reached the receiver.
    pub const fn nothing_arrived(&self) -> bool {
        match self {
            Self::PrivateAddress { .. }
            | Self::Unresolved { .. }
            | Self::NotConnected(_)
            | Self::Scheme(_)
            | Self::Header(_) => true,
            Self::Timeout { .. } | Self::Unreachable(_) => false,
        }
    }

    /// The limit was reached.
    pub(crate) const fn timeout(limit: Span) -> Self {
        Self::Timeout { seconds: limit.as_millis().div_ceil(1000) }
    }
}

/// Something that delivers webhooks.
#[async_trait]
pub trait WebhookSender: Send + Sync {
    /// Makes one attempt. Never retries: that is the step's business.
    async fn send(&self, request: &WebhookRequest) -> WebhookReply;

    /// Whether an address would be called at all, as far as the URL alone says it.
    fn check(&self, url: &Url) -> Result<(), WebhookError> {
        Guard::PublicOnly.check(url).map(drop)
    }
}
