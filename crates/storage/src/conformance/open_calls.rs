//! Turns that are written with their reply, that end with calls open for the caller to run, and that
//! save variables.

use std::sync::Arc;

use epilogue_core::{
    EndReason, EndRequest, MicroCredits, NodeId, Role, Session, Usage,
    message::{NewMessage, Said, ToolCall, usage_of},
    open_calls::{Misfit, NO_RESULT},
    profile::Writes,
    variables::BAG_BYTES_MAX,
};
use serde_json::{Map, Value, json};

use super::{
    Backend,
    audit::audit,
    fixture::{World, at, replied, replied_usage, said},
    prelude::*,
    race::{contender, each_round, race_two},
};
use crate::{
    BeginTurnOutcome, BeginTurnRequest, FinishTurnOutcome, FinishTurnRequest, OpenOutcome, Result,
    SessionName, Storage,
};

fn told(role: Role, n: u64) -> Said {
    Said { body: NewMessage::text(role, "x", at(n)), tokens: 2 }
}

fn result_of(id: &str, n: u64) -> Said {
    let mut said = told(Role::Tool, n);
    said.body.tool_call_id = Some(id.into());
    said
}

fn calling(ids: &[&str], n: u64) -> NewMessage {
    let call =
        |id: &&str| ToolCall { id: (*id).into(), name: "look".into(), arguments: "{}".into() };
    let tool_calls = ids.iter().map(call).collect();
    NewMessage { tool_calls, ..NewMessage::text(Role::Assistant, "", at(n)) }
}

/// A session of an API whose callers run tools between turns.
async fn opened<S: Storage>(world: &World<S>, n: u32) -> Result<Session> {
    let mut session = world.session(n);
    session.profile.turns.writes = Writes::WithReply;
    session.profile.turns.defers_calls = true;
    assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    Ok(session)
}

fn begin<S: Storage>(
    world: &World<S>,
    session: &Session,
    messages: Vec<Said>,
    n: u64,
) -> BeginTurnRequest {
    BeginTurnRequest { messages, ..world.begin(session.id, at(n)) }
}

/// Takes a turn: `messages` are answered with `reply`.
async fn taken<S: Storage>(
    world: &World<S>,
    session: &Session,
    messages: Vec<Said>,
    reply: NewMessage,
    n: u64,
) -> Result<FinishTurnOutcome> {
    let outcome = world.store.begin_turn(begin(world, session, messages, n), at(n)).await?;
    let BeginTurnOutcome::Begun { number, messages: fitted, .. } = outcome else {
        panic!("{outcome:?}")
    };
    let finish = FinishTurnRequest {
        usage: usage_of(&fitted).plus(replied_usage()),
        said: u32::try_from(fitted.len()).expect("few"),
        messages: fitted.into_iter().map(|said| said.body).chain([reply]).collect(),
        ..world.finish(session.id, number, at(n))
    };
    world.store.finish_turn(finish, at(n)).await
}

/// The transcript in short: who spoke, and which call is answered, and whether with nothing.
async fn shown<S: Storage>(world: &World<S>, session: &Session) -> Result<Vec<String>> {
    let messages = world.store.messages(&world.org, session.id, 0, 100).await?;
    let shown = messages.into_iter().map(|message| match message.body.tool_call_id {
        Some(id) if message.body.content == NO_RESULT => format!("{id} nothing"),
        Some(id) => format!("{id} result"),
        None => message.body.role.as_str().to_owned(),
    });
    Ok(shown.collect())
}

pub async fn what_is_said_with_a_reply_is_written_with_it(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    let said = vec![told(Role::System, 1), told(Role::User, 1)];
    let outcome = world.store.begin_turn(begin(&world, &session, said.clone(), 1), at(1)).await?;
    let BeginTurnOutcome::Begun { history, messages, number, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((history, messages), (Vec::new(), said.clone()), "it comes back as it fits");
    let stored = world.stored(session.id).await?;
    assert_eq!((stored.messages, stored.usage), (0, Usage::default()), "nothing is written yet");
    assert_eq!(stored.last_activity, at(1), "but it counts as activity");

    let nothing = FinishTurnRequest {
        messages: Vec::new(),
        usage: Usage::default(),
        ..world.finish(session.id, number, at(2))
    };
    world.store.finish_turn(nothing, at(2)).await?;
    assert_eq!(shown(&world, &session).await?, Vec::<String>::new(), "it left no trace");

    taken(&world, &session, said, replied("On time.", at(3)), 3).await?;
    assert_eq!(shown(&world, &session).await?, ["system", "user", "assistant"]);
    let stored = world.stored(session.id).await?;
    assert_eq!((stored.usage.user_messages, stored.usage.total_messages), (1, 2));
    assert_eq!(stored.usage.input_tokens, 4);
    let visible = world.store.visible_messages(&world.org, session.id, 0, 10).await?;
    assert_eq!(visible.len(), 2, "instructions are not for the person");
    audit(&*world.store, &world.org).await
}

pub async fn several_messages_begin_a_turn_together(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let messages = vec![told(Role::System, 1), told(Role::User, 1), told(Role::User, 1)];
    let request = begin(&world, &session, messages.clone(), 1);
    let outcome = world.store.begin_turn(request, at(1)).await?;
    let BeginTurnOutcome::Begun { session: begun, history, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(begun.usage, usage_of(&messages), "a session that writes as it goes counts at once");
    assert_eq!((begun.messages, history.len()), (3, 3));
    assert_eq!(shown(&world, &session).await?, ["system", "user", "user"]);
    let empty = begin(&world, &world.opened(2).await?, Vec::new(), 1);
    let outcome = world.store.begin_turn(empty, at(1)).await?;
    assert_eq!(outcome, BeginTurnOutcome::Misfit(Misfit::Nothing));
    audit(&*world.store, &world.org).await
}

pub async fn open_calls_are_answered_by_the_next_turn(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    taken(&world, &session, vec![told(Role::User, 1)], calling(&["a", "b"], 1), 1).await?;
    let results = vec![result_of("b", 2), result_of("a", 2)];
    taken(&world, &session, results, replied("Both.", at(2)), 2).await?;
    let expected = ["user", "assistant", "a result", "b result", "assistant"];
    assert_eq!(shown(&world, &session).await?, expected);
    audit(&*world.store, &world.org).await
}

pub async fn what_does_not_go_on_from_the_transcript_is_refused(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    let misfit = async |messages: Vec<Said>| {
        let outcome = world.store.begin_turn(begin(&world, &session, messages, 5), at(5)).await?;
        let BeginTurnOutcome::Misfit(misfit) = outcome else { panic!("{outcome:?}") };
        Ok::<_, crate::Error>(misfit)
    };
    assert_eq!(misfit(vec![result_of("a", 5)]).await?, Misfit::Unasked("a".into()));
    taken(&world, &session, vec![told(Role::User, 1)], calling(&["a", "b"], 1), 1).await?;
    let before = world.stored(session.id).await?;
    assert_eq!(misfit(vec![result_of("a", 5)]).await?, Misfit::Missing("b".into()));
    let twice = vec![result_of("a", 5), result_of("a", 5)];
    assert_eq!(misfit(twice).await?, Misfit::Doubled("a".into()));
    assert_eq!(world.stored(session.id).await?, before, "nothing changed, and no turn runs");
    Ok(())
}

pub async fn calls_that_are_passed_over_are_closed_in_order(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    taken(&world, &session, vec![told(Role::User, 1)], calling(&["a", "b"], 1), 1).await?;
    taken(&world, &session, vec![told(Role::User, 2)], replied("Well.", at(2)), 2).await?;
    let expected = ["user", "assistant", "a nothing", "b nothing", "user", "assistant"];
    assert_eq!(shown(&world, &session).await?, expected);
    audit(&*world.store, &world.org).await
}

pub async fn an_end_closes_the_calls_that_are_open(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    // One of the two is the agent's own tool, and has run.
    let number = world.begun(session.id, at(1)).await?;
    let ran = result_of("a", 1).body;
    let finish = FinishTurnRequest {
        messages: vec![said("Look.", at(1)), calling(&["a", "b"], 1), ran],
        ..world.finish(session.id, number, at(1))
    };
    world.store.finish_turn(finish, at(1)).await?;
    world.end(session.id, EndRequest::asked(EndReason::UserEnd), at(2)).await?;
    assert_eq!(shown(&world, &session).await?, ["user", "assistant", "a result", "b nothing"]);
    let stored = world.stored(session.id).await?;
    assert_eq!(stored.messages, 4);
    audit(&*world.store, &world.org).await
}

pub async fn a_session_without_open_calls_ends_with_nothing_added(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    for (n, defers) in [(1, true), (2, false)] {
        let mut session = world.session(n);
        session.profile.turns.defers_calls = defers;
        world.open(&session).await?;
        world.turn(session.id, at(1)).await?;
        world.ended(session.id, at(2)).await?;
        assert_eq!(shown(&world, &session).await?, ["user", "assistant"]);
    }
    audit(&*world.store, &world.org).await
}

pub async fn a_turn_on_record_says_how_much_was_said_to_the_agent(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    let said = vec![told(Role::User, 1), told(Role::Assistant, 1)];
    let begin = BeginTurnRequest { key: Some("k".into()), ..begin(&world, &session, said, 1) };
    let number = match world.store.begin_turn(begin.clone(), at(1)).await? {
        BeginTurnOutcome::Begun { number, .. } => number,
        other => panic!("{other:?}"),
    };
    let mut messages: Vec<_> = begin.messages.iter().map(|said| said.body.clone()).collect();
    messages.push(replied("Yes.", at(1)));
    let key = begin.key.clone();
    let finish =
        FinishTurnRequest { messages, key, said: 2, ..world.finish(session.id, number, at(1)) };
    world.store.finish_turn(finish, at(1)).await?;
    let again = world.store.begin_turn(begin, at(2)).await?;
    let BeginTurnOutcome::OnRecord { messages, said, .. } = again else { panic!("{again:?}") };
    assert_eq!((messages.len(), said), (3, 2));
    Ok(())
}

pub async fn what_the_agent_saved_comes_with_its_turn(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = opened(&world, 1).await?;
    let save = async |variables: Value, n: u64| {
        let number = world.begun(session.id, at(n)).await?;
        let variables: Map<String, Value> = serde_json::from_value(variables).expect("an object");
        let finish = FinishTurnRequest { variables, ..world.finish(session.id, number, at(n)) };
        let outcome = world.store.finish_turn(finish, at(n)).await?;
        let stored = world.stored(session.id).await?;
        assert_eq!(outcome, FinishTurnOutcome::Recorded(Box::new(stored.clone())));
        Ok::<_, crate::Error>(stored.context.bag)
    };
    save(json!({ "name": "Ann", "n": 1 }), 1).await?;
    let bag = save(json!({ "n": 2, "x": null }), 2).await?;
    assert_eq!(Value::Object(bag.clone()), json!({ "name": "Ann", "n": 2, "x": null }));
    // What was said counts, even if the bag cannot take what was saved.
    let long = json!({ "long": "x".repeat(BAG_BYTES_MAX), "n": 3 });
    let bag: Map<_, _> = bag.into_iter().chain([("n".to_owned(), json!(3))]).collect();
    assert_eq!(save(long, 3).await?, bag, "what fits is kept");
    assert_eq!(world.stored(session.id).await?.turns, 3);

    let number = world.begun(session.id, at(4)).await?;
    let ended = world.ended(session.id, at(5)).await?;
    let late = FinishTurnRequest {
        variables: [("late".to_owned(), json!(1))].into_iter().collect(),
        ..world.finish(session.id, number, at(6))
    };
    let outcome = world.store.finish_turn(late, at(6)).await?;
    assert_eq!(outcome, FinishTurnOutcome::Fenced(ended));
    assert_eq!(world.stored(session.id).await?.context.bag, bag);
    Ok(())
}

pub async fn a_session_opened_for_a_turn_comes_about_with_it(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let project = epilogue_core::ProjectId::from("p");
    let named = |n: u32| {
        let mut session = world.session(n);
        session.profile.turns.writes = Writes::WithReply;
        session.profile.turns.begins_with_turn = true;
        session.project = Some(project.clone());
        session.dialect_id = "x".into();
        session
    };
    let live = || SessionName::LiveInProject(project.clone(), "x".into());
    let first = named(1);
    assert_eq!(world.open(&first).await?, OpenOutcome::Opened);
    let number = world.begun(first.id, at(1)).await?;
    let nothing = FinishTurnRequest {
        messages: Vec::new(),
        usage: Usage::default(),
        then_end: Some(EndReason::Failed),
        ..world.finish(first.id, number, at(1))
    };
    world.store.finish_turn(nothing, at(1)).await?;
    let stored = world.stored(first.id).await?;
    assert!(stored.ended().is_some_and(|ended| ended.cost == MicroCredits::ZERO));
    assert_eq!(stored.project, None, "nobody in its project hears of it");
    assert_eq!(world.store.find(&world.org, &live()).await?, None);
    let steps = world.store.steps_of(&world.org, first.id).await?;
    assert!(steps.iter().all(|(step, _)| !step.kind.notifies()), "{steps:?}");

    let second = named(2);
    assert_eq!(world.open(&second).await?, OpenOutcome::Opened);
    world.turn(second.id, at(2)).await?;
    let found = world.store.find(&world.org, &live()).await?;
    assert_eq!(found.map(|session| session.id), Some(second.id));
    world.ended(second.id, at(3)).await?;
    let steps = world.store.steps_of(&world.org, second.id).await?;
    assert!(steps.iter().any(|(step, _)| step.kind.notifies()));
    Ok(())
}

pub async fn a_turn_and_an_end_leave_no_call_open(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = opened(world, 1).await?;
        let number = world.begun(session.id, at(1)).await?;
        let finish = FinishTurnRequest {
            messages: vec![said("Look.", at(2)), calling(&["a", "b"], 2)],
            ..world.finish(session.id, number, at(2))
        };
        let (store, org, id) = (Arc::clone(&world.store), world.org.clone(), session.id);
        let asked = EndRequest::asked(EndReason::UserEnd);
        let ending = contender(async move { store.end(&org, id, asked, at(2)).await.map(drop) });
        let store = Arc::clone(&world.store);
        let finishing = contender(async move { store.finish_turn(finish, at(2)).await.map(drop) });
        race_two(dice, ending, finishing).await?;
        let shown = shown(world, &session).await?;
        let whole = ["user", "assistant", "a nothing", "b nothing"];
        assert!(shown.is_empty() || shown == whole, "{shown:?}");
        // Nor does one whose process is gone.
        let other = opened(world, 2).await?;
        taken(world, &other, vec![told(Role::User, 1)], calling(&["c"], 1), 1).await?;
        world.begun(other.id, at(2)).await?;
        world.store.abandon_turns(&[NodeId::from("another")], at(3)).await?;
        let ended = world.ended(other.id, at(3)).await?;
        assert!(ended.cost > MicroCredits::ZERO);
        assert_eq!(self::shown(world, &other).await?, ["user", "assistant", "c nothing"]);
        audit(&*world.store, &world.org).await
    })
    .await
}
