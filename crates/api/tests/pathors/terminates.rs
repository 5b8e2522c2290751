//! 2.5: terminating sessions.

use epilogue_core::{EndReason, Role, Span};
use http::Method;
use serde_json::{Value, json};

use crate::{
    client::*,
    support::{Answer, Fixture},
};

async fn terminate(house: &Fixture, body: Value) -> Answer {
    house.send(post("/sessions/terminate", &body)).await
}

#[tokio::test]
async fn c2_5_a_live_session_is_terminated_by_every_path() {
    let house = unlimited().await;
    for family in FAMILIES {
        house.created("x", json!({})).await;
        let path = format!("{}/terminate", family.replace("{P}", PROJECT));
        let body = r#"{"session_id":"x"}"#;
        let answer = house.send(keyed(SK, Method::POST, &path, body)).await;
        assert_eq!(answer.told(), (200, r#"{"success":true,"sessionType":"text"}"#), "{path}");
        let session = house.session("x").await;
        assert_eq!(session.ended().map(|ended| ended.reason), Some(EndReason::UserEnd));
    }
}

#[tokio::test]
async fn c2_5_the_message_is_said_last() {
    let house = house().await;
    house.created("x", json!({})).await;
    house.says("x", "hi").await;
    let body = json!({ "session_id": "x", "message": "We close now. {{name}}" });
    assert_eq!(terminate(&house, body).await.status, 200);
    let session = house.session("x").await;
    let said = house.engine.transcript(&session.org, session.id).await.expect("read");
    let last = said.last().expect("messages");
    assert_eq!(last.body.role, Role::Assistant);
    assert_eq!(last.body.content, "We close now. {{name}}", "as it was given");
    assert_eq!((said.len(), session.messages, session.usage.total_messages), (3, 3, 3));
    let again = json!({ "session_id": "x", "message": "Once more." });
    refused(&terminate(&house, again).await, 404, "Session not found");
    assert_eq!(house.session("x").await.messages, 3);
}

#[tokio::test]
async fn c2_5_what_does_not_exist_cannot_be_terminated_404() {
    let house = house().await;
    house.created("overdue", json!({})).await;
    house.clock.advance(Span::from_secs(1_800));
    for body in [
        json!({ "session_id": "unknown" }),
        json!({ "session_id": "overdue" }),
        json!({ "session_id": "é".repeat(256) }),
        json!({ "phone_number": "+15550100" }),
        json!({ "session_id": " ", "phone_number": "+15550100" }),
    ] {
        refused(&terminate(&house, body).await, 404, "Session not found");
    }
}

/// "forced end of a live session found by id, or of the live call with that phone number": the id finds it.
#[tokio::test]
async fn c2_5_with_both_selectors_the_session_is_found_by_its_id() {
    let house = house().await;
    house.created("x", json!({})).await;
    let both = |name: &str| json!({ "session_id": name, "phone_number": "+15550100" });
    refused(&terminate(&house, both("y")).await, 404, "Session not found");
    assert!(house.session("x").await.ended().is_none());
    let answer = terminate(&house, both("x")).await;
    assert_eq!(answer.told(), (200, r#"{"success":true,"sessionType":"text"}"#));
    assert!(house.session("x").await.ended().is_some());
}

#[tokio::test]
async fn c2_5_a_fault_of_ours_500() {
    let house = house().await;
    house.created("x", json!({})).await;
    house.breaks();
    let answer = terminate(&house, json!({ "session_id": "x" })).await;
    refused(&answer, 500, "Internal server error");
}

#[tokio::test]
async fn c2_5_without_a_selector_or_with_one_of_another_form_400() {
    let house = house().await;
    house.created("x", json!({})).await;
    let neither = "session_id or phone_number is required";
    for (body, message) in [
        (json!({}), neither),
        (json!({ "message": "bye" }), neither),
        (json!({ "session_id": "", "phone_number": null }), neither),
        (json!([]), neither),
        (json!({ "session_id": 7 }), "session_id must be a string"),
        (json!({ "phone_number": 15_550_100 }), "phone_number must be a string"),
        (json!({ "session_id": "x", "message": ["bye"] }), "message must be a string"),
    ] {
        refused(&terminate(&house, body).await, 400, message);
    }
    let long = |bytes: usize| json!({ "session_id": "x", "message": "x".repeat(bytes) });
    let answer = terminate(&house, long(32 * 1024 + 1)).await;
    refused(&answer, 413, "message must have at most 32768 bytes");
    assert!(house.session("x").await.ended().is_none());
    assert_eq!(terminate(&house, long(32 * 1024)).await.status, 200);
}

#[tokio::test]
async fn c2_5_a_turn_in_flight_is_cut_before_the_last_words() {
    let house = std::sync::Arc::new(house().await);
    house.created("x", json!({})).await;
    let talking = house.clone();
    let turn = tokio::spawn(async move { talking.says("x", "for ever").await });
    house.asked(1).await;
    let body = json!({ "session_id": "x", "message": "Enough." });
    assert_eq!(terminate(&house, body).await.status, 200);
    turn.await.expect("no panic");
    let session = house.session("x").await;
    let said = house.engine.transcript(&session.org, session.id).await.expect("read");
    assert_eq!(said.last().map(|message| message.body.content.as_str()), Some("Enough."));
}
