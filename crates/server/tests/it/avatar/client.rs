//! A client of the avatar API.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use serde_json::{Value, json};

use super::KS;
use crate::support::client::{Answer, Http, ask};

/// A session, in the hands of whoever created it.
#[derive(Clone)]
pub struct Client {
    http: Http,
    base: String,
    pub session: String,
    pub token: String,
    /// Where it is seen, once it is shown.
    pub whep: String,
    /// The relay, and the credentials for it.
    pub turn: Value,
}

/// What a multipart body is parted by.
const BOUNDARY: &str = "a-boundary-that-no-recording-has";

impl Client {
    /// Creates a session.
    pub async fn create(http: &Http, url: &str) -> Self {
        let base = format!("{url}/v1/avatar-session");
        let request = http.post(base.clone()).header("authorization", format!("KS {KS}"));
        let wanted = json!({ "visualConfig": { "avatarId": "default" } });
        let created = ask(request.json(&wanted)).await.expect("an answer");
        assert_eq!(created.status, 200, "{}", created.body);
        let text = |name: &str| created.body[name].as_str().expect("a text").to_owned();
        let (session, token) = (text("sessionId"), text("token"));
        Self { http: http.clone(), base, session, token, whep: String::new(), turn: Value::Null }
    }

    /// Has the session shown, and learns where.
    pub async fn init(self) -> Self {
        let shown = self.post("init-client").await;
        assert_eq!(shown.status, 200, "{}", shown.body);
        let whep = shown.body["whepUrl"].as_str().expect("an address").to_owned();
        let turn = shown.body["turn"].clone();
        Self { whep, turn, ..self }
    }

    /// The address of something of the session.
    pub fn url(&self, what: &str) -> String {
        format!("{}/{}/{what}", self.base, self.session)
    }

    /// Asks for something that needs no body.
    pub async fn post(&self, what: &str) -> Answer {
        let request = self.http.post(self.url(what)).bearer_auth(&self.token);
        ask(request).await.expect("an answer")
    }

    /// Says something, as a turn of its own.
    pub async fn say(&self, text: &str) -> Answer {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let turn = format!("turn-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let body = json!({ "text": text, "turnId": turn, "isFinal": true });
        let request = self.http.post(self.url("say-text")).bearer_auth(&self.token);
        ask(request.json(&body)).await.expect("an answer")
    }

    /// Says something that is accepted.
    pub async fn said(&self, text: &str) {
        let answer = self.say(text).await;
        assert_eq!((answer.status, &answer.body), (200, &json!({ "success": true })));
    }

    /// Says a recording.
    pub async fn play(&self, name: &str, recording: &Bytes) -> Answer {
        let part = |name: &str, value: &str| {
            format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
        };
        let head = format!(
            "{}{}--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"audio\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n",
            part("turnId", name),
            part("duration", "3.5"),
        );
        let tail = format!("\r\n--{BOUNDARY}--\r\n");
        let body = [head.as_bytes(), recording, tail.as_bytes()].concat();
        let request = self.http.post(self.url("say-audio")).bearer_auth(&self.token);
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        ask(request.header("content-type", kind).body(body)).await.expect("an answer")
    }

    /// Every call is answered that the session is over, and its stream is nowhere.
    pub async fn is_over(&self) {
        let over = (410, json!({ "success": false, "error": "Session ended" }));
        for what in ["init-client", "interrupt", "keep-alive", "end"] {
            let answer = self.post(what).await;
            assert_eq!((answer.status, answer.body), over, "{what}");
        }
        let said = self.say("Too late.").await;
        assert_eq!((said.status, said.body), over, "say-text");
        let played = self.play("late", &Bytes::from_static(b"too late")).await;
        assert_eq!((played.status, played.body), over, "say-audio");
        let offer = self.http.post(self.whep.clone()).header("content-type", "application/sdp");
        let answer = ask(offer.body("v=0")).await.expect("an answer");
        assert_eq!(answer.status, 404, "{}", answer.body);
    }
}
