//! The connections that sessions live by: taken up, let go, lost with their nodes.

use std::sync::Arc;

use epilogue_core::{
    Connection, ConnectionId, EndOutcome, EndReason, EndRequest, Session, Span, Timestamp,
    reason::{Deadline, DeadlineKind},
};

use super::{
    Backend,
    audit::audit,
    fixture::{IDLE, LEASE, MS, NODE, START, World, at},
    prelude::*,
    race::{contender, each_round, race_two},
};
use crate::{
    AttachOutcome, AttachRequest, BeginTurnRequest, DetachOutcome, OpenOutcome, Result, Storage,
};

const GRACE: Span = Span::from_secs(15);
const HOLDER: &str = "token_1";

fn connection(id: &str) -> Connection {
    let (id, node) = (id.into(), NODE.into());
    Connection { id, holder: HOLDER.into(), node, grace: GRACE, lost_at: None }
}

fn by(connection: &str, holder: &str) -> AttachRequest {
    AttachRequest { connection: connection.into(), holder: holder.into(), node: NODE.into() }
}

async fn opened<S: Storage>(world: &World<S>, n: u32) -> Result<Session> {
    let session = Session { connection: Some(connection("c1")), ..world.session(n) };
    assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    Ok(session)
}

async fn let_go<S: Storage>(
    world: &World<S>,
    session: &Session,
    id: &str,
    now: Timestamp,
) -> Result<DetachOutcome> {
    world.store.detach(&world.org, session.id, &ConnectionId::from(id), now).await
}

pub async fn a_session_is_found_with_its_connection(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    assert_eq!(world.stored(session.id).await?, session);
    assert_eq!(world.store.next_due_session().await?, Some(START + IDLE));
    Ok(())
}

pub async fn a_session_that_was_let_go_ends_after_its_grace(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    let deadline = at(10) + GRACE;
    let lost = let_go(&world, &session, "c1", at(10)).await?;
    assert_eq!(lost, DetachOutcome::Lost { due_at: Some(deadline) });
    assert_eq!(world.store.next_due_session().await?, Some(deadline));
    let early = world.end(session.id, EndRequest::due(), deadline - MS).await?;
    assert_eq!(early, Some(EndOutcome::StillActive { due_at: Some(deadline) }));
    let Some(EndOutcome::EndedNow(ended)) =
        world.end(session.id, EndRequest::due(), deadline).await?
    else {
        panic!("it should end");
    };
    let passed = Deadline { kind: DeadlineKind::Disconnected, at: deadline };
    assert_eq!((ended.reason, ended.deadline), (EndReason::Disconnected, Some(passed)));
    let again = world.end(session.id, EndRequest::due(), at(100)).await?;
    assert_eq!(again, Some(EndOutcome::AlreadyEnded(ended)), "it reads back as it was told");
    audit(&*world.store, &world.org).await
}

pub async fn a_session_without_another_deadline_is_due_too(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let mut session = world.session(1);
    session.connection = Some(connection("c1"));
    session.profile.idle_timeout = None;
    world.open(&session).await?;
    assert_eq!(world.store.next_due_session().await?, None);
    assert_eq!(world.store.lose_connections(&[], at(10)).await?, 1);
    assert_eq!(world.store.next_due_session().await?, Some(at(10) + GRACE));
    Ok(())
}

pub async fn a_session_is_taken_up_again_by_its_holder_alone(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    let_go(&world, &session, "c1", at(10)).await?;
    let attach = async |holder| world.store.attach(&world.org, session.id, by("c2", holder)).await;
    assert_eq!(attach("token_2").await?, AttachOutcome::NotYours);
    let AttachOutcome::Attached(taken) = attach(HOLDER).await? else { panic!("not attached") };
    assert_eq!(taken.connection, Some(connection("c2")));
    assert_eq!(world.stored(session.id).await?, *taken);
    let looked = world.end(session.id, EndRequest::due(), at(10) + GRACE).await?;
    assert_eq!(looked, Some(EndOutcome::StillActive { due_at: Some(START + IDLE) }));
    let stranger = "org_stranger".into();
    let elsewhere = world.store.attach(&stranger, session.id, by("c3", HOLDER)).await?;
    assert_eq!(elsewhere, AttachOutcome::NotYours);
    Ok(())
}

pub async fn a_connection_that_was_replaced_lets_nothing_go(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    world.store.attach(&world.org, session.id, by("c2", HOLDER)).await?;
    assert_eq!(let_go(&world, &session, "c1", at(6)).await?, DetachOutcome::NotHeld);
    assert_eq!(world.stored(session.id).await?.connection, Some(connection("c2")));
    assert!(matches!(let_go(&world, &session, "c2", at(7)).await?, DetachOutcome::Lost { .. }));
    assert_eq!(let_go(&world, &session, "c2", at(8)).await?, DetachOutcome::NotHeld);
    let lost_at = world.stored(session.id).await?.connection.and_then(|known| known.lost_at);
    assert_eq!(lost_at, Some(at(7)), "the grace does not begin anew");
    Ok(())
}

pub async fn a_session_that_ended_is_neither_taken_up_nor_let_go(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    world.ended(session.id, at(5)).await?;
    assert_eq!(let_go(&world, &session, "c1", at(6)).await?, DetachOutcome::NotHeld);
    let taken = world.store.attach(&world.org, session.id, by("c2", HOLDER)).await?;
    assert!(matches!(taken, AttachOutcome::Over(_)), "{taken:?}");
    assert_eq!(world.store.lose_connections(&[], at(7)).await?, 0);
    assert_eq!(world.store.next_due_session().await?, None);
    let plain = world.opened(2).await?;
    let taken = world.store.attach(&world.org, plain.id, by("c2", HOLDER)).await?;
    assert_eq!(taken, AttachOutcome::NotYours);
    Ok(())
}

pub async fn connections_go_with_their_nodes(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (here, there) = (opened(&world, 1).await?, opened(&world, 2).await?);
    let request = AttachRequest { node: "node_2".into(), ..by("c2", HOLDER) };
    world.store.attach(&world.org, there.id, request).await?;
    assert_eq!(world.store.lose_connections(&[NODE.into()], at(10)).await?, 1);
    let lost_at = async |session: &Session| {
        let connection = world.stored(session.id).await?.connection;
        Ok::<_, crate::Error>(connection.and_then(|connection| connection.lost_at))
    };
    assert_eq!((lost_at(&here).await?, lost_at(&there).await?), (None, Some(at(10))));
    assert_eq!(world.store.next_due_session().await?, Some(at(10) + GRACE));
    assert_eq!(world.store.lose_connections(&[NODE.into()], at(20)).await?, 0);
    assert_eq!(lost_at(&there).await?, Some(at(10)), "the grace does not begin anew");
    Ok(())
}

pub async fn a_turn_in_flight_is_waited_for_and_then_the_session_is_due(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    let lease_until = at(10) + LEASE;
    let request = BeginTurnRequest { lease_until, ..world.begin(session.id, at(10)) };
    world.store.begin_turn(request, at(10)).await?;
    let lost = let_go(&world, &session, "c1", at(11)).await?;
    assert_eq!(lost, DetachOutcome::Lost { due_at: Some(lease_until) });
    world.store.finish_turn(world.finish(session.id, 1, at(40)), at(40)).await?;
    assert_eq!(world.store.next_due_session().await?, Some(at(11) + GRACE));
    Ok(())
}

pub async fn a_session_is_taken_up_before_it_is_given_up_or_not_at_all(
    backend: &impl Backend,
) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = opened(world, 1).await?;
        let_go(world, &session, "c1", at(1)).await?;
        let now = at(1) + GRACE;
        let (store, org, id) = (Arc::clone(&world.store), world.org.clone(), session.id);
        let taking = contender(async move { store.attach(&org, id, by("c2", HOLDER)).await });
        let (store, org) = (Arc::clone(&world.store), world.org.clone());
        let ending = contender(async move {
            let receipt = store.end(&org, id, EndRequest::due(), now).await?;
            Ok(receipt.map(|receipt| receipt.outcome))
        });
        let (taken, ended) = race_two(dice, taking, ending).await?;
        let stored = world.stored(session.id).await?;
        match (taken, ended) {
            (AttachOutcome::Attached(_), Some(EndOutcome::StillActive { .. })) => {
                assert!(stored.is_held_by(&"c2".into()) && stored.ended().is_none());
            }
            (AttachOutcome::Over(_), Some(EndOutcome::EndedNow(ended))) => {
                assert_eq!(ended.reason, EndReason::Disconnected);
                assert_eq!(stored.ended(), Some(&ended));
            }
            other => panic!("one of the two, not {other:?}"),
        }
        Ok(())
    })
    .await
}

pub async fn of_two_connections_one_has_the_session(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = opened(world, 1).await?;
        let taking = |connection: &'static str| {
            let (store, org, id) = (Arc::clone(&world.store), world.org.clone(), session.id);
            contender(async move { store.attach(&org, id, by(connection, HOLDER)).await })
        };
        let taken = race_two(dice, taking("c2"), taking("c3")).await?;
        assert!(matches!(taken, (AttachOutcome::Attached(_), AttachOutcome::Attached(_))));
        let stored = world.stored(session.id).await?;
        let held = ["c1", "c2", "c3"].map(|id| stored.is_held_by(&id.into()));
        assert!(matches!(held, [false, true, false] | [false, false, true]), "{held:?}");
        let loser = if held[1] { "c3" } else { "c2" };
        assert_eq!(let_go(world, &session, loser, at(5)).await?, DetachOutcome::NotHeld);
        Ok(())
    })
    .await
}
