//! A client of the APIs, as small as a client can be.

use std::time::Duration;

use futures::StreamExt as _;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// The sample organization's key.
const KEY: &str = "tk_live_demo";
/// The key of its project.
const PROJECT_KEY: &str = "sk_demo";

/// What the parts of a form are parted by. It does not occur in what the demo sends.
const PARTED_BY: &str = "parts-of-the-demo";

/// Why a conversation could not be shown.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Speaks to the server.
#[derive(Clone)]
pub(super) struct Talk {
    http: Client,
    base: String,
}

/// A session, as its client knows it.
pub(super) struct Held {
    /// Its name in its API.
    pub id: String,
    /// What the client holds for it.
    token: String,
    /// Where its messages go.
    messages: String,
    end: String,
    pub greeting: Option<String>,
}

/// What a turn came to.
#[derive(Default)]
pub(super) struct Said {
    pub text: String,
    /// The agent has said goodbye, and the client is to end the session.
    pub finish: bool,
}

impl Talk {
    pub fn to(base: &str) -> Result<Self, Failure> {
        let http = Client::builder().no_proxy().timeout(Duration::from_mins(1)).build()?;
        Ok(Self { http, base: base.to_owned() })
    }

    /// Opens a TalkifAI session.
    pub async fn open_talkifai(&self, agent: &str, person: &str) -> Result<Held, Failure> {
        let body = json!({ "agent_id": agent, "user_identifier": person });
        let request = self.http.post(format!("{}/v1/chat/sessions", self.base));
        let opened = read(request.header("X-API-Key", KEY).json(&body)).await?;
        let id = text(&opened, "conversation_id");
        let path = format!("{}/v1/chat/sessions/{id}", self.base);
        Ok(Held {
            token: text(&opened, "session_token"),
            messages: format!("{path}/messages"),
            end: format!("{path}/end"),
            greeting: opened.get("greeting").and_then(Value::as_str).map(str::to_owned),
            id,
        })
    }

    /// Opens a session by the native API.
    pub async fn open_native(&self, agent: &str, person: &str) -> Result<Held, Failure> {
        let body = json!({ "agent": agent, "person": person, "variables": { "name": person } });
        let opened = self.native(Method::POST, "/sessions", Some(body)).await?;
        let id = opened.get("session").map(|session| text(session, "id")).unwrap_or_default();
        let path = format!("{}/epilogue/v1/sessions/{id}", self.base);
        Ok(Held {
            token: text(&opened, "session_token"),
            messages: format!("{path}/turns"),
            end: format!("{path}/end"),
            greeting: opened.get("greeting").and_then(Value::as_str).map(str::to_owned),
            id,
        })
    }

    /// Says something and reads the reply, or the first `pieces_max` pieces of it.
    pub async fn say(
        &self,
        session: &Held,
        message: &str,
        pieces_max: usize,
    ) -> Result<Said, Failure> {
        let request = self.http.post(&session.messages).bearer_auth(&session.token);
        let response = request.json(&json!({ "message": message })).send().await?;
        let mut stream = response.error_for_status()?.bytes_stream();
        let (mut said, mut unread, mut pieces) = (Said::default(), String::new(), 0);
        while let Some(bytes) = stream.next().await {
            unread.push_str(&String::from_utf8_lossy(&bytes?));
            while let Some((event, rest)) = unread.split_once("\n\n") {
                pieces += usize::from(said.take(event));
                unread = rest.to_owned();
            }
            if pieces >= pieces_max {
                break;
            }
        }
        Ok(said)
    }

    /// Ends a session with its own token. Returns the status.
    pub async fn end(&self, session: &Held) -> Result<StatusCode, Failure> {
        let request = self.http.post(&session.end).bearer_auth(&session.token);
        Ok(request.send().await?.status())
    }

    /// A request to the Dasha BlackBox API.
    pub async fn dasha(&self, method: Method, path: &str, body: Value) -> Result<Value, Failure> {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.base));
        read(request.bearer_auth(KEY).json(&body)).await
    }

    /// A request to the Pathors API, to the paths of its project. Returns the status and the body.
    pub async fn pathors(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<(StatusCode, Value), Failure> {
        let url = format!("{}/v1/projects/proj_demo{path}", self.base);
        let request = self.http.request(method, url).bearer_auth(PROJECT_KEY);
        let response = request.json(&body).send().await?;
        Ok((response.status(), response.json().await?))
    }

    /// A request to the Kaltura API. Returns the status and the body.
    pub async fn kaltura(
        &self,
        path: &str,
        credential: &str,
        body: Value,
    ) -> Result<(StatusCode, Value), Failure> {
        let request = self.http.post(format!("{}/v1/avatar-session{path}", self.base));
        let response = request.header("Authorization", credential).json(&body).send().await?;
        Ok((response.status(), response.json().await?))
    }

    /// Sends a recording to the Kaltura API, in a form as browsers send one.
    pub async fn kaltura_recording(
        &self,
        path: &str,
        credential: &str,
        recording: &[u8],
        seconds: f32,
    ) -> Result<Value, Failure> {
        let part = |name: &str| {
            format!("\r\n--{PARTED_BY}\r\nContent-Disposition: form-data; name=\"{name}\"")
        };
        let words = [part("turnId"), "\r\n\r\nhum".into(), part("duration")].concat();
        let file = "; filename=\"audio\"\r\nContent-Type: audio/wav\r\n\r\n";
        let head = format!("{words}\r\n\r\n{seconds}{}{file}", part("audio"));
        let end = format!("\r\n--{PARTED_BY}--\r\n");
        let body = [head.as_bytes(), recording, end.as_bytes()].concat();
        let request = self.http.post(format!("{}/v1/avatar-session{path}", self.base));
        let kind = format!("multipart/form-data; boundary={PARTED_BY}");
        let request = request.header("Authorization", credential).header("Content-Type", kind);
        read(request.body(body)).await
    }

    /// A request to the native API.
    pub async fn native(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let request = self.http.request(method, format!("{}/epilogue/v1{path}", self.base));
        let request = request.bearer_auth(KEY);
        read(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }
}

impl Said {
    /// Takes an event of either API's stream. Returns whether it was a piece of the reply.
    fn take(&mut self, event: &str) -> bool {
        let Some(data) = event.lines().find_map(|line| line.strip_prefix("data: ")) else {
            return false;
        };
        let data: Value = serde_json::from_str(data).unwrap_or_default();
        let flag = |key: &str| data.get(key).and_then(Value::as_bool).unwrap_or(false);
        self.finish |= flag("end_session") || flag("ends_session");
        let piece = data.get("delta").or_else(|| data.get("text")).and_then(Value::as_str);
        self.text.push_str(piece.unwrap_or_default());
        piece.is_some()
    }
}

async fn read(request: RequestBuilder) -> Result<Value, Failure> {
    let response = request.send().await?;
    let status = response.status();
    let body = response.text().await?;
    if !status.is_success() {
        return Err(format!("the server answered {status}: {body}").into());
    }
    Ok(serde_json::from_str(&body)?)
}

/// A member that is text; nothing, if it is not.
pub(super) fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
