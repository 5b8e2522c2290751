//! The deadline index: never late, and corrected when it was early.

use epilogue_core::{EndOutcome, EndRequest, Session, Span, Timestamp};

use super::{
    Backend,
    audit::audit,
    fixture::{IDLE, LEASE, MS, NODE, START, World, at},
    prelude::*,
};
use crate::{BeginTurnRequest, OpenOutcome, Result, Storage};

/// The index entries of `now` or earlier.
async fn due<S: Storage>(world: &World<S>, now: Timestamp) -> Result<Vec<Timestamp>> {
    let due = world.store.due_sessions(now, 100).await?;
    Ok(due.into_iter().map(|due| due.due_at).collect())
}

/// What the timer is told when it looks at a session that lives on.
async fn looked<S: Storage>(
    world: &World<S>,
    session: &Session,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    match world.end(session.id, EndRequest::due(), now).await? {
        Some(EndOutcome::StillActive { due_at }) => Ok(due_at),
        other => panic!("it should live on: {other:?}"),
    }
}

pub async fn a_session_is_due_at_its_deadline_and_not_before(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let deadline = START + IDLE;
    assert_eq!(world.store.next_due_session().await?, Some(deadline));
    assert_eq!(world.store.due_sessions(deadline - MS, 10).await?, []);
    let due = world.store.due_sessions(deadline, 10).await?;
    assert_eq!(due.len(), 1);
    assert_eq!((&due[0].org, due[0].id, due[0].due_at), (&world.org, session.id, deadline));
    Ok(())
}

pub async fn the_deadline_that_comes_first_counts(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let mut session = world.session(1);
    session.profile.max_duration = Some(Span::from_secs(600));
    assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    assert_eq!(world.store.next_due_session().await?, Some(at(600)));
    Ok(())
}

pub async fn a_session_without_a_deadline_is_never_due(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let mut session = world.session(1);
    session.profile.idle_timeout = None;
    assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    world.turn(session.id, at(5)).await?;
    assert_eq!(world.store.next_due_session().await?, None);
    assert_eq!(due(&world, at(1_000_000_000)).await?, []);
    assert_eq!(looked(&world, &session, at(1_000_000_000)).await?, None);
    Ok(())
}

pub async fn an_early_look_corrects_the_index(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    world.turn(session.id, at(1000)).await?;
    let (early, deadline) = (START + IDLE, at(1000) + IDLE);
    let next = world.store.next_due_session().await?.expect("an entry");
    assert!(next <= deadline, "an entry may be early, but never late");
    assert_eq!(looked(&world, &session, early).await?, Some(deadline));
    assert_eq!(due(&world, early).await?, []);
    assert_eq!(due(&world, deadline - MS).await?, []);
    assert_eq!(due(&world, deadline).await?, [deadline]);
    assert_eq!(world.store.next_due_session().await?, Some(deadline));
    let outcome = world.end(session.id, EndRequest::due(), deadline).await?;
    assert!(matches!(outcome, Some(EndOutcome::EndedNow(_))), "{outcome:?}");
    audit(&*world.store, &world.org).await
}

pub async fn an_early_look_changes_nothing_else(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    looked(&world, &session, START + IDLE - MS).await?;
    assert_eq!(world.stored(session.id).await?, session);
    audit(&*world.store, &world.org).await
}

pub async fn an_ended_session_is_no_longer_due(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let first = world.opened(1).await?;
    world.ended(first.id, at(1)).await?;
    assert_eq!(world.store.next_due_session().await?, None);
    assert_eq!(due(&world, at(1_000_000)).await?, []);
    let second = world.opened(2).await?;
    world.end(second.id, EndRequest::due(), START + IDLE).await?;
    assert_eq!(due(&world, at(1_000_000)).await?, []);
    assert_eq!(world.store.next_due_session().await?, None);
    Ok(())
}

pub async fn a_turn_in_flight_holds_the_idle_timer(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let lease_until = at(10) + IDLE + LEASE;
    let request = BeginTurnRequest { lease_until, ..world.begin(session.id, at(10)) };
    world.store.begin_turn(request, at(10)).await?;
    assert_eq!(looked(&world, &session, lease_until - MS).await?, Some(lease_until));
    let outcome = world.end(session.id, EndRequest::due(), lease_until).await?;
    assert!(matches!(outcome, Some(EndOutcome::EndedNow(_))), "{outcome:?}");
    Ok(())
}

/// A session whose index entry was pushed to the end of a long turn's lease.
async fn held<S: Storage>(world: &World<S>) -> Result<(Session, Timestamp)> {
    let session = world.opened(1).await?;
    let lease_until = at(100_000);
    let request = BeginTurnRequest { lease_until, ..world.begin(session.id, at(10)) };
    world.store.begin_turn(request, at(10)).await?;
    assert_eq!(looked(world, &session, START + IDLE).await?, Some(lease_until));
    Ok((session, lease_until))
}

pub async fn a_finished_turn_brings_the_deadline_forward(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (session, _) = held(&world).await?;
    let now = START + IDLE + MS;
    world.store.finish_turn(world.finish(session.id, 1, now), now).await?;
    let deadline = world.stored(session.id).await?.deadline().expect("one").at;
    assert_eq!(deadline, now + IDLE);
    let next = world.store.next_due_session().await?.expect("an entry");
    assert!(next <= deadline, "the entry stands at {next}, past the deadline {deadline}");
    Ok(())
}

pub async fn an_abandoned_turn_brings_the_deadline_forward(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (session, lease_until) = held(&world).await?;
    let now = START + IDLE + MS;
    assert_eq!(world.store.abandon_turns(&["another".into()], now).await?, 1);
    let deadline = world.stored(session.id).await?.deadline().expect("one").at;
    assert!(deadline < lease_until);
    let next = world.store.next_due_session().await?.expect("an entry");
    assert!(next <= deadline, "the entry stands at {next}, past the deadline {deadline}");
    assert_eq!(world.store.abandon_turns(&[NODE.into()], now).await?, 0);
    Ok(())
}

pub async fn a_turn_that_takes_anothers_place_brings_the_deadline_forward(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let mut session = world.session(1);
    session.profile.idle_timeout = Some(Span::from_secs(10));
    assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    let number = world.begun(session.id, at(5)).await?;
    assert_eq!(looked(&world, &session, at(30)).await?, Some(at(5) + LEASE));
    world.store.finish_turn(world.finish(session.id, number, at(31)), at(31)).await?;
    let short = BeginTurnRequest { lease_until: at(33), ..world.begin(session.id, at(32)) };
    world.store.begin_turn(short, at(32)).await?;
    let deadline = world.stored(session.id).await?.deadline().expect("one").at;
    assert_eq!(deadline, at(42));
    let next = world.store.next_due_session().await?.expect("an entry");
    assert!(next <= deadline, "the entry stands at {next}, past the deadline {deadline}");
    Ok(())
}

pub async fn due_sessions_are_shared_fairly(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    for n in 1..=5 {
        let session = world.session_at(n, at(u64::from(10 - n)));
        assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    }
    let quiet = world.neighbour("org_2").await?;
    let late = quiet.session_at(9, at(100));
    assert_eq!(quiet.open(&late).await?, OpenOutcome::Opened);
    let now = at(100) + IDLE;
    let some = world.store.due_sessions(now, 4).await?;
    assert!(some.len() <= 4, "{some:?}");
    assert!(some.iter().any(|due| due.id == late.id), "the small one is not starved: {some:?}");
    let mut all = world.store.due_sessions(now, 100).await?;
    assert_eq!(all.len(), 6);
    all.retain(|due| due.org == world.org);
    let order: Vec<_> = all.iter().map(|due| due.due_at).collect();
    assert_eq!(order, [5, 6, 7, 8, 9].map(|opened| at(opened) + IDLE), "the oldest first");
    Ok(())
}

pub async fn a_batch_of_due_sessions_holds_no_more_than_its_limit(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    for org in ["org_1", "org_2", "org_3"] {
        world.neighbour(org).await?.opened(1).await?;
    }
    let batch = async |limit| {
        Ok::<_, crate::Error>(world.store.due_sessions(at(9_000), limit).await?.len())
    };
    assert_eq!(batch(2).await?, 2, "though three organizations have one due");
    assert_eq!(batch(3).await?, 3);
    assert_eq!(batch(4).await?, 3);
    Ok(())
}

pub async fn a_batch_of_due_sessions_is_filled_by_whoever_has_them(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    for n in 1..=4 {
        world.opened(n).await?;
    }
    world.neighbour("org_2").await?;
    world.neighbour("org_3").await?.opened(9).await?;
    let due = world.store.due_sessions(at(9_000), 4).await?;
    assert_eq!(due.len(), 4, "no place is kept for those who have nothing due: {due:?}");
    Ok(())
}
