//! Tools that a turn's caller runs between turns: offered beside the agent's own, left open at the end
//! of a turn, and answered by the next.

use epilogue_core::{
    Role,
    open_calls::{Misfit, NO_RESULT},
};
use epilogue_engine::session::{TurnError, WholeTurnError};
use serde_json::json;

use crate::support::{
    TestEngine,
    caller::{ask, open, result, runs_tools, shown, user},
    model::{call, end, text},
};

async fn engine() -> TestEngine {
    TestEngine::with(runs_tools).await
}

/// An engine whose agent has a tool of its own, which fails: nothing listens there.
async fn with_own_tool() -> TestEngine {
    TestEngine::with(|setup| {
        runs_tools(setup);
        let own = json!({ "name": "own", "url": "http://127.0.0.1:9/own" });
        setup.agent["tools"] = json!([own]);
    })
    .await
}

fn misfit<T: std::fmt::Debug>(refused: Result<T, WholeTurnError>) -> Misfit {
    match refused {
        Err(WholeTurnError::NotBegun(TurnError::Misfit(misfit))) => misfit,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn calls_are_left_open_for_the_caller_and_answered_by_the_next_turn() {
    let app = engine().await;
    app.model().answers([
        vec![text("Let me look."), call("a", "look"), call("b", "look"), end()],
        vec![text("Both are red."), end()],
    ]);
    let id = app.open().await;
    let record = ask(&app, id, vec![user("What colour?")], &["look"]).await.expect("completed");
    assert_eq!(open(&record), ["a", "b"]);
    assert_eq!(app.session(id).await.turn_in_flight(), None, "the turn is complete");
    let results = vec![result("b", "red"), result("a", "red")];
    let record = ask(&app, id, results, &["look"]).await.expect("completed");
    assert_eq!(record.said, 2);
    let asked = app.model().asked();
    assert!(asked[0].tools.iter().any(|tool| tool.name == "look"));
    let expected = [
        "user: What colour?",
        "assistant: Let me look.",
        "a: red",
        "b: red",
        "assistant: Both are red.",
    ];
    assert_eq!(shown(&app.transcript(id).await), expected);
    assert_eq!(shown(&asked[1].messages), expected[..4], "the model sees the whole exchange");
    app.end(id).await;
}

#[tokio::test]
async fn of_a_mixed_answer_the_agents_own_tools_run_at_once() {
    let app = with_own_tool().await;
    app.model().answers([
        vec![call("a", "look"), call("b", "own"), call("c", "nonsense"), end()],
        vec![text("So it is."), end()],
    ]);
    let id = app.open().await;
    let record = ask(&app, id, vec![user("Well?")], &["look"]).await.expect("completed");
    assert_eq!(open(&record), ["a"]);
    let lines = shown(&record.messages);
    assert_eq!((lines.len(), &*lines[1]), (4, "assistant: "));
    assert!(lines[2].starts_with("b: ") && lines[3].starts_with("c: There is no tool"));
    ask(&app, id, vec![result("a", "seen")], &["look"]).await.expect("completed");
}

#[tokio::test]
async fn what_does_not_answer_the_open_calls_is_refused_and_changes_nothing() {
    let app = engine().await;
    app.model().answers([vec![call("a", "look"), call("b", "look"), end()]]);
    let id = app.open().await;
    let unasked = ask(&app, id, vec![result("a", "seen")], &[]).await;
    assert_eq!(misfit(unasked), Misfit::Unasked("a".into()));
    ask(&app, id, vec![user("Look")], &["look"]).await.expect("completed");
    let before = app.session(id).await;
    let half = ask(&app, id, vec![result("a", "seen")], &[]).await;
    assert_eq!(misfit(half), Misfit::Missing("b".into()));
    assert_eq!(app.session(id).await, before);
    let both = vec![result("a", "seen"), result("b", "seen")];
    ask(&app, id, both, &[]).await.expect("the calls are open still");
}

#[tokio::test]
async fn calls_that_nobody_answers_are_closed_by_the_next_words_and_by_the_end() {
    let app = engine().await;
    let rounds = [vec![call("a", "look"), end()], vec![call("b", "look"), end()]];
    app.model().answers(rounds);
    let id = app.open().await;
    ask(&app, id, vec![user("Look")], &["look"]).await.expect("completed");
    ask(&app, id, vec![user("Never mind")], &["look"]).await.expect("completed");
    app.end(id).await;
    let nothing = |id: &str| format!("{id}: {NO_RESULT}");
    let lines = shown(&app.transcript(id).await);
    let expected = ["user: Look", "assistant: ", &nothing("a"), "user: Never mind"];
    assert_eq!(lines[..4], expected);
    assert_eq!(lines[4..], ["assistant: ".to_owned(), nothing("b")]);
}

#[tokio::test]
async fn a_goodbye_leaves_no_call_open() {
    let app = engine().await;
    app.model().answers([vec![text("Bye."), call("a", "look"), call("b", "end_call"), end()]]);
    let id = app.open().await;
    let record = ask(&app, id, vec![user("Bye")], &["look"]).await.expect("completed");
    assert!(record.session.ended().is_some() && open(&record).is_empty());
    assert_eq!(shown(&app.transcript(id).await), ["user: Bye", "assistant: Bye."]);
}

#[tokio::test]
async fn a_callers_tool_comes_before_what_is_built_in_and_not_before_the_agents_own() {
    let app = TestEngine::with(|setup| {
        runs_tools(setup);
        setup.agent["tools"] = json!([{ "name": "own", "url": "http://127.0.0.1:9/own" }]);
        setup.agent["variables"] = json!([{ "key": "name" }]);
    })
    .await;
    let id = app.open().await;
    let taken = ask(&app, id, vec![user("Go")], &["theirs", "own"]).await;
    let Err(WholeTurnError::NotBegun(TurnError::ToolTaken(name))) = taken else {
        panic!("{taken:?}")
    };
    assert_eq!((name.as_str(), app.session(id).await.messages), ("own", 0));
    app.model().answers([vec![call("a", "end_call"), call("b", "save_variables"), end()]]);
    let names = ["end_call", "save_variables"];
    let record = ask(&app, id, vec![user("Go")], &names).await.expect("completed");
    assert_eq!(open(&record), ["a", "b"], "they are the caller's to run");
    assert!(record.session.ended().is_none());
    let offered = &app.model().asked()[0].tools;
    let mut offered: Vec<_> = offered.iter().map(|tool| &*tool.name).collect();
    offered.sort_unstable();
    assert_eq!(offered, ["end_call", "own", "save_variables"], "each once");
}

#[tokio::test]
async fn calls_of_one_id_get_ids_of_their_own() {
    let app = engine().await;
    app.model().answers([vec![call("a", "look"), call("a", "look"), call("", "look"), end()]]);
    let id = app.open().await;
    let record = ask(&app, id, vec![user("Look")], &["look"]).await.expect("completed");
    let ids: Vec<_> = open(&record).into_iter().map(str::to_owned).collect();
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "{ids:?}");
    let results = ids.iter().map(|id| result(id, "seen")).collect();
    ask(&app, id, results, &["look"]).await.expect("all can be answered");
}

#[tokio::test]
async fn sessions_that_have_no_such_callers_leave_nothing_open() {
    let app = TestEngine::start().await;
    app.model().answers([vec![call("a", "look"), end()], vec![text("No."), end()]]);
    let id = app.open().await;
    let record = ask(&app, id, vec![user("Look")], &["look"]).await.expect("completed");
    assert!(record.messages.iter().any(|message| message.body.role == Role::Tool));
    assert!(app.model().asked()[0].tools.iter().all(|tool| tool.name != "look"));
}
