//! 2.8: tools that the client runs, across calls in one session.

use serde_json::json;

use crate::{chat::*, client::*};

/// "`finish_reason`: `tool_calls`; with the latter `message.tool_calls` holds the calls", `content` null
#[tokio::test]
async fn c2_8_a_call_of_the_clients_tool_ends_the_turn() {
    let house = house().await;
    let tools = json!({ "tools": [tool("web_search")] });
    let completion = house.asks_with("s", &[user("look it up")], tools.clone()).await;
    let choice = &completion["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], json!(null));
    let id = choice["message"]["tool_calls"][0]["id"].clone();
    let expected = json!([{
        "id": id, "type": "function",
        "function": { "name": "web_search", "arguments": "{\"q\":1}" },
    }]);
    assert_eq!(choice["message"]["tool_calls"], expected);
    let offered = &house.models.asked()[0].tools;
    assert!(offered.iter().any(|tool| tool.name == "web_search" && tool.description == "Looks."));

    // "the caller runs them and posts again in the same session with `role:"tool"`"
    let id = id.as_str().expect("an id");
    let completion = house.asks_with("s", &[result(id, "42")], tools).await;
    assert_eq!(content(&completion), "I found it.");
    let lines = house.lines("s").await;
    assert_eq!(lines[2..], [format!("{id}: 42"), "assistant: I found it.".to_owned()]);
}

/// Two calls at once, plain and streamed: "`delta.tool_calls[{index,id,type,function{name,arguments}}]`"
#[tokio::test]
async fn c4_two_calls_at_once_are_told_one_by_one() {
    let house = house().await;
    let tools = json!({ "tools": [tool("web_search")] });
    let completion = house.asks_with("plain", &[user("both at once")], tools.clone()).await;
    let expected = [("both_0", "{\"q\":0}"), ("both_1", "{\"q\":1}")];
    assert_eq!(calls(&completion), expected.map(|(id, args)| (id.to_owned(), args.to_owned())));
    let told = streamed(&house, "streamed", &[user("both at once")], tools.clone()).await;
    let expected = [(0, "both_0"), (1, "both_1")];
    let expected = expected.map(|(place, id)| (place, id.to_owned(), "web_search".to_owned()));
    assert_eq!(told.calls(), expected);
    assert_eq!(told.parts[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(told.last()["choices"][0]["finish_reason"], "tool_calls");
    assert!(told.done && told.last()["choices"][0]["delta"] == json!({}));
    for session in ["plain", "streamed"] {
        let results = [result("both_1", "b"), result("both_0", "a")];
        let completion = house.asks_with(session, &results, tools.clone()).await;
        assert_eq!(content(&completion), "I have both.");
        let lines = house.lines(session).await;
        assert_eq!(lines[2..4], ["both_0: a", "both_1: b"]);
    }
}

/// Loops of OpenAI's clients send the agent's own message back before the results
#[tokio::test]
async fn c2_8_a_loop_may_send_everything_back() {
    let house = house().await;
    let tools = json!({ "tools": [tool("web_search")] });
    let first = house.asks_with("s", &[user("look it up")], tools.clone()).await;
    let message = first["choices"][0]["message"].clone();
    let (id, _) = calls(&first).remove(0);
    let again = [user("look it up"), message, result(&id, "42")];
    let completion = house.asks_with("s", &again, tools).await;
    assert_eq!(content(&completion), "I found it.");
    assert_eq!(house.lines("s").await.len(), 4, "nothing is doubled");
}

/// "tool results nobody asked for", doubled, or only some of them
#[tokio::test]
async fn c2_8_results_that_answer_no_open_call_400() {
    let house = unlimited().await;
    let unasked = house.send(call("s", &body(&[result("x", "42")], json!({})))).await;
    refused(&unasked, 400, "messages: no open tool call has the id x");
    let tools = json!({ "tools": [tool("web_search")] });
    house.asks_with("s", &[user("both at once")], tools.clone()).await;
    let before = house.session("s").await;
    for (messages, message) in [
        (vec![result("both_0", "a")], "messages: the tool call both_1 has no result"),
        (
            vec![result("both_0", "a"), result("both_0", "b"), result("both_1", "c")],
            "messages: the tool call both_0 is there twice",
        ),
        (
            vec![result("both_0", "a"), result("both_1", "c"), result("x", "d")],
            "messages: no open tool call has the id x",
        ),
        (
            vec![user("well"), result("both_0", "a"), result("both_1", "c")],
            "messages: no open tool call has the id both_0",
        ),
    ] {
        for stream in [false, true] {
            let body = body(&messages, json!({ "stream": stream }));
            refused(&house.send(call("s", &body)).await, 400, message);
        }
    }
    assert_eq!(house.session("s").await.messages, before.messages, "nothing is written");
    let both = [result("both_0", "a"), result("both_1", "b")];
    house.asks_with("s", &both, tools).await;
}

/// A person who goes on without the results leaves the calls without one, and so does the end
#[tokio::test]
async fn c2_8_calls_that_nobody_answers_are_closed() {
    let house = house().await;
    let tools = json!({ "tools": [tool("web_search")] });
    house.asks_with("s", &[user("both at once")], tools.clone()).await;
    house.asks_with("s", &[user("never mind")], tools.clone()).await;
    let nothing = "The call was given no result.";
    let lines = house.lines("s").await;
    assert_eq!(lines[2..4], [format!("both_0: {nothing}"), format!("both_1: {nothing}")]);
    house.asks_with("s", &[user("look it up")], tools).await;
    let session = house.session("s").await;
    let asked = epilogue_core::EndRequest::asked(epilogue_core::EndReason::UserEnd);
    house.engine.end(&ORG.into(), session.id, asked).await.expect("ended");
    assert!(house.lines("s").await.last().is_some_and(|line| line.ends_with(nothing)));
}

/// A client's tool of the name of one of the agent's own is refused; of a built-in's, it comes first
#[tokio::test]
async fn c2_8_a_tool_of_a_name_that_is_taken() {
    let house = house_with(|setup| {
        let agents = &mut setup.organizations[0].agents;
        let agent = agents.iter_mut().find(|agent| agent.id.as_str() == PATHWAY).expect("there");
        let own = json!({ "name": "web_search", "url": "https://tools.example.test/search" });
        agent.tools = vec![serde_json::from_value(own).expect("a tool")];
    })
    .await;
    for stream in [false, true] {
        let tools = json!({ "tools": [tool("theirs"), tool("web_search")], "stream": stream });
        let answer = house.send(call("s", &body(&[user("look it up")], tools))).await;
        refused(&answer, 400, "tools: the agent has a tool of its own called web_search");
        assert!(house.session_in(PROJECT, "s").await.is_none(), "nothing is left of it");
    }
    let tools = json!({ "tools": [tool("end_call")] });
    let completion = house.asks_with("s", &[user("goodbye")], tools).await;
    assert_eq!(completion["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(completion["session_ended"], json!(null), "it is the client's to run");
}

/// Our reading: a client that wants no call says so, and tools may come and go with each call
#[tokio::test]
async fn c2_8_tools_are_those_of_the_call() {
    let house = house().await;
    let none = json!({ "tools": [tool("web_search")], "tool_choice": "none" });
    let completion = house.asks_with("s", &[user("look it up")], none).await;
    assert_eq!(
        content(&completion),
        "I found it.",
        "the agent was told that there is no such tool"
    );
    assert!(house.lines("s").await[2].contains("There is no tool called web_search"));
}

/// "`tools`: only `type:"function"`, `function:{name, description, parameters}`"
#[tokio::test]
async fn c2_8_tools_of_other_types_400() {
    let house = house().await;
    let custom = json!({ "tools": [{ "type": "custom", "custom": { "name": "x" } }] });
    let answer = house.send(call("s", &body(&[user("Hello")], custom))).await;
    refused(&answer, 400, "tools[0] must be a tool of type function");
    assert!(house.session_in(PROJECT, "s").await.is_none(), "nothing is opened");
}
