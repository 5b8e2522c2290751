//! Webhook tools, sections 5.1 and 5.4 of the contract, against a real receiver on loopback.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, routing::post};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{house::with, support::Fixture};

/// A fake tool: answers with these statuses and bodies in order, the last for ever.
#[derive(Clone, Default)]
struct FakeTool {
    answers: Arc<Mutex<Vec<(u16, &'static str)>>>,
    heard: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
}

async fn answer(
    State(tool): State<FakeTool>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let body = serde_json::from_slice(&body).expect("JSON");
    tool.heard.lock().expect("whole").push((headers, body));
    let mut answers = tool.answers.lock().expect("whole");
    let (status, says) = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
    (StatusCode::from_u16(status).expect("a status"), says)
}

impl FakeTool {
    async fn start(answers: &[(u16, &'static str)]) -> (Self, String) {
        let tool = Self { answers: Arc::new(Mutex::new(answers.to_vec())), ..Self::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/tool", listener.local_addr().expect("an address"));
        let router = Router::new().route("/tool", post(answer)).with_state(tool.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (tool, url)
    }

    fn heard(&self) -> Vec<(HeaderMap, Value)> {
        self.heard.lock().expect("whole").clone()
    }
}

/// What a conversation about the weather comes to: the turn's messages, and what the log says.
async fn weather(url: &str, more: Value) -> (Fixture, Value, Vec<String>, String) {
    let fixture = Fixture::with(|setup| setup.private_tools = true).await;
    let mut tool = json!({
        "name": "weather", "schema": { "type": "object" }, "timeoutSeconds": 5,
        "webhook": { "url": url, "headers": { "X-Key": "env:PATH" } },
    });
    tool.as_object_mut().expect("an object").extend(more.as_object().expect("one").clone());
    let agent = fixture.make(with("/config/tools", json!([tool]))).await;
    let chat =
        fixture.chat(json!({ "agent_id": agent, "additional_data": { "name": "Ann" } })).await;
    let turn = fixture.say(&chat, "How is the weather?").await;
    assert_eq!(turn.status, 200, "{}", turn.body);
    let types = fixture.types_of(&chat).await;
    (fixture, turn.json()["messages"].clone(), types, chat)
}

#[tokio::test]
async fn the_envelope_is_the_published_payload_and_the_answer_is_the_response() {
    let (tool, url) = FakeTool::start(&[(200, r#"{"sky":"blue","degrees":21.5}"#)]).await;
    let (_, messages, types, _) = weather(&url, json!({})).await;
    let (headers, body) = tool.heard().remove(0);
    assert_eq!(headers["x-key"], "env:PATH", "a tenant's value names nothing here");
    insta::assert_json_snapshot!("tool_call", body);
    assert_eq!(messages[0]["tool_calls"][0]["response"], json!({ "sky": "blue", "degrees": 21.5 }));
    assert_eq!(messages[1]["content"], "It is sunny.");
    assert_eq!(types, ["CallCreated", "ToolCallSuccess"]);
}

#[tokio::test]
async fn a_tool_that_answers_html_is_a_recorded_failure_with_its_fallback() {
    let (_tool, url) = FakeTool::start(&[(200, "<html>It works!</html>")]).await;
    let fallback = json!({ "fallBackResult": { "sky": "unknown" } });
    let (fixture, messages, types, chat) = weather(&url, fallback).await;
    assert_eq!(messages[0]["tool_calls"][0]["response"], json!({ "sky": "unknown" }));
    assert_eq!(types, ["CallCreated", "ToolCallFailed"]);
    let body = json!({ "types": ["ToolCallFailed"], "callIds": [chat] });
    let log = fixture.ask(http::Method::POST, "/activity-logs/search", body).await.json();
    assert_eq!(log["results"][0]["severity"], "Error");
    assert_eq!(log["results"][0]["metadata"]["tool"], "weather");
    assert!(!log.to_string().contains("It works"), "never its words");
    assert_eq!(fixture.say(&chat, "And now?").await.status, 200, "the session stays usable");
}

#[tokio::test]
async fn without_a_fallback_the_model_gets_an_error_object() {
    let (_tool, url) = FakeTool::start(&[(404, "")]).await;
    let (_, messages, ..) = weather(&url, json!({ "retryCount": 5 })).await;
    assert!(messages[0]["tool_calls"][0]["response"]["error"].is_string(), "{messages}");
}

#[tokio::test]
async fn the_60_seconds_hold_whatever_the_document_says() {
    let fixture = Fixture::start().await;
    for seconds in [1, 300] {
        let tool = json!([{
            "name": "weather", "timeoutSeconds": seconds, "retryCount": 3,
            "webhook": { "url": "https://tools.example.test/x" },
        }]);
        let id = fixture.make(with("/config/tools", tool)).await;
        let (_, agent) = fixture
            .engine
            .agent(&"org_acme".into(), &id.into())
            .await
            .expect("read")
            .expect("made");
        assert_eq!((agent.tools[0].timeout_s, agent.tools[0].retries), (60, 3));
    }
}
