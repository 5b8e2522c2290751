//! 2.3: looking at a live session.

use epilogue_core::Span;
use http::Method;
use serde_json::json;

use crate::client::*;

#[tokio::test]
async fn c2_3_a_live_session_is_shown_as_both_copies_of_the_page_have_it() {
    let house = house().await;
    house.created("x", json!({ "variables": { "name": "Ann" }, "provider": "web" })).await;
    house.clock.advance(Span::from_millis(1_500));
    house.says("x", "hi").await;
    let shown = house.queried("x").await;
    let messages = json!([
        { "role": "user", "content": "hi" },
        { "role": "assistant", "content": "You said: hi" },
    ]);
    let said = |kind: &str, message: &serde_json::Value| {
        let timestamp = "2024-01-15T10:00:01.500Z";
        json!({ "type": kind, "timestamp": timestamp, "data": { "message": message } })
    };
    let expected = json!({
        "sessionId": "x",
        "state": { "variables": { "name": "Ann" }, "messages": messages },
        "data": {
            "variables": { "name": "Ann" },
            "messages": messages,
            "sessionId": "x",
            "startTime": "2024-01-15T10:00:00.000Z",
            "endTime": null,
            "provider": "web",
            "messageCount": 2,
            "marked": false,
            "evaluation": null,
            "events": [
                said("message.received", &messages[0]),
                said("message.sent", &messages[1]),
            ],
        },
        "createdAt": "2024-01-15T10:00:00.000Z",
        "updatedAt": "2024-01-15T10:00:01.500Z",
    });
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn c2_3_a_session_is_queried_by_every_path() {
    let house = unlimited().await;
    house.created("a/b é", json!({ "variables": { "n": 1 } })).await;
    for family in FAMILIES {
        let path = format!("{}/{}", family.replace("{P}", PROJECT), escaped("a/b é"));
        for key in [SK, BUZZ, DK, READ_SK] {
            let answer = house.send(keyed(key, Method::GET, &path, "")).await;
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.json()["data"]["variables"]["n"], 1);
        }
    }
}

#[tokio::test]
async fn c2_3_unknown_ended_and_overdue_sessions_404() {
    let house = house().await;
    house.created("ended", json!({})).await;
    house.end("ended").await;
    house.created("overdue", json!({})).await;
    for name in ["unknown", "ended", &"é".repeat(256), " ", "Overdue"] {
        refused(&house.query(name).await, 404, "Session not found");
    }
    for undecodable in ["%FF", "%ED%A0%80"] {
        let answer = house.send(get(&format!("/sessions/{undecodable}"))).await;
        refused(&answer, 404, "Session not found");
    }
    assert_eq!(house.query("overdue").await.status, 200);
    house.clock.advance(Span::from_secs(1_800));
    refused(&house.query("overdue").await, 404, "Session not found");
    let there = format!("/v1/projects/{OTHER_PROJECT}/sessions/overdue");
    refused(&house.send(keyed(DK, Method::GET, &there, "")).await, 404, "Session not found");
}

/// 2.3: 400 is for a missing project or session: a path without one is another operation's, or nobody's.
#[tokio::test]
async fn c2_3_a_path_without_a_project_or_a_session_is_no_query() {
    let house = house().await;
    house.created("x", json!({})).await;
    for (path, status) in [
        ("/v1/projects/proj_1/sessions/", 404),
        ("/project/proj_1/session/", 404),
        ("/project//session/x", 401),
        ("/v1/projects//sessions/x", 401),
    ] {
        let answer = house.send(keyed(DK, Method::GET, path, "")).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(!answer.body.contains("messages"));
    }
}

#[tokio::test]
async fn c2_3_a_fault_of_ours_500() {
    let house = house().await;
    house.created("x", json!({})).await;
    house.breaks();
    refused(&house.query("x").await, 500, "Internal server error");
}

#[tokio::test]
async fn c2_0_the_words_of_paths_are_names_too() {
    let house = unlimited().await;
    for name in ["search", "terminate", "stats", "check", "variables"] {
        house.created(name, json!({ "variables": { "is": name } })).await;
        for family in FAMILIES {
            let family = family.replace("{P}", PROJECT);
            // Spelt so that it is no word of ours, the one name that is left is reached as well.
            let tail = if name == "stats" { "%73tats" } else { name };
            let answer = house.send(keyed(DK, Method::GET, &format!("{family}/{tail}"), "")).await;
            assert_eq!(answer.json()["state"]["variables"]["is"], name, "{family}");
        }
        assert_eq!(house.end(name).await.status, 200);
        assert!(house.session(name).await.ended().is_some());
    }
}

#[tokio::test]
async fn the_native_api_shows_the_project_and_filters_by_it() {
    let house = house().await;
    house.created("x", json!({})).await;
    house.clock.advance(Span::from_secs(1));
    let there = format!("/v1/projects/{OTHER_PROJECT}/sessions");
    let body = json!({ "session_id": "y" }).to_string();
    assert_eq!(house.send(keyed(DK, Method::POST, &there, body)).await.status, 200);
    for (query, expected) in [
        ("project=proj_1", json!([["x", "proj_1"]])),
        ("project=proj_2", json!([["y", "proj_2"]])),
        ("project=proj_foreign", json!([])),
        ("dialect=pathors", json!([["y", "proj_2"], ["x", "proj_1"]])),
    ] {
        let path = format!("/epilogue/v1/sessions?{query}");
        let list = house.send(keyed(SECRET, Method::GET, &path, "")).await.json();
        let items = list["items"].as_array().expect("items").iter();
        let shown: serde_json::Value =
            items.map(|item| json!([item["name"], item["project"]])).collect();
        assert_eq!(shown, expected, "{query}");
    }
}

#[tokio::test]
async fn a_look_is_no_activity() {
    let house = house().await;
    house.created("x", json!({})).await;
    let before = house.session("x").await;
    house.clock.advance(Span::from_secs(60));
    house.queried("x").await;
    assert_eq!(house.session("x").await, before);
}
