//! 2.5: interrupt.

use serde_json::json;

use crate::{client::*, fakes::HEARD};

/// "Stops speech at once, clears the queue, avatar returns to idle."
#[tokio::test]
async fn s2_5_an_interruption_stops_speech_and_clears_the_queue() {
    let house = House::start().await;
    let client = house.created().await;
    for text in ["One.", "Two.", "Three."] {
        house.said(&client, json!({ "text": text })).await;
    }
    house.heard(1).await;
    succeeded(&house.ask(&client, "interrupt").await);
    assert_eq!(house.stage.show().interruptions, 1);
    house.clock.advance(HEARD);
    settle().await;
    assert_eq!(house.stage.show().said, ["One."]);
    house.recorded(&client, &[(1, "One.")]).await;
    house.said(&client, json!({ "text": "Four." })).await;
    assert_eq!(house.heard(2).await, ["One.", "Four."], "it speaks at once, and no later");
}

/// "Safe with nothing playing."
#[tokio::test]
async fn s2_5_an_interruption_of_nothing_succeeds() {
    let house = House::start().await;
    let client = house.created().await;
    succeeded(&house.ask(&client, "interrupt").await);
    assert_eq!(house.ask(&client, "init-client").await.status, 200);
    succeeded(&house.ask(&client, "interrupt").await);
    house.said(&client, json!({ "text": "Hello!" })).await;
    assert_eq!(house.heard(1).await, ["Hello!"]);
}

/// "Open turns are dropped; later chunks with an interrupted `turnId` are accepted with 200 and discarded."
#[tokio::test]
async fn s2_5_what_comes_of_an_interrupted_turn_is_accepted_and_not_heard() {
    let house = House::start().await;
    let client = house.created().await;
    let chunk = |text: &str, last| json!({ "text": text, "turnId": "a", "isFinal": last });
    house.said(&client, chunk("One,", false)).await;
    house.heard(1).await;
    succeeded(&house.ask(&client, "interrupt").await);
    house.said(&client, chunk("two,", false)).await;
    house.said(&client, chunk("three.", true)).await;
    house.said(&client, chunk("", true)).await;
    house.clock.advance(HEARD);
    settle().await;
    assert_eq!(house.stage.show().said, ["One,"]);
    house.said(&client, json!({ "text": "Next.", "turnId": "b" })).await;
    assert_eq!(house.heard(2).await, ["One,", "Next."]);
}

/// A part whose voice is still at work is never heard.
#[tokio::test]
async fn s2_5_an_interruption_reaches_what_is_being_spoken_in() {
    let house = House::start().await;
    let client = house.created().await;
    house.said(&client, json!({ "text": "hang" })).await;
    until(|| house.voice.asked().len() == 1).await;
    succeeded(&house.ask(&client, "interrupt").await);
    house.said(&client, json!({ "text": "Heard." })).await;
    assert_eq!(house.heard(1).await, ["Heard."]);
}
