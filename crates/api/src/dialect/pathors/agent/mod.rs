//! 2.10: the project's agent. It is the operator's, and what a project changes lies over it: what is
//! acted upon as an overlay, and everything that was written as the document that is shown.

mod document;
pub(super) mod hook;
mod part;
mod view;

use axum::{Json, Router, extract::State, routing::get};
use epilogue_core::{Agent, AgentOverlay};
use epilogue_engine::records::{ProjectAgent, WriteProjectAgent, WriteProjectAgentOutcome};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    access::{Member, Owns, Reads},
    error::Error,
    paths,
    wire::Members,
};
use crate::Api;

/// How often somebody may be outrun by others who write the same agent.
const TRIES_MAX: u32 = 8;

pub(super) fn routes() -> Router<Api> {
    // The pages show both verbs for one partial update.
    paths::AGENT.to(&get(show).put(update).patch(update))
}

/// What a project's agent is made of.
struct Parts {
    /// The operator's agent.
    configured: Agent,
    /// What the project changes about it. `None`: nothing yet.
    changed: Option<ProjectAgent>,
}

impl Parts {
    fn overlay(&self) -> AgentOverlay {
        self.changed.as_ref().map(|changed| changed.overlay.clone()).unwrap_or_default()
    }

    fn document(&self) -> Map<String, Value> {
        let document = self.changed.as_ref().and_then(|changed| changed.document.as_object());
        document.cloned().unwrap_or_default()
    }
}

async fn parts(api: &Api, member: &Member) -> Result<Parts, Error> {
    let agent = api.engine().agent(member.org(), &member.project.agent).await?;
    let (_, configured) = agent.ok_or_else(no_agent)?;
    let changed = api.engine().project_agent(member.org(), &member.project.id).await?;
    Ok(Parts { configured, changed })
}

fn no_agent() -> Error {
    Error::new(StatusCode::NOT_FOUND, "Agent not found")
}

async fn show(State(api): State<Api>, Reads(member): Reads) -> Result<Json<Value>, Error> {
    let parts = parts(&api, &member).await?;
    Ok(Json(json!({ "data": view::of(&member.project, &parts) })))
}

/// Writes what the body names, and leaves the rest. New sessions go by it; those that run keep theirs.
async fn update(
    State(api): State<Api>,
    Owns(member): Owns,
    body: Result<Members, Error>,
) -> Result<Json<Value>, Error> {
    let body = body?;
    let given = body.members().ok_or_else(|| Error::bad("The body must be a JSON object"))?;
    for _ in 0..TRIES_MAX {
        let parts = parts(&api, &member).await?;
        let (overlay, document) = document::lay(&api, given, &parts)?;
        let write = WriteProjectAgent {
            project: member.project.id.clone(),
            overlay,
            document: Value::Object(document),
            follows: parts.changed.as_ref().map_or(0, |changed| changed.revision),
            by: Some(member.key.to_string()),
        };
        match api.engine().write_project_agent(member.org(), write).await? {
            WriteProjectAgentOutcome::Written(_) => {
                let parts = self::parts(&api, &member).await?;
                return Ok(Json(json!({ "data": view::of(&member.project, &parts) })));
            }
            // Somebody else was faster; what they wrote stays where this body does not name it.
            WriteProjectAgentOutcome::Changed => {}
            WriteProjectAgentOutcome::NoProject => return Err(no_agent()),
        }
    }
    Err(Error::new(StatusCode::CONFLICT, "Others keep writing this agent"))
}
