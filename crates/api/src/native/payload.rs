//! What native webhooks say: `session.ended` at once, `session.finalized` when all else has settled.

use epilogue_core::{Ended, StepKind};
use epilogue_engine::wording::{Notification, Payload};
use serde::Serialize;
use serde_json::Value;

use super::sessions::{AnalysisView, UsageView};

/// An event. The same facts always give the same bytes: members stand in this order, and nothing in it
/// depends on when it is sent.
#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    id: &'a str,
    /// When the session ended.
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    session: EndedSession<'a>,
    reason: &'static str,
    caused_by: epilogue_core::reason::CausedBy,
    cost_micro_credits: i64,
    cost: String,
    usage: UsageView,
    #[serde(skip_serializing_if = "Option::is_none")]
    analysis: Option<Vec<AnalysisView>>,
}

#[derive(Serialize)]
struct EndedSession<'a> {
    id: String,
    name: &'a str,
    dialect: &'a str,
    agent: EventAgent<'a>,
    person: Option<&'a str>,
    opened_at: String,
    ended_at: String,
    duration_seconds: u64,
    turns: u32,
    messages: u32,
    metadata: &'a Value,
}

#[derive(Serialize)]
struct EventAgent<'a> {
    id: &'a str,
    name: &'a str,
    version: u32,
}

/// What an event says. `None`: the step tells nobody anything.
pub(crate) fn payload(notification: &Notification<'_>) -> Option<Payload> {
    let name = match notification.kind {
        StepKind::NotifyEnded => "session.ended",
        StepKind::NotifyFinalized => "session.finalized",
        _ => return None,
    };
    let ended = notification.ended?;
    let event = Event {
        r#type: name,
        id: notification.id.as_str(),
        timestamp: ended.at.to_string(),
        data: data(notification, ended),
    };
    let body = serde_json::to_string(&event).ok()?;
    Some(Payload { event: name.to_owned(), body, body_signature_header: None, manners: None })
}

fn data<'a>(notification: &Notification<'a>, ended: &Ended) -> Data<'a> {
    let Notification { session, agent, analyses, .. } = notification;
    let finalized = notification.kind == StepKind::NotifyFinalized;
    Data {
        session: EndedSession {
            id: session.id.to_string(),
            name: &session.dialect_id,
            dialect: session.dialect.as_str(),
            agent: EventAgent {
                id: agent.id.as_str(),
                name: &agent.name,
                version: session.agent.version,
            },
            person: session.person.as_ref().map(epilogue_core::Person::as_str),
            opened_at: session.opened_at.to_string(),
            ended_at: ended.at.to_string(),
            duration_seconds: session.lasted(ended.at).as_millis() / 1000,
            turns: session.turns,
            messages: session.messages,
            metadata: &session.context.metadata,
        },
        reason: ended.reason.as_str(),
        caused_by: ended.reason.caused_by(),
        cost_micro_credits: ended.cost.0,
        cost: ended.cost.to_string(),
        usage: session.usage.into(),
        analysis: finalized.then(|| analyses.iter().map(AnalysisView::of).collect()),
    }
}
