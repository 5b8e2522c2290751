//! P1: accounts at Twilio.

use http::Method;
use serde_json::{Value, json};

use crate::{
    client::{keyed, post, problem, wrong},
    support::{FOREIGN_KEY, Fixture, READ_KEY, WIDGET_KEY},
    texting::{ANN, SID, TOKEN, Texting},
};

fn account() -> Value {
    json!({
        "accountSid": SID, "authToken": TOKEN, "name": "Main", "region": "ie1",
        "supportsCallTransfer": true,
    })
}

fn with(member: &str, value: Value) -> Value {
    let mut account = account();
    account[member] = value;
    account
}

#[tokio::test]
async fn p1_an_account_is_answered_as_the_page_shows_it_without_its_token() {
    let fixture = Fixture::start().await;
    let answer = fixture.send(post("/providers/twilio", &account())).await;
    assert_eq!(answer.status, 201);
    let mut shown = answer.json();
    let id = shown["id"].as_str().expect("an id").to_owned();
    let url = format!("http://127.0.0.1:7400/api/v1/providers/twilio/{id}/sms");
    assert_eq!(shown["inboundSmsUrl"], url);
    shown["id"] = "ID".into();
    shown["inboundSmsUrl"] = "URL".into();
    assert_eq!(
        shown,
        json!({
            "id": "ID", "name": "Main", "providerType": "twilio", "accountSid": SID,
            "verificationStatus": "pending", "lastVerifiedAt": null, "phoneNumberCount": 0,
            "verificationDetails": [], "trunkSid": null, "terminationUri": null, "region": "ie1",
            "supportsCallTransfer": true, "inboundSmsUrl": "URL",
        })
    );
    assert!(!answer.body.contains(TOKEN));
}

#[tokio::test]
async fn p1_the_auth_token_is_stored_encrypted_and_logged_nowhere() {
    let texting = Texting::start().await;
    texting.texts("SM1", ANN, "Hello").await;
    texting.work().await;
    let database = texting.fixture.database();
    let secret: String =
        database.query_row("SELECT secret FROM carriers", [], |row| row.get(0)).expect("read");
    assert!(secret.len() > TOKEN.len() && !secret.contains(TOKEN));
    let everything: String = database
        .query_row("SELECT group_concat(kind || detail, ' ') FROM activity", [], |row| row.get(0))
        .expect("read");
    assert!(everything.contains("carrier.created"), "{everything}");
    assert!(!everything.contains(TOKEN) && !everything.contains("Hello"), "{everything}");
}

#[tokio::test]
async fn p1_the_same_account_again_changes_its_token_and_keeps_its_id() {
    let texting = Texting::start().await;
    let answer =
        texting.fixture.send(post("/providers/twilio", &with("authToken", json!("new")))).await;
    assert_eq!(answer.status, 200);
    let shown = answer.json();
    assert_eq!(shown["id"], texting.provider.as_str());
    assert_eq!(shown["phoneNumberCount"], 1);
    let mut form = texting.message("SM1", ANN, "Hello");
    assert_eq!(texting.tells(&form).await.status, 403);
    form.token = "new".into();
    assert_eq!(texting.tells(&form).await.status, 200);
}

#[tokio::test]
async fn p1_a_sealed_token_opens_for_its_own_account_and_organization_alone() {
    let texting = Texting::start().await;
    let other = with("accountSid", json!("AC00000000000000000000000000000002"));
    texting.fixture.send(post("/providers/twilio", &other)).await;
    // What somebody with the database alone could try: another account's secret in its place.
    let swap = "UPDATE carriers SET secret = (SELECT secret FROM carriers WHERE account <> ?1)
        WHERE account = ?1";
    texting.fixture.database().execute(swap, [SID]).expect("changed");
    let answer = texting.tells(&texting.message("SM1", ANN, "Hello")).await;
    problem(&answer, 500);
}

#[tokio::test]
async fn p1_parts_that_are_wrong_are_400() {
    let fixture = Fixture::start().await;
    let cases = [
        ("accountSid", json!(null)),
        ("accountSid", json!("AC1")),
        ("accountSid", json!("SK00000000000000000000000000000001")),
        ("accountSid", json!("AC0000000000000000000000000000../1")),
        ("accountSid", json!(7)),
        ("authToken", json!(null)),
        ("authToken", json!("")),
        ("authToken", json!("two words")),
        ("authToken", json!("x".repeat(129))),
        ("name", json!("")),
        ("name", json!("x".repeat(101))),
        ("region", json!("evil.example/")),
        ("region", json!(["us1"])),
        ("supportsCallTransfer", json!("yes")),
    ];
    for (member, value) in cases {
        let answer = fixture.send(post("/providers/twilio", &with(member, value))).await;
        wrong(&answer, 400, member);
    }
    for (member, value) in [
        ("authToken", json!("x".repeat(128))),
        ("authToken", json!("env:PATH")),
        ("name", json!("x".repeat(100))),
        ("region", json!(null)),
    ] {
        let answer = fixture.send(post("/providers/twilio", &with(member, value))).await;
        assert!(answer.status.is_success(), "{member}: {}", answer.body);
    }
}

#[tokio::test]
async fn p1_a_token_that_looks_like_a_reference_is_taken_as_it_is() {
    let texting = Texting::start().await;
    let answer = texting
        .fixture
        .send(post("/providers/twilio", &with("authToken", json!("env:PATH"))))
        .await;
    assert_eq!(answer.status, 200);
    let mut form = texting.message("SM1", ANN, "Hello");
    form.token = "env:PATH".into();
    assert_eq!(texting.tells(&form).await.status, 200);
}

#[tokio::test]
async fn p1_needs_a_key_that_owns() {
    let fixture = Fixture::start().await;
    for path in ["/providers/twilio", "/sip-phone-numbers"] {
        let with_key = |key: &str| keyed(key, Method::POST, path, account().to_string());
        problem(&fixture.send(with_key("nobody")).await, 401);
        problem(&fixture.send(with_key(WIDGET_KEY)).await, 401);
        problem(&fixture.send(with_key(READ_KEY)).await, 403);
    }
}

#[tokio::test]
async fn p1_another_organizations_account_of_the_same_name_is_another() {
    let texting = Texting::start().await;
    let request = keyed(FOREIGN_KEY, Method::POST, "/providers/twilio", account().to_string());
    let answer = texting.fixture.send(request).await;
    assert_eq!(answer.status, 201);
    assert_ne!(answer.json()["id"], texting.provider.as_str());
}
