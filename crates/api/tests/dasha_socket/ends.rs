//! How a conversation ends while its socket stands, and that the page hears of it.

use epilogue_core::{EndReason, EndRequest, Span};
use epilogue_engine::records::SessionName;
use serde_json::{Value, json};

use crate::{client::settle, page::Server, support::Fixture};

fn terminate() -> Value {
    json!({ "type": "terminate" })
}

#[tokio::test]
async fn terminate_ends_as_user_end_with_a_result() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.talk("hi").await;
    page.say(terminate()).await;
    let result = page.hear_end().await;
    assert_eq!(result["result"], json!({ "status": "Completed", "finishReason": "user_end" }));
    let said = result["content"]["summary"].as_str().expect("a text");
    assert_eq!(said, "The conversation ended (user_end) after 2 messages.");
    assert_eq!(server.final_reason(&page.record).await, "user_end");
    let ended = server.fixture.session(&page.record).await;
    assert_eq!(ended.ended().expect("ended").reason, EndReason::UserEnd);
    let activity = server.fixture.activity(&page.record).await;
    assert!(activity.iter().any(|entry| entry.kind == "session.ended" && entry.by.is_some()));
    server.fixture.run_until_idle().await;
    server.fixture.run_until_idle().await;
    let heard: Vec<Value> = server
        .fixture
        .webhooks
        .heard()
        .iter()
        .map(|told| serde_json::from_str(&told.body).expect("JSON"))
        .collect();
    assert_eq!(heard.len(), 1, "the same pipeline as every end");
    assert_eq!(heard[0]["result"]["finishReason"], "user_end");
    assert_eq!(heard[0]["callId"], page.record);
}

#[tokio::test]
async fn terminate_waits_for_the_turn_in_flight() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.chat("slowly").await;
    page.hear_text().await;
    page.say(terminate()).await;
    page.chat("nobody hears this").await;
    server.later(Span::from_secs(10)).await;
    server.later(Span::from_secs(10)).await;
    assert_eq!(page.hear_text().await.1, "One two three");
    assert_eq!(page.hear_end().await["result"]["finishReason"], "user_end");
    let shown = server.fixture.show(&page.record).await;
    assert_eq!(shown["messages"].as_array().expect("a list").len(), 2);
}

#[tokio::test]
async fn the_agents_goodbye_is_heard_before_the_end() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.chat("goodbye").await;
    assert_eq!(page.hear_text().await.0, "user");
    assert_eq!(page.hear_text().await, ("assistant".into(), "Take care!".into()));
    assert_eq!(page.hear_end().await["result"]["finishReason"], "agent_finish");
}

#[tokio::test]
async fn an_end_through_the_chats_api_is_heard_at_once() {
    let server = Server::start().await;
    let mut page = server.open().await;
    assert_eq!(server.fixture.end(&page.record).await.status, 200);
    assert_eq!(page.hear_end().await["result"]["finishReason"], "user_end");
}

async fn end(fixture: &Fixture, record: &str, reason: EndReason) {
    let id = record.parse().expect("an id");
    let request = EndRequest::asked(reason);
    fixture.engine.end(&"org_acme".into(), id, request).await.expect("ended");
}

#[tokio::test]
async fn an_operators_end_is_heard_at_once_and_so_is_our_failure() {
    let server = Server::start().await;
    let mut page = server.open().await;
    end(&server.fixture, &page.record, EndReason::Operator).await;
    let result = page.hear_end().await;
    assert_eq!(result["result"], json!({ "status": "Completed", "finishReason": "operator" }));
    let mut page = server.open().await;
    end(&server.fixture, &page.record, EndReason::Failed).await;
    let result = page.hear_end().await;
    assert_eq!(result["result"], json!({ "status": "Failed", "finishReason": "error" }));
}

#[tokio::test]
async fn an_end_that_cuts_a_turn_is_heard_when_the_turn_has_been() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.chat("for ever").await;
    page.hear_text().await;
    let (fixture, record) = (&server.fixture, page.record.clone());
    let ending = end(fixture, &record, EndReason::Operator);
    let waiting = async {
        // An end waits for a turn, and then cuts it.
        server.later(Span::from_secs(30)).await;
        server.later(Span::from_secs(1)).await;
    };
    tokio::join!(ending, waiting);
    assert_eq!(page.hear_end().await["result"]["finishReason"], "operator");
    assert_eq!(server.fixture.show(&page.record).await["messages"], json!([]));
}

#[tokio::test]
async fn an_end_of_which_nobody_hints_is_seen_within_fifteen_seconds() {
    let server = Server::start().await;
    let mut page = server.open().await;
    let elsewhere = server.fixture.beside(|setup| setup.seed = 8).await;
    end(&elsewhere, &page.record, EndReason::Operator).await;
    page.hears_nothing().await;
    server.later(Span::from_secs(15)).await;
    assert_eq!(page.hear_end().await["result"]["finishReason"], "operator");
}

#[tokio::test]
async fn a_drain_closes_sockets_with_1012_and_waits_for_them_and_their_turns() {
    let server = Server::start().await;
    let (mut idle, mut busy) = (server.open().await, server.open().await);
    let mut silent = server.connect().await;
    busy.chat("slowly").await;
    busy.hear_text().await;
    server.fixture.engine.begin_drain();
    assert_eq!((idle.closed().await, silent.closed().await), (1012, 1012));
    let drained = server.fixture.engine.drained();
    let waiting = async {
        server.later(Span::from_secs(10)).await;
        server.later(Span::from_secs(10)).await;
        assert_eq!(busy.hear_text().await.1, "One two three");
        assert_eq!(busy.closed().await, 1012);
        settle().await;
        drop((idle, busy, silent));
    };
    tokio::join!(drained, waiting);
    let name = SessionName::Any(String::new());
    assert!(server.fixture.engine.find(&"org_acme".into(), &name).await.expect("read").is_none());
}
