//! Every way this dialect says no.

use std::error::Error as _;

use super::wire::{Issue, Refusal};
use crate::body::BodyError;
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use epilogue_core::Span;
use epilogue_engine as engine;
use http::{HeaderValue, StatusCode, header};

/// When a client that meets a passing fault is asked to come back.
const RETRY_AFTER: Span = Span::from_secs(2);

/// The message is the wire text; the cause is for the log alone.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("Authentication required: provide X-API-Key or X-Studio-Token")]
    NoCredential,
    #[error("Invalid API key")]
    BadKey,
    #[error("Invalid or expired studio session")]
    BadStudioToken,
    #[error("Invalid token")]
    InvalidToken,
    #[error("Origin not allowed for this API key")]
    ForeignOrigin,
    #[error("This API key may not create sessions")]
    MayNotOpen,
    #[error("A widget key can only create sessions")]
    WidgetKey,
    #[error("Conversation ID does not match session token")]
    WrongSession,
    #[error("Not Found")]
    NoSuchPath,
    #[error("Method Not Allowed")]
    NoSuchMethod,
    #[error("Agent {0} not found or does not belong to your organization")]
    NoAgent(String),
    #[error("Session not found or expired")]
    NoSession,
    #[error("Rate limit exceeded")]
    RateLimited { retry_after: Span },
    #[error("Agent ID is required")]
    NoAgentId,
    #[error("Agent must be Text architecture for chat sessions")]
    NotTextAgent,
    #[error("Message is required")]
    NoMessage,
    #[error("Message too long (max {max} characters)")]
    MessageTooLong { max: usize },
    #[error("the request is not valid")]
    Invalid(Vec<Issue>),
    #[error("Request body too large (max {max} bytes)")]
    BodyTooLarge { max: usize },
    #[error("Request body was not received in time")]
    BodyTooSlow,
    #[error("Request body could not be read")]
    BodyBroken(#[source] BodyError),
    #[error("Insufficient credits. Please add credits to continue.")]
    InsufficientCredits,
    #[error("Another message of this session is still being answered")]
    Busy,
    #[error("Billing service unavailable: {}", cause(.0))]
    Billing(#[source] engine::Error),
    #[error("The server is restarting. Please try again.")]
    Draining,
    #[error("The server is overloaded. Please try again.")]
    Overloaded(#[source] engine::Error),
    #[error("Failed to end session")]
    End(#[source] engine::Error),
    #[error("Internal server error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What is wrong with the store, in its own words, which name no row and no person.
fn cause(error: &engine::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        match error {
            engine::Error::Draining => Self::Draining,
            error if error.is_passing() => Self::Overloaded(error),
            error => Self::Internal(error.into()),
        }
    }
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { max } => Self::BodyTooLarge { max },
            BodyError::TooSlow { .. } => Self::BodyTooSlow,
            BodyError::Broken(_) => Self::BodyBroken(error),
        }
    }
}

impl Error {
    /// A fault while a session is opened: without its books the server opens none.
    pub fn at_open(error: engine::Error) -> Self {
        match error {
            engine::Error::Store(_) => Self::Billing(error),
            other => other.into(),
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::NoAgentId
            | Self::NotTextAgent
            | Self::NoMessage
            | Self::MessageTooLong { .. }
            | Self::BodyBroken(_) => StatusCode::BAD_REQUEST,
            Self::NoCredential | Self::BadKey | Self::BadStudioToken | Self::InvalidToken => {
                StatusCode::UNAUTHORIZED
            }
            Self::InsufficientCredits => StatusCode::PAYMENT_REQUIRED,
            Self::ForeignOrigin | Self::MayNotOpen | Self::WidgetKey | Self::WrongSession => {
                StatusCode::FORBIDDEN
            }
            Self::NoSuchPath | Self::NoAgent(_) | Self::NoSession => StatusCode::NOT_FOUND,
            Self::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy => StatusCode::CONFLICT,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::End(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Billing(_) | Self::Draining | Self::Overloaded(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    fn retry_after(&self) -> Option<Span> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::End(error) => error.is_passing().then_some(RETRY_AFTER),
            other => (other.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            let error = &self as &dyn std::error::Error;
            tracing::error!(error, status = status.as_u16(), "a request failed");
        }
        let mut response = match &self {
            Self::Invalid(issues) => (status, Json(Refusal { detail: issues })).into_response(),
            other => (status, Json(Refusal { detail: other.to_string() })).into_response(),
        };
        if let Some(span) = self.retry_after() {
            let seconds = span.as_millis().div_ceil(1000).max(1);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Any path below `/v1/chat` that is none of ours.
pub(super) async fn no_such_path() -> Error {
    Error::NoSuchPath
}

/// A path of ours, asked in a way it does not know.
pub(super) async fn no_such_method() -> Error {
    Error::NoSuchMethod
}

#[cfg(test)]
mod tests {
    use epilogue_engine::testing as storage;

    use super::*;

    fn told(error: Error) -> (u16, String, Option<String>) {
        let text = error.to_string();
        let response = error.into_response();
        let wait = response.headers().get(header::RETRY_AFTER);
        let wait = wait.map(|value| value.to_str().expect("text").to_owned());
        (response.status().as_u16(), text, wait)
    }

    #[test]
    fn an_overloaded_store_is_the_billing_service_to_an_open() {
        let text = "Billing service unavailable: the store has more work waiting than it takes";
        let error = Error::at_open(storage::Error::Overloaded.into());
        assert_eq!(told(error), (503, text.into(), Some("2".into())));
        let (status, text, wait) = told(Error::at_open(engine::Error::Draining));
        assert_eq!((status, wait), (503, Some("2".into())));
        assert_eq!(text, "The server is restarting. Please try again.");
    }

    #[test]
    fn a_fault_is_passing_or_ours() {
        let passing = told(engine::Error::from(storage::Error::Overloaded).into());
        assert_eq!((passing.0, passing.2), (503, Some("2".into())));
        let ours = told(engine::Error::from(storage::Error::Closed).into());
        assert_eq!(ours, (500, "Internal server error".into(), None));
    }

    #[test]
    fn an_end_that_fails_says_one_thing_and_when_to_come_back_if_that_helps() {
        let text = || "Failed to end session".to_owned();
        let passing = told(Error::End(storage::Error::Overloaded.into()));
        assert_eq!(passing, (500, text(), Some("2".into())));
        assert_eq!(told(Error::End(storage::Error::Closed.into())), (500, text(), None));
    }

    #[test]
    fn waiting_is_told_in_whole_seconds_and_never_none() {
        let wait = |millis| told(Error::RateLimited { retry_after: Span::from_millis(millis) }).2;
        assert_eq!(wait(0), Some("1".into()));
        assert_eq!(wait(1_001), Some("2".into()));
    }
}
