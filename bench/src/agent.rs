//! The organization and the agent that all is measured with, and what their clients send.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use clap::ValueEnum;
use http::Method;
use serde::Deserialize;

use crate::{
    Result,
    http::{Answer, Call, call},
    server::Data,
};

/// The organization's key.
pub const KEY: &str = "tk_live_bench";
const AGENT: &str = "5b710eca-ee67-4c3a-aeb6-8b541f451b40";
/// Where the project is, in the API that has projects.
const PROJECT: &str = "/v1/projects/proj_bench";
/// How many sessions have been opened whose client gives the name.
static OPENED: AtomicU64 = AtomicU64::new(0);
const QUESTION: &str = "When are you open on Sundays?";

/// What differs between measurements.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Who is told of ends.
    pub webhook: Option<String>,
    /// Who answers: the base of an OpenAI-compatible endpoint, or a script if there is none.
    pub model: Option<String>,
    /// What is logged.
    pub log: &'static str,
    /// What else is configured.
    pub more: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self { webhook: None, model: None, log: "info", more: String::new() }
    }
}

/// The server's configuration.
pub fn config(data: &Data, setup: &Setup) -> String {
    let model = match &setup.model {
        Some(base) => format!(r#"{{ provider = "openai", base_url = "{base}", name = "bench" }}"#),
        None => {
            r#"{ provider = "scripted", script = [{ when = "", reply = "It is open." }] }"#.into()
        }
    };
    let webhook = setup.webhook.as_ref().map_or(String::new(), |url| {
        format!(r#"webhook = {{ url = "{url}", secret = "whsec_YmVuY2htYXJrLXNlY3JldC0wMDAwMDAwMA==" }}"#)
    });
    let (database, log, more) = (data.database(), setup.log, &setup.more);
    let database = database.display();
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
[storage]
url = "sqlite:{database}"
[security]
allow_private_webhooks = true
[limits]
opens_per_minute = 0
messages_per_minute = 0
ends_per_minute = 0
history_per_minute = 0
connections_max = 20000
[telemetry]
log = "{log}"
[[organizations]]
id = "org_bench"
name = "Bench"
api_keys = ["{KEY}"]
[[organizations.agents]]
id = "{AGENT}"
name = "Bench"
prompt = "You answer questions about opening hours."
greeting = "Hello! How can I help you today?"
price = {{ per_session = "0.001", per_1k_tokens = "0.01" }}
model = {model}
{webhook}
[[organizations.projects]]
id = "proj_bench"
agent = "{AGENT}"
{more}
"#
    )
}

/// The API that clients speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Api {
    /// Sessions with tokens of their own; turns are streamed.
    #[default]
    Talkifai,
    /// Chats; turns are answered whole.
    Dasha,
    /// Sessions of a project that leave nothing behind; turns are completions, answered whole.
    Pathors,
}

/// An open session, as its client knows it.
#[derive(Clone, Debug)]
pub struct Session {
    api: Api,
    id: String,
    /// What it is talked to and ended with.
    bearer: String,
}

impl Api {
    /// Opens a session.
    pub fn open(self) -> Result<Call> {
        let bearer = format!("Bearer {KEY}");
        match self {
            Self::Talkifai => {
                let body =
                    format!(r#"{{"agent_id":"{AGENT}","user_identifier":"someone@example.com"}}"#);
                call(Method::POST, "/v1/chat/sessions", &[("x-api-key", KEY)], body)
            }
            Self::Dasha => {
                let body = format!(r#"{{"agent_id":"{AGENT}","ttl_seconds":1800}}"#);
                call(Method::POST, "/api/v1/chats", &[("authorization", &bearer)], body)
            }
            Self::Pathors => {
                let id = OPENED.fetch_add(1, Relaxed);
                let body =
                    format!(r#"{{"session_id":"bench-{id}","variables":{{"name":"someone"}}}}"#);
                let path = format!("{PROJECT}/sessions");
                call(Method::POST, &path, &[("authorization", &bearer)], body)
            }
        }
    }

    /// How the answer to an open is read.
    pub fn opened(self) -> fn(Answer) -> Result<Session> {
        match self {
            Self::Talkifai => talkifai_opened,
            Self::Dasha => dasha_opened,
            Self::Pathors => pathors_opened,
        }
    }
}

fn talkifai_opened(answer: Answer) -> Result<Session> {
    #[derive(Deserialize)]
    struct Opened {
        conversation_id: String,
        session_token: String,
    }
    let opened: Opened = serde_json::from_slice(&answer.ok()?.body)?;
    let bearer = format!("Bearer {}", opened.session_token);
    Ok(Session { api: Api::Talkifai, id: opened.conversation_id, bearer })
}

fn dasha_opened(answer: Answer) -> Result<Session> {
    #[derive(Deserialize)]
    struct Opened {
        id: String,
    }
    let opened: Opened = serde_json::from_slice(&answer.ok()?.body)?;
    Ok(Session { api: Api::Dasha, id: opened.id, bearer: format!("Bearer {KEY}") })
}

fn pathors_opened(answer: Answer) -> Result<Session> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Opened {
        session_id: String,
    }
    let opened: Opened = serde_json::from_slice(&answer.ok()?.body)?;
    Ok(Session { api: Api::Pathors, id: opened.session_id, bearer: format!("Bearer {KEY}") })
}

/// Reads the answer to an end or a whole turn.
pub fn accepted(answer: Answer) -> Result<()> {
    answer.ok().map(drop)
}

impl Session {
    /// Sends a message: a turn.
    pub fn say(&self) -> Result<Call> {
        let id = &self.id;
        let (path, body) = match self.api {
            Api::Talkifai => (
                format!("/v1/chat/sessions/{id}/messages"),
                format!(r#"{{"message":"{QUESTION}"}}"#),
            ),
            Api::Dasha => {
                (format!("/api/v1/chats/{id}/messages"), format!(r#"{{"content":"{QUESTION}"}}"#))
            }
            Api::Pathors => {
                let message = format!(r#"{{"role":"user","content":"{QUESTION}"}}"#);
                let body = format!(r#"{{"session_id":"{id}","messages":[{message}]}}"#);
                (format!("{PROJECT}/chat/completions"), body)
            }
        };
        call(Method::POST, &path, &[("authorization", &self.bearer)], body)
    }

    /// Ends it.
    pub fn end(&self) -> Result<Call> {
        let id = &self.id;
        let (method, path, body) = match self.api {
            Api::Talkifai => (Method::POST, format!("/v1/chat/sessions/{id}/end"), String::new()),
            Api::Dasha => (Method::POST, format!("/api/v1/chats/{id}/end"), String::new()),
            Api::Pathors => (
                Method::DELETE,
                format!("{PROJECT}/sessions"),
                format!(r#"{{"session_id":"{id}"}}"#),
            ),
        };
        call(method, &path, &[("authorization", &self.bearer)], body)
    }
}
