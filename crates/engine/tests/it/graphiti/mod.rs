//! Memory in a Graphiti server that loses, repeats, disorders, refuses and dies: a stand-in for it.

mod alarm;
mod erasure;
mod faults;
mod lane;
mod real;
mod stand_in;

use std::time::Duration;

use epilogue_core::{MemoryScope, Person, SessionId, Span, StepKind, retry::RetryPolicy};
use epilogue_engine::{
    clock::SimClock,
    memory::graphiti::{GraphitiSettings, PIECE_CHARS_MAX},
    session::OpenSession,
};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::stand_in::{Faults, StandInGraphiti, Stored};
use crate::support::{
    Setup, TestEngine,
    model::{end, text},
};

/// How long a message may stay away.
const PATIENCE: Span = Span::from_secs(20);

/// How many people's messages are sent at once.
const AT_ONCE: usize = 4;

/// A step of simulated time, in which everybody does what there is to do.
const TICK: Span = Span::from_millis(250);

/// How many of them a test may take: a watchdog.
const TICKS_MAX: usize = 40_000;

/// An engine whose memory is a stand-in for Graphiti.
struct House {
    app: TestEngine,
    server: StandInGraphiti,
    /// How much time passes in a tick, and how long that takes in real time.
    tick: (Span, Duration),
    running: Option<(JoinHandle<()>, CancellationToken)>,
}

impl House {
    async fn with(seed: u64, faults: Faults, change: impl FnOnce(&mut Setup)) -> Self {
        // The server's clock is the engine's, which is there before the engine.
        let clock = SimClock::at(crate::support::START);
        let (server, url) = StandInGraphiti::start(clock.clone(), seed, faults).await;
        let app = TestEngine::with(|setup| {
            setup.clock = Some(clock);
            setup.agent["memory"] = json!(true);
            let waits = [0, 1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 32].map(Span::from_secs);
            setup.policies.ingest_memory = RetryPolicy {
                schedule: waits.to_vec(),
                jitter_percent: 0,
                ..setup.policies.ingest_memory.clone()
            };
            setup.graphiti = Some(GraphitiSettings {
                url,
                timeout: Span::from_secs(10),
                patience: PATIENCE,
                at_once: AT_ONCE,
            });
            change(setup);
        })
        .await;
        app.model().by_rule(|request| {
            let asked = &request.messages.last().expect("a message").body.content;
            Ok(vec![text(&format!("You said: {asked}")), end()])
        });
        let mut house = Self { app, server, tick: (TICK, Duration::from_millis(1)), running: None };
        house.start();
        house
    }

    async fn new(seed: u64, faults: Faults) -> Self {
        Self::with(seed, faults, |_| {}).await
    }

    /// Starts what carries conversations over.
    fn start(&mut self) {
        let (worker, stop) = (self.app.uploads(), CancellationToken::new());
        let stopping = stop.clone();
        let running = tokio::spawn(async move { worker.run(stopping).await });
        self.running = Some((running, stop));
    }

    /// As `kill -9` would, and another process takes over.
    async fn crash(&mut self) {
        if let Some((running, _)) = self.running.take() {
            running.abort();
        }
        self.app.restart().await;
        self.start();
    }

    /// A conversation with somebody, which has ended.
    async fn talked(&self, who: &str, said: &[String]) -> SessionId {
        self.app.advance(Span::from_millis(700));
        let id = self.app.open_with(|open| of(open, who)).await;
        for message in said {
            self.app.advance(Span::from_millis(700));
            self.app.say(id, message).await;
        }
        self.app.end(id).await;
        id
    }

    /// Lets time pass, and whatever is due be done.
    async fn tick(&self) {
        self.app.run_until_idle().await;
        self.app.advance(self.tick.0);
        breathe(self.tick.1).await;
    }

    async fn until(&self, what: &str, is_so: impl AsyncFn(&Self) -> bool) {
        for _ in 0..TICKS_MAX {
            if is_so(self).await {
                return;
            }
            self.tick().await;
        }
        panic!("never: {what}");
    }

    /// Until every one of these conversations is remembered.
    async fn until_remembered(&self, sessions: &[SessionId]) {
        self.until("remembered", async |house| {
            for session in sessions {
                if house.ingestion(*session).await != "done" {
                    return false;
                }
            }
            true
        })
        .await;
    }

    /// Where the step stands that puts a conversation into memory.
    async fn ingestion(&self, session: SessionId) -> &'static str {
        self.app.step(session, StepKind::IngestMemory).await.0.state.as_str()
    }

    /// What the server should hold of a conversation: what was said by both sides, in order.
    async fn expected(&self, session: SessionId) -> Vec<(String, String)> {
        let visible = self.app.transcript(session).await.into_iter();
        let visible = visible.filter(|message| message.body.is_visible());
        visible
            .map(|message| (format!("{session}.{}.0", message.seq), message.body.content))
            .collect()
    }

    /// What the server holds of some conversations, in the order of the messages' own times.
    fn held(&self, of: &[SessionId]) -> Vec<(String, String)> {
        let mut held: Vec<Stored> = self.server.stored();
        held.retain(|stored| of.iter().any(|id| stored.name.starts_with(&id.to_string())));
        held.sort_by_key(|stored| stored.valid_at);
        held.into_iter().map(|stored| (stored.name, stored.content)).collect()
    }

    /// The same, in the order in which the server stored them.
    fn stored_names(&self, of: SessionId) -> Vec<String> {
        let held = self.server.stored().into_iter();
        let held = held.filter(|stored| stored.name.starts_with(&of.to_string()));
        held.map(|stored| stored.name).collect()
    }

    async fn figure(&self, name: &str) -> u64 {
        let snapshot = self.app.engine.snapshot().await.expect("read");
        let text = self.app.engine.metrics().encode(&snapshot);
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("epilogue_{name} ")));
        line.map_or(0, |value| value.parse().expect("a number"))
    }
}

/// Lets what comes over sockets come: they are only looked at when there is nothing else to do.
#[expect(clippy::disallowed_methods, reason = "sockets know no simulated time")]
async fn breathe(span: Duration) {
    tokio::time::sleep(span).await;
}

fn of(open: &mut OpenSession, who: &str) {
    open.person = Person::new(who);
}

fn scope(who: &str) -> MemoryScope {
    Person::new(who).expect("a person").memory_scope(&"agent".into())
}

fn said(what: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{what} {n}")).collect()
}
