//! A whole server in process: router, engine, worker and store, with time that stands still.

mod call;
mod config;
mod receiver;

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use epilogue_api::{Api, Dialects, Settings, auth, native, token::SessionTokens};
use epilogue_core::{NodeId, SessionId, Span, Timestamp};
use epilogue_engine::testing::{
    DirectoryStore as _,
    sqlite::{Options, SqliteStorage},
};
use epilogue_engine::{
    Engine, Limits, Parts, StepPolicies, clock::SimClock, ids::Ids, llm::Scripted,
    media::MediaPlane, memory::EmbeddedMemory, tool::Toolbox, webhook::egress::Egress,
    worker::Worker,
};
use serde_json::json;

pub use self::{
    call::{Answer, Call},
    config::{AVATAR, FREE, OPERATE, OPERATOR, OTHER, OWN, POOR, READ, SUPPORT, WIDGET},
    receiver::FakeReceiver,
};

/// When every test begins: 2026-01-31T12:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_769_860_800_000);

/// The longest body, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// A media plane that holds nothing.
struct NoMedia;

#[async_trait]
impl MediaPlane for NoMedia {
    async fn release(&self, _session: SessionId) -> usize {
        0
    }
}

/// A running server.
pub struct World {
    pub clock: SimClock,
    pub engine: Engine,
    pub receiver: Arc<FakeReceiver>,
    pub router: Router,
    pub storage: Arc<SqliteStorage>,
    worker: Worker,
    _folder: tempfile::TempDir,
}

impl World {
    pub async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub async fn with(limits: Limits) -> Self {
        Self::under(limits, 0).await
    }

    /// A world in which every key and session may ask so often in a minute.
    pub async fn limited(per_minute: u32) -> Self {
        Self::under(Limits::default(), per_minute).await
    }

    async fn under(limits: Limits, per_minute: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = SqliteStorage::open(&folder.path().join("test.db"), &Options::default())
            .expect("a store");
        storage.apply_config(config::organizations(), START).await.expect("the configuration");
        let storage = Arc::new(storage);
        let clock = SimClock::at(START);
        let shared = Arc::new(clock.clone());
        let receiver = Arc::new(FakeReceiver::default());
        let models = Arc::new(Scripted::new(shared.clone()));
        let engine = Engine::new(Parts {
            storage: storage.clone(),
            clock: shared.clone(),
            ids: Arc::new(Ids::seeded(7)),
            node: NodeId::from("node_test"),
            models: models.clone(),
            tools: Toolbox::new(Egress::new(false).expect("a client"), shared.clone()),
            webhooks: receiver.clone(),
            memory: Arc::new(EmbeddedMemory::new(
                storage.clone(),
                models,
                shared,
                Arc::new(Ids::seeded(8)),
            )),
            media: Arc::new(NoMedia),
            voice: None,
            wording: Arc::new(Dialects),
            limits,
            policies: StepPolicies::default(),
        });
        let api =
            Api::new(engine.clone(), SessionTokens::new(&"secret".into()), settings(per_minute));
        let (router, worker) = (native::router(&api), Worker::new(&engine));
        Self { clock, engine, receiver, router, storage, worker, _folder: folder }
    }

    /// A request as the owner of Acme.
    pub fn get(&self, path: &str) -> Call<'_> {
        Call::new(self, "GET", path).key(OWN)
    }

    pub fn post(&self, path: &str) -> Call<'_> {
        Call::new(self, "POST", path).key(OWN)
    }

    pub fn patch(&self, path: &str) -> Call<'_> {
        Call::new(self, "PATCH", path).key(OWN)
    }

    pub fn delete(&self, path: &str) -> Call<'_> {
        Call::new(self, "DELETE", path).key(OWN)
    }

    /// Opens a session with Acme's support agent. Returns its id and token.
    pub async fn open(&self) -> (String, String) {
        let opened = self.post("/sessions").json(json!({ "agent": SUPPORT })).send().await;
        assert_eq!(opened.status, 201, "{}", opened.text);
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        (text(&opened.body["session"]["id"]), text(&opened.body["session_token"]))
    }

    /// Takes a whole turn. Returns its events.
    pub async fn say(&self, session: &str, message: &str) -> Vec<(String, serde_json::Value)> {
        let path = format!("/sessions/{session}/turns");
        let answer = self.post(&path).json(json!({ "message": message })).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.events()
    }

    pub async fn end(&self, session: &str) -> Answer {
        let ended = self.post(&format!("/sessions/{session}/end")).send().await;
        assert_eq!(ended.status, 200, "{}", ended.text);
        ended
    }

    /// Runs every step that is due.
    pub async fn finalize(&self) {
        self.worker.run_until_idle().await.expect("the steps run");
    }

    pub fn wait(&self, seconds: u64) {
        self.clock.advance(Span::from_secs(seconds));
    }
}

fn settings(per_minute: u32) -> Settings {
    Settings {
        cors_origins: vec!["https://app.example.com".into()],
        public_url: "http://127.0.0.1:7400".parse().expect("a URL"),
        body_bytes_max: BODY_BYTES_MAX,
        opens_per_minute: per_minute,
        messages_per_minute: per_minute,
        body_timeout: epilogue_core::Span::from_secs(30),
        history_per_minute: per_minute,
        ends_per_minute: per_minute,
        disconnect_grace: epilogue_core::Span::from_secs(15),
        pathors: epilogue_api::dialect::pathors::PathorsSettings::default(),
        kaltura: epilogue_api::dialect::kaltura::KalturaSettings::default(),
        twilio: epilogue_api::dialect::dasha::sms::TwilioSettings {
            api_url: "https://api.twilio.com".parse().expect("a URL"),
            session_ttl: epilogue_core::Span::from_secs(3_600),
        },
        operator: Some(auth::hash(OPERATOR)),
    }
}
