//! `GET /epilogue/v1/sessions/{id}/why`

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::view::{DeadlineView, SessionView};
use crate::{
    Api,
    native::{access::Acting, activity::ActivityView, input::Segment, problem::Problem},
};

/// Why a session ended, or why it has not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanation {
    /// The session.
    session: SessionView,
    /// The whole answer in one sentence.
    sentence: String,
    /// The deadline that applies, while it is open.
    deadline: Option<DeadlineView>,
    /// What the activity log says of it, latest first: at most 50 entries.
    activity: Vec<ActivityView>,
}

/// Explain a session's end
///
/// Why it ended, by whom, and after which deadline; or, while it is open, when it would end.
#[utoipa::path(
    get, path = "/epilogue/v1/sessions/{id}/why", tag = "sessions",
    params(("id" = String, Path, description = "The session's id or name.")),
    responses(
        (status = 200, description = "The explanation.", body = Explanation),
        (status = 404, description = "This organization has no such session."),
    ),
)]
pub(super) async fn explain_session(
    State(api): State<Api>,
    acting: Acting,
    Segment(id): Segment,
) -> Result<Json<Explanation>, Problem> {
    let session = acting.session(&api, &id).await?;
    let why = api.engine().why(&acting.org, session.id).await?;
    let why = why.ok_or_else(|| Problem::not_found("session"))?;
    Ok(Json(Explanation {
        session: SessionView::of(&why.session, api.engine().now()),
        sentence: why.sentence,
        deadline: why.deadline.map(Into::into),
        activity: why.activity.into_iter().map(ActivityView::of).collect(),
    }))
}
