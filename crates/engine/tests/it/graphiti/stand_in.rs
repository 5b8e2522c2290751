//! A stand-in for the official Graphiti server, with its surface, its queue in memory and its manners,
//! and faults that a seed draws. It extracts no facts worth the name.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{delete, get, post},
};
use epilogue_core::{Span, Timestamp};
use epilogue_engine::clock::{Clock as _, SimClock};
use serde_json::{Value, json};
use url::Url;

use crate::support::dice::Dice;

/// What goes wrong, and how often, in percent.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Messages that are accepted and never stored.
    pub dropped: u32,
    /// Messages that are answered with 503, half of which are taken all the same.
    pub unavailable: u32,
    /// Messages that are stored twice.
    pub doubled: u32,
    /// Messages after which the server restarts: what is queued is gone.
    pub restarts: u32,
    /// Whether messages that are queued at the same time are stored in any order.
    pub reorders: bool,
    /// The longest a message stays in the queue.
    pub latency: Span,
    /// And the shortest.
    pub latency_least: Span,
    /// The message that ends the only worker, while everything else goes on as if nothing had happened.
    pub dies_of: Option<&'static str>,
    /// Whether every group is a database of its own, as with `FalkorDB`: nothing in it is ever deleted.
    pub deletes_nothing: bool,
    /// By how much the server's clock is behind.
    pub clock_behind: Span,
    /// What every request is answered with.
    pub answers: Option<u16>,
}

/// A message that is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub uuid: String,
    pub group: String,
    pub name: String,
    pub content: String,
    pub valid_at: Timestamp,
    pub created_at: Timestamp,
}

struct Queued {
    due_at: Timestamp,
    group: String,
    message: Value,
}

#[derive(Default)]
struct Inside {
    queue: VecDeque<Queued>,
    stored: Vec<Stored>,
    faults: Faults,
    worker_is_dead: bool,
    posts: usize,
    queued_most: usize,
    uuids: u32,
}

/// The stand-in. Runs until the test is over.
#[derive(Clone)]
pub struct StandInGraphiti {
    inside: Arc<Mutex<Inside>>,
    dice: Arc<Mutex<Dice>>,
    clock: SimClock,
}

impl StandInGraphiti {
    /// A server, and where it is.
    pub async fn start(clock: SimClock, seed: u64, faults: Faults) -> (Self, Url) {
        let inside = Inside { faults, ..Inside::default() };
        let dice = Arc::new(Mutex::new(Dice::seeded(seed)));
        let server = Self { inside: Arc::new(Mutex::new(inside)), dice, clock };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let router = server.router();
        tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        (server, url.parse().expect("a URL"))
    }

    fn router(&self) -> Router {
        Router::new()
            .route("/messages", post(add))
            .route("/episodes/{group}", get(episodes))
            .route("/search", post(search))
            .route("/group/{group}", delete(delete_group))
            .route("/episode/{uuid}", delete(delete_episode))
            .route("/entity-edge/{uuid}", delete(delete_episode))
            .route("/healthcheck", get(async || Json(json!({ "status": "healthy" }))))
            .with_state(self.clone())
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().expect("not poisoned")
    }

    fn percent(&self, of: u32) -> bool {
        self.dice.lock().expect("not poisoned").roll(100) < of
    }

    /// From now on this goes wrong.
    pub fn with(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.inside().faults);
    }

    /// As somebody would who sees the alarm.
    pub fn restart(&self) {
        let mut inside = self.inside();
        inside.queue.clear();
        inside.worker_is_dead = false;
    }

    /// What it holds, in the order in which it was stored.
    pub fn stored(&self) -> Vec<Stored> {
        self.work();
        self.inside().stored.clone()
    }

    /// How many messages it was sent.
    pub fn posts(&self) -> usize {
        self.inside().posts
    }

    /// How many messages stood in its queue at most.
    pub fn queued_most(&self) -> usize {
        self.inside().queued_most
    }

    /// Does what the worker would have done by now.
    fn work(&self) {
        let now = self.clock.now();
        let mut inside = self.inside();
        loop {
            if inside.worker_is_dead {
                return;
            }
            let due: Vec<_> =
                (0..inside.queue.len()).filter(|at| inside.queue[*at].due_at <= now).collect();
            let Some(first) = due.first().copied() else { return };
            let at = if inside.faults.reorders {
                let sides = u32::try_from(due.len()).expect("few");
                due[self.dice.lock().expect("not poisoned").roll(sides) as usize]
            } else {
                first
            };
            let queued = inside.queue.remove(at).expect("it is there");
            self.store(&mut inside, &queued, now);
        }
    }

    fn store(&self, inside: &mut Inside, queued: &Queued, now: Timestamp) {
        let text = |key: &str| queued.message[key].as_str().expect("a text").to_owned();
        let content = text("content");
        if inside.faults.dies_of.is_some_and(|deadly| content.contains(deadly)) {
            inside.worker_is_dead = true;
            return;
        }
        if self.percent(inside.faults.dropped) {
            return;
        }
        let times = 1 + u32::from(self.percent(inside.faults.doubled));
        for _ in 0..times {
            inside.uuids += 1;
            let stored = Stored {
                uuid: format!("uuid-{}", inside.uuids),
                group: queued.group.clone(),
                name: text("name"),
                content: content.clone(),
                valid_at: Timestamp::parse(&text("timestamp")).expect("a time"),
                created_at: now,
            };
            inside.stored.push(stored);
        }
    }
}

fn refusal(server: &StandInGraphiti) -> Option<Response> {
    let status = server.inside().faults.answers?;
    Some(StatusCode::from_u16(status).expect("a status").into_response())
}

fn is_message(message: &Value) -> bool {
    let roles = ["user", "assistant", "system"];
    let is_text = |key: &str| message[key].is_string();
    is_text("content")
        && message["role_type"].as_str().is_some_and(|role| roles.contains(&role))
        && message.get("role").is_some()
        && Timestamp::parse(message["timestamp"].as_str().unwrap_or_default()).is_some()
}

async fn add(State(server): State<StandInGraphiti>, Json(body): Json<Value>) -> Response {
    server.work();
    if let Some(refusal) = refusal(&server) {
        return refusal;
    }
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    if messages.is_empty() || !messages.iter().all(is_message) {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    // What the official server does not survive.
    assert!(messages.iter().all(|message| message.get("uuid").is_none()), "never a uuid");
    let group = body["group_id"].as_str().expect("a group").to_owned();
    assert!(group.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)));
    let faults = server.inside().faults.clone();
    let unavailable = server.percent(faults.unavailable);
    let taken = !unavailable || server.percent(50);
    if taken {
        let mut inside = server.inside();
        for message in messages {
            let latency = faults.latency.as_millis();
            let wait = match u32::try_from(latency).expect("short") {
                0 => 0,
                most => server.dice.lock().expect("not poisoned").roll(most),
            };
            let wait = Span::from_millis(u64::from(wait)).max(faults.latency_least);
            let due_at = server.clock.now() + wait;
            inside.posts += 1;
            inside.queue.push_back(Queued { due_at, group: group.clone(), message });
        }
        inside.queued_most = inside.queued_most.max(inside.queue.len());
    }
    if server.percent(faults.restarts) {
        server.restart();
    }
    if unavailable {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let body = json!({ "message": "Messages added to processing queue", "success": true });
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

#[derive(serde::Deserialize)]
struct LastN {
    last_n: usize,
}

async fn episodes(
    State(server): State<StandInGraphiti>,
    Path(group): Path<String>,
    Query(LastN { last_n }): Query<LastN>,
) -> Response {
    server.work();
    if let Some(refusal) = refusal(&server) {
        return refusal;
    }
    let behind = server.inside().faults.clock_behind;
    let millis = i64::try_from(behind.as_millis()).expect("short");
    let now = Timestamp::from_millis(server.clock.now().as_millis() - millis);
    let mut of_group: Vec<_> = server.inside().stored.clone();
    of_group.retain(|stored| stored.group == group && stored.valid_at <= now);
    of_group.sort_by_key(|stored| stored.valid_at);
    let latest = of_group.len().saturating_sub(last_n);
    let shown: Vec<_> = of_group[latest..]
        .iter()
        .map(|stored| {
            json!({
                "uuid": stored.uuid,
                "name": stored.name,
                "content": stored.content,
                "valid_at": stored.valid_at.to_jiff().to_string(),
                "created_at": stored.created_at.to_jiff().to_string(),
            })
        })
        .collect();
    let seconds = std::time::Duration::from_millis(u64::try_from(now.as_millis()).expect("late"));
    let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + seconds);
    let date: (HeaderName, HeaderValue) = (header::DATE, date.parse().expect("a date"));
    ([date], Json(shown)).into_response()
}

/// Every message is a fact, word by word.
async fn search(State(server): State<StandInGraphiti>, Json(body): Json<Value>) -> Response {
    server.work();
    if let Some(refusal) = refusal(&server) {
        return refusal;
    }
    let most = usize::try_from(body["max_facts"].as_u64().expect("a number")).expect("few");
    let stored = server.inside().stored.clone();
    let of_group =
        stored.iter().filter(|stored| Some(&*stored.group) == body["group_ids"][0].as_str());
    let facts: Vec<_> = of_group
        .take(most)
        .map(|stored| {
            json!({
                "uuid": stored.uuid,
                "name": "SAID",
                "fact": stored.content,
                "valid_at": stored.valid_at.to_jiff().to_string(),
                "invalid_at": null,
                "created_at": stored.created_at.to_jiff().to_string(),
                "expired_at": null,
                "source_node_uuid": "a",
                "target_node_uuid": "b",
                "episodes": [stored.uuid],
            })
        })
        .collect();
    Json(json!({ "facts": facts })).into_response()
}

async fn delete_group(
    State(server): State<StandInGraphiti>,
    Path(group): Path<String>,
) -> Response {
    if let Some(refusal) = refusal(&server) {
        return refusal;
    }
    server.work();
    let mut inside = server.inside();
    if !inside.faults.deletes_nothing {
        inside.stored.retain(|stored| stored.group != group);
    }
    Json(json!({ "message": "Group deleted", "success": true })).into_response()
}

async fn delete_episode(
    State(server): State<StandInGraphiti>,
    Path(uuid): Path<String>,
) -> Response {
    let mut inside = server.inside();
    let before = inside.stored.len();
    if !inside.faults.deletes_nothing {
        inside.stored.retain(|stored| stored.uuid != uuid);
    }
    if inside.stored.len() == before {
        return StatusCode::NOT_FOUND.into_response();
    }
    Json(json!({ "message": "Episode deleted", "success": true })).into_response()
}
