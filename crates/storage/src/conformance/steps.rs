//! Steps: settled, parked, resumed; those that wait are released, and the last makes it final.

use epilogue_core::{
    NodeId, Session, SessionState, StepId, StepKind, StepState, Timestamp,
    event::Activity,
    profile::NotifyEnded,
    step::{Attempt, AttemptOutcome},
};
use serde_json::json;

use super::{
    Backend,
    audit::audit,
    fixture::{LEASE, MS, NODE, START, World, at, every},
    prelude::*,
};
use crate::{
    AnalysisResult, OpenOutcome, PageRequest, Product, Result, RetryOutcome, SettleOutcome,
    StepFilter, StepReport, Storage,
};

/// One step of a session.
pub(super) fn step(session: &Session, kind: StepKind) -> StepId {
    StepId::own(session.id, kind)
}

fn recorded(finalized: bool, released: &[StepKind]) -> SettleOutcome {
    SettleOutcome::Recorded { finalized, released: released.to_vec() }
}

async fn state<S: Storage>(
    world: &World<S>,
    session: &Session,
    kind: StepKind,
) -> Result<StepState> {
    Ok(world.step(session.id, kind).await?.state)
}

async fn attempts<S: Storage>(world: &World<S>, id: StepId) -> Result<Vec<Attempt>> {
    let steps = world.store.steps_of(&world.org, id.session).await?;
    Ok(steps.into_iter().find(|(step, _)| step.kind == id.kind).expect("it is owed").1)
}

pub async fn a_done_step_is_on_record(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let id = step(&session, StepKind::Analyze);
    let claimed = world.claimed(id, at(10)).await?;
    assert_eq!(claimed.claimed_at, at(10));
    assert_eq!((claimed.step.attempt, claimed.step.failures), (1, 0));
    let leased = StepState::Leased { node: NodeId::from(NODE), until: at(10) + LEASE };
    assert_eq!(claimed.step.state, leased);
    assert_eq!(world.step(session.id, id.kind).await?, claimed.step);
    let report = world.report(&claimed, StepReport::Done);
    assert_eq!(world.store.settle(report, at(15)).await?, recorded(false, &[]));
    assert_eq!(state(&world, &session, id.kind).await?, StepState::Done { at: at(15) });
    let attempt = Attempt {
        number: 1,
        started_at: at(10),
        finished_at: at(15),
        outcome: AttemptOutcome::Done,
        detail: "as told".into(),
    };
    assert_eq!(attempts(&world, id).await?, [attempt]);
    Ok(())
}

pub async fn a_skipped_step_keeps_its_reason(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let id = step(&session, StepKind::IngestMemory);
    let skipped = StepReport::Skipped("nothing worth keeping".into());
    world.work(id, skipped, vec![], at(10)).await?;
    let expected = StepState::Skipped { at: at(10), reason: "nothing worth keeping".into() };
    assert_eq!(state(&world, &session, id.kind).await?, expected);
    assert_eq!(attempts(&world, id).await?[0].outcome, AttemptOutcome::Skipped);
    Ok(())
}

pub async fn a_failed_step_is_owed_again_later(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let id = step(&session, StepKind::Analyze);
    let again = StepReport::Again { due_at: at(100) };
    assert_eq!(world.work(id, again, vec![], at(10)).await?, recorded(false, &[]));
    let stored = world.step(session.id, id.kind).await?;
    assert_eq!(stored.state, StepState::Owed { due_at: at(100) });
    assert_eq!((stored.attempt, stored.failures, stored.owed_at), (1, 1, START));
    let early = at(100) - MS;
    assert_eq!(world.store.claim(world.wish(&stored.lane, early), early).await?, []);
    world.done(id, at(100)).await?;
    let stored = world.step(session.id, id.kind).await?;
    assert_eq!((stored.attempt, stored.owed_at), (2, START));
    let outcomes: Vec<_> =
        attempts(&world, id).await?.into_iter().map(|a| (a.number, a.outcome)).collect();
    assert_eq!(outcomes, [(1, AttemptOutcome::Failed), (2, AttemptOutcome::Done)]);
    Ok(())
}

pub async fn steps_are_released_when_what_they_wait_for_is_settled(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let rest = [StepKind::Analyze, StepKind::ReleaseMedia, StepKind::NotifyEnded];
    for (kind, second) in rest.into_iter().zip(10..) {
        let outcome = world.done(step(&session, kind), at(second)).await?;
        assert_eq!(outcome, recorded(false, &[]), "{kind:?}");
        assert_eq!(state(&world, &session, StepKind::NotifyFinalized).await?, StepState::Waiting);
    }
    let outcome = world.done(step(&session, StepKind::IngestMemory), at(20)).await?;
    assert_eq!(outcome, recorded(false, &[StepKind::NotifyFinalized]));
    let owed = StepState::Owed { due_at: at(20) };
    assert_eq!(state(&world, &session, StepKind::NotifyFinalized).await?, owed);
    let outcome = world.done(step(&session, StepKind::NotifyFinalized), at(21)).await?;
    assert_eq!(outcome, recorded(false, &[StepKind::Purge]));
    assert!(matches!(world.stored(session.id).await?.state, SessionState::Finalizing(_)));
    audit(&*world.store, &world.org).await?;
    let outcome = world.done(step(&session, StepKind::Purge), at(22)).await?;
    assert_eq!(outcome, recorded(true, &[]), "exactly the last one finalizes");
    let ended = session.ended().expect("it ended").clone();
    let expected = SessionState::Final { ended, finalized_at: at(22) };
    assert_eq!(world.stored(session.id).await?.state, expected);
    audit(&*world.store, &world.org).await
}

pub async fn a_webhook_that_carries_the_analysis_waits_for_it(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let mut session = world.session(1);
    session.profile.notify_ended = NotifyEnded::AfterAnalysis;
    assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    world.turn(session.id, START).await?;
    world.ended(session.id, START).await?;
    assert_eq!(state(&world, &session, StepKind::NotifyEnded).await?, StepState::Waiting);
    let lane = world.lane(session.id, StepKind::NotifyEnded).await?;
    let later = at(100_000);
    assert_eq!(world.store.claim(world.wish(&lane, later), later).await?, [], "nor is it due");
    let outcome = world.done(step(&session, StepKind::Analyze), at(9)).await?;
    assert_eq!(outcome, recorded(false, &[StepKind::NotifyEnded]));
    Ok(())
}

/// Everything done but one step, which is parked for `reason`.
async fn parked<S: Storage>(world: &World<S>, kind: StepKind) -> Result<Session> {
    let session = world.finished(1).await?;
    let first =
        [StepKind::ReleaseMedia, StepKind::IngestMemory, StepKind::Analyze, StepKind::NotifyEnded];
    for other in first.into_iter().filter(|other| *other != kind) {
        world.done(step(&session, other), at(5)).await?;
    }
    let park = StepReport::Park("the endpoint is gone".into());
    let outcome = world.work(step(&session, kind), park, vec![], at(10)).await?;
    assert_eq!(outcome, recorded(false, &[StepKind::NotifyFinalized]));
    Ok(session)
}

pub async fn a_parked_step_holds_the_purge_and_the_session(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = parked(&world, StepKind::IngestMemory).await?;
    let id = step(&session, StepKind::IngestMemory);
    let expected = StepState::Parked { at: at(10), reason: "the endpoint is gone".into() };
    assert_eq!(state(&world, &session, id.kind).await?, expected);
    assert_eq!(attempts(&world, id).await?[0].outcome, AttemptOutcome::Fatal);
    let outcome = world.done(step(&session, StepKind::NotifyFinalized), at(11)).await?;
    assert_eq!(outcome, recorded(false, &[]));
    assert_eq!(state(&world, &session, StepKind::Purge).await?, StepState::Waiting);
    assert!(matches!(world.stored(session.id).await?.state, SessionState::Finalizing(_)));
    assert_eq!(world.store.next_due_step().await?, None, "nothing runs by itself any more");
    let list = async |page| world.store.list_activity(&world.org, None, &page).await;
    let log = every(10, list).await?;
    let entry = Activity::step_parked(id, 1, "the endpoint is gone", at(10));
    assert!(log.contains(&entry), "{log:?}");
    audit(&*world.store, &world.org).await
}

pub async fn a_resumed_step_starts_afresh_and_completes_the_session(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = parked(&world, StepKind::IngestMemory).await?;
    let id = step(&session, StepKind::IngestMemory);
    world.done(step(&session, StepKind::NotifyFinalized), at(11)).await?;
    let by = Some("key_3".to_owned());
    let resumed = world.store.retry(&world.org, id, by.clone(), at(20)).await?;
    assert_eq!(resumed, RetryOutcome::Resumed);
    let stored = world.step(session.id, id.kind).await?;
    assert_eq!(stored.state, StepState::Owed { due_at: at(20) });
    assert_eq!((stored.attempt, stored.failures), (1, 0));
    let list = async |page| world.store.list_activity(&world.org, None, &page).await;
    let log = every(10, list).await?;
    let entry = Activity::step_resumed(id, 1, by, at(20));
    assert!(log.contains(&entry), "{log:?}");

    let outcome = world.done(id, at(21)).await?;
    assert_eq!(outcome, recorded(false, &[StepKind::Purge]));
    let numbers: Vec<_> = attempts(&world, id).await?.into_iter().map(|a| a.number).collect();
    assert_eq!(numbers, [1, 2], "what was tried before stays on record");
    let outcome = world.done(step(&session, StepKind::Purge), at(22)).await?;
    assert_eq!(outcome, recorded(true, &[]));
    audit(&*world.store, &world.org).await
}

pub async fn only_a_parked_step_can_be_resumed(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let retry = async |kind| world.store.retry(&world.org, step(&session, kind), None, at(9)).await;
    let owed = StepState::Owed { due_at: START };
    assert_eq!(retry(StepKind::Analyze).await?, RetryOutcome::NotParked(owed));
    assert_eq!(retry(StepKind::Purge).await?, RetryOutcome::NotParked(StepState::Waiting));
    let claimed = world.claimed(step(&session, StepKind::Analyze), at(5)).await?;
    let leased = claimed.step.state.clone();
    assert_eq!(retry(StepKind::Analyze).await?, RetryOutcome::NotParked(leased));
    world.store.settle(world.report(&claimed, StepReport::Done), at(6)).await?;
    let done = StepState::Done { at: at(6) };
    assert_eq!(retry(StepKind::Analyze).await?, RetryOutcome::NotParked(done));
    let stranger = step(&world.session(2), StepKind::Analyze);
    let outcome = world.store.retry(&world.org, stranger, None, at(9)).await?;
    assert_eq!(outcome, RetryOutcome::NoStep);
    Ok(())
}

pub async fn a_step_that_is_resumed_twice_is_owed_once(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = parked(&world, StepKind::NotifyEnded).await?;
    let id = step(&session, StepKind::NotifyEnded);
    for attempt in 2..=3 {
        let now = at(u64::from(attempt) * 100);
        assert_eq!(world.store.retry(&world.org, id, None, now).await?, RetryOutcome::Resumed);
        let again = world.store.retry(&world.org, id, None, now).await?;
        assert_eq!(again, RetryOutcome::NotParked(StepState::Owed { due_at: now }));
        world.work(id, StepReport::Park("still gone".into()), vec![], now).await?;
        assert_eq!(world.step(session.id, id.kind).await?.attempt, attempt);
    }
    let list = async |page| world.store.list_activity(&world.org, Some(session.id), &page).await;
    let log = every(2, list).await?;
    let count = |kind| log.iter().filter(|activity| activity.kind == kind).count();
    assert_eq!((count("step.parked"), count("step.resumed")), (3, 2));
    Ok(())
}

pub async fn steps_are_listed_the_latest_owed_first(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    for n in 1..=3 {
        let session = world.opened(n).await?;
        world.ended(session.id, at(u64::from(n))).await?;
    }
    let list = async |limit, state: Option<&str>| {
        let filter = StepFilter { state: state.map(str::to_owned) };
        every(limit, async |page| world.store.list_steps(&world.org, &filter, &page).await).await
    };
    let all = list(PageRequest::LIMIT_MAX, None).await?;
    // Nobody said anything: media, both webhooks and the purge are owed.
    assert_eq!(all.len(), 12);
    assert!(all.is_sorted_by(|a, b| a.owed_at >= b.owed_at));
    for limit in [1, 5, 12, 13] {
        assert_eq!(list(limit, None).await?, all, "no gaps and no doubles at {limit} a page");
    }
    for word in StepState::WORDS {
        let expected: Vec<_> =
            all.iter().filter(|step| step.state.as_str() == word).cloned().collect();
        assert_eq!(list(2, Some(word)).await?, expected, "{word}");
    }
    Ok(())
}

pub async fn a_filter_finds_steps_in_every_state(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = parked(&world, StepKind::Analyze).await?;
    let other = world.finished(2).await?;
    let skipped = StepReport::Skipped("no".into());
    world.work(step(&other, StepKind::IngestMemory), skipped, vec![], at(30)).await?;
    world.claimed(step(&other, StepKind::ReleaseMedia), at(30)).await?;
    let expected = [
        ("waiting", vec![StepKind::NotifyFinalized, StepKind::Purge, StepKind::Purge]),
        ("owed", vec![StepKind::Analyze, StepKind::NotifyEnded, StepKind::NotifyFinalized]),
        ("leased", vec![StepKind::ReleaseMedia]),
        ("done", vec![StepKind::ReleaseMedia, StepKind::IngestMemory, StepKind::NotifyEnded]),
        ("skipped", vec![StepKind::IngestMemory]),
        ("parked", vec![StepKind::Analyze]),
    ];
    for (word, kinds) in expected {
        let filter = StepFilter { state: Some(word.into()) };
        let list = async |page| world.store.list_steps(&world.org, &filter, &page).await;
        let mut found: Vec<_> = every(2, list).await?.into_iter().map(|step| step.kind).collect();
        found.sort();
        assert_eq!(found, kinds, "{word}");
    }
    assert_eq!(world.step(session.id, StepKind::Analyze).await?.state.as_str(), "parked");
    Ok(())
}

pub async fn the_census_counts_what_is_owed_and_parked(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let census = async || {
        let census = world.store.step_census().await?;
        Ok::<_, crate::Error>((census.owed, census.parked, census.oldest_owed_at))
    };
    assert_eq!(census().await?, (0, 0, None));
    let session = parked(&world, StepKind::Analyze).await?;
    assert_eq!(census().await?, (1, 1, Some(START)));
    let neighbour = world.neighbour("org_2").await?;
    let theirs = neighbour.opened(7).await?;
    neighbour.ended(theirs.id, at(3)).await?;
    assert_eq!(census().await?, (3, 1, Some(START)));
    world.store.retry(&world.org, step(&session, StepKind::Analyze), None, at(20)).await?;
    assert_eq!(census().await?, (4, 0, Some(START)));
    for kind in [StepKind::Analyze, StepKind::NotifyFinalized, StepKind::Purge] {
        world.done(step(&session, kind), at(30)).await?;
    }
    assert_eq!(census().await?, (2, 0, Some(at(3))));
    neighbour.finalize(theirs.id, at(31)).await?;
    assert_eq!(census().await?, (0, 0, None));
    Ok(())
}

fn form(name: &str, score: u32, at: Timestamp) -> AnalysisResult {
    AnalysisResult { form: name.into(), values: json!({ "score": score, "mood": null }), at }
}

pub async fn analyses_are_kept_with_the_report(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let id = step(&session, StepKind::Analyze);
    assert_eq!(world.store.analyses_of(&world.org, session.id).await?, []);
    let first = vec![Product::Analysis(form("qa", 1, at(10)))];
    world.work(id, StepReport::Again { due_at: at(20) }, first, at(10)).await?;
    let kept = world.store.analyses_of(&world.org, session.id).await?;
    assert_eq!(kept, [form("qa", 1, at(10))], "what one form came to survives another's failure");
    let both = [form("qa", 2, at(20)), form("tone", 3, at(20))];
    let products = both.iter().cloned().map(Product::Analysis).collect();
    world.work(id, StepReport::Done, products, at(20)).await?;
    let mut kept = world.store.analyses_of(&world.org, session.id).await?;
    kept.sort_by(|a, b| a.form.cmp(&b.form));
    assert_eq!(kept, both, "a form filled in again replaces the former");
    world.finalize(session.id, at(30)).await?;
    assert_eq!(world.store.analyses_of(&world.org, session.id).await?.len(), 2);
    Ok(())
}
