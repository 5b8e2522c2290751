//! What a client of this API does.

use axum::body::Body;
use epilogue_core::{Session, SessionId, StepKind, event::Activity};
use epilogue_engine::records::{PageRequest, SessionName};
use http::{Method, Request, header};
use serde_json::{Value, json};

use crate::support::{Answer, CHAT_AGENT, Fixture, KEY};

/// A request with any key.
pub fn keyed(key: &str, method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .body(body.into())
        .expect("a request")
}

/// A request with Acme's secret key.
pub fn post(path: &str, body: &Value) -> Request<Body> {
    keyed(KEY, Method::POST, path, body.to_string())
}

/// A look with Acme's secret key.
pub fn get(path: &str) -> Request<Body> {
    keyed(KEY, Method::GET, path, Body::empty())
}

/// A fixture without limits on how often anybody may ask.
pub async fn unlimited() -> Fixture {
    Fixture::with(|setup| {
        setup.settings.opens_per_minute = 0;
        setup.settings.messages_per_minute = 0;
        setup.settings.ends_per_minute = 0;
    })
    .await
}

impl Fixture {
    /// Opens a chat as `more` says, with Acme's chat agent unless it says otherwise.
    pub async fn open(&self, more: Value) -> Answer {
        let mut body = json!({ "agent_id": CHAT_AGENT });
        let members = body.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        self.send(post("/chats", &body)).await
    }

    /// Opens a chat. Its id.
    pub async fn chat(&self, more: Value) -> String {
        let answer = self.open(more).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        id(&answer)
    }

    /// Says something.
    pub async fn say(&self, id: &str, content: &str) -> Answer {
        self.message(id, json!({ "content": content })).await
    }

    /// Says something under a key.
    pub async fn say_as(&self, id: &str, content: &str, key: &str) -> Answer {
        self.message(id, json!({ "content": content, "idempotency_key": key })).await
    }

    /// Sends a message of any form.
    pub async fn message(&self, id: &str, body: Value) -> Answer {
        self.send(post(&format!("/chats/{id}/messages"), &body)).await
    }

    /// Ends a chat without a body.
    pub async fn end(&self, id: &str) -> Answer {
        self.send(keyed(KEY, Method::POST, &format!("/chats/{id}/end"), Body::empty())).await
    }

    /// The chat as its client sees it.
    pub async fn show(&self, id: &str) -> Value {
        let answer = self.send(get(&format!("/chats/{id}"))).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// The session of a chat, as Acme's operator sees it.
    pub async fn session(&self, id: &str) -> Session {
        let name = SessionName::Id(id.parse().expect("an id"));
        let found = self.engine.find(&"org_acme".into(), &name).await;
        found.expect("read").expect("opened")
    }

    /// What the activity log says of a chat.
    pub async fn activity(&self, id: &str) -> Vec<Activity> {
        let id: SessionId = id.parse().expect("an id");
        let page = PageRequest::first(100);
        self.engine.activity(&"org_acme".into(), Some(id), &page).await.expect("read").items
    }

    /// The kinds of steps that a chat's end owed, each with how often it was tried.
    pub async fn steps(&self, id: &str) -> Vec<(StepKind, usize)> {
        let id: SessionId = id.parse().expect("an id");
        let steps = self.engine.steps_of(&"org_acme".into(), id).await.expect("read");
        steps.into_iter().map(|(step, attempts)| (step.kind, attempts.len())).collect()
    }

    /// Waits, in real time but not for long, until the model has been asked `times` times.
    pub async fn asked(&self, times: usize) {
        for _ in 0..10_000 {
            if self.models.asked().len() >= times {
                return;
            }
            tokio::task::yield_now().await;
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
        panic!("the model was asked {} times, not {times}", self.models.asked().len());
    }
}

/// Lets everything go on that can: tasks here, and the store's threads, for which only real time will do.
pub async fn settle() {
    for _ in 0..250 {
        tokio::task::yield_now().await;
        std::thread::sleep(std::time::Duration::from_micros(300));
    }
}

/// The id of the session in an answer.
pub fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().expect("an id").to_owned()
}

/// Asserts that the answer is a problem of this status, and hands its body back.
#[track_caller]
pub fn problem(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let body = answer.json();
    assert_eq!(body["status"], status);
    for member in ["type", "title", "detail", "traceId"] {
        assert!(body[member].is_string(), "{member} in {body}");
    }
    body
}

/// Asserts that the answer is a 400 or 413 about this part of the request.
#[track_caller]
pub fn wrong(answer: &Answer, status: u16, part: &str) {
    let body = problem(answer, status);
    assert!(body["errors"][part][0].is_string(), "{part} in {body}");
}
