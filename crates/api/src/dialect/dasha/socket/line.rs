//! A socket as the conversation sees it: messages that come, messages that go, each within bounds, and
//! the ways in which it is left.

use axum::{
    body::Bytes,
    extract::ws::{CloseFrame, Message, WebSocket},
};
use epilogue_core::{EndReason, Session, Timestamp};
use epilogue_engine::{Engine, clock::within};
use serde_json::{Map, Value, json};
use tungstenite::error::ProtocolError;

use super::{
    super::{view::final_reason, wire::time},
    LINGER, SEND_WITHIN,
    fault::{self, Fault},
    frames::{self, Incoming},
};

/// Why a socket's conversation is over.
pub(super) enum Left {
    /// The client is gone. Nobody is told anything.
    Gone,
    /// It cannot go on like that.
    Fault(Fault),
    /// The session has ended.
    Over(Box<Session>),
    /// The server stops.
    Draining,
}

impl Left {
    /// The word for the log.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Fault(_) => "fault",
            Self::Over(_) => "over",
            Self::Draining => "draining",
        }
    }
}

/// What comes over a socket.
pub(super) enum Heard {
    /// A message that is what it must be.
    Said(Incoming),
    /// The client is still there.
    Alive,
    /// It breaks the rules, or is gone.
    Left(Left),
}

/// One socket.
pub(super) struct Line {
    socket: WebSocket,
    engine: Engine,
    /// What the client calls it.
    pub channel: Option<String>,
    heard_at: Timestamp,
}

impl Line {
    pub fn new(socket: WebSocket, engine: Engine) -> Self {
        let heard_at = engine.now();
        Self { socket, engine, channel: None, heard_at }
    }

    /// Since when nothing has come over it.
    pub const fn heard_at(&self) -> Timestamp {
        self.heard_at
    }

    /// The next thing that comes. Dropping it loses nothing.
    pub async fn hear(&mut self) -> Heard {
        let received = self.socket.recv().await;
        self.heard_at = self.engine.now();
        match received {
            Some(Ok(Message::Text(text))) => match frames::read(&text) {
                Ok(message) => Heard::Said(message),
                Err(fault) => Heard::Left(Left::Fault(fault)),
            },
            Some(Ok(Message::Binary(_))) => Heard::Left(Left::Fault(fault::BINARY)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Heard::Alive,
            Some(Ok(Message::Close(_))) | None => Heard::Left(Left::Gone),
            Some(Err(error)) => Heard::Left(broken(error)),
        }
    }

    /// Says something. An error: the client does not read, or is gone.
    pub async fn tell(&mut self, kind: &str, members: Value) -> Result<(), Left> {
        let mut message = Map::new();
        message.insert("type".into(), kind.into());
        message.insert("timestamp".into(), time(self.engine.now()).into());
        message.insert("channelId".into(), json!(self.channel));
        if let Value::Object(members) = members {
            message.extend(members);
        }
        self.send(Message::Text(Value::from(message).to_string().into())).await
    }

    /// Says that something went wrong.
    pub async fn complain(&mut self, message: &str) -> Result<(), Left> {
        self.tell("error", json!({ "data": { "message": message } })).await
    }

    /// Asks the client whether it is still there.
    pub async fn ping(&mut self) -> Result<(), Left> {
        self.send(Message::Ping(Bytes::new())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Left> {
        let sending = self.socket.send(message);
        match within(&**self.engine.clock(), SEND_WITHIN, sending).await {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) => Err(Left::Gone),
            None => {
                tracing::debug!("a client does not read what it is told");
                Err(Left::Gone)
            }
        }
    }

    /// Says what there is to say at the end, and closes the socket.
    pub async fn leave(mut self, left: Left) {
        let (told, code) = match left {
            Left::Gone => return,
            Left::Fault(fault) => (self.complain(&fault.message).await, fault.code),
            Left::Over(session) => (self.farewell(&session).await, fault::DONE),
            Left::Draining => (Ok(()), fault::RESTART),
        };
        let close = Message::Close(Some(CloseFrame { code, reason: "".into() }));
        if told.is_err() || self.send(close).await.is_err() {
            return;
        }
        // Closing at once, over bytes that were not read, could cost the client the last words.
        let heard_out = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        let _ = within(&**self.engine.clock(), LINGER, heard_out).await;
    }

    async fn farewell(&mut self, session: &Session) -> Result<(), Left> {
        let reason = session.ended().map(|ended| ended.reason);
        let (word, messages) = (reason.map(final_reason), session.messages);
        let failed = reason == Some(EndReason::Failed);
        let summary = format!(
            "The conversation ended ({}) after {messages} messages.",
            word.unwrap_or_default()
        );
        let result = json!({
            "result": {
                "status": if failed { "Failed" } else { "Completed" },
                "finishReason": word,
            },
            "content": { "summary": summary },
        });
        self.tell("conversationResult", result).await?;
        let data = json!({ "recordId": session.dialect_id });
        self.tell("event", json!({ "name": "closed", "data": data })).await
    }
}

/// What an error of the socket says about its client.
fn broken(error: axum::Error) -> Left {
    let error = error.into_inner();
    match error.downcast_ref::<tungstenite::Error>() {
        Some(tungstenite::Error::Capacity(_)) => Left::Fault(fault::TOO_LARGE),
        Some(tungstenite::Error::Utf8(_)) => Left::Fault(fault::NOT_TEXT),
        Some(tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
            Left::Gone
        }
        Some(tungstenite::Error::Protocol(_)) => Left::Fault(fault::BROKEN),
        _ => Left::Gone,
    }
}
