//! `epilogue steps`: list, retry.

use http::Method;

use super::{Ask, sessions::escape, table};
use crate::{
    cli::{ListArgs, StepsCommand},
    client::{Client, ClientError},
};

const COLUMNS: [table::Column; 6] = [
    ("STEP", "id"),
    ("STATE", "state"),
    ("ATTEMPTS", "attempts_made"),
    ("OWED", "owed_at"),
    ("DUE", "due_at"),
    ("REASON", "reason"),
];

pub(super) fn run(command: StepsCommand) -> Ask {
    match command {
        StepsCommand::List(args) => Ask {
            organization: args.organization.clone(),
            ask: Box::new(|client| Box::pin(list(client, args))),
        },
        StepsCommand::Retry(step) => Ask {
            organization: step.organization,
            ask: Box::new(|client| Box::pin(retry(client, step.id))),
        },
    }
}

async fn list(client: &Client, args: ListArgs) -> Result<String, ClientError> {
    let state = args.state.map(|state| format!("&state={}", escape(&state))).unwrap_or_default();
    let page = client.get(&format!("/steps?limit={}{state}", args.limit)).await?;
    Ok(table::of(&super::items(&page), &COLUMNS, "no steps"))
}

async fn retry(client: &Client, id: String) -> Result<String, ClientError> {
    client.request(Method::POST, &format!("/steps/{}/retry", escape(&id)), None).await?;
    let when = if client.is_remote() { "it is due now" } else { "it is due when a server starts" };
    Ok(format!("{id} is resumed: {when}"))
}
