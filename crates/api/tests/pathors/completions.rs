//! 2.8: completions that are answered whole.

use serde_json::{Value, json};

use crate::{
    chat::*,
    client::*,
    support::{FakeModel, KEY},
};

fn last_asked(models: &FakeModel) -> Vec<(String, String)> {
    let asked = models.asked();
    let messages = &asked.last().expect("asked").messages;
    messages.iter().map(|m| (m.body.role.as_str().to_owned(), m.body.content.clone())).collect()
}

/// "200: `id` (`chatcmpl-…`), `object`, `created`, `model`, `choices`, `usage` −1, `session_id`"
#[tokio::test]
async fn c2_8_an_answer_has_every_published_member() {
    let house = house().await;
    let answer = house.send(call("s", &body(&[user("Hello")], json!({})))).await;
    assert_eq!(answer.status, 200);
    names(&answer, "s");
    let completion = answer.json();
    assert!(completion["id"].as_str().is_some_and(|id| id.starts_with("chatcmpl-")));
    let expected = json!({
        "id": completion["id"],
        "object": "chat.completion",
        "created": 1_705_312_800,
        "model": "pathway-default",
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": "You said: Hello" },
            "finish_reason": "stop",
        }],
        "usage": { "prompt_tokens": -1, "completion_tokens": -1, "total_tokens": -1 },
        "session_id": "s",
    });
    assert_eq!(completion, expected);
}

/// "`POST …/integration/api/chat/completions` | `POST /v1/projects/{P}/chat/completions`", each with and
/// without `/api`, all for one session
#[tokio::test]
async fn c2_0_completions_stand_at_every_path() {
    let house = house().await;
    for (path, old) in [
        ("/project/proj_1/integration/api/chat/completions", true),
        ("/api/project/proj_1/integration/api/chat/completions", true),
        ("/v1/projects/proj_1/chat/completions", false),
        ("/api/v1/projects/proj_1/chat/completions", false),
    ] {
        // A key of the current kind has no sunset: what is announced is the path's.
        for stream in [false, true] {
            let body = body(&[user("Hello")], json!({ "session_id": "s", "stream": stream }));
            let answer = house.send(keyed(DK, http::Method::POST, path, body.to_string())).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            assert_eq!(answer.header("deprecation"), old.then_some("true"), "{path}");
            let sunset = old.then_some("Sat, 11 Jul 2026 00:00:00 GMT");
            assert_eq!(answer.header("sunset"), sunset, "{path}");
        }
        for stream in [false, true] {
            let body = body(&[user("Hello")], json!({ "session_id": "s", "stream": stream }));
            let answer = house.send(keyed(SK, http::Method::POST, path, body.to_string())).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            assert_eq!(answer.header("x-session-id"), Some("s"));
            // Told before the first byte, in streams as well. A key of the older kind has a sunset.
            assert_eq!(answer.header("deprecation"), Some("true"), "{path}");
            let sunset = answer.header("sunset").expect("a sunset");
            assert_eq!(sunset, "Sun, 10 May 2026 00:00:00 GMT", "the earlier of both: {path}");
        }
    }
    assert_eq!(house.session("s").await.turns, 16);
}

/// "The server holds the history: append only the messages sent in this call"
#[tokio::test]
async fn c2_8_the_server_holds_the_history() {
    let house = house().await;
    house.asks("s", "I am Ann").await;
    house.asks("s", "Who am I?").await;
    let expected = ["I am Ann", "You said: I am Ann", "Who am I?"];
    let texts: Vec<_> = last_asked(&house.models).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, expected);
}

/// "items `{role: system|user|assistant, content}`", and content as parts, and `developer`
#[tokio::test]
async fn c2_8_messages_of_every_role_go_to_the_agent_in_their_order() {
    let house = house().await;
    let parts = json!([{ "type": "text", "text": "Hello" }, { "type": "text", "text": "there" }]);
    let messages = [
        json!({ "role": "system", "content": "Be brief." }),
        json!({ "role": "developer", "content": "Be kind." }),
        user("Hi"),
        json!({ "role": "assistant", "content": "Hi!" }),
        json!({ "role": "user", "content": parts }),
    ];
    let completion = house.asks_with("s", &messages, json!({})).await;
    assert_eq!(content(&completion), "You said: Hello\nthere");
    let expected = [
        ("system", "Be brief."),
        ("system", "Be kind."),
        ("user", "Hi"),
        ("assistant", "Hi!"),
        ("user", "Hello\nthere"),
    ];
    let expected: Vec<_> = expected.map(|(r, t)| (r.to_owned(), t.to_owned())).into();
    assert_eq!(last_asked(&house.models), expected);
    let session = house.session("s").await;
    assert_eq!((session.usage.user_messages, session.usage.total_messages), (2, 4));
}

/// "`model` in the request is accepted and ignored, as are other OpenAI fields"
#[tokio::test]
async fn c2_8_what_openai_knows_beside_is_accepted() {
    let house = house().await;
    let more = json!({
        "temperature": 9, "max_tokens": 1, "n": 3, "stop": ["x"], "logprobs": true, "seed": 1,
        "response_format": { "type": "json_object" }, "stream_options": { "include_usage": true },
        "parallel_tool_calls": false, "metadata": { "a": "b" }, "functions": [{ "name": "f" }],
        "store": true, "modalities": ["text"], "unheard_of": {}, "tools": null, "stream": null,
    });
    let completion = house.asks_with("s", &[user("Hello")], more).await;
    assert_eq!(completion["choices"].as_array().map(Vec::len), Some(1));
    let asked = &house.models.asked()[0].model;
    assert_eq!((asked.temperature, asked.max_output_tokens), (None, None));
}

/// Our extension: `user_identifier` on a call that opens the session names the person, for memory.
/// "`model` … accepted and ignored, as are other OpenAI fields", `user` among them.
#[tokio::test]
async fn c2_8_the_person_of_the_first_call_is_named_by_our_own_member() {
    let house = house().await;
    let named = json!({ "user_identifier": "Ann@Example.com", "user": "everybody" });
    house.asks_with("s", &[user("Hello")], named).await;
    house.asks_with("s", &[user("Hello")], json!({ "user_identifier": "bob" })).await;
    let person = house.session("s").await.person;
    assert_eq!(person.map(|person| person.as_str().to_owned()), Some("ann@example.com".into()));
    house.asks_with("t", &[user("Hello")], json!({ "user": "everybody" })).await;
    assert_eq!(house.session("t").await.person, None);
}

/// "initial variables, usable in the pathway"; what they bring along is text
#[tokio::test]
async fn c2_2_variables_are_filled_into_the_prompt_once() {
    let house = house().await;
    house
        .created("s", json!({ "variables": { "name": "{{secret}} {{name}}", "secret": "s" } }))
        .await;
    house.asks("s", "Hello").await;
    assert_eq!(house.models.asked()[0].system, "You help {{secret}} {{name}}.");
}

/// "extracted by the agent during the conversation (agent `variableConfigs`)"
#[tokio::test]
async fn c2_9_the_agent_saves_variables_while_it_talks() {
    let house = house_with(|setup| {
        let agents = &mut setup.organizations[0].agents;
        let agent = agents.iter_mut().find(|agent| agent.id.as_str() == PATHWAY).expect("there");
        agent.variables =
            serde_json::from_value(json!([{ "key": "name", "type": "string" }])).expect("specs");
        let save = json!({ "when": "i am", "reply": "Hello.", "tool":
            { "name": "save_variables", "arguments": "{\"name\":\"Ann\",\"age\":7}" } });
        agent.model.script.insert(0, serde_json::from_value(save).expect("a rule"));
    })
    .await;
    let completion = house.asks("s", "I am Ann").await;
    assert_eq!(content(&completion), "Hello.");
    let bag = house.session("s").await.context.bag;
    assert_eq!(Value::Object(bag), json!({ "name": "Ann" }));
    house.asks("s", "Well?").await;
    assert_eq!(house.models.asked().last().expect("asked").system, "You help Ann.");
    assert!(house.lines("s").await[2].contains("there is no variable age"));
}

/// "active → completion → active: `updatedAt` moves", and what a session costs is its usage
#[tokio::test]
async fn c3_a_completion_is_activity_and_is_billed_at_the_end() {
    let house = house().await;
    house.asks("s", "Hello").await;
    house.clock.advance(epilogue_core::Span::from_secs(1_799));
    house.asks("s", "Still there?").await;
    house.clock.advance(epilogue_core::Span::from_secs(1_799));
    house.run_until_idle().await;
    let session = house.session("s").await;
    assert!(session.ended().is_none() && session.usage.output_tokens > 0);
}

/// "agent ends itself (end node, `end_call` tool)"
#[tokio::test]
async fn c3_the_agent_ends_the_session_with_its_goodbye() {
    let house = house().await;
    for (said, name) in [("goodbye", "end_call"), ("so long", "end_chat")] {
        let completion = house.asks("s", said).await;
        assert_eq!(content(&completion), "Take care!", "{name}");
        assert_eq!(completion["choices"][0]["finish_reason"], "stop");
        assert_eq!(completion["session_ended"], true);
        let session = house.session("s").await;
        let reason = session.ended().map(|ended| ended.reason);
        assert_eq!(reason, Some(epilogue_core::EndReason::AgentFinish), "{name}");
    }
}

/// An organization's key reaches all of its projects, and a session is one project's
#[tokio::test]
async fn c3_a_name_is_another_session_in_another_project() {
    let house = house().await;
    house.asks("s", "Hello").await;
    let path = format!("/v1/projects/{OTHER_PROJECT}/chat/completions");
    let body = body(&[user("Who?")], json!({ "session_id": "s" }));
    let answer = house.send(keyed(KEY, http::Method::POST, &path, body.to_string())).await;
    assert_eq!(answer.status, 200);
    assert_eq!(last_asked(&house.models).len(), 1, "it knows nothing of the other");
}
