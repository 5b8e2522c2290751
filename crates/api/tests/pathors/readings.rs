//! 7: where the published pages contradict each other, the reading that is taken; and the numbers of 6.

use epilogue_core::{SessionState, Span};
use http::Method;
use serde_json::{Value, json};

use crate::{chat::*, client::*};

/// "End on an inactive session: … Seed wins": 200 and three fields.
#[tokio::test]
async fn c7_1_the_end_of_what_is_not_there_succeeds() {
    let house = house().await;
    let answer = house.end("never").await;
    let body = r#"{"success":true,"sessionId":"never","message":"Session ended successfully"}"#;
    assert_eq!(answer.told(), (200, body));
}

/// "session/chat routes keep the seed's two shapes on all prefixes; other v1 resources use the object shape"
#[tokio::test]
async fn c7_2_errors_have_two_shapes() {
    let house = house().await;
    for family in FAMILIES {
        let path = family.replace("{P}", PROJECT);
        let answer = house.send(keyed(DK, Method::POST, &path, "{}")).await;
        refused(&answer, 400, "session_id is required");
        unauthorized(&house.send(keyed("nobody", Method::POST, &path, "{}")).await);
    }
    let answer = house.send(keyed(DK, Method::PUT, &current("/agent"), r#"{"name":""}"#)).await;
    assert_eq!(answer.status, 400);
    let error = &answer.json()["error"];
    assert!(error["message"].is_string() && error["details"].is_object(), "{error}");
    unauthorized(&house.send(keyed("nobody", Method::PUT, &current("/agent"), "{}")).await);
}

/// "MIG6 (June) still says developer key \"or secret key\". Accept both."
#[tokio::test]
async fn c7_3_keys_of_every_kind_are_accepted() {
    let house = house().await;
    for key in [SK, BUZZ, DK, SECRET] {
        let answer = house.send(keyed(key, Method::GET, &current("/session-history"), "")).await;
        assert_eq!(answer.status, 200, "{key}");
    }
}

/// "Query shape `data`+timestamps vs `state`: serve the superset"
#[tokio::test]
async fn c7_4_a_query_has_both_shapes() {
    let house = house().await;
    house.created("x", json!({ "variables": { "a": 1 } })).await;
    house.says("x", "Hello").await;
    let shown = house.queried("x").await;
    assert_eq!(shown["state"]["variables"], json!({ "a": 1 }));
    for part in ["variables", "messages"] {
        assert_eq!(shown["data"][part], shown["state"][part]);
    }
    assert_eq!(shown["state"]["messages"].as_array().map(Vec::len), Some(2));
    assert!(shown["createdAt"].is_string() && shown["updatedAt"].is_string());
}

/// "Merge both into `data` … After the end: 404 there, history route still answers."
#[tokio::test]
async fn c7_5_a_query_is_merged_with_the_history_and_ends_with_the_session() {
    let house = house().await;
    house.created("x", json!({ "provider": "web" })).await;
    let data = house.queried("x").await["data"].clone();
    for part in [
        "variables",
        "messages",
        "sessionId",
        "startTime",
        "endTime",
        "provider",
        "messageCount",
        "marked",
        "evaluation",
        "events",
    ] {
        assert!(data.get(part).is_some(), "{part}");
    }
    house.end("x").await;
    refused(&house.query("x").await, 404, "Session not found");
    let entry = house.send(get("/session-history/x")).await.json();
    assert_eq!(
        (&entry["data"]["sessionId"], &entry["data"]["provider"]),
        (&json!("x"), &json!("web"))
    );
}

/// "Host and `/api` prefix, PUT vs PATCH agent, name 128 vs 16: accept both / both / 16 on write"
#[tokio::test]
async fn c7_8_both_prefixes_both_verbs_and_names_of_16() {
    let house = house().await;
    for prefix in ["", "/api"] {
        let path = format!("{prefix}{}", current("/agent"));
        for verb in [Method::PUT, Method::PATCH] {
            let named = |length: usize| json!({ "name": "é".repeat(length) }).to_string();
            let answer = house.send(keyed(DK, verb.clone(), &path, named(16))).await;
            assert_eq!(answer.status, 200, "{verb} {path}: {}", answer.body);
            assert_eq!(house.send(keyed(DK, verb, &path, named(17))).await.status, 400);
        }
    }
}

/// "`messages` required? … treat missing or empty as 400"
#[tokio::test]
async fn c7_9_no_messages_400() {
    let house = house().await;
    for body in [json!({}), json!({ "messages": [] }), json!({ "messages": null })] {
        let answer = house.send(call("s", &body)).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.json()["error"].is_string());
    }
    assert_eq!(house.session_in(PROJECT, "s").await, None);
}

/// "search limit 50, offset 0 · page 1, pageSize 10 · usage −1/−1/−1 · created in seconds"
#[tokio::test]
async fn c6_the_published_numbers() {
    let house = house().await;
    house.created("x", json!({})).await;
    let search =
        house.send(post("/sessions/search", &json!({ "search_string": "v" }))).await.json();
    assert_eq!(search["pagination"], json!({ "limit": 50, "offset": 0, "total": 1 }));
    let list = house.send(get("/session-history")).await.json();
    assert_eq!(
        (&list["pagination"]["page"], &list["pagination"]["pageSize"]),
        (&json!(1), &json!(10))
    );
    let said = house.asks("x", "Hello").await;
    let usage = json!({ "prompt_tokens": -1, "completion_tokens": -1, "total_tokens": -1 });
    assert_eq!(said["usage"], usage);
    assert_eq!(said["created"], 1_705_312_800);
}

/// "`(none) → active → ended → finalized`"
#[tokio::test]
async fn c3_a_session_is_active_then_ended_then_final() {
    let house = house().await;
    assert_eq!(house.session_in(PROJECT, "x").await, None);
    house.created("x", json!({})).await;
    let before = house.queried("x").await["updatedAt"].clone();
    house.clock.advance(Span::from_secs(1));
    house.asks("x", "Hello").await;
    assert_ne!(house.queried("x").await["updatedAt"], before, "a completion moves it");
    house.end("x").await;
    assert!(matches!(house.session("x").await.state, SessionState::Finalizing(_)));
    let entry = house.send(get("/session-history/x")).await.json();
    assert!(entry["data"]["endTime"].is_string());
    house.run_until_idle().await;
    assert!(matches!(house.session("x").await.state, SessionState::Final { .. }));
    let same = house.send(get("/session-history/x")).await.json();
    assert_eq!(same["data"]["endTime"], entry["data"]["endTime"]);
    let told: Vec<Value> = house
        .webhooks
        .heard()
        .iter()
        .map(|sent| serde_json::from_str::<Value>(&sent.body).expect("JSON")["event"].clone())
        .collect();
    assert_eq!(told, ["session.ended"]);
}
