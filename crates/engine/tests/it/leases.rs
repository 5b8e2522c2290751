//! Lanes and leases: who may run how much, and what becomes of work whose worker dies.

use epilogue_core::{Span, StepKind, StepState, step::AttemptOutcome};
use epilogue_storage::ClaimRequest;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{
    MS, TestEngine, is_final, org,
    outside::{Mood, Plan},
    settle, soon,
};

/// A receiver that never answers fills its own lane, and nobody else's.
#[tokio::test]
async fn a_slow_receiver_delays_nobody_else() {
    let app = TestEngine::with(|setup| {
        let mut other = setup.agent.clone();
        other["id"] = json!("slow");
        other["webhook"]["url"] = json!("https://slow.example/hook");
        setup.more_agents.push(other);
        setup.limits.steps_per_lane = 3;
    })
    .await;
    app.webhooks().hang_at("slow.example");
    for _ in 0..5 {
        let id = app.open_with(|open| open.agent = "slow".into()).await;
        app.end(id).await;
    }
    let (worker, stop) = (app.worker.clone(), CancellationToken::new());
    let working = tokio::spawn(async move { worker.run(stop).await });
    app.webhooks().arrived(3).await;
    for count in 4..14 {
        let id = app.open().await;
        app.end(id).await;
        app.webhooks().arrived(count).await;
        soon(async { while !is_final(&app.session(id).await) {} }).await;
    }
    let slow = app.webhooks().sent().iter().filter(|sent| sent.url.contains("slow")).count();
    assert_eq!(slow, 3, "the lane holds three at a time");
    working.abort();
}

/// Invariants 2, 5 and 6: a worker that dies in mid-step leaves an interrupted attempt, and its
/// step is run again when the lease has run out, not before, under the same event id.
#[tokio::test]
async fn a_worker_that_dies_is_found_by_its_lease() {
    let app = TestEngine::start().await;
    app.webhooks().plan([Plan::Hang]);
    let id = app.open().await;
    app.end(id).await;
    let process = app.process("doomed");
    process.work();
    app.webhooks().arrived(1).await;
    process.kill();
    let (step, _) = app.step(id, StepKind::NotifyEnded).await;
    let StepState::Leased { until, .. } = step.state else { panic!("{step:?}") };
    app.advance(Span::from_millis(until.since(app.now()).as_millis() - 1));
    app.run_until_idle().await;
    assert_eq!(app.webhooks().sent().len(), 1);
    app.advance(MS);
    app.run_until_idle().await;
    assert_eq!(app.webhooks().sent().len(), 2);
    let (step, attempts) = app.step(id, StepKind::NotifyEnded).await;
    assert!(matches!(step.state, StepState::Done { .. }));
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [AttemptOutcome::Interrupted, AttemptOutcome::Done]);
}

/// Invariant 2: a start takes over at once from the processes that are gone, steps and turns.
#[tokio::test]
async fn a_start_takes_over_without_waiting_for_leases() {
    let mut app = TestEngine::start().await;
    app.webhooks().plan([Plan::Hang]);
    let id = app.open().await;
    app.end(id).await;
    let process = app.process("doomed");
    process.work();
    app.webhooks().arrived(1).await;
    process.kill();
    app.run_until_idle().await;
    assert_eq!(app.webhooks().sent().len(), 1);
    app.restart().await;
    app.run_until_idle().await;
    assert_eq!(app.webhooks().sent().len(), 2);
    assert!(is_final(&app.session(id).await));
}

/// A worker that is merely slow and reports after its lease was lost changes nothing.
#[tokio::test]
async fn a_report_under_a_lost_lease_is_refused() {
    let app = TestEngine::with(|setup| {
        setup.agent["memory"] = json!(true);
        setup.agent["webhook"] = json!(null);
    })
    .await;
    let id =
        app.open_with(|open| open.person = epilogue_core::Person::new("ann@example.com")).await;
    app.say(id, "hello").await;
    app.end(id).await;
    app.memory_is(Mood::Stalled);
    let worker = app.worker.clone();
    let working = tokio::spawn(async move { worker.run_until_idle().await });
    settle().await;
    soon(async {
        while !matches!(
            app.step(id, StepKind::IngestMemory).await.0.state,
            StepState::Leased { .. }
        ) {}
    })
    .await;
    let now = app.now() + Span::from_secs(3_600);
    let stolen = ClaimRequest {
        org: org(),
        lane: "memory".into(),
        node: "thief".into(),
        lease_until: now + Span::from_secs(60),
        limit: 1,
    };
    assert_eq!(app.storage.claim(stolen, now).await.expect("claimed").len(), 1);
    app.advance(Span::from_secs(27));
    soon(working).await.expect("no panic").expect("worked");
    let (step, attempts) = app.step(id, StepKind::IngestMemory).await;
    assert!(matches!(step.state, StepState::Leased { node, .. } if node.as_str() == "thief"));
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].outcome, AttemptOutcome::Interrupted);
}

/// Invariant 5: a step that brings its process down every time is given up on in the end.
#[tokio::test]
async fn a_step_that_is_always_interrupted_is_parked() {
    let app = TestEngine::start().await;
    let id = app.open().await;
    app.end(id).await;
    for _ in 0..=100 {
        let request = ClaimRequest {
            org: org(),
            lane: app.step(id, StepKind::NotifyEnded).await.0.lane,
            node: "doomed".into(),
            lease_until: app.now() + MS,
            limit: 1,
        };
        assert_eq!(app.storage.claim(request, app.now()).await.expect("claimed").len(), 1);
        app.advance(MS);
    }
    app.run_until_idle().await;
    let (step, attempts) = app.step(id, StepKind::NotifyEnded).await;
    assert!(matches!(step.state, StepState::Parked { .. }), "{step:?}");
    assert_eq!((attempts.len(), app.webhooks().sent().len()), (102, 0));
    app.engine.retry_step(&org(), step.id(), None).await.expect("asked");
    app.run_until_idle().await;
    assert!(is_final(&app.session(id).await));
}

/// A step that was resumed often has its whole schedule each time: only interruptions count as such.
#[tokio::test]
async fn resuming_often_does_not_shorten_the_schedule() {
    let app = TestEngine::start().await;
    let id = app.open().await;
    app.end(id).await;
    app.webhooks().always(Plan::Answer(410, None));
    app.run_until_idle().await;
    let (step, _) = app.step(id, StepKind::NotifyEnded).await;
    for _ in 0..102 {
        app.engine.retry_step(&org(), step.id(), None).await.expect("asked");
        app.run_until_idle().await;
    }
    app.webhooks().always(Plan::Answer(500, None));
    app.engine.retry_step(&org(), step.id(), None).await.expect("asked");
    app.run_until_idle().await;
    let (step, _) = app.step(id, StepKind::NotifyEnded).await;
    assert!(matches!(step.state, StepState::Owed { .. }), "{step:?}");
}
