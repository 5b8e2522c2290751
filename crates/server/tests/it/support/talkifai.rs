//! A client of the TalkifAI chat sessions.

use serde_json::{Value, json};

use super::{
    client::{Answer, Http, Lost, answer, ask},
    events::{Event, Events},
};

/// A client with a secret key.
#[derive(Clone)]
pub struct TalkifAi {
    pub http: Http,
    pub key: String,
}

/// A session's name and token.
#[derive(Clone, Debug)]
pub struct Session {
    pub name: String,
    pub token: String,
}

impl Session {
    /// What an open was answered with.
    pub fn of(body: &Value) -> Self {
        let text = |key: &str| body[key].as_str().expect(key).to_owned();
        Self { name: text("conversation_id"), token: text("session_token") }
    }
}

impl TalkifAi {
    pub fn new(http: &Http, key: &str) -> Self {
        Self { http: http.clone(), key: key.to_owned() }
    }

    pub async fn open(&self, url: &str, agent: &str, person: Option<&str>) -> Result<Answer, Lost> {
        let mut body = json!({ "agent_id": agent, "metadata": { "source": "test" } });
        if let Some(person) = person {
            body["user_identifier"] = person.into();
        }
        let request = self.http.post(format!("{url}/v1/chat/sessions"));
        ask(request.header("X-API-Key", &self.key).json(&body)).await
    }

    /// Opens a session that must open.
    pub async fn opened(&self, url: &str, agent: &str, person: Option<&str>) -> Session {
        let answer = self.open(url, agent, person).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        Session::of(&answer.body)
    }

    /// Sends a message. `Err` of an answer: it was refused.
    pub async fn send(
        &self,
        url: &str,
        session: &Session,
        message: &str,
    ) -> Result<Result<Events, Answer>, Lost> {
        let request = self.http.post(path(url, session, "messages"));
        let request = request.bearer_auth(&session.token).json(&json!({ "message": message }));
        let response = request.send().await?;
        if response.status() == 200 {
            return Ok(Ok(Events::of(response)));
        }
        Ok(Err(answer(response).await?))
    }

    /// Sends a message that must be taken, and reads the whole answer.
    pub async fn said(&self, url: &str, session: &Session, message: &str) -> Vec<Event> {
        let taken = self.send(url, session, message).await.expect("an answer");
        let stream = taken.unwrap_or_else(|refused| panic!("{refused:?}"));
        stream.all().await.expect("a whole stream")
    }

    /// What the session's transcript says, oldest first.
    pub async fn history(&self, url: &str, session: &Session) -> Vec<(String, String)> {
        let request = self.http.get(path(url, session, "messages")).bearer_auth(&session.token);
        let answer = ask(request).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let messages = answer.body["messages"].as_array().expect("messages").clone();
        let text = |message: &Value, key: &str| message[key].as_str().expect("text").to_owned();
        messages.iter().map(|message| (text(message, "role"), text(message, "content"))).collect()
    }

    pub async fn end(&self, url: &str, session: &Session) -> Result<Answer, Lost> {
        ask(self.http.post(path(url, session, "end")).bearer_auth(&session.token)).await
    }
}

fn path(url: &str, session: &Session, what: &str) -> String {
    format!("{url}/v1/chat/sessions/{}/{what}", session.name)
}

/// The reply that a stream's events make, and whether it was completed.
pub fn reply(events: &[Event]) -> (String, bool) {
    let text = events.iter().filter(|event| event.name == "chunk");
    let text = text.map(|event| event.data["delta"].as_str().expect("text")).collect();
    (text, events.last().is_some_and(|event| event.name == "stream_end"))
}
