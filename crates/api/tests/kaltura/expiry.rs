//! 3: sessions that end by themselves.

use epilogue_api::dialect::kaltura::{IDLE, IDLE_MIN, LONGEST, profile};
use epilogue_core::{EndReason, Span};
use serde_json::json;

use crate::client::*;

const MS: Span = Span::from_millis(1);
/// A millisecond before the idle timeout.
const ALMOST: Span = Span::from_millis(119_999);

async fn reason(house: &House, client: &Client) -> Option<EndReason> {
    house.session(client).await.ended().map(|ended| ended.reason)
}

/// "Choose idle timeout 120 s by default"
#[tokio::test]
async fn s3_a_session_that_nobody_keeps_alive_ends_after_two_minutes_and_not_before() {
    let house = House::start().await;
    let (kept, left) = (house.created().await, house.created().await);
    house.clock.advance(ALMOST);
    house.run_until_idle().await;
    succeeded(&house.ask(&kept, "keep-alive").await);
    assert_eq!(reason(&house, &left).await, None);
    house.clock.advance(MS);
    refused(&house.ask(&left, "keep-alive").await, 410, "Session ended");
    refused(&house.ask(&left, "end").await, 410, "Session ended");
    house.run_until_idle().await;
    assert_eq!(reason(&house, &left).await, Some(EndReason::Idle));
    until(|| house.stage.count() == 1).await;
    refused(&house.ask(&left, "keep-alive").await, 410, "Session ended");
    house.clock.advance(Span::from_millis(119_998));
    house.run_until_idle().await;
    succeeded(&house.ask(&kept, "keep-alive").await);
}

/// "any authenticated call … refresh it"
#[tokio::test]
async fn s3_every_call_with_the_token_keeps_the_session_alive() {
    let house = House::start().await;
    let client = house.created().await;
    for name in ["init-client", "say-text", "say-audio", "interrupt", "keep-alive"] {
        house.clock.advance(ALMOST);
        // Some of these are refused for what they say; they are heard all the same.
        let answer = house.ask(&client, name).await;
        assert!([200, 400].contains(&answer.status.as_u16()), "{name}: {}", answer.body);
        house.run_until_idle().await;
        assert_eq!(reason(&house, &client).await, None, "{name}");
    }
    house.clock.advance(IDLE);
    house.run_until_idle().await;
    assert_eq!(reason(&house, &client).await, Some(EndReason::Idle));
}

/// "… and live media refresh it"; "Losing the viewer does not end the session".
#[tokio::test]
async fn s3_a_session_that_is_watched_is_kept_alive_and_one_that_is_not_is_left() {
    let house = House::start().await;
    let client = house.created().await;
    assert_eq!(house.ask(&client, "init-client").await.status, 200);
    settle().await;
    house.stage.watched(true);
    for _ in 0..30 {
        house.clock.advance(Span::from_secs(15));
        settle().await;
        house.run_until_idle().await;
    }
    assert_eq!(reason(&house, &client).await, None);
    house.stage.watched(false);
    house.clock.advance(Span::from_secs(60));
    settle().await;
    house.run_until_idle().await;
    assert_eq!(reason(&house, &client).await, None, "its viewer may come back");
    house.clock.advance(IDLE);
    house.run_until_idle().await;
    assert_eq!(reason(&house, &client).await, Some(EndReason::Idle));
}

/// "configurable, never below 30 s"; "Server cap = token life (24 h) unless configured."
#[tokio::test]
async fn s3_an_agent_sets_its_own_times_within_bounds() {
    let of = |own: serde_json::Value| async move {
        let house = House::of_agent(own).await;
        let client = house.created().await;
        let profile = house.session(&client).await.profile;
        (profile.idle_timeout, profile.max_duration.expect("bounded"))
    };
    assert_eq!(of(json!({})).await, (Some(IDLE), LONGEST));
    assert_eq!(of(json!({ "idle_timeout_s": 29 })).await.0, Some(IDLE_MIN));
    assert_eq!(of(json!({ "idle_timeout_s": 31 })).await.0, Some(Span::from_secs(31)));
    assert_eq!(of(json!({ "idle_timeout_s": 0 })).await.0, None);
    assert_eq!(of(json!({ "max_duration_s": 600 })).await.1, Span::from_secs(600));
    assert_eq!(of(json!({ "max_duration_s": 100_000 })).await.1, LONGEST);
    assert_eq!(LONGEST, Span::from_secs(86_400));
    let plain = serde_json::from_value(
        json!({ "id": "a", "name": "A", "model": { "provider": "scripted" } }),
    );
    assert!(profile(&plain.expect("an agent")).holds_media);
}

/// "`ended` has a reason: … `max_duration`": however often it is kept alive.
#[tokio::test]
async fn s3_a_session_lasts_as_long_as_it_may_and_no_longer() {
    let house = House::of_agent(json!({ "max_duration_s": 600 })).await;
    let client = house.created().await;
    for _ in 0..9 {
        house.clock.advance(Span::from_secs(60));
        succeeded(&house.ask(&client, "keep-alive").await);
    }
    house.clock.advance(Span::from_millis(59_999));
    house.run_until_idle().await;
    succeeded(&house.ask(&client, "keep-alive").await);
    house.clock.advance(MS);
    refused(&house.ask(&client, "keep-alive").await, 410, "Session ended");
    house.run_until_idle().await;
    assert_eq!(reason(&house, &client).await, Some(EndReason::MaxDuration));
    until(|| house.stage.count() == 0).await;
}
