//! The agent as it is shown: the operator's in the words of this API, and what was written over it.

use epilogue_core::{
    Agent,
    analysis::{EVALUATION, Label, LabelKind},
};
use epilogue_engine::records::Project;
use serde_json::{Map, Value, json};

use super::{Parts, hook};
use crate::dialect::pathors::{payload::DEFAULT, wire::time};

pub(super) fn of(project: &Project, parts: &Parts) -> Value {
    let mut shown = configured(&parts.configured);
    let mut document = parts.document();
    // A webhook that was written without them has the events that it is told.
    if let Some(Value::Object(webhook)) = document.get_mut("postSessionWebhook") {
        if webhook.get("events").is_none_or(Value::is_null) {
            webhook.insert("events".to_owned(), json!(DEFAULT));
        }
        if webhook.get("headers").is_none_or(Value::is_null) {
            webhook.insert("headers".to_owned(), json!([]));
        }
    }
    // What is switched off is as it acts: no prompt, no memory, no variables.
    for (name, off) in [
        ("globalPrompt", json!("")),
        ("memoryEnabled", json!(false)),
        ("variableConfigs", json!([])),
    ] {
        if document.get(name).is_some_and(Value::is_null) {
            document.insert(name.to_owned(), off);
        }
    }
    shown.extend(document);
    let changed = parts.changed.as_ref();
    let created_at = changed.map_or(project.created_at, |changed| changed.created_at);
    let updated_at = changed.map_or(project.created_at, |changed| changed.updated_at);
    for (name, value) in [
        ("id", project.agent.as_str().to_owned()),
        ("projectId", project.id.as_str().to_owned()),
        ("createdAt", time(created_at.min(project.created_at))),
        ("updatedAt", time(updated_at)),
    ] {
        shown.insert(name.to_owned(), value.into());
    }
    Value::Object(shown)
}

/// The operator's agent in the words of this API.
fn configured(agent: &Agent) -> Map<String, Value> {
    let webhook = agent.webhook.as_ref();
    let keys = agent.variable_keys.as_ref();
    let variables = agent.variables.iter().map(|variable| {
        json!({
            "key": variable.key,
            "type": variable.kind.as_str(),
            "description": variable.description,
        })
    });
    let form = agent.analysis.iter().find(|form| form.name == EVALUATION && form.enabled);
    let shown = json!({
        "type": "monolithic",
        "name": agent.name,
        "status": "published",
        "globalPrompt": agent.prompt,
        "executionMode": "balance",
        "timezone": null,
        "memoryEnabled": agent.memory.recalls(),
        "beforeStartConfig": null,
        "postSessionWebhook": webhook.map(|webhook| hook::shown(webhook, &DEFAULT)),
        "postSessionVariableKeys": keys,
        "postEvaluationConfig": form.and_then(|form| form.labels.first()).map(evaluation),
        "variableConfigs": variables.collect::<Vec<_>>(),
    });
    match shown {
        Value::Object(shown) => shown,
        _ => Map::new(),
    }
}

fn evaluation(label: &Label) -> Value {
    let number = label.kind == LabelKind::Number;
    json!({
        "enabled": true,
        "prompt": label.description,
        "enumOptions": label.options,
        "numberConfig": number.then(|| json!({ "min": label.min, "max": label.max })),
    })
}
