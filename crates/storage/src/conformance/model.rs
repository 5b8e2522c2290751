//! A small store in memory, made of nothing but the core's rules.

use std::collections::BTreeMap;

use epilogue_core::{
    Agent, EndCause, EndOutcome, EndRequest, MicroCredits, NodeId, Session, SessionState, Step,
    StepId, StepState, Timestamp,
    finalization::{self, Standing, Surroundings, is_ready},
    session::{BeginVerdict, EndVerdict, FinishVerdict, TurnInFlight},
};

use super::fixture::{LEASE, NODE, START, replied_usage, said_usage};
use crate::{ClaimedStep, SettleOutcome, StepReport};

/// What the store should hold.
pub(super) struct Model {
    /// The agent of all sessions.
    pub(super) agent: Agent,
    /// What time it is.
    pub(super) now: Timestamp,
    /// The sessions by their number.
    pub(super) sessions: BTreeMap<u32, Session>,
    /// What each ended one owes, in the order of the kinds.
    pub(super) steps: BTreeMap<u32, Vec<Step>>,
    /// Every claim so far.
    pub(super) claims: Vec<ClaimedStep>,
    /// The organization's balance.
    pub(super) balance: MicroCredits,
}

impl Model {
    /// Nothing yet.
    pub(super) fn new(agent: Agent) -> Self {
        Self {
            agent,
            now: START,
            sessions: BTreeMap::new(),
            steps: BTreeMap::new(),
            claims: Vec::new(),
            balance: MicroCredits::ZERO,
        }
    }

    fn number(&self, step: StepId) -> u32 {
        let found = self.sessions.iter().find(|(_, session)| session.id == step.session);
        *found.expect("claims are of known sessions").0
    }

    /// `None`: there is no such session.
    pub(super) fn begin(&mut self, n: u32) -> Option<BeginVerdict> {
        let now = self.now;
        let session = self.sessions.get_mut(&n)?;
        let verdict = session.may_begin_turn(now);
        if let BeginVerdict::Begin(number) = verdict {
            let turn = TurnInFlight { number, node: NodeId::from(NODE), lease_until: now + LEASE };
            session.state = SessionState::Active { turn: Some(turn) };
            session.turns = number;
            session.messages += 1;
            session.usage = session.usage.plus(said_usage());
            session.last_activity = now;
        }
        Some(verdict)
    }

    /// `None`: there is no such session.
    pub(super) fn finish(&mut self, n: u32, number: u32) -> Option<FinishVerdict> {
        let now = self.now;
        let session = self.sessions.get_mut(&n)?;
        let verdict = session.may_finish_turn(number);
        if verdict == FinishVerdict::Record {
            session.state = SessionState::Active { turn: None };
            session.messages += 1;
            session.usage = session.usage.plus(replied_usage());
            session.last_activity = now;
        }
        Some(verdict)
    }

    /// `None`: there is no such session.
    pub(super) fn end(&mut self, n: u32, request: &EndRequest) -> Option<EndOutcome> {
        let session = self.sessions.get_mut(&n)?;
        let (reason, deadline) = match session.end(&request.cause, self.now) {
            EndVerdict::End { reason, deadline } => (reason, deadline),
            EndVerdict::AlreadyEnded(ended) => return Some(EndOutcome::AlreadyEnded(ended)),
            EndVerdict::NotDue { due_at } => return Some(EndOutcome::StillActive { due_at }),
        };
        let around = Surroundings::default();
        let closing = finalization::close(
            session,
            (&self.agent, &around),
            (reason, deadline),
            request,
            self.now,
        );
        let steps = closing.steps.into_iter().map(|step| Step {
            org: session.org.clone(),
            session: session.id,
            kind: step.kind,
            target: step.target,
            lane: step.lane,
            state: step.state,
            attempt: 0,
            failures: 0,
            owed_at: self.now,
        });
        self.steps.insert(n, steps.collect());
        self.balance = self.balance + session.held - closing.ended.cost;
        session.state = SessionState::Finalizing(closing.ended.clone());
        let late = deadline.is_some() && request.cause != EndCause::Due;
        let outcome = if late { EndOutcome::Lapsed } else { EndOutcome::EndedNow };
        Some(outcome(closing.ended))
    }

    /// The steps of a lane that are due.
    pub(super) fn due(&mut self, lane: &str) -> Vec<&mut Step> {
        let now = self.now;
        let is_due = |step: &&mut Step| match &step.state {
            StepState::Owed { due_at } => *due_at <= now,
            StepState::Leased { until, .. } => *until <= now,
            _ => false,
        };
        let all = self.steps.values_mut().flatten();
        all.filter(|step| step.lane == lane).filter(is_due).collect()
    }

    /// What becomes of a report.
    pub(super) fn settle(&mut self, claimed: &ClaimedStep, report: &StepReport) -> SettleOutcome {
        let (n, now) = (self.number(claimed.step.id()), self.now);
        let steps = self.steps.get_mut(&n).expect("it owes steps");
        let step = steps.iter_mut().find(|step| step.id() == claimed.step.id()).expect("known");
        let leased = matches!(step.state, StepState::Leased { .. });
        if !leased || step.attempt != claimed.step.attempt {
            return SettleOutcome::LeaseLost;
        }
        step.state = match report {
            StepReport::Done => StepState::Done { at: now },
            StepReport::Skipped(reason) => StepState::Skipped { at: now, reason: reason.clone() },
            StepReport::Again { due_at } => StepState::Owed { due_at: *due_at },
            StepReport::Park(reason) => StepState::Parked { at: now, reason: reason.clone() },
        };
        if matches!(report, StepReport::Again { .. } | StepReport::Park(_)) {
            step.failures += 1;
        }
        let session = self.sessions.get_mut(&n).expect("it is known");
        let others: Vec<_> = steps.iter().map(Standing::from).collect();
        let mut released = Vec::new();
        for step in steps.iter_mut().filter(|step| step.state == StepState::Waiting) {
            if is_ready((step.kind, step.target), &session.profile, &others) {
                step.state = StepState::Owed { due_at: now };
                released.push(step.kind);
            }
        }
        let finalized = steps.iter().all(|step| step.state.is_settled());
        if let (true, Some(ended)) = (finalized, session.ended().cloned()) {
            session.state = SessionState::Final { ended, finalized_at: now };
        }
        SettleOutcome::Recorded { finalized, released }
    }
}
