//! Every way this dialect says no: `{"success":false,"error":"text"}`.

use std::borrow::Cow;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use epilogue_core::Span;
use epilogue_engine::{
    Error as EngineError,
    media::{StageFault, ViewerFault},
    session::StageError,
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{body::BodyError, rate::Rate};

/// When a client that meets a passing fault is asked to come back.
const RETRY_AFTER: Span = Span::from_secs(2);

/// The message is the wire text; the cause is for the log alone.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("Invalid Kaltura Session")]
    InvalidKs,
    #[error("Kaltura Session not authorized")]
    NotAdmin,
    #[error("Invalid or expired token")]
    InvalidToken,
    #[error("Session not found")]
    NoSession,
    #[error("Session ended")]
    Over,
    #[error("Not found")]
    NoSuchPath,
    #[error("Method not allowed")]
    NoSuchMethod,
    #[error("{0}")]
    Bad(Cow<'static, str>),
    #[error("Request body too large (at most {max} bytes)")]
    TooLarge { max: usize },
    #[error("Request body was not received in time")]
    TooSlow,
    #[error("Content-Type must be application/sdp")]
    NotSdp,
    #[error("The stream already has a viewer")]
    Watched,
    #[error("Insufficient credits")]
    InsufficientCredits,
    #[error("Too many requests")]
    TooMany(Rate),
    #[error("Service temporarily unavailable")]
    Unavailable,
    #[error("Internal server error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The request is wrong.
    pub fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Bad(text.into())
    }

    /// A fault of ours.
    pub fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::InvalidKs | Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::InsufficientCredits => StatusCode::PAYMENT_REQUIRED,
            Self::NotAdmin => StatusCode::FORBIDDEN,
            Self::NoSession | Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Watched => StatusCode::CONFLICT,
            Self::Over => StatusCode::GONE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotSdp => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// When it is worth another try. `None`: the same would be said again.
    fn retry_after(&self) -> Option<Span> {
        match self {
            Self::Unavailable => Some(RETRY_AFTER),
            Self::TooMany(rate) => Some(rate.retry_after()),
            _ => None,
        }
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        if error.is_passing() { Self::Unavailable } else { Self::internal(error) }
    }
}

impl From<StageError> for Error {
    fn from(error: StageError) -> Self {
        match error {
            StageError::Over => Self::Over,
            StageError::Viewer(ViewerFault::NotShown) => Self::NoSession,
            StageError::Viewer(ViewerFault::Watched) => Self::Watched,
            StageError::Viewer(ViewerFault::BadOffer(_)) => {
                Self::bad("The offer cannot be answered")
            }
            StageError::Stage(StageFault::Full | StageFault::NoStage)
            | StageError::NoVoice
            | StageError::TooMuch => Self::Unavailable,
            StageError::Engine(error) => error.into(),
        }
    }
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { max } => Self::TooLarge { max },
            BodyError::TooSlow { .. } => Self::TooSlow,
            BodyError::Broken(_) => Self::bad("Request body could not be read"),
        }
    }
}

#[derive(Serialize)]
struct Refusal {
    success: bool,
    error: String,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = &self as &dyn std::error::Error, "a request failed");
        }
        let refusal = Refusal { success: false, error: self.to_string() };
        let mut response = (status, Json(refusal)).into_response();
        if let Some(span) = self.retry_after() {
            let seconds = HeaderValue::from(span.as_millis().div_ceil(1000));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if let Self::TooMany(rate) = self {
            rate.stamp(response.headers_mut());
        }
        response
    }
}

/// Any path of this dialect's that is none of its own.
pub(super) async fn no_such_path() -> Error {
    Error::NoSuchPath
}

/// A path of ours, asked in a way it does not know.
pub(super) async fn no_such_method() -> Error {
    Error::NoSuchMethod
}
