//! 3 and 6: what each call is answered in each state, and the numbers that clients count on.

use epilogue_core::{EndReason, Span};
use http::Request;
use serde_json::json;

use crate::{
    audio::{request, whole},
    client::*,
};

const CALLS: [&str; 6] = ["init-client", "say-text", "say-audio", "interrupt", "keep-alive", "end"];

/// A sound request of each kind.
fn call(client: &Client, name: &str) -> Request<axum::body::Body> {
    match name {
        "say-text" => client.post(name).with(&json!({ "text": "Hello!" })),
        "say-audio" => request(client, &whole("t", b"ID3")),
        _ => client.post(name).empty(),
    }
}

/// A session that has been brought so far.
async fn in_state(house: &House, state: &str) -> Client {
    let client = house.created().await;
    match state {
        "initialised" | "streaming" => {
            let told = house.ask(&client, "init-client").await.json();
            let place = told["whepUrl"].as_str().expect("a text").to_owned();
            let place = place.strip_prefix("https://media.example.test").expect("ours");
            if state == "streaming" {
                let offer = post(place).text("application/sdp", "v=0 an offer");
                assert_eq!(house.send(offer).await.status, 201);
            }
        }
        "ended" => succeeded(&house.ask(&client, "end").await),
        _ => {}
    }
    client
}

/// "| Call | created | initialised | streaming | ended | unknown |", row by row.
#[tokio::test]
async fn s3_each_call_in_each_state_is_answered_as_the_table_says() {
    let house = House::start().await;
    for name in CALLS {
        for state in ["created", "initialised", "streaming"] {
            let client = in_state(&house, state).await;
            let answer = house.send(call(&client, name)).await;
            assert_eq!(answer.status, 200, "{name} when {state}: {}", answer.body);
            assert_eq!(answer.json()["success"], true, "{name} when {state}");
        }
        let ended = in_state(&house, "ended").await;
        refused(&house.send(call(&ended, name)).await, 410, "Session ended");
        let unknown = Client { id: "5b710eca-ee67-4c3a-aeb6-8b541f451b40".into(), ..ended };
        refused(&house.send(call(&unknown, name)).await, 404, "Session not found");
    }
}

/// "queued, rendered with no viewer": what is said to nobody is heard by nobody and on record.
#[tokio::test]
async fn s3_created_what_is_said_without_a_viewer_is_rendered() {
    let house = House::start().await;
    let client = in_state(&house, "created").await;
    succeeded(&house.send(call(&client, "say-text")).await);
    assert_eq!(house.heard(1).await, ["Hello!"]);
    assert!(!house.stage.show().watched);
    house.recorded(&client, &[(1, "Hello!")]).await;
}

/// "`ended` has a reason: … `token_expired`": a session goes no further than its token.
#[tokio::test]
async fn s3_token_expired_a_session_ends_with_its_token() {
    let house = House::of_agent(json!({ "idle_timeout_s": 0 })).await;
    let client = house.created().await;
    house.clock.advance(Span::from_millis(86_399_999));
    house.run_until_idle().await;
    succeeded(&house.ask(&client, "keep-alive").await);
    house.clock.advance(Span::from_millis(1));
    refused(&house.ask(&client, "keep-alive").await, 401, "Invalid or expired token");
    house.run_until_idle().await;
    let ended = house.session(&client).await;
    assert_eq!(ended.ended().map(|ended| ended.reason), Some(EndReason::MaxDuration));
    until(|| house.stage.count() == 0).await;
}

/// "the live service was still alive after 70 s of total silence"
#[tokio::test]
async fn s6_a_client_that_is_silent_for_70_s_is_still_there() {
    let house = House::start().await;
    let client = house.created().await;
    house.clock.advance(Span::from_secs(70));
    house.run_until_idle().await;
    succeeded(&house.ask(&client, "keep-alive").await);
}

/// "keep-alive 10 s"; "client cap 30 min (seed sample)" is the client's: the server goes on.
#[tokio::test]
async fn s6_a_session_that_is_kept_alive_every_10_s_lasts_longer_than_half_an_hour() {
    let house = House::start().await;
    let client = house.created().await;
    for _ in 0..190 {
        house.clock.advance(Span::from_secs(10));
        succeeded(&house.ask(&client, "keep-alive").await);
    }
    house.run_until_idle().await;
    succeeded(&house.ask(&client, "end").await);
}

/// "one WHEP viewer"; "A retrying client means end can be sent twice after a lost answer".
#[tokio::test]
async fn s6_a_second_viewer_is_409_and_a_second_end_410() {
    let house = House::start().await;
    let client = in_state(&house, "streaming").await;
    let told = house.ask(&client, "init-client").await.json();
    let place = told["whepUrl"].as_str().expect("a text").to_owned();
    let place = place.strip_prefix("https://media.example.test").expect("ours");
    let offer = || post(place).text("application/sdp", "v=0 another");
    for _ in 0..5 {
        refused(&house.send(offer()).await, 409, "The stream already has a viewer");
    }
    succeeded(&house.ask(&client, "end").await);
    refused(&house.ask(&client, "end").await, 410, "Session ended");
}

/// "Resets the idle timer only; no other effect; safe to repeat."
#[tokio::test]
async fn s2_6_a_keep_alive_does_nothing_else() {
    let house = House::start().await;
    let client = house.created().await;
    let before = (house.stage.show(), house.activity(&client).await.len());
    for _ in 0..10 {
        succeeded(&house.ask(&client, "keep-alive").await);
    }
    settle().await;
    assert_eq!((house.stage.show(), house.activity(&client).await.len()), before);
    assert!(house.transcript(&client).await.is_empty());
    assert_eq!(house.engine.stages(), 0, "nobody performs");
}
