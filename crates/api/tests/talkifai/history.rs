//! C3: `GET /v1/chat/sessions/{conversation_id}/messages`.

use epilogue_core::Span;
use serde_json::Value;

use crate::{
    client::{Held, assert_refused},
    support::*,
};

/// A session with the greeting and `turns` turns, a second apart.
async fn talked(fixture: &Fixture, turns: usize) -> Held {
    let held = fixture.hold().await;
    for number in 1..=turns {
        fixture.clock.advance(Span::from_millis(1_001));
        let answer = fixture.send(held.message(&format!("message {number}"))).await;
        assert_eq!(answer.status, 200);
    }
    held
}

async fn page(fixture: &Fixture, held: &Held, query: &str) -> Vec<String> {
    let answer = fixture.send(held.history(query)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let page = answer.json();
    let messages = page["messages"].as_array().expect("a list");
    assert_eq!(page["count"], messages.len(), "count is the page's own");
    messages.iter().map(|message| message["content"].as_str().expect("text").to_owned()).collect()
}

#[tokio::test]
async fn a_history_is_oldest_first_with_whole_seconds_and_token_counts_of_replies() {
    let fixture = Fixture::start().await;
    let held = talked(&fixture, 1).await;
    assert_eq!(fixture.send(held.message("break off")).await.status, 200);
    insta::assert_snapshot!("history", fixture.send(held.history("")).await.body);
    let tokens = |message: &Value| message["token_count"].is_u64();
    let history = fixture.send(held.history("")).await.json();
    let messages = history["messages"].as_array().expect("a list");
    // Null for the greeting and the person; a number for every reply, a broken one too.
    let counted: Vec<_> = messages.iter().map(tokens).collect();
    assert_eq!(counted, [false, false, true, false, true]);
}

#[tokio::test]
async fn tool_traffic_is_not_shown() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    assert_eq!(fixture.send(held.message("look it up")).await.status, 200);
    let shown = page(&fixture, &held, "").await;
    assert_eq!(shown, ["Hello! How can I help you today?", "look it up", "I found it."]);
}

#[tokio::test]
async fn pages_are_fifty_long_unless_asked_and_a_hundred_at_the_most() {
    let fixture = Fixture::with(|setup| setup.settings.messages_per_minute = 0).await;
    let held = talked(&fixture, 50).await;
    assert_eq!(page(&fixture, &held, "").await.len(), 50);
    assert_eq!(page(&fixture, &held, "?limit=100").await.len(), 100);
    // A published client asks for a thousand.
    assert_eq!(page(&fixture, &held, "?limit=1000").await.len(), 100);
    assert_eq!(page(&fixture, &held, "?limit=0").await.len(), 1);
    assert_eq!(page(&fixture, &held, "?limit=-5").await.len(), 1);
    assert_eq!(
        page(&fixture, &held, "?offset=-5&limit=1").await,
        page(&fixture, &held, "?limit=1").await
    );
}

#[tokio::test]
async fn an_offset_skips_and_past_the_end_is_an_empty_page() {
    let fixture = Fixture::start().await;
    let held = talked(&fixture, 2).await;
    let all = page(&fixture, &held, "").await;
    assert_eq!(page(&fixture, &held, "?offset=1&limit=2").await, all[1..3]);
    for query in ["?offset=5", "?offset=1000000", "?offset=99999999999999999999"] {
        assert!(page(&fixture, &held, query).await.is_empty(), "{query}");
    }
}

#[tokio::test]
async fn the_offset_9999_means_the_last_ones() {
    let fixture = Fixture::start().await;
    let held = talked(&fixture, 2).await;
    let all = page(&fixture, &held, "").await;
    assert_eq!(page(&fixture, &held, "?offset=9999&limit=2").await, all[3..]);
    assert_eq!(page(&fixture, &held, "?limit=50&offset=9999").await, all);
}

#[tokio::test]
async fn a_query_that_is_no_number_is_422() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let answer = fixture.send(held.history("?limit=ten&offset=1.5")).await;
    assert_eq!(answer.status, 422);
    insta::assert_snapshot!("query_that_is_no_number", answer.body);
}

#[tokio::test]
async fn the_history_of_a_session_that_is_over_is_404() {
    let fixture = Fixture::start().await;
    let (ended, expired) = (fixture.hold().await, fixture.hold().await);
    assert_eq!(fixture.send(ended.end()).await.status, 200);
    fixture.clock.advance(Span::from_secs(1_800));
    for held in [&ended, &expired] {
        for query in ["", "?limit=ten"] {
            let answer = fixture.send(held.history(query)).await;
            assert_refused(&answer, 404, "Session not found or expired");
        }
    }
}

#[tokio::test]
async fn looking_does_not_keep_a_session_alive() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    fixture.clock.advance(Span::from_secs(1_799));
    assert_eq!(fixture.send(held.history("")).await.status, 200);
    fixture.clock.advance(Span::from_secs(1));
    assert_eq!(fixture.send(held.history("")).await.status, 404);
}
