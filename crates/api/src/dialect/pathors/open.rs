//! 2.2: `POST …/session`

use axum::{Json, Router, extract::State, routing::post};
use epilogue_core::variables::Nulls;
use serde::Serialize;

use super::{
    access::Operates,
    enter::{Beginning, enter},
    error::Error,
    limits::{self, PROVIDER_CHARS_MAX},
    paths,
    variables::lay_over,
    wire::Members,
};
use crate::Api;

pub(super) fn routes() -> Router<Api> {
    paths::SESSIONS.to(&post(create))
}

/// What a client is told of its session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    session_id: String,
    pathway_id: String,
}

/// How often somebody may find that the session they came into has just ended.
const TRIES_MAX: u32 = 16;

/// Creates a session. Of a live one of that name, the context stays, and the variables given lie over it.
async fn create(
    State(api): State<Api>,
    Operates(member): Operates,
    body: Result<Members, Error>,
) -> Result<Json<Created>, Error> {
    let body = body?;
    let name = limits::name(&body)?;
    let provider = limits::text(&body, "provider", PROVIDER_CHARS_MAX)?;
    let variables = limits::variables(&body)?.unwrap_or_default();
    let person = limits::person(&body)?;
    let beginning = Beginning { provider, variables, person, ..Beginning::default() };
    for _ in 0..TRIES_MAX {
        let entered = enter(&api, &member, &name, &beginning).await?;
        let set = (beginning.variables.clone(), Nulls::Kept);
        let ready = entered.is_fresh
            || beginning.variables.is_empty()
            || lay_over(&api, &member, entered.session.id, set).await?.is_some();
        if ready {
            let pathway_id = member.project.agent.to_string();
            return Ok(Json(Created { session_id: name, pathway_id }));
        }
    }
    Err(Error::busy("Too many requests open and end this session"))
}
