//! Turns: begun one at a time, finished, fenced, superseded, abandoned.

use epilogue_core::{
    EndOutcome, EndRequest, NodeId, Session, SessionState, Span,
    reason::{Deadline, DeadlineKind},
    session::TurnInFlight,
};

use super::{
    Backend,
    audit::audit,
    fixture::{IDLE, LEASE, MS, NODE, START, World, at, replied_usage, said, said_usage},
    prelude::*,
};
use crate::{BeginTurnOutcome, BeginTurnRequest, FinishTurnOutcome, OpenOutcome, Result};

fn in_flight(number: u32, lease_until: epilogue_core::Timestamp) -> TurnInFlight {
    TurnInFlight { number, node: NodeId::from(NODE), lease_until }
}

pub async fn a_turn_begins_with_the_message_in_the_transcript(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let now = at(10);
    let outcome = world.store.begin_turn(world.begin(session.id, now), now).await?;
    let BeginTurnOutcome::Begun { session: begun, number, history, messages } = outcome else {
        panic!("it should begin: {outcome:?}");
    };
    let stored = world.stored(session.id).await?;
    assert_eq!(*begun, stored, "the answer is what is stored");
    let expected = Session {
        last_activity: now,
        last_seen: stored.last_seen,
        usage: said_usage(),
        messages: 1,
        turns: 1,
        state: SessionState::Active { turn: Some(in_flight(1, now + LEASE)) },
        ..session.clone()
    };
    assert_eq!(stored, expected);
    assert_eq!((number, messages), (1, world.begin(session.id, now).messages));
    assert_eq!(history, world.store.messages(&world.org, session.id, 0, 10).await?);
    assert_eq!((history[0].seq, history[0].turn), (0, 1));
    assert_eq!(history[0].body, said("Where is my train?", now));
    Ok(())
}

pub async fn a_finished_turn_adds_up(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let number = world.begun(session.id, at(10)).await?;
    let request = world.finish(session.id, number, at(20));
    let outcome = world.store.finish_turn(request.clone(), at(20)).await?;
    let stored = world.stored(session.id).await?;
    assert_eq!(outcome, FinishTurnOutcome::Recorded(Box::new(stored.clone())));
    let expected = Session {
        last_activity: at(20),
        last_seen: stored.last_seen,
        usage: said_usage().plus(replied_usage()),
        messages: 2,
        turns: 1,
        ..session.clone()
    };
    assert_eq!(stored, expected);
    let messages = world.store.messages(&world.org, session.id, 1, 10).await?;
    assert_eq!(messages.len(), 1);
    assert_eq!((messages[0].seq, messages[0].turn), (1, 1));
    assert_eq!(messages[0].body, request.messages[0]);

    let twice = world.turn(session.id, at(30)).await?;
    assert_eq!((twice.messages, twice.turns), (4, 2));
    let once = said_usage().plus(replied_usage());
    assert_eq!(twice.usage, once.plus(once));
    audit(&*world.store, &world.org).await
}

pub async fn a_turn_may_add_nothing(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let number = world.begun(session.id, at(10)).await?;
    let mut request = world.finish(session.id, number, at(20));
    request.messages.clear();
    let outcome = world.store.finish_turn(request, at(20)).await?;
    let FinishTurnOutcome::Recorded(stored) = outcome else { panic!("recorded: {outcome:?}") };
    assert_eq!((stored.messages, stored.turn_in_flight()), (1, None));
    audit(&*world.store, &world.org).await
}

pub async fn the_history_is_the_end_of_the_transcript(backend: &impl Backend) -> Result<()> {
    for (history_max, expected) in [(1, 4..5), (2, 3..5), (4, 1..5), (5, 0..5), (6, 0..5)] {
        let world = World::new(backend).await?;
        let session = world.opened(1).await?;
        world.turn(session.id, at(1)).await?;
        world.turn(session.id, at(2)).await?;
        let request = BeginTurnRequest { history_max, ..world.begin(session.id, at(3)) };
        let outcome = world.store.begin_turn(request, at(3)).await?;
        let BeginTurnOutcome::Begun { history, .. } = outcome else {
            panic!("it should begin: {outcome:?}");
        };
        let all = world.store.messages(&world.org, session.id, 0, 100).await?;
        assert_eq!(history, all[expected], "of five messages, at most {history_max}");
    }
    Ok(())
}

pub async fn one_turn_at_a_time(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    world.begun(session.id, at(10)).await?;
    let before = world.stored(session.id).await?;
    let last_moment = at(10) + LEASE - MS;
    let outcome = world.store.begin_turn(world.begin(session.id, last_moment), last_moment).await?;
    assert_eq!(outcome, BeginTurnOutcome::Busy(in_flight(1, at(10) + LEASE)));
    assert_eq!(world.stored(session.id).await?, before, "a refused turn leaves nothing");
    audit(&*world.store, &world.org).await
}

pub async fn a_turn_whose_lease_ran_out_is_superseded(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    assert_eq!(world.begun(session.id, at(10)).await?, 1);
    let now = at(10) + LEASE;
    assert_eq!(world.begun(session.id, now).await?, 2);
    let before = world.stored(session.id).await?;
    let late = world.store.finish_turn(world.finish(session.id, 1, now), now).await?;
    assert_eq!(late, FinishTurnOutcome::Superseded);
    assert_eq!(world.stored(session.id).await?, before, "nothing was written");
    let second = world.store.finish_turn(world.finish(session.id, 2, now), now).await?;
    assert!(matches!(second, FinishTurnOutcome::Recorded(_)), "{second:?}");
    audit(&*world.store, &world.org).await
}

pub async fn a_late_turn_is_recorded_while_nobody_took_its_place(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    world.begun(session.id, at(10)).await?;
    let now = at(10) + LEASE + MS;
    let outcome = world.store.finish_turn(world.finish(session.id, 1, now), now).await?;
    assert!(matches!(outcome, FinishTurnOutcome::Recorded(_)), "{outcome:?}");
    let again = world.store.finish_turn(world.finish(session.id, 1, now), now).await?;
    assert_eq!(again, FinishTurnOutcome::Superseded, "it finishes once");
    audit(&*world.store, &world.org).await
}

pub async fn a_turn_that_never_began_cannot_finish(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    for number in [0, 1] {
        let request = world.finish(session.id, number, at(1));
        let outcome = world.store.finish_turn(request, at(1)).await?;
        assert_eq!(outcome, FinishTurnOutcome::Superseded);
    }
    assert_eq!(world.stored(session.id).await?, session);
    Ok(())
}

pub async fn a_session_past_its_deadline_takes_no_turn(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let deadline = START + IDLE;
    let outcome = world.store.begin_turn(world.begin(session.id, deadline), deadline).await?;
    let passed = Deadline { kind: DeadlineKind::Idle, at: deadline };
    assert_eq!(outcome, BeginTurnOutcome::Lapsed(passed));
    assert_eq!(world.stored(session.id).await?, session, "nothing was written");
    let last_moment = deadline - MS;
    assert_eq!(world.begun(session.id, last_moment).await?, 1);
    Ok(())
}

pub async fn the_longest_duration_stops_turns_too(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let mut session = world.session(1);
    session.profile.max_duration = Some(Span::from_secs(600));
    assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    world.turn(session.id, at(600) - MS).await?;
    let outcome = world.store.begin_turn(world.begin(session.id, at(600)), at(600)).await?;
    let passed = Deadline { kind: DeadlineKind::MaxDuration, at: at(600) };
    assert_eq!(outcome, BeginTurnOutcome::Lapsed(passed));
    Ok(())
}

pub async fn nothing_is_written_past_the_fence(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let number = world.begun(session.id, at(10)).await?;
    let ended = world.ended(session.id, at(11)).await?;
    let before = world.stored(session.id).await?;
    assert_eq!(before.messages, 1, "what the person said stays");
    let finish = world.store.finish_turn(world.finish(session.id, number, at(12)), at(12)).await?;
    assert_eq!(finish, FinishTurnOutcome::Fenced(ended.clone()));
    let begin = world.store.begin_turn(world.begin(session.id, at(12)), at(12)).await?;
    assert_eq!(begin, BeginTurnOutcome::Over(ended.clone()));
    assert_eq!(world.stored(session.id).await?, before);
    world.finalize(session.id, at(20)).await?;
    let finish = world.store.finish_turn(world.finish(session.id, number, at(21)), at(21)).await?;
    assert_eq!(finish, FinishTurnOutcome::Fenced(ended.clone()), "nor when it is final");
    let begin = world.store.begin_turn(world.begin(session.id, at(21)), at(21)).await?;
    assert_eq!(begin, BeginTurnOutcome::Over(ended));
    audit(&*world.store, &world.org).await
}

pub async fn a_session_that_is_not_there_takes_no_turn(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let stranger = world.session(1).id;
    let begin = world.store.begin_turn(world.begin(stranger, START), START).await?;
    assert_eq!(begin, BeginTurnOutcome::NoSession);
    let finish = world.store.finish_turn(world.finish(stranger, 1, START), START).await?;
    assert_eq!(finish, FinishTurnOutcome::NoSession);
    Ok(())
}

pub async fn turns_of_nodes_that_are_gone_free_their_place(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let sessions = [world.opened(1).await?, world.opened(2).await?, world.opened(3).await?];
    for (session, node) in sessions.iter().zip(["node_gone", "node_alive"]) {
        let request = BeginTurnRequest { node: node.into(), ..world.begin(session.id, at(10)) };
        world.store.begin_turn(request, at(10)).await?;
    }
    let alive = ["node_alive".into(), "node_new".into()];
    assert_eq!(world.store.abandon_turns(&alive, at(11)).await?, 1);
    assert_eq!(world.store.abandon_turns(&alive, at(11)).await?, 0, "once");
    assert_eq!(world.stored(sessions[0].id).await?.turn_in_flight(), None);
    assert!(world.stored(sessions[1].id).await?.turn_in_flight().is_some());
    let late = world.store.finish_turn(world.finish(sessions[0].id, 1, at(12)), at(12)).await?;
    assert_eq!(late, FinishTurnOutcome::Superseded);
    assert_eq!(world.begun(sessions[0].id, at(12)).await?, 2);
    assert_eq!(world.store.abandon_turns(&[], at(13)).await?, 2, "nobody is left");
    audit(&*world.store, &world.org).await
}

pub async fn an_end_during_a_turn_bills_what_was_said(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    world.begun(session.id, at(10)).await?;
    let outcome = world.end(session.id, EndRequest::due(), at(10) + IDLE).await?;
    let Some(EndOutcome::EndedNow(ended)) = outcome else { panic!("it is due: {outcome:?}") };
    let lasted = ended.at.since(session.opened_at);
    assert_eq!(ended.cost, world.agent.price.cost(&said_usage(), lasted));
    audit(&*world.store, &world.org).await
}
