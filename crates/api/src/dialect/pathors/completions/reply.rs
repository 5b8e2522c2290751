//! What the agent has said, in the words of `chat.completion` and its chunks.

use epilogue_core::{Role, SessionId, Timestamp, message::ToolCall, open_calls::open_calls};
use epilogue_engine::session::TurnRecord;
use serde::Serialize;

/// The model, as every answer names it: which one it is, is the agent's business.
pub const MODEL: &str = "pathway-default";

/// What is the same in every part of an answer.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// The answer's id.
    pub id: String,
    /// When it was begun.
    pub created: Timestamp,
    /// The session's name.
    pub session: String,
}

impl Head {
    /// The head of the answer to a turn: the same whenever it is asked for.
    pub fn new(session: (SessionId, &str), turn: u32, created: Timestamp) -> Self {
        let (id, name) = session;
        let id = format!("chatcmpl-{}{turn:04}", id.0.simple());
        Self { id, created, session: name.to_owned() }
    }
}

/// What a turn came to, for its caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    /// What was said.
    pub text: String,
    /// What the caller is to do before the next turn.
    pub calls: Vec<ToolCall>,
    /// Whether the session is over.
    pub is_last: bool,
}

impl Reply {
    /// The reply that is on record. `None`: it has gone with its session.
    pub fn of(record: &TurnRecord) -> Option<Self> {
        let replies = record.messages.get(record.said as usize..)?;
        if record.messages.is_empty() {
            return None;
        }
        let said = replies.iter().filter(|message| message.body.role == Role::Assistant);
        let text = said.map(|message| &*message.body.content);
        let calls = open_calls(replies.iter().map(|message| &message.body));
        Some(Self {
            text: text.collect(),
            calls: calls.into_iter().cloned().collect(),
            is_last: record.session.ended().is_some(),
        })
    }

    /// A reply that the session's end has cut.
    pub fn cut(text: String) -> Self {
        Self { text, calls: Vec::new(), is_last: true }
    }

    /// Why it stops.
    pub const fn finish_reason(&self) -> &'static str {
        if self.calls.is_empty() { "stop" } else { "tool_calls" }
    }
}

/// A call of the client's tools.
#[derive(Debug, Serialize)]
pub(super) struct Call<'a> {
    /// Its place among the calls, in a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    id: &'a str,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Debug, Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

impl<'a> Call<'a> {
    fn of(call: &'a ToolCall, index: Option<usize>) -> Self {
        let function = Function { name: &call.name, arguments: &call.arguments };
        Self { index, id: &call.id, r#type: "function", function }
    }
}

/// A whole answer.
#[derive(Debug, Serialize)]
pub(super) struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'static str,
    choices: [Choice<'a>; 1],
    usage: Usage,
    session_id: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    session_ended: bool,
}

#[derive(Debug, Serialize)]
struct Choice<'a> {
    index: u32,
    message: Said<'a>,
    finish_reason: &'static str,
}

#[derive(Debug, Serialize)]
struct Said<'a> {
    role: &'static str,
    /// Null beside calls, if nothing was said.
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
}

/// This API does not tell what a turn used.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the published names")]
struct Usage {
    prompt_tokens: i32,
    completion_tokens: i32,
    total_tokens: i32,
}

impl<'a> Completion<'a> {
    /// The answer that is this reply.
    pub fn of(head: &'a Head, reply: &'a Reply) -> Self {
        let silent = reply.text.is_empty() && !reply.calls.is_empty();
        let message = Said {
            role: "assistant",
            content: (!silent).then_some(&*reply.text),
            tool_calls: reply.calls.iter().map(|call| Call::of(call, None)).collect(),
        };
        Self {
            id: &head.id,
            object: "chat.completion",
            created: head.created.as_secs(),
            model: MODEL,
            choices: [Choice { index: 0, message, finish_reason: reply.finish_reason() }],
            usage: Usage { prompt_tokens: -1, completion_tokens: -1, total_tokens: -1 },
            session_id: &head.session,
            session_ended: reply.is_last,
        }
    }
}

/// Part of a streamed answer.
#[derive(Debug, Serialize)]
pub(super) struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'static str,
    choices: [Part<'a>; 1],
    session_id: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    session_ended: bool,
}

#[derive(Debug, Serialize)]
struct Part<'a> {
    index: u32,
    delta: Delta<'a>,
    finish_reason: Option<&'static str>,
}

/// What a part adds.
#[derive(Debug, Default, Serialize)]
pub(super) struct Delta<'a> {
    /// Who speaks, in the first part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// More text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<&'a str>,
    /// A call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<[Call<'a>; 1]>,
}

impl<'a> Delta<'a> {
    /// The call in this place.
    pub fn call(call: &'a ToolCall, place: usize) -> Self {
        Self { tool_calls: Some([Call::of(call, Some(place))]), ..Self::default() }
    }
}

impl<'a> Chunk<'a> {
    /// A part of an answer that goes on.
    pub fn of(head: &'a Head, delta: Delta<'a>) -> Self {
        Self {
            id: &head.id,
            object: "chat.completion.chunk",
            created: head.created.as_secs(),
            model: MODEL,
            choices: [Part { index: 0, delta, finish_reason: None }],
            session_id: &head.session,
            session_ended: false,
        }
    }

    /// The last part of an answer.
    pub fn last(head: &'a Head, reply: &Reply) -> Self {
        let mut chunk = Self::of(head, Delta::default());
        chunk.choices[0].finish_reason = Some(reply.finish_reason());
        chunk.session_ended = reply.is_last;
        chunk
    }
}
