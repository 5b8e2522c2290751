//! The grammar: what each message must be, and what becomes of those that are not.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use crate::page::Server;

const FRAME_BYTES: usize = 64 * 1024;

/// A message of exactly so many bytes that says this.
fn padded(message: &Value, bytes: usize) -> String {
    let message = message.to_string();
    format!("{message}{}", " ".repeat(bytes - message.len()))
}

fn chat(text: &str) -> Value {
    json!({ "type": "incomingChatMessage", "content": text })
}

#[tokio::test]
async fn every_message_has_type_timestamp_and_channel() {
    let server = Server::start().await;
    let mut page = server.connect().await;
    let request = json!({ "callType": "chat" });
    page.say(json!({ "type": "initialize", "channelId": "c1", "request": request })).await;
    let connection = page.hear().await;
    let record = connection["data"]["recordId"].clone();
    let (time, channel) = ("2024-01-15T10:00:00.000Z", "c1");
    let event = |name: &str| {
        json!({ "type": "event", "timestamp": time, "channelId": channel, "name": name,
            "data": { "recordId": record } })
    };
    let text = |source: &str, text: &str, potential: bool| {
        json!({ "type": "text", "timestamp": time, "channelId": channel,
            "content": { "source": source, "text": text, "potential": potential } })
    };
    assert_eq!(connection, event("connection"));
    assert_eq!(page.hear().await, event("opened"));
    page.say(chat("hi")).await;
    assert_eq!(page.hear().await, text("user", "hi", false));
    assert_eq!(page.hear().await, text("assistant", "You ", true));
    assert_eq!(page.hear().await, text("assistant", "You said: hi", false));
    page.say(json!({ "type": "terminate" })).await;
    assert_eq!(
        page.hear().await,
        json!({ "type": "conversationResult", "timestamp": time, "channelId": channel,
            "result": { "status": "Completed", "finishReason": "user_end" },
            "content": { "summary": "The conversation ended (user_end) after 2 messages." } })
    );
    assert_eq!(page.hear().await, event("closed"));
    assert_eq!(page.closed().await, 1000);
}

#[tokio::test]
async fn a_channel_that_was_not_named_is_null() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.say(chat("hi")).await;
    let echo = page.hear().await;
    assert!(echo.as_object().expect("an object").contains_key("channelId"));
    assert_eq!(echo["channelId"], Value::Null);
}

#[tokio::test]
async fn messages_that_are_not_what_their_type_says_close_with_1007() {
    let server = Server::start().await;
    let response = |content: Value| json!({ "type": "websocketToolResponse", "channelId": null, "content": content });
    for (message, words) in [
        (
            json!({ "type": "incomingChatMessage", "content": { "text": "hi" } }),
            "`content` must be a text",
        ),
        (json!({ "type": "incomingChatMessage" }), "`content` must be a text"),
        (
            json!({ "type": "websocketToolResponse", "content": { "id": "1", "result": 1 } }),
            "`channelId` must be there, though it may be null",
        ),
        (response(json!("x")), "`content` must be an object"),
        (response(json!({ "result": 1 })), "`id` must be a text"),
        (json!({ "type": "dance" }), "Unknown message type"),
        (json!({ "content": "hi" }), "`type` must be a text"),
        (json!("hi"), "The message is not a JSON object"),
    ] {
        let mut page = server.open().await;
        page.say(message).await;
        page.is_refused(words, 1007).await;
    }
    let mut page = server.open().await;
    page.send(Message::text("{")).await;
    page.is_refused("The message is not a JSON object", 1007).await;
}

#[tokio::test]
async fn initialize_has_a_request_for_a_chat() {
    let server = Server::start().await;
    for (request, words, code) in [
        (json!({}), "`callType` must be chat", 1007),
        (json!({ "callType": "fax" }), "`callType` must be chat", 1007),
        (json!({ "callType": "webCall" }), "Voice is not supported", 1003),
        (json!({ "callType": "onPhone" }), "Voice is not supported", 1003),
        (
            json!({ "callType": "chat", "additionalData": [] }),
            "`additionalData` must be an object",
            1007,
        ),
    ] {
        let mut page = server.connect().await;
        page.say(json!({ "type": "initialize", "request": request })).await;
        page.is_refused(words, code).await;
    }
    let mut page = server.connect().await;
    page.say(json!({ "type": "initialize", "devRequest": { "callType": "chat" } })).await;
    page.is_refused("`request` must be an object", 1007).await;
}

#[tokio::test]
async fn binary_messages_close_with_1003() {
    let server = Server::start().await;
    let mut page = server.connect().await;
    page.send(Message::binary(b"{}".to_vec())).await;
    page.is_refused("Binary messages are not supported", 1003).await;
    let mut page = server.open().await;
    page.send(Message::binary(chat("hi").to_string().into_bytes())).await;
    page.is_refused("Binary messages are not supported", 1003).await;
}

#[tokio::test]
async fn sdp_answers_are_voice() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.say(json!({ "type": "sdpAnswer", "data": { "sdpAnswer": "v=0" } })).await;
    page.is_refused("Voice is not supported", 1003).await;
}

#[tokio::test]
async fn too_large_message_is_one_of_more_than_64_kib() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.send(Message::text(padded(&chat("hi"), FRAME_BYTES))).await;
    assert_eq!(page.hear_text().await.1, "hi");
    assert_eq!(page.hear_text().await.1, "You said: hi");
    page.send(Message::text(padded(&chat("hi"), FRAME_BYTES + 1))).await;
    page.is_refused("Too large message", 1009).await;
}

#[tokio::test]
async fn content_of_more_than_32_kib_is_too_large() {
    let server = Server::start().await;
    let mut page = server.open().await;
    assert!(page.talk(&"x".repeat(32 * 1024)).await.starts_with("You said: xxx"));
    page.chat(&"x".repeat(32 * 1024 + 1)).await;
    page.is_refused("Too large message", 1009).await;
}

#[tokio::test]
async fn what_is_larger_than_is_read_at_all_is_too_large_too() {
    let server = Server::start().await;
    let mut page = server.open().await;
    // Its head alone says how long it is; the rest need not come.
    let mut head = vec![0x81, 0x80 | 127];
    head.extend((1024 * 1024 + 1_u64).to_be_bytes());
    head.extend([0; 4]);
    page.socket.get_mut().write_all(&head).await.expect("sent");
    page.is_refused("Too large message", 1009).await;
}

fn part(text: &str, opcode: Data, is_final: bool) -> Message {
    Message::Frame(Frame::message(text.to_owned(), OpCode::Data(opcode), is_final))
}

#[tokio::test]
async fn a_message_may_come_in_fragments_with_a_ping_between_them() {
    let server = Server::start().await;
    let mut page = server.open().await;
    let text = chat("in pieces").to_string();
    let (first, rest) = text.split_at(10);
    let (second, third) = rest.split_at(10);
    page.send(part(first, Data::Text, false)).await;
    page.send(Message::Ping(b"still there?".to_vec().into())).await;
    page.send(part(second, Data::Continue, false)).await;
    page.send(part(third, Data::Continue, true)).await;
    assert_eq!(page.hear_text().await.1, "in pieces");
}

#[tokio::test]
async fn fragments_are_counted_together() {
    let server = Server::start().await;
    let mut page = server.open().await;
    let text = padded(&chat("hi"), FRAME_BYTES + 1);
    let (first, second) = text.split_at(FRAME_BYTES / 2);
    page.send(part(first, Data::Text, false)).await;
    page.send(part(second, Data::Continue, true)).await;
    page.is_refused("Too large message", 1009).await;
}

#[tokio::test]
async fn fragments_out_of_order_break_the_protocol() {
    let server = Server::start().await;
    let mut page = server.open().await;
    page.send(part("hi", Data::Continue, true)).await;
    page.is_refused("The frames break the WebSocket protocol", 1002).await;
    let mut page = server.open().await;
    page.send(part("{", Data::Text, false)).await;
    page.send(part("{", Data::Text, true)).await;
    page.is_refused("The frames break the WebSocket protocol", 1002).await;
}

#[tokio::test]
async fn text_that_is_not_utf_8_closes_with_1007() {
    let server = Server::start().await;
    let mut page = server.open().await;
    let frame = Frame::message(vec![b'"', 0xff, b'"'], OpCode::Data(Data::Text), true);
    page.send(Message::Frame(frame)).await;
    page.is_refused("The message is not UTF-8", 1007).await;
}
