//! C1: `POST /api/v1/chats`

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use epilogue_core::{Connection, OrgId, Session, SessionId, Span, agent::AgentKind};
use epilogue_engine::session::{OpenError, OpenSession, Opened, Origin};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    NAME,
    access::Operates,
    error::Problem,
    find::within_limit,
    limits::{self, BAG_BYTES_MAX, CHANNEL_CHARS_MAX, EXTERNAL_ID_BYTES_MAX, TTL_SECONDS},
    profile, stateless,
    view::ChatSession,
    wire::JsonBody,
};
use crate::{Api, auth::Caller, rate::Subject};

/// The channel of a session that names none.
pub const WEB: &str = "web";
/// The channel of text messages through Twilio.
pub const TWILIO_SMS: &str = "twilio_sms";

/// The prompt variable that says the channel.
pub const CHANNEL_VARIABLE: &str = "channel";
/// The prompt variable that says the endpoint.
pub const ENDPOINT_VARIABLE: &str = "sip_endpoint";

/// When a client is asked to come back whose organization has as many sessions open as it may.
const TOO_MANY_OPEN_RETRY: Span = Span::from_secs(60);

/// What a client asks for.
#[derive(Debug, Deserialize)]
pub(super) struct OpenBody {
    agent_id: Option<String>,
    channel: Option<String>,
    external_id: Option<Map<String, Value>>,
    ttl_seconds: Option<i64>,
    additional_data: Option<Map<String, Value>>,
}

/// A session to be opened, checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    /// With which agent.
    pub agent: String,
    /// Through which channel; `None` for conversations that are no chats.
    pub channel: Option<String>,
    /// The endpoint's address; nothing: it belongs to none.
    pub external_id: Map<String, Value>,
    /// How long nothing may happen.
    pub ttl: Option<Span>,
    /// The bag of prompt variables.
    pub bag: Map<String, Value>,
    /// The connection it lives by, if it lives by one.
    pub connection: Option<Connection>,
    /// What else there is to know about where it comes from, for whoever runs the server.
    pub metadata: Value,
}

/// Opens a session, or finds the live one of its endpoint.
pub(super) async fn open(
    State(api): State<Api>,
    Operates(caller): Operates,
    body: Result<JsonBody<OpenBody>, Problem>,
) -> Result<Response, Problem> {
    limit_opens(&api, &caller)?;
    let draft = check(body?.0)?;
    let agent = draft.agent.clone();
    match open_session(&api, &caller.org, draft).await {
        Ok(opened) => {
            let location = format!("/api/v1/chats/{}", opened.session.dialect_id);
            let body = Json(ChatSession::of(&opened.session, &[]));
            Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
        }
        Err(OpenError::EndpointTaken(live)) => existing(&api, &live, &agent).await,
        Err(error) => Err(refused(error)),
    }
}

/// Counts an open against its key's limit.
pub(super) fn limit_opens(api: &Api, caller: &Caller) -> Result<(), Problem> {
    let subject = Subject::Opens(caller.org.clone(), caller.key.clone());
    within_limit(api, &subject, api.settings().opens_per_minute)
}

fn check(body: OpenBody) -> Result<Draft, Problem> {
    let agent = body.agent_id.filter(|id| !id.trim().is_empty());
    let agent = agent.ok_or_else(|| Problem::field("agent_id", "is required"))?;
    let channel = body.channel.filter(|channel| !channel.trim().is_empty());
    let channel = channel.unwrap_or_else(|| WEB.to_owned());
    check_channel(&channel)?;
    let ttl = body.ttl_seconds.map(ttl).transpose()?;
    let external_id = body.external_id.unwrap_or_default();
    limits::object("external_id", &external_id, EXTERNAL_ID_BYTES_MAX)?;
    let bag = body.additional_data.unwrap_or_default();
    limits::object("additional_data", &bag, BAG_BYTES_MAX)?;
    Ok(Draft { agent, channel: Some(channel), external_id, ttl, bag, ..Draft::default() })
}

fn check_channel(channel: &str) -> Result<(), Problem> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if channel.len() <= CHANNEL_CHARS_MAX && channel.chars().all(letters) {
        return Ok(());
    }
    let wanted = format!("must have 1 to {CHANNEL_CHARS_MAX} characters of a-z, 0-9 and _");
    Err(Problem::field("channel", wanted))
}

fn ttl(seconds: i64) -> Result<Span, Problem> {
    let (least, most) = (TTL_SECONDS.start(), TTL_SECONDS.end());
    let wrong = || Problem::field("ttl_seconds", format!("must be from {least} to {most}"));
    let within = Some(seconds).filter(|seconds| TTL_SECONDS.contains(seconds)).ok_or_else(wrong)?;
    Ok(Span::from_secs(u64::try_from(within).map_err(|_| wrong())?))
}

/// Opens a session of this API.
pub(crate) async fn open_session(
    api: &Api,
    org: &OrgId,
    draft: Draft,
) -> Result<Opened, OpenError> {
    let id = api.engine().new_session_id();
    api.engine().open(request(org, id, draft)).await
}

/// The session that a draft says.
pub(super) fn request(org: &OrgId, id: SessionId, draft: Draft) -> OpenSession {
    let address = if draft.external_id.is_empty() { Value::Null } else { draft.external_id.into() };
    OpenSession {
        org: org.clone(),
        id,
        dialect: NAME.into(),
        dialect_id: id.to_string(),
        agent: draft.agent.into(),
        kind: AgentKind::Text,
        profile: if draft.channel.is_some() { profile(draft.ttl) } else { stateless(draft.ttl) },
        person: None,
        metadata: draft.metadata,
        variables: BTreeMap::new(),
        origin: Origin {
            project: None,
            reserved: reserved(draft.channel.as_deref().unwrap_or(WEB), &address),
            channel: draft.channel,
            address,
            bag: draft.bag,
            connection: draft.connection,
        },
    }
}

/// The prompt variables that are the server's to say.
fn reserved(channel: &str, address: &Value) -> BTreeMap<String, String> {
    let endpoint = endpoint_name(channel, address).to_owned();
    [(CHANNEL_VARIABLE.to_owned(), channel.to_owned()), (ENDPOINT_VARIABLE.to_owned(), endpoint)]
        .into()
}

/// What stands for the other side: the customer's number where there is one.
fn endpoint_name<'a>(channel: &str, address: &'a Value) -> &'a str {
    let number = address.get("from").and_then(Value::as_str);
    number.filter(|_| channel == TWILIO_SMS).unwrap_or(WEB)
}

/// What stands for the other side of a session.
pub(super) fn endpoint_of(session: &Session) -> String {
    let channel = session.channel.as_deref().unwrap_or(WEB);
    endpoint_name(channel, &session.context.address).to_owned()
}

/// The answer to an open for an endpoint that has a live session.
async fn existing(api: &Api, live: &Session, agent: &str) -> Result<Response, Problem> {
    if live.agent.id.as_str() != agent {
        let detail = "The endpoint has a live session with another agent.";
        return Err(Problem::conflict(detail).naming(&live.dialect_id));
    }
    let transcript = api.engine().transcript(&live.org, live.id).await?;
    Ok((StatusCode::OK, Json(ChatSession::of(live, &transcript))).into_response())
}

/// Why a session was not opened.
pub(crate) fn refused(error: OpenError) -> Problem {
    match error {
        OpenError::NoAgent => Problem::not_found("agent"),
        OpenError::Disabled => {
            Problem::conflict("The agent is disabled and takes no new conversations.")
        }
        OpenError::WrongKind => {
            let detail = "The agent's configuration cannot drive a text conversation.";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        }
        OpenError::InsufficientCredits { .. } => {
            Problem::new(StatusCode::PAYMENT_REQUIRED, "The organization is out of credits.")
        }
        OpenError::TooManyOpen => {
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "Concurrent limit exceeded");
            problem.retry_after(TOO_MANY_OPEN_RETRY)
        }
        OpenError::EndpointTaken(live) => {
            Problem::conflict("The endpoint has a live session.").naming(live.dialect_id)
        }
        // Names are drawn here, each once.
        error @ OpenError::NameTaken => Problem::internal(&error),
        OpenError::Engine(error) => error.into(),
    }
}
