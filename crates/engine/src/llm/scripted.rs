//! A model that is none: it answers from the rules in the agent's configuration, for demos and
//! tests, and says that it is scripted where they say nothing.

use std::collections::VecDeque;

use async_trait::async_trait;
use epilogue_core::{Message, Role, Span, agent::ScriptRule, message::ToolCall};
use futures::{StreamExt, stream};
use serde_json::{Map, Value};

use super::{
    AnswerSchema, LanguageModel, ModelError, ModelEvent, ModelRequest, ModelStream, tokens,
};
use crate::clock::SharedClock;

/// What is said when no rule applies.
pub const NO_RULE: &str = "I am a scripted agent, and my script has no answer to that.";

/// Answers from rules.
pub struct Scripted {
    clock: SharedClock,
}

impl Scripted {
    /// Waits between words on this clock.
    pub fn new(clock: SharedClock) -> Self {
        Self { clock }
    }
}

#[async_trait]
impl LanguageModel for Scripted {
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let (events, pause) = play(&request);
        let clock = self.clock.clone();
        let first = true;
        Ok(stream::unfold((events, clock, first), move |(mut events, clock, first)| async move {
            let event = events.pop_front()?;
            if !first && matches!(event, ModelEvent::Text(_)) {
                clock.sleep(pause).await;
            }
            Some((Ok(event), (events, clock, false)))
        })
        .boxed())
    }
}

/// The whole answer, and the pause between its words.
fn play(request: &ModelRequest) -> (VecDeque<ModelEvent>, Span) {
    let said = last_words(&request.messages);
    let rule = request.model.script.iter().find(|rule| applies(rule, said));
    let pause = Span::from_millis(rule.map_or(0, |rule| rule.word_delay_ms));
    // A form is filled in, not acted upon.
    let acting = rule.filter(|_| request.answer.is_none());
    let call = acting.and_then(|rule| call(rule, &request.messages));
    let text = match (&request.answer, rule) {
        (Some(answer), rule) => determined(answer, rule).to_string(),
        (None, Some(_)) if call.is_some() => String::new(),
        (None, Some(rule)) => rule.reply.replace("{{message}}", said),
        (None, None) => NO_RULE.to_owned(),
    };
    let usage = tokens::estimate(request, &text, call.as_slice());
    let words = text.split_inclusive(' ').map(|word| ModelEvent::Text(word.to_owned()));
    let mut events: VecDeque<_> = words.collect();
    events.extend(call.map(ModelEvent::ToolCall));
    events.push_back(ModelEvent::End { usage: Some(usage) });
    (events, pause)
}

fn last_words(messages: &[Message]) -> &str {
    let said = messages.iter().rfind(|message| message.body.role == Role::User);
    said.map_or("", |message| &message.body.content)
}

fn applies(rule: &ScriptRule, said: &str) -> bool {
    said.to_lowercase().contains(&rule.when.to_lowercase())
}

/// The call a rule begins with, unless its result is what the model is asked about.
fn call(rule: &ScriptRule, messages: &[Message]) -> Option<ToolCall> {
    let tool = rule.tool.as_ref()?;
    if answered_tool(messages).is_some_and(|name| name == tool.name) {
        return None;
    }
    let arguments = if tool.arguments.is_empty() { "{}" } else { &tool.arguments };
    let next = messages.last().map_or(0, |message| message.seq + 1);
    Some(ToolCall {
        id: format!("call_{next}_0"),
        name: tool.name.clone(),
        arguments: arguments.to_owned(),
    })
}

/// The tool whose result the last message is.
fn answered_tool(messages: &[Message]) -> Option<&str> {
    let (last, before) = messages.split_last()?;
    let id = last.body.tool_call_id.as_ref()?;
    let mut calls = before.iter().rev().flat_map(|message| &message.body.tool_calls);
    calls.find(|call| call.id == *id).map(|call| call.name.as_str())
}

/// An answer of this schema. A rule whose reply is a JSON object determines the properties that
/// it names; the rest is null, for nobody has thought about it.
fn determined(answer: &AnswerSchema, rule: Option<&ScriptRule>) -> Value {
    let mut given = match rule.map(|rule| serde_json::from_str(&rule.reply)) {
        Some(Ok(Value::Object(given))) => given,
        _ => Map::new(),
    };
    let names = answer.schema["properties"].as_object().into_iter().flat_map(Map::keys);
    let values = names.map(|name| (name.clone(), given.remove(name).unwrap_or(Value::Null)));
    Value::Object(values.collect())
}

#[cfg(test)]
#[path = "scripted_tests.rs"]
mod tests;
