//! What a client of the completions does, and how it reads their answers.

use axum::body::{Body, BodyDataStream};
use epilogue_core::Message;
use futures::StreamExt as _;
use http::{Method, Request, header};
use serde_json::{Value, json};

use crate::{
    client::{DK, ORG, current, keyed},
    support::{Answer, Fixture},
};

/// Something said by the person.
pub fn user(text: &str) -> Value {
    json!({ "role": "user", "content": text })
}

/// The result of a call.
pub fn result(id: &str, text: &str) -> Value {
    json!({ "role": "tool", "tool_call_id": id, "content": text })
}

/// A tool of the client's.
pub fn tool(name: &str) -> Value {
    let parameters = json!({ "type": "object", "properties": { "q": { "type": "integer" } } });
    let function = json!({ "name": name, "description": "Looks.", "parameters": parameters });
    json!({ "type": "function", "function": function })
}

/// A call with these messages, and `more` beside them.
pub fn body(messages: &[Value], more: Value) -> Value {
    let mut body = json!({ "model": "gpt-4o", "messages": messages });
    let (Some(members), Value::Object(more)) = (body.as_object_mut(), more) else {
        panic!("members are an object");
    };
    members.extend(more);
    body
}

/// A call that names its session in the header.
pub fn call(session: &str, body: &Value) -> Request<Body> {
    headed(&[("x-session-id", session)], body)
}

/// A call with these headers.
pub fn headed(headers: &[(&str, &str)], body: &Value) -> Request<Body> {
    let path = current("/chat/completions");
    let mut request = keyed(DK, Method::POST, &path, body.to_string());
    for (name, value) in headers {
        let name: header::HeaderName = name.parse().expect("a name");
        let value = header::HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        request.headers_mut().insert(name, value);
    }
    request
}

impl Fixture {
    /// Says something in a session. Nothing stands against it.
    pub async fn asks(&self, session: &str, text: &str) -> Value {
        self.asks_with(session, &[user(text)], json!({})).await
    }

    /// The same with messages and members of the test's own.
    pub async fn asks_with(&self, session: &str, messages: &[Value], more: Value) -> Value {
        let answer = self.send(call(session, &body(messages, more))).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// The transcript of the latest session of a name, in short.
    pub async fn lines(&self, session: &str) -> Vec<String> {
        let session = self.session(session).await;
        let transcript = self.engine.transcript(&ORG.into(), session.id).await.expect("read");
        let line = |message: &Message| match &message.body.tool_call_id {
            Some(id) => format!("{id}: {}", message.body.content),
            None => format!("{}: {}", message.body.role.as_str(), message.body.content),
        };
        transcript.iter().map(line).collect()
    }
}

/// What an answer says.
pub fn content(completion: &Value) -> &Value {
    &completion["choices"][0]["message"]["content"]
}

/// The calls that an answer makes: id and arguments.
pub fn calls(completion: &Value) -> Vec<(String, String)> {
    let calls = completion["choices"][0]["message"]["tool_calls"].as_array();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let read = |call: &Value| (text(&call["id"]), text(&call["function"]["arguments"]));
    calls.into_iter().flatten().map(read).collect()
}

/// A stream as it was told: its parts, and whether it came to an orderly end.
#[derive(Debug)]
pub struct Told {
    pub parts: Vec<Value>,
    pub done: bool,
}

impl Told {
    /// Reads a whole stream: every event is one line and a blank one.
    pub fn read(stream: &str) -> Self {
        let mut told = Self { parts: Vec::new(), done: false };
        let events = stream.strip_suffix("\n\n").expect("every event ends with a blank line");
        for event in events.split("\n\n").filter(|event| !event.starts_with(':')) {
            assert!(!told.done, "nothing follows [DONE]: {event}");
            let data = event.strip_prefix("data: ").expect("a data line");
            assert!(!data.contains('\n'), "one line: {data}");
            match data {
                "[DONE]" => told.done = true,
                part => told.parts.push(serde_json::from_str(part).expect("JSON")),
            }
        }
        told
    }

    /// The text, put together.
    pub fn text(&self) -> String {
        let parts = self.parts.iter();
        parts.filter_map(|part| part["choices"][0]["delta"]["content"].as_str()).collect()
    }

    /// The calls: their places, ids and names.
    pub fn calls(&self) -> Vec<(u64, String, String)> {
        let calls = self.parts.iter().flat_map(|part| {
            part["choices"][0]["delta"]["tool_calls"].as_array().cloned().unwrap_or_default()
        });
        let read = |call: Value| {
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let place = call["index"].as_u64().expect("a place");
            (place, text(&call["id"]), text(&call["function"]["name"]))
        };
        calls.map(read).collect()
    }

    /// The last part.
    pub fn last(&self) -> &Value {
        self.parts.last().expect("a part")
    }
}

/// Streams a call to its end.
pub async fn streamed(fixture: &Fixture, session: &str, messages: &[Value], more: Value) -> Told {
    let mut more = more;
    more["stream"] = true.into();
    let answer = fixture.send(call(session, &body(messages, more))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    Told::read(&answer.body)
}

/// A stream that is read piece by piece.
pub struct Listening {
    pub headers: http::HeaderMap,
    body: BodyDataStream,
    heard: String,
}

impl Listening {
    /// Begins to listen.
    pub async fn to(fixture: &Fixture, session: &str, text: &str) -> Self {
        let request = call(session, &body(&[user(text)], json!({ "stream": true })));
        let response = fixture.begin(request).await;
        assert_eq!(response.status(), 200);
        let (head, body) = response.into_parts();
        Self { headers: head.headers, body: body.into_data_stream(), heard: String::new() }
    }

    /// Listens until this was told.
    pub async fn until(&mut self, seen: &str) {
        while !self.heard.contains(seen) {
            assert!(self.more().await, "the stream ended before `{seen}`: {}", self.heard);
        }
    }

    /// Listens to the end.
    pub async fn rest(mut self) -> Told {
        while self.more().await {}
        Told::read(&self.heard)
    }

    async fn more(&mut self) -> bool {
        let Some(piece) = self.body.next().await else { return false };
        self.heard.push_str(std::str::from_utf8(&piece.expect("no fault")).expect("text"));
        true
    }
}

/// Asserts that the answer names this session in its header and its body.
#[track_caller]
pub fn names(answer: &Answer, session: &str) {
    let header = answer.headers.get("x-session-id").expect("it names its session");
    assert_eq!(header.as_bytes(), session.as_bytes());
    assert_eq!(answer.json()["session_id"], session);
}
