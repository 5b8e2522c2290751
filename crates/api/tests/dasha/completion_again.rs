//! T1 when something goes wrong: a turn that fails, an answer that is lost, a limit, another agent.

use epilogue_core::Span;
use serde_json::{Value, json};

use crate::{client::*, support::*};

fn user(content: &str) -> Value {
    json!({ "role": "user", "content": content })
}

async fn complete(fixture: &Fixture, content: &str, more: Value) -> Answer {
    let mut body = json!({ "agent": { "id": CHAT_AGENT }, "messages": [user(content)] });
    let members = body.as_object_mut().expect("an object");
    members.extend(more.as_object().expect("an object").clone());
    fixture.send(post("/text-chat/completion", &body)).await
}

async fn activity(fixture: &Fixture) -> Vec<String> {
    let page = epilogue_engine::records::PageRequest::first(100);
    let log = fixture.engine.activity(&"org_acme".into(), None, &page).await.expect("read").items;
    log.into_iter().map(|entry| entry.kind).collect()
}

#[tokio::test]
async fn t1_a_first_turn_that_fails_leaves_no_conversation() {
    for (content, status) in [("fail", 502), ("time out", 504), ("misconfigured", 422)] {
        let fixture = Fixture::start().await;
        problem(&complete(&fixture, content, json!({})).await, status);
        let census = fixture.storage.session_census().await.expect("read");
        assert!(census.open.is_empty(), "{content}: {:?}", census.open);
        fixture.clock.advance(Span::from_secs(2 * 86_400));
        fixture.run_until_idle().await;
        assert!(fixture.webhooks.heard().is_empty(), "{content}");
        assert_eq!(activity(&fixture).await, Vec::<String>::new(), "{content}");
        let search = fixture.send(post("/callresults/search", &json!({}))).await.json();
        assert_eq!(search["totalCount"], 0, "{content}: {search}");
    }
}

#[tokio::test]
async fn t1_a_later_turn_that_fails_leaves_the_conversation_as_it_was() {
    let fixture = Fixture::start().await;
    let first = complete(&fixture, "hi", json!({})).await.json();
    let more = json!({ "state": first["state"] });
    problem(&complete(&fixture, "fail", more.clone()).await, 502);
    let session = fixture.session(first["call_id"].as_str().expect("an id")).await;
    assert!(session.ended().is_none() && session.messages == 2);
    assert_eq!(complete(&fixture, "hi again", more).await.status, 200);
}

#[tokio::test]
async fn t1_a_turn_whose_answer_was_lost_is_answered_from_the_record_and_billed_once() {
    let fixture = Fixture::start().await;
    let first = complete(&fixture, "hi", json!({})).await.json();
    let more = json!({ "state": first["state"] });
    let second = complete(&fixture, "more", more.clone()).await.json();
    let again = complete(&fixture, "more", more.clone()).await.json();
    assert_eq!(again["messages"], second["messages"]);
    assert_eq!(fixture.models.asked().len(), 2);
    let id = first["call_id"].as_str().expect("an id");
    assert_eq!(fixture.session(id).await.usage.user_messages, 2);
    // The same words after another turn, and other words after the same one, are other turns.
    for state in [&second["state"], &again["state"]] {
        let third = complete(&fixture, "more", json!({ "state": state })).await;
        assert_eq!(third.status, 200);
    }
    assert_eq!(fixture.models.asked().len(), 3, "the two states say the same");
    assert_eq!(complete(&fixture, "other", more).await.status, 200);
    assert_eq!(fixture.models.asked().len(), 4);
}

#[tokio::test]
async fn t1_a_finish_whose_answer_was_lost_is_answered_from_the_record() {
    let fixture = Fixture::start().await;
    let first = complete(&fixture, "hi", json!({})).await.json();
    let more = json!({ "state": first["state"], "finish": true });
    let last = complete(&fixture, "bye", more.clone()).await.json();
    let again = complete(&fixture, "bye", more).await;
    assert_eq!(again.status, 200, "{}", again.body);
    let again = again.json();
    assert_eq!((&again["messages"], &again["is_final"]), (&last["messages"], &json!(true)));
}

#[tokio::test]
async fn t1_400_another_agent_than_the_conversations() {
    let fixture = Fixture::start().await;
    let first = complete(&fixture, "hi", json!({})).await.json();
    for other in [QUIET_AGENT, FOREIGN_AGENT] {
        let more = json!({ "state": first["state"], "agent": { "id": other } });
        wrong(&complete(&fixture, "hi", more).await, 400, "agent");
    }
}

#[tokio::test]
async fn t1_a_finish_with_a_message_says_which_key_asked_for_it() {
    let fixture = Fixture::start().await;
    let last = complete(&fixture, "hi", json!({ "finish": true })).await.json();
    let log = fixture.activity(last["call_id"].as_str().expect("an id")).await;
    let ended = log.iter().find(|entry| entry.kind == "session.ended").expect("ended");
    assert_eq!(ended.by.as_deref(), Some("key_acme"));
    let bye = complete(&fixture, "goodbye", json!({ "finish": true })).await.json();
    let log = fixture.activity(bye["call_id"].as_str().expect("an id")).await;
    let ended = log.iter().find(|entry| entry.kind == "session.ended").expect("ended");
    assert_eq!((&ended.detail["reason"], &ended.by), (&json!("agent_finish"), &None));
}

#[tokio::test]
async fn t1_429_comes_before_400_for_opens_and_for_turns() {
    let fixture = Fixture::with(|setup| {
        setup.settings.opens_per_minute = 1;
        setup.settings.messages_per_minute = 1;
    })
    .await;
    let first = complete(&fixture, "hi", json!({})).await.json();
    let wrong_body = json!({ "messages": 5 });
    problem(&complete(&fixture, "hi", wrong_body).await, 429);
    problem(&complete(&fixture, "hi", json!({ "messages": [] })).await, 429);
    let more = json!({ "state": first["state"] });
    assert_eq!(complete(&fixture, "hi", more).await.status, 200);
    let more = json!({ "state": first["state"], "messages": [] });
    problem(&complete(&fixture, "hi", more).await, 429);
}

#[tokio::test]
async fn limits_of_a_session_are_its_owners_alone() {
    let fixture = Fixture::with(|setup| {
        setup.settings.messages_per_minute = 1;
        setup.settings.ends_per_minute = 1;
    })
    .await;
    let id = fixture.chat(json!({})).await;
    for _ in 0..3 {
        for (path, body) in [("messages", json!({ "content": "x" })), ("end", json!({}))] {
            let path = format!("/chats/{id}/{path}");
            let request = keyed(FOREIGN_KEY, http::Method::POST, &path, body.to_string());
            let status = fixture.send(request).await.status;
            assert!(status == 404 || status == 429, "{status}");
        }
    }
    assert_eq!(fixture.say(&id, "hi").await.status, 200);
    assert_eq!(fixture.end(&id).await.status, 200);
}

#[tokio::test]
async fn c1_404_an_agent_that_never_was_even_at_a_live_endpoint() {
    let fixture = Fixture::start().await;
    let endpoint = json!({ "external_id": { "user": "u1" } });
    fixture.chat(endpoint.clone()).await;
    let mut unknown = endpoint;
    for agent in ["a2000000-0000-4000-8000-000000000009", FOREIGN_AGENT] {
        unknown["agent_id"] = json!(agent);
        problem(&fixture.open(unknown.clone()).await, 404);
    }
    unknown["agent_id"] = json!(QUIET_AGENT);
    problem(&fixture.open(unknown).await, 409);
}
