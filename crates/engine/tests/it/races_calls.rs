//! Decisions that meet where turns end with calls open and variables are written.

use epilogue_core::{EndReason, EndRequest, variables::Nulls};
use epilogue_engine::{
    records::WriteVariablesOutcome,
    session::{TurnError, WholeTurnError},
};
use serde_json::json;

use crate::support::{
    TestEngine,
    caller::{ask, asking, result, runs_tools, shown, user},
    join,
    model::{call, end, text},
    org,
    rounds::{Round, races},
};

races! {
    results_and_an_end_leave_no_call_open,
    of_two_answers_to_one_call_one_is_heard,
    variables_are_written_beside_a_turn_or_refused,
}

/// An engine whose agent calls the caller's tool whenever it is told to look.
async fn engine(round: &Round) -> TestEngine {
    let app = round.engine_with(runs_tools).await;
    app.model().by_rule(|request| {
        let last = request.messages.last().map(|message| &*message.body.content);
        Ok(match last {
            Some("look") => vec![text("Let "), text("me."), call("a", "look"), end()],
            _ => vec![text("I "), text("see."), end()],
        })
    });
    app
}

/// Invariant 7: whatever comes first, the transcript has each call with one result, and none after
/// the end.
async fn results_and_an_end_leave_no_call_open(mut round: Round) {
    let app = engine(&round).await;
    let other = app.process("other");
    let id = app.open().await;
    ask(&app, id, vec![user("look")], &["look"]).await.expect("completed");
    let engine = app.engine.clone();
    let answering = round.dice.lead(async move {
        engine.whole_turn(asking(id, vec![result("a", "red")], &["look"])).await
    });
    let engine = if round.dice.coin() { app.engine.clone() } else { other.engine.clone() };
    let ending = round.dice.contend(async move {
        engine.end(&org(), id, EndRequest::asked(EndReason::UserEnd)).await
    });
    let (answered, ended) = (join(answering).await, join(ending).await);
    assert!(ended.expect("no fault").is_some_and(|receipt| receipt.outcome.is_new()));
    let lines = shown(&app.transcript(id).await);
    let closed = lines[2..] == ["a: The call was given no result."];
    match answered {
        Ok(_) => assert_eq!(lines[2..], ["a: red", "assistant: I see."]),
        Err(WholeTurnError::NotBegun(TurnError::Over(_))) => assert!(closed, "{lines:?}"),
        Err(WholeTurnError::Failed(_)) => {
            let cut = lines[2] == "a: red" && lines.len() == 4;
            assert!(closed || cut, "{lines:?}");
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// Of two callers that bring the result of one call, one is heard and the other is told that there is
/// no such call any more.
async fn of_two_answers_to_one_call_one_is_heard(mut round: Round) {
    let app = engine(&round).await;
    let id = app.open().await;
    ask(&app, id, vec![user("look")], &["look"]).await.expect("completed");
    let other = app.process("other");
    let engines = [(&app.engine, "red"), (&other.engine, "blue")];
    let answers = engines.map(|(engine, colour)| {
        let engine = engine.clone();
        round.dice.lead(async move {
            engine.whole_turn(asking(id, vec![result("a", colour)], &["look"])).await
        })
    });
    let mut heard = 0;
    for answer in answers {
        match join(answer).await {
            Ok(_) => heard += 1,
            Err(WholeTurnError::NotBegun(TurnError::Misfit(_) | TurnError::Busy)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!((heard, app.transcript(id).await.len()), (1, 4));
    app.end(id).await;
}

/// Variables that are written while a turn runs are there after it, and none after the end.
async fn variables_are_written_beside_a_turn_or_refused(mut round: Round) {
    let app = engine(&round).await;
    let id = app.open().await;
    let engine = app.engine.clone();
    let turn =
        round.dice.lead(async move { engine.whole_turn(asking(id, vec![user("hi")], &[])).await });
    let engine = app.engine.clone();
    let given = json!({ "a": 1 }).as_object().cloned().expect("an object");
    let writing = round
        .dice
        .contend(async move { engine.write_variables(&org(), id, given, Nulls::Kept).await });
    let engine = app.engine.clone();
    let ending = round.dice.contend(async move {
        engine.end(&org(), id, EndRequest::asked(EndReason::UserEnd)).await
    });
    let (_, written, _) = (join(turn).await, join(writing).await, join(ending).await);
    let there = app.session(id).await.context.bag.contains_key("a");
    match written.expect("no fault") {
        WriteVariablesOutcome::Written(_) => assert!(there),
        WriteVariablesOutcome::Over => assert!(!there),
        other => panic!("{other:?}"),
    }
}
