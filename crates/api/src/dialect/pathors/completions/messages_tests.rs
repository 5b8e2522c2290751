use serde_json::json;

use super::*;

#[expect(clippy::needless_pass_by_value, reason = "tests write their messages in place")]
fn read(messages: Value) -> Result<Vec<NewMessage>, Error> {
    super::read(&Members::read(json!({ "messages": messages }).to_string().as_bytes()))
}

fn call(id: &str) -> Value {
    json!({ "id": id, "type": "function", "function": { "name": "look", "arguments": "{}" } })
}

/// Role and text of each.
fn shown(messages: Value) -> Vec<(Role, String)> {
    let read = read(messages).expect("good messages");
    read.into_iter().map(|message| (message.role, message.content)).collect()
}

#[test]
fn every_role_is_read_with_its_text_or_the_parts_of_it() {
    let messages = json!([
        { "role": "system", "content": "a" },
        { "role": "developer", "content": "b", "name": "ignored" },
        { "role": "user", "content": [{ "type": "text", "text": "c" }, { "type": "text", "text": "d" }] },
        { "role": "assistant", "content": null, "tool_calls": [call("x")] },
        { "role": "tool", "tool_call_id": "x", "content": [{ "type": "text", "text": "e" }] },
        { "role": "assistant", "content": [{ "type": "refusal", "refusal": "f" }] },
        { "role": "assistant", "content": null },
        { "role": "user", "content": "" },
    ]);
    let expected = [
        (Role::System, "a"),
        (Role::System, "b"),
        (Role::User, "c\nd"),
        (Role::Assistant, ""),
        (Role::Tool, "e"),
        (Role::Assistant, "f"),
        (Role::User, ""),
    ];
    assert_eq!(shown(messages), expected.map(|(role, text)| (role, text.to_owned())));
}

#[test]
fn calls_and_their_results_keep_their_ids() {
    let messages = json!([
        { "role": "assistant", "content": "Let me look.", "tool_calls": [call("x"), call("y")] },
        { "role": "tool", "tool_call_id": "x", "content": "red" },
    ]);
    let read = read(messages).expect("good messages");
    let ids: Vec<_> = read[0].tool_calls.iter().map(|call| &*call.id).collect();
    assert_eq!((ids, read[1].tool_call_id.as_deref()), (vec!["x", "y"], Some("x")));
}

#[test]
fn what_is_no_message_is_refused_by_its_place() {
    let user = json!({ "role": "user", "content": "x" });
    for (wrong, place) in [
        (json!("hello"), "messages[1]"),
        (json!({ "content": "x" }), "messages[1].role"),
        (json!({ "role": "function", "name": "f", "content": "x" }), "messages[1].role"),
        (json!({ "role": 7, "content": "x" }), "messages[1].role"),
        (json!({ "role": "user" }), "messages[1].content"),
        (json!({ "role": "user", "content": null }), "messages[1].content"),
        (json!({ "role": "user", "content": 7 }), "messages[1].content"),
        (json!({ "role": "user", "content": [{ "type": "image_url" }] }), "messages[1].content[0]"),
        (json!({ "role": "user", "content": ["x"] }), "messages[1].content[0]"),
        (json!({ "role": "tool", "content": "x" }), "messages[1].tool_call_id"),
        (json!({ "role": "tool", "content": "x", "tool_call_id": "" }), "messages[1].tool_call_id"),
        (json!({ "role": "assistant", "tool_calls": {} }), "messages[1].tool_calls"),
        (json!({ "role": "assistant", "tool_calls": [{}] }), "messages[1].tool_calls[0]"),
        (
            json!({ "role": "assistant", "tool_calls": [{ "id": "x", "type": "custom", "custom": {} }] }),
            "messages[1].tool_calls[0]",
        ),
    ] {
        let error = read(json!([user, wrong])).expect_err("refused");
        assert!(error.message().starts_with(place), "{wrong}: {}", error.message());
    }
}

#[test]
fn messages_calls_and_ids_are_held_to_their_limits() {
    for none in [json!(null), json!([]), json!({}), json!("x")] {
        assert!(read(none).is_err());
    }
    let many = |count: usize| vec![json!({ "role": "user", "content": "x" }); count];
    assert!(read(many(MESSAGES_MAX).into()).is_ok());
    assert!(read(many(MESSAGES_MAX + 1).into()).is_err());
    let calls =
        |count: usize| json!([{ "role": "assistant", "tool_calls": vec![call("x"); count] }]);
    assert!(read(calls(CALLS_MAX)).is_ok() && read(calls(CALLS_MAX + 1)).is_err());
    let named = |chars: usize| {
        read(json!([{ "role": "tool", "content": "x", "tool_call_id": "é".repeat(chars) }]))
    };
    assert!(named(ID_CHARS_MAX).is_ok() && named(ID_CHARS_MAX + 1).is_err());
}
