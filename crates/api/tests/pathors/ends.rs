//! 2.4: ending sessions, the page that is law; and 3, what an end does.

use std::sync::Arc;

use axum::body::Body;
use epilogue_core::{EndReason, Span};
use futures::future::join_all;
use http::{Method, Request, header};
use serde_json::json;

use crate::client::*;

fn ended(name: &str) -> String {
    format!(r#"{{"success":true,"sessionId":"{name}","message":"Session ended successfully"}}"#)
}

fn delete(path: &str, body: impl Into<Body>) -> Request<Body> {
    keyed(SK, Method::DELETE, path, body)
}

#[tokio::test]
async fn c2_4_a_session_is_ended_by_every_path() {
    let house = unlimited().await;
    for family in FAMILIES {
        let path = family.replace("{P}", PROJECT);
        house.created("x", json!({})).await;
        let answer = house.send(delete(&path, r#"{"session_id":"x"}"#)).await;
        assert_eq!(answer.told(), (200, &*ended("x")), "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let session = house.session("x").await;
        assert_eq!(session.ended().map(|ended| ended.reason), Some(EndReason::UserEnd));
    }
}

/// "Success is returned regardless of whether the session was active"
#[tokio::test]
async fn c2_4_end_twice_is_byte_identical_and_so_is_the_end_of_what_never_was() {
    let house = house().await;
    house.created("x", json!({})).await;
    house.says("x", "hi").await;
    let first = house.end("x").await;
    let session = house.session("x").await;
    for _ in 0..3 {
        house.clock.advance(Span::from_secs(1));
        assert_eq!(house.end("x").await.told(), first.told());
    }
    assert_eq!(house.session("x").await, session, "nothing changed");
    assert_eq!(house.end("never").await.told(), (200, &*ended("never")));
    assert_eq!(house.session_in(PROJECT, "never").await, None);
    house.run_until_idle().await;
    let log = house.activity(session.id).await;
    let ends: Vec<_> = log.iter().filter(|entry| entry.kind == "session.ended").collect();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].by.as_deref(), Some("key_dk_acme"));
}

/// "Missing or invalid `session_id`"
#[tokio::test]
async fn c2_4_missing_or_invalid_400() {
    let house = house().await;
    house.created("x", json!({})).await;
    let long = json!({ "session_id": "é".repeat(256) }).to_string();
    let bodies = [
        "",
        " \n",
        "{}",
        "null",
        "[]",
        "7",
        r#""x""#,
        r#"["x"]"#,
        "session_id=x",
        "{",
        "\u{feff}{}",
        r#"{"session_id":null}"#,
        r#"{"session_id":""}"#,
        r#"{"session_id":"  "}"#,
        r#"{"session_id":7}"#,
        r#"{"session_id":true}"#,
        r#"{"session_id":["x"]}"#,
        r#"{"session_id":{"x":1}}"#,
        r#"{"Session_id":"x"}"#,
        r#"{"sessionId":"x"}"#,
        r#"{"session_id":"x"}{"session_id":"x"}"#,
        r#"{"session_id":"x"} trailing"#,
        r#"{"session_id":"\ud800"}"#,
        r#"{"session_id":"x","session_id":"x"}"#,
        r#"{"session_id":"y","session_id":"x"}"#,
        &long,
    ];
    for body in bodies {
        let answer = house.send(delete(&current("/sessions"), body.to_owned())).await;
        assert_eq!(answer.told(), (400, r#"{"error":"session_id is required"}"#), "{body}");
    }
    let not_text = house.send(delete(&current("/sessions"), vec![0xff, 0xfe])).await;
    refused(&not_text, 400, "session_id is required");
    assert!(house.session("x").await.ended().is_none());
}

/// What else is in a body is nobody's business, if only it is JSON.
#[tokio::test]
async fn c2_4_an_end_reads_the_name_alone() {
    let house = unlimited().await;
    let deep = format!(r#"{{"session_id":"x","more":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
    for body in [&deep, r#"{"session_id":"x","more":1e400}"#, "\u{feff}{\"session_id\":\"x\"}"] {
        house.created("x", json!({})).await;
        let answer = house.send(delete(&current("/sessions"), body.to_owned())).await;
        assert_eq!(answer.told(), (200, &*ended("x")), "{body}");
        assert!(house.session("x").await.ended().is_some());
    }
    house.created("\u{fffd}", json!({})).await;
    let path = format!("{}?session_id=%ef%bf%bd", current("/sessions"));
    assert_eq!(house.send(delete(&path, "")).await.told(), (200, &*ended("\u{fffd}")));
}

#[tokio::test]
async fn c2_4_a_body_of_whatever_content_type_is_json() {
    let house = unlimited().await;
    for content_type in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("")]
    {
        house.created("x", json!({})).await;
        let mut request = delete(&current("/sessions"), r#"{"session_id":"x","more":[1]}"#);
        request.headers_mut().remove(header::CONTENT_TYPE);
        if let Some(content_type) = content_type {
            let value = content_type.parse().expect("a value");
            request.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        assert_eq!(house.send(request).await.told(), (200, &*ended("x")));
        assert!(house.session("x").await.ended().is_some());
    }
}

#[tokio::test]
async fn c2_4_a_name_in_the_query_counts_where_the_body_was_stripped() {
    let house = unlimited().await;
    let name = "a b+é";
    for (query, body) in [
        ("session_id=a%20b%2B%C3%A9", ""),
        ("session_id=a+b%2B%C3%A9", " \r\n"),
        ("more=%FF&session_id=a%20b%2B%C3%A9", "{}"),
        ("session_id=other", r#"{"session_id":"a b+é"}"#),
    ] {
        house.created(name, json!({})).await;
        let path = format!("{}?{query}", current("/sessions"));
        assert_eq!(house.send(delete(&path, body)).await.told(), (200, &*ended(name)), "{query}");
        assert!(house.session(name).await.ended().is_some());
    }
    for (query, body) in [
        ("session_id=", ""),
        ("session_id=%20", ""),
        ("session_id=%FF", ""),
        ("session_id=%EF%BF%BD%FF", ""),
        ("session_id=x&session_id=y", ""),
        ("session_id=x&session_id=x", "{}"),
        ("session_id=x", r#"{"session_id":"y","session_id":"x"}"#),
        ("session=x", ""),
        ("session_id=x", "{"),
        ("session_id=x", r#"{"session_id":7}"#),
        ("session_id=x", r#"{"session_id":null}"#),
    ] {
        let path = format!("{}?{query}", current("/sessions"));
        refused(&house.send(delete(&path, body)).await, 400, "session_id is required");
    }
}

#[tokio::test]
async fn c3_the_same_name_may_be_created_anew_and_starts_empty() {
    let house = house().await;
    house.created("x", json!({ "variables": { "secret": 1 } })).await;
    house.says("x", "hi").await;
    let first = house.session("x").await;
    house.end("x").await;
    refused(&house.query("x").await, 404, "Session not found");
    house.created("x", json!({})).await;
    let second = house.session("x").await;
    assert_ne!(first.id, second.id);
    let shown = house.queried("x").await;
    assert_eq!(shown["state"], json!({ "variables": {}, "messages": [] }));
    assert_eq!(shown["data"]["messageCount"], 0);
}

#[tokio::test]
async fn c3_an_end_in_one_project_ends_nothing_in_another() {
    let house = house().await;
    house.created("x", json!({})).await;
    let path = format!("/v1/projects/{OTHER_PROJECT}/sessions");
    let answer = house.send(keyed(DK, Method::DELETE, &path, r#"{"session_id":"x"}"#)).await;
    assert_eq!(answer.told(), (200, &*ended("x")));
    assert!(house.session("x").await.ended().is_none());
}

#[tokio::test]
async fn c3_an_overdue_session_ends_for_its_deadline() {
    let house = house().await;
    house.created("x", json!({})).await;
    house.clock.advance(Span::from_secs(1_801));
    assert_eq!(house.end("x").await.told(), (200, &*ended("x")));
    let session = house.session("x").await;
    assert_eq!(session.ended().map(|ended| ended.reason), Some(EndReason::Idle));
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_of_many_ends_one_is_the_transition_and_all_are_answered_alike() {
    let house = Arc::new(unlimited().await);
    house.created("x", json!({})).await;
    house.says("x", "hi").await;
    let ends = (0..500).map(|_| {
        let house = house.clone();
        tokio::spawn(async move { house.end("x").await })
    });
    let answers: Vec<_> = join_all(ends).await.into_iter().map(|a| a.expect("one")).collect();
    assert!(answers.iter().all(|answer| answer.told() == (200, &*ended("x"))));
    house.run_until_idle().await;
    let session = house.session("x").await;
    let log = house.activity(session.id).await;
    assert_eq!(log.iter().filter(|entry| entry.kind == "session.ended").count(), 1);
    assert!(house.steps(session.id).await.iter().all(|(_, attempts)| *attempts == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_creates_and_ends_of_one_name_leave_at_most_one_live() {
    let house = Arc::new(unlimited().await);
    let asks = (0..300).map(|n| {
        let house = house.clone();
        tokio::spawn(async move {
            if n % 2 == 0 {
                house.create("x", json!({ "variables": { "n": n } })).await
            } else {
                house.end("x").await
            }
        })
    });
    let answers: Vec<_> = join_all(asks).await.into_iter().map(|a| a.expect("one")).collect();
    for (n, answer) in answers.iter().enumerate() {
        // An end always succeeds; a create may be outrun by ends.
        let known = answer.status == 200 || (n % 2 == 0 && answer.status == 503);
        assert!(known, "{:?}", answer.told());
    }
    let busy = answers.iter().filter(|answer| answer.status == 503).count();
    assert!(busy < 30, "{busy} were outrun");
    let (org, project) = (ORG.into(), PROJECT.into());
    let bounds = epilogue_engine::records::LiveBounds { sessions_max: 10, bytes_max: 1_000 };
    let live = house.engine.live_conversations(&org, &project, None, bounds).await.expect("read");
    assert!(live.items.len() <= 1);
    // Every session that was opened is ended once, and none was lost between.
    house.end("x").await;
    house.run_until_idle().await;
    let all = house.send(get("/session-history?pageSize=100")).await.json();
    let all = all["data"].as_array().expect("a list");
    assert!(!all.is_empty() && all.iter().all(|entry| entry["endTime"].is_string()));
    let told = house.webhooks.heard().len();
    let stats = house.send(get("/sessions/stats")).await.json();
    assert_eq!(stats["data"]["endedSessions"], told, "one session.ended each");
}

/// The table of 2.4 knows 400, 401 and 500: "200 with `success: true` whether or not the session was active".
#[tokio::test]
async fn c2_4_an_end_is_never_one_too_many() {
    let house = house_with(|setup| {
        setup.settings.ends_per_minute = 1;
        setup.settings.opens_per_minute = 1;
    })
    .await;
    house.created("x", json!({})).await;
    for _ in 0..100 {
        assert_eq!(house.end("x").await.told(), (200, &*ended("x")));
    }
    for _ in 0..3 {
        let answer = house.send(post("/sessions/terminate", &json!({ "session_id": "x" }))).await;
        refused(&answer, 404, "Session not found");
    }
}

#[tokio::test]
async fn c2_4_a_fault_of_ours_500() {
    let house = house().await;
    house.created("x", json!({})).await;
    house.breaks();
    let answer = house.end("x").await;
    refused(&answer, 500, "Internal server error");
}
