//! Decisions that meet. Every round begins with its contenders in another order, and every session
//! is audited at the end of its race.

use epilogue_core::{
    EndOutcome, EndReason, EndRequest, NodeId, Session, SessionId, Span, StepKind, session::Ended,
};
use epilogue_engine::{
    Engine,
    records::{EndReceipt, RetryOutcome},
    session::{TurnError, TurnEvent, TurnFailure, TurnRequest, TurnStream, WhenBusy},
    worker::Worker,
};
use tokio::task::JoinHandle;

use crate::support::{
    HALF_HOUR, MS, TestEngine,
    dice::{Dice, rounds},
    is_final,
    model::{end, text},
    org,
    outside::Plan,
    request, rest, soon,
};

fn end_by(
    dice: &mut Dice,
    engine: &Engine,
    id: SessionId,
    reason: EndReason,
) -> JoinHandle<EndReceipt> {
    let engine = engine.clone();
    dice.contend(async move {
        let receipt = engine.end(&org(), id, EndRequest::asked(reason)).await;
        receipt.expect("no fault").expect("it exists")
    })
}

fn turn_by(
    dice: &mut Dice,
    engine: &Engine,
    request: TurnRequest,
) -> JoinHandle<Result<Vec<TurnEvent>, TurnError>> {
    let engine = engine.clone();
    dice.contend(async move {
        let mut stream: TurnStream = engine.turn(request).await?;
        Ok(rest(&mut stream).await)
    })
}

/// Moves the time to `span` from now, and sweeps.
fn sweep_after(dice: &mut Dice, app: &TestEngine, span: Span) -> JoinHandle<()> {
    let (engine, clock) = (app.engine.clone(), app.world.clock.clone());
    dice.contend(async move {
        clock.advance(span);
        engine.sweep().await.expect("swept");
    })
}

async fn join<T>(handle: JoinHandle<T>) -> T {
    soon(handle).await.expect("no panic")
}

/// A model that takes its time, so that an end can come between any two pieces.
async fn talkative() -> TestEngine {
    let app = TestEngine::start().await;
    app.model().by_rule(|_| {
        let words = (0..8).map(|n| text(&format!("word{n} ")));
        Ok(words.chain([end()]).collect())
    });
    app
}

/// Exactly one terminal event, at the end.
fn ends_once(events: &[TurnEvent]) {
    let terminal =
        |event: &TurnEvent| matches!(event, TurnEvent::Completed { .. } | TurnEvent::Failed(_));
    assert_eq!(events.iter().filter(|event| terminal(event)).count(), 1, "{events:?}");
    assert!(events.last().is_some_and(terminal), "{events:?}");
}

/// What the end recorded is what there is, and stays so.
async fn is_fenced(app: &TestEngine, receipt: &EndReceipt) -> Session {
    let session = app.session(receipt.session.id).await;
    assert_eq!(
        (session.usage, session.messages),
        (receipt.session.usage, receipt.session.messages)
    );
    session
}

/// Invariants 1, 3 and 4: of any number of ends one is new, and all tell the same story.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_ends_exactly_one_is_new() {
    let app = TestEngine::start().await;
    let other = app.process("other");
    for mut dice in rounds() {
        let id = app.open().await;
        let reasons =
            [EndReason::UserEnd, EndReason::Operator, EndReason::Failed, EndReason::Disconnected];
        let contenders: Vec<_> = reasons
            .iter()
            .map(|reason| {
                let engine = if dice.coin() { &app.engine } else { &other.engine };
                end_by(&mut dice, engine, id, *reason)
            })
            .collect();
        let mut stories: Vec<Ended> = Vec::new();
        let mut new = 0;
        for contender in contenders {
            let receipt = join(contender).await;
            new += u32::from(receipt.outcome.is_new());
            stories.extend(receipt.outcome.ended().cloned());
        }
        assert_eq!((new, stories.len()), (1, 4));
        assert!(stories.iter().all(|story| *story == stories[0]), "{stories:?}");
        assert_eq!(app.steps(id).await, [(StepKind::NotifyEnded, "owed")]);
    }
    app.run_until_idle().await;
    let sent = app.webhooks().sent();
    let ids: std::collections::BTreeSet<_> = sent.iter().map(|sent| &sent.id).collect();
    assert_eq!(ids.len(), sent.len(), "each event once");
}

/// Invariants 3, 4 and 7: whatever a turn had when the end came is kept and billed or refused, and
/// nothing comes after. On one node the turn is cut; from another the fence alone holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_end_and_a_turn_leave_one_truth() {
    let app = talkative().await;
    let other = app.process("other");
    for mut dice in rounds() {
        let id = app.open().await;
        let turn = turn_by(&mut dice, &app.engine, request(id, "hello"));
        let engine = if dice.coin() { &app.engine } else { &other.engine };
        let receipt = end_by(&mut dice, engine, id, EndReason::UserEnd);
        let (turn, receipt) = (join(turn).await, join(receipt).await);
        assert!(receipt.outcome.is_new());
        let session = is_fenced(&app, &receipt).await;
        match turn {
            Err(TurnError::Over(_)) => assert_eq!(session.usage.user_messages, 0),
            Err(error) => panic!("{error:?}"),
            Ok(events) => {
                ends_once(&events);
                let last = events.last().expect("an end");
                let completed = matches!(last, TurnEvent::Completed { .. });
                assert!(completed || *last == TurnEvent::Failed(TurnFailure::SessionEnded));
                assert_eq!(session.usage.user_messages, 1);
                let transcript = app.transcript(id).await;
                let whole =
                    transcript.last().is_some_and(|m| m.turn == 1 && m.seq == 2 && !m.body.cut);
                assert_eq!(completed, whole, "{transcript:?}");
            }
        }
    }
}

/// Invariant 1: an end and the timer never both win, and the reason tells who was first.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_end_and_the_deadline_agree_on_who_was_first() {
    let app = TestEngine::start().await;
    for mut dice in rounds() {
        let id = app.open().await;
        let deadline = app.now() + HALF_HOUR;
        app.advance(Span::from_millis(HALF_HOUR.as_millis() - 1));
        let sweeping = [(); 2].map(|()| sweep_after(&mut dice, &app, MS));
        let receipt = join(end_by(&mut dice, &app.engine, id, EndReason::UserEnd)).await;
        for sweeping in sweeping {
            join(sweeping).await;
        }
        let session = app.session(id).await;
        let ended = session.ended().expect("it ended");
        assert_eq!(receipt.outcome.ended(), Some(ended));
        let expected = match receipt.outcome {
            EndOutcome::EndedNow(_) => EndReason::UserEnd,
            _ => EndReason::Idle,
        };
        assert_eq!(ended.reason, expected);
        assert_eq!(ended.reason == EndReason::Idle, ended.at >= deadline, "{ended:?}");
        assert_eq!(ended.deadline.map(|d| d.at), (ended.at >= deadline).then_some(deadline));
    }
}

/// Invariant 9: whoever was told that the turn began is not expired under its hands.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_turn_at_the_deadline_begins_and_lives_or_does_not_begin() {
    let app = talkative().await;
    for mut dice in rounds() {
        let id = app.open().await;
        app.advance(Span::from_millis(HALF_HOUR.as_millis() - 1));
        let turn = turn_by(&mut dice, &app.engine, request(id, "just in time"));
        let sweeping = sweep_after(&mut dice, &app, MS);
        let (turn, ()) = (join(turn).await, join(sweeping).await);
        app.engine.sweep().await.expect("swept");
        let session = app.session(id).await;
        match turn {
            Ok(events) => {
                assert!(matches!(events.last(), Some(TurnEvent::Completed { .. })), "{events:?}");
                assert_eq!(session.ended(), None);
            }
            Err(TurnError::Lapsed(_) | TurnError::Over(_)) => {
                assert_eq!(session.ended().map(|ended| ended.reason), Some(EndReason::Idle));
                assert_eq!(session.usage.user_messages, 0);
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Invariant 9: a keep-alive that was accepted is not expired, one that was refused is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_keep_alive_at_the_deadline_counts_or_is_refused() {
    let app = TestEngine::with(|setup| setup.profile.keep_alive_counts = true).await;
    for mut dice in rounds() {
        let id = app.open().await;
        app.advance(Span::from_millis(HALF_HOUR.as_millis() - 1));
        let engine = app.engine.clone();
        let kept = dice.contend(async move { engine.keep_alive(&org(), id).await });
        let sweeping = sweep_after(&mut dice, &app, MS);
        let kept = join(kept).await.expect("no fault").expect("it exists");
        join(sweeping).await;
        app.engine.sweep().await.expect("swept");
        assert_eq!(app.session(id).await.ended().is_none(), kept);
    }
}

/// Invariants 1 and 7: an interruption and an end both cut; each reader is told once, and nothing
/// is written after the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_interruption_and_an_end_cut_cleanly() {
    let app = talkative().await;
    for mut dice in rounds() {
        let id = app.open().await;
        let first = turn_by(&mut dice, &app.engine, request(id, "first"));
        let interrupting =
            TurnRequest { when_busy: WhenBusy::Interrupt, ..request(id, "no, listen") };
        let second = turn_by(&mut dice, &app.engine, interrupting);
        let receipt = end_by(&mut dice, &app.engine, id, EndReason::UserEnd);
        for turn in [first, second] {
            match join(turn).await {
                Ok(events) => ends_once(&events),
                Err(TurnError::Over(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        let receipt = join(receipt).await;
        assert!(receipt.outcome.is_new());
        is_fenced(&app, &receipt).await;
    }
}

/// Invariant 11: a reader that hangs up anywhere in a turn corrupts nothing, and the next message
/// gets its turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_may_hang_up_anywhere() {
    let app = talkative().await;
    let id = app.open().await;
    for mut dice in rounds() {
        let engine = app.engine.clone();
        let heard = dice.roll(12);
        let hung_up = dice.contend(async move {
            let mut stream = engine.turn(request(id, "hello")).await.expect("it begins");
            for _ in 0..heard {
                stream.events.recv().await;
            }
        });
        if dice.coin() {
            hung_up.abort();
        }
        let _ = soon(hung_up).await;
    }
    let events = app.say(id, "and now?").await;
    assert!(matches!(events.last(), Some(TurnEvent::Completed { .. })), "{events:?}");
    app.end(id).await;
}

/// Invariants 5 and 6: a parked step that is resumed twice while workers of two nodes claim and one
/// takes over from the other is resumed once, and settles; at least once, under one id.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_retry_amid_takeovers_settles_once() {
    let app = TestEngine::start().await;
    let other = app.process("other");
    let workers = [app.worker.clone(), Worker::new(&other.engine)];
    for mut dice in rounds() {
        app.webhooks().plan([Plan::Answer(410, None)]);
        let id = app.open().await;
        app.end(id).await;
        app.run_until_idle().await;
        let (step, _) = app.step(id, StepKind::NotifyEnded).await;
        let retries = [(); 2].map(|()| {
            let (engine, id) = (app.engine.clone(), step.id());
            dice.contend(async move { engine.retry_step(&org(), id, None).await })
        });
        let working: Vec<_> = workers
            .iter()
            .map(|worker| {
                let worker = worker.clone();
                dice.contend(async move { worker.run_until_idle().await.expect("worked") })
            })
            .collect();
        let engine = other.engine.clone();
        let takeover = dice.contend(async move { engine.recover(&[NodeId::from("other")]).await });
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
}

/// Invariants 2 and 3, born together: a process that is killed in the middle of opens, turns and
/// ends leaves each whole or not at all, and what it answered with success is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_process_that_is_killed_leaves_nothing_half_done() {
    let mut app = talkative().await;
    for mut dice in rounds().step_by(4) {
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
        let killed_after = dice.roll(4);
        let mut receipts = Vec::new();
        for _ in 0..killed_after {
            receipts.extend(soon(answers.recv()).await);
        }
        process.kill();
        while let Some(receipt) = soon(answers.recv()).await {
            receipts.push(receipt);
        }
        app.audit().await;
        for receipt in receipts {
            let session = app.session(receipt.session.id).await;
            assert_eq!(session.ended(), receipt.outcome.ended());
        }
    }
    app.restart().await;
    app.advance(HALF_HOUR);
    app.run_until_idle().await;
    let everything = epilogue_engine::records::SessionFilter::default();
    let page = epilogue_engine::records::PageRequest::first(500);
    let sessions = app.engine.sessions(&org(), &everything, &page).await.expect("read").items;
    assert!(!sessions.is_empty() && sessions.iter().all(is_final));
}
