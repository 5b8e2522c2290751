//! Turns that are written whole and can be asked for again, and tools that a turn's client runs.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use epilogue_core::{
    EndReason, Role, SessionId, Span,
    message::ToolCall,
    profile::{AgentFinish, TurnRules, Writes},
};
use epilogue_engine::{
    client_tool::{ClientTool, ClientToolError, RunsTools},
    llm::ToolDefinition,
    session::{TurnError, TurnEvent, TurnExtras, TurnFailure, TurnRequest, WholeTurnError},
};
use serde_json::json;

use crate::support::{
    TestEngine,
    model::{call, end, text},
    request, rest, soon,
};

/// An engine whose sessions write whole turns and show the agent's goodbye.
async fn engine() -> TestEngine {
    TestEngine::with(|setup| {
        setup.profile.agent_finish = AgentFinish::EndsSession;
        let turns = &mut setup.profile.turns;
        *turns = TurnRules { writes: Writes::WholeTurns, finish_is_shown: true, ..turns.clone() };
        setup.agent["farewell"] = "Take care!".into();
    })
    .await
}

fn keyed(session: SessionId, message: &str, key: &str) -> TurnRequest {
    let extras = TurnExtras { key: Some(key.into()), ..TurnExtras::default() };
    TurnRequest { extras, ..request(session, message) }
}

/// A client that notes what it is asked to run.
#[derive(Default)]
struct FakePage {
    asked: Mutex<Vec<ToolCall>>,
}

#[async_trait]
impl RunsTools for FakePage {
    async fn run(&self, call: &ToolCall) -> Result<String, ClientToolError> {
        self.asked.lock().expect("not poisoned").push(call.clone());
        Ok("the red one".into())
    }
}

#[tokio::test]
async fn a_clients_tool_is_offered_run_and_told_of() {
    let app = engine().await;
    app.model()
        .answers([vec![call("c1", "selected_item"), end()], vec![text("You chose red."), end()]]);
    let id = app.open().await;
    let page = Arc::new(FakePage::default());
    let definition = ToolDefinition {
        name: "selected_item".into(),
        description: "What is selected in the page.".into(),
        parameters: json!({ "type": "object" }),
    };
    let runner: Arc<dyn RunsTools> = page.clone();
    let timeout = Span::from_secs(20);
    let tools = vec![ClientTool { definition, runner, timeout, fallback: None }];
    let extras = TurnExtras { tools, ..TurnExtras::default() };
    let taken = soon(app.engine.whole_turn(TurnRequest { extras, ..request(id, "which?") })).await;
    let record = taken.expect("completed");
    let said: Vec<_> = record.messages.iter().map(|message| &*message.body.content).collect();
    assert_eq!(said, ["which?", "", "the red one", "You chose red."]);
    assert_eq!(page.asked.lock().expect("not poisoned").len(), 1);
    let asked = app.model().asked();
    assert!(asked[0].tools.iter().any(|tool| tool.name == "selected_item"));
    let next = app.say(id, "and now?").await;
    assert!(!next.is_empty());
    let asked = app.model().asked();
    let offered = &asked.last().expect("asked").tools;
    assert!(offered.iter().all(|tool| tool.name != "selected_item"), "for that turn alone");
}

#[tokio::test]
async fn a_turn_on_record_is_a_stream_that_only_ends() {
    let app = engine().await;
    app.model().answers([vec![text("Hello."), end()]]);
    let id = app.open().await;
    let first = soon(app.engine.whole_turn(keyed(id, "hi", "k1"))).await.expect("completed");
    let mut stream = soon(app.engine.turn(keyed(id, "hi", "k1"))).await.expect("on record");
    let events = rest(&mut stream).await;
    assert!(matches!(events[..], [TurnEvent::Completed { finish: false, .. }]), "{events:?}");
    assert_eq!(stream.record.await.expect("a record").messages, first.messages);
    assert_eq!(app.model().asked().len(), 1);
}

#[tokio::test]
async fn a_goodbye_is_shown_answered_and_ends_the_session_with_its_turn() {
    let app = engine().await;
    app.model().answers([vec![call("c1", "end_chat"), end()]]);
    let id = app.open().await;
    let record = soon(app.engine.whole_turn(keyed(id, "bye", "k1"))).await.expect("completed");
    let ended = record.session.ended().expect("ended in the same commit").clone();
    assert_eq!(ended.reason, EndReason::AgentFinish);
    let roles: Vec<_> = record.messages.iter().map(|message| message.body.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Assistant]);
    assert_eq!(record.messages[3].body.content, "Take care!");
    assert_eq!(app.session(id).await, record.session);
    let again = soon(app.engine.whole_turn(keyed(id, "bye", "k1"))).await.expect("on record");
    assert_eq!(again, record);
}

#[tokio::test]
async fn a_turn_may_be_told_to_be_the_last() {
    let app = engine().await;
    app.model().answers([vec![text("Bye."), end()]]);
    let id = app.open().await;
    let extras = TurnExtras { then_end: Some(EndReason::UserEnd), ..TurnExtras::default() };
    let taken = app.engine.whole_turn(TurnRequest { extras, ..request(id, "that is all") });
    let record = soon(taken).await.expect("completed");
    assert_eq!(record.session.ended().expect("ended").reason, EndReason::UserEnd);
}

#[tokio::test]
async fn a_whole_turn_that_breaks_off_is_not_there() {
    let app = engine().await;
    app.model().answers([vec![text("Half a ")]]);
    let id = app.open().await;
    let before = app.session(id).await;
    let taken = soon(app.engine.whole_turn(keyed(id, "hi", "k1"))).await;
    assert!(matches!(taken, Err(WholeTurnError::Failed(TurnFailure::Model))), "{taken:?}");
    let after = app.session(id).await;
    assert_eq!((after.messages, after.usage), (before.messages, before.usage));
}

/// The twin of a turn is there for its answer, and so waits for as long as the turn may take.
#[tokio::test]
async fn a_twin_of_a_slow_turn_waits_until_it_is_done() {
    let app = engine().await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let take = |request| {
        let engine = app.engine.clone();
        tokio::spawn(async move { engine.whole_turn(request).await })
    };
    let first = take(keyed(id, "hi", "k1"));
    let answer = soon(hand.next()).await;
    let (twin, other) = (take(keyed(id, "hi", "k1")), take(request(id, "another")));
    crate::support::settle().await;
    app.advance(app.engine.limits().turn_wait);
    let tired = soon(other).await.expect("no panic");
    assert!(
        matches!(tired, Err(WholeTurnError::NotBegun(TurnError::Overrun))),
        "no twin of it: {tired:?}"
    );
    crate::support::settle().await;
    assert!(!twin.is_finished());
    answer.say("Hello.");
    let first = soon(first).await.expect("no panic").expect("completed");
    let twin = soon(twin).await.expect("no panic").expect("on record");
    assert_eq!(twin.messages, first.messages);
}
