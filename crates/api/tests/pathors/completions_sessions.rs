//! 2.8: which session a completion is about, and how it comes to be.

use epilogue_core::Span;
use serde_json::json;

use crate::{chat::*, client::*};

/// "Both header and body id: the header wins"
#[tokio::test]
async fn c2_8_the_header_wins_over_the_body() {
    let house = house().await;
    let both = body(&[user("Hello")], json!({ "session_id": "of-the-body" }));
    names(&house.send(call("of-the-header", &both)).await, "of-the-header");
    names(&house.send(headed(&[], &both)).await, "of-the-body");
    // What the body says is not even looked at.
    let wrong = body(&[user("Hello")], json!({ "session_id": 7 }));
    assert_eq!(house.send(call("of-the-header", &wrong)).await.status, 200);
}

/// "Neither: the server makes an id and returns it"
#[tokio::test]
async fn c2_8_without_a_name_the_server_makes_one() {
    let house = house().await;
    let nameless = body(&[user("Hello")], json!({ "session_id": null }));
    let first = house.send(headed(&[], &nameless)).await;
    let name = first.header("x-session-id").expect("a name").to_owned();
    names(&first, &name);
    let other = house.send(headed(&[], &nameless)).await;
    assert_ne!(other.header("x-session-id"), Some(&*name), "each its own");
    house.asks(&name, "Again").await;
    assert_eq!(house.session(&name).await.turns, 2);
}

/// "`session_id` length: accept 1–255 after rejecting blank"; a header carries UTF-8
#[tokio::test]
async fn c6_names_are_any_text_of_up_to_255_characters() {
    let house = unlimited().await;
    let long = "\u{e9}".repeat(255);
    for name in ["stats", "search", "a/b?c#d", "50%25", "caf\u{e9}", "\u{1f44b}", &long] {
        names(&house.send(call(name, &body(&[user("Hello")], json!({})))).await, name);
        let in_body = body(&[user("Hello")], json!({ "session_id": name }));
        names(&house.send(headed(&[], &in_body)).await, name);
        assert_eq!(house.session(name).await.turns, 2, "{name}: one session");
    }
    // What no header can carry comes in a body, and goes back in one.
    for name in ["a\nb", "\0", " a "] {
        let in_body = body(&[user("Hello")], json!({ "session_id": name }));
        let answer = house.send(headed(&[], &in_body)).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["session_id"]), (200, &json!(name)));
        assert_eq!(answer.header("x-session-id"), None);
    }
    let longer = "\u{e9}".repeat(256);
    let header = house.send(call(&longer, &body(&[user("Hello")], json!({})))).await;
    refused(&header, 400, "X-Session-ID must have 1 to 255 characters and not be blank");
    for bad in ["", "   ", &longer] {
        let in_body = body(&[user("Hello")], json!({ "session_id": bad }));
        refused(&house.send(headed(&[], &in_body)).await, 400, "session_id is required");
    }
    let mut latin = call("x", &body(&[user("Hello")], json!({})));
    let bytes = http::HeaderValue::from_bytes(b"caf\xe9").expect("a header");
    latin.headers_mut().insert("x-session-id", bytes);
    refused(&house.send(latin).await, 400, "X-Session-ID must be UTF-8");
}

/// "Unknown id: create it on the fly with no variables"
#[tokio::test]
async fn c2_8_an_unknown_session_is_opened_on_the_fly() {
    let house = house().await;
    assert!(house.session_in(PROJECT, "s").await.is_none());
    house.asks("s", "Hello").await;
    let session = house.session("s").await;
    assert!(session.context.bag.is_empty() && session.ended().is_none());
    assert_eq!(house.lines("s").await, ["user: Hello", "assistant: You said: Hello"]);
}

/// "Ended id: same, a fresh empty session", whoever has ended it, and if nobody has noticed yet
#[tokio::test]
async fn c2_8_an_ended_session_is_opened_anew_and_empty() {
    let house = house().await;
    house.created("s", json!({ "variables": { "name": "Ann" } })).await;
    house.asks("s", "Hello").await;
    let first = house.session("s").await;
    let asked = epilogue_core::EndRequest::asked(epilogue_core::EndReason::UserEnd);
    house.engine.end(&ORG.into(), first.id, asked).await.expect("ended");
    house.clock.advance(Span::from_millis(1));
    house.asks("s", "And now?").await;
    let second = house.session("s").await;
    assert_ne!(second.id, first.id);
    assert!(second.context.bag.is_empty());
    assert_eq!(house.lines("s").await, ["user: And now?", "assistant: You said: And now?"]);

    house.clock.advance(Span::from_secs(1_800));
    house.asks("s", "Hello?").await;
    let third = house.session("s").await;
    assert_ne!(third.id, second.id, "its time was up");
    assert_eq!(third.messages, 2);
}

/// Two first completions at once: one session, and both are served in order
#[tokio::test]
async fn c2_8_of_many_first_completions_one_opens_the_session() {
    let house = unlimited().await;
    let calls = (0..6).map(|n| {
        let stream = json!({ "stream": n % 2 == 0 });
        house.send(call("s", &body(&[user(&format!("word {n}"))], stream)))
    });
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("x-session-id"), Some("s"));
    }
    let lines = house.lines("s").await;
    assert_eq!(lines.len(), 12);
    for pair in lines.chunks(2) {
        let said = pair[0].strip_prefix("user: ").expect("said");
        assert_eq!(pair[1], format!("assistant: You said: {said}"));
    }
}

/// A session that a call opens comes about with its first turn: without it, nobody hears of one
#[tokio::test]
async fn c2_8_a_refused_or_failed_first_call_leaves_no_session() {
    let house = house().await;
    let nobody = |answer: crate::support::Answer, name: String, status: u16| {
        assert_eq!(answer.status, status, "{}", answer.body);
        name
    };
    for stream in [false, true] {
        for (messages, status) in [
            (vec![user("fail")], 500),
            (vec![json!({ "role": "tool", "tool_call_id": "z", "content": "r" })], 400),
        ] {
            let asked = body(&messages, json!({ "stream": stream }));
            let nameless = house.send(headed(&[], &asked)).await;
            let made = nameless.header("x-session-id").expect("a name").to_owned();
            let made = nobody(nameless, made, status);
            let named = nobody(house.send(call("s", &asked)).await, "s".into(), status);
            for name in [made, named] {
                assert!(house.session_in(PROJECT, &name).await.is_none());
                assert_eq!(house.query(&name).await.status, 404);
            }
        }
    }
    house.run_until_idle().await;
    assert_eq!(house.webhooks.heard().len(), 0, "nobody is told");
    let history = house.send(get("/session-history")).await.json();
    assert_eq!(history["pagination"]["total"], 0, "{history}");
    // The name is free, and one that was created before stays whatever fails in it.
    house.created("s", json!({})).await;
    assert_eq!(house.send(call("s", &body(&[user("fail")], json!({})))).await.status, 500);
    assert!(house.session("s").await.ended().is_none());
}

/// "an in-flight completion on that session is cut off": one that waits in line as well, and the session
/// stays ended
#[tokio::test]
async fn c2_4_a_call_that_waits_behind_an_end_is_cut_with_it() {
    let house = house().await;
    house.created("s", json!({ "variables": { "name": "Ann" } })).await;
    let mut running = Listening::to(&house, "s", "for ever").await;
    running.until("One ").await;
    let asked = |stream: bool| call("s", &body(&[user("Hello")], json!({ "stream": stream })));
    let waiting = futures::future::join(house.send(asked(false)), house.send(asked(true)));
    tokio::pin!(waiting);
    // They are in line before the end comes.
    for _ in 0..250 {
        assert!(futures::poll!(&mut waiting).is_pending());
        tokio::task::yield_now().await;
        std::thread::sleep(std::time::Duration::from_micros(300));
    }
    assert_eq!(house.end("s").await.status, 200);
    let (plain, streamed) = waiting.await;
    let completion = plain.json();
    assert_eq!((content(&completion), &completion["session_ended"]), (&json!(""), &json!(true)));
    let told = Told::read(&streamed.body);
    assert_eq!((told.done, &told.last()["session_ended"]), (true, &json!(true)));
    assert!(running.rest().await.done);
    assert_eq!(house.query("s").await.status, 404, "it stays ended");
    assert_eq!(house.models.asked().len(), 1);
}

/// A header that is empty names nothing: many set it from a variable that is
#[tokio::test]
async fn c2_8_an_empty_header_counts_as_none() {
    let house = house().await;
    let in_body = body(&[user("Hello")], json!({ "session_id": "of-the-body" }));
    names(&house.send(call("", &in_body)).await, "of-the-body");
    let made = house.send(call(" ", &body(&[user("Hello")], json!({})))).await;
    assert!(made.header("x-session-id").is_some_and(|name| name.len() > 10));
}
