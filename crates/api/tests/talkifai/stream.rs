//! The stream of a turn: section 3 of the contract, to the byte.

use epilogue_core::Span;
use futures::StreamExt as _;

use crate::{client::assert_refused, support::*};

/// One event as the published clients read it: split at two line feeds, one `data:` line.
fn events(stream: &str) -> Vec<(String, serde_json::Value)> {
    assert!(!stream.contains('\r'), "{stream:?}");
    let blocks = stream.strip_suffix("\n\n").expect("every event ends with a blank line");
    let read = |block: &str| {
        let (event, data) = block.split_once('\n').expect("two lines");
        let event = event.strip_prefix("event: ").expect("an event line");
        let data = data.strip_prefix("data: ").expect("a data line");
        (event.to_owned(), serde_json::from_str(data).expect("JSON on one line"))
    };
    blocks.split("\n\n").map(read).collect()
}

/// The names of the events, the text put together, and the data of the last.
fn read(stream: &str) -> (Vec<String>, String, serde_json::Value) {
    let events = events(stream);
    let text = events.iter().filter_map(|(_, data)| data["delta"].as_str()).collect();
    let last = events.last().expect("an event").1.clone();
    (events.into_iter().map(|(name, _)| name).collect(), text, last)
}

/// Reads pieces of a stream until `seen` is in them.
async fn read_until(body: &mut axum::body::BodyDataStream, seen: &str) -> String {
    let mut text = String::new();
    while !text.contains(seen) {
        let piece = body.next().await.expect("more to come").expect("no fault");
        text.push_str(std::str::from_utf8(&piece).expect("text"));
    }
    text
}

#[tokio::test]
async fn a_turn_is_stream_start_chunks_and_stream_end() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let answer = fixture.send(held.message("Hello there")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(answer.header("x-accel-buffering"), Some("no"));
    let (names, text, _) = read(&answer.body);
    assert_eq!(names.iter().filter(|name| *name != "chunk").count(), 2);
    assert_eq!(text, "You said: Hello there");
    insta::assert_snapshot!("turn", answer.body);
}

#[tokio::test]
async fn a_tool_is_tool_call_and_tool_result_and_shows_nothing_else() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let answer = fixture.send(held.message("look it up")).await;
    insta::assert_snapshot!("turn_with_a_tool", answer.body);
}

#[tokio::test]
async fn end_chat_sets_end_session_and_leaves_the_end_to_the_client() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let (names, text, end) = read(&fixture.send(held.message("goodbye")).await.body);
    assert_eq!(names, ["stream_start", "chunk", "stream_end"]);
    assert_eq!((text.as_str(), &end["end_session"]), ("Take care!", &true.into()));
    fixture.run_until_idle().await;
    assert_eq!(fixture.send(held.history("")).await.status, 200);
    assert_eq!(fixture.send(held.end()).await.status, 200);
}

#[tokio::test]
async fn text_with_line_breaks_stays_on_one_data_line() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let (_, text, _) = read(&fixture.send(held.message("lines")).await.body);
    assert_eq!(text, "a\nb\r\nc\u{2028}\"d\"");
}

#[tokio::test]
async fn a_model_that_fails_is_the_error_event_and_says_nothing_of_the_provider() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let answer = fixture.send(held.message("fail")).await;
    assert_eq!(answer.status, 200);
    insta::assert_snapshot!("failed_turn", answer.body);
    let (names, text, last) = read(&fixture.send(held.message("break off")).await.body);
    assert_eq!(names, ["stream_start", "chunk", "error"]);
    assert_eq!(text, "Half a ");
    assert_eq!(last["error"], "The agent could not answer. Please try again.");
    // The place is free again.
    let (names, ..) = read(&fixture.send(held.message("hi")).await.body);
    assert_eq!(names.last().map(String::as_str), Some("stream_end"));
}

#[tokio::test]
async fn a_stream_that_is_silent_says_that_it_is_still_there() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let mut body = fixture.begin(held.message("slowly")).await.into_body().into_data_stream();
    read_until(&mut body, "One ").await;
    let mut next = body.next();
    assert!(futures::poll!(&mut next).is_pending());
    fixture.clock.advance(Span::from_secs(15));
    let ping = next.await.expect("a ping").expect("no fault");
    assert_eq!(&ping[..], b": ping\n\n");
}

#[tokio::test]
async fn an_end_during_a_stream_cuts_it_and_keeps_what_was_said() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let mut body = fixture.begin(held.message("slowly")).await.into_body().into_data_stream();
    let mut streamed = read_until(&mut body, "One ").await;
    assert_eq!(fixture.send(held.end()).await.status, 200);
    while let Some(piece) = body.next().await {
        streamed.push_str(std::str::from_utf8(&piece.expect("no fault")).expect("text"));
    }
    let (names, text, last) = read(&streamed);
    assert_eq!(names, ["stream_start", "chunk", "error"]);
    assert_eq!(text, "One ");
    assert_eq!(last["error"], "The conversation has ended.");
    let session = fixture.session(&held.conversation_id).await;
    let kept = fixture.engine.visible_messages(&session.org, session.id, 0, 10).await;
    let kept = kept.expect("read");
    assert_eq!((kept.len(), kept[2].body.content.as_str()), (3, "One "));
    assert!(kept[2].body.cut);
}

#[tokio::test]
async fn a_client_that_leaves_cuts_its_turn_and_what_it_got_is_kept() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let mut body = fixture.begin(held.message("slowly")).await.into_body().into_data_stream();
    read_until(&mut body, "One ").await;
    drop(body);
    // Its place is free without any time passing.
    assert_eq!(fixture.send(held.message("hi")).await.status, 200);
    let history = fixture.send(held.history("")).await.json();
    assert_eq!(history["messages"][2]["content"], "One ");
    assert_eq!(fixture.send(held.end()).await.status, 200);
    assert_refused(&fixture.send(held.message("hi")).await, 404, "Session not found or expired");
}

#[tokio::test]
async fn a_stream_holds_the_idle_timer() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    fixture.clock.advance(Span::from_secs(1_799));
    let response = fixture.begin(held.message("slowly")).await;
    fixture.clock.advance(Span::from_secs(60));
    fixture.run_until_idle().await;
    drop(response);
    assert_eq!(fixture.send(held.message("hi")).await.status, 200);
}

#[tokio::test]
async fn the_message_is_on_disk_when_the_stream_opens_whether_or_not_it_is_read() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let unread = fixture.begin(held.message("hi")).await;
    let history = fixture.send(held.history("?offset=1")).await.json();
    assert_eq!(history["messages"][0]["content"], "hi");
    drop(unread);
}
