//! Work that meets other work: retries, takeovers, leases that run out, and processes that are killed.

use epilogue_core::{EndReason, EndRequest, NodeId, Span, StepKind, step::AttemptOutcome};
use epilogue_engine::{
    records::{PageRequest, RetryOutcome, SessionFilter},
    worker::Worker,
};
use tokio::task::JoinHandle;

use crate::support::{
    HALF_HOUR,
    dice::Dice,
    is_final, join, org,
    outside::Plan,
    request,
    rounds::{Round, races},
    soon, talkative,
};

/// After it, every claim made before is due again.
const LONGER_THAN_ANY_LEASE: Span = Span::from_secs(600);

races! {
    a_retry_amid_takeovers_settles_once,
    leases_that_run_out_amid_attempts_lose_nothing,
    a_process_that_is_killed_leaves_nothing_half_done,
}

/// Works until nothing is due.
fn work_by(dice: &mut Dice, worker: &Worker) -> JoinHandle<usize> {
    let worker = worker.clone();
    dice.contend(async move { worker.run_until_idle().await.expect("worked") })
}

/// Invariants 5 and 6: a parked step that is resumed twice while workers of two nodes claim and one
/// takes over from the other is resumed once, and settles; at least once, under one id.
async fn a_retry_amid_takeovers_settles_once(mut round: Round) {
    let app = round.engine().await;
    let other = app.process("other");
    let workers = [&app.worker, &Worker::new(&other.engine)];
    app.webhooks().plan([Plan::Answer(410, None)]);
    let id = app.open().await;
    app.end(id).await;
    app.run_until_idle().await;
    let (step, _) = app.step(id, StepKind::NotifyEnded).await;
    let retries = [(); 2].map(|()| {
        let (engine, id) = (app.engine.clone(), step.id());
        round.dice.contend(async move { engine.retry_step(&org(), id, None).await })
    });
    let working = workers.map(|worker| work_by(&mut round.dice, worker));
    let engine = other.engine.clone();
    let takeover =
        round.dice.contend(async move { engine.recover(&[NodeId::from("other")]).await });
    let mut resumed = 0;
    for retry in retries {
        let outcome = join(retry).await.expect("asked");
        resumed += u32::from(outcome == RetryOutcome::Resumed);
    }
    join(takeover).await.expect("taken over");
    for working in working {
        join(working).await;
    }
    app.engine.recover(&[]).await.expect("taken over");
    app.run_until_idle().await;
    assert!(is_final(&app.session(id).await));
    assert_eq!(resumed, 1);
}

/// Invariants 5 and 6: when leases run out while workers of two nodes are at it, what is reported too
/// late changes nothing, and every step is seen through.
async fn leases_that_run_out_amid_attempts_lose_nothing(mut round: Round) {
    let app = round.engine().await;
    let other = app.process("other");
    let mut ended = Vec::new();
    for _ in 0..3 {
        let id = app.open().await;
        app.end(id).await;
        ended.push(id);
    }
    let mut working = Vec::new();
    for engine in [&app.engine, &other.engine] {
        working.push(work_by(&mut round.dice, &Worker::new(engine)));
        let (clock, late) = (app.world.clock.clone(), Worker::new(engine));
        working.push(round.dice.contend(async move {
            clock.advance(LONGER_THAN_ANY_LEASE);
            late.run_until_idle().await.expect("worked")
        }));
    }
    for working in working {
        join(working).await;
    }
    app.audit().await;
    app.advance(HALF_HOUR);
    app.run_until_idle().await;
    for id in ended {
        assert!(is_final(&app.session(id).await));
        let (step, attempts) = app.step(id, StepKind::NotifyEnded).await;
        let done = attempts.iter().filter(|a| a.outcome == AttemptOutcome::Done).count();
        assert_eq!((done, attempts.len()), (1, step.attempt as usize), "{attempts:?}");
    }
}

/// Invariants 2 and 3, born together: a process that is killed in the middle of opens, turns and
/// ends leaves each whole or not at all, and what it answered with success is there.
async fn a_process_that_is_killed_leaves_nothing_half_done(mut round: Round) {
    let mut app = talkative(&round).await;
    let process = app.process_with_store("doomed");
    process.work();
    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..4 {
        let (engine, opening) = (process.engine.clone(), app.opening());
        let answered = answered.clone();
        process.spawn(async move {
            // A fault is the process dying under it: then there is nothing to answer.
            let Ok(opened) = engine.open(opening).await else { return };
            let id = opened.session.id;
            let Ok(mut stream) = engine.turn(request(id, "hello")).await else { return };
            while stream.events.recv().await.is_some() {}
            let receipt = engine.end(&org(), id, EndRequest::asked(EndReason::UserEnd)).await;
            if let Ok(receipt) = receipt {
                answered.send(receipt.expect("it exists")).expect("heard");
            }
        });
    }
    drop(answered);
    let killed_after = round.dice.roll(4);
    let mut receipts = Vec::new();
    for _ in 0..killed_after {
        receipts.extend(soon(answers.recv()).await);
    }
    round.dice.aside().await;
    process.kill();
    while let Some(receipt) = soon(answers.recv()).await {
        receipts.push(receipt);
    }
    app.audit().await;
    for receipt in receipts {
        let session = app.session(receipt.session.id).await;
        assert_eq!(session.ended(), receipt.outcome.ended());
    }
    app.restart().await;
    app.advance(HALF_HOUR);
    app.run_until_idle().await;
    let (everything, page) = (SessionFilter::default(), PageRequest::first(500));
    let sessions = app.engine.sessions(&org(), &everything, &page).await.expect("read").items;
    assert!(sessions.iter().all(is_final), "{sessions:?}");
}
