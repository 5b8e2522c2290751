//! 2.9, an extension: `PATCH /v1/projects/{P}/sessions/{S}/variables`

use axum::{Json, Router, extract::State, routing::patch};
use epilogue_core::{
    Session, SessionId,
    variables::{BAG_BYTES_MAX, BAG_NAMES_MAX, Nulls},
};
use epilogue_engine::records::WriteVariablesOutcome;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    access::{Member, Operates},
    enter::live,
    error::Error,
    find::Named,
    limits, paths,
    wire::Members,
};
use crate::Api;

pub(super) fn routes() -> Router<Api> {
    paths::VARIABLES.to(&patch(write))
}

/// The variables as they are now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    session_id: String,
    variables: Map<String, Value>,
}

/// Writes variables over those of a live session; null takes one away.
async fn write(
    State(api): State<Api>,
    Operates(member): Operates,
    named: Result<Named, Error>,
    body: Result<Members, Error>,
) -> Result<Json<Written>, Error> {
    let set = limits::variables(&body?)?.ok_or_else(|| Error::bad("variables is required"))?;
    let session = live(&api, &member, &named?.0).await?.ok_or_else(Error::no_session)?;
    let written = lay_over(&api, &member, session.id, (set, Nulls::Delete)).await?;
    let session = written.ok_or_else(Error::no_session)?;
    Ok(Json(Written { session_id: session.dialect_id, variables: session.context.bag }))
}

/// Writes variables over those of a session. `None`: it lives no more.
pub(super) async fn lay_over(
    api: &Api,
    member: &Member,
    session: SessionId,
    (set, nulls): (Map<String, Value>, Nulls),
) -> Result<Option<Session>, Error> {
    match api.engine().write_variables(member.org(), session, set, nulls).await? {
        WriteVariablesOutcome::Written(session) => Ok(Some(*session)),
        WriteVariablesOutcome::TooLong => {
            let most = format!("{BAG_NAMES_MAX} names and {BAG_BYTES_MAX} bytes of JSON");
            Err(Error::bad(format!("variables must have at most {most} in all")))
        }
        WriteVariablesOutcome::Over | WriteVariablesOutcome::NoSession => Ok(None),
    }
}
