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

/// Stops whoever comes to a moment that the test has named.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<(Option<&'static str>, bool)>>);

impl Gate {
    /// The next one who comes there stays.
    pub fn hold_at(&self, moment: &'static str) {
        *self.lock() = (Some(moment), false);
    }

    /// Whether somebody is held.
    pub fn holds(&self) -> bool {
        self.lock().1
    }

    /// Nobody is held any more.
    pub fn open(&self) {
        *self.lock() = (None, false);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Option<&'static str>, bool)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass(&self, moment: &str) {
        let held = {
            let mut state = self.lock();
            let held = state.0 == Some(moment) && !state.1;
            state.1 |= held;
            held
        };
        if held {
            std::future::pending::<()>().await;
        }
    }
}

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
                Ok(streamed(&answered(&asked)))
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

/// What the model says: words that quote what it was told, or a form full of it.
fn answered(asked: &Value) -> String {
    let schema = &asked["response_format"]["json_schema"]["schema"]["properties"];
    let Some(labels) = schema.as_object() else { return format!("You said {CANARY}, I think.") };
    let value = |schema: &Value| {
        let kind = schema["type"].to_string();
        match kind {
            kind if kind.contains("boolean") => json!(true),
            kind if kind.contains("number") => json!(7),
            _ => json!(CANARY),
        }
    };
    let values = labels.iter().map(|(name, schema)| (name.clone(), value(schema)));
    Value::Object(values.collect()).to_string()
}

fn streamed(text: &str) -> Response<Body> {
    let event = |choice: Value| format!("data: {}\n\n", json!({ "choices": [choice] }));
    let said = event(json!({ "index": 0, "delta": { "content": text } }));
    let last = event(json!({ "index": 0, "delta": {}, "finish_reason": "stop" }));
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
            "webhook": { "url": hook, "secret": SECRET },
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
