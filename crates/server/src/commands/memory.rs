//! `epilogue memory`: show, why, correct, delete, export, forget.

use http::Method;
use serde_json::{Map, Value, json};

use super::{Ask, items, sessions::escape, table};
use crate::{
    cli::{CorrectArgs, FactArg, ForgetArgs, MemoryCommand, ShowMemoryArgs},
    client::{Client, ClientError},
};

const COLUMNS: [table::Column; 7] = [
    ("FACT", "id"),
    ("AGENT", "agent_id"),
    ("SUBJECT", "subject.name"),
    ("RELATION", "relation"),
    ("OBJECT", "object.name"),
    ("SINCE", "valid_from"),
    ("UNTIL", "valid_until"),
];

pub(super) fn run(command: MemoryCommand) -> Ask {
    match command {
        MemoryCommand::Show(args) => Ask {
            organization: args.person.organization.clone(),
            ask: Box::new(|client| Box::pin(show(client, args))),
        },
        MemoryCommand::Why(fact) => Ask {
            organization: fact.person.organization.clone(),
            ask: Box::new(|client| Box::pin(why(client, fact))),
        },
        MemoryCommand::Correct(args) => Ask {
            organization: args.fact.person.organization.clone(),
            ask: Box::new(|client| Box::pin(correct(client, args))),
        },
        MemoryCommand::Delete(fact) => Ask {
            organization: fact.person.organization.clone(),
            ask: Box::new(|client| Box::pin(delete(client, fact))),
        },
        MemoryCommand::Export(person) => Ask {
            organization: person.organization.clone(),
            ask: Box::new(|client| Box::pin(export(client, person.person))),
        },
        MemoryCommand::Forget(args) => Ask {
            organization: args.person.organization.clone(),
            ask: Box::new(|client| Box::pin(forget(client, args))),
        },
    }
}

fn path_of(fact: &FactArg) -> String {
    format!("/memory/{}/facts/{}", escape(&fact.person.person), escape(&fact.id))
}

async fn show(client: &Client, args: ShowMemoryArgs) -> Result<String, ClientError> {
    let mut path = format!("/memory/{}?limit={}", escape(&args.person.person), args.limit);
    for (name, value) in [("agent", args.agent), ("query", args.query), ("as_of", args.as_of)] {
        if let Some(value) = value {
            path.extend(["&", name, "=", &escape(&value)]);
        }
    }
    let page = client.get(&path).await?;
    let mut text = table::of(&items(&page), &COLUMNS, "nothing is remembered");
    if page.get("next_cursor").is_some_and(Value::is_string) {
        text.push_str("\nand more: say --limit, or export all of it");
    }
    Ok(text)
}

async fn why(client: &Client, fact: FactArg) -> Result<String, ClientError> {
    let why = client.get(&path_of(&fact)).await?;
    let known = why.get("fact").cloned().unwrap_or_default();
    let mut lines = vec![table::cell(&known, "sentence"), standing(&known)];
    for episode in why.get("episodes").and_then(Value::as_array).into_iter().flatten() {
        let (session, at) = (table::cell(episode, "session_id"), table::cell(episode, "at"));
        lines.push(format!("said in {session}, which ended at {at}:"));
        let text = episode.get("text").and_then(Value::as_str).unwrap_or_default();
        lines.extend(text.lines().map(|line| format!("  {}", table::plain(line))));
    }
    Ok(lines.join("\n"))
}

/// Since when a fact is true, and who says so if nobody told it.
fn standing(fact: &Value) -> String {
    let cell = |path: &str| table::cell(fact, path);
    let mut text = format!(
        "true since {}, until {}; learned at {}, over since {}",
        cell("valid_from"),
        cell("valid_until"),
        cell("learned_at"),
        cell("unlearned_at")
    );
    if fact.get("correction").is_some_and(Value::is_object) {
        let (old, by) = (cell("correction.supersedes"), cell("correction.by"));
        let at = cell("correction.at");
        text.extend(["\nput in the place of ", &old, " by ", &by, " at ", &at]);
    }
    if fact.get("superseded_by").is_some_and(Value::is_string) {
        text.extend(["\n", &cell("superseded_by"), " has taken its place"]);
    }
    text
}

async fn correct(client: &Client, args: CorrectArgs) -> Result<String, ClientError> {
    let mut body = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    let object = args.object.map(|name| json!({ "name": name, "kind": args.kind }));
    set("sentence", args.sentence.map(Value::from));
    set("object", object);
    set("valid_from", args.since.map(Value::from));
    set("valid_until", args.until.map(Value::from));
    set("valid_until", args.still.then_some(Value::Null));
    let path = path_of(&args.fact);
    let new = client.request(Method::PATCH, &path, Some(&Value::Object(body))).await?;
    let id = table::cell(&new, "id");
    Ok(format!("{id} has taken the place of {}: {}", args.fact.id, table::cell(&new, "sentence")))
}

async fn delete(client: &Client, fact: FactArg) -> Result<String, ClientError> {
    client.request(Method::DELETE, &path_of(&fact), None).await?;
    Ok(format!("{} is gone", fact.id))
}

async fn export(client: &Client, person: String) -> Result<String, ClientError> {
    let all = client.get(&format!("/memory/{}/export", escape(&person))).await?;
    Ok(super::pretty(&all))
}

async fn forget(client: &Client, args: ForgetArgs) -> Result<String, ClientError> {
    let body = json!({ "person": args.person.person, "transcripts": args.transcripts });
    let report = client.request(Method::POST, "/erasures", Some(&body)).await?;
    let removed = report.get("removed").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut text =
        table::of(&removed, &[("REMOVED FROM", "place"), ("COUNT", "count")], "nothing was there");
    for left in report.get("left").and_then(Value::as_array).into_iter().flatten() {
        let why = left.as_str().unwrap_or_default();
        text.extend(["\nstill there: ", &table::plain(why)]);
    }
    Ok(text)
}
