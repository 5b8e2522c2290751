//! The messages of a call, as they go into the transcript.

use epilogue_core::{
    Role, Timestamp,
    message::{NewMessage, ToolCall},
};
use serde_json::{Map, Value};

use super::request::{member, wrong};
use crate::dialect::pathors::{error::Error, wire::Members};

/// How many messages one call may bring.
pub const MESSAGES_MAX: usize = 256;
/// How many calls one message may have.
pub const CALLS_MAX: usize = 128;
/// The longest id of a call, in characters.
pub const ID_CHARS_MAX: usize = 255;

/// What stands between the parts of a text.
const BETWEEN_PARTS: &str = "\n";

/// The messages of a body, in order. Those of the assistant that say nothing are left out.
pub(super) fn read(body: &Members) -> Result<Vec<NewMessage>, Error> {
    let given = body.get("messages").and_then(Value::as_array).filter(|given| !given.is_empty());
    let given = given.ok_or_else(|| Error::bad("messages must be a non-empty array"))?;
    if given.len() > MESSAGES_MAX {
        return Err(Error::bad(format!("messages must be at most {MESSAGES_MAX}")));
    }
    let read =
        given.iter().enumerate().map(|(at, given)| message(&format!("messages[{at}]"), given));
    let silent = |message: &NewMessage| {
        message.role == Role::Assistant
            && message.content.is_empty()
            && message.tool_calls.is_empty()
    };
    let read: Vec<_> = read.collect::<Result<_, _>>()?;
    Ok(read.into_iter().filter(|message| !silent(message)).collect())
}

fn message(at: &str, given: &Value) -> Result<NewMessage, Error> {
    let given = given.as_object().ok_or_else(|| wrong(at, "must be an object"))?;
    let role = match member(given, "role").and_then(Value::as_str) {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool") => Role::Tool,
        _ => {
            let known = "must be system, developer, user, assistant or tool";
            return Err(wrong(&format!("{at}.role"), known));
        }
    };
    let content = member(given, "content").map(|content| text(&format!("{at}.content"), content));
    let content = match content.transpose()? {
        Some(content) => content,
        None if role == Role::Assistant => String::new(),
        None => return Err(wrong(&format!("{at}.content"), "is required")),
    };
    let mut message = NewMessage::text(role, content, Timestamp::default());
    if role == Role::Assistant {
        message.tool_calls = calls(&format!("{at}.tool_calls"), given)?;
    }
    if role == Role::Tool {
        message.tool_call_id = Some(id(&format!("{at}.tool_call_id"), given, "tool_call_id")?);
    }
    Ok(message)
}

/// A text, or its parts.
fn text(at: &str, content: &Value) -> Result<String, Error> {
    match content {
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => {
            let texts =
                parts.iter().enumerate().map(|(n, given)| part(&format!("{at}[{n}]"), given));
            Ok(texts.collect::<Result<Vec<_>, _>>()?.join(BETWEEN_PARTS))
        }
        _ => Err(wrong(at, "must be a string or an array of text parts")),
    }
}

fn part<'a>(at: &str, given: &'a Value) -> Result<&'a str, Error> {
    let text = match given["type"].as_str() {
        Some("text") => given["text"].as_str(),
        // What an assistant has said instead of an answer.
        Some("refusal") => given["refusal"].as_str(),
        _ => None,
    };
    text.ok_or_else(|| wrong(at, "must be a part of type text"))
}

/// The calls that a message of the assistant repeats.
fn calls(at: &str, given: &Map<String, Value>) -> Result<Vec<ToolCall>, Error> {
    let Some(calls) = member(given, "tool_calls") else { return Ok(Vec::new()) };
    let calls = calls.as_array().ok_or_else(|| wrong(at, "must be an array"))?;
    if calls.len() > CALLS_MAX {
        return Err(wrong(at, &format!("must be at most {CALLS_MAX}")));
    }
    let read = calls.iter().enumerate().map(|(n, given)| call(&format!("{at}[{n}]"), given));
    read.collect()
}

fn call(at: &str, given: &Value) -> Result<ToolCall, Error> {
    let function = given["function"].as_object().filter(|_| given["type"] == "function");
    let function = function.ok_or_else(|| wrong(at, "must be a call of type function"))?;
    let text = |name: &str| function.get(name).and_then(Value::as_str).map(str::to_owned);
    let (Some(name), Some(arguments)) = (text("name"), text("arguments")) else {
        return Err(wrong(at, "must have the function's name and arguments"));
    };
    let given = given.as_object().cloned().unwrap_or_default();
    Ok(ToolCall { id: id(&format!("{at}.id"), &given, "id")?, name, arguments })
}

fn id(at: &str, given: &Map<String, Value>, name: &str) -> Result<String, Error> {
    let id = member(given, name).and_then(Value::as_str);
    let id = id.filter(|id| !id.is_empty() && id.chars().count() <= ID_CHARS_MAX);
    let message = format!("must be a string of 1 to {ID_CHARS_MAX} characters");
    id.map(str::to_owned).ok_or_else(|| wrong(at, &message))
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
