//! What webhooks say: the published payloads, in camelCase.

use std::collections::BTreeMap;

use epilogue_core::{
    Agent, EndReason, Message, Role, Session, Span, StepKind,
    retry::{Manners, Refusals, RetryPolicy},
    session::Ended,
};
use epilogue_engine::{
    records::AnalysisResult,
    wording::{Notification, Payload, ResultWords, ToolInvocation},
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{open::endpoint_of, view::final_reason, wire::time};

/// Seconds before each attempt at a webhook, the first included.
pub const ATTEMPTS_S: [u64; 5] = [0, 1, 2, 4, 8];
/// How long a receiver may take to answer.
pub const TIMEOUT: Span = Span::from_secs(30);
/// By how much a wait may be longer, in percent.
pub const JITTER_PERCENT: u32 = 20;

/// How this API's webhooks are told: what is refused is not told again, and what comes of it is logged.
pub(super) fn manners() -> Manners {
    Manners {
        policy: Some(RetryPolicy {
            schedule: ATTEMPTS_S.map(Span::from_secs).to_vec(),
            timeout: TIMEOUT,
            jitter_percent: JITTER_PERCENT,
        }),
        refusals: Refusals::ServerFaults,
        logged: true,
    }
}

/// What every payload says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Base {
    pub r#type: &'static str,
    pub status: &'static str,
    pub call_id: String,
    pub agent_id: String,
    pub org_id: String,
    pub call_additional_data: Map<String, Value>,
    pub agent_additional_data: Map<String, Value>,
    pub server_job_id: Option<String>,
    pub sip: Option<Value>,
    pub endpoint: Option<String>,
}

impl Base {
    pub fn of(kind: &'static str, status: &'static str, session: &Session, agent: &Agent) -> Self {
        Self {
            r#type: kind,
            status,
            call_id: session.dialect_id.clone(),
            agent_id: session.agent.id.to_string(),
            org_id: session.org.to_string(),
            call_additional_data: session.context.shown_bag(),
            agent_additional_data: agent.additional_data.clone(),
            server_job_id: None,
            sip: None,
            endpoint: Some(endpoint_of(session)),
        }
    }
}

/// A conversation that ended as conversations do.
#[expect(clippy::struct_field_names, reason = "the published names")]
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Completed {
    #[serde(flatten)]
    pub base: Base,
    pub call_type: &'static str,
    pub created_time: String,
    pub completed_time: String,
    pub duration_seconds: u64,
    pub transcription: Vec<Line>,
    pub result: Outcome,
    pub inspector_url: Option<String>,
    pub recording_url: Option<String>,
}

/// A conversation that broke.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failed {
    #[serde(flatten)]
    pub base: Base,
    pub created_time: String,
    pub completed_time: String,
    pub error_message: String,
}

/// A tool that is called.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolCall {
    #[serde(flatten)]
    pub base: Base,
    pub tool_name: String,
    pub arguments: Value,
}

/// What was said, by whom and when.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    pub speaker: &'static str,
    pub text: String,
    pub start_time: String,
    pub end_time: String,
}

/// What came of a conversation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    pub status: &'static str,
    pub finish_reason: &'static str,
    pub post_call_analysis: BTreeMap<String, Value>,
}

impl Outcome {
    /// The outcome of an end, with the forms as far as they are filled in.
    pub fn of(reason: EndReason, analyses: &[AnalysisResult]) -> Self {
        let filled = analyses.iter().map(|form| (form.form.clone(), form.values.clone()));
        Self {
            status: call_status(Some(reason)),
            finish_reason: final_reason(reason),
            post_call_analysis: filled.collect(),
        }
    }
}

/// What is said when we broke a conversation.
pub(super) const BROKEN: &str = "The conversation could not be carried on.";

/// The word for how a conversation stands that ended for this reason; `None`: it has not.
pub(super) const fn call_status(reason: Option<EndReason>) -> &'static str {
    match reason {
        None => "Running",
        Some(EndReason::Failed) => "Failed",
        Some(_) => "Completed",
    }
}

/// What was said, without tools at work.
pub(super) fn transcription(transcript: &[Message]) -> Vec<Line> {
    let said = transcript.iter().map(|message| &message.body).filter(|body| body.is_visible());
    said.map(|body| Line {
        speaker: if body.role == Role::User { "user" } else { "assistant" },
        text: body.content.clone(),
        start_time: time(body.at),
        end_time: time(body.at),
    })
    .collect()
}

/// What an end says. `None`: the event is another one, which this API does not have.
pub(crate) fn payload(notification: &Notification<'_>) -> Option<Payload> {
    if notification.kind != StepKind::NotifyEnded {
        return None;
    }
    let Notification { session, agent, analyses, transcript, .. } = notification;
    let ended = notification.ended?;
    let (event, body) = if ended.reason == EndReason::Failed {
        let base = Base::of("FailedWebHookPayload", "Failed", session, agent);
        (base.r#type, serde_json::to_string(&failed(base, session, ended)))
    } else {
        let base = Base::of("CompletedWebHookPayload", "Completed", session, agent);
        let completed = Completed {
            base,
            call_type: "Chat",
            created_time: time(session.opened_at),
            completed_time: time(ended.at),
            duration_seconds: session.last_activity.since(session.opened_at).as_millis() / 1000,
            transcription: transcription(transcript),
            result: Outcome::of(ended.reason, analyses),
            inspector_url: None,
            recording_url: None,
        };
        (completed.base.r#type, serde_json::to_string(&completed))
    };
    Some(Payload {
        event: event.to_owned(),
        body: body.ok()?,
        body_signature_header: None,
        manners: Some(manners()),
    })
}

fn failed(base: Base, session: &Session, ended: &Ended) -> Failed {
    Failed {
        base,
        created_time: time(session.opened_at),
        completed_time: time(ended.at),
        error_message: BROKEN.to_owned(),
    }
}

/// The body of a tool's call.
pub(crate) fn tool_call(invocation: &ToolInvocation<'_>) -> Option<String> {
    let ToolInvocation { session, agent, call } = invocation;
    let base = Base::of("ToolWebHookPayload", "Running", session, agent);
    let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    let arguments = serde_json::from_str(arguments).ok()?;
    let body = ToolCall { base, tool_name: call.name.clone(), arguments };
    serde_json::to_string(&body).ok()
}

/// How an ended conversation is found again.
pub(crate) fn result(session: &Session) -> ResultWords {
    ResultWords { endpoint: endpoint_of(session), data: session.context.shown_bag() }
}
