//! T1: `POST /api/v1/text-chat/completion`
//!
//! The client carries the history; what the conversation has used, and that it is finished once, is
//! on record here all the same: each is a session of this API without a channel. Which one, the
//! sealed `state` says. It opens no other, for the seal names the organization, and a session with a
//! channel is never reached through it.

use axum::{Json, extract::State};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use epilogue_core::{
    AgentId, EndReason, EndRequest, Message, OrgId, Role, Session, SessionId, Span, Timestamp,
    message::{NewMessage, ToolCall},
};
use epilogue_engine::{
    records::SessionName,
    session::{TurnExtras, TurnRequest, WhenBusy},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    NAME,
    access::Operates,
    agents,
    error::Problem,
    find::within_limit,
    limits::{self, BAG_BYTES_MAX},
    messages::{produced, refused},
    open::{self, Draft, limit_opens, open_session},
    view::{self, ChatMessage},
    wire::JsonBody,
};
use crate::{Api, auth::Caller, rate::Subject};

/// How long a conversation in the client's keeping may be quiet before it is finished here.
pub const IDLE: Span = Span::from_secs(86_400);

/// How many messages of history a client may send.
pub const MESSAGES_MAX: usize = 1_000;

/// What a client asks for. Written again, it names its turn.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct CompletionBody {
    agent: Option<AgentChoice>,
    messages: Option<Vec<GivenMessage>>,
    state: Option<String>,
    additional_data: Option<Map<String, Value>>,
    #[serde(default)]
    finish: Option<bool>,
}

/// Which agent: one of the organization's, or a configuration in the request itself.
#[derive(Debug, Deserialize, Serialize)]
struct AgentChoice {
    id: Option<String>,
    #[serde(flatten)]
    inline: Map<String, Value>,
}

#[derive(Debug, Deserialize, Serialize)]
struct GivenMessage {
    role: String,
    content: Option<String>,
    tool_calls: Option<Vec<GivenCall>>,
    time: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct GivenCall {
    id: String,
    name: String,
    #[serde(default)]
    arguments: Value,
    #[serde(default)]
    response: Value,
}

/// What came of a turn.
#[derive(Debug, Serialize)]
pub(super) struct Completion {
    messages: Vec<ChatMessage>,
    state: String,
    is_final: bool,
    chat_id: String,
    call_id: String,
}

/// What the client carries from turn to turn.
#[derive(Debug, Serialize, Deserialize)]
struct Carried {
    session: SessionId,
    /// The turn that came last.
    #[serde(default)]
    turn: u32,
}

/// Which agent takes the turn.
#[derive(Debug)]
enum Choice {
    /// One of the organization's.
    Known(AgentId),
    /// The one that is configured in the request. It belongs to the conversation from its first
    /// turn on: what later requests say of it changes nothing.
    Inline(Map<String, Value>),
}

/// A request, checked.
#[derive(Debug)]
struct Asked {
    /// Under which name the turn can be asked for again; a first one has none.
    key: Option<String>,
    agent: Choice,
    /// What was said before.
    history: Vec<NewMessage>,
    /// What the person says now, if they say anything.
    message: Option<String>,
    variables: Map<String, Value>,
    finish: bool,
}

/// Runs one turn.
pub(super) async fn complete(
    State(api): State<Api>,
    Operates(caller): Operates,
    body: Result<JsonBody<CompletionBody>, Problem>,
) -> Result<Json<Completion>, Problem> {
    let (carried, mut body) = counted(&api, &caller, body)?;
    body.state = None;
    let key = carried.as_ref().map(|carried| name_of(carried, &body)).transpose()?;
    let asked = Asked { key, ..check(body, api.engine().now())? };
    let session = match &carried {
        Some(carried) => known(&api, &caller.org, carried, &asked.agent).await?,
        None if asked.message.is_none() => {
            return Err(Problem::field("messages", "must end with a message of the user"));
        }
        None => begin(&api, &caller, &asked).await?,
    };
    let (session, written) = turn(&api, &caller, session, asked).await?;
    let turn = written.last().map_or(session.turns, |message| message.turn);
    let carried = Carried { session: session.id, turn };
    Ok(Json(Completion {
        messages: view::messages(&produced(&written)),
        state: write(&api, &caller.org, &carried)?,
        is_final: session.ended().is_some(),
        chat_id: session.dialect_id.clone(),
        call_id: session.dialect_id,
    }))
}

/// Counts a request against its limit, which comes before what is wrong with it: one with a state is a
/// message to the conversation that it names, any other is an open.
fn counted(
    api: &Api,
    caller: &Caller,
    body: Result<JsonBody<CompletionBody>, Problem>,
) -> Result<(Option<Carried>, CompletionBody), Problem> {
    let state = body.as_ref().ok().and_then(|JsonBody(body)| body.state.as_deref());
    let Some(state) = state.filter(|state| !state.is_empty()) else {
        limit_opens(api, caller)?;
        return body.map(|JsonBody(body)| (None, body));
    };
    let carried = read(api, &caller.org, state)?;
    let subject = Subject::Messages(caller.org.clone(), carried.session);
    within_limit(api, &subject, api.settings().messages_per_minute)?;
    body.map(|JsonBody(body)| (Some(carried), body))
}

/// The name of the turn that a request asks for. The same words after the same turn are the same turn:
/// a client that has lost the answer is given it again.
fn name_of(carried: &Carried, body: &CompletionBody) -> Result<String, Problem> {
    let words = serde_json::to_string(&(carried.turn, body));
    let words = words.map_err(|error| Problem::internal(&error))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(crate::auth::hash(&words).0))
}

fn check(body: CompletionBody, now: Timestamp) -> Result<Asked, Problem> {
    let agent = agent(body.agent)?;
    let given = body.messages.ok_or_else(|| Problem::field("messages", "is required"))?;
    if given.len() > MESSAGES_MAX {
        return Err(Problem::field("messages", format!("must be at most {MESSAGES_MAX}")));
    }
    let finish = body.finish.unwrap_or(false);
    let mut history = Vec::new();
    for (place, message) in given.into_iter().enumerate() {
        history.extend(message.read(place, now)?);
    }
    let message = history.pop_if(|last| last.role == Role::User).map(|last| last.content);
    if message.is_none() && !finish {
        return Err(Problem::field("messages", "must end with a message of the user"));
    }
    if message.as_ref().is_some_and(|content| content.trim().is_empty()) {
        return Err(Problem::field("messages", "the last message must not be blank"));
    }
    let variables = body.additional_data.unwrap_or_default();
    limits::object("additional_data", &variables, BAG_BYTES_MAX)?;
    Ok(Asked { key: None, agent, history, message, variables, finish })
}

/// Which agent takes the turn. An id comes before whatever stands beside it.
fn agent(choice: Option<AgentChoice>) -> Result<Choice, Problem> {
    let choice = choice.ok_or_else(|| Problem::field("agent", "is required"))?;
    match choice.id.filter(|id| !id.trim().is_empty()) {
        Some(id) => Ok(Choice::Known(id.into())),
        None if choice.inline.is_empty() => {
            Err(Problem::field("agent", "must have an id or a configuration"))
        }
        None => Ok(Choice::Inline(choice.inline)),
    }
}

impl GivenMessage {
    /// The message as a transcript holds it: calls, then a message for each of their results.
    fn read(self, place: usize, now: Timestamp) -> Result<Vec<NewMessage>, Problem> {
        let role = match &*self.role {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => {
                let name = format!("messages[{place}].role");
                return Err(Problem::field(name, "must be user or assistant"));
            }
        };
        let content = self.content.unwrap_or_default();
        limits::content(&format!("messages[{place}].content"), &content)?;
        let at = self.time.as_deref().and_then(Timestamp::parse).unwrap_or(now).min(now);
        let calls = if role == Role::Assistant { self.tool_calls } else { None };
        let calls = calls.unwrap_or_default();
        let mut said = NewMessage::text(role, content, at);
        said.tool_calls = calls.iter().map(GivenCall::call).collect();
        let results = calls.into_iter().map(|call| NewMessage {
            tool_call_id: Some(call.id),
            ..NewMessage::text(Role::Tool, text(call.response), at)
        });
        Ok(std::iter::once(said).chain(results).collect())
    }
}

impl GivenCall {
    fn call(&self) -> ToolCall {
        let arguments = text(self.arguments.clone());
        ToolCall { id: self.id.clone(), name: self.name.clone(), arguments }
    }
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        value => value.to_string(),
    }
}

/// Puts a conversation on record.
async fn begin(api: &Api, caller: &Caller, asked: &Asked) -> Result<Session, Problem> {
    let agent = match &asked.agent {
        Choice::Known(id) => id.clone(),
        Choice::Inline(given) => agents::make_unlisted(api, caller, given.clone()).await?,
    };
    let draft = Draft {
        agent: agent.to_string(),
        ttl: Some(IDLE),
        bag: asked.variables.clone(),
        ..Draft::default()
    };
    let opened = open_session(api, &caller.org, draft).await.map_err(open::refused)?;
    Ok(opened.session)
}

/// The conversation that a state belongs to. It stays with its agent.
async fn known(
    api: &Api,
    org: &OrgId,
    carried: &Carried,
    agent: &Choice,
) -> Result<Session, Problem> {
    let found = api.engine().find(org, &SessionName::Id(carried.session)).await?;
    let ours = |session: &Session| session.dialect.as_str() == NAME && session.channel.is_none();
    let session = found.filter(ours).ok_or_else(bad_state)?;
    match agent {
        Choice::Known(id) if *id != session.agent.id => {
            Err(Problem::field("agent", "is not the one that this conversation is with"))
        }
        _ => Ok(session),
    }
}

/// Takes the turn, and finishes the conversation if that is asked for.
async fn turn(
    api: &Api,
    caller: &Caller,
    session: Session,
    asked: Asked,
) -> Result<(Session, Vec<Message>), Problem> {
    let then_end = asked.finish.then_some(EndReason::UserEnd);
    let Some(message) = asked.message else {
        let by = Some(caller.key.to_string());
        let request = EndRequest { by, ..EndRequest::asked(EndReason::UserEnd) };
        let receipt = api.engine().end(&caller.org, session.id, request).await?;
        return Ok((receipt.map_or(session, |receipt| receipt.session), Vec::new()));
    };
    let extras = TurnExtras {
        variables: asked.variables,
        history: Some(asked.history),
        key: asked.key,
        then_end,
        ended_by: then_end.map(|_| caller.key.to_string()),
        ..TurnExtras::default()
    };
    let request = TurnRequest {
        org: caller.org.clone(),
        session: session.id,
        input: message.into(),
        when_busy: WhenBusy::Wait,
        extras,
    };
    let record = api.engine().whole_turn(request).await.map_err(refused)?;
    Ok((record.session, record.messages))
}

fn read(api: &Api, org: &OrgId, state: &str) -> Result<Carried, Problem> {
    let opened = api.tokens().states().open(state, org.as_str().as_bytes());
    opened.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(bad_state)
}

fn write(api: &Api, org: &OrgId, carried: &Carried) -> Result<String, Problem> {
    let failed = || Problem::internal(&Unsealed);
    let bytes = serde_json::to_vec(carried).map_err(|error| Problem::internal(&error))?;
    let nonce = api.engine().ids().bytes();
    api.tokens().states().seal(nonce, &bytes, org.as_str().as_bytes()).ok_or_else(failed)
}

/// The cipher takes texts of up to 256 GiB.
#[derive(Debug, thiserror::Error)]
#[error("a state could not be sealed")]
struct Unsealed;

fn bad_state() -> Problem {
    Problem::field("state", "is not one that this server gave you")
}
