//! C4: `POST /api/v1/chats/{id}/messages`

use axum::{Json, extract::State};
use epilogue_core::{Message, Role, Span};
use epilogue_engine::session::{
    TurnError, TurnExtras, TurnFailure, TurnRecord, TurnRequest, WhenBusy, WholeTurnError,
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    access::Operates,
    error::Problem,
    find::{ChatId, chat, within_limit},
    limits::{self, BAG_BYTES_MAX, KEY_CHARS_MAX},
    view::{self, ChatMessage},
    wire::JsonBody,
};
use crate::{Api, rate::Subject};

/// When a client is asked to come back whose message cannot be taken at the moment.
const RETRY_AFTER: Span = Span::from_secs(1);

/// One message of the person's.
#[derive(Debug, Deserialize)]
pub(super) struct MessageBody {
    content: Option<String>,
    idempotency_key: Option<String>,
    additional_data: Option<Map<String, Value>>,
}

/// What the assistant produced in a turn.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Turn {
    messages: Vec<ChatMessage>,
    is_final: bool,
    status: &'static str,
}

impl Turn {
    fn of(record: &TurnRecord) -> Self {
        Self {
            messages: view::messages(&produced(&record.messages)),
            is_final: record.session.ended().is_some(),
            status: view::status(&record.session),
        }
    }
}

/// What a turn wrote, without what the person said and what was said before.
pub(super) fn produced(messages: &[Message]) -> Vec<Message> {
    let said = messages.iter().rposition(|message| message.body.role == Role::User);
    messages[said.map_or(0, |place| place + 1)..].to_vec()
}

/// Takes a turn to its end. It is carried through though the caller goes away: whoever asks again
/// under the same key is told what came of it.
pub(super) async fn submit(
    State(api): State<Api>,
    Operates(caller): Operates,
    id: Result<ChatId, Problem>,
    body: Result<JsonBody<MessageBody>, Problem>,
) -> Result<Json<Turn>, Problem> {
    let id = id?;
    within_limit(
        &api,
        &Subject::Messages(caller.org.clone(), id.0),
        api.settings().messages_per_minute,
    )?;
    let (message, extras) = check(body?.0)?;
    let session = chat(&api, &caller.org, id).await?;
    let (org, session) = (caller.org, session.id);
    let input = message.into();
    let request = TurnRequest { org, session, input, when_busy: WhenBusy::Wait, extras };
    let record = api.engine().whole_turn(request).await.map_err(refused)?;
    Ok(Json(Turn::of(&record)))
}

fn check(body: MessageBody) -> Result<(String, TurnExtras), Problem> {
    let content = body.content.filter(|content| !content.trim().is_empty());
    let content = content.ok_or_else(|| Problem::field("content", "must not be blank"))?;
    limits::content("content", &content)?;
    // Nothing at all names no turn.
    let key = body.idempotency_key.filter(|key| !key.is_empty());
    if let Some(key) = &key {
        limits::chars("idempotency_key", key, KEY_CHARS_MAX)?;
    }
    let variables = body.additional_data.unwrap_or_default();
    limits::object("additional_data", &variables, BAG_BYTES_MAX)?;
    Ok((content, TurnExtras { key, variables, ..TurnExtras::default() }))
}

/// Why a turn has no answer.
pub(super) fn refused(error: WholeTurnError) -> Problem {
    let unfit = "The agent is gone, or its configuration cannot drive a text conversation.";
    match error {
        WholeTurnError::NotBegun(error) => match error {
            TurnError::NoSession => Problem::not_found("chat session"),
            TurnError::Over(_) | TurnError::Lapsed(_) => over(),
            TurnError::NoAgent => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, unfit),
            TurnError::Busy | TurnError::Overrun => {
                let detail = "Too many messages wait for this session.";
                Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(RETRY_AFTER)
            }
            error @ (TurnError::Misfit(_) | TurnError::ToolTaken(_)) => {
                Problem::field("content", error.to_string())
            }
            TurnError::Engine(error) => error.into(),
        },
        WholeTurnError::Failed(failure) => {
            let problem = |status| Problem::new(status, failure.to_string());
            match failure {
                TurnFailure::Model | TurnFailure::ToolLoop => problem(StatusCode::BAD_GATEWAY),
                TurnFailure::ModelTimeout | TurnFailure::TooLong => {
                    problem(StatusCode::GATEWAY_TIMEOUT)
                }
                TurnFailure::Misconfigured => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, unfit),
                TurnFailure::SessionEnded => over(),
                TurnFailure::Interrupted => problem(StatusCode::CONFLICT),
                TurnFailure::ShuttingDown | TurnFailure::Store => {
                    problem(StatusCode::SERVICE_UNAVAILABLE).retry_after(RETRY_AFTER)
                }
            }
        }
    }
}

fn over() -> Problem {
    Problem::conflict("The chat session is final and takes no further messages.")
}
