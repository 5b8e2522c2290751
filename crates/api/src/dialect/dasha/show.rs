//! C3: `GET /api/v1/chats/{id}`

use axum::{Json, extract::State};

use super::{
    access::Reads,
    error::Problem,
    find::{ChatId, chat},
    view::ChatSession,
};
use crate::Api;

/// Shows a session with its whole transcript, whether or not it is over. Looking is no activity.
pub(super) async fn show(
    State(api): State<Api>,
    who: Reads,
    id: ChatId,
) -> Result<Json<ChatSession>, Problem> {
    let session = chat(&api, who.org(), id).await?;
    let found = api.engine().conversation(who.org(), session.id).await?;
    let (session, transcript) = found.ok_or_else(|| Problem::not_found("chat session"))?;
    Ok(Json(ChatSession::of(&session, &transcript)))
}
