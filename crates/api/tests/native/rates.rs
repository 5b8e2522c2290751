//! The limits per minute: at each, and one past it.

use serde_json::json;

use crate::native_support::{OPERATOR, SUPPORT, World};

#[tokio::test]
async fn a_key_opens_so_many_sessions_a_minute_and_the_next_one_in_the_next_minute() {
    let world = World::limited(2).await;
    let open = || world.post("/sessions").json(json!({ "agent": SUPPORT })).send();
    assert_eq!((open().await.status, open().await.status), (201, 201));
    let refused = open().await;
    refused.is_problem(429, "rate-limited");
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(refused.header("x-ratelimit-limit"), Some("2"));
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    world.wait(60);
    assert_eq!(open().await.status, 201);
}

#[tokio::test]
async fn an_operator_is_not_counted() {
    let world = World::limited(1).await;
    for _ in 0..3 {
        let open =
            world.post("/sessions").key(OPERATOR).header("epilogue-organization", "org_acme");
        let opened = open.json(json!({ "agent": SUPPORT })).send().await;
        assert_ne!(opened.status, 429, "{}", opened.text);
    }
}

#[tokio::test]
async fn a_session_takes_so_many_messages_and_ends_a_minute() {
    let world = World::limited(2).await;
    let (session, _) = world.open().await;
    world.say(&session, "one").await;
    world.say(&session, "two").await;
    let turns = format!("/sessions/{session}/turns");
    let third = world.post(&turns).json(json!({ "message": "three" })).send().await;
    third.is_problem(429, "rate-limited");
    let (other, _) = world.open().await;
    world.say(&other, "another session has a limit of its own").await;
    world.end(&session).await;
    world.end(&session).await;
    let third = world.post(&format!("/sessions/{session}/end")).send().await;
    third.is_problem(429, "rate-limited");
}
