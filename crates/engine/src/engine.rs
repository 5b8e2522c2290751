//! The engine: its parts, and what runs in the background.

use std::sync::Arc;

use epilogue_core::{Agent, NodeId, OrgId, SessionId, Timestamp, session::AgentVersion};
use epilogue_storage::Storage;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

use crate::{
    Error, Limits, Result, StepPolicies,
    clock::SharedClock,
    ids::Ids,
    llm::LanguageModel,
    media::MediaPlane,
    memory::Memory,
    metrics::Metrics,
    session::{stage::Stages, sweep::Alarm, turns::Turns, watch::Watches},
    speech::Voice,
    tool::Toolbox,
    webhook::WebhookSender,
    wording::Wording,
};

/// What an engine is made of. The server picks the adapters; tests pick fakes.
pub struct Parts {
    /// The record.
    pub storage: Arc<dyn Storage>,
    /// The time.
    pub clock: SharedClock,
    /// Randomness.
    pub ids: Arc<Ids>,
    /// This process.
    pub node: NodeId,
    /// Who answers.
    pub models: Arc<dyn LanguageModel>,
    /// Who runs tools.
    pub tools: Toolbox,
    /// Who delivers webhooks.
    pub webhooks: Arc<dyn WebhookSender>,
    /// Who remembers.
    pub memory: Arc<dyn Memory>,
    /// Who holds media.
    pub media: Arc<dyn MediaPlane>,
    /// Who speaks for avatars. `None`: nobody.
    pub voice: Option<Arc<dyn Voice>>,
    /// Who words webhooks.
    pub wording: Arc<dyn Wording>,
    /// Bounds.
    pub limits: Limits,
    /// When steps are tried again.
    pub policies: StepPolicies,
}

/// Opens, holds and ends sessions. A cheap handle.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub parts: Parts,
    pub metrics: Metrics,
    pub turns: Turns,
    /// Who is hinted when something happens to a session.
    pub watches: Watches,
    /// The stages of sessions that are seen and heard here.
    pub stages: Stages,
    /// Wakes the sweeper when something is due earlier than it thinks.
    pub alarm: Alarm,
    /// Wakes the worker when there are new steps.
    pub new_steps: tokio::sync::Notify,
    /// Wakes the inbox when there are new messages.
    pub new_messages: tokio::sync::Notify,
    /// Turns and ends that run whether or not their caller is still there.
    pub tasks: TaskTracker,
    /// Set when nothing new is taken.
    pub draining: CancellationToken,
}

impl Engine {
    /// Puts an engine together. Nothing runs yet.
    pub fn new(parts: Parts) -> Self {
        let inner = Inner {
            parts,
            metrics: Metrics::new(),
            turns: Turns::default(),
            watches: Watches::default(),
            stages: Stages::default(),
            alarm: Alarm::default(),
            new_steps: tokio::sync::Notify::new(),
            new_messages: tokio::sync::Notify::new(),
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.inner.parts.clock.now()
    }

    /// The clock.
    pub fn clock(&self) -> &SharedClock {
        &self.inner.parts.clock
    }

    /// The source of randomness.
    pub fn ids(&self) -> &Ids {
        &self.inner.parts.ids
    }

    /// A new session's id, for a dialect that derives its own name from it.
    pub fn new_session_id(&self) -> SessionId {
        self.ids().session(self.now())
    }

    /// The bounds in force.
    pub fn limits(&self) -> &Limits {
        &self.inner.parts.limits
    }

    /// The figures.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// The record.
    pub(crate) fn store(&self) -> &dyn Storage {
        &*self.inner.parts.storage
    }

    /// Takes over from processes that are gone: turns they ran are abandoned, sessions that lived by
    /// their connections are let go, steps and messages they had claimed are due again. To be called
    /// before anything runs, and harmless to repeat.
    pub async fn recover(&self, alive: &[NodeId]) -> Result<()> {
        let now = self.now();
        let turns = self.store().abandon_turns(alive, now).await?;
        let connections = self.store().lose_connections(alive, now).await?;
        let steps = self.store().release_leases(alive, now).await?;
        let messages = self.store().release_inbox(alive, now).await?;
        let uploads = self.store().release_uploads(alive, now).await?;
        if turns + connections + steps + messages + uploads > 0 {
            tracing::info!(
                turns,
                connections,
                steps,
                messages,
                uploads,
                "took over from a process that is gone"
            );
        }
        Ok(())
    }

    /// The agent a session was opened with.
    pub(crate) async fn agent_of(&self, org: &OrgId, version: &AgentVersion) -> Result<Agent> {
        let found = self.store().agent_version(org, version).await?;
        found.ok_or_else(|| {
            let source = format!("{} version {} is missing", version.id, version.version).into();
            Error::Store(epilogue_storage::Error::Unreadable { what: "agent version", source })
        })
    }

    /// Stops taking anything new. What runs goes on.
    pub fn begin_drain(&self) {
        self.inner.draining.cancel();
    }

    /// Whether nothing new is taken.
    pub fn is_draining(&self) -> bool {
        self.inner.draining.is_cancelled()
    }

    /// Ready when nothing new is taken any more.
    pub async fn drain_begins(&self) {
        self.inner.draining.cancelled().await;
    }

    /// Something that runs on its own and that a drain waits for, until it is dropped.
    pub fn at_work(&self) -> TaskTrackerToken {
        self.inner.tasks.token()
    }

    /// Waits until the turns and ends that run are through, and whatever else is at work.
    pub async fn drained(&self) {
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// Leaves the store in order, when nothing more will be decided.
    pub async fn tidy(&self) -> Result<()> {
        Ok(self.store().tidy().await?)
    }

    /// Cuts the turns that run: what they have is kept.
    pub fn cut_turns(&self) {
        self.inner.turns.cut_all();
    }
}
