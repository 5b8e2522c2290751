//! Shutting down: nothing new, what runs goes on, and in the end it is cut.

use epilogue_engine::{
    Error,
    session::{OpenError, TurnError, TurnEvent, TurnFailure, WhenBusy},
};

use crate::support::{TestEngine, rest, settle, soon};

#[tokio::test]
async fn a_drain_takes_nothing_new_and_lets_run_what_runs() {
    let app = TestEngine::start().await;
    let mut hand = app.model().by_hand();
    let (id, other) = (app.open().await, app.open().await);
    let mut stream = app.begin(id, "hello").await;
    let answer = hand.next().await.begin();
    app.engine.begin_drain();
    assert!(matches!(app.try_open(|_| {}).await, Err(OpenError::Engine(Error::Draining))));
    let refused = app.try_turn(other, "hello", WhenBusy::Wait).await;
    assert!(matches!(refused, Err(TurnError::Engine(Error::Draining))));
    assert!(app.end(other).await.outcome.is_new(), "an end is still taken");
    answer.text("Whole.").end();
    let events = rest(&mut stream).await;
    assert!(matches!(events.last(), Some(TurnEvent::Completed { .. })), "{events:?}");
    soon(app.engine.drained()).await;
    assert!(app.engine.health().await.draining);
}

/// Invariant 7: what is cut by a shutdown is kept, and the session lives on in the next process.
#[tokio::test]
async fn a_cut_keeps_what_there_is_and_the_session_goes_on_elsewhere() {
    let mut app = TestEngine::start().await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let mut stream = app.begin(id, "hello").await;
    let answer = hand.next().await.begin();
    answer.text("Half");
    soon(stream.events.recv()).await.expect("text");
    app.engine.begin_drain();
    app.engine.cut_turns();
    soon(app.engine.drained()).await;
    assert_eq!(rest(&mut stream).await, [TurnEvent::Failed(TurnFailure::ShuttingDown)]);
    app.restart().await;
    let mut next = app.begin(id, "where were we?").await;
    hand.next().await.say("Here.");
    rest(&mut next).await;
    assert_eq!(
        app.said(id).await[2..],
        ["assistant: Half", "user: where were we?", "assistant: Here."]
    );
}

/// Who waits in line when the drain begins has not begun, and does not begin any more.
#[tokio::test]
async fn whoever_waits_in_line_is_turned_away_by_a_drain() {
    let app = TestEngine::start().await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let mut stream = app.begin(id, "first").await;
    let _asked = hand.next().await;
    let waiting = [(); 3].map(|()| app.say_later(id, "waiting", WhenBusy::Wait));
    settle().await;
    app.engine.begin_drain();
    app.engine.cut_turns();
    for waiting in waiting {
        let refused = soon(waiting).await.expect("no panic");
        assert!(matches!(refused, Err(TurnError::Engine(Error::Draining))), "{refused:?}");
    }
    soon(app.engine.drained()).await;
    assert_eq!(rest(&mut stream).await, [TurnEvent::Failed(TurnFailure::ShuttingDown)]);
    assert_eq!(app.session(id).await.usage.user_messages, 1);
}
