//! Sessions that are seen and heard live and die with the process that shows them.

use std::sync::atomic::Ordering;

use epilogue_core::{
    EndReason, EndRequest, MicroCredits, Price, SessionId, Span, Staging, StepKind,
    reason::{Deadline, DeadlineKind},
};
use epilogue_engine::{Engine, Error, session::StageError};
use serde_json::json;

use crate::support::{START, TestEngine, org, settle, soon};

const IDLE: Span = Span::from_secs(3_600);
const DAY: Span = Span::from_secs(86_400);
/// How often a session that is watched is kept alive.
const WATCHED_EVERY: Span = Span::from_secs(15);

/// An engine whose sessions are shown, and cost a credit a minute.
async fn engine() -> TestEngine {
    TestEngine::with(|setup| {
        setup.agent["price"] = json!({ "per_minute": "1" });
        setup.profile.keep_alive_counts = true;
        setup.profile.holds_media = true;
        setup.profile.idle_timeout = Some(IDLE);
    })
    .await
}

async fn open(app: &TestEngine) -> SessionId {
    let staging = Staging { avatar: "ann".into(), voice: None, pace_percent: None };
    app.open_with(|opening| opening.origin.staging = Some(staging)).await
}

async fn set_stage(app: &TestEngine, engine: Engine, id: SessionId) -> Result<(), StageError> {
    let session = app.session(id).await;
    engine.set_stage(&session).await
}

/// The time in which there was no process to show it is nobody's, and there was none from the last moment
/// on at which the session is known to have been shown.
#[tokio::test]
async fn a_session_that_a_restart_took_is_billed_to_its_last_sign_of_life() {
    let mut app = engine().await;
    let id = open(&app).await;
    let process = app.process("doomed");
    app.world.media.watched.store(true, Ordering::Relaxed);
    let (session, engine) = (app.session(id).await, process.engine.clone());
    let setting = process.spawn(async move { engine.set_stage(&session).await });
    setting.await.expect("it lives").expect("set");
    // In threads of its own: it begins to wait when it can.
    while app.session(id).await.last_seen < START + WATCHED_EVERY {
        assert!(app.now() < START + IDLE, "it is kept alive while it is watched");
        app.advance(Span::from_secs(1));
        settle().await;
    }
    process.kill();
    let last = app.session(id).await.last_seen;
    app.advance(DAY);
    app.restart().await;
    app.run_until_idle().await;

    let session = app.session(id).await;
    let ended = session.ended().expect("it ended");
    let deadline = Deadline { kind: DeadlineKind::Disconnected, at: last };
    assert_eq!((ended.reason, ended.deadline), (EndReason::Disconnected, Some(deadline)));
    let minute = Price { per_minute: 1.into(), ..Price::default() };
    let cost = minute.cost(&session.usage, last.since(START));
    assert!(cost > MicroCredits::ZERO);
    assert_eq!((ended.at, ended.cost), (app.now(), cost));
    assert_eq!(session.lasted(app.now()), last.since(START));
    let steps = app.steps(id).await;
    assert_eq!(steps, [(StepKind::ReleaseMedia, "done"), (StepKind::NotifyEnded, "done")]);
    assert_eq!(app.webhooks().sent().len(), 1);
}

/// One that was never shown goes on, and is billed to its own deadline if nobody comes back to it.
#[tokio::test]
async fn a_session_that_was_not_shown_lives_through_a_restart_and_is_billed_to_its_deadline() {
    let mut app = engine().await;
    let (back, gone) = (open(&app).await, open(&app).await);
    app.restart().await;
    app.run_until_idle().await;
    assert_eq!(app.engine.keep_alive(&org(), back).await.expect("kept"), Some(true));
    app.advance(DAY);
    app.restart().await;
    app.run_until_idle().await;
    for id in [back, gone] {
        let ended = app.session(id).await.ended().cloned().expect("it ended");
        assert_eq!((ended.reason, ended.cost), (EndReason::Idle, MicroCredits(60_000_000)));
    }
}

#[tokio::test]
async fn a_server_that_stops_closes_its_stages_and_sets_no_more() {
    let app = engine().await;
    let (one, two) = (open(&app).await, open(&app).await);
    set_stage(&app, app.engine.clone(), one).await.expect("set");
    assert_eq!(app.engine.stages(), 1);
    app.engine.begin_drain();
    app.engine.close_stages().await;
    assert_eq!(app.engine.stages(), 0);
    assert!(app.world.media.closed.load(Ordering::Relaxed));
    let refused = set_stage(&app, app.engine.clone(), two).await;
    assert!(matches!(refused, Err(StageError::Engine(Error::Draining))), "{refused:?}");
    soon(app.engine.drained()).await;
}

/// Whoever ended it did so elsewhere, or while it was set: it is given up here at the next look, watched or
/// not.
#[tokio::test]
async fn a_stage_whose_session_ended_behind_its_back_is_given_up() {
    for is_watched in [false, true] {
        let app = engine().await;
        app.world.media.watched.store(is_watched, Ordering::Relaxed);
        let (over, other) = (open(&app).await, open(&app).await);
        for id in [over, other] {
            set_stage(&app, app.engine.clone(), id).await.expect("set");
        }
        let ending = EndRequest::asked(EndReason::UserEnd);
        app.storage.end(&org(), over, ending, app.now()).await.expect("ended").expect("known");
        assert_eq!(app.engine.stages(), 2, "it is not known here");
        let released = || app.world.media.released().iter().filter(|id| **id == over).count();
        let before = released();
        settle().await;
        app.advance(WATCHED_EVERY);
        soon(async {
            while app.engine.stages() > 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(released() > before, "its place is free");
        app.advance(WATCHED_EVERY);
        settle().await;
        let again = set_stage(&app, app.engine.clone(), other).await;
        assert!(again.is_ok(), "the other goes on: {again:?}");
        assert_eq!(app.engine.stages(), 1);
    }
}
