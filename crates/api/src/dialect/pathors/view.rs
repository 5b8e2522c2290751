//! What a session looks like to its clients.

use epilogue_core::{Message, Role, Session};
use serde::Serialize;
use serde_json::{Map, Value};

use super::wire::time;

/// What was said, by whom.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Said<'a> {
    pub role: &'static str,
    pub content: &'a str,
}

impl<'a> Said<'a> {
    /// What people see of a transcript: tools at work are no part of it.
    pub fn all(transcript: &'a [Message]) -> Vec<Self> {
        visible(transcript).map(Self::of).collect()
    }

    fn of(message: &'a Message) -> Self {
        Self { role: message.body.role.as_str(), content: &message.body.content }
    }
}

fn visible(transcript: &[Message]) -> impl Iterator<Item = &Message> {
    transcript.iter().filter(|message| message.body.is_visible())
}

/// The state of a session, which is also what a search looks at.
#[derive(Debug, Serialize)]
pub(super) struct State<'a> {
    pub variables: &'a Map<String, Value>,
    pub messages: Vec<Said<'a>>,
}

impl<'a> State<'a> {
    pub fn of(session: &'a Session, transcript: &'a [Message]) -> Self {
        Self { variables: &session.context.bag, messages: Said::all(transcript) }
    }
}

/// Something that happened in a session.
#[derive(Debug, Serialize)]
pub(super) struct Event<'a> {
    r#type: &'static str,
    timestamp: String,
    data: EventData<'a>,
}

#[derive(Debug, Serialize)]
struct EventData<'a> {
    message: Said<'a>,
}

impl<'a> Event<'a> {
    /// What was said, as events: `received` from the person, `sent` by the agent.
    pub fn all(transcript: &'a [Message]) -> Vec<Self> {
        let event = |message: &'a Message| Self {
            r#type: match message.body.role {
                Role::User => "message.received",
                _ => "message.sent",
            },
            timestamp: time(message.body.at),
            data: EventData { message: Said::of(message) },
        };
        visible(transcript).map(event).collect()
    }
}

/// What a list of what has been says of a session, live or not.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    pub session_id: &'a str,
    pub start_time: String,
    pub end_time: Option<String>,
    pub provider: Option<&'a str>,
    pub message_count: u32,
    pub marked: bool,
    pub evaluation: Option<Value>,
}

impl<'a> Entry<'a> {
    /// A session that nobody has evaluated yet.
    pub fn of(session: &'a Session) -> Self {
        Self {
            session_id: &session.dialect_id,
            start_time: time(session.opened_at),
            end_time: session.ended().map(|ended| time(ended.at)),
            provider: session.channel.as_deref(),
            message_count: session.usage.total_messages,
            marked: false,
            evaluation: None,
        }
    }
}

/// A live session as both older and newer clients look for its parts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Queried<'a> {
    session_id: &'a str,
    state: State<'a>,
    data: Merged<'a>,
    created_at: String,
    updated_at: String,
}

#[derive(Debug, Serialize)]
struct Merged<'a> {
    #[serde(flatten)]
    state: State<'a>,
    #[serde(flatten)]
    entry: Entry<'a>,
    events: Vec<Event<'a>>,
}

impl<'a> Queried<'a> {
    pub fn of(session: &'a Session, transcript: &'a [Message]) -> Self {
        Self {
            session_id: &session.dialect_id,
            state: State::of(session, transcript),
            data: Merged {
                state: State::of(session, transcript),
                entry: Entry::of(session),
                events: Event::all(transcript),
            },
            created_at: time(session.opened_at),
            updated_at: time(session.last_activity),
        }
    }
}

/// A session that a search has found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found<'a> {
    session_id: &'a str,
    data: State<'a>,
    created_at: String,
    updated_at: String,
}

impl<'a> Found<'a> {
    pub fn of(session: &'a Session, transcript: &'a [Message]) -> Self {
        Self {
            session_id: &session.dialect_id,
            data: State::of(session, transcript),
            created_at: time(session.opened_at),
            updated_at: time(session.last_activity),
        }
    }
}
