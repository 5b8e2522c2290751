//! A caller that says several things in a turn, runs tools between turns, and hears the whole reply.

use epilogue_core::{
    Role, SessionId, Timestamp,
    message::{Message, NewMessage},
    open_calls::open_calls,
    profile::{AgentFinish, FinishTool, Writes},
};
use epilogue_engine::{
    llm::ToolDefinition,
    session::{TurnExtras, TurnInput, TurnRecord, TurnRequest, WholeTurnError},
};
use serde_json::json;

use super::{Setup, TestEngine, request, soon};

/// Sessions as an API has them whose callers run tools between turns.
pub fn runs_tools(setup: &mut Setup) {
    setup.profile.agent_finish = AgentFinish::EndsSession;
    let turns = &mut setup.profile.turns;
    turns.writes = Writes::WithReply;
    turns.defers_calls = true;
    turns.greets = false;
    turns.finish_tool = FinishTool::EndCall;
}

/// A tool that the caller runs.
pub fn tool(name: &str) -> ToolDefinition {
    let parameters = json!({ "type": "object" });
    ToolDefinition { name: name.into(), description: "The caller's.".into(), parameters }
}

/// Words of the person.
pub fn user(text: &str) -> NewMessage {
    NewMessage::text(Role::User, text, Timestamp::default())
}

/// The result of a call.
pub fn result(id: &str, text: &str) -> NewMessage {
    let result = NewMessage::text(Role::Tool, text, Timestamp::default());
    NewMessage { tool_call_id: Some(id.into()), ..result }
}

/// What the caller says, and may run.
pub fn asking(session: SessionId, said: Vec<NewMessage>, tools: &[&str]) -> TurnRequest {
    let deferred = tools.iter().map(|name| tool(name)).collect();
    let extras = TurnExtras { deferred, ..TurnExtras::default() };
    TurnRequest { input: TurnInput::Messages(said), extras, ..request(session, "") }
}

/// Takes a turn to its end.
pub async fn ask(
    app: &TestEngine,
    session: SessionId,
    said: Vec<NewMessage>,
    tools: &[&str],
) -> Result<TurnRecord, WholeTurnError> {
    soon(app.engine.whole_turn(asking(session, said, tools))).await
}

/// The ids of the calls that a turn leaves open.
pub fn open(record: &TurnRecord) -> Vec<&str> {
    let bodies = record.messages.iter().map(|message| &message.body);
    open_calls(bodies).into_iter().map(|call| call.id.as_str()).collect()
}

/// A transcript in short.
pub fn shown(transcript: &[Message]) -> Vec<String> {
    let line = |message: &Message| match &message.body.tool_call_id {
        Some(id) => format!("{id}: {}", message.body.content),
        None => format!("{}: {}", message.body.role.as_str(), message.body.content),
    };
    transcript.iter().map(line).collect()
}
