//! A client of the native API.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    client::{Answer, Http, Lost, answer, ask},
    events::Events,
    eventually,
};

/// A client with an organization's key.
#[derive(Clone)]
pub struct Native {
    pub http: Http,
    pub key: String,
}

impl Native {
    pub fn new(http: &Http, key: &str) -> Self {
        Self { http: http.clone(), key: key.to_owned() }
    }

    /// Any request below `/epilogue/v1`.
    pub async fn request(
        &self,
        method: Method,
        url: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Lost> {
        let request = self.http.request(method, format!("{url}/epilogue/v1{path}"));
        let request = request.bearer_auth(&self.key);
        ask(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// Reads something that must be there.
    pub async fn get(&self, url: &str, path: &str) -> Value {
        let answer = self.request(Method::GET, url, path, None).await.expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    pub async fn open(&self, url: &str, agent: &str, person: Option<&str>) -> Result<Answer, Lost> {
        let mut body = json!({ "agent": agent, "metadata": { "source": "test" } });
        if let Some(person) = person {
            body["person"] = person.into();
        }
        self.request(Method::POST, url, "/sessions", Some(&body)).await
    }

    /// Opens a session that must open, and returns its id.
    pub async fn opened(&self, url: &str, agent: &str) -> String {
        let answer = self.open(url, agent, None).await.expect("an answer");
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["session"]["id"].as_str().expect("an id").to_owned()
    }

    /// Sends a message. `Err` of an answer: it was refused.
    pub async fn send(
        &self,
        url: &str,
        session: &str,
        message: &str,
    ) -> Result<Result<Events, Answer>, Lost> {
        let request = self.http.post(format!("{url}/epilogue/v1/sessions/{session}/turns"));
        let request = request.bearer_auth(&self.key).json(&json!({ "message": message }));
        let response = request.send().await?;
        if response.status() == 200 {
            return Ok(Ok(Events::of(response)));
        }
        Ok(Err(answer(response).await?))
    }

    pub async fn end(&self, url: &str, session: &str, body: &Value) -> Result<Answer, Lost> {
        self.request(Method::POST, url, &format!("/sessions/{session}/end"), Some(body)).await
    }

    /// One session, with its steps.
    pub async fn session(&self, url: &str, session: &str) -> Value {
        self.get(url, &format!("/sessions/{session}")).await
    }

    /// A step of a session, once it is in this state.
    pub async fn step(&self, url: &str, session: &str, kind: &str, state: &str) -> Value {
        let what = format!("{kind} of {session} to be {state}");
        eventually(&what, async || {
            let found = self.session(url, session).await;
            let steps = found["steps"].as_array().expect("steps");
            steps.iter().find(|step| step["kind"] == kind && step["state"] == state).cloned()
        })
        .await
    }
}
