//! Goes on with uploads: one person's conversations one after the other, those of several people at
//! the same time, but never more than the server is to hold of ours at once.

use std::{panic::AssertUnwindSafe, sync::Arc};

use epilogue_core::{OrgId, Span, Timestamp, retry::RetryPolicy, upload::Upload};
use epilogue_storage::{ClaimUploads, UploadClaim, UploadOutcome, UploadReport};
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::{Graphiti, carry::Carriage};
use crate::{Engine, Result, lanes::Lanes};

/// How many organizations are looked up at a time.
const ORGANIZATIONS_PAGE: u32 = 256;

/// How often recording an attempt is tried when the store fails, before the lease is left to run out.
const SETTLE_ATTEMPTS: u32 = 5;

/// Carries conversations over. A cheap handle.
#[derive(Clone)]
pub struct UploadWorker {
    engine: Engine,
    graphiti: Arc<Graphiti>,
    policy: RetryPolicy,
    busy: Arc<Lanes>,
    stop: CancellationToken,
}

impl UploadWorker {
    /// A worker that tries again as this engine's step of memory does.
    pub fn new(engine: &Engine, graphiti: Arc<Graphiti>) -> Self {
        let policy = engine.inner.parts.policies.ingest_memory.clone();
        let stop = CancellationToken::new();
        Self { engine: engine.clone(), graphiti, policy, busy: Arc::default(), stop }
    }

    /// Works until told to stop; then leaves what is under way to whoever comes next.
    pub async fn run(&self, stop: CancellationToken) {
        let mut last = None;
        while !stop.is_cancelled() {
            let wake_at = match self.claim_and_look_ahead(&mut last).await {
                Ok(wake_at) => wake_at,
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "claiming failed");
                    self.engine.now() + Span::from_secs(1)
                }
            };
            // Whatever wakes it, the same look follows; only a stop comes before it.
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.engine.clock().sleep_until(wake_at) => {}
                () = self.graphiti.queued.notified() => {}
                () = self.busy.freed.notified() => {}
            }
        }
        self.stop.cancel();
        self.busy.tasks.close();
        self.busy.tasks.wait().await;
    }

    /// Claims what there is room for, and says when to look again.
    async fn claim_and_look_ahead(&self, last: &mut Option<OrgId>) -> Result<Timestamp> {
        self.claim_round(last).await?;
        let now = self.engine.now();
        let latest = now + self.engine.limits().poll;
        let next = self.engine.store().next_due_upload().await?;
        // What is due and was not claimed waits for room, of which `freed` tells.
        Ok(next.filter(|next| *next > now).map_or(latest, |next| next.min(latest)))
    }

    /// How many more people's conversations may be under way. A server that stores nothing is tried
    /// with one at a time.
    fn room(&self) -> usize {
        let at_once = match self.graphiti.watch.stalled_since() {
            Some(_) => 1,
            None => self.graphiti.at_once,
        };
        at_once.saturating_sub(self.busy.taken())
    }

    /// Claims from one organization after the other, beginning behind the last that had its turn.
    async fn claim_round(&self, last: &mut Option<OrgId>) -> Result<()> {
        let mut turned_over = last.is_none();
        while self.room() > 0 {
            let (now, after) = (self.engine.now(), last.clone());
            let due = self.engine.store();
            let due = due.due_uploads(now, after.as_ref(), ORGANIZATIONS_PAGE).await?;
            for due in &due {
                if self.room() == 0 {
                    return Ok(());
                }
                self.claim(&due.org).await?;
                *last = Some(due.org.clone());
            }
            if due.len() < ORGANIZATIONS_PAGE as usize {
                *last = None;
                if turned_over && due.is_empty() {
                    return Ok(());
                }
                turned_over = true;
            }
        }
        Ok(())
    }

    async fn claim(&self, org: &OrgId) -> Result<()> {
        let now = self.engine.now();
        let lease = self.lease();
        let request = ClaimUploads {
            org: org.clone(),
            node: self.engine.inner.parts.node.clone(),
            lease_until: now + lease,
            limit: 1,
        };
        for upload in self.engine.store().claim_uploads(request, now).await? {
            self.start(upload, (lease, now + lease));
        }
        Ok(())
    }

    /// How long a claim is believed: longer than the longest time between two words about it.
    fn lease(&self) -> Span {
        let attempt = 2 * self.policy.timeout.as_millis();
        self.engine.limits().lease.max(Span::from_millis(2 * attempt))
    }

    fn start(&self, upload: Upload, (lease, leased_until): (Span, Timestamp)) {
        let place = self.busy.enter((upload.org.clone(), upload.session.to_string()));
        let worker = self.clone();
        self.busy.tasks.spawn(async move {
            worker.attempt(upload, (lease, leased_until)).await;
            drop(place);
        });
    }

    /// Makes one attempt and records it.
    async fn attempt(&self, upload: Upload, (lease, leased_until): (Span, Timestamp)) {
        let (engine, graphiti, policy) = (&self.engine, &*self.graphiti, &self.policy);
        let carriage = Carriage { engine, graphiti, policy, upload, lease, leased_until };
        let claim = carriage.claim();
        let ran = AssertUnwindSafe(carriage.run(&self.stop)).catch_unwind().await;
        let defect = |_| Some(UploadReport::Park("a defect of the server".to_owned()));
        let Some(report) = ran.unwrap_or_else(defect) else {
            tracing::warn!(session = %claim.session, "the lease on an upload was lost");
            return;
        };
        log(&claim, &report);
        let is_over = matches!(report, UploadReport::Done(_) | UploadReport::Park(_));
        self.settle(&claim, report).await;
        if is_over {
            // The step that waited for it is due.
            self.engine.inner.new_steps.notify_one();
        }
    }

    /// Records an attempt. If the store fails for long, the lease runs out and another is made.
    async fn settle(&self, claim: &UploadClaim, report: UploadReport) {
        let mut wait = Span::from_millis(20);
        for _ in 0..SETTLE_ATTEMPTS {
            let now = self.engine.now();
            match self.engine.store().settle_upload(claim, report.clone(), now).await {
                Ok(UploadOutcome::Recorded) => return,
                Ok(UploadOutcome::LeaseLost) => {
                    tracing::warn!(session = %claim.session, "the lease on an upload was lost");
                    return;
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "an attempt at an upload was not recorded");
                }
            }
            self.engine.clock().sleep(wait).await;
            wait = Span::from_millis(wait.as_millis() * 4);
        }
    }
}

fn log(claim: &UploadClaim, report: &UploadReport) {
    let UploadClaim { org, session, attempt } = claim;
    match report {
        UploadReport::Done(detail) => {
            tracing::info!(%org, %session, attempt, detail, "conversation is in Graphiti");
        }
        UploadReport::GoesOn { due_at } => {
            tracing::info!(%org, %session, attempt, %due_at, "upload interrupted");
        }
        UploadReport::Again { due_at, detail } => {
            tracing::warn!(%org, %session, attempt, detail, %due_at, "upload failed, owed again");
        }
        UploadReport::Park(detail) => {
            tracing::error!(%org, %session, attempt, detail, "upload parked");
        }
    }
}
