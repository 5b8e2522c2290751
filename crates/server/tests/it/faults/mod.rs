//! What goes wrong around a server: each fault is met with a clear word, and the rest goes on.

mod chats;
mod models;
mod secrets;
mod slow_clients;
mod start;
mod stop;
mod texts;
mod webhooks;

use serde_json::{Value, json};

/// The key of the one organization.
const KEY: &str = "tk_live_faults";

/// A configuration in which nothing is limited per minute, and what `own` changes in it.
fn config(own: &Value) -> Value {
    let mut config = json!({
        "telemetry": { "log": "info", "log_format": "json" },
        "security": { "allow_private_webhooks": true },
    });
    let own = own.as_object().expect("an object").clone();
    config.as_object_mut().expect("an object").extend(own);
    config
}

/// An organization with one agent that this model answers for.
fn agent(model: &Value) -> Value {
    organization(&[json!({ "id": "agent", "name": "Agent", "model": model })])
}

/// An organization with these agents.
fn organization(agents: &[Value]) -> Value {
    json!({ "id": "org_faults", "name": "Faults", "api_keys": [KEY], "agents": agents })
}
