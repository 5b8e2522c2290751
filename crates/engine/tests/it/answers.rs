//! What the model is asked, what it fails at, and what that costs.

use epilogue_core::{EndOutcome, EndReason, MicroCredits, message::CONTEXT_ITEMS_MAX};
use epilogue_engine::{
    llm::{ModelError, ModelEvent},
    session::{OpenError, TurnEvent, TurnFailure, WhenBusy},
};
use serde_json::json;

use crate::support::{
    TestEngine,
    model::{USED, end, text},
    org, rest, soon,
};

const MODEL_FAILED: TurnEvent = TurnEvent::Failed(TurnFailure::Model);

#[tokio::test]
async fn a_model_that_fails_before_its_first_token_costs_nothing_and_can_be_asked_again() {
    let app = TestEngine::start().await;
    app.model().by_rule(|_| Err(ModelError::Timeout { seconds: 30 }));
    let id = app.open().await;
    let timed_out = TurnEvent::Failed(TurnFailure::ModelTimeout);
    assert_eq!(app.say(id, "hello").await, [timed_out]);
    let used = app.session(id).await.usage;
    assert_eq!((used.output_tokens, used.model_calls, used.estimated), (0, 0, false));
    app.model().answers([vec![text("Hello."), end()]]);
    assert!(matches!(app.say(id, "again").await.last(), Some(TurnEvent::Completed { .. })));
    assert_eq!(app.said(id).await[1..], ["user: hello", "user: again", "assistant: Hello."]);
}

#[tokio::test]
async fn a_model_that_breaks_off_keeps_what_was_heard_and_bills_an_estimate() {
    let failing = || Err(ModelError::Incomplete);
    for broken in [vec![text("Half a"), failing()], vec![text("Half a")]] {
        let app = TestEngine::start().await;
        app.model().answers([broken]);
        let id = app.open().await;
        assert_eq!(app.say(id, "hello").await, [TurnEvent::Text("Half a".into()), MODEL_FAILED]);
        let last = app.transcript(id).await.pop().expect("a message").body;
        assert_eq!((last.content.as_str(), last.cut), ("Half a", true));
        let used = app.session(id).await.usage;
        assert!(used.estimated && used.output_tokens > 0);
        app.end(id).await;
    }
}

/// A call of an answer that broke off was never run, and is not in the transcript.
#[tokio::test]
async fn a_call_of_a_broken_answer_is_left_out() {
    let app = TestEngine::start().await;
    app.model().answers([vec![text("Let me"), crate::support::model::call("c1", "x")]]);
    let id = app.open().await;
    assert_eq!(app.say(id, "go").await, [TurnEvent::Text("Let me".into()), MODEL_FAILED]);
    assert!(app.transcript(id).await.iter().all(|message| message.body.tool_calls.is_empty()));
}

#[tokio::test]
async fn usage_that_the_endpoint_omits_is_estimated_and_marked() {
    let app = TestEngine::start().await;
    app.model().answers([vec![text("hello world"), Ok(ModelEvent::End { usage: None })]]);
    let id = app.open().await;
    app.say(id, "hello world").await;
    let used = app.session(id).await.usage;
    assert_eq!((used.input_tokens, used.output_tokens, used.estimated), (2, 2, true));
    assert!(used.prompt_tokens > 4);
}

#[tokio::test]
async fn only_the_last_items_go_to_the_model_and_all_are_kept() {
    let app = TestEngine::start().await;
    let id = app.open().await;
    for turn in 0..25 {
        app.say(id, &format!("message {turn}")).await;
    }
    let asked = app.model().asked();
    for (turn, request) in asked.iter().enumerate() {
        // The greeting, two messages for each turn before, and the new one.
        assert_eq!(request.messages.len(), (2 * turn + 2).min(CONTEXT_ITEMS_MAX));
        let last = &request.messages.last().expect("a message").body.content;
        assert_eq!(*last, format!("message {turn}"));
    }
    assert_eq!(app.transcript(id).await.len(), 51);
}

#[tokio::test]
async fn variables_are_in_the_instructions_and_never_filled_in_twice() {
    let app = TestEngine::with(|s| s.agent["prompt"] = json!("Call them {{name}}.{{gone}}")).await;
    let id = app
        .open_with(|open| {
            open.variables = [("name", "{{secret}}"), ("secret", "s")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        })
        .await;
    app.say(id, "hello").await;
    assert_eq!(app.model().asked()[0].system, "Call them {{secret}}.");
}

/// Invariant 4: a hold is taken at open, given back at the end, and what was used is paid.
#[tokio::test]
async fn credits_are_held_at_open_and_released_at_the_end() {
    use epilogue_core::ledger::Account::{Balance, Held, Revenue};
    let app = TestEngine::with(|s| {
        s.credits = Some(MicroCredits(10_000_000));
        s.agent["hold"] = json!("2");
    })
    .await;
    let books = async |app: &TestEngine| {
        let accounts =
            [Balance, Held, Revenue].map(|a| async move { app.engine.balance(&org(), a).await });
        futures::future::try_join_all(accounts)
            .await
            .expect("read")
            .into_iter()
            .map(|m| m.0)
            .collect::<Vec<_>>()
    };
    let id = app.open().await;
    assert_eq!(books(&app).await, [8_000_000, 2_000_000, 0]);
    app.say(id, "hello").await;
    let cost = app.end(id).await.outcome.ended().expect("it ended").cost.0;
    assert!(cost > 0);
    assert_eq!(books(&app).await, [10_000_000 - cost, 0, cost]);
}

#[tokio::test]
async fn an_open_needs_credits_down_to_the_grace_and_no_further() {
    let cases = [(None, 0, true), (Some(0), 0, false), (Some(1), 0, true)];
    let with_grace = [(Some(-5), 5, true), (Some(-6), 5, false)];
    for (credits, grace, opens) in cases.into_iter().chain(with_grace) {
        let app = TestEngine::with(|s| {
            s.credits = credits.map(MicroCredits);
            s.grace = MicroCredits(grace);
        })
        .await;
        match app.try_open(|_| {}).await {
            Ok(_) => assert!(opens, "{credits:?} with {grace}"),
            Err(OpenError::InsufficientCredits { balance }) => {
                assert!(!opens && Some(balance.0) == credits, "{credits:?} with {grace}");
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// What happens when the money runs out is the agent's to say: it ends, or it goes on and owes.
#[tokio::test]
async fn exhausted_credits_end_the_session_or_are_owed() {
    for (setting, ends) in [("end", true), ("continue", false)] {
        let app = TestEngine::with(|s| {
            s.credits = Some(MicroCredits(35_000));
            s.agent["on_credits_exhausted"] = json!(setting);
            s.agent["price"] = json!({ "per_1k_output_tokens": "1" });
        })
        .await;
        let id = app.open().await;
        // Ten tokens, one hundredth of a credit each turn: the fourth is one too many.
        for turn in 1..=4 {
            let events = app.say(id, "go on").await;
            let expected = ends && turn == 4;
            let Some(TurnEvent::Completed { finish, usage }) = events.last() else {
                panic!("{events:?}")
            };
            assert_eq!((*finish, usage.output_tokens), (expected, USED.completion_tokens));
        }
        app.engine.begin_drain();
        soon(app.engine.drained()).await;
        let reason = app.session(id).await.ended().map(|ended| ended.reason);
        assert_eq!(reason, ends.then_some(EndReason::CreditsExhausted));
        app.end(id).await;
        let left = app.engine.balance(&org(), epilogue_core::ledger::Account::Balance).await;
        assert_eq!(left.expect("read"), MicroCredits(-5_000));
    }
}

/// A goodbye, or an end that was asked for with the message, is told as what it is, even where the
/// credits run out with the same turn.
#[tokio::test]
async fn a_goodbye_comes_before_credits_that_run_out() {
    for goodbye in [true, false] {
        let app = TestEngine::with(|s| {
            s.credits = Some(MicroCredits(1));
            s.agent["on_credits_exhausted"] = json!("end");
            s.agent["price"] = json!({ "per_1k_output_tokens": "1" });
            s.profile.agent_finish = epilogue_core::profile::AgentFinish::EndsSession;
        })
        .await;
        let id = app.open().await;
        let mut request = crate::support::request(id, "bye");
        if goodbye {
            let call = crate::support::model::call("c1", "end_chat");
            app.model().answers([vec![text("Goodbye."), call, end()]]);
        } else {
            request.extras.then_end = Some(EndReason::UserEnd);
            request.extras.ended_by = Some("key_1".into());
        }
        let record = soon(app.engine.whole_turn(request)).await.expect("completed");
        let reason = record.session.ended().expect("ended").reason;
        let expected = if goodbye { EndReason::AgentFinish } else { EndReason::UserEnd };
        assert_eq!(reason, expected);
        let page = epilogue_engine::records::PageRequest::first(10);
        let log = app.engine.activity(&org(), Some(id), &page).await.expect("read").items;
        let by = log.iter().find(|entry| entry.kind == "session.ended").map(|e| e.by.clone());
        assert_eq!(by, Some((!goodbye).then(|| "key_1".to_owned())));
    }
}

/// What we broke ourselves is free, and the one settlement says so with zeros.
#[tokio::test]
async fn our_own_failure_is_not_billed() {
    let app = TestEngine::with(|s| s.credits = Some(MicroCredits(1_000_000))).await;
    let id = app.open().await;
    app.say(id, "hello").await;
    let EndOutcome::EndedNow(ended) = app.end_for(id, EndReason::Failed).await.outcome else {
        panic!("it ends")
    };
    assert_eq!(ended.cost, MicroCredits::ZERO);
    let page = epilogue_engine::records::PageRequest::first(10);
    let rows = app.engine.ledger(&org(), Some(id), &page).await.expect("read").items;
    assert!(!rows.is_empty() && rows.iter().all(|row| row.amount == MicroCredits::ZERO));
}

/// Invariant 10, tenants do not meet: a stranger's end, turn or keep-alive neither cuts the turn in
/// flight nor holds up the next, and the session looks as if it did not exist.
#[tokio::test]
async fn a_stranger_who_names_a_session_touches_nothing() {
    use epilogue_core::EndRequest;
    use epilogue_engine::session::{TurnError, TurnExtras, TurnRequest};
    let app = TestEngine::start().await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let mut stream = app.begin(id, "hello").await;
    let answer = hand.next().await.begin();
    answer.text("Hel");
    let other = crate::support::stranger();
    let ended = app.engine.end(&other, id, EndRequest::asked(EndReason::UserEnd)).await;
    assert_eq!(ended.expect("no fault"), None);
    for when_busy in [WhenBusy::Interrupt, WhenBusy::Reject, WhenBusy::Wait] {
        let message = "whose is this?".to_owned();
        let request = TurnRequest {
            org: other.clone(),
            session: id,
            input: message.into(),
            when_busy,
            extras: TurnExtras::default(),
        };
        let refused = soon(app.engine.turn(request)).await;
        assert!(matches!(refused, Err(TurnError::NoSession)), "{refused:?}");
    }
    assert_eq!(app.engine.keep_alive(&other, id).await.expect("read"), None);
    assert!(app.engine.messages(&other, id, 0, 100).await.expect("read").is_empty());
    assert!(app.engine.why(&other, id).await.expect("read").is_none());
    answer.text("lo.").end();
    let events = rest(&mut stream).await;
    assert!(matches!(events.last(), Some(TurnEvent::Completed { .. })), "{events:?}");
    assert_eq!(app.said(id).await[1..], ["user: hello", "assistant: Hello."]);
    app.end(id).await;
    assert!(app.engine.steps_of(&other, id).await.expect("read").is_empty());
}
