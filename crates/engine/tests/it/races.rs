//! Decisions that meet. Every round begins with its contenders in another order, and everything it
//! has decided is audited at its end.

use epilogue_core::{
    EndOutcome, EndReason, EndRequest, Session, SessionId, Span, StepKind, session::Ended,
};
use epilogue_engine::{
    Engine,
    records::EndReceipt,
    session::{TurnError, TurnEvent, TurnFailure, TurnRequest, TurnStream, WhenBusy},
};
use tokio::task::JoinHandle;

use crate::support::{
    HALF_HOUR, MS, TestEngine,
    dice::Dice,
    join, org, request, rest,
    rounds::{Round, races},
    soon, talkative,
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

/// Takes a turn, whose pieces the others come between.
fn turn_by(
    dice: &mut Dice,
    engine: &Engine,
    request: TurnRequest,
) -> JoinHandle<Result<Vec<TurnEvent>, TurnError>> {
    let engine = engine.clone();
    dice.lead(async move {
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

races! {
    of_many_ends_exactly_one_is_new,
    an_end_and_a_turn_leave_one_truth,
    an_end_and_the_deadline_agree_on_who_was_first,
    a_turn_at_the_deadline_begins_and_lives_or_does_not_begin,
    a_keep_alive_at_the_deadline_counts_or_is_refused,
    an_interruption_and_an_end_cut_cleanly,
    readers_may_hang_up_anywhere,
}

/// Invariants 1, 3 and 4: of any number of ends one is new, and all tell the same story.
async fn of_many_ends_exactly_one_is_new(mut round: Round) {
    let app = round.engine().await;
    let other = app.process("other");
    let id = app.open().await;
    let reasons =
        [EndReason::UserEnd, EndReason::Operator, EndReason::Failed, EndReason::Disconnected];
    let contenders: Vec<_> = reasons
        .iter()
        .map(|reason| {
            let engine = if round.dice.coin() { &app.engine } else { &other.engine };
            end_by(&mut round.dice, engine, id, *reason)
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
    app.run_until_idle().await;
    let sent = app.webhooks().sent();
    let ids: std::collections::BTreeSet<_> = sent.iter().map(|sent| &sent.id).collect();
    assert_eq!(ids.len(), sent.len(), "each event once");
}

/// Invariants 3, 4 and 7: whatever a turn had when the end came is kept and billed or refused, and
/// nothing comes after. On one node the turn is cut; from another the fence alone holds.
async fn an_end_and_a_turn_leave_one_truth(mut round: Round) {
    let app = talkative(&round).await;
    let other = app.process("other");
    let id = app.open().await;
    let turn = turn_by(&mut round.dice, &app.engine, request(id, "hello"));
    let engine = if round.dice.coin() { &app.engine } else { &other.engine };
    let receipt = end_by(&mut round.dice, engine, id, EndReason::UserEnd);
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
            let whole = transcript.last().is_some_and(|m| m.turn == 1 && m.seq == 2 && !m.body.cut);
            assert_eq!(completed, whole, "{transcript:?}");
        }
    }
}

/// Invariant 1: an end and the timer never both win, and the reason tells who was first.
async fn an_end_and_the_deadline_agree_on_who_was_first(mut round: Round) {
    let app = round.engine().await;
    let id = app.open().await;
    let deadline = app.now() + HALF_HOUR;
    app.advance(Span::from_millis(HALF_HOUR.as_millis() - 1));
    let sweeping = [(); 2].map(|()| sweep_after(&mut round.dice, &app, MS));
    let receipt = join(end_by(&mut round.dice, &app.engine, id, EndReason::UserEnd)).await;
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

/// Invariant 9: whoever was told that the turn began is not expired under its hands.
async fn a_turn_at_the_deadline_begins_and_lives_or_does_not_begin(mut round: Round) {
    let app = talkative(&round).await;
    let id = app.open().await;
    app.advance(Span::from_millis(HALF_HOUR.as_millis() - 1));
    let turn = turn_by(&mut round.dice, &app.engine, request(id, "just in time"));
    let sweeping = sweep_after(&mut round.dice, &app, MS);
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

/// Invariant 9: a keep-alive that was accepted is not expired, one that was refused is over.
async fn a_keep_alive_at_the_deadline_counts_or_is_refused(mut round: Round) {
    let app = round.engine_with(|setup| setup.profile.keep_alive_counts = true).await;
    let id = app.open().await;
    app.advance(Span::from_millis(HALF_HOUR.as_millis() - 1));
    let engine = app.engine.clone();
    let kept = round.dice.contend(async move { engine.keep_alive(&org(), id).await });
    let sweeping = sweep_after(&mut round.dice, &app, MS);
    let kept = join(kept).await.expect("no fault").expect("it exists");
    join(sweeping).await;
    app.engine.sweep().await.expect("swept");
    assert_eq!(app.session(id).await.ended().is_none(), kept);
}

/// Invariants 1 and 7: an interruption and an end both cut; each reader is told once, and nothing
/// is written after the end.
async fn an_interruption_and_an_end_cut_cleanly(mut round: Round) {
    let app = talkative(&round).await;
    let id = app.open().await;
    let first = turn_by(&mut round.dice, &app.engine, request(id, "first"));
    let interrupting = TurnRequest { when_busy: WhenBusy::Interrupt, ..request(id, "no, listen") };
    let engine = app.engine.clone();
    let second = round.dice.contend(async move {
        let mut stream = engine.turn(interrupting).await?;
        Ok(rest(&mut stream).await)
    });
    let receipt = end_by(&mut round.dice, &app.engine, id, EndReason::UserEnd);
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

/// Invariant 11: readers that hang up anywhere in a turn, or while they wait for it, corrupt nothing,
/// and the next message gets its turn.
async fn readers_may_hang_up_anywhere(mut round: Round) {
    let app = talkative(&round).await;
    let id = app.open().await;
    let mut readers = Vec::new();
    for _ in 0..2 {
        let (engine, heard) = (app.engine.clone(), round.dice.roll(12));
        readers.push(round.dice.lead(async move {
            let mut stream = engine.turn(request(id, "hello")).await.expect("it begins");
            for _ in 0..heard {
                stream.events.recv().await;
            }
        }));
    }
    for reader in readers {
        if round.dice.coin() {
            round.dice.aside().await;
            reader.abort();
        }
        let _ = soon(reader).await;
    }
    let events = app.say(id, "and now?").await;
    assert!(matches!(events.last(), Some(TurnEvent::Completed { .. })), "{events:?}");
    app.end(id).await;
}
