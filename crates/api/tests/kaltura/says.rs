//! 2.3: say-text.

use epilogue_core::Span;
use epilogue_engine::{
    session::stage::{PARTS_WAITING_MAX, TURN_PATIENCE},
    speech::TEXT_BYTES_MAX,
};
use serde_json::json;

use crate::{client::*, fakes::HEARD};

/// A moment in which the next part is handed over.
const BEFORE: Span = Span::from_secs(1);

/// "200 `{"success":true}` once queued, not once spoken"; what was heard is the transcript.
#[tokio::test]
async fn s2_3_what_is_said_is_heard_and_on_record() {
    let house = House::start().await;
    let client = house.created().await;
    house.said(&client, json!({ "text": "Hello!", "turnId": "t", "isFinal": true })).await;
    assert_eq!(house.heard(1).await, ["Hello!"]);
    house.recorded(&client, &[(1, "Hello!")]).await;
}

/// "Accept: missing `turnId` → new id, missing `isFinal` → true."
#[tokio::test]
async fn s2_3_text_alone_is_a_turn_of_its_own() {
    let house = House::start().await;
    let client = house.created().await;
    for text in ["One.", "Two."] {
        house.said(&client, json!({ "text": text })).await;
    }
    house.heard(1).await;
    house.clock.advance(HEARD);
    house.heard(2).await;
    house.recorded(&client, &[(1, "One."), (2, "Two.")]).await;
}

/// "Chunks of a turn are spoken in arrival order without a gap; a new `turnId` queues behind."
#[tokio::test]
async fn s2_3_chunks_are_heard_in_order_without_a_gap_and_turns_one_after_the_other() {
    let house = House::start().await;
    let client = house.created().await;
    let chunk = |turn: &str, text: &str, last: bool| json!({ "text": text, "turnId": turn, "isFinal": last });
    house.said(&client, chunk("a", "One,", false)).await;
    assert_eq!(house.heard(1).await, ["One,"]);
    house.said(&client, chunk("b", "Three.", true)).await;
    house.said(&client, chunk("a", "two.", true)).await;
    settle().await;
    assert_eq!(house.stage.show().said.len(), 1, "the first is still heard");
    house.clock.advance(Span::from_millis(HEARD.as_millis() - BEFORE.as_millis()));
    assert_eq!(house.heard(2).await, ["One,", "two."], "handed over before the first is over");
    house.clock.advance(HEARD);
    assert_eq!(house.heard(3).await, ["One,", "two.", "Three."]);
    house.recorded(&client, &[(1, "One, two."), (2, "Three.")]).await;
}

/// A turn that its client forgot to close holds nobody up for long.
#[tokio::test]
async fn s2_3_an_open_turn_is_waited_for_and_then_the_next_is_heard() {
    let house = House::start().await;
    let client = house.created().await;
    house.said(&client, json!({ "text": "fail", "turnId": "a", "isFinal": false })).await;
    house.said(&client, json!({ "text": "Two.", "turnId": "b" })).await;
    settle().await;
    assert!(house.stage.show().said.is_empty());
    house.clock.advance(TURN_PATIENCE);
    assert_eq!(house.heard(1).await, ["Two."]);
}

/// "400 `Text is required` for absent, non-string or blank text. Exception: blank text with `isFinal:true`
/// on an open turn just closes it."
#[tokio::test]
async fn s2_3_blank_text_is_400_unless_it_closes_an_open_turn() {
    let house = House::start().await;
    let client = house.created().await;
    for body in [
        json!({}),
        json!({ "text": null }),
        json!({ "text": 7 }),
        json!({ "text": "" }),
        json!({ "text": " \n" }),
        json!({ "text": "", "turnId": "unknown", "isFinal": true }),
    ] {
        refused(&house.say(&client, body).await, 400, "Text is required");
    }
    refused(&house.ask(&client, "say-text").await, 400, "Text is required");
    house.said(&client, json!({ "text": "One.", "turnId": "a", "isFinal": false })).await;
    let open = json!({ "text": " ", "turnId": "a", "isFinal": false });
    refused(&house.say(&client, open).await, 400, "Text is required");
    house.said(&client, json!({ "text": "", "turnId": "a", "isFinal": true })).await;
    assert_eq!(house.heard(1).await, ["One."]);
}

/// "malformed input"
#[tokio::test]
async fn s2_3_parts_of_other_types_are_400() {
    let house = House::start().await;
    let client = house.created().await;
    for (body, error) in [
        (json!({ "text": "x", "isFinal": "yes" }), "isFinal must be a boolean"),
        (json!({ "text": "x", "turnId": 7 }), "turnId must be a string"),
        (
            json!({ "text": "x", "turnId": "t".repeat(257) }),
            "turnId is too long (at most 256 characters)",
        ),
    ] {
        refused(&house.say(&client, body).await, 400, error);
    }
    for body in ["{", "[]", "\"text\""] {
        let answer = house.send(client.post("say-text").text("application/json", body)).await;
        refused(&answer, 400, "Request body must be a JSON object");
    }
    house.said(&client, json!({ "text": "x", "turnId": "t".repeat(256), "more": 1 })).await;
}

/// "text of 100,000 characters or only emoji": a clear status, and the session goes on.
#[tokio::test]
async fn i5_a_text_at_the_limit_is_taken_and_one_past_it_is_400() {
    let house = House::start().await;
    let client = house.created().await;
    let error = format!("Text is too long (at most {TEXT_BYTES_MAX} bytes)");
    for length in [TEXT_BYTES_MAX + 1, 100_000] {
        refused(&house.say(&client, json!({ "text": "x".repeat(length) })).await, 400, &error);
    }
    house.said(&client, json!({ "text": "🙂" })).await;
    house.said(&client, json!({ "text": "x".repeat(TEXT_BYTES_MAX) })).await;
    assert_eq!(house.heard(1).await.len(), 1, "only emoji has no sound");
    succeeded(&house.ask(&client, "interrupt").await);
    let huge = house.say(&client, json!({ "text": "x".repeat(300_000) })).await;
    refused_somehow(&huge, 413);
}

/// A long text is spoken in pieces, heard without a gap, and one message.
#[tokio::test]
async fn i5_a_long_text_is_heard_whole() {
    let house = House::start().await;
    let client = house.created().await;
    let text = format!("{} end. ", "word ".repeat(60)).repeat(4);
    house.said(&client, json!({ "text": text })).await;
    for pieces in 1..=4 {
        assert_eq!(house.heard(pieces).await.len(), pieces);
        house.clock.advance(HEARD);
    }
    assert_eq!(house.stage.show().said.concat(), text);
    house.recorded(&client, &[(1, &text)]).await;
}

/// "a speech command that hangs, crashes": what fails is passed over, and the session can still end.
#[tokio::test]
async fn i5_a_voice_that_fails_or_hangs_costs_its_part_alone() {
    let house = House::start().await;
    let client = house.created().await;
    house.said(&client, json!({ "text": "fail" })).await;
    house.said(&client, json!({ "text": "noise" })).await;
    house.said(&client, json!({ "text": "Heard." })).await;
    assert_eq!(house.heard(1).await, ["Heard."]);
    // What was not heard is not on record.
    house.recorded(&client, &[(1, "Heard.")]).await;
    house.said(&client, json!({ "text": "hang" })).await;
    settle().await;
    succeeded(&house.ask(&client, "end").await);
    until(|| house.stage.count() == 0 && house.engine.stages() == 0).await;
}

/// "a compatible server … uses 503 when no TTS is configured."
#[tokio::test]
async fn s2_3_without_a_voice_it_is_503() {
    let house = House::with(|setup| setup.stage.1 = None).await;
    let client = house.created().await;
    let answer = house.say(&client, json!({ "text": "Hello!" })).await;
    refused(&answer, 503, "Service temporarily unavailable");
    refused(&house.say(&client, json!({})).await, 400, "Text is required");
}

/// The session's voice and pace are those it was created with.
#[tokio::test]
async fn s2_1_a_session_speaks_as_it_was_created() {
    let house = House::start().await;
    let voice = json!({ "id": VOICE, "speed": 1.5 });
    let body = json!({ "visualConfig": { "id": "ann" }, "voiceConfig": voice });
    let client = Client::of(&house.create(body).await);
    house.said(&client, json!({ "text": "Hello!" })).await;
    house.heard(1).await;
    let asked = house.voice.asked();
    assert_eq!((asked[0].voice.as_deref(), asked[0].speed), (Some("nova"), Some(1.5)));
}

/// A line that is full says so; what was accepted is heard.
#[tokio::test]
async fn i5_so_much_waits_and_no_more() {
    let house = House::start().await;
    let client = house.created().await;
    house.said(&client, json!({ "text": "First." })).await;
    house.heard(1).await;
    // One more is taken from the line and waits for its moment.
    house.said(&client, json!({ "text": "Next." })).await;
    settle().await;
    for _ in 0..PARTS_WAITING_MAX {
        house.said(&client, json!({ "text": "x" })).await;
    }
    let answer = house.say(&client, json!({ "text": "x" })).await;
    refused(&answer, 503, "Service temporarily unavailable");
    succeeded(&house.ask(&client, "interrupt").await);
    house.said(&client, json!({ "text": "x" })).await;
}

/// "created: say-text 200 (queued, rendered with no viewer)"; "ended: 410".
#[tokio::test]
async fn s3_it_is_said_in_every_state_but_the_last() {
    let house = House::start().await;
    let client = house.created().await;
    house.said(&client, json!({ "text": "created" })).await;
    assert_eq!(house.ask(&client, "init-client").await.status, 200);
    house.said(&client, json!({ "text": "initialised" })).await;
    house.stage.watched(true);
    house.said(&client, json!({ "text": "streaming" })).await;
    succeeded(&house.ask(&client, "end").await);
    refused(&house.say(&client, json!({ "text": "ended" })).await, 410, "Session ended");
}
