//! H1: `POST /webhooks/test`, a sample of any webhook, sent once through the same guard as all others.

use axum::{Json, extract::State};
use epilogue_core::Timestamp;
use epilogue_engine::{webhook::WebhookAnswer, wording::Payload};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    access::Owns,
    agents::{hook, read::Part},
    error::Problem,
    limits,
    payload::{Base, Completed, Line, Outcome, ToolCall, manners},
    query,
    wire::{JsonBody, time},
};
use crate::Api;

/// The types of webhooks, and the status each says.
const TYPES: [(&str, &str); 7] = [
    ("StartWebHookPayload", "Queued"),
    ("CompletedWebHookPayload", "Completed"),
    ("FailedWebHookPayload", "Failed"),
    ("CallDeadLineWebHookPayload", "Canceled"),
    ("TransferWebHookPayload", "Running"),
    ("ToolWebHookPayload", "Running"),
    ("UnknownWebHookPayload", "Unknown"),
];

/// What a receiver made of the sample.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tried {
    success: bool,
    http_status: Option<u16>,
    http_status_text: Option<String>,
    response_data: Value,
    validation_result: Option<Validation>,
    error: Option<String>,
    time_taken: u64,
}

/// Whether the answer to a start webhook is one that could be acted on.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Validation {
    is_valid: bool,
    errors: Vec<String>,
}

/// What is to be sampled.
struct Sample {
    kind: &'static str,
    status: &'static str,
    tool: Option<(String, Value)>,
    agent_data: Map<String, Value>,
    call_data: Map<String, Value>,
}

/// H1
pub(super) async fn test(
    State(api): State<Api>,
    Owns(caller): Owns,
    body: Result<JsonBody<Value>, Problem>,
) -> Result<Json<Tried>, Problem> {
    let body = body?.0;
    let body = Part::root(&body);
    body.object()?;
    let webhook = body.member("webHook", hook::required)?;
    let sample = sample(body)?;
    let kind = sample.kind;
    let ids = (query::drawn_id(&api), query::drawn_id(&api), caller.org.to_string());
    let words = words(sample, ids, api.engine().now());
    let payload = Payload {
        event: kind.to_owned(),
        body: words.to_string(),
        body_signature_header: None,
        manners: Some(manners()),
    };
    let reply = match api.engine().try_webhook(&webhook, &payload).await {
        Ok(reply) => reply,
        Err(problem) => return Ok(Json(Tried::unsent(problem))),
    };
    let time_taken = reply.took.as_millis();
    Ok(Json(match reply.result {
        Ok(answer) => Tried::answered(&answer, kind, time_taken),
        Err(error) => Tried { time_taken, ..Tried::unsent(error.to_string()) },
    }))
}

fn sample(body: Part<'_>) -> Result<Sample, Problem> {
    let (kind, status) = body.member("webhookType", |part| {
        let word = part.text()?.unwrap_or_default();
        let known = TYPES.into_iter().find(|(kind, _)| *kind == word);
        let names = TYPES.map(|(kind, _)| kind).join(", ");
        known.ok_or_else(|| part.wrong(format!("must be one of {names}")))
    })?;
    let tool = if kind == "ToolWebHookPayload" {
        let name = body.member("toolName", |part| part.name(1, 200))?;
        let arguments = body.member("toolArguments", |part| match part.value() {
            Value::Null => Err(part.wrong("is required for this type")),
            // Some clients send the arguments as models write them.
            Value::String(text) => {
                let read: Result<Map<String, Value>, _> = serde_json::from_str(text);
                read.map(Value::from).map_err(|_| part.wrong("must be a JSON object"))
            }
            _ => part.object().map(Value::from),
        })?;
        Some((name, arguments))
    } else {
        None
    };
    let data = |part: Part<'_>| {
        let data = part.object()?;
        limits::object(&part.path(), &data, limits::BAG_BYTES_MAX)?;
        Ok(data)
    };
    Ok(Sample {
        kind,
        status,
        tool,
        agent_data: body.member("agentAdditionalData", data)?,
        call_data: body.member("callAdditionalData", data)?,
    })
}

/// The sample's words: those of a short conversation, made up where a real one would have facts.
fn words(sample: Sample, (call, agent, org): (String, String, String), now: Timestamp) -> Value {
    let base = Base {
        r#type: sample.kind,
        status: sample.status,
        call_id: call,
        agent_id: agent,
        org_id: org,
        call_additional_data: sample.call_data,
        agent_additional_data: sample.agent_data,
        server_job_id: None,
        sip: None,
        endpoint: Some(super::open::WEB.to_owned()),
    };
    let (at, kind) = (time(now), sample.kind);
    let words = match (kind, sample.tool) {
        (_, Some((tool_name, arguments))) => {
            serde_json::to_value(ToolCall { base, tool_name, arguments })
        }
        ("CompletedWebHookPayload", None) => serde_json::to_value(completed(base, &at)),
        ("FailedWebHookPayload" | "CallDeadLineWebHookPayload", None) => {
            let error = if kind == "FailedWebHookPayload" {
                "This is a test of a conversation that failed."
            } else {
                "This is a test of a conversation that came too late."
            };
            let times = json!({ "createdTime": at, "completedTime": at, "errorMessage": error });
            serde_json::to_value(base).map(|base| joined(base, times))
        }
        (_, None) => serde_json::to_value(base),
    };
    // Texts and maps of JSON: they always serialize.
    words.unwrap_or_default()
}

fn joined(mut base: Value, more: Value) -> Value {
    if let (Some(base), Value::Object(more)) = (base.as_object_mut(), more) {
        base.extend(more);
    }
    base
}

fn completed(base: Base, at: &str) -> Completed {
    let line = |speaker, text: &str| Line {
        speaker,
        text: text.to_owned(),
        start_time: at.to_owned(),
        end_time: at.to_owned(),
    };
    Completed {
        base,
        call_type: "Chat",
        created_time: at.to_owned(),
        completed_time: at.to_owned(),
        duration_seconds: 0,
        transcription: vec![
            line("user", "Hello, this is a test."),
            line("assistant", "Hello! This is a test of your webhook."),
        ],
        result: Outcome::of(epilogue_core::EndReason::UserEnd, &[]),
        inspector_url: None,
        recording_url: None,
    }
}

impl Tried {
    /// It was not sent, or nothing came back.
    fn unsent(error: String) -> Self {
        Self {
            success: false,
            http_status: None,
            http_status_text: None,
            response_data: Value::Null,
            validation_result: None,
            error: Some(error),
            time_taken: 0,
        }
    }

    fn answered(answer: &WebhookAnswer, kind: &str, time_taken: u64) -> Self {
        let success = (200..300).contains(&answer.status);
        let status = StatusCode::from_u16(answer.status).ok();
        let data = serde_json::from_str(&answer.body);
        Self {
            success,
            http_status: Some(answer.status),
            http_status_text: status
                .and_then(|status| status.canonical_reason())
                .map(str::to_owned),
            validation_result: (kind == "StartWebHookPayload")
                .then(|| Validation::of(success, &answer.body)),
            response_data: data.unwrap_or_else(|_| match answer.body.as_str() {
                "" => Value::Null,
                text => text.into(),
            }),
            error: (!success).then(|| format!("The receiver answered {}.", answer.status)),
            time_taken,
        }
    }
}

impl Validation {
    /// A start webhook may answer with nothing, or with an object.
    fn of(success: bool, body: &str) -> Self {
        let mut errors = Vec::new();
        if !success {
            errors.push("The status must be 2xx.".to_owned());
        }
        match serde_json::from_str::<Value>(body) {
            _ if body.trim().is_empty() => {}
            Ok(Value::Object(_)) => {}
            Ok(_) => errors.push("The answer must be a JSON object, or empty.".to_owned()),
            Err(_) => errors.push("The answer must be JSON, or empty.".to_owned()),
        }
        Self { is_valid: errors.is_empty(), errors }
    }
}
