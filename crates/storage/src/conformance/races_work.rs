//! Two workers, operators or payers at once.

use std::{collections::HashSet, sync::Arc};

use epilogue_core::{
    EndReason, EndRequest, MicroCredits, NodeId, Session, StepKind, ledger::Account,
    step::AttemptOutcome,
};
use rand::Rng as _;

use super::{
    Backend,
    fixture::{LEASE, START, World, at},
    prelude::*,
    race::{Contender, contender, each_round, race, race_two},
    steps::step,
};
use crate::{
    ClaimRequest, ClaimedStep, Delivery, DeliveryAttempt, OpenOutcome, Product, ResendOutcome,
    Result, RetryOutcome, SettleOutcome, StepReport, Storage,
};

const LANE: &str = "model:scripted";

fn settle<S: Storage + 'static>(
    world: &World<S>,
    claimed: &ClaimedStep,
    now: epilogue_core::Timestamp,
) -> Contender<SettleOutcome> {
    let (store, request) = (Arc::clone(&world.store), world.report(claimed, StepReport::Done));
    contender(async move { store.settle(request, now).await })
}

fn claim<S: Storage + 'static>(
    world: &World<S>,
    request: ClaimRequest,
    now: epilogue_core::Timestamp,
) -> Contender<Vec<ClaimedStep>> {
    let store = Arc::clone(&world.store);
    contender(async move { store.claim(request, now).await })
}

pub async fn no_step_is_claimed_twice_under_live_leases(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let steps = dice.random_range(1..6);
        for n in 1..=steps {
            world.finished(n).await?;
        }
        let limits: Vec<u32> =
            (0..dice.random_range(2..5)).map(|_| dice.random_range(1..4)).collect();
        let claims = limits.iter().zip(0..).map(|(limit, node)| {
            let node = NodeId::from(format!("node_{node}"));
            claim(world, ClaimRequest { node, limit: *limit, ..world.wish(LANE, at(1)) }, at(1))
        });
        let claims = claims.collect();
        let claimed = race(dice, claims).await?;
        for (claimed, limit) in claimed.iter().zip(&limits) {
            assert!(claimed.len() <= *limit as usize);
        }
        let ids: Vec<_> = claimed.iter().flatten().map(|claimed| claimed.step.id()).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "{ids:?}");
        assert_eq!(ids.len(), steps.min(limits.iter().sum()) as usize, "none is left out");
        assert!(claimed.iter().flatten().all(|claimed| claimed.step.attempt == 1));
        Ok(())
    })
    .await
}

pub async fn of_two_reports_of_one_claim_one_counts(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = world.finished(1).await?;
        let claimed = world.claimed(step(&session, StepKind::Analyze), at(1)).await?;
        let reports = (0..dice.random_range(2..5)).map(|_| settle(world, &claimed, at(2)));
        let reports = reports.collect();
        let outcomes = race(dice, reports).await?;
        let lost = outcomes.iter().filter(|outcome| **outcome == SettleOutcome::LeaseLost).count();
        assert_eq!(lost, outcomes.len() - 1, "{outcomes:?}");
        let steps = world.store.steps_of(&world.org, session.id).await?;
        let attempts: usize = steps.iter().map(|(_, attempts)| attempts.len()).sum();
        assert_eq!(attempts, 1);
        Ok(())
    })
    .await
}

pub async fn a_late_report_counts_or_the_step_is_claimed_anew(
    backend: &impl Backend,
) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = world.finished(1).await?;
        let id = step(&session, StepKind::Analyze);
        let stale = world.claimed(id, at(1)).await?;
        let now = at(1) + LEASE;
        let anew = claim(world, world.wish(LANE, now), now);
        let (settled, claimed) = race_two(dice, settle(world, &stale, now), anew).await?;
        let steps = world.store.steps_of(&world.org, session.id).await?;
        let (stored, attempts) =
            steps.into_iter().find(|(step, _)| step.kind == id.kind).expect("it is owed");
        let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome).collect();
        match settled {
            SettleOutcome::Recorded { .. } => {
                assert_eq!((claimed, outcomes), (vec![], vec![AttemptOutcome::Done]));
                assert!(stored.state.is_settled());
            }
            SettleOutcome::LeaseLost => {
                assert_eq!(outcomes, [AttemptOutcome::Interrupted]);
                assert_eq!(claimed.len(), 1);
                assert_eq!((claimed[0].step.attempt, &claimed[0].step), (2, &stored));
            }
        }
        Ok(())
    })
    .await
}

pub async fn of_many_last_reports_one_releases_and_one_finalizes(
    backend: &impl Backend,
) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = world.finished(1).await?;
        let kinds = [
            StepKind::ReleaseMedia,
            StepKind::IngestMemory,
            StepKind::Analyze,
            StepKind::NotifyEnded,
        ];
        let mut reports = Vec::new();
        for kind in kinds {
            let claimed = world.claimed(step(&session, kind), at(1)).await?;
            reports.push(settle(world, &claimed, at(2)));
        }
        let outcomes = race(dice, reports).await?;
        let mut all = Vec::new();
        for outcome in outcomes {
            let SettleOutcome::Recorded { finalized, released } = outcome else {
                panic!("every report counts");
            };
            assert!(!finalized, "the purge is still owed");
            all.extend(released);
        }
        assert_eq!(all, [StepKind::NotifyFinalized], "released once");
        world.finalize(session.id, at(3)).await
    })
    .await
}

async fn parked<S: Storage>(world: &World<S>) -> Result<Session> {
    let session = world.finished(1).await?;
    let id = step(&session, StepKind::NotifyEnded);
    let delivery = Delivery {
        id: id.event_id(),
        session: session.id,
        event: "session.ended".into(),
        url: "https://hooks.example.com/x".into(),
        body: "{}".into(),
        created_at: at(1),
        accepted_at: None,
        attempts: 1,
    };
    let attempt = DeliveryAttempt {
        at: at(1),
        duration_ms: 1,
        status: Some(500),
        error: None,
        response: String::new(),
    };
    let products = vec![Product::Delivery(Box::new(delivery), attempt)];
    world.work(id, StepReport::Park("gone".into()), products, at(1)).await?;
    Ok(session)
}

pub async fn of_many_retries_one_resumes(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = parked(world).await?;
        let id = step(&session, StepKind::NotifyEnded);
        let retries = (0..dice.random_range(2..5)).map(|_| {
            let (store, org) = (Arc::clone(&world.store), world.org.clone());
            contender(async move { store.retry(&org, id, None, at(2)).await })
        });
        let retries = retries.collect();
        let outcomes = race(dice, retries).await?;
        let resumed = outcomes.iter().filter(|o| **o == RetryOutcome::Resumed).count();
        let refused = outcomes.iter().filter(|o| matches!(o, RetryOutcome::NotParked(_))).count();
        assert_eq!((resumed, refused), (1, outcomes.len() - 1), "{outcomes:?}");
        Ok(())
    })
    .await
}

pub async fn of_many_resends_one_is_due(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = parked(world).await?;
        let id = step(&session, StepKind::NotifyEnded).event_id();
        let resends = (0..dice.random_range(2..5)).map(|_| {
            let (store, org, id) = (Arc::clone(&world.store), world.org.clone(), id.clone());
            contender(async move { store.resend(&org, &id, None, at(2)).await })
        });
        let resends = resends.collect();
        let outcomes = race(dice, resends).await?;
        let due = outcomes.iter().filter(|o| **o == ResendOutcome::Due).count();
        let underway = outcomes.iter().filter(|o| matches!(o, ResendOutcome::Underway(_))).count();
        assert_eq!((due, underway), (1, outcomes.len() - 1), "{outcomes:?}");
        Ok(())
    })
    .await
}

pub async fn of_many_grants_of_one_occasion_one_counts(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let grants = (1..=dice.random_range(2..6)).map(|micro| {
            let (store, org) = (Arc::clone(&world.store), world.org.clone());
            contender(async move {
                let granted = store.grant(&org, "spring", MicroCredits(micro), START).await?;
                Ok(if granted { micro } else { 0 })
            })
        });
        let grants = grants.collect();
        let granted = race(dice, grants).await?;
        assert_eq!(granted.iter().filter(|micro| **micro > 0).count(), 1, "{granted:?}");
        let balance = world.store.balance(&world.org, Account::Balance).await?;
        assert_eq!(balance, MicroCredits(granted.iter().sum()));
        Ok(())
    })
    .await
}

pub async fn settlements_at_once_add_up(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        world.store.grant(&world.org, "opening", MicroCredits(1_000_000), START).await?;
        let (mut ends, mut cost): (Vec<Contender<_>>, _) = (Vec::new(), 0);
        for n in 1..=dice.random_range(2..8) {
            let held = MicroCredits(dice.random_range(0..1_000));
            let session = Session { held, ..world.session(n) };
            assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
            let session = world.turn(session.id, at(1)).await?;
            let now = at(dice.random_range(2..1_000));
            cost += world.agent.price.cost(&session.usage, now.since(START)).0;
            let (store, org) = (Arc::clone(&world.store), world.org.clone());
            ends.push(contender(async move {
                let asked = EndRequest::asked(EndReason::UserEnd);
                store.end(&org, session.id, asked, now).await
            }));
        }
        let outcomes = race(dice, ends).await?;
        assert!(outcomes.iter().flatten().all(|receipt| receipt.outcome.is_new()));
        let balance = async |account| world.store.balance(&world.org, account).await;
        assert_eq!(balance(Account::Revenue).await?, MicroCredits(cost));
        assert_eq!(balance(Account::Balance).await?, MicroCredits(1_000_000 - cost));
        assert_eq!(balance(Account::Held).await?, MicroCredits::ZERO);
        Ok(())
    })
    .await
}
