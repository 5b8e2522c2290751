//! `POST /epilogue/v1/sessions/{id}/keep-alive`

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::view::DeadlineView;
use crate::{
    Api,
    native::{access::Acting, input::Segment, problem::Problem},
};

/// A session that lives on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeptAlive {
    /// The session.
    session_id: String,
    /// When it was last seen: now (RFC 3339, UTC).
    last_seen_at: String,
    /// When it ends by itself unless something happens; null if never.
    deadline: Option<DeadlineView>,
}

/// Keep a session alive
///
/// Says that the client is still there. In a native session that counts for the idle timer; in one that
/// another API opened it counts where that API says so.
#[utoipa::path(
    post, path = "/epilogue/v1/sessions/{id}/keep-alive", tag = "sessions",
    params(("id" = String, Path, description = "The session's id or name.")),
    responses(
        (status = 200, description = "It lives on.", body = KeptAlive),
        (status = 404, description = "This organization has no such session."),
        (status = 410, description = "The session has ended, or its deadline has passed."),
    ),
)]
pub(super) async fn keep_session_alive(
    State(api): State<Api>,
    acting: Acting,
    Segment(id): Segment,
) -> Result<Json<KeptAlive>, Problem> {
    let session = acting.session(&api, &id).await?;
    match api.engine().keep_alive(&acting.org, session.id).await? {
        Some(true) => {}
        Some(false) => return Err(super::over("The session is over.")),
        None => return Err(Problem::not_found("session")),
    }
    let session = acting.session(&api, &id).await?;
    Ok(Json(KeptAlive {
        session_id: session.id.to_string(),
        last_seen_at: session.last_seen.to_string(),
        deadline: session.deadline().map(Into::into),
    }))
}
