//! Agents as they are configured, without their secrets.

use axum::{Json, extract::State};
use epilogue_core::{
    Agent, AgentId,
    agent::{AgentKind, SecretRef},
    session::AgentVersion,
};
use serde::Serialize;
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{access::Acting, input::Segment, page::Listed, problem::Problem};
use crate::Api;

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// The operations on agents.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_agents)).routes(routes!(show_agent))
}

/// An agent, in its latest version.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AgentView {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// `text` or `avatar`.
    #[schema(value_type = String, example = "text")]
    kind: AgentKind,
    /// Its latest version, from 1. A session keeps the version it was opened with.
    version: u32,
    /// All of its configuration, by the names of the configuration file. Secrets are `***`.
    #[schema(value_type = Object)]
    configuration: Value,
}

impl AgentView {
    fn of(version: &AgentVersion, agent: Agent) -> Result<Self, Problem> {
        let agent = masked(agent);
        Ok(Self {
            id: agent.id.to_string(),
            name: agent.name.clone(),
            kind: agent.kind,
            version: version.version,
            configuration: serde_json::to_value(&agent)
                .map_err(|error| Problem::internal(&error))?,
        })
    }
}

/// The agent with a mask in the place of every secret.
fn masked(mut agent: Agent) -> Agent {
    let mask = |secret: &mut SecretRef| *secret = SecretRef(MASK.to_owned());
    agent.model.api_key.iter_mut().for_each(mask);
    agent.model.base_url.iter_mut().for_each(mask_password);
    if let Some(webhook) = &mut agent.webhook {
        webhook.secret.iter_mut().for_each(mask);
        webhook.previous_secret.iter_mut().for_each(mask);
        webhook.headers.values_mut().for_each(mask);
        mask_password(&mut webhook.url);
    }
    for tool in &mut agent.tools {
        tool.headers.values_mut().for_each(mask);
        mask_password(&mut tool.url);
    }
    agent
}

fn mask_password(url: &mut Url) {
    if url.password().is_some() {
        // It fails only for addresses that cannot have a password.
        let _ = url.set_password(Some(MASK));
    }
}

/// An address without the password that may stand in it.
pub(super) fn without_password(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return url.to_owned() };
    mask_password(&mut url);
    url.to_string()
}

/// List agents
///
/// Every agent in its latest version, by id, on one page.
#[utoipa::path(
    get, path = "/epilogue/v1/agents", tag = "administration",
    responses((status = 200, description = "All agents.", body = Listed<AgentView>)),
)]
async fn list_agents(
    State(api): State<Api>,
    acting: Acting,
) -> Result<Json<Listed<AgentView>>, Problem> {
    let agents = api.engine().agents(&acting.org).await?;
    let items = agents.into_iter().map(|(version, agent)| AgentView::of(&version, agent));
    Ok(Json(Listed { items: items.collect::<Result<_, _>>()?, next_cursor: None }))
}

/// Show an agent
///
/// One agent in its latest version.
#[utoipa::path(
    get, path = "/epilogue/v1/agents/{id}", tag = "administration",
    params(("id" = String, Path, description = "The agent's id.")),
    responses(
        (status = 200, description = "The agent.", body = AgentView),
        (status = 404, description = "This organization has no such agent."),
    ),
)]
async fn show_agent(
    State(api): State<Api>,
    acting: Acting,
    Segment(id): Segment,
) -> Result<Json<AgentView>, Problem> {
    let found = api.engine().agent(&acting.org, &AgentId::from(id)).await?;
    let (version, agent) = found.ok_or_else(|| Problem::not_found("agent"))?;
    AgentView::of(&version, agent).map(Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let agent: Agent = serde_json::from_value(serde_json::json!({
            "id": "a", "name": "A",
            "model": {
                "provider": "openai", "name": "m", "api_key": "sk-hidden",
                "base_url": "https://user:hidden@example.com/v1",
            },
            "webhook": {
                "url": "https://user:hidden@example.com/", "secret": "whsec_hidden",
                "previous_secret": "whsec_hidden_too",
            },
            "tools": [{
                "name": "t", "url": "https://user:hidden@example.com/",
                "headers": { "authorization": "Bearer hidden" },
            }],
        }))
        .expect("an agent");
        let version = AgentVersion { id: "a".into(), version: 1 };
        let view = AgentView::of(&version, agent).expect("a view");
        let shown = serde_json::to_string(&view).expect("JSON");
        assert!(!shown.contains("hidden") && shown.matches(MASK).count() == 7, "{shown}");
    }
}
