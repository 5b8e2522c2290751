//! Tools: calls and their results, calls that lead nowhere, and the agent's goodbye.

use std::sync::{Arc, Mutex};

use axum::{Router, routing::post};
use epilogue_core::{
    EndReason, Role,
    message::Message,
    profile::{AgentFinish, FinishTool},
};
use epilogue_engine::session::{TurnEvent, TurnFailure};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::support::{
    TestEngine,
    model::{call, end, text},
    rest, settle, soon, text_of,
};

/// A fake tool on loopback. It answers, or hangs if asked to.
struct FakeTool {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
    _server: AbortOnDropHandle<()>,
}

impl FakeTool {
    async fn start() -> Self {
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let log = heard.clone();
        let answer = move |body: String| {
            let log = log.clone();
            async move {
                log.lock().expect("not poisoned").push(body);
                r#"{"result":"sunny"}"#
            }
        };
        let hang = || async { std::future::pending::<&str>().await };
        let router = Router::new().route("/weather", post(answer)).route("/hang", post(hang));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self { url, heard, _server: AbortOnDropHandle::new(server) }
    }

    fn spec(&self, name: &str) -> Value {
        json!({ "name": name, "url": format!("{}/{name}", self.url) })
    }
}

fn started(name: &str) -> TurnEvent {
    TurnEvent::ToolStarted { name: name.into() }
}

fn finished(name: &str) -> TurnEvent {
    TurnEvent::ToolFinished { name: name.into() }
}

fn is_result(message: &Message, id: &str) -> bool {
    message.body.role == Role::Tool && message.body.tool_call_id.as_deref() == Some(id)
}

#[tokio::test]
async fn a_tool_is_called_and_its_result_goes_to_the_model() {
    let tool = FakeTool::start().await;
    let app = TestEngine::with(|s| s.agent["tools"] = json!([tool.spec("weather")])).await;
    app.model().answers([
        vec![text("Let me look. "), call("c1", "weather"), call("c2", "nonsense"), end()],
        vec![text("It is sunny."), end()],
    ]);
    let id = app.open().await;
    let events = app.say(id, "the weather?").await;
    assert_eq!(text_of(&events), "Let me look. It is sunny.");
    let [first, second] = ["weather", "nonsense"];
    assert_eq!(events[1..5], [started(first), finished(first), started(second), finished(second)]);
    assert_eq!(*tool.heard.lock().expect("not poisoned"), ["{}"]);
    let asked = app.model().asked();
    let shown = &asked[1].messages;
    assert!(is_result(&shown[3], "c1") && shown[3].body.content == "sunny");
    assert!(
        is_result(&shown[4], "c2") && shown[4].body.content.contains("no tool called nonsense")
    );
    assert_eq!(app.session(id).await.usage.model_calls, 2);
    app.end(id).await;
}

/// Invariant 12: an agent that never stops calling is stopped, with a transcript that can be replayed.
#[tokio::test]
async fn an_agent_that_only_calls_tools_is_stopped() {
    let app = TestEngine::with(|s| s.limits.tool_rounds_max = 3).await;
    app.model()
        .by_rule(|request| Ok(vec![call(&format!("c{}", request.messages.len()), "x"), end()]));
    let id = app.open().await;
    let events = app.say(id, "go").await;
    assert_eq!(events.last(), Some(&TurnEvent::Failed(TurnFailure::ToolLoop)));
    assert_eq!(app.model().asked().len(), 4);
    assert_eq!(app.session(id).await.usage.model_calls, 4);
}

#[tokio::test]
async fn calls_past_the_limit_of_one_reply_are_left_out() {
    for (called, run) in [(3, 3), (4, 3)] {
        let app = TestEngine::with(|s| s.limits.tool_calls_max = 3).await;
        let calls = (0..called).map(|n| call(&format!("c{n}"), "x")).chain([end()]);
        app.model().answers([calls.collect(), vec![text("Done."), end()]]);
        let id = app.open().await;
        let events = app.say(id, "go").await;
        assert_eq!(events.iter().filter(|event| **event == started("x")).count(), run);
        assert_eq!(app.transcript(id).await[2].body.tool_calls.len(), run);
    }
}

/// Invariant 7: an end in the middle of a tool call leaves no dangling call.
#[tokio::test]
async fn an_end_during_a_tool_call_answers_every_call() {
    let tool = FakeTool::start().await;
    let app = TestEngine::with(|s| s.agent["tools"] = json!([tool.spec("hang")])).await;
    app.model().answers([vec![call("c1", "hang"), call("c2", "hang"), end()]]);
    let id = app.open().await;
    let mut stream = app.begin(id, "go").await;
    assert_eq!(soon(stream.events.recv()).await, Some(started("hang")));
    settle().await;
    app.end(id).await;
    assert_eq!(rest(&mut stream).await, [TurnEvent::Failed(TurnFailure::SessionEnded)]);
    let transcript = app.transcript(id).await;
    assert!(is_result(&transcript[3], "c1") && is_result(&transcript[4], "c2"));
    assert_eq!(transcript.len(), 5);
}

/// The client is told, and the session stays open, or it ends with reason `agent_finish`.
#[tokio::test]
async fn a_goodbye_tells_the_client_or_ends_the_session() {
    let dasha = FinishTool::FinishTheConversation;
    for (tool, name) in [
        (FinishTool::EndChat, "end_chat"),
        (dasha, "finishTheConversation"),
        (dasha, "endConversation"),
    ] {
        for finish in [AgentFinish::TellsClient, AgentFinish::EndsSession] {
            let app = TestEngine::with(|s| {
                s.profile.agent_finish = finish;
                s.profile.turns.finish_tool = tool;
            })
            .await;
            app.model().answers([vec![text("Goodbye."), call("c1", name), end()]]);
            let id = app.open().await;
            let events = app.say(id, "bye").await;
            assert!(matches!(events.last(), Some(TurnEvent::Completed { finish: true, .. })));
            soon(async {
                app.engine.begin_drain();
                app.engine.drained().await;
            })
            .await;
            let session = app.session(id).await;
            let reason = session.ended().map(|ended| ended.reason);
            let expected = (finish == AgentFinish::EndsSession).then_some(EndReason::AgentFinish);
            assert_eq!(reason, expected);
            assert_eq!(app.said(id).await.last().map(String::as_str), Some("assistant: Goodbye."));
        }
    }
}

#[tokio::test]
async fn an_agent_without_last_words_says_its_farewell() {
    let app = TestEngine::with(|s| s.agent["farewell"] = json!("Farewell!")).await;
    app.model().answers([vec![call("c1", "end_chat"), end()]]);
    let id = app.open().await;
    let events = app.say(id, "bye").await;
    assert_eq!(text_of(&events), "Farewell!");
    assert_eq!(app.said(id).await.last().map(String::as_str), Some("assistant: Farewell!"));
    assert_eq!(app.session(id).await.usage.total_messages, 3);
}

/// A name by which agents of another API say goodbye is nothing special.
#[tokio::test]
async fn a_finish_tool_of_another_api_is_a_tool_like_any_other() {
    for (tool, name) in [
        (FinishTool::EndChat, "finishTheConversation"),
        (FinishTool::EndChat, "endConversation"),
        (FinishTool::FinishTheConversation, "end_chat"),
    ] {
        let app = TestEngine::with(|s| {
            s.profile.agent_finish = AgentFinish::EndsSession;
            s.profile.turns.finish_tool = tool;
        })
        .await;
        app.model().answers([vec![call("c1", name), end()], vec![text("Still here."), end()]]);
        let id = app.open().await;
        let events = app.say(id, "bye").await;
        assert_eq!(text_of(&events), "Still here.", "{name}");
        assert!(app.session(id).await.ended().is_none());
    }
}

/// An agent's own tool comes before the built-in one of its name, which is then not offered.
#[tokio::test]
async fn an_own_tool_with_the_name_of_the_finish_tool_is_called_and_offered_once() {
    let app = TestEngine::with(|s| {
        s.profile.agent_finish = AgentFinish::EndsSession;
        s.agent["tools"] = json!([{ "name": "end_chat", "url": "https://tools.example.test/x" }]);
    })
    .await;
    app.model().answers([vec![call("c1", "end_chat"), end()], vec![text("Done."), end()]]);
    let id = app.open().await;
    assert_eq!(text_of(&app.say(id, "bye").await), "Done.");
    assert!(app.session(id).await.ended().is_none());
    let offered: Vec<_> = app.model().asked()[0].tools.iter().map(|t| t.name.clone()).collect();
    assert_eq!(offered, ["end_chat"]);
}

/// To an agent that may not finish, `end_chat` is a tool that does not exist.
#[tokio::test]
async fn an_agent_that_may_not_finish_goes_on() {
    let app = TestEngine::with(|s| s.agent["may_finish"] = json!(false)).await;
    app.model().answers([vec![call("c1", "end_chat"), end()], vec![text("Still here."), end()]]);
    let id = app.open().await;
    let events = app.say(id, "bye").await;
    assert_eq!(text_of(&events), "Still here.");
    assert!(matches!(events.last(), Some(TurnEvent::Completed { finish: false, .. })));
    assert!(app.model().asked()[0].tools.is_empty());
}

/// Invariant 12: a reader that stands still does not hold a farewell, nor an end, for ever.
#[tokio::test]
async fn a_farewell_does_not_wait_for_a_reader_that_stands_still() {
    let app = TestEngine::with(|s| s.agent["farewell"] = json!("Farewell!")).await;
    // As many events as are kept for a slow reader: 62 pieces, and one tool started and finished.
    let words = (0..62).map(|_| text("word ")).chain([call("c1", "x"), end()]);
    app.model().answers([words.collect(), vec![call("c2", "end_chat"), end()]]);
    let id = app.open().await;
    let stream = app.begin(id, "bye").await;
    soon(async {
        while app.model().asked().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    settle().await;
    app.end(id).await;
    let last = app.transcript(id).await.pop().expect("a message");
    assert_eq!(last.body.content, "Farewell!");
    drop(stream);
}
