//! What people say and what keys are never reaches a log, whatever goes wrong.

use serde_json::{Value, json};

use super::config;
use crate::support::{
    binary::Home,
    client::Http,
    model::{FakeModel, tool},
    native::Native,
    raw,
    receiver::{Fate, Receiver},
    talkifai::TalkifAi,
};

/// Nothing that holds one of these may be logged. Each stands for one kind of thing.
const KEY: &str = "tk_live_canary_key";
const WIDGET_KEY: &str = "tk_widget_canary_widget";
const MODEL_KEY: &str = "canary_model_key";
const TOOL_KEY: &str = "canary_tool_key";
const TOOL_RESULT: &str = "canary_tool_result";
const TOKEN_SECRET: &str = "canary_token_secret_of_32_bytes_";
/// `canary_webhook_secret_24` in base64.
const WEBHOOK_SECRET: &str = "whsec_Y2FuYXJ5X3dlYmhvb2tfc2VjcmV0XzI0";
const PERSON: &str = "canary.person@example.com";

fn world(model: &FakeModel, tool: &str, hook: &str, log: &str) -> Value {
    config(&json!({
        "telemetry": { "log": log, "log_format": "json" },
        "security": { "allow_private_webhooks": true, "token_secret": TOKEN_SECRET },
        "steps": {
            "notify": { "retry_s": [0, 0], "timeout_s": 5, "jitter_percent": 0 },
            // The model fills in no form and tells no facts: that fails, and is not tried again.
            "analyze": { "retry_s": [0], "timeout_s": 5, "jitter_percent": 0 },
            "ingest_memory": { "retry_s": [0], "timeout_s": 5, "jitter_percent": 0 },
        },
        "organizations": [{
            "id": "org_faults", "name": "Faults", "api_keys": [KEY],
            "widget_keys": [{ "key": WIDGET_KEY, "domains": ["example.com"] }],
            "agents": [{
                "id": "agent", "name": "Agent", "memory": true,
                "prompt": "canary_prompt", "greeting": "canary_greeting",
                "webhook": { "url": hook, "secret": WEBHOOK_SECRET },
                "analysis": [{
                    "name": "qa",
                    "labels": [{ "name": "x", "type": "text", "description": "canary_label" }],
                }],
                "tools": [{
                    "name": "look_up", "url": tool, "headers": { "x-key": TOOL_KEY },
                }],
                "model": {
                    "provider": "openai", "base_url": model.url(), "name": "fake",
                    "api_key": MODEL_KEY, "first_token_timeout_s": 1, "stall_timeout_s": 1,
                },
            }],
        }],
    }))
}

/// Talks of canaries in every way there is, good and bad, and returns what the server has logged.
async fn conversation(log: &str) -> String {
    let model = FakeModel::start().await;
    let tool = tool(500, TOOL_RESULT).await;
    let receiver = Receiver::start(WEBHOOK_SECRET, |_, before| match before {
        0 => Fate::Answered(500),
        _ => Fate::Answered(200),
    })
    .await;
    let home = Home::new(&world(&model, &tool.url("/tool"), &receiver.url(), log));
    let server = home.start().await;
    let (url, http) = (server.url(), Http::new());
    let client = TalkifAi::new(&http, KEY);
    let session = client.opened(&url, "agent", Some(PERSON)).await;
    for fault in ["hello", "tool", "cut", "stall", "garbage", "refuse"] {
        client.said(&url, &session, &format!("{fault} canary_message")).await;
    }
    assert_eq!(client.end(&url, &session).await.expect("an answer").status, 200);
    let dead = client.send(&url, &session, "canary_late").await.expect("an answer");
    assert!(dead.is_err(), "the session is over");
    nonsense(&http, &url, &session.token).await;
    let native = Native::new(&http, KEY);
    let answer = native.open(&url, "agent", Some(PERSON)).await.expect("an answer");
    let id = answer.body["session"]["id"].as_str().expect("an id").to_owned();
    let stream = native.send(&url, &id, "hello canary_message").await.expect("sent");
    stream.expect("taken").all().await.expect("a whole stream");
    native.end(&url, &id, &json!({ "note": "canary_note" })).await.expect("an answer");
    native.step(&url, &id, "notify_finalized", "done").await;
    let asked = model.asked();
    let first = asked.first().expect("the model was asked");
    assert_eq!(first.headers["authorization"], format!("Bearer {MODEL_KEY}"));
    assert!(first.body.to_string().contains("canary_prompt"));
    let said = [session.token.as_str(), answer.body["session_token"].as_str().expect("a token")];
    let logs = server.stop().await;
    for token in said {
        let signature = token.rsplit('.').next().expect("a signature");
        assert!(!logs.contains(signature), "a session token was logged");
    }
    logs
}

/// Requests that are refused, with canaries where they do not belong.
async fn nonsense(http: &Http, url: &str, token: &str) {
    for (path, key, body) in [
        ("/v1/chat/sessions", "canary_wrong_key", r#"{"agent_id":"canary_agent"}"#),
        ("/v1/chat/sessions", KEY, r#"{"agent_id":"canary_agent"}"#),
        ("/v1/chat/sessions", KEY, r#"{"agent_id": canary_broken"#),
        ("/epilogue/v1/sessions", "canary_wrong_key", r#"{"agent":"agent"}"#),
        ("/epilogue/v1/sessions", KEY, r#"{"agent":"agent","canary_member":1}"#),
        ("/epilogue/v1/sessions?token=canary_query", KEY, "{}"),
    ] {
        let request = http.post(format!("{url}{path}")).bearer_auth(key).header("x-api-key", key);
        let status = request.body(body).send().await.expect("an answer").status();
        assert!(status.is_client_error(), "{path} was answered {status}");
    }
    // A head that is no HTTP, and a token as a path.
    let mut stream = raw::connect(url).await;
    let garbage = format!("canary_verb /{token} canary_version\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, garbage.as_bytes()).await.expect("sent");
    raw::until_closed(&mut stream).await;
}

fn assert_silent(logs: &str) {
    assert!(logs.contains(r#""message":"ended""#), "the logs say nothing at all: {logs}");
    let lower = logs.to_lowercase();
    let leaks: Vec<_> = lower.lines().filter(|line| line.contains("canary")).collect();
    assert!(leaks.is_empty(), "logged:\n{}", leaks.join("\n"));
    let encoded = WEBHOOK_SECRET.trim_start_matches("whsec_");
    assert!(!logs.contains(encoded), "the webhook's secret was logged");
}

#[tokio::test]
async fn nothing_that_was_said_and_no_secret_is_logged() {
    assert_silent(&conversation("info").await);
}

#[tokio::test]
async fn nothing_that_was_said_and_no_secret_is_logged_while_debugging() {
    let logs = conversation("debug").await;
    assert!(logs.contains(r#""level":"DEBUG""#), "nothing was debugged");
    assert_silent(&logs);
}
