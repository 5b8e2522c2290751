//! Who is let in, and what must be said first.

use epilogue_core::Span;
use http::Method;
use serde_json::{Value, json};

use crate::{
    client::{get, keyed, problem},
    page::{Page, Server, connect, integration},
    support::{BROKE_AGENT, BROKE_KEY, FOREIGN_KEY, KEY, QUIET_AGENT},
};

async fn refused(server: &Server, token: &str, origin: Option<&str>, words: &str) {
    server.connect_with(token, origin).await.is_refused(words, 1008).await;
}

#[tokio::test]
async fn missing_token_and_invalid_token() {
    let server = Server::start().await;
    refused(&server, "", None, "Missing token").await;
    refused(&server, "wi_unknown", None, "Invalid token").await;
    refused(&server, KEY, None, "Invalid token").await;
    refused(&server, &"x".repeat(513), None, "Invalid token").await;
}

#[tokio::test]
async fn invalid_token_once_it_is_revoked_or_expired() {
    let server = Server::start().await;
    let (id, revoked) = server.token(json!({ "name": "revoked" })).await;
    let path = format!("/web-integrations/{}/tokens/{id}", server.integration);
    server.fixture.send(keyed(KEY, Method::DELETE, &path, "")).await;
    refused(&server, &revoked, None, "Invalid token").await;
    let short = json!({ "name": "short", "expiresAt": "2024-01-15T10:00:05Z" });
    let (_, short) = server.token(short).await;
    let mut page = server.connect_with(&short, None).await;
    page.initialize(json!({})).await;
    server.later(Span::from_secs(5)).await;
    refused(&server, &short, None, "Invalid token").await;
}

#[tokio::test]
async fn a_socket_whose_token_is_revoked_is_closed_before_long() {
    let server = Server::start().await;
    let (id, token) = server.token(json!({ "name": "other" })).await;
    let mut page = server.connect_with(&token, None).await;
    page.initialize(json!({})).await;
    let path = format!("/web-integrations/{}/tokens/{id}", server.integration);
    server.fixture.send(keyed(KEY, Method::DELETE, &path, "")).await;
    server.later(Span::from_millis(14_999)).await;
    page.hears_nothing().await;
    server.later(Span::from_millis(1)).await;
    page.is_refused("Invalid token", 1008).await;
}

#[tokio::test]
async fn web_integration_is_not_enabled() {
    let server = Server::start().await;
    server.change(json!({ "enabled": false })).await;
    refused(&server, &server.token, None, "Web integration is not enabled").await;
}

#[tokio::test]
async fn origin_not_allowed() {
    let mut body = integration();
    body["origins"] = json!(["https://shop.example.com", "*.example.org"]);
    let server = Server::of(body).await;
    for elsewhere in [None, Some("https://example.org"), Some("https://evil.test"), Some("null")] {
        refused(&server, &server.token, elsewhere, "Origin not allowed").await;
    }
    for here in ["https://shop.example.com", "https://a.example.org"] {
        server.connect_with(&server.token, Some(here)).await.initialize(json!({})).await;
    }
}

#[tokio::test]
async fn the_integration_needs_allow_web_chat() {
    for features in [
        Value::Null,
        json!([]),
        json!([{ "name": "AllowWebChat", "enabled": false }]),
        json!([{ "name": "AllowWebCall", "enabled": true }]),
    ] {
        let mut body = integration();
        body["features"] = features;
        let server = Server::of(body).await;
        refused(&server, &server.token, None, "Web chat is not enabled").await;
    }
}

#[tokio::test]
async fn a_token_that_lets_somebody_in_was_last_used_then() {
    let server = Server::start().await;
    let used = async || {
        let shown = server.fixture.send(get("/web-integrations")).await.json();
        shown[0]["tokens"][0]["lastUsedAt"].clone()
    };
    assert_eq!(used().await, Value::Null);
    let _page = server.open().await;
    assert_eq!(used().await, "2024-01-15T10:00:00.000Z");
}

#[tokio::test]
async fn init_message_not_received_within_ten_seconds() {
    let server = Server::start().await;
    let (mut late, mut just) = (server.connect().await, server.connect().await);
    server.later(Span::from_millis(9_999)).await;
    late.hears_nothing().await;
    just.initialize(json!({})).await;
    server.later(Span::from_millis(1)).await;
    late.is_refused("Init message not received", 1008).await;
    assert_eq!(just.talk("hi").await, "You said: hi");
}

#[tokio::test]
async fn init_message_not_received_if_something_else_comes_first() {
    let server = Server::start().await;
    for first in [
        json!({ "type": "incomingChatMessage", "content": "hi" }),
        json!({ "type": "terminate" }),
        json!({ "type": "websocketToolResponse", "channelId": null, "content": { "id": "1" } }),
    ] {
        let mut page = server.connect().await;
        page.say(first).await;
        page.is_refused("Init message not received", 1008).await;
    }
}

#[tokio::test]
async fn multiple_init_messages_received() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.say(json!({ "type": "initialize", "request": { "callType": "chat" } })).await;
    page.is_refused("Multiple init messages received", 1008).await;
    assert_eq!(server.final_reason(&page.record).await, Value::Null, "it may come back");
}

#[tokio::test]
async fn a_request_that_is_no_socket_is_a_problem() {
    let server = Server::start().await;
    problem(&server.fixture.send(get("/ws/webCall")).await, 426);
}

async fn is_not_opened(page: &mut Page, words: &str, code: u16) {
    page.say(json!({ "type": "initialize", "request": { "callType": "chat" } })).await;
    let failed = page.hear().await;
    assert_eq!(failed["name"], "failedOpen", "{failed}");
    assert_eq!(failed["data"]["message"], words);
    page.is_refused(words, code).await;
}

#[tokio::test]
async fn an_open_that_fails_says_why() {
    let server = Server::start().await;
    let made = json!({ "name": "Off", "isEnabled": false,
        "config": { "llmConfig": { "vendor": "house", "model": "m", "prompt": "p" } } });
    let answer = server.fixture.send(keyed(KEY, Method::POST, "/agents", made.to_string())).await;
    let off = answer.json()["agentId"].clone();
    server.change(json!({ "agentId": off })).await;
    let words = "The agent is disabled and takes no new conversations.";
    is_not_opened(&mut server.connect().await, words, 1008).await;
    server.change(json!({ "agentId": QUIET_AGENT })).await;
    server.open().await;

    let body = json!({ "agentId": BROKE_AGENT, "name": "Poor",
        "features": [{ "name": "AllowWebChat", "enabled": true }] });
    let path = "/web-integrations";
    let made = server.fixture.send(keyed(BROKE_KEY, Method::POST, path, body.to_string())).await;
    let id = made.json()["integrationId"].as_str().expect("an id").to_owned();
    let path = format!("/web-integrations/{id}/tokens");
    let made = keyed(BROKE_KEY, Method::POST, &path, json!({ "name": "t" }).to_string());
    let made = server.fixture.send(made).await.json();
    let token = made["token"].as_str().expect("a token");
    let mut page = connect(server.address, token, None).await;
    is_not_opened(&mut page, "The organization is out of credits.", 1008).await;
}

#[tokio::test]
async fn a_conversation_is_a_chat_of_its_organization_on_channel_web() {
    let server = Server::start().await;
    let mut page = server.connect().await;
    let request = json!({ "callType": "chat", "endpoint": "lobby",
        "additionalData": { "name": "Ada", "channel": "sly" } });
    page.initialize(json!({ "request": request, "channelId": "c1" })).await;
    let shown = server.fixture.show(&page.record).await;
    assert_eq!((&shown["channel"], &shown["status"]), (&json!("web"), &json!("active")));
    assert_eq!(shown["ttl_seconds"], Value::Null);
    page.talk("hi").await;
    let asked = server.fixture.models.asked();
    assert_eq!(asked[0].system, "Ada via web at web: ");
    let session = server.fixture.session(&page.record).await;
    assert_eq!(session.endpoint, None);
    assert_eq!(session.context.metadata["integrationId"], server.integration);
    assert_eq!(session.context.metadata["endpoint"], "lobby");
    let path = format!("/chats/{}", page.record);
    problem(&server.fixture.send(keyed(FOREIGN_KEY, Method::GET, &path, "")).await, 404);
}
