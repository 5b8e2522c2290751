//! 2.8: completions that are refused, and completions that are asked for again.

use serde_json::json;

use crate::{chat::*, client::*};

/// "400 invalid body": `{"error":"<text>"}`
#[tokio::test]
async fn c2_8_a_body_of_another_form_400() {
    let house = house().await;
    let path = current("/chat/completions");
    for text in ["", "x", "[]", "null", "{\"messages\":"] {
        let request = keyed(DK, http::Method::POST, &path, text.to_owned());
        refused(&house.send(request).await, 400, "The body must be a JSON object");
    }
    for missing in [json!({}), json!({ "messages": null }), json!({ "messages": [] })] {
        let answer = house.send(call("s", &missing)).await;
        refused(&answer, 400, "messages must be a non-empty array");
    }
    for (messages, message) in [
        (json!(["x"]), "messages[0] must be an object"),
        (
            json!([{ "role": "wizard", "content": "x" }]),
            "messages[0].role must be system, developer, user, assistant or tool",
        ),
        (json!([{ "role": "user" }]), "messages[0].content is required"),
        (
            json!([{ "role": "user", "content": [{ "type": "image_url" }] }]),
            "messages[0].content[0] must be a part of type text",
        ),
        (
            json!([{ "role": "tool", "content": "x" }]),
            "messages[0].tool_call_id must be a string of 1 to 255 characters",
        ),
        (json!([{ "role": "assistant", "content": null }]), "messages say nothing"),
    ] {
        let answer = house.send(call("s", &json!({ "messages": messages }))).await;
        refused(&answer, 400, message);
    }
    let answer = house.send(call("s", &body(&[user("x")], json!({ "stream": "yes" })))).await;
    refused(&answer, 400, "stream must be a boolean");
    assert!(house.session_in(PROJECT, "s").await.is_none(), "nothing is opened");
}

/// Messages in any order are said in that order
#[tokio::test]
async fn c2_8_messages_need_no_order() {
    let house = house().await;
    let messages = [
        json!({ "role": "assistant", "content": "Well?" }),
        user("Hello"),
        json!({ "role": "system", "content": "Be brief." }),
    ];
    let completion = house.asks_with("s", &messages, json!({})).await;
    assert_eq!(content(&completion), "You said: Hello");
    let first = house.lines("s").await;
    assert_eq!(first[..3], ["assistant: Well?", "user: Hello", "system: Be brief."]);
}

/// "401": the same body for all that can be wrong with a key
#[tokio::test]
async fn c1_a_completion_without_a_good_key_401() {
    let house = house().await;
    for key in ["", "nonsense", OTHER_SK, "tk_widget_acme", READ_SK] {
        let path = current("/chat/completions");
        let body = body(&[user("Hello")], json!({ "stream": true })).to_string();
        unauthorized(&house.send(keyed(key, http::Method::POST, &path, body)).await);
    }
}

/// Huge bodies are not read
#[tokio::test]
async fn c2_8_a_huge_body_413() {
    let house = house().await;
    let huge = body(&[user(&"x".repeat(300_000))], json!({}));
    let answer = house.send(call("s", &huge)).await;
    assert_eq!(answer.status, 413);
    assert!(answer.json()["error"].is_string());
}

/// An organization without credits opens nothing: 402, which clients do not try again
#[tokio::test]
async fn c2_8_without_credits_402() {
    let house = house().await;
    let path = format!("/v1/projects/{BROKE_PROJECT}/chat/completions");
    for stream in [false, true] {
        let body = body(&[user("Hello")], json!({ "stream": stream })).to_string();
        let request = keyed("tk_live_broke", http::Method::POST, &path, body);
        refused(&house.send(request).await, 402, "Insufficient credits");
    }
}

/// Too many messages for a session, or too many sessions for a key: 429, which clients try again later
#[tokio::test]
async fn c2_8_too_many_messages_429() {
    let house = house_with(|setup| {
        setup.settings.messages_per_minute = 2;
        setup.settings.opens_per_minute = 2;
    })
    .await;
    for _ in 0..2 {
        house.asks("s", "Hello").await;
    }
    for stream in [false, true] {
        let answer = house.send(call("s", &body(&[user("Hi")], json!({ "stream": stream })))).await;
        refused(&answer, 429, "Rate limit exceeded");
        assert_eq!(answer.header("retry-after"), Some("60"));
        assert_eq!(answer.header("x-ratelimit-limit"), Some("2"));
    }
    assert_eq!(house.session("s").await.turns, 2);
    house.asks("t", "Hello").await;
    let third = house.send(call("u", &body(&[user("Hi")], json!({})))).await;
    refused(&third, 429, "Rate limit exceeded");
    house.clock.advance(epilogue_core::Span::from_secs(60));
    house.asks("s", "Hello").await;
    house.asks("u", "Hello").await;
}

/// A turn that fails leaves no trace, so that a client that asks again by itself doubles nothing
#[tokio::test]
async fn c2_8_a_turn_that_is_tried_again_is_said_once() {
    let house = house().await;
    for said in ["fail", "break off", "time out"] {
        let answer = house.send(call("s", &body(&[user(said)], json!({})))).await;
        refused(&answer, 500, "The agent could not answer. Please try again.");
        assert_eq!(answer.header("x-should-retry"), None, "{said}: it may help");
    }
    let never = house.send(call("s", &body(&[user("misconfigured")], json!({})))).await;
    assert_eq!((never.status.as_u16(), never.header("x-should-retry")), (500, Some("false")));
    house.asks("s", "Hello").await;
    assert_eq!(house.lines("s").await, ["user: Hello", "assistant: You said: Hello"]);
    let usage = house.session("s").await.usage;
    assert_eq!((usage.user_messages, usage.model_calls), (1, 1));
}

/// `Idempotency-Key`: a repeated call is answered from the record, byte by byte
#[tokio::test]
async fn c2_8_a_repeated_call_is_answered_from_the_record() {
    let house = house().await;
    let keyed = |text: &str, stream: bool| {
        let body = body(&[user(text)], json!({ "stream": stream }));
        headed(&[("x-session-id", "s"), ("idempotency-key", "k-1")], &body)
    };
    let first = house.send(keyed("Hello", false)).await;
    house.clock.advance(epilogue_core::Span::from_secs(5));
    let again = house.send(keyed("Hello", false)).await;
    assert_eq!(first.told(), again.told());
    let streamed = Told::read(&house.send(keyed("Hello", true)).await.body);
    assert_eq!((streamed.text(), streamed.done), ("You said: Hello".to_owned(), true));
    assert_eq!(streamed.last()["id"], first.json()["id"]);
    assert_eq!(house.models.asked().len(), 1);
    let session = house.session("s").await;
    assert_eq!((session.turns, session.messages), (1, 2));
    for wrong in ["", &"k".repeat(256)] {
        let headers = [("x-session-id", "s"), ("idempotency-key", wrong)];
        let answer = house.send(headed(&headers, &body(&[user("Hello")], json!({})))).await;
        refused(&answer, 400, "Idempotency-Key must have 1 to 255 ASCII characters");
    }
}

/// The same where the server made the session's name, and where the turn was the session's last
#[tokio::test]
async fn c2_8_a_repeated_call_finds_its_session_again() {
    let house = house().await;
    let tools = json!({ "tools": [tool("web_search")] });
    let keyed = |text: &str, key: &str| {
        headed(&[("idempotency-key", key)], &body(&[user(text)], tools.clone()))
    };
    for (said, key) in [("look it up", "k-1"), ("goodbye", "k-2")] {
        let first = house.send(keyed(said, key)).await;
        let again = house.send(keyed(said, key)).await;
        assert_eq!(first.told(), again.told(), "{said}");
        let name = first.header("x-session-id").expect("a name").to_owned();
        assert_eq!((again.header("x-session-id"), first.status.as_u16()), (Some(&*name), 200));
        assert_eq!(house.session(&name).await.turns, 1);
    }
    assert_eq!(house.models.asked().len(), 2);
}

/// A call whose session is gone for good is known by its digest, and not answered by another turn
#[tokio::test]
async fn c2_8_a_repeated_call_whose_session_is_gone_400() {
    let house = house().await;
    let keyed = || {
        let headers = [("x-session-id", "s"), ("idempotency-key", "k")];
        headed(&headers, &body(&[user("goodbye")], json!({})))
    };
    assert_eq!(house.send(keyed()).await.status, 200);
    house.run_until_idle().await;
    let again = house.send(keyed()).await;
    let message = "This call was answered before, and its session is gone with the answer";
    refused(&again, 400, message);
    assert_eq!(house.models.asked().len(), 1);
    let fresh = house.asks("s", "Hello").await;
    assert_eq!(content(&fresh), "You said: Hello");
}
