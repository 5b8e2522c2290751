//! Limits: at each, one past it, and what outranks them.

use epilogue_core::Span;
use http::Method;
use serde_json::json;

use crate::{
    client::{assert_refused, open, open_with},
    support::*,
};

#[track_caller]
fn assert_limited(answer: &Answer, retry_after: &str) {
    assert_refused(answer, 429, "Rate limit exceeded");
    assert_eq!(answer.header("retry-after"), Some(retry_after));
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
}

#[tokio::test]
async fn a_key_opens_as_often_as_it_may_and_not_once_more() {
    let fixture = Fixture::with(|setup| setup.settings.opens_per_minute = 2).await;
    let ask = || fixture.send(open(&json!({ "agent_id": AGENT })));
    let first = ask().await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("x-ratelimit-limit"), Some("2"));
    assert_eq!(first.header("x-ratelimit-remaining"), Some("1"));
    let reset = (NOW + Span::from_secs(60)).as_secs().to_string();
    assert_eq!(first.header("x-ratelimit-reset"), Some(reset.as_str()));
    assert!(!first.headers.contains_key("retry-after"));
    assert_eq!(ask().await.status, 200);
    assert_limited(&ask().await, "60");
    // A key is limited whatever it sends, and no other key by it.
    assert_limited(&fixture.send(open(&json!({}))).await, "60");
    let short = open_with(&[("X-API-Key", SHORT_KEY)], json!({ "agent_id": AGENT }).to_string());
    assert_eq!(fixture.send(short).await.status, 200);
    fixture.clock.advance(Span::from_millis(59_001));
    assert_limited(&ask().await, "1");
    fixture.clock.advance(Span::from_millis(999));
    assert_eq!(ask().await.status, 200);
}

#[tokio::test]
async fn who_is_refused_at_the_door_is_not_counted() {
    let fixture = Fixture::with(|setup| setup.settings.opens_per_minute = 1).await;
    for _ in 0..3 {
        let answer = fixture.send(open_with(&[("X-API-Key", WIDGET_KEY)], "{}")).await;
        assert_eq!(answer.status, 403);
        assert!(!answer.headers.contains_key("x-ratelimit-limit"));
    }
    let allowed = [("X-API-Key", WIDGET_KEY), ("Origin", "https://example.com")];
    let body = json!({ "agent_id": AGENT }).to_string();
    assert_eq!(fixture.send(open_with(&allowed, body)).await.status, 200);
}

#[tokio::test]
async fn a_session_is_limited_for_messages_history_and_ends_apart() {
    let fixture = Fixture::with(|setup| {
        setup.settings.messages_per_minute = 1;
        setup.settings.history_per_minute = 1;
        setup.settings.ends_per_minute = 1;
    })
    .await;
    let (held, other) = (fixture.hold().await, fixture.hold().await);
    assert_eq!(fixture.send(held.message("hi")).await.status, 200);
    assert_limited(&fixture.send(held.message("hi")).await, "60");
    // 429 comes before what is wrong with the message.
    assert_limited(&fixture.send(held.request(Method::POST, "messages", "{")).await, "60");
    let answer = fixture.send(held.history("")).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-ratelimit-limit")), (200, Some("1")));
    assert_limited(&fixture.send(held.history("")).await, "60");
    assert_eq!(fixture.send(other.message("hi")).await.status, 200);
    assert_eq!(fixture.send(held.end()).await.status, 200);
}

#[tokio::test]
async fn a_stream_says_where_the_session_stands() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let answer = fixture.send(held.message("hi")).await;
    assert_eq!(answer.header("x-ratelimit-limit"), Some("60"));
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("59"));
}

#[tokio::test]
async fn ends_are_limited_while_the_session_lives() {
    let fixture = Fixture::with(|setup| setup.settings.ends_per_minute = 1).await;
    let held = fixture.hold().await;
    let database = fixture.database();
    database.execute_batch("ALTER TABLE steps RENAME TO away").expect("broken");
    assert_eq!(fixture.send(held.end()).await.status, 500);
    assert_limited(&fixture.send(held.end()).await, "60");
    database.execute_batch("ALTER TABLE away RENAME TO steps").expect("mended");
    fixture.clock.advance(Span::from_secs(60));
    assert_eq!(fixture.send(held.end()).await.status, 200);
}

#[tokio::test]
async fn that_a_session_is_over_outranks_every_limit() {
    let fixture = Fixture::with(|setup| {
        setup.settings.messages_per_minute = 1;
        setup.settings.history_per_minute = 1;
        setup.settings.ends_per_minute = 1;
    })
    .await;
    let held = fixture.hold().await;
    assert_eq!(fixture.send(held.end()).await.status, 200);
    for _ in 0..3 {
        assert_refused(&fixture.send(held.end()).await, 401, "Invalid token");
        let gone = "Session not found or expired";
        assert_refused(&fixture.send(held.message("hi")).await, 404, gone);
        assert_refused(&fixture.send(held.history("")).await, 404, gone);
    }
}

#[tokio::test]
async fn a_limit_of_zero_is_none() {
    let fixture = Fixture::with(|setup| {
        setup.settings.opens_per_minute = 0;
        setup.settings.history_per_minute = 0;
    })
    .await;
    let held = fixture.hold().await;
    for _ in 0..200 {
        let answer = fixture.send(held.history("")).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.headers.contains_key("x-ratelimit-limit"));
    }
}
