//! How this dialect says no: problem details with a trace id and, where parts of a request are
//! wrong, `errors`: a list of sentences for each. The cause of a fault of ours goes to the log.

use std::collections::BTreeMap;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use epilogue_core::Span;
use epilogue_engine::Error;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{Api, native::problem::MEDIA_TYPE, rate::Rate};

/// When a client that meets a passing fault is asked to come back.
const RETRY_AFTER: Span = Span::from_secs(1);

/// An answer that is an error. It is worded when it leaves, by [`render`], which knows the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem(Box<Facts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    status: StatusCode,
    detail: String,
    errors: BTreeMap<String, Vec<String>>,
    session_id: Option<String>,
    retry_after: Option<Span>,
    rate: Option<Rate>,
}

/// Problem details as RFC 9457 defines them, in this API's members.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    /// `about:blank`: the status says all there is to say.
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    trace_id: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    errors: &'a BTreeMap<String, Vec<String>>,
    /// The session that stands in the way of a new one.
    #[serde(rename = "session_id", skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
}

impl Problem {
    /// A problem with this status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Facts {
            status,
            detail: detail.into(),
            errors: BTreeMap::new(),
            session_id: None,
            retry_after: None,
            rate: None,
        }))
    }

    /// One part of the request is wrong.
    pub fn field(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "One or more validation errors occurred.")
            .and(name, problem)
    }

    /// Another part is wrong, too.
    pub fn and(mut self, name: impl Into<String>, problem: impl Into<String>) -> Self {
        self.0.errors.entry(name.into()).or_default().push(problem.into());
        self
    }

    /// A part of the request is longer than this API takes.
    pub fn too_large(name: &str, max: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "A part of the request is too large.")
            .and(name, format!("must have at most {max} bytes"))
    }

    /// Nobody this server knows sent the request.
    pub fn unauthorized() -> Self {
        let detail = "Send `Authorization: Bearer <API key>` with a key that is valid.";
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// This organization has no such thing, whoever else may have one.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("There is no such {what}."))
    }

    /// The state of things does not allow this.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// Names the session that stands in the way.
    pub fn naming(mut self, session: impl Into<String>) -> Self {
        self.0.session_id = Some(session.into());
        self
    }

    /// Coming back after a while may help.
    pub fn retry_after(mut self, wait: Span) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The limit is used up.
    pub fn rate_limited(rate: Rate) -> Self {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded");
        problem.0.rate = Some(rate);
        problem.retry_after(rate.retry_after())
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What it says.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What it says first about a part of the request.
    pub fn first_error(&self) -> Option<&str> {
        self.0.errors.values().flatten().next().map(String::as_str)
    }

    /// A fault of ours. The cause is logged, and the answer is always the same.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The cause is in the server's log.")
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let unavailable =
            |detail| Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(RETRY_AFTER);
        match error {
            error if error.is_too_much() => Self::new(
                StatusCode::BAD_REQUEST,
                "This search looks at too much: narrow its time, its words or its aggregations.",
            ),
            Error::Draining => unavailable("The server is shutting down."),
            error if error.is_passing() => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a request was shed");
                unavailable("The server has more work than it takes.")
            }
            error => Self::internal(&error),
        }
    }
}

impl IntoResponse for Problem {
    /// Only the status: the words are [`render`]'s.
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl Problem {
    fn worded(&self, trace_id: &str) -> Response {
        let details = Details {
            r#type: "about:blank",
            title: self.0.status.canonical_reason().unwrap_or("Error"),
            status: self.0.status.as_u16(),
            detail: &self.0.detail,
            trace_id,
            errors: &self.0.errors,
            session_id: self.0.session_id.as_deref(),
        };
        let mut response = (self.0.status, axum::Json(details)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.0.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
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

/// Gives a problem its words on the way out, with an id by which the log can be searched for it.
pub(super) async fn render(State(api): State<Api>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let trace_id = trace_id(&api);
    tracing::debug!(trace_id, status = problem.0.status.as_u16(), "a request was refused");
    let mut worded = problem.worded(&trace_id);
    // What the routers have said about the answer, such as which methods there are, stays.
    for (name, value) in response.headers() {
        if *name != header::CONTENT_LENGTH && *name != header::CONTENT_TYPE {
            worded.headers_mut().insert(name.clone(), value.clone());
        }
    }
    worded
}

fn trace_id(api: &Api) -> String {
    let hex =
        |bytes: &[u8]| bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let ids = api.engine().ids();
    format!("00-{}-{}-00", hex(&ids.bytes::<16>()), hex(&ids.bytes::<8>()))
}

/// Any path below `/api/v1` that is none of ours.
pub(super) async fn no_such_path() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "There is nothing at this path.")
}

/// A path of ours, asked in a way it does not know.
pub(super) async fn no_such_method() -> Problem {
    let detail = "This path has other methods; see the Allow header.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
