//! C4: `POST /api/v1/chats/{id}/messages`, section 2.5, rule by rule.

use std::sync::Arc;

use epilogue_core::{MicroCredits, Span, Usage, ledger::Account};
use http::Method;
use serde_json::{Value, json};

use crate::{client::*, support::*};

#[tokio::test]
async fn c4_answers_with_what_the_assistant_produced_and_nothing_else() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    let answer = fixture.say(&id, "hello").await;
    assert_eq!(answer.status, 200);
    insta::assert_snapshot!("turn", answer.body);
    let roles = |session: Value| {
        let messages = session["messages"].as_array().expect("messages").clone();
        messages.into_iter().map(|m| m["role"].as_str().expect("a role").to_owned()).collect()
    };
    let roles: Vec<_> = roles(fixture.show(&id).await);
    assert_eq!(roles, ["user", "assistant"]);
}

#[tokio::test]
async fn c4_a_tool_round_is_one_message_before_the_plain_reply() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    let answer = fixture.say(&id, "look it up").await;
    insta::assert_snapshot!("turn_with_a_tool", answer.body);
    let shown = fixture.show(&id).await;
    assert_eq!(shown["messages"].as_array().map(Vec::len), Some(3), "no message of a tool role");
}

#[tokio::test]
async fn c4_rule_1_a_repeat_replays_the_same_bytes_without_the_model() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    let first = fixture.say_as(&id, "hello", "k1").await;
    fixture.clock.advance(Span::from_secs(9));
    let session = fixture.session(&id).await;
    let again = fixture.say_as(&id, "hello", "k1").await;
    assert_eq!(again.told(), first.told());
    assert_eq!(fixture.models.asked().len(), 1);
    assert_eq!(fixture.session(&id).await, session, "nothing moved");
}

#[tokio::test]
async fn c4_rule_1_a_repeat_replays_even_the_turn_that_closed_the_session() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    let first = fixture.say_as(&id, "goodbye", "k1").await;
    assert_eq!(first.json()["is_final"], true);
    let again = fixture.say_as(&id, "goodbye", "k1").await;
    assert_eq!(again.told(), first.told());
    problem(&fixture.say_as(&id, "goodbye", "k2").await, 409);
}

#[tokio::test]
async fn unknown_13_a_replay_after_a_later_end_has_the_stored_messages_and_todays_status() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    let first = fixture.say_as(&id, "hello", "k1").await.json();
    fixture.end(&id).await;
    let again = fixture.say_as(&id, "hello", "k1").await;
    assert_eq!(again.status, 200);
    let again = again.json();
    assert_eq!(again["messages"], first["messages"]);
    assert_eq!((&again["is_final"], &again["status"]), (&json!(true), &json!("final")));
    assert_eq!((&first["is_final"], &first["status"]), (&json!(false), &json!("active")));
}

#[tokio::test]
async fn c4_rule_2_a_repeat_with_different_content_also_replays() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    let first = fixture.say_as(&id, "hello", "k1").await;
    assert_eq!(fixture.say_as(&id, "something else", "k1").await.told(), first.told());
}

#[tokio::test]
async fn c4_the_scope_of_a_key_is_its_session() {
    let fixture = Fixture::start().await;
    let (one, two) = (fixture.chat(json!({})).await, fixture.chat(json!({})).await);
    let first = fixture.say_as(&one, "hello", "k1").await.json();
    let second = fixture.say_as(&two, "another", "k1").await.json();
    assert_ne!(first["messages"], second["messages"]);
    // Nothing at all is no key.
    assert_ne!(fixture.say_as(&one, "a", "").await.body, fixture.say_as(&one, "b", "").await.body);
}

#[tokio::test]
async fn c4_rule_3_a_twin_waits_for_the_one_that_runs_and_gets_its_answer() {
    let fixture = Arc::new(Fixture::start().await);
    let id = fixture.chat(json!({})).await;
    let twin = || {
        let (fixture, id) = (fixture.clone(), id.clone());
        tokio::spawn(async move { fixture.say_as(&id, "slowly", "k1").await })
    };
    let twins = [twin(), twin(), twin()];
    fixture.asked(1).await;
    for _ in 0..2 {
        settle().await;
        fixture.clock.advance(Span::from_secs(10));
    }
    let mut bodies = Vec::new();
    for twin in twins {
        let answer = twin.await.expect("no panic");
        assert_eq!(answer.status, 200, "{}", answer.body);
        bodies.push(answer.body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    assert_eq!(fixture.models.asked().len(), 1);
}

#[tokio::test]
async fn c4_rule_4_turns_run_one_at_a_time_in_arrival_order() {
    let fixture = Arc::new(Fixture::start().await);
    let id = fixture.chat(json!({})).await;
    let say = |what: &'static str| {
        let (fixture, id) = (fixture.clone(), id.clone());
        tokio::spawn(async move { fixture.say(&id, what).await })
    };
    let slow = say("slowly");
    fixture.asked(1).await;
    let mut quick = Vec::new();
    for what in ["first", "second"] {
        quick.push(say(what));
        settle().await;
    }
    assert_eq!(fixture.models.asked().len(), 1, "the others wait");
    for _ in 0..2 {
        settle().await;
        fixture.clock.advance(Span::from_secs(10));
    }
    assert_eq!(slow.await.expect("no panic").status, 200);
    for turn in quick {
        assert_eq!(turn.await.expect("no panic").status, 200);
    }
    let shown = fixture.show(&id).await;
    let said: Vec<_> = shown["messages"].as_array().expect("messages").iter().collect();
    let said: Vec<_> = said.into_iter().filter(|m| m["role"] == "user").collect();
    let said: Vec<_> = said.into_iter().map(|m| m["content"].as_str().expect("text")).collect();
    assert_eq!(said, ["slowly", "first", "second"]);
}

#[tokio::test]
async fn c4_rule_5_a_failed_turn_stores_no_key_leaves_nothing_and_costs_nothing() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    for (content, status) in
        [("fail", 502), ("break off", 502), ("time out", 504), ("misconfigured", 422)]
    {
        problem(&fixture.say_as(&id, content, "k1").await, status);
        let session = fixture.session(&id).await;
        assert_eq!(session.usage, Usage::default(), "{content}");
        assert_eq!(fixture.show(&id).await["messages"], json!([]), "{content}");
    }
    let answer = fixture.say_as(&id, "hello", "k1").await;
    assert_eq!(answer.json()["messages"][0]["content"], "You said: hello");
    assert_eq!(fixture.models.asked().last().expect("asked").messages.len(), 1);
}

#[tokio::test]
async fn c4_rule_6_activity_moves_on_the_message_and_again_on_the_reply() {
    let fixture = Arc::new(Fixture::start().await);
    let id = fixture.chat(json!({})).await;
    fixture.clock.advance(Span::from_secs(5));
    let speaking = {
        let (fixture, id) = (fixture.clone(), id.clone());
        tokio::spawn(async move { fixture.say(&id, "slowly").await })
    };
    fixture.asked(1).await;
    assert_eq!(fixture.session(&id).await.last_activity, NOW + Span::from_secs(5));
    for _ in 0..2 {
        settle().await;
        fixture.clock.advance(Span::from_secs(10));
    }
    speaking.await.expect("no panic");
    assert_eq!(fixture.session(&id).await.last_activity, NOW + Span::from_secs(25));
}

#[tokio::test]
async fn c4_rule_7_the_finish_built_in_makes_the_session_final_under_both_names() {
    let fixture = Fixture::start().await;
    for (content, name) in [("goodbye", "finishTheConversation"), ("so long", "endConversation")] {
        let id = fixture.chat(json!({})).await;
        let answer = fixture.say(&id, content).await;
        let turn = answer.json();
        assert_eq!((&turn["is_final"], &turn["status"]), (&json!(true), &json!("final")));
        assert_eq!(turn["messages"][0]["tool_calls"][0]["name"], name, "the call is shown");
        assert_eq!(turn["messages"][1]["content"], "Take care!");
        let shown = fixture.show(&id).await;
        assert_eq!(shown["final_reason"], "agent_finish");
        let offered = fixture.models.asked().last().expect("asked").tools.clone();
        assert_eq!(offered.last().expect("a tool").name, "finishTheConversation");
        assert!(!fixture.steps(&id).await.is_empty(), "the pipeline is owed");
    }
    insta::assert_snapshot!("turn_that_finishes", {
        let id = fixture.chat(json!({})).await;
        fixture.say(&id, "goodbye").await.body
    });
}

#[tokio::test]
async fn c4_400_content_blank_key_over_128_malformed_body() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    for content in [Value::Null, json!(""), json!(" \n")] {
        wrong(&fixture.message(&id, json!({ "content": content })).await, 400, "content");
    }
    wrong(&fixture.message(&id, json!({})).await, 400, "content");
    let path = format!("/chats/{id}/messages");
    for body in ["", "{", "[]"] {
        wrong(&fixture.send(keyed(KEY, Method::POST, &path, body)).await, 400, "$");
    }
    assert_eq!(fixture.say_as(&id, "hi", &"é".repeat(128)).await.status, 200);
    wrong(&fixture.say_as(&id, "hi", &"é".repeat(129)).await, 400, "idempotency_key");
    let list = json!({ "content": "hi", "additional_data": [] });
    wrong(&fixture.message(&id, list).await, 400, "additional_data");
    assert_eq!(fixture.say(&id, "still usable").await.status, 200);
}

#[tokio::test]
async fn c4_413_content_past_32_kib_and_overrides_past_64_kib() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    assert_eq!(fixture.say(&id, &"x".repeat(32 * 1024)).await.status, 200);
    wrong(&fixture.say(&id, &"x".repeat(32 * 1024 + 1)).await, 413, "content");
    let bag = json!({ "a": "x".repeat(64 * 1024) });
    let body = json!({ "content": "hi", "additional_data": bag });
    wrong(&fixture.message(&id, body).await, 413, "additional_data");
}

#[tokio::test]
async fn c4_409_final_session_and_key_absent_or_new() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    fixture.end(&id).await;
    problem(&fixture.say(&id, "hi").await, 409);
    problem(&fixture.say_as(&id, "hi", "new").await, 409);
    assert_eq!(fixture.show(&id).await["messages"], json!([]));
}

#[tokio::test]
async fn c4_422_agent_that_no_longer_writes_and_the_session_still_ends() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    let agent =
        epilogue_core::Agent { kind: epilogue_core::agent::AgentKind::Avatar, ..chat_agent() };
    fixture.storage.put_agent(&"org_acme".into(), agent, NOW).await.expect("written");
    problem(&fixture.say(&id, "hi").await, 422);
    assert_eq!(fixture.show(&id).await["messages"], json!([]));
    assert_eq!(fixture.end(&id).await.json()["final_reason"], "user_end");
}

#[tokio::test]
async fn the_agents_id_is_frozen_and_its_configuration_live() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    fixture.say(&id, "hi").await;
    let agent = epilogue_core::Agent { prompt: "Anew.".into(), ..chat_agent() };
    fixture.storage.put_agent(&"org_acme".into(), agent, NOW).await.expect("written");
    fixture.say(&id, "hi").await;
    let prompts: Vec<_> = fixture.models.asked().into_iter().map(|asked| asked.system).collect();
    assert_eq!(prompts[1], "Anew.");
    assert_ne!(prompts[0], prompts[1]);
    let priced = epilogue_core::Agent { price: epilogue_core::Price::default(), ..chat_agent() };
    fixture.storage.put_agent(&"org_acme".into(), priced, NOW).await.expect("written");
    fixture.end(&id).await;
    let session = fixture.session(&id).await;
    assert_eq!(session.agent.version, 3, "the end goes by the latest");
    assert_eq!(session.ended().expect("ended").cost, MicroCredits::ZERO);
}

#[tokio::test]
async fn who_hangs_up_cuts_nothing_and_is_told_when_they_ask_again() {
    let fixture = Arc::new(Fixture::start().await);
    let id = fixture.chat(json!({})).await;
    let speaking = {
        let (fixture, id) = (fixture.clone(), id.clone());
        tokio::spawn(async move { fixture.say_as(&id, "slowly", "k1").await })
    };
    fixture.asked(1).await;
    speaking.abort();
    let _ = speaking.await;
    for _ in 0..2 {
        settle().await;
        fixture.clock.advance(Span::from_secs(10));
    }
    let answer = fixture.say_as(&id, "slowly", "k1").await;
    assert_eq!(answer.json()["messages"][0]["content"], "One two three");
    assert_eq!(fixture.models.asked().len(), 1);
}

#[tokio::test]
async fn a_turn_is_billed_once_however_often_it_is_asked_for() {
    let fixture = Fixture::start().await;
    let org = "org_acme".into();
    let before = fixture.engine.balance(&org, Account::Balance).await.expect("read");
    let id = fixture.chat(json!({})).await;
    for _ in 0..3 {
        fixture.say_as(&id, "hello", "k1").await;
    }
    let used = fixture.session(&id).await.usage;
    assert_eq!((used.user_messages, used.total_messages, used.model_calls), (1, 2, 1));
    fixture.end(&id).await;
    let cost = fixture.session(&id).await.ended().expect("ended").cost;
    assert!(cost > MicroCredits::ZERO);
    let after = fixture.engine.balance(&org, Account::Balance).await.expect("read");
    assert_eq!(before - after, cost);
}
