//! Figures for the operator, in Prometheus' format. One registry per engine.

mod stage;

use std::sync::atomic::AtomicU64;

use epilogue_core::{Dialect, Span, StepKind, session::Ended, step::AttemptOutcome};
use epilogue_storage::{CommitStats, InboxCensus, SessionCensus, StepCensus, UploadCensus};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use self::stage::StageFigures;
use crate::session::OnStage;

/// As a gauge has it.
fn level(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDialect {
    dialect: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEnd {
    dialect: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAttempt {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

/// The figures of one engine.
pub struct Metrics {
    registry: Registry,
    opened: Family<ByDialect, Counter>,
    ended: Family<ByEnd, Counter>,
    turns: Family<ByOutcome, Counter>,
    attempts: Family<ByAttempt, Counter>,
    lateness: Histogram,
    first_token: Histogram,
    recall_failures: Counter,
    messages: Family<ByOutcome, Counter>,
    memory_messages: Family<ByOutcome, Counter>,
    uploads_open: Gauge,
    uploads_parked: Gauge,
    memory_stalled: Gauge,
    inbox_open: Gauge,
    inbox_parked: Gauge,
    open: Family<ByDialect, Gauge>,
    turns_in_flight: Gauge,
    steps_owed: Gauge,
    steps_parked: Gauge,
    oldest_step: Gauge<f64, AtomicU64>,
    commits: Gauge,
    decisions: Gauge,
    shed: Gauge,
    log_overdue: Gauge<f64, AtomicU64>,
    tasks: Gauge,
    stage: StageFigures,
}

/// What is counted at the moment of asking.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Sessions.
    pub sessions: SessionCensus,
    /// Steps.
    pub steps: StepCensus,
    /// How long the oldest owed step has been owed.
    pub oldest_step: Span,
    /// Messages that people sent.
    pub inbox: InboxCensus,
    /// Conversations on their way to a memory service.
    pub uploads: UploadCensus,
    /// Whether that service takes messages and stores none.
    pub memory_stalled: bool,
    /// Commits.
    pub commits: CommitStats,
    /// What is shown and said here.
    pub stage: OnStage,
    /// What runs and is waited for when the server stops: turns, ends, performances.
    pub tasks: usize,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("epilogue"),
            opened: Family::default(),
            ended: Family::default(),
            turns: Family::default(),
            attempts: Family::default(),
            lateness: Histogram::new(exponential_buckets(0.001, 4.0, 9)),
            first_token: Histogram::new(exponential_buckets(0.005, 2.0, 13)),
            recall_failures: Counter::default(),
            messages: Family::default(),
            memory_messages: Family::default(),
            uploads_open: Gauge::default(),
            uploads_parked: Gauge::default(),
            memory_stalled: Gauge::default(),
            inbox_open: Gauge::default(),
            inbox_parked: Gauge::default(),
            open: Family::default(),
            turns_in_flight: Gauge::default(),
            steps_owed: Gauge::default(),
            steps_parked: Gauge::default(),
            oldest_step: Gauge::default(),
            commits: Gauge::default(),
            decisions: Gauge::default(),
            shed: Gauge::default(),
            log_overdue: Gauge::default(),
            tasks: Gauge::default(),
            stage: StageFigures::default(),
        };
        metrics.register_events();
        metrics.register_levels();
        metrics
    }

    fn register_events(&mut self) {
        let registry = &mut self.registry;
        registry.register("sessions_opened", "Sessions opened, by dialect", self.opened.clone());
        registry.register(
            "sessions_ended",
            "Sessions ended, by dialect and reason",
            self.ended.clone(),
        );
        registry.register("turns", "Turns, by outcome", self.turns.clone());
        registry.register(
            "step_attempts",
            "Attempts at steps, by kind and outcome",
            self.attempts.clone(),
        );
        registry.register_with_unit(
            "expiry_lateness",
            "How long after its deadline a session was ended by it",
            Unit::Seconds,
            self.lateness.clone(),
        );
        registry.register_with_unit(
            "model_first_token",
            "How long the model took to its first token",
            Unit::Seconds,
            self.first_token.clone(),
        );
        registry.register(
            "recall_failures",
            "Opens that went on without memory, because it was late or failed",
            self.recall_failures.clone(),
        );
        registry.register(
            "inbox_messages",
            "What became of messages that people sent, and of attempts at them",
            self.messages.clone(),
        );
        registry.register(
            "memory_messages",
            "What became of messages that were sent to a memory service",
            self.memory_messages.clone(),
        );
    }

    fn register_levels(&mut self) {
        let registry = &mut self.registry;
        registry.register("sessions_open", "Open sessions, by dialect", self.open.clone());
        registry.register("turns_in_flight", "Turns in flight", self.turns_in_flight.clone());
        registry.register("steps_owed", "Steps owed or being run", self.steps_owed.clone());
        registry.register("steps_parked", "Steps given up on", self.steps_parked.clone());
        registry.register("inbox_open", "Messages not answered yet", self.inbox_open.clone());
        registry.register("inbox_parked", "Messages given up on", self.inbox_parked.clone());
        registry.register(
            "memory_uploads_open",
            "Conversations on their way to a memory service",
            self.uploads_open.clone(),
        );
        registry.register(
            "memory_uploads_parked",
            "Conversations for a memory service that were given up on",
            self.uploads_parked.clone(),
        );
        registry.register(
            "memory_stalled",
            "1 while the memory service takes messages and stores none",
            self.memory_stalled.clone(),
        );
        registry.register_with_unit(
            "step_oldest_owed",
            "Age of the oldest owed step",
            Unit::Seconds,
            self.oldest_step.clone(),
        );
        registry.register("store_commits", "Commits since start", self.commits.clone());
        registry.register(
            "store_decisions",
            "Decisions those commits carried; divided by them, the batch size",
            self.decisions.clone(),
        );
        registry.register(
            "store_shed",
            "Decisions turned away since start because the queue was full",
            self.shed.clone(),
        );
        registry.register_with_unit(
            "store_log_overdue",
            "For how long what was removed could not be taken out of the write-ahead log as well",
            Unit::Seconds,
            self.log_overdue.clone(),
        );
        let text = "Turns, ends and performances that run and are waited for when the server stops";
        registry.register("tasks", text, self.tasks.clone());
        self.stage.register(registry);
    }

    pub(crate) fn session_opened(&self, dialect: &Dialect) {
        self.opened.get_or_create(&ByDialect { dialect: dialect.to_string() }).inc();
    }

    pub(crate) fn session_ended(&self, dialect: &Dialect, ended: &Ended) {
        let dialect = dialect.to_string();
        self.ended.get_or_create(&ByEnd { dialect, reason: ended.reason.as_str() }).inc();
        if let Some(deadline) = ended.deadline {
            self.lateness.observe(ended.at.since(deadline.at).as_secs_f64());
        }
    }

    pub(crate) fn turn_finished(&self, outcome: &'static str) {
        self.turns.get_or_create(&ByOutcome { outcome }).inc();
    }

    pub(crate) fn step_attempted(&self, kind: StepKind, outcome: AttemptOutcome) {
        let labels = ByAttempt { kind: kind.as_str(), outcome: outcome.as_str() };
        self.attempts.get_or_create(&labels).inc();
    }

    pub(crate) fn first_token(&self, after: Span) {
        self.first_token.observe(after.as_secs_f64());
    }

    pub(crate) fn recall_failed(&self) {
        self.recall_failures.inc();
    }

    /// Something became of messages that were sent to a memory service.
    pub(crate) fn memory_messages(&self, outcome: &'static str, count: u32) {
        self.memory_messages.get_or_create(&ByOutcome { outcome }).inc_by(u64::from(count));
    }

    /// Something became of a message that a person sent.
    pub(crate) fn message(&self, outcome: &'static str) {
        self.messages.get_or_create(&ByOutcome { outcome }).inc();
    }

    /// All figures as text.
    pub fn encode(&self, now: &Snapshot) -> String {
        self.open.clear();
        for (dialect, count) in &now.sessions.open {
            let labels = ByDialect { dialect: dialect.to_string() };
            self.open.get_or_create(&labels).set(level(*count));
        }
        self.turns_in_flight.set(level(now.sessions.turns));
        self.steps_owed.set(level(now.steps.owed));
        self.steps_parked.set(level(now.steps.parked));
        self.inbox_open.set(level(now.inbox.open));
        self.inbox_parked.set(level(now.inbox.parked));
        self.uploads_open.set(level(now.uploads.open));
        self.uploads_parked.set(level(now.uploads.parked));
        self.memory_stalled.set(i64::from(now.memory_stalled));
        self.oldest_step.set(now.oldest_step.as_secs_f64());
        self.commits.set(level(now.commits.commits));
        self.decisions.set(level(now.commits.decisions));
        self.shed.set(level(now.commits.shed));
        self.log_overdue.set(Span::from_millis(now.commits.log_overdue_ms).as_secs_f64());
        self.tasks.set(level(now.tasks as u64));
        self.stage.set(&now.stage);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
