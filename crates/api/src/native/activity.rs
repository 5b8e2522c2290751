//! The activity log.

use axum::{Json, extract::State};
use epilogue_core::event::Activity;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Acting,
    input::Params,
    page::{self, Listed},
    problem::Problem,
};
use crate::Api;

/// The operations on the activity log.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_activity))
}

/// Which part of the log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ActivityQuery {
    /// Of this session, by id or name.
    session: Option<String>,
    /// How many entries a page has: 1 to 500, 50 if absent.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// One entry of the activity log.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ActivityView {
    /// Unique within the organization.
    pub id: String,
    /// When (RFC 3339, UTC).
    pub at: String,
    /// What: `session.ended`, `step.parked`, `step.resumed`, `key.created`, `key.revoked`,
    /// `memory.fact_corrected`, `memory.fact_deleted` or `memory.forgotten`.
    #[schema(example = "session.ended")]
    pub kind: String,
    /// The session it concerns, if any.
    pub session_id: Option<String>,
    /// The key that did it; `operator` for the operator's key, `session_token` for a session's own token; null for
    /// what happened by itself.
    pub by: Option<String>,
    /// The particulars, by kind. Times in it are milliseconds since 1970.
    pub detail: Value,
}

impl ActivityView {
    /// The entry as it is shown.
    pub(super) fn of(activity: Activity) -> Self {
        Self {
            id: activity.id,
            at: activity.at.to_string(),
            kind: activity.kind,
            session_id: activity.session.map(|id| id.to_string()),
            by: activity.by,
            detail: activity.detail,
        }
    }
}

/// List the activity log
///
/// Who did what, and what happened by itself, the latest first.
#[utoipa::path(
    get, path = "/epilogue/v1/activity", tag = "administration", params(ActivityQuery),
    responses(
        (status = 200, description = "A page of entries.", body = Listed<ActivityView>),
        (status = 404, description = "This organization has no such session."),
    ),
)]
async fn list_activity(
    State(api): State<Api>,
    acting: Acting,
    Params(query): Params<ActivityQuery>,
) -> Result<Json<Listed<ActivityView>>, Problem> {
    let page = page::request("activity", query.limit, query.cursor.as_deref())?;
    let session = match &query.session {
        Some(session) => Some(acting.session(&api, session).await?.id),
        None => None,
    };
    let found = api.engine().activity(&acting.org, session, &page).await?;
    Ok(Json(Listed::of("activity", found, ActivityView::of)))
}
