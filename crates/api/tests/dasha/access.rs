//! Section 1 and the error bodies: who may do what, and how this API says no.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request};
use serde_json::json;

use crate::{client::*, support::*};

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

/// Every operation on chats, and the stateless turn.
fn operations(id: &str) -> Vec<(Method, String)> {
    vec![
        (Method::POST, "/chats".to_owned()),
        (Method::GET, "/chats".to_owned()),
        (Method::GET, format!("/chats/{id}")),
        (Method::POST, format!("/chats/{id}/messages")),
        (Method::POST, format!("/chats/{id}/end")),
        (Method::POST, "/text-chat/completion".to_owned()),
    ]
}

#[tokio::test]
async fn every_operation_needs_a_bearer_key_401() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    let keys = ["nobody", WIDGET_KEY, "", &"k".repeat(513)];
    for (method, path) in operations(&id) {
        for key in keys {
            // Who is not known is not told what is wrong with the body.
            let answer = fixture.send(keyed(key, method.clone(), &path, "{")).await;
            problem(&answer, 401);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
        let bare = Request::builder().method(method).uri(format!("/api/v1{path}"));
        problem(&fixture.send(bare.body(Body::empty()).expect("a request")).await, 401);
    }
    assert_eq!(fixture.show(&id).await["is_final"], false);
}

#[tokio::test]
async fn a_session_token_is_nobodys_key_here_401() {
    let fixture = Fixture::start().await;
    let open = json!({ "agent_id": AGENT }).to_string();
    let request = Request::post("/v1/chat/sessions").header("X-API-Key", KEY);
    let opened = fixture.send(request.body(open.into()).expect("a request")).await.json();
    let token = opened["session_token"].as_str().expect("a token");
    problem(&fixture.send(keyed(token, Method::GET, "/chats", Body::empty())).await, 401);
}

#[tokio::test]
async fn a_key_that_may_only_look_changes_nothing_403() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    for (method, path) in operations(&id) {
        let looks = method == Method::GET;
        let answer = fixture.send(keyed(READ_KEY, method, &path, "{}")).await;
        if looks {
            assert_eq!(answer.status, 200, "{path}");
        } else {
            problem(&answer, 403);
        }
    }
}

#[tokio::test]
async fn unknown_foreign_and_malformed_ids_are_404_alike() {
    let fixture = Fixture::start().await;
    let own = fixture.chat(json!({})).await;
    for (key, id) in [(KEY, NOBODY), (KEY, "not-an-id"), (KEY, "%FF"), (FOREIGN_KEY, &own)] {
        let told = async |method: Method, what: &str, body: &'static str| {
            let request = keyed(key, method, &format!("/chats/{id}{what}"), body);
            let mut body = problem(&fixture.send(request).await, 404);
            body["traceId"].take();
            body
        };
        let shown = told(Method::GET, "", "").await;
        assert_eq!(shown["detail"], "There is no such chat session.");
        assert_eq!(told(Method::POST, "/messages", r#"{"content":"hi"}"#).await, shown);
        assert_eq!(told(Method::POST, "/end", "").await, shown);
    }
    assert_eq!(fixture.show(&own).await["is_final"], false);
}

#[tokio::test]
async fn a_session_of_another_api_is_no_chat_404() {
    let fixture = Fixture::start().await;
    let native =
        Request::post("/epilogue/v1/sessions").header("Authorization", "Bearer tk_live_acme");
    let body = json!({ "agent": AGENT }).to_string();
    let opened = fixture.send(native.body(body.into()).expect("a request")).await;
    let id = opened.json()["session"]["id"].as_str().expect("an id").to_owned();
    problem(&fixture.send(get(&format!("/chats/{id}"))).await, 404);
    problem(&fixture.end(&id).await, 404);
    assert!(fixture.session(&id).await.ended().is_none());
}

#[tokio::test]
async fn paths_and_methods_that_are_none_of_ours() {
    let fixture = Fixture::start().await;
    problem(&fixture.send(get("/nothing/here")).await, 404);
    let answer = fixture.send(keyed(KEY, Method::DELETE, "/chats", Body::empty())).await;
    problem(&answer, 405);
    assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET")));
}

#[tokio::test]
async fn a_problem_names_its_parts() {
    let fixture = Fixture::start().await;
    let answer = fixture.open(json!({ "ttl_seconds": 5 })).await;
    assert_eq!(answer.status, 400);
    insta::assert_snapshot!("validation_problem", answer.body);
    let answer = fixture.send(get(&format!("/chats/{NOBODY}"))).await;
    insta::assert_snapshot!("not_found_problem", answer.body);
}

#[tokio::test]
async fn a_server_that_stops_takes_nothing_new_503() {
    let fixture = Fixture::start().await;
    let id = fixture.chat(json!({})).await;
    fixture.engine.begin_drain();
    for answer in [fixture.open(json!({})).await, fixture.say(&id, "hi").await] {
        problem(&answer, 503);
        assert!(answer.header("retry-after").is_some());
    }
}

#[tokio::test]
async fn more_messages_than_may_wait_for_one_session_429() {
    let fixture = Arc::new(Fixture::with(|setup| setup.limits.turns_waiting_max = 1).await);
    let id = fixture.chat(json!({})).await;
    let say = || {
        let (fixture, id) = (fixture.clone(), id.clone());
        tokio::spawn(async move { fixture.say(&id, "for ever").await })
    };
    let waiting = [say(), say()];
    fixture.asked(1).await;
    settle().await;
    let answer = fixture.say(&id, "one too many").await;
    problem(&answer, 429);
    assert!(answer.header("retry-after").is_some());
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn the_servers_limits_count_here_too_429() {
    let fixture = Fixture::with(|setup| {
        setup.settings.opens_per_minute = 1;
        setup.settings.messages_per_minute = 1;
        setup.settings.ends_per_minute = 1;
    })
    .await;
    let id = fixture.chat(json!({})).await;
    let opened = fixture.open(json!({})).await;
    assert_eq!(fixture.say(&id, "hi").await.status, 200);
    let said = fixture.say(&id, "hi").await;
    assert_eq!(fixture.end(&id).await.status, 200);
    for answer in [opened, said, fixture.end(&id).await] {
        problem(&answer, 429);
        assert_eq!(answer.header("retry-after"), Some("60"));
        assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
    }
}
