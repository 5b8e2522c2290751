//! Models that fail: the person is told, what was said is kept, and the conversation goes on.

use serde_json::json;

use super::{KEY, agent, config};
use crate::support::{
    binary::Home,
    client::Http,
    model::FakeModel,
    native::Native,
    talkifai::{TalkifAi, reply},
};

#[tokio::test]
async fn a_model_that_fails_is_an_error_event_and_the_conversation_goes_on() {
    let model = FakeModel::start().await;
    let home = Home::new(&config(json!({ "organizations": [agent(json!({
        "provider": "openai", "base_url": model.url(), "name": "fake",
        "first_token_timeout_s": 1, "stall_timeout_s": 1,
    }))] })));
    let server = home.start().await;
    let (url, http) = (server.url(), Http::new());
    let client = TalkifAi::new(&http, KEY);
    let session = client.opened(&url, "agent", None).await;
    let mut expected = Vec::new();
    let mut keep = |role: &str, text: &str| expected.push((role.to_owned(), text.to_owned()));
    for (fault, heard) in [
        ("stall", "Once "),
        ("silence", ""),
        ("cut", "Once "),
        ("garbage", "Once "),
        ("refuse", ""),
    ] {
        let events = client.said(&url, &session, fault).await;
        let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
        assert_eq!((names[0], names[names.len() - 1]), ("stream_start", "error"), "{fault}");
        assert_eq!(reply(&events), (heard.to_owned(), false), "{fault}");
        let words = events[events.len() - 1].data["error"].as_str().expect("words");
        assert!(!words.contains("Once") && !words.contains("fake"), "{fault}: {words}");
        keep("user", fault);
        if !heard.is_empty() {
            keep("assistant", heard);
        }
        let events = client.said(&url, &session, "still there?").await;
        assert_eq!(reply(&events), ("You said: still there?".to_owned(), true), "{fault}");
        keep("user", "still there?");
        keep("assistant", "You said: still there?");
    }
    assert_eq!(client.history(&url, &session).await, expected);
    assert_eq!(client.end(&url, &session).await.expect("an answer").status, 200);
    server.stop().await;
}

#[tokio::test]
async fn the_native_stream_names_the_failure() {
    let model = FakeModel::start().await;
    let home = Home::new(&config(json!({ "organizations": [agent(json!({
        "provider": "openai", "base_url": model.url(), "name": "fake",
    }))] })));
    let server = home.start().await;
    let (url, http) = (server.url(), Http::new());
    let native = Native::new(&http, KEY);
    let session = native.opened(&url, "agent").await;
    let stream = native.send(&url, &session, "cut").await.expect("sent").expect("taken");
    let events = stream.all().await.expect("a whole stream");
    let last = events.last().expect("events");
    assert_eq!((last.name.as_str(), &last.data["reason"]), ("turn_failed", &"model_failed".into()));
    server.stop().await;
}
