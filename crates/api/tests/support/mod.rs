//! A whole API over a real engine on SQLite, in process, on a clock that stands still, with fakes
//! for what is outside: the model and the receiver of webhooks.

mod config;
mod fakes;

use std::{path::PathBuf, sync::Arc};

use axum::{Router, body::Body};
use epilogue_api::{Api, Dialects, Settings, token::SessionTokens};
use epilogue_core::Timestamp;
use epilogue_engine::testing::{
    OrganizationConfig, Storage,
    sqlite::{Options, SqliteStorage},
};
use epilogue_engine::{
    Engine, Limits, Parts, StepPolicies,
    clock::SimClock,
    ids::Ids,
    media::MediaPlane,
    memory::EmbeddedMemory,
    speech::Voice,
    tool::Toolbox,
    webhook::{HttpWebhooks, egress::Egress},
    worker::Worker,
};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use tempfile::TempDir;
use tower::ServiceExt as _;

pub use self::{
    config::*,
    fakes::{FakeModel, FakeWebhooks, NoMedia},
};

/// When every test begins.
pub const NOW: Timestamp = Timestamp::from_millis(1_705_312_800_000);

/// What session tokens are signed with.
pub const TOKEN_SECRET: &str = "a secret of at least thirty-two bytes";

/// What may differ from test to test.
pub struct Setup {
    pub settings: Settings,
    pub limits: Limits,
    pub seed: u64,
    /// Whether tools may be at private addresses.
    pub private_tools: bool,
    /// Whether webhooks are sent for real, through the guard, instead of being noted.
    pub real_webhooks: bool,
    /// Who shows avatars, and who speaks for them.
    pub stage: (Arc<dyn MediaPlane>, Option<Arc<dyn Voice>>),
    /// Whom the store knows.
    pub organizations: Vec<OrganizationConfig>,
}

impl Default for Setup {
    fn default() -> Self {
        let settings = Settings {
            cors_origins: vec!["*".into()],
            public_url: "http://127.0.0.1:7400".parse().expect("a URL"),
            body_bytes_max: 256 * 1024,
            opens_per_minute: 100,
            messages_per_minute: 60,
            body_timeout: epilogue_core::Span::from_secs(30),
            history_per_minute: 100,
            ends_per_minute: 60,
            disconnect_grace: epilogue_core::Span::from_secs(15),
            twilio: epilogue_api::dialect::dasha::sms::TwilioSettings {
                api_url: "https://api.twilio.com".parse().expect("a URL"),
                session_ttl: epilogue_core::Span::from_secs(3_600),
            },
            pathors: epilogue_api::dialect::pathors::PathorsSettings::default(),
            kaltura: epilogue_api::dialect::kaltura::KalturaSettings::default(),
            operator: None,
        };
        Self {
            settings,
            limits: Limits::default(),
            seed: 7,
            private_tools: false,
            real_webhooks: false,
            stage: (Arc::new(NoMedia), None),
            organizations: organizations(),
        }
    }
}

/// An API and everything behind it.
pub struct Fixture {
    pub clock: SimClock,
    pub engine: Engine,
    pub api: Api,
    pub router: Router,
    pub webhooks: Arc<FakeWebhooks>,
    pub models: Arc<FakeModel>,
    pub storage: Arc<dyn Storage>,
    folder: Arc<TempDir>,
}

impl Fixture {
    /// As most tests want it.
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// With something changed.
    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        Self::over(folder, SimClock::at(NOW), change).await
    }

    /// A second process on the same database and clock.
    pub async fn beside(&self, change: impl FnOnce(&mut Setup)) -> Self {
        Self::over(self.folder.clone(), self.clock.clone(), change).await
    }

    async fn over(folder: Arc<TempDir>, clock: SimClock, change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup);
        let path = folder.path().join("epilogue.db");
        let storage = SqliteStorage::open(&path, &Options::default()).expect("opens");
        let storage: Arc<dyn Storage> = Arc::new(storage);
        storage.apply_config(setup.organizations.clone(), NOW).await.expect("configured");
        let webhooks = Arc::new(FakeWebhooks::default());
        let models = Arc::new(FakeModel::new(Arc::new(clock.clone())));
        let outside = (models.clone(), webhooks.clone());
        let parts = parts(storage.clone(), &clock, outside, &setup);
        let engine = Engine::new(parts);
        let tokens = SessionTokens::new(&TOKEN_SECRET.into());
        let api = Api::new(engine.clone(), tokens, setup.settings);
        let router = epilogue_api::router(&api);
        Self { clock, engine, api, router, webhooks, models, storage, folder }
    }

    /// The database, for tests that break it.
    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).expect("opens")
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("epilogue.db")
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.begin(request).await).await
    }

    /// Sends a request and hands the answer back unread.
    pub async fn begin(&self, request: Request<Body>) -> http::Response<Body> {
        self.router.clone().oneshot(request).await.expect("the router always answers")
    }

    /// Ends what is due and runs every step that is.
    pub async fn run_until_idle(&self) {
        self.engine.sweep().await.expect("swept");
        Worker::new(&self.engine).run_until_idle().await.expect("worked");
    }
}

fn parts(
    storage: Arc<dyn Storage>,
    clock: &SimClock,
    (models, webhooks): (Arc<FakeModel>, Arc<FakeWebhooks>),
    setup: &Setup,
) -> Parts {
    let shared: epilogue_engine::clock::SharedClock = Arc::new(clock.clone());
    let egress = Egress::new(false).expect("a client");
    let real = Arc::new(HttpWebhooks::new(egress, shared.clone()));
    Parts {
        memory: Arc::new(EmbeddedMemory::new(
            storage.clone(),
            models.clone(),
            shared.clone(),
            Arc::new(Ids::seeded(setup.seed)),
        )),
        storage,
        ids: Arc::new(Ids::seeded(setup.seed)),
        node: "node".into(),
        models,
        tools: Toolbox::new(Egress::new(setup.private_tools).expect("a client"), shared.clone()),
        webhooks: if setup.real_webhooks { real } else { webhooks },
        media: setup.stage.0.clone(),
        voice: setup.stage.1.clone(),
        wording: Arc::new(Dialects),
        limits: setup.limits.clone(),
        policies: StepPolicies::default(),
        clock: shared,
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// Reads an answer to its end.
    pub async fn of(response: http::Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let body = String::from_utf8(body.to_vec()).expect("text");
        Self { status: head.status, headers: head.headers, body }
    }

    /// Status and body, for comparisons.
    pub fn told(&self) -> (u16, &str) {
        (self.status.as_u16(), &self.body)
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}
