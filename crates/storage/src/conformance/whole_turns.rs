//! Turns that are written whole or not at all, turns that can be asked for again, turns that end their
//! session, and sessions that follow their agent.

use std::sync::Arc;

use epilogue_core::{
    Agent, EndOutcome, EndReason, EndRequest, MicroCredits, Role, Session, StepKind, Usage,
    profile::{Configuration, Overdue, Writes},
    session::Ended,
};

use super::{
    Backend,
    audit::audit,
    fixture::{
        IDLE, MS, START, World, at, busy_agent, replied, replied_usage, said, said_usage,
        tool_traffic,
    },
    prelude::*,
    race::{each_round, race_two},
};
use crate::{
    AgentChange, AgentWrite, BeginTurnOutcome, BeginTurnRequest, FinishTurnOutcome,
    FinishTurnRequest, Result, SessionName, Storage,
};

/// Session number `n`, of an API that writes whole turns and follows its agents.
fn whole<S>(world: &World<S>, n: u32) -> Session
where
    S: Storage,
{
    let mut session = world.session(n);
    session.profile.turns.writes = Writes::WholeTurns;
    session.profile.turns.overdue = Overdue::LivesOn;
    session.profile.turns.configuration = Configuration::Live;
    session
}

async fn opened<S: Storage>(world: &World<S>, n: u32) -> Result<Session> {
    let session = whole(world, n);
    world.open(&session).await?;
    Ok(session)
}

fn begin<S: Storage>(world: &World<S>, session: &Session, key: &str, n: u64) -> BeginTurnRequest {
    BeginTurnRequest { key: Some(key.into()), ..world.begin(session.id, at(n)) }
}

/// A turn with a tool, written whole.
fn finish<S: Storage>(
    world: &World<S>,
    session: &Session,
    (number, key): (u32, &str),
    n: u64,
) -> FinishTurnRequest {
    let mut messages = vec![said("Where is my train?", at(n))];
    messages.extend(tool_traffic(at(n)));
    messages.push(replied("On time.", at(n)));
    FinishTurnRequest {
        messages,
        said: 1,
        usage: said_usage().plus(replied_usage()),
        key: Some(key.into()),
        ..world.finish(session.id, number, at(n))
    }
}

async fn taken<S: Storage>(
    world: &World<S>,
    session: &Session,
    key: &str,
    then_end: Option<EndReason>,
    n: u64,
) -> Result<Session> {
    let outcome = world.store.begin_turn(begin(world, session, key, n), at(n)).await?;
    let BeginTurnOutcome::Begun { number, .. } = outcome else { panic!("{outcome:?}") };
    let request = FinishTurnRequest { then_end, ..finish(world, session, (number, key), n) };
    match world.store.finish_turn(request, at(n)).await? {
        FinishTurnOutcome::Recorded(session) => Ok(*session),
        other => panic!("{other:?}"),
    }
}

pub async fn a_whole_turn_is_written_when_it_is_finished(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    let outcome = world.store.begin_turn(world.begin(session.id, at(10)), at(10)).await?;
    let BeginTurnOutcome::Begun { session: begun, number, history, .. } = outcome else { panic!() };
    assert_eq!((number, history.len(), begun.messages), (1, 0, 0));
    assert_eq!(begun.last_activity, at(10), "the message counts as activity");
    assert_eq!(begun.usage, Usage::default());
    assert_eq!(world.store.messages(&world.org, session.id, 0, 10).await?, []);
    let request = FinishTurnRequest { key: None, ..finish(&world, &session, (1, ""), 12) };
    world.store.finish_turn(request, at(12)).await?;
    let stored = world.stored(session.id).await?;
    assert_eq!((stored.messages, stored.last_activity), (4, at(12)));
    assert_eq!(stored.usage, said_usage().plus(replied_usage()));
    let messages = world.store.messages(&world.org, session.id, 0, 10).await?;
    assert_eq!(messages[0].body.role, Role::User);
    assert!(messages.iter().all(|message| message.turn == 1));
    audit(&*world.store, &world.org).await
}

pub async fn a_whole_turn_that_fails_leaves_nothing(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    world.begun(session.id, at(10)).await?;
    let nothing = FinishTurnRequest {
        messages: Vec::new(),
        usage: Usage::default(),
        ..world.finish(session.id, 1, at(11))
    };
    world.store.finish_turn(nothing, at(11)).await?;
    world.begun(session.id, at(12)).await?;
    world.store.abandon_turns(&[], at(13)).await?;
    let stored = world.stored(session.id).await?;
    assert_eq!((stored.messages, stored.usage, stored.turns), (0, Usage::default(), 2));
    assert_eq!(stored.turn_in_flight(), None);
    let ended = world.ended(session.id, START).await?;
    assert_eq!(ended.cost, MicroCredits::ZERO, "nothing is billed");
    audit(&*world.store, &world.org).await
}

pub async fn a_turn_is_found_by_its_key_with_the_same_messages(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    taken(&world, &session, "k1", None, 10).await?;
    taken(&world, &session, "k2", None, 20).await?;
    let all = world.store.messages(&world.org, session.id, 0, 100).await?;
    let before = world.stored(session.id).await?;
    for (key, part) in [("k1", &all[..4]), ("k2", &all[4..])] {
        let found = world.store.begin_turn(begin(&world, &session, key, 30), at(30)).await?;
        let expected = BeginTurnOutcome::OnRecord {
            session: Box::new(before.clone()),
            messages: part.to_vec(),
            said: 1,
        };
        assert_eq!(found, expected);
    }
    assert_eq!(world.stored(session.id).await?, before, "nothing changed");
    let found = world.store.begin_turn(begin(&world, &session, "k3", 30), at(30)).await?;
    assert!(matches!(found, BeginTurnOutcome::Begun { number: 3, .. }), "{found:?}");
    Ok(())
}

pub async fn a_key_is_found_after_the_end_and_before_it_is_looked_at(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    taken(&world, &session, "k1", None, 10).await?;
    let ended = world.ended(session.id, at(11)).await?;
    let known = world.store.begin_turn(begin(&world, &session, "k1", 12), at(12)).await?;
    let BeginTurnOutcome::OnRecord { session: now, messages, .. } = known else {
        panic!("{known:?}")
    };
    assert_eq!((now.ended(), messages.len()), (Some(&ended), 4));
    let new = world.store.begin_turn(begin(&world, &session, "k2", 12), at(12)).await?;
    assert_eq!(new, BeginTurnOutcome::Over(ended));
    Ok(())
}

pub async fn the_key_of_a_turn_that_failed_is_free(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    world.store.begin_turn(begin(&world, &session, "k1", 10), at(10)).await?;
    let nothing = FinishTurnRequest { messages: Vec::new(), ..world.finish(session.id, 1, at(11)) };
    world.store.finish_turn(nothing, at(11)).await?;
    let again = world.store.begin_turn(begin(&world, &session, "k1", 12), at(12)).await?;
    assert!(matches!(again, BeginTurnOutcome::Begun { number: 2, .. }), "{again:?}");
    let busy = world.store.begin_turn(begin(&world, &session, "k1", 12), at(12)).await?;
    assert!(matches!(busy, BeginTurnOutcome::Busy(_)), "a key of a turn in flight is none yet");
    Ok(())
}

pub async fn a_fenced_turn_puts_no_key_on_record(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    world.store.begin_turn(begin(&world, &session, "k1", 10), at(10)).await?;
    let ended = world.ended(session.id, at(11)).await?;
    let late = finish(&world, &session, (1, "k1"), 12);
    let fenced = world.store.finish_turn(late, at(12)).await?;
    assert_eq!(fenced, FinishTurnOutcome::Fenced(ended.clone()));
    let again = world.store.begin_turn(begin(&world, &session, "k1", 13), at(13)).await?;
    assert_eq!(again, BeginTurnOutcome::Over(ended));
    Ok(())
}

pub async fn a_key_belongs_to_its_session_and_organization(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let neighbour = world.neighbour("org_2").await?;
    let (one, two) = (opened(&world, 1).await?, opened(&world, 2).await?);
    let foreign = opened(&neighbour, 1).await?;
    assert_eq!(foreign.id, one.id);
    taken(&world, &one, "k1", None, 10).await?;
    let begun = world.store.begin_turn(begin(&world, &two, "k1", 11), at(11)).await?;
    assert!(matches!(begun, BeginTurnOutcome::Begun { .. }), "{begun:?}");
    let begun = neighbour.store.begin_turn(begin(&neighbour, &foreign, "k1", 11), at(11)).await?;
    assert!(matches!(begun, BeginTurnOutcome::Begun { .. }), "{begun:?}");
    let strange = neighbour.store.begin_turn(begin(&neighbour, &two, "k1", 11), at(11)).await?;
    assert_eq!(strange, BeginTurnOutcome::NoSession);
    Ok(())
}

pub async fn a_last_turn_ends_its_session_in_one_decision(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    let reason = EndReason::AgentFinish;
    let over = taken(&world, &session, "k1", Some(reason), 10).await?;
    let stored = world.stored(session.id).await?;
    assert_eq!(over, stored, "the answer is what is stored");
    let ended = stored.ended().expect("ended").clone();
    let cost = world.agent.price.cost(&stored.usage, at(10).since(START));
    assert_eq!(ended, Ended { at: at(10), reason, deadline: None, cost });
    assert!(cost > MicroCredits::ZERO);
    assert_eq!(world.store.steps_of(&world.org, session.id).await?.len(), 6);
    let later = world.end(session.id, EndRequest::asked(EndReason::UserEnd), at(11)).await?;
    assert_eq!(later, Some(EndOutcome::AlreadyEnded(ended)));
    audit(&*world.store, &world.org).await
}

pub async fn a_last_turn_past_the_longest_duration_ends_for_that(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let mut session = world.session(1);
    session.profile.max_duration = Some(epilogue_core::Span::from_secs(60));
    world.open(&session).await?;
    world.begun(session.id, at(50)).await?;
    let then_end = Some(EndReason::AgentFinish);
    let last = FinishTurnRequest { then_end, ..world.finish(session.id, 1, at(70)) };
    world.store.finish_turn(last, at(70)).await?;
    let ended = world.stored(session.id).await?.ended().expect("ended").clone();
    assert_eq!(ended.reason, EndReason::MaxDuration, "what has passed came first");
    assert_eq!(ended.deadline.map(|deadline| deadline.at), Some(at(60)));
    audit(&*world.store, &world.org).await
}

pub async fn a_session_that_lives_on_is_revived_by_a_turn(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    let deadline = START + IDLE;
    assert_eq!(world.store.next_due_session().await?, Some(deadline + MS), "strictly after");
    let early = world.end(session.id, EndRequest::due(), deadline).await?;
    assert_eq!(early, Some(EndOutcome::StillActive { due_at: Some(deadline + MS) }));
    let late = deadline + IDLE;
    world.store.begin_turn(world.begin(session.id, late), late).await?;
    world.store.finish_turn(world.finish(session.id, 1, late), late).await?;
    let looked = world.end(session.id, EndRequest::due(), late).await?;
    assert_eq!(looked, Some(EndOutcome::StillActive { due_at: Some(late + IDLE + MS) }));
    let over = world.end(session.id, EndRequest::due(), late + IDLE + MS).await?;
    let Some(EndOutcome::EndedNow(ended)) = over else { panic!("{over:?}") };
    assert_eq!(ended.deadline.map(|deadline| deadline.at), Some(late + IDLE));
    audit(&*world.store, &world.org).await
}

pub async fn a_live_session_follows_its_agent_to_its_end(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (live, frozen) = (opened(&world, 1).await?, world.opened(2).await?);
    let next = Agent { prompt: "Second.".into(), ..busy_agent() };
    let second = world.store.put_agent(&world.org, next, at(1)).await?;
    let begun = world.store.begin_turn(world.begin(live.id, at(2)), at(2)).await?;
    let BeginTurnOutcome::Begun { session, .. } = begun else { panic!("{begun:?}") };
    assert_eq!(session.agent, second);
    assert_eq!(world.stored(live.id).await?.agent, second);
    world.turn(frozen.id, at(2)).await?;
    assert_eq!(world.stored(frozen.id).await?.agent, world.version);
    let free = Agent { price: epilogue_core::Price::default(), ..busy_agent() };
    let third = world.store.put_agent(&world.org, free, at(3)).await?;
    world.store.finish_turn(world.finish(live.id, 1, at(4)), at(4)).await?;
    let ended = world.ended(live.id, at(5)).await?;
    assert_eq!(ended.cost, MicroCredits::ZERO, "by the price of the latest");
    assert_eq!(world.stored(live.id).await?.agent, third);
    assert!(world.ended(frozen.id, at(5)).await?.cost > MicroCredits::ZERO);
    audit(&*world.store, &world.org).await
}

pub async fn a_purge_leaves_a_key_its_place_and_an_endpoint_nothing(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let address = serde_json::json!({ "from": "+1" });
    let mut session = whole(&world, 1);
    session.channel = Some("sms".into());
    session.endpoint = Some(epilogue_core::EndpointKey::of(&address));
    session.context.address = address;
    world.open(&session).await?;
    taken(&world, &session, "k1", None, 10).await?;
    world.ended(session.id, at(11)).await?;
    world.finalize(session.id, at(12)).await?;
    let stored = world.stored(session.id).await?;
    assert_eq!(stored.endpoint, None, "a number is found out from its digest");
    assert_eq!(stored.context, epilogue_core::session::Context::default());
    let again = world.store.begin_turn(begin(&world, &session, "k1", 13), at(13)).await?;
    let BeginTurnOutcome::OnRecord { messages, .. } = again else { panic!("{again:?}") };
    assert_eq!(messages, [], "it was taken, and its words are gone");
    Ok(())
}

pub async fn a_keyed_turn_and_an_end_leave_both_or_neither(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = opened(world, 1).await?;
        world.store.begin_turn(begin(world, &session, "k1", 10), at(10)).await?;
        let turn = FinishTurnRequest {
            then_end: Some(EndReason::AgentFinish),
            ..finish(world, &session, (1, "k1"), 11)
        };
        let (one, two) = (Arc::clone(&world.store), Arc::clone(&world.store));
        let (org, id) = (world.org.clone(), session.id);
        let end = EndRequest::asked(EndReason::UserEnd);
        let (turn, _) =
            race_two(dice, async move { one.finish_turn(turn, at(11)).await }, async move {
                two.end(&org, id, end, at(11)).await
            })
            .await?;
        let stored = world.store.find(&world.org, &SessionName::Id(id)).await?.expect("there");
        let reason = stored.ended().expect("ended").reason;
        let again = world.store.begin_turn(begin(world, &session, "k1", 12), at(12)).await?;
        let on_record = matches!(again, BeginTurnOutcome::OnRecord { .. });
        let recorded = matches!(turn, FinishTurnOutcome::Recorded(_));
        assert_eq!((recorded, recorded), (on_record, reason == EndReason::AgentFinish));
        assert_eq!(stored.messages, if recorded { 4 } else { 0 });
        Ok(())
    })
    .await
}

pub async fn a_session_whose_agent_is_gone_begins_no_turn(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let id = epilogue_core::AgentId::from("agent_made");
    let made = Agent { id: id.clone(), ..busy_agent() };
    let document = serde_json::json!({});
    let write = AgentWrite { agent: made, document, change: AgentChange::Create, by: None };
    world.store.write_agent(&world.org, write, at(1)).await?;
    let mut session = whole(&world, 1);
    session.agent.id = id.clone();
    world.open(&session).await?;
    taken(&world, &session, "k1", None, 2).await?;
    let before = world.stored(session.id).await?;
    world.store.delete_agent(&world.org, &id, None, at(3)).await?;
    let refused = world.store.begin_turn(begin(&world, &session, "k2", 60), at(60)).await?;
    assert_eq!(refused, BeginTurnOutcome::NoAgent);
    assert_eq!(world.stored(session.id).await?, before, "nothing has happened");
    let known = world.store.begin_turn(begin(&world, &session, "k1", 60), at(60)).await?;
    assert!(matches!(known, BeginTurnOutcome::OnRecord { .. }), "{known:?}");
    audit(&*world.store, &world.org).await
}

pub async fn the_end_within_a_turn_says_who_asked_for_it(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    world.store.begin_turn(begin(&world, &session, "k1", 10), at(10)).await?;
    let last = FinishTurnRequest {
        then_end: Some(EndReason::UserEnd),
        by: Some("key_1".into()),
        ..finish(&world, &session, (1, "k1"), 10)
    };
    world.store.finish_turn(last, at(10)).await?;
    let page = crate::PageRequest::first(10);
    let log = world.store.list_activity(&world.org, Some(session.id), &page).await?.items;
    let ended = log.iter().find(|entry| entry.kind == "session.ended").expect("logged");
    assert_eq!(ended.by.as_deref(), Some("key_1"));
    Ok(())
}

pub async fn a_conversation_in_the_clients_keeping_is_told_of_from_its_first_turn_on(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let kept = |n| {
        let mut session = whole(&world, n);
        (session.profile.turns.client_keeps, session.profile.searchable) = (true, true);
        session
    };
    let (failed, taken_up) = (kept(1), kept(2));
    let page = crate::PageRequest::first(10);
    for session in [&failed, &taken_up] {
        world.open(session).await?;
        let log = world.store.list_activity(&world.org, Some(session.id), &page).await?.items;
        assert_eq!(log, [], "nothing has been said");
    }
    world.store.begin_turn(begin(&world, &failed, "k1", 10), at(10)).await?;
    let nothing = FinishTurnRequest {
        messages: Vec::new(),
        usage: Usage::default(),
        then_end: Some(EndReason::Failed),
        ..world.finish(failed.id, 1, at(11))
    };
    world.store.finish_turn(nothing, at(11)).await?;
    let owed = world.store.steps_of(&world.org, failed.id).await?;
    let told = owed
        .iter()
        .filter(|(step, _)| !matches!(step.kind, StepKind::Purge | StepKind::ReleaseMedia));
    assert_eq!(told.count(), 0, "{owed:?}");
    assert_eq!(world.store.list_activity(&world.org, Some(failed.id), &page).await?.items, []);
    taken(&world, &taken_up, "k1", Some(EndReason::UserEnd), 10).await?;
    let log = world.store.list_activity(&world.org, Some(taken_up.id), &page).await?.items;
    let mut kinds: Vec<_> = log.iter().map(|entry| entry.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["session.ended", "session.opened"]);
    audit(&*world.store, &world.org).await
}
