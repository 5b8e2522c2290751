//! Sessions that are seen and heard: the stage they live by, and what is said on it.

use std::sync::Arc;

use epilogue_core::{
    EndOutcome, EndReason, EndRequest, Role, Session, SessionId,
    reason::{Deadline, DeadlineKind},
    staging::SAID_BYTES_MAX,
};

use super::{
    Backend,
    fixture::{IDLE, MS, START, World, at},
    prelude::*,
    race::{contender, each_round, race_two},
};
use crate::{Result, Storage, TakeStage, TakeStageOutcome, WriteSaid, WriteSaidOutcome};

fn take<S: Storage>(world: &World<S>, session: SessionId, node: &str) -> TakeStage {
    let stage = format!("stage_{node}").into();
    TakeStage { org: world.org.clone(), session, stage, node: node.into() }
}

fn words<S: Storage>(
    world: &World<S>,
    session: SessionId,
    turn: Option<u32>,
    text: &str,
) -> WriteSaid {
    WriteSaid { org: world.org.clone(), session, turn, text: text.to_owned() }
}

pub async fn a_session_goes_with_the_node_of_its_stage(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (staged, plain) = (world.opened(1).await?, world.opened(2).await?);
    let taken = world.store.take_stage(take(&world, staged.id, "n1"), at(1)).await?;
    let stored = world.stored(staged.id).await?;
    assert_eq!(taken, TakeStageOutcome::Taken(Box::new(stored.clone())));
    assert!(stored.is_held_by(&"stage_n1".into()));
    assert_eq!(Session { connection: None, ..stored.clone() }, staged, "nothing else changes");

    let again = TakeStage { stage: "another".into(), ..take(&world, staged.id, "n1") };
    world.store.take_stage(again, at(2)).await?;
    assert_eq!(world.stored(staged.id).await?, stored, "it has its stage there");

    assert_eq!(world.store.keep_alive(&world.org, staged.id, at(2)).await?, Some(true));
    assert_eq!(world.store.lose_connections(&["n1".into()], at(3)).await?, 0);
    assert_eq!(world.store.lose_connections(&[], at(4)).await?, 1);
    let late = world.store.take_stage(take(&world, staged.id, "n2"), at(4)).await?;
    assert_eq!(late, TakeStageOutcome::Over, "it went with its node");
    let due = EndRequest::due();
    let receipt = world.store.end(&world.org, staged.id, due.clone(), at(5)).await?;
    let ended = receipt.expect("a session").outcome.ended().cloned().expect("it ends");
    assert_eq!(ended.reason, EndReason::Disconnected);
    // When the node went nobody saw; the session was last heard of before.
    assert_eq!((ended.deadline.map(|deadline| deadline.at), ended.at), (Some(at(2)), at(5)));
    let receipt = world.store.end(&world.org, plain.id, due, at(5)).await?;
    assert!(matches!(receipt.expect("a session").outcome, EndOutcome::StillActive { .. }));
    Ok(())
}

/// However long nobody was there to notice: the stage went before its session could have been idle.
pub async fn a_stage_is_lost_when_its_session_was_last_heard_of(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (seen, said, neither) =
        (world.opened(1).await?, world.opened(2).await?, world.opened(3).await?);
    for session in [&seen, &said, &neither] {
        world.store.take_stage(take(&world, session.id, "n1"), at(1)).await?;
    }
    world.store.keep_alive(&world.org, seen.id, at(7)).await?;
    world.store.write_said(words(&world, said.id, None, "Hi."), at(9)).await?;
    let late = START + IDLE + IDLE;
    assert_eq!(world.store.lose_connections(&[], late).await?, 3);
    for (session, last) in [(seen, at(7)), (said, at(9)), (neither, START)] {
        assert_eq!(world.stored(session.id).await?.due_at(), Some(last));
        let receipt = world.store.end(&world.org, session.id, EndRequest::due(), late).await?;
        let ended = receipt.expect("a session").outcome.ended().cloned().expect("it ends");
        let deadline = Deadline { kind: DeadlineKind::Disconnected, at: last };
        assert_eq!((ended.reason, ended.deadline), (EndReason::Disconnected, Some(deadline)));
        let lasted = world.stored(session.id).await?.lasted(late + IDLE);
        assert_eq!(lasted, last.since(START), "and it is not billed for more");
    }
    Ok(())
}

pub async fn a_stage_is_set_for_live_sessions_alone(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let stranger = take(&world, world.session(9).id, "n1");
    assert_eq!(world.store.take_stage(stranger, START).await?, TakeStageOutcome::NoSession);
    let session = world.opened(1).await?;
    let neighbour = world.neighbour("org_2").await?;
    let theirs = take(&neighbour, session.id, "n1");
    assert_eq!(world.store.take_stage(theirs, START).await?, TakeStageOutcome::NoSession);
    let late = take(&world, session.id, "n1");
    assert_eq!(world.store.take_stage(late, START + IDLE).await?, TakeStageOutcome::Over);
    world.ended(session.id, at(1)).await?;
    let before = world.stored(session.id).await?;
    let over = world.store.take_stage(take(&world, session.id, "n1"), at(1)).await?;
    assert_eq!(over, TakeStageOutcome::Over);
    assert_eq!(world.stored(session.id).await?, before);
    Ok(())
}

pub async fn what_is_said_on_a_stage_is_the_transcript(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let mut said = Vec::new();
    for (turn, text) in [(None, "Hello,"), (Some(1), "world."), (None, "Bye."), (Some(1), "Late.")]
    {
        let request = words(&world, session.id, turn, text);
        said.push(world.store.write_said(request, at(said.len() as u64 + 1)).await?);
    }
    let turns = [1, 1, 2, 3].map(|turn| WriteSaidOutcome::Written { turn });
    assert_eq!(said, turns, "a turn that another has followed is not gone on with");
    let transcript = world.store.messages(&world.org, session.id, 0, 10).await?;
    let told: Vec<_> =
        transcript.iter().map(|m| (m.seq, m.turn, m.body.role, m.body.content.as_str())).collect();
    let agent = Role::Assistant;
    assert_eq!(
        told,
        [(0, 1, agent, "Hello, world."), (1, 2, agent, "Bye."), (2, 3, agent, "Late.")]
    );
    let stored = world.stored(session.id).await?;
    assert_eq!((stored.messages, stored.turns, stored.usage.total_messages), (3, 3, 3));
    assert_eq!((stored.usage.user_messages, stored.last_activity), (0, at(4)));
    Ok(())
}

pub async fn a_turn_that_is_long_has_several_messages(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let half = "x".repeat(SAID_BYTES_MAX / 2);
    // The second fits with the space before it, and then nothing more does.
    for text in [&half, &half[1..], "y"] {
        let request = words(&world, session.id, Some(1), text);
        let outcome = world.store.write_said(request, at(1)).await?;
        assert_eq!(outcome, WriteSaidOutcome::Written { turn: 1 });
    }
    let transcript = world.store.messages(&world.org, session.id, 0, 10).await?;
    let told: Vec<_> = transcript.iter().map(|m| (m.turn, m.body.content.len())).collect();
    assert_eq!(told, [(1, SAID_BYTES_MAX), (1, 1)]);
    Ok(())
}

pub async fn nothing_is_said_past_the_fence(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let stranger = words(&world, world.session(9).id, None, "x");
    assert_eq!(world.store.write_said(stranger, START).await?, WriteSaidOutcome::NoSession);
    let session = world.opened(1).await?;
    let neighbour = world.neighbour("org_2").await?;
    let theirs = words(&neighbour, session.id, None, "x");
    assert_eq!(world.store.write_said(theirs, START).await?, WriteSaidOutcome::NoSession);
    let write = |text| words(&world, session.id, Some(1), text);
    let late = world.store.write_said(write("late"), START + IDLE).await?;
    assert_eq!(late, WriteSaidOutcome::Over, "its deadline has passed");
    let in_time = world.store.write_said(write("in time"), START + IDLE - MS).await?;
    assert_eq!(in_time, WriteSaidOutcome::Written { turn: 1 });
    world.ended(session.id, START + IDLE).await?;
    let before = world.stored(session.id).await?;
    let over = world.store.write_said(write("over"), START + IDLE).await?;
    assert_eq!(over, WriteSaidOutcome::Over);
    assert_eq!(world.stored(session.id).await?, before);
    let transcript = world.store.messages(&world.org, session.id, 0, 10).await?;
    assert_eq!(transcript.len(), 1);
    Ok(())
}

pub async fn what_is_said_comes_before_the_end_or_not_at_all(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = world.opened(1).await?;
        let (store, request) = (Arc::clone(&world.store), words(world, session.id, None, "Hi."));
        let saying = contender(async move { store.write_said(request, at(1)).await });
        let (store, org, id) = (Arc::clone(&world.store), world.org.clone(), session.id);
        let ending = contender(async move {
            let asked = EndRequest::asked(EndReason::UserEnd);
            store.end(&org, id, asked, at(1)).await
        });
        let (said, ended) = race_two(dice, saying, ending).await?;
        let at_the_end = ended.expect("a session").session.messages;
        let stored = world.stored(session.id).await?;
        let expected = u32::from(matches!(said, WriteSaidOutcome::Written { .. }));
        assert_eq!((at_the_end, stored.messages), (expected, expected));
        Ok(())
    })
    .await
}
