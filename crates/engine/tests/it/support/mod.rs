//! A whole engine in a temporary folder. When it is dropped its books are audited.

mod audit;
pub mod caller;
pub mod dice;
pub mod model;
pub mod outside;
mod process;
pub mod rounds;
mod schedule;
mod seeded_storage;
mod template;

use std::{
    future::Future,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use epilogue_core::{
    Agent, AgentId, EndReason, EndRequest, Message, MicroCredits, NodeId, OrgId, Profile, Session,
    SessionId, SessionState, Span, Step, StepKind, Timestamp,
    agent::AgentKind,
    profile::{AgentFinish, Hears, Keeps, NotifyEnded, TurnRules},
    step::Attempt,
};
use epilogue_engine::{
    Engine, Limits, Parts, StepPolicies,
    clock::SimClock,
    ids::Ids,
    memory::{
        EmbeddedMemory, Memory,
        graphiti::{Graphiti, GraphitiSettings, UploadWorker},
    },
    records::{EndReceipt, Organization, SessionName},
    session::{
        OpenError, OpenSession, Opened, TurnError, TurnEvent, TurnExtras, TurnRequest, TurnStream,
        WhenBusy,
    },
    tool::Toolbox,
    webhook::egress::Egress,
    worker::Worker,
};
use epilogue_storage::{
    OrganizationConfig, Storage,
    sqlite::{Options, SqliteStorage},
};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use self::process::Process;
use self::{
    model::FakeModel,
    outside::{FakeMedia, FakeMemory, FakeWebhooks, FakeWording, Mood},
    schedule::{Pace, Schedule, at_once},
    seeded_storage::{Life, SeededStorage},
};

/// When every test begins.
pub const START: Timestamp = Timestamp::from_millis(1_750_000_000_000);

/// Half an hour: the idle timeout unless a test says otherwise.
pub const HALF_HOUR: Span = Span::from_secs(1_800);

/// One millisecond.
pub const MS: Span = Span::from_millis(1);

/// The organization of every test, unless it needs another.
pub fn org() -> OrgId {
    OrgId::from("org_test")
}

/// An organization that must never see anything of the other.
pub fn stranger() -> OrgId {
    OrgId::from("org_stranger")
}

/// A message that waits for its turn.
pub fn request(session: SessionId, message: &str) -> TurnRequest {
    TurnRequest {
        org: org(),
        session,
        input: message.to_owned().into(),
        when_busy: WhenBusy::Wait,
        extras: TurnExtras::default(),
    }
}

/// A watchdog, not a measurement: what hangs fails instead.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_mins(1), future).await.expect("it hangs")
}

/// Lets every task that can go on go on.
pub async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// What a test wants to be different.
pub struct Setup {
    /// The agent called `agent`, as configuration.
    pub agent: Value,
    /// More agents.
    pub more_agents: Vec<Value>,
    pub profile: Profile,
    pub limits: Limits,
    pub policies: StepPolicies,
    /// Opening credits; absent: the organization is not metered.
    pub credits: Option<MicroCredits>,
    pub grace: MicroCredits,
    pub seed: u64,
    /// Who goes on when. Absent: as it comes.
    pub schedule: Option<Arc<Schedule>>,
    /// The client of the engine's tools. Absent: one of its own.
    pub egress: Option<Egress>,
    /// The time. Absent: a clock of its own, which shows [`START`].
    pub clock: Option<SimClock>,
    /// Where memory is. Absent: in the store.
    pub graphiti: Option<GraphitiSettings>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            agent: json!({
                "id": "agent",
                "name": "Agent",
                "prompt": "Be helpful.",
                "greeting": "Hello!",
                "model": { "provider": "scripted" },
                "price": { "per_1k_tokens": "1", "per_message": "0.01" },
                "webhook": { "url": "https://hook.example/ended", "secret": "whsec_c2VjcmV0" },
            }),
            more_agents: Vec::new(),
            profile: Profile {
                idle_timeout: Some(HALF_HOUR),
                max_duration: None,
                keep_alive_counts: false,
                agent_finish: AgentFinish::TellsClient,
                notify_ended: NotifyEnded::AtOnce,
                notify_finalized: false,
                hears: Hears::Everything,
                holds_media: false,
                keeps: Keeps::Transcript,
                searchable: false,
                turns: TurnRules::ORDINARY,
            },
            limits: Limits { gather: Span::ZERO, ..Limits::default() },
            policies: StepPolicies::default(),
            credits: None,
            grace: MicroCredits::ZERO,
            seed: 1,
            schedule: None,
            egress: None,
            clock: None,
            graphiti: None,
        }
    }
}

/// Everything outside the process, which outlives it.
#[derive(Clone)]
pub struct World {
    pub clock: SimClock,
    pub model: Arc<FakeModel>,
    pub webhooks: Arc<FakeWebhooks>,
    pub media: Arc<FakeMedia>,
    mood: Arc<AtomicU8>,
    limits: Limits,
    policies: StepPolicies,
    seed: u64,
    schedule: Option<Arc<Schedule>>,
    egress: Egress,
    graphiti: Option<GraphitiSettings>,
    /// The memory of the engine that was put together last, if it is in Graphiti.
    last_graphiti: Arc<Mutex<Option<Arc<Graphiti>>>>,
}

impl World {
    fn new(setup: &Setup) -> Self {
        let pace = Pace(setup.schedule.clone());
        Self {
            clock: setup.clock.clone().unwrap_or_else(|| SimClock::at(START)),
            model: Arc::new(FakeModel::new(pace.clone())),
            webhooks: Arc::new(FakeWebhooks::new(pace)),
            media: Arc::default(),
            mood: Arc::new(AtomicU8::new(Mood::Well as u8)),
            limits: setup.limits.clone(),
            policies: setup.policies.clone(),
            seed: setup.seed,
            schedule: setup.schedule.clone(),
            egress: setup.egress.clone().unwrap_or_else(client),
            graphiti: setup.graphiti.clone(),
            last_graphiti: Arc::default(),
        }
    }

    /// A process of this world on this store.
    fn process(&self, storage: Arc<dyn Storage>, node: &str) -> Process {
        let Some(schedule) = self.schedule.clone() else {
            return Process::start(self.engine(&storage, node));
        };
        let life = Life::default();
        let seeded = SeededStorage::new(storage, schedule, node, life.clone());
        Process::seeded(self.assemble(Arc::new(seeded), node), life)
    }

    /// An engine of this world on this store, which outlives every process.
    fn engine(&self, storage: &Arc<dyn Storage>, node: &str) -> Engine {
        let storage = storage.clone();
        match self.schedule.clone() {
            Some(schedule) => {
                let seeded = SeededStorage::new(storage, schedule, node, Life::default());
                self.assemble(Arc::new(seeded), node)
            }
            None => self.assemble(storage, node),
        }
    }

    fn graphiti(&self, settings: GraphitiSettings, storage: &Arc<dyn Storage>) -> Arc<Graphiti> {
        let graphiti = Graphiti::new(settings, storage.clone(), Arc::new(self.clock.clone()));
        let graphiti = Arc::new(graphiti.expect("a client"));
        *self.last_graphiti.lock().expect("not poisoned") = Some(graphiti.clone());
        graphiti
    }

    fn assemble(&self, storage: Arc<dyn Storage>, node: &str) -> Engine {
        let memory: Arc<dyn Memory> = if let Some(settings) = &self.graphiti {
            self.graphiti(settings.clone(), &storage)
        } else {
            let clock = Arc::new(self.clock.clone());
            let ids = Arc::new(Ids::seeded(self.seed));
            let real = EmbeddedMemory::new(storage.clone(), self.model.clone(), clock, ids);
            Arc::new(FakeMemory::new(real, self.mood.clone()))
        };
        Engine::new(Parts {
            storage,
            clock: Arc::new(self.clock.clone()),
            ids: Arc::new(Ids::seeded(self.seed)),
            node: NodeId::from(node),
            models: self.model.clone(),
            tools: Toolbox::new(self.egress.clone(), Arc::new(self.clock.clone())),
            webhooks: self.webhooks.clone(),
            memory,
            media: self.media.clone(),
            voice: None,
            wording: Arc::new(FakeWording),
            limits: self.limits.clone(),
            policies: self.policies.clone(),
        })
    }
}

/// An engine under test.
pub struct TestEngine {
    pub engine: Engine,
    pub worker: Worker,
    pub storage: Arc<dyn Storage>,
    pub world: World,
    pub profile: Profile,
    file: PathBuf,
    starts: u64,
    _folder: TempDir,
}

impl TestEngine {
    /// An engine with nothing unusual.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// An engine with what the test changes.
    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup);
        let folder = folder(setup.schedule.is_some());
        let file = folder.path().join("epilogue.db");
        template::write(&file);
        let storage = open_store(&file, setup.schedule.is_some());
        storage.apply_config(organizations(&setup), START).await.expect("configured");
        let world = World::new(&setup);
        let engine = world.engine(&storage, "node-0");
        let (worker, profile) = (Worker::new(&engine), setup.profile);
        Self { engine, worker, storage, world, profile, file, starts: 0, _folder: folder }
    }

    /// Another process on the same store, which can be killed.
    pub fn process(&self, node: &str) -> Process {
        self.world.process(self.storage.clone(), node)
    }

    /// The same, with a store of its own on the same file: nothing that it was doing survives it.
    pub fn process_with_store(&self, node: &str) -> Process {
        self.world.process(self.open_store(), node)
    }

    fn open_store(&self) -> Arc<dyn Storage> {
        open_store(&self.file, self.world.schedule.is_some())
    }

    /// Leaves the process as a crash would and starts another on the same file.
    pub async fn restart(&mut self) {
        self.starts += 1;
        self.storage = self.open_store();
        self.world.seed += 1;
        let node = format!("node-{}", self.starts);
        self.engine = self.world.engine(&self.storage, &node);
        self.worker = Worker::new(&self.engine);
        self.engine.recover(&[NodeId::new(node)]).await.expect("taken over");
    }

    pub fn model(&self) -> &FakeModel {
        &self.world.model
    }

    pub fn webhooks(&self) -> &FakeWebhooks {
        &self.world.webhooks
    }

    /// What carries conversations to Graphiti, as the engine that was started last has it.
    pub fn uploads(&self) -> UploadWorker {
        UploadWorker::new(&self.engine, self.graphiti())
    }

    pub fn graphiti(&self) -> Arc<Graphiti> {
        let graphiti = self.world.last_graphiti.lock().expect("not poisoned").clone();
        graphiti.expect("memory is in Graphiti")
    }

    pub fn memory_is(&self, mood: Mood) {
        self.world.mood.store(mood as u8, Ordering::SeqCst);
    }

    pub fn now(&self) -> Timestamp {
        self.engine.now()
    }

    pub fn advance(&self, span: Span) {
        self.world.clock.advance(span);
    }

    /// What opens a session, for a test to change.
    pub fn opening(&self) -> OpenSession {
        let id = self.engine.new_session_id();
        OpenSession {
            org: org(),
            id,
            dialect: "fake".into(),
            dialect_id: id.to_string(),
            agent: AgentId::from("agent"),
            kind: AgentKind::Text,
            profile: self.profile.clone(),
            person: None,
            metadata: Value::Null,
            variables: std::collections::BTreeMap::new(),
            origin: epilogue_engine::session::Origin::default(),
        }
    }

    pub async fn try_open(
        &self,
        change: impl FnOnce(&mut OpenSession),
    ) -> Result<Opened, OpenError> {
        let mut opening = self.opening();
        change(&mut opening);
        soon(self.engine.open(opening)).await
    }

    pub async fn open_with(&self, change: impl FnOnce(&mut OpenSession)) -> SessionId {
        self.try_open(change).await.expect("it opens").session.id
    }

    pub async fn open(&self) -> SessionId {
        self.open_with(|_| {}).await
    }

    /// Takes a turn.
    pub async fn try_turn(
        &self,
        session: SessionId,
        message: &str,
        when_busy: WhenBusy,
    ) -> Result<TurnStream, TurnError> {
        soon(self.engine.turn(TurnRequest { when_busy, ..request(session, message) })).await
    }

    /// Begins a turn and leaves it running.
    pub async fn begin(&self, session: SessionId, message: &str) -> TurnStream {
        self.try_turn(session, message, WhenBusy::Wait).await.expect("it begins")
    }

    /// A whole turn, and everything that happened in it.
    pub async fn say(&self, session: SessionId, message: &str) -> Vec<TurnEvent> {
        rest(&mut self.begin(session, message).await).await
    }

    /// A message by a task of its own, which waits in line.
    pub fn say_later(
        &self,
        session: SessionId,
        message: &str,
        when_busy: WhenBusy,
    ) -> tokio::task::JoinHandle<Result<TurnStream, TurnError>> {
        let engine = self.engine.clone();
        let request = TurnRequest { when_busy, ..request(session, message) };
        tokio::spawn(async move { engine.turn(request).await })
    }

    /// Ends a session on behalf of the person.
    pub async fn end(&self, session: SessionId) -> EndReceipt {
        self.end_for(session, EndReason::UserEnd).await
    }

    pub async fn end_for(&self, session: SessionId, reason: EndReason) -> EndReceipt {
        let org = org();
        let ending = self.engine.end(&org, session, EndRequest::asked(reason));
        soon(ending).await.expect("it ends").expect("it exists")
    }

    /// Runs sweeper and worker until nothing is due at this moment.
    pub async fn run_until_idle(&self) {
        soon(async {
            loop {
                let swept = self.engine.sweep().await.expect("swept");
                let worked = self.worker.run_until_idle().await.expect("worked");
                if swept + worked == 0 {
                    return;
                }
            }
        })
        .await;
    }

    pub async fn session(&self, id: SessionId) -> Session {
        let found = self.engine.find(&org(), &SessionName::Id(id)).await.expect("read");
        found.expect("it exists")
    }

    pub async fn transcript(&self, id: SessionId) -> Vec<Message> {
        audit::transcript(&*self.storage, &org(), id).await
    }

    /// What both sides said, as `role: text`.
    pub async fn said(&self, id: SessionId) -> Vec<String> {
        let line = |m: &Message| format!("{}: {}", m.body.role.as_str(), m.body.content);
        self.transcript(id).await.iter().map(line).collect()
    }

    /// One step and its attempts.
    pub async fn step(&self, id: SessionId, kind: StepKind) -> (Step, Vec<Attempt>) {
        let steps = self.engine.steps_of(&org(), id).await.expect("read");
        steps.into_iter().find(|(step, _)| step.kind == kind).expect("it is owed")
    }

    /// The steps of a session and the words for where they stand.
    pub async fn steps(&self, id: SessionId) -> Vec<(StepKind, &'static str)> {
        let steps = self.engine.steps_of(&org(), id).await.expect("read");
        steps.iter().map(|(step, _)| (step.kind, step.state.as_str())).collect()
    }

    /// Whatever must hold at any moment does.
    pub async fn audit(&self) {
        match self.world.schedule {
            Some(_) => at_once(self.audit_now()),
            None => self.audit_now().await,
        }
    }

    async fn audit_now(&self) {
        for org in [org(), stranger()] {
            audit::organization(&*self.storage, &org).await;
        }
        audit::deliveries(&self.webhooks().sent());
    }
}

impl Drop for TestEngine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let audited = std::thread::scope(|scope| {
            let audit = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(self.audit());
            };
            scope.spawn(audit).join()
        });
        if let Err(panic) = audited {
            std::panic::resume_unwind(panic);
        }
    }
}

/// A client for tools. Making one takes tens of milliseconds.
pub fn client() -> Egress {
    Egress::new(true).expect("a client")
}

/// Where a test's store lies: in memory, where there is such a folder and the schedule does not depend
/// on a disk.
fn folder(in_memory: bool) -> TempDir {
    let memory = in_memory.then(|| TempDir::new_in("/dev/shm").ok()).flatten();
    memory.unwrap_or_else(|| TempDir::new().expect("a folder"))
}

/// Where one call is made at a time, one reader is enough.
fn open_store(file: &std::path::Path, one_at_a_time: bool) -> Arc<dyn Storage> {
    let mut options = Options::default();
    if one_at_a_time {
        options.readers = 1;
    }
    Arc::new(SqliteStorage::open(file, &options).expect("a store"))
}

fn organizations(setup: &Setup) -> Vec<OrganizationConfig> {
    let agents = std::iter::once(&setup.agent).chain(&setup.more_agents);
    let agents: Vec<Agent> =
        agents.map(|agent| serde_json::from_value(agent.clone()).expect("an agent")).collect();
    [org(), stranger()]
        .map(|id| OrganizationConfig {
            organization: Organization {
                name: id.to_string(),
                id,
                metered: setup.credits.is_some(),
                grace: setup.grace,
                open_max: 0,
                keep_transcripts: false,
            },
            opening_credits: setup.credits,
            agents: agents.clone(),
            projects: Vec::new(),
            keys: Vec::new(),
        })
        .to_vec()
}

/// Everything that still happens in a turn.
pub async fn rest(stream: &mut TurnStream) -> Vec<TurnEvent> {
    let mut events = Vec::new();
    while let Some(event) = soon(stream.events.recv()).await {
        events.push(event);
    }
    events
}

/// Whether every step has settled.
pub fn is_final(session: &Session) -> bool {
    matches!(session.state, SessionState::Final { .. })
}

/// The text of a turn.
pub fn text_of(events: &[TurnEvent]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        TurnEvent::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// What a contender has come to.
pub async fn join<T>(handle: tokio::task::JoinHandle<T>) -> T {
    soon(handle).await.expect("no panic")
}

/// A model that takes its time, so that an end can come between any two pieces.
pub async fn talkative(round: &rounds::Round) -> TestEngine {
    let app = round.engine().await;
    app.model().by_rule(|_| {
        let words = (0..8).map(|n| model::text(&format!("word{n} ")));
        Ok(words.chain([model::end()]).collect())
    });
    app
}
