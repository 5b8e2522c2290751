//! How the native API says no: RFC 9457 problem details. The words are for the caller; the cause of
//! a fault of ours goes to the log and nowhere else.

use axum::response::{IntoResponse, Response};
use epilogue_engine::Error;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::rate::Rate;

/// The media type of every error.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// How soon to try again after a passing fault, in seconds.
pub const RETRY_AFTER_S: u64 = 1;

/// What can be wrong: a closed set, each with its word, title and status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The body or the query is not what the operation takes.
    InvalidRequest,
    /// The operator's key did not say for which organization.
    OrganizationRequired,
    /// No credential, or one that opens nothing.
    Unauthorized,
    /// Too few credits to open a session.
    InsufficientCredits,
    /// The credential is good, but not for this.
    Forbidden,
    /// The organization has no such thing.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The name of a new session is taken.
    NameTaken,
    /// A turn is running.
    TurnRunning,
    /// The thing is in a state that does not allow this.
    WrongState,
    /// The session has ended, or its deadline has passed.
    SessionOver,
    /// The body did not come in time.
    TooSlow,
    /// The body is longer than the server takes.
    TooLarge,
    /// More requests than the limit allows.
    RateLimited,
    /// Too many messages wait for this session.
    TooManyWaiting,
    /// Our fault.
    Internal,
    /// Not now.
    Unavailable,
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 17] = [
        Self::InvalidRequest,
        Self::OrganizationRequired,
        Self::Unauthorized,
        Self::InsufficientCredits,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NameTaken,
        Self::TurnRunning,
        Self::WrongState,
        Self::SessionOver,
        Self::TooSlow,
        Self::TooLarge,
        Self::RateLimited,
        Self::TooManyWaiting,
        Self::Internal,
        Self::Unavailable,
    ];

    const fn facts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidRequest => {
                (StatusCode::BAD_REQUEST, "invalid-request", "The request is not valid")
            }
            Self::OrganizationRequired => {
                (StatusCode::BAD_REQUEST, "organization-required", "Say which organization")
            }
            Self::Unauthorized => {
                (StatusCode::UNAUTHORIZED, "unauthorized", "A credential is needed")
            }
            Self::InsufficientCredits => {
                (StatusCode::PAYMENT_REQUIRED, "insufficient-credits", "Too few credits")
            }
            Self::Forbidden => {
                (StatusCode::FORBIDDEN, "forbidden", "This credential does not allow that")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed")
            }
            Self::NameTaken => (StatusCode::CONFLICT, "name-taken", "The name is taken"),
            Self::TurnRunning => (StatusCode::CONFLICT, "turn-running", "A turn is running"),
            Self::WrongState => (StatusCode::CONFLICT, "wrong-state", "Not in this state"),
            Self::SessionOver => (StatusCode::GONE, "session-over", "The session is over"),
            Self::TooSlow => {
                (StatusCode::REQUEST_TIMEOUT, "too-slow", "The request body came too slowly")
            }
            Self::RateLimited => {
                (StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too many requests")
            }
            Self::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request body is too long")
            }
            Self::TooManyWaiting => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-waiting", "Too many messages wait")
            }
            Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong here")
            }
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not now"),
        }
    }

    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        self.facts().0
    }

    /// The last part of the problem's type.
    pub const fn slug(self) -> &'static str {
        self.facts().1
    }
}

/// An answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    rate: Option<Rate>,
}

/// Problem details as RFC 9457 defines them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProblemDetails {
    /// What kind of problem it is: `/epilogue/problems/<word>`. Decide by this and the status.
    #[serde(rename = "type")]
    #[schema(example = "/epilogue/problems/session-over")]
    pub kind: String,
    /// The kind in words, always the same.
    pub title: &'static str,
    /// The HTTP status, repeated.
    #[schema(example = 410)]
    pub status: u16,
    /// What is wrong with this request, for people.
    pub detail: String,
    /// Which parts of the request are wrong, where that can be said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
}

/// One part of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The path of the part, such as `variables.name`; `.` for the whole.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), rate: None }
    }

    /// One part of the request is wrong.
    pub fn field(path: impl Into<String>, problem: impl Into<String>) -> Self {
        let (path, problem) = (path.into(), problem.into());
        let detail = if path == "." { problem.clone() } else { format!("{path}: {problem}") };
        Self {
            errors: vec![FieldError { path, problem }],
            ..Self::new(Kind::InvalidRequest, detail)
        }
    }

    /// The limit is used up.
    pub(crate) fn rate_limited(rate: Rate) -> Self {
        let detail = "That is more than the limit allows; see the X-RateLimit headers.";
        Self { rate: Some(rate), ..Self::new(Kind::RateLimited, detail) }
    }

    /// This organization has no such thing.
    pub fn not_found(what: &str) -> Self {
        Self::new(Kind::NotFound, format!("This organization has no such {what}."))
    }

    /// A fault of ours. The cause is logged, and the answer is always the same.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::new(Kind::Internal, "The cause is in the server's log.")
    }

    /// What kind of problem it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Draining => Self::new(Kind::Unavailable, "The server is shutting down."),
            error if error.is_passing() => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a request was shed");
                Self::new(Kind::Unavailable, "The server has more work than it takes.")
            }
            error => Self::internal(&error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, slug, title) = self.kind.facts();
        let details = ProblemDetails {
            kind: format!("/epilogue/problems/{slug}"),
            title,
            status: status.as_u16(),
            detail: self.detail,
            errors: self.errors,
        };
        let mut response = (status, axum::Json(details)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        match self.kind {
            Kind::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Kind::Unavailable | Kind::TooManyWaiting => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
            }
            _ => {}
        }
        if let Some(rate) = self.rate {
            rate.stamp(headers);
            let seconds = rate.retry_after().as_millis().div_ceil(1000).max(1);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What a path that nobody serves answers.
pub async fn no_such_path() -> Problem {
    Problem::new(Kind::NotFound, "There is nothing at this path.")
}

/// What a path answers to a method it does not have.
pub(super) async fn no_such_method() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "This path has other methods; see the Allow header.")
}
