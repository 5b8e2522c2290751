//! C5: `POST /api/v1/chats/{id}/end`

use axum::{Json, extract::State};
use epilogue_core::{EndReason, EndRequest};
use serde::Deserialize;

use super::{
    access::Operates,
    error::Problem,
    find::{ChatId, chat, within_limit},
    limits::{self, NOTE_CHARS_MAX},
    view::ChatSession,
    wire::OptionalBody,
};
use crate::{Api, rate::Subject};

/// What there is to say about the end.
#[derive(Debug, Default, Deserialize)]
pub(super) struct EndBody {
    /// For the activity log, and for nothing else.
    note: Option<String>,
}

/// Ends a session as the user's. Of one that has ended before, the answer is what is stored.
pub(super) async fn end(
    State(api): State<Api>,
    Operates(caller): Operates,
    id: Result<ChatId, Problem>,
    body: Result<OptionalBody<EndBody>, Problem>,
) -> Result<Json<ChatSession>, Problem> {
    let id = id?;
    within_limit(&api, &Subject::Ends(caller.org.clone(), id.0), api.settings().ends_per_minute)?;
    let note = body?.0.note;
    if let Some(note) = &note {
        limits::chars("note", note, NOTE_CHARS_MAX)?;
    }
    let session = chat(&api, &caller.org, id).await?;
    let by = Some(caller.key.to_string());
    let request = EndRequest { note, by, ..EndRequest::asked(EndReason::UserEnd) };
    let receipt = api.engine().end(&caller.org, session.id, request).await?;
    let session = receipt.ok_or_else(|| Problem::not_found("chat session"))?.session;
    let transcript = api.engine().transcript(&session.org, session.id).await?;
    Ok(Json(ChatSession::of(&session, &transcript)))
}
