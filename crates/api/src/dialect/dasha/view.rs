//! What a session looks like to its clients: every member always there, `null` where it is empty.

use epilogue_core::{EndReason, Message, Role, Session, message::ToolCall};
use serde::Serialize;
use serde_json::Value;

use super::wire::time;

/// A session as `GET /chats/{id}` and the list show it.
#[derive(Debug, Serialize)]
pub(super) struct ChatSession {
    id: String,
    agent_id: String,
    channel: Option<String>,
    messages: Vec<ChatMessage>,
    created_time: String,
    last_activity: String,
    ttl_seconds: Option<u64>,
    is_final: bool,
    status: &'static str,
    final_reason: Option<&'static str>,
}

/// One message. A tool round is a single message of the assistant with its calls and their results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ChatMessage {
    pub role: &'static str,
    pub content: String,
    pub tool_calls: Vec<ChatToolCall>,
    pub time: String,
}

/// A tool call with what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ChatToolCall {
    pub id: String,
    pub name: String,
    pub arguments: Value,
    pub response: Value,
}

impl ChatSession {
    /// A session with its whole transcript.
    pub fn of(session: &Session, transcript: &[Message]) -> Self {
        let ended = session.ended();
        Self {
            id: session.dialect_id.clone(),
            agent_id: session.agent.id.to_string(),
            channel: session.channel.clone(),
            messages: messages(transcript),
            created_time: time(session.opened_at),
            last_activity: time(session.last_activity),
            ttl_seconds: session.profile.idle_timeout.map(|ttl| ttl.as_millis() / 1000),
            is_final: ended.is_some(),
            status: status(session),
            final_reason: ended.map(|ended| final_reason(ended.reason)),
        }
    }
}

/// The word for whether a session is over.
pub(super) fn status(session: &Session) -> &'static str {
    if session.ended().is_some() { "final" } else { "active" }
}

/// Why a session ended, in this API's words. Clients are told to expect others than the published.
pub(crate) const fn final_reason(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Idle => "ttl",
        EndReason::Failed => "error",
        // A socket that is closed and does not come back is its user's end; the operator sees more.
        EndReason::UserEnd | EndReason::Disconnected => EndReason::UserEnd.as_str(),
        EndReason::AgentFinish
        | EndReason::MaxDuration
        | EndReason::Operator
        | EndReason::CreditsExhausted => reason.as_str(),
    }
}

/// A transcript as clients see it: results stand with the calls they answer.
pub(super) fn messages(transcript: &[Message]) -> Vec<ChatMessage> {
    let mut shown: Vec<ChatMessage> = Vec::new();
    for message in transcript {
        let body = &message.body;
        if body.role == Role::Tool {
            answer(&mut shown, body.tool_call_id.as_deref().unwrap_or_default(), &body.content);
            continue;
        }
        shown.push(ChatMessage {
            role: body.role.as_str(),
            content: body.content.clone(),
            tool_calls: body.tool_calls.iter().map(call).collect(),
            time: time(body.at),
        });
    }
    shown
}

fn call(call: &ToolCall) -> ChatToolCall {
    ChatToolCall {
        id: call.id.clone(),
        name: call.name.clone(),
        arguments: json_or_text(&call.arguments),
        response: Value::Null,
    }
}

/// Puts a result to the latest call with this id that has none.
fn answer(shown: &mut [ChatMessage], id: &str, result: &str) {
    let calls = shown.iter_mut().rev().flat_map(|message| message.tool_calls.iter_mut());
    if let Some(call) = calls.into_iter().find(|call| call.id == id && call.response.is_null()) {
        call.response = json_or_text(result);
    }
}

/// JSON where it is JSON, the text itself where it is not.
fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

#[cfg(test)]
mod tests {
    use epilogue_core::{Timestamp, message::NewMessage};
    use serde_json::json;

    use super::*;

    fn transcript(bodies: Vec<NewMessage>) -> Vec<Message> {
        bodies.into_iter().zip(0..).map(|(body, seq)| Message { seq, turn: 1, body }).collect()
    }

    fn text(role: Role, content: &str) -> NewMessage {
        NewMessage::text(role, content, Timestamp::from_millis(0))
    }

    fn result(id: &str, content: &str) -> NewMessage {
        NewMessage { tool_call_id: Some(id.into()), ..text(Role::Tool, content) }
    }

    #[test]
    fn a_tool_round_is_one_message_with_its_results() {
        let call = |id: &str, arguments: &str| ToolCall {
            id: id.into(),
            name: "look".into(),
            arguments: arguments.into(),
        };
        let round = NewMessage {
            tool_calls: vec![call("a", r#"{"x":1}"#), call("b", "not json")],
            ..text(Role::Assistant, "")
        };
        let all = vec![
            text(Role::User, "hi"),
            round.clone(),
            result("a", r#"{"found":true}"#),
            result("b", "plain words"),
            round,
            result("b", "again"),
            text(Role::Assistant, "done"),
        ];
        let shown = serde_json::to_value(messages(&transcript(all))).expect("JSON");
        let calls = |a: Value, b: &str| {
            json!([
                { "id": "a", "name": "look", "arguments": { "x": 1 }, "response": a },
                { "id": "b", "name": "look", "arguments": "not json", "response": b },
            ])
        };
        let message = |role: &str, content: &str, calls: Value| {
            let time = "1970-01-01T00:00:00.000Z";
            json!({ "role": role, "content": content, "tool_calls": calls, "time": time })
        };
        assert_eq!(
            shown,
            json!([
                message("user", "hi", json!([])),
                message("assistant", "", calls(json!({ "found": true }), "plain words")),
                message("assistant", "", calls(Value::Null, "again")),
                message("assistant", "done", json!([])),
            ])
        );
    }

    #[test]
    fn the_published_reasons_have_their_words() {
        let words =
            [EndReason::Idle, EndReason::UserEnd, EndReason::AgentFinish, EndReason::Failed];
        assert_eq!(words.map(final_reason), ["ttl", "user_end", "agent_finish", "error"]);
    }
}
