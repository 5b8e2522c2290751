//! 4: completions that are streamed, to the byte.

use epilogue_core::{EndReason, EndRequest, MicroCredits, Span};
use serde_json::json;

use crate::{chat::*, client::*};

/// "Chunk: `{id, object, created, model, choices:[{index, delta, finish_reason}], session_id}`"; "each event
/// is one line `data: <json>` and a blank line"; "the literal `data: [DONE]`"
#[tokio::test]
async fn c4_a_stream_is_chunks_a_last_one_and_done() {
    let house = house().await;
    let stream = json!({ "stream": true });
    let answer = house.send(call("s", &body(&[user("Hello")], stream))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(answer.header("x-accel-buffering"), Some("no"));
    assert_eq!(answer.header("x-session-id"), Some("s"));
    let told = Told::read(&answer.body);
    let id = told.parts[0]["id"].clone();
    assert!(id.as_str().is_some_and(|id| id.starts_with("chatcmpl-")));
    let chunk = |delta: serde_json::Value, reason: Option<&str>| {
        json!({
            "id": id,
            "object": "chat.completion.chunk",
            "created": 1_705_312_800,
            "model": "pathway-default",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": reason }],
            "session_id": "s",
        })
    };
    let expected = [
        chunk(json!({ "role": "assistant", "content": "You " }), None),
        chunk(json!({ "content": "said: " }), None),
        chunk(json!({ "content": "Hello" }), None),
        chunk(json!({}), Some("stop")),
    ];
    assert_eq!(told.parts, expected);
    assert!(told.done && answer.body.ends_with("data: [DONE]\n\n"));
}

/// Line breaks of every kind stay within one line
#[tokio::test]
async fn c4_text_with_line_breaks_stays_on_one_line() {
    let house = house().await;
    let text = "a\nb\r\nc\u{2028}\"d\"";
    let told = streamed(&house, "s", &[user(text)], json!({})).await;
    assert_eq!(told.text(), format!("You said: {text}"));
}

/// A stream that is silent says that it is still there, in a comment, which clients pass over
#[tokio::test]
async fn c4_a_silent_stream_says_that_it_is_still_there() {
    let house = house().await;
    let mut stream = Listening::to(&house, "s", "for ever").await;
    stream.until("One ").await;
    let mut next = Box::pin(stream.until(": ping\n\n"));
    assert!(futures::poll!(&mut next).is_pending());
    house.clock.advance(Span::from_secs(15));
    next.await;
}

/// "an in-flight completion on that session is cut off"; the last chunk says so, and the stream is done
#[tokio::test]
async fn c2_4_an_end_in_mid_stream_cuts_it_in_order() {
    let house = house_with(|setup| {
        let agents = &mut setup.organizations[0].agents;
        let agent = agents.iter_mut().find(|agent| agent.id.as_str() == PATHWAY).expect("there");
        agent.price = serde_json::from_value(json!({ "per_message": "0.01" })).expect("a price");
    })
    .await;
    let mut stream = Listening::to(&house, "s", "for ever").await;
    assert_eq!(stream.headers["x-session-id"], "s");
    stream.until("One ").await;
    assert_eq!(house.end("s").await.status, 200);
    let ended = house.session("s").await.ended().cloned().expect("it ended");
    let told = stream.rest().await;
    assert!(told.done);
    assert_eq!(told.text(), "One ");
    assert_eq!(told.last()["session_ended"], true);
    assert_eq!(told.last()["choices"][0]["finish_reason"], "stop");
    assert_eq!(told.last()["choices"][0]["delta"], json!({}));
    let session = house.session("s").await;
    assert_eq!(ended.cost, MicroCredits(20_000), "what was said is billed");
    assert_eq!((session.messages, session.usage.total_messages), (2, 2));
}

/// The same before anything was said: the first chunk is there all the same
#[tokio::test]
async fn c2_4_an_end_before_the_first_word_is_an_orderly_end_too() {
    let house = house().await;
    house.created("s", json!({})).await;
    let request = call("s", &body(&[user("slow goodbye")], json!({ "stream": true })));
    let streaming = house.send(request);
    let ending = async {
        house.asked(1).await;
        assert_eq!(house.end("s").await.status, 200);
    };
    let (answer, ()) = tokio::join!(streaming, ending);
    assert_eq!(answer.status, 200);
    let told = Told::read(&answer.body);
    assert_eq!((told.text(), told.done, told.parts.len()), (String::new(), true, 2));
    assert_eq!(told.parts[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(told.last()["session_ended"], true);
}

/// "non-streamed: 200 with what was said"
#[tokio::test]
async fn c2_4_an_end_in_mid_turn_answers_what_was_said_until_then() {
    let house = house().await;
    house.created("s", json!({})).await;
    let asking = house.send(call("s", &body(&[user("slowly")], json!({}))));
    let ending = async {
        house.asked(1).await;
        // The first word comes at once, the second ten seconds later.
        settle(&house).await;
        house.clock.advance(Span::from_secs(10));
        settle(&house).await;
        let session = house.session("s").await;
        let asked = EndRequest::asked(EndReason::Operator);
        house.engine.end(&ORG.into(), session.id, asked).await.expect("no fault");
    };
    let (answer, ()) = tokio::join!(asking, ending);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let completion = answer.json();
    assert_eq!(content(&completion), "One two ");
    assert_eq!(completion["session_ended"], true);
    assert_eq!(completion["choices"][0]["finish_reason"], "stop");
    assert_eq!(house.lines("s").await, ["user: slowly", "assistant: One two "]);
}

/// Lets everything go on that can, in real time but not for long.
async fn settle(_house: &crate::support::Fixture) {
    for _ in 0..250 {
        tokio::task::yield_now().await;
        std::thread::sleep(std::time::Duration::from_micros(300));
    }
}

/// The agent's goodbye is the end of the stream and of the session
#[tokio::test]
async fn c3_a_goodbye_is_told_with_the_last_chunk() {
    let house = house().await;
    let told = streamed(&house, "s", &[user("goodbye")], json!({})).await;
    assert_eq!((told.text().as_str(), told.done), ("Take care!", true));
    assert_eq!(told.last()["session_ended"], true);
    assert!(house.session("s").await.ended().is_some());
}

/// "Errors before the first chunk are plain JSON with a status"
#[tokio::test]
async fn c4_what_goes_wrong_before_the_first_chunk_has_a_status() {
    let house = house().await;
    let stream = json!({ "stream": true });
    let failed = house.send(call("s", &body(&[user("fail")], stream.clone()))).await;
    refused(&failed, 500, "The agent could not answer. Please try again.");
    assert_eq!(failed.header("x-session-id"), Some("s"));
    assert!(house.session_in(PROJECT, "s").await.is_none(), "it left no trace");
    let wrong = house.send(call("s", &body(&[], stream))).await;
    refused(&wrong, 400, "messages must be a non-empty array");
}

/// "after it, one `data: {"error":{"message":…}}` then close without `[DONE]`"
#[tokio::test]
async fn c4_what_goes_wrong_later_is_one_event_and_no_done() {
    let house = house().await;
    let told = streamed(&house, "s", &[user("break off")], json!({})).await;
    assert_eq!((told.text().as_str(), told.done), ("Half a ", false));
    let message = "The agent could not answer. Please try again.";
    assert_eq!(*told.last(), json!({ "error": { "message": message } }));
    assert_eq!(house.lines("s").await, ["user: break off", "assistant: Half a "]);
}

/// "a client that hangs up in mid-stream cuts the turn, keeps and bills what was sent"
#[tokio::test]
async fn c4_who_hangs_up_cuts_the_turn_and_keeps_what_was_sent() {
    let house = house().await;
    let mut stream = Listening::to(&house, "s", "for ever").await;
    stream.until("One ").await;
    drop(stream);
    // The next turn waits for the one that is cut.
    house.asks("s", "Hello").await;
    let lines = house.lines("s").await;
    assert_eq!(lines[..2], ["user: for ever", "assistant: One "]);
    assert!(house.session("s").await.usage.output_tokens > 0);
}

/// A whole answer whose caller hangs up: nothing is left of it, for who heard nothing asks again; under a
/// name of the call's own it is carried through, for whoever repeats it
#[tokio::test]
async fn c4_a_whole_answer_without_its_caller() {
    let house = house().await;
    house.created("s", json!({})).await;
    let mut asking = Box::pin(house.begin(call("s", &body(&[user("slowly")], json!({})))));
    assert!(futures::poll!(&mut asking).is_pending());
    while house.models.asked().is_empty() {
        let _ = futures::poll!(&mut asking);
        settle(&house).await;
    }
    drop(asking);
    settle(&house).await;
    assert!(house.lines("s").await.is_empty());
    let session = house.session("s").await;
    assert!(session.turn_in_flight().is_none() && session.usage.model_calls == 0);

    let named = || {
        let headers = [("x-session-id", "s"), ("idempotency-key", "k")];
        headed(&headers, &body(&[user("slowly")], json!({})))
    };
    let mut asking = Box::pin(house.begin(named()));
    assert!(futures::poll!(&mut asking).is_pending());
    while house.models.asked().len() < 2 {
        let _ = futures::poll!(&mut asking);
        settle(&house).await;
    }
    drop(asking);
    for _ in 0..3 {
        settle(&house).await;
        house.clock.advance(Span::from_secs(10));
    }
    settle(&house).await;
    assert_eq!(house.lines("s").await, ["user: slowly", "assistant: One two three"]);
    let again = house.send(named()).await;
    assert_eq!((again.status.as_u16(), house.models.asked().len()), (200, 2));
}
