//! Agents that are made through the API, and what becomes of them.

use epilogue_core::Span;
use http::Method;
use serde_json::{Value, json};

use crate::{
    client::keyed,
    support::{Answer, Fixture, KEY},
};

/// The document of an agent whose model the operator lists as `house`.
pub fn document() -> Value {
    json!({
        "name": "House Bot",
        "description": "Knows the house.",
        "additionalData": { "team": "blue" },
        "inboundSipConfig": { "password": "sip-secret" },
        "config": {
            "version": "v1",
            "primaryLanguage": "en-US",
            "llmConfig": {
                "vendor": "house", "model": "m", "prompt": "You are {{name}}.",
                "apiKey": "env:PATH",
                "options": { "temperature": 0.5, "maxTokens": 100, "topP": 0.9 },
            },
            "ttsConfig": { "voice": "kept, though nobody speaks here" },
            "resultWebhook": {
                "url": "https://hooks.example.test/result",
                "headers": { "Authorization": "Bearer receiver", "X-Team": "file:/etc/passwd" },
            },
            "features": { "postCallAnalysis": [ {
                "version": "v1", "name": "qa", "isEnabled": true,
                "labels": [
                    { "name": "resolved", "type": "boolean", "isRequired": true },
                    { "name": "score", "type": "number" },
                    { "name": "mood", "type": "enum", "enumValues": ["good", "bad"] },
                    { "name": "summary", "type": "string", "description": "In a word." },
                ],
            } ] },
        },
    })
}

/// The document with the value at this pointer replaced.
pub fn with(pointer: &str, value: Value) -> Value {
    let mut document = document();
    let (parent, member) = pointer.rsplit_once('/').expect("a pointer");
    document.pointer_mut(parent).expect("there")[member] = value;
    document
}

/// A request with a body, or with none for null.
pub fn send(method: Method, path: &str, body: &Value) -> http::Request<axum::body::Body> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    keyed(KEY, method, path, body)
}

impl Fixture {
    /// Sends something with Acme's key.
    pub async fn ask(&self, method: Method, path: &str, body: Value) -> Answer {
        self.send(send(method, path, &body)).await
    }

    /// Makes an agent. Its id.
    pub async fn make(&self, document: Value) -> String {
        let answer = self.ask(Method::POST, "/agents", document).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.json()["agentId"].as_str().expect("an id").to_owned()
    }

    /// Opens a chat with an agent, says each of these, and hands the chat's id back.
    pub async fn talk(&self, agent: &str, said: &[&str]) -> String {
        let id = self.chat(json!({ "agent_id": agent })).await;
        for text in said {
            let answer = self.say(&id, text).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        id
    }

    /// Runs everything that comes due within a minute, second by second.
    pub async fn a_minute_passes(&self) {
        for _ in 0..60 {
            self.run_until_idle().await;
            self.clock.advance(Span::from_secs(1));
        }
    }

    /// The types of what the activity log says of a chat, oldest first.
    pub async fn types_of(&self, chat: &str) -> Vec<String> {
        let body = json!({ "callIds": [chat], "sortDirection": "Ascending", "size": 100 });
        let answer = self.ask(Method::POST, "/activity-logs/search", body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let results = answer.json()["results"].as_array().expect("a list").clone();
        results.iter().map(|entry| entry["type"].as_str().expect("a word").to_owned()).collect()
    }
}
