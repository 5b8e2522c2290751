//! Who takes part: a project whose agent echoes what it is told, a model that quotes it in every answer,
//! and a receiver that sends back what it hears. Each can be held at a moment.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, header};
use serde_json::{Value, json};

use crate::support::{
    binary::Home,
    gate::Gate,
    peer::{Peer, answer},
};

/// Stands in everything that is said, given, saved and found out. No other text has it.
pub const CANARY: &str = "zqcanary";
/// The same where JSON has escaped it, and the client said it in another way.
pub const ESCAPED: &str = "zq\\u0063anary";
pub const KEY: &str = "dk_gone";
pub const PROJECT: &str = "proj_gone";
/// The agent of the project.
pub const PATHWAY: &str = "pathway";
/// An agent that remembers people and keeps no transcript.
pub const REMEMBERING: &str = "remembering";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Everything outside the server.
pub struct World {
    pub home: Home,
    pub gate: Gate,
    /// What receivers heard of, by event.
    pub told: Arc<Mutex<Vec<String>>>,
    _peers: [Peer; 2],
}

impl World {
    pub async fn new() -> Self {
        let gate = Gate::default();
        let told = Arc::<Mutex<Vec<String>>>::default();
        let (at_model, at_hook, hears) = (gate.clone(), gate.clone(), told.clone());
        let model = Peer::start(move |request: Request<Bytes>| {
            let gate = at_model.clone();
            async move {
                let asked: Value = serde_json::from_slice(request.body()).unwrap_or_default();
                if asked["response_format"].is_object() {
                    gate.pass("analysis").await;
                }
                Ok(answered(&asked))
            }
        });
        let hook = Peer::start(move |request: Request<Bytes>| {
            let (gate, hears) = (at_hook.clone(), hears.clone());
            async move {
                let told: Value = serde_json::from_slice(request.body()).unwrap_or_default();
                let event = told["event"].as_str().unwrap_or_default().to_owned();
                gate.pass(&event).await;
                hears.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                // It says more than it has been told, too.
                let body = format!("{CANARY} {}", String::from_utf8_lossy(request.body()));
                Ok(answer(200, body))
            }
        });
        let (model, hook) = (model.await, hook.await);
        let home = Home::new(&config(&model.url("/v1"), &hook.url("/hook")));
        Self { home, gate, told, _peers: [model, hook] }
    }

    /// In which files of the data folder it stands.
    pub fn found(&self) -> Vec<String> {
        let mut found = Vec::new();
        look(&self.home.data(), &mut found);
        found
    }
}

fn look(folder: &Path, found: &mut Vec<String>) {
    for file in std::fs::read_dir(folder).expect("listed") {
        let path = file.expect("a file").path();
        if path.is_dir() {
            look(&path, found);
        } else if holds(&std::fs::read(&path).unwrap_or_default()) {
            found.push(path.display().to_string());
        }
    }
}

/// Whether it stands there, in either way.
pub fn holds(bytes: &[u8]) -> bool {
    let has = |needle: &str| bytes.windows(needle.len()).any(|part| part == needle.as_bytes());
    has(CANARY) || has(ESCAPED)
}

/// What the model says: a form full of it, a call that saves it, or words that quote it.
fn answered(asked: &Value) -> Response<Body> {
    let schema = &asked["response_format"]["json_schema"]["schema"]["properties"];
    if asked["input"].is_array() {
        return likened(&asked["input"]);
    }
    if schema["facts"].is_object() {
        let learned = json!({ "content": learned().to_string() });
        return streamed(&learned, "stop");
    }
    if let Some(labels) = schema.as_object() {
        let values = labels.iter().map(|(name, schema)| (name.clone(), value(schema)));
        let form = Value::Object(values.collect()).to_string();
        return streamed(&json!({ "content": form }), "stop");
    }
    let last = asked["messages"].as_array().and_then(|messages| messages.last());
    let saves = asked["tools"].to_string().contains("save_variables");
    if saves && last.is_some_and(|message| message["role"] != "tool") {
        let arguments = json!({ "saved": CANARY }).to_string();
        let function = json!({ "name": "save_variables", "arguments": arguments });
        let call = json!({ "index": 0, "id": "call_1", "type": "function", "function": function });
        return streamed(&json!({ "tool_calls": [call] }), "tool_calls");
    }
    streamed(&json!({ "content": format!("You said {CANARY}, I think.") }), "stop")
}

/// What follows from every conversation.
fn learned() -> Value {
    let mention = |name: &str, kind: &str| json!({ "name": name, "kind": kind, "hint": CANARY });
    let fact = |relation: &str, object: &str| {
        json!({
            "subject": { "name": "user", "kind": "person", "hint": null },
            "relation": relation, "object": mention(object, "thing"),
            "sentence": format!("The user {relation} {object}."),
            "from": null, "until": null, "exclusive": false,
        })
    };
    let (named, other) = (fact("is_called", CANARY), fact("likes", &format!("{CANARY} cake")));
    json!({ "facts": [named, other], "ended": [] })
}

/// What sentences are like.
fn likened(input: &Value) -> Response<Body> {
    let of = |index: usize| json!({ "index": index, "embedding": [1.0, 0.5] });
    let data: Vec<_> = (0..input.as_array().map_or(0, Vec::len)).map(of).collect();
    let mut response = Response::new(Body::from(json!({ "data": data }).to_string()));
    let kind = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn value(schema: &Value) -> Value {
    match schema["type"].to_string() {
        kind if kind.contains("boolean") => json!(true),
        kind if kind.contains("number") => json!(7),
        _ => json!(CANARY),
    }
}

fn streamed(delta: &Value, reason: &str) -> Response<Body> {
    let event = |choice: Value| format!("data: {}\n\n", json!({ "choices": [choice] }));
    let said = event(json!({ "index": 0, "delta": delta }));
    let last = event(json!({ "index": 0, "delta": {}, "finish_reason": reason }));
    let mut response = Response::new(Body::from(format!("{said}{last}data: [DONE]\n\n")));
    let kind = http::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn config(model: &str, hook: &str) -> Value {
    let step = json!({ "retry_s": [0, 0, 0, 1, 1, 1, 1, 1], "timeout_s": 7, "jitter_percent": 0 });
    let agent = |id: &str, more: Value| {
        let mut agent = json!({
            "id": id, "name": "An agent", "prompt": "You help {{name}}.",
            "model": { "provider": "openai", "base_url": model, "name": "fake" },
            "webhook": {
                "url": hook, "secret": SECRET, "events": ["session.ended", "session.finalized"],
            },
            "variables": [
                { "key": "saved", "type": "string", "description": "Anything." },
                { "key": "found", "type": "string", "description": "Anything else." },
            ],
            "analysis": [
                { "name": "evaluation", "labels": [{ "name": "result", "type": "number" }] },
            ],
        });
        let members = more.as_object().expect("an object").clone();
        agent.as_object_mut().expect("an object").extend(members);
        agent
    };
    json!({
        // Everything that any part of the server has to say.
        "telemetry": { "log": "trace", "log_format": "json" },
        "memory": { "embeddings": { "base_url": model, "name": "fake" } },
        "security": { "allow_private_webhooks": true },
        "limits": {
            "opens_per_minute": 0, "messages_per_minute": 0,
            "ends_per_minute": 0, "history_per_minute": 0,
        },
        "steps": { "notify": step, "analyze": step, "ingest_memory": step, "purge": step },
        "organizations": [{
            "id": "org_gone", "name": "Gone", "credits": "1000", "api_keys": [KEY],
            "agents": [
                agent(PATHWAY, json!({ "memory": true })),
                agent(REMEMBERING, json!({ "memory": true, "keep_transcript": false })),
            ],
            "projects": [{ "id": PROJECT, "agent": PATHWAY, "api_keys": ["sk_gone"] }],
        }],
    })
}

/// How long a read of a file may take to be repeated.
pub const MOMENT: Duration = Duration::from_millis(100);
