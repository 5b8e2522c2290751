//! C2: `POST /v1/chat/sessions/{conversation_id}/messages`, before the stream opens.

use axum::body::Body;
use epilogue_core::Span;
use http::Method;
use serde_json::json;

use crate::{client::assert_refused, support::*};

#[tokio::test]
async fn a_message_of_the_longest_length_is_taken_and_one_past_it_is_400() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    // Characters, not bytes: each of these has four.
    let answer = fixture.send(held.message(&"\u{1f642}".repeat(10_000))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = fixture.send(held.message(&"\u{1f642}".repeat(10_001))).await;
    assert_refused(&answer, 400, "Message too long (max 10000 characters)");
}

#[tokio::test]
async fn an_empty_message_is_400() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    for body in [r#"{"message":""}"#, "{}", r#"{"message":null}"#] {
        let answer = fixture.send(held.request(Method::POST, "messages", body)).await;
        assert_refused(&answer, 400, "Message is required");
    }
    assert_eq!(fixture.send(held.message("x")).await.status, 200);
}

#[tokio::test]
async fn a_message_that_is_no_text_in_json_is_422() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let bodies: [&[u8]; 6] = [
        b"",
        b"{\"message\": \"unfinished",
        b"{\"message\": \"\xff\xfe\"}",
        b"{\"message\": [\"a\"]}",
        b"[]",
        b"{\"message\": 1e999}",
    ];
    for body in bodies {
        let answer = fixture.send(held.request(Method::POST, "messages", body)).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        let issue = &answer.json()["detail"][0];
        assert_eq!(issue["loc"][0], "body");
        assert!(issue["type"].is_string() && issue["msg"].is_string(), "{issue}");
    }
    let answer = fixture.send(held.request(Method::POST, "messages", r#"{"message":1}"#)).await;
    insta::assert_snapshot!("message_of_the_wrong_type", answer.body);
}

#[tokio::test]
async fn json_that_nests_too_deeply_is_422_and_crashes_nothing() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let deep = format!(r#"{{"message":{}"#, "[".repeat(100_000));
    let answer = fixture.send(held.request(Method::POST, "messages", deep)).await;
    assert_eq!(answer.status, 422);
    assert_eq!(fixture.send(held.message("still here")).await.status, 200);
}

#[tokio::test]
async fn a_body_of_the_largest_size_is_read_and_one_byte_more_is_413() {
    let fixture = Fixture::with(|setup| setup.settings.body_bytes_max = 64).await;
    let body = |length: usize| {
        let text = r#"{"agent_id":"nobody"}"#;
        format!("{text}{}", " ".repeat(length - text.len()))
    };
    let with = |body: Body| crate::client::open_with(&[("X-API-Key", KEY)], body);
    assert_eq!(fixture.send(with(body(64).into())).await.status, 404);
    let text = "Request body too large (max 64 bytes)";
    assert_refused(&fixture.send(with(body(65).into())).await, 413, text);
    // One that does not say how long it is.
    let chunks = body(65).into_bytes().chunks(10).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let chunks = chunks.into_iter().map(Ok::<_, std::io::Error>);
    let streamed = Body::from_stream(futures::stream::iter(chunks));
    assert_refused(&fixture.send(with(streamed)).await, 413, text);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408_and_one_that_breaks_off_is_400() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let silent = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let mut answer = Box::pin(fixture.send(held.request(Method::POST, "messages", silent)));
    assert!(futures::poll!(&mut answer).is_pending());
    fixture.clock.advance(Span::from_secs(30));
    assert_refused(&answer.await, 408, "Request body was not received in time");
    let broken = Err::<Vec<u8>, _>(std::io::Error::other("reset"));
    let broken = Body::from_stream(futures::stream::iter([broken]));
    let answer = fixture.send(held.request(Method::POST, "messages", broken)).await;
    assert_refused(&answer, 400, "Request body could not be read");
}

#[tokio::test]
async fn a_session_that_is_over_is_404_whatever_the_message() {
    let fixture = Fixture::start().await;
    let (ended, expired) = (fixture.hold().await, fixture.hold().await);
    assert_eq!(fixture.send(ended.end()).await.status, 200);
    // Expired, and nobody has swept it yet.
    fixture.clock.advance(Span::from_secs(1_800));
    for held in [&ended, &expired] {
        let too_long = json!({ "message": "x".repeat(10_001) }).to_string();
        for body in [r#"{"message":"hi"}"#, "{", r#"{"message":""}"#, &too_long] {
            let answer =
                fixture.send(held.request(Method::POST, "messages", body.to_owned())).await;
            assert_refused(&answer, 404, "Session not found or expired");
        }
    }
}

#[tokio::test]
async fn a_second_message_waits_for_the_first_in_order() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let first = fixture.begin(held.message("slowly")).await;
    let mut second = Box::pin(fixture.send(held.message("second")));
    assert!(futures::poll!(&mut second).is_pending());
    let mut third = Box::pin(fixture.send(held.message("third")));
    assert!(futures::poll!(&mut third).is_pending());
    // The first client leaves; its turn is cut, and the next ones have their turns.
    drop(first);
    assert_eq!(second.await.status, 200);
    assert_eq!(third.await.status, 200);
    let history = fixture.send(held.history("")).await.json();
    let said: Vec<_> = history["messages"].as_array().expect("a list").iter().collect();
    let users: Vec<_> =
        said.iter().filter(|m| m["role"] == "user").map(|m| &m["content"]).collect();
    assert_eq!(users, ["slowly", "second", "third"]);
}

#[tokio::test]
async fn a_message_that_waits_too_long_or_behind_too_many_is_409() {
    let fixture = Fixture::with(|setup| {
        setup.limits.turns_waiting_max = 1;
        setup.limits.turn_wait = Span::from_secs(120);
    })
    .await;
    let held = fixture.hold().await;
    let _first = fixture.begin(held.message("slowly")).await;
    let mut second = Box::pin(fixture.send(held.message("second")));
    assert!(futures::poll!(&mut second).is_pending());
    let text = "Another message of this session is still being answered";
    assert_refused(&fixture.send(held.message("third")).await, 409, text);
    fixture.clock.advance(Span::from_secs(120));
    assert_refused(&second.await, 409, text);
}

#[tokio::test]
async fn a_server_that_stops_takes_no_message() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    fixture.engine.begin_drain();
    let answer = fixture.send(held.message("hi")).await;
    assert_refused(&answer, 503, "The server is restarting. Please try again.");
    assert_eq!(answer.header("retry-after"), Some("2"));
}

#[tokio::test]
async fn a_message_that_cannot_be_recorded_is_500_without_particulars() {
    let fixture = Fixture::start().await;
    let held = fixture.hold().await;
    let database = fixture.database();
    database.execute_batch("ALTER TABLE messages RENAME TO away").expect("broken");
    assert_refused(&fixture.send(held.message("hi")).await, 500, "Internal server error");
    assert_refused(&fixture.send(held.history("")).await, 500, "Internal server error");
    database.execute_batch("ALTER TABLE away RENAME TO messages").expect("mended");
    assert_eq!(fixture.send(held.message("hi")).await.status, 200);
}
