//! 2.3: `GET …/session/{S}`

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};

use super::{access::Reads, enter::live, error::Error, find::Named, paths, view::Queried};
use crate::Api;

pub(super) fn routes() -> Router<Api> {
    paths::SESSION.to(&getting())
}

/// The look at a session, wherever its name may stand.
pub(super) fn getting() -> MethodRouter<Api> {
    get(query)
}

/// Shows a live session with all that was said. Looking is no activity.
async fn query(
    State(api): State<Api>,
    Reads(member): Reads,
    named: Result<Named, Error>,
) -> Result<Response, Error> {
    let session = live(&api, &member, &named?.0).await?.ok_or_else(Error::no_session)?;
    let found = api.engine().conversation(member.org(), session.id).await?;
    // It may have ended between the two looks.
    let found = found.filter(|(session, _)| session.is_live(api.engine().now()));
    let (session, transcript) = found.ok_or_else(Error::no_session)?;
    Ok(Json(Queried::of(&session, &transcript)).into_response())
}
