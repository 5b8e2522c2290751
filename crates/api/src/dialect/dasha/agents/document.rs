//! The document of an agent: as it is shown, as it is changed, and as it comes to be.

use epilogue_core::{
    Agent, OrgId,
    agent::{ModelProvider, ToolSpec, WebhookSpec},
    analysis::{Form, LabelKind},
};
use epilogue_engine::records::AgentRecord;
use serde_json::{Map, Value, json};

use super::{super::wire::time, secret};

/// Members that are the server's to say.
const READ_ONLY: [&str; 4] = ["agentId", "orgId", "createdTime", "lastUpdateTime"];
/// Members that always say something.
const NEVER_NULL: [&str; 2] = ["isEnabled", "additionalData"];

/// An agent as clients see it.
pub(super) fn shown(org: &OrgId, record: &AgentRecord) -> Value {
    let document = match &record.document {
        Some(Value::Object(document)) => document.clone(),
        _ => synthesized(&record.agent),
    };
    let mut document = document.into();
    secret::mask(&mut document);
    document["agentId"] = json!(record.agent.id);
    document["orgId"] = json!(org);
    document["createdTime"] = json!(time(record.created_at));
    document["lastUpdateTime"] = json!(time(record.updated_at));
    document
}

/// A new agent's document: what was given, and the defaults of what was not.
pub(super) fn new(mut given: Map<String, Value>) -> Map<String, Value> {
    given.retain(|name, _| !READ_ONLY.contains(&name.as_str()));
    let defaults =
        [("description", Value::Null), ("isEnabled", json!(true)), ("additionalData", json!({}))];
    for (name, value) in defaults {
        let member = given.entry(name).or_insert(Value::Null);
        if member.is_null() {
            *member = value;
        }
    }
    given
}

/// A document with `given` laid over it: members that are given replace those that stand there. Null
/// of what is never null changes nothing.
pub(super) fn changed(
    stored: &Map<String, Value>,
    mut given: Map<String, Value>,
) -> Map<String, Value> {
    let mut document = stored.clone();
    given.retain(|name, value| !(value.is_null() && NEVER_NULL.contains(&name.as_str())));
    document.extend(given);
    new(document)
}

/// What stands at the beginning of every agent: `GET /misc/agent-initial-data`.
pub(super) fn initial() -> Value {
    json!({
        "name": "New agent",
        "description": null,
        "isEnabled": true,
        "additionalData": {},
        "config": config(json!({ "vendor": "openai", "model": "", "prompt": "" }), &[], None, &[]),
    })
}

/// The document of an agent that stands in the configuration, as far as it has words here.
fn synthesized(agent: &Agent) -> Map<String, Value> {
    let provider = match agent.model.provider {
        ModelProvider::Openai => "openai",
        ModelProvider::Scripted => "scripted",
        ModelProvider::Listed => agent.model.vendor.as_deref().unwrap_or_default(),
    };
    let llm = json!({ "vendor": provider, "model": agent.model.name, "prompt": agent.prompt });
    let document = json!({
        "name": agent.name,
        "description": agent.description,
        "isEnabled": agent.enabled,
        "additionalData": agent.additional_data,
        "config": config(llm, &agent.tools, agent.webhook.as_ref(), &agent.analysis),
    });
    match document {
        Value::Object(document) => document,
        _ => Map::new(),
    }
}

fn config(llm: Value, tools: &[ToolSpec], hook: Option<&WebhookSpec>, forms: &[Form]) -> Value {
    let mut llm_config = json!({
        "version": "v1", "vendor": "", "model": "", "prompt": "", "apiKey": null, "endpoint": null,
        "vendorSpecificOptions": {}, "toolScopes": null,
        "options": {
            "temperature": null, "maxTokens": null, "topP": null, "frequencyPenalty": null,
            "presencePenalty": null, "stop": null, "trailingPrompt": null, "reasoningMode": null,
            "maxRetries": null, "reasoningEffort": null,
        },
    });
    if let (Value::Object(all), Value::Object(own)) = (&mut llm_config, llm) {
        all.extend(own);
    }
    json!({
        "version": "v1",
        "primaryLanguage": "en-US",
        "llmConfig": llm_config,
        "resultWebhook": hook.map(webhook),
        "startWebhook": null,
        "tools": tools.iter().map(tool).collect::<Vec<_>>(),
        "mcpConnections": [],
        "features": {
            "postCallAnalysis": forms.iter().map(form).collect::<Vec<_>>(),
            "talkFirst": { "isEnabled": false, "delay": 1, "interruptible": true },
            "maxDuration": { "isEnabled": true, "maxDurationInSeconds": 3600 },
            "ivrDetection": { "enabledForChat": false },
            "languageSwitching": { "isEnabled": true },
        },
    })
}

fn webhook(spec: &WebhookSpec) -> Value {
    let headers: Map<_, _> =
        spec.headers.keys().map(|name| (name.clone(), Value::from(secret::MASK))).collect();
    json!({ "url": spec.url, "headers": headers })
}

fn tool(spec: &ToolSpec) -> Value {
    let headers: Map<_, _> =
        spec.headers.keys().map(|name| (name.clone(), Value::from(secret::MASK))).collect();
    json!({
        "name": spec.name,
        "description": spec.description,
        "schema": spec.parameters,
        "webhook": { "url": spec.url, "headers": headers },
        "fallBackResult": spec.fallback_result,
        "timeoutSeconds": spec.timeout_s,
        "retryCount": spec.retries,
    })
}

fn form(form: &Form) -> Value {
    let label = |label: &epilogue_core::analysis::Label| {
        let kind = match label.kind {
            LabelKind::Boolean => "boolean",
            LabelKind::Number | LabelKind::Integer => "number",
            LabelKind::Text | LabelKind::List | LabelKind::Object => "string",
            LabelKind::Selector => "enum",
        };
        json!({
            "name": label.name, "description": label.description, "type": kind,
            "enumValues": label.options, "isRequired": label.required,
        })
    };
    let labels: Vec<_> = form.labels.iter().map(label).collect();
    json!({ "version": "v1", "name": form.name, "isEnabled": form.enabled, "labels": labels })
}
