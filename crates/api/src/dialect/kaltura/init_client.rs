//! 2.2: `POST /v1/avatar-session/{S}/init-client`

use axum::{Json, body::Body, extract::State};
use http::HeaderMap;
use serde::Serialize;

use super::{
    access::Held,
    body::nothing,
    error::Error,
    relay::{self, Relay},
    whep,
};
use crate::Api;

/// Where a viewer finds the stream.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Initialised {
    success: bool,
    whep_url: String,
    turn: Relay,
}

/// Sets the stage and says where it is seen. Asked again, it is the same place, with fresh credentials for
/// the relay.
pub(super) async fn init_client(
    State(api): State<Api>,
    Held(session): Held,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Initialised>, Error> {
    nothing(&api, &headers, body).await?;
    api.engine().set_stage(&session).await?;
    let whep_url = whep::url(&api, &session);
    Ok(Json(Initialised { success: true, whep_url, turn: relay::credentials(&api, &session) }))
}
