//! The messages: JSON texts `{type, timestamp, channelId?}` and what belongs to each type.

use serde_json::{Map, Value};

use super::{
    super::limits::{self, BAG_BYTES_MAX, CONTENT_BYTES_MAX},
    fault::{self, Fault},
};

/// The longest `endpoint`, `channelId` or id of a request, in characters.
pub const WORD_CHARS_MAX: usize = 200;

/// What a client says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Incoming {
    /// The first message.
    Initialize(Initialize),
    /// What the person said.
    Message(String),
    /// What came of a tool that the client was asked to run.
    ToolResponse {
        /// The request it answers.
        id: String,
        /// Its result, of any JSON.
        result: Value,
    },
    /// The conversation is over.
    Terminate,
}

/// The first message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Initialize {
    /// The bag of prompt variables.
    pub bag: Map<String, Value>,
    /// What the client says of its side.
    pub endpoint: Option<String>,
    /// The conversation to go on with.
    pub record: Option<String>,
    /// What the client calls this channel; it stands in every message to it.
    pub channel: Option<String>,
}

/// Reads a message. Members nobody asked for are passed over.
pub(super) fn read(text: &str) -> Result<Incoming, Fault> {
    if text.len() > super::MESSAGE_BYTES_MAX {
        return Err(fault::TOO_LARGE);
    }
    let message: Map<String, Value> = serde_json::from_str(text)
        .map_err(|_| fault::malformed("The message is not a JSON object"))?;
    let channel = word(&message, "channelId")?;
    match message.get("type").and_then(Value::as_str) {
        Some("initialize") => initialize(&message, channel).map(Incoming::Initialize),
        Some("incomingChatMessage") => said(&message).map(Incoming::Message),
        Some("websocketToolResponse") => tool_response(&message),
        Some("terminate") => Ok(Incoming::Terminate),
        Some("sdpAnswer") => Err(fault::VOICE),
        Some(_) => Err(fault::malformed("Unknown message type")),
        None => Err(fault::malformed("`type` must be a text")),
    }
}

fn initialize(message: &Map<String, Value>, channel: Option<String>) -> Result<Initialize, Fault> {
    let request = object(message, "request")?;
    let request = request.ok_or_else(|| fault::malformed("`request` must be an object"))?;
    match request.get("callType").and_then(Value::as_str) {
        Some("chat") => {}
        Some("webCall" | "onPhone") => return Err(fault::VOICE),
        _ => return Err(fault::malformed("`callType` must be chat")),
    }
    let bag = object(request, "additionalData")?.cloned().unwrap_or_default();
    limits::object("additionalData", &bag, BAG_BYTES_MAX).map_err(|problem| {
        let why = problem.first_error().unwrap_or_default();
        fault::malformed(format!("`additionalData` {why}"))
    })?;
    let endpoint = word(request, "endpoint")?;
    Ok(Initialize { bag, endpoint, record: word(message, "recordId")?, channel })
}

fn said(message: &Map<String, Value>) -> Result<String, Fault> {
    let content = message.get("content").and_then(Value::as_str);
    let content = content.ok_or_else(|| fault::malformed("`content` must be a text"))?;
    if content.len() > CONTENT_BYTES_MAX {
        return Err(fault::TOO_LARGE);
    }
    Ok(content.to_owned())
}

fn tool_response(message: &Map<String, Value>) -> Result<Incoming, Fault> {
    if !message.contains_key("channelId") {
        return Err(fault::malformed("`channelId` must be there, though it may be null"));
    }
    let content = object(message, "content")?;
    let content = content.ok_or_else(|| fault::malformed("`content` must be an object"))?;
    let id = word(content, "id")?;
    let id = id.ok_or_else(|| fault::malformed("`id` must be a text"))?;
    let result = content.get("result").cloned().unwrap_or_default();
    Ok(Incoming::ToolResponse { id, result })
}

fn object<'a>(
    members: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a Map<String, Value>>, Fault> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(fault::malformed(format!("`{name}` must be an object"))),
    }
}

fn word(members: &Map<String, Value>, name: &'static str) -> Result<Option<String>, Fault> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(word)) if word.chars().count() <= WORD_CHARS_MAX => {
            Ok(Some(word.clone()))
        }
        Some(_) => {
            let wanted = format!("`{name}` must be a text of at most {WORD_CHARS_MAX} characters");
            Err(fault::malformed(wanted))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_json(message: &Value) -> Result<Incoming, Fault> {
        read(&message.to_string())
    }

    #[track_caller]
    fn refused(message: &Value, code: u16, words: &str) {
        let fault = read_json(message).expect_err("refused");
        assert_eq!((fault.code, &*fault.message), (code, words), "{message}");
    }

    #[test]
    fn every_message_is_read_as_it_was_meant() {
        let full = json!({
            "type": "initialize", "timestamp": "2024-01-15T10:00:00Z", "channelId": "c", "more": 1,
            "recordId": "r",
            "request": { "callType": "chat", "endpoint": "web", "additionalData": { "a": [1] } },
        });
        let bag = json!({ "a": [1] }).as_object().expect("an object").clone();
        let text = |text: &str| Some(text.to_owned());
        let (endpoint, record, channel) = (text("web"), text("r"), text("c"));
        let read = Incoming::Initialize(Initialize { bag, endpoint, record, channel });
        assert_eq!(read_json(&full), Ok(read));
        let least = json!({ "type": "initialize", "request": { "callType": "chat" } });
        assert_eq!(read_json(&least), Ok(Incoming::Initialize(Initialize::default())));
        let said = json!({ "type": "incomingChatMessage", "content": "hi", "channelId": null });
        assert_eq!(read_json(&said), Ok(Incoming::Message("hi".into())));
        assert_eq!(read_json(&json!({ "type": "terminate" })), Ok(Incoming::Terminate));
        let response = json!({
            "type": "websocketToolResponse", "channelId": null,
            "content": { "id": "1", "result": { "x": 1 } },
        });
        let read = Incoming::ToolResponse { id: "1".into(), result: json!({ "x": 1 }) };
        assert_eq!(read_json(&response), Ok(read));
    }

    #[test]
    fn what_says_something_else_than_its_type_must_is_refused() {
        for (message, words) in [
            (json!([]), "The message is not a JSON object"),
            (json!({}), "`type` must be a text"),
            (json!({ "type": 1 }), "`type` must be a text"),
            (json!({ "type": "dance" }), "Unknown message type"),
            (json!({ "type": "initialize" }), "`request` must be an object"),
            (json!({ "type": "initialize", "request": [] }), "`request` must be an object"),
            (json!({ "type": "initialize", "request": {} }), "`callType` must be chat"),
            (json!({ "type": "incomingChatMessage" }), "`content` must be a text"),
            (json!({ "type": "incomingChatMessage", "content": {} }), "`content` must be a text"),
            (
                json!({ "type": "websocketToolResponse", "content": { "id": "1" } }),
                "`channelId` must be there, though it may be null",
            ),
            (
                json!({ "type": "websocketToolResponse", "channelId": null }),
                "`content` must be an object",
            ),
            (
                json!({ "type": "websocketToolResponse", "channelId": null, "content": {} }),
                "`id` must be a text",
            ),
        ] {
            refused(&message, 1007, words);
        }
        refused(&json!({ "type": "sdpAnswer" }), 1003, "Voice is not supported");
        let call = json!({ "type": "initialize", "request": { "callType": "webCall" } });
        refused(&call, 1003, "Voice is not supported");
        let deep = (0..33).fold(json!(1), |value, _| json!({ "a": value }));
        let bag = json!({ "callType": "chat", "additionalData": deep });
        let bag = json!({ "type": "initialize", "request": bag });
        refused(&bag, 1007, "`additionalData` must have at most 32 levels");
    }

    #[test]
    fn words_and_messages_have_limits() {
        let named = |chars| json!({ "type": "terminate", "channelId": "x".repeat(chars) });
        assert_eq!(read_json(&named(WORD_CHARS_MAX)), Ok(Incoming::Terminate));
        let words = "`channelId` must be a text of at most 200 characters";
        refused(&named(WORD_CHARS_MAX + 1), 1007, words);
        let said = |len| json!({ "type": "incomingChatMessage", "content": "x".repeat(len) });
        assert!(read_json(&said(CONTENT_BYTES_MAX)).is_ok());
        refused(&said(CONTENT_BYTES_MAX + 1), 1009, "Too large message");
        let padded = |len| format!(r#"{{"type":"terminate"}}{}"#, " ".repeat(len - 20));
        assert!(read(&padded(super::super::MESSAGE_BYTES_MAX)).is_ok());
        assert_eq!(read(&padded(super::super::MESSAGE_BYTES_MAX + 1)), Err(fault::TOO_LARGE));
    }
}
