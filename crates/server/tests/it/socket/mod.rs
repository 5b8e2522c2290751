//! Pages that chat with the real binary: a browser's, and an ordinary client's.

mod browser;
mod restart;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    binary::Home,
    client::{Answer, Http, ask},
};

/// The key of the one organization.
const KEY: &str = "tk_live_socket";

/// A server with an agent that looks at pages, and these limits.
fn home(limits: &Value) -> Home {
    let script = json!([
        { "when": "what page", "tool": { "name": "page_title", "arguments": "{\"why\":\"asked\"}" },
            "reply": "I have looked." },
        { "when": "slowly", "reply": "One two three four five", "word_delay_ms": 300 },
        { "reply": "You said: {{message}}" },
    ]);
    let model = json!({ "provider": "scripted", "script": script });
    Home::new(&json!({
        "telemetry": { "log": "info", "log_format": "json" },
        "limits": limits,
        "organizations": [{
            "id": "org_socket", "name": "Socket", "api_keys": [KEY],
            "agents": [{ "id": "agent", "name": "Agent", "model": model }],
        }],
    }))
}

/// Asks the chats API something with the organization's key.
async fn api(http: &Http, url: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
    let request = http.request(method, format!("{url}/api/v1{path}")).bearer_auth(KEY);
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    ask(request).await.expect("an answer")
}

/// Makes a web integration that pages of these origins may use. Its token.
async fn token(http: &Http, url: &str, origins: &Value) -> String {
    let integration = json!({
        "agentId": "agent", "name": "Shop", "origins": origins,
        "features": [{ "name": "AllowWebChat", "enabled": true }],
        "tools": [{ "name": "page_title", "description": "The title of the page." }],
    });
    let made = api(http, url, Method::POST, "/web-integrations", Some(integration)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.body["integrationId"].as_str().expect("an id");
    let path = format!("/web-integrations/{id}/tokens");
    let made = api(http, url, Method::POST, &path, Some(json!({ "name": "page" }))).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.body["token"].as_str().expect("a token").to_owned()
}

/// The conversation, as the chats API shows it.
async fn chat(http: &Http, url: &str, record: &str) -> Value {
    let shown = api(http, url, Method::GET, &format!("/chats/{record}"), None).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    shown.body
}
