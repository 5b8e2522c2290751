//! Runs owed steps: claims them under a lease, runs them, and records what came of it.
//!
//! Work is claimed lane by lane, never more than a lane's share, so that a receiver that is slow or
//! down fills its own lane and nobody else's. Whoever has finished a step goes on with the lane's
//! next, claimed in the commit that records the one before: a lane is as fast as what it leads to.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use epilogue_core::{
    OrgId, Span, Step, StepKind,
    retry::{ATTEMPT_MAX, Verdict},
    step::AttemptOutcome,
};
use epilogue_storage::{
    ClaimRequest, ClaimedStep, DueLane, Product, SettleOutcome, SettleRequest, StepReport,
};
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use crate::{
    Engine, Result, StepPolicies,
    clock::within,
    lanes::Lanes,
    step::{self, StepDone, StepError},
};

/// How many lanes are looked up at a time.
const LANES_PAGE: u32 = 256;

/// How much longer than its time limit an attempt may take before it is cut from outside. Steps
/// that call others keep the limit themselves, to record what they were doing.
pub(crate) const ATTEMPT_SLACK_MS: u64 = 1_000;

/// How much longer than that its claim is believed.
const LEASE_SLACK_MS: u64 = 10_000;

/// How often in a row a step may be interrupted before it counts as one that brings the process down.
const INTERRUPTIONS_MAX: usize = 100;

/// How often recording an attempt is tried when the store fails, before the lease is left to run out.
const SETTLE_ATTEMPTS: u32 = 5;

/// Runs owed steps. A cheap handle.
#[derive(Clone)]
pub struct Worker {
    engine: Engine,
    /// What runs. Whoever holds a place in a lane runs one step of it after the other.
    busy: Arc<Lanes>,
    /// How many attempts have been made.
    attempts: Arc<AtomicUsize>,
}

impl Worker {
    /// A worker for this engine's steps.
    pub fn new(engine: &Engine) -> Self {
        Self { engine: engine.clone(), busy: Arc::default(), attempts: Arc::default() }
    }

    /// Works until told to stop; then waits for the steps that run. Those that do not finish before
    /// the caller gives up are found by their leases.
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
                () = self.engine.inner.new_steps.notified() => self.gather().await,
                () = self.busy.freed.notified() => self.gather().await,
            }
        }
        self.busy.tasks.close();
        self.busy.tasks.wait().await;
    }

    /// Lets more work and more room gather, for a moment nobody notices.
    async fn gather(&self) {
        let moment = self.engine.limits().gather;
        if moment > Span::ZERO {
            self.engine.clock().sleep(moment).await;
        }
    }

    /// Claims what can be claimed, and says when to look again.
    async fn claim_and_look_ahead(&self) -> Result<epilogue_core::Timestamp> {
        self.claim_round().await?;
        let now = self.engine.now();
        let latest = now + self.engine.limits().poll;
        let next = self.engine.store().next_due_step().await?;
        // What is due and was not claimed waits for room in its lane, of which `freed` tells.
        Ok(next.filter(|next| *next > now).map_or(latest, |next| next.min(latest)))
    }

    /// Runs everything that is due now, and what becomes due by it, and nothing else. Returns how
    /// many attempts were made. For tests and for one-off commands.
    pub async fn run_until_idle(&self) -> Result<usize> {
        let before = self.attempts.load(Relaxed);
        loop {
            let started = self.claim_round().await?;
            // A place is given up before `freed` tells of it, so that none is missed here.
            if started == 0 && self.busy.is_empty() {
                return Ok(self.attempts.load(Relaxed) - before);
            }
            self.busy.freed.notified().await;
        }
    }

    /// Claims from every due lane what it has room for. Returns how many steps were started.
    async fn claim_round(&self) -> Result<usize> {
        let mut started = 0;
        let mut after = None;
        loop {
            let now = self.engine.now();
            let lanes = self.engine.store().due_lanes(now, after.as_ref(), LANES_PAGE).await?;
            for lane in &lanes {
                started += self.claim(lane).await?;
            }
            match lanes.last() {
                Some(last) if lanes.len() == LANES_PAGE as usize => after = Some(last.clone()),
                _ => return Ok(started),
            }
        }
    }

    async fn claim(&self, lane: &DueLane) -> Result<usize> {
        let room = self.room_in(lane);
        if room == 0 {
            return Ok(0);
        }
        let request = self.wish(&lane.org, &lane.lane, room);
        let claimed = self.engine.store().claim(request, self.engine.now()).await?;
        let started = claimed.len();
        for step in claimed {
            self.start(step);
        }
        Ok(started)
    }

    fn wish(&self, org: &OrgId, lane: &str, steps: usize) -> ClaimRequest {
        ClaimRequest {
            org: org.clone(),
            lane: lane.to_owned(),
            node: self.engine.inner.parts.node.clone(),
            lease_until: self.engine.now() + self.lease(),
            limit: u32::try_from(steps).unwrap_or(u32::MAX),
        }
    }

    /// How many more steps of a lane may run. A lane in which nothing runs always has room for one,
    /// so that however many slow receivers fill the worker, none keeps another from being served.
    fn room_in(&self, lane: &DueLane) -> usize {
        let limits = self.engine.limits();
        let key = (lane.org.clone(), lane.lane.clone());
        self.busy.room(&key, limits.steps_per_lane, limits.steps_at_once)
    }

    /// How long a claim is believed: longer than any attempt may take.
    fn lease(&self) -> Span {
        let policies = &self.engine.inner.parts.policies;
        let timeouts = StepKind::ALL.into_iter().map(|kind| longest_attempt(policies, kind));
        let longest = timeouts.max().unwrap_or_default().as_millis();
        let longest = longest + 2 * ATTEMPT_SLACK_MS + LEASE_SLACK_MS;
        self.engine.limits().lease.max(Span::from_millis(longest))
    }

    /// Runs a step, and what its lane has next, until it has nothing.
    fn start(&self, claimed: ClaimedStep) {
        let key = (claimed.step.org.clone(), claimed.step.lane.clone());
        let place = self.busy.enter(key);
        let worker = self.clone();
        self.busy.tasks.spawn(async move {
            let mut next = Some(claimed);
            while let Some(claimed) = next {
                next = worker.attempt(&claimed).await;
            }
            drop(place);
        });
    }

    /// Makes one attempt and records it. Returns the step to go on with.
    async fn attempt(&self, claimed: &ClaimedStep) -> Option<ClaimedStep> {
        self.attempts.fetch_add(1, Relaxed);
        let engine = &self.engine;
        let result = if interruptions(engine, &claimed.step).await > INTERRUPTIONS_MAX {
            Err(StepError::fatal("it was interrupted too often: it may bring the process down"))
        } else {
            run(engine, claimed).await
        };
        let request = judge(engine, claimed, result);
        engine.metrics().step_attempted(claimed.step.kind, request.outcome);
        log(&request);
        let next = self.may_go_on().then(|| self.wish(&claimed.step.org, &claimed.step.lane, 1));
        settle(engine, request, next).await
    }

    /// Whether a place in a lane is kept for the lane's next step: not when the worker stops, nor
    /// when other lanes may be waiting for places.
    fn may_go_on(&self) -> bool {
        !self.busy.tasks.is_closed() && self.busy.taken() < self.engine.limits().steps_at_once
    }
}

/// How long an attempt may take: what the operator says, and for a webhook also what its API does.
fn longest_attempt(policies: &StepPolicies, kind: StepKind) -> Span {
    let configured = policies.of(kind).timeout;
    if kind.notifies() { configured.max(ATTEMPT_MAX) } else { configured }
}

async fn run(engine: &Engine, claimed: &ClaimedStep) -> Result<StepDone, StepError> {
    let longest = longest_attempt(&engine.inner.parts.policies, claimed.step.kind);
    let limit = Span::from_millis(longest.as_millis() + 2 * ATTEMPT_SLACK_MS);
    // Whether what is done once at most is under way: then an attempt that is cut is the last.
    let once = AtomicBool::new(false);
    let running = AssertUnwindSafe(step::run(engine, claimed, &once)).catch_unwind();
    let why = match within(&**engine.clock(), limit, running).await {
        Some(Ok(result)) => return result,
        Some(Err(_)) => "the step panicked: this is a defect".to_owned(),
        None => format!("it took longer than {} ms", limit.as_millis()),
    };
    Err(StepError { fatal: once.load(Relaxed), ..StepError::again(why) })
}

/// How often in a row the step was claimed and never reported on. The record is only read when the
/// step has been claimed often enough for that to matter.
async fn interruptions(engine: &Engine, step: &Step) -> usize {
    if step.attempt as usize <= INTERRUPTIONS_MAX {
        return 0;
    }
    match engine.store().steps_of(&step.org, step.session).await {
        Ok(steps) => {
            let own = steps.iter().find(|(other, _)| other.id() == step.id());
            let latest_first = own.iter().flat_map(|(_, attempts)| attempts.iter().rev());
            latest_first.take_while(|a| a.outcome == AttemptOutcome::Interrupted).count()
        }
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, step = %step.id(), "its earlier attempts could not be read");
            0
        }
    }
}

/// What an attempt came to, and what follows.
fn judge(
    engine: &Engine,
    claimed: &ClaimedStep,
    result: Result<StepDone, StepError>,
) -> SettleRequest {
    let step = &claimed.step;
    let (report, outcome, detail, products) = match result {
        Ok(StepDone::Done { detail, products }) => {
            (StepReport::Done, AttemptOutcome::Done, detail, products)
        }
        Ok(StepDone::Unfinished { detail, again_in }) => {
            let due_at = engine.now() + again_in;
            (StepReport::Again { due_at }, AttemptOutcome::Unfinished, detail, Vec::new())
        }
        Ok(StepDone::Skipped(reason)) => {
            (StepReport::Skipped(reason.clone()), AttemptOutcome::Skipped, reason, Vec::new())
        }
        Err(error) => {
            let outcome = if error.fatal { AttemptOutcome::Fatal } else { AttemptOutcome::Failed };
            let report = after_failure(engine, step, &error);
            let mut products = error.products;
            if matches!(report, StepReport::Park(_)) {
                products.extend(error.on_park.map(Product::Activity));
            }
            (report, outcome, error.detail, products)
        }
    };
    SettleRequest {
        org: step.org.clone(),
        step: step.id(),
        attempt: step.attempt,
        started_at: claimed.claimed_at,
        report,
        outcome,
        detail,
        products,
    }
}

fn after_failure(engine: &Engine, step: &Step, error: &StepError) -> StepReport {
    if error.fatal {
        return StepReport::Park(error.detail.clone());
    }
    let policy = error.policy.as_ref().unwrap_or(engine.inner.parts.policies.of(step.kind));
    let failures = step.failures + 1;
    let jitter = engine.ids().fraction();
    match policy.after_failure(failures, error.retry_after, jitter, engine.now()) {
        Verdict::Again(due_at) => StepReport::Again { due_at },
        Verdict::GiveUp => StepReport::Park(error.detail.clone()),
    }
}

fn log(request: &SettleRequest) {
    let (step, attempt, detail) = (request.step, request.attempt, &request.detail);
    match &request.report {
        StepReport::Done => tracing::info!(%step, attempt, detail, "step done"),
        StepReport::Skipped(_) => tracing::info!(%step, attempt, detail, "step skipped"),
        StepReport::Again { due_at } if request.outcome == AttemptOutcome::Unfinished => {
            tracing::debug!(%step, attempt, detail, %due_at, "step goes on later");
        }
        StepReport::Again { due_at } => {
            tracing::warn!(%step, attempt, detail, %due_at, "step failed, owed again");
        }
        StepReport::Park(_) => tracing::error!(%step, attempt, detail, "step parked"),
    }
}

/// Records an attempt, and claims the next step if one is wished for. If the store fails for long,
/// the lease runs out and the step is run again.
async fn settle(
    engine: &Engine,
    request: SettleRequest,
    next: Option<ClaimRequest>,
) -> Option<ClaimedStep> {
    let mut wait = Span::from_millis(20);
    for _ in 0..SETTLE_ATTEMPTS {
        match record(engine, request.clone(), next.clone()).await {
            Ok((SettleOutcome::Recorded { finalized, released }, claimed)) => {
                if finalized {
                    tracing::info!(session = %request.step.session, "finalized");
                }
                if !released.is_empty() {
                    engine.inner.new_steps.notify_one();
                }
                return claimed;
            }
            Ok((SettleOutcome::LeaseLost, _)) => {
                tracing::warn!(step = %request.step, "the lease was lost, so nothing was recorded");
                return None;
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, step = %request.step, "an attempt was not recorded");
            }
        }
        engine.clock().sleep(wait).await;
        wait = Span::from_millis(wait.as_millis() * 4);
    }
    None
}

async fn record(
    engine: &Engine,
    request: SettleRequest,
    next: Option<ClaimRequest>,
) -> Result<(SettleOutcome, Option<ClaimedStep>)> {
    let now = engine.now();
    let Some(next) = next else {
        return Ok((engine.store().settle(request, now).await?, None));
    };
    let (outcome, claimed) = engine.store().settle_and_claim(request, next, now).await?;
    Ok((outcome, claimed.into_iter().next()))
}
