//! The document of an agent: as it is shown, as it is changed, and as it comes to be.

use epilogue_core::{
    Agent, OrgId,
    agent::{ModelProvider, ToolSpec, WebhookSpec},
    analysis::{Form, LabelKind},
};
use epilogue_engine::records::AgentRecord;
use serde_json::{Map, Value, json};

use super::super::{error::Problem, wire::time};

/// What stands in the place of a secret. Sent back, it stands for the secret that is stored.
pub const MASK: &str = "********";

/// Members whose text is a secret, wherever they stand.
const SECRETS: [&str; 4] = ["apiKey", "authToken", "password", "secret"];
/// Members whose members' texts are secrets: receivers know their callers by them.
const SECRET_MAPS: [&str; 2] = ["headers", "customHeaders"];
/// Members that are the server's to say.
const READ_ONLY: [&str; 4] = ["agentId", "orgId", "createdTime", "lastUpdateTime"];

/// An agent as clients see it.
pub(super) fn shown(org: &OrgId, record: &AgentRecord) -> Value {
    let mut document = match &record.document {
        Some(Value::Object(document)) => document.clone(),
        _ => synthesized(&record.agent),
    };
    for value in document.values_mut() {
        mask(value);
    }
    document.insert("agentId".into(), json!(record.agent.id));
    document.insert("orgId".into(), json!(org));
    document.insert("createdTime".into(), json!(time(record.created_at)));
    document.insert("lastUpdateTime".into(), json!(time(record.updated_at)));
    document.into()
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

/// A document with `given` laid over it: members that are given replace those that stand there.
pub(super) fn changed(
    stored: &Map<String, Value>,
    given: Map<String, Value>,
) -> Map<String, Value> {
    let mut document = stored.clone();
    document.extend(given);
    new(document)
}

/// Puts stored secrets back where the mask stands for them.
pub(super) fn unmask(
    document: &mut Map<String, Value>,
    stored: &Map<String, Value>,
) -> Result<(), Problem> {
    for (name, value) in document {
        unmask_at(name, value, stored.get(name), false)?;
    }
    Ok(())
}

fn unmask_at(
    path: &str,
    value: &mut Value,
    stored: Option<&Value>,
    secret: bool,
) -> Result<(), Problem> {
    match value {
        Value::String(text) if secret && text == MASK => match stored {
            Some(Value::String(known)) => {
                text.clone_from(known);
                Ok(())
            }
            _ => Err(Problem::field(path, "is the mask of a secret, and there is none stored")),
        },
        Value::Array(items) => {
            for (place, item) in items.iter_mut().enumerate() {
                let known = counterpart(stored, place, item).cloned();
                unmask_at(&format!("{path}[{place}]"), item, known.as_ref(), false)?;
            }
            Ok(())
        }
        Value::Object(members) => {
            for (name, member) in members {
                let known = stored.and_then(|stored| stored.get(name));
                let path = format!("{path}.{name}");
                let is_secret = secret || SECRETS.contains(&name.as_str());
                if SECRET_MAPS.contains(&name.as_str())
                    && let Value::Object(map) = member
                {
                    for (key, value) in map {
                        let known = known.and_then(|known| known.get(key));
                        unmask_at(&format!("{path}.{key}"), value, known, true)?;
                    }
                } else {
                    unmask_at(&path, member, known, is_secret)?;
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The stored item that an item follows: the one of the same name, or in the same place.
fn counterpart<'a>(stored: Option<&'a Value>, place: usize, item: &Value) -> Option<&'a Value> {
    let stored = stored?.as_array()?;
    match item.get("name") {
        Some(name) => stored.iter().find(|known| known.get("name") == Some(name)),
        None => stored.get(place),
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if SECRETS.contains(&name.as_str()) => hide(text),
                    Value::Object(map) if SECRET_MAPS.contains(&name.as_str()) => {
                        for value in map.values_mut() {
                            if let Value::String(text) = value {
                                hide(text);
                            } else if !value.is_null() {
                                *value = MASK.into();
                            }
                        }
                    }
                    other => mask(other),
                }
            }
        }
        _ => {}
    }
}

/// Nothing stays nothing, so that a client sees that there is no secret.
fn hide(text: &mut String) {
    if !text.is_empty() {
        MASK.clone_into(text);
    }
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
        spec.headers.keys().map(|name| (name.clone(), Value::from(MASK))).collect();
    json!({ "url": without_password(&spec.url), "headers": headers })
}

fn without_password(url: &url::Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() {
        // It fails only for addresses that cannot have a password.
        let _ = url.set_password(Some(MASK));
    }
    url.into()
}

fn tool(spec: &ToolSpec) -> Value {
    let headers: Map<_, _> =
        spec.headers.keys().map(|name| (name.clone(), Value::from(MASK))).collect();
    json!({
        "name": spec.name,
        "description": spec.description,
        "schema": spec.parameters,
        "webhook": { "url": without_password(&spec.url), "headers": headers },
        "fallBackResult": spec.fallback_result,
        "timeoutSeconds": spec.timeout_s,
        "retryCount": spec.retries,
    })
}

fn form(form: &Form) -> Value {
    let label = |label: &epilogue_core::analysis::Label| {
        let kind = match label.kind {
            LabelKind::Boolean => "boolean",
            LabelKind::Number => "number",
            LabelKind::Text => "string",
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
