//! H1, section 2.8 of the contract.

use http::Method;
use serde_json::{Value, json};

use crate::{
    client::{keyed, post, problem},
    support::{Fixture, READ_KEY},
};

const TYPES: [&str; 7] = [
    "StartWebHookPayload",
    "CompletedWebHookPayload",
    "FailedWebHookPayload",
    "CallDeadLineWebHookPayload",
    "TransferWebHookPayload",
    "ToolWebHookPayload",
    "UnknownWebHookPayload",
];

fn sample(kind: &str) -> Value {
    json!({
        "webHook": { "url": "https://hooks.example.test/x", "headers": { "X-Key": "k" } },
        "webhookType": kind,
        "toolName": "look_up",
        "toolArguments": { "city": "Bonn" },
        "agentAdditionalData": { "team": "blue" },
        "callAdditionalData": { "customer": "Ann" },
    })
}

#[tokio::test]
async fn h1_all_seven_types_are_sent_once() {
    let fixture = Fixture::start().await;
    fixture.webhooks.say(r#"{"ok":true}"#);
    let mut told = serde_json::Map::new();
    for kind in TYPES {
        let answer = fixture.send(post("/webhooks/test", &sample(kind))).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let sent = fixture.webhooks.heard().pop().expect("sent");
        assert_eq!(sent.headers["x-key"], "k");
        let words: Value = serde_json::from_str(&sent.body).expect("JSON");
        assert_eq!(words["type"], kind);
        let validated = answer.json()["validationResult"].is_object();
        assert_eq!(validated, kind == "StartWebHookPayload", "{kind}");
        told.insert(kind.to_owned(), json!({ "sent": words, "answered": answer.json() }));
    }
    assert_eq!(fixture.webhooks.heard().len(), 7);
    insta::assert_json_snapshot!("webhook_tests", told);
}

#[tokio::test]
async fn h1_what_the_receiver_says_is_told() {
    let fixture = Fixture::start().await;
    for (status, success) in [(200, true), (204, true), (302, false), (404, false), (500, false)] {
        fixture.webhooks.answer(&[status]);
        let sample = sample("CompletedWebHookPayload");
        let told = fixture.send(post("/webhooks/test", &sample)).await.json();
        assert_eq!((&told["success"], &told["httpStatus"]), (&json!(success), &json!(status)));
        assert_eq!(told["error"].is_null(), success);
        assert!(told["httpStatusText"].is_string());
    }
    fixture.webhooks.answer(&[0]);
    let told = fixture.send(post("/webhooks/test", &sample("StartWebHookPayload"))).await.json();
    assert_eq!((&told["success"], &told["httpStatus"]), (&json!(false), &Value::Null));
    assert_eq!(told["timeTaken"], 30_000);
    assert!(told["error"].as_str().is_some_and(|error| error.contains("30 s")), "{told}");
}

#[tokio::test]
async fn h1_an_answer_to_a_start_is_validated() {
    let fixture = Fixture::start().await;
    for (says, valid) in [("", true), ("{}", true), ("[]", false), ("<html>", false)] {
        fixture.webhooks.say(says);
        let sample = sample("StartWebHookPayload");
        let told = fixture.send(post("/webhooks/test", &sample)).await.json();
        assert_eq!(told["validationResult"]["isValid"], valid, "{says}");
        let errors = told["validationResult"]["errors"].as_array().map(Vec::is_empty);
        assert_eq!(errors, Some(valid));
    }
    fixture.webhooks.say("plain");
    let told = fixture.send(post("/webhooks/test", &sample("FailedWebHookPayload"))).await.json();
    assert_eq!(told["responseData"], "plain");
}

#[tokio::test]
async fn h1_bad_input_is_named() {
    let fixture = Fixture::start().await;
    let with = |kind: &str, member: &str, value: Value| {
        let mut body = sample(kind);
        body[member] = value;
        body
    };
    for (body, part) in [
        (with("Party", "toolName", json!("x")), "webhookType"),
        (with("StartWebHookPayload", "webHook", json!(null)), "webHook.url"),
        (with("StartWebHookPayload", "webHook", json!({ "url": "x" })), "webHook.url"),
        (with("ToolWebHookPayload", "toolName", json!(null)), "toolName"),
        (with("ToolWebHookPayload", "toolArguments", json!(null)), "toolArguments"),
        (with("ToolWebHookPayload", "toolArguments", json!([1])), "toolArguments"),
        (with("StartWebHookPayload", "callAdditionalData", json!([])), "callAdditionalData"),
    ] {
        let refused = problem(&fixture.send(post("/webhooks/test", &body)).await, 400);
        assert!(refused["errors"][part].is_array(), "{part}: {refused}");
    }
    problem(&fixture.send(keyed(READ_KEY, Method::POST, "/webhooks/test", "{}")).await, 403);
    assert!(fixture.webhooks.heard().is_empty());
}

#[tokio::test]
async fn h1_nobody_looks_into_the_operators_network_by_it() {
    let fixture = Fixture::with(|setup| setup.real_webhooks = true).await;
    for (url, why) in [
        ("https://127.0.0.1:1/x", "private address"),
        ("https://localhost:1/x", "private address"),
        ("https://[::1]:1/x", "private address"),
        ("https://169.254.169.254/latest/meta-data", "private address"),
        ("http://example.com/x", "scheme"),
    ] {
        let mut body = sample("CompletedWebHookPayload");
        body["webHook"]["url"] = json!(url);
        let told = fixture.send(post("/webhooks/test", &body)).await.json();
        assert_eq!((&told["success"], &told["httpStatus"]), (&json!(false), &Value::Null));
        let error = told["error"].as_str().expect("an error");
        assert!(error.contains(why), "{url}: {error}");
    }
}
