//! T1: `POST /api/v1/text-chat/completion`, section 2.7.

use epilogue_core::Span;
use http::Method;
use serde_json::{Value, json};

use crate::{client::*, support::*};

fn user(content: &str) -> Value {
    json!({ "role": "user", "content": content })
}

impl Fixture {
    async fn complete(&self, messages: Value, more: Value) -> Answer {
        let mut body = json!({ "agent": { "id": CHAT_AGENT }, "messages": messages });
        let members = body.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        self.send(post("/text-chat/completion", &body)).await
    }

    /// A turn that succeeds.
    async fn completed(&self, messages: Value, more: Value) -> Value {
        let answer = self.complete(messages, more).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }
}

#[tokio::test]
async fn t1_answers_new_messages_a_state_and_where_it_is_on_record() {
    let fixture = Fixture::start().await;
    let mut first = fixture.completed(json!([user("look it up")]), json!({ "state": null })).await;
    assert!(first["state"].as_str().is_some_and(|state| !state.contains("org_acme")));
    first["state"].take();
    insta::assert_json_snapshot!("completion", first);
}

#[tokio::test]
async fn t1_turns_with_their_state_are_one_conversation_on_record() {
    let fixture = Fixture::start().await;
    let mut history = vec![user("first")];
    let first = fixture.completed(json!(history), json!({})).await;
    history.extend(first["messages"].as_array().expect("messages").clone());
    history.push(user("second"));
    let second = fixture.completed(json!(history), json!({ "state": first["state"] })).await;
    assert_eq!(second["call_id"], first["call_id"]);
    let id = first["call_id"].as_str().expect("an id").to_owned();
    let session = fixture.session(&id).await;
    assert_eq!((session.messages, session.usage.user_messages), (4, 2));
    let asked = fixture.models.asked();
    let sent: Vec<_> = asked[1].messages.iter().map(|m| m.body.content.as_str()).collect();
    assert_eq!(sent, ["first", "You said: first", "second"]);
    let other = fixture.completed(json!([user("first")]), json!({})).await;
    assert_ne!(other["call_id"], first["call_id"], "without a state it is another one");
}

#[tokio::test]
async fn t1_the_clients_history_is_what_the_model_hears_and_goes_on_record() {
    let fixture = Fixture::start().await;
    let call =
        json!({ "id": "c1", "name": "look", "arguments": { "q": 1 }, "response": { "r": 2 } });
    let history = json!([
        user("before"),
        { "role": "assistant", "content": "", "tool_calls": [call] },
        { "role": "assistant", "content": "found", "time": "2024-01-01T00:00:00Z" },
        user("now"),
    ]);
    let answer = fixture.completed(history, json!({})).await;
    let asked = fixture.models.asked().remove(0);
    let sent: Vec<_> = asked.messages.iter().map(|m| m.body.content.as_str()).collect();
    assert_eq!(sent, ["before", "", "{\"r\":2}", "found", "now"]);
    let id = answer["call_id"].as_str().expect("an id");
    assert_eq!(fixture.session(id).await.messages, 6);
    assert_eq!(
        fixture.session(id).await.usage.user_messages,
        1,
        "what was said before is not billed"
    );
}

#[tokio::test]
async fn t1_400_altered_undecryptable_and_foreign_state() {
    let fixture = Fixture::start().await;
    let first = fixture.completed(json!([user("hi")]), json!({})).await;
    let state = first["state"].as_str().expect("a state").to_owned();
    let mut altered = state.clone().into_bytes();
    altered[40] = if altered[40] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).expect("text");
    let long = "A".repeat(20_000);
    for bad in [&*altered, "nonsense", "AAAA", &state[1..], &long] {
        let answer = fixture.complete(json!([user("hi")]), json!({ "state": bad })).await;
        wrong(&answer, 400, "state");
    }
    let body =
        json!({ "agent": { "id": FOREIGN_AGENT }, "messages": [user("hi")], "state": state });
    let request = keyed(FOREIGN_KEY, Method::POST, "/text-chat/completion", body.to_string());
    wrong(&fixture.send(request).await, 400, "state");
    wrong(&fixture.complete(json!([user("hi")]), json!({ "state": 5 })).await, 400, "state");
}

#[tokio::test]
async fn t1_finish_replies_and_runs_the_same_pipeline_once() {
    let fixture = Fixture::start().await;
    let first = fixture.completed(json!([user("hi")]), json!({})).await;
    let more = json!({ "state": first["state"], "finish": true });
    let last = fixture.completed(json!([user("that is all")]), more).await;
    assert_eq!((&last["is_final"], &first["is_final"]), (&json!(true), &json!(false)));
    assert_eq!(last["messages"][0]["content"], "You said: that is all");
    let id = first["call_id"].as_str().expect("an id");
    let ended = fixture.session(id).await.ended().cloned().expect("ended");
    assert_eq!(ended.reason.as_str(), "user_end");
    fixture.run_until_idle().await;
    assert!(fixture.steps(id).await.iter().all(|(_, attempts)| *attempts == 1));
    let more = json!({ "state": last["state"] });
    problem(&fixture.complete(json!([user("more")]), more).await, 409);
    let more = json!({ "state": last["state"], "finish": true });
    let again = fixture.completed(json!([]), more).await;
    assert_eq!((&again["is_final"], &again["messages"]), (&json!(true), &json!([])));
    assert_eq!(fixture.session(id).await.ended(), Some(&ended));
}

#[tokio::test]
async fn t1_finish_without_a_new_message_just_ends() {
    let fixture = Fixture::start().await;
    let first = fixture.completed(json!([user("hi")]), json!({})).await;
    let history = json!([user("hi"), { "role": "assistant", "content": "You said: hi" }]);
    let more = json!({ "state": first["state"], "finish": true });
    let last = fixture.completed(history, more).await;
    assert_eq!((&last["is_final"], &last["messages"]), (&json!(true), &json!([])));
    assert_eq!(fixture.models.asked().len(), 1);
}

#[tokio::test]
async fn t1_the_agents_goodbye_is_final() {
    let fixture = Fixture::start().await;
    let answer = fixture.completed(json!([user("goodbye")]), json!({})).await;
    assert_eq!(answer["is_final"], true);
    assert_eq!(answer["messages"][0]["tool_calls"][0]["name"], "finishTheConversation");
}

#[tokio::test]
async fn t1_is_no_chat_and_a_chat_is_none_of_its() {
    let fixture = Fixture::start().await;
    let answer = fixture.completed(json!([user("hi")]), json!({})).await;
    let id = answer["chat_id"].as_str().expect("an id");
    problem(&fixture.send(get(&format!("/chats/{id}"))).await, 404);
    problem(&fixture.end(id).await, 404);
    assert_eq!(fixture.send(get("/chats?state=all")).await.json()["total_count"], 0);
}

#[tokio::test]
async fn t1_a_conversation_that_is_left_alone_is_finished_after_a_day() {
    let fixture = Fixture::start().await;
    let answer = fixture.completed(json!([user("hi")]), json!({})).await;
    let id = answer["call_id"].as_str().expect("an id");
    fixture.clock.advance(Span::from_millis(86_400_001));
    fixture.run_until_idle().await;
    assert_eq!(fixture.session(id).await.ended().expect("ended").reason.as_str(), "idle");
}

#[tokio::test]
async fn t1_variables_are_the_turns() {
    let fixture = Fixture::start().await;
    let more = json!({ "additional_data": { "name": "Ann", "channel": "forged" } });
    let first = fixture.completed(json!([user("hi")]), more).await;
    let more = json!({ "state": first["state"], "additional_data": { "name": "Bob" } });
    fixture.completed(json!([user("hi")]), more).await;
    let prompts: Vec<_> = fixture.models.asked().into_iter().map(|asked| asked.system).collect();
    assert_eq!(prompts, ["Ann via web at web: ", "Bob via web at web: "]);
}

#[tokio::test]
async fn t1_400_what_is_missing_or_of_the_wrong_form() {
    let fixture = Fixture::start().await;
    let send = async |body: Value| fixture.send(post("/text-chat/completion", &body)).await;
    wrong(&send(json!({ "messages": [user("hi")] })).await, 400, "agent");
    wrong(&send(json!({ "agent": {}, "messages": [user("hi")] })).await, 400, "agent");
    let agent = json!({ "id": CHAT_AGENT });
    wrong(&send(json!({ "agent": agent })).await, 400, "messages");
    for messages in
        [json!([]), json!([{ "role": "assistant", "content": "a" }]), json!([user(" ")])]
    {
        wrong(&fixture.complete(messages, json!({})).await, 400, "messages");
    }
    let tool = json!([{ "role": "tool", "content": "a" }, user("hi")]);
    wrong(&fixture.complete(tool, json!({})).await, 400, "messages[0].role");
    wrong(&fixture.complete(json!([]), json!({ "finish": true })).await, 400, "messages");
    let many = |count: usize| json!(vec![user("a"); count]);
    assert_eq!(fixture.complete(many(1_000), json!({})).await.status, 200);
    wrong(&fixture.complete(many(1_001), json!({})).await, 400, "messages");
    let long = json!([user(&"x".repeat(32 * 1024 + 1))]);
    wrong(&fixture.complete(long, json!({})).await, 413, "messages[0].content");
}

#[tokio::test]
async fn t1_404_unknown_agent() {
    let fixture = Fixture::start().await;
    let with =
        async |agent: Value| fixture.complete(json!([user("hi")]), json!({ "agent": agent })).await;
    problem(&with(json!({ "id": FOREIGN_AGENT })).await, 404);
}
