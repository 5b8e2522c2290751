use std::sync::Arc;

use epilogue_core::{Timestamp, agent::ScriptedTool, message::NewMessage};
use serde_json::json;

use super::*;
use crate::{
    clock::SimClock,
    llm::testing::{conversation, numbered, request, text, whole},
};

fn rule(when: &str, reply: &str) -> ScriptRule {
    ScriptRule { when: when.into(), reply: reply.into(), ..ScriptRule::default() }
}

fn weather_rule() -> ScriptRule {
    let tool = ScriptedTool { name: "weather".into(), arguments: r#"{"city":"Ulm"}"#.into() };
    ScriptRule { tool: Some(tool), ..rule("rain", "It rains.") }
}

fn scripted(script: &[ScriptRule], messages: Vec<Message>) -> ModelRequest {
    let mut request = request(messages);
    request.model.script = script.to_vec();
    request
}

fn clock() -> SimClock {
    SimClock::at(Timestamp::from_millis(0))
}

async fn answer(request: ModelRequest) -> Vec<ModelEvent> {
    let model = Scripted::new(Arc::new(clock()));
    whole(model.stream(request).await.expect("a script always answers")).await
}

#[tokio::test]
async fn the_first_rule_that_is_contained_answers_whatever_the_case() {
    let script = [rule("BILL", "About bills."), rule("", "You said: {{message}}")];
    let reply = async |said| text(&answer(scripted(&script, conversation(&[said]))).await);
    assert_eq!(reply("my Bill, please").await, "About bills.");
    assert_eq!(reply("good day").await, "You said: good day");
}

#[tokio::test]
async fn only_the_last_thing_the_person_said_counts() {
    let script = [rule("bill", "About bills.")];
    let events = answer(scripted(&script, conversation(&["my bill", "never mind"]))).await;
    assert_eq!(text(&events), NO_RULE);
}

#[tokio::test]
async fn without_a_rule_it_says_that_it_is_scripted() {
    let events = answer(scripted(&[], Vec::new())).await;
    assert!(text(&events).contains("scripted"));
}

#[tokio::test]
async fn words_come_one_by_one_on_the_clock() {
    let slow = ScriptRule { word_delay_ms: 50, ..rule("", "one two three") };
    let clock = clock();
    let model = Scripted::new(Arc::new(clock.clone()));
    let request = scripted(&[slow], conversation(&["go"]));
    let mut stream = model.stream(request).await.expect("an answer");
    assert_eq!(stream.next().await.expect("at once").ok(), Some(ModelEvent::Text("one ".into())));
    let mut next = stream.next();
    assert!(futures::poll!(&mut next).is_pending());
    clock.advance(Span::from_millis(49));
    assert!(futures::poll!(&mut next).is_pending());
    clock.advance(Span::from_millis(1));
    assert_eq!(next.await.expect("in time").ok(), Some(ModelEvent::Text("two ".into())));
}

#[tokio::test]
async fn usage_is_what_the_tokenizer_counts() {
    let request = scripted(&[rule("", "hello world")], conversation(&["hello"]));
    let expected = tokens::estimate(&request, "hello world", &[]);
    let events = answer(request).await;
    assert_eq!(events.last(), Some(&ModelEvent::End { usage: Some(expected) }));
    assert_eq!(expected.completion_tokens, 2);
}

#[tokio::test]
async fn a_tool_is_called_first_and_not_again_on_its_own_result() {
    let asked = NewMessage::text(Role::User, "will it rain?", Timestamp::default());
    let events = answer(scripted(&[weather_rule()], numbered([asked.clone()]))).await;
    let [ModelEvent::ToolCall(call), ModelEvent::End { .. }] = events.as_slice() else {
        panic!("a call and nothing else: {events:?}");
    };
    assert_eq!((call.name.as_str(), call.arguments.as_str()), ("weather", r#"{"city":"Ulm"}"#));

    let mut calling = NewMessage::text(Role::Assistant, "", Timestamp::default());
    calling.tool_calls.push(call.clone());
    let mut result = NewMessage::text(Role::Tool, "wet", Timestamp::default());
    result.tool_call_id = Some(call.id.clone());
    let events = answer(scripted(&[weather_rule()], numbered([asked, calling, result]))).await;
    assert_eq!(text(&events), "It rains.");
    assert!(!events.iter().any(|event| matches!(event, ModelEvent::ToolCall(_))));
}

#[tokio::test]
async fn the_result_of_another_tool_does_not_stand_for_its_own() {
    let asked = NewMessage::text(Role::User, "will it rain?", Timestamp::default());
    let other = ToolCall { id: "call_x".into(), name: "clock".into(), arguments: "{}".into() };
    let mut calling = NewMessage::text(Role::Assistant, "", Timestamp::default());
    calling.tool_calls.push(other);
    let mut result = NewMessage::text(Role::Tool, "noon", Timestamp::default());
    result.tool_call_id = Some("call_x".into());
    let events = answer(scripted(&[weather_rule()], numbered([asked, calling, result]))).await;
    assert!(matches!(events.first(), Some(ModelEvent::ToolCall(call)) if call.name == "weather"));
}

#[tokio::test]
async fn a_form_is_filled_with_what_a_rule_says_and_nulls() {
    let schema = json!({
        "type": "object",
        "properties": { "resolved": { "type": ["boolean", "null"] }, "topic": {} },
    });
    let filled = async |script: &[ScriptRule]| {
        let mut request = scripted(script, conversation(&["the transcript: bill"]));
        request.answer = Some(AnswerSchema { name: "qa".into(), schema: schema.clone() });
        serde_json::from_str::<Value>(&text(&answer(request).await)).expect("JSON")
    };
    let nothing = json!({ "resolved": null, "topic": null });
    assert_eq!(filled(&[]).await, nothing);
    assert_eq!(filled(&[rule("bill", "About bills.")]).await, nothing);
    let knowing = rule("bill", r#"{ "resolved": true, "unasked": 1 }"#);
    assert_eq!(filled(&[knowing]).await, json!({ "resolved": true, "topic": null }));
}
