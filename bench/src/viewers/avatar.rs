//! Avatar sessions, as their client opens, keeps, speaks through and ends them.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use serde::Deserialize;

use crate::{
    Result, agent,
    http::{Answer, Call, Connection, call},
    server::Server,
};

/// What stands for the credentials of the partner that opens sessions.
const KS: &str = "bench-ks";
/// The partner's number.
const PARTNER: u32 = 12345;
/// The agent that sessions are opened with.
const AGENT: &str = "7d1f0a52-8f0e-4a56-9f0a-0a1d5ad0c001";
/// Where sessions are.
const PATH: &str = "/v1/avatar-session";
/// What parts of a form are parted by. It does not occur in what the bench says.
const BOUNDARY: &str = "bench-and-bench-only";

/// What is said in words, once, where there is a program that can.
pub const WORDS: &str = "Everything that begins comes to its end.";

/// What the configuration says about avatars: an agent and a partner of the bench's organization, and
/// where media packets arrive.
pub fn config(sessions: usize) -> String {
    format!(
        r#"
[[organizations.agents]]
id = "{AGENT}"
name = "Avatar"
kind = "avatar"
price = {{ per_minute = "0.06" }}
model = {{ provider = "scripted", script = [{{ when = "", reply = "" }}] }}
[[organizations.kaltura_partners]]
partner_id = {PARTNER}
admin_secret = "literal:bench-secret"
static_ks = ["literal:{KS}"]
agent = "{AGENT}"
[media]
udp_listen = "127.0.0.1:0"
turn_listen = []
sessions_max = {sessions}
speech = {{ provider = "command", command = ["espeak-ng", "--stdout", "{{text}}"] }}
"#
    )
}

/// Whether there is a program here that speaks.
pub fn can_speak() -> bool {
    let said = std::process::Command::new("espeak-ng").arg("--version").output();
    said.is_ok_and(|output| output.status.success())
}

/// A session, with a connection of its own.
pub struct Avatar {
    connection: Connection,
    /// Its name.
    id: String,
    bearer: String,
    said: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    session_id: String,
    token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialised {
    whep_url: String,
}

impl Avatar {
    /// Opens a session, and shows it to a viewer. Returns the answer to the viewer's offer.
    pub async fn open(server: &Server, offer: String) -> Result<(Self, String)> {
        let mut connection = Connection::open(server.address).await?;
        let ks = format!("KS {KS}");
        let body = r#"{"visualConfig":{"avatarId":"default"}}"#.to_owned();
        let create = call(Method::POST, PATH, &[("authorization", &ks)], body)?;
        let created = connection.send(create).await?.ok()?;
        let Created { session_id: id, token } = serde_json::from_slice(&created.body)?;
        let mut avatar = Self { connection, id, bearer: format!("Bearer {token}"), said: 0 };
        let initialised = avatar.ask("init-client").await?.ok()?;
        let Initialised { whep_url } = serde_json::from_slice(&initialised.body)?;
        // The server is reached by its address, whatever name it calls itself by.
        let path = whep_url.find("/media/").and_then(|at| whep_url.get(at..));
        let path = path.ok_or("an address of another kind")?.to_owned();
        let watch = Request::post(path)
            .header(header::HOST, "bench")
            .header(header::CONTENT_TYPE, "application/sdp")
            .body(Full::from(offer))?;
        let answer = avatar.connection.send(watch).await?.ok()?;
        Ok((avatar, String::from_utf8(answer.body.into())?))
    }

    /// Keeps it alive.
    pub async fn keep_alive(&mut self) -> Result<()> {
        self.ask("keep-alive").await?.ok().map(drop)
    }

    /// Ends it.
    pub async fn end(&mut self) -> Result<()> {
        self.ask("end").await?.ok().map(drop)
    }

    /// What it answers once it is over.
    pub async fn status(&mut self) -> Result<StatusCode> {
        Ok(self.ask("keep-alive").await?.status)
    }

    /// Has it say words.
    pub async fn say_words(&mut self) -> Result<()> {
        let body = serde_json::json!({ "text": WORDS }).to_string();
        let headers = [("authorization", self.bearer.as_str())];
        let say = call(Method::POST, &self.path("say-text"), &headers, body)?;
        self.connection.send(say).await?.ok().map(drop)
    }

    /// Has it say a recording.
    pub async fn say_recording(&mut self, recording: &[u8]) -> Result<()> {
        self.said += 1;
        let say = form(&self.path("say-audio"), &self.bearer, self.said, recording)?;
        self.connection.send(say).await?.ok().map(drop)
    }

    /// Whether these words stand in its transcript.
    pub async fn has_said(&mut self, words: &str) -> Result<bool> {
        let bearer = format!("Bearer {}", agent::KEY);
        let path = format!("/epilogue/v1/sessions/{}/messages", self.id);
        let look = call(Method::GET, &path, &[("authorization", &bearer)], String::new())?;
        let messages = self.connection.send(look).await?.ok()?;
        Ok(String::from_utf8_lossy(&messages.body).contains(words))
    }

    async fn ask(&mut self, what: &str) -> Result<Answer> {
        let headers = [("authorization", self.bearer.as_str())];
        let call = call(Method::POST, &self.path(what), &headers, String::new())?;
        self.connection.send(call).await
    }

    fn path(&self, what: &str) -> String {
        format!("{PATH}/{}/{what}", self.id)
    }
}

/// A recording as browsers send one.
fn form(path: &str, bearer: &str, turn: usize, recording: &[u8]) -> Result<Call> {
    let seconds = super::voice::RECORDING_S;
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"turnId\"\r\n\r\nturn-{turn}\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"duration\"\r\n\r\n{seconds}\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"audio\"; filename=\"audio\"\r\n\
         Content-Type: audio/wav\r\n\r\n"
    );
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    let body = Bytes::from([head.as_bytes(), recording, tail.as_bytes()].concat());
    Ok(Request::post(path)
        .header(header::HOST, "bench")
        .header(header::AUTHORIZATION, bearer)
        .header(header::CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(Full::new(body))?)
}
