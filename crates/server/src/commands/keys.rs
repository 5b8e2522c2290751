//! `epilogue keys`: create, revoke.

use http::Method;
use serde_json::json;

use super::{Ask, sessions::escape, table};
use crate::{
    cli::KeysCommand,
    client::{Client, ClientError},
};

pub(super) fn run(command: KeysCommand) -> Ask {
    match command {
        KeysCommand::Create { organization, name, role, project } => Ask {
            organization,
            ask: Box::new(|client| Box::pin(create(client, name, role, project))),
        },
        KeysCommand::Revoke { organization, id } => {
            Ask { organization, ask: Box::new(|client| Box::pin(revoke(client, id))) }
        }
    }
}

async fn create(
    client: &Client,
    name: String,
    role: String,
    project: Option<String>,
) -> Result<String, ClientError> {
    let kind = if project.is_some() { "project" } else { "secret" };
    let body = json!({ "name": name, "role": role, "kind": kind, "project": project });
    let key = client.request(Method::POST, "/keys", Some(&body)).await?;
    Ok(format!(
        "{}\n{} is shown this once; keep it where secrets are kept",
        table::cell(&key, "key"),
        table::cell(&key, "id")
    ))
}

async fn revoke(client: &Client, id: String) -> Result<String, ClientError> {
    client.request(Method::DELETE, &format!("/keys/{}", escape(&id)), None).await?;
    Ok(format!("{id} is revoked: it opens nothing any more"))
}
