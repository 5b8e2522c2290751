//! Memory and purge: what is remembered, what is removed, and what neither may hold up.

use epilogue_core::{EndReason, Person, SessionId, Span, StepKind, profile::Keeps};
use epilogue_engine::session::OpenSession;
use serde_json::{Value, json};

use crate::support::{
    Setup, TestEngine, is_final,
    model::{end, text},
    org,
    outside::{Mood, Plan},
    settle, soon,
};

fn remembering(setup: &mut Setup) {
    setup.agent["memory"] = json!(true);
}

fn by_ann(open: &mut OpenSession) {
    open.person = Person::new("ann@example.com");
}

/// Everything that was said, however much, and the end of it in the next session's instructions.
#[tokio::test]
async fn a_conversation_of_1200_messages_is_remembered_whole_and_recalled() {
    let app = TestEngine::with(remembering).await;
    app.model().by_rule(|request| {
        let asked = &request.messages.last().expect("a message").body.content;
        Ok(vec![text(&format!("answer to {asked}")), end()])
    });
    let id = app.open_with(by_ann).await;
    for turn in 0..600 {
        app.say(id, &format!("<{turn}>")).await;
    }
    app.end(id).await;
    app.run_until_idle().await;
    let (_, attempts) = app.step(id, StepKind::IngestMemory).await;
    assert_eq!(attempts[0].detail, "1201 messages remembered");
    let scope = Person::new("Ann@Example.com").expect("a person").memory_scope(&"agent".into());
    let episodes = app.storage.recall(&org(), &scope, 10).await.expect("read");
    let lines: Vec<_> = episodes[0].text.lines().collect();
    assert_eq!((episodes.len(), lines.len()), (1, 1_201));
    for turn in 0..600 {
        assert_eq!(lines[2 * turn + 1], format!("User: <{turn}>"));
        assert_eq!(lines[2 * turn + 2], format!("Assistant: answer to <{turn}>"));
    }
    let next = app.open_with(by_ann).await;
    app.say(next, "me again").await;
    let system = app.model().asked().pop().expect("asked").system;
    assert!(system.starts_with("Be helpful.\n\n") && system.contains("answer to <599>"));
    let stranger = app.open_with(|open| open.person = Person::new("bob@example.com")).await;
    app.say(stranger, "hello").await;
    assert_eq!(app.model().asked().pop().expect("asked").system, "Be helpful.");
}

#[tokio::test]
async fn memory_that_fails_or_is_late_never_fails_an_open() {
    let app = TestEngine::with(remembering).await;
    app.memory_is(Mood::Failing);
    assert_eq!(app.session(app.open_with(by_ann).await).await.context.recalled, None);
    app.memory_is(Mood::Stalled);
    let mut opening = app.opening();
    by_ann(&mut opening);
    let engine = app.engine.clone();
    let open = tokio::spawn(async move { engine.open(opening).await });
    settle().await;
    let opened = soon(async {
        while !open.is_finished() {
            app.advance(Span::from_millis(100));
            tokio::task::yield_now().await;
        }
        open.await.expect("no panic").expect("it opens")
    })
    .await;
    assert_eq!(opened.session.context.recalled, None);
    let figures = app.engine.metrics().encode(&app.engine.snapshot().await.expect("read"));
    assert!(figures.contains("epilogue_recall_failures_total 2"), "{figures}");
}

/// Memory that is down is retried, and what it missed is not lost.
#[tokio::test]
async fn memory_that_was_down_learns_everything_later() {
    let app = TestEngine::with(remembering).await;
    app.memory_is(Mood::Failing);
    let id = app.open_with(by_ann).await;
    app.say(id, "remember me").await;
    app.end(id).await;
    app.run_until_idle().await;
    assert_eq!(app.step(id, StepKind::IngestMemory).await.0.failures, 1);
    app.memory_is(Mood::Well);
    let due = app.storage.next_due_step().await.expect("read").expect("owed");
    app.advance(due.since(app.now()));
    app.run_until_idle().await;
    let next = app.session(app.open_with(by_ann).await).await;
    assert!(next.context.recalled.expect("recalled").contains("remember me"));
}

async fn purgeable(app: &TestEngine) -> SessionId {
    let id = app
        .open_with(|open| {
            by_ann(open);
            open.metadata = json!({ "order": "secret-17" });
            open.variables.insert("name".into(), "secret-18".into());
        })
        .await;
    app.say(id, "secret-19").await;
    id
}

/// What must not stay is gone, from the file too; what the books need stays.
#[tokio::test]
async fn a_purge_removes_words_and_keeps_counters_and_books() {
    for by_agent in [true, false] {
        let app = TestEngine::with(|setup| {
            if by_agent {
                setup.agent["keep_transcript"] = json!(false);
            } else {
                setup.profile.keeps = Keeps::Counters;
            }
        })
        .await;
        let id = purgeable(&app).await;
        let receipt = app.end(id).await;
        assert_eq!(app.transcript(id).await.len(), 3, "still there for the steps");
        app.run_until_idle().await;
        let session = app.session(id).await;
        assert!(is_final(&session));
        assert!(app.transcript(id).await.is_empty());
        assert_eq!((&session.context.metadata, session.context.variables.len()), (&Value::Null, 0));
        assert_eq!(session.usage, receipt.session.usage);
        let event = epilogue_core::StepId::own(id, StepKind::NotifyEnded).event_id();
        let (delivery, attempts) =
            app.engine.delivery(&org(), &event).await.expect("read").expect("known");
        assert_eq!((delivery.body.as_str(), attempts[0].response.as_str()), ("", ""));
        assert_eq!(attempts[0].status, Some(200));
    }
}

/// Invariant 5: a parked step holds the purge, for it may yet need what would be removed.
#[tokio::test]
async fn a_parked_step_holds_the_purge_until_it_has_been_resumed() {
    let app = TestEngine::with(|setup| {
        remembering(setup);
        setup.agent["keep_transcript"] = json!(false);
        setup.policies.ingest_memory.schedule.truncate(1);
    })
    .await;
    app.memory_is(Mood::Failing);
    let id = purgeable(&app).await;
    app.end(id).await;
    app.run_until_idle().await;
    let expected = [
        (StepKind::IngestMemory, "parked"),
        (StepKind::NotifyEnded, "done"),
        (StepKind::Purge, "waiting"),
    ];
    assert_eq!(app.steps(id).await, expected);
    assert_eq!(app.transcript(id).await.len(), 3);
    app.memory_is(Mood::Well);
    let (step, _) = app.step(id, StepKind::IngestMemory).await;
    app.engine.retry_step(&org(), step.id(), None).await.expect("asked");
    app.run_until_idle().await;
    assert!(app.steps(id).await.iter().all(|(_, state)| *state == "done"));
    assert!(app.transcript(id).await.is_empty());
    assert!(is_final(&app.session(id).await));
}

/// Each session owes what its plan says and nothing else; media is released whatever else fails.
#[tokio::test]
async fn everything_that_is_owed_is_done_once_and_in_order() {
    let app = TestEngine::with(|setup| {
        remembering(setup);
        setup.agent["keep_transcript"] = json!(false);
        setup.agent["analysis"] = json!([{ "name": "qa", "labels": [] }]);
        setup.profile.holds_media = true;
        setup.profile.notify_finalized = true;
        setup.profile.searchable = true;
    })
    .await;
    app.webhooks().plan([Plan::Answer(500, None)]);
    let id = purgeable(&app).await;
    app.model().answers([vec![text("{}"), end()]]);
    app.end_for(id, EndReason::Disconnected).await;
    app.run_until_idle().await;
    assert_eq!(app.world.media.released(), [id, id], "at once, and by the step that makes sure");
    assert_eq!(app.webhooks().kinds(), ["notify_ended"]);
    app.advance(Span::from_secs(6));
    app.run_until_idle().await;
    assert_eq!(app.webhooks().kinds(), ["notify_ended", "notify_ended", "notify_finalized"]);
    let states = app.steps(id).await;
    // Only subscribers hear that it has begun.
    let owed = StepKind::ALL.into_iter().filter(|kind| *kind != StepKind::NotifyStarted);
    assert!(states.iter().map(|(kind, _)| *kind).eq(owed), "{states:?}");
    assert!(states.iter().all(|(_, state)| *state == "done"), "{states:?}");
    assert_eq!(app.world.media.released(), [id, id]);
}
