//! Tools that are HTTP endpoints of an agent's owner: what the model is shown of them, how they
//! are called, and what the model is told of the answer.

use std::error::Error;

use epilogue_core::{
    Span, Timestamp,
    agent::{TOOL_RETRIES_MAX, ToolMethod, ToolSpec},
};
use http::{HeaderMap, HeaderValue, Method, header};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use url::Url;

use crate::{
    clock::{SharedClock, within},
    llm::ToolDefinition,
    webhook::{
        WebhookError,
        egress::{Egress, Extent, Incoming, Outgoing},
        owners::{self, HeaderError},
    },
};

/// How long a call's arguments may be.
pub const ARGUMENTS_BYTES_MAX: usize = 64 * 1024;
/// How long a tool's reply may be. A longer one fails: half of it would be told as the whole.
pub const REPLY_BYTES_MAX: usize = 64 * 1024;

/// What the model is told when it did not write a JSON object, so that it can try again.
pub const BAD_ARGUMENTS: &str =
    "The tool was not called: its arguments must be one JSON object. Call it again with one.";
/// What the model is told when it wrote more than [`ARGUMENTS_BYTES_MAX`].
pub const LONG_ARGUMENTS: &str = "The tool was not called: its arguments are too long.";
/// What the model is told when a call failed and its owner has not said what to say.
pub const FAILED: &str = "The tool failed and has no result.";
/// What the model is told when a tool worked and said nothing.
pub const EMPTY: &str = "The tool has done its work. It has no result to show.";

/// The members of a reply that are taken as its text, first match first.
const TEXT_MEMBERS: [&str; 3] = ["result", "data", "message"];

/// The wait before a call is tried again. It doubles with each.
pub const BACKOFF: Span = Span::from_millis(500);

/// No attempt begins later than this after the first: a person waits for the answer.
pub const RETRY_WINDOW: Span = Span::from_secs(120);

/// What the model is told of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolReply {
    /// The text.
    pub text: String,
    /// Why the tool did not do what it was asked to, if it did not. Never its words.
    pub failure: Option<String>,
}

impl ToolReply {
    pub(crate) fn told(text: &str, failure: &str) -> Self {
        Self { text: text.to_owned(), failure: Some(failure.to_owned()) }
    }
}

/// Why a call failed: for the log, never for the model.
#[derive(Debug, thiserror::Error)]
enum ToolError {
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error(transparent)]
    Egress(#[from] WebhookError),
    #[error("the tool answered {0}")]
    Refused(u16),
    #[error("the tool answered more than {REPLY_BYTES_MAX} bytes")]
    TooLong,
    #[error("the tool's answer is not JSON")]
    NotJson,
}

impl ToolError {
    /// Whether the same call may succeed when it is made again.
    const fn is_passing(&self) -> bool {
        match self {
            Self::Egress(error) => matches!(
                error,
                WebhookError::Timeout { .. }
                    | WebhookError::Unreachable(_)
                    | WebhookError::Unresolved { .. }
            ),
            Self::Refused(status) => matches!(*status, 408 | 425 | 429 | 500..=599),
            Self::Header(_) | Self::TooLong | Self::NotJson => false,
        }
    }
}

impl From<&ToolSpec> for ToolDefinition {
    fn from(spec: &ToolSpec) -> Self {
        Self {
            name: spec.name.clone(),
            description: spec.description.clone(),
            parameters: spec.parameters.clone(),
        }
    }
}

/// Calls tools. A clone shares the connections.
#[derive(Clone)]
pub struct Toolbox {
    egress: Egress,
    clock: SharedClock,
}

impl Toolbox {
    /// Calls through `egress`, with time limits by `clock`.
    pub fn new(egress: Egress, clock: SharedClock) -> Self {
        Self { egress, clock }
    }

    /// An agent's tools as a model sees them.
    pub fn definitions(tools: &[ToolSpec]) -> Vec<ToolDefinition> {
        tools.iter().map(ToolDefinition::from).collect()
    }

    /// Calls a tool with the arguments as the model wrote them.
    pub async fn call(&self, spec: &ToolSpec, arguments: &str) -> ToolReply {
        self.call_with(spec, arguments, None).await
    }

    /// Calls a tool, in words of their own if they are given: a body that says more than the
    /// arguments, whose answer is then JSON and taken whole. Tries again as often as the tool says.
    /// Always comes to something that the model can be told; why a call failed goes to the log.
    pub async fn call_with(
        &self,
        spec: &ToolSpec,
        arguments: &str,
        words: Option<&str>,
    ) -> ToolReply {
        if arguments.len() > ARGUMENTS_BYTES_MAX {
            return ToolReply::told(LONG_ARGUMENTS, "its arguments are too long");
        }
        // Models often write nothing at all for a tool that takes nothing.
        let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
        let Ok(parsed) = serde_json::from_str(arguments) else {
            return ToolReply::told(BAD_ARGUMENTS, "its arguments are not a JSON object");
        };
        let sent = words.unwrap_or(arguments);
        match self.attempts(spec, sent, &parsed).await {
            Ok(text) => ToolReply { text, failure: None },
            Err(error) => {
                tracing::warn!(
                    tool = spec.name,
                    error = &error as &dyn Error,
                    "a tool call failed"
                );
                ToolReply { text: fallback(spec), failure: Some(error.to_string()) }
            }
        }
    }

    /// Tries until it works, is refused for good, or has been tried often or long enough.
    async fn attempts(
        &self,
        spec: &ToolSpec,
        sent: &str,
        parsed: &Map<String, Value>,
    ) -> Result<String, ToolError> {
        let until: Timestamp = self.clock.now() + RETRY_WINDOW;
        let mut wait = BACKOFF;
        let mut retries = spec.retries.min(TOOL_RETRIES_MAX);
        loop {
            let error = match self.exchange(spec, sent, parsed).await {
                Ok(text) => return Ok(text),
                Err(error) => error,
            };
            if retries == 0 || !error.is_passing() || self.clock.now() + wait > until {
                return Err(error);
            }
            tracing::debug!(tool = spec.name, error = &error as &dyn Error, "calling it again");
            self.clock.sleep(wait).await;
            wait = Span::from_millis(wait.as_millis() * 2);
            retries -= 1;
        }
    }

    async fn exchange(
        &self,
        spec: &ToolSpec,
        arguments: &str,
        parsed: &Map<String, Value>,
    ) -> Result<String, ToolError> {
        let request = outgoing(spec, arguments, parsed)?;
        let limit = Span::from_secs(spec.timeout_s);
        let exchange = self.egress.send(request, REPLY_BYTES_MAX);
        let answered = within(&*self.clock, limit, exchange).await;
        let answer = answered.ok_or_else(|| WebhookError::timeout(limit))??;
        if !answer.status.is_success() {
            return Err(ToolError::Refused(answer.status.as_u16()));
        }
        if spec.worded_by.is_some() { whole(&answer) } else { text(&answer) }
    }
}

/// What the model is told when a call failed: what its owner said, or that it failed.
fn fallback(spec: &ToolSpec) -> String {
    match (&spec.fallback_result, &spec.worded_by) {
        (Some(Value::String(said)), Some(_)) => unmistakable(said.clone()),
        (Some(fallback), _) => as_text(fallback.clone()),
        (None, Some(_)) => json!({ "error": FAILED }).to_string(),
        (None, None) => FAILED.to_owned(),
    }
}

fn outgoing(
    spec: &ToolSpec,
    arguments: &str,
    parsed: &Map<String, Value>,
) -> Result<Outgoing, ToolError> {
    let method = match spec.method {
        ToolMethod::Get => Method::GET,
        ToolMethod::Post => Method::POST,
        ToolMethod::Put => Method::PUT,
        ToolMethod::Patch => Method::PATCH,
    };
    let mut headers = HeaderMap::new();
    let (url, body) = if spec.method == ToolMethod::Get {
        (with_query(&spec.url, parsed), String::new())
    } else {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // As the model wrote it: a number too large for us may be what the tool needs.
        (spec.url.clone(), arguments.to_owned())
    };
    for (name, value) in &spec.headers {
        let (name, value) = owners::header(name, value)?;
        headers.insert(name, value);
    }
    Ok(Outgoing { method, url, headers, body })
}

/// The arguments in the query, after what the owner put there, which the model cannot replace:
/// text as it is, nothing for null, and JSON for the rest.
fn with_query(url: &Url, arguments: &Map<String, Value>) -> Url {
    let fixed: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    let mut url = url.clone();
    for (name, value) in arguments.iter().filter(|(name, _)| !fixed.contains(name)) {
        match value {
            Value::Null => {}
            Value::String(text) => drop(url.query_pairs_mut().append_pair(name, text)),
            value => drop(url.query_pairs_mut().append_pair(name, &value.to_string())),
        }
    }
    url
}

/// What a good answer says.
fn text(answer: &Incoming) -> Result<String, ToolError> {
    if answer.extent == Extent::Cut {
        return Err(ToolError::TooLong);
    }
    let text = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(Value::Object(members)) => {
            let named = TEXT_MEMBERS.iter().filter_map(|name| members.get(*name));
            match named.into_iter().find(|value| !value.is_null()) {
                Some(value) => as_text(value.clone()),
                None => Value::Object(members).to_string(),
            }
        }
        Ok(value) => as_text(value),
        Err(_) => String::from_utf8_lossy(&answer.body).into_owned(),
    };
    Ok(if text.trim().is_empty() { EMPTY.to_owned() } else { text })
}

/// The whole of a good answer, which must be JSON.
fn whole(answer: &Incoming) -> Result<String, ToolError> {
    if answer.extent == Extent::Cut {
        return Err(ToolError::TooLong);
    }
    if answer.body.trim_ascii().is_empty() {
        return Ok(EMPTY.to_owned());
    }
    let text = str::from_utf8(&answer.body).map_err(|_| ToolError::NotJson)?.trim();
    match serde_json::from_str(text).map_err(|_| ToolError::NotJson)? {
        Value::String(said) => Ok(unmistakable(said)),
        // As the tool wrote it: what it put first, the model reads first.
        _ => Ok(text.to_owned()),
    }
}

/// A text that a tool gave as JSON. One that reads as JSON itself keeps its quotation marks, so that
/// it stays a text and becomes no number.
fn unmistakable(said: String) -> String {
    match serde_json::from_str::<IgnoredAny>(&said) {
        Ok(_) => Value::String(said).to_string(),
        Err(_) => said,
    }
}

fn as_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        value => value.to_string(),
    }
}

#[cfg(test)]
#[path = "tool_tests.rs"]
mod tests;
