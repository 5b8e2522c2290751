//! 8: "Too many requests: off by default; 429 same body shape".

use epilogue_core::Span;
use http::Request;
use serde_json::json;

use crate::{
    client::*,
    support::{Answer, NOW},
};

/// A house whose partner may create so many sessions a minute.
async fn held_to(per_minute: u32) -> House {
    House::with(|setup| setup.settings.kaltura.partners[0].opens_per_minute = per_minute).await
}

#[track_caller]
fn limited(answer: &Answer, retry_after: &str) {
    refused(answer, 429, "Too many requests");
    assert_eq!(answer.header("retry-after"), Some(retry_after));
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
}

fn keyed(key: &str) -> Request<axum::body::Body> {
    let request = post(BASE).header("authorization", format!("KS {STATIC_KS}"));
    request.header("idempotency-key", key).with(&json!({ "visualConfig": { "id": "ann" } }))
}

/// "off by default", whatever other APIs are held to.
#[tokio::test]
async fn s8_nobody_is_held_to_a_rate_unless_that_is_wanted() {
    let house = House::with(|setup| setup.settings.opens_per_minute = 1).await;
    for _ in 0..12 {
        house.created().await;
    }
    let client = house.created().await;
    for _ in 0..80 {
        succeeded(&house.ask(&client, "keep-alive").await);
    }
}

/// "429 same body shape": at the limit, one past it, and when the minute is over.
#[tokio::test]
async fn s8_a_partner_creates_as_often_as_it_may_and_not_once_more() {
    let house = held_to(2).await;
    house.created().await;
    house.created().await;
    let past = house.create_by(STATIC_KS).await;
    limited(&past, "60");
    assert_eq!(past.header("x-ratelimit-limit"), Some("2"));
    let reset = (NOW + Span::from_secs(60)).as_secs().to_string();
    assert_eq!(past.header("x-ratelimit-reset"), Some(reset.as_str()));
    // Whoever signs for the partner is the partner; another one is another.
    limited(&house.create_by(&ks(PARTNER, 2, in_an_hour(), "ann")).await, "60");
    Client::of(&house.create_by(FOREIGN_KS).await);
    assert_eq!(house.stage.count(), 3);
    house.clock.advance(Span::from_millis(59_001));
    limited(&house.create_by(STATIC_KS).await, "1");
    house.clock.advance(Span::from_millis(999));
    house.created().await;
}

/// What is refused for another reason is not counted, and what has come to nothing is given back.
#[tokio::test]
async fn s8_only_sessions_that_come_about_are_counted() {
    let house = held_to(1).await;
    for _ in 0..3 {
        refused(&house.create_by("x").await, 401, "Invalid Kaltura Session");
        refused_somehow(&house.create(json!({})).await, 400);
    }
    house.stage.room_for(0);
    for _ in 0..3 {
        refused(&house.create_by(STATIC_KS).await, 503, "Service temporarily unavailable");
    }
    house.stage.room_for(1);
    house.created().await;
    limited(&house.create_by(STATIC_KS).await, "60");
}

/// A create that is repeated under its key opens nothing, and is answered however many there were.
#[tokio::test]
async fn s8_a_repeated_create_is_not_counted() {
    let house = held_to(1).await;
    let first = Client::of(&house.send(keyed("k")).await);
    for _ in 0..3 {
        assert_eq!(Client::of(&house.send(keyed("k")).await), first);
    }
    limited(&house.send(keyed("l")).await, "60");
}

/// What a session asks for is never limited: keep-alives every 10 s are the rule, and an end must come through.
#[tokio::test]
async fn s8_a_session_is_heard_however_many_were_created() {
    let house = held_to(1).await;
    let client = house.created().await;
    limited(&house.create_by(STATIC_KS).await, "60");
    succeeded(&house.ask(&client, "keep-alive").await);
    succeeded(&house.ask(&client, "end").await);
}
