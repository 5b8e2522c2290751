//! 2.5: `POST /v1/avatar-session/{S}/interrupt`

use axum::{Json, body::Body, extract::State};
use http::HeaderMap;

use super::{Success, access::Held, body::nothing, error::Error, success};
use crate::Api;

/// Stops speech at once, and forgets what was still to be said.
pub(super) async fn interrupt(
    State(api): State<Api>,
    Held(session): Held,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Success>, Error> {
    nothing(&api, &headers, body).await?;
    api.engine().interrupt(session.id).await;
    Ok(success())
}
