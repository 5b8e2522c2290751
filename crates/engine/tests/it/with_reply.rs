//! What is said to the agent is written with its reply: a turn that fails before anything was said
//! leaves no trace, and one that is cut later keeps what was said.

use epilogue_core::{EndReason, MicroCredits, Role, Timestamp, Usage, message::NewMessage};
use epilogue_engine::{
    llm::ModelError,
    session::{
        TurnError, TurnEvent, TurnExtras, TurnFailure, TurnInput, TurnRequest, WholeTurnError,
    },
};

use crate::support::{
    TestEngine,
    caller::{ask, asking, runs_tools, shown, user},
    model::{call, end, text},
    request, rest, settle, soon, text_of,
};

async fn engine() -> TestEngine {
    TestEngine::with(runs_tools).await
}

#[tokio::test]
async fn several_messages_and_the_reply_are_one_turn() {
    let app = engine().await;
    let id = app.open().await;
    let system = NewMessage::text(Role::System, "Be brief.", Timestamp::default());
    let record = ask(&app, id, vec![system, user("Hello")], &[]).await.expect("completed");
    assert_eq!(record.said, 2);
    let expected = ["system: Be brief.", "user: Hello", "assistant: Certainly."];
    assert_eq!(shown(&record.messages), expected);
    assert_eq!(shown(&app.transcript(id).await), expected);
    let asked = app.model().asked();
    let roles: Vec<_> = asked[0].messages.iter().map(|message| message.body.role).collect();
    assert_eq!(roles, [Role::System, Role::User], "instructions go to the model in their place");
    assert!(record.messages.iter().all(|message| message.body.at == app.now()));
    app.end(id).await;
}

#[tokio::test]
async fn a_turn_that_fails_before_anything_was_said_leaves_no_trace() {
    let app = engine().await;
    let id = app.open().await;
    app.model().by_rule(|_| Err(ModelError::Incomplete));
    for _ in 0..2 {
        let failed = ask(&app, id, vec![user("Hello")], &[]).await;
        assert!(matches!(failed, Err(WholeTurnError::Failed(TurnFailure::Model))), "{failed:?}");
    }
    let session = app.session(id).await;
    assert_eq!((session.messages, session.usage), (0, Usage::default()));
    app.model().answers([vec![text("Here I am."), end()]]);
    ask(&app, id, vec![user("Hello")], &[]).await.expect("completed");
    assert_eq!(app.said(id).await, ["user: Hello", "assistant: Here I am."], "nothing is doubled");
}

#[tokio::test]
async fn a_turn_that_fails_in_mid_reply_keeps_what_its_reader_has_heard() {
    let app = engine().await;
    let id = app.open().await;
    let broken = || vec![text("It is"), Err(ModelError::Incomplete)];
    app.model().by_rule(move |_| Ok(broken()));
    let mut stream = app.engine.turn(asking(id, vec![user("When?")], &[])).await.expect("begins");
    let events = rest(&mut stream).await;
    assert_eq!(events.last(), Some(&TurnEvent::Failed(TurnFailure::Model)));
    assert_eq!(app.said(id).await, ["user: When?", "assistant: It is"]);
    assert!(app.session(id).await.usage.output_tokens > 0, "it is billed");

    // A caller that hears of the whole reply alone has heard nothing, and will ask again.
    let whole = TurnRequest {
        extras: TurnExtras { told_whole: true, ..TurnExtras::default() },
        ..asking(id, vec![user("And now?")], &[])
    };
    let failed = soon(app.engine.whole_turn(whole)).await;
    assert!(matches!(failed, Err(WholeTurnError::Failed(TurnFailure::Model))), "{failed:?}");
    assert_eq!(app.said(id).await.len(), 2);
}

#[tokio::test]
async fn a_reader_that_hangs_up_keeps_and_is_billed_what_it_heard() {
    let app = engine().await;
    let id = app.open().await;
    let mut hand = app.model().by_hand();
    for heard in [false, true] {
        let asked = asking(id, vec![user("Tell me")], &[]);
        let mut stream = app.engine.turn(asked).await.expect("begins");
        let answer = hand.next().await.begin();
        if heard {
            answer.text("Once upon");
            assert_eq!(soon(stream.events.recv()).await, Some(TurnEvent::Text("Once upon".into())));
        }
        drop(stream);
        answer.dropped().await;
        settle().await;
        // The place is free when the turn is written down.
        let next = app.engine.turn(asking(id, Vec::new(), &[])).await;
        assert!(matches!(next, Err(TurnError::Misfit(_))), "an empty turn does not begin");
        let expected: &[&str] =
            if heard { &["user: Tell me", "assistant: Once upon"] } else { &[] };
        assert_eq!(app.said(id).await, expected);
    }
    let ended = app.end(id).await;
    assert!(ended.outcome.ended().is_some_and(|ended| ended.cost > MicroCredits::ZERO));
}

#[tokio::test]
async fn an_end_keeps_what_was_said_until_then_whoever_heard_it() {
    for told_whole in [false, true] {
        let app = engine().await;
        let id = app.open().await;
        let mut hand = app.model().by_hand();
        let extras = TurnExtras { told_whole, ..TurnExtras::default() };
        let asked = TurnRequest { extras, ..asking(id, vec![user("Tell me")], &[]) };
        let mut stream = app.engine.turn(asked).await.expect("begins");
        let answer = hand.next().await.begin();
        answer.text("Once upon");
        assert_eq!(soon(stream.events.recv()).await, Some(TurnEvent::Text("Once upon".into())));
        app.end(id).await;
        assert_eq!(
            rest(&mut stream).await,
            [TurnEvent::Failed(TurnFailure::SessionEnded)],
            "{told_whole}"
        );
        assert_eq!(app.said(id).await, ["user: Tell me", "assistant: Once upon"]);
    }
}

#[tokio::test]
async fn a_session_that_was_opened_for_a_turn_has_never_been_without_it() {
    let app = TestEngine::with(|setup| {
        runs_tools(setup);
        setup.profile.turns.begins_with_turn = true;
        setup.profile.notify_finalized = true;
    })
    .await;
    app.model().by_rule(|_| Err(ModelError::Incomplete));
    let id = app.open().await;
    ask(&app, id, vec![user("Hello")], &[]).await.expect_err("it fails");
    let session = app.session(id).await;
    assert_eq!(session.ended().map(|ended| ended.reason), Some(EndReason::Failed));
    assert!(!session.came_about() && app.steps(id).await.is_empty(), "nobody is told");
    app.model().answers([vec![text("Yes."), end()]]);
    let id = app.open().await;
    ask(&app, id, vec![user("Hello")], &[]).await.expect("completed");
    app.end(id).await;
    assert!(app.session(id).await.came_about());
    assert_eq!(app.steps(id).await.len(), 2, "the end and that all is done are told");
}

#[tokio::test]
async fn a_session_that_ends_before_its_first_answer_says_who_ended_it() {
    let app = TestEngine::with(|setup| {
        runs_tools(setup);
        setup.profile.turns.begins_with_turn = true;
    })
    .await;
    let id = app.open().await;
    let mut hand = app.model().by_hand();
    let asked = asking(id, vec![user("Hello")], &[]);
    let mut stream = app.engine.turn(asked).await.expect("begins");
    let waiting = hand.next().await;
    app.end_for(id, EndReason::Operator).await;
    drop(waiting);
    assert_eq!(rest(&mut stream).await, [TurnEvent::Failed(TurnFailure::SessionEnded)]);
    let reason = app.session(id).await.ended().map(|ended| ended.reason);
    assert_eq!(reason, Some(EndReason::Operator));
}

#[tokio::test]
async fn a_turn_without_a_trace_leaves_none_in_the_activity_log_either() {
    let app = TestEngine::with(|setup| {
        runs_tools(setup);
        setup.agent["tools"] = serde_json::json!([{ "name": "own", "url": "http://127.0.0.1:9/" }]);
    })
    .await;
    let id = app.open().await;
    for (then, entries) in [(vec![Err(ModelError::Incomplete)], 0), (vec![text("Well."), end()], 1)]
    {
        app.model().answers([vec![call("a", "own"), end()], then]);
        let _ = ask(&app, id, vec![user("Go")], &[]).await;
        let page = epilogue_engine::records::PageRequest::first(100);
        let log = app.engine.activity(&crate::support::org(), Some(id), &page).await.expect("read");
        assert_eq!(log.items.len(), entries);
    }
}

#[tokio::test]
async fn the_goodbye_of_such_an_api_is_understood_by_both_its_names() {
    for name in ["end_call", "end_chat"] {
        let app = engine().await;
        let id = app.open().await;
        app.model().answers([vec![text("Bye."), call("c", name), end()]]);
        let mut stream = app.engine.turn(asking(id, vec![user("Bye")], &[])).await.expect("begins");
        let events = rest(&mut stream).await;
        assert_eq!(text_of(&events), "Bye.");
        assert!(matches!(events.last(), Some(TurnEvent::Completed { finish: true, .. })));
        assert!(app.session(id).await.ended().is_some());
        let offered = &app.model().asked()[0].tools;
        assert_eq!(offered.iter().map(|tool| &*tool.name).collect::<Vec<_>>(), ["end_call"]);
    }
}

#[tokio::test]
async fn a_turn_is_answered_again_from_the_record_with_what_was_said_to_it() {
    let app = engine().await;
    let id = app.open().await;
    let keyed = || TurnRequest {
        input: TurnInput::Messages(vec![user("Hello"), user("Are you there?")]),
        extras: TurnExtras { key: Some("k".into()), ..TurnExtras::default() },
        ..request(id, "")
    };
    let first = soon(app.engine.whole_turn(keyed())).await.expect("completed");
    let again = soon(app.engine.whole_turn(keyed())).await.expect("on record");
    assert_eq!((first.said, &first.messages), (2, &again.messages));
    assert_eq!((again.said, app.model().asked().len()), (2, 1));
}
