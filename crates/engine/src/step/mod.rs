//! The durable steps of finalization, one per file. Each is at least once: it carries a key that
//! makes a repeat harmless where the other side can tell.

mod analyze;
mod ingest_memory;
pub(crate) mod notify;
mod record_result;

use std::{fmt::Write as _, sync::atomic::AtomicBool};

use epilogue_core::{
    Agent, Message, Session, Span, Step, StepKind, event::Activity, retry::RetryPolicy,
    session::Ended,
};
use epilogue_storage::{AnalysisResult, ClaimedStep, Product, SessionName};

use crate::Engine;

/// What an attempt works with.
pub(crate) struct StepContext<'a> {
    pub engine: &'a Engine,
    pub step: &'a Step,
    pub session: Session,
    pub agent: Agent,
    /// How it ended; only what is told of its start is told before.
    pub ended: Option<Ended>,
    /// Set before anything is done that is done once at most.
    pub once: &'a AtomicBool,
}

/// An attempt that succeeded.
#[derive(Debug)]
pub(crate) enum StepDone {
    /// Done. What was done, and what it made.
    Done { detail: String, products: Vec<Product> },
    /// There was nothing to do, for this reason.
    Skipped(String),
    /// It got further, and goes on after a while. No attempt is used up by that, so that whoever says it
    /// has a bound of its own.
    Unfinished { detail: String, again_in: Span },
}

/// An attempt that failed.
#[derive(Debug)]
pub(crate) struct StepError {
    /// Whether trying again can help.
    pub fatal: bool,
    /// How long the other side asks us to wait.
    pub retry_after: Option<Span>,
    /// What went wrong, for the record. Never message text.
    pub detail: String,
    /// What the attempt made all the same, such as the record of a delivery.
    pub products: Vec<Product>,
    /// When it is tried again. `None`: by the operator's schedule.
    pub policy: Option<RetryPolicy>,
    /// What the activity log is told if this was the last attempt.
    pub on_park: Option<Box<Activity>>,
}

impl StepError {
    /// Trying again may help.
    pub fn again(detail: impl Into<String>) -> Self {
        Self {
            fatal: false,
            retry_after: None,
            detail: detail.into(),
            products: Vec::new(),
            policy: None,
            on_park: None,
        }
    }

    /// Trying again cannot help.
    pub fn fatal(detail: impl Into<String>) -> Self {
        Self { fatal: true, ..Self::again(detail) }
    }

    /// A fault of the store, or of a service, with its causes.
    pub fn because(what: &str, error: &dyn std::error::Error) -> Self {
        Self::again(explain(what, error))
    }
}

/// An error with its causes, in one line.
pub(crate) fn explain(what: &str, error: &dyn std::error::Error) -> String {
    let mut detail = format!("{what}: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a string does not fail.
        let _ = write!(detail, ": {cause}");
        source = cause.source();
    }
    detail
}

/// Runs one attempt. `once` is set when it does what is done once at most.
pub(crate) async fn run(
    engine: &Engine,
    claimed: &ClaimedStep,
    once: &AtomicBool,
) -> Result<StepDone, StepError> {
    let cx = prepare(engine, &claimed.step, once).await?;
    match claimed.step.kind {
        StepKind::ReleaseMedia => {
            let released = engine.clear_stage(cx.session.id).await;
            Ok(StepDone::Done { detail: format!("{released} released"), products: Vec::new() })
        }
        StepKind::IngestMemory => ingest_memory::run(&cx).await,
        StepKind::Analyze => analyze::run(&cx).await,
        StepKind::RecordResult => record_result::run(&cx).await,
        StepKind::NotifyStarted | StepKind::NotifyEnded | StepKind::NotifyFinalized => {
            notify::run(&cx).await
        }
        StepKind::Purge => Ok(StepDone::Done {
            detail: "messages, metadata and delivered bodies removed".into(),
            products: vec![Product::Purge],
        }),
    }
}

async fn prepare<'a>(
    engine: &'a Engine,
    step: &'a Step,
    once: &'a AtomicBool,
) -> Result<StepContext<'a>, StepError> {
    let session = engine
        .find(&step.org, &SessionName::Id(step.session))
        .await
        .map_err(|error| StepError::because("the session could not be read", &error))?
        .ok_or_else(|| StepError::fatal("the session is gone"))?;
    let agent = engine
        .agent_of(&session.org, &session.agent)
        .await
        .map_err(|error| StepError::because("the agent could not be read", &error))?;
    let ended = session.ended().cloned();
    if ended.is_none() && step.kind != StepKind::NotifyStarted {
        return Err(StepError::fatal("the session has not ended"));
    }
    Ok(StepContext { engine, step, session, agent, ended, once })
}

impl StepContext<'_> {
    /// How the session ended.
    pub fn ended(&self) -> Result<&Ended, StepError> {
        self.ended.as_ref().ok_or_else(|| StepError::fatal("the session has not ended"))
    }

    /// The filled-in forms, as far as they are.
    pub async fn analyses(&self) -> Result<Vec<AnalysisResult>, StepError> {
        let found = self.engine.store().analyses_of(&self.session.org, self.session.id).await;
        found.map_err(|error| StepError::because("the analysis", &error))
    }

    /// The whole transcript, however long.
    pub async fn transcript(&self) -> Result<Vec<Message>, StepError> {
        let transcript = self.engine.transcript(&self.session.org, self.session.id).await;
        transcript.map_err(|error| StepError::because("the transcript could not be read", &error))
    }
}
