//! How this dialect says no: `{"error":"text"}` about sessions and chats, and
//! `{"error":{"message","details"}}` about everything else. The cause of a fault of ours goes to the log.

use std::borrow::Cow;

use axum::{
    Json,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use epilogue_core::Span;
use epilogue_engine::Error as EngineError;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::paths;
use crate::{body::BodyError, rate::Rate};

/// When a client that meets a passing fault is asked to come back.
const RETRY_AFTER: Span = Span::from_secs(1);

/// What clients made with the tools of OpenAI's look at before they call again.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// An answer that is an error. It is worded when it leaves, by [`render`], which knows what it is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Error(Box<Facts>);

#[derive(Clone, Debug, PartialEq)]
struct Facts {
    status: StatusCode,
    message: Cow<'static, str>,
    details: Option<Value>,
    retry_after: Option<Span>,
    rate: Option<Rate>,
    is_final: bool,
}

impl Error {
    /// An error with this status.
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self(Box::new(Facts {
            status,
            message,
            details: None,
            retry_after: None,
            rate: None,
            is_final: false,
        }))
    }

    /// The request is wrong.
    pub fn bad(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Calling again cannot help, which is said to clients that would by themselves.
    pub fn for_good(mut self) -> Self {
        self.0.is_final = true;
        self
    }

    /// What is said.
    #[cfg(test)]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What there is to know beside the message, where errors have room for it.
    pub fn with_details(mut self, details: Value) -> Self {
        self.0.details = Some(details);
        self
    }

    /// Nobody this server knows, or nobody of this project: the two look alike.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Invalid authentication")
    }

    /// The project has no live session of that name.
    pub fn no_session() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Session not found")
    }

    /// A part of the request is longer than this API takes.
    pub fn too_large(what: &str, max: usize) -> Self {
        let message = format!("{what} must have at most {max} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// Coming back after a while may help.
    pub fn retry_after(mut self, wait: Span) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The limit is used up.
    pub fn rate_limited(rate: Rate) -> Self {
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded");
        error.0.rate = Some(rate);
        error.retry_after(rate.retry_after())
    }

    /// More is asked for than the server takes at the moment.
    pub fn busy(message: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message).retry_after(RETRY_AFTER)
    }

    /// A fault of ours. The cause is logged, and the answer is always the same.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Draining => Self::busy("The server is shutting down"),
            error if error.is_passing() || error.is_too_much() => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a request was shed");
                Self::busy("The server has more work than it takes")
            }
            error => Self::internal(&error),
        }
    }
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { max } => Self::too_large("The body", max),
            BodyError::TooSlow { .. } => {
                Self::new(StatusCode::REQUEST_TIMEOUT, "The body did not come in time")
            }
            BodyError::Broken(_) => Self::bad("The body broke off"),
        }
    }
}

impl IntoResponse for Error {
    /// Only the status: the words are [`render`]'s.
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl Error {
    /// The body, for a path that is about sessions and chats or about something else.
    fn body(&self, of_sessions: bool) -> Value {
        let message = &self.0.message;
        match self.0.status {
            // The one error that looks the same everywhere.
            StatusCode::UNAUTHORIZED => json!({ "error": { "message": message } }),
            _ if of_sessions => json!({ "error": message }),
            _ => json!({ "error": { "message": message, "details": self.0.details } }),
        }
    }

    /// The whole answer.
    pub fn worded(&self, of_sessions: bool) -> Response {
        let mut response = (self.0.status, Json(self.body(of_sessions))).into_response();
        let headers = response.headers_mut();
        if self.0.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.0.is_final {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        if let Some(rate) = &self.0.rate {
            rate.stamp(headers);
        }
        if let Some(wait) = self.0.retry_after {
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Gives an error its words on the way out.
pub(super) async fn render(request: Request, next: Next) -> Response {
    let of_sessions = paths::is_of_sessions(request.uri().path());
    let mut response = next.run(request).await;
    let Some(error) = response.extensions_mut().remove::<Error>() else { return response };
    let mut worded = error.worded(of_sessions);
    // What the routers and handlers have said about the answer stays.
    for (name, value) in response.headers() {
        if *name != header::CONTENT_LENGTH && *name != header::CONTENT_TYPE {
            worded.headers_mut().insert(name.clone(), value.clone());
        }
    }
    worded
}

/// Any path below what is this dialect's that is none of its own.
pub(super) async fn no_such_path() -> Error {
    Error::new(StatusCode::NOT_FOUND, "Not found")
}

/// A path of ours, asked in a way it does not know.
pub(super) async fn no_such_method() -> Error {
    Error::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
}
