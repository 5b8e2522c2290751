//! Tools that are HTTP endpoints of an agent's owner: what the model is shown of them, how they
//! are called, and what the model is told of the answer.

use std::error::Error;

use epilogue_core::{
    Span,
    agent::{SecretRef, ToolMethod, ToolSpec},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use url::Url;

use crate::{
    clock::{SharedClock, within},
    llm::ToolDefinition,
    secret::{self, SecretError},
    webhook::{
        WebhookError,
        egress::{Egress, Extent, Incoming, Outgoing},
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

/// Headers that decide where a request begins and ends, or to whom it goes: not for owners to set.
const TRANSPORT_HEADERS: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What the model is told of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolReply {
    /// The text.
    pub text: String,
    /// The tool did not do what it was asked to.
    pub failed: bool,
}

/// Why a call failed: for the log, never for the model.
#[derive(Debug, thiserror::Error)]
enum ToolError {
    #[error("the header {0} cannot be sent")]
    Header(String),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Egress(#[from] WebhookError),
    #[error("the tool answered {0}")]
    Refused(u16),
    #[error("the tool answered more than {REPLY_BYTES_MAX} bytes")]
    TooLong,
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

    /// Calls a tool once, with the arguments as the model wrote them. Always comes to something
    /// that the model can be told; why a call failed goes to the log.
    pub async fn call(&self, spec: &ToolSpec, arguments: &str) -> ToolReply {
        if arguments.len() > ARGUMENTS_BYTES_MAX {
            return ToolReply { text: LONG_ARGUMENTS.to_owned(), failed: true };
        }
        // Models often write nothing at all for a tool that takes nothing.
        let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
        let Ok(parsed) = serde_json::from_str(arguments) else {
            return ToolReply { text: BAD_ARGUMENTS.to_owned(), failed: true };
        };
        match self.exchange(spec, arguments, &parsed).await {
            Ok(text) => ToolReply { text, failed: false },
            Err(error) => {
                tracing::warn!(
                    tool = spec.name,
                    error = &error as &dyn Error,
                    "a tool call failed"
                );
                let fallback = spec.fallback_result.as_deref().unwrap_or(FAILED);
                ToolReply { text: fallback.to_owned(), failed: true }
            }
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
        text(&answer)
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
        let (name, value) = owners_header(name, value)?;
        headers.insert(name, value);
    }
    Ok(Outgoing { method, url, headers, body })
}

/// A header of the owner's, its secret resolved at the last moment and marked as one.
fn owners_header(name: &str, value: &SecretRef) -> Result<(HeaderName, HeaderValue), ToolError> {
    let unfit = || ToolError::Header(name.escape_debug().to_string());
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
    if TRANSPORT_HEADERS.contains(&parsed) {
        return Err(unfit());
    }
    let secret = secret::resolve(value)?;
    let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(|_| unfit())?;
    value.set_sensitive(true);
    Ok((parsed, value))
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

fn as_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        value => value.to_string(),
    }
}

#[cfg(test)]
#[path = "tool_tests.rs"]
mod tests;
