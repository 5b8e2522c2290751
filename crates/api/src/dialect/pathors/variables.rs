//! 2.9, an extension: `PATCH /v1/projects/{P}/sessions/{S}/variables`

use axum::{Json, Router, extract::State, routing::patch};
use epilogue_core::variables::BagChanges;
use epilogue_engine::records::WriteVariablesOutcome;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    access::Operates,
    enter::live,
    error::Error,
    find::Named,
    limits::{self, VARIABLES},
    paths,
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
    let changes = BagChanges { set, null_removes: true, limits: VARIABLES };
    match api.engine().write_variables(member.org(), session.id, changes).await? {
        WriteVariablesOutcome::Written(session) => {
            let session = *session;
            let variables = session.context.bag;
            Ok(Json(Written { session_id: session.dialect_id, variables }))
        }
        WriteVariablesOutcome::Full(full) => Err(Error::bad(format!("variables {full}"))),
        WriteVariablesOutcome::Over(_)
        | WriteVariablesOutcome::Lapsed
        | WriteVariablesOutcome::NoSession => Err(Error::no_session()),
    }
}
