use serde_json::json;

use super::*;

fn delta(delta: &Value) -> String {
    json!({ "choices": [{ "index": 0, "delta": delta }] }).to_string()
}

fn text(text: &str) -> String {
    delta(&json!({ "content": text }))
}

fn fragment(fragment: &Value) -> String {
    delta(&json!({ "tool_calls": [fragment] }))
}

fn whole_call(index: u64, id: &str, arguments: &str) -> String {
    let function = json!({ "name": "look", "arguments": arguments });
    fragment(&json!({ "index": index, "id": id, "function": function }))
}

/// The calls of an answer to which these chunks amount.
fn calls(chunks: &[String]) -> Vec<ToolCall> {
    let mut answer = Assembly::new(4);
    for chunk in chunks {
        answer.take(chunk).expect("a chunk");
    }
    answer.finish().expect("whole calls").0
}

fn arguments(calls: &[ToolCall]) -> Vec<&str> {
    calls.iter().map(|call| call.arguments.as_str()).collect()
}

#[test]
fn interleaved_calls_are_put_together_by_their_index() {
    let more = |index: u64, text: &str| {
        fragment(&json!({ "index": index, "function": { "arguments": text } }))
    };
    let calls = calls(&[
        whole_call(0, "a", ""),
        whole_call(1, "b", "{"),
        more(0, "{\"x\":"),
        more(1, "}"),
        more(0, "1}"),
    ]);
    assert_eq!(arguments(&calls), ["{\"x\":1}", "{}"]);
    assert_eq!((calls[0].id.as_str(), calls[1].id.as_str()), ("a", "b"));
}

#[test]
fn parallel_calls_that_are_all_numbered_0_stay_apart() {
    let calls = calls(&[whole_call(0, "a", "{\"x\":1}"), whole_call(0, "b", "{\"x\":2}")]);
    assert_eq!(arguments(&calls), ["{\"x\":1}", "{\"x\":2}"]);
}

#[test]
fn calls_without_index_are_told_apart_by_id_or_else_by_naming_their_tool() {
    let call = |value: &Value| fragment(value);
    let by_id = calls(&[
        call(&json!({ "id": "a", "function": { "name": "look", "arguments": "{" } })),
        call(&json!({ "id": "b", "function": { "name": "look", "arguments": "[" } })),
        call(&json!({ "id": "a", "function": { "arguments": "}" } })),
    ]);
    assert_eq!(arguments(&by_id), ["{}", "["]);
    let by_name = calls(&[
        call(&json!({ "function": { "name": "look", "arguments": "{" } })),
        call(&json!({ "function": { "arguments": "}" } })),
        call(&json!({ "function": { "name": "look", "arguments": { "x": 2 } } })),
    ]);
    assert_eq!(arguments(&by_name), ["{}", "{\"x\":2}"]);
}

#[test]
fn missing_and_repeated_ids_are_made_up_alike_each_time() {
    let chunks = [
        fragment(&json!({ "index": 0, "function": { "name": "look" } })),
        whole_call(1, "same", ""),
        whole_call(2, "same", ""),
    ];
    let ids: Vec<_> = calls(&chunks).into_iter().map(|call| call.id).collect();
    assert_eq!(ids, ["call_4_0", "same", "call_4_2"]);
}

#[test]
fn a_call_that_names_no_tool_is_a_fault() {
    let mut answer = Assembly::new(0);
    answer.take(&fragment(&json!({ "index": 0, "id": "a" }))).expect("a chunk");
    assert_eq!(answer.finish().expect_err("no name"), Fault::NamelessCall);
}

#[test]
fn the_length_of_an_answer_is_bounded() {
    let half = text(&"x".repeat(ANSWER_BYTES_MAX / 2));
    let mut answer = Assembly::new(0);
    answer.take(&half).expect("half of it");
    answer.take(&half).expect("all of it");
    assert_eq!(answer.take(&text("x")), Err(Fault::AnswerTooLong));
}

#[test]
fn thoughts_count_towards_the_length_but_are_not_text() {
    let thought = delta(&json!({ "reasoning_content": "x".repeat(ANSWER_BYTES_MAX) }));
    let mut answer = Assembly::new(0);
    assert_eq!(answer.take(&thought), Ok(Brought::Hidden));
    assert_eq!(answer.take(&text("x")), Err(Fault::AnswerTooLong));
}

#[test]
fn the_number_of_calls_is_bounded() {
    let mut answer = Assembly::new(0);
    for index in 0..TOOL_CALLS_MAX as u64 {
        answer.take(&whole_call(index, "", "")).expect("one more");
    }
    let one_more = whole_call(TOOL_CALLS_MAX as u64, "", "");
    assert_eq!(answer.take(&one_more), Err(Fault::ToolCallsTooMany));
}

#[test]
fn the_length_of_arguments_is_bounded() {
    let mut answer = Assembly::new(0);
    answer.take(&whole_call(0, "a", &"x".repeat(ARGUMENTS_BYTES_MAX))).expect("as long as may be");
    let more = fragment(&json!({ "index": 0, "function": { "arguments": "x" } }));
    assert_eq!(answer.take(&more), Err(Fault::ArgumentsTooLong));
}

#[test]
fn usage_is_taken_from_wherever_it_comes_and_nulls_do_not_undo_it() {
    let mut answer = Assembly::new(0);
    for chunk in [
        r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#,
        r#"{"choices":[],"usage":null}"#,
        r#"{"choices":null,"usage":{}}"#,
        r#"{"id":"nothing else"}"#,
    ] {
        assert_eq!(answer.take(chunk), Ok(Brought::Nothing));
    }
    let usage = ModelUsage { prompt_tokens: 5, completion_tokens: 2 };
    assert_eq!(answer.finish().expect("no calls").1, Some(usage));
}

#[test]
fn any_finish_reason_but_an_error_finishes() {
    let finish = |reason: &str| {
        let mut answer = Assembly::new(0);
        let chunk = json!({ "choices": [{ "delta": {}, "finish_reason": reason }] });
        answer.take(&chunk.to_string()).map(|_| answer.is_finished())
    };
    assert_eq!(finish("stop"), Ok(true));
    assert_eq!(finish("eos_token"), Ok(true));
    assert_eq!(finish(""), Ok(false));
    assert_eq!(finish("error"), Err(Fault::Reported(Kind::default())));
}

#[test]
fn text_in_parts_and_refusals_are_text() {
    let mut answer = Assembly::new(0);
    let parts = json!({ "content": [{ "type": "thinking" }, { "type": "text", "text": "a" }] });
    assert_eq!(answer.take(&delta(&parts)), Ok(Brought::Text("a".into())));
    let refusal = json!({ "content": null, "refusal": "No." });
    assert_eq!(answer.take(&delta(&refusal)), Ok(Brought::Text("No.".into())));
}

#[test]
fn a_fault_repeats_nothing_of_what_was_sent() {
    let mut answer = Assembly::new(0);
    for chunk in [
        r#"{"choices":"my secret"}"#,
        r#"{"error":{"message":"my secret","code":"my secret"}}"#,
        r#"{"error":"my secret"}"#,
        "my secret",
    ] {
        let fault = answer.take(chunk).expect_err("no chunk");
        assert!(!format!("{fault} {fault:?}").contains("secret"), "{fault:?}");
    }
}
