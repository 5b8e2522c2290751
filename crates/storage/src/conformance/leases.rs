//! Who may work on a step: lanes that are due, claims, leases and what becomes of lost ones.

use epilogue_core::{
    StepId, StepKind, StepState, Timestamp,
    step::{Attempt, AttemptOutcome},
};
use serde_json::json;

use super::{
    Backend,
    audit::audit,
    fixture::{LEASE, MS, START, World, at},
    prelude::*,
    steps::step,
};
use crate::{
    AnalysisResult, ClaimRequest, DueLane, Product, Result, SettleOutcome, SettleRequest,
    StepReport, Storage,
};

/// The lane of [`super::fixture::busy_agent`]'s model.
const LANE: &str = "model:scripted";

async fn attempts<S: Storage>(world: &World<S>, id: StepId) -> Result<Vec<Attempt>> {
    let steps = world.store.steps_of(&world.org, id.session).await?;
    Ok(steps.into_iter().find(|(step, _)| step.kind == id.kind).expect("it is owed").1)
}

/// Sessions whose analysis became due one second after another, the later ones first.
async fn backlog<S: Storage>(world: &World<S>, count: u32) -> Result<Vec<StepId>> {
    let mut ids = Vec::new();
    for n in 1..=count {
        let session = world.opened(n).await?;
        world.turn(session.id, START).await?;
        world.ended(session.id, at(u64::from(count - n))).await?;
        ids.insert(0, step(&session, StepKind::Analyze));
    }
    Ok(ids)
}

pub async fn the_longest_due_steps_are_claimed_first_up_to_the_limit(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let ids = backlog(&world, 5).await?;
    let claim = async |limit, now| {
        let claimed =
            world.store.claim(ClaimRequest { limit, ..world.wish(LANE, now) }, now).await?;
        Ok::<_, crate::Error>(claimed.iter().map(|c| c.step.id()).collect::<Vec<_>>())
    };
    assert_eq!(claim(2, at(10)).await?, ids[..2]);
    assert_eq!(claim(2, at(10)).await?, ids[2..4]);
    assert_eq!(claim(2, at(10)).await?, ids[4..]);
    assert_eq!(claim(2, at(10)).await?, [], "what is leased is not claimed twice");
    Ok(())
}

pub async fn a_step_is_claimed_when_it_is_due_and_not_before(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    world.turn(session.id, START).await?;
    world.ended(session.id, at(10)).await?;
    let early = at(10) - MS;
    assert_eq!(world.store.claim(world.wish(LANE, early), early).await?, []);
    assert_eq!(world.store.claim(world.wish("no such lane", at(10)), at(10)).await?, []);
    assert_eq!(world.store.claim(world.wish(LANE, at(10)), at(10)).await?.len(), 1);
    Ok(())
}

pub async fn a_lease_that_ran_out_is_claimed_anew_and_put_on_record(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let id = step(&session, StepKind::Analyze);
    world.claimed(id, at(10)).await?;
    let last_moment = at(10) + LEASE - MS;
    assert_eq!(world.store.claim(world.wish(LANE, last_moment), last_moment).await?, []);
    let claimed = world.claimed(id, at(10) + LEASE).await?;
    assert_eq!((claimed.step.attempt, claimed.claimed_at), (2, at(10) + LEASE));
    let records = attempts(&world, id).await?;
    assert_eq!(records.len(), 1);
    let expected = Attempt {
        number: 1,
        started_at: at(10),
        finished_at: at(10) + LEASE,
        outcome: AttemptOutcome::Interrupted,
        detail: records[0].detail.clone(),
    };
    assert_eq!(records, [expected]);
    Ok(())
}

/// A report that would leave traces everywhere.
fn telling<S: Storage>(world: &World<S>, claimed: &crate::ClaimedStep) -> SettleRequest {
    let analysis = AnalysisResult { form: "qa".into(), values: json!({}), at: START };
    SettleRequest {
        products: vec![Product::Analysis(analysis), Product::Purge],
        ..world.report(claimed, StepReport::Done)
    }
}

pub async fn a_stale_claim_writes_nothing(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let id = step(&session, StepKind::Analyze);
    let stale = world.claimed(id, at(10)).await?;
    let fresh = world.claimed(id, at(10) + LEASE).await?;
    let before = world.store.steps_of(&world.org, session.id).await?;
    let now = at(100);
    let outcome = world.store.settle(telling(&world, &stale), now).await?;
    assert_eq!(outcome, SettleOutcome::LeaseLost);
    assert_eq!(world.store.steps_of(&world.org, session.id).await?, before);
    assert_eq!(world.store.analyses_of(&world.org, session.id).await?, []);
    assert_eq!(world.store.messages(&world.org, session.id, 0, 10).await?.len(), 2);

    let outcome = world.store.settle(world.report(&fresh, StepReport::Done), now).await?;
    assert!(matches!(outcome, SettleOutcome::Recorded { .. }), "{outcome:?}");
    for claimed in [&stale, &fresh] {
        let outcome = world.store.settle(telling(&world, claimed), now).await?;
        assert_eq!(outcome, SettleOutcome::LeaseLost, "what is settled stays so");
    }
    assert_eq!(world.store.analyses_of(&world.org, session.id).await?, []);
    audit(&*world.store, &world.org).await
}

pub async fn a_claim_that_was_never_made_cannot_report(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let claimed = world.claimed(step(&session, StepKind::Analyze), at(10)).await?;
    let report = telling(&world, &claimed);
    let owed = step(&session, StepKind::IngestMemory);
    let reports = [
        SettleRequest { attempt: 2, ..report.clone() },
        SettleRequest { attempt: 0, ..report.clone() },
        SettleRequest { step: owed, attempt: 0, ..report.clone() },
        SettleRequest { step: owed, attempt: 1, ..report.clone() },
        SettleRequest { step: step(&world.session(9), StepKind::Analyze), ..report },
    ];
    for report in reports {
        let outcome = world.store.settle(report.clone(), at(11)).await?;
        assert_eq!(outcome, SettleOutcome::LeaseLost, "{:?} {}", report.step, report.attempt);
    }
    let stored = world.step(session.id, owed.kind).await?;
    assert_eq!(stored.state, StepState::Owed { due_at: START });
    assert_eq!(world.store.analyses_of(&world.org, session.id).await?, []);
    Ok(())
}

pub async fn a_late_report_counts_while_nobody_took_its_place(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let claimed = world.claimed(step(&session, StepKind::Analyze), at(10)).await?;
    let late = at(10) + LEASE + MS;
    let outcome = world.store.settle(world.report(&claimed, StepReport::Done), late).await?;
    assert!(matches!(outcome, SettleOutcome::Recorded { .. }), "{outcome:?}");
    Ok(())
}

pub async fn whoever_reports_may_go_on_with_the_next_of_the_lane(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let ids = backlog(&world, 3).await?;
    let one = ClaimRequest { limit: 1, ..world.wish(LANE, at(10)) };
    let first = world.store.claim(one.clone(), at(10)).await?.remove(0);
    let done = world.report(&first, StepReport::Done);
    let (outcome, next) = world.store.settle_and_claim(done.clone(), one.clone(), at(10)).await?;
    assert!(matches!(outcome, SettleOutcome::Recorded { .. }), "{outcome:?}");
    assert_eq!(next.iter().map(|next| next.step.id()).collect::<Vec<_>>(), ids[1..2]);

    let (outcome, next) = world.store.settle_and_claim(done, one, at(10)).await?;
    assert_eq!(outcome, SettleOutcome::LeaseLost);
    assert_eq!(next, [], "who has lost a lease gets no other");
    audit(&*world.store, &world.org).await
}

pub async fn leases_of_nodes_that_are_gone_are_due_at_once(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let gone = step(&world.finished(1).await?, StepKind::Analyze);
    let claim = async |node: &str, now| {
        let wish = ClaimRequest { node: node.into(), ..world.wish(LANE, now) };
        world.store.claim(wish, now).await
    };
    let stale = claim("node_gone", at(10)).await?.remove(0);
    let kept = step(&world.finished(2).await?, StepKind::Analyze);
    assert_eq!(claim("node_alive", at(10)).await?[0].step.id(), kept);
    let alive = ["node_alive".into(), "node_new".into()];
    assert_eq!(world.store.release_leases(&alive, at(11)).await?, 1);
    assert_eq!(world.store.next_due_step().await?.map(|due| due <= at(11)), Some(true));
    let claimed = claim("node_new", at(11)).await?;
    let ids: Vec<_> = claimed.iter().map(|c| (c.step.id(), c.step.attempt)).collect();
    assert_eq!(ids, [(gone, 2)]);
    let records = attempts(&world, gone).await?;
    assert_eq!(records.len(), 1, "the lost attempt is on record once: {records:?}");
    assert_eq!((records[0].number, records[0].outcome), (1, AttemptOutcome::Interrupted));
    assert_eq!(records[0].started_at, at(10));
    let outcome = world.store.settle(world.report(&stale, StepReport::Done), at(12)).await?;
    assert_eq!(outcome, SettleOutcome::LeaseLost);
    assert_eq!(world.store.release_leases(&alive, at(12)).await?, 0);
    assert_eq!(world.store.release_leases(&[], at(13)).await?, 2, "nobody is left");
    Ok(())
}

pub async fn the_next_due_step_may_be_a_lease_that_runs_out(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    assert_eq!(world.store.next_due_step().await?, None);
    let session = world.finished(1).await?;
    assert_eq!(world.store.next_due_step().await?, Some(START));
    let steps = world.store.steps_of(&world.org, session.id).await?;
    for (step, _) in steps.iter().filter(|(step, _)| step.state.as_str() == "owed") {
        if step.kind == StepKind::Analyze {
            world.claimed(step.id(), at(10)).await?;
        } else {
            let later = StepReport::Again { due_at: at(1_000) };
            world.work(step.id(), later, vec![], at(10)).await?;
        }
    }
    assert_eq!(world.store.next_due_step().await?, Some(at(10) + LEASE));
    assert_eq!(lanes(&world, at(10) + LEASE - MS).await?, []);
    let due = lanes(&world, at(10) + LEASE).await?;
    assert_eq!(due.iter().map(|due| due.lane.as_str()).collect::<Vec<_>>(), [LANE]);
    Ok(())
}

async fn lanes<S: Storage>(world: &World<S>, now: Timestamp) -> Result<Vec<DueLane>> {
    world.store.due_lanes(now, None, 100).await
}

pub async fn due_lanes_are_read_in_their_order(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    backlog(&world, 3).await?;
    let neighbour = world.neighbour("org_0").await?;
    let theirs = neighbour.opened(9).await?;
    neighbour.ended(theirs.id, at(50)).await?;
    assert_eq!(lanes(&world, START - MS).await?, []);
    let all = lanes(&world, at(50)).await?;
    let lane =
        |org: &str, lane: &str, due_at| DueLane { org: org.into(), lane: lane.into(), due_at };
    let expected = [
        lane("org_0", "hook:hooks.example.com:443", at(50)),
        lane("org_0", "media", at(50)),
        lane("org_1", "hook:hooks.example.com:443", START),
        lane("org_1", "media", START),
        lane("org_1", "memory", START),
        lane("org_1", LANE, START),
    ];
    assert_eq!(all, expected);
    for limit in [1, 2, 5, 6, 7] {
        let mut pages: Vec<DueLane> = Vec::new();
        loop {
            let page = world.store.due_lanes(at(50), pages.last(), limit).await?;
            assert!(page.len() <= limit as usize);
            if page.is_empty() {
                break;
            }
            pages.extend(page);
        }
        assert_eq!(pages, expected, "{limit} at a time");
    }
    assert_eq!(lanes(&world, at(49)).await?, expected[2..]);
    Ok(())
}
