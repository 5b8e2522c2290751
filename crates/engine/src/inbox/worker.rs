//! Works through what people sent: claims messages under leases, and records what came of them.
//!
//! Of one person's messages to one number, one is taken at a time, in their order; those of others
//! never wait for it. The store sees to the order, this to the rest.

use std::{panic::AssertUnwindSafe, sync::Arc};

use epilogue_core::{
    Span, Timestamp,
    retry::{RetryPolicy, Verdict},
    texting::InboundMessage,
};
use epilogue_storage::{ClaimInbound, DueInbox, InboundClaim, InboundOutcome, InboundReport};
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::{
    Carrier,
    answer::{Attempt, Failure, lease_until},
};
use crate::{Engine, Result, lanes::Lanes};

/// How many carriers are looked up at a time.
const INBOXES_PAGE: u32 = 256;

/// How often a message may be claimed without a word about it before it counts as one that brings
/// the process down.
const INTERRUPTIONS_MAX: u32 = 100;

/// How often recording an attempt is tried when the store fails, before the lease is left to run out.
const SETTLE_ATTEMPTS: u32 = 5;

/// Answers messages. A cheap handle.
#[derive(Clone)]
pub struct InboxWorker {
    engine: Engine,
    carrier: Arc<dyn Carrier>,
    policy: RetryPolicy,
    busy: Arc<Lanes>,
}

impl InboxWorker {
    /// A worker that hands answers to `carrier`, and tries again as `policy` says.
    pub fn new(engine: &Engine, carrier: Arc<dyn Carrier>, policy: RetryPolicy) -> Self {
        Self { engine: engine.clone(), carrier, policy, busy: Arc::default() }
    }

    /// Works until told to stop; then waits for what runs. What does not finish before the caller
    /// gives up is found by its lease.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wake_at = match self.claim_and_look_ahead().await {
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
                () = self.engine.inner.new_messages.notified() => {}
                () = self.busy.freed.notified() => {}
            }
        }
        self.busy.tasks.close();
        self.busy.tasks.wait().await;
    }

    /// Claims what can be claimed, and says when to look again.
    async fn claim_and_look_ahead(&self) -> Result<Timestamp> {
        self.claim_round().await?;
        let now = self.engine.now();
        let latest = now + self.engine.limits().poll;
        let next = self.engine.store().next_due_inbound().await?;
        // What is due and was not claimed waits for room, of which `freed` tells.
        Ok(next.filter(|next| *next > now).map_or(latest, |next| next.min(latest)))
    }

    /// Takes everything that is due now, and what becomes due by it, and nothing else. Returns how
    /// many attempts were made. For tests and for one-off commands.
    pub async fn run_until_idle(&self) -> Result<usize> {
        let mut attempts = 0;
        loop {
            let started = self.claim_round().await?;
            // A place is given up before `freed` tells of it, so that none is missed here.
            if started == 0 && self.busy.is_empty() {
                return Ok(attempts);
            }
            attempts += started;
            self.busy.freed.notified().await;
        }
    }

    /// Claims from every due carrier what there is room for. Returns how many were started.
    async fn claim_round(&self) -> Result<usize> {
        let mut started = 0;
        let mut after = None;
        loop {
            let now = self.engine.now();
            let due = self.engine.store().due_inboxes(now, after.as_ref(), INBOXES_PAGE).await?;
            for inbox in &due {
                started += self.claim(inbox).await?;
            }
            match due.last() {
                Some(last) if due.len() == INBOXES_PAGE as usize => after = Some(last.clone()),
                _ => return Ok(started),
            }
        }
    }

    async fn claim(&self, inbox: &DueInbox) -> Result<usize> {
        let limits = self.engine.limits();
        let lane = (inbox.org.clone(), inbox.carrier.clone());
        let room = self.busy.room(&lane, limits.messages_per_carrier, limits.messages_at_once);
        if room == 0 {
            return Ok(0);
        }
        let request = ClaimInbound {
            org: inbox.org.clone(),
            carrier: inbox.carrier.clone(),
            node: self.engine.inner.parts.node.clone(),
            lease_until: lease_until(&self.engine, &self.policy),
            limit: u32::try_from(room).unwrap_or(u32::MAX),
        };
        let claimed = self.engine.store().claim_inbound(request, self.engine.now()).await?;
        let started = claimed.len();
        for message in claimed {
            let place = self.busy.enter(lane.clone());
            let worker = self.clone();
            self.busy.tasks.spawn(async move {
                worker.attempt(message).await;
                drop(place);
            });
        }
        Ok(started)
    }

    /// Makes one attempt and records it.
    async fn attempt(&self, message: InboundMessage) {
        let (engine, carrier, policy) = (&self.engine, &*self.carrier, &self.policy);
        let failures = message.failures;
        let is_cursed = message.attempt > failures.saturating_add(INTERRUPTIONS_MAX);
        let mut attempt = Attempt { engine, carrier, policy, message };
        let claim = attempt.claim();
        let result = if is_cursed {
            Err(Failure::Final("it was interrupted too often".to_owned()))
        } else {
            let running = AssertUnwindSafe(attempt.run()).catch_unwind().await;
            running.unwrap_or_else(|_| Err(Failure::Final("a defect of the server".to_owned())))
        };
        let Some(report) = self.judge(failures, result) else {
            tracing::warn!(org = %attempt.org(), message = claim.id.message, "the lease was lost");
            return;
        };
        log(&claim, &report);
        engine.metrics().message(word(&report));
        self.settle(&claim, report).await;
    }

    /// What follows an attempt. `None`: it is another's to say.
    fn judge(&self, failures: u32, result: Result<String, Failure>) -> Option<InboundReport> {
        Some(match result {
            Ok(detail) => InboundReport::Done(detail),
            Err(Failure::LeaseLost) => return None,
            Err(Failure::Stopping) => InboundReport::Interrupted,
            Err(Failure::Final(detail)) => InboundReport::Park(detail),
            Err(Failure::Passing { detail, retry_after }) => {
                let jitter = self.engine.ids().fraction();
                let now = self.engine.now();
                match self.policy.after_failure(failures + 1, retry_after, jitter, now) {
                    Verdict::Again(due_at) => InboundReport::Again { due_at, detail },
                    Verdict::GiveUp => InboundReport::Park(detail),
                }
            }
        })
    }

    /// Records an attempt. If the store fails for long, the lease runs out and another is made.
    async fn settle(&self, claim: &InboundClaim, report: InboundReport) {
        let mut wait = Span::from_millis(20);
        for _ in 0..SETTLE_ATTEMPTS {
            let now = self.engine.now();
            match self.engine.store().settle_inbound(claim, report.clone(), now).await {
                Ok(InboundOutcome::Recorded) => return,
                Ok(InboundOutcome::LeaseLost) => {
                    tracing::warn!(message = claim.id.message, "the lease was lost");
                    return;
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "an attempt at a message was not recorded");
                }
            }
            self.engine.clock().sleep(wait).await;
            wait = Span::from_millis(wait.as_millis() * 4);
        }
    }
}

/// The word for metrics.
const fn word(report: &InboundReport) -> &'static str {
    match report {
        InboundReport::Done(_) => "done",
        InboundReport::Again { .. } => "again",
        InboundReport::Interrupted => "interrupted",
        InboundReport::Park(_) => "parked",
    }
}

fn log(claim: &InboundClaim, report: &InboundReport) {
    let InboundClaim { org, id, attempt } = claim;
    let (carrier, message) = (&id.carrier, &id.message);
    match report {
        InboundReport::Done(detail) => {
            tracing::info!(%org, carrier, message, attempt, detail, "message done");
        }
        InboundReport::Again { due_at, detail } => {
            tracing::warn!(%org, carrier, message, attempt, detail, %due_at, "message owed again");
        }
        InboundReport::Interrupted => {
            tracing::info!(%org, carrier, message, attempt, "message interrupted");
        }
        InboundReport::Park(detail) => {
            tracing::error!(%org, carrier, message, attempt, detail, "message parked");
        }
    }
}
