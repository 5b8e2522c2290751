//! Deliveries: the whole schedule of attempts, and what a receiver can do about it.

use epilogue_core::{
    EventId, SessionState, Span, StepId, StepKind, StepState, Timestamp, step::AttemptOutcome,
};
use epilogue_engine::records::{ResendOutcome, RetryOutcome};

use crate::support::{
    MS, START, TestEngine, is_final, org,
    outside::{Plan, Sent},
    stranger,
};

/// The documented waits before each attempt, in seconds.
const SCHEDULE: [u64; 8] = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];

/// By how much a wait may be longer, in percent.
const JITTER_PERCENT: u64 = 10;

/// Works from one due step to the next until none is left. Never skips a moment: the clock moves
/// to exactly when the store says the next step is due.
async fn work_it_off(app: &TestEngine) {
    loop {
        app.run_until_idle().await;
        let Some(next) = app.storage.next_due_step().await.expect("read") else { return };
        assert!(next > app.now(), "something is due and was not done");
        app.advance(Span::from_millis(next.since(app.now()).as_millis() - 1));
        let before = app.webhooks().sent().len();
        app.run_until_idle().await;
        assert_eq!(app.webhooks().sent().len(), before, "a millisecond too early");
        app.advance(MS);
    }
}

fn one_event(sent: &[Sent]) -> EventId {
    assert!(sent.iter().all(|s| (&s.id, &s.body) == (&sent[0].id, &sent[0].body)), "{sent:?}");
    sent[0].id.clone()
}

fn waits_of(sent: &[Sent], since: Timestamp) -> Vec<Span> {
    let before = std::iter::once(since).chain(sent.iter().map(|s| s.at));
    before.zip(sent).map(|(before, sent)| sent.at.since(before)).collect()
}

fn assert_schedule(waits: &[Span]) {
    assert_eq!(waits.len(), SCHEDULE.len());
    for (wait, secs) in waits.iter().zip(SCHEDULE) {
        let (least, most) = (secs * 1_000, secs * 10 * (100 + JITTER_PERCENT));
        assert!((least..=most).contains(&wait.as_millis()), "{wait:?} for {secs} s");
    }
}

/// Invariants 5 and 6: eight attempts at the documented times, one id, one body, then parked for
/// all to see; resumed by hand with a fresh schedule, and still the same event.
#[tokio::test]
async fn a_receiver_that_never_accepts_is_tried_eight_times_and_parked_until_resumed() {
    let app = TestEngine::start().await;
    app.webhooks().always(Plan::Answer(500, None));
    let id = app.open().await;
    app.end(id).await;
    work_it_off(&app).await;
    let sent = app.webhooks().sent();
    one_event(&sent);
    let waits = waits_of(&sent, START);
    assert_schedule(&waits);
    assert!(waits.iter().zip(SCHEDULE).any(|(w, s)| w.as_millis() > s * 1_000), "no jitter");

    let (step, attempts) = app.step(id, StepKind::NotifyEnded).await;
    assert!(matches!(&step.state, StepState::Parked { reason, .. } if reason.contains("500")));
    assert!(attempts.iter().all(|attempt| attempt.outcome == AttemptOutcome::Failed));
    assert_eq!((attempts.len(), app.engine.health().await.parked), (8, 1));
    assert!(matches!(app.session(id).await.state, SessionState::Finalizing(_)));
    let page = epilogue_engine::records::PageRequest::first(10);
    let log = app.engine.activity(&org(), Some(id), &page).await.expect("read");
    assert_eq!(log.items[0].kind, "step.parked");

    app.advance(Span::from_secs(86_400));
    assert_eq!(
        app.engine.retry_step(&stranger(), step.id(), None).await.expect("asked"),
        RetryOutcome::NoStep
    );
    let resumed_at = app.now();
    let resumed = app.engine.retry_step(&org(), step.id(), Some("op".into())).await;
    assert_eq!(resumed.expect("asked"), RetryOutcome::Resumed);
    work_it_off(&app).await;
    let sent = app.webhooks().sent();
    one_event(&sent);
    assert_schedule(&waits_of(&sent[8..], resumed_at));

    app.webhooks().always(Plan::Answer(204, None));
    app.engine.retry_step(&org(), step.id(), None).await.expect("asked");
    app.run_until_idle().await;
    assert!(is_final(&app.session(id).await));
    let (delivery, attempts) =
        app.engine.delivery(&org(), &step.id().event_id()).await.expect("read").expect("known");
    assert_eq!(
        (attempts.len(), delivery.attempts, delivery.accepted_at),
        (17, 17, Some(app.now()))
    );
}

#[tokio::test]
async fn a_receiver_that_accepts_late_is_left_alone_afterwards() {
    let app = TestEngine::start().await;
    app.webhooks().plan([Plan::Unreachable, Plan::Hang, Plan::Answer(302, None)]);
    let id = app.open().await;
    app.end(id).await;
    let working = {
        let worker = app.worker.clone();
        tokio::spawn(async move { worker.run_until_idle().await })
    };
    app.webhooks().arrived(1).await;
    working.await.expect("no panic").expect("worked");
    let (step, _) = app.step(id, StepKind::NotifyEnded).await;
    let StepState::Owed { due_at } = step.state else { panic!("{step:?}") };
    app.advance(due_at.since(app.now()));
    // The second attempt hangs until its time limit cuts it.
    let working = {
        let worker = app.worker.clone();
        tokio::spawn(async move { worker.run_until_idle().await })
    };
    app.webhooks().arrived(2).await;
    app.advance(Span::from_secs(8));
    crate::support::soon(working).await.expect("no panic").expect("worked");
    work_it_off(&app).await;
    let sent = app.webhooks().sent();
    one_event(&sent);
    assert_eq!(sent.len(), 4);
    let (step, attempts) = app.step(id, StepKind::NotifyEnded).await;
    assert!(matches!(step.state, StepState::Done { .. }));
    assert!(attempts[1].detail.contains("8000 ms"), "{attempts:?}");
    assert!(is_final(&app.session(id).await));
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_asked_again() {
    let app = TestEngine::start().await;
    app.webhooks().always(Plan::Answer(410, None));
    let id = app.open().await;
    app.end(id).await;
    work_it_off(&app).await;
    assert_eq!(app.webhooks().sent().len(), 1);
    let (step, attempts) = app.step(id, StepKind::NotifyEnded).await;
    assert!(matches!(step.state, StepState::Parked { .. }));
    assert_eq!(attempts[0].outcome, AttemptOutcome::Fatal);
}

#[tokio::test]
async fn a_busy_receiver_may_lengthen_the_wait_and_never_shorten_it() {
    let app = TestEngine::start().await;
    let secs = Span::from_secs;
    app.webhooks().plan([
        Plan::Answer(429, Some(secs(600))),
        Plan::Answer(503, Some(secs(1))),
        Plan::Answer(500, Some(secs(50_000))),
    ]);
    let id = app.open().await;
    app.end(id).await;
    work_it_off(&app).await;
    let waits = waits_of(&app.webhooks().sent(), START);
    assert_eq!(waits[1], secs(600));
    assert!((secs(300)..=secs(330)).contains(&waits[2]), "{waits:?}");
    assert!((secs(1_800)..=secs(1_980)).contains(&waits[3]), "{waits:?}");
}

/// Invariant 6: a replay is the same event, and leaves a final session final.
#[tokio::test]
async fn a_delivery_that_is_sent_again_says_the_same_under_the_same_id() {
    let app = TestEngine::start().await;
    let id = app.open().await;
    app.end(id).await;
    app.run_until_idle().await;
    let event = StepId::own(id, StepKind::NotifyEnded).event_id();
    for expected in [ResendOutcome::Due, ResendOutcome::Underway(StepState::Owed { due_at: START })]
    {
        assert_eq!(app.engine.resend(&org(), &event, None).await.expect("asked"), expected);
    }
    assert_eq!(
        app.engine.resend(&stranger(), &event, None).await.expect("asked"),
        ResendOutcome::NoDelivery
    );
    app.run_until_idle().await;
    let sent = app.webhooks().sent();
    assert_eq!((sent.len(), one_event(&sent)), (2, event.clone()));
    assert!(is_final(&app.session(id).await));

    // A replay that fails has the whole schedule, and parks without reopening anything.
    app.webhooks().always(Plan::Unreachable);
    let again_at = app.now();
    app.engine.resend(&org(), &event, None).await.expect("asked");
    work_it_off(&app).await;
    assert_schedule(&waits_of(&app.webhooks().sent()[2..], again_at));
    assert!(is_final(&app.session(id).await));
}

/// Invariant 6: neither a restart in the middle nor another node changes the event.
#[tokio::test]
async fn a_restart_between_attempts_changes_nothing_about_the_event() {
    let mut app = TestEngine::start().await;
    app.webhooks().always(Plan::Answer(500, None));
    let id = app.open().await;
    app.end(id).await;
    app.run_until_idle().await;
    for _ in 0..3 {
        app.restart().await;
        let due = app.storage.next_due_step().await.expect("read").expect("owed");
        app.advance(due.since(app.now()));
        app.run_until_idle().await;
    }
    let sent = app.webhooks().sent();
    assert_eq!(sent.len(), 4);
    one_event(&sent);
}
