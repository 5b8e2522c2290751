//! What a client of this API does.

use axum::body::Body;
use epilogue_core::Session;
use epilogue_engine::records::SessionName;
use http::{Method, Request, header};
use serde_json::{Value, json};

use crate::support::{AGENT, Answer, Fixture, KEY};

/// A session as its client knows it.
#[derive(Clone, Debug)]
pub struct Held {
    pub conversation_id: String,
    pub token: String,
}

impl Held {
    /// A request about the session, with its token.
    pub fn request(&self, method: Method, what: &str, body: impl Into<Body>) -> Request<Body> {
        about(&self.conversation_id, &self.token, method, what, body)
    }

    /// A message to it.
    pub fn message(&self, text: &str) -> Request<Body> {
        self.request(Method::POST, "messages", json!({ "message": text }).to_string())
    }

    /// Its history.
    pub fn history(&self, query: &str) -> Request<Body> {
        self.request(Method::GET, &format!("messages{query}"), Body::empty())
    }

    /// Its end, as the published samples ask for it: no body, no content type.
    pub fn end(&self) -> Request<Body> {
        self.request(Method::POST, "end", Body::empty())
    }
}

/// A request about a session with any token.
pub fn about(
    conversation_id: &str,
    token: &str,
    method: Method,
    what: &str,
    body: impl Into<Body>,
) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(format!("/v1/chat/sessions/{conversation_id}/{what}"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(body.into())
        .expect("a request")
}

/// A request to open a session, with these headers.
pub fn open_with(headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let request = Request::post("/v1/chat/sessions").header("Content-Type", "application/json");
    let with = |request: http::request::Builder, (name, value): &(&str, &str)| {
        request.header(*name, *value)
    };
    headers.iter().fold(request, with).body(body.into()).expect("a request")
}

/// A request to open a session, with Acme's secret key.
pub fn open(body: &Value) -> Request<Body> {
    open_with(&[("X-API-Key", KEY)], body.to_string())
}

impl Fixture {
    /// Opens a session with Acme's agent.
    pub async fn hold(&self) -> Held {
        self.hold_with(&json!({ "agent_id": AGENT })).await
    }

    /// Opens a session as `body` says.
    pub async fn hold_with(&self, body: &Value) -> Held {
        Held::of(&self.send(open(body)).await)
    }

    /// The session of that name, as Acme sees it.
    pub async fn session(&self, conversation_id: &str) -> Session {
        let name = SessionName::Dialect("talkifai".into(), conversation_id.to_owned());
        let found = self.engine.find(&"org_acme".into(), &name).await;
        found.expect("read").expect("opened")
    }
}

impl Held {
    /// The session that was opened.
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let opened = answer.json();
        let text = |name: &str| opened[name].as_str().expect("text").to_owned();
        Self { conversation_id: text("conversation_id"), token: text("session_token") }
    }
}

/// An error's body.
pub fn detail(text: &str) -> String {
    json!({ "detail": text }).to_string()
}

/// Asserts that the answer is this error.
#[track_caller]
pub fn assert_refused(answer: &Answer, status: u16, text: &str) {
    assert_eq!(answer.told(), (status, detail(text).as_str()));
}
