//! 5: what this API's webhooks say. The same facts always give the same bytes: members stand in this
//! order, and nothing in them depends on when they are sent. There are no calls here, so that what would
//! be said of one is left out.

use epilogue_core::{
    StepKind,
    retry::{Manners, Refusals},
};
use epilogue_engine::wording::{Notification, Payload};
use serde::Serialize;
use serde_json::{Map, Value};

use super::wire::time;

/// The events that may be subscribed to.
pub(super) const SUBSCRIBED: [&str; 4] =
    ["session.started", "session.ended", "call.ended", "session.finalized"];
/// Those that the agent's webhook may ask for: the start is told to subscribers alone. What is of calls is
/// published for it and never comes, for there are no calls.
pub(super) const EVENTS: [&str; 4] =
    ["session.ended", "call.ended", "session.finalized", "recording.ready"];
/// What the agent's webhook is told when it does not say.
pub(super) const DEFAULT: [&str; 1] = ["session.ended"];

/// What every event says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Common<'a> {
    event: &'static str,
    session_id: &'a str,
    timestamp: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Started<'a> {
    #[serde(flatten)]
    common: Common<'a>,
    project_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ended<'a> {
    #[serde(flatten)]
    common: Common<'a>,
    /// Agents here have no nodes.
    current_node_id: Option<&'a str>,
    messages_count: u32,
    extracted_variables: &'a Map<String, Value>,
    /// Deprecated where it was published, and still sent.
    reason: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finalized<'a> {
    #[serde(flatten)]
    common: Common<'a>,
    project_id: &'a str,
    current_node_id: Option<&'a str>,
    messages_count: u32,
    extracted_variables: &'a Map<String, Value>,
}

/// What an event says. `None`: it is none of this API's.
pub(crate) fn payload(told: &Notification<'_>) -> Option<Payload> {
    let (session, event) = (told.session, told.kind.event()?);
    let project_id = session.project.as_ref()?.as_str();
    let common = |at| Common { event, session_id: &session.dialect_id, timestamp: time(at) };
    let (current_node_id, messages_count) = (None, session.usage.total_messages);
    let extracted_variables = told.extracted;
    let (body, manners) = match told.kind {
        StepKind::NotifyStarted => {
            let common = common(session.opened_at);
            (serde_json::to_string(&Started { common, project_id }), None)
        }
        StepKind::NotifyEnded => {
            let (common, reason) = (common(told.ended?.at), "session_ended");
            let ended =
                Ended { common, current_node_id, messages_count, extracted_variables, reason };
            (serde_json::to_string(&ended), None)
        }
        _ => {
            let common = common(told.ended?.at);
            let finalized = Finalized {
                common,
                project_id,
                current_node_id,
                messages_count,
                extracted_variables,
            };
            // It is published as told at most once.
            let once = Manners { policy: None, refusals: Refusals::OnceAtMost, logged: false };
            (serde_json::to_string(&finalized), Some(once))
        }
    };
    let body = body.ok()?;
    Some(Payload { event: event.to_owned(), body, body_signature_header: None, manners })
}
