//! Deadlines: who expires, when, and who does not.

use epilogue_core::{
    EndOutcome, EndReason, Span, StepKind,
    reason::{Deadline, DeadlineKind},
};
use epilogue_engine::session::{TurnError, TurnEvent, TurnFailure, WhenBusy};

use crate::support::{HALF_HOUR, MS, START, TestEngine, org, request, rest, settle, soon};

/// Invariant 9, no early expiry: nothing happens a millisecond before the deadline.
#[tokio::test]
async fn a_quiet_session_ends_at_its_deadline_and_not_a_millisecond_before() {
    let app = TestEngine::start().await;
    let id = app.open().await;
    app.advance(Span::from_millis(HALF_HOUR.as_millis() - 1));
    app.run_until_idle().await;
    assert_eq!(app.session(id).await.ended(), None);

    app.advance(MS);
    app.run_until_idle().await;
    let session = app.session(id).await;
    let ended = session.ended().expect("it ended");
    let deadline = Deadline { kind: DeadlineKind::Idle, at: START + HALF_HOUR };
    assert_eq!((ended.reason, ended.at), (EndReason::Idle, deadline.at));
    assert_eq!(ended.deadline, Some(deadline));
    assert_eq!(app.steps(id).await, [(StepKind::NotifyEnded, "done")]);
}

/// Invariant 9: what a person said a millisecond before the deadline counts, wherever the deadline
/// index still points.
#[tokio::test]
async fn activity_just_before_the_deadline_gives_another_half_hour() {
    let app = TestEngine::start().await;
    let id = app.open().await;
    app.advance(Span::from_millis(HALF_HOUR.as_millis() - 1));
    app.say(id, "still here").await;
    let said_at = app.now();
    app.advance(MS);
    app.run_until_idle().await;
    assert_eq!(app.session(id).await.ended(), None);

    app.advance(Span::from_millis(HALF_HOUR.as_millis() - 2));
    app.run_until_idle().await;
    assert_eq!(app.session(id).await.ended(), None);
    app.advance(MS);
    app.run_until_idle().await;
    assert_eq!(app.session(id).await.ended().map(|e| e.at), Some(said_at + HALF_HOUR));
}

/// Whoever comes at the very deadline comes too late, before and after the timer has looked.
#[tokio::test]
async fn a_message_at_the_deadline_itself_is_too_late() {
    let app = TestEngine::start().await;
    let id = app.open().await;
    app.advance(HALF_HOUR);
    let refused = app.try_turn(id, "too late", WhenBusy::Wait).await;
    let Err(TurnError::Lapsed(deadline)) = refused else { panic!("{refused:?}") };
    assert_eq!(deadline.at, START + HALF_HOUR);
    assert_eq!(app.engine.keep_alive(&org(), id).await.expect("read"), Some(false));
    app.run_until_idle().await;
    let refused = app.try_turn(id, "too late", WhenBusy::Wait).await;
    assert!(matches!(&refused, Err(TurnError::Over(e)) if e.reason == EndReason::Idle));
    assert_eq!(app.said(id).await, ["assistant: Hello!"]);
}

/// Invariant 1, one end: a caller who ends a session after its deadline learns that it had lapsed.
#[tokio::test]
async fn a_late_end_is_told_of_the_deadline_that_came_first() {
    let app = TestEngine::start().await;
    let id = app.open().await;
    app.advance(HALF_HOUR);
    app.advance(Span::from_secs(5));
    let receipt = app.end(id).await;
    let EndOutcome::Lapsed(ended) = receipt.outcome else { panic!("{receipt:?}") };
    assert_eq!(ended.reason, EndReason::Idle);
    assert_eq!(ended.deadline.map(|d| d.at), Some(START + HALF_HOUR));
    assert_eq!(ended.at, START + HALF_HOUR + Span::from_secs(5));
    assert_eq!(app.end(id).await.outcome, EndOutcome::AlreadyEnded(ended));
    app.run_until_idle().await;
}

/// Invariant 9: a turn in flight holds the idle timer, and counts as activity when it is over.
#[tokio::test]
async fn a_turn_in_flight_holds_the_idle_timer() {
    let app = TestEngine::with(|s| s.profile.idle_timeout = Some(Span::from_secs(60))).await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let mut stream = app.begin(id, "think hard").await;
    let answer = hand.next().await.begin();
    answer.text("Let me");
    app.advance(Span::from_secs(200));
    app.run_until_idle().await;
    assert_eq!(app.session(id).await.ended(), None);
    answer.text(" see.").end();
    let events = rest(&mut stream).await;
    assert!(matches!(events.last(), Some(TurnEvent::Completed { .. })), "{events:?}");

    let over_at = app.now();
    app.advance(Span::from_millis(59_999));
    app.run_until_idle().await;
    assert_eq!(app.session(id).await.ended(), None);
    app.advance(MS);
    app.run_until_idle().await;
    assert_eq!(app.session(id).await.ended().map(|e| e.at), Some(over_at + Span::from_secs(60)));
}

/// A process that dies in mid-turn holds nobody's timer for longer than its lease.
#[tokio::test]
async fn an_abandoned_turn_holds_the_timer_until_its_lease_runs_out() {
    let app = TestEngine::with(|s| s.profile.idle_timeout = Some(Span::from_secs(60))).await;
    let _hand = app.model().by_hand();
    let id = app.open().await;
    let process = app.process("doomed");
    let (engine, request) = (process.engine.clone(), request(id, "hello?"));
    let stream = process.spawn(async move { engine.turn(request).await });
    let _stream = stream.await.expect("it lives").expect("it begins");
    process.kill();
    let lease = app.session(id).await.turn_in_flight().expect("in flight").lease_until;
    app.advance(Span::from_millis(lease.since(app.now()).as_millis() - 1));
    app.run_until_idle().await;
    assert_eq!(app.session(id).await.ended(), None);
    app.advance(MS);
    app.run_until_idle().await;
    assert_eq!(app.session(id).await.ended().map(|e| e.reason), Some(EndReason::Idle));
}

/// Invariants 7 and 9: the maximum duration does not wait for a turn. What came so far is kept and billed.
#[tokio::test]
async fn the_maximum_duration_cuts_a_running_turn() {
    let app = TestEngine::with(|s| s.profile.max_duration = Some(Span::from_secs(100))).await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let mut stream = app.begin(id, "tell me a story").await;
    let answer = hand.next().await.begin();
    answer.text("Once upon");
    assert_eq!(stream.events.recv().await, Some(TurnEvent::Text("Once upon".into())));
    app.advance(Span::from_secs(100));
    app.run_until_idle().await;
    assert_eq!(rest(&mut stream).await, [TurnEvent::Failed(TurnFailure::SessionEnded)]);
    let session = app.session(id).await;
    let ended = session.ended().expect("it ended");
    assert_eq!(ended.reason, EndReason::MaxDuration);
    assert_eq!(ended.deadline.map(|d| d.at), Some(START + Span::from_secs(100)));
    assert!(session.usage.output_tokens > 0 && session.usage.estimated);
    let last = app.transcript(id).await.pop().expect("a message");
    assert_eq!((last.body.content.as_str(), last.body.cut), ("Once upon", true));
}

/// Keep-alives count where the profile says so, and are only seen elsewhere.
#[tokio::test]
async fn keep_alives_count_only_where_the_profile_says_so() {
    for counts in [true, false] {
        let app = TestEngine::with(|s| s.profile.keep_alive_counts = counts).await;
        let id = app.open().await;
        app.advance(Span::from_secs(1_000));
        assert_eq!(app.engine.keep_alive(&org(), id).await.expect("kept"), Some(true));
        let seen_at = app.now();
        app.advance(Span::from_secs(800));
        app.run_until_idle().await;
        let session = app.session(id).await;
        assert_eq!(session.ended().is_none(), counts);
        assert_eq!(session.last_seen, seen_at);
        app.advance(Span::from_millis(999_999));
        app.run_until_idle().await;
        assert_eq!(app.session(id).await.ended().is_none(), counts);
        app.advance(MS);
        app.run_until_idle().await;
        assert!(app.session(id).await.ended().is_some());
    }
}

/// Invariant 9: after a restart the overdue end at once, each with its own deadline on record, and
/// a turn that the dead process ran does not protect its session.
#[tokio::test]
async fn overdue_sessions_end_at_start_with_their_original_deadline() {
    let mut app = TestEngine::start().await;
    let mut due = Vec::new();
    for _ in 0..5 {
        due.push((app.open().await, app.now() + HALF_HOUR));
        app.advance(Span::from_secs(7));
    }
    let _hand = app.model().by_hand();
    let cut = app.open().await;
    due.push((cut, app.now() + HALF_HOUR));
    let process = app.process("doomed");
    let (engine, request) = (process.engine.clone(), request(cut, "are you there?"));
    let turn = process.spawn(async move { engine.turn(request).await });
    let _stream = turn.await.expect("it lives").expect("it begins");
    process.kill();
    app.advance(Span::from_secs(86_400));
    app.restart().await;
    app.run_until_idle().await;
    for (id, deadline) in due {
        let session = app.session(id).await;
        let ended = session.ended().expect("it ended");
        assert_eq!(ended.deadline, Some(Deadline { kind: DeadlineKind::Idle, at: deadline }));
        assert_eq!(ended.at, app.now());
        assert_eq!(app.steps(id).await, [(StepKind::NotifyEnded, "done")]);
    }
}

/// Invariant 9: the sweeper that runs in the background wakes for the deadline itself, and for one
/// that is nearer than it thought.
#[tokio::test]
async fn the_sweeper_wakes_for_the_next_deadline() {
    let app = TestEngine::start().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let sweeping = {
        let (engine, stop) = (app.engine.clone(), stop.clone());
        tokio::spawn(async move { engine.run_sweeper(stop).await })
    };
    settle().await;
    let id = app.open_with(|o| o.profile.idle_timeout = Some(Span::from_millis(700))).await;
    app.advance(Span::from_millis(699));
    settle().await;
    assert_eq!(app.session(id).await.ended(), None);
    app.advance(MS);
    let ended = soon(async {
        loop {
            if let Some(ended) = app.session(id).await.ended() {
                return ended.clone();
            }
        }
    });
    assert_eq!(ended.await.at, START + Span::from_millis(700));
    stop.cancel();
    sweeping.await.expect("it stops");
}
