//! Who takes part: an agent that remembers, a fake model whose answers follow from the chapters it is given,
//! and a database that can be made to stop in the middle of a commit.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, header};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{binary::Home, eventually, gate::Gate, peer::Peer};

pub const KEY: &str = "dk_remembered";
pub const AGENT: &str = "remembering";

/// What the long conversation has. The short one before it is chapter 0.
pub const CHAPTERS: u32 = 4;

/// What the person says, and what is answered.
pub const MESSAGES_OF_A_CHAPTER: u32 = 2;

/// What each message costs.
pub const MESSAGE_PRICE_MICRO: u64 = 1_000;

/// How long a chapter is, in characters: no two fit into one part of what is read.
const CHAPTER_CHARS: usize = 7_000;

/// In how many looks in a row the database must be busy to be at a standstill: no commit takes that long.
const BUSY_LOOKS: u32 = 10;

/// How a chapter begins, which nothing else does.
pub fn opening(person: &str, chapter: u32) -> String {
    format!("{person}: chapter {chapter}.")
}

/// What the person says.
pub fn chapter(person: &str, chapter: u32) -> String {
    let opening = opening(person, chapter);
    format!("{opening}{}", " And so on.".repeat(CHAPTER_CHARS / " And so on.".len()))
}

/// The moment at which the model is asked to read it.
pub fn reading(person: &str, chapter: u32) -> String {
    opening(person, chapter)
}

/// Everything outside the server.
pub struct World {
    pub home: Home,
    pub gate: Gate,
    /// The chapters that were to be read, by their openings, in this order.
    asked: Arc<Mutex<Vec<String>>>,
    _fake_model: Peer,
}

impl World {
    pub async fn new() -> Self {
        let (gate, asked) = (Gate::default(), Arc::<Mutex<Vec<String>>>::default());
        let (at_model, kept) = (gate.clone(), asked.clone());
        let fake_model = Peer::start(move |request: Request<Bytes>| {
            let (gate, kept) = (at_model.clone(), kept.clone());
            async move {
                let request: Value = serde_json::from_slice(request.body()).unwrap_or_default();
                let schema = &request["response_format"]["json_schema"]["schema"]["properties"];
                if !schema["facts"].is_object() {
                    return Ok(streamed("I see."));
                }
                let opening = part(&request);
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(opening.clone());
                gate.pass(&opening).await;
                Ok(streamed(&learned(&opening).to_string()))
            }
        })
        .await;
        let home = Home::new(&config(&fake_model.url("/v1")));
        Self { home, gate, asked, _fake_model: fake_model }
    }

    /// Which chapters of this person the model was asked to read.
    pub fn read(&self, person: &str) -> Vec<u32> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let chapter =
            |opening: &String| (0..=CHAPTERS).find(|n| self::opening(person, *n) == *opening);
        asked.iter().filter_map(chapter).collect()
    }

    /// From now on the database never comes to an end with this change, in the middle of its commit.
    pub fn stall(&self, change: &str) {
        let endless = "CREATE VIEW endless AS
            WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n;";
        let trigger =
            format!("CREATE TRIGGER stalls {change} BEGIN SELECT count(*) FROM endless; END;");
        self.database().execute_batch(&format!("{endless}{trigger}")).expect("readied");
    }

    /// Waits until somebody is in the middle of such a commit.
    pub async fn is_stalled(&self) {
        let database = self.database();
        database.busy_timeout(Duration::ZERO).expect("set");
        let mut busy = 0;
        eventually("the commit to come to a standstill", async || {
            let is_free = database.execute_batch("BEGIN IMMEDIATE; ROLLBACK;").is_ok();
            busy = if is_free { 0 } else { busy + 1 };
            (busy == BUSY_LOOKS).then_some(())
        })
        .await;
    }

    /// Nobody is stopped any more. The server does not run.
    pub fn go_on(&self) {
        self.gate.open();
        let all = "DROP TRIGGER IF EXISTS stalls; DROP VIEW IF EXISTS endless;";
        self.database().execute_batch(all).expect("as before");
    }

    fn database(&self) -> Connection {
        let database = Connection::open(self.home.database()).expect("opens");
        database.busy_timeout(Duration::from_secs(10)).expect("set");
        database
    }
}

/// The chapter that is to be read: a part has one.
fn part(request: &Value) -> String {
    let messages = request["messages"].as_array().expect("messages");
    let data = messages.last().and_then(|message| message["content"].as_str()).expect("data");
    let data: Value = serde_json::from_str(data).expect("JSON");
    let said = data["conversation"].as_array().expect("a conversation");
    let said = said.iter().filter(|message| message["role"] == "user");
    let said: Vec<_> = said.filter_map(|message| message["content"].as_str()).collect();
    assert_eq!(said.len(), 1, "a chapter is a part");
    let end = said[0].find('.').expect("an opening");
    said[0][..=end].to_owned()
}

/// What follows from a chapter: something told again and again, something that takes the place of
/// something else, and something that ends.
fn learned(opening: &str) -> Value {
    let user = json!({ "name": "user", "kind": "person", "hint": null });
    let thing = |name: &str| json!({ "name": name, "kind": "thing", "hint": null });
    let fact = |relation: &str, words: &str, object: &str| {
        json!({
            "subject": user, "relation": relation, "object": thing(object),
            "sentence": format!("The user {words} {object}."),
            "from": null, "until": null, "exclusive": relation == "lives_in",
        })
    };
    let (olives, cello) = (fact("likes", "likes", "olives"), fact("plays", "plays", "cello"));
    let lives = |place: &str| fact("lives_in", "lives in", place);
    let over =
        json!({ "subject": user, "relation": "plays", "object": thing("cello"), "when": null });
    let (facts, ended) = match opening.rsplit(' ').next() {
        Some("0.") => (vec![olives], vec![]),
        Some("1.") => (vec![lives("Lisbon"), olives], vec![]),
        Some("2.") => (vec![olives, cello], vec![]),
        Some("3.") => (vec![lives("Porto")], vec![]),
        _ => (vec![olives], vec![over]),
    };
    json!({ "facts": facts, "ended": ended })
}

fn streamed(content: &str) -> Response<Body> {
    let event = |choice: Value| format!("data: {}\n\n", json!({ "choices": [choice] }));
    let said = event(json!({ "index": 0, "delta": { "content": content } }));
    let last = event(json!({ "index": 0, "delta": {}, "finish_reason": "stop" }));
    let mut response = Response::new(Body::from(format!("{said}{last}data: [DONE]\n\n")));
    let kind = http::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn config(model: &str) -> Value {
    let step = json!({ "retry_s": [0, 0, 1, 1, 1, 1], "timeout_s": 30, "jitter_percent": 0 });
    json!({
        "telemetry": { "log": "warn,epilogue_server=info", "log_format": "json" },
        "limits": {
            "opens_per_minute": 0, "messages_per_minute": 0,
            "ends_per_minute": 0, "history_per_minute": 0,
        },
        "steps": { "ingest_memory": step },
        "organizations": [{
            "id": "org_remembered", "name": "Remembered", "credits": "1000", "api_keys": [KEY],
            "agents": [{
                "id": AGENT, "name": "An agent", "prompt": "You help.", "memory": true,
                "model": { "provider": "openai", "base_url": model, "name": "fake" },
                "price": { "per_message": "0.001" },
            }],
        }],
    })
}
