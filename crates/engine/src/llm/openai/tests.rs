//! Answers as endpoints give them, each in its own way.

use std::collections::HashSet;

use epilogue_core::{Span, agent::SecretRef};
use futures::StreamExt;
use serde_json::{Value, json};

use super::{answer::TAIL_WAIT, fake::*};
use crate::llm::{
    LanguageModel, ModelEvent, ModelUsage,
    testing::{text, whole},
};

/// What a whole stream of these packets comes to.
async fn answer_of(reply: Reply) -> Vec<ModelEvent> {
    let fake = FakeEndpoint::start([reply]).await;
    let stream = adapter(sim_clock()).stream(fake.request()).await.expect("a first piece");
    whole(stream).await
}

fn end(usage: Option<(u64, u64)>) -> ModelEvent {
    let usage = usage
        .map(|(prompt_tokens, completion_tokens)| ModelUsage { prompt_tokens, completion_tokens });
    ModelEvent::End { usage }
}

#[tokio::test]
async fn an_answer_comes_piece_by_piece_and_ends_with_its_usage() {
    let packets = [word("Good "), word("day"), finish("stop"), usage(9, 2), done()];
    assert_eq!(
        answer_of(stream_of(packets)).await,
        [ModelEvent::Text("Good ".into()), ModelEvent::Text("day".into()), end(Some((9, 2)))]
    );
}

#[tokio::test]
async fn a_letter_that_is_split_over_packets_arrives_whole() {
    let bytes = [word("Grüße 👋"), finish("stop"), done()].concat().into_bytes();
    let single_bytes = bytes.into_iter().map(|byte| vec![byte]);
    assert_eq!(text(&answer_of(stream_of(single_bytes)).await), "Grüße 👋");
}

#[tokio::test]
async fn comments_empty_events_and_other_line_breaks_are_no_matter() {
    let packets = [
        ": keep-alive\n\n".to_owned(),
        "event: ping\r\n\r\n".to_owned(),
        delta(&json!({ "role": "assistant", "content": "" })),
        word("a").replace('\n', "\r\n"),
        ": keep-alive\n\n".to_owned(),
        word("b"),
        finish("stop"),
        done(),
    ];
    assert_eq!(text(&answer_of(stream_of(packets)).await), "ab");
}

#[tokio::test]
async fn tool_calls_that_come_in_interleaved_fragments_are_handed_out_whole() {
    let fragment = |value: Value| delta(&json!({ "tool_calls": [value] }));
    let packets = [
        fragment(json!({ "index": 0, "id": "a", "function": { "name": "x", "arguments": "" } })),
        fragment(json!({ "index": 1, "id": "b", "function": { "name": "y", "arguments": "" } })),
        fragment(json!({ "index": 0, "function": { "arguments": "{\"n\"" } })),
        fragment(json!({ "index": 1, "function": { "arguments": "{ broken" } })),
        fragment(json!({ "index": 0, "function": { "arguments": ":1}" } })),
        finish("tool_calls"),
        done(),
    ];
    let events = answer_of(stream_of(packets)).await;
    let calls: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ModelEvent::ToolCall(call) => Some((&*call.id, &*call.name, &*call.arguments)),
            _ => None,
        })
        .collect();
    // Arguments that are not JSON are passed on as the model wrote them.
    assert_eq!(calls, [("a", "x", "{\"n\":1}"), ("b", "y", "{ broken")]);
    assert_eq!(events.last(), Some(&end(None)));
}

#[tokio::test]
async fn an_endpoint_may_leave_out_usage_and_invent_its_own_finish_reason() {
    let events = answer_of(stream_of([word("a"), finish("eos_token"), done()])).await;
    assert_eq!(events, [ModelEvent::Text("a".into()), end(None)]);
}

#[tokio::test]
async fn a_finish_reason_ends_an_answer_without_done_and_done_without_a_finish_reason() {
    assert_eq!(answer_of(stream_of([word("a"), finish("stop")])).await.last(), Some(&end(None)));
    assert_eq!(answer_of(stream_of([word("a"), done()])).await.last(), Some(&end(None)));
}

#[tokio::test]
async fn what_breaks_after_the_answer_is_whole_does_not_spoil_it() {
    let reply = stream_of([word("a"), finish("stop")]).then(Act::Break);
    assert_eq!(answer_of(reply).await.last(), Some(&end(None)));
}

#[tokio::test]
async fn usage_is_waited_for_briefly_and_no_longer() {
    let packet = [word("a"), finish("stop")].concat();
    let fake = FakeEndpoint::start([stream_of([packet]).then(Act::Stall)]).await;
    let clock = sim_clock();
    let mut stream = adapter(clock.clone()).stream(fake.request()).await.expect("a first piece");
    assert!(matches!(stream.next().await, Some(Ok(ModelEvent::Text(_)))));
    let mut last = stream.next();
    assert!(futures::poll!(&mut last).is_pending());
    clock.advance(Span::from_millis(TAIL_WAIT.as_millis() - 1));
    assert!(futures::poll!(&mut last).is_pending());
    clock.advance(Span::from_millis(1));
    assert_eq!(last.await.expect("an end").expect("no failure"), end(None));
    fake.first_reply_over().await;
}

#[tokio::test]
async fn an_empty_answer_is_an_answer() {
    assert_eq!(answer_of(stream_of([finish("stop"), done()])).await, [end(None)]);
}

#[tokio::test]
async fn the_key_goes_into_the_header_and_the_conversation_into_the_body() {
    let fake = FakeEndpoint::start([whole_answer("a")]).await;
    let mut request = fake.request();
    request.model.api_key = Some(SecretRef("sk-test".into()));
    drop(adapter(sim_clock()).stream(request).await.expect("a first piece"));
    let asked = fake.asked().remove(0);
    assert_eq!(asked.headers["authorization"], "Bearer sk-test");
    assert_eq!(asked.body["messages"][0]["content"], "hello");
    assert_eq!(asked.body["stream"], true);
}

#[tokio::test]
async fn one_connection_serves_one_answer_after_another() {
    let fake = FakeEndpoint::start((0..4).map(|_| whole_answer("a"))).await;
    let model = adapter(sim_clock());
    for _ in 0..4 {
        whole(model.stream(fake.request()).await.expect("a first piece")).await;
        // The end of the response, which nobody waits for, comes in the meantime.
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
    }
    let connections: HashSet<_> = fake.asked().iter().map(|asked| asked.from).collect();
    assert_eq!((fake.asked().len(), connections.len()), (4, 1));
}

#[tokio::test]
async fn dropping_an_answer_hangs_up_so_that_the_model_stops() {
    let fake = FakeEndpoint::start([stream_of([word("a")]).then(Act::Stall)]).await;
    let stream = adapter(sim_clock()).stream(fake.request()).await.expect("a first piece");
    drop(stream);
    fake.first_reply_over().await;
}

#[tokio::test]
async fn giving_up_before_the_first_piece_hangs_up_too() {
    let nothing: [&str; 0] = [];
    let fake = FakeEndpoint::start([stream_of(nothing).then(Act::Stall)]).await;
    let model = adapter(sim_clock());
    let asking = model.stream(fake.request());
    tokio::select! {
        _ = asking => panic!("nothing was answered"),
        () = fake.first_request() => {}
    }
    fake.first_reply_over().await;
}
