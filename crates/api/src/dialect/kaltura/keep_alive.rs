//! 2.6: `POST /v1/avatar-session/{S}/keep-alive`

use axum::{Json, body::Body, extract::State};
use http::HeaderMap;

use super::{Success, access::Held, body::nothing, error::Error, success};
use crate::Api;

/// That it was asked has kept the session alive; there is no other effect.
pub(super) async fn keep_alive(
    State(api): State<Api>,
    Held(_): Held,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Success>, Error> {
    nothing(&api, &headers, body).await?;
    Ok(success())
}
