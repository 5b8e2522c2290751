//! 2.12: `GET /v1/projects`, by which clients also find out whether their key is good.

use axum::{Json, Router, extract::State, routing::get};
use epilogue_engine::records::Project;
use serde::Serialize;

use super::{
    access::{KeyHolder, reaches},
    error::Error,
    paths,
    wire::time,
};
use crate::Api;

pub(super) fn routes() -> Router<Api> {
    paths::PREFIXES.iter().fold(Router::new(), |router, prefix| {
        router.route(&format!("{prefix}{}", paths::PROJECTS), get(list))
    })
}

/// Projects.
#[derive(Debug, Serialize)]
struct Listed {
    data: Vec<View>,
}

/// One project.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    id: String,
    name: String,
    agent_id: String,
    created_at: String,
}

impl View {
    fn of(project: &Project) -> Self {
        Self {
            id: project.id.to_string(),
            name: project.name.clone(),
            agent_id: project.agent.to_string(),
            created_at: time(project.created_at),
        }
    }
}

/// Lists the projects that the key reaches, by id.
async fn list(State(api): State<Api>, KeyHolder(caller): KeyHolder) -> Result<Json<Listed>, Error> {
    let projects = api.engine().projects(&caller.org).await?;
    let reached = projects.iter().filter(|project| reaches(&caller, &project.id));
    Ok(Json(Listed { data: reached.map(View::of).collect() }))
}
