//! `epilogue sessions`: list, show, end, why.

use http::Method;
use serde_json::{Value, json};

use super::{Ask, table};
use crate::{
    cli::{ListArgs, OneArg, SessionsCommand},
    client::{Client, ClientError},
};

const COLUMNS: [table::Column; 7] = [
    ("SESSION", "id"),
    ("DIALECT", "dialect"),
    ("STATE", "state"),
    ("REASON", "ended.reason"),
    ("OPENED", "opened_at"),
    ("MESSAGES", "usage.total_messages"),
    ("COST", "cost"),
];

pub(super) fn run(command: SessionsCommand) -> Ask {
    match command {
        SessionsCommand::List(args) => Ask {
            organization: args.organization.clone(),
            ask: Box::new(|client| Box::pin(list(client, args))),
        },
        SessionsCommand::Show(arg) => one(arg, |client, id| Box::pin(show(client, id))),
        SessionsCommand::Why(arg) => one(arg, |client, id| Box::pin(why(client, id))),
        SessionsCommand::End { session, note } => Ask {
            organization: session.organization.clone(),
            ask: Box::new(|client| Box::pin(end(client, session.id, note))),
        },
    }
}

fn one(arg: OneArg, ask: for<'a> fn(&'a Client, String) -> super::Asked<'a>) -> Ask {
    Ask { organization: arg.organization, ask: Box::new(move |client| ask(client, arg.id)) }
}

async fn list(client: &Client, args: ListArgs) -> Result<String, ClientError> {
    let state = args.state.map(|state| format!("&state={}", escape(&state))).unwrap_or_default();
    let page = client.get(&format!("/sessions?limit={}{state}", args.limit)).await?;
    Ok(table::of(&super::items(&page), &COLUMNS, "no sessions"))
}

async fn show(client: &Client, id: String) -> Result<String, ClientError> {
    let session = client.get(&format!("/sessions/{}", escape(&id))).await?;
    Ok(super::pretty(&session))
}

async fn why(client: &Client, id: String) -> Result<String, ClientError> {
    let why = client.get(&format!("/sessions/{}/why", escape(&id))).await?;
    let mut lines = vec![table::cell(&why, "sentence")];
    for entry in why.get("activity").and_then(Value::as_array).into_iter().flatten() {
        let note = table::cell(entry, "detail.note");
        let by = table::cell(entry, "by");
        lines.push(format!(
            "{}  {}  by {by}  note: {note}",
            table::cell(entry, "at"),
            table::cell(entry, "kind")
        ));
    }
    Ok(lines.join("\n"))
}

async fn end(client: &Client, id: String, note: Option<String>) -> Result<String, ClientError> {
    let body = note.map_or_else(|| json!({}), |note| json!({ "note": note }));
    let path = format!("/sessions/{}/end", escape(&id));
    let session = client.request(Method::POST, &path, Some(&body)).await?;
    let already = session.get("already_ended").and_then(Value::as_bool).unwrap_or(false);
    let verb = if already { "had already ended" } else { "has ended" };
    let mut text = format!(
        "{} {verb}: {}, cost {}",
        table::cell(&session, "id"),
        table::cell(&session, "ended.reason"),
        table::cell(&session, "cost")
    );
    if !client.is_remote() && !already {
        text.push_str("\nno server is running: its steps are owed, and run when one starts");
    }
    Ok(text)
}

/// An id as part of a path.
pub(super) fn escape(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>().replace('+', "%20")
}
