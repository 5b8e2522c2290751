//! Tools that the page runs: `websocketToolRequest` and `websocketToolResponse`.

use epilogue_core::Span;
use serde_json::{Value, json};

use crate::page::{Page, Server};

/// Says what makes the agent look something up, and hands the request's id back.
async fn look_it_up(page: &mut Page) -> String {
    page.chat("look it up").await;
    assert_eq!(page.hear_text().await.1, "look it up");
    let request = page.hear_type("websocketToolRequest").await;
    let content = &request["content"];
    assert_eq!(
        (&content["toolName"], &content["args"]),
        (&json!("web_search"), &json!({ "q": 1 }))
    );
    content["id"].as_str().expect("an id").to_owned()
}

fn response(id: &str, result: &Value) -> Value {
    json!({ "type": "websocketToolResponse", "channelId": null,
        "content": { "id": id, "result": result } })
}

/// What the first tool round of a conversation came to.
async fn result(server: &Server, record: &str) -> Value {
    let shown = server.fixture.show(record).await;
    shown["messages"][1]["tool_calls"][0]["response"].clone()
}

#[tokio::test]
async fn a_tool_of_the_integration_is_run_by_the_page() {
    let server = Server::start().await;
    let mut page = server.open().await;
    let id = look_it_up(&mut page).await;
    let tools = &server.fixture.models.asked()[0].tools;
    let offered: Vec<_> = tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(offered, ["web_search", "finishTheConversation"], "what is no name is no tool");
    page.say(response(&id, &json!({ "hits": [1, 2] }))).await;
    assert_eq!(page.hear_text().await.1, "I found it.");
    assert_eq!(result(&server, &page.record).await, json!({ "hits": [1, 2] }));
    let types: Vec<_> =
        server.fixture.activity(&page.record).await.into_iter().map(|entry| entry.kind).collect();
    assert!(types.contains(&"tool.called".to_owned()), "{types:?}");
}

#[tokio::test]
async fn a_result_is_of_any_json_text_as_it_is() {
    let server = Server::start().await;
    for (given, kept) in [
        (json!("plain words"), json!("plain words")),
        (json!(5), json!(5)),
        (json!([true]), json!([true])),
    ] {
        let mut page = server.open().await;
        let id = look_it_up(&mut page).await;
        page.say(response(&id, &given)).await;
        assert_eq!(page.hear_text().await.1, "I found it.");
        assert_eq!(result(&server, &page.record).await, kept);
    }
}

#[tokio::test]
async fn a_response_nobody_asked_for_is_an_error_and_the_conversation_goes_on() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.say(response("unknown", &json!(1))).await;
    assert_eq!(page.complaint().await, "No such tool request");
    let id = look_it_up(&mut page).await;
    page.say(response("another", &json!(1))).await;
    assert_eq!(page.complaint().await, "No such tool request");
    page.say(response(&id, &json!(2))).await;
    assert_eq!(page.hear_text().await.1, "I found it.");
    page.say(response(&id, &json!(3))).await;
    assert_eq!(page.complaint().await, "No such tool request", "it has been answered");
    assert_eq!(result(&server, &page.record).await, json!(2));
}

#[tokio::test]
async fn one_connection_cannot_answer_for_another() {
    let server = Server::start().await;
    let (mut page, mut other) = (server.open().await, server.open().await);
    let id = look_it_up(&mut page).await;
    other.say(response(&id, &json!("forged"))).await;
    assert_eq!(other.complaint().await, "No such tool request");
    page.say(response(&id, &json!("mine"))).await;
    assert_eq!(page.hear_text().await.1, "I found it.");
}

#[tokio::test]
async fn a_page_that_does_not_answer_in_time_gets_the_fallback() {
    let server = Server::start().await;
    let mut page = server.open().await;
    let id = look_it_up(&mut page).await;
    server.later(Span::from_millis(19_999)).await;
    page.hears_nothing().await;
    server.later(Span::from_millis(1)).await;
    assert_eq!(page.hear_text().await.1, "I found it.");
    assert_eq!(result(&server, &page.record).await, json!({ "found": "nothing" }));
    page.say(response(&id, &json!("too late"))).await;
    assert_eq!(page.complaint().await, "No such tool request");
}

#[tokio::test]
async fn a_page_that_goes_away_gives_the_turn_its_fallback() {
    let server = Server::start().await;
    let mut page = server.open().await;
    look_it_up(&mut page).await;
    let record = page.record.clone();
    drop(page);
    server.later(Span::ZERO).await;
    let mut back = server.come_back(&record).await;
    assert_eq!(back.talk("hi").await, "You said: hi");
    assert_eq!(result(&server, &record).await, json!({ "found": "nothing" }));
}
