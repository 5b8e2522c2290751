//! What is said, and what comes back.

use epilogue_core::Span;
use serde_json::{Value, json};

use crate::{client::post, page::Server, support::CHAT_AGENT};

fn potential(message: &Value) -> (bool, &str) {
    let content = &message["content"];
    let flag = content["potential"].as_bool().expect("a flag");
    (flag, content["text"].as_str().expect("a text"))
}

#[tokio::test]
async fn a_reply_comes_in_parts_that_are_potential_and_then_as_it_is_on_record() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.chat("slowly").await;
    assert_eq!(page.hear_text().await, ("user".into(), "slowly".into()));
    assert_eq!(potential(&page.hear().await), (true, "One "));
    server.later(Span::from_secs(10)).await;
    assert_eq!(potential(&page.hear().await), (true, "One two "), "all of it so far");
    assert_eq!(server.fixture.show(&page.record).await["messages"], json!([]), "not on record yet");
    server.later(Span::from_secs(10)).await;
    assert_eq!(page.hear_text().await, ("assistant".into(), "One two three".into()));
    let shown = server.fixture.show(&page.record).await;
    assert_eq!(shown["messages"][1]["content"], "One two three");
}

#[tokio::test]
async fn messages_wait_for_the_turn_before_them_in_order() {
    let server = Server::start().await;
    let mut page = server.open().await;
    for text in ["one", "two", "three"] {
        page.chat(text).await;
    }
    for text in ["one", "two", "three"] {
        assert_eq!(page.hear_text().await, ("user".into(), text.into()));
        assert_eq!(page.hear_text().await, ("assistant".into(), format!("You said: {text}")));
    }
}

#[tokio::test]
async fn a_turn_that_fails_is_an_error_and_the_conversation_goes_on() {
    let server = Server::start().await;
    let mut page = server.open().await;
    let sorry = "The agent could not answer. Please try again.";
    for text in ["fail", "time out", "break off"] {
        page.chat(text).await;
        assert_eq!(page.hear_text().await.1, text);
        assert_eq!(page.complaint().await, sorry, "{text}");
    }
    assert_eq!(page.talk("hi").await, "You said: hi");
    let shown = server.fixture.show(&page.record).await;
    assert_eq!(shown["messages"].as_array().expect("a list").len(), 2, "they left nothing behind");
}

#[tokio::test]
async fn blank_content_is_an_error_and_the_conversation_goes_on() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.chat(" \n").await;
    assert_eq!(page.complaint().await, "`content` must not be blank");
    assert_eq!(page.talk("hi").await, "You said: hi");
}

#[tokio::test]
async fn a_server_side_tool_is_noticed_by_its_name_alone() {
    let server = Server::start().await;
    let made = json!({
        "name": "Forecaster",
        "config": {
            "llmConfig": { "vendor": "house", "model": "m", "prompt": "p" },
            "tools": [{ "name": "weather", "description": "d", "schema": { "type": "object" },
                "fallBackResult": { "sky": "secret" }, "webhook": { "url": "http://127.0.0.1:9/" } }],
        },
    });
    let made = server.fixture.send(post("/agents", &made)).await.json();
    server.change(json!({ "agentId": made["agentId"] })).await;
    let mut page = server.open().await;
    page.chat("weather").await;
    assert_eq!(page.hear_text().await.1, "weather");
    assert_eq!(page.hear_type("toolCall").await["content"], json!({ "toolName": "weather" }));
    let result = page.hear_type("toolCallResult").await;
    assert_eq!(result["content"], json!({ "toolName": "weather" }));
    assert_eq!(page.hear_text().await.1, "It is sunny.");
}

#[tokio::test]
async fn a_turn_through_the_chats_api_is_on_record_for_the_same_conversation() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.talk("hi").await;
    let answer = server.fixture.say(&page.record, "from elsewhere").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(page.talk("again").await, "You said: again");
    let shown = server.fixture.show(&page.record).await;
    assert_eq!(shown["messages"].as_array().expect("a list").len(), 6);
    assert_eq!(shown["agent_id"], CHAT_AGENT);
    page.hears_nothing().await;
}

#[tokio::test]
async fn a_turn_outlives_the_socket_that_asked_for_it() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.chat("slowly").await;
    page.hear_text().await;
    let record = page.record.clone();
    drop(page);
    // Two words are still to come, one each ten seconds; a busy machine may take its time to ask.
    let mut shown = server.fixture.show(&record).await;
    for _ in 0..20 {
        server.later(Span::from_secs(10)).await;
        shown = server.fixture.show(&record).await;
        if !shown["messages"][1].is_null() {
            break;
        }
    }
    assert_eq!(shown["messages"][1]["content"], "One two three");
    assert_eq!(shown["status"], "active");
}
