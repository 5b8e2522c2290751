//! Random histories that the store must answer as the [`super::model`] does.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use epilogue_core::{
    EndReason, EndRequest, MicroCredits, NodeId, Profile, Session, SessionId, Span, StepId,
    StepKind, StepState, Timestamp,
    ledger::Account,
    session::{BeginVerdict, FinishVerdict},
};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tokio::{runtime::Handle, task::block_in_place};

use super::{
    Backend,
    audit::audit,
    fixture::{LEASE, NODE, World, busy_agent},
    model::Model,
    race::{Seed, seeds},
};
use crate::{
    Admission, BeginTurnOutcome, FinishTurnOutcome, OpenOutcome, Result, RetryOutcome, StepReport,
    Storage,
};

/// How many sessions a history plays with: few, so that they are met again.
const SESSIONS: u32 = 3;
/// How long a history is at most.
const OPS_MAX: usize = 60;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Op {
    /// Time passes, in seconds.
    Wait(u64),
    Open(u32, i64),
    Begin(u32),
    /// The turn that many before the latest reports.
    Finish(u32, u32),
    /// Somebody asks, or the timer looks.
    End(u32, Option<EndReason>),
    KeepAlive(u32),
    Claim(StepKind, u32),
    /// The claim at this place among all so far reports.
    Settle(usize, Told),
    Retry(u32, StepKind),
}

/// What an attempt tells.
#[derive(Clone, Copy, Debug)]
enum Told {
    Done,
    Again(u64),
    Park,
}

fn op() -> impl Strategy<Value = Op> {
    let session = || 0..SESSIONS;
    let kind = || prop::sample::select(StepKind::ALL.to_vec());
    let reason = prop::sample::select(EndReason::ALL.to_vec());
    let told = prop_oneof![
        4 => Just(Told::Done),
        1 => (0_u64..100).prop_map(Told::Again),
        1 => Just(Told::Park),
    ];
    prop_oneof![
        3 => prop_oneof![Just(0), Just(1), 20_u64..50, 50_u64..900].prop_map(Op::Wait),
        2 => (session(), -5_i64..20_000).prop_map(|(n, held)| Op::Open(n, held.max(0))),
        3 => session().prop_map(Op::Begin),
        3 => (session(), prop_oneof![4 => Just(0), 1 => Just(1)])
            .prop_map(|(n, back)| Op::Finish(n, back)),
        1 => (session(), reason).prop_map(|(n, reason)| Op::End(n, Some(reason))),
        3 => session().prop_map(|n| Op::End(n, None)),
        1 => session().prop_map(Op::KeepAlive),
        5 => (kind(), session()).prop_map(|(kind, n)| Op::Claim(kind, n)),
        5 => (0_usize..8, told).prop_map(|(place, told)| Op::Settle(place, told)),
        1 => (session(), kind()).prop_map(|(n, kind)| Op::Retry(n, kind)),
    ]
}

/// The rules a session of the histories lives by: they differ by its number.
fn profile(n: u32) -> Profile {
    // The first one's timer runs out while a turn may still be in flight.
    let idle = Span::from_secs(if n == 0 { 30 } else { 600 });
    Profile {
        idle_timeout: (n != 2).then_some(idle),
        max_duration: (n == 1).then(|| Span::from_secs(1_000)),
        keep_alive_counts: n == 0,
        ..super::fixture::profile()
    }
}

/// Both, side by side.
struct Pair<S> {
    world: World<S>,
    model: Model,
}

impl<S: Storage> Pair<S> {
    async fn new(store: Arc<S>, org: &str) -> Result<Self> {
        let world = World::join(store, org, busy_agent()).await?;
        let model = Model::new(world.agent.clone());
        Ok(Self { world, model })
    }

    async fn play(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::Wait(seconds) => self.model.now = self.model.now + Span::from_secs(*seconds),
            Op::Open(n, held) => self.open(*n, MicroCredits(*held)).await?,
            Op::Begin(n) => self.begin(*n).await?,
            Op::Finish(n, back) => self.finish(*n, *back).await?,
            Op::End(n, reason) => self.end(*n, *reason).await?,
            Op::KeepAlive(n) => self.keep_alive(*n).await?,
            Op::Claim(kind, n) => self.claim(*kind, *n).await?,
            Op::Settle(place, told) => self.settle(*place, *told).await?,
            Op::Retry(n, kind) => self.retry(*n, *kind).await?,
        }
        self.compare().await
    }

    async fn open(&mut self, n: u32, held: MicroCredits) -> Result<()> {
        let mut session = self.world.session_at(n, self.model.now);
        session.profile = profile(n);
        session.held = held;
        let outcome = self.world.open_with(&session, Admission::Free).await?;
        if self.model.sessions.contains_key(&n) {
            assert_eq!(outcome, OpenOutcome::NameTaken);
            return Ok(());
        }
        assert_eq!(outcome, OpenOutcome::Opened);
        self.model.balance = self.model.balance - held;
        self.model.sessions.insert(n, session);
        Ok(())
    }

    /// The id of session `n`, or one that nobody has.
    fn id(&self, n: u32) -> SessionId {
        let known = self.model.sessions.get(&n).map(|session| session.id);
        known.unwrap_or_else(|| self.world.session(1_000).id)
    }

    async fn begin(&mut self, n: u32) -> Result<()> {
        let (now, id) = (self.model.now, self.id(n));
        let outcome = self.world.store.begin_turn(self.world.begin(id, now), now).await?;
        let verdict = self.model.begin(n);
        match (outcome, verdict) {
            (BeginTurnOutcome::Begun { number, .. }, Some(BeginVerdict::Begin(expected))) => {
                assert_eq!(number, expected);
            }
            (BeginTurnOutcome::Busy(turn), Some(BeginVerdict::Busy(expected))) => {
                assert_eq!(turn, expected);
            }
            (BeginTurnOutcome::Lapsed(deadline), Some(BeginVerdict::Lapsed(expected))) => {
                assert_eq!(deadline, expected);
            }
            (BeginTurnOutcome::Over(ended), Some(BeginVerdict::Over(expected))) => {
                assert_eq!(ended, expected);
            }
            (BeginTurnOutcome::NoSession, None) => {}
            (outcome, verdict) => panic!("{outcome:?} instead of {verdict:?}"),
        }
        Ok(())
    }

    async fn finish(&mut self, n: u32, back: u32) -> Result<()> {
        let (now, id) = (self.model.now, self.id(n));
        let latest = self.model.sessions.get(&n).map_or(0, |session| session.turns);
        let number = latest.saturating_sub(back);
        let request = self.world.finish(id, number, now);
        let outcome = self.world.store.finish_turn(request, now).await?;
        match (outcome, self.model.finish(n, number)) {
            (FinishTurnOutcome::Recorded(_), Some(FinishVerdict::Record))
            | (FinishTurnOutcome::Superseded, Some(FinishVerdict::Superseded))
            | (FinishTurnOutcome::NoSession, None) => {}
            (FinishTurnOutcome::Fenced(ended), Some(FinishVerdict::Fenced(expected))) => {
                assert_eq!(ended, expected);
            }
            (outcome, verdict) => panic!("{outcome:?} instead of {verdict:?}"),
        }
        Ok(())
    }

    async fn end(&mut self, n: u32, reason: Option<EndReason>) -> Result<()> {
        let request = reason.map_or_else(EndRequest::due, EndRequest::asked);
        let (now, id) = (self.model.now, self.id(n));
        let outcome = self.world.end(id, request.clone(), now).await?;
        assert_eq!(outcome, self.model.end(n, &request));
        Ok(())
    }

    async fn keep_alive(&mut self, n: u32) -> Result<()> {
        let (now, id) = (self.model.now, self.id(n));
        let outcome = self.world.store.keep_alive(&self.world.org, id, now).await?;
        let live = self.model.sessions.get_mut(&n).map(|session| {
            let live = session.is_live(now);
            if live {
                session.last_seen = session.last_seen.max(now);
            }
            live
        });
        assert_eq!(outcome, live);
        Ok(())
    }

    /// Claims what is due in the lane of one step.
    async fn claim(&mut self, kind: StepKind, n: u32) -> Result<()> {
        let steps = self.model.steps.get(&n);
        let Some(step) = steps.and_then(|steps| steps.iter().find(|step| step.kind == kind)) else {
            return Ok(());
        };
        let (now, lane) = (self.model.now, step.lane.clone());
        let mut claimed = self.world.store.claim(self.world.wish(&lane, now), now).await?;
        claimed.sort_by_key(|claimed| (claimed.step.session, claimed.step.kind));
        let mut due = self.model.due(&lane);
        due.sort_by_key(|step| (step.session, step.kind));
        assert_eq!(claimed.len(), due.len(), "{claimed:?} instead of {due:?}");
        for (claimed, step) in claimed.iter().zip(due) {
            // Whether an interruption counts as a failure is the backend's to say.
            let interrupted = matches!(step.state, StepState::Leased { .. });
            let failures = step.failures..=step.failures + u32::from(interrupted);
            assert!(failures.contains(&claimed.step.failures), "{claimed:?}");
            step.failures = claimed.step.failures;
            step.attempt += 1;
            step.state = StepState::Leased { node: NodeId::from(NODE), until: now + LEASE };
            assert_eq!((&claimed.step, claimed.claimed_at), (&*step, now));
        }
        self.model.claims.extend(claimed);
        Ok(())
    }

    async fn settle(&mut self, place: usize, told: Told) -> Result<()> {
        // The latest claims come first, so that live ones are met more often than stale ones.
        let Some(claimed) = self.model.claims.iter().rev().nth(place).cloned() else {
            return Ok(());
        };
        let now = self.model.now;
        let report = match told {
            Told::Done => StepReport::Done,
            Told::Again(seconds) => StepReport::Again { due_at: now + Span::from_secs(seconds) },
            Told::Park => StepReport::Park("given up".into()),
        };
        let request = self.world.report(&claimed, report.clone());
        let outcome = self.world.store.settle(request, now).await?;
        assert_eq!(outcome, self.model.settle(&claimed, &report));
        Ok(())
    }

    async fn retry(&mut self, n: u32, kind: StepKind) -> Result<()> {
        let (now, id) = (self.model.now, StepId::own(self.id(n), kind));
        let outcome = self.world.store.retry(&self.world.org, id, None, now).await?;
        let steps = self.model.steps.get_mut(&n);
        let step = steps.and_then(|steps| steps.iter_mut().find(|step| step.kind == kind));
        let expected = match step {
            None => RetryOutcome::NoStep,
            Some(step) if matches!(step.state, StepState::Parked { .. }) => {
                step.state = StepState::Owed { due_at: now };
                step.failures = 0;
                RetryOutcome::Resumed
            }
            Some(step) => RetryOutcome::NotParked(step.state.clone()),
        };
        assert_eq!(outcome, expected);
        Ok(())
    }

    async fn compare(&self) -> Result<()> {
        for (n, expected) in &self.model.sessions {
            let stored = self.world.stored(expected.id).await?;
            // Whether a turn counts as having been seen is the backend's to say.
            let seen = stored.last_seen.min(expected.last_seen);
            assert_eq!(Session { last_seen: seen, ..stored }, *expected);
            let steps = self.world.store.steps_of(&self.world.org, expected.id).await?;
            let steps: Vec<_> = steps.into_iter().map(|(step, _)| step).collect();
            assert_eq!(steps, self.model.steps.get(n).cloned().unwrap_or_default());
            let due =
                self.world.store.due_sessions(Timestamp::from_millis(i64::MAX), 10_000).await?;
            let entry = due.iter().find(|due| due.org == expected.org && due.id == expected.id);
            let (entry, deadline) = (entry.map(|due| due.due_at), expected.deadline());
            let deadline = deadline.map(|deadline| deadline.at);
            assert_eq!(entry.is_some(), deadline.is_some(), "who has a deadline is in the index");
            assert!(entry <= deadline, "the entry {entry:?} is later than {deadline:?}");
        }
        let balance = self.world.store.balance(&self.world.org, Account::Balance).await?;
        assert_eq!(balance, self.model.balance);
        Ok(())
    }
}

/// Plays one history on both. An organization serves one try: shrinking needs many.
async fn play<S: Storage>(store: Arc<S>, org: &str, ops: &[Op]) -> Result<()> {
    let mut pair = Pair::new(store, org).await?;
    for op in ops {
        pair.play(op).await?;
    }
    audit(&*pair.world.store, &pair.world.org).await
}

pub async fn the_store_does_what_the_model_does(backend: &impl Backend) -> Result<()> {
    for seed in seeds() {
        let _seed = Seed(seed);
        let store = Arc::new(backend.fresh().await);
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let config = Config { cases: 1, failure_persistence: None, ..Config::default() };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let tries = AtomicU64::new(0);
        let outcome = block_in_place(|| {
            runner.run(&prop::collection::vec(op(), 1..OPS_MAX), |ops| {
                let org = format!("org_{seed}_{}", tries.fetch_add(1, Ordering::Relaxed));
                let history = play(Arc::clone(&store), &org, &ops);
                Handle::current().block_on(history).map_err(|e| TestCaseError::fail(e.to_string()))
            })
        });
        if let Err(error) = outcome {
            panic!("the store and the model disagree: {error}");
        }
    }
    Ok(())
}
