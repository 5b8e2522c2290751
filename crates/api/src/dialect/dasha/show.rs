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
    let transcript = api.engine().transcript(&session.org, session.id).await?;
    Ok(Json(ChatSession::of(&session, &transcript)))
}
