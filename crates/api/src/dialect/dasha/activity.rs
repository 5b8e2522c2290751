//! L1: `POST /activity-logs/search`, the activity log in this API's words.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use epilogue_core::{AgentId, EndReason, event::Activity};
use epilogue_engine::records::{
    ActivityCount, ActivityFilter, ActivityKind, ActivityOrder, ActivityText,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    access::Reads,
    agents::read::Part,
    error::Problem,
    results::{Asked, Found, date, search_text, sessions, texts},
    view::final_reason,
    wire::{JsonBody, time},
};
use crate::Api;

/// The published types of events.
const TYPES: [&str; 22] = [
    "AgentCreated",
    "AgentUpdated",
    "AgentDeleted",
    "AgentCloned",
    "CallCreated",
    "CallBulkScheduled",
    "CallCanceled",
    "CallCompleted",
    "CallFailed",
    "CallDeadlineExceeded",
    "CallDispatched",
    "CallReceived",
    "CallRejectedByWebhook",
    "WebhookSuccess",
    "WebhookFailed",
    "ToolCallSuccess",
    "ToolCallFailed",
    "McpCallExecuted",
    "ConfigurationCreated",
    "ConfigurationUpdated",
    "ConfigurationDeleted",
    "CustomerDataRemoved",
];
const SEVERITIES: [&str; 4] = ["Info", "Warning", "Error", "Critical"];
const CALLERS: [&str; 2] = ["User", "System"];

/// What the log knows, and its words here: kind, whether it is our own failure, type, severity, message.
const WORDS: [(&str, Option<bool>, &str, &str, &str); 18] = [
    ("agent.created", None, "AgentCreated", "Info", "Agent created"),
    ("agent.updated", None, "AgentUpdated", "Info", "Agent updated"),
    ("agent.deleted", None, "AgentDeleted", "Info", "Agent deleted"),
    ("agent.cloned", None, "AgentCloned", "Info", "Agent cloned"),
    ("session.opened", None, "CallCreated", "Info", "Conversation created"),
    ("session.ended", Some(false), "CallCompleted", "Info", "Conversation completed"),
    ("session.ended", Some(true), "CallFailed", "Error", "Conversation failed"),
    ("webhook.delivered", None, "WebhookSuccess", "Info", "Webhook delivered"),
    ("webhook.failed", None, "WebhookFailed", "Error", "Webhook failed"),
    ("tool.called", None, "ToolCallSuccess", "Info", "Tool called"),
    ("tool.failed", None, "ToolCallFailed", "Error", "Tool call failed"),
    ("integration.created", None, "ConfigurationCreated", "Info", "Web integration created"),
    ("integration.updated", None, "ConfigurationUpdated", "Info", "Web integration updated"),
    ("integration.deleted", None, "ConfigurationDeleted", "Info", "Web integration deleted"),
    (
        "integration.token_created",
        None,
        "ConfigurationCreated",
        "Info",
        "Web integration token created",
    ),
    (
        "integration.token_revoked",
        None,
        "ConfigurationDeleted",
        "Info",
        "Web integration token revoked",
    ),
    ("key.created", None, "ConfigurationCreated", "Info", "API key created"),
    ("key.revoked", None, "ConfigurationDeleted", "Info", "API key revoked"),
];

/// The particulars of an end that are shown as they are.
const END_MEMBERS: [&str; 2] = ["channel", "note"];

type Words = (&'static str, Option<bool>, &'static str, &'static str, &'static str);

fn words(kind: &str, failed: bool) -> Option<&'static Words> {
    WORDS.iter().find(|(known, when, ..)| *known == kind && when.is_none_or(|when| when == failed))
}

fn kind((kind, failed, ..): &Words) -> ActivityKind {
    ActivityKind { kind: (*kind).to_owned(), failed: *failed }
}

/// One entry.
#[expect(clippy::struct_field_names, reason = "the published names")]
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    event_id: String,
    org_id: String,
    r#type: &'static str,
    severity: &'static str,
    message: String,
    caller: &'static str,
    timestamp: String,
    user_email: Option<String>,
    call_id: Option<String>,
    agent_id: Option<String>,
    metadata: Value,
}

/// How the entries are spread.
#[expect(clippy::struct_field_names, reason = "the published names")]
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Aggregations {
    type_counts: BTreeMap<&'static str, u32>,
    severity_counts: BTreeMap<&'static str, u32>,
    caller_counts: BTreeMap<&'static str, u32>,
}

/// L1
pub(super) async fn search(
    State(api): State<Api>,
    who: Reads,
    body: Result<JsonBody<Value>, Problem>,
) -> Result<Json<Found<Event, Aggregations>>, Problem> {
    let body = body?.0;
    let body = Part::root(&body);
    body.object()?;
    let asked = Asked::read(body, api.engine().now())?;
    let filter = filter(body)?;
    let order = body.member("sortField", |part| match part.text()?.as_deref() {
        None | Some("" | "timestamp") => Ok(ActivityOrder::At),
        Some("type") => Ok(ActivityOrder::Kind),
        Some(_) => Err(part.wrong("must be timestamp or type")),
    })?;
    let page = asked.offset();
    let (hits, counts) = api.engine().search_activity(who.org(), &filter, order, page).await?;
    let events = hits.items.into_iter().filter_map(|entry| event(who.org().as_str(), entry));
    let found = (events.collect(), hits.total);
    Ok(Json(asked.found(found, Some(aggregations(&counts)), api.engine().now())))
}

fn filter(body: Part<'_>) -> Result<ActivityFilter, Problem> {
    let types = body.member("types", |part| among(part, &TYPES))?;
    let severities = body.member("severities", |part| among(part, &SEVERITIES))?;
    let callers = body.member("callers", |part| among(part, &CALLERS))?;
    let email = body.member("userEmail", |part| part.text())?.filter(|email| !email.is_empty());
    let is_wanted = |list: &Option<Vec<String>>, word: &str| {
        list.as_ref().is_none_or(|list| list.iter().any(|wanted| wanted == word))
    };
    // Nobody signs in here with an address, so that no entry has one.
    let wanted = |(_, _, r#type, severity, _): &&Words| {
        email.is_none() && is_wanted(&types, r#type) && is_wanted(&severities, severity)
    };
    let agents = body.member("agentIds", texts)?;
    let text = body.member("searchText", search_text)?;
    Ok(ActivityFilter {
        kinds: Some(WORDS.iter().filter(wanted).map(kind).collect()),
        by_someone: match callers {
            Some(callers) if callers.iter().all(|caller| caller == "User") => Some(true),
            Some(callers) if callers.iter().all(|caller| caller == "System") => Some(false),
            _ => None,
        },
        sessions: body.member("callIds", sessions)?,
        agents: agents.map(|agents| agents.into_iter().map(Into::into).collect()),
        from: body.member("fromDate", date)?,
        until: body.member("toDate", date)?,
        text: text.map(with_words),
    })
}

/// A text, and what has it in the words that are shown for it here.
fn with_words(text: String) -> ActivityText {
    let needle = text.to_lowercase();
    let has = |words: &str| words.to_lowercase().contains(&needle);
    let kinds = WORDS.iter().filter(|(.., r#type, _, message)| has(r#type) || has(message));
    let kinds = kinds.map(kind).collect();
    let reasons = EndReason::ALL.into_iter().filter(|reason| has(final_reason(*reason))).collect();
    let end_members = END_MEMBERS.map(str::to_owned).to_vec();
    ActivityText { text, kinds, reasons, end_members }
}

/// A list of words of a closed set.
fn among(part: Part<'_>, known: &[&str]) -> Result<Option<Vec<String>>, Problem> {
    let words = texts(part)?;
    let unknown = words.iter().flatten().find(|word| !known.contains(&word.as_str()));
    match unknown {
        Some(word) => Err(part.wrong(format!("`{word}` is not one of {}", known.join(", ")))),
        None => Ok(words),
    }
}

const fn caller(by_someone: bool) -> &'static str {
    if by_someone { "User" } else { "System" }
}

/// An entry in this API's words. `None`: it has none for it, and was not asked for.
fn event(org: &str, entry: Activity) -> Option<Event> {
    let failed = entry.detail["reason"] == EndReason::Failed.as_str();
    let (_, _, r#type, severity, message) = words(&entry.kind, failed)?;
    Some(Event {
        event_id: entry.id,
        org_id: org.to_owned(),
        r#type,
        severity,
        message: worded(message, &entry.detail),
        caller: caller(entry.by.is_some()),
        timestamp: time(entry.at),
        user_email: None,
        call_id: entry.session.map(|id| id.to_string()),
        agent_id: entry.agent.as_ref().map(AgentId::to_string),
        metadata: metadata(&entry.kind, entry.by, entry.detail),
    })
}

/// The message, with the name of what it is about.
fn worded(message: &str, detail: &Value) -> String {
    let about = ["name", "tool"].iter().find_map(|name| detail[*name].as_str());
    about.map_or_else(|| message.to_owned(), |about| format!("{message}: {about}"))
}

/// The particulars: those of an end as they are published, the others as they are.
fn metadata(kind: &str, by: Option<String>, mut detail: Value) -> Value {
    if kind == "session.ended" {
        let reason = detail["reason"].as_str().and_then(EndReason::parse);
        let mut shown = json!({ "final_reason": reason.map(final_reason) });
        for member in END_MEMBERS {
            shown[member] = detail[member].take();
        }
        detail = shown;
    }
    if let (Some(members), Some(by)) = (detail.as_object_mut(), by) {
        members.insert("apiKeyId".into(), by.into());
    }
    detail
}

fn aggregations(counts: &[ActivityCount]) -> Aggregations {
    let mut spread = Aggregations::default();
    for count in counts {
        let Some((_, _, r#type, severity, _)) = words(&count.kind, count.failed) else { continue };
        *spread.type_counts.entry(r#type).or_default() += count.count;
        *spread.severity_counts.entry(severity).or_default() += count.count;
        *spread.caller_counts.entry(caller(count.by_someone)).or_default() += count.count;
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_a_published_one() {
        for (_, _, r#type, severity, _) in WORDS {
            assert!(TYPES.contains(&r#type) && SEVERITIES.contains(&severity), "{}", r#type);
        }
    }
}
