//! Letting go of what is older than an organization keeps.

use epilogue_core::{OrgId, Span};
use epilogue_storage::{ErasureReport, ErasureStep};
use tokio_util::sync::CancellationToken;

use crate::{Engine, Result};

/// How often it is looked at what is too old.
const EVERY: Span = Span::from_secs(3_600);

/// How many decisions one look at one organization takes; the next look goes on.
const STEPS_MAX: u32 = 1_000;

/// Removes remembered conversations that are too old, with the facts that nobody has told since. A cheap
/// handle.
#[derive(Clone)]
pub struct Retention {
    engine: Engine,
    kept: Vec<(OrgId, Span)>,
}

impl Retention {
    /// How long each organization keeps what is remembered. Those that are not named keep it for ever.
    pub const fn new(engine: Engine, kept: Vec<(OrgId, Span)>) -> Self {
        Self { engine, kept }
    }

    /// Looks once. Returns what was removed of whom.
    pub async fn expire(&self) -> Result<Vec<(OrgId, ErasureReport)>> {
        let mut removed = Vec::new();
        for (org, kept) in &self.kept {
            let before = self.engine.now() - *kept;
            let mut report = ErasureReport::default();
            for _ in 0..STEPS_MAX {
                let step = self.engine.store().expire_memory(org, before).await?;
                let ErasureStep { report: more, done } = step;
                report.and(more);
                if done {
                    break;
                }
            }
            if !report.is_empty() {
                tracing::info!(%org, conversations = report.count("store.episodes"), "memory expired");
                removed.push((org.clone(), report));
            }
        }
        Ok(removed)
    }

    /// Looks again and again, until told to stop.
    pub async fn run(&self, stop: CancellationToken) {
        if self.kept.is_empty() {
            return;
        }
        while !stop.is_cancelled() {
            if let Err(error) = self.expire().await {
                tracing::error!(error = &error as &dyn std::error::Error, "memory did not expire");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.engine.clock().sleep(EVERY) => {}
            }
        }
    }
}
