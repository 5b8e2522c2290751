//! What a purge removes and what it leaves, by what the session's profile keeps.

use epilogue_core::{
    EndReason, EndRequest, EventId, Message, Profile, Session, SessionState, StepId, StepKind,
    analysis::EXTRACTION, message::ToolCall, profile::Keeps, session::Context,
    variables::SAVE_VARIABLES,
};
use serde_json::json;

use super::{
    Backend,
    audit::audit,
    fixture::{START, World, at, every, profile},
    prelude::*,
};
use crate::{
    AnalysisResult, BeginTurnRequest, Delivery, DeliveryAttempt, FinishTurnOutcome,
    FinishTurnRequest, PageRequest, Product, Result, RetryOutcome, SettleRequest, StepReport,
    Storage,
};

/// Stands in everything that was said, given and answered.
const SAID: &str = "On time.";
const GIVEN: &str = "what the client gave";
const ANSWERED: &str = "what the receiver answered";

fn told(session: &Session, kind: StepKind, accepted: bool) -> Product {
    let delivery = Delivery {
        id: StepId::own(session.id, kind).event_id(),
        session: session.id,
        event: "session.ended".into(),
        url: "https://hooks.example.com/x".into(),
        body: json!({ "variables": GIVEN }).to_string(),
        created_at: at(10),
        accepted_at: accepted.then(|| at(10)),
        attempts: 1,
    };
    let attempt = DeliveryAttempt {
        at: at(10),
        duration_ms: 1,
        status: Some(if accepted { 200 } else { 500 }),
        error: None,
        response: ANSWERED.into(),
    };
    Product::Delivery(Box::new(delivery), attempt)
}

/// A session that said, was given and told something, and has ended with a note.
async fn ended<S: Storage>(world: &World<S>, n: u32, keeps: Keeps) -> Result<Session> {
    let mut session = world.session(n);
    session.profile = Profile { keeps, holds_media: false, ..profile() };
    session.person = epilogue_core::Person::new("ann@example.com");
    session.context.bag = [("name".to_owned(), json!(GIVEN))].into_iter().collect();
    world.open(&session).await?;
    let begin = BeginTurnRequest { key: Some("key".into()), ..world.begin(session.id, START) };
    world.store.begin_turn(begin, START).await?;
    let mut finish = world.finish(session.id, 1, START);
    let saved = ToolCall {
        id: "call_1".into(),
        name: SAVE_VARIABLES.into(),
        arguments: json!({ "name": GIVEN }).to_string(),
    };
    finish.messages[0].tool_calls = vec![saved];
    let finish = FinishTurnRequest { key: Some("key".into()), ..finish };
    let finished = world.store.finish_turn(finish, START).await?;
    assert!(matches!(finished, FinishTurnOutcome::Recorded(_)), "{finished:?}");
    let note = Some(GIVEN.to_owned());
    let request = EndRequest { note, ..EndRequest::asked(EndReason::UserEnd) };
    world.end(session.id, request, at(1)).await?;
    world.stored(session.id).await
}

/// Carries the session to its purge, with receivers that accept nothing or everything.
async fn purged<S: Storage>(world: &World<S>, session: &Session, accepted: bool) -> Result<()> {
    let verdict = || if accepted { StepReport::Done } else { StepReport::Park("gone".into()) };
    let id = |kind| StepId::own(session.id, kind);
    let analysis = AnalysisResult { form: "qa".into(), values: json!({ "x": 1 }), at: at(2) };
    world.done(id(StepKind::IngestMemory), at(2)).await?;
    let found =
        AnalysisResult { form: EXTRACTION.into(), values: json!({ "name": GIVEN }), at: at(2) };
    let made = vec![Product::Analysis(analysis), Product::Analysis(found)];
    world.work(id(StepKind::Analyze), StepReport::Done, made, at(2)).await?;
    for kind in [StepKind::NotifyEnded, StepKind::NotifyFinalized] {
        world.work(id(kind), verdict(), vec![told(session, kind, accepted)], at(3)).await?;
    }
    world.work(id(StepKind::Purge), StepReport::Done, vec![Product::Purge], at(4)).await?;
    Ok(())
}

/// All that is still said of a session, as text.
async fn traces<S: Storage>(world: &World<S>, session: &Session) -> Result<String> {
    let (store, org, id) = (&world.store, &world.org, session.id);
    let fetch = async |page: PageRequest| store.list_activity(org, Some(id), &page).await;
    let activity = every(10, fetch).await?;
    let mut traces = vec![
        format!("{:?} {activity:?}", world.stored(id).await?),
        format!("{:?}", store.messages(org, id, 0, 100).await?),
        format!("{:?}", store.analyses_of(org, id).await?),
    ];
    for kind in [StepKind::NotifyEnded, StepKind::NotifyFinalized] {
        let event: EventId = StepId::own(id, kind).event_id();
        traces.push(format!("{:?}", store.delivery(org, &event).await?));
    }
    Ok(traces.concat())
}

pub async fn nothing_that_was_said_or_given_outlives_the_purge(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = ended(&world, 1, Keeps::Counters).await?;
    let before = traces(&world, &session).await?;
    assert!([SAID, GIVEN].iter().all(|text| before.contains(text)), "{before}");
    let bystander = ended(&world, 2, Keeps::Counters).await?;
    let aside = traces(&world, &bystander).await?;
    purged(&world, &session, true).await?;
    let after = traces(&world, &session).await?;
    assert!(![SAID, GIVEN, ANSWERED].iter().any(|text| after.contains(text)), "{after}");
    let stored = world.stored(session.id).await?;
    assert_eq!((stored.context, stored.messages, stored.person), (Context::default(), 0, None));
    let kept = (stored.usage, stored.opened_at, stored.state.clone());
    let expected = (session.usage, session.opened_at);
    assert_eq!((kept.0, kept.1), expected, "what was counted stays");
    assert!(matches!(kept.2, SessionState::Final { .. }), "{:?}", kept.2);
    assert_eq!(world.store.analyses_of(&world.org, session.id).await?.len(), 1);
    let begin = BeginTurnRequest { key: Some("key".into()), ..world.begin(session.id, at(9)) };
    let again = world.store.begin_turn(begin, at(9)).await?;
    let crate::BeginTurnOutcome::OnRecord { messages, .. } = again else {
        panic!("a call is known when its answer is gone, not: {again:?}");
    };
    assert_eq!(messages, []);
    assert_eq!(traces(&world, &bystander).await?, aside, "another's is its own");
    audit(&*world.store, &world.org).await
}

pub async fn messages_stay_where_the_profile_keeps_them(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = ended(&world, 1, Keeps::Messages).await?;
    let said = world.store.messages(&world.org, session.id, 0, 100).await?;
    purged(&world, &session, true).await?;
    let kept = world.store.messages(&world.org, session.id, 0, 100).await?;
    let words = |messages: &[Message]| -> Vec<_> {
        messages.iter().map(|message| message.body.content.clone()).collect()
    };
    assert_eq!(words(&kept), words(&said));
    assert_eq!(kept[1].body.tool_calls[0].arguments, "{}", "what was saved is a variable");
    assert_eq!(world.stored(session.id).await?.messages, session.messages);
    let after = traces(&world, &session).await?;
    assert!(after.contains(SAID), "{after}");
    assert!(![GIVEN, ANSWERED].iter().any(|text| after.contains(text)), "{after}");
    audit(&*world.store, &world.org).await
}

pub async fn a_note_stays_where_the_api_keeps_transcripts(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = ended(&world, 1, Keeps::Transcript).await?;
    purged(&world, &session, true).await?;
    let after = traces(&world, &session).await?;
    assert!(!after.contains(SAID) && !after.contains(ANSWERED), "{after}");
    assert_eq!(after.matches(GIVEN).count(), 1, "the note in the activity log: {after}");
    Ok(())
}

pub async fn a_dead_receiver_keeps_no_conversation(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = ended(&world, 1, Keeps::Counters).await?;
    purged(&world, &session, false).await?;
    let after = traces(&world, &session).await?;
    assert!(![SAID, GIVEN, ANSWERED].iter().any(|text| after.contains(text)), "{after}");
    assert!(matches!(world.stored(session.id).await?.state, SessionState::Finalizing(_)));

    // Both are told after all: of what has stayed, and nothing is kept of what they answer.
    for kind in [StepKind::NotifyEnded, StepKind::NotifyFinalized] {
        let id = StepId::own(session.id, kind);
        let resumed = world.store.retry(&world.org, id, None, at(20)).await?;
        assert!(matches!(resumed, RetryOutcome::Resumed), "{resumed:?}");
        let made = vec![told(&session, kind, true)];
        world.work(id, StepReport::Done, made, at(20)).await?;
        let (delivery, attempts) =
            world.store.delivery(&world.org, &id.event_id()).await?.expect("on record");
        assert_eq!((delivery.body.as_str(), attempts.len()), ("", 2));
        assert!(attempts.iter().all(|attempt| attempt.response.is_empty()), "{attempts:?}");
    }
    assert!(matches!(world.stored(session.id).await?.state, SessionState::Final { .. }));
    let after = traces(&world, &session).await?;
    assert!(![SAID, GIVEN, ANSWERED].iter().any(|text| after.contains(text)), "{after}");
    audit(&*world.store, &world.org).await
}

pub async fn a_parked_receiver_holds_the_purge_where_transcripts_are_kept(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = ended(&world, 1, Keeps::Transcript).await?;
    let id = |kind| StepId::own(session.id, kind);
    for kind in [StepKind::IngestMemory, StepKind::Analyze] {
        world.done(id(kind), at(2)).await?;
    }
    for kind in [StepKind::NotifyEnded, StepKind::NotifyFinalized] {
        world.work(id(kind), StepReport::Park("gone".into()), Vec::new(), at(3)).await?;
    }
    assert_eq!(world.step(session.id, StepKind::Purge).await?.state.as_str(), "waiting");
    assert_eq!(world.store.messages(&world.org, session.id, 0, 100).await?.len(), 2);
    Ok(())
}

pub async fn a_receiver_that_is_still_to_be_told_keeps_its_own_words_alone(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = ended(&world, 1, Keeps::Counters).await?;
    let id = |kind| StepId::own(session.id, kind);
    for kind in [StepKind::IngestMemory, StepKind::Analyze] {
        world.done(id(kind), at(2)).await?;
    }
    let (event, purge) = (id(StepKind::NotifyEnded), id(StepKind::Purge));
    assert_eq!(world.step(session.id, purge.kind).await?.state.as_str(), "waiting", "untried");
    let made = || vec![told(&session, event.kind, false)];
    world.work(event, StepReport::Again { due_at: at(9) }, made(), at(3)).await?;
    let done = world.work(purge, StepReport::Done, vec![Product::Purge], at(4)).await?;
    assert!(matches!(done, crate::SettleOutcome::Recorded { finalized: false, .. }), "{done:?}");
    let stored = world.stored(session.id).await?;
    assert_eq!((stored.context, stored.messages, stored.person), (Context::default(), 0, None));
    assert_eq!(world.store.messages(&world.org, session.id, 0, 100).await?, []);
    let delivery = async || world.store.delivery(&world.org, &event.event_id()).await;
    let (owed, attempts) = delivery().await?.expect("on record");
    assert!(owed.body.contains(GIVEN) && attempts[0].response.is_empty(), "{owed:?} {attempts:?}");
    let after = traces(&world, &session).await?;
    assert!(after.matches(GIVEN).count() == 1 && !after.contains(SAID), "{after}");
    world.work(event, StepReport::Again { due_at: at(12) }, made(), at(9)).await?;
    assert_eq!(delivery().await?.expect("on record").0.body, owed.body, "told the same again");
    world.work(event, StepReport::Park("gone".into()), made(), at(12)).await?;
    let after = traces(&world, &session).await?;
    assert!(![SAID, GIVEN, ANSWERED].iter().any(|text| after.contains(text)), "{after}");
    world.work(id(StepKind::NotifyFinalized), StepReport::Done, Vec::new(), at(12)).await?;
    audit(&*world.store, &world.org).await
}

pub async fn what_is_told_while_the_purge_runs_does_not_outlive_it(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let session = ended(&world, 1, Keeps::Counters).await?;
    let id = |kind| StepId::own(session.id, kind);
    for kind in [StepKind::IngestMemory, StepKind::Analyze] {
        world.done(id(kind), at(2)).await?;
    }
    let event = id(StepKind::NotifyEnded);
    // It never came to send anything, so that nothing is on record.
    for kind in [event.kind, StepKind::NotifyFinalized] {
        world.work(id(kind), StepReport::Park("no secret".into()), Vec::new(), at(3)).await?;
    }
    let purging = world.claimed(id(StepKind::Purge), at(4)).await?;
    world.store.retry(&world.org, event, None, at(4)).await?;
    let telling = world.claimed(event, at(4)).await?;
    let report = world.report(&purging, StepReport::Done);
    let purge = SettleRequest { products: vec![Product::Purge], ..report };
    world.store.settle(purge, at(5)).await?;
    let report = world.report(&telling, StepReport::Done);
    let made = vec![told(&session, event.kind, true)];
    world.store.settle(SettleRequest { products: made, ..report }, at(6)).await?;
    let after = traces(&world, &session).await?;
    assert!(![SAID, GIVEN, ANSWERED].iter().any(|text| after.contains(text)), "{after}");
    Ok(())
}
